//! Proof that a program has the list of its crates.

use std::collections::BTreeSet;
use std::fs::File;

use anyhow::Context;
use object::ReadCache;

use crate::compile::Compiled;
use crate::finding::{Finding, Place};
use crate::stamp::{self, List};

/// What is wrong with the list of a program; `None` where it is right, or where none is asked for.
///
/// cargo-auditable's own list may name other build dependencies, so those are not compared.
pub(super) fn check(file: &File, compiled: &Compiled, place: &Place) -> Option<Finding> {
    if !compiled.is_auditable() {
        return None;
    }
    let why = match fault(file, compiled) {
        Ok(None) => return None,
        Ok(Some(why)) => why,
        Err(error) => format!("{error:#}"),
    };
    let fix = "build it again, and leave out strip and packers after that; \
               `auditable = false` in [package.metadata.dockless] leaves the list out";
    Some(Finding::error("linkage-list", place.clone(), why, fix))
}

fn fault(file: &File, compiled: &Compiled) -> anyhow::Result<Option<String>> {
    let lists = stamp::lists(&ReadCache::new(file))?.context("it is no program")?;
    for list in &lists {
        let Some(list) = list else {
            return Ok(Some("it has no list of its crates (.dep-v0)".to_owned()));
        };
        let root = list.root().context("its list of crates has no root")?;
        if root.name != compiled.package() {
            let (name, package) = (&root.name, compiled.package());
            return Ok(Some(format!("its list of crates is of {name:?}, and not of {package}")));
        }
        // A universal program has none of its own: those of its parts were compared.
        if compiled.crates().is_empty() {
            continue;
        }
        let expected = List::of(compiled.crates())?;
        let [expected, found] = [&expected, list].map(|it| it.runtime().collect::<BTreeSet<_>>());
        if let Some((name, version)) = expected.symmetric_difference(&found).next() {
            let here = if expected.contains(&(*name, *version)) { "lacks" } else { "has" };
            let why = format!("its list of crates {here} {name} {version}, unlike the build");
            return Ok(Some(why));
        }
    }
    Ok(None)
}
