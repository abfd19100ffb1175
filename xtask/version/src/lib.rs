#![doc = include_str!("../README.md")]
#![no_std]

/// In bytes: of the slot, and of what is in it before the texts.
const SIZE: usize = 512;
const HEAD: usize = 32;
/// By which the slot is known.
const MAGIC: [u8; 16] = *b"\xd0dockless slot\x1a\n";
/// The version of the layout.
const FORMAT: u16 = 1;
/// In bytes: of all texts together.
const CAPACITY: u16 = (SIZE - HEAD) as u16;
/// Where the layout has its numbers, of two bytes each, the lower one first.
const FORMAT_AT: usize = 16;
const CAPACITY_AT: usize = 18;
const LENGTHS_AT: usize = 20;
/// The texts, one after the other: version, commit, date and what `git describe` prints.
const TEXTS: usize = 4;

type Slot = [u8; SIZE];

/// The slot. `dockless` finds it by the name of its section, which Windows limits to 8 bytes.
/// `DOCKLESS_SLOT` is for builds without dockless; dockless itself never sets it, so that no
/// version compiles anything anew.
// Wasm has such sections outside of a program's memory.
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,.dl-slot"))]
#[cfg_attr(
    not(any(target_vendor = "apple", target_family = "wasm")),
    unsafe(link_section = ".dl-slot")
)]
#[expect(unsafe_code, reason = "a section of its own is unsafe if code is put into it")]
#[used]
static SLOT: Slot = filled(option_env!("DOCKLESS_SLOT"));

/// Where the slot is.
static PLACE: &Slot = &SLOT;

/// The slot as it is in the finished program. The compiler knows what it put into the static, and
/// would take that for what is there; where a volatile read leads, it does not know.
fn slot() -> &'static Slot {
    // SAFETY: the static is initialised and aligned, and nothing ever writes to it.
    #[expect(unsafe_code, reason = "see above")]
    unsafe {
        core::ptr::read_volatile(&raw const PLACE)
    }
}

/// The version, such as `1.2.3` or `1.2.4-dev.5.g3ede7b28ba27`. `None` where dockless did not
/// build the program.
pub fn version() -> Option<&'static str> {
    text(slot(), 0)
}

/// The commit that was built, in hex digits. `None` where dockless did not build the program, or
/// built it outside of a repository.
pub fn commit() -> Option<&'static str> {
    text(slot(), 1)
}

/// The time of the commit in UTC, such as `2026-01-31T12:00:00Z`. `None` as for [`commit`].
pub fn date() -> Option<&'static str> {
    text(slot(), 2)
}

/// What `git describe` prints, such as `v1.2.3-5-g3ede7b2`. `None` as for [`commit`].
pub fn describe() -> Option<&'static str> {
    text(slot(), 3)
}

/// A text of the slot; `None` where it is empty, or where the slot is damaged.
fn text(slot: &Slot, number: usize) -> Option<&str> {
    let length = |number: usize| {
        let at = LENGTHS_AT + 2 * number;
        usize::from(u16::from_le_bytes([slot[at], slot[at + 1]]))
    };
    let start = HEAD + (0..number).map(length).sum::<usize>();
    let bytes = slot.get(start..start + length(number))?;
    core::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

/// The slot with the texts, which spaces separate.
const fn filled(texts: Option<&str>) -> Slot {
    let mut slot = [0; SIZE];
    let mut at = 0;
    while at < MAGIC.len() {
        slot[at] = MAGIC[at];
        at += 1;
    }
    slot = with_number(slot, FORMAT_AT, FORMAT);
    slot = with_number(slot, CAPACITY_AT, CAPACITY);
    let Some(texts) = texts else { return slot };
    let (texts, mut read, mut number, mut length) = (texts.as_bytes(), 0, 0, 0);
    let mut end = HEAD;
    while read <= texts.len() {
        if read == texts.len() || texts[read] == b' ' {
            assert!(number < TEXTS, "DOCKLESS_SLOT has more than four texts");
            slot = with_number(slot, LENGTHS_AT + 2 * number, length);
            number += 1;
            length = 0;
        } else {
            assert!(end < SIZE, "DOCKLESS_SLOT is too long");
            slot[end] = texts[read];
            end += 1;
            length += 1;
        }
        read += 1;
    }
    slot
}

const fn with_number(mut slot: Slot, at: usize, number: u16) -> Slot {
    let [low, high] = number.to_le_bytes();
    slot[at] = low;
    slot[at + 1] = high;
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(slot: &Slot) -> [Option<&str>; TEXTS] {
        [0, 1, 2, 3].map(|number| text(slot, number))
    }

    #[test]
    fn a_program_that_dockless_did_not_build_has_no_version() {
        assert_eq!(texts(&filled(None)), [None; TEXTS]);
        assert_eq!([version(), commit(), date(), describe()], [None; TEXTS]);
    }

    #[test]
    fn a_build_without_dockless_can_name_the_texts() {
        for (given, expected) in [
            ("", [None; TEXTS]),
            ("1.2.3", [Some("1.2.3"), None, None, None]),
            ("1.2.3   ", [Some("1.2.3"), None, None, None]),
            ("1.2.3 abc 2026-01-31 v1.2.3", ["1.2.3", "abc", "2026-01-31", "v1.2.3"].map(Some)),
            ("   v1", [None, None, None, Some("v1")]),
        ] {
            assert_eq!(texts(&filled(Some(given))), expected, "{given:?}");
        }
    }

    #[test]
    fn a_damaged_slot_gives_no_text() {
        let good = filled(Some("1.2.3 abc d e"));
        for at in HEAD - 12..SIZE {
            let mut slot = good;
            slot[at] ^= 0xff;
            // None of these panics, and no other text grows.
            let found = texts(&slot);
            assert!(found.iter().flatten().all(|text| text.len() < SIZE), "{at}");
        }
        let mut slot = good;
        slot[LENGTHS_AT..HEAD].fill(0xff);
        assert_eq!(texts(&slot), [None; TEXTS]);
    }
}
