//! How much of a file that others made is read into memory. A larger file is a mistake or an
//! attack. The limits of images, registries and archives are in their rooms.

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limit(pub u64);

/// A file of documents for Kubernetes, and all of a command together: 50,000 have about 50 MB.
pub const MANIFEST: Limit = Limit(64 << 20);
pub const MANIFESTS: Limit = Limit(256 << 20);
/// Files that people write by hand: Cargo.toml, dockless.lock, deny.toml, audit.toml, cargo's
/// configuration, rust-toolchain.toml, workflows, Dockerfiles. Long
/// ones have 100 kB.
pub const SETTINGS: Limit = Limit(4 << 20);
/// Cargo.lock has about 250 bytes per package: this is enough for 100,000.
pub const LOCK: Limit = Limit(32 << 20);
/// docker's config.json and podman's auth.json have about 100 bytes per login.
pub const LOGINS: Limit = Limit(1 << 20);
/// Certificates in PEM form: all of Mozilla's have 230 kB.
pub const CERTIFICATES: Limit = Limit(16 << 20);
/// A licence or a changelog, which grows with its project.
pub const TEXT: Limit = Limit(16 << 20);
/// A licence file of a crate: those of crates that bundle much C have some 100 kB.
pub const LICENSE: Limit = Limit(4 << 20);
/// The manifest of a kubectl plugin: those in krew's index have a few kB.
pub const PLUGIN: Limit = Limit(1 << 20);
/// artifacts.json and metadata.json of a release: a few kB per artifact.
pub const RELEASE: Limit = Limit(16 << 20);
/// cargo's copy of a crate's index entry: about 100 bytes per dependency of each version.
pub const CRATE: Limit = Limit(32 << 20);
/// An advisory is a page of text; the largest has about 10 kB.
pub const ADVISORY: Limit = Limit(1 << 20);
/// The description of a shard, with the list of its programs.
pub const SHARD: Limit = Limit(4 << 20);
/// A program of a shard.
pub const PROGRAM: Limit = Limit(2 << 30);
