//! Tars that were made to do harm, as layers and as archives of images.

use std::fs;

use serde_json::json;

use super::{based_on, refused};
use crate::world::sketch::{Layout, TAR, archive, file, gzip, header, here, members, tar};
use crate::world::{Run, World, contents, run, sha256};

/// What is to be said of a layer.
enum Verdict {
    /// It is refused.
    Refused(&'static str),
    /// It is taken, with a warning.
    Odd(&'static str),
    /// It is as it should be.
    Fine,
}
use Verdict::{Fine, Odd, Refused};

#[test]
fn a_layer_that_reaches_out_of_the_image_is_refused_and_an_odd_one_is_warned_of() {
    let world = based_on("oci:base");
    let ten_tb = 10 << 40;
    let cases: Vec<(&str, Vec<Vec<u8>>, Verdict)> = vec![
        ("a path that climbs", vec![file("../../etc/passwd", "x")], Refused("holds `..`")),
        ("one that climbs later", vec![file("a/../../b", "x")], Refused("holds `..`")),
        // As containerd and Docker have it: from the image's root.
        ("an absolute path", vec![file("/etc/motd", "x")], Fine),
        (
            "a hard link out",
            vec![header(b'1', "shadow", "../../etc/shadow", 0)],
            Refused("is a hard link to \"../../etc/shadow\""),
        ),
        (
            "a symlink out",
            vec![header(b'2', "etc/shadow", "../../../etc/shadow", 0)],
            Odd("above the root"),
        ),
        ("an absolute symlink", vec![header(b'2', "bin", "/usr/bin", 0)], Fine),
        ("a loop of symlinks", vec![header(b'2', "a", "b", 0), header(b'2', "b", "a", 0)], Fine),
        ("a character device", vec![header(b'3', "dev/mem", "", 0)], Odd("is a character device")),
        ("a block device", vec![header(b'4', "dev/sda", "", 0)], Odd("is a block device")),
        ("a fifo", vec![header(b'6', "run/pipe", "", 0)], Odd("is a fifo")),
        (
            "a file of 10 TB",
            vec![header(b'0', "big", "", ten_tb)],
            Refused("\"big\" says it has 10995116277760 bytes, and the file ends after "),
        ),
        (
            "a file larger than any",
            vec![header(b'0', "big", "", u64::MAX)],
            Refused("which is more than any file"),
        ),
        (
            "a folder of 10 TB",
            vec![header(b'5', "big/", "", ten_tb)],
            Refused("only files have one"),
        ),
        (
            "a long name of 10 TB",
            vec![header(b'L', "././@LongLink", "", ten_tb)],
            Refused("and no more than 1048576 are read"),
        ),
        (
            "PAX fields of 10 TB",
            vec![header(b'x', "pax", "", ten_tb)],
            Refused("and no more than 1048576 are read"),
        ),
        ("a file twice", vec![file("a", "1"), file("./a", "2")], Odd("is in the layer twice")),
        ("whiteouts", vec![file(".wh.a", ""), file("etc/.wh..wh..opq", "")], Fine),
        ("a whiteout of nothing", vec![file("etc/.wh.", "")], Refused("is a whiteout of no name")),
        ("a whiteout of `..`", vec![file("etc/.wh...", "")], Refused("is a whiteout of no name")),
        ("a sparse file", vec![header(b'S', "s", "", 0)], Refused("is a sparse file")),
        ("an unknown kind", vec![header(b'Z', "z", "", 0)], Refused("is of an unknown kind, 'Z'")),
        ("noise", vec![vec![b'x'; 512]], Refused("checksum")),
    ];
    for (what, members, verdict) in cases {
        let layout = Layout::at(&world.path("base"));
        layout.name(&[layout.image(&[&tar(&members)])]);
        let validated = world.run("image validate oci:base");
        let built = world.run("image -q");
        match verdict {
            Refused(words) => {
                for run in [validated, built] {
                    assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{what}: {}", run.stderr);
                    assert!(run.stderr.contains(words), "{what}: {}", run.stderr);
                }
                assert!(!world.dist().exists(), "{what}");
            }
            Odd(words) => {
                assert_eq!(validated.code, Some(0), "{what}: {}", validated.stderr);
                assert!(validated.stderr.contains(words), "{what}: {}", validated.stderr);
                assert!(validated.stderr.contains("warning: "), "{what}: {}", validated.stderr);
                assert_eq!(built.code, Some(0), "{what}: {}", built.stderr);
            }
            Fine => {
                assert_eq!(validated.code, Some(0), "{what}: {}", validated.stderr);
                assert!(!validated.stderr.contains("warning"), "{what}: {}", validated.stderr);
                assert_eq!(built.code, Some(0), "{what}: {}", built.stderr);
            }
        }
        fs::remove_dir_all(world.dist()).ok();
    }
}

/// Runs the tool with so much memory to address, in KiB.
fn with_memory(world: &World, kib: u32, args: &str) -> Run {
    let script = format!("ulimit -v {kib} && exec \"$TOOL\" {args}");
    let mut shell = world.with("sh", ["-c", &script]);
    run(shell.env("TOOL", env!("CARGO_BIN_EXE_cargo-dockless")))
}

/// 512 MiB in half a MiB, with a quarter of that to read it in.
#[test]
fn a_bomb_of_gzip_costs_time_and_no_memory() {
    const LIMIT: u32 = 128 << 10;
    let world = based_on("oci:base");
    let size = 512 << 20;
    let mut plain = header(b'0', "zeros", "", size);
    plain.resize(plain.len() + size as usize + 1024, 0);
    let layout = Layout::at(&world.path("base"));
    layout.name(&[layout.image(&[&plain])]);
    drop(plain);
    with_memory(&world, LIMIT, "image validate oci:base").ends_with(0).never_says("warning");
    // The limit holds: what it has to admit does not fit.
    assert_ne!(with_memory(&world, 4 << 10, "image validate oci:base").code, Some(0));
    // The same where it is a config, which is read into memory.
    let bomb = layout.put("application/vnd.oci.image.config.v1+json", gzip(&vec![b' '; 64 << 20]));
    layout.name(&[layout.manifest(&bomb, &[])]);
    with_memory(&world, LIMIT, "image validate oci:base").ends_with(1).no_result();
}

/// Where the config tells the truth about less than was meant.
#[test]
fn a_layer_cut_off_anywhere_is_refused() {
    let world = World::quick("1.0.0");
    let plain = tar(&[file("a", "x".repeat(700)), header(b'5', "d/", "", 0), file("d/b", "y")]);
    let layout = Layout::at(&world.path("base"));
    let config = layout.config(&[&plain]);
    let whole = gzip(&plain);
    // Stored as it is, and compressed, and with a digest that is right for what is left.
    for end in (0..plain.len()).step_by(173) {
        let layer = layout.put(TAR, &plain[..end]);
        layout.name(&[layout.manifest(&config, &[layer])]);
        world.run("image validate oci:base").ends_with(1).no_result().says("layer sha256:");
    }
    for end in (0..whole.len()).step_by(9) {
        let layer = layout.put(super::GZIP, &whole[..end]);
        layout.name(&[layout.manifest(&config, &[layer])]);
        world.run("image validate oci:base").ends_with(1).no_result().says("layer sha256:");
    }
    // And where nothing says what there was, but for the tar itself.
    for end in (1..plain.len() - 1024).filter(|end| end % 512 != 0).step_by(211) {
        layout.name(&[layout.image(&[&plain[..end]])]);
        world.run("image validate oci:base").ends_with(1).no_result().says("layer sha256:");
    }
}

#[test]
fn an_archive_that_is_made_to_do_harm_is_refused() {
    let world = based_on("oci-archive:image.tar");
    let one = Layout::at(&world.path("one"));
    one.name(&[one.image(&[&tar(&[file("a", "a")])])]);
    world.run("image copy oci:one docker-archive:whole.tar --name acme/x:1").ends_with(0);
    let whole = members(&world.path("whole.tar"));
    let ten_tb = 10 << 40;
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a path that climbs", file("../../etc/cron.d/x", "x"), "holds `..`"),
        ("a symlink out", header(b'2', "x", "../etc/shadow", 0), "leads out of the archive"),
        ("an absolute symlink", header(b'2', "x", "/etc/shadow", 0), "leads out of the archive"),
        ("a hard link out", header(b'1', "x", "../etc/shadow", 0), "holds `..`"),
        ("a device", header(b'3', "x", "", 0), "and not a file"),
        ("a fifo", header(b'6', "index.json.x", "", 0), "and not a file"),
        ("a file of 10 TB", header(b'0', "x", "", ten_tb), "10995116277760 bytes"),
        ("a long name of 10 TB", header(b'L', "x", "", ten_tb), "no more than 1048576 are read"),
        ("index.json twice", file("index.json", "{}"), "it holds index.json twice"),
        ("index.json twice by another name", file("./index.json", "{}"), "twice"),
        ("a sparse file", header(b'S', "x", "", 0), "is a sparse file"),
    ];
    for (what, member, words) in cases {
        for first in [true, false] {
            let rest = archive(&whole);
            let bytes = match first {
                true => [member.clone(), rest].concat(),
                false => [&rest[..rest.len() - 1024], &member, &[0; 1024]].concat(),
            };
            fs::write(world.path("image.tar"), bytes).unwrap();
            // Where it comes first, what it says to be long is.
            let words = if first && words.ends_with("bytes") { "bytes" } else { words };
            refused(&world, what, "oci-archive:image.tar", &[words]);
            refused(&world, what, "docker-archive:image.tar", &[words]);
        }
    }
    fs::write(world.path("image.tar"), gzip(&archive(&whole))).unwrap();
    for form in ["oci", "docker"] {
        let image = format!("{form}-archive:image.tar");
        let words = "the tar's header at byte 0: ";
        refused(&world, "a compressed archive", &image, &[words]);
        world
            .run(&format!("image validate {image}"))
            .says("  help: name an uncompressed tar file of an image\n");
    }
    assert!(!world.outside("etc").exists() && !world.path("etc").exists());
}

#[test]
fn an_archive_cut_off_anywhere_is_refused() {
    let world = World::quick("1.0.0");
    let one = Layout::at(&world.path("one"));
    one.name(&[one.image(&[&tar(&[file("a", "a")])])]);
    world.run("image copy oci:one docker-archive:whole.tar --name acme/x:1").ends_with(0);
    let whole = fs::read(world.path("whole.tar")).unwrap();
    let end = whole.len() - 1024;
    assert!(whole[end..].iter().all(|byte| *byte == 0));
    for cut in (0..end).step_by(256).chain([end - 1]) {
        fs::write(world.path("image.tar"), &whole[..cut]).unwrap();
        for form in ["oci", "docker"] {
            let validated = world.run(&format!("image validate {form}-archive:image.tar"));
            let said = (validated.code, &*validated.stdout);
            assert_eq!(said, (Some(1), ""), "{form} at {cut}: {}", validated.stderr);
            assert!(validated.stderr.contains("image.tar"), "{}", validated.stderr);
        }
    }
}

/// A docker-archive's names are paths that whoever made it chose.
#[test]
fn names_in_a_docker_archive_lead_nowhere_but_into_it() {
    let world = based_on("docker-archive:image.tar");
    let plain = tar(&[file("a", "a")]);
    let config = json!({
        "os": "linux",
        "architecture": here(),
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", sha256(&plain))] },
    });
    let make = |list: String, more: &[Vec<u8>]| {
        let own = [
            file("manifest.json", list),
            file("config.json", config.to_string()),
            file("layer.tar", &plain),
        ];
        let members: Vec<Vec<u8>> = own.iter().chain(more).cloned().collect();
        fs::write(world.path("image.tar"), tar(&members)).unwrap();
    };
    let entry = |config: &str, layer: &str| {
        json!([{ "Config": config, "RepoTags": ["x:1"], "Layers": [layer] }]).to_string()
    };
    make(entry("config.json", "layer.tar"), &[]);
    world.run("image validate docker-archive:image.tar").ends_with(0);
    // `docker save` links layers that several images have.
    make(entry("config.json", "x/layer.tar"), &[header(b'2', "x/layer.tar", "../layer.tar", 0)]);
    world.run("image validate docker-archive:image.tar").ends_with(0);

    let loops = [header(b'2', "a", "b", 0), header(b'2', "b", "a", 0), header(b'2', "c", "c", 0)];
    let hard = [header(b'1', "a", "b", 0), header(b'1', "b", "a", 0)];
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let large = format!("[{}]", " ".repeat(5 << 20));
    let cases: Vec<(&str, String, Vec<Vec<u8>>, &str)> = vec![
        (
            "a config outside",
            entry("../../etc/passwd", "layer.tar"),
            vec![],
            "does not hold ../../",
        ),
        (
            "a layer outside",
            entry("config.json", "/etc/passwd"),
            vec![],
            "does not hold /etc/passwd",
        ),
        ("a layer in a loop", entry("config.json", "a"), loops.to_vec(), "form a loop"),
        ("a layer that is itself", entry("config.json", "c"), loops.to_vec(), "form a loop"),
        ("hard links in a loop", entry("config.json", "a"), hard.to_vec(), "form a loop"),
        (
            "a link to nothing",
            entry("config.json", "l"),
            vec![header(b'2', "l", "no", 0)],
            "not hold",
        ),
        (
            "no layer",
            json!([{ "Config": "config.json", "Layers": [] }]).to_string(),
            vec![],
            "names 0",
        ),
        ("a config that is a layer", entry("layer.tar", "layer.tar"), vec![], "parse sha256:"),
        ("no image", "[]".to_owned(), vec![], "it holds no such image"),
        ("no list", "{}".to_owned(), vec![], "parse manifest.json"),
        ("a bomb of JSON", deep, vec![], "parse manifest.json"),
        ("a list of 5 MiB", large, vec![], "no more than 4194304 are read"),
        (
            "a config that is not what it is called",
            entry(&format!("{:064}.json", 0), "layer.tar"),
            vec![file(&format!("{:064}.json", 0), config.to_string())],
            "holds other bytes",
        ),
        (
            "a layer that is not what it is called",
            entry("config.json", &format!("blobs/sha256/{:064}", 0)),
            vec![file(&format!("blobs/sha256/{:064}", 0), &plain)],
            "holds other bytes",
        ),
    ];
    for (what, list, more, words) in cases {
        make(list, &more);
        refused(&world, what, "docker-archive:image.tar", &[words]);
    }
    let before = contents(&world.outside("cache"));
    for args in ["docker-archive:none.tar", "oci:none", "oci-archive:none.tar"] {
        world.run(&format!("image validate {args}")).ends_with(1).no_result().says("No such file");
    }
    for args in ["docker-archive:src", "oci-archive:src", "oci:src", "oci:Cargo.toml"] {
        world.run(&format!("image validate {args}")).ends_with(1).no_result().says("help: ");
    }
    assert_eq!(contents(&world.outside("cache")), before);
}
