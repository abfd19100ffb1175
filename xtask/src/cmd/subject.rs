//! What is to be signed or verified.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::World;
use crate::files;
use crate::finding::failure;
use crate::reference::{Location, Reference, Stored};

/// A subject, as the command line names it.
pub enum Subject {
    File(PathBuf),
    /// A folder with the files of a release.
    Folder(PathBuf),
    Image(Reference),
}

impl Subject {
    /// What exists as a file or a folder is that; anything else is the name of an image.
    pub fn parse(text: &str, world: &World) -> Result<Subject> {
        let path = world.dir.join(text);
        if files::exists(&path)? {
            let folder = files::is_own_dir(&files::resolve(&path)?);
            return Ok(if folder { Subject::Folder(path) } else { Subject::File(path) });
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
