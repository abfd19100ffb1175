//! The ad-hoc code signature of a Mach-O file, renewed: the digests of its pages change, and
//! all else that it says stays, such as the program's identifier.
//!
//! The layout: `osfmk/kern/cs_blobs.h` of XNU. All numbers are big endian.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use object::macho::{self, CsBlobIndex, CsSuperBlob};
use object::{BigEndian as BE, ReadRef};
use sha2::{Digest, Sha256};

use super::edit::{self, Field};
use super::input::Input;

/// The parts of a signature. An ad-hoc one has up to 3.
const BLOBS: u32 = 64;
/// In bytes: of a SHA-256 digest.
const DIGEST: u64 = 32;
/// Signatures are padded to a multiple of this, in bytes.
const ALIGN: u64 = 16;

/// Where a load command has the signature's offset and size.
const OFFSET: Field = Field(8, 4);
const SIZE: Field = Field(12, 4);
/// Fields of a code directory.
const LENGTH: Field = Field(4, 4);
const DIGESTS: Field = Field(16, 4);
const SLOTS: Field = Field(28, 4);
const LIMIT: Field = Field(32, 4);
const LONG_LIMIT: Field = Field(56, 8);
/// In bytes: of a code directory's header before `LONG_LIMIT`'s end, and of the oldest.
const LONG: u64 = 64;
const SHORT: u64 = 44;
/// The version that has `LONG_LIMIT`.
const HAS_LONG: u64 = 0x20300;

/// A signature, without what the program's bytes decide.
pub(super) struct Signed {
    /// The parts in their order: what each is, and its bytes. Of the code directory these are
    /// the bytes before the digests of pages.
    parts: Vec<(u32, Vec<u8>)>,
    /// Which part is the code directory.
    directory: usize,
    /// In bytes: of a page.
    page: u64,
    /// Where the digests of pages are in the signature, and how many there are.
    digests_at: u64,
    digests: u64,
}

/// Takes the signature off a program. `command` is the offset of its load command; the signature
/// is the end of the file.
pub(super) fn take(program: &mut Vec<u8>, command: u64) -> Result<Signed> {
    let (signed, offset) = at(program, command)?;
    program.truncate(usize::try_from(offset)?);
    Ok(signed)
}

/// Renews the digests of the pages that have the changed bytes. All else stays as it is.
pub(super) fn refresh(program: &mut [u8], command: u64, changed: Range<u64>) -> Result<()> {
    let (signed, offset) = at(program, command)?;
    let Signed { page, digests_at, digests, .. } = signed;
    ensure!(
        changed.end <= offset && digests == offset.div_ceil(page),
        "its signature is not of the whole program"
    );
    for number in changed.start / page..changed.end.div_ceil(page) {
        let (start, end) = (number * page, ((number + 1) * page).min(offset));
        let bytes = &program[usize::try_from(start)?..usize::try_from(end)?];
        let digest = Sha256::digest(bytes);
        edit::overwrite(program, offset + digests_at + number * DIGEST, &digest)?;
    }
    Ok(())
}

/// The signature of a program, and where it is.
fn at(program: &[u8], command: u64) -> Result<(Signed, u64)> {
    let offset = OFFSET.of(command)?.read(program, false)?;
    let size = SIZE.of(command)?.read(program, false)?;
    let input = Input::open(program)?.part(offset, size, "the code signature")?;
    Ok((read(&input).context("read its code signature")?, offset))
}

fn read<'d, R: ReadRef<'d>>(input: &Input<R>) -> Result<Signed> {
    let head: &CsSuperBlob = input.record(0, "its header")?;
    let magic = head.magic.get(BE);
    ensure!(magic == macho::CSMAGIC_EMBEDDED_SIGNATURE, "it begins with {magic:#x}");
    let blob = input.part(0, head.length.get(BE).into(), "all of it")?;
    let count = head.count.get(BE);
    ensure!(count <= BLOBS, "it has {count} parts, more than {BLOBS}");
    let index: &[CsBlobIndex] =
        blob.array(size_of::<CsSuperBlob>() as u64, count.into(), "its parts")?;
    let mut signed = None;
    let mut parts = Vec::new();
    for (number, entry) in index.iter().enumerate() {
        let (slot, at) = (entry.slot.get(BE), u64::from(entry.offset.get(BE)));
        let head = blob.bytes(at, 8, "a part")?;
        let bytes = blob.bytes(at, LENGTH.read(head, true)?, "a part")?;
        let is_directory = slot == macho::CSSLOT_CODEDIRECTORY;
        ensure!(
            !(slot.is_alternate_codedirectory() || is_directory && signed.is_some()),
            "it has more than one code directory"
        );
        // The frame of a certificate's signature has only its header in an ad-hoc one.
        ensure!(
            slot != macho::CSSLOT_SIGNATURESLOT || bytes.len() <= 8,
            "it is not ad-hoc, and only its maker can renew it"
        );
        let bytes = if is_directory {
            let (before, page) = directory(bytes)?;
            let own = before.len() as u64;
            signed = Some((number, page, at + own, (bytes.len() as u64 - own) / DIGEST));
            before
        } else {
            bytes
        };
        parts.push((slot.0, bytes.to_vec()));
    }
    let (directory, page, digests_at, digests) = signed.context("it has no code directory")?;
    Ok(Signed { parts, directory, page, digests_at, digests })
}

/// The bytes of a code directory before the digests of pages, and the size of a page.
fn directory(bytes: &[u8]) -> Result<(&[u8], u64)> {
    ensure!(bytes.len() as u64 >= SHORT, "its code directory is too short");
    let field = |at, width| Field(at, width).read(bytes, true);
    let flags = field(12, 4)?;
    ensure!(flags & 2 != 0, "it is not ad-hoc, and only its maker can renew it");
    let (kind, size, page) = (field(37, 1)?, field(36, 1)?, field(39, 1)?);
    ensure!(kind == 2 && size == DIGEST, "its digests are not of SHA-256");
    ensure!((12..=16).contains(&page), "its pages are of 2^{page} bytes, not of 2^12 to 2^16");
    ensure!(field(8, 4)? < 0x20100 || field(44, 4)? == 0, "its pages are scattered");
    let (at, slots) = (DIGESTS.read(bytes, true)?, SLOTS.read(bytes, true)?);
    ensure!(
        at >= SHORT && at + slots * DIGEST == bytes.len() as u64,
        "its digests are not the end of its code directory"
    );
    if field(8, 4)? >= HAS_LONG {
        ensure!(at >= LONG, "its code directory is too short");
        ensure!(LONG_LIMIT.read(bytes, true)? == 0, "it covers over 4 GiB");
    }
    Ok((&bytes[..usize::try_from(at)?], 1 << page))
}

impl Signed {
    /// In bytes: of the digests, for a program of `limit` bytes.
    fn digests(&self, limit: u64) -> u64 {
        limit.div_ceil(self.page) * DIGEST
    }

    /// In bytes: of the signature without its padding.
    fn length(&self, limit: u64) -> u64 {
        let index = (self.parts.len() * size_of::<CsBlobIndex>()) as u64;
        let parts: usize = self.parts.iter().map(|(_, bytes)| bytes.len()).sum();
        size_of::<CsSuperBlob>() as u64 + index + parts as u64 + self.digests(limit)
    }

    /// In bytes: of the signature, for a program of `limit` bytes.
    pub fn size(&self, limit: u64) -> Result<u64> {
        let size = self.length(limit).next_multiple_of(ALIGN);
        u32::try_from(size).context("measure the signature")?;
        Ok(size)
    }

    /// Signs a program that is finished but for its signature, which is appended.
    pub fn renew(self, program: &mut Vec<u8>) -> Result<()> {
        let limit = program.len() as u64;
        let (whole, size) = (self.length(limit), self.size(limit)?);
        let more = self.digests(limit);
        let mut digests = Vec::with_capacity(usize::try_from(more)?);
        for page in program.chunks(usize::try_from(self.page)?) {
            digests.extend(Sha256::digest(page));
        }
        let word = |number: u64| u32::try_from(number).map(u32::to_be_bytes);
        let count = self.parts.len();
        let mut signature = macho::CSMAGIC_EMBEDDED_SIGNATURE.to_be_bytes().to_vec();
        signature.extend(word(whole)?);
        signature.extend(word(count as u64)?);
        let mut at = (size_of::<CsSuperBlob>() + count * size_of::<CsBlobIndex>()) as u64;
        for (number, (slot, bytes)) in self.parts.iter().enumerate() {
            signature.extend(slot.to_be_bytes());
            signature.extend(word(at)?);
            at += bytes.len() as u64 + if number == self.directory { more } else { 0 };
        }
        for (number, (_, mut bytes)) in self.parts.into_iter().enumerate() {
            if number == self.directory {
                let length = bytes.len() as u64 + more;
                LENGTH.write(&mut bytes, true, length)?;
                SLOTS.write(&mut bytes, true, more / DIGEST)?;
                LIMIT.write(&mut bytes, true, limit)?;
                bytes.append(&mut digests);
            }
            signature.append(&mut bytes);
        }
        signature.resize(usize::try_from(size)?, 0);
        program.append(&mut signature);
        Ok(())
    }
}
