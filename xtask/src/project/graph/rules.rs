//! What the root's manifest and cargo's configuration say of how dependencies are resolved.

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::files::{self, limits};
use crate::project::{Project, cargo_config};

/// Which packages a crate gets features from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unification {
    /// From those that are selected, for each side apart: the second resolver and the third.
    Selected,
    /// From others too: from the package in the root, from the other side or other platforms.
    Wider,
}

/// What the root's manifest says.
pub struct Rules {
    /// All of it that cargo's answers depend on.
    pub text: String,
    pub unification: Unification,
}

impl Rules {
    /// Read from the root's Cargo.toml.
    /// <https://doc.rust-lang.org/cargo/reference/resolver.html#resolver-versions>
    pub fn read(project: &Project, manifest: &[u8]) -> Result<Rules> {
        let context = || format!("read {}", project.root.join("Cargo.toml").display());
        let text = std::str::from_utf8(manifest).with_context(context)?;
        let manifest: Table = toml::from_str(text).with_context(context)?;
        let at = |keys: &[&str]| {
            let (first, rest) = keys.split_first()?;
            rest.iter().try_fold(manifest.get(*first)?, |value, key| value.get(key))
        };
        let resolver = at(&["workspace", "resolver"]).or_else(|| at(&["package", "resolver"]));
        let edition = at(&["package", "edition"]);
        let said = [resolver, edition, at(&["patch"]), at(&["replace"])];
        let text = serde_json::to_string(&said).context("write JSON")?;
        let is = |value: Option<&Value>, known: &[&str]| {
            value.and_then(Value::as_str).is_some_and(|value| known.contains(&value))
        };
        let selects = match resolver {
            Some(_) => is(resolver, &["2", "3"]),
            None => is(edition, &["2021", "2024"]),
        };
        let unification = if selects { Unification::Selected } else { Unification::Wider };
        Ok(Rules { text, unification })
    }
}

/// What manifest and configuration say of features.
pub fn unification(project: &Project) -> Result<Unification> {
    // <https://doc.rust-lang.org/cargo/reference/unstable.html#feature-unification>
    let sets = |table: &Table| {
        table.get("resolver").is_some_and(|it| it.get("feature-unification").is_some())
    };
    if project.env.get("CARGO_RESOLVER_FEATURE_UNIFICATION").is_some()
        || cargo_config::tables(&project.root, &project.env)?.iter().any(sets)
    {
        return Ok(Unification::Wider);
    }
    let manifest = files::read_foreign(&project.root.join("Cargo.toml"), limits::SETTINGS)?;
    Ok(Rules::read(project, &manifest)?.unification)
}
