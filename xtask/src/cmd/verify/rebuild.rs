//! Makes a release again and compares it with the published one.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use super::super::{Common, World};
use crate::verify::{self, Rebuild, Workshop};

/// Makes the release in a folder again, and compares both.
pub fn rebuild(
    dir: &Path,
    source: Option<&OsString>,
    common: &Common,
    world: &World,
) -> Result<Rebuild> {
    // A folder is named relative to this one; git would start in the new one.
    let folder = source.map(|source| world.dir.join(source)).filter(|path| path.is_dir());
    let source = folder.map(OsString::from).or_else(|| source.cloned());
    let workshop = Workshop { source, offline: common.offline, env: &world.env, term: &world.term };
    verify::rebuilt(dir, &workshop)
}

/// Prints what was compared.
pub fn show(rebuild: &Rebuild, world: &World) -> Result<()> {
    let comparison = &rebuild.comparison;
    world.term.result_table(&comparison.overview())?;
    if comparison.count() > 0 {
        world.term.result("")?;
        world.term.result_table(&comparison.table())?;
    }
    Ok(())
}
