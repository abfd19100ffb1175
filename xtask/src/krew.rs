//! kubectl plugins, as krew installs them.

mod approval;
mod bump;
mod filepath;
mod install_check;
mod manifest;
mod platform;
mod plugin;
mod report;
mod resolve;
mod rewrite;
mod rules;
mod validate;

pub use approval::{objections, version};
pub use bump::{Change, Release, bump};
pub use manifest::{Manifest, draft, manifest};
pub use rewrite::rewrite;
#[cfg(any(fuzzing, test))]
pub use validate::check_archive;
pub use validate::{Archives, validate, validate_own};
