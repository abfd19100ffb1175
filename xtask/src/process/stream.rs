//! What a program says while it runs, passed on.

use std::io::{Read, Write};

use crate::secret::redacted;

/// The longest line that is held back until it ends, in bytes.
const LINE: usize = 64 << 10;

/// Copies what is read to this process's stderr, each line as it ends and without logins in
/// its addresses, and returns the last bytes of it.
pub fn pass_on(mut from: impl Read, remembered: usize) -> String {
    let (mut kept, mut waiting) = (Vec::new(), Vec::new());
    let mut buffer = [0; 8192];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(count @ 1..) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            // A pipe that fails has nothing more to say; the exit status tells the rest.
            Ok(0) | Err(_) => break,
        };
        waiting.extend_from_slice(&buffer[..count]);
        // A bar that is drawn anew ends with a carriage return.
        let end = waiting.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
        let end = end.map_or(if waiting.len() > LINE { waiting.len() } else { 0 }, |at| at + 1);
        say(&waiting[..end], &mut kept, remembered);
        waiting.drain(..end);
    }
    say(&waiting, &mut kept, remembered);
    String::from_utf8_lossy(&kept).into_owned()
}

fn say(bytes: &[u8], kept: &mut Vec<u8>, remembered: usize) {
    let text = String::from_utf8_lossy(bytes);
    let safe = redacted(&text);
    // What needs no change is passed on byte for byte.
    let bytes = if safe == text { bytes } else { safe.as_bytes() };
    // Where stderr is closed there is nobody left to tell.
    drop(std::io::stderr().write_all(bytes));
    kept.extend_from_slice(bytes);
    if kept.len() > 2 * remembered {
        kept.drain(..kept.len() - remembered);
    }
}
