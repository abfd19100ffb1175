use std::collections::BTreeSet;

use crate::init::from::{self, Kind};

/// The tools of whose files `init` reads settings.
const KINDS: [Kind; 7] = [
    Kind::GoReleaser,
    Kind::CargoDist,
    Kind::Ko,
    Kind::Dockerfile,
    Kind::Cross,
    Kind::Deb,
    Kind::Binstall,
];

/// Reads all bytes but the last as a file of another tool, which that one chooses.
pub fn init_from(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_last() else { return };
    let kind = KINDS[usize::from(*choice) % KINDS.len()];
    init_from_text(kind, &String::from_utf8_lossy(bytes));
}

/// What is refused has a place. Each note and each setting names its line, and merging keeps one
/// of each setting.
pub fn init_from_text(kind: Kind, text: &str) {
    let found = from::read_text(kind, text);
    if let Some(broken) = &found.broken {
        assert!(broken.place.at.is_some_and(|(line, column)| line > 0 && column > 0));
        assert!(!broken.why.is_empty() && !broken.fix.is_empty(), "{broken:?}");
    }
    let (file, lines) = (found.file.display().to_string(), text.lines().count().max(1));
    let places = found.settings.iter().map(|it| it.why.trim_start_matches("from "));
    for place in places.chain(found.notes.iter().map(String::as_str)) {
        let line = place.strip_prefix(&file).and_then(|it| it.strip_prefix(':'));
        let line = line.map(|it| it.split(':').next().unwrap_or(it)).and_then(|it| it.parse().ok());
        assert!(line.is_some_and(|line: usize| line > 0 && line <= lines), "{place:?} {text:?}");
    }
    let merged = from::merge(std::slice::from_ref(&found));
    let keys: BTreeSet<_> = merged.settings.iter().map(|it| (&it.package, &it.key)).collect();
    assert_eq!(keys.len(), merged.settings.len(), "{merged:?}");
}
