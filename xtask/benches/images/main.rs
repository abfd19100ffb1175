//! Images against buildah, podman and docker, in one run:
//! `cargo bench -p dockless --bench images`.
//!
//! `-- PART…` runs parts of it: `changed`, `same`, `platforms`, `push`, `far`, `asset`; `-- --write`
//! runs all and puts the page into docs/images-speed.md. The engines get stores of
//! their own, which takes root; one that is not on PATH is left out, aloud. The
//! asset takes 1 GiB, and several of it for the stores. The folder is temporary, or
//! DOCKLESS_BENCH_DIR. The whole takes a quarter of an hour, so a plain
//! `cargo bench` leaves it out.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench stands outside the rooms: it starts whole programs and prints a table"
)]

mod asset;
#[path = "../shared/bench.rs"]
mod bench;
#[path = "../shared/cargo.rs"]
mod cargo;
mod engines;
mod layout;
mod page;
mod parts;
mod program;
mod push;
#[path = "../shared/race.rs"]
mod race;
#[path = "../shared/registry.rs"]
mod registry;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, INSTALLED, write};
use crate::engines::Engines;
use crate::parts::{Field, Part};

const ASSET: &str = "asset";
const PUSH: &str = "push";
const FAR: &str = "far";

/// What the command line asks for.
struct Request {
    parts: Vec<Part>,
    push: bool,
    far: bool,
    asset: bool,
    write: bool,
}

fn main() -> ExitCode {
    bench::main(|args| measure(&Request::parse(args)?))
}

impl Request {
    fn parse(args: &[&str]) -> Result<Request> {
        let named: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with("--")).collect();
        for name in &named {
            let known = Part::ALL.iter().any(|part| part.name() == *name)
                || [ASSET, PUSH, FAR].contains(name);
            ensure!(
                known,
                "there is no part `{name}`; there are changed, same, platforms, push, far and asset"
            );
        }
        let wanted = |name: &str| named.is_empty() || named.contains(&name);
        let write = args.contains(&"--write");
        ensure!(!write || named.is_empty(), "--write makes the whole page, so name no part");
        let parts = Part::ALL.into_iter().filter(|part| wanted(part.name())).collect();
        let (push, far) = (wanted(PUSH), wanted(FAR));
        Ok(Request { parts, push, far, asset: wanted(ASSET), write })
    }
}

fn measure(request: &Request) -> Result<()> {
    let bench = Bench::new()?;
    let tools =
        [("dockless", PathBuf::from(INSTALLED)), ("dockless, dev build", bench.unoptimised()?)];
    let engines = Engines::start(&bench)?;
    let head = format!("{}, {}", bench.machine()?, engines.versions());
    eprintln!("{head}");
    let mut page = page::head(&head);
    if !request.parts.is_empty() || request.push || request.far {
        let program = program::Program::make(&bench)?;
        let field = Field { bench: &bench, tools: &tools, engines: &engines, program: &program };
        for part in &request.parts {
            eprintln!("# {}", part.name());
            let report = parts::measure(*part, &field);
            page += &report.with_context(|| format!("measure {}", part.name()))?;
        }
        if request.push || request.far {
            eprintln!("# {PUSH}");
            let pushes = push::measure(&field, request.push, request.far);
            page += &pushes.context("measure pushes")?.unwrap_or_default();
        }
    }
    if request.asset {
        eprintln!("# {ASSET}");
        page += &asset::measure(&bench, &tools, &engines).context("measure the asset")?;
    }
    println!("{page}");
    match request.write {
        true => write(&bench.repository.join("docs/images-speed.md"), &page),
        false => Ok(()),
    }
}
