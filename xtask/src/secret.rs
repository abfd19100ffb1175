//! What must never be shown: passwords, tokens and keys.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A text that no output can hold: it has no `Display`, no `Serialize`, and a
/// `Debug` without it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place that sends it to whom it is for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An address that others wrote: it may hold a login, as `https://user:password@host/path`,
/// `token@host:path` and `https://host/path?token=…` do, and is shown without.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    shown: String,
    /// What stands before the `@`, as it was written.
    login: Option<Secret>,
}

impl Address {
    pub fn new(text: &str) -> Address {
        // As git has it: a user, a host, and a path behind a colon.
        if !text.contains("://")
            && let first = text.split('/').next().unwrap_or_default()
            && let Some(at) = first.rfind('@')
        {
            let login = Some(&text[..at]).filter(|user| !is_git(user));
            let shown = login.map_or(text, |_| &text[at + 1..]).to_owned();
            return Address { shown, login: login.map(Secret::new) };
        }
        let Found { logins, values } = Found::in_text(text);
        let login = logins.first().map(|login| text[login.start..login.end - 1].to_owned());
        let shown = without(text, logins.into_iter(), "");
        // A query that holds a secret is gone as a whole: it is useless without.
        let shown = match (values.is_empty(), shown.split_once('?')) {
            (false, Some((before, _))) => before.to_owned(),
            _ => shown,
        };
        Address { shown, login: login.map(Secret::new) }
    }

    /// The address without its login.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether the text, taken as an address, holds a login.
    pub fn holds_login(text: &str) -> bool {
        Address::new(text).shown != text
    }

    /// The address as ssh needs it: with the user's name, which is no secret there, and without
    /// a password, which ssh does not take.
    pub fn with_user(&self) -> String {
        let user = self.login.as_ref().and_then(|login| login.expose().split(':').next());
        match (user.filter(|user| !user.is_empty()), self.shown.split_once("://")) {
            (None, _) => self.shown.clone(),
            (Some(user), Some((scheme, rest))) => format!("{scheme}://{user}@{rest}"),
            (Some(user), None) => format!("{user}@{}", self.shown),
        }
    }

    /// The name and the password as they are meant, with a colon between, where it has them.
    /// <https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1>
    pub fn login(&self) -> Option<Vec<u8>> {
        let text = self.login.as_ref()?.expose().as_bytes();
        let mut bytes = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let digits = text.get(at + 1..at + 3).filter(|_| text[at] == b'%');
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) => (bytes.push(byte), at += 3).1,
                None => (bytes.push(text[at]), at += 1).1,
            }
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

/// A text of any kind, of which the addresses are shown without what they hold of logins.
pub fn redacted(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return text.into();
    }
    let Found { logins, values } = Found::in_text(text);
    if logins.is_empty() && values.is_empty() {
        return text.into();
    }
    let logins = logins.into_iter().map(|login| login.start..login.end - 1);
    let mut all: Vec<Range<usize>> = logins.chain(values).collect();
    all.sort_by_key(|range| range.start);
    without(text, all.into_iter(), "…").into()
}

/// Where the addresses in a text hold secrets.
struct Found {
    /// Up to and with the `@`.
    logins: Vec<Range<usize>>,
    /// Values in queries.
    values: Vec<Range<usize>>,
}

/// What a name in a query holds where its value is a secret.
const NAMES: [&str; 8] = ["token", "secret", "passw", "pwd", "key", "sig", "auth", "credential"];

impl Found {
    fn in_text(text: &str) -> Found {
        let mut found = Found { logins: Vec::new(), values: Vec::new() };
        let ends = |c: char| c.is_whitespace() || c.is_control() || "\"'<>`".contains(c);
        let mut from = 0;
        while let Some(at) = text[from..].find("://") {
            let start = from + at + 3;
            let end = text[start..].find(ends).map_or(text.len(), |end| start + end);
            let address = &text[start..end];
            let authority = &address[..address.find(['/', '?', '#']).unwrap_or(address.len())];
            let login = authority.rfind('@').or_else(|| {
                // A password with a slash that nobody escaped: what should be a port is none.
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

/// The values in a query that are secrets by their names.
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

/// The user that all of git's servers know is no secret, and is needed.
fn is_git(user: &str) -> bool {
    user == "git"
}

/// The text with something else in place of parts of it, in the order of their beginnings:
/// addresses may stand within a secret of another.
fn without(text: &str, parts: impl Iterator<Item = Range<usize>>, instead: &str) -> String {
    let (mut left, mut at) = (String::with_capacity(text.len()), 0);
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
