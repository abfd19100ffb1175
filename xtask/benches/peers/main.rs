//! The tool against its peers, in one run: `cargo bench -p dockless`.
//!
//! `cargo bench -p dockless -- PART…` runs parts of it: `release`, `large`,
//! `build`, `version`, `slot`, `alias`, `krew`, `check`,
//! `trust`. Without a part all run. The projects that are measured are made in a
//! temporary folder. With DOCKLESS_BENCH_DIR they are made there, and the next
//! run uses them again as they are, until the folder is removed.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench stands outside the rooms: it starts whole programs and prints a table"
)]

#[path = "../shared/bench.rs"]
mod bench;
mod fixture;
mod parts;
#[path = "../shared/race.rs"]
mod race;
mod slot;
mod table;
mod trust;

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::bench::Bench;

const PARTS: [&str; 9] =
    ["release", "large", "build", "version", "slot", "alias", "krew", "check", "trust"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Test runners start a bench without `--bench`, to see that it starts.
    if !args.iter().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    let mut named: Vec<&str> = args.iter().map(String::as_str).collect();
    named.retain(|arg| *arg != "--bench");
    if let Some(unknown) = named.iter().find(|name| !PARTS.contains(name)) {
        eprintln!("error: there is no part `{unknown}`; there are {}", PARTS.join(", "));
        return ExitCode::from(2);
    }
    let wanted = |part: &str| named.is_empty() || named.contains(&part);
    match measure(wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(wanted: impl Fn(&str) -> bool) -> Result<()> {
    let bench = Bench::new()?;
    let goreleaser = match bench.goreleaser()? {
        Some(version) => format!("goreleaser {version}"),
        None => "no goreleaser on PATH".to_owned(),
    };
    println!("{}, {goreleaser}\n", bench.machine()?);
    for part in PARTS.into_iter().filter(|part| wanted(part)) {
        eprintln!("# {part}");
        let report = match part {
            "release" => parts::release(&bench),
            "large" => parts::large(&bench),
            "build" => parts::build(&bench),
            "version" => parts::version(&bench),
            "slot" => slot::slot(&bench),
            "alias" => parts::alias(&bench),
            "krew" => parts::krew(&bench),
            "check" => parts::check(&bench),
            _ => trust::trust(&bench),
        };
        println!("{}", report.with_context(|| format!("measure {part}"))?);
    }
    Ok(())
}
