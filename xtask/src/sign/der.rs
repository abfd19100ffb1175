//! The few structures in DER that hold a key of P-256.

use anyhow::{Context, Result, bail};

use crate::finding::failure;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// The optional fields of a key: its curve and its public key.
const PARAMETERS: u8 = 0xa0;
const PUBLIC_KEY: u8 = 0xa1;

/// id-ecPublicKey. <https://www.rfc-editor.org/rfc/rfc5480#section-2.1.1>
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// prime256v1, the other name of P-256.
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// The size of a point: one byte and two coordinates.
pub const POINT: usize = 65;

/// What precedes the point in a public key of P-256.
/// <https://www.rfc-editor.org/rfc/rfc5480#section-2>
const PUBLIC: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A private key and its public one, as they lie in the bytes.
pub struct KeyParts<'a> {
    pub private: &'a [u8],
    pub public: &'a [u8],
}

/// The point of a public key.
pub fn public(der: &[u8]) -> Result<[u8; POINT]> {
    if let Some(point) = der.strip_prefix(&PUBLIC)
        && let Ok(point) = <[u8; POINT]>::try_from(point)
        && point[0] == 4
    {
        return Ok(point);
    }
    // Told apart only for the message.
    let algorithm = || {
        let mut all = der;
        let mut key = take(&mut all, SEQUENCE)?;
        let mut algorithm = take(&mut key, SEQUENCE)?;
        curve(&mut algorithm)
    };
    algorithm()?;
    bail!("it is no public key of P-256")
}

/// The whole public key.
pub fn write_public(point: &[u8; POINT]) -> Vec<u8> {
    [&PUBLIC[..], point].concat()
}

/// The key in a PKCS#8 structure. <https://www.rfc-editor.org/rfc/rfc5958#section-2>
pub fn pkcs8(der: &[u8]) -> Result<KeyParts<'_>> {
    let mut all = der;
    let mut key = take(&mut all, SEQUENCE)?;
    let version = take(&mut key, INTEGER)?;
    if !all.is_empty() || !matches!(version, [0 | 1]) {
        bail!("it is no PKCS#8 key");
    }
    let mut algorithm = take(&mut key, SEQUENCE)?;
    curve(&mut algorithm)?;
    sec1(take(&mut key, OCTET_STRING)?, Curve::Known)
}

/// Whether the curve was named outside of the structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    Known,
    Unknown,
}

/// The key in a structure of SEC 1. <https://www.rfc-editor.org/rfc/rfc5915#section-3>
pub fn sec1(der: &[u8], curve: Curve) -> Result<KeyParts<'_>> {
    let mut all = der;
    let mut key = take(&mut all, SEQUENCE)?;
    let version = take(&mut key, INTEGER)?;
    if !all.is_empty() || version != [1] {
        bail!("it is no EC key");
    }
    let private = take(&mut key, OCTET_STRING)?;
    if key.first() == Some(&PARAMETERS) {
        let mut named = take(&mut key, PARAMETERS)?;
        ensure_p256(take(&mut named, OID)?)?;
    } else if curve == Curve::Unknown {
        bail!("it does not name its curve");
    }
    if key.first() != Some(&PUBLIC_KEY) {
        let fix = "write it again with its public key: `openssl pkey -in OLD -out NEW`";
        return Err(failure("it does not hold its public key", fix));
    }
    let mut field = take(&mut key, PUBLIC_KEY)?;
    // The first byte counts the unused bits.
    let public = take(&mut field, BIT_STRING)?.strip_prefix(&[0]);
    let public = public.filter(|it| it.len() == POINT && key.is_empty() && field.is_empty());
    let public = public.context("its public key is malformed")?;
    Ok(KeyParts { private, public })
}

/// Fails where an algorithm is not that of P-256.
fn curve(algorithm: &mut &[u8]) -> Result<()> {
    if take(algorithm, OID)? != EC {
        bail!(only_p256("a key of another algorithm, such as RSA or Ed25519"));
    }
    ensure_p256(take(algorithm, OID)?)
}

fn ensure_p256(curve: &[u8]) -> Result<()> {
    if curve == P256 { Ok(()) } else { Err(only_p256("a key of another curve than P-256")) }
}

fn only_p256(what: &str) -> anyhow::Error {
    failure(format!("it is {what}"), "use a key of P-256: `dockless keygen` makes one")
}

/// Takes one value with the tag from the beginning.
fn take<'a>(from: &mut &'a [u8], tag: u8) -> Result<&'a [u8]> {
    let value = || {
        let (found, rest) = from.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (size, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            // No key takes more than two bytes to count.
            0x81 => rest.split_first().map(|(size, rest)| (usize::from(*size), rest))?,
            0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), &rest[2..]),
            _ => return None,
        };
        (*found == tag).then(|| rest.split_at_checked(size))?
    };
    let (value, rest) = value().context("its DER is malformed")?;
    *from = rest;
    Ok(value)
}
