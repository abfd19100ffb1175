//! Reads `[licenses]` of cargo-deny's deny.toml.
//! <https://embarkstudios.github.io/cargo-deny/checks/licenses/cfg.html>

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use semver::{Op, Version, VersionReq};
use serde::Deserialize;
use toml::Spanned;

use crate::check::rules::{DENY, first_text};
use crate::files::Boundary;
use crate::finding::{Help, Place, failure};
use crate::license::{Allowed, Expression};

/// Where cargo-deny looks for exceptions that are kept apart.
const EXCEPTIONS: [&str; 3] =
    ["deny.exceptions.toml", ".deny.exceptions.toml", ".cargo/deny.exceptions.toml"];

/// The keys that cargo-deny removed. It fails for them too.
const REMOVED: [&str; 5] = ["unlicensed", "allow-osi-fsf-free", "copyleft", "default", "deny"];

/// The rules for licences.
#[derive(Debug)]
pub struct Rules {
    pub allow: Vec<(Allowed, Entry)>,
    pub exceptions: Vec<Exception>,
    pub clarify: Vec<Clarification>,
    pub private: Private,
    pub unused_allowed: Level,
    pub unused_exception: Level,
    pub include_dev: bool,
    pub include_build: bool,
    pub graph: GraphKeys,
}

/// An entry as it is written, and where.
#[derive(Debug)]
pub struct Entry {
    pub text: String,
    pub place: Place,
}

/// Licences that are allowed for a crate alone.
#[derive(Debug)]
pub struct Exception {
    pub of: Spec,
    pub allow: Vec<Allowed>,
    pub entry: Entry,
    /// Whether it is in a file of exceptions, where unused ones are not reported.
    pub is_apart: bool,
}

/// The licence of a crate, where its own manifest does not say it or is wrong.
#[derive(Debug)]
pub struct Clarification {
    pub of: Spec,
    pub expression: Expression,
    /// Files with their hashes. Where one differs, the entry does not count.
    pub files: Vec<(PathBuf, u32)>,
}

/// Crates by name and version.
#[derive(Debug, PartialEq)]
pub struct Spec {
    pub name: String,
    version: Option<VersionReq>,
}

impl Spec {
    pub fn matches(&self, name: &str, version: &Version) -> bool {
        self.name == name && self.version.as_ref().is_none_or(|wanted| wanted.matches(version))
    }

    /// `NAME`, `NAME@VERSION`, or `NAME:REQUIREMENT`.
    fn parse(text: &str) -> Result<Spec> {
        let (name, version, exact) = match (text.split_once('@'), text.split_once(':')) {
            (Some((name, version)), _) => (name, version, true),
            (None, Some((name, version))) => (name, version, false),
            (None, None) => return Ok(Spec { name: text.to_owned(), version: None }),
        };
        let mut wanted: VersionReq =
            version.trim().parse().with_context(|| format!("read the version of {text:?}"))?;
        if let Some(first) = wanted.comparators.first_mut().filter(|_| exact) {
            first.op = Op::Exact;
        }
        Ok(Spec { name: name.to_owned(), version: Some(wanted) })
    }
}

/// What becomes of an entry that is not needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Allow,
    #[default]
    Warn,
    Deny,
}

/// Crates that are not checked.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Private {
    /// Whether crates that are not published are left out.
    pub ignore: bool,
    pub ignore_sources: Vec<String>,
    /// Registries that count as private.
    pub registries: Vec<String>,
}

/// What of `[graph]` says which crates there are.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct GraphKeys {
    pub targets: Vec<TargetKey>,
    pub exclude: Vec<String>,
    pub all_features: bool,
    pub no_default_features: bool,
    pub features: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum TargetKey {
    Triple(String),
    Table { triple: String },
}

impl TargetKey {
    pub fn triple(&self) -> &str {
        match self {
            TargetKey::Triple(triple) | TargetKey::Table { triple } => triple,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DenyToml {
    licenses: Option<toml::Table>,
    graph: GraphKeys,
}

#[derive(Debug, Deserialize)]
struct LicensesTable {
    licenses: Keys,
}

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct Keys {
    /// It has no meaning any more.
    #[serde(rename = "version")]
    _version: u32,
    allow: Vec<Spanned<String>>,
    exceptions: Vec<Spanned<ExceptionKeys>>,
    clarify: Vec<Spanned<ClarifyKeys>>,
    private: Private,
    unused_allowed_license: Level,
    unused_license_exception: Level,
    include_dev: bool,
    include_build: bool,
    /// Texts are recognised by their phrases here.
    #[serde(rename = "confidence-threshold")]
    _confidence_threshold: f32,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            _version: 1,
            allow: Vec::new(),
            exceptions: Vec::new(),
            clarify: Vec::new(),
            private: Private::default(),
            unused_allowed_license: Level::Warn,
            unused_license_exception: Level::Warn,
            include_dev: false,
            include_build: true,
            _confidence_threshold: 0.8,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExceptionKeys {
    #[serde(rename = "crate")]
    spec: Option<String>,
    name: Option<String>,
    version: Option<String>,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ClarifyKeys {
    #[serde(rename = "crate")]
    spec: Option<String>,
    name: Option<String>,
    version: Option<String>,
    expression: String,
    license_files: Vec<FileKeys>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKeys {
    path: PathBuf,
    hash: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExceptionsToml {
    exceptions: Vec<Spanned<ExceptionKeys>>,
}

/// Reads the rules of the workspace; `None` where there is no deny.toml with `[licenses]`.
pub fn read(root: &Path, boundary: &Boundary) -> Result<Option<Rules>> {
    let Some((file, text)) = first_text(&DENY, root, boundary)? else { return Ok(None) };
    let rules = File { name: file, text: &text };
    let Some(mut rules) = rules.read_rules().with_context(|| rules.context())? else {
        return Ok(None);
    };
    if let Some((name, text)) = first_text(&EXCEPTIONS, root, boundary)? {
        let file = File { name, text: &text };
        let read = || -> Result<Vec<Exception>> {
            let keys: ExceptionsToml = file.parse()?;
            file.exceptions(keys.exceptions, true)
        };
        rules.exceptions.extend(read().with_context(|| file.context())?);
    }
    Ok(Some(rules))
}

struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn context(&self) -> String {
        format!("read {}", self.name)
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        let help = || Help(format!("correct {}", self.name));
        toml::from_str(self.text).with_context(help)
    }

    /// The place of a byte.
    fn place(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place::at(Path::new(self.name), line, column)
    }

    fn read_rules(&self) -> Result<Option<Rules>> {
        let DenyToml { licenses, graph } = self.parse()?;
        let Some(table) = licenses else { return Ok(None) };
        if let Some(removed) = REMOVED.iter().find(|key| table.contains_key(**key)) {
            bail!(failure(
                format!("[licenses] has `{removed}`, which cargo-deny removed"),
                "remove it: what `allow` does not name is not allowed",
            ));
        }
        let LicensesTable { licenses: keys } = self.parse()?;
        let mut allow = Vec::new();
        for entry in keys.allow {
            let place = self.place(entry.span().start);
            let text = entry.into_inner();
            let allowed = self.allowed(&text, &place)?;
            allow.push((allowed, Entry { text, place }));
        }
        Ok(Some(Rules {
            allow,
            exceptions: self.exceptions(keys.exceptions, false)?,
            clarify: self.clarifications(keys.clarify)?,
            private: keys.private,
            unused_allowed: keys.unused_allowed_license,
            unused_exception: keys.unused_license_exception,
            include_dev: keys.include_dev,
            include_build: keys.include_build,
            graph,
        }))
    }

    fn allowed(&self, text: &str, place: &Place) -> Result<Allowed> {
        let help = || Help("name one licence of https://spdx.org/licenses, or a LicenseRef".into());
        Allowed::parse(text).with_context(|| place.to_string()).with_context(help)
    }

    fn exceptions(
        &self,
        keys: Vec<Spanned<ExceptionKeys>>,
        is_apart: bool,
    ) -> Result<Vec<Exception>> {
        let mut exceptions = Vec::new();
        for entry in keys {
            let place = self.place(entry.span().start);
            let ExceptionKeys { spec, name, version, allow } = entry.into_inner();
            let allowed = allow.iter().map(|text| self.allowed(text, &place));
            let allow = allowed.collect::<Result<_>>()?;
            let of = self.spec(spec, name, version, &place)?;
            let entry = Entry { text: of.name.clone(), place };
            exceptions.push(Exception { of, allow, entry, is_apart });
        }
        Ok(exceptions)
    }

    fn clarifications(&self, keys: Vec<Spanned<ClarifyKeys>>) -> Result<Vec<Clarification>> {
        let mut clarifications = Vec::new();
        for entry in keys {
            let place = self.place(entry.span().start);
            let ClarifyKeys { spec, name, version, expression, license_files } = entry.into_inner();
            let of = self.spec(spec, name, version, &place)?;
            let help = || Help("write one as https://spdx.org/licenses has it".to_owned());
            let expression = Expression::as_written(&expression)
                .with_context(|| place.to_string())
                .with_context(help)?;
            let files = license_files.into_iter().map(|file| (file.path, file.hash)).collect();
            clarifications.push(Clarification { of, expression, files });
        }
        Ok(clarifications)
    }

    /// `crate`, or `name` and `version` as older files have it.
    fn spec(
        &self,
        spec: Option<String>,
        name: Option<String>,
        version: Option<String>,
        place: &Place,
    ) -> Result<Spec> {
        let text = match (spec, name, version) {
            (Some(spec), None, None) => spec,
            (None, Some(name), Some(version)) => format!("{name}:{version}"),
            (None, Some(name), None) => name,
            _ => {
                let why = format!("{place}: it needs `crate`, or `name` and perhaps `version`");
                bail!(failure(why, "write crate = \"NAME\" or crate = \"NAME@VERSION\""));
            }
        };
        let help = || Help("write crate = \"NAME\" or crate = \"NAME@VERSION\"".to_owned());
        Spec::parse(&text).with_context(|| place.to_string()).with_context(help)
    }
}

#[cfg(test)]
mod tests;
