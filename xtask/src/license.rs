//! The licence texts of the crates that are linked into a program, from their sources.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cache::{Cache, CacheKind};
use crate::digest::{self, Digest};
use crate::finding::{Finding, Place};
use crate::parallel;
use crate::project::Crate;

mod expression;
mod known;
mod sources;

pub use expression::{Allowed, Expression, Requirement, texts_of};
pub use known::recognised;
pub use sources::{Found, Sources, find};

/// A part of the cache's key. To be raised whenever the same sources give another text.
const FORMAT: &str = "licenses 2";

/// The texts of a set of crates, as one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licenses {
    /// In the cache it is not JSON, which takes longer to read.
    #[serde(skip)]
    pub text: String,
    /// How many crates there are, and how many different texts.
    pub crates: usize,
    pub texts: usize,
    /// What is there by a standard text only, such as `ryu 1.0.20 (Apache-2.0)`.
    pub standard: Vec<String>,
    problems: Vec<Problem>,
}

/// What is wrong with a crate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Problem {
    kind: ProblemKind,
    /// Name and version.
    of: String,
    why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ProblemKind {
    /// It declares no licence, and has none in its sources.
    NoLicense,
    /// A licence that it declares has no text.
    NoText,
    /// A file was not taken.
    Refused,
}

impl Licenses {
    /// What is wrong with the crates. A release goes on: what helps is up to their authors.
    pub fn findings(&self) -> Vec<Finding> {
        let finding = |problem: &Problem| {
            let (rule, fix) = match problem.kind {
                ProblemKind::NoLicense => (
                    "license-missing",
                    "nothing allows to pass it on: ask its authors, or take another crate",
                ),
                ProblemKind::NoText => (
                    "license-text",
                    "add the text to the archive's and the image's `files`, and ask its authors \
                     to add it to the crate",
                ),
                ProblemKind::Refused => (
                    "license-file",
                    "look at the file; if it matters, add its text to the archive's and the \
                     image's `files`",
                ),
            };
            Finding::warning(rule, Place::item(&problem.of), &problem.why, fix)
        };
        self.problems.iter().map(finding).collect()
    }
}

/// Collects the texts of crates, from the cache where all of them are unchanged. A crate that
/// comes several times counts once.
pub fn collect<'a>(crates: impl IntoIterator<Item = &'a Crate>, cache: &Cache) -> Result<Licenses> {
    let crates = distinct(crates);
    // Sources in a registry or a repository do not change, unlike those of a path.
    let paths = crates.iter().filter(|krate| krate.source.is_none());
    let mut found: BTreeMap<Id<'_>, Found> = BTreeMap::new();
    for krate in paths {
        found.insert(id(krate), files_of(krate)?);
    }
    let key = key(&crates, &found)?;
    if let Some(kept) = kept(cache, &key)? {
        return Ok(kept);
    }
    let others: Vec<&Crate> =
        crates.iter().copied().filter(|krate| krate.source.is_some()).collect();
    let read = parallel::map(&others, parallel::processors(), |krate| files_of(krate))?;
    found.extend(others.iter().map(|krate| id(krate)).zip(read));
    let licenses = gather(&crates, &found);
    keep(&licenses, cache, &key)?;
    Ok(licenses)
}

/// The facts are a line of JSON, and what follows is the text.
fn keep(licenses: &Licenses, cache: &Cache, key: &Digest) -> Result<()> {
    let mut entry = serde_json::to_vec(licenses).context("write JSON")?;
    entry.push(b'\n');
    entry.extend_from_slice(licenses.text.as_bytes());
    cache.put(CacheKind::License, key, &Digest::of(&entry), &entry[..])
}

fn kept(cache: &Cache, key: &Digest) -> Result<Option<Licenses>> {
    let mut entry = Vec::new();
    if cache.get(CacheKind::License, key, &mut entry)?.is_none() {
        return Ok(None);
    }
    let Ok(entry) = String::from_utf8(entry) else { return Ok(None) };
    let Some((facts, text)) = entry.split_once('\n') else { return Ok(None) };
    let licenses = serde_json::from_str::<Licenses>(facts);
    Ok(licenses.ok().map(|licenses| Licenses { text: text.to_owned(), ..licenses }))
}

fn files_of(krate: &Crate) -> Result<Found> {
    let Crate { name, version, dir, source, license_file, .. } = krate;
    let (source, license_file) = (source.as_deref(), license_file.as_deref());
    let found = sources::find(Sources { dir, source, license_file });
    found.with_context(|| format!("find the licences of {name} {version}"))
}

/// What makes a crate another one here. Its features do not.
type Id<'a> = (&'a str, semver::Version, Option<&'a str>, &'a std::path::Path);

fn id(krate: &Crate) -> Id<'_> {
    let version = krate.version.parse().unwrap_or(semver::Version::new(0, 0, 0));
    (&krate.name, version, krate.source.as_deref(), &krate.dir)
}

/// Each crate once, sorted by name and version.
fn distinct<'a>(crates: impl IntoIterator<Item = &'a Crate>) -> Vec<&'a Crate> {
    let all: BTreeMap<Id<'a>, &Crate> = crates.into_iter().map(|it| (id(it), it)).collect();
    all.into_values().collect()
}

/// The key does not name folders: they differ between machines, and their contents do not.
fn key(crates: &[&Crate], found: &BTreeMap<Id<'_>, Found>) -> Result<Digest> {
    let mut parts = vec![FORMAT.to_owned()];
    for krate in crates {
        let facts = (&krate.name, &krate.version, &krate.source, &krate.checksum);
        let license = (&krate.license, &krate.license_file);
        parts.push(serde_json::to_string(&(facts, license)).context("write JSON")?);
        if let Some(Found { files, refused }) = found.get(&id(krate)) {
            parts.extend(files.iter().flat_map(|file| [file.path.clone(), file.text.clone()]));
            parts.extend(refused.iter().cloned());
        }
    }
    Ok(digest::of_parts(parts.iter().map(String::as_bytes)))
}

/// Makes the file of the texts that were found.
fn gather(crates: &[&Crate], found: &BTreeMap<Id<'_>, Found>) -> Licenses {
    let mut texts = Texts::default();
    let (mut standard, mut problems) = (Vec::new(), Vec::new());
    let mut lines = Vec::new();
    let nothing = Found::default();
    for krate in crates {
        let files = found.get(&id(krate)).unwrap_or(&nothing);
        let of = format!("{} {}", krate.name, krate.version);
        let mut add = |kind, why: String| {
            problems.push(Problem { kind, of: of.clone(), why });
        };
        files.refused.iter().for_each(|why| add(ProblemKind::Refused, why.clone()));
        for file in &files.files {
            texts.add(&file.text, &of, &file.path);
        }
        let lacking = lacking(krate, files, &texts);
        if let Some((kind, why)) = lacking.problem {
            add(kind, why);
        }
        for name in &lacking.standard {
            if let Some(text) = known::standard(name) {
                texts.add(text, &of, &format!("the standard text of {name}"));
            }
        }
        if !lacking.standard.is_empty() {
            standard.push(format!("{of} ({})", lacking.standard.join(", ")));
        }
        lines.push((of, declared(krate)));
    }
    let text = texts.render(&lines);
    Licenses { text, crates: crates.len(), texts: texts.all.len(), standard, problems }
}

/// The licence that a crate declares, for people.
fn declared(krate: &Crate) -> String {
    match krate.license.as_deref().map(str::trim).filter(|it| !it.is_empty()) {
        Some(text) => match Expression::parse(text) {
            Ok(expression) => expression.text().to_owned(),
            Err(_) => text.to_owned(),
        },
        None => "see its files".to_owned(),
    }
}

/// What a crate's own files lack.
#[derive(Default)]
struct Lacking {
    /// The names of the texts that are missing, and at hand.
    standard: Vec<String>,
    problem: Option<(ProblemKind, String)>,
}

fn lacking(krate: &Crate, found: &Found, texts: &Texts) -> Lacking {
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    let mut unknown = false;
    for file in &found.files {
        let recognised = texts.recognised(&file.text);
        // A text that is not recognised is the licence by its name.
        unknown |= file.is_license && recognised.is_empty();
        covered.extend(recognised);
    }
    let problem = |kind, why: String| Lacking { standard: Vec::new(), problem: Some((kind, why)) };
    let Some(text) = krate.license.as_deref().filter(|text| !text.trim().is_empty()) else {
        if found.files.iter().any(|file| file.is_license) {
            return Lacking::default();
        }
        let why = "it declares no licence, and its sources have none";
        return problem(ProblemKind::NoLicense, why.to_owned());
    };
    if unknown {
        return Lacking::default();
    }
    let expression = match Expression::parse(text) {
        Ok(expression) => expression,
        // What it means is unknown, but there is a text.
        Err(_) if !covered.is_empty() => return Lacking::default(),
        Err(error) => {
            let why = format!("{error}, and its sources have no licence");
            return problem(ProblemKind::NoText, why);
        }
    };
    let all = |of: &Requirement, has: &dyn Fn(&str) -> bool| texts_of(of).iter().all(|it| has(it));
    if expression.holds(|it| all(it, &|name| covered.contains(name))) {
        return Lacking::default();
    }
    let at_hand = |name: &str| covered.contains(name) || known::standard(name).is_some();
    let mut standard: Vec<String> = Vec::new();
    for requirement in expression.requirements().filter(|it| all(it, &at_hand)) {
        for name in texts_of(requirement) {
            if !covered.contains(&*name) && !standard.contains(&name) {
                standard.push(name);
            }
        }
    }
    let problem = (!expression.holds(|it| all(it, &at_hand))).then(|| {
        let why = format!("its sources have no text of {}", expression.text());
        (ProblemKind::NoText, why)
    });
    Lacking { standard, problem }
}

/// The texts, each once, in the order in which they came, with what has each: a crate and the
/// names that the text has there.
#[derive(Default)]
struct Texts {
    places: BTreeMap<Digest, usize>,
    all: Vec<Text>,
}

struct Text {
    text: String,
    recognised: BTreeSet<&'static str>,
    of: Vec<(String, Vec<String>)>,
}

impl Texts {
    fn add(&mut self, text: &str, of: &str, name: &str) {
        let text = text.trim_end_matches('\n');
        let digest = Digest::of(text.as_bytes());
        let at = *self.places.entry(digest).or_insert_with(|| {
            let (text, recognised) = (text.to_owned(), known::recognised(text));
            self.all.push(Text { text, recognised, of: Vec::new() });
            self.all.len() - 1
        });
        let of_text = &mut self.all[at].of;
        match of_text.last_mut() {
            Some((last, names)) if last == of => names.push(name.to_owned()),
            _ => of_text.push((of.to_owned(), vec![name.to_owned()])),
        }
    }

    /// The licences in a text that was added.
    fn recognised(&self, text: &str) -> BTreeSet<&'static str> {
        let at = self.places.get(&Digest::of(text.trim_end_matches('\n').as_bytes()));
        at.map(|at| self.all[*at].recognised.clone()).unwrap_or_default()
    }

    fn render(&self, lines: &[(String, String)]) -> String {
        let mut out = format!(
            "THIRD-PARTY LICENCES\n\n\
             This software contains {} crates of others. Here is each with the licence that it\n\
             declares; the texts follow, each with the crates that have it. The sources of a crate\n\
             from crates.io are at https://crates.io/crates/NAME/VERSION.\n\n",
            lines.len()
        );
        for (of, declared) in lines {
            out.push_str(&format!("{of}: {declared}\n"));
        }
        for text in &self.all {
            out.push_str(&format!("\n{}\n", "=".repeat(80)));
            for (of, names) in &text.of {
                out.push_str(&format!("{of}: {}\n", names.join(", ")));
            }
            out.push_str(&format!("{}\n\n{}\n", "=".repeat(80), text.text));
        }
        out
    }
}

#[cfg(test)]
mod tests;
