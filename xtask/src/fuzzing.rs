//! What the fuzz targets of `fuzz/` call: each takes any bytes and panics where
//! a property of the code does not hold.

use std::io::Cursor;

use object::ReadCache;

use crate::finding::{Finding, Place, Severity};
use crate::linkage::{Suspect, inspect};
use crate::target::Target;

/// One target of each width and byte order, one without IRELATIVE, one without proof.
const TARGETS: [&str; 6] = [
    "x86_64-unknown-linux-musl",
    "i686-unknown-linux-musl",
    "s390x-unknown-linux-musl",
    "powerpc-unknown-linux-musl",
    "mips64el-unknown-linux-muslabi64",
    "x86_64-unknown-linux-gnu",
];

/// Inspects all bytes but the last, which chooses the target. A refusal has an
/// error, an acceptance has none, and how the file is read makes no difference.
pub fn linkage(bytes: &[u8]) {
    let Some((choice, file)) = bytes.split_last() else { return };
    let target = Target::parse(TARGETS[usize::from(*choice) % TARGETS.len()])
        .expect("the targets above are triples");
    let suspects = [
        Suspect { krate: "openssl-sys", links: Some("openssl") },
        Suspect { krate: "libz-sys", links: Some("z") },
        Suspect { krate: "glib", links: None },
    ];
    let whole = inspect(file, &target, &Place::default(), &suspects);
    let errors =
        |findings: &[Finding]| findings.iter().any(|finding| finding.severity == Severity::Error);
    match &whole {
        Ok((_, findings)) => assert!(!errors(findings), "accepted with an error: {findings:?}"),
        Err(findings) => assert!(errors(findings), "refused without an error: {findings:?}"),
    }
    let cache = ReadCache::new(Cursor::new(file));
    assert_eq!(inspect(&cache, &target, &Place::default(), &suspects), whole);
}
