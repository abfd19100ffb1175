//! Passwords, tokens and keys, which are never shown.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use anyhow::{Result, ensure};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// A text that is never shown: it has no `Display`, no `Serialize`, and a `Debug` without the
/// text. Its memory is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// 32 bytes of the system's random source, in hex digits.
    pub fn random() -> Result<Secret> {
        let mut bytes = Zeroizing::new([0; 32]);
        let filled = SystemRandom::new().fill(&mut *bytes);
        ensure!(filled.is_ok(), "make a password: the system has no random numbers");
        Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    /// The text, for the code that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A URL that others wrote, shown without its login. A login may be in
/// `https://user:password@host/path`, `token@host:path` or `https://host/path?token=…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    shown: String,
    /// The text before the `@`, as written.
    login: Option<Secret>,
}

impl Address {
    pub fn new(text: &str) -> Address {
        // Git's own form: user, host, and a path after a colon.
        if !text.contains("://")
            && let first = text.split('/').next().unwrap_or_default()
            && let Some(at) = first.rfind('@')
        {
            let login = Some(&text[..at]).filter(|user| !is_git(user));
            let shown = login.map_or(text, |_| &text[at + 1..]).to_owned();
            return Address { shown, login: login.map(Secret::new) };
        }
        let SecretParts { logins, values } = SecretParts::of(text);
        let login = logins.first().map(|login| text[login.start..login.end - 1].to_owned());
        let shown = without(text, logins.into_iter(), "");
        // A query with a secret is removed as a whole.
        let shown = match (values.is_empty(), shown.split_once('?')) {
            (false, Some((before, _))) => before.to_owned(),
            _ => shown,
        };
        Address { shown, login: login.map(Secret::new) }
    }

    /// The URL without its login.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether the text, as a URL, has a login.
    pub fn holds_login(text: &str) -> bool {
        Address::new(text).shown != text
    }

    /// The URL for ssh: with the user, who is no secret there, and without a password, which ssh
    /// does not accept.
    pub fn with_user(&self) -> String {
        let user = self.login.as_ref().and_then(|login| login.expose().split(':').next());
        match (user.filter(|user| !user.is_empty()), self.shown.split_once("://")) {
            (None, _) => self.shown.clone(),
            (Some(user), Some((scheme, rest))) => format!("{scheme}://{user}@{rest}"),
            (Some(user), None) => format!("{user}@{}", self.shown),
        }
    }

    /// The decoded user and password, separated by a colon; `None` without a login.
    /// <https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1>
    pub fn login(&self) -> Option<Vec<u8>> {
        let text = self.login.as_ref()?.expose().as_bytes();
        let mut bytes = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let digits = text.get(at + 1..at + 3).filter(|_| text[at] == b'%');
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(byte.unwrap_or(text[at]));
            at += if byte.is_some() { 3 } else { 1 };
        }
        if !bytes.contains(&b':') {
            bytes.push(b':');
        }
        Some(bytes)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown)
    }
}

/// Any text, without the logins in its URLs.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let mut left = Cow::Borrowed(text);
    // What stays may belong to another secret now: the end of a login that began in a secret
    // value, say. Each round takes characters of the text away, so this ends.
    while let Some(shorter) = with_less(&left) {
        left = Cow::Owned(shorter);
    }
    left
}

/// The text without the secret parts that its URLs have as it is written; `None` if it has none.
fn with_less(text: &str) -> Option<String> {
    if !text.contains("://") {
        return None;
    }
    let SecretParts { logins, values } = SecretParts::of(text);
    if logins.is_empty() && values.is_empty() {
        return None;
    }
    let logins = logins.into_iter().map(|login| login.start..login.end - 1);
    let mut all: Vec<Range<usize>> = logins.chain(values).collect();
    all.sort_by_key(|range| range.start);
    Some(without(text, all.into_iter(), "…")).filter(|left| left != text)
}

/// The secret parts of the URLs in a text.
struct SecretParts {
    /// Up to the `@`, which is included.
    logins: Vec<Range<usize>>,
    /// Values in queries.
    values: Vec<Range<usize>>,
}

/// Parts of the names in a query whose values are secrets.
const NAMES: [&str; 8] = ["token", "secret", "passw", "pwd", "key", "sig", "auth", "credential"];

impl SecretParts {
    fn of(text: &str) -> SecretParts {
        let mut found = SecretParts { logins: Vec::new(), values: Vec::new() };
        let ends = |c: char| c.is_whitespace() || c.is_control() || "\"'<>`".contains(c);
        let mut from = 0;
        while let Some(at) = text[from..].find("://") {
            let start = from + at + 3;
            let end = text[start..].find(ends).map_or(text.len(), |end| start + end);
            let address = &text[start..end];
            let authority = &address[..address.find(['/', '?', '#']).unwrap_or(address.len())];
            let login = authority.rfind('@').or_else(|| {
                // A password with an unescaped slash: the text after the colon is not a port.
                let (_, port) = authority.split_once(':').filter(|_| !address.starts_with('['))?;
                let odd = port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit());
                address.rfind('@').filter(|_| odd)
            });
            let login = login.filter(|at| !is_git(&address[..*at]));
            found.logins.extend(login.map(|at| start..start + at + 1));
            let query = address.find('?').map_or(end, |at| start + at + 1);
            found.values.extend(secret_values(text, query.max(start), end));
            from = login.map_or(start + authority.len(), |at| start + at + 1);
        }
        found
    }
}

/// The values in a query whose names say that they are secrets.
fn secret_values(text: &str, start: usize, end: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = start;
    for pair in text[start..end].split(['&', ';']) {
        if let Some((name, value)) = pair.split_once('=')
            && NAMES.iter().any(|part| name.to_ascii_lowercase().contains(part))
        {
            let value_at = at + name.len() + 1;
            found.push(value_at..value_at + value.len());
        }
        at += pair.len() + 1;
    }
    found
}

/// Whether the user is `git`, which is no secret and which git's servers need.
fn is_git(user: &str) -> bool {
    user == "git"
}

/// The text with parts of it replaced. The parts are sorted by their beginnings and may overlap: a
/// secret may contain another URL.
fn without(text: &str, parts: impl Iterator<Item = Range<usize>>, instead: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    for part in parts.filter(|part| !part.is_empty()) {
        if part.start >= at {
            left.push_str(&text[at..part.start]);
            left.push_str(instead);
        }
        at = at.max(part.end);
    }
    left + &text[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_login() {
        for (text, shown, login) in [
            ("https://github.com/acme/tool", "https://github.com/acme/tool", None),
            ("https://u:p@github.com/acme/tool", "https://github.com/acme/tool", Some("u:p")),
            ("https://ghp_x@github.com/a/b.git", "https://github.com/a/b.git", Some("ghp_x:")),
            ("https://u:p%40q%2fr@host:8443/x", "https://host:8443/x", Some("u:p@q/r")),
            ("https://u:p@q@host/x", "https://host/x", Some("u:p@q")),
            ("https://u:p/q@host/x", "https://host/x", Some("u:p/q")),
            ("https://:p@host", "https://host", Some(":p")),
            ("https://u:%zz@host", "https://host", Some("u:%zz")),
            ("ssh://git@github.com/acme/tool", "ssh://git@github.com/acme/tool", None),
            ("ssh://git:p@github.com/acme/tool", "ssh://github.com/acme/tool", Some("git:p")),
            ("git@github.com:acme/tool", "git@github.com:acme/tool", None),
            ("ghp_x@github.com:acme/tool", "github.com:acme/tool", Some("ghp_x:")),
            ("u:p@host/x", "host/x", Some("u:p")),
            ("https://host/x?token=t", "https://host/x", None),
            ("https://host/x?a=b&private_token=t#c", "https://host/x", None),
            ("https://host/x?ref=main", "https://host/x?ref=main", None),
            ("https://host:8443/x@1.2", "https://host:8443/x@1.2", None),
            ("https://[::1]:5000/x@1.2", "https://[::1]:5000/x@1.2", None),
            ("ghcr.io/acme/app@sha256:00", "ghcr.io/acme/app@sha256:00", None),
            ("../advisory-db", "../advisory-db", None),
            ("", "", None),
        ] {
            let address = Address::new(text);
            let found = address.login().map(|login| String::from_utf8(login).unwrap());
            assert_eq!((address.shown(), found.as_deref()), (shown, login), "{text}");
            assert_eq!(
                (address.to_string(), format!("{address:?}")),
                (shown.into(), format!("{shown:?}"))
            );
        }
    }

    #[test]
    fn ssh_gets_the_user_and_no_password() {
        for (text, expected) in [
            ("ssh://git@h/x", "ssh://git@h/x"),
            ("ssh://acme:p@h/x", "ssh://acme@h/x"),
            ("acme@h:x", "acme@h:x"),
            ("acme:p@h:x", "acme@h:x"),
            ("ssh://:p@h/x", "ssh://h/x"),
        ] {
            assert_eq!(Address::new(text).with_user(), expected);
        }
    }

    #[test]
    fn addresses_in_a_text_are_shown_without_logins() {
        for (text, expected) in [
            ("nothing", "nothing"),
            (
                "fatal: unable to access 'https://u:p@127.0.0.1:1/db/': refused",
                "fatal: unable to access 'https://…@127.0.0.1:1/db/': refused",
            ),
            ("https://u:p@a/ and http://t@b", "https://…@a/ and http://…@b"),
            ("a=https://u:p@a,b=https://v:q@b", "a=https://…@a,b=https://…@b"),
            ("(https://h/x?a=1&token=s3c&b=2)", "(https://h/x?a=1&token=…&b=2)"),
            ("see https://h/x?page=2", "see https://h/x?page=2"),
            ("git clone ssh://git@h/x", "git clone ssh://git@h/x"),
            ("https://h/x, mail me@example.com", "https://h/x, mail me@example.com"),
            ("https://é:ü@h", "https://…@h"),
            ("://@", "://@"),
            // A secret in which another address stands goes as a whole.
            ("https://h?token=s3cr3t://u:p@s3cr3t&a=b://v:q@w", "https://h?token=…&a=b://…@w"),
            ("https://h?token=s3cr3t://s;3cr3t@w", "https://h?token=…"),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(…) Some(Secret(…))");
        assert_eq!(secret.expose(), "hunter2");
    }
}
