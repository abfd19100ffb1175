//! Where a layer's members go.

use anyhow::{Result, ensure};

use super::member::TarMember;

/// The prefix of a whiteout's name.
/// <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>
const WHITEOUT: &[u8] = b".wh.";
/// The name of an opaque whiteout.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// A path in an image, and what a member does there. Paths are relative to the root and do
/// not end with `/`; the root's own is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The member is put there.
    Entry(Vec<u8>),
    /// What lower layers have there is removed.
    Whiteout(Vec<u8>),
    /// What lower layers have in this folder is removed.
    Opaque(Vec<u8>),
}

impl TarMember {
    /// Where a layer's member goes. `./`, `//` and a leading `/` are dropped, as containerd
    /// does. A path that is empty or holds `..` or a NUL is an error.
    pub fn place(&self) -> Result<Place> {
        let path = normal(&self.path)?;
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(&path);
        let dir = path[..path.len() - name.len()].strip_suffix(b"/").unwrap_or_default();
        if name == OPAQUE {
            return Ok(Place::Opaque(dir.to_vec()));
        }
        let Some(hidden) = name.strip_prefix(WHITEOUT) else { return Ok(Place::Entry(path)) };
        // `.wh.` would remove the folder itself, and `.wh...` its parent.
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

/// A path relative to the root, without empty parts and `.`.
pub fn normal(path: &[u8]) -> Result<Vec<u8>> {
    ensure!(!path.is_empty(), "is empty");
    ensure!(!path.contains(&0), "holds a NUL");
    let parts = || path.split(|byte| *byte == b'/');
    ensure!(parts().all(|part| part != b".."), "holds `..`");
    let parts: Vec<&[u8]> = parts().filter(|part| !part.is_empty() && *part != b".").collect();
    Ok(parts.join(&b'/'))
}

/// Whether a symlink at this normal path, with this target, leads above the root.
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
