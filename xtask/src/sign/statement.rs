//! Statements: what is said (the predicate) of what (the subjects, by their digests).
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest::Digest;
use crate::oci;

/// The type that is written. cosign still writes the one before where it attests.
const TYPE: &str = "https://in-toto.io/Statement/v1";
const TYPES: [&str; 2] = [TYPE, "https://in-toto.io/Statement/v0.1"];

/// The most subjects. cosign refuses more too.
pub const SUBJECTS: usize = 1024;

/// The predicate of cosign's signatures of images.
/// <https://github.com/sigstore/cosign/blob/main/specs/COSIGN_PREDICATE_SPEC.md>
pub const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// A statement. Fields that it does not know are ignored, as the specification asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    pub subject: Vec<Subject>,
    pub predicate_type: String,
    #[serde(default)]
    pub predicate: Value,
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Digests by their algorithms.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
}

impl Subject {
    pub fn new(name: Option<String>, digest: &Digest) -> Subject {
        Subject { name, digest: BTreeMap::from([("sha256".to_owned(), digest.hex())]) }
    }
}

impl Statement {
    pub fn new(subject: Vec<Subject>, predicate_type: &str, predicate: Value) -> Statement {
        let (kind, predicate_type) = (TYPE.to_owned(), predicate_type.to_owned());
        Statement { kind, subject, predicate_type, predicate }
    }

    /// A signature of an image by its digest, as cosign writes it.
    pub fn signature(of: &Digest) -> Statement {
        Statement::new(vec![Subject::new(None, of)], SIGNATURE, json!({}))
    }

    pub fn parse(bytes: &[u8]) -> Result<Statement> {
        let statement: Statement = oci::parse(bytes, "the statement")?;
        let (kind, count) = (&statement.kind, statement.subject.len());
        ensure!(TYPES.contains(&&**kind), "it is of the type {kind:?}, not {TYPE}");
        ensure!(count > 0, "the statement has no subject");
        ensure!(count <= SUBJECTS, "it has {count} subjects, more than {SUBJECTS}");
        Ok(statement)
    }

    /// Whether one of its subjects has the digest.
    pub fn is_about(&self, digest: &Digest) -> bool {
        let hex = digest.hex();
        self.subject.iter().any(|subject| subject.digest.get("sha256") == Some(&hex))
    }
}
