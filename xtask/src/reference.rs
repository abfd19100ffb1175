//! The names of images: `registry/path:tag@digest`, and Docker's short forms.
//! <https://github.com/distribution/reference/blob/main/reference.go>

use std::fmt;
use std::net::Ipv6Addr;

use anyhow::{Context, Result, bail, ensure};
use serde::{Serialize, Serializer};

use crate::digest::Digest;

mod stored;
pub use stored::{Form, Location, Stored};

/// The registry of a name that gives none.
const DOCKER_HUB: &str = "docker.io";
/// The old name of Docker Hub, which Docker's settings still use.
const DOCKER_INDEX: &str = "index.docker.io";
/// The path on Docker Hub of images whose names have one part.
const OFFICIAL: &str = "library/";
/// In characters: of a path in distribution's grammar. It is the limit of a registry here too,
/// because no DNS name is longer.
const LONGEST: usize = 255;
/// In bytes: of a registry, a path, a tag and a digest with their separators.
const LONGEST_REFERENCE: usize = 2 * LONGEST + 128 + 71 + 3;
/// The end of every error.
const FORM: &str = "one looks like ghcr.io/acme/app:1.0";

/// Where the images of one name are: a registry, and a path in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// `host` or `host:port`, as it was written. Docker Hub is `docker.io`, the name in
    /// credentials, not the host that answers.
    registry: String,
    /// What the distribution spec calls the name, such as `acme/app`.
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>
    path: String,
}

impl Repository {
    /// Parses `ghcr.io/acme/app` and Docker's short forms: `alpine` is
    /// `docker.io/library/alpine`, and `acme/app` is `docker.io/acme/app`. The first part is a
    /// registry if it has a `.`, a `:` or an upper-case letter, or is `localhost`. A tag or a
    /// digest is an error.
    pub fn parse(text: &str) -> Result<Repository> {
        let reference = Reference::parse(text)?;
        ensure!(
            reference.tag.is_none() && reference.digest.is_none(),
            "{text:?} has a tag or a digest, but a repository has neither; \
             one looks like ghcr.io/acme/app"
        );
        Ok(reference.repository)
    }

    /// Splits a name without tag and digest as Docker does, and checks the parts.
    /// <https://github.com/distribution/reference/blob/main/normalize.go>
    fn of_name(name: &str) -> Result<Repository> {
        ensure!(!name.is_empty(), "the name is missing");
        let (registry, path) = match name.split_once('/') {
            Some((DOCKER_INDEX, path)) => (DOCKER_HUB, path),
            Some((first, path)) if is_registry(first) => (first, path),
            _ => (DOCKER_HUB, name),
        };
        check_registry(registry)?;
        let is_official = registry == DOCKER_HUB && !path.contains('/');
        let path = if is_official { format!("{OFFICIAL}{path}") } else { path.to_owned() };
        check_path(&path)?;
        Ok(Repository { registry: registry.to_owned(), path })
    }

    /// The short form that Docker prints: `alpine`, `acme/app`. It is the full form where the
    /// short one would be another name, as that of `docker.io/a.b/c` would.
    pub fn familiar(&self) -> String {
        let short = match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name,
            _ => &self.path,
        };
        let same = || Repository::parse(short).is_ok_and(|named| named == *self);
        if self.registry == DOCKER_HUB && same() { short.to_owned() } else { self.to_string() }
    }
}

impl Repository {
    /// `host` or `host:port`; that of Docker Hub is `docker.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Its name within the registry, such as `acme/app`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether only Docker itself can push images there.
    pub fn is_official(&self) -> bool {
        self.registry == DOCKER_HUB && self.path.starts_with(OFFICIAL)
    }

    /// The image with a digest.
    pub fn at(&self, digest: &Digest) -> Reference {
        Reference { repository: self.clone(), tag: None, digest: Some(*digest) }
    }

    /// The image with a tag.
    pub fn tagged(&self, tag: &Tag) -> Reference {
        Reference { repository: self.clone(), tag: Some(tag.clone()), digest: None }
    }
}

/// The common beginning of repositories: a registry, or a path in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Above(String);

impl Above {
    /// Parses `ghcr.io/acme`, `localhost:5000` or, for Docker Hub, `acme`.
    pub fn parse(text: &str) -> Result<Above> {
        // A text that may have a password is refused before it is quoted.
        ensure!(
            !text.contains("://") && !text.contains('@'),
            "a place for images has no scheme, no user and no password; one looks like ghcr.io/acme"
        );
        let above = Above(text.trim_end_matches('/').to_owned());
        let valid = above.below("image");
        valid.with_context(|| format!("{:?} names no place for images", excerpt(text)))?;
        Ok(above)
    }

    /// The repository with a name there.
    pub fn below(&self, name: &str) -> Result<Repository> {
        Repository::parse(&format!("{}/{name}", self.0))
    }
}

/// The full form, `docker.io/library/alpine`.
impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A name of an image in a repository. It can be moved to another image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// Parses `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
    pub fn parse(text: &str) -> Result<Tag> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        ensure!(
            (1..=128).contains(&text.len())
                && text.bytes().all(plain)
                && !text.starts_with(['.', '-']),
            "{:?} is not a tag: one has 1 to 128 letters, digits, `_`, `.` and `-`, \
             and does not begin with `.` or `-`",
            excerpt(text)
        );
        Ok(Tag(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository, and one of its images. A digest decides which; a tag beside it is only its
/// former name. With neither, engines take the tag `latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    pub repository: Repository,
    pub tag: Option<Tag>,
    pub digest: Option<Digest>,
}

impl Reference {
    /// Parses `name[:tag][@sha256:digest]`, with a name as in [`Repository::parse`].
    pub fn parse(text: &str) -> Result<Reference> {
        // A text that may have a password is refused before it is quoted.
        if let Some((scheme, _)) = text.split_once("://") {
            let scheme = excerpt(scheme);
            bail!("an image's name has no scheme: leave out \"{scheme}://\"; {FORM}");
        }
        if text.split_once('@').is_some_and(|(_, rest)| rest.contains('/')) {
            bail!("an image's name has no user and no password: leave out all up to `@`; {FORM}");
        }
        let quoted = excerpt(text);
        ensure!(
            text.len() <= LONGEST_REFERENCE,
            "an image's name of {} bytes, {quoted:?}, is too long; {FORM}",
            text.len()
        );
        ensure!(
            !text.contains(|c: char| c.is_whitespace() || c.is_control()),
            "{quoted:?} is not an image's name: it has a space or a control character; {FORM}"
        );
        Reference::of_parts(text)
            .map_err(|error| error.context(format!("{quoted:?} is not an image's name; {FORM}")))
    }

    /// The part that distinguishes it from other images of its repository.
    pub fn tag_or_digest(&self) -> String {
        let digest = || self.digest.as_ref().map(Digest::to_string);
        self.tag.as_ref().map(Tag::to_string).or_else(digest).unwrap_or_else(|| "latest".to_owned())
    }

    fn of_parts(text: &str) -> Result<Reference> {
        ensure!(!is_identifier(text), "64 hex digits are the ID of an image, not a name");
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        // A `:` before a `/` belongs to a port.
        let (name, tag) = match named.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(Tag::parse(tag)?)),
            _ => (named, None),
        };
        Ok(Reference { repository: Repository::of_name(name)?, tag, digest })
    }
}

impl Reference {
    /// The short form that Docker prints.
    pub fn familiar(&self) -> String {
        let tag = self.tag.as_ref().map_or_else(String::new, |tag| format!(":{tag}"));
        let digest = self.digest.as_ref().map_or_else(String::new, |it| format!("@{it}"));
        format!("{}{tag}{digest}", self.repository.familiar())
    }
}

/// The full form, which parses to the same reference.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repository.fmt(f)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether the first of several parts names a registry, not a folder of Docker Hub. One with an
/// upper-case letter must be a registry, because paths have none.
fn is_registry(first: &str) -> bool {
    let marked = |c: char| c == '.' || c == ':' || c.is_uppercase();
    first == "localhost" || first.contains(marked)
}

/// Whether Docker takes a name for the ID of an image: 64 hex digits.
fn is_identifier(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Checks `host[:port]`: letters, digits and inner `-` between dots, or an IPv6 address in
/// brackets. Upper case is kept, because credentials are stored under the written name.
fn check_registry(registry: &str) -> Result<()> {
    ensure!(registry.len() <= LONGEST, "its registry is longer than {LONGEST} characters");
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    };
    if let Some(port) = port {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let number = port.parse::<u16>().is_ok_and(|number| number > 0);
        ensure!(digits && number, "its port {port:?} is not a number from 1 to 65535");
    }
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        // The grammar has neither zones nor an IPv4 address at the end.
        Some(address) => {
            let plain = !address.contains(['%', '.']);
            address
                .parse::<Ipv6Addr>()
                .ok()
                .filter(|_| plain)
                .with_context(|| format!("{address:?} is not an IPv6 address"))?;
        }
        None => ensure!(host.split('.').all(label), "{host:?} is not the name of a host"),
    }
    Ok(())
}

/// Checks a path: its parts between `/` have lower-case letters and digits with one separator
/// between them: `.`, `_`, `__`, or any number of `-`.
fn check_path(path: &str) -> Result<()> {
    ensure!(path.len() <= LONGEST, "its path is longer than {LONGEST} characters");
    ensure!(
        !path.contains(char::is_uppercase),
        "its path {path:?} has upper-case letters, but registries accept only lower case; \
         {:?} has none",
        path.to_lowercase()
    );
    for part in path.split('/') {
        ensure!(!part.is_empty(), "a part of its path {path:?} is empty");
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let separator = |text: &str| {
            matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-')
        };
        ensure!(
            part.starts_with(alphanumeric)
                && part.ends_with(alphanumeric)
                && part.split(alphanumeric).all(separator),
            "{part:?} is not a part of a path: lower-case letters and digits, \
             with `.`, `_`, `__` or dashes between them"
        );
    }
    Ok(())
}

/// The beginning of a text that may be long, for errors.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
