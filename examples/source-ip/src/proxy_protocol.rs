//! The PROXY protocol, versions 1 and 2: how a balancer that passes on bytes names its client.
//!
//! <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>; sections below are this text's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest header of version 1 with its end of line, in bytes (section 2.1).
const LONGEST_V1: usize = 107;

/// How every header of version 2 begins (section 2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The bytes of a version 2 header before its addresses. A length of two bytes is the last of
/// them, so a whole header has at most 16 + 65535 bytes.
const FIXED: usize = 16;

/// The type of the field with a CRC32c of the whole header (section 2.2.3).
const TYPE_CRC32C: u8 = 0x03;

/// Where a connection comes from, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The proxy itself opened the connection, for example to check health.
    Local,
    /// A client of this address, in canonical form.
    Address(IpAddr),
    /// A client that has no address, such as that of a UNIX socket, or one that the proxy
    /// does not know.
    Unknown,
}

/// The header at the start of a connection, and its length in bytes. `None` if more bytes are
/// needed.
///
/// Fails as soon as the bytes cannot become a header.
pub fn parse(bytes: &[u8]) -> Result<Option<(Origin, usize)>, &'static str> {
    let is_start_of = |of: &[u8]| bytes.iter().zip(of).all(|(a, b)| a == b);
    if is_start_of(&SIGNATURE) {
        version_2(bytes)
    } else if is_start_of(b"PROXY ") {
        version_1(bytes)
    } else {
        Err("no PROXY header")
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 51234 80\r\n` (section 2.1).
fn version_1(bytes: &[u8]) -> Result<Option<(Origin, usize)>, &'static str> {
    let line = &bytes[..bytes.len().min(LONGEST_V1)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        let too_long = bytes.len() >= LONGEST_V1;
        return if too_long { Err("a PROXY header of more than 107 bytes") } else { Ok(None) };
    };
    let line = std::str::from_utf8(&line[..end]).map_err(|_| "a PROXY header that is not ASCII")?;
    let mut words = line.split(' ').skip(1);
    let mut word = || words.next().ok_or("a PROXY header with too few words");
    let family = word()?;
    if family == "UNKNOWN" {
        // "The receiver must ignore anything presented before the CRLF is found."
        return Ok(Some((Origin::Unknown, end + 2)));
    }
    let addresses = [word()?, word()?];
    let ports = [word()?, word()?];
    if words.next().is_some() {
        return Err("a PROXY header with too many words");
    }
    let [source, _] = match family {
        "TCP4" => both(addresses, |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::from))?,
        "TCP6" => both(addresses, |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::from))?,
        _ => return Err("a PROXY header of an unknown family"),
    };
    let is_port =
        |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok();
    if !ports.iter().all(is_port) {
        return Err("a PROXY header with a malformed port");
    }
    Ok(Some((Origin::Address(source.to_canonical()), end + 2)))
}

fn both(
    texts: [&str; 2],
    parse: impl Fn(&str) -> Option<IpAddr>,
) -> Result<[IpAddr; 2], &'static str> {
    match texts.map(parse) {
        [Some(source), Some(destination)] => Ok([source, destination]),
        _ => Err("a PROXY header with a malformed address"),
    }
}

/// The binary header (section 2.2).
fn version_2(bytes: &[u8]) -> Result<Option<(Origin, usize)>, &'static str> {
    let local = match bytes.get(12) {
        None => return Ok(None),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err("a PROXY header of an unknown version or command"),
    };
    let Some(fixed) = bytes.get(..FIXED) else { return Ok(None) };
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let Some(header) = bytes.get(..length) else { return Ok(None) };
    if local {
        // Its family, addresses and fields are to be ignored.
        return Ok(Some((Origin::Local, length)));
    }
    let rest = &header[FIXED..];
    let (origin, fields) = match fixed[13] {
        // Unspecified; "the receiver should ignore anything else in the header".
        0x00 => return Ok(Some((Origin::Unknown, length))),
        0x11 => {
            let (source, fields) = addresses::<4>(rest, 12)?;
            (Origin::Address(Ipv4Addr::from(source).into()), fields)
        }
        0x21 => {
            let (source, fields) = addresses::<16>(rest, 36)?;
            (Origin::Address(IpAddr::from(source).to_canonical()), fields)
        }
        // Two paths of 108 bytes.
        0x31 => (Origin::Unknown, addresses::<108>(rest, 216)?.1),
        _ => return Err("a PROXY header of an unknown family, or of datagrams"),
    };
    check_fields(header, length - fields.len())?;
    Ok(Some((origin, length)))
}

/// The source address, which comes first, and what follows the addresses and ports.
fn addresses<const N: usize>(rest: &[u8], length: usize) -> Result<([u8; N], &[u8]), &'static str> {
    match (rest.first_chunk(), rest.get(length..)) {
        (Some(source), Some(fields)) => Ok((*source, fields)),
        _ => Err("a PROXY header too short for its family"),
    }
}

/// Checks that fields (type, length of two bytes, value) fill the rest of the header, and a
/// checksum if one is there.
fn check_fields(header: &[u8], mut at: usize) -> Result<(), &'static str> {
    const BROKEN: &str = "a PROXY header with a broken field";
    while at < header.len() {
        let [kind, high, low] = *header[at..].first_chunk().ok_or(BROKEN)?;
        let value = at + 3;
        at = value + usize::from(u16::from_be_bytes([high, low]));
        let stored = header.get(value..at).ok_or(BROKEN)?;
        if kind == TYPE_CRC32C {
            let stored = u32::from_be_bytes(stored.try_into().map_err(|_| BROKEN)?);
            // The sender computed it with zeros in its place.
            let bytes = header.iter().enumerate();
            let zeroed = bytes.map(|(i, byte)| if (value..at).contains(&i) { 0 } else { *byte });
            if crc32c(zeroed) != stored {
                return Err("a PROXY header with a wrong checksum");
            }
        }
    }
    Ok(())
}

/// CRC32c, bit by bit: headers are short (RFC 3720, appendix B.4).
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests;
