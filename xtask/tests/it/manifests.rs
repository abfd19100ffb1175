//! The manifests that `init --kubernetes` writes, and what Kubernetes' own schemas say of them.

use std::fs;
use std::os::unix::fs::symlink;

use crate::docs::golden;
use crate::world::registries::Registry;
use crate::world::{HOST, World, judge, names, only_host, run};

/// The oldest Kubernetes that has all that the manifests use, and the newest that the judge knows.
const KUBERNETES: [&str; 2] = ["1.30", "1.37"];

/// The settings of an image with these ports.
fn ports(list: &str) -> String {
    format!("{}[package.metadata.dockless.image]\nports = [{list}]\n", only_host())
}

/// A project of one service.
fn service(more: &str) -> World {
    let world = World::empty();
    world.package("", "tool", "1.0.0", &format!("{}{more}", ports("\"8080/tcp\"")));
    world.file("LICENSE", "free\n").lock().commit();
    world
}

/// A workspace of packages, each with its settings.
fn workspace(packages: &[(&str, &str)]) -> World {
    let world = World::empty();
    let members: Vec<&str> = packages.iter().map(|(name, _)| *name).collect();
    world.file("Cargo.toml", &format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n"));
    for (name, more) in packages {
        world.package(name, name, "1.0.0", more);
    }
    world.file("LICENSE", "free\n").lock().commit();
    world
}

/// Asks Kubernetes' schemas about files in the project.
fn judged(world: &World, files: &[&str]) {
    let Some(validate) = judge("kubernetes-validate") else { return };
    for version in KUBERNETES {
        let args = ["--strict", "-k", version];
        run(world.with(&validate, args).args(files)).ends_with(0);
    }
}

#[test]
fn a_service_gets_a_manifest_that_is_its_owners() {
    let world = service("");
    let path = world.path("deploy/tool.yaml");
    let made = world.run("init --kubernetes");
    assert_eq!(made.ends_with(0).never_says("warning:").line(), path.to_str().unwrap());
    assert_eq!(names(&world.path("deploy")), ["tool.yaml"]);
    let written = world.read("deploy/tool.yaml");
    golden("xtask/tests/it/manifests/tool.yaml", &written);
    judged(&world, &["deploy/tool.yaml"]);

    world.run("init --kubernetes").ends_with(0).no_result().never_says("keep");
    let mine = written.replace("replicas: 2", "replicas: 5");
    world.file("deploy/tool.yaml", &mine);
    let again = world.run("init --kubernetes");
    again.ends_with(0).no_result().says("keep deploy/tool.yaml: it exists and differs");
    assert_eq!(world.read("deploy/tool.yaml"), mine);
    fs::remove_file(&path).unwrap();
    world.run("init --kubernetes").ends_with(0);
    assert_eq!(world.read("deploy/tool.yaml"), written);
}

#[test]
fn the_settings_of_the_image_are_in_it() {
    let world = World::empty();
    let more = format!(
        "{}user = \"0\"\nvolumes = [\"/data\", \"/my files\"]\n",
        ports("\"53/udp\", \"53\", \"9000-9001\"")
    );
    world.package("", "My_Dns", "1.0.0", &more).file("LICENSE", "free\n").lock().commit();
    world.run("init --kubernetes").ends_with(0);
    golden("xtask/tests/it/manifests/my-dns.yaml", &world.read("deploy/my-dns.yaml"));
    judged(&world, &["deploy/my-dns.yaml"]);
}

/// Services are the packages that are released with ports, or those that are named.
#[test]
fn services_are_chosen() {
    let http = ports("\"8080\"");
    let kept = format!("{http}ship = false\n");
    let named = format!("[package.metadata.dockless]\nship = false\ntargets = [{:?}]\n", HOST);
    let world = workspace(&[
        ("api", &*http),
        ("web", &*http),
        ("worker", &*only_host()),
        ("unshipped", &*kept),
        ("private", &*named),
    ]);
    let made = world.run("init --kubernetes");
    let expected: Vec<String> = ["deploy/api.yaml", "deploy/web.yaml"]
        .map(|path| world.path(path).display().to_string())
        .to_vec();
    assert_eq!(made.ends_with(0).stdout.lines().collect::<Vec<_>>(), expected);
    judged(&world, &["deploy/api.yaml", "deploy/web.yaml"]);
    fs::remove_dir_all(world.path("deploy")).unwrap();

    let worker = world.run("init --kubernetes -p worker --package private");
    worker.ends_with(0);
    for name in ["worker", "private"] {
        worker
            .says(&format!("the image of {name} names no ports: 8080/tcp is assumed"))
            .says("set `ports = [\"8080/tcp\"]` in [package.metadata.dockless.image]");
    }
    assert_eq!(names(&world.path("deploy")), ["private.yaml", "worker.yaml"]);
    assert!(world.read("deploy/worker.yaml").contains("containerPort: 8080\n"));
    // Both kinds of files at once.
    world.run("init --kubernetes --workflows -p unshipped").ends_with(0);
    assert!(world.path(".github/workflows/ci.yml").exists());
    assert!(world.path("deploy/unshipped.yaml").exists());
}

#[test]
fn what_can_be_no_service_is_an_error() {
    let http = ports("\"8080\"");
    let many = ports("\"1000-1100\"");
    let windows = "[package.metadata.dockless]\ntargets = [\"x86_64-pc-windows-gnu\"]\n";
    let colon = format!("{http}volumes = [\"/a:b\"]\n");
    let long = "a".repeat(64);
    let dockless = format!("[dependencies]\ndockless.path = {:?}\n", env!("CARGO_MANIFEST_DIR"));
    for (packages, args, why, fix) in [
        (
            vec![("tool", "")],
            "",
            "no package that is released has an image with `ports`",
            "or name a package with --package",
        ),
        (
            vec![("tool", "")],
            " -p toll -p tool",
            "no package \"toll\" with a binary",
            "did you mean `tool`?",
        ),
        (
            vec![(&*long, &*http)],
            "",
            "it has 64 characters of at most 63",
            "rename the package, or write its manifests by hand",
        ),
        (
            vec![("größe", &*http), ("tool", &*http)],
            "",
            "\"größe\" cannot be a name on Kubernetes: it has the character 'ö'",
            "rename the package",
        ),
        (
            vec![("my-tool", &*http), ("my_tool", &*http)],
            "",
            "my-tool: my-tool and my_tool would both be named so",
            "rename one",
        ),
        (vec![("tool", &*many)], "", "tool has 101 ports: a Service lists at most 100", "shorten"),
        (vec![("tool", &*colon)], "", "nothing can be mounted on the volume \"/a:b\"", "no colon"),
        (vec![("tool", windows)], " -p tool", "tool has no Linux target", "add one to `targets`"),
        (
            vec![("tool", &*http), ("xtask", &*dockless)],
            " -p xtask",
            "xtask depends on dockless: an xtask has no image",
            "name another package",
        ),
    ] {
        let world = workspace(&packages);
        let run = world.run(&format!("init --kubernetes{args}"));
        run.ends_with(1).no_result().says(why).says(fix);
        assert!(!world.path("deploy").exists(), "{why}");
    }
    let world = service("");
    for args in ["init --package tool", "init --kubernetes --check"] {
        world.run(args).ends_with(2).no_result();
    }
}

/// `resolve` takes them as they are, and warns where a number is changed to one that cannot hold.
#[test]
fn resolve_takes_them_and_checks_their_numbers() {
    let Some(registry) = Registry::shared() else { return };
    let world = service("");
    world.run("init --kubernetes").ends_with(0);
    let to = format!("{}/manifests", registry.host);
    let resolve = || world.run(&format!("resolve -f deploy --repository {to}"));
    let resolved = resolve();
    resolved.ends_with(0).never_says("warning:");
    let image = resolved.stdout.lines().find_map(|line| line.trim().strip_prefix("image: "));
    let image = image.unwrap();
    assert!(image.starts_with(&format!("{to}/tool@sha256:")), "{image}");
    let written = world.read("deploy/tool.yaml");
    assert_eq!(resolved.stdout, written.replace("dockless://tool", image));
    judged(&world, &["deploy/tool.yaml"]);
    for (number, other) in [
        ("seconds: 28", "seconds: 9"),
        ("terminationGracePeriodSeconds: 45", "terminationGracePeriodSeconds: 30"),
        ("      maxUnavailable: 0", "      maxUnavailable: 2"),
    ] {
        let changed = written.replace(number, other);
        assert_ne!(changed, written);
        world.file("deploy/tool.yaml", &changed);
        resolve().ends_with(0).says("warning:").says("deploy/tool.yaml");
    }
}

/// Nothing is written through links, or where a folder is.
#[test]
fn manifests_stay_in_the_project() {
    let world = service("");
    let elsewhere = world.outside("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, world.path("deploy")).unwrap();
    world.run("init --kubernetes").ends_with(1).no_result().says("deploy");
    assert_eq!(names(&elsewhere), [""; 0]);
    fs::remove_file(world.path("deploy")).unwrap();
    fs::create_dir_all(world.path("deploy/tool.yaml")).unwrap();
    world.run("init --kubernetes").ends_with(1).no_result().says("deploy/tool.yaml");
    fs::remove_dir(world.path("deploy/tool.yaml")).unwrap();
    symlink(elsewhere.join("made"), world.path("deploy/tool.yaml")).unwrap();
    world.run("init --kubernetes").ends_with(1).no_result().says("leads nowhere");
    assert_eq!(names(&elsewhere), [""; 0]);
    assert!(world.path("deploy/tool.yaml").is_symlink());
}
