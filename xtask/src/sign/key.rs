//! Key pairs of P-256: read as cosign and openssl write them, made as cosign does.
//!
//! Decoded keys and passwords are overwritten when they are dropped. The key that ring signs with
//! is not: ring has no such function.

use std::fmt;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};

use super::der::{self, Curve, KeyParts, POINT};
use super::pem::{self, Block};
use super::sealed::{self, Sealed};
use crate::digest::Digest;
use crate::files::Limit;
use crate::finding::{Help, failure};
use crate::secret::Secret;

/// A file with a key. One of P-256 has less than 1 kB.
pub const KEY_LIMIT: Limit = Limit(64 << 10);

/// cosign's label today and the one before.
const ENCRYPTED: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];
const PKCS8: &str = "PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";
/// openssl writes the curve before a key of SEC 1.
const EC_PARAMETERS: &str = "EC PARAMETERS";
const PUBLIC: &str = "PUBLIC KEY";

/// A private key as it was read: encrypted, or ready.
#[derive(Debug)]
pub enum KeyText {
    Encrypted(Sealed),
    Plain(Box<PrivateKey>),
}

/// A key that signs.
pub struct PrivateKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

/// A key that verifies.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    point: [u8; POINT],
}

/// A key pair that was made: both files.
pub struct NewKey {
    /// Encrypted.
    pub private: Secret,
    pub public: PublicKey,
}

impl KeyText {
    /// Reads a private key in PEM form.
    pub fn parse(text: &str) -> Result<KeyText> {
        let mut blocks = pem::blocks(text).context("its PEM is malformed")?;
        blocks.retain(|block| block.label != EC_PARAMETERS);
        let [Block { label, bytes }] = &blocks[..] else {
            let fix = "`dockless keygen` and `openssl genpkey` write one";
            bail!(failure(format!("it has {} keys in PEM form, not one", blocks.len()), fix));
        };
        match *label {
            label if ENCRYPTED.contains(&label) => Sealed::parse(bytes).map(KeyText::Encrypted),
            PKCS8 => PrivateKey::of(&der::pkcs8(bytes)?).map(KeyText::plain),
            SEC1 => PrivateKey::of(&der::sec1(bytes, Curve::Unknown)?).map(KeyText::plain),
            "ENCRYPTED PRIVATE KEY" => bail!(failure(
                "it is encrypted in openssl's way",
                "decrypt it with `openssl pkey`, or encrypt it with `cosign import-key-pair`",
            )),
            PUBLIC => bail!("it is a public key, and only a private one signs"),
            _ => bail!("it is no private key"),
        }
    }

    fn plain(key: PrivateKey) -> KeyText {
        KeyText::Plain(Box::new(key))
    }

    /// The key; `password` is asked for that of an encrypted one.
    pub fn open(self, password: impl FnOnce() -> Result<Secret>) -> Result<PrivateKey> {
        match self {
            KeyText::Plain(key) => Ok(*key),
            KeyText::Encrypted(sealed) => {
                let bytes = sealed.open(password()?.expose().as_bytes())?;
                PrivateKey::of(&der::pkcs8(&bytes)?)
            }
        }
    }
}

impl PrivateKey {
    fn of(parts: &KeyParts<'_>) -> Result<PrivateKey> {
        let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            algorithm,
            parts.private,
            parts.public,
            &random,
        );
        let pair = pair.map_err(|error| anyhow!("it is no key of P-256: {error}"))?;
        let point = pair.public_key().as_ref().try_into().context("read its public key")?;
        Ok(PrivateKey { pair, public: PublicKey { point } })
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs bytes: ECDSA over their SHA-256, in DER. Two signatures of the same bytes differ.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let signature = self.pair.sign(&SystemRandom::new(), bytes);
        let signature = signature.map_err(|_| anyhow!("sign: the system has no random numbers"))?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl PublicKey {
    /// Reads a public key in PEM form.
    pub fn parse(text: &str) -> Result<PublicKey> {
        let blocks = pem::blocks(text).context("its PEM is malformed")?;
        let [Block { label, bytes }] = &blocks[..] else {
            let why = format!("it has {} keys in PEM form, not one", blocks.len());
            bail!(failure(why, "name the file cosign.pub of the key pair"));
        };
        match *label {
            PUBLIC => Ok(PublicKey { point: der::public(bytes)? }),
            "CERTIFICATE" => bail!("it is a certificate, and only keys are verified with"),
            label if label.ends_with(PKCS8) => bail!(failure(
                "it is a private key, which nobody needs to verify",
                "name the file cosign.pub of the key pair",
            )),
            _ => bail!("it is no public key"),
        }
    }

    /// Whether the signature is this key's over the bytes. A high S is lawful; trailing bytes
    /// are not.
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point);
        key.verify(bytes, signature).is_ok()
    }

    pub fn der(&self) -> Vec<u8> {
        der::write_public(&self.point)
    }

    pub fn pem(&self) -> String {
        pem::write(PUBLIC, &self.der())
    }

    /// The SHA-256 of its DER: the name of the key for people.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.der())
    }

    /// The name of the key in bundles.
    pub fn hint(&self) -> String {
        STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, &self.der()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

/// Makes a key pair; the private key is encrypted with the password.
pub fn new_key(password: &Secret) -> Result<NewKey> {
    let no_random = |_| {
        let help = Help("run it where /dev/urandom can be read".to_owned());
        anyhow!("make a key: the system has no random numbers").context(help)
    };
    let random = SystemRandom::new();
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
    let made = made.map_err(no_random)?;
    let (mut salt, mut nonce) = ([0; 32], [0; 24]);
    random.fill(&mut salt).and_then(|()| random.fill(&mut nonce)).map_err(no_random)?;
    let public = PrivateKey::of(&der::pkcs8(made.as_ref())?)?.public;
    let sealed = sealed::seal(made.as_ref(), password.expose().as_bytes(), &salt, &nonce)?;
    Ok(NewKey { private: Secret::new(pem::write(ENCRYPTED[0], &sealed)), public })
}
