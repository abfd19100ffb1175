//! Size limits and time-outs of responses. What exceeds them is an attack or a fault. The
//! limits of images are in `oci::limits`.

use std::time::Duration;

/// The longest time to connect.
pub const CONNECT: Duration = Duration::from_secs(30);
/// In time-outs: how long a server may take to answer a request with a body. Registries hash
/// the body first.
pub const RESPONSE_TIMEOUTS: u32 = 5;
/// In time-outs: how long a body that is kept in memory may take. At the default of 60 s even
/// the largest page of a list needs only 110 kB/s.
pub const BODY_TIMEOUTS: u32 = 10;
/// In bytes: a server that sends less than this within a time-out is stalled.
pub const MIN_PACE: u64 = 1024;
/// The most redirects of a request. Registries redirect once, to their storage.
pub const REDIRECTS: u32 = 10;
/// The longest wait that a server may ask for: a nightly run must end.
pub const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// The longest time of all such waits together. Concurrent ones count once.
pub const TOTAL_WAIT: Duration = Duration::from_secs(15 * 60);

/// What is read of an error's body, in bytes. Its first words are shown.
pub const ERROR_BODY: u64 = 64 * 1024;
/// For responses of which only the headers are read: the largest body that is skipped, in bytes.
pub const HEADERS_ONLY_LIMIT: u64 = 64 * 1024;
/// A token server's response, in bytes. Tokens have some kB.
pub const TOKEN: u64 = 1 << 20;
/// The most pages of a registry's list of referrers, and their bytes together.
pub const REFERRERS_PAGES: usize = 100;
pub const REFERRERS_LIST: u64 = 16 << 20;
