//! Builds on each change, one build at a time.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::mpsc::Sender;
use std::thread;

use anyhow::{Result, anyhow};

use super::super::World;
use crate::files;
use crate::watch::{Changes, Event, Meanwhile, Watcher, Woken};

/// How many builds in a row are stopped for a change. The next one is finished: changes that do
/// not end would let none be.
const STOPPED: u32 = 3;

/// What a build made.
pub struct Made<T> {
    /// The files that cargo read.
    pub inputs: Vec<PathBuf>,
    pub value: T,
}

/// What there is to do beside building.
pub enum Act<T> {
    /// Something was built.
    Take(T),
    /// The program that was started with this number has ended.
    Ended(u64, Result<ExitStatus>),
}

/// Why no more is built of a project as it was read.
pub enum Ending {
    /// It may be another one now.
    Reread,
    /// This process is to end.
    Signal,
}

/// Reads a project and does `round` with it, until this process is to end. Where the project can no
/// longer be read, the next change is waited for; the first time this is an error.
pub fn projects<P, T>(
    watcher: &mut Watcher<'_>,
    world: &World,
    read: &dyn Fn() -> Result<P>,
    act: &mut dyn FnMut(Act<T>) -> Result<()>,
    round: &mut Round<'_, P, T>,
) -> Result<()> {
    let mut is_first = true;
    loop {
        let read = match read() {
            Err(error) if is_first => return Err(error),
            // What was asked ended with this process.
            Err(_) if world.env.children().signal().is_some() => return Ok(()),
            Err(error) => {
                world.term.error(&error);
                match next(watcher, act)? {
                    Some(_) => continue,
                    None => return Ok(()),
                }
            }
            Ok(read) => read,
        };
        is_first = false;
        match round(&read, watcher, act)? {
            Ending::Reread => {}
            Ending::Signal => return Ok(()),
        }
    }
}

/// What is done with a project as it was read.
pub type Round<'r, P, T> =
    dyn FnMut(&P, &mut Watcher<'_>, &mut dyn FnMut(Act<T>) -> Result<()>) -> Result<Ending> + 'r;

/// How one build went.
struct Built<T> {
    made: Result<Made<T>>,
    /// What changed meanwhile.
    later: Changes,
    is_stopped: bool,
    /// Whether cargo has written Cargo.lock.
    is_locked_anew: bool,
    is_over: bool,
}

/// Builds, and again on each change, until the project has to be read again. `make` builds in
/// another thread; what it made is handed to `act` in this one.
pub fn rounds<T: Send>(
    watcher: &mut Watcher<'_>,
    root: &Path,
    world: &World,
    make: &(dyn Fn() -> Result<Made<T>> + Sync),
    act: &mut dyn FnMut(Act<T>) -> Result<()>,
) -> Result<Ending> {
    loop {
        let began = files::clock_now();
        let may_stop = watcher.stopped < STOPPED;
        let built = build(watcher, root, may_stop, world, make, act)?;
        // The build may be over before it is heard what ended it.
        if built.is_over || world.env.children().signal().is_some() {
            return Ok(Ending::Signal);
        }
        watcher.stopped = if built.is_stopped { watcher.stopped + 1 } else { 0 };
        let read = built.made.as_ref().ok().map(|made| &*made.inputs);
        if !built.is_stopped || read.is_some() {
            watcher.learn(began, read)?;
        }
        let mut changes = built.later;
        changes.rereads |= built.is_locked_anew;
        if !built.is_stopped {
            let taken = built.made.and_then(|made| act(Act::Take(made.value)));
            if let Err(error) = taken {
                world.term.error(&error);
            }
        }
        if changes.paths.is_empty() {
            world.term.step("watch", "waits for changes");
            match next(watcher, act)? {
                Some(later) => changes.join(later),
                None => return Ok(Ending::Signal),
            }
        }
        world.term.step("change", changes.named(root));
        if changes.rereads || watcher.is_outdated()? {
            return Ok(Ending::Reread);
        }
    }
}

/// Waits for the next changes; `None` where this process is to end.
pub fn next<T>(
    watcher: &mut Watcher<'_>,
    act: &mut dyn FnMut(Act<T>) -> Result<()>,
) -> Result<Option<Changes>> {
    loop {
        match watcher.wait(Meanwhile::Nothing)? {
            Woken::Changed(changes) => return Ok(Some(changes)),
            Woken::Ended(number, status) => act(Act::Ended(number, status))?,
            Woken::Signal => return Ok(None),
            Woken::Built => {}
        }
    }
}

/// Tells that a thread has ended, even by a panic.
struct Over(Sender<Event>);

impl Drop for Over {
    fn drop(&mut self) {
        // Nobody waits for it any more where the wait has failed.
        drop(self.0.send(Event::Built));
    }
}

fn build<T: Send>(
    watcher: &mut Watcher<'_>,
    root: &Path,
    may_stop: bool,
    world: &World,
    make: &(dyn Fn() -> Result<Made<T>> + Sync),
    act: &mut dyn FnMut(Act<T>) -> Result<()>,
) -> Result<Built<T>> {
    let children = world.env.children();
    children.allow_builds();
    let lock = root.join("Cargo.lock");
    let (mut later, mut is_stopped) = (Changes::default(), false);
    let (mut is_locked_anew, mut is_over) = (false, false);
    let (made, waited) = thread::scope(|scope| {
        let over = Over(watcher.sender());
        let building = scope.spawn(move || {
            let _over = over;
            make()
        });
        let waited = loop {
            match watcher.wait(Meanwhile::Build) {
                Ok(Woken::Built) => break Ok(()),
                Ok(Woken::Changed(mut changes)) => {
                    let all = changes.paths.len();
                    changes.paths.retain(|path| *path != lock);
                    is_locked_anew |= changes.paths.len() < all;
                    if changes.paths.is_empty() {
                        continue;
                    }
                    if may_stop && !is_stopped {
                        let what = changes.named(root);
                        world.term.step("stop", format_args!("the build: {what} changed"));
                        is_stopped = true;
                        children.stop_builds();
                    }
                    later.join(changes);
                }
                Ok(Woken::Ended(number, status)) => {
                    if let Err(error) = act(Act::Ended(number, status)) {
                        world.term.error(&error);
                    }
                }
                // What waits for cargo fails now, and so does the build.
                Ok(Woken::Signal) => is_over = true,
                Err(error) => {
                    children.stop_builds();
                    break Err(error);
                }
            }
        };
        let made = building.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked")));
        (made, waited)
    });
    waited?;
    Ok(Built { made, later, is_stopped, is_locked_anew, is_over })
}
