//! The file system below the binaries: the builtin base's part, and the files
//! that config names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;

use super::entry::{Content, Entry, Node};
use super::layer::write_tar;
use super::rootfs;
use crate::config::{Base, ImageFile, ImageNode, Owner};
use crate::finding::failure;
use crate::plan::{BIN, ImagePlan};

/// Writes all of an image but its binaries and another's base as one tar, for those
/// who build it with a Dockerfile.
pub fn rootfs_tar(plan: &ImagePlan, out: impl Write) -> Result<()> {
    let lower = lower(plan)?;
    let all = lower.base.iter().chain(&lower.files);
    // A file of the config stands for one of the base.
    let all: BTreeMap<&str, &Entry> = all.map(|entry| (&*entry.path, entry)).collect();
    // The folder of the binaries is the tar's too: who unpacks it makes none.
    let bin = lower.with_parents(vec![folder(BIN)])?;
    let mut entries: BTreeMap<String, Entry> =
        bin.into_iter().map(|entry| (entry.path.clone(), entry)).collect();
    if lower.foreign {
        entries.clear();
    }
    entries.extend(all.into_iter().map(|(path, entry)| (path.to_owned(), entry.clone())));
    let entries: Vec<Entry> = entries.into_values().collect();
    write_tar(&entries, out, &ProgressBar::hidden())?.flush().context("write the tar")
}

/// What lies below the binaries, as far as it is made here.
#[derive(Clone, Debug)]
pub struct Lower {
    /// Empty where the base is another's, or nothing.
    pub base: Vec<Entry>,
    /// The files of the config, with the folders that lead to them.
    pub files: Vec<Entry>,
    /// Whether there is more below, which is not looked into.
    foreign: bool,
}

/// Finds what the plan's image holds beside its binaries. Reads the files.
pub fn lower(plan: &ImagePlan) -> Result<Lower> {
    let base = match plan.base {
        Base::Builtin => rootfs::entries(),
        Base::Scratch | Base::Stored(_) | Base::Named(_) => Vec::new(),
    };
    let foreign = matches!(plan.base, Base::Stored(_) | Base::Named(_));
    let lower = Lower { base, files: Vec::new(), foreign };
    let wanted = plan.files.iter().filter(|file| !lower.has(file, &plan.files));
    let mut files: Vec<Entry> = wanted.map(entry).collect::<Result<_>>()?;
    if !foreign {
        files.extend(own_folders(plan, &lower.base, &files));
    }
    let files = lower.with_parents(files)?;
    Ok(Lower { files, ..lower })
}

fn entry(file: &ImageFile) -> Result<Entry> {
    let node = match &file.node {
        ImageNode::Dir | ImageNode::Walked => Node::Dir,
        ImageNode::File(path) => Node::File(Content::of(path)?),
        ImageNode::Link(target) => Node::Symlink(target.clone()),
    };
    let (path, mode, owner) = (file.to.clone(), file.mode, file.owner);
    Ok(Entry { path, node, mode, uid: owner.uid, gid: owner.gid })
}

/// The folders that the program is to start in and to keep its data in, where nothing
/// else brings them. They are the user's: engines would make them root's, and the
/// program could write nothing there.
fn own_folders(plan: &ImagePlan, base: &[Entry], files: &[Entry]) -> Vec<Entry> {
    let there = |path: &str| base.iter().chain(files).any(|entry| entry.path == path);
    let (user, group) = plan.config.user.split_once(':').unwrap_or((&plan.config.user, ""));
    let uid = user.parse().unwrap_or(0);
    let gid = group.parse().unwrap_or(uid);
    let paths: BTreeSet<&str> = plan
        .config
        .volumes
        .iter()
        .chain(&plan.config.workdir)
        .map(|path| path.trim_matches('/'))
        .filter(|path| !path.is_empty() && !there(path))
        .collect();
    paths.into_iter().map(|path| Entry { uid, gid, ..folder(path) }).collect()
}

impl Lower {
    /// Whether a folder that only was on the way is there already, or comes with what
    /// is in it. Of a foreign base it is not known: there it may be a link, so that it
    /// is named only where the settings say whose it is.
    fn has(&self, file: &ImageFile, all: &[ImageFile]) -> bool {
        if file.node != ImageNode::Walked {
            return false;
        }
        let there = |entry: &Entry| entry.path == file.to && entry.node == Node::Dir;
        let below = format!("{}/", file.to);
        let plain = file.mode == 0o755 && file.owner == Owner::default();
        let implied = self.foreign && plain && all.iter().any(|it| it.to.starts_with(&below));
        self.base.iter().any(there) || implied
    }

    /// The entries, sorted, with the folders that lead to them and are not there.
    ///
    /// On a foreign base no folder is added: it may be there as a link, as /bin is
    /// in many, and with rights of its own. Engines make those that are missing.
    pub fn with_parents(&self, entries: Vec<Entry>) -> Result<Vec<Entry>> {
        let own: BTreeSet<String> = entries.iter().map(|entry| entry.path.clone()).collect();
        let below: BTreeMap<&str, &Entry> =
            self.base.iter().chain(&self.files).map(|entry| (&*entry.path, entry)).collect();
        for entry in entries.iter().filter(|entry| entry.node != Node::Dir) {
            let over = below.get(&*entry.path).is_some_and(|below| below.node == Node::Dir);
            if over {
                bail!(failure(
                    format!("/{} is a folder of the base, and would become a file", entry.path),
                    "end its `to` with a slash to put the file into the folder",
                ));
            }
        }
        let mut added = BTreeMap::new();
        for path in &own {
            for parent in path.match_indices('/').map(|(at, _)| &path[..at]) {
                match below.get(parent) {
                    Some(Entry { node: Node::Dir, .. }) => {}
                    Some(_) => bail!(failure(
                        format!("/{path} would lie in /{parent}, which is no folder in the base"),
                        "give it another `to`",
                    )),
                    None if own.contains(parent) || self.foreign => {}
                    None => drop(added.insert(parent.to_owned(), folder(parent))),
                }
            }
        }
        let all = entries.into_iter().map(|entry| (entry.path.clone(), entry)).chain(added);
        Ok(all.collect::<BTreeMap<_, _>>().into_values().collect())
    }
}

fn folder(path: &str) -> Entry {
    Entry { path: path.to_owned(), node: Node::Dir, mode: 0o755, uid: 0, gid: 0 }
}
