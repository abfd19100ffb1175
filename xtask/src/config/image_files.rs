//! The files that an image is to hold, found and given their places.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Scope, expand};
use crate::files;
use crate::finding::Finding;

/// An entry of `files` as it was typed; the types are those of the example in
/// `default.toml`.
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
    /// A folder that only was on the way to others: one that is there already stays as
    /// it is.
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

/// More files than this are taken for a mistake, such as a `from` that names a
/// build folder.
const MOST: usize = 100_000;

/// What the entries mean, sorted by path; every fault becomes a finding.
pub fn files(
    scope: &Scope<'_>,
    keys: Vec<FileKeys>,
    findings: &mut Vec<Finding>,
) -> Vec<ImageFile> {
    let mut found: BTreeMap<String, ImageFile> = BTreeMap::new();
    for (at, keys) in keys.into_iter().enumerate() {
        let mut fault = |why: String| {
            let place = scope.place(&format!("image.files[{at}]"));
            findings.push(Finding::error(
                "config-image",
                place,
                why,
                super::schema::example("image.files"),
            ));
        };
        let files = match entry(scope, &keys) {
            Ok(files) => files,
            Err(error) => {
                fault(format!("{error:#}"));
                continue;
            }
        };
        for file in files {
            match found.get(&file.to) {
                // Whatever else says of it, a folder on the way takes it as it is.
                Some(other) if file.node == ImageNode::Walked && other.node.is_folder() => {}
                Some(other)
                    if *other != file
                        && !(other.node == ImageNode::Walked && file.node.is_folder()) =>
                {
                    fault(format!("/{} comes from two places", file.to));
                }
                _ => drop(found.insert(file.to.clone(), file)),
            }
        }
        if found.len() > MOST {
            fault(format!("there are more than {MOST} files"));
            break;
        }
    }
    within_files(&found, scope, findings);
    found.into_values().collect()
}

/// Complains of paths that lead through a file or a link.
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

fn entry(scope: &Scope<'_>, keys: &FileKeys) -> anyhow::Result<Vec<ImageFile>> {
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
    let project = scope.project;
    // What builds leave behind would be another thing in the next image.
    let refused = vec![project.target_dir.clone(), project.dist()];
    let rules = Rules { mode, owner, refused };
    let mut found = Vec::new();
    let pattern = from.contains(['*', '?', '[']);
    for source in &sources(scope, from)? {
        // A folder that is named itself gives what is in it, as in Dockerfiles.
        let itself = pattern || (typed.ends_with('/') && !source.is_dir());
        let below = if itself { join(&to, &name_of(source)?) } else { to.clone() };
        if source.is_dir() {
            rules.folder(source, source, &below, &mut found)?;
        } else {
            anyhow::ensure!(!below.is_empty(), "{typed:?} is the root itself");
            found.push(rules.file(&files::resolve(source)?, below)?);
        }
    }
    Ok(found)
}

/// The files and folders that a pattern names, all within the project.
fn sources(scope: &Scope<'_>, from: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut parts = Path::new(from).components();
    let inside = parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    anyhow::ensure!(inside, "{from:?} leads out of the project");
    let root = &scope.project.root;
    let here = expand(&scope.package.dir, from, true)?;
    let found = if here.is_empty() { expand(root, from, true)? } else { here };
    anyhow::ensure!(!found.is_empty(), "nothing matches {from:?}");
    let boundary = scope.project.git.as_ref().map_or(root, |git| &git.top);
    found.iter().try_for_each(|path| files::ensure_within(path, boundary))?;
    Ok(found)
}

/// What entries of `files` are given.
struct Rules {
    mode: Option<u32>,
    owner: Owner,
    /// Folders that no image holds.
    refused: Vec<PathBuf>,
}

impl Rules {
    fn file(&self, path: &Path, to: String) -> anyhow::Result<ImageFile> {
        anyhow::ensure!(path.is_file(), "{} is no regular file", path.display());
        let plain = if files::is_executable(path)? { 0o755 } else { 0o644 };
        let node = ImageNode::File(path.to_owned());
        Ok(ImageFile { to, node, mode: self.mode.unwrap_or(plain), owner: self.owner })
    }

    /// The folder `dir` and all that is in it. Links may lead nowhere but below `top`.
    fn folder(
        &self,
        top: &Path,
        dir: &Path,
        to: &str,
        found: &mut Vec<ImageFile>,
    ) -> anyhow::Result<()> {
        let git = dir.file_name().is_some_and(|name| name == ".git");
        anyhow::ensure!(
            !git && !self.refused.iter().any(|refused| dir == refused),
            "{} would go into the image; name narrower folders",
            dir.display()
        );
        if !to.is_empty() {
            // Who may read a folder's files may also enter it.
            let mode = self.mode.map_or(0o755, |mode| mode | (mode & 0o444) >> 2);
            let (to, owner) = (to.to_owned(), self.owner);
            found.push(ImageFile { to, node: ImageNode::Walked, mode, owner });
        }
        for entry in files::list(dir)? {
            let below = join(to, &name_of(&entry.path)?);
            anyhow::ensure!(found.len() <= MOST, "{} holds more than {MOST} files", top.display());
            if entry.path.is_symlink() {
                let target = link(top, &entry.path)?;
                let (node, owner) = (ImageNode::Link(target), self.owner);
                found.push(ImageFile { to: below, node, mode: 0o777, owner });
            } else if entry.path.is_dir() {
                self.folder(top, &entry.path, &below, found)?;
            } else {
                found.push(self.file(&entry.path, below)?);
            }
        }
        Ok(())
    }
}

/// A link's target as it is written, where it stays below `top`.
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

/// An absolute path of an image as a layer has it: relative, without a slash at
/// its end.
pub fn place(to: &str) -> anyhow::Result<String> {
    anyhow::ensure!(to.starts_with('/'), "{to:?} is no absolute path");
    let parts = to.split('/').filter(|part| !part.is_empty());
    let mut place = String::new();
    for part in parts {
        let fit = part != "." && part != ".." && !part.starts_with(".wh.");
        anyhow::ensure!(fit && !part.contains('\0'), "{to:?} is no plain path");
        place = join(&place, part);
    }
    anyhow::ensure!(place.len() <= 4000, "{to:?} is too long");
    Ok(place)
}

/// Three or four octal digits.
fn mode(text: &str) -> anyhow::Result<u32> {
    let octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..b'8').contains(&byte));
    anyhow::ensure!(octal, "{text:?} is no mode; one looks like 0644");
    Ok(u32::from_str_radix(text, 8)?)
}

/// `uid` or `uid:gid`; without a group it is the user's number, as in Dockerfiles.
fn owner(text: &str) -> anyhow::Result<Owner> {
    let (user, group) = text.split_once(':').unwrap_or((text, text));
    let owner = id(user).zip(id(group)).map(|(uid, gid)| Owner { uid, gid });
    owner.ok_or_else(|| anyhow::anyhow!("{text:?} is no owner; one looks like 65532:65532"))
}

/// A user's or a group's number, as far as engines take them.
/// <https://github.com/moby/sys/blob/main/user/user.go> (maxID)
pub fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id <= i32::MAX as u32)
}
