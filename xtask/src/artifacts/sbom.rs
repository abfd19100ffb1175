//! Lists of what is in programs and images.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::digest::Digest;
use crate::plan::{SbomOf, SbomPlan};
use crate::target::Target;

/// An SBOM that was made of a plan.
#[derive(Clone, Debug)]
pub struct Sbom {
    pub plan: SbomPlan,
    pub text: Arc<[u8]>,
    pub digest: Digest,
}

impl Sbom {
    /// In bytes.
    pub fn size(&self) -> u64 {
        self.text.len() as u64
    }

    /// The target of what it is of.
    pub fn target(&self) -> Option<&Target> {
        match &self.plan.of {
            SbomOf::Program { target, .. } | SbomOf::Image { target, .. } => Some(target),
            SbomOf::Index => None,
        }
    }

    /// What only an SBOM has, for `artifacts.json`.
    pub fn extra(&self) -> Value {
        let SbomPlan { format, package, version, of, .. } = &self.plan;
        json!({ "checksum": self.digest, "format": format, "of": of, "package": package,
                "size": self.size(), "version": version })
    }
}
