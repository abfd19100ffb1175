//! How much is read of what others wrote. More is taken for an attack.

/// The size of a manifest or an index, in bytes. Registries must take 4 MiB.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>
pub const MANIFEST: u64 = 4 << 20;
/// The size of a config, in bytes. Published images have some kB.
pub const CONFIG: u64 = 4 << 20;
/// How many manifests one index may name.
pub const MANIFESTS: usize = 1000;
/// The size of all manifests and configs that an index names, in bytes, each counted as often
/// as it is named. A usual image has some kB.
pub const JSON: u64 = 32 << 20;
/// How many layers one image may have. Engines take 127.
pub const LAYERS: usize = 500;
/// How many files an image's archive may hold, and how long a name may be in bytes.
pub const MEMBERS: usize = 100_000;
pub const NAME: usize = 4096;
/// The window of zstd in bytes, which is kept in memory. Engines write 4 to 32 MiB, and zstd
/// itself takes no more than this (ZSTD_WINDOWLOG_LIMIT_DEFAULT).
/// <https://github.com/facebook/zstd/blob/dev/lib/zstd.h>
pub const WINDOW: u64 = 128 << 20;
/// How many members all layers of a base may have together. The largest images of
/// distributions have some hundred thousand.
pub const BASE_MEMBERS: u64 = 2_000_000;
/// The size of all files of a base, in bytes. Images with CUDA and models have 30 GB.
pub const BASE_SIZE: u64 = 64 << 30;
/// How many folders and links a base may have, and the size of their names in bytes: both are
/// kept in memory. Debian has 2,000 and 0.1 MB, and large images have 60,000.
pub const BASE_FOLDERS: usize = 250_000;
pub const BASE_NAMES: usize = 16 << 20;
/// How many folders deep a path of a base may be. Linux takes 2048, and people use thirty.
pub const BASE_DEPTH: usize = 256;
/// How many links may lead from one to the next, as in Linux (MAXSYMLINKS).
/// <https://github.com/torvalds/linux/blob/master/include/linux/namei.h>
pub const LINKS: usize = 40;
/// The size of all names and links in an image's archive, in bytes.
pub const NAMES: usize = 16 << 20;
/// How many bytes each byte of a layer may unpack to. Programs and texts give less than ten,
/// and zeros give a thousand.
pub const RATIO: u64 = 200;
/// How many bytes all layers of an image may unpack to beyond that.
pub const UNPACKED: u64 = 1 << 30;
