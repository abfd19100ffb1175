//! Builds, proves, archives and releases Rust programs.
//!
//! The rooms stand in the order in which data flows; `tests/it/house.rs` holds it.
//!
//! # The build type `release`
//!
//! Statements of provenance ([SLSA 1](https://slsa.dev/spec/v1.2/build-provenance)) name this heading
//! as their `buildType`. Each is about what `dockless release` made of one package: its programs
//! (`TARGET/PROGRAM`), archives, SBOMs, krew manifest, and images (`NAME@DIGEST`).
//!
//! `externalParameters` are what the user chose: `source` (the repository and the commit; changed
//! sources have no commit), `tag`, `package`, `version`, `bins`, `targets`, `profile`, `arguments`
//! (cargo's, for features and profile), and `environment` (the variables that change what compilers
//! make, where they are set). `internalParameters` are the digest of the
//! package's plan and the time that outputs carry. `resolvedDependencies` are the sources, Cargo.lock,
//! each crate with the checksum of its `.crate` file or its commit, the compiler, the standard
//! libraries and zig by digests of their files, and the bases of images. A digest over several files
//! is the SHA-256 over the lengths and texts of their names and of their own digests in hex, sorted by
//! name.
//!
//! # The builder
//!
//! `builder.id` names this heading: it is the tool, on a machine that its user chose. The statement
//! says nothing of that machine. Who vouches for it is whoever has the key that signed it, so that by
//! itself it is SLSA Build L1. Attestations of GitHub's workflows name their own builder.

mod digest;
mod explain;
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
mod prepare;
mod resolve;
mod verify;
mod watch;

mod doctor;

mod release;

mod cmd;

#[cfg(any(fuzzing, test))]
pub mod fuzzing;

pub use cmd::main;
