//! What cargo resolves for one package alone, read from what it resolved for many at once.
//!
//! A crate has all features that anything in the build asks for, so with more packages in a call
//! it has the same features or more, and never fewer:
//! <https://doc.rust-lang.org/cargo/reference/features.html#feature-unification>. What cargo
//! prints for many packages is thus the most that one of them has alone. The least follows from
//! the manifests along its own dependencies. Where a crate has at least what it has at most, it
//! also uses the same dependencies as in the call with others, for these follow from its features
//! and the platform. Where this holds for all crates of a package, they are what cargo resolves
//! for it alone. For other packages cargo has to be asked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use cargo_metadata::Package;

use super::super::crates::{self, Crate, Dependency, Found, Part};
use super::platform::{self, Entry, Use};
use super::rules::Unification;

/// The crates of several packages, as one call of cargo resolves them.
pub struct Together<'a> {
    found: &'a [Found<'a>],
    /// What each crate uses.
    uses: Vec<Vec<Use<'a>>>,
    /// The places of the packages that cargo was asked for, as `NAME@VERSION`.
    roots: BTreeMap<String, usize>,
    /// The crates of which the rules for features tell what cargo printed.
    foretold: BTreeSet<usize>,
}

/// Features of crates, by the crates' places.
pub type Features<'a> = BTreeMap<usize, BTreeSet<&'a str>>;

/// What is known of a package's own resolution.
pub enum Alone<'a> {
    /// Its crates, with their packages.
    Known(Vec<Found<'a>>),
    /// Cargo has to be asked. It is likely to say this.
    Unknown(Features<'a>),
}

impl<'a> Together<'a> {
    /// What cargo printed for a call with these arguments.
    pub fn new(
        found: &'a [Found<'a>],
        feature_args: &[String],
        unification: Unification,
    ) -> Together<'a> {
        let roots = found.iter().enumerate().filter(|(_, (krate, _))| krate.root);
        let mut together = Together {
            uses: platform::uses(found),
            roots: roots
                .map(|(at, (krate, _))| (format!("{}@{}", krate.name, krate.version), at))
                .collect(),
            found,
            foretold: BTreeSet::new(),
        };
        if unification == Unification::Selected && !names_features(feature_args) {
            together.foretold = together.foretell(feature_args);
        }
        together
    }

    /// The crates that have the features and dependencies that follow from the manifests.
    fn foretell(&self, feature_args: &[String]) -> BTreeSet<usize> {
        let mut sides = BTreeMap::<_, u32>::new();
        let side = |(krate, package): &Found<'_>| (package.id.clone(), krate.host);
        self.found.iter().for_each(|it| *sides.entry(side(it)).or_default() += 1);
        let walk = Walk::from(self.roots.values().copied(), feature_args, Trust::Likely, self);
        let is_foretold = |at: &usize| {
            let (krate, _) = &self.found[*at];
            let used = krate.dependencies.iter().all(|it| walk.used.contains(&(*at, *it)));
            // A macro that is built for its own sake shares the features of the other side.
            let is_plain = !(krate.root && krate.proc_macro);
            used && is_plain && walk.is_complete(*at) && sides[&side(&self.found[*at])] == 1
        };
        (0..self.found.len()).filter(is_foretold).collect()
    }

    /// Whether cargo resolves these packages together as it resolves each alone, where that gives
    /// their common crates the same features, and each target the same crates: what a crate asks
    /// of others follows from its features, and from nothing else.
    pub fn is_union(&self, packages: &BTreeSet<&str>) -> bool {
        self.places(packages).is_subset(&self.foretold)
    }

    /// Whether cargo resolves for each target, of several that have one operating system, what it
    /// has resolved for all of them at once: nothing that is used depends on the processor.
    pub fn is_same_for_each(&self) -> bool {
        let uses = self.uses.iter().flatten().filter(|used| !used.for_host);
        uses.flat_map(|used| &used.entries).all(Entry::is_of_system)
    }

    /// What the package's own resolution is. The arguments must name no features.
    pub fn alone(&self, package: &str, feature_args: &[String]) -> Result<Alone<'a>> {
        let unprinted = || format!("cargo resolved {package}, but did not print it");
        let root = *self.roots.get(package).with_context(unprinted)?;
        let likely = Walk::from([root], feature_args, Trust::Likely, self);
        if likely.is_exact() {
            return Ok(Alone::Known(likely.part(root)));
        }
        let least = Walk::from([root], feature_args, Trust::Certain, self);
        Ok(match least.is_most() {
            true => Alone::Known(least.part(root)),
            false => Alone::Unknown(likely.features),
        })
    }

    /// The crates of some of the packages, where these are all that is built.
    pub fn reached(&self, packages: &BTreeSet<&str>) -> Vec<&'a Crate> {
        self.places(packages).into_iter().map(|at| &self.found[at].0).collect()
    }

    fn places(&self, packages: &BTreeSet<&str>) -> BTreeSet<usize> {
        let mut open: Vec<usize> =
            packages.iter().filter_map(|package| self.roots.get(*package).copied()).collect();
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            if seen.insert(at) {
                open.extend(self.found[at].0.dependencies.iter().map(|it| it.index));
            }
        }
        seen
    }

    fn package(&self, at: usize) -> &'a Package {
        self.found[at].1
    }
}

/// Whether the arguments name features, which not every package needs to have.
pub fn names_features(feature_args: &[String]) -> bool {
    feature_args.iter().any(|arg| arg.starts_with("--features"))
}

/// What the features of a crate ask for beyond itself.
#[derive(Default)]
struct Asks<'a> {
    /// The optional dependencies that are on.
    on: BTreeSet<&'a str>,
    /// Dependencies and features of them.
    features: BTreeSet<(&'a str, &'a str)>,
}

/// How far a walk goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Only as far as it is certain.
    Certain,
    Likely,
}

/// A walk along the dependencies of a package, by the rules for features.
/// <https://doc.rust-lang.org/cargo/reference/features.html>
struct Walk<'t, 'a> {
    all: &'t Together<'a>,
    trust: Trust,
    features: Features<'a>,
    /// The dependencies that are used, with the places of the crates that use them.
    used: BTreeSet<(usize, Dependency)>,
    /// The crates that are new, or have new features.
    open: BTreeSet<usize>,
    /// Whether cargo uses a crate for which the manifest has no entry.
    is_lost: bool,
}

impl<'t, 'a> Walk<'t, 'a> {
    /// The walk from packages that are built with these arguments.
    fn from(
        roots: impl IntoIterator<Item = usize>,
        feature_args: &[String],
        trust: Trust,
        all: &'t Together<'a>,
    ) -> Walk<'t, 'a> {
        let (features, used, open) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let mut walk = Walk { all, trust, features, used, open, is_lost: false };
        let has = |arg: &str| feature_args.iter().any(|it| it == arg);
        let default = !has("--no-default-features");
        for root in roots {
            let defined = all.package(root).features.keys().map(String::as_str);
            let on = defined.filter(|it| has("--all-features") || (default && *it == "default"));
            walk.add(root, on.collect());
        }
        while let Some(at) = walk.open.pop_last() {
            if trust == Trust::Likely || walk.is_complete(at) {
                walk.follow(at);
            }
        }
        walk
    }

    /// Whether the crates have all features that they have in the call with others.
    fn is_most(&self) -> bool {
        !self.is_lost && self.features.keys().all(|at| self.is_complete(*at))
    }

    /// Whether the rules are known to hold for all crates, and what they depend on.
    fn is_exact(&self) -> bool {
        let is_sure = |at: &usize| self.all.uses[*at].iter().all(|used| used.is_sure);
        self.features.keys().all(|at| self.all.foretold.contains(at) && is_sure(at))
    }

    /// The crates, of which `root` is built for its own sake.
    fn part(&self, root: usize) -> Vec<Found<'a>> {
        let of = |(at, features): (&usize, &BTreeSet<&str>)| {
            let used = self.used.range((*at, Dependency::FIRST)..);
            let used = used.take_while(|(from, _)| from == at).map(|(_, used)| *used);
            let features = features.iter().map(|it| (*it).to_owned()).collect();
            Part { place: *at, features, dependencies: used.collect(), root: *at == root }
        };
        crates::part(self.all.found, self.features.iter().map(of).collect())
    }

    fn has(&self, at: usize, feature: &str) -> bool {
        self.features.get(&at).is_some_and(|features| features.contains(feature))
    }

    fn is_complete(&self, at: usize) -> bool {
        let printed = self.all.found[at].0.features.iter().map(String::as_str);
        self.features.get(&at).is_some_and(|features| features.iter().copied().eq(printed))
    }

    /// The crate is built, and has these features and those that they turn on.
    fn add(&mut self, at: usize, mut features: Vec<&'a str>) {
        let (all, package) = (self.all, self.all.package(at));
        let printed = |feature: &str| all.found[at].0.features.iter().any(|it| it == feature);
        self.features.entry(at).or_insert_with(|| {
            self.open.insert(at);
            BTreeSet::new()
        });
        while let Some(feature) = features.pop() {
            // cargo turns on some that the manifest does not define, and prints them.
            let exists = package.features.contains_key(feature) || printed(feature);
            if !exists || !self.features.entry(at).or_default().insert(feature) {
                continue;
            }
            self.open.insert(at);
            for value in package.features.get(feature).into_iter().flatten() {
                match value.split_once('/') {
                    // A feature of an optional dependency also turns on the feature by its name.
                    Some((name, _)) if !name.ends_with('?') && self.is_optional(at, name) => {
                        features.push(name);
                    }
                    Some(_) => {}
                    None if value.starts_with("dep:") => {}
                    None => features.push(value),
                }
            }
        }
    }

    /// Whether the crate has an optional dependency of this name, on this platform.
    fn is_optional(&self, at: usize, name: &str) -> bool {
        self.all.uses[at].iter().any(|used| {
            let all: Vec<&Entry<'_>> = used.entries.iter().collect();
            let mut named = all.iter().filter(|it| it.dependency.optional && it.name() == name);
            named.any(|it| it.counts(&all))
        })
    }

    /// Goes on to what the crate uses.
    fn follow(&mut self, at: usize) {
        let all = self.all;
        let asks = self.asks(at);
        for used in &all.uses[at] {
            let is_on = |it: &Entry<'_>| !it.dependency.optional || asks.on.contains(it.name());
            let entries: Vec<&Entry<'a>> =
                used.entries.iter().filter(|it| is_on(it) || self.has(at, it.name())).collect();
            if !entries.iter().any(|it| is_on(it)) {
                // Where the features are not complete, it may be used for one that lacks.
                self.is_lost |= self.trust == Trust::Certain;
                continue;
            }
            self.used.insert((at, used.dependency));
            let defines_default = all.package(used.to()).features.contains_key("default");
            let of = |entry: &&Entry<'a>| -> BTreeSet<&'a str> {
                let dependency = entry.dependency;
                let own = dependency.features.iter().map(String::as_str);
                let default =
                    (dependency.uses_default_features && defines_default).then_some("default");
                let asked = asks.features.iter().filter(|(name, _)| *name == entry.name());
                own.chain(default).chain(asked.map(|(_, feature)| *feature)).collect()
            };
            // At least one of the entries counts on this platform.
            let mut features: BTreeSet<&str> = entries.first().map(of).unwrap_or_default();
            features.retain(|it| entries.iter().all(|entry| of(entry).contains(it)));
            let sure = |it: &&&Entry<'a>| {
                is_on(it) && (self.trust == Trust::Likely || it.counts(&entries))
            };
            features.extend(entries.iter().filter(sure).flat_map(of));
            self.add(used.to(), features.into_iter().collect());
        }
    }

    fn asks(&self, at: usize) -> Asks<'a> {
        let mut asks = Asks::default();
        let package = self.all.package(at);
        let features = self.features.get(&at).into_iter().flatten();
        for value in features.filter_map(|it| package.features.get(*it)).flatten() {
            if let Some((name, feature)) = value.split_once('/') {
                let weak = name.strip_suffix('?');
                asks.on.extend(weak.is_none().then_some(name));
                asks.features.insert((weak.unwrap_or(name), feature));
            } else {
                asks.on.extend(value.strip_prefix("dep:"));
            }
        }
        asks
    }
}

/// Sorts packages into groups in which each crate has the same features for all of them. cargo is
/// likely to resolve a group as it resolves each package alone.
pub fn groups<'w, T: Copy>(packages: impl IntoIterator<Item = (T, Features<'w>)>) -> Vec<Vec<T>> {
    let mut groups: Vec<(Vec<T>, Features<'w>)> = Vec::new();
    for (package, features) in packages {
        let fits = |(_, common): &&mut (Vec<T>, Features<'w>)| {
            features.iter().all(|(at, own)| common.get(at).is_none_or(|known| known == own))
        };
        match groups.iter_mut().find(fits) {
            Some((group, common)) => {
                group.push(package);
                common.extend(features);
            }
            None => groups.push((vec![package], features)),
        }
    }
    groups.into_iter().map(|(group, _)| group).collect()
}
