//! Programs with a list of their crates are proved like those without.

use super::*;
use crate::stamp::{Kind, List, Listed, lists, put};

const DARWIN: [&str; 2] = ["aarch64-apple-darwin", "x86_64-apple-darwin"];
const WINDOWS: [&str; 3] =
    ["x86_64-pc-windows-gnu", "i686-pc-windows-msvc", "aarch64-pc-windows-msvc"];

/// A list of this many crates below the root.
pub(super) fn list(crates: usize) -> List {
    let krate = |number: usize| Listed {
        name: format!("crate-{number}-{:x}", number.wrapping_mul(0x9e37_79b9) & 0xffff),
        version: format!("0.{number}.1"),
        source: "crates.io".to_owned(),
        kind: Kind::Runtime,
        dependencies: Vec::new(),
        root: false,
    };
    let mut all: Vec<Listed> = (0..crates).map(krate).collect();
    all.push(Listed {
        name: "app".to_owned(),
        source: "local".to_owned(),
        dependencies: (0..crates).collect(),
        root: true,
        ..krate(crates)
    });
    List::new(all).unwrap()
}

/// A program of each format, with the target that it is for.
pub(super) fn programs() -> Vec<(&'static str, Vec<u8>)> {
    let elf = FORMS.map(|target| (target, Sketch::of(target).write()));
    let pe = WINDOWS.map(|target| (target, pe::Sketch::of(target).write()));
    let full = DARWIN.map(|target| (target, macho_sketch::Sketch::of(target).write()));
    let spare = DARWIN.map(|target| {
        let sketch = macho_sketch::Sketch { data: 0, ..macho_sketch::Sketch::of(target) };
        (target, sketch.write())
    });
    let unsigned = macho_sketch::Sketch { signature: None, ..macho_sketch::Sketch::of(DARWIN[1]) };
    let all = elf.into_iter().chain(pe).chain(full).chain(spare);
    all.chain([(DARWIN[1], unsigned.write())]).collect()
}

#[test]
fn a_stamped_program_is_proved_as_before_and_has_its_list() {
    for (target, program) in programs() {
        let before = accepted(&program, target);
        for crates in [0, 3, 2000] {
            let list = list(crates);
            let packed = list.pack().unwrap();
            let stamped = put(program.clone(), &packed).unwrap();
            assert_eq!(accepted(&stamped, target), before, "{target}");
            assert_eq!(lists(&stamped[..]).unwrap().unwrap(), [Some(list)], "{target}");
            assert_eq!(put(program.clone(), &packed).unwrap(), stamped, "{target}");
            // A program that has a list keeps it.
            assert_eq!(put(stamped.clone(), b"other").unwrap(), stamped, "{target}");
        }
        assert_eq!(lists(&program[..]).unwrap().unwrap(), [None], "{target}");
    }
}

#[test]
fn only_the_fields_of_sections_change_in_an_elf_file() {
    for (target, program) in programs().into_iter().take(FORMS.len()) {
        let stamped = put(program.clone(), b"list").unwrap();
        let changed = (0..program.len()).filter(|at| program[*at] != stamped[*at]);
        let fields = if Sketch::of(target).wide { 0x28..0x40 } else { 0x20..0x34 };
        assert!(changed.into_iter().all(|at| fields.contains(&at)), "{target}");
    }
}

#[test]
fn each_program_of_a_universal_file_has_a_list() {
    let sketches = DARWIN.map(macho_sketch::Sketch::of);
    let slices: Vec<(&macho_sketch::Sketch, u32)> = sketches.iter().map(|it| (it, 14)).collect();
    for wide in [false, true] {
        let file = macho_sketch::universal(&slices, wide);
        assert_eq!(lists(&file[..]).unwrap().unwrap(), [None, None]);
        let error = put(file, b"list").unwrap_err().to_string();
        assert_eq!(error, "the list goes into each of its programs");
    }
}

/// A stamped program that is cut off or changed is read or refused, and nothing else.
#[test]
fn damage_does_no_harm() {
    let packed = list(3).pack().unwrap();
    for (target, program) in programs() {
        let stamped = put(program.clone(), &packed).unwrap();
        for end in (0..stamped.len()).step_by(7) {
            let found = lists(&stamped[..end]);
            let complete = matches!(&found, Ok(Some(all)) if all.iter().any(Option::is_some));
            // Of PE files only padding may be missing; in Mach-O files more follows the list.
            let excused = target.contains("apple") || end + 0x200 > stamped.len();
            assert!(!complete || excused, "{target} cut off at {end}");
            drop(put(program[..end.min(program.len())].to_vec(), &packed));
        }
        arbtest(|random| {
            for bytes in [&program, &stamped] {
                let mut bytes = bytes.clone();
                for _ in 0..random.int_in_range(1..=4)? {
                    // Most of what is read are headers.
                    let most = if random.ratio(3, 4)? { 0x400 } else { bytes.len() };
                    let at = random.int_in_range(0..=most.min(bytes.len()) - 1)?;
                    bytes[at] = random.arbitrary()?;
                }
                bytes.push(0);
                crate::fuzzing::stamp(&bytes);
            }
            Ok(())
        })
        .budget_ms(300);
    }
}

/// A section whose name begins behind the names of all would get the name of the new one.
#[test]
fn a_section_that_would_have_the_lists_name_is_refused() {
    let (target, program) = programs().swap_remove(0);
    let packed = list(3).pack().unwrap();
    let mut program = put(program, &packed).unwrap();
    let number = |program: &[u8], at: usize, size: usize| {
        let bytes = &program[at..at + size];
        bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    assert_eq!((program[4], program[5]), (2, 1), "{target} has 64 bits, the lowest first");
    // e_shoff, e_shentsize, e_shnum and e_shstrndx; in a header sh_name is at 0, and sh_size at 32.
    let (table, entry) = (number(&program, 40, 8), number(&program, 58, 2));
    let [last, names] = [number(&program, 60, 2) - 1, number(&program, 62, 2)]
        .map(|section| table + section * entry);
    let size = u32::try_from(number(&program, names + 32, 8)).unwrap();
    program[last..last + 4].copy_from_slice(&size.to_le_bytes());
    assert_eq!(lists(&program[..]).unwrap(), Some(vec![None]));
    let error = put(program, &packed).unwrap_err();
    assert!(error.to_string().contains("has 2 sections .dep-v0"), "{error:#}");
}

#[test]
fn a_section_that_claims_too_much_is_refused() {
    let packed = list(3).pack().unwrap();
    for (target, program) in programs() {
        let stamped = put(program, &packed).unwrap();
        let size = (packed.len() as u64).to_le_bytes();
        let huge = (2_u64 << 30).to_le_bytes();
        let big = target.starts_with("s390x") || target.starts_with("powerpc-");
        let mut lying = stamped.clone();
        let mut changed = 0;
        for at in 0..stamped.len() - 4 {
            let is_size = if big {
                stamped[at..at + 4] == (packed.len() as u32).to_be_bytes()
            } else {
                stamped[at..at + 4] == size[..4]
            };
            if is_size {
                let word: [u8; 4] = huge[..4].try_into().unwrap();
                let word = if big { (2_u32 << 30).to_be_bytes() } else { word };
                lying[at..at + 4].copy_from_slice(&word);
                changed += 1;
            }
        }
        assert!(changed > 0, "{target}");
        let refused = lists(&lying[..]);
        // What Windows maps is at most what the file has.
        if !target.contains("windows") {
            assert!(refused.unwrap_err().to_string().contains("it ends after"), "{target}");
        }
    }
}

#[test]
fn two_lists_are_refused() {
    for (target, program) in programs() {
        let mut stamped = put(program, b"one list").unwrap();
        // The first is hidden, so that a second one is added.
        let hide = |bytes: &mut Vec<u8>, from: &[u8], to: &[u8]| {
            let found: Vec<usize> = memchr::memmem::find_iter(bytes, from).collect();
            found.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
        };
        hide(&mut stamped, b".dep-v0", b".dep-v1");
        let mut twice = put(stamped, b"another list").unwrap();
        hide(&mut twice, b".dep-v1", b".dep-v0");
        let error = lists(&twice[..]).unwrap_err().to_string();
        assert_eq!(error, "it has 2 sections .dep-v0, and which counts is unclear", "{target}");
    }
}

/// As packers leave programs.
#[test]
fn a_program_without_sections_has_no_list_and_can_get_one() {
    for target in FORMS {
        let sketch = Sketch::of(target);
        let mut program = sketch.write();
        let fields = if sketch.wide { [0x28..0x30, 0x3c..0x40] } else { [0x20..0x24, 0x30..0x34] };
        fields.into_iter().for_each(|field| program[field].fill(0));
        assert_eq!(lists(&program[..]).unwrap().unwrap(), [None], "{target}");
        let before = accepted(&program, target);
        let list = list(3);
        let stamped = put(program, &list.pack().unwrap()).unwrap();
        assert_eq!(accepted(&stamped, target), before, "{target}");
        assert_eq!(lists(&stamped[..]).unwrap().unwrap(), [Some(list)], "{target}");
    }
}

/// The program of these tests has names of sections, symbols and a loader.
#[cfg(unix)]
#[test]
fn a_real_program_runs_with_its_list() {
    use std::os::unix::fs::PermissionsExt;

    let program = fs::read(std::env::current_exe().unwrap()).unwrap();
    let list = list(200);
    let stamped = put(program.clone(), &list.pack().unwrap()).unwrap();
    assert_eq!(lists(&program[..]).unwrap().unwrap(), [None]);
    assert_eq!(lists(&stamped[..]).unwrap().unwrap(), [Some(list)]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program");
    fs::write(&path, &stamped).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(&path).args(["--list", "a_real_program_runs"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("a_real_program_runs_with_its_list: test"), "{said}");
}

/// The header of one more section has no room, so all content moves.
#[test]
fn content_of_a_pe_file_moves_where_its_headers_are_full() {
    for target in WINDOWS {
        let mut program = pe::Sketch::of(target).write();
        let wide = !target.starts_with("i686");
        // The headers end after the two sections.
        let own = 0x40 + 24 + if wide { 240 } else { 224 } + 2 * 40;
        let end = (own as u32).next_multiple_of(4);
        let optional = 0x40 + 24;
        program[optional + 60..][..4].copy_from_slice(&end.to_le_bytes());
        let before = accepted(&program, target);
        let list = list(3);
        let stamped = put(program.clone(), &list.pack().unwrap()).unwrap();
        assert_eq!(accepted(&stamped, target), before, "{target}");
        assert_eq!(lists(&stamped[..]).unwrap().unwrap(), [Some(list)], "{target}");
        assert!(stamped.len() >= program.len() + 0x400, "{target}");
    }
}
