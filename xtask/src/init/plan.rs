//! What `init` changes in a project: decided from its files, before anything is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::diff;
use super::edit::{Set, Toml};
use super::from::{Setting, Value};
use crate::finding::{Finding, Place};

/// The xtask of two files, its alias, and what the workspace's Cargo.toml needs for it.
const XTASK_MANIFEST: &str = include_str!("../../templates/xtask/Cargo.toml.tmpl");
const XTASK_MAIN: &str = include_str!("../../templates/xtask/main.rs.tmpl");
const XTASK_PROFILE: &str = include_str!("../../templates/xtask/profile.toml.tmpl");
const ALIAS: &str = include_str!("../../templates/xtask/config.toml.tmpl");

/// The name and the folder of the xtask.
const XTASK: &str = "xtask";

/// The oldest Rust that compiles this tool.
pub const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

const MANIFEST: &str = "Cargo.toml";
const IGNORED: &str = ".gitignore";
const TOOLCHAIN: &str = "rust-toolchain.toml";

/// The files that are read, relative to the workspace's root, besides the packages' manifests. Of
/// cargo's configuration, cargo prefers the first one.
pub const READ: [&str; 8] = [
    MANIFEST,
    ".cargo/config",
    ".cargo/config.toml",
    "xtask/Cargo.toml",
    "xtask/src/main.rs",
    IGNORED,
    TOOLCHAIN,
    "rust-toolchain",
];

/// The names that changelogs have, apart from the default one.
pub const CHANGELOGS: [&str; 6] =
    ["CHANGES.md", "HISTORY.md", "NEWS.md", "RELEASES.md", "Changelog.md", "changelog.md"];

/// The files of other CI systems, and how people call each.
pub const OTHER_CI: [(&str, &str); 12] = [
    (".gitlab-ci.yml", "GitLab CI"),
    (".travis.yml", "Travis CI"),
    ("azure-pipelines.yml", "Azure Pipelines"),
    (".circleci/config.yml", "CircleCI"),
    ("Jenkinsfile", "Jenkins"),
    ("bitbucket-pipelines.yml", "Bitbucket Pipelines"),
    (".woodpecker.yml", "Woodpecker"),
    (".drone.yml", "Drone"),
    (".cirrus.yml", "Cirrus CI"),
    (".forgejo/workflows", "Forgejo Actions"),
    (".gitea/workflows", "Gitea Actions"),
    (".build.yml", "builds.sr.ht"),
];

/// What the files of a project are, and what is known of it.
#[derive(Debug, Default)]
pub struct Here {
    /// The texts of files that exist, by their paths relative to the workspace's root.
    pub files: BTreeMap<PathBuf, String>,
    pub has_git: bool,
    /// The packages, each with its manifest relative to the workspace's root.
    pub packages: Vec<(String, PathBuf)>,
    /// The package that is an xtask already.
    pub xtask: Option<String>,
    /// The compiler's version, where it is too old to compile this tool.
    pub old_rust: Option<String>,
    /// The changelog, where it has not the default name.
    pub changelog: Option<String>,
    /// The host of git's remote, where it is another one than GitHub's.
    pub elsewhere: Option<String>,
    /// The other CI systems that the project has files of.
    pub ci: Vec<(&'static str, &'static str)>,
}

/// What is asked for.
#[derive(Debug, Default)]
pub struct Wanted {
    pub xtask: bool,
    /// The toolchain to pin.
    pub toolchain: Option<String>,
    /// Settings that were read from files of other tools.
    pub settings: Vec<Setting>,
}

/// A file that is written.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Relative to the workspace's root.
    pub path: PathBuf,
    /// What it holds; `None` for a new file.
    #[serde(skip)]
    pub before: Option<String>,
    #[serde(skip)]
    pub after: String,
    pub why: &'static str,
}

impl Change {
    /// As `diff -u` writes it.
    pub fn diff(&self) -> String {
        let path = self.path.display().to_string();
        diff::unified(&path, self.before.as_deref(), &self.after)
    }
}

/// The changes in the order in which they are written: after each of them cargo can read the
/// workspace, so that an interrupted run can be repeated.
#[derive(Debug, Default)]
pub struct Planned {
    pub changes: Vec<Change>,
    /// What stays as it is, and what the user can do about it.
    pub notes: Vec<Finding>,
}

/// Plans the changes.
pub fn plan(here: &Here, wanted: &Wanted) -> Result<Planned> {
    let mut planned = Planned::default();
    let mut manifests = Manifests { here, edited: BTreeMap::new() };
    if wanted.xtask {
        xtask(here, &mut manifests, &mut planned)?;
    }
    ignore_dist(here, &mut planned);
    if let Some(channel) = &wanted.toolchain {
        toolchain(here, channel, &mut planned);
    }
    for setting in wanted.settings.iter().cloned().chain(suggested(here, &manifests)?) {
        planned.notes.extend(manifests.set(&setting)?);
    }
    for (path, toml) in manifests.edited {
        let why = if path == Path::new(MANIFEST) {
            "the workspace's members, profiles and settings"
        } else {
            "the package's settings"
        };
        planned.write(here, &path, toml.finish()?, why);
    }
    planned.notes.extend(other_ci(here));
    Ok(planned)
}

impl Planned {
    /// Adds a file, unless it holds this text.
    fn write(&mut self, here: &Here, path: &Path, after: String, why: &'static str) {
        let before = here.files.get(path).cloned();
        if before.as_ref() != Some(&after) {
            self.changes.push(Change { path: path.to_owned(), before, after, why });
        }
    }
}

/// The manifests that get settings.
struct Manifests<'a> {
    here: &'a Here,
    edited: BTreeMap<PathBuf, Toml>,
}

impl Manifests<'_> {
    fn edit(&mut self, path: &Path) -> Result<&mut Toml> {
        let text = self.here.files.get(path).map(String::as_str).unwrap_or_default();
        if !self.edited.contains_key(path) {
            self.edited.insert(path.to_owned(), Toml::parse(path, text)?);
        }
        Ok(self.edited.get_mut(path).expect("it was inserted"))
    }

    /// Adds a setting, or says why it is not added.
    fn set(&mut self, setting: &Setting) -> Result<Option<Finding>> {
        let Setting { package, key, value, why } = setting;
        let value = toml(value);
        let manifest = match package {
            None => Some(PathBuf::from(MANIFEST)),
            Some(name) => {
                let mut packages = self.here.packages.iter();
                packages.find(|(of, _)| of == name).map(|(_, manifest)| manifest.clone())
            }
        };
        let item = item(package.as_deref(), key);
        let Some(manifest) = manifest.filter(|path| self.here.files.contains_key(path)) else {
            let of = package.as_deref().unwrap_or_default();
            let why =
                format!("{item} = {value} is not written: the workspace has no package {of:?}");
            let fix = "write it into the Cargo.toml that it belongs to";
            return Ok(Some(Finding::warning("init-kept", Place::default(), why, fix)));
        };
        let scope = if package.is_some() { "package" } else { "workspace" };
        let mut path = vec![scope, "metadata", "dockless"];
        path.extend(key.iter().map(String::as_str));
        Ok(match self.edit(&manifest)?.set(&path, value.clone(), why)? {
            Set::Added | Set::Same => None,
            Set::Kept(kept) => Some(Finding::warning(
                "init-kept",
                Place::within(&manifest, &*item),
                format!("it stays {kept}, and not {value}: {why}"),
                format!("change it by hand, if {value} is right"),
            )),
        })
    }
}

/// A value as it is written.
fn toml(value: &Value) -> toml_edit::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Bool(value) => (*value).into(),
        Value::List(list) => list.iter().map(toml).collect(),
        Value::Table(table) => table.iter().map(|(key, value)| (key, toml(value))).collect(),
    }
}

/// The table and the key, as people write them.
fn item(package: Option<&str>, key: &[String]) -> String {
    let scope = if package.is_some() { "package" } else { "workspace" };
    let (name, tables) = key.split_last().map_or(("", key), |(name, tables)| (&**name, tables));
    let tables: String = tables.iter().map(|table| format!(".{table}")).collect();
    format!("[{scope}.metadata.dockless{tables}] {name}")
}

/// The xtask of two files with its alias; or only the alias of the one that is there.
fn xtask(here: &Here, manifests: &mut Manifests<'_>, planned: &mut Planned) -> Result<()> {
    let refuse = |path: &str, why: String, fix: String| {
        Finding::warning("init-xtask", Place::file(Path::new(path)), why, fix)
    };
    let instead = "or install dockless (`cargo install dockless`), and run `init --no-xtask`";
    if let Some(version) = &here.old_rust {
        planned.notes.push(refuse(
            MANIFEST,
            format!("an xtask is not written: it needs Rust {RUST}, and the project has {version}"),
            format!("update the toolchain of the project, {instead}"),
        ));
        return Ok(());
    }
    let name = here.xtask.as_deref().unwrap_or(XTASK);
    let files = [("xtask/src/main.rs", XTASK_MAIN), ("xtask/Cargo.toml", XTASK_MANIFEST)];
    let own = files.iter().find_map(|(path, text)| {
        let there = here.files.get(Path::new(path))?;
        (there.replace("\r\n", "\n") != *text).then_some((*path, there, *text))
    });
    let named = here.packages.iter().find(|(of, _)| of == XTASK);
    let named = named.filter(|(_, manifest)| manifest != Path::new("xtask/Cargo.toml"));
    match (&here.xtask, own, named) {
        (Some(_), _, _) => {}
        (None, Some((path, there, text)), _) => {
            let diff = diff::unified(path, Some(there), text);
            let diff = diff.trim_end();
            let why = format!(
                "it is a file of your own, so no xtask is written. The difference:\n{diff}"
            );
            let fix = "to take it over, add `dockless = \"0.1\"` to the dependencies of your own \
                       xtask and let its `main` end with `dockless::main(None)`, ";
            planned.notes.push(refuse(path, why, format!("{fix}{instead}")));
            return Ok(());
        }
        (None, None, Some((_, manifest))) => {
            let why = "the workspace has a package `xtask` already, so none is written";
            let fix = format!("add `dockless = \"0.1\"` to its dependencies, {instead}");
            planned.notes.push(refuse(&manifest.display().to_string(), why.into(), fix));
            return Ok(());
        }
        (None, None, None) => {
            for (path, text) in files {
                planned.write(here, Path::new(path), text.to_owned(), "the xtask");
            }
            manifests.edit(Path::new(MANIFEST))?.add_member(XTASK)?;
        }
    }
    manifests.edit(Path::new(MANIFEST))?.lay_under(XTASK_PROFILE)?;
    let mut configs = [".cargo/config", ".cargo/config.toml"].into_iter().map(Path::new);
    let config = configs.find(|path| here.files.contains_key(*path));
    let config = config.unwrap_or(Path::new(".cargo/config.toml"));
    let text = here.files.get(config).map(String::as_str).unwrap_or_default();
    let mut toml = Toml::parse(config, text)?;
    let alias = ALIAS.replace("--package xtask", &format!("--package {name}"));
    if toml.has(&["alias", XTASK]) {
        // That of an xtask which is there already may have options of its own.
        let runs = toml.text(&["alias", XTASK]);
        let runs = runs.is_some_and(|it| it.split(' ').any(|word| word == name));
        if !runs && here.xtask.is_none() {
            let why = "it has an alias `xtask` that runs something else, which stays";
            let fix = format!(
                "run the tool as `cargo run --package {name} --`, or take this alias: {}",
                alias.lines().last().unwrap_or_default()
            );
            planned.notes.push(refuse(&config.display().to_string(), why.into(), fix));
        }
        return Ok(());
    }
    toml.lay_under(&alias)?;
    let text = toml.finish()?;
    planned.write(here, config, text.trim_start().to_owned(), "the alias `cargo xtask`");
    Ok(())
}

fn ignore_dist(here: &Here, planned: &mut Planned) {
    let path = Path::new(IGNORED);
    let text = here.files.get(path).map(String::as_str).unwrap_or_default();
    let covers = |line: &str| {
        let line = line.trim().trim_start_matches("**/");
        ["dist", "/dist", "dist/", "/dist/"].contains(&line)
    };
    if !here.has_git || text.lines().any(covers) {
        return;
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let after = diff::keep_line_ends(text, &format!("{}{gap}/dist\n", text.replace("\r\n", "\n")));
    planned.write(here, path, after, "releases are made in dist/");
}

fn toolchain(here: &Here, channel: &str, planned: &mut Planned) {
    let text = format!(
        "# Everybody, and CI, builds with this toolchain.\n[toolchain]\nchannel = \"{channel}\"\n\
         components = [\"clippy\", \"rustfmt\"]\n"
    );
    for path in [TOOLCHAIN, "rust-toolchain"] {
        let Some(there) = here.files.get(Path::new(path)) else { continue };
        let pins = there.contains(channel);
        if !pins {
            planned.notes.push(Finding::warning(
                "init-kept",
                Place::file(Path::new(path)),
                format!(
                    "it stays, and this toolchain is {channel}. The difference:\n{}",
                    diff::unified(path, Some(there), &text).trim_end()
                ),
                "change it by hand, if this toolchain is the one that you want to pin",
            ));
        }
        return;
    }
    planned.write(here, Path::new(TOOLCHAIN), text, "the toolchain that everybody builds with");
}

/// The settings that differ from the defaults because of what the project is. What somebody set
/// is not suggested.
fn suggested(here: &Here, manifests: &Manifests<'_>) -> Result<Vec<Setting>> {
    let path = Path::new(MANIFEST);
    let text = here.files.get(path).map(String::as_str).unwrap_or_default();
    let manifest = match manifests.edited.get(path) {
        Some(manifest) => manifest,
        None => &Toml::parse(path, text)?,
    };
    let mut suggested = Vec::new();
    let mut suggest = |key: [&str; 2], value: Value, why: String| {
        if !manifest.has(&["workspace", "metadata", "dockless", key[0], key[1]]) {
            let key = key.map(str::to_owned).into();
            suggested.push(Setting { package: None, key, value, why });
        }
    };
    if let Some(changelog) = &here.changelog {
        let why = "The section about a version becomes its release notes.";
        suggest(["github", "changelog"], Value::text(changelog), why.to_owned());
    }
    if let Some(host) = &here.elsewhere {
        let why =
            format!("Releases are published on GitHub only, and this repository is at {host}.");
        suggest(["github", "ship"], Value::Bool(false), why);
    }
    Ok(suggested)
}

fn other_ci(here: &Here) -> impl Iterator<Item = Finding> {
    here.ci.iter().map(|(file, name)| {
        Finding::warning(
            "init-ci",
            Place::file(Path::new(file)),
            format!("`init` writes nothing for {name}, only workflows of GitHub"),
            "let it run `cargo dockless ci` for each change, and `cargo dockless release` for tags",
        )
    })
}
