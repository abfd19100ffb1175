//! What is signed, where there is a key.

use super::{CHECKSUMS, Part, Request, STATEMENT, SignPlan, Skip};
use crate::config::{Config, SignedFiles};

/// Decides what is signed. `files` are those of the release.
pub fn plan(config: &Config, request: &Request, files: &[String]) -> Option<SignPlan> {
    let config = &config.sign;
    if !request.has_key(config) || request.skips(Skip::Sign) {
        return None;
    }
    let signed = |name: &&String| match config.files {
        SignedFiles::All => true,
        SignedFiles::Checksums => *name == CHECKSUMS || name.ends_with(STATEMENT),
    };
    let files = match request.part {
        Part::All => files.iter().filter(signed).cloned().collect(),
        // What these make for a release is signed by it.
        Part::Images => Vec::new(),
        Part::Archives | Part::Dockerfiles | Part::Programs => return None,
    };
    Some(SignPlan { files, legacy: config.legacy })
}
