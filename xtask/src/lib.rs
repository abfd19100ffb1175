//! Builds, proves, archives and releases Rust programs.
//!
//! The rooms stand in the order in which data flows; `tests/it/house.rs` holds it.

mod digest;
mod finding;
mod parallel;
mod reference;
mod secret;
mod target;
mod version;

mod files;
mod http;
mod process;
mod term;

mod cache;
mod template;
mod yaml;

mod config;
mod plan;
mod project;

mod compile;
mod linkage;
mod stamp;
mod toolchain;

mod oci;
mod registry;
mod sink;

mod generate;
mod license;

mod archive;
mod artifacts;
mod dockerfile;
mod krew;
mod sbom;

mod provenance;
mod sign;

mod forge;
mod github;

mod check;
mod init;
mod preflight;
mod resolve;
mod verify;

mod release;

mod cmd;

#[cfg(any(fuzzing, test))]
pub mod fuzzing;

pub use cmd::main;
