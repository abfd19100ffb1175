//! References to packages in Kubernetes manifests, and the images that replace them. Pure: texts
//! and documents in, values out.

use std::path::PathBuf;

use crate::yaml::Node;

mod find;
mod images;
mod manifest;
mod reference;
pub mod rules;
mod selector;
mod write;

pub use images::{Wanted, narrow, select, wanted};
pub use manifest::{Manifest, read};
pub use reference::Named;
pub use selector::Selector;
pub use write::write;

/// One document of a manifest.
#[derive(Clone, Debug)]
pub struct Document {
    /// As messages call it: the path that was given or found, or `-` for stdin.
    pub file: PathBuf,
    /// Its lines and columns are those of the file.
    pub node: Node,
}

#[cfg(test)]
mod tests;
