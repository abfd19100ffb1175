//! The settings of a kubectl plugin.

use serde::Deserialize;

use super::Scope;
use crate::finding::Finding;
use crate::secret::Address;

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

/// A plugin's settings. What is empty comes from Cargo.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KrewConfig {
    /// The plugin's name, without `kubectl-`.
    pub name: String,
    /// The package's binary that is its program.
    pub bin: String,
    pub short_description: String,
    pub description: String,
    pub homepage: String,
    pub caveats: String,
    /// A template.
    pub uri: String,
}

/// The prefix of a plugin's program, by which kubectl finds it.
pub const PLUGIN: &str = "kubectl-";

/// The plugin that a package makes: one of these binaries is called `kubectl-…`, or the package
/// has a table `krew`. `None` for other packages, and where `ship` is false.
pub fn krew(
    scope: &Scope<'_>,
    keys: KrewKeys,
    bins: &[&str],
    findings: &mut Vec<Finding>,
) -> Option<KrewConfig> {
    let typed = scope.typed.is_some_and(|typed| typed.value.get("krew").is_some());
    let plugin = bins.iter().find_map(|bin| bin.strip_prefix(PLUGIN));
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
    let bin = program(&name, &scope.package.name, bins)?.to_owned();
    let KrewKeys { short_description, description, homepage, caveats, uri, .. } = keys;
    // Manifests are public, so logins are removed.
    let [homepage, uri] = [homepage, uri].map(|it| Address::new(&it).shown().to_owned());
    Some(KrewConfig { name, bin, short_description, description, homepage, caveats, uri })
}

/// The plugin's program: the binary that kubectl finds by the plugin's name, with underscores for
/// dashes; else another `kubectl-…`; else one with the plugin's or the package's name; else the
/// first.
/// <https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/#names-with-dashes-and-underscores>
fn program<'a>(name: &str, package: &str, bins: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.replace('_', "-");
    let found = |bin: &&str| bin.strip_prefix(PLUGIN).is_some_and(|it| plain(it) == plain(name));
    let all = || bins.iter().copied();
    let by_name = all().find(found).or_else(|| all().find(|bin| bin.starts_with(PLUGIN)));
    let of_package = || [name, package].iter().find_map(|it| all().find(|bin| bin == it));
    by_name.or_else(of_package).or_else(|| all().next())
}

#[cfg(test)]
mod tests {
    use super::program;

    #[test]
    fn a_plugin_is_started_by_the_program_of_its_name() {
        for (bins, expected) in [
            (&["helper", "kubectl-tool"][..], "kubectl-tool"),
            (&["kubectl-a", "kubectl-my_tool"], "kubectl-my_tool"),
            (&["kubectl-a", "my-tool"], "kubectl-a"),
            (&["helper", "my-tool"], "my-tool"),
            (&["helper", "package"], "package"),
            (&["helper", "other"], "helper"),
        ] {
            assert_eq!(program("my-tool", "package", bins), Some(expected), "{bins:?}");
        }
        assert_eq!(program("my-tool", "package", &[]), None);
    }
}
