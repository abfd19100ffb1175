//! Absolute URLs of `http` and `https`, without a user.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Result, bail, ensure};

/// The schemes that are supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// A server, as secrets are bound to it. <https://www.rfc-editor.org/rfc/rfc6454>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    pub scheme: Scheme,
    /// In lower case. An IPv6 address is in brackets.
    host: String,
    port: u16,
}

impl Origin {
    /// Parses `host` or `host:port`.
    pub fn new(scheme: Scheme, authority: &str) -> Result<Origin> {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let digits = |port: &&str| port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port {
            None | Some("") => scheme.port(),
            Some(port) => match port.parse().ok().filter(|_: &u16| digits(&port)) {
                Some(port) => port,
                None => bail!("its port is not a number below 65536"),
            },
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let known = match bracketed {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(plain),
        };
        ensure!(known, "it does not name a host");
        Ok(Origin { scheme, host: host.to_ascii_lowercase(), port })
    }

    /// The host. An IPv6 address is without its brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host`, or `host:port` if the port is not the scheme's default.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether the origin is on this machine.
    pub fn is_loopback(&self) -> bool {
        let address = self.host().parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())
    }
}

/// An absolute URL. It is displayed without its query, which may hold a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub origin: Origin,
    /// Begins with a slash. Escapes are kept as they were.
    path: String,
    /// Without its question mark.
    query: Option<String>,
}

/// In bytes. Longer URLs are errors.
const LONGEST: usize = 16 * 1024;

impl Url {
    /// The URL of a path at an origin. The path begins with a slash.
    pub fn at(origin: &Origin, path: &str) -> Url {
        Url { origin: origin.clone(), path: path.to_owned(), query: None }
    }

    /// The URL of a path below this one. The path begins with a slash.
    pub fn below(&self, path: &str) -> Url {
        Url::at(&self.origin, &format!("{}{path}", self.path.trim_end_matches('/')))
    }

    /// Parses an absolute URL. Errors do not quote it: it may hold a password.
    pub fn parse(text: &str) -> Result<Url> {
        ensure!(text.len() <= LONGEST, "it is longer than {LONGEST} bytes");
        let plain =
            text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
        ensure!(plain, "it contains characters that no URL has");
        let text = text.split('#').next().unwrap_or(text);
        let Some((scheme, rest)) = text.split_once("://") else {
            bail!("it does not begin with https://");
        };
        let scheme = match &*scheme.to_ascii_lowercase() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => bail!("its scheme is neither http nor https"),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        ensure!(!authority.contains('@'), "it contains a user");
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Url { origin: Origin::new(scheme, authority)?, path: path.to_owned(), query })
    }

    /// Resolves a reference in a response from here.
    /// <https://www.rfc-editor.org/rfc/rfc3986#section-5.2>
    pub fn join(&self, reference: &str) -> Result<Url> {
        let first = reference.find(['/', '?', '#']).unwrap_or(reference.len());
        if reference[..first].contains(':') {
            return Url::parse(reference);
        }
        let scheme = self.origin.scheme.name();
        if reference.starts_with("//") {
            return Url::parse(&format!("{scheme}:{reference}"));
        }
        let base = format!("{scheme}://{}", self.origin.authority());
        let folder = &self.path[..=self.path.rfind('/').unwrap_or(0)];
        let joined = match reference.as_bytes().first() {
            None => return Ok(self.clone()),
            Some(b'/') => format!("{base}{reference}"),
            Some(b'?') => format!("{base}{}{reference}", self.path),
            Some(_) => format!("{base}{folder}{reference}"),
        };
        let joined = Url::parse(&joined)?;
        Ok(Url { path: without_dots(&joined.path), ..joined })
    }

    /// The same URL with one more parameter in its query.
    pub fn with(&self, name: &str, value: &str) -> Url {
        let mut query = self.query.clone().unwrap_or_default();
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&format!("{name}={}", escaped(value)));
        Url { query: Some(query), ..self.clone() }
    }

    /// Path and query, as in a request line.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

/// <https://www.rfc-editor.org/rfc/rfc3986#section-5.2.4>
fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = path.split('/').skip(1).peekable();
    while let Some(part) = rest.next() {
        let last = rest.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    parts.pop();
                }
                if last {
                    parts.push("");
                }
            }
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A query value with all but unreserved characters escaped.
/// <https://www.rfc-editor.org/rfc/rfc3986#section-2.3>
pub fn escaped(value: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &Url) -> String {
        format!("{}{}", url.origin, url.target())
    }

    #[test]
    fn addresses_are_read() {
        for (text, expected) in [
            ("https://GHCR.io", "https://ghcr.io/"),
            ("https://ghcr.io:443/v2/", "https://ghcr.io/v2/"),
            ("http://[::1]:5000/v2/?a=b#c", "http://[::1]:5000/v2/?a=b"),
            ("HTTP://x?y", "http://x/?y"),
        ] {
            assert_eq!(shown(&Url::parse(text).unwrap()), expected);
        }
        for text in [
            "",
            "ghcr.io",
            "ftp://x/",
            "https://",
            "https://u:p@x/",
            "https://x:y/",
            "https://x:99999/",
            "https://x/ y",
            "https://x/\n",
            "https://[::1/",
            "https://é/",
            "//x/y",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        let url = Url::parse("https://s3.test/blob?X-Amz-Signature=abc").unwrap();
        assert_eq!(url.to_string(), "https://s3.test/blob");
    }

    /// <https://www.rfc-editor.org/rfc/rfc3986#section-5.4>
    #[test]
    fn references_are_joined() {
        for (base, shown) in [
            ("https://x", "https://x/repos"),
            ("https://x/", "https://x/repos"),
            ("https://x/api/v3", "https://x/api/v3/repos"),
            ("https://x/api/v3/?a", "https://x/api/v3/repos"),
        ] {
            assert_eq!(Url::parse(base).unwrap().below("/repos").to_string(), shown);
        }
        let base = Url::parse("http://a/b/c/d;p?q").unwrap();
        for (reference, expected) in [
            ("http://g/h", "http://g/h"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../../g", "http://a/g"),
            ("g#s", "http://a/b/c/g"),
            ("/v2/x:y?n=a:b", "http://a/v2/x:y?n=a:b"),
        ] {
            assert_eq!(shown(&base.join(reference).unwrap()), expected, "{reference}");
        }
        assert!(base.join("mailto:x").is_err());
        assert!(base.join("ftp://x/y").is_err());
    }

    #[test]
    fn queries_grow() {
        let url = Url::parse("https://x/u?_state=a").unwrap().with("digest", "sha256:ab");
        assert_eq!(url.target(), "/u?_state=a&digest=sha256%3Aab");
        assert_eq!(Url::parse("https://x/u").unwrap().with("a", "b c").target(), "/u?a=b%20c");
    }

    #[test]
    fn loopback_is_known() {
        for (text, expected) in [
            ("http://localhost:5000/", true),
            ("http://127.0.0.2/", true),
            ("http://[::1]:1/", true),
            ("http://localhost.evil/", false),
            ("http://10.0.0.1/", false),
            ("http://127.0.0.1.x/", false),
        ] {
            assert_eq!(Url::parse(text).unwrap().origin.is_loopback(), expected, "{text}");
        }
    }
}
