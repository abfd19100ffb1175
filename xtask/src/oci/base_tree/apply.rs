//! How the layers of a base become one tree.

use anyhow::{Result, ensure};

use super::{Dir, Folder, Named, Tree, parts, short, split};
use crate::oci::limits;
use crate::oci::tar_reader::{Place, TarMember, TarMemberKind, normal};

impl Tree {
    /// Applies a member of a layer. Layers are counted from 1 on. A whiteout removes what lower
    /// layers have, and nothing of its own layer, wherever it is in it.
    /// <https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets>
    ///
    /// Fails where the base exceeds a limit.
    pub fn apply(&mut self, member: &TarMember, layer: u16) -> Result<()> {
        self.count(member)?;
        // The layer's own check refuses a member that has no place.
        let Ok(place) = member.place() else { return Ok(()) };
        match place {
            Place::Entry(path) if path.is_empty() => {
                if member.kind == TarMemberKind::Directory {
                    (self.root.folder, self.rooted) = (folder(member)?, true);
                }
                Ok(())
            }
            Place::Entry(path) => self.add(member, &path, layer),
            Place::Whiteout(path) => {
                let (dir, name) = split(&path);
                if let Some(dir) = self.existing(dir, layer)? {
                    dir.whiteout(name, layer);
                }
                Ok(())
            }
            Place::Opaque(path) => {
                if let Some(dir) = self.existing(&path, layer)? {
                    let folder = dir.folder;
                    dir.clear_lower(layer);
                    dir.folder = folder;
                }
                Ok(())
            }
        }
    }

    fn count(&mut self, member: &TarMember) -> Result<()> {
        let read = &mut self.read;
        read.members += 1;
        read.size = read.size.saturating_add(read.last);
        read.last = member.size;
        let (most, size) = (limits::BASE_MEMBERS, limits::BASE_SIZE);
        ensure!(read.members <= most, "the layers hold more than {most} files together");
        ensure!(read.size <= size, "the files of the layers have more than {size} bytes together");
        if !matches!(member.kind, TarMemberKind::Directory | TarMemberKind::Symlink) {
            return Ok(());
        }
        read.folders += 1;
        read.names += member.path.len() + member.link.as_ref().map_or(0, Vec::len);
        self.check_limits()
    }

    fn check_limits(&self) -> Result<()> {
        let (most, names) = (limits::BASE_FOLDERS, limits::BASE_NAMES);
        ensure!(self.read.folders <= most, "the layers hold more than {most} folders and links");
        let few = self.read.names <= names;
        ensure!(few, "the names of folders have more than {names} bytes together");
        Ok(())
    }

    fn add(&mut self, member: &TarMember, path: &[u8], layer: u16) -> Result<()> {
        // A hard link to a link is a link.
        let same = member.link.as_deref().filter(|_| member.kind == TarMemberKind::Hardlink);
        let same = same.and_then(|target| normal(target).ok());
        let same = same.and_then(|target| self.target(&target));
        let (dir, name) = split(path);
        let Some(dir) = self.unpacked_at(dir, layer)? else { return Ok(()) };
        if self.root.find(&dir).is_none() {
            self.read.folders += parts(&dir).count();
            self.check_limits()?;
        }
        let dir = self.root.make(&dir, layer);
        match (member.kind, same) {
            (TarMemberKind::Directory, _) => {
                let below = dir.make_folder(name, layer);
                (below.folder, below.layer) = (folder(member)?, layer);
            }
            (TarMemberKind::Symlink, _) => {
                dir.link(name, member.link.as_deref().unwrap_or_default(), layer);
            }
            (_, Some(target)) => dir.link(name, &target, layer),
            _ => dir.file(name, layer),
        }
        Ok(())
    }

    /// The target of the link at the path.
    fn target(&self, path: &[u8]) -> Option<Vec<u8>> {
        let (dir, name) = split(path);
        match self.root.find(dir)?.below.get(name)? {
            Named::Link { target, .. } => Some(target.to_vec()),
            Named::Dir(_) => None,
        }
    }

    /// Where engines unpack what a layer has in a folder: they follow the layer's own links, and
    /// replace those of lower layers. `None` where its links form a loop, which they refuse.
    fn unpacked_at(&self, dir: &[u8], layer: u16) -> Result<Option<Vec<u8>>> {
        let mut path = dir.to_vec();
        for _ in 0..limits::LINKS {
            let depth = parts(&path).count();
            let deep = depth < limits::BASE_DEPTH && path.len() <= 2 * limits::NAME;
            ensure!(deep, "a path of the layers is {depth} folders deep");
            // Engines replace a file on the way.
            match self.root.follow(&path, &|of| of == layer) {
                Ok(Some(followed)) => path = followed.path,
                Ok(None) | Err(_) => return Ok(Some(path)),
            }
        }
        Ok(None)
    }

    fn existing(&mut self, dir: &[u8], layer: u16) -> Result<Option<&mut Dir>> {
        let Some(path) = self.unpacked_at(dir, layer)? else { return Ok(None) };
        Ok(parts(&path).try_fold(&mut self.root, |dir, part| match dir.below.get_mut(part) {
            Some(Named::Dir(dir)) => Some(&mut **dir),
            _ => None,
        }))
    }
}

impl Dir {
    /// Removes what lower layers have under the name.
    fn whiteout(&mut self, name: &[u8], layer: u16) {
        let gone = match self.below.get_mut(name) {
            Some(Named::Dir(dir)) => !dir.clear_lower(layer),
            Some(Named::Link { layer: of, .. }) => *of != layer,
            None => false,
        };
        if gone {
            self.below.remove(name);
        }
        let key = short(name);
        if self.files.get(&key).is_some_and(|of| *of != layer) {
            self.files.remove(&key);
        }
    }

    /// Removes what is of lower layers, and returns whether anything is left.
    ///
    /// Each layer visits a folder at most once, so that layers of nothing but whiteouts take no
    /// longer than others.
    fn clear_lower(&mut self, layer: u16) -> bool {
        if self.cleared != layer {
            self.cleared = layer;
            self.files.retain(|_, of| *of == layer);
            self.below.retain(|_, named| match named {
                Named::Dir(dir) => dir.clear_lower(layer),
                Named::Link { layer: of, .. } => *of == layer,
            });
            if self.layer != layer {
                self.folder = Folder::default();
            }
        }
        self.layer == layer || !self.below.is_empty() || !self.files.is_empty()
    }
}

fn folder(member: &TarMember) -> Result<Folder> {
    let id = |id: u64| {
        let id = u32::try_from(id).ok();
        id.ok_or_else(|| anyhow::anyhow!("a folder of the layers has an owner beyond 32 bits"))
    };
    Ok(Folder { mode: member.mode, uid: id(member.uid)?, gid: id(member.gid)?, time: member.time })
}
