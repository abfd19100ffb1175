//! What git says of a moment, for those who have read the repository before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::ask::{self, fields, query, text};
use super::{Git, top_of};
use crate::process::{Env, excerpt};

impl Git {
    /// Whether HEAD is at another commit than when the repository was read.
    pub fn has_moved(&self, env: &Env) -> Result<bool> {
        let head = query(&self.top, env).args(["rev-parse", "--verify", "--quiet", "HEAD"]);
        let output = head.output()?;
        // Before the first commit there is none, and the status says so.
        let now = output.status.success().then(|| text(output.stdout.trim_ascii()));
        Ok(now != self.commit)
    }

    /// The paths that git ignores, each asked of the repository that it is in.
    /// <https://git-scm.com/docs/git-check-ignore>
    pub fn ignores(&self, paths: &[&Path], env: &Env) -> Result<BTreeSet<PathBuf>> {
        let mut by_top: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
        for path in paths {
            by_top.entry(top_of(path).unwrap_or(&self.top)).or_default().push(path);
        }
        let mut ignored = BTreeSet::new();
        for (top, paths) in by_top {
            for names in pieces(&paths) {
                let asked = query(top, env).args(["check-ignore", "-z", "--stdin"]);
                let output = asked.input(&names).output()?;
                // 1 says that none is.
                if !matches!(output.status.code(), Some(0 | 1)) {
                    bail!("`git check-ignore` failed: {}", excerpt(&output.stderr));
                }
                ignored.extend(fields(&output.stdout).map(ask::path));
            }
        }
        Ok(ignored)
    }
}

/// How many bytes of names one call is given: a pipe holds them.
const PIECE: usize = 32 << 10;

/// The names, each ended by a NUL.
fn pieces(paths: &[&Path]) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    for path in paths {
        let name = path.as_os_str().as_encoded_bytes();
        if pieces.last().is_some_and(|piece| piece.len() + name.len() > PIECE) {
            pieces.push(Vec::new());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.extend_from_slice(name);
            piece.push(0);
        }
    }
    pieces
}
