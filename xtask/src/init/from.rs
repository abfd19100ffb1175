//! Reads the files by which other tools release or run the project, and says which settings of
//! this tool mean the same, and what has none. Nothing is written here.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::files::{Boundary, limits};
use crate::finding::{Finding, Place, said};
use crate::project::Package;
use crate::yaml::{Node, SyntaxError};

mod cross;
mod tree;

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
    Integer(i64),
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
    found.extend(scene.tree(Kind::Cross, Path::new("Cross.toml"), cross::read));
    Ok(found)
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

impl Scene<'_> {
    /// Reads a file of YAML or TOML, where it is there. `path` is relative to the root.
    fn tree(
        &self,
        kind: Kind,
        path: &Path,
        read: impl FnOnce(&Node, &mut Sheet<'_>),
    ) -> Option<Foreign> {
        self.file(kind, path, |text, sheet| {
            if let Some(node) = syntax(path)(text)? {
                read(&node, sheet);
            }
            Ok(())
        })
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
        let (settings, notes) = (Vec::new(), Vec::new());
        let mut sheet = Sheet { scene: self, file: path, settings, notes };
        let broken = read(&text, &mut sheet).err().map(|error| {
            let place = Place::at(&self.root.join(path), error.line, error.column);
            Finding::error("init-from", place, error.why, FIX)
        });
        let Sheet { settings, notes, .. } = sheet;
        Some(Foreign { kind, file: path.to_owned(), settings, notes, broken })
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
    notes: Vec<String>,
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

    /// What is not taken over, and why.
    fn note(&mut self, line: usize, text: impl AsRef<str>) {
        self.notes.push(format!("{}:{line}: {}", self.file.display(), text.as_ref()));
    }
}

#[cfg(test)]
mod tests;
