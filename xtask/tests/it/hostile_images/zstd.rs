//! Layers that are compressed with zstd, and those of unknown types.

use std::io::Write;
use std::process::Stdio;

use super::*;
use crate::world::sketch::{ZSTD, header, zstd};
use crate::world::{flat, judge};

/// A layer with a link that the layers above have to go through.
fn linked() -> Vec<u8> {
    let large: String = (0..40_000).map(|n| format!("{n}\n")).collect();
    tar(&[
        header(b'5', "usr/", "", 0),
        header(b'5', "usr/lib/", "", 0),
        file("usr/lib/libc.so.6", large),
        header(b'2', "lib", "usr/lib", 0),
    ])
}

/// A project that puts a file into the base's /lib.
fn into_lib() -> World {
    let world = World::quick("1.0.0");
    let image = "[package.metadata.dockless.image]\nbase = \"oci:base\"\n\
                 files = [{ from = \"LICENSE\", to = \"/lib/\" }]\n";
    world.package("", "tool", "1.0.0", &format!("{}{image}", only_host()));
    world
}

/// A base of one layer as it is given, which unpacks to `plain`.
fn put(world: &World, plain: &[u8], media_type: &str, blob: &[u8]) -> String {
    let layout = Layout::at(&world.path("base"));
    let layer = layout.put(media_type, blob);
    layout.name(&[layout.manifest(&layout.config(&[plain]), std::slice::from_ref(&layer))]);
    layer["digest"].as_str().unwrap().to_owned()
}

/// What zstd's own program makes of it, with these options.
fn packed(world: &World, bytes: &[u8], options: &[&str]) -> Option<Vec<u8>> {
    let program = judge("zstd")?;
    let mut packing = world.with(program, ["--stdout", "--quiet"]);
    packing.args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut packing = packing.spawn().unwrap();
    let mut to = packing.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || to.write_all(&bytes).unwrap());
    let output = packing.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

/// Checked, stood on, shown and copied like any other, and passed on as it is.
#[test]
fn a_base_with_a_layer_of_zstd_is_a_base_like_any() {
    let world = into_lib();
    let plain = linked();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"toc"].concat();
    let (first, second) = plain.split_at(1000);
    let forms = [
        Some(zstd(&plain)),
        // As zstd:chunked and pzstd write it.
        Some([zstd(first), zstd(second), skippable.clone()].concat()),
        packed(&world, &plain, &["-1"]),
        packed(&world, &plain, &["-19", "--check"]),
        packed(&world, &plain, &["--ultra", "-22", "--no-check"]),
    ];
    for blob in forms.iter().flatten() {
        let digest = put(&world, &plain, ZSTD, blob);
        world.run("image validate oci:base").ends_with(0).never_says("warning");
        world.run("image inspect oci:base").ends_with(0);
        let copied = world.outside("copied");
        fs::remove_dir_all(&copied).ok();
        world.run(&format!("image copy oci:base oci:{}", copied.display())).ends_with(0);
        assert_eq!(fs::read(copied.join("blobs/sha256").join(&digest[7..])).unwrap(), *blob);
        let made = world.run("image -q");
        made.ends_with(0).never_says("warning");
        let layout = world.path("dist/images/tool");
        assert_eq!(fs::read(layout.join("blobs/sha256").join(&digest[7..])).unwrap(), *blob);
        let reference = made.line();
        world.run(&format!("image validate {reference}")).ends_with(0).never_says("warning");
        let inspected = world.run(&format!("image inspect --json {reference}")).json();
        assert_eq!(inspected["images"][0]["layers"][0]["mediaType"], ZSTD);
    }
    put(&world, &plain, ZSTD, &zstd(&plain));
    world.run("image -q").ends_with(0);
    let tree = flat::of_layout(&world.path("dist/images/tool"), None).tree;
    assert_eq!(tree["lib"].what, flat::What::Symlink("usr/lib".to_owned()));
    assert!(tree.contains_key("usr/lib/LICENSE") && tree.contains_key("usr/lib/libc.so.6"));
}

#[test]
fn what_skopeo_recompressed_is_a_base() {
    let Some(skopeo) = judge("skopeo") else { return };
    let world = into_lib();
    let plain = linked();
    put(&world, &plain, GZIP, &gzip(&plain));
    let from = format!("oci:{}", world.path("base").display());
    let to = format!("oci:{}", world.path("recompressed").display());
    let args = ["copy", "--dest-compress", "--dest-compress-format", "zstd", &from, &to];
    run(&mut world.with(&skopeo, args)).ends_with(0);
    fs::remove_dir_all(world.path("base")).unwrap();
    fs::rename(world.path("recompressed"), world.path("base")).unwrap();
    let seen = world.run("image inspect --json oci:base").json();
    assert_eq!(seen["images"][0]["layers"][0]["mediaType"], ZSTD);
    world.run("image validate oci:base").ends_with(0).never_says("warning");
    let made = world.run("image -q");
    world.run(&format!("image validate {}", made.ends_with(0).line())).ends_with(0);
}

/// The same is said of it wherever it is looked into, as an error.
#[test]
fn a_damaged_layer_of_zstd_is_refused() {
    let world = into_lib();
    let plain = linked();
    let whole = zstd(&plain);
    let other = tar(&[file("other", "x")]);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    let long_window = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 1, 0, 0];
    for (what, blob, said) in [
        ("of another tar", zstd(&other), &["its tar has the digest sha256:"][..]),
        ("cut off", whole[..whole.len() - 9].to_vec(), &["unpack it"]),
        ("cut off at once", whole[..3].to_vec(), &["unpack it"]),
        ("empty", Vec::new(), &["there is no zstd in it"]),
        ("no zstd", gzip(&plain), &["unpack it"]),
        ("a tar", plain.clone(), &["unpack it"]),
        ("changed", flipped, &["unpack it", "its tar has the digest", "the tar's header"]),
        ("of a huge window", long_window.to_vec(), &["unpack it"]),
        ("followed by more", [&whole[..], b"more"].concat(), &["read to the end", "unpack it"]),
    ] {
        put(&world, &plain, ZSTD, &blob);
        for args in ["image validate oci:base", "image -q"] {
            let refused = world.run(args);
            refused.ends_with(1).no_result().says("error: layer sha256:").says("help: ");
            let known = said.iter().any(|said| refused.stderr.contains(said));
            assert!(known, "{what}: {args}: {}", refused.stderr);
            refused.never_says("Compiling").never_says("panicked");
        }
        assert!(!world.dist().exists(), "{what}");
    }
}

/// What cannot be looked into is said where it is shown, and is no base.
#[test]
fn a_layer_that_nobody_reads_is_said_to_be_unread() {
    let world = into_lib();
    let plain = linked();
    for kind in ["tar+brotli", "tar+zip", "tar+gzip+encrypted", "erofs"] {
        let media_type = format!("application/vnd.oci.image.layer.v1.{kind}");
        put(&world, &plain, &media_type, b"secret");
        let said = format!("was not checked: {media_type} is not supported");
        let validated = world.run("image validate oci:base");
        validated.ends_with(0).says("warning: layer sha256:").says(&said);
        world.run("image inspect oci:base").ends_with(0);
        for args in ["image", "image -q"] {
            let refused = world.run(args);
            refused.ends_with(1).no_result().says("error: layer sha256:").says(&said);
            refused.never_says("warning").never_says("Compiling");
        }
        let copied = world.outside("copied");
        fs::remove_dir_all(&copied).ok();
        world.run(&format!("image copy oci:base oci:{}", copied.display())).ends_with(0);
    }
    // A layer that others distribute is read where it is there.
    for (media_type, blob) in [
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", gzip(&plain)),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", zstd(&plain)),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", gzip(&plain)),
    ] {
        let digest = put(&world, &plain, media_type, &blob);
        world.run("image validate oci:base").ends_with(0).never_says("warning");
        world.run("image -q").ends_with(0);
        fs::remove_dir_all(world.dist()).unwrap();
        fs::remove_dir_all(world.outside("cache")).unwrap();
        fs::remove_file(world.path("base/blobs/sha256").join(&digest[7..])).unwrap();
        for args in ["image validate oci:base", "image -q"] {
            let refused = world.run(args);
            refused.ends_with(1).no_result().says("error: layer sha256:");
            refused.says("others distribute it, and not with the image");
        }
    }
}
