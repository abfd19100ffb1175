//! A release, published, against the same brought one after the other:
//! `cargo bench -p dockless --bench publish`.
//!
//! Twelve archives of 5 MB, their SBOMs and provenance, and an image for two platforms go to a
//! played GitHub and to the CNCF's registry, both on this machine and 20 ms away. The other
//! contestant is the simplest that there could be: one connection to each server, and no question
//! asked. It attaches no SBOM and no provenance to the image, as dockless does.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench stands outside the rooms: it starts whole programs and prints a table"
)]

#[path = "../shared/bench.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod bench;
mod one_by_one;
#[path = "../shared/race.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod race;
#[path = "../shared/registry.rs"]
mod registry;
#[path = "../../tests/it/world/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests need more of what plays GitHub")]
mod world;

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::race::Contestant;
use crate::registry::{Link, Registry, far};
use crate::world::World;
use crate::world::github::GitHub;

/// How far the servers are.
const AWAY: Link = Link { round_trip: Duration::from_millis(20), rate: None };
const ROUNDS: usize = 15;
const TOKEN: &str = "a-token";
const REPOSITORY: &str = "acme/tools";
/// Packages, each with an archive for two targets.
const PACKAGES: usize = 6;
/// In bytes: what each archive holds that cannot be packed any smaller.
const SIZE: usize = 4_780_000;

fn main() -> ExitCode {
    bench::main(|_| compare())
}

fn compare() -> Result<()> {
    let bench = Bench::new()?;
    let Some(registry) = Registry::start(&bench)? else { return Ok(()) };
    let github = GitHub::start();
    let (registry_host, github_host) = (far(&registry.host, AWAY)?, far(&github.host, AWAY)?);
    let world = project(&github);
    github.state().classic(TOKEN, "acme", &["repo"]);
    github.push(REPOSITORY, world.root());
    let before = github.state().clone();
    let folder = RefCell::new(String::new());
    let release = |more: &str| {
        let mut tool = world.tool(["release", "--quiet", "--skip", &format!("check{more}")]);
        tool.env("GITHUB_TOKEN", TOKEN)
            .env("GITHUB_API_URL", format!("http://{github_host}/api/v3"))
            .env("GITHUB_REPOSITORY", REPOSITORY)
            .env("DOCKLESS_REPOSITORY", format!("{registry_host}/{}", folder.borrow()));
        let started = Instant::now();
        let output = tool.output().context("start the tool")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(started.elapsed())
    };
    let fresh = |who: &str, round: usize| {
        *github.state() = before.clone();
        *folder.borrow_mut() = format!("{who}-{round}");
    };
    *folder.borrow_mut() = "first".to_owned();
    release(",publish")?;
    let files = one_by_one::files(&world.dist())?;
    let (mut ours, mut theirs) = (0, 0);
    let contestants = vec![
        Contestant::new("dockless", || {
            ours += 1;
            fresh("ours", ours);
            let all = release("")?;
            // What is not publishing is the same without it.
            Ok(all.saturating_sub(release(",publish")?))
        }),
        Contestant::new("one after the other", || {
            theirs += 1;
            fresh("theirs", theirs);
            let started = Instant::now();
            one_by_one::release(&github_host, REPOSITORY, TOKEN, &files)?;
            one_by_one::push(
                &registry_host,
                &folder.borrow(),
                &world.dist().join("images/tool-0"),
            )?;
            Ok(started.elapsed())
        }),
    ];
    let times = race::run(ROUNDS, contestants, |_| Ok(()))?;
    let [ours, theirs] = &times[..] else { unreachable!("there are two") };
    let (ours, theirs) = (ours.median()?, theirs.median()?);
    println!("# {}\n", bench.machine()?);
    println!(
        "| {} files, of which {} archives of 5 MB, and an image for two platforms, 20 ms away | median |",
        files.len(),
        2 * PACKAGES,
    );
    println!("|---|--:|");
    println!("| dockless | {} ms |", ours.as_millis());
    println!("| one after the other | {} ms |", theirs.as_millis());
    println!("| ratio | {:.2} |", ours.as_secs_f64() / theirs.as_secs_f64());
    Ok(())
}

/// A workspace whose archives are large, and of whose packages the first has an image.
fn project(github: &GitHub) -> World {
    let names: Vec<String> = (0..PACKAGES).map(|at| format!("tool-{at}")).collect();
    let packages: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "1.0.0")).collect();
    let world = World::workspace(&packages, "");
    for (at, name) in names.iter().enumerate() {
        let image = if at == 0 { "" } else { "[package.metadata.dockless.image]\nship = false\n" };
        let more = format!(
            "repository = \"http://{}/{REPOSITORY}\"\n\
             [package.metadata.dockless.archive]\nfiles = [\"LICENSE\", \"asset-{at}\"]\n{image}",
            github.host
        );
        world.package(name, name, "1.0.0", &more);
        noise(&world.path(&format!("{name}/asset-{at}")), at as u64 + 1);
    }
    world.commit();
    world.git(["tag", "v1.0.0"]);
    world
}

/// Bytes that nothing packs any smaller.
fn noise(path: &Path, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(SIZE + 8);
    while bytes.len() < SIZE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    drop(std::fs::write(path, bytes));
}
