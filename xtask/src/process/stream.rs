//! Passes a program's stderr on while the program runs.

use std::io::{Read, Write};

use crate::secret::redacted;

/// The longest line that is held back until it is complete, in bytes.
const LINE: usize = 64 << 10;

/// Copies what is read to this process's stderr, line by line and without the logins in URLs.
/// Returns the last `remembered` bytes or more.
pub fn pass_on(mut from: impl Read, remembered: usize) -> String {
    let mut kept = Vec::new();
    let mut waiting = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(count @ 1..) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            // A failed pipe delivers nothing more; the exit status tells the rest.
            Ok(0) | Err(_) => break,
        };
        waiting.extend_from_slice(&buffer[..count]);
        // A progress bar ends each of its states with a carriage return.
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
    // Bytes that are not UTF-8 stay as they are where nothing is redacted.
    let bytes = if safe == text { bytes } else { safe.as_bytes() };
    // Nobody can be told that stderr is closed.
    drop(std::io::stderr().write_all(bytes));
    kept.extend_from_slice(bytes);
    if kept.len() > 2 * remembered {
        kept.drain(..kept.len() - remembered);
    }
}
