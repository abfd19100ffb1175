//! The licence texts of the crates in a plan's programs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;

use crate::cache::Cache;
use crate::generate::Generated;
use crate::license;
use crate::linkage::Binaries;
use crate::plan::{ImagePlan, Plan};
use crate::project::Crate;
use crate::target::Target;
use crate::term::Term;

/// The texts by package and target.
#[derive(Debug, Default)]
pub struct Licenses(BTreeMap<(String, Target), Arc<license::Licenses>>);

/// Collects the texts for all archives and images of the programs, and shows what is wrong with
/// them.
pub fn of(plan: &Plan, binaries: &Binaries, cache: &Cache, term: &Term) -> Result<Licenses> {
    let archives = plan.archives.iter().filter(|it| it.licenses.is_some());
    let archives = archives.map(|it| (&it.package, &it.target));
    let images = plan.images.iter().filter(|it| it.licenses.is_some());
    let images = images.flat_map(|it| it.platforms.iter().map(move |on| (&it.package, &on.target)));
    let mut found = Licenses::default();
    // Most targets have the same crates.
    let mut collected: Vec<(Vec<&Crate>, Arc<license::Licenses>)> = Vec::new();
    for (package, target) in archives.chain(images) {
        let key = (package.clone(), target.clone());
        if found.0.contains_key(&key) || !binaries.has(package, target) {
            continue;
        }
        let crates = crates(plan, package, target);
        let same = collected.iter().find(|(others, _)| are_same(others, &crates));
        let licenses = match same {
            Some((_, licenses)) => licenses.clone(),
            None => {
                let licenses = Arc::new(license::collect(crates.iter().copied(), cache)?);
                collected.push((crates, licenses.clone()));
                licenses
            }
        };
        found.0.insert(key, licenses);
    }
    show(collected.iter().map(|(_, licenses)| &**licenses), term);
    Ok(found)
}

/// The texts of the crates in the programs of all platforms of an image.
pub fn of_image(plan: &Plan, image: &ImagePlan, cache: &Cache, term: &Term) -> Result<String> {
    if image.licenses.is_none() {
        return Ok(String::new());
    }
    let platforms = image.platforms.iter();
    let crates = platforms.flat_map(|it| crates(plan, &image.package, &it.target));
    let licenses = license::collect(crates, cache)?;
    show([&licenses], term);
    Ok(licenses.text)
}

/// Whether two lists are of the same sources. Features and dependencies differ between targets,
/// texts do not.
fn are_same(some: &[&Crate], others: &[&Crate]) -> bool {
    let is_same = |(one, other): (&&Crate, &&Crate)| {
        (&one.name, &one.version, &one.source, &one.dir)
            == (&other.name, &other.version, &other.source, &other.dir)
    };
    some.len() == others.len() && some.iter().zip(others).all(is_same)
}

fn crates<'a>(plan: &'a Plan, package: &str, target: &Target) -> Vec<&'a Crate> {
    let builds = plan.builds.iter().filter(|build| build.package == package);
    builds.flat_map(|build| build.linked(target)).collect()
}

fn show<'a>(all: impl IntoIterator<Item = &'a license::Licenses>, term: &Term) {
    let mut standard: BTreeSet<&str> = BTreeSet::new();
    let mut findings = Vec::new();
    for licenses in all {
        term.detail(format_args!("{} crates, {} licence texts", licenses.crates, licenses.texts));
        standard.extend(licenses.standard.iter().map(String::as_str));
        for finding in licenses.findings() {
            if !findings.contains(&finding) {
                term.finding(&finding);
                findings.push(finding);
            }
        }
    }
    if !standard.is_empty() {
        let of = standard.into_iter().collect::<Vec<_>>().join(", ");
        term.step("license", format_args!("by its standard text, as the sources have none: {of}"));
    }
}

impl Licenses {
    /// Adds them to the files of the archives that are to have them.
    pub fn add_to(&self, plan: &Plan, generated: &mut Generated) -> Result<()> {
        for archive in &plan.archives {
            let licenses = self.0.get(&(archive.package.clone(), archive.target.clone()));
            if let Some((name, licenses)) = archive.licenses.as_ref().zip(licenses) {
                generated.add_licenses(archive, name, &licenses.text)?;
            }
        }
        Ok(())
    }

    /// The texts of a package, by target.
    pub fn texts(&self, package: &str) -> BTreeMap<Target, String> {
        let own = self.0.iter().filter(|((of, _), _)| of == package);
        own.map(|((_, target), licenses)| (target.clone(), licenses.text.clone())).collect()
    }
}
