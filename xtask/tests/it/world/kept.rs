//! Programs that tests start for themselves: each in a folder of its own, and gone with
//! all its files when the process ends, however it ends.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::missing;

/// A folder and a program that works in it. Both are gone when this is dropped, and when
/// this process ends: a static is never dropped, and a killed process drops nothing.
pub struct Kept {
    keeper: Child,
    program: PathBuf,
    pub dir: PathBuf,
}

/// Waits for the end of its stdin, whose other end dies with the process that holds it. A
/// program that has ended is not killed: its number may be another's by then.
const KEEPER: &str = r#"
exec 3<&0
{ setpriv --pdeathsig KILL "$@" </dev/null 3<&- >"$0/log" 2>&1; : >"$0/ended"; } &
cat <&3 >/dev/null
[ -e "$0/ended" ] || kill -KILL $!
wait
for attempt in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$0" 2>/dev/null && break; sleep 0.2; done
"#;

/// What gives a daemon processes and mounts of its own: they all end with it, containers too.
pub const ISOLATED: &[&str] =
    &["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// How long a daemon may take to start; a tenth of a second is usual.
const PATIENCE: Duration = Duration::from_secs(60);

impl Kept {
    /// Starts a program by way of another one.
    pub fn start(dir: PathBuf, wrapper: &[&str], program: &Path, args: &[OsString]) -> Kept {
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER]).arg(&dir).args(wrapper).arg(program).args(args);
        // In its own group, or Ctrl-C would end the keeper before it has tidied up.
        keeper.process_group(0);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Kept { keeper: keeper.spawn().unwrap(), program: program.to_owned(), dir }
    }

    /// Keeps a folder that no program works in all the time.
    pub fn folder(dir: PathBuf) -> Kept {
        Kept::start(dir, &[], Path::new("true"), &[])
    }

    /// Waits until there is something, or says why there will be nothing.
    pub fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> Result<T, String> {
        let started = Instant::now();
        loop {
            let ended = self.dir.join("ended").exists() || started.elapsed() > PATIENCE;
            if let Some(value) = ready() {
                return Ok(value);
            }
            if ended {
                let log = self.log();
                let last = log.lines().last().unwrap_or("it says nothing");
                return Err(format!("{} does not start here: {last}", self.program.display()));
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// What the program has printed, which is nothing before it has begun.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A client that knows nothing of its user's engines and accounts.
    pub fn client(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", &self.dir);
        command
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().unwrap();
    }
}

/// A folder for what tests share, gone when the process ends.
pub fn shared_dir() -> &'static Path {
    static SHARED: OnceLock<Kept> = OnceLock::new();
    &SHARED.get_or_init(|| Kept::folder(new_dir())).dir
}

pub fn new_dir() -> PathBuf {
    tempfile::tempdir().unwrap().keep().canonicalize().unwrap()
}

/// What was started, or a word on why it was not.
pub fn or_missing<T>(started: &Result<T, String>) -> Option<&T> {
    match started {
        Ok(engine) => Some(engine),
        Err(why) => {
            missing(why);
            None
        }
    }
}
