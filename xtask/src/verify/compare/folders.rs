//! Compares all of two releases: their files by the lists of checksums, and their images.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::raw::first_difference;
use super::{Comparison, Found, UNKNOWN, content, entries, image};
use crate::artifacts::{IMAGES, KREW};
use crate::digest::{self, Digest};
use crate::files::{self, EntryKind, limits};
use crate::oci;
use crate::plan::{BUNDLE, CHECKSUMS};
use crate::reference::{Form, Stored};

/// In bytes: of a file that is neither archive nor list and is read into memory.
const FILE: u64 = 512 << 20;

/// The files and images of a release.
struct Release {
    /// By name, with the digests that the list of checksums has.
    listed: BTreeMap<String, Digest>,
    files: BTreeMap<String, PathBuf>,
    images: BTreeMap<String, PathBuf>,
}

/// Compares a published release with the one that was rebuilt. `named` are the digests of the
/// published images, which need not be in its folder.
pub fn folders(published: &Path, rebuilt: &Path, named: &BTreeSet<Digest>) -> Result<Comparison> {
    let context = |dir: &Path| format!("read the release in {}", dir.display());
    let ours = Release::read(published).with_context(|| context(published))?;
    let theirs = Release::read(rebuilt).with_context(|| context(rebuilt))?;
    ensure!(!ours.listed.is_empty(), "{} has no {CHECKSUMS}", published.display());
    let mut comparison = Comparison::default();
    let names: BTreeSet<&String> = [&ours.files, &theirs.files]
        .into_iter()
        .flat_map(BTreeMap::keys)
        .chain(ours.listed.keys())
        .collect();
    for name in names {
        let mut found = Found::default();
        match (ours.files.get(name), theirs.files.get(name)) {
            (Some(a), Some(b)) => {
                if let Err(error) = file(name, a, b, &mut found) {
                    found.add(name, format!("it cannot be compared: {error:#}"), UNKNOWN);
                }
                ours.check(name, a, &mut found)?;
            }
            (Some(_), None) => found.add(name, "only in the published release", UNKNOWN),
            (None, Some(_)) => found.add(name, "only in the rebuilt release", UNKNOWN),
            (None, None) => {
                let what = format!("{CHECKSUMS} lists it, and it is not there");
                found.add(name, what, "it was removed");
            }
        }
        comparison.add(name, found);
    }
    images(&ours, &theirs, named, &mut comparison);
    Ok(comparison.sorted())
}

impl Release {
    fn read(dir: &Path) -> Result<Release> {
        let list = files::read_foreign_if_there(&dir.join(CHECKSUMS), limits::RELEASE)?;
        let context = || format!("read {CHECKSUMS}");
        let mut listed = digest::listed(&list.unwrap_or_default()).with_context(context)?;
        listed.retain(|name, _| is_compared(name));
        let mut files = BTreeMap::new();
        // A downloaded release has the manifests of plugins beside the archives.
        for entry in files_in(dir)?.into_iter().chain(files_in(&dir.join(KREW))?) {
            let name = entry.file_name().and_then(|name| name.to_str());
            let name = name.with_context(|| format!("{} has no name in UTF-8", entry.display()))?;
            let is_wanted = listed.contains_key(name) || is_manifest(name);
            if is_wanted && is_compared(name) {
                files.insert(name.to_owned(), entry.clone());
            }
        }
        let mut images = BTreeMap::new();
        let folder = dir.join(IMAGES);
        if files::exists(&folder)? {
            for entry in files::list(&folder)?.into_iter().filter(|it| it.kind == EntryKind::Folder)
            {
                let name = entry.path.file_name().and_then(|name| name.to_str());
                let name = name.context("an image has no name in UTF-8")?.to_owned();
                images.insert(name, entry.path);
            }
        }
        Ok(Release { listed, files, images })
    }

    /// Adds that a file is not what its own list says.
    fn check(&self, name: &str, path: &Path, found: &mut Found) -> Result<()> {
        let Some(listed) = self.listed.get(name) else { return Ok(()) };
        let digest = Digest::of_reader(files::open_regular(path)?);
        let digest = digest.with_context(|| format!("read {}", path.display()))?;
        if digest != *listed {
            let what = format!("{CHECKSUMS} has {listed}, and it is {digest}");
            found.add(name, what, "it was changed after it was released");
        }
        Ok(())
    }
}

/// Whether a name is that of a plugin's manifest.
fn is_manifest(name: &str) -> bool {
    name.ends_with(".yaml")
}

/// Whether a file is a part of the release that its sources decide.
fn is_compared(name: &str) -> bool {
    let described = [CHECKSUMS, "artifacts.json", "metadata.json"];
    !described.contains(&name) && !name.ends_with(BUNDLE)
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>> {
    if !files::exists(dir)? {
        return Ok(Vec::new());
    }
    let entries = files::list(dir)?.into_iter();
    Ok(entries.filter(|it| it.kind != EntryKind::Folder).map(|it| it.path).collect())
}

/// Compares two files.
fn file(name: &str, published: &Path, rebuilt: &Path, found: &mut Found) -> Result<()> {
    if same(published, rebuilt)? {
        return Ok(());
    }
    let heads = (head(published)?, head(rebuilt)?);
    let kinds = (entries::kind(published, &heads.0), entries::kind(rebuilt, &heads.1));
    if let (Some(ours), Some(theirs)) = kinds {
        entries::compare(name, ours, theirs, found);
    } else {
        let limit = files::Limit(FILE);
        let (ours, theirs) =
            (files::read_foreign(published, limit)?, files::read_foreign(rebuilt, limit)?);
        content::compare(name, &ours, &theirs, found);
    }
    if found.is_empty() {
        found.add(name, "its bytes differ", UNKNOWN);
    }
    Ok(())
}

fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let read = files::open_regular(path)?.take(512).read_to_end(&mut head);
    read.with_context(|| format!("read {}", path.display()))?;
    Ok(head)
}

/// Whether two files have the same bytes.
fn same(one: &Path, other: &Path) -> Result<bool> {
    const PIECE: u64 = 1 << 20;
    let (mut one_file, mut other_file) = (files::open_regular(one)?, files::open_regular(other)?);
    loop {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let read = |file: &mut std::fs::File, path: &Path, piece: &mut Vec<u8>| {
            let read = file.take(PIECE).read_to_end(piece);
            read.with_context(|| format!("read {}", path.display())).map(drop)
        };
        read(&mut one_file, one, &mut a)?;
        read(&mut other_file, other, &mut b)?;
        if a.len() != b.len() || first_difference(&a, &b).is_some() {
            return Ok(false);
        }
        if a.is_empty() {
            return Ok(true);
        }
    }
}

/// Compares the images of two releases.
fn images(ours: &Release, theirs: &Release, named: &BTreeSet<Digest>, comparison: &mut Comparison) {
    let names: BTreeSet<&String> = ours.images.keys().chain(theirs.images.keys()).collect();
    for name in names {
        let place = format!("{IMAGES}{name}");
        let mut found = Found::default();
        let open = |path: &PathBuf| {
            let stored = Stored { form: Form::Layout, path: path.clone(), tag: None, digest: None };
            oci::open(&stored, &[]).map(|image| image.root)
        };
        let sides = (ours.images.get(name).map(open), theirs.images.get(name).map(open));
        match sides {
            (Some(Ok(a)), Some(Ok(b))) => image::compare(&place, &a, &b, &mut found),
            (Some(Err(error)), _) => {
                let what = format!("the published one cannot be read: {error:#}");
                found.add(&place, what, "it is damaged");
            }
            (_, Some(Err(error))) => {
                let what = format!("the rebuilt one cannot be read: {error:#}");
                found.add(&place, what, UNKNOWN);
            }
            (None, Some(Ok(rebuilt))) if named.contains(&rebuilt.digest()) => {}
            (None, Some(Ok(_))) if ours.images.is_empty() && named.is_empty() => {
                comparison.skip(&place, "neither the folder nor the record has images");
                continue;
            }
            (None, Some(Ok(rebuilt))) => {
                let what = format!(
                    "it is {}, which is no image of the published release; that one is not here to \
                     be compared",
                    rebuilt.digest()
                );
                found.add(&place, what, UNKNOWN);
            }
            (_, None) => found.add(&place, "only in the published release", UNKNOWN),
        }
        comparison.add(&place, found);
    }
}
