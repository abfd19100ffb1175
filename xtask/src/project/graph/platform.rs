//! Which conditions of manifests hold on the platforms of a build, by what cargo prints of it.
//!
//! cargo evaluates `cfg(…)` with what rustc says of the target and with the flags of the user.
//! What it used, and what it left out, tells how that came out.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{Dependency, DependencyKind, Package};

use super::super::crates::{self, Found, Kind};

/// A dependency of a crate, as cargo prints it.
pub struct Use<'a> {
    pub dependency: crates::Dependency,
    /// Whether it is built for the machine that builds.
    pub for_host: bool,
    /// The entries of the manifest that could be the reason for it.
    pub entries: Vec<Entry<'a>>,
    /// Whether each entry is known to be for the platform, and for this crate.
    pub is_sure: bool,
}

impl Use<'_> {
    /// The place of what is used.
    pub fn to(&self) -> usize {
        self.dependency.index
    }
}

/// An entry of a manifest.
pub struct Entry<'a> {
    pub dependency: &'a Dependency,
    /// The platforms that it is for; `None` for all.
    condition: Option<String>,
    /// Whether it is known to be for the platform of the build.
    is_met: bool,
}

impl<'a> Entry<'a> {
    fn of(dependency: &'a Dependency) -> Entry<'a> {
        let condition = dependency.target.as_ref().map(ToString::to_string);
        Entry { dependency, is_met: condition.is_none(), condition }
    }

    /// What the crate's features call the dependency.
    pub fn name(&self) -> &'a str {
        self.dependency.rename.as_ref().unwrap_or(&self.dependency.name)
    }

    /// Whether it is for all platforms of one system, or for none of them.
    pub fn is_of_system(&self) -> bool {
        self.condition.as_deref().is_none_or(is_of_system)
    }

    /// Whether the entry is for the platform of the build, where one of all these is.
    pub fn counts(&self, among: &[&Entry<'_>]) -> bool {
        self.is_met || among.iter().all(|it| it.condition == self.condition)
    }

    /// Whether a crate with these features asks for a feature of the dependency.
    fn asks(&self, feature: &str, on: &[String], package: &Package) -> bool {
        let entry = self.dependency;
        let mut values = on.iter().filter_map(|it| package.features.get(it)).flatten();
        (feature == "default" && entry.uses_default_features)
            || entry.features.iter().any(|it| it == feature)
            || values.any(|value| {
                value.split_once('/').is_some_and(|(name, of)| {
                    of == feature && name.trim_end_matches('?') == self.name()
                })
            })
    }
}

/// What each crate uses, with the entries of its manifest that are not known to be for other
/// platforms.
pub fn uses<'a>(found: &'a [Found<'a>]) -> Vec<Vec<Use<'a>>> {
    let mut uses: Vec<Vec<Use<'_>>> = found.iter().map(|of| printed(found, of)).collect();
    let unmet = unmet(found);
    let is_in = |known: &BTreeSet<(bool, String)>, for_host, entry: &Entry<'_>| {
        entry.condition.as_ref().is_some_and(|on| known.contains(&(for_host, on.clone())))
    };
    for used in uses.iter_mut().flatten() {
        used.entries.retain(|entry| !is_in(&unmet, used.for_host, entry));
    }
    let mut met = BTreeSet::new();
    for used in uses.iter().flatten() {
        // One of the entries counts.
        if let Some(on) = used.entries.first().and_then(|entry| entry.condition.clone()) {
            let same = used.entries.iter().all(|entry| entry.condition.as_ref() == Some(&on));
            met.extend(same.then_some((used.for_host, on)));
        }
    }
    met.extend(met_by_features(found, &uses));
    for used in uses.iter_mut().flatten() {
        for entry in &mut used.entries {
            entry.is_met |= is_in(&met, used.for_host, entry);
        }
    }
    uses.iter_mut().for_each(|of| find_sure(of));
    uses
}

/// Finds out which uses of a crate are sure.
fn find_sure(uses: &mut [Use<'_>]) {
    let mut times = BTreeMap::<*const Dependency, u32>::new();
    for entry in uses.iter().flat_map(|used| &used.entries) {
        *times.entry(entry.dependency).or_default() += 1;
    }
    for used in uses {
        let all: Vec<&Entry<'_>> = used.entries.iter().collect();
        let is_sure = |it: &&Entry<'_>| {
            it.counts(&all) && times.get(&std::ptr::from_ref(it.dependency)) == Some(&1)
        };
        used.is_sure = all.iter().all(is_sure);
    }
}

/// Whether a condition asks for nothing but the operating system. What users set by flags and the
/// processor have other names.
/// <https://doc.rust-lang.org/reference/conditional-compilation.html#set-configuration-options>
fn is_of_system(condition: &str) -> bool {
    const WORDS: [&str; 9] = [
        "all",
        "any",
        "not",
        "target_env",
        "target_family",
        "target_os",
        "target_vendor",
        "unix",
        "windows",
    ];
    let Some(asked) = condition.strip_prefix("cfg(") else { return false };
    // What is between quotes is a value.
    let names = asked.split('"').step_by(2);
    let mut words = names.flat_map(|it| it.split(|c: char| !(c.is_alphanumeric() || c == '_')));
    words.all(|word| word.is_empty() || WORDS.contains(&word))
}

fn printed<'a>(found: &'a [Found<'a>], (krate, package): &'a Found<'a>) -> Vec<Use<'a>> {
    let uses = krate.dependencies.iter().map(|used| {
        let name = &found[used.index].0.name;
        let named = |it: &&Dependency| kind(it) == Some(used.kind) && it.name == *name;
        let others = krate.dependencies.iter().filter(|it| it.kind == used.kind);
        let others: Vec<usize> =
            others.map(|it| it.index).filter(|at| found[*at].0.name == *name).collect();
        // Of several with one name, an entry means one. Where it is not clear which, it could
        // mean each.
        let fits = |entry: &Dependency, at: usize| {
            let (krate, package) = &found[at];
            let dir = entry.path.as_ref().map(|dir| dir.as_std_path());
            entry.req.matches(&package.version) && dir.is_none_or(|dir| dir == krate.dir)
        };
        let means = |it: &&Dependency| {
            others.len() == 1
                || fits(it, used.index)
                || !others.iter().any(|other| fits(it, *other))
        };
        let entries = package.dependencies.iter().filter(named).filter(means);
        let for_host = krate.host || used.kind == Kind::Build;
        let entries = entries.map(Entry::of).collect();
        Use { dependency: *used, for_host, entries, is_sure: false }
    });
    uses.collect()
}

/// The conditions that are not met: what is not optional would be used.
fn unmet(found: &[Found<'_>]) -> BTreeSet<(bool, String)> {
    let mut unmet = BTreeSet::new();
    for (krate, package) in found {
        for entry in package.dependencies.iter().filter(|entry| !entry.optional) {
            let (Some(condition), Some(kind)) = (&entry.target, kind(entry)) else { continue };
            let mut used = krate.dependencies.iter().filter(|it| it.kind == kind);
            if !used.any(|it| found[it.index].0.name == entry.name) {
                unmet.insert((krate.host || kind == Kind::Build, condition.to_string()));
            }
        }
    }
    unmet
}

/// The conditions of the only entries that can have turned on a feature.
fn met_by_features(found: &[Found<'_>], uses: &[Vec<Use<'_>>]) -> BTreeSet<(bool, String)> {
    let differ = |used: &&Use<'_>| {
        let first = used.entries.first().map(|entry| &entry.condition);
        used.entries.iter().any(|entry| Some(&entry.condition) != first)
    };
    let open: BTreeSet<usize> = uses.iter().flatten().filter(differ).map(Use::to).collect();
    let mut met = BTreeSet::new();
    for to in open.into_iter().filter(|to| !found[*to].0.root) {
        let (krate, package) = &found[to];
        let all = found.iter().zip(uses);
        let parents = all.flat_map(|(from, uses)| uses.iter().map(move |used| (from, used)));
        let parents: Vec<_> = parents.filter(|(_, used)| used.to() == to).collect();
        for feature in &krate.features {
            let others = krate.features.iter().filter(|it| *it != feature);
            let mut values = others.filter_map(|it| package.features.get(it)).flatten();
            if values.any(|it| it.split_once('/').map_or(&**it, |(name, _)| name) == feature) {
                continue;
            }
            let mut reasons = BTreeSet::new();
            for ((from, package), used) in &parents {
                let entries = used.entries.iter();
                let entries = entries.filter(|it| it.asks(feature, &from.features, package));
                reasons.extend(entries.map(|it| (used.for_host, &it.condition)));
            }
            if let [(for_host, Some(on))] = Vec::from_iter(reasons)[..] {
                met.insert((for_host, on.clone()));
            }
        }
    }
    met
}

fn kind(dependency: &Dependency) -> Option<Kind> {
    match dependency.kind {
        DependencyKind::Normal => Some(Kind::Normal),
        DependencyKind::Build => Some(Kind::Build),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_may_ask_for_more_than_the_system() {
        for (condition, expected) in [
            ("cfg(unix)", true),
            ("cfg(not(any(windows, target_os = \"macos\")))", true),
            ("cfg(all(target_env=\"musl\",target_family=\"unix\"))", true),
            ("cfg(any())", true),
            ("cfg(target_arch = \"x86_64\")", false),
            ("cfg(all(unix, target_pointer_width = \"64\"))", false),
            ("cfg(tokio_unstable)", false),
            ("cfg(feature = \"unix\")", false),
            ("x86_64-unknown-linux-musl", false),
        ] {
            assert_eq!(is_of_system(condition), expected, "{condition}");
        }
    }
}
