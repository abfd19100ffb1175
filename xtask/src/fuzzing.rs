//! What the fuzz targets of `fuzz/` call: each takes any bytes and panics where
//! a property of the code does not hold.

use std::io::Cursor;

use crate::finding::{Finding, Place, Severity};
use crate::linkage::{Suspect, inspect};
use crate::target::Target;

/// One target of each width and byte order, one without IRELATIVE, two with glibc,
/// each kind of Mach-O and PE file, and one without proof.
const TARGETS: [&str; 13] = [
    "x86_64-unknown-linux-musl",
    "i686-unknown-linux-musl",
    "s390x-unknown-linux-musl",
    "powerpc-unknown-linux-musl",
    "mips64el-unknown-linux-muslabi64",
    "x86_64-unknown-linux-gnu.2.28",
    "s390x-unknown-linux-gnu",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    "universal2-apple-darwin",
    "x86_64-pc-windows-gnu",
    "i686-pc-windows-msvc",
    "wasm32-wasip1",
];

/// Inspects all bytes but the last, which chooses the target. A refusal has an
/// error, an acceptance has none, and what was found can be written and said.
pub fn linkage(bytes: &[u8]) {
    let Some((choice, file)) = bytes.split_last() else { return };
    let target = Target::parse(TARGETS[usize::from(*choice) % TARGETS.len()])
        .expect("the targets above are triples");
    let suspects = [
        Suspect { krate: "openssl-sys", links: Some("openssl") },
        Suspect { krate: "libz-sys", links: Some("z") },
        Suspect { krate: "glib", links: None },
    ];
    let verdict = inspect(Cursor::new(file), &target, &Place::default(), &suspects);
    let errors =
        |findings: &[Finding]| findings.iter().any(|finding| finding.severity == Severity::Error);
    match &verdict {
        Ok((linkage, findings)) => {
            assert!(!errors(findings), "accepted with an error: {findings:?}");
            let json = serde_json::to_value(linkage).expect("a linkage is JSON");
            assert!(json["format"].is_string(), "{linkage}: {json}");
        }
        Err(findings) => assert!(errors(findings), "refused without an error: {findings:?}"),
    }
}
