//! What rustsec reads, for each advisory, and for requirements of any form.

use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};

use super::*;
use crate::files;

/// Whether two readers agree on one text: both refuse it, or what they read is the same, for
/// each version near to those that the text names.
fn agree(text: &str, what: &dyn std::fmt::Debug) {
    // rustsec panics where two ranges begin at one version and share none: `=1.2.3` and `>1.2.3`.
    let Ok(theirs) = std::panic::catch_unwind(|| text.parse::<rustsec::Advisory>()) else {
        assert!(Advisory::parse(text).is_ok(), "{what:?}");
        return;
    };
    let (ours, theirs) = match (Advisory::parse(text), theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return,
        (ours, theirs) => panic!("{what:?}: {:?}, {:?}", ours.err(), theirs.err()),
    };
    let rustsec::advisory::Metadata { id, package, title, date, aliases, .. } = &theirs.metadata;
    assert_eq!(ours.id, id.as_str());
    assert_eq!(ours.package, package.as_str());
    assert_eq!(&ours.title, title);
    assert_eq!(ours.date.to_string(), date.as_str());
    let aliases: Vec<&str> = aliases.iter().map(|alias| alias.as_str()).collect();
    assert_eq!(ours.aliases, aliases);
    assert_eq!(ours.withdrawn, theirs.withdrawn());
    assert_eq!(
        ours.rating.map(|it| it.name()),
        theirs.severity().map(|it| it.as_str()),
        "{what:?}"
    );
    let kind = theirs.metadata.informational.as_ref().map(|kind| kind.as_str());
    let own = ours.informational.as_ref().map(|kind| match kind {
        Informational::Notice => "notice",
        Informational::Unmaintained => "unmaintained",
        Informational::Unsound => "unsound",
        Informational::Other(other) => other,
    });
    assert_eq!(own, kind);
    let affected = theirs.affected.clone().unwrap_or_default();
    assert_eq!((&ours.arch, &ours.os), (&affected.arch, &affected.os));
    assert_eq!(ours.patched, theirs.versions.patched());
    for version in near(theirs.versions.patched().iter().chain(theirs.versions.unaffected())) {
        let said = theirs.versions.is_vulnerable(&version);
        assert_eq!(ours.unaffected.lacks(&version), said, "{what:?} {version}");
    }
}

/// Versions at, before and after each that the requirements name.
fn near<'a>(requirements: impl Iterator<Item = &'a VersionReq>) -> Vec<Version> {
    let mut near = vec![Version::new(0, 0, 0), Version::new(999, 0, 0)];
    for comparator in requirements.flat_map(|requirement| &requirement.comparators) {
        let (major, minor) = (comparator.major, comparator.minor.unwrap_or(0));
        let patch = comparator.patch.unwrap_or(0);
        for (major, minor, patch) in [
            (major, minor, patch),
            (major, minor, patch + 1),
            (major, minor, patch.saturating_sub(1)),
            (major, minor + 1, 0),
            (major, minor.saturating_sub(1), 99),
            (major + 1, 0, 0),
            (major.saturating_sub(1), 99, 99),
        ] {
            let version = Version::new(major, minor, patch);
            for pre in ["", "0", "0.0", "alpha", "rc.1"].into_iter().chain([&*comparator.pre]) {
                let pre = semver::Prerelease::new(pre).unwrap();
                near.push(Version { pre, ..version.clone() });
            }
            near.push(format!("{version}+b1").parse().unwrap());
        }
    }
    near
}

fn markdown(below: &Path, found: &mut Vec<PathBuf>) {
    for entry in files::list(below).unwrap() {
        if entry.path.is_dir() {
            markdown(&entry.path, found);
        } else if entry.path.extension().is_some_and(|end| end == "md") {
            found.push(entry.path);
        }
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a database may be named for the tests, and one that says it was skipped prints it"
)]
fn each_advisory_of_the_database_is_read_as_rustsec_reads_it() {
    let place = std::env::var_os("DOCKLESS_ADVISORY_DB").map(PathBuf::from);
    let Some(place) = place.filter(|place| place.join("crates").is_dir()) else {
        println!("skipped: DOCKLESS_ADVISORY_DB names no advisory database");
        return;
    };
    let mut paths = Vec::new();
    markdown(&place.join("crates"), &mut paths);
    for path in &paths {
        agree(&String::from_utf8(files::read(path).unwrap()).unwrap(), path);
    }
    assert!(paths.len() > 500, "{}", paths.len());
}

#[test]
fn requirements_of_any_form_say_what_they_say_to_rustsec() {
    const OPERATORS: [&str; 8] = ["", "=", "<", "<=", ">", ">=", "^", "~"];
    const VERSIONS: [&str; 12] = [
        "0",
        "0.0",
        "0.0.3",
        "0.2",
        "0.2.3",
        "1",
        "1.2",
        "1.2.3",
        "1.2.3-rc.1",
        "2.0.0-0",
        "1.*",
        "*",
    ];
    arbtest::arbtest(|u| {
        let mut listed = [Vec::new(), Vec::new()];
        for list in &mut listed {
            for _ in 0..u.int_in_range(0..=3)? {
                let mut parts = Vec::new();
                for _ in 0..u.int_in_range(1..=3)? {
                    parts.push(format!("{}{}", u.choose(&OPERATORS)?, u.choose(&VERSIONS)?));
                }
                list.push(format!("{:?}", parts.join(", ")));
            }
        }
        let [patched, unaffected] = listed.map(|list| list.join(", "));
        let text = format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2024-0001\"\npackage = \"old\"\ndate = \"2024-05-06\"\n\
             [versions]\npatched = [{patched}]\nunaffected = [{unaffected}]\n```\n\n# Title\n\nMuch.\n"
        );
        agree(&text, &(patched, unaffected));
        Ok(())
    });
}

#[test]
fn texts_that_are_no_advisories_are_refused() {
    let whole = "```toml\n[advisory]\nid = \"RUSTSEC-2024-0001\"\npackage = \"old\"\n\
                 date = \"2024-05-06\"\n[versions]\npatched = []\n```\n\n# Title\n\nMuch.\n";
    assert!(Advisory::parse(whole).is_ok());
    for (from, to) in [
        ("```toml", "```"),
        ("\n```\n", "\n"),
        ("# Title", "Title"),
        ("id = \"RUSTSEC-2024-0001\"", ""),
        ("package = \"old\"", ""),
        ("2024-05-06", "2024-13-06"),
        ("[versions]\npatched = []", ""),
        ("patched = []", "patched = [\"no\"]"),
        ("patched = []", "patched = [\">=1, <2, >3\"]"),
        ("patched = []", "patched = [\">2, <1\"]"),
        ("patched = []", "patched = [\">=1\", \">=2\"]"),
        ("[versions]", "[affected]\narch = [\"no-such\"]\n[versions]"),
    ] {
        assert!(Advisory::parse(&whole.replace(from, to)).is_err(), "{from} {to}");
    }
    // Those of another registry's crates are read, and concern no crate of crates.io.
    let other =
        whole.replace("[versions]", "source = \"registry+https://example.com/\"\n[versions]");
    assert!(!Advisory::parse(&other).unwrap().of_crates_io);
}
