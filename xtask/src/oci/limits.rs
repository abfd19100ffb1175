//! How much is read of what others wrote, before it is taken for an attack.

/// A manifest or an index, in bytes. Registries must take 4 MiB.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>
pub const MANIFEST: u64 = 4 << 20;
/// A config, in bytes; those of published images have some kB.
pub const CONFIG: u64 = 4 << 20;
/// The manifests of one image, those for all its platforms and what goes with them.
pub const MANIFESTS: usize = 1000;
/// The layers of one image. Engines stop at 127.
pub const LAYERS: usize = 500;
/// The files of an image's archive, and the length of their names in bytes.
pub const MEMBERS: usize = 100_000;
pub const NAME: usize = 4096;
