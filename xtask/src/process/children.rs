//! The programs that run now, and how Ctrl-C and a request to end stop them.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};

use super::tree::Tree;

/// The programs that this process has started and that have not ended.
#[derive(Default)]
pub struct Children {
    running: Mutex<BTreeMap<u32, Place>>,
    /// What is to know at once that this process is to end.
    told: Mutex<Vec<Box<dyn Fn() + Send>>>,
    /// The signal that this process was sent; 0 for none. The handler itself writes it, so that it
    /// is known before the end of a program that was sent the same.
    signal: Arc<AtomicUsize>,
    /// Whether no build is to begin.
    is_stopped: AtomicBool,
    /// The programs that were told to end with this process, and what was below them then.
    told_to_end: Mutex<BTreeMap<u32, Tree>>,
}

impl std::fmt::Debug for Children {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Children").field(&*self.lock()).finish()
    }
}

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// With the user's terminal: the user decides when it ends.
    Terminal,
    /// With pipes.
    Pipes,
    /// With pipes, and whoever no longer needs what it makes may stop it.
    Build,
    /// With pipes, in a process group of its own.
    OwnGroup,
}

impl Children {
    /// Starts a program, unless this process is to end.
    pub fn start(
        self: &Arc<Children>,
        place: Place,
        start: impl FnOnce() -> Result<Child>,
    ) -> Result<Running> {
        // Whoever stops all programs waits for this one to be known.
        let mut running = self.lock();
        if self.signal().is_some() {
            bail!("this process was told to end");
        }
        if place == Place::Build && self.is_stopped.load(Ordering::SeqCst) {
            bail!("the build was stopped");
        }
        let child = start()?;
        running.insert(child.id(), place);
        Ok(Running { child, children: Arc::clone(self) })
    }

    /// The signal that this process was sent.
    pub fn signal(&self) -> Option<i32> {
        i32::try_from(self.signal.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
    }

    /// A program with all that was below it when it was told to end, where it was.
    pub fn told(&self, id: u32) -> Option<Tree> {
        self.told_to_end.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)
    }

    /// Lets builds begin again.
    pub fn allow_builds(&self) {
        self.is_stopped.store(false, Ordering::SeqCst);
    }

    /// Calls `tell` from another thread when this process is told to end.
    pub fn on_end(&self, tell: impl Fn() + Send + 'static) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(tell));
    }

    #[cfg(unix)]
    fn tell(&self) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|tell| tell());
    }

    /// Ends the builds that run now, with all that they started, and lets none begin. Returns
    /// once they have ended.
    pub fn stop_builds(&self) {
        let builds: Vec<u32> = {
            let running = self.lock();
            self.is_stopped.store(true, Ordering::SeqCst);
            let builds = running.iter().filter(|(_, place)| **place == Place::Build);
            builds.map(|(id, _)| *id).collect()
        };
        builds.into_iter().for_each(|id| Tree::of(id).end());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Place>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A program that runs. Dropped, it is no longer among the children.
#[derive(Debug)]
pub struct Running {
    child: Child,
    children: Arc<Children>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.children.lock().remove(&self.child.id());
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.child
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.child
    }
}

/// A status as shells tell of it: a program that a signal ended has 128 and more.
pub fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(1);
    }
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Starts a program, and tries again where its file is busy (ETXTBSY): after a fork, a child of
/// another thread may hold a file that was just written open for a moment.
pub fn start(command: &mut Command) -> std::io::Result<Child> {
    let busy = |started: &std::io::Result<Child>| {
        let error = started.as_ref().err().map(std::io::Error::kind);
        error == Some(std::io::ErrorKind::ExecutableFileBusy)
    };
    let mut started = command.spawn();
    for _ in 0..50 {
        if !busy(&started) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        started = command.spawn();
    }
    started
}

/// Ends a process that has a group of its own, and all that are in the group.
#[cfg(unix)]
pub fn kill_group(child: &mut Child) -> std::io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process_group};
    Ok(kill_process_group(Pid::from_child(child), Signal::KILL)?)
}

/// Ends the process only: it has no group here.
#[cfg(not(unix))]
pub fn kill_group(child: &mut Child) -> std::io::Result<()> {
    child.kill()
}

#[cfg(unix)]
pub use unix::on_signal;

#[cfg(unix)]
mod unix {
    use std::io::IsTerminal;
    use std::sync::{Arc, PoisonError};
    use std::thread::{sleep, spawn};
    use std::time::{Duration, Instant};

    use anyhow::{Context, Result};
    use rustix::process::{Pid, Signal, kill_process, kill_process_group};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    use super::super::tree::{self, PATIENCE, TURN, Tree};
    use super::{Children, Place};

    /// How long this process may take to leave nothing half-made, once they have ended.
    const LEAVE: Duration = Duration::from_millis(500);
    /// Listens for Ctrl-C and requests to end from now on. The first one stops all programs, so
    /// that what waits for them fails and clears up behind itself; where that takes too long,
    /// `say` is called and the process ends. A second one ends it at once.
    pub fn on_signal(children: Arc<Children>, say: impl Fn() + Send + 'static) -> Result<()> {
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            let number = usize::try_from(signal).context("number the signals")?;
            signal_hook::flag::register_usize(signal, Arc::clone(&children.signal), number)
                .context("listen for signals")?;
        }
        let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])
            .context("listen for signals")?;
        spawn(move || {
            let mut say = Some(say);
            for signal in signals.forever() {
                let Some(say) = say.take() else {
                    children.send(Signal::KILL, |_| true);
                    end(signal);
                };
                children.stop(signal);
                children.tell();
                let children = Arc::clone(&children);
                spawn(move || {
                    children.wait();
                    say();
                    end(signal);
                });
            }
        });
        Ok(())
    }

    /// As a shell tells of a program that a signal ended.
    fn end(signal: i32) -> ! {
        std::process::exit(128 + signal)
    }

    impl Children {
        /// Tells all programs to end. Those in this process's own group have heard of a Ctrl-C by
        /// the terminal.
        fn stop(&self, signal: i32) {
            let trees: Vec<u32> = self.lock().keys().copied().collect();
            let trees = trees.into_iter().map(|id| (id, Tree::of(id)));
            let mut told = self.told_to_end.lock().unwrap_or_else(PoisonError::into_inner);
            told.extend(trees);
            drop(told);
            let typed = signal == SIGINT && std::io::stderr().is_terminal();
            let signal = if signal == SIGINT { Signal::INT } else { Signal::TERM };
            self.send(signal, |place| !typed || place == Place::OwnGroup);
        }

        /// Waits until all have ended; those that the user does not see are ended.
        fn wait(&self) {
            let until = Instant::now() + PATIENCE;
            loop {
                let running = self.lock().clone();
                if running.is_empty() {
                    break;
                }
                if Instant::now() > until {
                    self.send(Signal::KILL, |place| place != Place::Terminal);
                }
                sleep(TURN);
            }
            sleep(LEAVE);
        }

        fn send(&self, signal: Signal, to: impl Fn(Place) -> bool) {
            for (id, place) in self.lock().iter().filter(|(_, place)| to(**place)) {
                let Some(pid) = i32::try_from(*id).ok().and_then(Pid::from_raw) else { continue };
                // What has just ended cannot be told.
                if *place == Place::OwnGroup {
                    _ = kill_process_group(pid, signal);
                } else {
                    // The program first: it is not to report that those below it were ended.
                    let below = tree::below(*id);
                    _ = kill_process(pid, signal);
                    for below in below {
                        _ = kill_process(below, signal);
                    }
                }
            }
        }
    }
}

/// Other systems end this process, and what it started in the same console, by themselves.
#[cfg(not(unix))]
pub fn on_signal(_children: Arc<Children>, _say: impl Fn() + Send + 'static) -> Result<()> {
    Ok(())
}
