//! What a token says that its owner may do.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::reference::Repository;
use crate::secret::Secret;

/// The claims of a token that speak of rights.
/// <https://distribution.github.io/distribution/spec/auth/jwt/>
#[derive(Deserialize)]
struct Claims {
    access: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    /// Some servers write `null` for none.
    actions: Option<Vec<String>>,
}

/// Whether the token of a header lets its owner push. `None` where it does not tell: it is for the
/// registry to read, and many tokens have another form.
pub fn push(header: &Secret, repository: &Repository) -> Option<bool> {
    let token = header.expose().strip_prefix("Bearer ")?;
    let [_, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { return None };
    let bytes = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&bytes).ok()?;
    let is_own = |it: &&Entry| it.kind == "repository" && it.name == repository.path();
    let may = |it: &str| matches!(it, "push" | "*");
    let own: Vec<&Entry> = claims.access.iter().filter(is_own).collect();
    // A registry behind another name knows the repository by a name of its own.
    if own.is_empty() && !claims.access.is_empty() {
        return None;
    }
    let mut actions = own.into_iter().flat_map(|it| it.actions.iter().flatten());
    Some(actions.any(|action| may(action)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_what_it_grants_or_nothing() {
        let repository = Repository::parse("r.test/acme/app").unwrap();
        let entry = |name: &str, actions: &str| {
            format!(r#"{{"access":[{{"type":"repository","name":"{name}","actions":{actions}}}]}}"#)
        };
        for (claims, expected) in [
            (entry("acme/app", r#"["pull","push"]"#), Some(true)),
            (entry("acme/app", r#"["*"]"#), Some(true)),
            (entry("acme/app", r#"["pull"]"#), Some(false)),
            (entry("acme/app", "null"), Some(false)),
            (entry("acme/other", r#"["push"]"#), None),
            (r#"{"access":[]}"#.to_owned(), Some(false)),
            (r#"{"sub":"x"}"#.to_owned(), None),
            ("[".to_owned(), None),
        ] {
            let claims64 = URL_SAFE_NO_PAD.encode(&claims);
            let header = Secret::new(format!("Bearer e30.{claims64}.e30"));
            assert_eq!(push(&header, &repository), expected, "{claims}");
        }
        for header in
            ["Basic eDp5", "Bearer opaque", "Bearer a.%%%.c", "Bearer ..", "Bearer a.b.c.d"]
        {
            assert_eq!(push(&Secret::new(header), &repository), None, "{header}");
        }
    }
}
