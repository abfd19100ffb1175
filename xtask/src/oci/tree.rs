//! The file system above the base: the config's files and the programs, each at its place in
//! the base's tree.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Error, Result};
use indicatif::ProgressBar;

use super::base_tree::{At, Blocked, Folder, Resolved, Tree};
use super::entry::{Content, LayerEntry, Node};
use super::layer::write_tar;
use super::rootfs;
use crate::config::{Base, ImageNode, Owner};
use crate::finding::{failure, said};
use crate::plan::ImagePlan;
use crate::term::tame;

/// The help where two things cannot be at one place.
const ELSEWHERE: &str = "give it another `to`";

/// An entry as the config or a program asks for it. Its path may lead through links of the
/// base.
#[derive(Clone, Debug)]
pub struct Requested {
    entry: LayerEntry,
    /// Whether it is a folder that was found on the way to files. Where the base has such a
    /// folder, it stays as it is.
    walked: bool,
}

/// Writes an image without its programs, and without a base of others, as one tar for builds
/// with a Dockerfile. `trees` are the base's, one a platform, where they are known. `licenses` are
/// the licence texts of the crates in the programs of all platforms.
pub fn rootfs_tar(
    plan: &ImagePlan,
    trees: &[&Tree],
    licenses: &str,
    out: impl Write,
) -> Result<()> {
    let mut requested = requested(plan, &Content::of)?;
    requested.extend(plan.licenses.iter().map(|path| document(path, licenses)));
    let mut all = BTreeMap::new();
    if let [first, others @ ..] = trees {
        let files = |tree: &Tree| Ok::<_, Error>(lower(plan, tree, &requested)?.files);
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
        // Builders follow the base's links, and make missing folders.
        let named = requested.iter().filter(|request| !implied(request, &requested));
        all.extend(named.map(|request| (request.entry.path.clone(), request.entry.clone())));
    } else {
        let base = match plan.base {
            Base::Builtin => rootfs::entries(),
            _ => Vec::new(),
        };
        let tree = Tree::of(&base);
        let lower = lower(plan, &tree, &requested)?;
        // The tar has the programs' folder too, because builders would not make it so.
        let dir = plan.bin_dir.trim_start_matches('/');
        let dir = (!dir.is_empty()).then(|| Requested { entry: folder(dir), walked: true });
        let bin = lower.with(dir.into_iter().collect())?;
        // A file of the config replaces one of the base.
        let entries = base.into_iter().chain(lower.into_files()).chain(bin);
        all.extend(entries.map(|entry| (entry.path.clone(), entry)));
    }
    let entries: Vec<LayerEntry> = all.into_values().collect();
    if entries.is_empty() {
        return write_nothing(out);
    }
    write_tar(&entries, out, &ProgressBar::hidden())?.flush().context("write the tar")
}

/// A tar that adds nothing. Builders do not take a file without headers for a tar, and would
/// put it into the image as a file.
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

/// Whether [`rootfs_tar`] depends on a base in a registry: the config names folders, which
/// could replace the base's links or change its modes.
pub fn names_folders(plan: &ImagePlan) -> Result<bool> {
    let requested = requested(plan, &|_| Ok(Content::Bytes((&b""[..]).into())))?;
    let folder =
        |request: &Requested| request.entry.node == Node::Dir && !implied(request, &requested);
    Ok(matches!(plan.base, Base::Named(_)) && requested.iter().any(folder))
}

/// Whether a folder needs no entry, because entries in it imply it.
fn implied(request: &Requested, all: &[Requested]) -> bool {
    let LayerEntry { path, mode, uid, gid, .. } = &request.entry;
    let below = format!("{path}/");
    let plain = (*mode, Owner { uid: *uid, gid: *gid }) == (0o755, Owner::default());
    request.walked && plain && all.iter().any(|it| it.entry.path.starts_with(&below))
}

fn foreign(plan: &ImagePlan) -> bool {
    matches!(plan.base, Base::Stored(_) | Base::Named(_))
}

/// The entries of the config's files, with the contents that `content` finds.
pub fn requested(
    plan: &ImagePlan,
    content: &dyn Fn(&Path) -> Result<Content>,
) -> Result<Vec<Requested>> {
    let request = |file: &crate::config::ImageFile| {
        let node = match &file.node {
            ImageNode::Dir | ImageNode::Walked => Node::Dir,
            ImageNode::File(path) => Node::File(content(path)?),
            ImageNode::Link(target) => Node::Symlink(target.clone()),
        };
        let (path, mode, Owner { uid, gid }) = (file.to.clone(), file.mode, file.owner);
        let entry = LayerEntry { path, node, mode, uid, gid, time: 0 };
        Ok(Requested { entry, walked: file.node == ImageNode::Walked })
    };
    plan.files.iter().map(request).collect()
}

/// The entry of a program of the plan.
pub fn program(plan: &ImagePlan, bin: &str, content: Content) -> Requested {
    let (path, node) = (plan.program(bin), Node::File(content));
    let path = path.trim_start_matches('/');
    Requested { entry: LayerEntry { node, ..folder(path) }, walked: false }
}

/// The entry of a text.
pub fn document(path: &str, text: &str) -> Requested {
    let node = Node::File(Content::Bytes(text.as_bytes().to_vec().into()));
    Requested { entry: LayerEntry { node, mode: 0o644, ..folder(path) }, walked: false }
}

/// Fails where the plan's files or programs have no place in the tree.
pub fn check(plan: &ImagePlan, tree: &Tree) -> Result<()> {
    // Contents are read later. Here paths stand for them.
    let content = |name: &str| Content::Bytes(name.as_bytes().to_vec().into());
    let requested = requested(plan, &|path| Ok(content(&path.to_string_lossy())))?;
    let programs = plan.bins.iter().map(|bin| program(plan, bin, content(bin))).collect();
    let lower = lower(plan, tree, &requested)?;
    lower.with(programs)?;
    let licenses = plan.licenses.iter().map(|path| document(path, "")).collect();
    lower.with(licenses).map(drop).map_err(|error| {
        let (why, _) = said(&error);
        failure(why, "set `licenses = false` in [package.metadata.dockless]")
    })
}

/// The base, and the files of the config on it: what is below the programs.
#[derive(Debug)]
pub struct Lower<'a> {
    tree: &'a Tree,
    /// The files of the config, with the folders that lead to them.
    files: BTreeMap<String, LayerEntry>,
}

/// Puts the plan's files into the base's tree.
pub fn lower<'a>(plan: &ImagePlan, tree: &'a Tree, requested: &[Requested]) -> Result<Lower<'a>> {
    let mut requested = requested.to_vec();
    if !foreign(plan) {
        let own = own_folders(plan, tree, &requested);
        requested.extend(own);
    }
    let lower = Lower { tree, files: BTreeMap::new() };
    let files = lower.place(requested)?;
    Ok(Lower { files, ..lower })
}

/// The working folder and the volumes, where neither the base nor the config has them. They
/// belong to the user: engines would make them root's, and the program could not write there.
fn own_folders(plan: &ImagePlan, tree: &Tree, requested: &[Requested]) -> Vec<Requested> {
    let there =
        |path: &str| tree.at(path).is_some() || requested.iter().any(|it| it.entry.path == path);
    let Owner { uid, gid } = plan.config.user.owner();
    let paths = plan.config.volumes.iter().chain(&plan.config.workdir);
    let paths = paths.map(|path| path.trim_matches('/'));
    let missing = paths.filter(|path| !path.is_empty() && !there(path));
    let own = |path| Requested { entry: LayerEntry { uid, gid, ..folder(path) }, walked: true };
    missing.map(own).collect()
}

/// An entry at its place.
struct Placed {
    entry: LayerEntry,
    walked: bool,
    /// The path before links were followed.
    asked: String,
}

impl Lower<'_> {
    /// The files, sorted.
    pub fn into_files(self) -> Vec<LayerEntry> {
        self.files.into_values().collect()
    }

    /// The entries of a layer above the files, sorted.
    pub fn with(&self, requested: Vec<Requested>) -> Result<Vec<LayerEntry>> {
        Ok(self.place(requested)?.into_values().collect())
    }

    /// The entries of a layer by their paths: each at the place to which the base's links lead,
    /// with the folders above it as they are in the base. Engines unpack each layer by itself.
    /// They would cover the base's folder with one of their own where the layer has no entry
    /// for it, and would cover a link where the layer has a folder at its path.
    fn place(&self, requested: Vec<Requested>) -> Result<BTreeMap<String, LayerEntry>> {
        let mut placed: BTreeMap<String, Placed> = BTreeMap::new();
        let mut links: BTreeMap<String, String> = BTreeMap::new();
        for request in requested {
            let (asked, walked) = (request.entry.path.clone(), request.walked);
            let Some((path, through)) = self.real(&request)? else { continue };
            links.extend(through.into_iter().map(|link| (link, asked.clone())));
            if self.files.get(&path).is_some_and(|below| below.node != Node::Dir) {
                return Err(failure(
                    format!("/{asked} would take the place of /{path}, which `files` names"),
                    ELSEWHERE,
                ));
            }
            let entry = LayerEntry { path: path.clone(), ..request.entry };
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

    /// The place of a requested entry, and the links that lead there; `None` for a folder that
    /// stays as it is in the base.
    fn real(&self, request: &Requested) -> Result<Option<(String, Vec<String>)>> {
        let asked = &request.entry.path;
        let (dir, name) = asked.rsplit_once('/').unwrap_or(("", asked));
        let blocked = |why| blocked(asked, why);
        let Resolved { path: dir, mut through } = self.tree.resolve(dir).map_err(blocked)?;
        let mut path = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
        let mut at = self.at(&path);
        if at == Some(At::Link) && matches!(request.entry.node, Node::Dir | Node::File(_)) {
            // A file replaces a link, unless the link leads to a folder.
            match (self.tree.resolve(&path), &request.entry.node) {
                (Ok(to), Node::Dir) => {
                    at = self.at(&to.path);
                    path = to.path;
                    through.extend(to.through);
                }
                (Ok(to), _) => at = self.at(&to.path).filter(|at| matches!(at, At::Folder(_))),
                (Err(why), Node::Dir) => return Err(blocked(why)),
                (Err(_), _) => at = None,
            }
        }
        match (at, &request.entry.node) {
            (Some(At::Folder(_)), Node::Dir) if request.walked => Ok(None),
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

    /// The folder as it is in the base.
    fn parent(&self, path: &str) -> LayerEntry {
        match self.at(path) {
            Some(At::Folder(of)) => as_folder(path, of),
            _ => folder(path),
        }
    }
}

fn blocked(asked: &str, why: Blocked) -> Error {
    let why = match why {
        Blocked::File(file) => return no_folder(asked, &file),
        Blocked::Endless(link) => {
            format!("/{asked} leads through a loop of links, such as /{}", tame(&link))
        }
        Blocked::NotText(link) => {
            format!("/{asked} leads through /{}, to a name that is not UTF-8", tame(&link))
        }
    };
    failure(why, "give it a `to` without links, or take another base")
}

fn no_folder(asked: &str, file: &str) -> Error {
    let why = format!("/{asked} would lie in /{}, which is not a folder in the base", tame(file));
    failure(why, ELSEWHERE)
}

fn as_folder(path: &str, folder: Folder) -> LayerEntry {
    let Folder { mode, uid, gid, time } = folder;
    LayerEntry { path: path.to_owned(), node: Node::Dir, mode, uid, gid, time }
}

fn folder(path: &str) -> LayerEntry {
    as_folder(path, Folder::default())
}

#[cfg(test)]
mod tests;
