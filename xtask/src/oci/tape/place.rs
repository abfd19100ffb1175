//! Where the members of a layer go.

use anyhow::{Result, ensure};

use super::Member;

/// What begins the name of a whiteout.
/// <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>
const WHITEOUT: &[u8] = b".wh.";
/// The whole name of an opaque whiteout.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// A path in an image, and what a member does there. Paths are relative to the
/// root, without a `/` at the end; the root's own is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The member stands there.
    Entry(Vec<u8>),
    /// What lower layers have there is gone.
    Whiteout(Vec<u8>),
    /// What lower layers have in this folder is gone.
    Opaque(Vec<u8>),
}

impl Member {
    /// Where a layer's member goes. `./`, `//` and a `/` at the beginning are
    /// left out, as containerd does; a path that climbs, is empty or holds a NUL
    /// is an error.
    pub fn place(&self) -> Result<Place> {
        let path = normal(&self.path)?;
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(&path);
        let dir = path[..path.len() - name.len()].strip_suffix(b"/").unwrap_or_default();
        if name == OPAQUE {
            return Ok(Place::Opaque(dir.to_vec()));
        }
        let Some(hidden) = name.strip_prefix(WHITEOUT) else { return Ok(Place::Entry(path)) };
        // `.wh.` would take away the folder itself, and `.wh...` the one above it.
        ensure!(
            !hidden.is_empty() && hidden != b"." && hidden != b"..",
            "is a whiteout of no name"
        );
        Ok(Place::Whiteout(match dir {
            b"" => hidden.to_vec(),
            dir => [dir, b"/", hidden].concat(),
        }))
    }
}

/// A path without what says nothing, relative to the root.
pub fn normal(path: &[u8]) -> Result<Vec<u8>> {
    ensure!(!path.is_empty(), "is empty");
    ensure!(!path.contains(&0), "holds a NUL");
    let parts = || path.split(|byte| *byte == b'/');
    ensure!(parts().all(|part| part != b".."), "holds `..`");
    let parts: Vec<&[u8]> = parts().filter(|part| !part.is_empty() && *part != b".").collect();
    Ok(parts.join(&b'/'))
}

/// Whether the target of a symlink that stands at this normal path climbs above
/// the root on its way.
pub fn leads_out(path: &[u8], target: &[u8]) -> bool {
    let parts = |path: &[u8]| path.split(|byte| *byte == b'/').filter(|it| !it.is_empty()).count();
    let mut depth = if target.starts_with(b"/") { 0 } else { parts(path).saturating_sub(1) };
    for part in target.split(|byte| *byte == b'/') {
        depth = match (part, depth) {
            (b"..", 0) => return true,
            (b"..", _) => depth - 1,
            (b"" | b".", _) => depth,
            _ => depth + 1,
        };
    }
    false
}
