use std::path::PathBuf;

use super::*;

mod archives;
mod bombs;
mod cases;

use archives::{archives, good, good_zip};
use bombs::bombs;
use cases::{CASES, GOOD, KNOWN, LINUX, NAMES, SERVED, WINDOWS};

/// A folder with the archives, and a manifest that names their digests.
fn made(text: &str, linux: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut text = text.to_owned();
    for (name, token, bytes) in [(LINUX, "LINUX", linux), (WINDOWS, "WINDOWS", &good_zip())] {
        files::write(&folder.path().join(name), bytes).unwrap();
        text = text.replace(token, &Digest::of(bytes).hex());
    }
    (folder, text)
}

/// Rules and lines of what is found.
fn found(text: &str, name: &str, linux: &[u8]) -> Vec<(&'static str, usize)> {
    let (folder, text) = made(text, linux);
    let file = PathBuf::from(name);
    let findings = validate(&text, &file, Archives::Folder(folder.path()));
    for finding in &findings {
        assert_eq!(finding.place.file.as_deref(), Some(&*file), "{finding:?}");
        assert!(!finding.fix.is_empty() && !finding.why.ends_with('.'), "{finding:?}");
    }
    findings.iter().map(|it| (it.rule, it.place.at.unwrap().0)).collect()
}

fn compare(
    name: &str,
    found: &[(&str, usize)],
    expected: &[(&str, usize)],
    wrong: &mut Vec<String>,
) {
    if found != expected {
        wrong.push(format!("{name}:\n  found    {found:?}\n  expected {expected:?}"));
    }
}

#[test]
fn each_rule_is_found_where_it_is_broken() {
    let mut wrong = Vec::new();
    for (from, to, expected) in CASES {
        assert!(GOOD.contains(from), "{from:?}");
        let found = found(&GOOD.replacen(from, to, 1), "foo.yaml", &good());
        compare(&format!("{from:?} -> {to:?}"), &found, expected, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(CASES.len() >= 60);
}

/// Of 402 plugins of krew's index nine have no description: that is no error of theirs, and it
/// is one in a manifest that is made here.
#[test]
fn what_the_index_has_taken_is_a_warning_but_in_a_manifest_of_our_own() {
    let file = Path::new("foo.yaml");
    let (_folder, good) = made(GOOD, &good());
    let written = "|\n    Shows what foo is, and what it is not.";
    assert!(good.contains(written));
    for absent in ["''", "\"\"", "null", "~", "\" \\n\"", "|\n    "] {
        let text = good.replacen(written, absent, 1);
        let severities = |findings: Vec<Finding>| -> Vec<_> {
            findings.into_iter().map(|finding| (finding.rule, finding.severity)).collect()
        };
        let foreign = severities(validate(&text, file, Archives::None));
        assert_eq!(foreign, [("description-missing", Severity::Warning)], "{absent:?}");
        let own = severities(validate_own(&text, file, Archives::None));
        assert_eq!(own, [("description-missing", Severity::Error)], "{absent:?}");
    }
    assert_eq!(validate_own(&good, file, Archives::None), []);
}

#[test]
fn names_are_what_krew_takes_and_its_guide_asks_for() {
    let mut wrong = Vec::new();
    for (name, expected) in NAMES {
        let text = GOOD.replace("name: foo", &format!("name: {name}"));
        let found = found(&text, &format!("{name}.yaml"), &good());
        let expected: Vec<_> = expected.iter().map(|rule| (*rule, 4)).collect();
        compare(name, &found, &expected, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(found(GOOD, "foo.yml", &good()), [("file-extension", 4)]);
    assert_eq!(found(GOOD, "foo", &good()), [("file-extension", 4)]);
    assert_eq!(found(GOOD, "a/b/foo.yaml", &good()), []);
}

#[test]
fn hostile_archives_are_refused() {
    let mut wrong = Vec::new();
    for packed in archives() {
        assert!(GOOD.contains(packed.change.0), "{}", packed.name);
        let text = GOOD.replacen(packed.change.0, packed.change.1, 1);
        let found = found(&text, "foo.yaml", &packed.bytes);
        compare(packed.name, &found, packed.found, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bombs_are_given_up() {
    for (name, bytes) in bombs() {
        assert!(bytes.len() < 4 << 20, "{name} has {} bytes", bytes.len());
        assert_eq!(found(GOOD, "foo.yaml", &bytes), [("archive-too-large", 16)], "{name}");
    }
}

#[test]
fn archives_are_looked_for_by_their_uris() {
    let (folder, text) = made(GOOD, &good());
    let file = PathBuf::from("foo.yaml");
    let rules = |text: &str, archives| -> Vec<(&str, usize)> {
        let findings = validate(text, &file, archives);
        findings.iter().map(|it| (it.rule, it.place.at.unwrap().0)).collect()
    };
    let there = Archives::Folder(folder.path());
    assert_eq!(rules(&text, there), []);
    assert_eq!(rules(&text.replace(SERVED, "acme.test/%2e?a=/b"), Archives::None), []);
    let open = text.replacen("uri: https:", "uri: http:", 1);
    assert_eq!(rules(&open, there), [("uri-http", 16)]);
    for (change, found) in [
        ("foo-linux.tar.gz?a=/b", None),
        ("other.tar.gz", Some("archive-missing")),
        ("", Some("archive-missing")),
        ("..", Some("archive-missing")),
        ("a/../", Some("archive-missing")),
        ("c:foo", Some("archive-missing")),
        ("?foo-linux.tar.gz", Some("archive-missing")),
    ] {
        let found: Vec<_> = found.into_iter().map(|rule| (rule, 16)).collect();
        assert_eq!(rules(&text.replace(LINUX, change), there), found, "{change:?}");
    }
    files::make_dir(&folder.path().join("folder")).unwrap();
    assert_eq!(rules(&text.replace(LINUX, "folder"), there), [("archive-missing", 16)]);
    let other = text.replace(&Digest::of(&good()).hex(), &"0a".repeat(32));
    assert_eq!(rules(&other, there), [("archive-sha256", 17)]);
    assert_eq!(rules(&other, Archives::None), []);
}

#[test]
fn what_is_no_manifest_is_one_finding() {
    let deep = format!("a: {}{}", "[".repeat(1000), "]".repeat(1000));
    let large = format!("a: {}", "x".repeat(10 << 20));
    let many = format!("a: [{}]", "x,".repeat(200_000));
    for text in [&*deep, &large, &many, "a: b: c", "a: \"", "\0"] {
        let shown = text.chars().take(20).collect::<String>();
        assert_eq!(found(text, "foo.yaml", &good()), [("yaml", 1)], "{shown}");
    }
    for text in ["", "---", "null", "{}"] {
        let rules: Vec<_> = found(text, "foo.yaml", b"").into_iter().map(|it| it.0).collect();
        assert!(rules.contains(&"api-version") && rules.contains(&"name-missing"), "{rules:?}");
    }
    for text in ["[]", "foo", "1", "apiVersion: {}"] {
        let rules: Vec<_> = found(text, "foo.yaml", b"").into_iter().map(|it| it.0).collect();
        assert!(rules.contains(&"type"), "{text}: {rules:?}");
    }
}

/// No entry of the list of differences stands for a rule that is gone.
#[test]
fn each_known_difference_has_a_case() {
    let packed = archives();
    let found = CASES.iter().map(|case| case.2).chain(packed.iter().map(|packed| packed.found));
    let found: Vec<&str> = found.flatten().map(|(rule, _)| *rule).collect();
    let absent: Vec<_> = KNOWN.iter().filter(|(rule, _)| !found.contains(rule)).collect();
    assert!(absent.is_empty(), "{absent:?}");
}

/// The fuzz target's properties, on what is almost an archive.
#[test]
fn damaged_archives_and_manifests_end() {
    let packed: Vec<Vec<u8>> = archives().into_iter().map(|packed| packed.bytes).collect();
    arbtest::arbtest(|u| {
        let mut bytes = match u.ratio(1, 4)? {
            true => GOOD.as_bytes().to_vec(),
            false => u.choose(&packed)?.clone(),
        };
        for _ in 0..u.int_in_range(0..=4)? {
            if !bytes.is_empty() {
                let at = u.choose_index(bytes.len())?;
                bytes[at] = u.arbitrary()?;
            }
        }
        bytes.push(u.int_in_range(0..=1)?);
        crate::fuzzing::krew(&bytes);
        Ok(())
    });
}
