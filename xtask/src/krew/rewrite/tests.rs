use std::path::Path;

use super::*;

const RELEASE: &str = "\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: foo
spec:
  version: v1.3.0
  homepage: https://github.com/acme/foo
  shortDescription: Shows what foo is
  description: |
    Shows what foo is.

    And what not.
  platforms:
  - selector:
      matchLabels:
        os: linux
        arch: amd64
    uri: https://example.org/v1.3.0/foo.tar.gz
    sha256: dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
    bin: foo
";

fn rewritten(before: &str) -> Rewritten {
    let release = Release::read(RELEASE, Path::new("foo.yaml"));
    rewrite(before, &release.unwrap_or_else(|wrong| panic!("{wrong:?}")))
}

#[test]
fn what_differs_is_made_anew_and_all_else_stays() {
    let before = "\
# Ours.
apiVersion: 'krew.googlecontainertools.github.com/v1alpha2'
kind: Plugin
metadata: {name: foo}
spec:
    # What it is.
    shortDescription: 'Shows foo' # short
    version: \"v1.2.3\" # x
    caveats: |
        Needs bar.
    # Where it runs.
    platforms:
    # one
    - uri: https://example.org/x
      bin: foo
    # The end.
---
a: b
";
    let after = "\
# Ours.
apiVersion: 'krew.googlecontainertools.github.com/v1alpha2'
kind: Plugin
metadata: {name: foo}
spec:
    # What it is.
    shortDescription: 'Shows what foo is' # short
    version: \"v1.3.0\" # x
    caveats: |
        Needs bar.
    # Where it runs.
    homepage: https://github.com/acme/foo
    description: |
      Shows what foo is.

      And what not.
    platforms:
    - selector:
        matchLabels:
          os: linux
          arch: amd64
      uri: https://example.org/v1.3.0/foo.tar.gz
      sha256: dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
      bin: foo
    # The end.
---
a: b
";
    let anew = ["version", "homepage", "shortDescription", "description", "platforms"];
    let expected = Rewritten {
        text: after.to_owned(),
        anew: Some(anew.map(str::to_owned).to_vec()),
        kept: vec!["caveats".to_owned()],
    };
    assert_eq!(rewritten(before), expected);
    let again = Rewritten { anew: Some(Vec::new()), ..expected };
    assert_eq!(rewritten(after), again);
    let windows = rewritten(&before.replace('\n', "\r\n"));
    assert_eq!(windows.text, after.replace('\n', "\r\n"));
    let marked = rewritten(&format!("\u{feff}{before}"));
    assert_eq!(marked.text, format!("\u{feff}{after}"));
}

#[test]
fn a_last_line_without_an_end_stays_one() {
    let before = RELEASE.trim_end().replace("d\n    bin: foo", "d\n    bin: bar");
    assert_eq!(rewritten(&before).text, RELEASE.trim_end());
    let before = before.replace("    bin: bar", "    bin: bar\n  caveats: x");
    assert_eq!(rewritten(&before).text, format!("{RELEASE}  caveats: x"));
}

#[test]
fn what_cannot_be_read_is_made_anew_as_a_whole() {
    for (from, to) in [
        ("kind: Plugin", "kind: &a Plugin"),
        ("kind: Plugin", "kind: Other"),
        ("kind: Plugin\n", ""),
        ("kind: Plugin", "kind: ["),
        ("name: foo", "name: bar"),
        ("spec:\n", "spe:\n"),
        ("spec:\n  version: v1.3.0\n", "spec: {}\nmore:\n"),
        ("spec:\n", "spec: # x\n  ? [a]\n  : b\n"),
    ] {
        assert!(RELEASE.contains(from), "{from:?}");
        let whole = Rewritten { text: RELEASE.to_owned(), anew: None, kept: Vec::new() };
        assert_eq!(rewritten(&RELEASE.replace(from, to)), whole, "{to:?}");
    }
    assert_eq!(rewritten("").text, RELEASE);
}
