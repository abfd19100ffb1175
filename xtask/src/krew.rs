//! kubectl plugins, as krew installs them.

mod manifest;

pub use manifest::{Manifest, manifest};
