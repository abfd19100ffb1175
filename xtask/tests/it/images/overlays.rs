//! What engines that keep each layer by itself show of a base, once files and programs
//! stand on it: all of it, as it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use tar::EntryType;

use super::*;
use crate::world::engines::{Docker, Podman};
use crate::world::only_host;
use crate::world::sketch::{GZIP, Layout, gzip, tar};

/// A member of a layer.
fn member(kind: EntryType, path: &str, target: &str, mode: u32, uid: u64, text: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(uid);
    header.set_mtime(1_000_000_000 + u64::from(mode));
    header.set_size(text.len() as u64);
    header.set_cksum();
    let mut bytes = [header.as_bytes(), text.as_bytes()].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

pub fn folder(path: &str, mode: u32, uid: u64) -> Vec<u8> {
    member(EntryType::Directory, path, "", mode, uid, "")
}

pub fn link(path: &str, target: &str) -> Vec<u8> {
    member(EntryType::Symlink, path, target, 0o777, 0, "")
}

pub fn plain(path: &str, text: &str) -> Vec<u8> {
    member(EntryType::Regular, path, "", 0o644, 0, text)
}

/// What distroless/cc holds: folders with rights of their own, and a libc that is lost
/// where a layer covers /lib.
pub fn distroless() -> Vec<Vec<u8>> {
    let lower = [
        folder("./", 0o755, 0),
        folder("./etc/", 0o755, 0),
        plain("./etc/passwd", "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"),
        folder("./home/", 0o755, 0),
        folder("./home/nonroot/", 0o700, 65532),
        folder("./tmp/", 0o1777, 0),
        folder("./var/", 0o755, 0),
        folder("./var/tmp/", 0o1777, 0),
        folder("./srv/", 0o2751, 7),
        folder("./opt/", 0o755, 0),
    ];
    let upper = [
        folder("./lib/", 0o755, 0),
        folder("./lib/x86_64-linux-gnu/", 0o755, 0),
        plain("./lib/x86_64-linux-gnu/libc.so.6", "libc"),
        folder("./usr/", 0o755, 0),
        folder("./usr/lib/", 0o711, 0),
        plain("./usr/lib/libssl.so.3", "libssl"),
        folder("./opt/", 0o755, 0),
        plain("./opt/.wh.gone", ""),
    ];
    vec![tar(&lower), tar(&upper)]
}

/// Folders that are links, as in Debian and Fedora, and a root that nobody may write to.
pub fn linked() -> Vec<Vec<u8>> {
    let lower = [
        folder("./", 0o555, 0),
        folder("usr/", 0o755, 0),
        folder("usr/bin/", 0o755, 0),
        folder("usr/sbin/", 0o711, 0),
        folder("usr/lib/", 0o755, 0),
        plain("usr/lib/libc.so.6", "libc"),
        plain("usr/bin/sh", "sh"),
        link("bin", "usr/bin"),
        link("sbin", "/usr/sbin"),
        link("lib", "usr/lib"),
        folder("usr/local/", 0o750, 5),
        folder("usr/local/bin/", 0o755, 0),
        folder("tmp/", 0o1777, 0),
        folder("old/", 0o700, 3),
        plain("old/x", "x"),
        folder("etc/", 0o755, 0),
        folder("home/", 0o711, 0),
        folder("home/nonroot/", 0o2700, 65532),
    ];
    let upper = [
        folder("usr/", 0o755, 0),
        folder("usr/local/", 0o750, 5),
        plain("usr/local/.wh.bin", ""),
        link("usr/local/bin", "../../../../opt/bin"),
        folder("opt/", 0o751, 1),
        folder("opt/bin/", 0o2775, 2),
        folder("old/", 0o1755, 4),
        plain("old/.wh..wh..opq", ""),
        link("srv", "old"),
        folder("etc/", 0o755, 0),
        link("etc/tool", "/srv"),
    ];
    vec![tar(&lower), tar(&upper)]
}

/// The settings of `files` in all tests of images, and of what broke for others.
pub const FILES: [&str; 8] = [
    "",
    r#"{ from = "assets", to = "/tmp/" }, { from = "assets", to = "/home/nonroot/" }"#,
    r#"{ from = "assets", to = "/srv/assets", mode = "0640", owner = "7:8" },
       { from = "LICENSE", to = "/etc/tool/" },
       { from = "assets/a.so", to = "/opt/start" },
       { to = "/data/", mode = "0700", owner = "65532" }"#,
    r#"{ from = "assets", to = "/srv/assets", owner = "7:8" },
       { from = "LICENSE", to = "/etc/passwd.d/", mode = "0600" },
       { to = "/cache/", mode = "1777" }"#,
    r#"{ from = "assets", to = "/srv" }, { from = "LICENSE", to = "/base/LICENSE" }"#,
    r#"{ from = "assets", to = "/lib/" }, { from = "LICENSE", to = "/usr/local/bin/" }"#,
    r#"{ from = "assets", to = "/" }, { from = "LICENSE", to = "/bin/" },
       { from = "LICENSE", to = "/sbin/" }, { from = "LICENSE", to = "/var/tmp/a/b" }"#,
    r#"{ from = "assets", to = "/tmp", mode = "0600", owner = "9:9" },
       { from = "assets", to = "/home", owner = "9:9" }"#,
];

/// The image of the layers, in `base`.
pub fn put(world: &World, layers: &[Vec<u8>]) {
    let layout = Layout::at(&world.path("base"));
    let tars: Vec<&[u8]> = layers.iter().map(|layer| &**layer).collect();
    let blobs: Vec<Value> = layers.iter().map(|layer| layout.put(GZIP, gzip(layer))).collect();
    layout.name(&[layout.manifest(&layout.config(&tars), &blobs)]);
}

/// Sets the base and the files of the project's image.
pub fn set(world: &World, base: &str, files: &str) {
    let image = format!("[package.metadata.dockless.image]\nbase = {base:?}\nfiles = [{files}]\n");
    world.package("", "tool", "1.0.0", &format!("{}{image}", only_host()));
}

/// One entry of a container: its kind, where a link leads, mode, owner and time.
type Seen = (u8, String, u32, (u64, u64), u64);

/// What an engine shows of an image, told from what it makes itself by its path.
fn seen(tar: &Path) -> BTreeMap<String, Seen> {
    let own = [".dockerenv", "dev", "proc", "sys", "etc/hostname", "etc/hosts", "etc/mtab"];
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(File::open(tar).unwrap()).entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().trim_matches('/').to_owned();
        let path = path.trim_start_matches("./").to_owned();
        let engine = own.iter().any(|it| path == *it || path.starts_with(&format!("{it}/")));
        if engine || path == "etc/resolv.conf" || path == "run" || path == "etc" {
            continue;
        }
        let header = entry.header();
        let target = entry.link_name().unwrap().map(|it| it.to_str().unwrap().to_owned());
        let seen = (
            header.entry_type().as_byte(),
            target.unwrap_or_default(),
            header.mode().unwrap() & 0o7777,
            (header.uid().unwrap(), header.gid().unwrap()),
            header.mtime().unwrap(),
        );
        found.insert(path, seen);
    }
    found
}

/// An engine's containers, of which none is started.
enum Engine {
    Docker(&'static Docker),
    Podman(&'static Podman),
}

impl Engine {
    fn name(&self) -> &'static str {
        match self {
            Engine::Docker(_) => "docker",
            Engine::Podman(_) => "podman",
        }
    }

    fn command(&self, args: &[&str]) -> super::super::world::Run {
        match self {
            Engine::Docker(docker) => docker.command(args),
            Engine::Podman(podman) => podman.command(args),
        }
    }

    /// What a container of the image that `args` load holds.
    fn show(&self, world: &World, args: &str) -> BTreeMap<String, Seen> {
        let mut load = world.tool(args.split(' ').chain(["--load", self.name()]));
        let loaded = match self {
            Engine::Docker(docker) => run(load.envs(docker.vars())),
            Engine::Podman(podman) => run(load.envs(podman.vars())),
        };
        let image = loaded.ends_with(0).line();
        let container = self.command(&["create", image, "none"]).ends_with(0).line().to_owned();
        let tar = world.outside("container.tar");
        let to = format!("--output={}", tar.display());
        self.command(&["export", &to, &container]).ends_with(0);
        self.command(&["rm", &container]).ends_with(0);
        seen(&tar)
    }
}

/// Requires that the engine shows the base as it was, whatever is put on it.
fn assert_kept(engine: &Engine) {
    let world = World::quick("1.0.0");
    world.file("assets/a.so", "a").file("assets/more/b.so", "b");
    for (name, layers) in
        [("builtin", Vec::new()), ("distroless", distroless()), ("linked", linked())]
    {
        let base = if layers.is_empty() { "builtin" } else { "oci:base" };
        if !layers.is_empty() {
            put(&world, &layers);
        }
        let before = match layers.is_empty() {
            true => {
                set(&world, base, "");
                engine.show(&world, "image -q")
            }
            false => engine.show(&world, "image copy -q oci:base --name localhost/base:1"),
        };
        assert!(before.len() > 9, "{before:#?}");
        for files in FILES {
            set(&world, base, files);
            let after = engine.show(&world, "image -q");
            let what = format!("{name} in {} with {files}", engine.name());
            for (path, was) in &before {
                assert_eq!(after.get(path), Some(was), "/{path} of {what}");
            }
            let bin = if name == "linked" { "opt/bin" } else { "usr/local/bin" };
            assert!(after.contains_key(&format!("{bin}/tool")), "{what}: {:?}", after.keys());
            if files.contains("/lib/") {
                let lib = if name == "linked" { "usr/lib" } else { "lib" };
                for file in ["a.so", "more/b.so"] {
                    assert!(after.contains_key(&format!("{lib}/{file}")), "{what}");
                }
            }
        }
    }
}

#[test]
fn podman_shows_the_base_as_it_was() {
    let Some(podman) = Podman::overlay() else { return };
    let driver = podman.command(["info", "--format={{.Store.GraphDriverName}}"]);
    if driver.code != Some(0) || driver.stdout.trim() != "overlay" {
        return missing("podman has no overlays here");
    }
    assert_kept(&Engine::Podman(podman));
}

#[test]
fn docker_shows_the_base_as_it_was() {
    let Some(docker) = Docker::shared() else { return };
    let driver = docker.command(["info", "--format={{.Driver}}"]);
    if !driver.ends_with(0).stdout.contains("overlay") {
        return missing("docker has no overlays here");
    }
    assert_kept(&Engine::Docker(docker));
}
