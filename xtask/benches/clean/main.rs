//! A clean machine: from a clone and empty caches to an image of two platforms in a registry on
//! this machine: `cargo bench -p dockless --bench clean`.
//!
//! `-- NAME…` runs some contestants, or takes some programs: `dockless`, `alias`, `zigbuild`,
//! `buildah`, `emulated` and `whole`; `hyperfine` and `tealdeer`. Crates are downloaded before, and compilers, linkers and the base images of Dockerfiles
//! are there; target folders and all other caches are empty before each run. Each runs once. It
//! takes root, several GB and a quarter of an hour. The folder is temporary, or DOCKLESS_BENCH_DIR.
//!
//! `emulated` is estimated: a build by an emulated compiler takes a program as much longer than a
//! native one as it takes a small program, which is measured. `whole` measures it, for an hour or
//! more, so it runs only when named.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench stands outside the rooms: it starts whole programs and prints a table"
)]

#[path = "../shared/bench.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod bench;
mod buildah;
mod program;
#[path = "../shared/registry.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod registry;
#[path = "../shared/spent.rs"]
mod spent;
mod ways;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bench::Bench;
use crate::buildah::Buildah;
use crate::program::{PROGRAMS, Program};
use crate::registry::Registry;
use crate::spent::Spent;

/// The ways from the clone to the image, as the command line names them.
const WAYS: [&str; 6] = ["dockless", "alias", "zigbuild", "buildah", EMULATED, WHOLE];
const EMULATED: &str = "emulated";
const WHOLE: &str = "whole";

/// What all ways work with.
struct Field<'a> {
    bench: &'a Bench,
    /// `127.0.0.1:PORT`
    registry: &'a str,
}

struct Row {
    way: String,
    platforms: &'static str,
    spent: Spent,
    /// Calculated, and not measured.
    estimated: bool,
}

fn main() -> ExitCode {
    bench::main(measure)
}

fn measure(named: &[&str]) -> Result<()> {
    let programs = PROGRAMS.iter().map(|program| program.name);
    let all: Vec<&str> = WAYS.into_iter().chain(programs).collect();
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("`{unknown}` is no contestant and no program; there are {}", all.join(", "));
    }
    let (ways, programs): (Vec<&str>, Vec<&str>) =
        named.iter().partition(|name| WAYS.contains(name));
    let bench = Bench::new()?;
    let Some(registry) = Registry::start(&bench)? else { return Ok(()) };
    if bench.installed("crane", &["version"])?.is_none() {
        eprintln!("skipped: crane, which reads the images, is not on PATH");
        return Ok(());
    }
    let field = Field { bench: &bench, registry: &registry.host };
    let mut there = vec!["dockless", "alias"];
    there.extend(ways::zigbuild_is_there(&bench)?.then_some("zigbuild"));
    there.retain(|way| ways.is_empty() || ways.contains(way));
    let whole = ways.contains(&WHOLE);
    let emulated = ways.is_empty() || whole || ways.contains(&EMULATED);
    let buildah = match emulated || ways.contains(&"buildah") {
        true => Buildah::prepare(&bench, emulated)?,
        false => None,
    };
    // How much longer an emulated build takes than a native one.
    let slower = match &buildah {
        Some(buildah) if buildah.emulates() && !whole => Some(field.slower(buildah)?),
        _ => None,
    };
    println!("{}\n", bench.machine()?);
    println!("| a clean machine | platforms | seconds | CPU-seconds | of dockless |");
    println!("|---|---|--:|--:|--:|");
    for program in &PROGRAMS {
        if !programs.is_empty() && !programs.contains(&program.name) {
            continue;
        }
        let Some(sources) = program::provide(&bench, program)? else { continue };
        let mut ours = None;
        for way in &there {
            eprintln!("# {way}: {}", program.name);
            let spent = field.run(way, program, &sources);
            let spent = spent.with_context(|| format!("{way} for {}", program.name))?;
            if *way == "dockless" {
                ours = Some(spent.time);
            }
            Row::measured(ways::said(way), "both", spent).print(program, ours);
        }
        if let Some(buildah) = &buildah {
            field.buildah(buildah, program, &sources, slower, ours)?;
        }
    }
    Ok(())
}

impl Field<'_> {
    /// An emulated build's time and CPU time, both as multiples of the native one's.
    fn slower(&self, buildah: &Buildah) -> Result<[f64; 2]> {
        eprintln!("# how slow an emulated compiler is");
        let sources = program::probe(self.bench)?;
        let build = |arch| buildah.build(self, &program::PROBE, &sources, arch);
        let (native, other) = (build(buildah::NATIVE)?, build(buildah::OTHER)?);
        let of = |other: Duration, native: Duration| other.as_secs_f64() / native.as_secs_f64();
        let slower = [of(other.time, native.time), of(other.cpu, native.cpu)];
        eprintln!("{:.1} times the seconds, {:.1} times the CPU-seconds", slower[0], slower[1]);
        Ok(slower)
    }

    /// The Dockerfile, native and with the other platform.
    fn buildah(
        &self,
        buildah: &Buildah,
        program: &Program,
        sources: &Path,
        slower: Option<[f64; 2]>,
        ours: Option<Duration>,
    ) -> Result<()> {
        let name = "a Dockerfile of two stages, by buildah";
        eprintln!("# buildah: {}", program.name);
        let native = buildah.build(self, program, sources, buildah::NATIVE)?;
        Row::measured(format!("{name}, native"), "this one", native).print(program, ours);
        if !buildah.emulates() {
            return Ok(());
        }
        let other = match slower {
            Some([time, cpu]) => {
                Spent { time: native.time.mul_f64(time), cpu: native.cpu.mul_f64(cpu) }
            }
            None => {
                eprintln!("# {WHOLE}: {}", program.name);
                buildah.build(self, program, sources, buildah::OTHER)?
            }
        };
        let both = Spent { time: native.time + other.time, cpu: native.cpu + other.cpu };
        let row = Row::measured(format!("{name}, the other platform emulated"), "both", both);
        Row { estimated: slower.is_some(), ..row }.print(program, ours);
        Ok(())
    }
}

impl Row {
    fn measured(way: impl Into<String>, platforms: &'static str, spent: Spent) -> Row {
        Row { way: way.into(), platforms, spent, estimated: false }
    }

    /// Prints it beside what dockless took, if that is known.
    fn print(&self, program: &Program, ours: Option<Duration>) {
        let [time, cpu] = [self.spent.time, self.spent.cpu].map(|it| it.as_secs_f64());
        let about = if self.estimated { "≈ " } else { "" };
        let of = ours.map(|ours| format!("{about}{:.2}", time / ours.as_secs_f64()));
        println!(
            "| {} {}: {} | {} | {about}{time:.0} | {about}{cpu:.0} | {} |",
            program.name,
            program.version,
            self.way,
            self.platforms,
            of.unwrap_or_default(),
        );
    }
}
