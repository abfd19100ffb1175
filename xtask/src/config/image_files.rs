//! Finds the files of an image and their places in it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use super::Scope;
use super::sources::{self, How};
use crate::files::{self, Boundary};
use crate::finding::{Finding, said};

/// An entry of `files` as typed. Its types are those of the example in `default.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileKeys {
    from: Option<String>,
    to: Option<String>,
    mode: Option<String>,
    owner: Option<String>,
}

/// One file, folder or link of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageFile {
    /// Relative to the root, as in a layer.
    pub to: String,
    pub node: ImageNode,
    /// Permission bits.
    pub mode: u32,
    pub owner: Owner,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageNode {
    Dir,
    /// A folder that a copied folder implies. One that exists already stays as it is.
    Walked,
    File(PathBuf),
    Link(String),
}

impl ImageNode {
    pub fn is_folder(&self) -> bool {
        matches!(self, ImageNode::Dir | ImageNode::Walked)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Whom a program runs as, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: Option<u32>,
}

impl User {
    /// `uid` or `uid:gid`
    pub fn parse(text: &str) -> Option<User> {
        let (uid, gid) = match text.split_once(':') {
            Some((uid, gid)) => (uid, Some(id(gid)?)),
            None => (text, None),
        };
        Some(User { uid: id(uid)?, gid })
    }

    /// The owner of the user's files. Without a group it is the user's number, as in
    /// Dockerfiles.
    pub fn owner(self) -> Owner {
        Owner { uid: self.uid, gid: self.gid.unwrap_or(self.uid) }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gid {
            Some(gid) => write!(f, "{}:{gid}", self.uid),
            None => write!(f, "{}", self.uid),
        }
    }
}

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// More files than this are a mistake, such as a `from` that names a build folder.
const MAX_FILES: usize = 100_000;

/// The files of all entries, sorted by path. Every fault becomes a finding.
pub fn files(
    scope: &Scope<'_>,
    keys: Vec<FileKeys>,
    findings: &mut Vec<Finding>,
) -> Vec<ImageFile> {
    let mut found: BTreeMap<String, ImageFile> = BTreeMap::new();
    let mut lookalikes = Vec::new();
    for (at, keys) in keys.into_iter().enumerate() {
        let mut fault = |error: anyhow::Error| {
            let place = scope.place(&format!("image.files[{at}]"));
            let (why, help) = said(&error);
            let fix = help.unwrap_or_else(|| super::schema::example("image.files"));
            findings.push(Finding::error("config-image", place, why, fix));
        };
        let files = match entry(scope, &keys, &mut lookalikes) {
            Ok(files) => files,
            Err(error) => {
                fault(error);
                continue;
            }
        };
        for file in files {
            match found.get(&file.to) {
                // An implied folder yields to any other one.
                Some(other) if file.node == ImageNode::Walked && other.node.is_folder() => {}
                Some(other)
                    if *other != file
                        && !(other.node == ImageNode::Walked && file.node.is_folder()) =>
                {
                    fault(anyhow::anyhow!("/{} comes from two places", file.to));
                }
                _ => drop(found.insert(file.to.clone(), file)),
            }
        }
        if found.len() > MAX_FILES {
            fault(anyhow::anyhow!("there are more than {MAX_FILES} files"));
            break;
        }
    }
    within_files(&found, scope, findings);
    findings.extend(lookalikes);
    found.into_values().collect()
}

/// Adds a finding for each path that leads through a file or a link.
fn within_files(
    found: &BTreeMap<String, ImageFile>,
    scope: &Scope<'_>,
    findings: &mut Vec<Finding>,
) {
    for path in found.keys() {
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        for parent in parents {
            if found.get(parent).is_some_and(|file| !file.node.is_folder()) {
                let why = format!("/{path} would lie in /{parent}, which is no folder");
                let place = scope.place("image.files");
                findings.push(Finding::error("config-image", place, why, "rename one of them"));
            }
        }
    }
}

/// `lookalikes` receives findings on names that could be patterns.
fn entry(
    scope: &Scope<'_>,
    keys: &FileKeys,
    lookalikes: &mut Vec<Finding>,
) -> anyhow::Result<Vec<ImageFile>> {
    let typed = keys.to.as_deref().unwrap_or_default();
    anyhow::ensure!(!typed.is_empty(), "it has no `to`");
    let to = place(typed)?;
    let mode = keys.mode.as_deref().map(mode).transpose()?;
    let owner = keys.owner.as_deref().map(owner).transpose()?.unwrap_or_default();
    let Some(from) = keys.from.as_deref() else {
        anyhow::ensure!(!to.is_empty(), "{typed:?} is the root itself");
        let mode = mode.unwrap_or(0o755);
        return Ok(vec![ImageFile { to, node: ImageNode::Dir, mode, owner }]);
    };
    let rules = Rules { mode, owner, boundary: &scope.project.boundary };
    let mut found = Vec::new();
    for source in sources::find(scope, from)? {
        let path = &source.path;
        // Naming a folder copies its contents, as in Dockerfiles.
        let itself = source.how == How::Pattern || (typed.ends_with('/') && !path.is_dir());
        let below = if itself { join(&to, &name_of(path)?) } else { to.clone() };
        let real = rules.boundary.admit(path)?;
        if real.is_dir() {
            rules.folder(&real, &real, &below, &mut found)?;
        } else {
            anyhow::ensure!(!below.is_empty(), "{typed:?} is the root itself");
            found.push(rules.file(&real, below)?);
        }
        if source.how == How::Lookalike {
            lookalikes.push(sources::lookalike(scope, "image.files", from));
        }
    }
    Ok(found)
}

/// The mode and owner of an entry's files, and where they may come from.
struct Rules<'a> {
    mode: Option<u32>,
    owner: Owner,
    boundary: &'a Boundary,
}

impl Rules<'_> {
    fn file(&self, path: &Path, to: String) -> anyhow::Result<ImageFile> {
        anyhow::ensure!(path.is_file(), "{} is not a regular file", path.display());
        let plain = if files::is_executable(path)? { 0o755 } else { 0o644 };
        let node = ImageNode::File(path.to_owned());
        Ok(ImageFile { to, node, mode: self.mode.unwrap_or(plain), owner: self.owner })
    }

    /// The folder `dir` with its contents. Links must stay below `top`.
    fn folder(
        &self,
        top: &Path,
        dir: &Path,
        to: &str,
        found: &mut Vec<ImageFile>,
    ) -> anyhow::Result<()> {
        if !to.is_empty() {
            // Whoever may read the files may also enter the folder.
            let mode = self.mode.map_or(0o755, |mode| mode | (mode & 0o444) >> 2);
            let node = ImageNode::Walked;
            found.push(ImageFile { to: to.to_owned(), node, mode, owner: self.owner });
        }
        for entry in files::list(dir)? {
            let below = join(to, &name_of(&entry.path)?);
            anyhow::ensure!(
                !self.boundary.is_closed(&entry.path),
                "{} would go into the image; name narrower folders",
                entry.path.display()
            );
            anyhow::ensure!(
                found.len() <= MAX_FILES,
                "{} holds more than {MAX_FILES} files",
                top.display()
            );
            if entry.path.is_symlink() {
                let node = ImageNode::Link(link(top, &entry.path)?);
                found.push(ImageFile { to: below, node, mode: 0o777, owner: self.owner });
            } else if entry.path.is_dir() {
                self.folder(top, &entry.path, &below, found)?;
            } else {
                found.push(self.file(&entry.path, below)?);
            }
        }
        Ok(())
    }
}

/// A link's target as written. An error where it leaves `top`.
fn link(top: &Path, link: &Path) -> anyhow::Result<String> {
    let target = files::read_link(link)?;
    let shown = || format!("the link {} to {}", link.display(), target.display());
    let text = target.to_str().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| anyhow::anyhow!("{} is not UTF-8", shown()))?;
    let above = link.strip_prefix(top)?.components().count() - 1;
    let mut depth = i64::try_from(above)?;
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::Prefix(_) => depth = -1,
        }
        anyhow::ensure!(depth >= 0, "{} leads out of {}", shown(), top.display());
    }
    Ok(text.replace('\\', if cfg!(windows) { "/" } else { "\\" }))
}

fn name_of(path: &Path) -> anyhow::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name =
        name.ok_or_else(|| anyhow::anyhow!("the name of {} is not UTF-8", path.display()))?;
    anyhow::ensure!(
        !name.starts_with(".wh."),
        "{} has a name that removes files of lower layers",
        path.display()
    );
    Ok(name.to_owned())
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// An absolute path of an image as it is in a layer: relative, without a trailing slash.
pub fn place(to: &str) -> anyhow::Result<String> {
    anyhow::ensure!(to.starts_with('/'), "{to:?} is not an absolute path");
    let parts = to.split('/').filter(|part| !part.is_empty());
    let mut place = String::new();
    for part in parts {
        let fit = part != "." && part != ".." && !part.starts_with(".wh.");
        anyhow::ensure!(fit && !part.contains('\0'), "{to:?} is not a plain path");
        place = join(&place, part);
    }
    anyhow::ensure!(place.len() <= 4000, "{to:?} is too long");
    Ok(place)
}

/// Three or four octal digits.
fn mode(text: &str) -> anyhow::Result<u32> {
    let octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..b'8').contains(&byte));
    anyhow::ensure!(octal, "{text:?} is not a mode such as 0644");
    Ok(u32::from_str_radix(text, 8)?)
}

/// `uid` or `uid:gid`. The group defaults to the user's number, as in Dockerfiles.
fn owner(text: &str) -> anyhow::Result<Owner> {
    let owner = User::parse(text).map(User::owner);
    owner.ok_or_else(|| anyhow::anyhow!("{text:?} is not an owner such as 65532:65532"))
}

/// The number of a user or a group, up to the engines' limit.
/// <https://github.com/moby/sys/blob/main/user/user.go> (maxID)
fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id <= i32::MAX as u32)
}
