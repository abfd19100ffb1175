//! The file system above the base: the files that config names, and the programs, each
//! at its place in the base's tree.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Error, Result};
use indicatif::ProgressBar;

use super::base_tree::{At, Blocked, Folder, Resolved, Tree};
use super::entry::{Content, Entry, Node};
use super::layer::write_tar;
use super::rootfs;
use crate::config::{Base, ImageNode, Owner};
use crate::finding::failure;
use crate::plan::{BIN, ImagePlan};
use crate::term::tame;

/// What is said to do where two things cannot be at one place.
const ELSEWHERE: &str = "give it another `to`";

/// An entry where it was asked for: its path may lead through links of the base.
#[derive(Clone, Debug)]
pub struct Wish {
    entry: Entry,
    /// Whether it is a folder that only was on the way to others: one that is there
    /// already stays as it is.
    walked: bool,
}

/// Writes all of an image but its binaries and another's base as one tar, for those
/// who build it with a Dockerfile. `trees` are those of the base, for each platform, where
/// they are known.
pub fn rootfs_tar(plan: &ImagePlan, trees: &[&Tree], out: impl Write) -> Result<()> {
    let wishes = wishes(plan, &Content::of)?;
    let mut all = BTreeMap::new();
    if let [first, others @ ..] = trees {
        let files = |tree: &Tree| Ok::<_, Error>(lower(plan, tree, &wishes)?.files);
        all = files(first)?;
        for other in others {
            if files(other)? != all {
                return Err(failure(
                    "the base has other folders for one platform than for another, and all are to \
                     be built of one rootfs.tar",
                    "name one platform with --platform",
                ));
            }
        }
    } else if foreign(plan) {
        // Builders go through the links of what is there, and make what is missing.
        let named = wishes.iter().filter(|wish| !implied(wish, &wishes));
        all.extend(named.map(|wish| (wish.entry.path.clone(), wish.entry.clone())));
    } else {
        let base = match plan.base {
            Base::Builtin => rootfs::entries(),
            _ => Vec::new(),
        };
        let tree = Tree::of(&base);
        let lower = lower(plan, &tree, &wishes)?;
        // The folder of the binaries is the tar's too: who unpacks it makes none.
        let bin = lower.with(vec![Wish { entry: folder(BIN), walked: true }])?;
        // A file of the config stands for one of the base.
        let entries = base.into_iter().chain(lower.into_files()).chain(bin);
        all.extend(entries.map(|entry| (entry.path.clone(), entry)));
    }
    let entries: Vec<Entry> = all.into_values().collect();
    if entries.is_empty() {
        return write_nothing(out);
    }
    write_tar(&entries, out, &ProgressBar::hidden())?.flush().context("write the tar")
}

/// A tar that adds nothing. One without any header is no tar to builders, who would put it
/// into the image as a file.
fn write_nothing(mut out: impl Write) -> Result<()> {
    let record = b"19 comment=nothing\n";
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::XGlobalHeader);
    header.set_mode(0o644);
    header.set_size(record.len() as u64);
    let mut tar = tar::Builder::new(&mut out);
    let added = tar.append_data(&mut header, "pax_global_header", &record[..]);
    added.and_then(|()| tar.finish()).context("write the tar")?;
    drop(tar);
    out.flush().context("write the tar")
}

/// Whether [`rootfs_tar`] depends on what a base in a registry holds: it names folders, which
/// builders would put in the place of links, or give other rights than they have.
pub fn names_folders(plan: &ImagePlan) -> Result<bool> {
    let wishes = wishes(plan, &|_| Ok(Content::Bytes((&b""[..]).into())))?;
    let folder = |wish: &Wish| wish.entry.node == Node::Dir && !implied(wish, &wishes);
    Ok(matches!(plan.base, Base::Named(_)) && wishes.iter().any(folder))
}

/// Whether a folder comes with what is in it, where nobody knows what the base has there.
fn implied(wish: &Wish, all: &[Wish]) -> bool {
    let Entry { path, mode, uid, gid, .. } = &wish.entry;
    let below = format!("{path}/");
    let plain = (*mode, Owner { uid: *uid, gid: *gid }) == (0o755, Owner::default());
    wish.walked && plain && all.iter().any(|it| it.entry.path.starts_with(&below))
}

fn foreign(plan: &ImagePlan) -> bool {
    matches!(plan.base, Base::Stored(_) | Base::Named(_))
}

/// What the config's files are to be, with the contents that `content` finds.
pub fn wishes(plan: &ImagePlan, content: &dyn Fn(&Path) -> Result<Content>) -> Result<Vec<Wish>> {
    let wish = |file: &crate::config::ImageFile| {
        let node = match &file.node {
            ImageNode::Dir | ImageNode::Walked => Node::Dir,
            ImageNode::File(path) => Node::File(content(path)?),
            ImageNode::Link(target) => Node::Symlink(target.clone()),
        };
        let (path, mode, Owner { uid, gid }) = (file.to.clone(), file.mode, file.owner);
        let entry = Entry { path, node, mode, uid, gid, time: 0 };
        Ok(Wish { entry, walked: file.node == ImageNode::Walked })
    };
    plan.files.iter().map(wish).collect()
}

/// A program of the image.
pub fn program(bin: &str, content: Content) -> Wish {
    let (path, node) = (format!("{BIN}/{bin}"), Node::File(content));
    Wish { entry: Entry { node, ..folder(&path) }, walked: false }
}

/// Fails where the plan's files or programs have no place in the tree.
pub fn check(plan: &ImagePlan, tree: &Tree) -> Result<()> {
    // What files hold is read later: here they are told apart by where they are.
    let content = |name: &str| Content::Bytes(name.as_bytes().to_vec().into());
    let wishes = wishes(plan, &|path| Ok(content(&path.to_string_lossy())))?;
    let programs = plan.bins.iter().map(|bin| program(bin, content(bin))).collect();
    lower(plan, tree, &wishes)?.with(programs).map(drop)
}

/// What lies below the binaries.
#[derive(Debug)]
pub struct Lower<'a> {
    tree: &'a Tree,
    /// The files of the config, with the folders that lead to them.
    files: BTreeMap<String, Entry>,
}

/// Puts the files of the plan into the base's tree.
pub fn lower<'a>(plan: &ImagePlan, tree: &'a Tree, wishes: &[Wish]) -> Result<Lower<'a>> {
    let mut wishes = wishes.to_vec();
    if !foreign(plan) {
        let own = own_folders(plan, tree, &wishes);
        wishes.extend(own);
    }
    let lower = Lower { tree, files: BTreeMap::new() };
    let files = lower.place(wishes)?;
    Ok(Lower { files, ..lower })
}

/// The folders that the program is to start in and to keep its data in, where nothing
/// else brings them. They are the user's: engines would make them root's, and the
/// program could write nothing there.
fn own_folders(plan: &ImagePlan, tree: &Tree, wishes: &[Wish]) -> Vec<Wish> {
    let there =
        |path: &str| tree.at(path).is_some() || wishes.iter().any(|it| it.entry.path == path);
    let (user, group) = plan.config.user.split_once(':').unwrap_or((&plan.config.user, ""));
    let uid = user.parse().unwrap_or(0);
    let gid = group.parse().unwrap_or(uid);
    let paths = plan.config.volumes.iter().chain(&plan.config.workdir);
    let paths = paths.map(|path| path.trim_matches('/'));
    let missing = paths.filter(|path| !path.is_empty() && !there(path));
    let own = |path| Wish { entry: Entry { uid, gid, ..folder(path) }, walked: true };
    missing.map(own).collect()
}

/// What was found a place for.
struct Placed {
    entry: Entry,
    walked: bool,
    /// The path that was asked for.
    asked: String,
}

impl Lower<'_> {
    /// The files, sorted.
    pub fn into_files(self) -> Vec<Entry> {
        self.files.into_values().collect()
    }

    /// The entries of a layer above the files, sorted.
    pub fn with(&self, wishes: Vec<Wish>) -> Result<Vec<Entry>> {
        Ok(self.place(wishes)?.into_values().collect())
    }

    /// The entries of a layer, by their paths: each where the links of the base lead, with
    /// the folders above it, which are as they are below. Engines unpack each layer by
    /// itself: a folder that it does not name, or names where the base has a link, would
    /// cover what is there with another of its own making.
    fn place(&self, wishes: Vec<Wish>) -> Result<BTreeMap<String, Entry>> {
        let mut placed: BTreeMap<String, Placed> = BTreeMap::new();
        let mut links: BTreeMap<String, String> = BTreeMap::new();
        for wish in wishes {
            let (asked, walked) = (wish.entry.path.clone(), wish.walked);
            let Some((path, through)) = self.real(&wish)? else { continue };
            links.extend(through.into_iter().map(|link| (link, asked.clone())));
            if self.files.get(&path).is_some_and(|below| below.node != Node::Dir) {
                return Err(failure(
                    format!("/{asked} would take the place of /{path}, which `files` names"),
                    ELSEWHERE,
                ));
            }
            let entry = Entry { path: path.clone(), ..wish.entry };
            let folders = |other: &Placed| other.entry.node == Node::Dir && entry.node == Node::Dir;
            match placed.get(&path) {
                Some(other) if folders(other) && walked => {}
                Some(other) if other.entry != entry && !(folders(other) && other.walked) => {
                    return Err(failure(
                        format!("/{} and /{asked} are one place in the base, /{path}", other.asked),
                        "leave one of them out",
                    ));
                }
                _ => drop(placed.insert(path, Placed { entry, walked, asked })),
            }
        }
        let solid = |path: &str| {
            let own = placed.get(path).map(|it| &it.entry).or(self.files.get(path));
            own.is_some_and(|entry| entry.node != Node::Dir)
        };
        if let Some((link, asked)) = links.iter().find(|(link, _)| solid(link)) {
            return Err(failure(
                format!("/{asked} leads through the base's link /{link}, which would be replaced"),
                ELSEWHERE,
            ));
        }
        let mut above = BTreeMap::new();
        for (path, Placed { asked, .. }) in &placed {
            for parent in path.match_indices('/').map(|(at, _)| &path[..at]) {
                if solid(parent) {
                    return Err(no_folder(asked, parent));
                }
                if !placed.contains_key(parent) && !above.contains_key(parent) {
                    above.insert(parent.to_owned(), self.parent(parent));
                }
            }
        }
        if let Some(root) = self.tree.root().filter(|_| !placed.is_empty()) {
            above.insert(String::new(), as_folder("", root));
        }
        above.extend(placed.into_iter().map(|(path, placed)| (path, placed.entry)));
        Ok(above)
    }

    /// Where what is wished for goes, and the links that lead there; `None` for a folder
    /// that stays as it is.
    fn real(&self, wish: &Wish) -> Result<Option<(String, Vec<String>)>> {
        let asked = &wish.entry.path;
        let (dir, name) = asked.rsplit_once('/').unwrap_or(("", asked));
        let blocked = |why| blocked(asked, why);
        let Resolved { path: dir, mut through } = self.tree.resolve(dir).map_err(blocked)?;
        let mut path = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
        let mut at = self.at(&path);
        if at == Some(At::Link) && matches!(wish.entry.node, Node::Dir | Node::File(_)) {
            // A file takes the place of a link, but for one that is a folder to others.
            match (self.tree.resolve(&path), &wish.entry.node) {
                (Ok(led), Node::Dir) => {
                    at = self.at(&led.path);
                    path = led.path;
                    through.extend(led.through);
                }
                (Ok(led), _) => at = self.at(&led.path).filter(|at| matches!(at, At::Folder(_))),
                (Err(why), Node::Dir) => return Err(blocked(why)),
                (Err(_), _) => at = None,
            }
        }
        match (at, &wish.entry.node) {
            (Some(At::Folder(_)), Node::Dir) if wish.walked => Ok(None),
            (Some(At::File), Node::Dir) => Err(failure(
                format!("/{asked} is a file of the base, and would become a folder"),
                ELSEWHERE,
            )),
            (Some(At::Folder(_)), node) if *node != Node::Dir => Err(failure(
                format!("/{asked} is a folder of the base, and would become a file"),
                "end its `to` with a slash to put the file into the folder",
            )),
            _ => Ok(Some((path, through))),
        }
    }

    fn at(&self, path: &str) -> Option<At> {
        match self.files.get(path) {
            Some(entry) if entry.node == Node::Dir => Some(At::Folder(entry.folder())),
            Some(_) => Some(At::File),
            None => self.tree.at(path),
        }
    }

    /// A folder that leads to others, as it is below.
    fn parent(&self, path: &str) -> Entry {
        match self.at(path) {
            Some(At::Folder(of)) => as_folder(path, of),
            _ => folder(path),
        }
    }
}

fn blocked(asked: &str, why: Blocked) -> Error {
    match why {
        Blocked::File(file) => no_folder(asked, &file),
        Blocked::Endless(link) => failure(
            format!("/{asked} leads through links without an end, such as /{}", tame(&link)),
            "give it a `to` without links, or take another base",
        ),
        Blocked::NotText(link) => failure(
            format!("/{asked} leads through /{}, to a name that is not UTF-8", tame(&link)),
            "give it a `to` without links, or take another base",
        ),
    }
}

fn no_folder(asked: &str, file: &str) -> Error {
    let why = format!("/{asked} would lie in /{}, which is no folder in the base", tame(file));
    failure(why, ELSEWHERE)
}

fn as_folder(path: &str, folder: Folder) -> Entry {
    let Folder { mode, uid, gid, time } = folder;
    Entry { path: path.to_owned(), node: Node::Dir, mode, uid, gid, time }
}

fn folder(path: &str) -> Entry {
    as_folder(path, Folder::default())
}

#[cfg(test)]
mod tests;
