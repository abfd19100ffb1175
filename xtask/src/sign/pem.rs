//! PEM: blocks of base64 between two lines that name what they hold.
//! <https://www.rfc-editor.org/rfc/rfc7468>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The characters of a line.
const WIDTH: usize = 64;

/// One block. Its contents may be a secret.
pub struct Block<'a> {
    pub label: &'a str,
    pub bytes: Zeroizing<Vec<u8>>,
}

/// The blocks of a text, in their order. Text between them is ignored; `None` where a block has
/// no end or is no base64.
pub fn blocks(text: &str) -> Option<Vec<Block<'_>>> {
    let mut lines = text.lines().map(str::trim_end);
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        let begin = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        let Some(label) = begin else { continue };
        let mut base64 = Zeroizing::new(String::new());
        loop {
            let line = lines.next()?;
            match line.strip_prefix("-----END ") {
                Some(end) if end.strip_suffix("-----") == Some(label) => break,
                Some(_) => return None,
                None => base64.push_str(line.trim()),
            }
        }
        let bytes = Zeroizing::new(STANDARD.decode(base64.as_bytes()).ok()?);
        blocks.push(Block { label, bytes });
    }
    Some(blocks)
}

/// Writes one block.
pub fn write(label: &str, bytes: &[u8]) -> String {
    let base64 = Zeroizing::new(STANDARD.encode(bytes));
    let lines = base64.as_bytes().chunks(WIDTH).map(String::from_utf8_lossy);
    let body: String = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
}
