//! The statements of what packages are made from: which are made, and their names.

use super::{BUNDLE, BuildPlan, Mode, Part, ProvenancePlan, Request, Skip};
use crate::config::Config;

/// What the names of statements end with.
/// <https://github.com/in-toto/attestation/blob/main/spec/v1/bundle.md>
pub const STATEMENT: &str = ".intoto.json";

/// One for each package of which something is made. A statement tells of all that is made of a
/// package, so that a part of dist/ has none; of images alone it is for who signs them.
pub fn plan(config: &Config, request: &Request, builds: &[BuildPlan]) -> Vec<ProvenancePlan> {
    let part = match request.part {
        Part::All => request.archives() || request.images(),
        Part::Images => request.has_key(&config.sign),
        Part::Archives | Part::Dockerfiles | Part::Programs => false,
    };
    let wanted = config.provenance.ship && !request.skips(Skip::Provenance);
    if !part || !wanted || request.mode == Mode::Local {
        return Vec::new();
    }
    let of = |build: &BuildPlan| {
        let (package, version) = (build.package.clone(), build.version.clone());
        let name = format!("{package}-v{version}{STATEMENT}");
        ProvenancePlan { name, package, version }
    };
    builds.iter().map(of).collect()
}

/// Whether a file of dist/ is a statement, or its signature.
pub fn is_statement(name: &str) -> bool {
    name.strip_suffix(BUNDLE).unwrap_or(name).ends_with(STATEMENT)
}
