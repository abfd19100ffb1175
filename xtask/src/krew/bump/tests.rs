use super::*;

/// An entry that somebody made by hand; line numbers below are its own.
const ENTRY: &str = "\
# Ours.
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: foo
spec:
  platforms: # by hand
    - uri: \"https://example.org/v1.2.3/foo_1.2.3_linux.tar.gz\"   # Linux
      sha256: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
      bin: foo
      selector: {matchLabels: {os: linux, arch: amd64}}

    # Both Macs
    - bin: foo
      sha256: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
      selector:
        matchLabels:
          os: darwin
        matchExpressions:
          - {key: arch, operator: NotIn, values: ['386']}
      uri: https://example.org/v1.2.3/foo_1.2.3_macos.tar.gz
  version: v1.2.3
  description: >-
    Shows what foo is, since v1.2.3.
  shortDescription: Shows what foo is
";

const RELEASE: &str = "\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: foo
spec:
  version: v1.3.0
  homepage: https://github.com/acme/foo
  shortDescription: Shows what foo is
  description: Shows what foo is.
  platforms:
  - selector:
      matchLabels:
        os: darwin
      matchExpressions:
      - key: arch
        operator: In
        values:
        - amd64
        - arm64
    uri: https://example.org/v1.3.0/foo_1.3.0_macos.tar.gz
    sha256: cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
    bin: foo
  - selector:
      matchLabels:
        os: linux
        arch: amd64
    uri: https://example.org/v1.3.0/foo_1.3.0_linux.tar.gz
    sha256: dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
    bin: foo
";

const WINDOWS: &str = "    bin: foo
  - selector: {matchLabels: {os: windows, arch: amd64}}
    uri: https://example.org/v1.3.0/foo_1.3.0.zip
    sha256: eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
    bin: foo.exe
  - selector: {matchLabels: {os: linux, arch: amd64}}";

const LINUX: &str = "  - selector:
      matchLabels:
        os: linux
        arch: amd64
    uri: https://example.org/v1.3.0/foo_1.3.0_linux.tar.gz
    sha256: dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
    bin: foo
";

fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} in {text}");
        text.replace(from, to)
    })
}

fn release(changes: &[(&str, &str)]) -> Release {
    let text = changed(RELEASE, changes);
    Release::read(&text, Path::new("dist/krew/foo.yaml")).unwrap_or_else(|it| panic!("{it:?}"))
}

type Places = Vec<(&'static str, usize)>;

fn places(findings: &[Finding]) -> Places {
    findings.iter().map(|it| (it.rule, it.place.at.unwrap_or_default().0)).collect()
}

/// The lines that change, or what stops it; and what is left.
fn bumped(entry: &str, release: &Release) -> Result<(Vec<usize>, Places), Places> {
    match bump(entry, Path::new("plugins/foo.yaml"), release) {
        Ok(bumped) => {
            let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
            let (before, after) = (lines(entry), lines(&bumped.text));
            assert_eq!(before.len(), after.len(), "{}", bumped.text);
            let changed = (0..before.len()).filter(|at| before[*at] != after[*at]);
            let changed: Vec<usize> = changed.map(|at| at + 1).collect();
            let said: Vec<usize> = bumped.changes.iter().map(|change| change.line).collect();
            assert_eq!(said.len(), changed.len(), "{}", bumped.text);
            Ok((changed, places(&bumped.left)))
        }
        Err(findings) => Err(places(&findings)),
    }
}

#[test]
fn values_alone_change() {
    let bumped = bump(ENTRY, Path::new("foo.yaml"), &release(&[])).expect("it fits");
    let expected = changed(
        ENTRY,
        &[
            ("/v1.2.3/foo_1.2.3", "/v1.3.0/foo_1.3.0"),
            ("version: v1.2.3", "version: v1.3.0"),
            (&"A".repeat(64), &"d".repeat(64)),
            (&"b".repeat(64), &"c".repeat(64)),
        ],
    );
    assert_eq!(bumped.text, expected);
    assert_eq!(bumped.left, Vec::new());
    let again = bump(&bumped.text, Path::new("foo.yaml"), &release(&[])).expect("it fits");
    assert_eq!((again.text, again.changes), (expected, Vec::new()));
}

#[test]
fn entries_find_their_archives_or_nothing_is_done() {
    type Changes = &'static [(&'static str, &'static str)];
    const ALL: &[usize] = &[8, 9, 15, 21, 22];
    type Found = &'static [(&'static str, usize)];
    type Expected = Result<(&'static [usize], Found), Found>;
    let table: &[(Changes, Changes, Expected)] = &[
        // What is written anyhow.
        (&[("\n", "\r\n")], &[], Ok((ALL, &[]))),
        (&[("# Ours.", "\u{feff}# Ours.")], &[], Ok((ALL, &[]))),
        (&[("what foo is\n", "what foo is\n---\nspec: {version: v1.2.3}\n")], &[], Ok((ALL, &[]))),
        (&[("version: v1.2.3", "version:   'v1.2.3' # x")], &[], Ok((ALL, &[]))),
        (&[("version: v1.2.3", "version: >-\n    v1.2.3")], &[], Ok((&[8, 9, 15, 21, 23], &[]))),
        (&[("version: v1.2.3", "version: 1.2.3")], &[], Ok((ALL, &[]))),
        (
            &[(
                "https://example.org/v1.2.3/foo_1.2.3_l",
                "https://example.org/\\\n        v1.2.3/foo_1.2.3_l",
            )],
            &[],
            Ok((&[9, 10, 16, 22, 23], &[])),
        ),
        (&[("kind: Plugin", "kind: &a Plugin")], &[], Err(&[("yaml", 3)])),
        (&[("kind: Plugin", "kind: Plugin\nkind: Plugin")], &[], Err(&[("yaml", 4)])),
        (&[("kind: Plugin", "kind: [")], &[], Err(&[("yaml", 4)])),
        (&[("kind: Plugin", "kind: [a]")], &[], Err(&[("type", 3)])),
        // Versions, of which all are taken that a bot may look at.
        (&[("1.2.3", "1.4.0")], &[], Ok((ALL, &[]))),
        (&[("1.2.3", "1.3.0")], &[], Ok((&[9, 15], &[]))),
        (&[], &[("1.3.0", "1.3.0-rc.1")], Ok((ALL, &[]))),
        (&[("version: v1.2.3", "version:")], &[], Err(&[("bump-version", 22)])),
        (&[("  version: v1.2.3\n", "")], &[], Err(&[("bump-version", 7)])),
        (&[("version: v1.2.3", "version: \"\"")], &[], Err(&[("bump-version", 22)])),
        (&[("version: v1.2.3", "Version: v1.2.3")], &[], Err(&[("bump-version", 22)])),
        // Uris.
        (&[("foo_1.2.3_linux", "foo-linux")], &[("foo_1.3.0_linux", "foo-linux")], Ok((ALL, &[]))),
        (
            &[("v1.2.3/foo_1.2.3_linux", "latest/foo-linux")],
            &[("v1.3.0/foo_1.3.0_linux", "latest/foo-linux")],
            Ok((&[9, 15, 21, 22], &[])),
        ),
        (&[("foo_1.2.3_linux", "foo-linux")], &[], Err(&[("bump-uri", 8)])),
        (&[("foo_1.2.3", "foo-11.2.3")], &[("foo_1.3.0", "foo-11.3.0")], Ok((ALL, &[]))),
        (
            &[("foo_1.2.3", "foo-11.2.3")],
            &[("foo_1.3.0", "foo-11.2.3")],
            Err(&[("bump-uri", 8), ("bump-uri", 21)]),
        ),
        (&[("foo_1.2.3_linux", "foo_1.1.0_linux")], &[], Err(&[("bump-uri", 8)])),
        (
            &[(
                "https://example.org/v1.2.3/foo_1.2.3_macos",
                "https://Example.org/v1.2.3/foo_1.2.3_macos",
            )],
            &[],
            Err(&[("bump-uri", 21)]),
        ),
        (
            &[("uri: \"https://example.org/v1.2.3/foo_1.2.3_linux.tar.gz\"", "uri:")],
            &[],
            Err(&[("bump-uri", 8)]),
        ),
        (
            &[("foo_1.2.3_macos", "foo_1.2.3_linux")],
            &[],
            Ok((ALL, &[("bump-platform-differs", 21), ("bump-platform-differs", 21)])),
        ),
        (&[("sha256: b", "SHA256: b")], &[], Err(&[("bump-value", 14)])),
        (
            &[("'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'", "")],
            &[],
            Err(&[("bump-value", 8)]),
        ),
        // Platforms.
        (
            &[],
            &[(
                "    bin: foo\n  - selector:\n      matchLabels:\n        os: linux\n        arch: amd64",
                WINDOWS,
            )],
            Ok((ALL, &[("bump-platform-new", 8)])),
        ),
        (&[], &[(LINUX, "")], Err(&[("bump-platform-gone", 8)])),
        (&[("os: linux, arch: amd64", "os: linux")], &[], Ok((ALL, &[]))),
        (
            &[("os: linux, arch: amd64", "os: linux, arch: arm64")],
            &[],
            Ok((ALL, &[("bump-platform-new", 8)])),
        ),
        (&[("os: linux, arch: amd64", "os: plan9")], &[], Ok((ALL, &[("bump-platform-new", 8)]))),
        (
            &[("os: linux, arch: amd64", "os: plan9"), ("foo_1.2.3_linux", "x")],
            &[],
            Err(&[("bump-platform-gone", 8)]),
        ),
        (&[("name: foo", "name: bar")], &[], Err(&[("bump-name", 5)])),
        (&[("  platforms:", "  Platforms:")], &[], Err(&[("bump-platforms", 8)])),
    ];
    let mut wrong = Vec::new();
    for (entry, of_release, expected) in table {
        let found = bumped(&changed(ENTRY, entry), &release(of_release));
        let expected = match expected {
            Ok((lines, left)) => Ok((lines.to_vec(), left.to_vec())),
            Err(places) => Err(places.to_vec()),
        };
        if found != expected {
            wrong.push(format!("{entry:?}:\n  found    {found:?}\n  expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_release_that_krew_refuses_is_none() {
    for (from, to, rule) in [
        ("name: foo", "name: bar", "file-name"),
        ("version: v1.3.0", "version: 1.3.0", "version-prefix"),
        ("sha256: d", "sha256: D", "sha256-form"),
        ("kind: Plugin", "kind: *a", "yaml"),
        ("foo_1.3.0_linux", "foo_1.3.0_macos", "sha256-differs"),
    ] {
        let text = changed(RELEASE, &[(from, to)]);
        let wrong = Release::read(&text, Path::new("foo.yaml")).expect_err(to);
        assert_eq!(wrong.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [rule], "{to}");
    }
}
