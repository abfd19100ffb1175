//! Pushes that fail, files that change meanwhile, and readers of stdout that go away.

use std::fs;
use std::process::Stdio;

use super::*;
use crate::world::proxy::{ALWAYS, Fault, ONCE, Proxy, Step};
use crate::world::running::ended;

const FIVE: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];

/// Five packages, and a pod for each in one file.
fn five() -> World {
    let packages: Vec<(&str, &str)> = FIVE.iter().map(|name| (*name, "1.0.0")).collect();
    let network = "[workspace.metadata.dockless.network]\nretries = 0\ntimeout = 5\n";
    let world = World::workspace(&packages, network);
    for name in FIVE {
        world.package(name, name, "1.0.0", &only_host());
    }
    let pods = FIVE.map(|name| pod(name, &format!("dockless://{name}")));
    world.file("pods.yaml", &pods.join("---\n"));
    world.commit();
    world
}

/// One of five images is refused: which one is said, and no half of the documents is printed.
#[test]
fn a_push_that_fails_for_one_of_five_images_prints_nothing() {
    let Some(registry) = Registry::shared() else { return };
    let world = five();
    for (at, (step, hits, fault)) in [
        (Step::TagPut, 3..=3, Fault::refusal(403, "DENIED")),
        (Step::TagPut, 3..=3, Fault::refusal(400, "MANIFEST_INVALID")),
        (Step::TagPut, 3..=3, Fault::refusal(500, "UNKNOWN")),
        (Step::Put, 3..=3, Fault::Reset),
        // One that is refused early is begun again.
        (Step::Post, ALWAYS, Fault::refusal(507, "UNKNOWN")),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = Proxy::before(&registry.host);
        let is_one = hits == (3..=3);
        proxy.inject(step, hits, fault);
        let below = format!("resolve-five-{at}");
        let args = "-f pods.yaml --image-refs images.txt";
        let failed = ended(&mut resolving(&world, &proxy.host, &below, args));
        let hit = proxy.seen().into_iter().find(|seen| seen.faulted);
        let hit = hit.unwrap_or_else(|| panic!("{step:?} befalls nothing"));
        let which = FIVE.iter().find(|name| hit.path.contains(&format!("/{name}/"))).unwrap();
        let which = if is_one { *which } else { "" };
        refused(&failed, &format!("{below}/{which}"));
        assert!(!world.path("images.txt").exists(), "{step:?}");
        // The next run brings the rest.
        proxy.renew();
        let again = ended(&mut resolving(&world, &proxy.host, &below, args));
        assert_eq!(references(&again.ends_with(0).stdout).len(), 5, "{step:?}");
        assert_eq!(world.read("images.txt").lines().count(), 5);
        fs::remove_file(world.path("images.txt")).unwrap();
    }
}

/// A registry that lets nobody in is known before anything is compiled.
#[test]
fn a_registry_that_refuses_is_known_at_once() {
    let Some(registry) = Registry::shared() else { return };
    let world = five();
    let proxy = Proxy::before(&registry.host).with_password("me", "canary-hunter2");
    let run = ended(&mut resolving(&world, &proxy.host, "resolve-closed", "-f pods.yaml"));
    refused(&run, &proxy.host).never_says("Compiling").never_says("canary-hunter2");
}

/// The compiler says what is wrong, and no document is printed.
#[test]
fn a_package_that_does_not_compile_prints_nothing() {
    let Some(registry) = Registry::shared() else { return };
    let world = five();
    world.file("gamma/src/main.rs", "fn main() { let x: u8 = \"no number\"; }");
    let failed = resolve(&world, registry, "resolve-broken", "-f pods.yaml");
    refused(&failed, "gamma").says("mismatched types");
}

/// A build that writes the manifest anew, as a generator of code would: what was read at first
/// is what is written.
#[test]
fn a_file_that_changes_meanwhile_is_read_once() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    let before = |image: &str| format!("{}# {}\n", pod("before", image), "long ".repeat(3000));
    for (at, after) in
        ["kind: [\n".to_owned(), String::new(), before("dockless://nobody")].into_iter().enumerate()
    {
        world.file("pod.yaml", &before("dockless://tool")).file("after.txt", &after);
        let build = "fn main() { println!(\"cargo::rerun-if-changed=../again\"); \
                     std::fs::copy(\"../after.txt\", \"../pod.yaml\").unwrap(); }";
        world.file("tool/build.rs", build).file("again", &at.to_string());
        let resolved = resolve(&world, registry, "resolve-changes", "-f pod.yaml");
        assert_eq!(world.read("pod.yaml"), after, "the build did write it");
        match resolved.code {
            Some(0) => {
                let reference = reference(&resolved.stdout);
                assert_eq!(resolved.stdout, before(reference), "{at}");
            }
            _ => drop(refused(&resolved, "pod.yaml")),
        }
    }
}

/// A pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Whoever has read enough is no failure, a full disk is one.
#[test]
fn a_lost_stdout_is_a_failure_unless_its_reader_has_enough() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    let pods = vec![pod("a", "dockless://tool"); 2000].join("---\n");
    world.file("pods.yaml", &pods);
    for more in ["", " --json"] {
        let args = format!("-f pods.yaml{more}");
        let start = |stdout: Stdio| {
            let mut tool = resolving(&world, &registry.host, "resolve-lost", &args);
            tool.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
            let ended = tool.spawn().unwrap().wait_with_output().unwrap();
            (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
        };
        let (code, said) = start(unread());
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (code, said) = start(full.into());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("write to stdout: No space left on device"), "{said}");
    }
}

/// Two runs at once, of the same images, end with the same documents.
#[test]
fn two_runs_at_once_agree() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["one", "two"]);
    world.file(
        "pods.yaml",
        &format!("{}---\n{}", pod("a", "dockless://one"), pod("b", "dockless://two")),
    );
    let runs: Vec<Run> = std::thread::scope(|scope| {
        let resolve = || resolve(&world, registry, "resolve-both", "-f pods.yaml");
        let both = [scope.spawn(resolve), scope.spawn(resolve)];
        both.map(|run| run.join().unwrap()).into()
    });
    assert_eq!(runs[0].ends_with(0).stdout, runs[1].ends_with(0).stdout);
    assert_eq!(references(&runs[0].stdout).len(), 2);
}

/// The first answer is lost: the push is tried again, and the document is whole.
#[test]
fn a_fault_that_passes_is_not_noticed() {
    let Some(registry) = Registry::shared() else { return };
    let table = "[workspace.metadata.dockless.network]\nretries = 3\ntimeout = 5\n";
    let world = World::workspace(&[("tool", "1.0.0")], table);
    world.package("tool", "tool", "1.0.0", &only_host());
    world.file("pod.yaml", &pod("a", "dockless://tool"));
    for (step, fault) in [(Step::TagPut, Fault::AnswerLost), (Step::Put, Fault::Reset)] {
        let proxy = Proxy::before(&registry.host);
        proxy.inject(step, ONCE, fault);
        let below = format!("resolve-passes-{step:?}").to_lowercase();
        let run = ended(&mut resolving(&world, &proxy.host, &below, "-f pod.yaml"));
        reference(&run.ends_with(0).stdout);
    }
    let proxy = Proxy::before(&registry.host);
    proxy.inject(None, ALWAYS, Fault::refusal(503, "UNAVAILABLE"));
    let run = ended(&mut resolving(&world, &proxy.host, "resolve-down", "-f pod.yaml"));
    refused(&run, &proxy.host);
}
