//! The headers by which proxies name their clients: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! Each proxy appends whom it was asked by. So the last node of a header was written by the host at
//! the other end of the connection, and each node before it by the one named after it. A
//! node is believed if its writer is trusted. Everything before it may be the client's invention.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::{Source, Trusted};

/// The longest obfuscated identifier that is shown, in bytes.
const LONGEST_NAME: usize = 64;

/// The header that a trusted proxy is asked to be believed in. Another one is never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    XForwardedFor,
    Forwarded,
}

impl Header {
    /// As hyper's map of headers knows it.
    pub fn name(self) -> &'static str {
        match self {
            Header::XForwardedFor => "x-forwarded-for",
            Header::Forwarded => "forwarded",
        }
    }

    /// The nodes of one line, in order. A node that cannot be read is `Unknown`.
    fn nodes(self, line: &[u8]) -> Vec<Source> {
        match self {
            Header::XForwardedFor => line.split(|byte| *byte == b',').map(plain_node).collect(),
            Header::Forwarded => forwarded(line).unwrap_or_else(|| vec![Source::Unknown]),
        }
    }
}

/// The client as the host at the other end of the connection, which is trusted, and the trusted
/// hops before it name it, read from right to left. `None` if there is no such header.
///
/// A header's lines are read one by one, so that an open quote in a client's own line cannot
/// swallow the line of a proxy. The walk ends at the first node that is not a trusted address. If
/// all are trusted, the client is the first of them.
pub fn client<'a>(
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    header: Header,
    trusted: &Trusted,
) -> Option<Source> {
    let mut client = None;
    for line in lines.rev() {
        for node in header.nodes(line).into_iter().rev() {
            match node {
                Source::Address(address) if trusted.contains(address) => client = Some(node),
                _ => return Some(node),
            }
        }
    }
    client
}

/// A node of `X-Forwarded-For`, which no standard describes: an address, and a port in some
/// proxies.
fn plain_node(text: &[u8]) -> Source {
    let text = std::str::from_utf8(text).unwrap_or_default();
    address(text.trim_matches([' ', '\t'])).map_or(Source::Unknown, Source::Address)
}

/// A node of `Forwarded` (RFC 7239, section 6). Its port may be obfuscated too.
fn node(text: &str) -> Source {
    let text = match text.rsplit_once(':') {
        Some((node, port)) if is_obfuscated(port) => node,
        _ => text,
    };
    if let Some(address) = address(text) {
        return Source::Address(address);
    }
    let name = match text.split_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => text,
    };
    if is_obfuscated(name) { Source::Obfuscated(name.to_owned()) } else { Source::Unknown }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`, canonical.
fn address(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let complete = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return complete.then(|| IpAddr::from(address).to_canonical());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = text.split_once(':')?;
    is_port(port).then(|| address.parse::<Ipv4Addr>().ok()).flatten().map(IpAddr::from)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// `"_" 1*( ALPHA / DIGIT / "." / "_" / "-" )` (RFC 7239, section 6.3), of bounded length.
fn is_obfuscated(text: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.len() >= 2
        && text.len() <= LONGEST_NAME
        && text.starts_with('_')
        && text.bytes().all(is_name)
}

/// The nodes of a line of `Forwarded`: what each element says after `for=`. `None` if the line does
/// not follow the grammar (RFC 7239, section 4), since then its elements cannot be told apart.
fn forwarded(line: &[u8]) -> Option<Vec<Source>> {
    let mut rest = Rest(line);
    let mut nodes = Vec::new();
    loop {
        let mut client = None;
        loop {
            rest.skip_space();
            if !rest.at(b";") && !rest.at(b",") && !rest.0.is_empty() {
                let (name, value) = rest.pair()?;
                if name.eq_ignore_ascii_case(b"for") && client.replace(node(&value)).is_some() {
                    return None;
                }
            }
            rest.skip_space();
            if !rest.take(b';') {
                break;
            }
        }
        nodes.push(client.unwrap_or(Source::Unknown));
        if !rest.take(b',') {
            return rest.0.is_empty().then_some(nodes);
        }
    }
}

/// What is left of a line.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn at(&self, text: &[u8]) -> bool {
        self.0.starts_with(text)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        self.0 = &self.0[usize::from(found)..];
        found
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        let length = self.0.iter().take_while(|byte| is_token(**byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// `token "=" ( token / quoted-string )`.
    fn pair(&mut self) -> Option<(&'a [u8], String)> {
        let name = self.token()?;
        if !self.take(b'=') {
            return None;
        }
        let value = if self.take(b'"') { self.quoted()? } else { self.token()?.to_vec() };
        // What is not UTF-8 is no node, but may stand in another parameter.
        Some((name, String::from_utf8(value).unwrap_or_default()))
    }

    /// The rest of a quoted string (RFC 9110, section 5.6.4), without its escapes.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            match byte {
                b'"' => return Some(value),
                b'\\' => {
                    let (escaped, rest) = self.0.split_first()?;
                    self.0 = rest;
                    value.push(*escaped);
                }
                _ => value.push(*byte),
            }
        }
    }
}

/// Whether a byte may be part of a token (RFC 9110, section 5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
