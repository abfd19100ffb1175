//! Manifests for Kubernetes, with images of this workspace in the place of references.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::spawn;

use super::world::registries::Registry;
use super::world::{HOST, Run, World, only_host, run};

mod cluster;
mod deploys;
mod documents;
mod faults;
mod files;
pub mod generated;
mod hostile;
mod images;
mod judges;
mod loads;
mod selected;
mod unchanged;

/// A workspace of packages, for this machine alone and committed. Each program says its name.
fn workspace(names: &[&str]) -> World {
    workspace_with(names, "")
}

/// The same with tables that are appended to each package's manifest.
fn workspace_with(names: &[&str], table: &str) -> World {
    let packages: Vec<(&str, &str)> = names.iter().map(|name| (*name, "1.0.0")).collect();
    let world = World::workspace(&packages, "");
    for name in names {
        world.package(name, name, "1.0.0", &format!("{}{table}", only_host()));
        world.file(&format!("{name}/src/main.rs"), &says(name));
    }
    world.commit();
    world
}

/// A program that prints one word.
fn says(word: &str) -> String {
    format!("fn main() {{ println!(\"{word}\") }}")
}

/// A pod with one container of this image.
fn pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n  \
         - name: main\n    image: {image}\n"
    )
}

/// The tool's `resolve`, which pushes below a repository of this registry.
fn resolving(world: &World, registry: &str, below: &str, args: &str) -> Command {
    let mut tool = world.tool(["resolve", "--repository", &format!("{registry}/{below}")]);
    tool.args(args.split(' '));
    tool
}

/// Runs it.
fn resolve(world: &World, registry: &Registry, below: &str, args: &str) -> Run {
    run(&mut resolving(world, &registry.host, below, args))
}

/// Runs a program that reads this from its stdin.
fn fed(command: &mut Command, input: impl Into<Vec<u8>>) -> Run {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.into());
    // One that reads nothing of it ends all the same.
    let writer = spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Run::of(command, output)
}

/// The references by digest in a text, in their order: `127.0.0.1:5000/x/tool@sha256:…`.
fn references(text: &str) -> Vec<&str> {
    const DIGEST: &str = "@sha256:";
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".:/_-".contains(c);
    let found = text.match_indices(DIGEST).map(|(at, _)| {
        let start = text[..at].rfind(|c| !is_part(c)).map_or(0, |before| before + 1);
        let hex = &text[at + DIGEST.len()..];
        let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        assert_eq!(end, 64, "{:?}", &text[start..at + DIGEST.len() + end]);
        &text[start..at + DIGEST.len() + end]
    });
    found.collect()
}

/// The only one.
#[track_caller]
fn reference(text: &str) -> &str {
    let [reference] = references(text)[..] else { panic!("not one reference in {text:?}") };
    reference
}

/// The digest of a reference: `sha256:…`.
fn digest(reference: &str) -> &str {
    reference.split_once('@').unwrap().1
}

/// The files of a joined output: its documents have the texts of these files, each whole and
/// in this order, with nothing but lines `---` between them.
#[track_caller]
fn assert_joined(output: &str, files: &[String]) {
    let mut rest = output;
    for file in files {
        let mut begins = rest;
        while !begins.starts_with(&**file) {
            let lines = [begins.strip_prefix("---\n"), begins.strip_prefix('\n')];
            let next = lines.into_iter().flatten().next();
            begins = next.unwrap_or_else(|| {
                let seen: String = begins.chars().take(300).collect();
                panic!("instead of\n{file}\nthere is\n{seen}")
            });
        }
        rest = &begins[file.len()..];
    }
    assert!(rest.lines().all(|line| ["", "---"].contains(&line)), "at the end: {rest:?}");
}

/// Requires a failure that is said once, of which nothing is on stdout.
#[track_caller]
fn refused<'a>(run: &'a Run, why: &str) -> &'a Run {
    run.ends_with(1).no_result().never_says("panicked").says("error:");
    run.says(why)
}
