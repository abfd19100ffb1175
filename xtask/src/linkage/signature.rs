//! The code signature of a Mach-O file: digests of its pages. On Apple's own processors macOS
//! starts no program without one.
//!
//! The layout: `osfmk/kern/cs_blobs.h` of XNU. All numbers are big endian.

use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, ensure};
use object::macho::{self, CsBlobIndex, CsSuperBlob};
use object::read::macho::CodeDirectory;
use object::{BigEndian as BE, ReadRef};
use sha2::{Digest, Sha256};

use super::macho_segment::Segment;
use super::report::Report;
use crate::finding::{Finding, Place};
use crate::stamp::Input;

/// The parts of a signature. An ad-hoc one has up to 3.
const BLOBS: u32 = 64;
/// In bytes: of a code directory before its digests, in the newest version known here.
const HEADER: u64 = 88;
/// In bytes: of a SHA-256 digest.
const DIGEST: u64 = 32;

/// The pages that a signature covers, and their digests.
pub(super) struct SignedPages {
    /// The place of findings.
    place: Place,
    /// The offset of the program in the file.
    start: u64,
    /// In bytes: how much of the program is covered.
    limit: u64,
    /// In bytes: of a page. The last may be shorter.
    page: usize,
    /// The digests of all pages, one after the other.
    digests: Vec<u8>,
}

impl Report<'_> {
    /// Reads the signature, where `at` is its offset and size. Only x86_64 needs none.
    pub fn signature<'d, R: ReadRef<'d>>(
        &mut self,
        input: &Input<R>,
        at: Option<(u64, u64)>,
        segments: &[Segment],
    ) -> Option<SignedPages> {
        let Some((offset, size)) = at else {
            if self.target.arch() != "x86_64" {
                let why = "it has no code signature (LC_CODE_SIGNATURE)";
                self.findings.push(unsigned(&self.place, why.to_owned()));
            }
            return None;
        };
        match read(input, offset, size, segments, &self.place) {
            Ok(signed) => Some(signed),
            Err(error) => {
                let why = format!("its code signature is wrong: {error:#}");
                self.findings.push(unsigned(&self.place, why));
                None
            }
        }
    }

    /// Compares the pages with their digests. One page at a time is in memory.
    pub fn verify(&mut self, signed: &SignedPages, file: &mut (impl Read + Seek)) {
        match changed_page(signed, file) {
            Ok(None) => {}
            Ok(Some(page)) => {
                let why = format!(
                    "its code signature is wrong: the page at {page:#x} was changed after it was signed"
                );
                self.findings.push(unsigned(&signed.place, why));
            }
            Err(error) => {
                let why = format!("the pages that its signature covers could not be read: {error}");
                let fix = "run again; another program may have changed it";
                let place = signed.place.clone();
                self.findings.push(Finding::error("linkage-unreadable", place, why, fix));
            }
        }
    }
}

fn unsigned(place: &Place, why: String) -> Finding {
    let fix = "macOS kills such a program: leave out strip, objcopy and packers after the linker, \
               or sign it again after them, with `codesign --sign -` or rcodesign";
    Finding::error("linkage-signature", place.clone(), why, fix)
}

/// The first page that differs from what was signed.
fn changed_page(
    signed: &SignedPages,
    file: &mut (impl Read + Seek),
) -> std::io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(signed.start))?;
    let mut buffer = vec![0; signed.page];
    let pages = (0..signed.limit).step_by(signed.page);
    for (page, digest) in pages.zip(signed.digests.chunks(DIGEST as usize)) {
        let left = usize::try_from(signed.limit - page).unwrap_or(usize::MAX);
        let bytes = &mut buffer[..left.min(signed.page)];
        file.read_exact(bytes)?;
        if *Sha256::digest(bytes) != *digest {
            return Ok(Some(page));
        }
    }
    Ok(None)
}

/// Reads the one code directory with SHA-256. macOS 10.12 and later prefer it to an older one
/// with SHA-1.
fn read<'d, R: ReadRef<'d>>(
    input: &Input<R>,
    offset: u64,
    size: u64,
    segments: &[Segment],
    place: &Place,
) -> Result<SignedPages> {
    let blob = input.part(offset, size, "the code signature")?;
    let head: &CsSuperBlob = blob.record(0, "the code signature")?;
    ensure!(
        head.magic.get(BE) == macho::CSMAGIC_EMBEDDED_SIGNATURE,
        "it begins with {:#x}",
        head.magic.get(BE)
    );
    let blob = blob.part(0, head.length.get(BE).into(), "the code signature")?;
    let count = head.count.get(BE);
    ensure!(count <= BLOBS, "it has {count} parts, more than {BLOBS}");
    let first = size_of::<CsSuperBlob>() as u64;
    let index: &[CsBlobIndex] = blob.array(first, count.into(), "the parts of the signature")?;
    let mut found = None;
    for entry in index {
        let slot = entry.slot.get(BE);
        if slot != macho::CSSLOT_CODEDIRECTORY && !slot.is_alternate_codedirectory() {
            continue;
        }
        let at = u64::from(entry.offset.get(BE));
        let left = blob.len().saturating_sub(at);
        let bytes = blob.bytes(at, left.min(HEADER), "the code directory")?;
        let directory = CodeDirectory::parse(bytes).context("read the code directory")?;
        if directory.header().hash_type == macho::CS_HASHTYPE_SHA256 {
            ensure!(found.is_none(), "it has more than one code directory of SHA-256");
            let length = directory.header().length.get(BE);
            found = Some((directory, blob.part(at, length.into(), "the code directory")?));
        }
    }
    let (directory, bytes) = found.context("it has no digests of SHA-256")?;
    let header = directory.header();
    ensure!(
        header.flags.get(BE).contains(macho::CS_ADHOC),
        "it is not ad-hoc, and dockless cannot check whose it is"
    );
    ensure!(directory.scatter_offset().unwrap_or(0) == 0, "its pages are scattered");
    let limit = directory.code_limit();
    ensure!(limit == offset, "it covers {limit} bytes, not the {offset} before it");
    for segment in segments.iter().filter(|it| it.is_executable() || !it.is_linkedit()) {
        ensure!(segment.end() <= limit, "it does not cover all segments");
    }
    ensure!(
        (12..=16).contains(&header.page_size),
        "its pages are of 2^{} bytes, not of 2^12 to 2^16",
        header.page_size
    );
    let page = 1 << header.page_size;
    let slots = header.n_code_slots.get(BE);
    let wanted = limit.div_ceil(page);
    ensure!(
        u64::from(slots) == wanted,
        "it has {slots} digests, not one for each of {wanted} pages"
    );
    ensure!(
        u64::from(header.hash_size) == DIGEST,
        "its digests have {} bytes, not {DIGEST}",
        header.hash_size
    );
    let digests = bytes.bytes(header.hash_offset.get(BE).into(), wanted * DIGEST, "the digests")?;
    Ok(SignedPages {
        place: place.clone(),
        start: input.start(),
        limit,
        page: usize::try_from(page)?,
        digests: digests.to_vec(),
    })
}
