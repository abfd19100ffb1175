//! cosign's signatures before bundles: a small document in a layer, and the signature in the
//! layer's annotation. <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::key::{PrivateKey, PublicKey};
use crate::digest::Digest;
use crate::oci;

/// The type of the layer.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The annotation with the signature in base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

const TYPE: &str = "cosign container image signature";

/// The document that signs an image, and its signature in base64.
pub fn simple_signing(
    repository: &str,
    digest: &Digest,
    key: &PrivateKey,
) -> Result<(Vec<u8>, String)> {
    let document = oci::json::bytes(&json!({
        "critical": {
            "identity": { "docker-reference": repository },
            "image": { "docker-manifest-digest": digest },
            "type": TYPE,
        },
        "optional": null,
    }))?;
    let signature = STANDARD.encode(key.sign(&document)?);
    Ok((document, signature))
}

/// Fails where the document does not sign the image, or was not signed by the key.
pub fn verify_simple(
    document: &[u8],
    signature: &str,
    digest: &Digest,
    key: &PublicKey,
) -> Result<()> {
    #[derive(Deserialize)]
    struct Document {
        critical: Critical,
    }
    #[derive(Deserialize)]
    struct Critical {
        image: Image,
        #[serde(rename = "type")]
        kind: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Image {
        docker_manifest_digest: Digest,
    }
    let signature = STANDARD.decode(signature.trim()).ok().context("its signature is no base64")?;
    let key_name = key.fingerprint();
    ensure!(key.verifies(document, &signature), "the signature is not by the key {key_name}");
    let Document { critical } = oci::parse(document, "the signed document")?;
    ensure!(critical.kind == TYPE, "it is a {:?}, not a {TYPE}", critical.kind);
    let found = critical.image.docker_manifest_digest;
    ensure!(found == *digest, "it signs {found}");
    Ok(())
}
