//! The images behind the references: pushed, tagged, and run by their digests.

use std::fs;

use serde_json::Value;

use super::*;
use crate::world::engines::{Docker, Podman};
use crate::world::proxy::{Proxy, Step};
use crate::world::{X86_64, judge};

/// Two containers of two packages, and what each prints where its image is run.
#[test]
fn images_are_pushed_and_run_by_their_digests() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["one", "two"]);
    world.file(
        "pods.yaml",
        &format!("{}---\n{}", pod("a", "dockless://one"), pod("b", "dockless://two")),
    );
    let resolved = resolve(&world, registry, "resolve-run", "-f pods.yaml");
    let named = references(&resolved.ends_with(0).stdout);
    let [one, two] = named[..] else { panic!("{named:?}") };
    let expected = format!("{}---\n{}", pod("a", one), pod("b", two));
    assert_eq!(resolved.stdout, expected);
    for (reference, name) in [(one, "one"), (two, "two")] {
        let repository = format!("{}/resolve-run/{name}@", registry.host);
        assert!(reference.starts_with(&repository), "{reference}");
        world.run(&format!("image validate {reference}")).ends_with(0);
        if let Some(docker) = Docker::shared() {
            docker.command(["pull", "-q", reference]).ends_with(0);
            assert_eq!(docker.run(reference, &[]).ends_with(0).stdout, format!("{name}\n"));
        }
        if let Some(podman) = Podman::shared() {
            podman.command(["pull", "-q", "--tls-verify=false", reference]).ends_with(0);
            assert_eq!(podman.run(reference, &[]).ends_with(0).stdout, format!("{name}\n"));
        }
    }
    assert!(!world.dist().exists(), "what is pushed goes nowhere else");
}

/// `dockless://PACKAGE/BINARY` runs that binary.
#[test]
fn a_package_of_two_binaries_has_an_image_for_each() {
    let (Some(registry), Some(docker)) = (Registry::shared(), Docker::shared()) else { return };
    let world = workspace(&["pair"]);
    fs::remove_file(world.path("pair/src/main.rs")).unwrap();
    world.file("pair/src/bin/left.rs", &says("left"));
    world.file("pair/src/bin/right.rs", &says("right"));
    let pods = |left: &str, right: &str| format!("{}---\n{}", pod("a", left), pod("b", right));
    world.file("pods.yaml", &pods("dockless://pair/left", "dockless://pair/right"));
    world.commit();
    let resolved = resolve(&world, registry, "resolve-pair", "-f pods.yaml");
    let named = references(&resolved.ends_with(0).stdout);
    let [left, right] = named[..] else { panic!("{named:?}") };
    assert_eq!(resolved.stdout, pods(left, right));
    for (reference, says) in [(left, "left\n"), (right, "right\n")] {
        docker.command(["pull", "-q", reference]).ends_with(0);
        assert_eq!(docker.run(reference, &[]).ends_with(0).stdout, says, "{reference}");
    }
    // One that is not there is not taken for another.
    world.file("pods.yaml", &pod("a", "dockless://pair/lefd"));
    let wrong = resolve(&world, registry, "resolve-pair", "-f pods.yaml");
    refused(&wrong, "pods.yaml:8:").says("lefd").says("left");
}

/// A deployment for a test is no release: people who pull `latest` do not get it.
#[test]
fn only_the_version_is_tagged() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    world.git(["tag", "v1.0.0"]);
    let below = format!("{}/resolve-tags", registry.host);
    world.run(&format!("image --push --repository {below}")).ends_with(0);
    let latest = registry.digest("resolve-tags/tool:latest").expect("a release moves it");
    world.file("tool/src/main.rs", &says("changed")).file("pod.yaml", &pod("a", "dockless://tool"));
    world.commit();
    let resolved = resolve(&world, registry, "resolve-tags", "-f pod.yaml");
    let new = digest(reference(&resolved.ends_with(0).stdout));
    assert_ne!(new, latest);
    let version = format!("1.0.1-dev.1.g{}", world.sha());
    assert_eq!(registry.digest(&format!("resolve-tags/tool:{version}")).as_deref(), Some(new));
    assert_eq!(registry.digest("resolve-tags/tool:latest"), Some(latest.clone()));
    // Tags that are asked for take its place.
    world.file("tool/src/main.rs", &says("again"));
    let tagged = resolve(&world, registry, "resolve-tags", "-f pod.yaml --tag try --tag try-2");
    let newer = digest(reference(&tagged.ends_with(0).stdout));
    assert_ne!(newer, new);
    for tag in ["try", "try-2"] {
        let tagged = registry.digest(&format!("resolve-tags/tool:{tag}"));
        assert_eq!(tagged.as_deref(), Some(newer), "{tag}");
    }
    assert_eq!(registry.digest(&format!("resolve-tags/tool:{version}.dirty")), None);
    assert_eq!(registry.digest("resolve-tags/tool:latest"), Some(latest));
    let wrong = resolve(&world, registry, "resolve-tags", "-f pod.yaml --tag a/b");
    assert!(matches!(wrong.code, Some(1 | 2)), "{}", wrong.stderr);
    wrong.no_result().says("a/b").never_says("Compiling");
}

/// All platforms of the package, or those that are named.
#[test]
fn platforms_can_be_named() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::single("1.0.0");
    world.file("LICENSE", "free\n").file("pod.yaml", &pod("a", "dockless://tool")).lock();
    world.commit();
    let architectures = |args: &str| {
        let resolved = resolve(&world, registry, "resolve-platforms", args);
        let reference = reference(&resolved.ends_with(0).stdout).to_owned();
        let seen = world.run(&format!("image inspect --json {reference}")).ends_with(0).json();
        let images = seen["images"].as_array().unwrap().iter();
        let images = images.map(|image| image["config"]["architecture"].clone());
        images.map(|it| it.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let some = |names: &[&str]| names.iter().map(|it| Some((*it).to_owned())).collect::<Vec<_>>();
    assert_eq!(architectures("-f pod.yaml"), some(&["amd64", "arm64"]));
    assert_eq!(architectures("-f pod.yaml --platform linux/arm64"), some(&["arm64"]));
    let none = resolve(&world, registry, "resolve-platforms", "-f pod.yaml --platform linux/s390x");
    none.ends_with(1).no_result().says("s390x").never_says("Compiling");
}

/// However often an image is named, it is built and pushed once.
#[test]
fn an_image_of_many_documents_is_built_and_pushed_once() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["one", "two"]);
    let proxy = Proxy::before(&registry.host);
    let pods = |one: &str, two: &str| {
        let pods = (0..40).map(|at| pod(&format!("a{at}"), if at % 2 == 0 { one } else { two }));
        pods.collect::<Vec<_>>().join("---\n")
    };
    world.file("pods.yaml", &pods("dockless://one", "dockless://two"));
    // The same in another file, and in another way of writing.
    world.file("more.json", r#"{"kind": "Pod", "spec": {"image": "dockless://one"}}"#);
    let run =
        || run(&mut resolving(&world, &proxy.host, "resolve-once", "-f pods.yaml -f more.json"));
    let first = run();
    let named = references(&first.ends_with(0).stdout);
    assert_eq!(named.len(), 41);
    assert_joined(
        &first.stdout,
        &[
            pods(named[0], named[1]),
            format!(r#"{{"kind": "Pod", "spec": {{"image": "{}"}}}}"#, named[0]),
        ],
    );
    // One tag of each, and nothing of one repository twice.
    let puts = |step: Step| {
        let mut paths: Vec<String> = proxy
            .seen()
            .into_iter()
            .filter(|seen| seen.step == step)
            .map(|seen| seen.path)
            .collect();
        paths.sort();
        paths
    };
    for step in [Step::TagPut, Step::ManifestPut] {
        let all = puts(step);
        let mut once = all.clone();
        once.dedup();
        assert_eq!(all, once, "{step:?}");
    }
    assert_eq!(puts(Step::TagPut).len(), 2, "{:?}", puts(Step::TagPut));
    let compiled = |name: &str| first.stderr.matches(&format!("Compiling {name} ")).count();
    assert_eq!((compiled("one"), compiled("two")), (1, 1), "{}", first.stderr);
    // All is there: nothing is sent again.
    proxy.renew();
    assert_eq!(run().ends_with(0).stdout, first.stdout);
    let changes: Vec<_> =
        proxy.seen().into_iter().filter(|seen| !["GET", "HEAD"].contains(&&*seen.method)).collect();
    assert!(changes.is_empty(), "{changes:?}");
}

/// Packages that no document names are left alone, though they do not even compile.
#[test]
fn nothing_else_is_built() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool", "broken"]);
    world.file("broken/src/main.rs", "fn main() { this is no Rust }");
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let resolved = resolve(&world, registry, "resolve-else", "-f pod.yaml");
    reference(&resolved.ends_with(0).stdout);
    world.file("pod.yaml", &pod("a", "dockless://broken"));
    let broken = resolve(&world, registry, "resolve-else", "-f pod.yaml");
    broken.ends_with(1).no_result().says("broken");
}

/// Where a package names its repositories, it goes to all; its document names the first.
#[test]
fn the_settings_say_where_to() {
    let Some(registry) = Registry::shared() else { return };
    let at = |name: &str| format!("{}/resolve-settings/{name}", registry.host);
    let places = [at("here"), at("there")];
    let table = format!("[package.metadata.dockless.image]\nrepositories = {places:?}\n");
    let world = workspace_with(&["tool"], &table);
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let resolved = world.run("resolve -f pod.yaml");
    let reference = reference(&resolved.ends_with(0).stdout);
    assert!(reference.starts_with(&format!("{}@", places[0])), "{reference}");
    // The pod is a file that git does not have yet.
    let version = format!("1.0.0-dev.1.g{}.dirty", world.sha());
    for name in ["here", "there"] {
        let there = registry.digest(&format!("resolve-settings/{name}:{version}"));
        assert_eq!(there.as_deref(), Some(digest(reference)), "{name}");
    }
    // Without settings the variable does, and without both nothing is begun.
    let world = workspace(&["tool"]);
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let nowhere = world.run("resolve -f pod.yaml");
    refused(&nowhere, "tool").says("--repository").never_says("Compiling");
    let mut tool = world.tool(["resolve", "-f", "pod.yaml"]);
    let named = run(tool.env("DOCKLESS_REPOSITORY", at("variable")));
    let expected = pod("a", &format!("{}@", at("variable/tool")));
    assert!(named.ends_with(0).stdout.starts_with(expected.trim_end()), "{}", named.stdout);
}

/// One line for each image, by its digest, for programs that sign or copy them.
#[test]
fn images_are_recorded_in_a_file() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["one", "two"]);
    let both = format!("{}---\n{}", pod("a", "dockless://two"), pod("b", "dockless://one"));
    world.file("pods.yaml", &both).file("again.yaml", &both);
    let resolved = resolve(
        &world,
        registry,
        "resolve-refs",
        "-f pods.yaml -f again.yaml --image-refs images.txt",
    );
    let mut named = references(&resolved.ends_with(0).stdout);
    named.sort_unstable();
    named.dedup();
    let recorded = world.read("images.txt");
    let mut lines: Vec<&str> = recorded.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, named);
    assert!(recorded.ends_with('\n'));
    // A file that cannot be written is no success.
    fs::create_dir(world.path("folder")).unwrap();
    let unwritten = resolve(&world, registry, "resolve-refs", "-f pods.yaml --image-refs folder");
    refused(&unwritten, "folder");
    // Nothing is recorded of a run that fails.
    world.file("pods.yaml", &pod("a", "dockless://three"));
    let failed = resolve(&world, registry, "resolve-refs", "-f pods.yaml --image-refs no.txt");
    refused(&failed, "three");
    assert!(!world.path("no.txt").exists());
}

/// For programs: which package became which image.
#[test]
fn images_are_told_as_json() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["one", "two"]);
    let both = format!("{}---\n{}", pod("a", "dockless://one"), pod("b", "dockless://two"));
    world.file("pods.yaml", &both);
    let plain = resolve(&world, registry, "resolve-json", "-f pods.yaml");
    let named = references(&plain.ends_with(0).stdout);
    let told = resolve(&world, registry, "resolve-json", "-f pods.yaml --json");
    let told: Value = told.ends_with(0).json();
    for (reference, name) in named.iter().zip(["one", "two"]) {
        let text = told.to_string();
        assert!(text.contains(reference) && text.contains(&format!("\"{name}\"")), "{told:#}");
    }
    assert_eq!(references(&told.to_string()).len(), 2, "each is told once: {told:#}");
}

/// Flags of a build mean what they mean for `image`.
#[test]
fn the_flags_of_a_build_are_taken() {
    let (Some(registry), Some(docker)) = (Registry::shared(), Docker::shared()) else { return };
    let world = workspace_with(&["tool"], "[features]\nloud = []\n");
    let main = "fn main() { let loud = cfg!(feature = \"loud\"); \
                println!(\"{}\", if loud { \"LOUD\" } else { \"soft\" }) }";
    world.file("tool/src/main.rs", main).file("pod.yaml", &pod("a", "dockless://tool"));
    for (args, says) in [("--features loud", "LOUD\n"), ("--profile dev", "soft\n")] {
        let args = format!("-f pod.yaml --target {X86_64} --locked {args}");
        let resolved = resolve(&world, registry, "resolve-flags", &args);
        let reference = reference(&resolved.ends_with(0).stdout);
        docker.command(["pull", "-q", reference]).ends_with(0);
        if HOST == X86_64 {
            assert_eq!(docker.run(reference, &[]).ends_with(0).stdout, says, "{args}");
        }
    }
}

/// Who reads a manifest that was resolved finds nothing of this tool in it.
#[test]
fn crane_finds_what_was_pushed() {
    let (Some(registry), Some(crane)) = (Registry::shared(), judge("crane")) else { return };
    let world = workspace(&["tool"]);
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    let resolved = resolve(&world, registry, "resolve-crane", "-f pod.yaml");
    let reference = reference(&resolved.ends_with(0).stdout);
    let valid = run(&mut world.with(&crane, ["validate", "--remote", reference]));
    assert_eq!(valid.ends_with(0).line(), format!("PASS: {reference}"));
}
