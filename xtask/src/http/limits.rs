//! How much is read of what servers answer, and how long they are waited for, before it is
//! taken for an attack or a fault. What is read of images has limits in `oci::limits`.

use std::time::Duration;

/// No connection takes longer to be made.
pub const CONNECT: Duration = Duration::from_secs(30);
/// A server may think about what it was sent for so many time-outs: registries hash what
/// they were given before they answer.
pub const THINKING: u32 = 5;
/// An answer that is kept in memory is there after so many time-outs, however it drips in:
/// at the default of 60 s even a page of a list takes 110 kB/s.
pub const WHOLE: u32 = 10;
/// In bytes: a server that gives less than this in the time of a time-out, gives nothing.
pub const PACE: u64 = 1024;
/// How often a request is sent on. Registries do so once, and then to their storage.
pub const HOPS: u32 = 10;
/// No wait that a server asks for is longer: a run at night must end.
pub const WAIT: Duration = Duration::from_secs(120);
/// Nor are all of them together, where several that go on at the same time count once.
pub const WAITS: Duration = Duration::from_secs(15 * 60);

/// What is read of an answer that refuses, in bytes: its first words are shown.
pub const REFUSAL: u64 = 64 * 1024;
/// An answer of which only the headers count, in bytes.
pub const LITTLE: u64 = 64 * 1024;
/// A token server's answer, in bytes. Tokens have some kB.
pub const TOKEN: u64 = 1 << 20;
/// One thing of GitHub's, in bytes: a release has notes of up to 125,000 characters and up
/// to 1,000 files of some kB each.
pub const OBJECT: u64 = 8 << 20;
/// A page of a list of GitHub's, in bytes: a hundred releases with the longest of notes.
pub const PAGE: u64 = 64 << 20;
/// All pages of one list, in bytes: the 10,000 releases that GitHub shows, with notes of
/// 12 kB each.
pub const LIST: u64 = 128 << 20;
/// The pages of one list of GitHub's, which shows 10,000 releases.
pub const PAGES: usize = 1000;
/// The pages of a registry's list of what refers to an image, and their bytes together.
pub const REFERRERS: usize = 100;
pub const REFERRERS_LIST: u64 = 16 << 20;
