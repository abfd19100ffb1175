//! kubectl plugins, as krew installs them.

mod approval;
mod bump;
mod manifest;
mod platform;
mod play;
mod plugin;
mod resolve;
mod rewrite;
mod rules;
mod sheet;
mod validate;

pub use approval::{objections, version};
pub use bump::{Change, Release, bump};
pub use manifest::{Manifest, draft, manifest};
pub use rewrite::rewrite;
#[cfg(any(fuzzing, test))]
pub use validate::play_all;
pub use validate::{Archives, validate, validate_own};
