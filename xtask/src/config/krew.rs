//! What krew is to be told of a kubectl plugin, as it was typed.

use serde::Deserialize;

use super::Scope;
use crate::finding::Finding;

/// The keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KrewKeys {
    ship: bool,
    name: String,
    short_description: String,
    description: String,
    homepage: String,
    caveats: String,
    uri: String,
}

/// A plugin's settings; what is empty is told by Cargo.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KrewConfig {
    /// The plugin's name, without `kubectl-`.
    pub name: String,
    pub short_description: String,
    pub description: String,
    pub homepage: String,
    pub caveats: String,
    /// A template.
    pub uri: String,
}

/// How kubectl finds a plugin's program.
const PREFIX: &str = "kubectl-";

/// The plugin that a package is: it has a binary `kubectl-…` among these, or a table
/// that says so. `None` for any other, and for one that is not to be shipped as such.
pub fn krew(
    scope: &Scope<'_>,
    keys: KrewKeys,
    bins: &[&str],
    findings: &mut Vec<Finding>,
) -> Option<KrewConfig> {
    let typed = scope.typed.is_some_and(|typed| typed.value.get("krew").is_some());
    let plugin = bins.iter().find_map(|bin| bin.strip_prefix(PREFIX));
    if !keys.ship || !(typed || plugin.is_some()) {
        return None;
    }
    let name = match (&*keys.name, plugin) {
        ("", Some(plugin)) => plugin.to_owned(),
        ("", None) => {
            let why = format!(
                "no binary of {:?} is called kubectl-…, so the plugin needs a name",
                scope.package.name
            );
            let fix = super::schema::example("krew.name");
            findings.push(Finding::error("config-krew", scope.place("krew.name"), why, fix));
            return None;
        }
        (name, _) => name.to_owned(),
    };
    let KrewKeys { short_description, description, homepage, caveats, uri, .. } = keys;
    Some(KrewConfig { name, short_description, description, homepage, caveats, uri })
}
