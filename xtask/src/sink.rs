//! Where images go: folders, files and engines.

use std::path::PathBuf;

use anyhow::Result;

use crate::oci::Root;
use crate::process::Env;
use crate::reference::{Form, Reference, Stored};
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
}

/// Writes the image to its place under these names, and returns by what it is found
/// there. What was there under the same names is replaced; a failure leaves it.
pub fn store(
    root: &Root,
    names: &[Reference],
    sink: &Sink,
    env: &Env,
    term: &Term,
) -> Result<String> {
    let digest = root.digest()?;
    match sink {
        Sink::Layout(dir) => {
            layout::add(root, names, dir)?;
            Ok(format!("oci:{}@{digest}", dir.display()))
        }
        Sink::OciArchive(path) => {
            archive::oci(root, layout::one(names), path)?;
            Ok(format!("oci-archive:{}@{digest}", path.display()))
        }
        Sink::DockerArchive(path) => {
            archive::docker(root, names, path)?;
            Ok(format!("docker-archive:{}", path.display()))
        }
        Sink::Engine(engine) => engine.load(root, names, env, term),
    }
}
