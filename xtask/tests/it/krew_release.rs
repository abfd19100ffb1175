//! What a release makes of a plugin is installed by krew, and runs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::krew::{Elsewhere, Judges, Server};
use crate::world::{AARCH64, HOST, World, X86_64, entries, judge, names, run, said, skipped};

#[test]
fn a_plugin_is_installed_and_runs() {
    let world = World::empty();
    let Some(judges) = Judges::find(&world, &[]) else { return };
    let server = Server::start();
    let more = format!(
        "description = \"Says its version\"\n[package.metadata.dockless]\ntargets = [\"{HOST}\"]\n\
         [package.metadata.dockless.krew]\nuri = \"http://{}/{{{{ archive }}}}\"\n",
        server.address()
    );
    world.package("", "kubectl-tool", "1.2.3", &more);
    world.file("LICENSE-MIT", "free\n").file("LICENSE-APACHE", "free, too\n").lock().commit();
    world.git(["tag", "v1.2.3"]);
    let release = world.run("release --skip publish,check");
    release.ends_with(0).says("LICENSE of LICENSE-APACHE and LICENSE-MIT for kubectl-tool");
    let archive = format!("kubectl-tool-v1.2.3-{HOST}.tar.gz");
    server.serve(&format!("/{archive}"), std::fs::read(world.dist().join(&archive)).unwrap());
    let manifest = world.dist().join("krew/tool.yaml");
    judges.validates(&world, &manifest).ends_with(0);
    let file = manifest.to_str().unwrap();
    run(&mut judges.kubectl(&world, &["krew", "install", "--manifest", file])).ends_with(0);
    let ran = run(&mut judges.kubectl(&world, &["tool"]));
    assert_eq!(ran.ends_with(0).line(), "1.2.3");
}

/// On each machine krew takes the archive that is for it, and nothing else.
#[test]
fn a_plugin_is_installed_on_every_platform_that_it_names() {
    let world = World::empty();
    let (Some(judges), Some(_)) = (Judges::find(&world, &[]), judge("zig")) else { return };
    let server = Server::start();
    let more = format!(
        "description = \"Says its version\"\nhomepage = \"https://acme.test\"\n\
         [package.metadata.dockless.krew]\nuri = \"http://{}/{{{{ archive }}}}\"\n",
        server.address()
    );
    world.package("", "kubectl-tool", "1.2.3", &more).file("UNLICENSE", "for all\n").lock();
    let targets = [X86_64, AARCH64, "universal2-apple-darwin", "x86_64-pc-windows-gnu"];
    let args = targets.map(|target| format!(" --target {target}")).concat();
    world.run(&format!("krew manifest -q{args}")).ends_with(0);
    for name in names(&world.dist()).iter().filter(|name| name.starts_with("kubectl-tool-v")) {
        server.serve(&format!("/{name}"), std::fs::read(world.dist().join(name)).unwrap());
    }
    let manifest = world.dist().join("krew/tool.yaml");
    judges.validates(&world, &manifest).ends_with(0);
    let args = ["krew", "install", "--manifest", manifest.to_str().unwrap()];
    for (os, arch, target) in [
        ("linux", "amd64", Some(X86_64)),
        ("linux", "arm64", Some(AARCH64)),
        ("darwin", "amd64", Some("universal2-apple-darwin")),
        ("darwin", "arm64", Some("universal2-apple-darwin")),
        ("windows", "amd64", Some("x86_64-pc-windows-gnu")),
        ("linux", "386", None),
        ("windows", "arm64", None),
    ] {
        let root = world.outside(&format!("{os}-{arch}"));
        let mut install = judges.kubectl(&world, &args);
        install.env("KREW_ROOT", &root).env("KREW_OS", os).env("KREW_ARCH", arch);
        let installed = run(&mut install);
        let Some(target) = target else {
            installed.ends_with(1).says("does not offer installation for this platform");
            continue;
        };
        installed.ends_with(0);
        let program = if os == "windows" { "kubectl-tool.exe" } else { "kubectl-tool" };
        assert_eq!(names(&root.join("bin")), [program], "{os}/{arch}");
        let store = root.join("store/tool/v1.2.3");
        assert_eq!(names(&store), ["LICENSE", program]);
        let bytes = std::fs::read(store.join(program)).unwrap();
        let archive = world.dist().join(format!("kubectl-tool-v1.2.3-{target}.tar.gz"));
        match os {
            "windows" => assert!(bytes.starts_with(b"MZ")),
            _ => assert!(entries(&archive).iter().any(|entry| entry.bytes == bytes)),
        }
    }
}

/// The archives of a finished dist/, where its manifests say that they are served.
fn laid_out(dist: &Path, to: &Path) -> Vec<PathBuf> {
    let manifests: Vec<PathBuf> =
        names(&dist.join("krew")).iter().map(|name| dist.join("krew").join(name)).collect();
    for manifest in &manifests {
        let text = std::fs::read_to_string(manifest).unwrap();
        for line in text.lines() {
            let Some((_, uri)) = line.split_once("uri: https://") else { continue };
            let path = Path::new(uri.split_once('/').unwrap().1);
            let to = to.join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(dist.join(path.file_name().unwrap()), to).unwrap();
        }
    }
    manifests
}

/// A finished dist/ of this repository, as it is: `DOCKLESS_DIST` names it.
#[test]
fn the_plugins_of_a_finished_release_are_installed_and_run() {
    let Some(dist) = std::env::var_os("DOCKLESS_DIST").map(PathBuf::from) else {
        return skipped("DOCKLESS_DIST names no finished release");
    };
    let world = World::empty();
    let served = world.outside("served");
    std::fs::create_dir_all(&served).unwrap();
    let manifests = laid_out(&dist, &served);
    let Some(elsewhere) = Elsewhere::serving(&served) else { return };
    let Some(judges) = Judges::find(&world, &elsewhere.vars()) else { return };
    let metadata = std::fs::read(dist.join("metadata.json")).unwrap();
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    let version = metadata["version"].as_str().unwrap();
    assert!(!manifests.is_empty());
    for manifest in manifests {
        judges.validates(&world, &manifest).ends_with(0);
        let file = manifest.to_str().unwrap();
        let install = ["krew", "install", "--manifest", file];
        run(&mut judges.kubectl(&world, &install)).ends_with(0);
        let plugin = manifest.file_stem().unwrap().to_str().unwrap();
        let ran = run(&mut judges.kubectl(&world, &[plugin, "--version"]));
        let line = ran.ends_with(0).line().to_owned();
        assert!(line.split(' ').any(|word| word == version), "{line:?} and {version}");
        said(&format!("kubectl {plugin} --version: {line}"));
    }
}
