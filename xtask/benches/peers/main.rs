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

use anyhow::{Context, Result, bail};

use crate::bench::Bench;

const PARTS: [&str; 9] =
    ["release", "large", "build", "version", "slot", "alias", "krew", "check", "trust"];

fn main() -> ExitCode {
    bench::main(measure)
}

fn measure(named: &[&str]) -> Result<()> {
    if let Some(unknown) = named.iter().find(|name| !PARTS.contains(name)) {
        bail!("there is no part `{unknown}`; there are {}", PARTS.join(", "));
    }
    let wanted = |part: &str| named.is_empty() || named.contains(&part);
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
