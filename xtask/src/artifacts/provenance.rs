//! Statements of what packages were made from.

use serde_json::{Value, json};

use crate::digest::Digest;
use crate::plan::ProvenancePlan;

/// A statement that was made of a plan.
#[derive(Clone, Debug)]
pub struct Provenance {
    pub plan: ProvenancePlan,
    /// The statement, whose bytes are signed.
    pub text: Vec<u8>,
    pub digest: Digest,
}

impl Provenance {
    /// In bytes.
    pub fn size(&self) -> u64 {
        self.text.len() as u64
    }

    /// What only a statement has, for `artifacts.json`.
    pub fn extra(&self) -> Value {
        let ProvenancePlan { package, version, .. } = &self.plan;
        json!({ "checksum": self.digest, "package": package, "size": self.size(),
                "version": version })
    }
}
