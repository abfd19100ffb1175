//! Where images go: folders, files, engines and registries.

use std::path::PathBuf;

use anyhow::Result;

use crate::oci::Root;
use crate::process::Env;
use crate::reference::{Form, Location, Reference, Repository, Stored, Tag};
use crate::registry::Registry;
use crate::term::Term;

mod archive;
mod engine;
mod layout;

pub use engine::Engine;
pub use layout::write as layout;

/// A place for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// A folder, which may hold other images already.
    Layout(PathBuf),
    OciArchive(PathBuf),
    DockerArchive(PathBuf),
    Engine(Engine),
    Registry(Repository),
}

impl Sink {
    /// The place that a stored image's name means.
    pub fn of(stored: &Stored) -> Sink {
        let path = stored.path.clone();
        match stored.form {
            Form::Layout => Sink::Layout(path),
            Form::OciArchive => Sink::OciArchive(path),
            Form::DockerArchive => Sink::DockerArchive(path),
        }
    }

    /// The place that a location means, without the name there.
    pub fn at(location: &Location) -> Sink {
        match location {
            Location::Stored(stored) => Sink::of(stored),
            Location::Registry(reference) => Sink::Registry(reference.repository.clone()),
        }
    }
}

/// Writes the image to its place under these names, and returns by what it is found
/// there. What was there under the same names is replaced; a failure leaves it. Layers
/// that are in a registry still are got from there, unless that is where they go.
pub fn store(
    root: &Root,
    names: &[Reference],
    sink: &Sink,
    registry: &Registry<'_>,
    env: &Env,
    term: &Term,
) -> Result<String> {
    let digest = root.digest()?;
    let fetched = || registry.fetch(root);
    match sink {
        Sink::Layout(dir) => {
            layout::add(&fetched()?, names, dir, term)?;
            Ok(format!("oci:{}@{digest}", dir.display()))
        }
        Sink::OciArchive(path) => {
            archive::oci(&fetched()?, layout::one(names), path)?;
            Ok(format!("oci-archive:{}@{digest}", path.display()))
        }
        Sink::DockerArchive(path) => {
            archive::docker(&fetched()?, names, path)?;
            Ok(format!("docker-archive:{}", path.display()))
        }
        Sink::Engine(engine) => engine.load(&fetched()?, names, env, term),
        Sink::Registry(to) => {
            let here = names.iter().filter(|name| name.repository == *to);
            let tags: Vec<&Tag> = here.filter_map(|name| name.tag.as_ref()).collect();
            let pushed = registry.push(root, to, &tags, &[])?;
            tags.iter().try_for_each(|tag| registry.tag(&pushed, tag).map(drop))?;
            if tags.is_empty() {
                registry.confirm(&pushed)?;
            }
            Ok(pushed.reference().to_string())
        }
    }
}
