//! Programs whose slot was filled are proved like those whose slot is empty.

use super::stamped::{list, programs};
use super::*;
use crate::finding::said;
use crate::stamp::{Texts, fill, lists, put, texts, with_slot};

const MAGIC: &[u8; 16] = b"\xd0dockless slot\x1a\n";

/// An empty slot.
fn slot() -> Vec<u8> {
    let mut slot = MAGIC.to_vec();
    slot.extend([1_u16, 480].map(u16::to_le_bytes).concat());
    slot.resize(512, 0);
    slot
}

fn told(version: &str) -> Texts {
    Texts {
        version: version.to_owned(),
        commit: "3ede7b28ba27d9a8".to_owned(),
        date: String::new(),
        describe: "v1.2.3-5-g3ede7b2-ü".to_owned(),
    }
}

#[test]
fn a_filled_program_is_proved_as_before_and_says_its_version() {
    for (target, program) in programs() {
        let program = with_slot(program, &slot()).unwrap();
        let before = accepted(&program, target);
        assert_eq!(texts(&program[..]).unwrap(), Some(Texts::default()), "{target}");
        let mut filled = program.clone();
        for version in ["1.2.4-dev.5.g3ede7b28ba27", "1.2.3"] {
            assert!(fill(&mut filled, &told(version)).unwrap());
            assert_eq!(texts(&filled[..]).unwrap(), Some(told(version)), "{target}");
            // Apple's processors start nothing whose signature is of other bytes.
            assert_eq!(accepted(&filled, target), before, "{target}");
            assert_eq!(filled.len(), program.len(), "{target}");
        }
        // Nothing of an earlier version is left.
        let mut at_once = program.clone();
        assert!(fill(&mut at_once, &told("1.2.3")).unwrap());
        assert_eq!(at_once, filled, "{target}");
        let stamped = put(filled, &list(3).pack().unwrap()).unwrap();
        assert_eq!(accepted(&stamped, target), before, "{target}");
        assert_eq!(texts(&stamped[..]).unwrap(), Some(told("1.2.3")), "{target}");
        assert_eq!(lists(&stamped[..]).unwrap().unwrap(), [Some(list(3))], "{target}");
    }
}

#[test]
fn only_the_slot_changes_and_what_proves_it() {
    for (target, program) in programs() {
        let program = with_slot(program, &slot()).unwrap();
        let mut filled = program.clone();
        fill(&mut filled, &told("1.2.3")).unwrap();
        let at = memchr::memmem::find(&program, MAGIC).unwrap();
        let differs = |at: &usize| program[*at] != filled[*at];
        let changed = (0..program.len()).filter(differs).filter(|it| !(at..at + 512).contains(it));
        // The digests of one page, or of two.
        let most = if target.contains("apple") { 2 * 32 } else { 0 };
        assert!(changed.count() <= most, "{target}");
    }
}

#[test]
fn a_program_without_a_slot_stays_as_it_is() {
    for (target, program) in programs() {
        let mut same = program.clone();
        assert!(!fill(&mut same, &told("1.2.3")).unwrap(), "{target}");
        assert_eq!(same, program, "{target}");
        assert_eq!(texts(&program[..]).unwrap(), None, "{target}");
    }
}

#[test]
fn what_linkers_do_not_make_is_refused_and_stays_as_it_is() {
    let change = |at: usize, bytes: &[u8]| {
        let mut slot = slot();
        slot[at..at + bytes.len()].copy_from_slice(bytes);
        slot
    };
    let foreign = "its section .dl-slot is not that of dockless-version";
    for (section, error) in [
        ([slot(), slot()].concat(), "it has 2 slots for its version, and which counts is unclear"),
        (change(0, b"x"), foreign),
        ([b"12345678".to_vec(), slot()].concat(), foreign),
        (b"another section".to_vec(), foreign),
        (slot()[..20].to_vec(), "its slot for the version is cut off after 20 bytes"),
        (
            slot()[..300].to_vec(),
            "its slot for the version is cut off: of 480 bytes for texts it has 268",
        ),
        (change(16, &[2]), "its slot for the version has the format 2, and 1 is known"),
        // One that holds less.
        (
            change(18, &[20, 0]),
            "version, commit, date and description have 41 bytes, and the slot for them has 20: \
             1.2.3 3ede7b28ba27d9a8  v1.2.3-5-g3ede7b2-ü",
        ),
    ] {
        for (target, program) in programs() {
            let mut program = with_slot(program, &section).unwrap();
            let before = program.clone();
            let refused = fill(&mut program, &told("1.2.3")).unwrap_err();
            assert_eq!(said(&refused).0, error, "{target}");
            assert_eq!(program, before, "{target}");
        }
    }
}

#[test]
fn two_sections_are_refused() {
    for (target, program) in programs() {
        let once = with_slot(program, &slot()).unwrap();
        let mut twice = with_slot(once, &slot()).unwrap();
        let error = fill(&mut twice, &told("1.2.3")).unwrap_err().to_string();
        assert_eq!(error, "it has 2 sections .dl-slot, and which counts is unclear", "{target}");
    }
}

#[test]
fn texts_of_a_damaged_slot_are_refused() {
    for (target, program) in programs() {
        let mut damaged = with_slot(program, &slot()).unwrap();
        let at = memchr::memmem::find(&damaged, MAGIC).unwrap();
        damaged[at + 20..at + 24].fill(0xff);
        let error = format!("{:#}", texts(&damaged[..]).unwrap_err());
        let longer = "read its slot for the version: its texts are longer than it";
        assert_eq!(error, longer, "{target}");
        damaged[at + 20..at + 24].copy_from_slice(&[1, 0, 0, 0]);
        damaged[at + 32] = 0xff;
        let error = format!("{:#}", texts(&damaged[..]).unwrap_err());
        assert!(error.starts_with("read its slot for the version: a text is not UTF-8"), "{error}");
    }
}

#[test]
fn a_slot_that_a_packer_hid_is_said() {
    let help = "leave that out of the build: archives and images are compressed anyway";
    let refused = |program: &[u8], why: &str, target: &str| {
        let mut same = program.to_vec();
        let (found, fix) = said(&fill(&mut same, &told("1.2.3")).unwrap_err());
        assert_eq!(found, format!("it was {why}, so its slot for the version is not found"));
        assert_eq!((fix.as_deref(), &same[..]), (Some(help), program), "{target}");
    };
    for (target, program) in programs() {
        let mut packed = program.clone();
        // Where nothing else is read.
        let at = if FORMS.contains(&target) { 9 } else { 0x740 };
        packed[at..at + 4].copy_from_slice(b"UPX!");
        refused(&packed, "compressed by upx", target);
        if FORMS.contains(&target) {
            let with_slot = with_slot(program, &slot()).unwrap();
            let fields = match Sketch::of(target).wide {
                true => [0x28..0x30, 0x3c..0x40],
                false => [0x20..0x24, 0x30..0x34],
            };
            let mut stripped = with_slot;
            fields.into_iter().for_each(|field| stripped[field].fill(0));
            refused(&stripped, "stripped of its table of sections", target);
        }
    }
}

#[test]
fn a_slot_in_another_section_is_said() {
    for (target, mut program) in programs() {
        let end = program.len();
        program[end - 16..].copy_from_slice(MAGIC);
        let error = fill(&mut program, &told("1.2.3")).unwrap_err().to_string();
        let moved = "its slot for the version is not in the section .dl-slot: \
                     a linker script may move it";
        assert_eq!(error, moved, "{target}");
    }
}

#[test]
fn a_file_that_is_no_program_has_no_slot() {
    for bytes in [&b""[..], b"#!/bin/sh\n", b"\0asm\x01\0\0\0"] {
        let error = fill(&mut bytes.to_vec(), &told("1.2.3")).unwrap_err().to_string();
        assert_eq!(error, "it is no program that has sections");
    }
    let sketches = ["aarch64-apple-darwin", "x86_64-apple-darwin"].map(macho_sketch::Sketch::of);
    let slices: Vec<(&macho_sketch::Sketch, u32)> = sketches.iter().map(|it| (it, 14)).collect();
    let error = fill(&mut macho_sketch::universal(&slices, true), &told("1.2.3")).unwrap_err();
    assert_eq!(error.to_string(), "each of its programs has a slot");
}

/// A program with a slot that is cut off or changed is filled or refused, and nothing else.
#[test]
fn damage_does_no_harm() {
    for (target, program) in programs() {
        let good = with_slot(program, &slot()).unwrap();
        for end in (0..good.len()).step_by(7) {
            let mut cut = good[..end].to_vec();
            let found = fill(&mut cut, &told("1.2.3"));
            // A section is found by what is at the end of an ELF file.
            let is_elf = FORMS.contains(&target);
            assert!(!is_elf || found.is_err(), "{target} cut off at {end}");
        }
        arbtest(|random| {
            let mut bytes = good.clone();
            for _ in 0..random.int_in_range(1..=4)? {
                // Most of what is read are headers.
                let most = if random.ratio(3, 4)? { 0x400 } else { bytes.len() };
                let at = random.int_in_range(0..=most.min(bytes.len()) - 1)?;
                bytes[at] = random.arbitrary()?;
            }
            bytes.push(0);
            crate::fuzzing::slot(&bytes);
            let mut section = slot();
            let at = random.int_in_range(0..=511)?;
            section[at] = random.arbitrary()?;
            section.truncate(random.int_in_range(0..=512)?);
            section.push(1);
            crate::fuzzing::slot(&section);
            Ok(())
        })
        .budget_ms(300);
    }
}
