//! Packages that one call of cargo compiles as calls of their own would.
//!
//! Packages in one call share the features of their common crates. Where these are the same
//! already, cargo compiles the same crates with the same arguments, and the bytes are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::crates::Crate;

/// A crate whichever features it has: name, version, source, folder, side.
type Key<'a> = (&'a str, &'a str, Option<&'a str>, &'a Path, bool);

/// Crates and their features.
pub type Units<'a> = BTreeMap<Key<'a>, &'a [String]>;

fn key(krate: &Crate) -> Key<'_> {
    let Crate { name, version, source, dir, host, .. } = krate;
    (name, version, source.as_deref(), dir, *host)
}

/// The crates of one resolution; `None` where a crate has different features in two of its parts.
pub fn units<'a>(crates: impl IntoIterator<Item = &'a Crate>) -> Option<Units<'a>> {
    let mut units = Units::new();
    for krate in crates {
        let features = &*krate.features;
        if units.insert(key(krate), features).is_some_and(|known| known != features) {
            return None;
        }
    }
    Some(units)
}

/// Packages that may share a call, if cargo resolves them together as their graphs say.
pub struct Set<'a> {
    pub packages: Vec<&'a str>,
    pub units: Units<'a>,
    roots: BTreeSet<(&'a Path, &'a str)>,
    /// The crates that are not built for their own sake.
    used: BTreeSet<(&'a Path, &'a str)>,
}

/// Sorts packages of one call into sets. Each comes with the crates of its graphs, one for
/// each target.
pub fn sets<'a>(packages: &[(&'a str, Vec<&'a [Crate]>)]) -> Vec<Set<'a>> {
    let mut sets: Vec<Set<'a>> = Vec::new();
    for (package, graphs) in packages {
        let Some(alone) = Set::of(package, graphs) else { continue };
        match sets.iter_mut().find(|set| set.takes(&alone)) {
            Some(set) => set.add(alone),
            None => sets.push(alone),
        }
    }
    sets.retain(|set| set.packages.len() > 1);
    sets
}

impl<'a> Set<'a> {
    /// `None` for a package that only a call of its own builds as its graphs say.
    fn of(package: &'a str, graphs: &[&'a [Crate]]) -> Option<Set<'a>> {
        let all = || graphs.iter().copied().flatten();
        // For link-time optimisation, what a dynamic or static library is made of is compiled in
        // another way, also for the others that use it.
        if all().any(|krate| krate.exports) {
            return None;
        }
        let of = |roots: bool| {
            let some = all().filter(move |krate| krate.root == roots);
            some.map(|krate| (&*krate.dir, &*krate.name)).collect()
        };
        let (roots, used) = (of(true), of(false));
        Some(Set { packages: vec![package], units: units(all())?, roots, used })
    }

    /// Whether the crates that both have are the same. cargo tells the compiler which packages
    /// it was asked for, so none may be a dependency of another.
    fn takes(&self, other: &Set<'_>) -> bool {
        let same = other
            .units
            .iter()
            .all(|(key, features)| self.units.get(key).is_none_or(|own| own == features));
        same && self.used.is_disjoint(&other.roots) && other.used.is_disjoint(&self.roots)
    }

    fn add(&mut self, other: Set<'a>) {
        self.packages.extend(other.packages);
        self.units.extend(other.units);
        self.roots.extend(other.roots);
        self.used.extend(other.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::crates::test_crate;

    #[test]
    fn packages_share_a_call_where_their_common_crates_are_the_same() {
        let root = |name: &str| Crate { root: true, ..test_crate(name, &[]) };
        let leaf = |features: &[&str]| test_crate("leaf", features);
        let host = |features: &[&str]| Crate { host: true, ..leaf(features) };
        let exporting = Crate { exports: true, ..test_crate("dynamic", &[]) };
        let plain = [root("a"), leaf(&["x"]), host(&[])];
        for (a, b, shared) in [
            (&plain[..], &[root("b")][..], true),
            (&plain, &[root("b"), leaf(&["x"])], true),
            (&plain, &[root("b"), leaf(&[])], false),
            (&plain, &[root("b"), host(&[])], true),
            (&plain, &[root("b"), host(&["x"])], false),
            (&plain, &[root("b"), leaf(&["x"]), host(&["x"])], false),
            (&plain, &[root("b"), test_crate("a", &[])], false),
            (&[root("a"), test_crate("b", &[])], &[root("b")], false),
            (&[root("a"), exporting.clone()], &[root("b")], false),
            (&plain, &[root("b"), exporting], false),
        ] {
            let sets = sets(&[("a", vec![a]), ("b", vec![b])]);
            let sets: Vec<_> = sets.iter().map(|set| &*set.packages).collect();
            let expected: &[&[&str]] = if shared { &[&["a", "b"]] } else { &[] };
            assert_eq!(sets, expected, "{a:?} {b:?}");
        }
        // A package that has other features for another target is not compared at all.
        let (other, b) = ([root("a"), leaf(&[])], [root("b")]);
        assert!(sets(&[("a", vec![&plain, &other]), ("b", vec![&b, &b])]).is_empty());
        // One that does not fit leaves the others together.
        let (c, d) = ([root("c"), leaf(&[])], [root("d"), leaf(&["x"])]);
        let all: [(&str, Vec<&[Crate]>); 4] =
            [("a", vec![&plain]), ("b", vec![&b]), ("c", vec![&c]), ("d", vec![&d])];
        let sets: Vec<_> = sets(&all).into_iter().map(|set| set.packages).collect();
        assert_eq!(sets, [vec!["a", "b", "d"]]);
    }
}
