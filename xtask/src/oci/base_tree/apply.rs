//! Layers of a base, laid one over the other.

use anyhow::{Result, ensure};

use super::{Dir, Folder, Named, Tree, parts, short, split};
use crate::oci::limits;
use crate::oci::tape::{Member, MemberKind, Place, normal};

impl Tree {
    /// Lays a member of a layer over what is there. Layers are counted from 1 on. Within
    /// one, whiteouts count for those before it alone, wherever they stand.
    /// <https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets>
    ///
    /// An error is a base that is larger than any.
    pub fn apply(&mut self, member: &Member, layer: u16) -> Result<()> {
        self.count(member)?;
        // What has no place is refused by whoever looks at the layer itself.
        let Ok(place) = member.place() else { return Ok(()) };
        match place {
            Place::Entry(path) if path.is_empty() => {
                if member.kind == MemberKind::Directory {
                    (self.root.folder, self.rooted) = (folder(member)?, true);
                }
                Ok(())
            }
            Place::Entry(path) => self.enter(member, &path, layer),
            Place::Whiteout(path) => {
                let (dir, name) = split(&path);
                if let Some(dir) = self.there(dir, layer)? {
                    dir.hide(name, layer);
                }
                Ok(())
            }
            Place::Opaque(path) => {
                if let Some(dir) = self.there(&path, layer)? {
                    let folder = dir.folder;
                    dir.sweep(layer);
                    dir.folder = folder;
                }
                Ok(())
            }
        }
    }

    fn count(&mut self, member: &Member) -> Result<()> {
        let read = &mut self.read;
        read.members += 1;
        read.size = read.size.saturating_add(read.last);
        read.last = member.size;
        let (most, size) = (limits::BASE_MEMBERS, limits::BASE_SIZE);
        ensure!(read.members <= most, "the layers hold more than {most} files together");
        ensure!(read.size <= size, "the files of the layers have more than {size} bytes together");
        if !matches!(member.kind, MemberKind::Directory | MemberKind::Symlink) {
            return Ok(());
        }
        read.folders += 1;
        read.names += member.path.len() + member.link.as_ref().map_or(0, Vec::len);
        self.ensure_few()
    }

    fn ensure_few(&self) -> Result<()> {
        let (most, names) = (limits::BASE_FOLDERS, limits::BASE_NAMES);
        ensure!(self.read.folders <= most, "the layers hold more than {most} folders and links");
        let few = self.read.names <= names;
        ensure!(few, "the names of folders have more than {names} bytes together");
        Ok(())
    }

    fn enter(&mut self, member: &Member, path: &[u8], layer: u16) -> Result<()> {
        // A hard link to a link is a link.
        let same = member.link.as_deref().filter(|_| member.kind == MemberKind::Hardlink);
        let same = same.and_then(|target| normal(target).ok());
        let same = same.and_then(|target| self.target(&target));
        let (dir, name) = split(path);
        let Some(dir) = self.way(dir, layer)? else { return Ok(()) };
        if self.root.find(&dir).is_none() {
            self.read.folders += parts(&dir).count();
            self.ensure_few()?;
        }
        let dir = self.root.make(&dir, layer);
        match (member.kind, same) {
            (MemberKind::Directory, _) => {
                let below = dir.enter(name, layer);
                (below.folder, below.layer) = (folder(member)?, layer);
            }
            (MemberKind::Symlink, _) => {
                dir.link(name, member.link.as_deref().unwrap_or_default(), layer);
            }
            (_, Some(target)) => dir.link(name, &target, layer),
            _ => dir.file(name, layer),
        }
        Ok(())
    }

    /// Where the link at the path leads, where there is one.
    fn target(&self, path: &[u8]) -> Option<Vec<u8>> {
        let (dir, name) = split(path);
        match self.root.find(dir)?.below.get(name)? {
            Named::Link { target, .. } => Some(target.to_vec()),
            Named::Dir(_) => None,
        }
    }

    /// Where engines unpack what a layer has in a folder: through its own links, and over
    /// those of the layers below. `None` where its links have no end, which they refuse.
    fn way(&self, dir: &[u8], layer: u16) -> Result<Option<Vec<u8>>> {
        let mut path = dir.to_vec();
        for _ in 0..limits::LINKS {
            let depth = parts(&path).count();
            let deep = depth < limits::BASE_DEPTH && path.len() <= 2 * limits::NAME;
            ensure!(deep, "a path of the layers is {depth} folders deep");
            // A file on the way is replaced.
            match self.root.led(&path, &|of| of == layer) {
                Ok(Some(led)) => path = led.path,
                Ok(None) | Err(_) => return Ok(Some(path)),
            }
        }
        Ok(None)
    }

    fn there(&mut self, dir: &[u8], layer: u16) -> Result<Option<&mut Dir>> {
        let Some(path) = self.way(dir, layer)? else { return Ok(None) };
        Ok(parts(&path).try_fold(&mut self.root, |dir, part| match dir.below.get_mut(part) {
            Some(Named::Dir(dir)) => Some(&mut **dir),
            _ => None,
        }))
    }
}

impl Dir {
    /// Takes away what lower layers have under the name.
    fn hide(&mut self, name: &[u8], layer: u16) {
        let gone = match self.below.get_mut(name) {
            Some(Named::Dir(dir)) => !dir.sweep(layer),
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

    /// Takes away what is of lower layers, and returns whether anything is left.
    ///
    /// A folder is gone through at most once for each layer, so that layers of nothing but
    /// whiteouts take no longer than others.
    fn sweep(&mut self, layer: u16) -> bool {
        if self.swept != layer {
            self.swept = layer;
            self.files.retain(|_, of| *of == layer);
            self.below.retain(|_, named| match named {
                Named::Dir(dir) => dir.sweep(layer),
                Named::Link { layer: of, .. } => *of == layer,
            });
            if self.layer != layer {
                self.folder = Folder::default();
            }
        }
        self.layer == layer || !self.below.is_empty() || !self.files.is_empty()
    }
}

fn folder(member: &Member) -> Result<Folder> {
    let id = |id: u64| {
        let id = u32::try_from(id).ok();
        id.ok_or_else(|| anyhow::anyhow!("a folder of the layers has an owner beyond 32 bits"))
    };
    Ok(Folder { mode: member.mode, uid: id(member.uid)?, gid: id(member.gid)?, time: member.time })
}
