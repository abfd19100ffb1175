//! Envelopes: a payload, its type, and a signature over both.
//! <https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::key::{PrivateKey, PublicKey};

/// The only type of payload that is read and written: a statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// An envelope as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<RawSignature>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignature {
    sig: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keyid: String,
}

/// An envelope with a statement and one signature.
#[derive(Debug)]
pub struct Envelope {
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Envelope {
    pub fn sign(payload: Vec<u8>, key: &PrivateKey) -> Result<Envelope> {
        let signature = key.sign(&pae(PAYLOAD_TYPE, &payload))?;
        Ok(Envelope { payload, signature })
    }

    /// Takes what cosign takes.
    pub fn parse(raw: &RawEnvelope) -> Result<Envelope> {
        ensure!(
            raw.payload_type == PAYLOAD_TYPE,
            "its payload is of the type {:?}, not {PAYLOAD_TYPE}",
            raw.payload_type
        );
        let [RawSignature { sig, keyid }] = &raw.signatures[..] else {
            bail!("it has {} signatures, not one", raw.signatures.len());
        };
        ensure!(keyid.is_empty(), "its signature has a keyid, which cosign refuses");
        let payload = STANDARD.decode(&raw.payload).ok().context("its payload is no base64")?;
        let signature = STANDARD.decode(sig).ok().context("its signature is no base64")?;
        Ok(Envelope { payload, signature })
    }

    pub fn raw(&self) -> RawEnvelope {
        let signature =
            RawSignature { sig: STANDARD.encode(&self.signature), keyid: String::new() };
        RawEnvelope {
            payload: STANDARD.encode(&self.payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![signature],
        }
    }

    /// The payload, where the key has signed it.
    pub fn verified(&self, key: &PublicKey) -> Option<&[u8]> {
        let signed = key.verifies(&pae(PAYLOAD_TYPE, &self.payload), &self.signature);
        signed.then_some(&*self.payload)
    }
}

/// What is signed: the lengths keep the type and the payload apart.
/// <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
