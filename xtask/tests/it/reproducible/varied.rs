//! What is varied: of each, a way to vary it, and a probe that says whether that was done.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::world::{World, judge, missing, run};

/// How a release is made otherwise.
#[derive(Clone, Default)]
pub struct Change {
    /// The folder of the clone.
    pub folder: Option<&'static str>,
    /// Options of `git clone`.
    pub clone: String,
    /// Lines of shell before the clone is made.
    pub before: Vec<String>,
    /// Lines of shell in the clone.
    pub prepare: Vec<String>,
    pub vars: Vec<(&'static str, OsString)>,
    /// Programs that start the rest, from the outermost on.
    pub wrapper: Vec<String>,
    /// Of the tool.
    pub args: Vec<&'static str>,
    /// Whether it runs in a terminal.
    pub terminal: bool,
}

impl Change {
    /// Both changes.
    pub fn and(mut self, other: &Change) -> Change {
        let other = other.clone();
        self.folder = self.folder.or(other.folder);
        self.clone.push_str(&other.clone);
        self.before.extend(other.before);
        self.prepare.extend(other.prepare);
        self.vars.extend(other.vars);
        self.wrapper.extend(other.wrapper);
        self.args.extend(other.args);
        self.terminal |= other.terminal;
        self
    }

    fn var(name: &'static str, value: impl Into<OsString>) -> Change {
        Change { vars: vec![(name, value.into())], ..Change::default() }
    }

    fn wrapper<const N: usize>(words: [&str; N]) -> Change {
        Change { wrapper: words.map(str::to_owned).into(), ..Change::default() }
    }
}

/// A row of the matrix.
pub struct Variation {
    pub name: &'static str,
    /// `None` where this machine cannot.
    pub change: Option<Change>,
    /// A command of the shell that says something else where the change is made.
    pub probe: &'static str,
}

/// All that is varied. Programs that set a user go before those that load libraries.
pub fn all(world: &World) -> Vec<Variation> {
    let place = |name: &str| world.outside("place").join(name);
    let variation = |name, probe, change| Variation { name, change: Some(change), probe };
    let folder = "a-much-longer-path/with more/parts/than 'it'/clone";
    let umask = Change { before: vec!["umask 077".to_owned()], ..Change::default() };
    let touch = "find . -exec touch --no-dereference --date 2001-02-03 {} +".to_owned();
    let terminal = Change {
        vars: vec![("TERM", "xterm-256color".into()), ("COLUMNS", "200".into())],
        terminal: true,
        ..Change::default()
    };
    let judged = |name, program: &str, probe, change: &dyn Fn() -> Option<Change>| Variation {
        name,
        change: judge(program).and_then(|_| change()),
        probe,
    };
    vec![
        judged("hostname", "hostname", "hostname", &hostname),
        judged("user and group", "unshare", "id -u", &user),
        judged("kernel", "setarch", "uname -r", &|| {
            Some(Change::wrapper(["setarch", "--uname-2.6"]))
        }),
        judged("number of processors", "taskset", "nproc", &processors),
        variation("order of directory entries", "ls -f app/assets", order(world)),
        judged("date", "faketime", "date +%Y", &|| {
            Some(Change {
                wrapper: ["faketime", "2031-12-30 23:59:58"].map(str::to_owned).into(),
                vars: vec![("PATH", without_faketime(world))],
                ..Change::default()
            })
        }),
        variation(
            "folder of the clone",
            "pwd",
            Change { folder: Some(folder), ..Change::default() },
        ),
        variation(
            "history of the clone",
            "git log --oneline | wc -l",
            Change {
                clone: "--config advice.detachedHead=false --depth 1 --branch v1.0.0".to_owned(),
                ..Change::default()
            },
        ),
        variation(
            "times of files",
            "stat --format %Y app/assets/z",
            Change { prepare: vec![touch], ..Change::default() },
        ),
        variation("umask", "umask; stat --format %a app/assets/z", umask),
        variation("time zone", "date +%z", Change::var("TZ", "Asia/Kolkata")),
        variation("locale", "echo $LANG", Change::var("LANG", "tr_TR.UTF-8")),
        variation("HOME", "echo $HOME", Change::var("HOME", place("another home"))),
        variation(
            "CARGO_HOME",
            "echo $CARGO_HOME",
            Change::var("CARGO_HOME", place("cargo's home")),
        ),
        variation(
            "CARGO_TARGET_DIR",
            "echo $CARGO_TARGET_DIR",
            Change::var("CARGO_TARGET_DIR", place("another target")),
        ),
        variation(
            "DOCKLESS_CACHE",
            "echo $DOCKLESS_CACHE",
            Change::var("DOCKLESS_CACHE", place("another cache")),
        ),
        variation("TMPDIR", "echo $TMPDIR", {
            let mut change = Change::var("TMPDIR", place("temporary files"));
            change.before.push("mkdir -p \"$TMPDIR\"".to_owned());
            change
        }),
        variation("names of the user", "echo $USER", Change::var("USER", "somebody")),
        judged("folder of toolchains", "rustup", "echo $RUSTUP_HOME", &|| {
            let mut change = Change::var("RUSTUP_HOME", place("toolchains"));
            let real = super::rustup_home().display().to_string();
            change.before.push(format!("ln -s '{real}' \"$RUSTUP_HOME\""));
            Some(change)
        }),
        variation("RUSTC_WRAPPER", "echo $RUSTC_WRAPPER", {
            Change::var("RUSTC_WRAPPER", world.script("wrapper", "unset LD_PRELOAD\nexec \"$@\"\n"))
        }),
        variation("jobs", "echo $CARGO_BUILD_JOBS", {
            Change { args: vec!["--jobs", "1"], ..Change::var("CARGO_BUILD_JOBS", "1") }
        }),
        judged("terminal", "script", "test -t 1 && echo yes; echo $TERM", &|| {
            Some(terminal.clone())
        }),
    ]
}

/// What does count: flags of rustc, and the time that the release is of.
pub fn what_counts() -> Change {
    let vars = [("RUSTFLAGS", "-Copt-level=1"), ("SOURCE_DATE_EPOCH", "1234567890")];
    Change { vars: vars.map(|(name, value)| (name, value.into())).into(), ..Change::default() }
}

/// Without a user of its own, an unprivileged process may not set the name.
fn hostname() -> Option<Change> {
    let set = "hostname elsewhere && exec \"$@\"";
    let words = ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c", set, "sh"];
    works(Change::wrapper(words))
}

fn user() -> Option<Change> {
    works(Change::wrapper(["unshare", "--user", "--map-user=1234", "--map-group=4321"]))
}

/// The change, where this machine can start a program by it.
fn works(change: Change) -> Option<Change> {
    let (program, args) = change.wrapper.split_first()?;
    let started = run(std::process::Command::new(program).args(args).arg("true"));
    if started.code != Some(0) {
        missing(&format!("`{}` does not work: {}", change.wrapper.join(" "), started.stderr));
        return None;
    }
    Some(change)
}

/// The first of the processors that this process may use.
fn processors() -> Option<Change> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let first = allowed.trim().split(['-', ',']).next().unwrap();
    if allowed.trim() == first {
        missing("a second processor");
        return None;
    }
    Some(Change::wrapper(["taskset", "--cpu-list", first]))
}

/// PATH with a rustc that is told the real time: faketime's library and rustc's
/// allocator wait for each other for ever. cargo and this tool see the other date.
pub fn without_faketime(world: &World) -> OsString {
    let sysroot = run(&mut world.with("rustc", ["--print", "sysroot"]));
    let rustc = Path::new(sysroot.ends_with(0).line()).join("bin/rustc");
    let script = format!("unset LD_PRELOAD\nexec '{}' \"$@\"\n", rustc.display());
    world.script("real-time/rustc", &script);
    world.path_with("real-time")
}

/// A library that turns round the order in which folders are read.
const ORDER: &str = r#"
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::sync::{Mutex, OnceLock};

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}
const NEXT: *mut c_void = -1_isize as *mut c_void;
type Read = unsafe extern "C" fn(*mut c_void) -> *mut c_void;
type Close = unsafe extern "C" fn(*mut c_void) -> c_int;

/// Entries of the folders that are open, as glibc's `dirent64`.
static OPEN: Mutex<Option<HashMap<usize, Vec<Box<[u64]>>>>> = Mutex::new(None);
static READ: OnceLock<usize> = OnceLock::new();
static CLOSE: OnceLock<usize> = OnceLock::new();

fn address(of: &OnceLock<usize>, name: &[u8]) -> usize {
    *of.get_or_init(|| unsafe { dlsym(NEXT, name.as_ptr().cast()) as usize })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn readdir64(dir: *mut c_void) -> *mut c_void {
    let read: Read = unsafe { std::mem::transmute(address(&READ, b"readdir64\0")) };
    let mut open = OPEN.lock().unwrap();
    let left = open.get_or_insert_default().entry(dir as usize).or_insert_with(|| {
        let mut all = Vec::new();
        loop {
            let entry = unsafe { read(dir) };
            if entry.is_null() {
                return all;
            }
            let len = usize::from(unsafe { *entry.cast::<u8>().add(16).cast::<u16>() });
            let mut copy = vec![0_u64; len.div_ceil(8)].into_boxed_slice();
            unsafe { std::ptr::copy_nonoverlapping(entry.cast::<u8>(), copy.as_mut_ptr().cast(), len) };
            all.push(copy);
        }
    });
    left.pop().map_or(std::ptr::null_mut(), |entry| Box::leak(entry).as_mut_ptr().cast())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn readdir(dir: *mut c_void) -> *mut c_void {
    unsafe { readdir64(dir) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn closedir(dir: *mut c_void) -> c_int {
    let close: Close = unsafe { std::mem::transmute(address(&CLOSE, b"closedir\0")) };
    OPEN.lock().unwrap().get_or_insert_default().remove(&(dir as usize));
    unsafe { close(dir) }
}
"#;

fn order(world: &World) -> Change {
    let (source, library) = (world.outside("order.rs"), world.outside("liborder.so"));
    fs::write(&source, ORDER).unwrap();
    let mut rustc =
        world.with("rustc", ["--edition", "2024", "--crate-type", "cdylib", "-O", "-o"]);
    run(rustc.args([&library, &source])).ends_with(0);
    Change::wrapper(["env", &format!("LD_PRELOAD={}", preload(library))])
}

fn preload(library: PathBuf) -> String {
    library.into_os_string().into_string().unwrap()
}
