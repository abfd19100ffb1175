//! Programs that others have published, released by this tool as they are:
//! `cargo bench -p dockless --bench programs`.
//!
//! `-- NAME…` takes some of them, `-- --list` shows all, and `-- --write` puts the
//! results into docs/programs.md. Sources come from crates.io through cargo, and from
//! PyPI through pip; they are built in a temporary folder, one program after the
//! other. With DOCKLESS_PROGRAMS_DIR they are built there, and stay. The whole
//! takes hours, so a plain `cargo bench` leaves it out.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a bench stands outside the rooms: it starts whole programs and prints a table"
)]

#[path = "../shared/bench.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod bench;
mod limited;
mod page;
mod sources;
mod table;
mod trial;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::page::Row;
use crate::table::{PROGRAMS, Program};

/// What the command line asks for.
struct Request {
    list: bool,
    write: bool,
    /// Those of the names, or all, in the order of the table.
    programs: Vec<&'static Program>,
}

/// Where programs are built, and where the logs lie.
struct Place {
    dir: PathBuf,
    /// Removed at the end, unless something failed.
    temporary: Option<tempfile::TempDir>,
}

fn main() -> ExitCode {
    bench::main(|args| programs(&Request::parse(args)?))
}

impl Request {
    fn parse(args: &[&str]) -> Result<Request> {
        let mut request = Request { list: false, write: false, programs: Vec::new() };
        let mut names: Vec<&str> = Vec::new();
        for arg in args {
            match *arg {
                "--list" => request.list = true,
                "--write" => request.write = true,
                name => names.push(name),
            }
        }
        for name in &names {
            let known = PROGRAMS.iter().any(|program| program.name == *name);
            ensure!(known, "there is no program `{name}`; --list shows those there are");
        }
        let wanted = |program: &&Program| names.is_empty() || names.contains(&program.name);
        request.programs = PROGRAMS.iter().filter(wanted).collect();
        Ok(request)
    }
}

/// Does what is asked for. That a program goes otherwise than the table promises is an error.
fn programs(request: &Request) -> Result<()> {
    if request.list {
        print!("{}", page::list(&request.programs));
        return Ok(());
    }
    let place = Place::new()?;
    let mut rows = Vec::new();
    for program in request.programs.iter().copied() {
        eprintln!("# {} {}", program.name, program.version);
        let trial = trial::attempt(program, &place.dir);
        if place.temporary.is_some() {
            sources::remove(program, &place.dir)?;
        }
        let row = Row { program, trial };
        eprintln!("{}", page::progress(&row));
        if request.write {
            page::record(&row)?;
        }
        rows.push(row);
    }
    print!("{}", page::table(&rows)?);
    let failed = rows.iter().filter(|row| row.trial.failed()).count();
    println!("\n{} of {} as promised", rows.len() - failed, rows.len());
    if failed > 0 {
        let logs = place.keep().join("logs");
        bail!("{failed} went otherwise: read the logs in {}", logs.display());
    }
    Ok(())
}

impl Place {
    fn new() -> Result<Place> {
        let (dir, temporary) = match std::env::var_os("DOCKLESS_PROGRAMS_DIR") {
            Some(dir) => (PathBuf::from(dir), None),
            None => {
                let temporary = tempfile::Builder::new().prefix("dockless-programs-").tempdir();
                let temporary = temporary.context("make a temporary folder")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        let dir = dir.canonicalize().with_context(|| format!("find {}", dir.display()))?;
        Ok(Place { dir, temporary })
    }

    /// Leaves the folder where it is, for somebody to read the logs.
    fn keep(self) -> PathBuf {
        self.temporary.map_or(self.dir, tempfile::TempDir::keep)
    }
}

/// The folder of everything that belongs to one program.
fn folder(program: &Program, dir: &Path) -> PathBuf {
    dir.join(format!("{}-{}", program.name, program.version))
}
