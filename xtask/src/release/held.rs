//! What programs were built of, and whether the commit holds it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use crate::compile::Compiled;
use crate::plan::{self, Mode, Plan};
use crate::project::Project;
use crate::term::Term;

/// What the compiler read must be in the commit that is released; of a snapshot it is said.
pub fn ensure(compiled: &[Compiled], plan: &Plan, project: &Project, term: &Term) -> Result<()> {
    if plan.mode == Mode::Local {
        return Ok(());
    }
    let read: BTreeSet<PathBuf> =
        compiled.iter().flat_map(|it| it.inputs().iter().cloned()).collect();
    let lacking = project.uncommitted(&read.into_iter().collect::<Vec<_>>())?;
    term.verdict(plan::unheld(&lacking, plan.mode))
}
