use toml::de::DeTable;

use super::*;

fn versions(of: &[&str]) -> Versions {
    let pair = || ("1.2.2".parse().unwrap(), "1.3.0".parse().unwrap());
    of.iter().map(|name| ((*name).to_owned(), pair())).collect()
}

fn changed(text: &str, splices: Vec<Splice>) -> String {
    let edit = file_edit(Path::new("Cargo.toml"), text, splices);
    edit.map_or_else(|| text.to_owned(), |edit| edit.after)
}

#[test]
fn versions_change_and_all_other_bytes_stay() {
    let before = "# ours\r\n[package]\r\nname='tool' # the tool\r\nversion   = \"1.2.2\" # here\r\n\
                  [dependencies]\r\nlib = { path = \"lib\", version = \"=1.2.2\" }\r\n\
                  other = { path = \"o\", version = \"1.2.2\" }\r\nserde = \"1.2.2\"\r\n\
                  [target.'cfg(unix)'.dev-dependencies]\r\nx = { package = \"lib\", path = \"lib\", version = \"1\" }\r\n\
                  [workspace.dependencies]\r\nlib = { version = '1.2', path = \"lib\" }\r\n";
    let table = DeTable::parse(before).unwrap();
    let splices = manifests::of_manifest(table.get_ref(), &versions(&["tool", "lib"])).unwrap();
    let after = before.replacen("version   = \"1.2.2\"", "version   = \"1.3.0\"", 1).replacen(
        "\"=1.2.2\"",
        "\"=1.3.0\"",
        1,
    );
    assert_eq!(changed(before, splices), after);
}

#[test]
fn a_requirement_takes_the_next_version() {
    let (now, next): (Version, Version) = ("1.2.2".parse().unwrap(), "2.0.0".parse().unwrap());
    for (wanted, expected) in [
        ("1.2.2", Some("2.0.0")),
        ("^1.2.2", Some("^2.0.0")),
        ("=1.2.2", Some("=2.0.0")),
        ("1", Some("2.0.0")),
        ("1.2", Some("2.0.0")),
        ("*", None),
        (">=1", None),
    ] {
        let found = manifests::requirement(wanted, &now, &next).unwrap();
        assert_eq!(found.as_deref(), expected, "{wanted}");
    }
    assert!(manifests::requirement(">=1, <2", &now, &next).is_err());
}

#[test]
fn the_lock_file_changes_for_the_workspaces_own_packages_alone() {
    let before = "version = 4\n\n[[package]]\nname = \"lib\"\nversion = \"1.2.2\"\n\n\
                  [[package]]\nname = \"lib\"\nversion = \"0.1.0\"\n\
                  source = \"registry+https://github.com/rust-lang/crates.io-index\"\n\n\
                  [[package]]\nname = \"tool\"\nversion = \"1.2.2\"\n\
                  dependencies = [\n \"lib 0.1.0\",\n \"lib 1.2.2\",\n]\n";
    let table = DeTable::parse(before).unwrap();
    let splices = manifests::of_lock(table.get_ref(), &versions(&["tool", "lib"]));
    assert_eq!(changed(before, splices), before.replace("1.2.2", "1.3.0"));
}

#[test]
fn a_changelog_gets_the_version_and_a_new_part_for_what_follows() {
    let version: Version = "1.3.0".parse().unwrap();
    let day = jiff::civil::date(2026, 11, 30);
    let made = |text: &str| {
        let tags = (Some("v1.2.2".to_owned()), "v1.3.0");
        changed(text, changelog::splices(text, &version, day, tags))
    };
    for (before, after) in [
        (
            "# Log\n\n## Unreleased\n\n- a\n",
            "# Log\n\n## Unreleased\n\n## 1.3.0 - 2026-11-30\n\n- a\n",
        ),
        (
            "## [Unreleased]\r\n\r\n- a\r\n\r\n[unreleased]: https://x/compare/v1.2.2...HEAD\r\n",
            "## [Unreleased]\r\n\r\n## [1.3.0] - 2026-11-30\r\n\r\n- a\r\n\r\n\
             [unreleased]: https://x/compare/v1.3.0...HEAD\r\n\
             [1.3.0]: https://x/compare/v1.2.2...v1.3.0\r\n",
        ),
        ("## 1.3.0\n\n- a\n", "## 1.3.0\n\n- a\n"),
        ("# Log\n", "# Log\n"),
        ("", ""),
    ] {
        assert_eq!(made(before), after);
        assert_eq!(made(after), after, "a second run changes nothing");
    }
}

#[test]
fn a_version_is_wanted_by_its_name_or_by_what_changes() {
    let next = |now: &str, bump: &str| {
        let now: Version = now.parse().unwrap();
        match Wanted::parse(bump).unwrap() {
            Wanted::Exact(version) => version.to_string(),
            Wanted::Next(bump) => now.next(bump).to_string(),
        }
    };
    for (now, bump, expected) in [
        ("1.2.3", "major", "2.0.0"),
        ("1.2.3", "minor", "1.3.0"),
        ("1.2.3", "patch", "1.2.4"),
        ("1.2.4-rc.1", "patch", "1.2.4"),
        ("1.3.0-rc.1", "minor", "1.3.0"),
        ("2.0.0-rc.1", "major", "2.0.0"),
        ("1.2.4-rc.1", "minor", "1.3.0"),
        ("1.2.3", "v3.0.0-rc.1", "3.0.0-rc.1"),
    ] {
        assert_eq!(next(now, bump), expected, "{now} {bump}");
    }
    assert!(Wanted::parse("newest").is_err());
}
