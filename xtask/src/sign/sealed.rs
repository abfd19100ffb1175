//! cosign's encrypted keys: a PKCS#8 key in a secretbox of NaCl, whose key scrypt derives from
//! the password.
//! <https://github.com/secure-systems-lab/go-securesystemslib/blob/main/encrypted/encrypted.go>

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use scrypt::{Params, scrypt};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::finding::Help;
use crate::oci;

/// The costs that are accepted: cosign's own, half and double. A hostile key could otherwise take
/// all memory.
const COSTS: [u32; 3] = [1 << 15, 1 << 16, 1 << 17];
/// What cosign writes.
const COST: u32 = 1 << 16;
const BLOCK: u32 = 8;
const PARALLEL: u32 = 1;

const KEY: usize = 32;
const NONCE: usize = 24;
const TAG: usize = 16;
const SALT: usize = 32;
/// In bytes. A key of P-256 has 138.
const MOST: usize = 4096;

/// An encrypted key as it is written.
#[derive(Serialize, Deserialize)]
struct RawSealed {
    kdf: RawKdf,
    cipher: RawCipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct RawKdf {
    name: String,
    params: RawParams,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct RawParams {
    #[serde(rename = "N")]
    n: u32,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct RawCipher {
    name: String,
    nonce: String,
}

/// An encrypted key.
#[derive(Debug)]
pub struct Sealed {
    params: Params,
    salt: Vec<u8>,
    nonce: [u8; NONCE],
    /// The tag, and what is encrypted.
    sealed: Vec<u8>,
}

impl Sealed {
    pub fn parse(json: &[u8]) -> Result<Sealed> {
        let raw: RawSealed = oci::parse(json, "the encrypted key")?;
        let (kdf, cipher) = (&raw.kdf, &raw.cipher);
        ensure!(
            kdf.name == "scrypt" && cipher.name == "nacl/secretbox",
            "it is encrypted in another way than by scrypt and nacl/secretbox"
        );
        let RawParams { n, r, p } = kdf.params;
        if !COSTS.contains(&n) || (r, p) != (BLOCK, PARALLEL) {
            let costs = COSTS.map(|cost| cost.to_string()).join(", ");
            bail!(
                "its costs are N = {n}, r = {r}, p = {p}, and only N of {costs} with r = {BLOCK} \
                 and p = {PARALLEL} is accepted"
            );
        }
        let decoded = |text: &str, what| {
            STANDARD.decode(text).ok().with_context(|| format!("its {what} is no base64"))
        };
        let salt = decoded(&kdf.salt, "salt")?;
        let nonce = decoded(&cipher.nonce, "nonce")?;
        let sealed = decoded(&raw.ciphertext, "ciphertext")?;
        ensure!(salt.len() <= 2 * SALT, "its salt has {} bytes", salt.len());
        ensure!((TAG..MOST).contains(&sealed.len()), "its ciphertext has {} bytes", sealed.len());
        let nonce = nonce.try_into().ok().context("its nonce has not 24 bytes")?;
        Ok(Sealed { params: params(n)?, salt, nonce, sealed })
    }

    /// The decrypted bytes.
    pub fn open(&self, password: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let key = derived(password, &self.salt, &self.params)?;
        let (tag, text) = self.sealed.split_at(TAG);
        let (mut cipher, authenticator) = secretbox(&key, &self.nonce);
        let found = authenticator.compute_unpadded(text);
        // Without a branch on single bytes.
        let differ = found.iter().zip(tag).fold(0, |differ, (a, b)| differ | (a ^ b));
        if differ != 0 {
            let help = Help("check COSIGN_PASSWORD; an empty one is a password too".to_owned());
            return Err(anyhow!("the password does not decrypt it").context(help));
        }
        let mut text = Zeroizing::new(text.to_vec());
        cipher.apply_keystream(&mut text);
        Ok(text)
    }
}

/// Encrypts a key; the salt and the nonce are random.
pub fn seal(
    secret: &[u8],
    password: &[u8],
    salt: &[u8; SALT],
    nonce: &[u8; NONCE],
) -> Result<Vec<u8>> {
    let key = derived(password, salt, &params(COST)?)?;
    let (mut cipher, authenticator) = secretbox(&key, nonce);
    let mut text = Zeroizing::new(secret.to_vec());
    cipher.apply_keystream(&mut text);
    let tag = authenticator.compute_unpadded(&text);
    let sealed = [&tag[..], &text].concat();
    let params = RawParams { n: COST, r: BLOCK, p: PARALLEL };
    let kdf = RawKdf { name: "scrypt".to_owned(), params, salt: STANDARD.encode(salt) };
    let cipher = RawCipher { name: "nacl/secretbox".to_owned(), nonce: STANDARD.encode(nonce) };
    let raw = RawSealed { kdf, cipher, ciphertext: STANDARD.encode(sealed) };
    serde_json::to_vec(&raw).context("write JSON")
}

fn params(n: u32) -> Result<Params> {
    let log = u8::try_from(n.ilog2()).context("count the bits of a cost")?;
    Params::new(log, BLOCK, PARALLEL).map_err(|error| anyhow!("set scrypt's costs: {error}"))
}

fn derived(password: &[u8], salt: &[u8], params: &Params) -> Result<Zeroizing<[u8; KEY]>> {
    let mut key = Zeroizing::new([0; KEY]);
    scrypt(password, salt, params, &mut *key)
        .map_err(|error| anyhow!("derive a key from the password: {error}"))?;
    Ok(key)
}

/// The cipher, and the authenticator whose key is the beginning of its stream.
/// <https://nacl.cr.yp.to/secretbox.html>
fn secretbox(key: &[u8; KEY], nonce: &[u8; NONCE]) -> (XSalsa20, Poly1305) {
    let mut cipher = XSalsa20::new(key.into(), nonce.into());
    let mut first = Zeroizing::new([0; KEY]);
    cipher.apply_keystream(&mut *first);
    (cipher, Poly1305::new((&*first).into()))
}
