//! The world that the program is tested in: projects, repositories, and
//! runs of the built tool with an environment that holds what is stated here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use sha2::Digest;
use tempfile::TempDir;

pub mod builders;
pub mod cluster;
pub mod engines;
pub mod flat;
pub mod github;
pub mod kept;
pub mod keys;
pub mod krew;
pub mod proxy;
pub mod registries;
pub mod running;
pub mod schema;
pub mod sketch;
pub mod ssh;
pub mod strace;
pub mod terminal;

/// The targets of a run without any config.
pub const X86_64: &str = "x86_64-unknown-linux-musl";
pub const AARCH64: &str = "aarch64-unknown-linux-musl";
/// The one that this machine runs.
pub const HOST: &str = if cfg!(target_arch = "aarch64") { AARCH64 } else { X86_64 };

/// The program of most projects here: it says which version it was built as.
pub const SAYS_VERSION: &str =
    r#"fn main() { println!("{}", option_env!("DOCKLESS_VERSION").unwrap_or("none")) }"#;

/// When the first commit of every repository was made; each later one is a minute younger.
pub const EPOCH: u64 = 1_700_000_000;

/// What of the real environment the tool needs to find programs and toolchains.
const KEPT: [&str; 6] = ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "TMPDIR"];

/// A folder with a project in it, removed when dropped.
pub struct World {
    temp: TempDir,
    root: PathBuf,
    commits: AtomicU64,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Run {
    /// `None` where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The schema of its JSON, where it is a run of this tool.
    pub schema: Option<String>,
}

impl World {
    /// An empty project folder.
    pub fn empty() -> World {
        World::named("project")
    }

    /// An empty project folder of this name.
    pub fn named(folder: &str) -> World {
        let temp = tempfile::tempdir().unwrap();
        // A link on the way (macOS has one) would give every path two names.
        let root = temp.path().canonicalize().unwrap().join(folder);
        fs::create_dir_all(&root).unwrap();
        World { temp, root, commits: AtomicU64::new(0) }
    }

    /// A project of one package, `tool`, that nobody has prepared for anything.
    pub fn single(version: &str) -> World {
        let world = World::empty();
        world.package("", "tool", version, "");
        world
    }

    /// The same with a licence, for this machine's target alone, and locked.
    pub fn quick(version: &str) -> World {
        let world = World::empty();
        world.package("", "tool", version, &only_host());
        // What `World::lock` makes, without a cargo that takes its time.
        let lock =
            format!("version = 4\n\n[[package]]\nname = \"tool\"\nversion = \"{version}\"\n");
        world.file("LICENSE", "free\n").file("Cargo.lock", &lock);
        world
    }

    /// The same, committed.
    pub fn committed(version: &str) -> World {
        let world = World::quick(version);
        world.commit();
        world
    }

    /// A workspace whose packages have their name's folder: `(name, version)`.
    /// `metadata` is appended to the root's manifest.
    pub fn workspace(packages: &[(&str, &str)], metadata: &str) -> World {
        let world = World::empty();
        let members: Vec<&str> = packages.iter().map(|(name, _)| *name).collect();
        let manifest = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n{metadata}");
        world.file("Cargo.toml", &manifest).file("LICENSE", "free\n");
        for (name, version) in packages {
            world.package(name, name, version, "");
        }
        world.lock();
        world
    }

    /// Writes a package into the folder: `more` is appended to its manifest.
    pub fn package(&self, folder: &str, name: &str, version: &str, more: &str) -> &World {
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2021\"\n{more}"
        );
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.file(&format!("{folder}Cargo.toml"), &manifest);
        self.file(&format!("{folder}src/main.rs"), SAYS_VERSION)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// A path in the project.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A path outside the project that goes with it.
    pub fn outside(&self, path: &str) -> PathBuf {
        self.root.parent().unwrap().join(path)
    }

    /// Writes a file of the project; folders on the way are made.
    pub fn file(&self, path: &str, text: &str) -> &World {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Writes a program outside the project.
    pub fn script(&self, path: &str, text: &str) -> PathBuf {
        let path = self.outside(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_program(&path, format!("#!/bin/sh\n{text}").as_bytes());
        path
    }

    pub fn read(&self, path: &str) -> String {
        let path = self.root.join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The names in the project's folder, sorted.
    pub fn names(&self) -> Vec<String> {
        names(&self.root)
    }

    /// Makes Cargo.lock what the manifests say.
    pub fn lock(&self) -> &World {
        let mut cargo = self.with("cargo", ["generate-lockfile", "--offline"]);
        run(cargo.arg("--quiet")).ends_with(0);
        self
    }

    /// Runs git in the project and returns what it printed.
    pub fn git<const N: usize>(&self, args: [&str; N]) -> String {
        let time = EPOCH + 60 * self.commits.load(Ordering::Relaxed);
        let date = format!("{time} +0000");
        let run = run(self
            .with("git", ["-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"])
            .args(["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main"])
            .args(args)
            .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)]));
        run.ends_with(0).stdout.trim().to_owned()
    }

    /// Commits all that is there, in a repository that is made when there is
    /// none, and returns the first 12 digits of the commit.
    pub fn commit(&self) -> String {
        if !self.root.join(".git").exists() {
            self.git(["init", "--quiet"]);
            self.file(".gitignore", "/target\n");
        }
        self.git(["add", "--all"]);
        self.git(["commit", "--quiet", "--allow-empty", "--message", "a change"]);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.sha()
    }

    /// Adds a submodule `sub` of one file, `lib.rs`, which nobody has committed yet.
    pub fn submodule(&self) {
        let of = self.outside("of");
        fs::create_dir_all(&of).unwrap();
        fs::write(of.join("lib.rs"), "").unwrap();
        let of = of.to_str().unwrap();
        self.git(["init", "--quiet", of]);
        self.git(["-C", of, "add", "--all"]);
        self.git(["-C", of, "commit", "--quiet", "--message", "sub"]);
        self.git(["submodule", "--quiet", "add", of, "sub"]);
    }

    /// The first 12 digits of HEAD's commit.
    pub fn sha(&self) -> String {
        self.git(["rev-parse", "HEAD"])[..12].to_owned()
    }

    /// The built tool with these arguments, to be started in the project.
    pub fn tool<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.with(env!("CARGO_BIN_EXE_cargo-dockless"), args)
    }

    /// Runs the tool. Arguments are separated by spaces.
    pub fn run(&self, args: &str) -> Run {
        run(&mut self.tool(args.split(' ')))
    }

    /// The list in dist/artifacts.json.
    pub fn artifacts(&self) -> Value {
        let mut all: Value = serde_json::from_str(&self.read("dist/artifacts.json")).unwrap();
        schema::check("artifacts", &all);
        all["artifacts"].take()
    }

    /// What `release --dry-run --json` says, with more arguments.
    pub fn plan(&self, args: &str) -> Value {
        let run = self.run(format!("release --dry-run --json {args}").trim());
        run.ends_with(0).json()
    }

    /// A program in the project's folder, with the environment of these tests.
    pub fn with<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.root).env_clear().envs(self.vars());
        command
    }

    fn vars(&self) -> BTreeMap<OsString, OsString> {
        let kept = KEPT.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
        let mut vars: BTreeMap<OsString, OsString> = kept.collect();
        let mut set = |name: &str, value: &OsStr| vars.insert(name.into(), value.to_owned());
        set("DOCKLESS_CACHE", self.outside("cache").as_os_str());
        set("GIT_CEILING_DIRECTORIES", self.temp.path().as_os_str());
        for (name, value) in [
            ("CARGO_NET_OFFLINE", "true"),
            ("DOCKLESS_ADVISORY_DB", "file:///nowhere/at/all"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "dockless tests"),
            ("GIT_AUTHOR_EMAIL", "tests@dockless.invalid"),
            ("GIT_COMMITTER_NAME", "dockless tests"),
            ("GIT_COMMITTER_EMAIL", "tests@dockless.invalid"),
        ] {
            set(name, OsStr::new(value));
        }
        vars
    }

    /// PATH with the folder of a [`World::script`] before everything else.
    pub fn path_with(&self, folder: &str) -> OsString {
        self.before(folder, &std::env::var_os("PATH").unwrap_or_default())
    }

    /// The same before the folders of another PATH.
    pub fn before(&self, folder: &str, path: &OsStr) -> OsString {
        let dirs = std::iter::once(self.outside(folder)).chain(std::env::split_paths(path));
        std::env::join_paths(dirs).unwrap()
    }

    /// PATH without these programs: a folder that holds one is replaced by a
    /// folder of links to all the others in it.
    pub fn without(&self, programs: &[&str]) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let hidden = |name: &OsStr| programs.iter().any(|program| name == *program);
        let dirs = std::env::split_paths(&path).enumerate().map(|(at, dir)| {
            if !programs.iter().any(|program| dir.join(program).exists()) {
                return dir;
            }
            let links = self.outside(&format!("without-{}/{at}", programs.join("-")));
            if !links.exists() {
                fs::create_dir_all(&links).unwrap();
                let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap());
                for entry in entries.filter(|entry| !hidden(&entry.file_name())) {
                    symlink(entry.path(), links.join(entry.file_name())).unwrap();
                }
            }
            links
        });
        std::env::join_paths(dirs).unwrap()
    }
}

/// The table that makes a package one for this machine alone, so that tests stay quick.
pub fn only_host() -> String {
    format!("[package.metadata.dockless]\ntargets = [\"{HOST}\"]\n")
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Run {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    Run::of(command, output)
}

impl Run {
    /// What a program left behind.
    pub fn of(command: &Command, output: Output) -> Run {
        Run { schema: schema::of(command), ..Run::of_unknown(output) }
    }

    /// The same, where it is not known what was run.
    pub fn of_unknown(output: Output) -> Run {
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            schema: None,
        }
    }

    /// Requires the exit code.
    #[track_caller]
    pub fn ends_with(&self, code: i32) -> &Run {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Requires that stderr holds the text.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Run {
        assert!(self.stderr.contains(text), "no {text:?} in stderr:\n{}", self.stderr);
        self
    }

    /// Requires that stderr does not hold the text.
    #[track_caller]
    pub fn never_says(&self, text: &str) -> &Run {
        assert!(!self.stderr.contains(text), "{text:?} in stderr:\n{}", self.stderr);
        self
    }

    /// Requires that stdout, which is for results only, is empty.
    #[track_caller]
    pub fn no_result(&self) -> &Run {
        assert_eq!(self.stdout, "", "stderr:\n{}", self.stderr);
        self
    }

    /// The one JSON document that stdout holds, which is as its schema says.
    #[track_caller]
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout:\n{}", self.stdout));
        if let Some(name) = &self.schema {
            schema::check(name, &value);
        }
        value
    }

    /// The one list in this document, beside the version of the schema.
    #[track_caller]
    pub fn list(&self) -> Value {
        let mut value = self.json();
        let fields = value.as_object_mut().unwrap();
        fields.remove("schema").unwrap();
        let mut lists = std::mem::take(fields).into_iter();
        let (Some((_, list)), None) = (lists.next(), lists.next()) else {
            panic!("{}", self.stdout)
        };
        list
    }

    /// The one line that stdout holds.
    #[track_caller]
    pub fn line(&self) -> &str {
        let line = self.stdout.strip_suffix('\n').unwrap_or_default();
        assert!(!line.is_empty() && !line.contains('\n'), "stdout:\n{}", self.stdout);
        line
    }
}

/// The names in a folder, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The same for a dist/, without its .gitignore, and without SBOMs and statements, whose names
/// other tests pin.
pub fn names_but_told(dist: &Path) -> Vec<String> {
    let mut names = names(dist);
    names.retain(|name| !is_told(name) && name != ".gitignore");
    names
}

/// Whether it is the name of an SBOM or of a statement.
pub fn is_told(name: &str) -> bool {
    name.ends_with(".spdx.json") || name.ends_with(".intoto.json")
}

/// The files below a folder, by their paths in it.
pub fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in names(dir) {
        let path = dir.join(&name);
        match path.is_dir() {
            true => {
                let below = contents(&path).into_iter();
                files.extend(below.map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
            }
            false => drop(files.insert(name, fs::read(path).unwrap())),
        }
    }
    files
}

/// Requires that dist/ is whole: each archive has the digest that `checksums.txt` and
/// `artifacts.json` name, each blob of an image that of its name, each image and each
/// manifest of a plugin is listed, and nothing else is in it.
#[track_caller]
pub fn assert_whole(dist: &Path) {
    let files = contents(dist);
    let text = |name: &str| {
        let bytes = files.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", files.keys()));
        std::str::from_utf8(bytes).unwrap()
    };
    let listed: BTreeMap<&str, &str> = text("checksums.txt")
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(digest, name)| (name, digest))
        .collect();
    let described = [".gitignore", "artifacts.json", "checksums.txt", "metadata.json"];
    let (of_images, others): (Vec<&str>, Vec<&str>) =
        files.keys().map(String::as_str).partition(|name| name.starts_with("images/"));
    let (plugins, others): (Vec<&str>, Vec<&str>) =
        others.into_iter().partition(|name| name.starts_with("krew/"));
    // A signature is listed below, and nothing else vouches for it.
    let made = |name: &&str| !described.contains(name) && !name.ends_with(".sigstore.json");
    let archives: Vec<&str> = others.into_iter().filter(made).collect();
    for name in of_images.iter().filter(|name| name.contains("/blobs/")) {
        assert!(name.ends_with(&sha256(&files[*name])), "{name}");
    }
    assert_eq!(listed.keys().copied().collect::<Vec<_>>(), archives);
    for (name, digest) in listed {
        assert_eq!(sha256(&files[name]), digest, "{name}");
    }
    for name in ["artifacts", "metadata"] {
        let value: Value = serde_json::from_str(text(&format!("{name}.json"))).unwrap();
        schema::check(name, &value);
    }
    let artifacts: Value = serde_json::from_str(text("artifacts.json")).unwrap();
    let artifacts = &artifacts["artifacts"];
    let mut manifests = Vec::new();
    for artifact in artifacts.as_array().unwrap() {
        let name = artifact["name"].as_str().unwrap();
        if artifact["type"] == "Image" {
            let digest = artifact["extra"]["digest"].as_str().unwrap();
            assert!(text(&format!("images/{name}/index.json")).contains(digest), "{artifact}");
            continue;
        }
        let path = artifact["path"].as_str().unwrap().strip_prefix("dist/").unwrap();
        let digest = format!("sha256:{}", sha256(&files[path]));
        assert_eq!(artifact["extra"]["checksum"], digest.as_str(), "{name}");
        manifests.extend((artifact["type"] == "Krew Plugin Manifest").then(|| path.to_owned()));
    }
    manifests.sort();
    assert_eq!(manifests, plugins);
    let metadata: Value = serde_json::from_str(text("metadata.json")).unwrap();
    assert!(metadata["dockless"].is_string(), "{metadata}");
}

/// The digest in hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One entry of an archive.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub mode: u32,
    pub mtime: u64,
    pub owner: (u64, u64),
    pub bytes: Vec<u8>,
}

/// The entries of a tar.gz archive, in its order.
pub fn entries(archive: &Path) -> Vec<Entry> {
    let bytes = fs::read(archive).unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
    let entry = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry: tar::Entry<'_, flate2::read::GzDecoder<&[u8]>> = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let header = entry.header();
        Entry {
            name: entry.path().unwrap().to_str().unwrap().to_owned(),
            mode: header.mode().unwrap(),
            mtime: header.mtime().unwrap(),
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            bytes,
        }
    };
    archive.entries().unwrap().map(entry).collect()
}

/// The names of an archive's entries, in its order.
pub fn entry_names(archive: &Path) -> Vec<String> {
    entries(archive).into_iter().map(|entry| entry.name).collect()
}

/// Unpacks one entry into a file that can be run, and returns its path.
pub fn unpack(archive: &Path, name: &str, to: &Path) -> PathBuf {
    let found = entries(archive).into_iter().find(|entry| entry.name == name);
    let entry = found.unwrap_or_else(|| panic!("no {name} in {}", archive.display()));
    fs::create_dir_all(to).unwrap();
    let path = to.join(name);
    assert_eq!(entry.mode, 0o755, "{name}");
    write_program(&path, &entry.bytes);
    path
}

/// Writes a program with the help of another one: were the file open for writing
/// here, a fork of another thread could hold it, and nobody start it (ETXTBSY).
fn write_program(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes).unwrap();
    run(Command::new("install").args(["-m", "755"]).args([&beside, path])).ends_with(0);
    fs::remove_file(beside).unwrap();
}

/// A program that judges what the tool made; `None`, said aloud, where this
/// machine has none. In CI every judge must be there.
pub fn judge(name: &str) -> Option<PathBuf> {
    let found = on_path(name);
    if found.is_none() {
        missing(&format!("{name} not found"));
    }
    found
}

/// The same for a judge that takes long to install: only with JUDGES=all must it be there.
pub fn slow_judge(name: &str) -> Option<PathBuf> {
    if std::env::var_os("JUDGES").is_some_and(|value| value == "all") {
        return judge(name);
    }
    let found = on_path(name);
    if found.is_none() {
        skipped(&format!("{name} not found; JUDGES=all installs it"));
    }
    found
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Says that a test is not run for want of something that CI must have.
pub fn missing(what: &str) {
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!ci, "{what}, and CI is set");
    skipped(what);
}

/// Says that a test, or a part of one, is not run on this machine.
pub fn skipped(why: &str) {
    said(&format!("skipped: {why}"));
}

/// Says what a test found out beside that it passes.
#[expect(clippy::disallowed_macros, reason = "what a test counts, and what it skips, is heard")]
pub fn said(what: &str) {
    eprintln!("{what}");
}
