//! Changes of an entry, and what the index's bot, or a careful person, has against them. The
//! tests of commands give the same table to the bot itself.

/// An entry; line numbers below are its own.
pub const BEFORE: &str = "\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: foo
spec:
  version: v1.2.3
  homepage: https://github.com/acme/foo
  shortDescription: Shows what foo is
  description: |
    Shows what foo is.
      version: v0.1.0
      sha256: 00000000
  platforms:
  - uri: https://example.org/v1.2.3/foo-linux.tar.gz
    sha256: 11111111
    bin: foo
    selector:
      matchLabels:
        os: linux
        arch: amd64
  # For Windows
  - selector:
      matchLabels:
        os: windows
        arch: amd64
    bin: foo.exe
    uri: https://example.org/v1.2.3/foo_1.2.3.zip
    sha256: 22222222
";

/// The values of the next version.
pub const NEXT: [(&str, &str); 5] = [
    ("version: v1.2.3", "version: v1.3.0"),
    ("v1.2.3/foo-linux", "v1.3.0/foo-linux"),
    ("v1.2.3/foo_1.2.3", "v1.3.0/foo_1.3.0"),
    ("11111111", "33333333"),
    ("22222222", "44444444"),
];

/// What is changed in a text: each is there, and all of it is replaced.
pub type Changes = &'static [(&'static str, &'static str)];

/// What is changed in [`BEFORE`]; what in that, beside [`NEXT`], for the text after it; and
/// the rules and lines that are then found.
pub type Case = (Changes, Changes, &'static [(&'static str, usize)]);

/// Rules that the bot has not: a careful person has.
pub const OURS: [&str; 6] = [
    "approval-format",
    "approval-line-moved",
    "approval-lines",
    "approval-shape",
    "approval-value",
    "approval-yaml",
];

pub fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} in {text}");
        text.replace(from, to)
    })
}

/// The two texts of a case. The next version's values are set where they stand as they do
/// in [`BEFORE`].
pub fn texts((before, after, _): &Case) -> (String, String) {
    let before = changed(BEFORE, before);
    let next = NEXT.iter().fold(before.clone(), |text, (from, to)| text.replace(from, to));
    (before, changed(&next, after))
}

const BOTH: &[(&str, usize)] =
    &[("approval-uri", 14), ("approval-uri", 14), ("approval-uri", 27), ("approval-uri", 27)];

pub const CASES: &[Case] = &[
    (&[], &[], &[]),
    // What stays may be anyhow.
    (&[("bin: foo\n", "bin: foo # x\n")], &[], &[]),
    (&[("kind: Plugin", "'kind': \"Plugin\"")], &[], &[]),
    (&[("22222222\n", "22222222\n---\na: b\n...\n")], &[], &[]),
    (&[("22222222\n", "22222222")], &[], &[]),
    (&[("apiVersion:", "\u{feff}apiVersion:")], &[], &[]),
    (&[("apiVersion:", "# v1.2.3\n\napiVersion:")], &[], &[]),
    // What is written of the version, a uri or a sha256.
    (&[("version: v1.2.3", "version: \"v1.2.3\"")], &[("\"v1.2.3\"", "\"v1.3.0\"")], &[]),
    (
        &[("version: v1.2.3", "version: 'v1.2.3'")],
        &[("'v1.2.3'", "'v1.3.0'")],
        &[("approval-version-form", 6), ("approval-version-form", 6)],
    ),
    (
        &[("version: v1.2.3", "version: v1.2.3 # x")],
        &[],
        &[("approval-version-form", 6), ("approval-version-form", 6)],
    ),
    (&[("version: v1.2.3", "version:  v1.2.3")], &[("version:  v1.2.3", "version:  v1.3.0")], BOTH),
    (&[("version: v1.2.3\n", "version: v1.2.3 \n")], &[], BOTH),
    (&[("\n", "\r\n")], &[], &[]),
    (
        &[("\n", "\r\n"), ("version: v1.2.3", "version: \"v1.2.3\"")],
        &[("\"v1.2.3\"", "\"v1.3.0\"")],
        &[],
    ),
    (&[("22222222\n", "22222222")], &[("44444444", "44444444\n")], &[("approval-format", 28)]),
    (&[("    uri: ", "    'uri': ")], &[], &[("approval-line", 27)]),
    (&[("    uri: ", "    uri : ")], &[], &[("approval-line", 27)]),
    (
        &[("version: v1.2.3", "version : v1.2.3")],
        &[("version : v1.2.3", "version : v1.3.0")],
        &[("approval-version-unchanged", 6)],
    ),
    (&[("sha256: 1", "sha256:  1")], &[], &[]),
    (&[("sha256: 11111111", "sha256: '11111111' # x")], &[], &[]),
    (&[("sha256: 11111111", "sha256:\n      11111111")], &[], &[("approval-line", 16)]),
    (&[("foo-linux.tar.gz", "foo-linux.tar.gz # x")], &[], &[]),
    (
        &[("foo-linux.tar.gz", "foo-linux.tar.gz # x")],
        &[("# x", "# y")],
        &[("approval-format", 14), ("approval-uri", 14), ("approval-uri", 14)],
    ),
    (
        &[("sha256: 11111111", "sha256: 11111111 # x")],
        &[("# x", "# y")],
        &[("approval-format", 15)],
    ),
    (&[], &[("sha256: 33333333", "sha256: '33333333'")], &[]),
    (
        &[
            ("- uri: ", "- {uri: "),
            (
                "foo-linux.tar.gz\n    sha256: 11111111\n    bin: foo\n    selector:\n      matchLabels:\n        os: linux\n        arch: amd64\n",
                "foo-linux.tar.gz, sha256: 11111111}\n",
            ),
        ],
        &[],
        &[("approval-line", 14)],
    ),
    // Versions.
    (&[], &[("1.3.0", "1.2.3")], &[("approval-version-unchanged", 6)]),
    (&[("1.2.3", "1.4.0")], &[("1.4.0", "1.3.0")], &[("approval-version-order", 6)]),
    (&[("1.2.3", "1.10.0")], &[("1.10.0", "1.9.0")], &[("approval-version-order", 6)]),
    (&[("1.2.3", "1.9.0")], &[("1.9.0", "1.10.0")], &[]),
    (&[("1.2.3", "1.3.0-rc.1")], &[("1.3.0-rc.1", "1.3.0")], &[]),
    (&[], &[("1.3.0", "1.3.0-rc.1")], &[("approval-pre-release", 6)]),
    (
        &[("1.2.3", "1.3.0")],
        &[("1.3.0", "1.3.0-rc.1")],
        &[("approval-version-order", 6), ("approval-pre-release", 6)],
    ),
    (
        &[("1.2.3", "1.2.3+a")],
        &[("v1.3.0+a", "v1.2.3+b"), ("1.2.3+a", "1.2.3+b")],
        &[("approval-version-order", 6)],
    ),
    (&[("1.2.3", "1.2.3+a")], &[("v1.3.0+a", "v1.2.4+b"), ("1.2.3+a", "1.2.4+b")], &[]),
    (&[("version: v1.2.3", "version: 1.2.3")], &[("version: 1.2.3", "version: v1.3.0")], &[]),
    (
        &[("version: v1.2.3", "version: latest")],
        &[("latest", "v1.3.0")],
        &[("approval-version-form", 6)],
    ),
    (
        &[("version: v1.2.3", "version: v1.2")],
        &[("v1.2\n", "v1.3.0\n")],
        &[("approval-version-form", 6)],
    ),
    (
        &[("version: v1.2.3", "version: v01.2.3")],
        &[("v01.2.3\n", "v1.3.0\n")],
        &[("approval-version-form", 6)],
    ),
    (
        &[("version: v1.2.3", "version: V1.2.3")],
        &[("V1.2.3\n", "v1.3.0\n")],
        &[("approval-version-form", 6)],
    ),
    // The bot takes the first line near a change that looks like one of a version.
    (&[("kind: Plugin", "kind: Plugin # -  version: x")], &[], &[]),
    (&[("metadata:", "metadata: # -  version: x")], &[], &[("approval-version-form", 6)]),
    // Uris.
    (&[("v1.2.3/foo-linux", "latest/foo-linux")], &[], &[]),
    (
        &[("v1.2.3/foo-linux", "latest/foo-linux"), ("v1.2.3/foo_1.2.3", "latest/foo")],
        &[],
        &[("approval-uri-unchanged", 14)],
    ),
    (&[], &[("foo-linux", "foo-x86_64")], &[("approval-uri", 14), ("approval-uri", 14)]),
    (
        &[("v1.2.3/foo-linux", "v1.2.3/foo-11.2.3")],
        &[("v1.2.3/foo-11.2.3", "v1.3.0/foo-11.2.3")],
        &[("approval-uri", 14), ("approval-uri", 14)],
    ),
    (
        &[("v1.2.3/foo-linux", "v1.2.3/foo-11.2.3")],
        &[("v1.2.3/foo-11.2.3", "v1.3.0/foo-11.3.0")],
        &[],
    ),
    (&[("v1.2.3/foo-linux", "v1.1.0/foo-linux")], &[], &[]),
    (
        &[("v1.2.3/foo-linux", "v1.1.0/foo-linux")],
        &[("v1.1.0/foo-linux", "v1.3.0/foo-linux")],
        &[("approval-uri", 14), ("approval-uri", 14)],
    ),
    (&[("v1.2.3/foo_1.2.3.zip", "v1.2.3/foo-linux.tar.gz"), ("22222222", "11111111")], &[], &[]),
    (
        &[("v1.2.3/foo_1.2.3.zip", "v1.2.3/foo-linux.zip")],
        &[("foo-linux.tar.gz", "foo-linux.x"), ("foo-linux.zip", "foo-linux.tar.gz")],
        BOTH,
    ),
    // More than values.
    (&[], &[("bin: foo\n", "bin: foo2\n")], &[("approval-value", 16), ("approval-line", 16)]),
    (
        &[("  name: foo\n", "  name: foo\n  version: v1.2.3\n")],
        &[("  name: foo\n  version: v1.3.0\n", "  name: foo\n  version: v1.2.3\n")],
        &[],
    ),
    (&[], &[("v0.1.0", "v0.2.0")], &[("approval-value", 9)]),
    (&[], &[("00000000", "00000001")], &[("approval-value", 9)]),
    (&[], &[("# For Windows", "# for Windows")], &[("approval-format", 21), ("approval-line", 21)]),
    (&[], &[("  # For Windows\n", "")], &[("approval-format", 21), ("approval-lines", 6)]),
    (
        &[],
        &[("bin: foo\n", "bin: foo\n    files: []\n")],
        &[("approval-shape", 6), ("approval-lines", 6)],
    ),
    (
        &[("kind: Plugin\nmetadata:\n  name: foo\n", "metadata:\n  name: foo\nkind: Plugin\n")],
        &[("metadata:\n  name: foo\nkind: Plugin\n", "kind: Plugin\nmetadata:\n  name: foo\n")],
        &[
            ("approval-shape", 2),
            ("approval-line-moved", 2),
            ("approval-line", 2),
            ("approval-line", 3),
            ("approval-line", 4),
        ],
    ),
    (
        &[("sha256: 11111111", "sha256: 44444444")],
        &[("sha256: 44444444\n    bin", "sha256: 33333333\n    bin")],
        &[("approval-line-moved", 28)],
    ),
    (&[], &[("44444444\n", "44444444")], &[("approval-format", 28)]),
    (
        &[],
        &[("kind: Plugin\n", "kind: Plugin\r\n")],
        &[("approval-format", 2), ("approval-line", 2)],
    ),
    (&[], &[("kind: Plugin", "kind: [Plugin")], &[("approval-yaml", 3), ("approval-line", 2)]),
    (&[("kind: Plugin", "kind: &a Plugin")], &[], &[("approval-yaml", 2)]),
];
