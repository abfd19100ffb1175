use super::decide::development;
use super::*;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// cargo's version, tag on HEAD, last tag, commits since, dirty -> the version.
#[test]
fn a_package_is_versioned_by_where_head_stands() {
    let table = [
        ("no tag", "0.3.0", None, None, 7, false, "0.3.0-dev.7.g0123456789ab"),
        ("tag on HEAD", "1.2.3", Some("v1.2.3"), Some("v1.2.3"), 0, false, "1.2.3"),
        (
            "dirty tag",
            "1.2.3",
            Some("v1.2.3"),
            Some("v1.2.3"),
            0,
            true,
            "1.2.4-dev.0.g0123456789ab.dirty",
        ),
        ("after a release", "1.2.3", None, Some("v1.2.3"), 4, false, "1.2.4-dev.4.g0123456789ab"),
        ("own tag", "1.2.3", Some("tool-v1.2.3"), Some("tool-v1.2.3"), 0, false, "1.2.3"),
        (
            "pre-release tag",
            "1.2.4-rc.1",
            Some("v1.2.4-rc.1"),
            Some("v1.2.4-rc.1"),
            0,
            false,
            "1.2.4-rc.1",
        ),
        (
            "after a pre-release",
            "1.2.4-rc.1",
            None,
            Some("v1.2.4-rc.1"),
            3,
            false,
            "1.2.4-rc.1.dev.3.g0123456789ab",
        ),
        ("cargo ahead", "1.3.0", None, Some("v1.2.3"), 2, false, "1.3.0-dev.2.g0123456789ab"),
        (
            "cargo a pre-release ahead",
            "1.3.0-rc.1",
            None,
            Some("v1.2.3"),
            2,
            false,
            "1.3.0-rc.1.dev.2.g0123456789ab",
        ),
        (
            "release prepared after rc",
            "1.2.4",
            None,
            Some("v1.2.4-rc.1"),
            5,
            false,
            "1.2.4-rc.1.dev.5.g0123456789ab",
        ),
        ("cargo behind", "1.0.0", None, Some("v1.2.3"), 1, false, "1.2.4-dev.1.g0123456789ab"),
        ("bare tag on HEAD", "15.2.0", Some("15.2.0"), Some("15.2.0"), 0, false, "15.2.0"),
        (
            "after a bare tag",
            "15.2.0",
            None,
            Some("15.2.0"),
            9,
            false,
            "15.2.1-dev.9.g0123456789ab",
        ),
        (
            "dirty bare tag",
            "15.2.0",
            Some("15.2.0"),
            Some("15.2.0"),
            0,
            true,
            "15.2.1-dev.0.g0123456789ab.dirty",
        ),
        ("own tags", "0.4.33", Some("ignore-0.4.33"), Some("ignore-0.4.33"), 0, false, "0.4.33"),
        (
            "after own tags",
            "0.4.33",
            None,
            Some("ignore@0.4.33"),
            1,
            false,
            "0.4.34-dev.1.g0123456789ab",
        ),
        (
            "after build metadata",
            "1.2.3",
            None,
            Some("v1.2.3+b1"),
            1,
            false,
            "1.2.4-dev.1.g0123456789ab",
        ),
        (
            "disagreeing tag",
            "1.2.2",
            Some("v1.2.3"),
            Some("v1.2.3"),
            0,
            false,
            "1.2.4-dev.0.g0123456789ab",
        ),
    ];
    for (name, cargo, tag, last, commits, dirty, expected) in table {
        let (tag, last) = (tag.map(tag_of), last.map(tag_of));
        let head =
            Head { commit: Some(SHA), dirty, tag: tag.as_ref(), last: last.as_ref(), commits };
        let decided = Versioned::decide(&version(cargo), "", Some(&head));
        assert_eq!(decided.version().to_string(), expected, "{name}");
    }
}

fn tag_of(tag: &str) -> ReleaseTag {
    ReleaseTag::parse(tag).unwrap()
}

#[test]
fn sources_without_git_or_without_a_commit() {
    let cargo = version("0.3.0");
    assert_eq!(Versioned::decide(&cargo, "", None), Versioned::Packaged { version: cargo.clone() });
    let head = Head { commit: None, dirty: true, tag: None, last: None, commits: 0 };
    assert_eq!(
        Versioned::decide(&cargo, "", Some(&head)).version().to_string(),
        "0.3.0-dev.0.dirty"
    );
}

#[test]
fn a_tag_that_names_another_version_is_told_apart() {
    let tag = tag_of("v1.2.3");
    let head =
        Head { commit: Some(SHA), dirty: false, tag: Some(&tag), last: Some(&tag), commits: 0 };
    let decided = Versioned::decide(&version("1.2.2"), "", Some(&head));
    assert!(matches!(decided, Versioned::Disagreeing { tag, .. } if tag.to_string() == "v1.2.3"));
}

#[test]
fn tags_are_read_strictly() {
    for (tag, expected) in [
        ("v1.2.3", Some((None, "1.2.3"))),
        ("1.2.3", Some((None, "1.2.3"))),
        ("v1.2.3-rc.1", Some((None, "1.2.3-rc.1"))),
        ("1.2.3-rc.1", Some((None, "1.2.3-rc.1"))),
        ("1.2.3-v1", Some((None, "1.2.3-v1"))),
        ("tool-v0.1.0", Some((Some("tool"), "0.1.0"))),
        ("tool-0.1.0", Some((Some("tool"), "0.1.0"))),
        ("tool/v0.1.0", Some((Some("tool"), "0.1.0"))),
        ("tool/0.1.0", Some((Some("tool"), "0.1.0"))),
        ("tool@0.1.0", Some((Some("tool"), "0.1.0"))),
        ("tool@v0.1.0-a-2.0.0", Some((Some("tool"), "0.1.0-a-2.0.0"))),
        ("tool-0.1.0-v1.2.3", Some((Some("tool"), "0.1.0-v1.2.3"))),
        ("ignore-0.4.33", Some((Some("ignore"), "0.4.33"))),
        ("a-v1-v2.0.0", Some((Some("a-v1"), "2.0.0"))),
        ("a-v1-2.0.0", Some((Some("a-v1"), "2.0.0"))),
        ("a-v-2.0.0", Some((Some("a-v"), "2.0.0"))),
        ("sha2-2.0.0", Some((Some("sha2"), "2.0.0"))),
        ("x86_64-1-2.0.0", Some((Some("x86_64-1"), "2.0.0"))),
        ("v1-2.0.0", Some((Some("v1"), "2.0.0"))),
        ("v-1.2.3", Some((Some("v"), "1.2.3"))),
        ("v1.2", None),
        ("1.2", None),
        ("v01.2.3", None),
        ("2024.01.02", None),
        ("vv1.2.3", None),
        ("V1.2.3", None),
        ("v1.2.3+", None),
        ("v1.2.3+a+b", None),
        ("v1.2.3/x", None),
        ("v1$(id)", None),
        ("v1;id", None),
        ("v1.2.3;id", None),
        ("$(id)-v1.2.3", None),
        ("-v1.2.3", None),
        ("-1.2.3", None),
        ("/1.2.3", None),
        ("@1.2.3", None),
        ("@scope/tool@1.2.3", None),
        ("a/b/v1.2.3", None),
        ("a.b-1.2.3", None),
        ("vé1.2.3", None),
        ("outil-é-v1.2.3", None),
        ("v１.２.３", None),
        ("v1.2.18446744073709551615", None),
        ("latest", None),
        ("", None),
    ] {
        let parsed = ReleaseTag::parse(tag);
        let read = parsed.as_ref().map(|it| (it.package.as_deref(), it.version.to_string()));
        let expected = expected.map(|(package, version)| (package, version.to_owned()));
        assert_eq!(read, expected, "{tag:?}");
        if let Some(parsed) = parsed {
            assert_eq!(parsed.to_string(), tag);
        }
    }
}

/// Whatever a tag is called, what is read of it is safe to name, and is its own.
#[test]
fn any_name_is_a_tag_of_plain_letters_or_none() {
    const PIECES: [&str; 20] = [
        "v",
        "1.2.3",
        "0.0.1-rc.1",
        "+b1",
        "-",
        "/",
        "@",
        "tool",
        "a_b",
        ".",
        "..",
        " ",
        "$(id)",
        "\n",
        "é",
        "*",
        "1",
        "-v",
        "@{",
        "\u{1b}",
    ];
    arbtest::arbtest(|u| {
        let mut name = String::new();
        for _ in 0..u.int_in_range(0..=6)? {
            name.push_str(u.choose(&PIECES)?);
        }
        if let Some(tag) = ReleaseTag::parse(&name) {
            assert_eq!(tag.to_string(), name);
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+/@".contains(c);
            assert!(name.chars().all(plain), "{name:?}");
            assert!(name.ends_with(&tag.written()), "{name:?}");
            assert_eq!(tag.sibling(&name), Some(tag.version.clone()), "{name:?}");
            assert!(tag.package.is_none_or(|package| name.starts_with(&package)), "{name:?}");
        }
        Ok(())
    });
}

/// A tag with build metadata is of what Cargo.toml says with the same; one without is of both.
#[test]
fn build_metadata_is_compared_and_dropped() {
    for (tag, cargo, build, expected) in [
        ("v1.2.3", "1.2.3", "", true),
        ("v1.2.3", "1.2.3", "b1", true),
        ("v1.2.3+b1", "1.2.3", "b1", true),
        ("tool-1.2.3+b1", "1.2.3", "b1", true),
        ("v1.2.3+b1", "1.2.3", "b2", false),
        ("v1.2.3+b1", "1.2.3", "", false),
        ("v1.2.4+b1", "1.2.3", "b1", false),
    ] {
        let tag = tag_of(tag);
        assert_eq!(tag.announces(&version(cargo), build), expected, "{tag} {cargo}+{build}");
        assert!(!tag.version.to_string().contains('+'));
    }
    assert_eq!(tag_of("v1.2.3-rc.1+b.1").written(), "1.2.3-rc.1+b.1");
}

/// Of tags of one version the one counts that says more, then the form that comes first.
#[test]
fn of_two_forms_one_is_used() {
    let sorted = [
        "1.2.3",
        "v1.2.3",
        "1.2.3+b1",
        "v1.2.3+b1",
        "t@1.2.3",
        "t@v1.2.3",
        "t/1.2.3",
        "t/v1.2.3",
        "t-1.2.3",
        "t-v1.2.3",
    ];
    for pair in sorted.windows(2) {
        let (less, more) = (tag_of(pair[0]), tag_of(pair[1]));
        assert!(less.rank() < more.rank(), "{less} {more}");
    }
}

#[test]
fn siblings_are_tags_of_the_same() {
    for (own, other, expected) in [
        ("v1.2.3", "v1.3.0", Some("1.3.0")),
        ("v1.2.3", "1.3.0", Some("1.3.0")),
        ("v1.2.3", "tool-v1.3.0", None),
        ("v1.2.3", "nightly", None),
        ("tool-v1.2.3", "tool@1.3.0", Some("1.3.0")),
        ("tool-v1.2.3", "other-v1.3.0", None),
        ("tool/v1.2.3+b1", "tool/v1.3.0", Some("1.3.0")),
    ] {
        let found = tag_of(own).sibling(other).map(|version| version.to_string());
        assert_eq!(found.as_deref(), expected, "{own} {other}");
    }
    let fixed = ReleaseTag::of("rel_1.2.3_x", None, "1.2.3").unwrap();
    assert_eq!(fixed.sibling("rel_1.3.0_x"), Some(version("1.3.0")));
    assert_eq!(fixed.sibling("rel_1.3.0"), None);
}

/// Whatever the last tag and Cargo.toml say, a development version is higher
/// than the last release, rises with each commit, and is a plain file name.
#[test]
fn development_versions_sort_after_the_last_tag() {
    const PRE: [&str; 9] = ["", "alpha", "rc.1", "rc.9", "dev", "dev.3", "0", "zeta", "1a"];
    let arbitrary = |u: &mut arbtest::arbitrary::Unstructured<'_>| {
        let numbers = [u.int_in_range(0..=3u64)?, u.int_in_range(0..=3)?, u.int_in_range(0..=3)?];
        let pre = *u.choose(&PRE)?;
        let [major, minor, patch] = numbers;
        let dash = if pre.is_empty() { "" } else { "-" };
        Ok(version(&format!("{major}.{minor}.{patch}{dash}{pre}")))
    };
    arbtest::arbtest(|u| {
        let cargo = arbitrary(u)?;
        let form = u.choose(&["v", "", "tool-v", "tool-", "tool/v", "tool/", "tool@v", "tool@"])?;
        let build = u.choose(&["", "+b1", "+0.001"])?;
        let last = tag_of(&format!("{form}{}{build}", arbitrary(u)?));
        let commits = u.int_in_range(0..=2_000u64)?;
        let dirty = u.arbitrary()?;
        let at = |commits| {
            let head = Head { commit: Some(SHA), dirty, tag: None, last: Some(&last), commits };
            development(&cargo, &head)
        };
        let (now, next) = (at(commits), at(commits + 1));
        assert!(now > last.version, "{now} > {}", last.version);
        assert!(next > now, "{next} > {now}");
        assert_eq!(now.to_string().parse::<Version>().unwrap(), now);
        assert!(
            now.to_string().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        );
        Ok(())
    });
}
