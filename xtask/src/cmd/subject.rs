//! What is to be signed or verified.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::World;
use crate::config::{Slug, unfit};
use crate::files;
use crate::finding::failure;
use crate::forge::{Forge, Release};
use crate::reference::{Location, Reference, Stored};

/// A subject, as the command line names it.
pub enum Subject {
    File(PathBuf),
    /// A folder with the files of a release.
    Folder(PathBuf),
    Image(Reference),
    /// The release of a tag on GitHub.
    Release(Slug, String),
}

/// The release that `OWNER/REPO@TAG` names.
pub fn release(text: &str) -> Option<(Slug, String)> {
    let (repository, tag) = text.split_once('@')?;
    let is_digest = tag.starts_with("sha256:");
    let repository = Slug::parse(repository).filter(|_| !is_digest && !tag.is_empty())?;
    Some((repository, tag.to_owned()))
}

/// A release that is public. Anyone may read it, with or without a token.
pub fn find_release(repository: &Slug, tag: &str, forge: &Forge<'_>) -> Result<Release> {
    let (found, _) = forge.find_release(repository, tag)?;
    let release = found.filter(|release| !release.draft);
    release.with_context(|| format!("{repository} has no release {tag}"))
}

/// Downloads the files of a release whose names are wanted, into a folder of its own.
pub fn download(
    repository: &Slug,
    tag: &str,
    wanted: impl Fn(&str) -> bool,
    forge: &Forge<'_>,
    world: &World,
) -> Result<(Release, TempDir)> {
    let release = find_release(repository, tag, forge)?;
    let folder = files::temporary_dir()?;
    for asset in forge.assets(repository, release.id)? {
        let name = &asset.name;
        if !wanted(name) {
            continue;
        }
        if let Some(why) = unfit(name) {
            bail!(
                "download the release {tag} of {repository}: {name:?} is no name of a file: {why}"
            );
        }
        world.term.step("download", name);
        forge.download_asset(repository, &asset, &folder.path().join(name))?;
    }
    Ok((release, folder))
}

impl Subject {
    /// What exists as a file or a folder is that; anything else is the name of an image.
    pub fn parse(text: &str, world: &World) -> Result<Subject> {
        let path = world.dir.join(text);
        if files::exists(&path)? {
            let folder = files::is_own_dir(&files::resolve(&path)?);
            return Ok(if folder { Subject::Folder(path) } else { Subject::File(path) });
        }
        if let Some((repository, tag)) = release(text) {
            return Ok(Subject::Release(repository, tag));
        }
        // A name without a host is far more often a file that is misspelt.
        let host = text.trim_start_matches("docker://").split_once('/').map(|(host, _)| host);
        let is_host = |host: &str| host.contains(['.', ':']) || host == "localhost";
        let fix = "an image is named with its registry, as ghcr.io/acme/mytool:1.0.0";
        if !host.is_some_and(is_host) && Stored::parse(text).is_none() {
            bail!(failure(format!("there is no file {}", path.display()), fix));
        }
        match Location::parse(text)? {
            Location::Registry(reference) => Ok(Subject::Image(reference)),
            Location::Stored(stored) => {
                bail!(failure(format!("{stored} has no signatures: they are in registries"), fix))
            }
        }
    }
}
