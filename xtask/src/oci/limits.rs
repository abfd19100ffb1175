//! How much is read of what others wrote, before it is taken for an attack.

/// A manifest or an index, in bytes. Registries must take 4 MiB.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>
pub const MANIFEST: u64 = 4 << 20;
/// A config, in bytes; those of published images have some kB.
pub const CONFIG: u64 = 4 << 20;
/// The manifests of one image, those for all its platforms and what goes with them.
pub const MANIFESTS: usize = 1000;
/// The manifests and configs of one image, for all its platforms, in bytes, each as often as
/// it is named: of a usual image, they have some kB.
pub const JSON: u64 = 32 << 20;
/// The layers of one image. Engines stop at 127.
pub const LAYERS: usize = 500;
/// The files of an image's archive, and the length of their names in bytes.
pub const MEMBERS: usize = 100_000;
pub const NAME: usize = 4096;
/// What zstd may refer back to, in bytes, which is kept in memory: engines write 4 to 32 MiB,
/// and zstd itself takes no more (ZSTD_WINDOWLOG_LIMIT_DEFAULT).
/// <https://github.com/facebook/zstd/blob/dev/lib/zstd.h>
pub const WINDOW: u64 = 128 << 20;
/// The members of all layers of a base together; the largest images of distributions
/// hold some hundred thousand.
pub const BASE_MEMBERS: u64 = 2_000_000;
/// What the files of a base take together, in bytes: images with CUDA and models have 30 GB.
pub const BASE_SIZE: u64 = 64 << 30;
/// The folders and links of a base, which are kept in memory with their names, and what
/// these names take together, in bytes. Debian has 2,000 and 0.1 MB, large images 60,000.
pub const BASE_FOLDERS: usize = 250_000;
pub const BASE_NAMES: usize = 16 << 20;
/// How deep a path of a base may be, in folders. Linux takes 2048, and people some thirty.
pub const BASE_DEPTH: usize = 256;
/// How many links may lead from one to the next, as in Linux (MAXSYMLINKS).
/// <https://github.com/torvalds/linux/blob/master/include/linux/namei.h>
pub const LINKS: usize = 40;
/// The names and links in an image's archive together, in bytes.
pub const NAMES: usize = 16 << 20;
/// How many bytes are unpacked of each byte of a layer: programs and texts give less than
/// ten, zeros alone a thousand.
pub const RATIO: u64 = 200;
/// In bytes, of all layers of an image together: what they may give beyond that.
pub const UNPACKED: u64 = 1 << 30;
