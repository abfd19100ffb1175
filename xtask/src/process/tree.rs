//! A program and all that it started, ended together.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long programs may take to end by themselves.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked whether they have.
pub const TURN: Duration = Duration::from_millis(10);

pub use system::Tree;
#[cfg(unix)]
pub use system::below;

impl Tree {
    /// Tells all of it to end, and ends what has not done so after a while.
    pub fn end(mut self) {
        self.ask();
        let until = Instant::now() + PATIENCE;
        while self.lives() && Instant::now() < until {
            sleep(TURN);
        }
        if self.lives() {
            self.kill();
            let until = Instant::now() + PATIENCE;
            while self.lives() && Instant::now() < until {
                sleep(TURN);
            }
        }
    }
}

#[cfg(unix)]
mod system {
    use rustix::process::{Pid, Signal, kill_process};

    /// A program and all below it, the program first.
    pub struct Tree {
        id: u32,
        all: Vec<(Pid, Option<String>)>,
    }

    impl Tree {
        pub fn of(id: u32) -> Tree {
            let mut tree = Tree { id, all: Vec::new() };
            tree.look();
            tree
        }

        fn look(&mut self) {
            if self.all.first().is_some_and(|first| !lives(first)) {
                return;
            }
            let own = i32::try_from(self.id).ok().and_then(Pid::from_raw);
            for pid in own.into_iter().chain(below(self.id)) {
                if self.all.iter().all(|(known, _)| *known != pid) {
                    self.all.push((pid, began(pid)));
                }
            }
        }

        pub(super) fn ask(&self) {
            self.send(Signal::TERM);
        }

        pub(super) fn kill(&mut self) {
            // What was started meanwhile, too.
            self.look();
            self.send(Signal::KILL);
        }

        fn send(&self, signal: Signal) {
            for (pid, _) in self.all.iter().filter(|it| lives(it)) {
                // What has just ended cannot be told.
                _ = kill_process(*pid, signal);
            }
        }

        pub(super) fn lives(&self) -> bool {
            self.all.iter().any(lives)
        }
    }

    /// Whether it runs: another process may have got its number since.
    #[cfg(target_os = "linux")]
    fn lives((pid, since): &(Pid, Option<String>)) -> bool {
        since.is_some() && began(*pid) == *since
    }

    #[cfg(not(target_os = "linux"))]
    fn lives((pid, _): &(Pid, Option<String>)) -> bool {
        rustix::process::test_kill_process(*pid).is_ok()
    }

    /// When a process began; `None` where it has ended.
    /// <https://www.man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "doors know nothing of each other")]
    fn began(pid: Pid) -> Option<String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        // The name stands in parentheses and may hold any.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        // The 22nd field, of which three were read.
        fields.nth(18).filter(|_| !["Z", "X"].contains(&state)).map(str::to_owned)
    }

    #[cfg(not(target_os = "linux"))]
    fn began(_pid: Pid) -> Option<String> {
        None
    }

    /// The programs that a program has started, and those that they have.
    /// <https://www.man7.org/linux/man-pages/man5/proc_pid_task.5.html>
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "doors know nothing of each other")]
    pub fn below(id: u32) -> Vec<Pid> {
        let mut found = Vec::new();
        let mut waiting = vec![id.to_string()];
        while let Some(id) = waiting.pop() {
            let tasks = std::fs::read_dir(std::path::Path::new("/proc").join(&id).join("task"));
            for task in tasks.into_iter().flatten().flatten() {
                let text = std::fs::read_to_string(task.path().join("children"));
                for child in text.unwrap_or_default().split_whitespace() {
                    found.extend(child.parse().ok().and_then(Pid::from_raw));
                    waiting.push(child.to_owned());
                }
            }
        }
        found
    }

    /// The same, as `ps` lists it.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn below(id: u32) -> Vec<Pid> {
        let listed =
            std::process::Command::new("/bin/ps").args(["-A", "-o", "pid=,ppid="]).output();
        let listed = listed.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
        let listed = listed.unwrap_or_default();
        let pairs = listed.lines().filter_map(|line| line.trim().split_once(' '));
        let pairs = pairs.filter_map(|(pid, above)| {
            Some((pid.parse::<i32>().ok()?, above.trim().parse::<u32>().ok()?))
        });
        let pairs: Vec<(i32, u32)> = pairs.collect();
        let mut found = Vec::new();
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            for (pid, _) in pairs.iter().filter(|(_, above)| *above == id) {
                found.extend(Pid::from_raw(*pid));
                waiting.extend(u32::try_from(*pid));
            }
        }
        found
    }
}

#[cfg(windows)]
mod system {
    use std::process::{Command, Stdio};

    /// A program and all below it.
    pub struct Tree(u32);

    impl Tree {
        pub fn of(id: u32) -> Tree {
            Tree(id)
        }

        /// Windows asks windows only, which these programs have none of.
        pub(super) fn ask(&self) {
            self.end_it();
        }

        pub(super) fn kill(&mut self) {
            self.end_it();
        }

        pub(super) fn lives(&self) -> bool {
            false
        }

        /// <https://learn.microsoft.com/windows-server/administration/windows-commands/taskkill>
        #[expect(clippy::disallowed_methods, reason = "this is the door")]
        fn end_it(&self) {
            let mut taskkill = Command::new("taskkill");
            taskkill.args(["/T", "/F", "/PID", &self.0.to_string()]);
            // What has just ended cannot be told.
            drop(taskkill.stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
    }
}
