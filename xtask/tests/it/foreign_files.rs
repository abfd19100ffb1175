//! Files of others that are links, pipes or devices: none is followed out of its folder, waited
//! for, or read without an end.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::world::sketch::{GZIP, Layout, MANIFEST, file, gzip, manifest, tar};
use crate::world::{World, contents, run};

/// What a private file holds.
const SECRET: &str = "s3cr3t = 'k3y'\n";

/// What takes the place of a file, and what is said of it.
#[derive(Clone, Copy, Debug)]
enum Instead {
    LinkOut,
    LinkToGit,
    Pipe,
    Device,
    Large,
}

impl Instead {
    const ALL: [Instead; 5] =
        [Instead::LinkOut, Instead::LinkToGit, Instead::Pipe, Instead::Device, Instead::Large];

    fn put(self, world: &World, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.symlink_metadata().is_ok() {
            fs::remove_file(path).unwrap();
        }
        match self {
            Instead::LinkOut => {
                let secret = world.outside("secret");
                fs::write(&secret, SECRET).unwrap();
                symlink(secret, path).unwrap();
            }
            Instead::LinkToGit => {
                world.file(".git/secret", SECRET);
                symlink(world.path(".git/secret"), path).unwrap();
            }
            Instead::Pipe => drop(run(world.with("mkfifo", [path]).arg("--")).ends_with(0)),
            Instead::Device => symlink("/dev/zero", path).unwrap(),
            Instead::Large => fs::File::create(path).unwrap().set_len(1 << 40).unwrap(),
        }
    }

    /// What is said where the file has to lie inside a folder.
    fn inside(self) -> &'static str {
        match self {
            Instead::LinkOut | Instead::Device => "leads out of",
            Instead::LinkToGit => "leads into git's own files",
            Instead::Pipe => "is not a regular file",
            Instead::Large => "it has more than",
        }
    }
}

#[test]
fn files_of_the_project_stay_inside_it() {
    let world = World::committed("1.0.0");
    let dry = "release --dry-run --snapshot";
    for (name, command) in [
        ("dockless.lock", dry),
        ("deny.toml", "check --only audit --require audit --offline"),
        (".deny.toml", "check --only audit --require audit --offline"),
        (".cargo/audit.toml", "check --only audit --require audit --offline"),
        (".github/workflows/ci.yml", "init --workflows --check"),
        (".github/workflows/release.yml", "init --workflows"),
    ] {
        for instead in Instead::ALL {
            let path = world.path(name);
            instead.put(&world, &path);
            let run = world.run(command);
            run.ends_with(1).never_says("s3cr3t").never_says("k3y");
            assert!(run.stderr.contains(instead.inside()), "{name} {instead:?}: {}", run.stderr);
            fs::remove_file(path).unwrap();
        }
    }
}

/// No workflow is written through a folder that is a link.
#[test]
fn nothing_is_written_out_of_the_project() {
    let world = World::committed("1.0.0");
    let outside = world.outside("home");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, world.path(".github")).unwrap();
    world.run("init --workflows").ends_with(1).no_result().says("leads out of");
    assert_eq!(contents(&outside).len(), 0);
}

/// What is named by the user, or by the environment, may be a link, but is a file.
#[test]
fn what_is_no_file_is_not_waited_for() {
    let world = World::committed("1.0.0");
    let settings = "[workspace.metadata.dockless.network]\nca = \"ca.pem\"\nretries = 0\n";
    let manifest = format!("{}{settings}", world.read("Cargo.toml"));
    world.file("Cargo.toml", &manifest);
    for (name, command) in [
        ("foo.yaml", "krew validate foo.yaml"),
        ("ca.pem", "image inspect 127.0.0.1:1/acme/tool:1"),
        ("ca.pem", "image copy 127.0.0.1:1/acme/tool:1 oci:out"),
        ("image.tar", "image inspect docker-archive:image.tar"),
        ("image.tar", "image inspect oci-archive:image.tar"),
    ] {
        for instead in [Instead::Pipe, Instead::Device, Instead::Large] {
            if matches!(instead, Instead::Large) && name == "image.tar" {
                continue;
            }
            let path = world.path(name);
            instead.put(&world, &path);
            let said = match instead {
                Instead::Large => "it has more than",
                _ => "is not a regular file",
            };
            let run = world.run(command);
            assert_eq!(run.code, Some(1), "{name} {instead:?}: {}", run.stderr);
            assert!(run.stderr.contains(said), "{name} {instead:?}: {}", run.stderr);
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_layout_is_read_inside_its_folder() {
    let world = World::committed("1.0.0");
    let make = || {
        fs::remove_dir_all(world.path("base")).ok();
        let layout = Layout::at(&world.path("base"));
        let plain = tar(&[file("a", "a")]);
        let (config, layer) = (layout.config(&[&plain]), layout.put(GZIP, gzip(&plain)));
        let image = layout.json(MANIFEST, &manifest(&config, std::slice::from_ref(&layer)));
        layout.name(std::slice::from_ref(&image));
        let blob = |of: &serde_json::Value| {
            let digest = of["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            format!("blobs/sha256/{digest}")
        };
        [blob(&config), blob(&layer), blob(&image), "index.json".into(), "oci-layout".into()]
    };
    for at in 0..5 {
        let name = &make()[at];
        let path = world.path("base").join(name);
        // The very bytes, but elsewhere.
        let bytes = fs::read(&path).unwrap();
        let outside = world.outside("bytes");
        fs::write(&outside, bytes).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(&outside, &path).unwrap();
        for args in ["inspect oci:base", "validate oci:base", "copy oci:base oci:out"] {
            let run = world.run(&format!("image {args}"));
            assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{name}: {args}: {}", run.stderr);
            assert!(run.stderr.contains("leads out of"), "{name}: {args}: {}", run.stderr);
        }
        for instead in [Instead::Pipe, Instead::Device] {
            make();
            instead.put(&world, &path);
            let run = world.run("image copy oci:base oci:out");
            assert_eq!(run.code, Some(1), "{name} {instead:?}: {}", run.stderr);
        }
        assert!(!world.path("out/index.json").exists());
    }
    // Inside its folder a layout may have links.
    let layer = world.path("base").join(&make()[1]);
    fs::rename(&layer, world.path("base/layer")).unwrap();
    symlink("../../layer", &layer).unwrap();
    world.run("image validate oci:base").ends_with(0);
}

/// The folder of a shard comes of another machine.
#[test]
fn a_shard_is_read_inside_its_folder() {
    let world = World::committed("1.0.0");
    for instead in [Instead::LinkOut, Instead::Large] {
        instead.put(&world, &world.path("shard/shard.json"));
        let run = world.run("release --snapshot --merge shard");
        run.ends_with(1).no_result().never_says("s3cr3t").says(instead.inside());
    }
}
