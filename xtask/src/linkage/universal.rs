//! Universal files: Mach-O programs for several architectures in one file.
//!
//! The format: `<mach-o/fat.h>`. All numbers are big endian.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use object::macho::{CpuSubtype, CpuType, FatArch32, FatArch64, FatHeader};
use object::read::macho::FatArch;
use object::{BigEndian as BE, ReadRef};

use super::report::Report;
use super::signature::SignedPages;
use super::{Linkage, macho};
use crate::finding::Place;
use crate::stamp::Input;
use crate::target::Target;

/// The largest alignment in Apple's tools, as a power of 2 (MAXSECTALIGN).
const ALIGNMENT: u32 = 15;

/// A program within the file.
struct Slice {
    kind: CpuType,
    subtype: CpuSubtype,
    offset: u64,
    size: u64,
    /// As a power of 2.
    alignment: u32,
}

impl Slice {
    fn of(entry: &impl FatArch) -> Slice {
        Slice {
            kind: entry.cputype(),
            subtype: entry.cpusubtype(),
            offset: entry.offset().into(),
            size: entry.size().into(),
            alignment: entry.align(),
        }
    }
}

/// Examines each program against its own target. `None` where one is not understood or is
/// missing, which is reported as an error; an error where the file is damaged.
pub(super) fn examine<'d, R: ReadRef<'d>>(
    report: &mut Report<'_>,
    targets: &[Target],
    is_64: bool,
    data: R,
) -> Result<Option<(Linkage, Vec<SignedPages>)>> {
    let input = Input::open(data)?;
    let slices = slices(&input, is_64)?;
    let found = report.check_slices(targets, &slices);
    let mut programs = BTreeMap::new();
    let mut signed = Vec::new();
    for (target, slice) in &found {
        let mut item = report.place.item.clone().unwrap_or_default();
        item.push_str(if item.is_empty() { "" } else { ", " });
        item.push_str(&format!("slice {}", target.arch()));
        let place = Place { item: Some(item), ..report.place.clone() };
        let mut inner = Report { target, place, suspects: report.suspects, findings: Vec::new() };
        let what = format!("the slice for {}", target.arch());
        let part = input.part(slice.offset, slice.size, &what)?;
        match macho::program(&mut inner, &part) {
            Ok(Some((program, pages))) => {
                programs.insert((*target).clone(), program);
                signed.extend(pages);
            }
            Ok(None) => {}
            Err(error) => inner.malformed(&error),
        }
        report.findings.append(&mut inner.findings);
    }
    let complete = programs.len() == targets.len();
    Ok(complete.then_some((Linkage::Universal(programs), signed)))
}

/// The programs of the file. Each is aligned so that macOS can map it, and none overlaps another.
fn slices<'d, R: ReadRef<'d>>(input: &Input<R>, is_64: bool) -> Result<Vec<Slice>> {
    let what = "the list of architectures";
    let head: &FatHeader = input.record(0, what)?;
    let first = size_of::<FatHeader>() as u64;
    let count = u64::from(head.nfat_arch.get(BE));
    let (each, slices) = if is_64 {
        let slices: &[FatArch64] = input.array(first, count, what)?;
        (size_of::<FatArch64>(), slices.iter().map(Slice::of).collect())
    } else {
        let slices: &[FatArch32] = input.array(first, count, what)?;
        (size_of::<FatArch32>(), slices.iter().map(Slice::of).collect::<Vec<_>>())
    };
    let mut by_offset: Vec<&Slice> = slices.iter().collect();
    by_offset.sort_by_key(|slice| slice.offset);
    let mut end = first + count * each as u64;
    for Slice { kind, subtype, offset, size, alignment } in by_offset {
        let what = format!("the slice for {}", macho::describe(*kind, *subtype));
        input.check(*offset, *size, &what)?;
        ensure!(*offset >= end, "{what} begins at {offset:#x}, over what is before it");
        // Pages have 4096 bytes on Intel's processors, and 16384 on Apple's own.
        let least = if *kind == object::macho::CPU_TYPE_X86_64 { 12 } else { 14 };
        ensure!(
            (least..=ALIGNMENT).contains(alignment) && offset.trailing_zeros() >= *alignment,
            "{what} at {offset:#x} is aligned to 2^{alignment} bytes, not to a page"
        );
        end = offset + size;
    }
    Ok(slices)
}

impl Report<'_> {
    /// The slice of each target. Missing slices and others are reported.
    fn check_slices<'s>(
        &mut self,
        targets: &'s [Target],
        slices: &'s [Slice],
    ) -> Vec<(&'s Target, &'s Slice)> {
        let fix = format!("join the programs of {} and no others", self.target);
        let mut found: Vec<(&Target, &Slice)> = Vec::new();
        for slice in slices {
            let target =
                targets.iter().find(|target| macho::is_for(target, slice.kind, slice.subtype));
            let name = macho::describe(slice.kind, slice.subtype);
            match target {
                None => {
                    let why =
                        format!("it has a slice for {name}, which is not part of {}", self.target);
                    self.error("linkage-slices", why, fix.clone());
                }
                Some(target) if found.iter().any(|(other, _)| *other == target) => {
                    let why = format!("it has more than one slice for {name}");
                    self.error("linkage-slices", why, fix.clone());
                }
                Some(target) => found.push((target, slice)),
            }
        }
        for target in targets.iter().filter(|it| found.iter().all(|(other, _)| other != it)) {
            let why = format!("it has no slice for {}", target.arch());
            self.error("linkage-slices", why, fix.clone());
        }
        found
    }
}
