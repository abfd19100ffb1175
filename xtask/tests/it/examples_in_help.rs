//! The examples in the help of each command, typed as they stand.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::book::markdown::Page;
use crate::book::shell::Desk;
use crate::world::registries::Registry;

/// The commands whose help has examples, and what is done before they are typed.
const COMMANDS: [(&str, &str); 33] = [
    ("", ""),
    ("build", ""),
    ("run", ""),
    ("watch", ""),
    ("watch apply", ""),
    ("archive", ""),
    ("image", "cargo dockless image"),
    (
        "image validate",
        "cargo dockless image\ncargo dockless image --platform linux/amd64 --output docker-archive:mytool.tar",
    ),
    ("image inspect", "cargo dockless image"),
    (
        "image copy",
        "cargo dockless image\ncargo dockless image --platform linux/amd64 --output docker-archive:base.tar",
    ),
    ("dockerfile", ""),
    ("krew", "cargo dockless krew manifest"),
    ("krew manifest", ""),
    (
        "krew validate",
        "cargo dockless krew manifest\nmkdir -p plugins ~/downloads\ncp dist/krew/*.yaml plugins\n\
         cp dist/krew/*.yaml .\ncp dist/*.tar.gz ~/downloads",
    ),
    ("krew bump", "cargo dockless krew manifest\ncp -r ~/src/krew-index ../our-index"),
    ("krew pr", ""),
    ("init", ""),
    ("release", ""),
    (
        "resolve",
        "cp deploy/mytool.yaml deploy/app.yaml\nsed -i 's/app: mytool/app: shop/' deploy/*",
    ),
    ("apply", "sed -i 's/app: mytool/app: shop/' deploy/*"),
    ("create", "cp deploy/mytool.yaml deploy/job.yaml"),
    ("delete", "sed -i 's/app: mytool/app: shop/' deploy/*"),
    ("sbom", ""),
    ("check", ""),
    (
        "audit",
        "cargo dockless release --skip publish,check\nplace=target/x86_64-unknown-linux-musl/dist\n\
         mkdir -p $place\ntar -xzf dist/*x86_64*.tar.gz -C $place",
    ),
    ("test", ""),
    ("ci", ""),
    ("keygen", "mkdir keys"),
    (
        "sign",
        "cargo dockless keygen\ncargo dockless archive\ncp dist/*x86_64*.tar.gz mytool.tar.gz",
    ),
    (
        "verify",
        "cargo dockless keygen --output ../cosign\nexport COSIGN_PRIVATE_KEY=\"$(cat ../cosign.key)\"\n\
         cargo dockless release --skip publish,check\n\
         cp ../cosign.key ../cosign.pub dist/*.tar.gz dist/checksums* .",
    ),
    ("clean", ""),
    ("doctor", ""),
    ("explain", ""),
];

const GITHUB: &str = "it needs a release on GitHub; publish:: and rebuild:: play one";
const ENGINE: &str = "it needs an engine; images::load does this where there is one";
const NETWORK: &str = "it needs a network; registries:: does this with registries here";
const MANY: &str = "it needs what another machine built; shards:: does this";
const PUSHED: &str = "it needs an image that was pushed; trust:: and registries:: do this";

/// How the examples begin that are not typed, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("docker ", ENGINE),
    ("cargo dockless image --load docker", ENGINE),
    ("cargo dockless image copy alpine:3 --load podman", ENGINE),
    ("cargo dockless image copy ghcr.io", PUSHED),
    ("cargo dockless image validate ghcr.io", PUSHED),
    ("cargo dockless image inspect gcr.io", NETWORK),
    (
        "cargo dockless dockerfile --package mytool --output docker",
        "the folder docker is a person's",
    ),
    ("cargo dockless krew pr", GITHUB),
    ("cargo dockless init    ", "it asks; init:: answers"),
    ("cargo dockless init --no-xtask", "it asks; init:: answers"),
    (
        "cargo dockless init --yes",
        "it adds the crate of a published dockless; taken_over:: does this",
    ),
    ("cargo dockless init --check", "it fails until init has written; init:: does both"),
    ("cargo dockless init --workflows --prebuilt", GITHUB),
    ("cargo dockless init --workflows --reusable", "COMMIT stands for one; workflows:: names it"),
    ("cargo dockless init --kubernetes --package api", "it names a package of another workspace"),
    ("cargo dockless release    ", GITHUB),
    ("cargo dockless release --draft", GITHUB),
    ("cargo dockless release --merge", MANY),
    ("helm ", "it needs a chart; resolve::helm does this"),
    ("kubectl kustomize overlays/prod", "it needs an overlay; resolve::kustomize has one"),
    ("cargo dockless resolve -f deploy/ -l app=shop --load kind", "it needs a cluster of kind"),
    ("cargo dockless apply -f deploy/ --load kind", "it needs a cluster of kind"),
    ("cargo dockless audit ghcr.io", PUSHED),
    ("cargo dockless audit acme/", GITHUB),
    ("cargo dockless test -- ", "it names a test of another program"),
    ("cargo dockless run --bin kubectl-view-secret", "it needs a cluster with a secret"),
    ("cargo dockless sign acme/", GITHUB),
    ("cargo dockless sign ghcr.io", PUSHED),
    ("cargo dockless verify --key cosign.pub mytool.tar.gz", "it follows `sign` by another name"),
    ("cargo dockless verify --key cosign.pub acme/", GITHUB),
    ("cargo dockless verify --key cosign.pub --json ghcr.io", PUSHED),
    ("cargo dockless verify --rebuild", "it takes minutes; rebuild:: does this"),
    ("cargo dockless watch", "it ends with Ctrl-C; watch:: does this"),
    ("cargo dockless clean --cache", "the cache is that of all tests"),
    ("cargo dockless doctor --load docker", ENGINE),
    ("cargo dockless doctor    ", "it asks the servers of others; doctor:: plays them"),
    ("cargo dockless doctor --offline", "it needs a token of GitHub's; doctor:: plays GitHub"),
    ("cargo dockless doctor --json", "it asks the servers of others; doctor:: plays them"),
];

/// The examples in the help of a command: what is typed, with what is said of it.
fn examples(command: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-dockless"))
        .args(command.split_whitespace())
        .arg("--help")
        .env("COLUMNS", "120")
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}");
    let text = String::from_utf8(output.stdout).unwrap();
    let shown = text.split("\nExamples:\n").nth(1).unwrap_or_default();
    let lines = shown.lines().map(str::trim).filter(|line| line.contains("cargo dockless"));
    lines.map(|line| format!("{line}    ")).collect()
}

/// What is typed of an example: its words stand before the blanks that part it from its comment.
fn typed(example: &str) -> String {
    let line = example.split("  ").next().unwrap_or_default();
    // The project is at version 1.2.3, and its next one another.
    let line = line.replace("1.2.3", "1.3.0").replace("1.0.0", "1.2.3");
    format!("[ ! -f cosign.key ] || export COSIGN_PRIVATE_KEY=\"$(cat cosign.key)\"\n{line}\n")
}

/// Types in the examples of a command; says how many were run, and what failed.
fn follow(command: &str, before: &str, at: usize, registry: &Registry) -> (usize, Vec<String>) {
    let is_run = |example: &&String| !NOT_RUN.iter().any(|(start, _)| example.starts_with(start));
    let examples = examples(command);
    let run: Vec<&String> = examples.iter().filter(is_run).collect();
    if run.is_empty() {
        return (0, Vec::new());
    }
    let path = match command.starts_with("krew") {
        true => "docs/krew.md".to_owned(),
        false => format!("help/{command}"),
    };
    let desk = Desk::of(&Page::read(&path, ""), at, registry);
    let mut failed: Vec<String> = desk.run(before).err().into_iter().collect();
    failed.extend(run.iter().filter_map(|example| desk.run(&typed(example)).err()));
    (run.len(), failed)
}

#[test]
fn examples_in_help_work_as_they_stand() {
    let Some(registry) = Registry::shared() else { return };
    let (next, said) = (AtomicUsize::new(0), Mutex::new((0, Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((command, before)) = COMMANDS.get(at) else { break };
                    let (run, failed) = follow(command, before, 1000 + at, registry);
                    let mut said = said.lock().unwrap();
                    said.0 += run;
                    said.1.extend(failed);
                }
            });
        }
    });
    let (run, failed) = said.into_inner().unwrap();
    assert!(run > 50 && failed.is_empty(), "{run} were run\n{}", failed.join("\n\n"));
}

#[test]
fn what_is_not_run_is_an_example_and_says_why() {
    let all: Vec<String> = COMMANDS.iter().flat_map(|(command, _)| examples(command)).collect();
    let unused = |(start, why): &&(&str, &str)| {
        why.len() < 10 || !all.iter().any(|example| example.starts_with(start))
    };
    assert_eq!(NOT_RUN.iter().filter(unused).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
}
