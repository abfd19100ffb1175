//! The header `WWW-Authenticate` of a registry.

/// An authentication scheme. <https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A user and a password with each request.
    Basic,
    /// A token from the realm.
    /// <https://distribution.github.io/distribution/spec/auth/token/>
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// The scheme to use: tokens before passwords. `None` if no scheme is supported.
pub fn parse(headers: &[&str]) -> Option<Challenge> {
    let offered: Vec<Challenge> = headers.iter().flat_map(|header| all(header)).collect();
    let bearer = offered.iter().find(|it| matches!(it, Challenge::Bearer { .. }));
    bearer.or(offered.first()).cloned()
}

fn all(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = header;
    while let Some((scheme, after)) = token(rest) {
        let mut parameters = Vec::new();
        rest = after;
        // A name without `=` after a comma is the next scheme.
        while let Some((name, value, after)) = parameter(rest) {
            parameters.push((name.to_ascii_lowercase(), value));
            rest = after;
        }
        let get = |name: &str| {
            parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = get("realm")
        {
            found.push(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
        }
    }
    found
}

/// A word and the rest of the text.
fn token(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',']);
    let part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// `name=value` or `name="value"`, and the rest of the text.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = token(text)?;
    let rest = rest.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    let rest = rest.trim_start_matches([' ', '\t']);
    let Some(quoted) = rest.strip_prefix('"') else {
        let (value, rest) = token(rest)?;
        return Some((name, value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((name, value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let (service, scope) = (service.map(str::to_owned), scope.map(str::to_owned));
        Some(Challenge::Bearer { realm: realm.to_owned(), service, scope })
    }

    #[test]
    fn challenges_are_read() {
        let ghcr =
            r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:u/i:pull""#;
        for (headers, expected) in [
            (vec![], None),
            (vec![""], None),
            (vec!["Negotiate"], None),
            (vec!["Basic realm=\"x\""], Some(Challenge::Basic)),
            (vec!["BASIC"], Some(Challenge::Basic)),
            (
                vec![ghcr],
                bearer("https://ghcr.io/token", Some("ghcr.io"), Some("repository:u/i:pull")),
            ),
            (
                vec!["Basic realm=x", "Bearer realm=\"https://t/\""],
                bearer("https://t/", None, None),
            ),
            (
                vec!["Basic realm=\"a, b\", Bearer realm=\"t\" , service = s"],
                bearer("t", Some("s"), None),
            ),
            (vec![r#"Bearer realm="a\"b""#], bearer("a\"b", None, None)),
            (vec!["Bearer service=\"x\""], None),
            (vec!["Bearer realm=\"x"], None),
        ] {
            assert_eq!(parse(&headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn no_header_is_too_odd() {
        arbtest::arbtest(|bytes| {
            crate::fuzzing::answer(bytes.arbitrary()?);
            Ok(())
        });
    }
}
