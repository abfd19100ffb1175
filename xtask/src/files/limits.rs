//! How much is read into memory of a file that others made, before it is taken for a mistake or
//! an attack. The limits of images, registries and archives stand in their rooms.

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limit(pub u64);

/// What people write by hand: Cargo.toml, dockless.lock, deny.toml, audit.toml, cargo's
/// configuration, rust-toolchain.toml, workflows, Dockerfiles. Long ones have some 100 kB.
pub const SETTINGS: Limit = Limit(4 << 20);
/// Cargo.lock has some 250 bytes for each package: room for 100,000.
pub const LOCK: Limit = Limit(32 << 20);
/// The config.json of docker and the auth.json of podman have some 100 bytes for each login.
pub const LOGINS: Limit = Limit(1 << 20);
/// Certificates in PEM form: Mozilla's have 230 kB together.
pub const CERTIFICATES: Limit = Limit(16 << 20);
/// A licence or a changelog, which grows for as long as its project lives.
pub const TEXT: Limit = Limit(16 << 20);
/// The manifest of a kubectl plugin: those of krew's index have some kB.
pub const PLUGIN: Limit = Limit(1 << 20);
/// What a release says of itself in artifacts.json and metadata.json: some kB for each file.
pub const RELEASE: Limit = Limit(16 << 20);
/// What cargo keeps of an index: some 100 bytes for each dependency of each version of a crate.
pub const CRATE: Limit = Limit(32 << 20);
/// An advisory is a page of text; the largest has some 10 kB.
pub const ADVISORY: Limit = Limit(1 << 20);
/// What a shard says of itself, the list of its programs with it.
pub const SHARD: Limit = Limit(4 << 20);
/// A program of a shard.
pub const PROGRAM: Limit = Limit(2 << 30);
