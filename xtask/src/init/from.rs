//! Reads the files by which other tools release or run the project, and says which settings of
//! this tool mean the same, and what has none. Nothing is written here.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use crate::files::{self, Boundary, limits};
use crate::finding::{Finding, Place, said};
use crate::project::Package;
use crate::yaml::{Node, SyntaxError};

mod cross;
mod dist;
mod dockerfile;
mod flags;
mod goreleaser;
mod ko;
mod merge;
mod metadata;
mod tree;

pub use merge::merge;

/// The tools whose files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    GoReleaser,
    CargoDist,
    Ko,
    Dockerfile,
    Cross,
    Deb,
    Binstall,
}

/// A package of the workspace that has binaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    /// Absolute, as the workspace's root is.
    pub manifest: PathBuf,
    pub bins: Vec<String>,
}

/// What a file of another tool says, in this tool's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    pub kind: Kind,
    /// Relative to the workspace's root, where it is below it.
    pub file: PathBuf,
    pub settings: Vec<Setting>,
    /// What is not taken over, and what to do about it; each with its file and line.
    pub notes: Vec<String>,
    /// Why the file could not be read. The other files are read all the same.
    pub broken: Option<Finding>,
}

/// A setting that means what another tool's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The package that it is of; `None` for the workspace's.
    pub package: Option<String>,
    /// A path below the table `dockless`, such as `["image", "ports"]`.
    pub key: Vec<String>,
    pub value: Value,
    /// The file and the line that it comes from, and how, where that is not plain.
    pub why: String,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Bool(bool),
    List(Vec<Value>),
    /// In their order. No key is there twice.
    Table(Vec<(String, Value)>),
}

impl Kind {
    /// The name of the tool.
    pub fn name(self) -> &'static str {
        match self {
            Kind::GoReleaser => "GoReleaser",
            Kind::CargoDist => "cargo-dist",
            Kind::Ko => "ko",
            Kind::Dockerfile => "Docker",
            Kind::Cross => "cross",
            Kind::Deb => "cargo-deb",
            Kind::Binstall => "cargo-binstall",
        }
    }
}

impl Member {
    /// The packages that have binaries and are to be released: an xtask is not.
    pub fn all(packages: &[Package]) -> Vec<Member> {
        let shipped = packages.iter().filter(|it| !it.bins.is_empty() && !it.is_xtask);
        let member = |package: &Package| Member {
            name: package.name.clone(),
            manifest: package.manifest.clone(),
            bins: package.bins.iter().map(|bin| bin.name.clone()).collect(),
        };
        shipped.map(member).collect()
    }
}

impl Value {
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Value {
        Value::List(texts.into_iter().map(Value::text).collect())
    }
}

/// Reads all files of other tools that the workspace at `root` has. What no file says has no
/// setting; two files may say the same.
pub fn read(root: &Path, boundary: &Boundary, members: &[Member]) -> Result<Vec<Foreign>> {
    let scene = Scene { root, boundary, members };
    let mut found = Vec::new();
    for name in [".goreleaser.yaml", ".goreleaser.yml", "goreleaser.yaml", "goreleaser.yml"] {
        found.extend(scene.tree(Kind::GoReleaser, Path::new(name), goreleaser::read));
    }
    found.extend(scene.tree(Kind::CargoDist, Path::new("dist-workspace.toml"), dist::file));
    found.extend(scene.manifest(Kind::CargoDist, "dist", None, |table, _, sheet| {
        dist::read(table, None, sheet);
    }));
    for member in members {
        found.extend(scene.manifest(Kind::CargoDist, "dist", Some(member), |table, it, sheet| {
            dist::read(table, it, sheet);
        }));
    }
    found.extend(scene.tree(Kind::Ko, Path::new(".ko.yaml"), ko::read));
    found.extend(scene.dockerfiles());
    found.extend(scene.tree(Kind::Cross, Path::new("Cross.toml"), cross::read));
    for member in members {
        found.extend(scene.manifest(Kind::Deb, "deb", Some(member), |table, it, sheet| {
            it.into_iter().for_each(|it| metadata::deb(table, it, sheet));
        }));
        found.extend(scene.manifest(
            Kind::Binstall,
            "binstall",
            Some(member),
            |table, it, sheet| {
                it.into_iter().for_each(|it| metadata::binstall(table, it, sheet));
            },
        ));
    }
    Ok(found)
}

/// Reads a text as a file of a tool, in a workspace of one package without other files.
#[cfg(any(fuzzing, test))]
pub fn read_text(kind: Kind, text: &str) -> Foreign {
    let root = Path::new("/nowhere");
    let member = Member {
        name: "tool".to_owned(),
        manifest: root.join("Cargo.toml"),
        bins: vec!["tool".to_owned()],
    };
    let members = [member];
    let scene = Scene { root, boundary: &Boundary::default(), members: &members };
    let tree = |path, read: fn(&Node, &mut Sheet<'_>)| {
        scene.of_text(kind, path, text, |text, sheet| of_tree(path, text, sheet, read))
    };
    let table = |name: &'static str, member: Option<&Member>| {
        let path = Path::new("Cargo.toml");
        scene.of_text(kind, path, text, |text, sheet| {
            let Some(root) = tree::toml(text)? else { return Ok(()) };
            match (member, name) {
                (None, _) => dist::read(&root, None, sheet),
                (Some(it), "deb") => metadata::deb(&root, it, sheet),
                (Some(it), _) => metadata::binstall(&root, it, sheet),
            }
            Ok(())
        })
    };
    match kind {
        Kind::GoReleaser => tree(Path::new("a.yaml"), goreleaser::read),
        Kind::Ko => tree(Path::new("a.yaml"), ko::read),
        Kind::Cross => tree(Path::new("a.toml"), cross::read),
        Kind::Dockerfile => scene.of_text(kind, Path::new("Dockerfile"), text, dockerfile::read),
        Kind::CargoDist => table("dist", None),
        Kind::Deb => table("deb", members.first()),
        Kind::Binstall => table("binstall", members.first()),
    }
}

/// The workspace that is looked at.
struct Scene<'a> {
    root: &'a Path,
    boundary: &'a Boundary,
    members: &'a [Member],
}

/// How the text of a file becomes a tree, by the end of its name.
fn syntax(file: &Path) -> fn(&str) -> Result<Option<Node>, SyntaxError> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => tree::toml,
        _ => tree::yaml,
    }
}

/// Reads a text of YAML or TOML.
fn of_tree(
    path: &Path,
    text: &str,
    sheet: &mut Sheet<'_>,
    read: impl FnOnce(&Node, &mut Sheet<'_>),
) -> Result<(), SyntaxError> {
    if let Some(node) = syntax(path)(text)? {
        read(&node, sheet);
    }
    Ok(())
}

impl Scene<'_> {
    /// Reads a file of YAML or TOML, where it is there. `path` is relative to the root.
    fn tree(
        &self,
        kind: Kind,
        path: &Path,
        read: impl FnOnce(&Node, &mut Sheet<'_>),
    ) -> Option<Foreign> {
        self.file(kind, path, |text, sheet| of_tree(path, text, sheet, read))
    }

    /// Reads `metadata.NAME` of the workspace's Cargo.toml, or of a package's, where it is there.
    fn manifest(
        &self,
        kind: Kind,
        name: &str,
        member: Option<&Member>,
        read: impl FnOnce(&Node, Option<&Member>, &mut Sheet<'_>),
    ) -> Option<Foreign> {
        let of_root = self.root.join("Cargo.toml");
        let manifest = member.map_or(&of_root, |it| &it.manifest);
        let path = manifest.strip_prefix(self.root).unwrap_or(manifest).to_owned();
        let scope = if member.is_some() { "package" } else { "workspace" };
        let mut is_there = false;
        let found = self.file(kind, &path, |text, sheet| {
            // A manifest that cargo reads is read here too.
            let root = tree::toml(text)?;
            let table = root.as_ref().and_then(|it| it.get(scope)?.get("metadata")?.get(name));
            if let Some(table) = table {
                is_there = true;
                read(table, member, sheet);
            }
            Ok(())
        });
        found.filter(|found| is_there || found.broken.is_some())
    }

    /// The Dockerfiles at the root and beside packages.
    fn dockerfiles(&self) -> Vec<Foreign> {
        let mut folders = vec![PathBuf::new()];
        for member in self.members {
            let folder = member.manifest.parent().and_then(|it| it.strip_prefix(self.root).ok());
            folders.extend(folder.map(Path::to_owned));
        }
        folders.sort();
        folders.dedup();
        let mut found = Vec::new();
        for folder in folders {
            for name in ["Dockerfile", "Containerfile"] {
                found.extend(self.file(Kind::Dockerfile, &folder.join(name), dockerfile::read));
            }
        }
        found
    }

    /// Whether the workspace has a file of this name or pattern, relative to its root.
    fn has(&self, name: &str) -> bool {
        self.has_in(self.root, name)
    }

    /// The same, relative to a folder.
    fn has_in(&self, folder: &Path, name: &str) -> bool {
        let inside = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return false;
        }
        if folder.join(name).exists() {
            return self.boundary.admit(&folder.join(name)).is_ok();
        }
        // A pattern in the last part is looked for; one in a folder's name is taken as it is.
        let (above, last) = name.rsplit_once('/').unwrap_or(("", name));
        if above.contains(['*', '?', '[', '{']) {
            return true;
        }
        let Ok(pattern) = glob::Pattern::new(last) else { return false };
        let entries = files::list(&folder.join(above)).unwrap_or_default();
        let fits = |path: &Path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|it| pattern.matches(it))
        };
        last.contains(['*', '?', '['])
            && entries.iter().any(|it| fits(&it.path) && self.boundary.admit(&it.path).is_ok())
    }

    /// Reads a file, where it is there. What is wrong with it becomes a finding.
    fn file(
        &self,
        kind: Kind,
        path: &Path,
        read: impl FnOnce(&str, &mut Sheet<'_>) -> Result<(), SyntaxError>,
    ) -> Option<Foreign> {
        let text = match self.text(path) {
            Ok(text) => text?,
            Err(finding) => {
                let broken = Some(*finding);
                let file = path.to_owned();
                return Some(Foreign { kind, file, settings: vec![], notes: vec![], broken });
            }
        };
        Some(self.of_text(kind, path, &text, read))
    }

    fn of_text(
        &self,
        kind: Kind,
        path: &Path,
        text: &str,
        read: impl FnOnce(&str, &mut Sheet<'_>) -> Result<(), SyntaxError>,
    ) -> Foreign {
        let (settings, notes) = (Vec::new(), Vec::new());
        let mut sheet = Sheet { scene: self, file: path, settings, notes };
        let broken = read(text, &mut sheet).err().map(|error| {
            let place = Place::at(&self.root.join(path), error.line, error.column);
            Finding::error("init-from", place, error.why, FIX)
        });
        let Sheet { settings, mut notes, .. } = sheet;
        notes.sort_by_key(|(line, _)| *line);
        let notes = notes.into_iter().map(|(_, note)| note).collect();
        Foreign { kind, file: path.to_owned(), settings, notes, broken }
    }

    fn text(&self, path: &Path) -> Result<Option<String>, Box<Finding>> {
        let file = self.root.join(path);
        let fault = |why: String, fix: String| {
            Box::new(Finding::error("init-from", Place::file(&file), why, fix))
        };
        match self.boundary.read_if_there(&file, limits::SETTINGS) {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(fault("it is not UTF-8".to_owned(), FIX.to_owned())),
            },
            Err(error) => {
                let (why, help) = said(&error);
                Err(fault(why, help.unwrap_or_else(|| FIX.to_owned())))
            }
        }
    }
}

/// The fix for a file that cannot be read.
const FIX: &str = "correct the file, or write the settings by hand";

/// What a reader of a file writes down.
struct Sheet<'a> {
    scene: &'a Scene<'a>,
    /// As in [`Foreign`].
    file: &'a Path,
    settings: Vec<Setting>,
    /// Each with its line.
    notes: Vec<(usize, String)>,
}

impl Sheet<'_> {
    /// A setting of the workspace.
    fn workspace(&mut self, key: &[&str], value: Value, line: usize) {
        self.set(None, key, value, line);
    }

    fn set(&mut self, package: Option<&str>, key: &[&str], value: Value, line: usize) {
        let key: Vec<String> = key.iter().copied().map(str::to_owned).collect();
        let why = format!("from {}:{line}", self.file.display());
        self.settings.push(Setting { package: package.map(str::to_owned), key, value, why });
    }

    /// The same, unless a line before says it.
    fn once(&mut self, package: Option<&str>, key: &[&str], value: Value, line: usize) {
        let is_it = |it: &Setting| it.package.as_deref() == package && it.key == key;
        if !self.settings.iter().any(is_it) {
            self.set(package, key, value, line);
        }
    }

    /// What is not taken over, and why. The same is said once.
    fn note(&mut self, line: usize, text: impl AsRef<str>) {
        let note = (line, format!("{}:{line}: {}", self.file.display(), text.as_ref()));
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

#[cfg(test)]
mod tests;
