//! What would fail at the end fails before anything is compiled.

use anyhow::{Result, bail};

use crate::finding::failure;
use crate::parallel;
use crate::plan::{ImagePlan, Plan};
use crate::process::Env;
use crate::reference::Repository;
use crate::registry::Registry;
use crate::sink::Engine;

/// How many repositories are asked at a time.
const AT_A_TIME: usize = 4;

/// Fails where an engine is missing or does not answer.
pub fn probe(engines: &[Engine], env: &Env) -> Result<()> {
    engines.iter().try_for_each(|engine| engine.probe(env).map(drop))
}

/// Fails where an image of the plan has no repository that it may be pushed to.
pub fn ensure_pushable(plan: &Plan, registry: &Registry<'_>) -> Result<()> {
    let fix = "set `repositories` in [package.metadata.dockless.image], or pass --repository";
    let mut all: Vec<&Repository> = plan.images.iter().flat_map(ImagePlan::repositories).collect();
    all.iter().try_for_each(|to| ensure_named(to, fix))?;
    all.sort();
    all.dedup();
    parallel::map(&all, AT_A_TIME, |to| registry.check_access(to)).map(drop)
}

/// Fails for a name that Docker keeps for itself: an image has one where no repository was
/// named, or where a file was meant.
pub fn ensure_named(to: &Repository, fix: &str) -> Result<()> {
    if to.is_official() {
        let why =
            format!("{to} is a name of Docker Hub's own: only Docker itself puts images there");
        bail!(failure(why, fix));
    }
    Ok(())
}
