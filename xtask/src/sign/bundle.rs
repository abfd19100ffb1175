//! Bundles, version 0.3: a signature with what is needed to verify it. Those with a key are read;
//! what cosign refuses is refused.

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::dsse::{Envelope, RawEnvelope};
use super::key::{PrivateKey, PublicKey};
use super::statement::{SIGNATURE, Statement};
use crate::digest::Digest;
use crate::files::Limit;
use crate::finding::failure;
use crate::oci::{self, json};

/// The type of a bundle, of its layer in a registry, and of the artifact there.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The largest bundle. That of an SBOM has some MB.
pub const LIMIT: Limit = Limit(32 << 20);

const SHA256: &str = "SHA2_256";

/// A bundle as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawBundle {
    media_type: String,
    verification_material: RawMaterial,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_signature: Option<RawMessage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<RawEnvelope>,
}

/// A log's entries and time stamps prove a time, and nothing about a key.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMaterial {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<RawHint>,
    #[serde(default, skip_serializing)]
    certificate: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    x509_certificate_chain: Option<IgnoredAny>,
    #[serde(default, skip_serializing, rename = "tlogEntries")]
    _log: Option<Vec<IgnoredAny>>,
    #[serde(default, skip_serializing, rename = "timestampVerificationData")]
    _time: Option<IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHint {
    /// It proves nothing: the key does.
    #[serde(default)]
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMessage {
    message_digest: RawDigest,
    signature: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDigest {
    algorithm: String,
    digest: String,
}

/// A bundle with a key.
#[derive(Debug)]
pub enum Bundle {
    /// A signature over a file's bytes.
    Message { digest: Digest, signature: Vec<u8> },
    /// A signed statement.
    Statement(Envelope),
}

impl Bundle {
    pub fn parse(bytes: &[u8]) -> Result<Bundle> {
        let most = LIMIT.0;
        ensure!(bytes.len() as u64 <= most, "the bundle has more than {most} bytes");
        // The version first: another one has other fields.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            media_type: String,
        }
        let Version { media_type } = oci::parse(bytes, "the bundle")?;
        if media_type != MEDIA_TYPE {
            let fix = "sign again with cosign 3, or with `dockless sign`";
            bail!(failure(
                format!("the bundle is of the type {media_type:?}, not {MEDIA_TYPE}"),
                fix
            ));
        }
        let raw: RawBundle = oci::parse(bytes, "the bundle")?;
        let material = raw.verification_material;
        if material.certificate.is_some() || material.x509_certificate_chain.is_some() {
            bail!("it was signed with a certificate, and a key cannot verify it");
        }
        ensure!(material.public_key.is_some(), "the bundle names no key");
        match (raw.message_signature, raw.dsse_envelope) {
            (Some(message), None) => {
                let RawDigest { algorithm, digest } = message.message_digest;
                ensure!(algorithm == SHA256, "its digest is of {algorithm:?}, not {SHA256}");
                let digest = STANDARD.decode(digest).ok();
                let digest = digest.and_then(|it| Digest::from_bytes(&it));
                let signature = STANDARD.decode(message.signature).ok();
                Ok(Bundle::Message {
                    digest: digest.context("its digest is no SHA-256 in base64")?,
                    signature: signature.context("its signature is no base64")?,
                })
            }
            (None, Some(envelope)) => Envelope::parse(&envelope).map(Bundle::Statement),
            (Some(_), Some(_)) => bail!("the bundle has two contents"),
            (None, None) => bail!("the bundle has no content"),
        }
    }

    /// Fails where it is not the key's signature of the file's bytes.
    pub fn verify_file(&self, bytes: &[u8], key: &PublicKey) -> Result<()> {
        match self {
            Bundle::Message { digest, signature } => {
                let found = Digest::of(bytes);
                ensure!(found == *digest, "the bundle is of {digest}, and the file is {found}");
                if key.verifies(bytes, signature) { Ok(()) } else { Err(not_by(key)) }
            }
            // A file that is itself a statement is in its bundle.
            Bundle::Statement(_) if self.holds(bytes, key) => Ok(()),
            Bundle::Statement(_) => self.verify_about(&Digest::of(bytes), SIGNATURE, key).map(drop),
        }
    }

    /// Whether it holds exactly this statement, signed by the key.
    pub fn holds(&self, statement: &[u8], key: &PublicKey) -> bool {
        match self {
            Bundle::Message { .. } => false,
            Bundle::Statement(envelope) => envelope.verified(key) == Some(statement),
        }
    }

    /// The statement, where the key signed it, of the predicate, about the digest.
    pub fn verify_about(
        &self,
        digest: &Digest,
        predicate: &str,
        key: &PublicKey,
    ) -> Result<Statement> {
        let statement = self.verify_statement(key)?;
        // Any good bundle of the key passes in cosign, an SBOM's too.
        let found = &statement.predicate_type;
        ensure!(found == predicate, "it is a statement of the type {found:?}, not {predicate}");
        ensure!(statement.is_about(digest), "its statement is not about {digest}");
        Ok(statement)
    }

    /// The statement, where the key signed it.
    pub fn verify_statement(&self, key: &PublicKey) -> Result<Statement> {
        match self {
            Bundle::Message { .. } => bail!("it is the signature of a file, and no statement"),
            Bundle::Statement(envelope) => {
                Statement::parse(envelope.verified(key).ok_or_else(|| not_by(key))?)
            }
        }
    }
}

fn not_by(key: &PublicKey) -> anyhow::Error {
    anyhow::anyhow!("the signature is not by the key {}, or of other bytes", key.fingerprint())
}

/// The bundle with the key's signature over a file's bytes.
pub fn sign_file(bytes: &[u8], key: &PrivateKey) -> Result<Vec<u8>> {
    let digest = STANDARD.encode(Digest::of(bytes).bytes());
    let message_digest = RawDigest { algorithm: SHA256.to_owned(), digest };
    let signature = STANDARD.encode(key.sign(bytes)?);
    write(key, Some(RawMessage { message_digest, signature }), None)
}

/// The bundle with the statement, signed by the key.
pub fn sign_statement(statement: &Statement, key: &PrivateKey) -> Result<Vec<u8>> {
    sign_payload(json::bytes(statement)?, key)
}

/// The bundle with these bytes, which are a statement, signed by the key.
pub fn sign_payload(statement: Vec<u8>, key: &PrivateKey) -> Result<Vec<u8>> {
    write(key, None, Some(Envelope::sign(statement, key)?.raw()))
}

fn write(
    key: &PrivateKey,
    message_signature: Option<RawMessage>,
    dsse_envelope: Option<RawEnvelope>,
) -> Result<Vec<u8>> {
    let public_key = Some(RawHint { hint: key.public().hint() });
    json::bytes(&RawBundle {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: RawMaterial { public_key, ..RawMaterial::default() },
        message_signature,
        dsse_envelope,
    })
}
