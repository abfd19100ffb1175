//! Where releases are published, and which index gets pull requests.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::schema;
use crate::finding::{Finding, said};
use crate::process::OwnToken;
use crate::project::{Project, RawConfig};

/// The keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ForgeKeys {
    ship: bool,
    repository: String,
    changelog: String,
}

/// The keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IndexKeys {
    ship: bool,
    repository: String,
}

/// The forges that are known: a closed set. What settings and plans must know of one is here;
/// its client is in `forge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgeKind {
    GitHub,
}

impl ForgeKind {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            ForgeKind::GitHub => "GitHub",
        }
    }

    /// The table of its settings in Cargo.toml.
    pub fn table(self) -> &'static str {
        match self {
            ForgeKind::GitHub => "[workspace.metadata.dockless.github]",
        }
    }

    /// The host of its pages, where the environment names no other.
    pub fn server(self) -> &'static str {
        match self {
            ForgeKind::GitHub => "github.com",
        }
    }

    /// The token that publishes releases.
    pub fn token(self) -> OwnToken {
        match self {
            ForgeKind::GitHub => OwnToken::GitHub,
        }
    }

    /// The address of a released archive, as a template.
    pub fn archive_uri(self) -> &'static str {
        match self {
            ForgeKind::GitHub => "{{ repository }}/releases/download/{{ tag }}/{{ archive }}",
        }
    }

    /// The page of the repository that an address in Cargo.toml leads to: one package of
    /// several may name its own folder there.
    pub fn page(self, address: &str) -> &str {
        let address = address.trim().trim_end_matches('/');
        let folder = match self {
            ForgeKind::GitHub => address
                .starts_with("https://github.com/")
                .then(|| address.match_indices('/').nth(4)),
        };
        let page = folder.flatten().map_or(address, |(at, _)| &address[..at]);
        page.trim_end_matches(".git")
    }
}

/// The settings.
#[derive(Clone, Debug)]
pub struct ForgeConfig {
    pub kind: ForgeKind,
    /// Whether releases are published there.
    pub ship: bool,
    /// `None` where it is not set.
    pub repository: Option<Slug>,
    /// The file whose section about a version becomes its notes, from the workspace's folder.
    pub changelog: String,
    /// Why a configured changelog cannot be read. Another program may write it later, so this
    /// counts only when notes are made.
    pub unfound: Option<Finding>,
    /// The index that gets pull requests of plugins; `None` where none does.
    pub index: Option<Slug>,
}

/// How a clone gets all tags and commits, here and in a workflow.
pub const FULL_CLONE: &str =
    "run `git fetch --unshallow --tags`; in GitHub's checkout action set `fetch-depth: 0`";

/// A repository on a forge: `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slug {
    pub owner: String,
    pub name: String,
}

impl Slug {
    /// Parses `owner/name`. Names that no forge allows are refused, so that they cannot
    /// lead to another path of the API.
    pub fn parse(text: &str) -> Option<Slug> {
        let (owner, name) = text.split_once('/')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && part.bytes().all(plain)
                && !part.bytes().all(|byte| byte == b'.')
        };
        (fits(owner) && fits(name)).then(|| Slug { owner: owner.to_owned(), name: name.to_owned() })
    }

    /// Whether both name the same repository: forges ignore case.
    pub fn is(&self, other: &Slug) -> bool {
        self.to_string().eq_ignore_ascii_case(&other.to_string())
    }

    /// The repository that a URL names, in any form that Cargo.toml and git allow: `https://SERVER/owner/name`, `git@SERVER:owner/name.git`,
    /// `ssh://git@SERVER/owner/name`. `server` is a host such as `github.com`.
    pub fn of_address(address: &str, server: &str) -> Option<Slug> {
        let (authority, path) = match address.split_once("://") {
            Some((_, rest)) => rest.split_once('/')?,
            None => address.split_once(':')?,
        };
        // Before the host there may be a user and a password.
        let host = authority.rsplit('@').next()?;
        // SSH uses another port, so a port may differ.
        let plain = host.split(':').next()?;
        if ![host, plain].iter().any(|it| it.eq_ignore_ascii_case(server)) {
            return None;
        }
        let mut parts = path.split('/');
        let (owner, name) = (parts.next()?, parts.next()?);
        Slug::parse(&format!("{owner}/{}", name.strip_suffix(".git").unwrap_or(name)))
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl Serialize for Slug {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Resolves the keys.
pub fn forge(
    keys: ForgeKeys,
    index: IndexKeys,
    typed: Option<&RawConfig>,
    project: &Project,
    findings: &mut Vec<Finding>,
) -> ForgeConfig {
    const CHANGELOG: &str = "github.changelog";
    let kind = ForgeKind::GitHub;
    let named = typed.filter(|raw| schema::is_typed(raw, CHANGELOG));
    let named = named.filter(|_| !keys.changelog.is_empty());
    let unfound = named.and_then(|_| {
        let error = project.boundary.open(&project.root.join(&keys.changelog)).err()?;
        let (why, help) = said(&error);
        let fault = schema::fault("config-forge", named, CHANGELOG, why);
        Some(Finding { fix: help.unwrap_or(fault.fix), ..fault })
    });
    let mut slug = |path: &str, text: &str| {
        let slug = Slug::parse(text);
        if slug.is_none() && !text.is_empty() {
            let why = format!("{text:?} is not a repository on {}", kind.name());
            findings.push(schema::fault("config-forge", typed, path, why));
        }
        slug
    };
    ForgeConfig {
        kind,
        ship: keys.ship,
        repository: slug("github.repository", &keys.repository),
        changelog: keys.changelog,
        unfound,
        index: slug("index.repository", &index.repository).filter(|_| index.ship),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_owner_and_a_name() {
        for text in ["acme/tool", "a-c/t.o_o-l", "acme/.github"] {
            assert_eq!(Slug::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["", "acme", "/tool", "acme/", "acme/..", "./tool", "a/b/c", "a/b?c", "a b/c", "ä/b"]
        {
            assert_eq!(Slug::parse(text), None, "{text}");
        }
    }

    /// Whatever an address is, no repository of it leads to another path of the API.
    #[test]
    fn no_address_leads_elsewhere() {
        arbtest::arbtest(|u| {
            let pieces = [
                "https://",
                "github.com",
                "@",
                ":",
                "/",
                "..",
                ".",
                "acme",
                "tool",
                ".git",
                "?",
                "%2e",
                "ä",
            ];
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=12)? {
                text.push_str(u.choose(&pieces)?);
            }
            if let Some(Slug { owner, name }) = Slug::of_address(&text, "github.com") {
                for part in [owner, name] {
                    assert!(
                        !part.is_empty()
                            && part != "."
                            && part != ".."
                            && !part.contains(['/', '?', '%']),
                        "{text}"
                    );
                }
            }
            Ok(())
        });
    }

    /// Address, server, repository.
    #[test]
    fn addresses_lead_to_repositories() {
        for (address, server, expected) in [
            ("https://github.com/acme/tool", "github.com", Some("acme/tool")),
            ("https://github.com/acme/tool.git", "github.com", Some("acme/tool")),
            ("https://github.com/acme/tool/", "github.com", Some("acme/tool")),
            ("https://GitHub.com/acme/tool/tree/main/cli", "github.com", Some("acme/tool")),
            ("https://user:secret@github.com/acme/tool", "github.com", Some("acme/tool")),
            ("git@github.com:acme/tool.git", "github.com", Some("acme/tool")),
            ("ssh://git@github.com:22/acme/tool", "github.com", Some("acme/tool")),
            ("http://127.0.0.1:8080/acme/tool", "127.0.0.1:8080", Some("acme/tool")),
            ("https://github.com/acme", "github.com", None),
            ("https://gitlab.com/acme/tool", "github.com", None),
            ("https://github.com.evil.example/acme/tool", "github.com", None),
            ("https://github.com/../tool", "github.com", None),
            ("../tool", "github.com", None),
            ("", "github.com", None),
        ] {
            let found = Slug::of_address(address, server).map(|it| it.to_string());
            assert_eq!(found.as_deref(), expected, "{address}");
        }
    }
}
