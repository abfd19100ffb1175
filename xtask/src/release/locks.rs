//! What a run has to itself while others wait.

use anyhow::Result;

use crate::files::{self, Dist, Lock};
use crate::project::Project;
use crate::term::Term;

/// What a folder that need not be backed up holds. <https://bford.info/cachedir/>
const CACHEDIR_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n";

/// What a run that makes dist/ has to itself.
#[derive(Debug)]
pub struct Locks {
    pub dist: Dist,
    _target: Lock,
}

/// One run at a time makes a checkout's dist/; the others wait. All take dist/ before the
/// folder of what cargo made, so that no two wait for each other.
pub fn lock(project: &Project, term: &Term) -> Result<Locks> {
    let dist = lock_dist(project, term)?;
    Ok(Locks { dist, _target: lock_target(project, term)? })
}

/// dist/, for those who use nothing that cargo made. It lies beside the sources, and so
/// does its lock, whatever the runs' target folders are.
pub fn lock_dist(project: &Project, term: &Term) -> Result<Dist> {
    Dist::lock(&project.dist, &purpose(project), |other| {
        term.step("wait", format_args!("for another dockless in this checkout: {other}"));
    })
}

/// The same for those who only read dist/; `None` where nobody has to be kept from it.
pub fn lock_dist_to_read(project: &Project, term: &Term) -> Result<Option<Dist>> {
    // Where there is no dist/, the lock would be made for nothing.
    if files::is_clear(&project.dist)? {
        return Ok(None);
    }
    match lock_dist(project, term) {
        // Whoever makes dist/ writes beside it, and takes the lock there. Where this user cannot
        // write, none of this user's runs changes dist/, and so it is read without the lock.
        Err(error) if files::is_refused(&error) => Ok(None),
        locked => locked.map(Some),
    }
}

/// The programs that cargo made, which another run would replace before they are shipped:
/// checkouts may share the folder.
pub fn lock_target(project: &Project, term: &Term) -> Result<Lock> {
    let target_dir = &project.target_dir;
    if !target_dir.exists() {
        // cargo marks the folder for backup programs only when it makes it itself.
        files::write(&target_dir.join("CACHEDIR.TAG"), CACHEDIR_TAG)?;
    }
    Lock::acquire(&target_dir.join(".dockless-lock"), &purpose(project), |other| {
        let folder = target_dir.display();
        term.step("wait", format_args!("for another dockless that builds in {folder}: {other}"));
    })
}

/// What those who wait are told of this run.
fn purpose(project: &Project) -> String {
    project.root.display().to_string()
}
