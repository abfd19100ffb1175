//! The program, or a command, started again after each build.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::sync::mpsc::Sender;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use super::super::{Common, World};
use super::rounds::{Act, Made, projects, rounds};
use super::{Watched, ended_by_signal, made, watcher};
use crate::files;
use crate::finding::failure;
use crate::linkage::Binaries;
use crate::plan::{Mode, Part, Plan};
use crate::process::{Env, Program, Started};
use crate::project::Project;
use crate::release::binaries;
use crate::watch::{Breadth, Event, Scope};

pub fn run(args: Watched, common: &Common, world: &World) -> Result<ExitCode> {
    let request = args.selection.request(Mode::Local, Part::All, common);
    let mut watcher = watcher(&args.how, world)?;
    let breadth = if args.command.is_empty() { Breadth::New } else { Breadth::All };
    let is_chosen = !args.command.is_empty();
    let mut runner = Runner::new(args.command, watcher.sender(), world);
    let read = || {
        let (project, plan, _) = world.plan(common, &request)?;
        if !is_chosen {
            ensure_one(&plan)?;
        }
        Ok((project, plan))
    };
    let mut act = |act: Act<Vec<PathBuf>>| runner.act(act);
    let ended = projects(&mut watcher, world, &read, &mut act, &mut |read, watcher, act| {
        let (project, plan) = read;
        let mut scope = Scope::of(project, plan, breadth);
        scope.made.extend(made(world));
        watcher.aim(scope)?;
        rounds(watcher, &project.root, world, &|| build(plan, project, common, world), act)
    });
    // Also where something fails, nothing is left behind.
    runner.stop();
    ended.map(|()| ended_by_signal(world))
}

/// Fails where it is not clear which program is meant.
fn ensure_one(plan: &Plan) -> Result<()> {
    let names: Vec<&str> =
        plan.builds.iter().flat_map(|build| &build.bins).map(String::as_str).collect();
    if names.len() > 1 {
        bail!(failure(
            format!("choose what to run: there are {}", names.join(", ")),
            "name one with --bin, or a command after --"
        ));
    }
    Ok(())
}

/// Builds the programs and returns their paths.
fn build(
    plan: &Plan,
    project: &Project,
    common: &Common,
    world: &World,
) -> Result<Made<Vec<PathBuf>>> {
    let (Binaries(built), ..) = binaries(plan, project, common.network(), &world.term)?;
    let inputs = built.iter().flat_map(|binary| binary.compiled().inputs().iter().cloned());
    let paths = built.iter().map(|binary| binary.compiled().path().to_owned());
    Ok(Made { inputs: inputs.collect(), value: paths.collect() })
}

/// What tells a program from the one that cargo makes next.
type Stamp = (PathBuf, u64, SystemTime);

/// What is started.
struct Runner<'a> {
    /// Empty for the program itself.
    command: Vec<OsString>,
    /// What runs, as people read it, and its number.
    running: Option<(Started, String)>,
    number: u64,
    /// The program that was started last.
    last: Option<Stamp>,
    ended: Sender<Event>,
    world: &'a World,
}

impl<'a> Runner<'a> {
    fn new(command: Vec<OsString>, ended: Sender<Event>, world: &'a World) -> Runner<'a> {
        Runner { command, running: None, number: 0, last: None, ended, world }
    }

    fn act(&mut self, act: Act<Vec<PathBuf>>) -> Result<()> {
        match act {
            Act::Take(programs) => self.start(&programs),
            Act::Ended(number, status) if number == self.number => self.over(status?),
            Act::Ended(..) => Ok(()),
        }
    }

    /// Ends what runs and starts it anew, where it is a command or another program than before.
    fn start(&mut self, programs: &[PathBuf]) -> Result<()> {
        let [program] = programs else { return self.begin(programs, None) };
        let entry = files::list_one(program)?.context("find the program that was built")?;
        let stamp = (program.clone(), entry.size, entry.modified);
        if self.command.is_empty() && self.last.as_ref() == Some(&stamp) {
            return Ok(());
        }
        self.begin(programs, Some(stamp))
    }

    fn begin(&mut self, programs: &[PathBuf], stamp: Option<Stamp>) -> Result<()> {
        self.stop();
        let env = with_programs(&self.world.env, programs)?;
        let own = programs.first().map(|program| program.clone().into_os_string());
        let (name, args) = match self.command.split_first() {
            Some((name, args)) => (name.clone(), args),
            None => (own.context("find the program that was built")?, &[][..]),
        };
        let program = Program::new(name, &self.world.dir, &env).args(args);
        let shown = program.to_string();
        self.world.term.step("run", &shown);
        self.number += 1;
        let (number, ended) = (self.number, self.ended.clone());
        // Nobody listens any more once the command is over.
        let started =
            program.start(move |status| drop(ended.send(Event::Ended(number, status))))?;
        self.running = Some((started, shown));
        self.last = stamp;
        Ok(())
    }

    fn over(&mut self, status: ExitStatus) -> Result<()> {
        if let Some((_, shown)) = &self.running
            && self.world.env.children().signal().is_none()
        {
            self.world.term.step("ended", format_args!("{shown} ({status})"));
        }
        Ok(())
    }

    fn stop(&mut self) {
        if let Some((started, _)) = self.running.take() {
            started.stop();
        }
    }
}

/// The environment with the folders of these programs first on PATH.
fn with_programs(env: &Env, programs: &[PathBuf]) -> Result<Env> {
    let mut dirs: Vec<PathBuf> = Vec::new();
    for dir in programs.iter().filter_map(|program| program.parent()).map(Path::to_owned) {
        if !dirs.contains(&dir) {
            dirs.push(dir);
        }
    }
    let path = env.get("PATH").unwrap_or(OsStr::new(""));
    let all = dirs.into_iter().chain(std::env::split_paths(path));
    let path = std::env::join_paths(all).context("put the programs on PATH")?;
    Ok(env.clone().with("PATH", &path))
}
