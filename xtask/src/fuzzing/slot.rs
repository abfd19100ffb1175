//! The slot for a program's version.

use crate::stamp::{self, Texts};

/// The header of an ELF file of 64 bits that has nothing else.
const ELF: [u8; 64] = {
    let mut header = [0; 64];
    let start = *b"\x7fELF\x02\x01\x01";
    let mut at = 0;
    while at < start.len() {
        header[at] = start[at];
        at += 1;
    }
    header
};

/// Reads all bytes but the last as a program; or, as that byte chooses, as the section of a slot
/// in one. What is put into a slot is found there, by reading and by putting it in once more, and
/// nothing before or after changes but for what proves the bytes.
pub fn slot(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_last() else { return };
    if choice % 2 == 0 {
        program(bytes);
    } else if let Ok(with_slot) = stamp::with_slot(ELF.to_vec(), bytes) {
        program(&with_slot);
    }
}

fn program(bytes: &[u8]) {
    let texts = Texts {
        version: "1.2.4-dev.5.g3ede7b28ba27".to_owned(),
        commit: "3ede7b28ba27".to_owned(),
        date: String::new(),
        describe: "v1.2.3-5-g3ede7b2".to_owned(),
    };
    let before = stamp::texts(bytes);
    let mut filled = bytes.to_vec();
    match stamp::fill(&mut filled, &texts) {
        Ok(true) => {
            assert_eq!(filled.len(), bytes.len());
            let found = stamp::texts(&filled[..]).expect("what was written is read");
            assert_eq!(found.as_ref(), Some(&texts));
            let again = filled.clone();
            let is_filled = stamp::fill(&mut filled, &texts).expect("a full slot is filled again");
            assert!(is_filled && filled == again, "the same texts are the same bytes");
        }
        Ok(false) => {
            assert!(filled == bytes, "a program without a slot stays as it is");
            assert!(matches!(before, Ok(None)), "what is not filled is not read: {before:?}");
        }
        // Texts too long for the slot, and programs that are signed already, may be read.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
