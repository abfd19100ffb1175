use std::path::Path;

use arbtest::arbitrary::{Result, Unstructured};
use serde_yaml::Value;

use super::*;
use crate::finding::{Finding, Severity};
use crate::krew::{Archives, validate};

fn platform(os: &str, arches: &[&str], uri: &str) -> KrewPlatform {
    KrewPlatform {
        os: os.to_owned(),
        arches: arches.iter().map(|arch| (*arch).to_owned()).collect(),
        archive: format!("{os}.tar.gz"),
        uri: uri.to_owned(),
        bin: "kubectl-tool".to_owned(),
        license: "LICENSE".to_owned(),
    }
}

fn plan(text: &str) -> KrewPlan {
    KrewPlan {
        name: "tool".to_owned(),
        package: "kubectl-tool".to_owned(),
        version: "1.2.3".parse().unwrap(),
        short_description: "Does it".to_owned(),
        description: text.to_owned(),
        homepage: "https://a.test".to_owned(),
        caveats: text.to_owned(),
        platforms: vec![platform("linux", &["amd64"], "https://a.test/linux.tar.gz")],
    }
}

#[test]
fn a_manifest_is_written_as_the_index_has_them() {
    let mut plan = plan("One line\n\n  and: another # one\n");
    plan.caveats = String::new();
    plan.platforms.insert(0, platform("darwin", &["amd64", "arm64"], "https://a.test/mac.tar.gz"));
    let made = write(&plan, |name| (name == "darwin.tar.gz").then(|| "1".repeat(64))).unwrap();
    assert_eq!((&*made.name, &*made.package, &*made.file), ("tool", "kubectl-tool", "tool.yaml"));
    // A digest of digits alone would be a number; what was not made is not in it.
    let expected = "\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: tool
spec:
  version: v1.2.3
  homepage: https://a.test
  shortDescription: Does it
  description: |
    One line

      and: another # one
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
    uri: https://a.test/mac.tar.gz
    sha256: 'ONES'
    files:
    - from: kubectl-tool
      to: .
    - from: LICENSE
      to: .
    bin: kubectl-tool
";
    assert_eq!(made.text, expected.replace("ONES", &"1".repeat(64)));
}

/// Requires that whoever reads the manifest has the text again, and that krew takes it.
fn read_back(text: &str) {
    let made = draft(&plan(text)).unwrap();
    let text = &*lines(text);
    let theirs: Value = serde_yaml::from_str(&made.text).unwrap();
    let documents = yaml::parse(&made.text).unwrap();
    let ours = documents[0].get("spec").unwrap();
    for key in ["description", "caveats"] {
        assert_eq!(theirs["spec"].get(key).map_or(Some(""), Value::as_str), Some(text), "{text:?}");
        assert_eq!(ours.get(key).map_or(Some(""), Node::text), Some(text), "{text:?}");
    }
    let found = validate(&made.text, Path::new("tool.yaml"), Archives::None);
    let blank = text.trim().is_empty();
    let rules: Vec<&str> = found.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, if blank { vec!["description-missing"] } else { vec![] }, "{text:?}");
}

#[test]
fn texts_are_read_back_as_they_were_set() {
    for text in [
        "yes",
        "No",
        "on",
        "null",
        "~",
        "1.0",
        "0x1F",
        "1_000",
        "1:30",
        ".inf",
        "2026-01-01",
        "=",
        "<<",
        "# x",
        "a: b",
        "a:",
        ":a",
        "- a",
        "-",
        "?",
        "! a",
        "&a",
        "*a",
        "|",
        "> a",
        "%",
        "@a",
        "`a`",
        "[a]",
        "{a}",
        "a, b",
        "a #b",
        "---",
        "...",
        "'",
        "\"",
        "it's",
        "\\n",
        " a",
        "a ",
        "\ta",
        "a\t",
        "a\n",
        "a\nb",
        "a\n\n",
        "\na",
        "\n\na\n",
        " a\nb",
        "a\n b\n",
        "a \nb",
        "a\n\tb",
        "a\r\nb",
        "a\rb",
        "\u{feff}a",
        "a\u{85}b",
        "a\u{2028}b",
        "a\u{0}b",
        "\u{7f}",
        "ü 日本 😀",
        "a\n---\nb",
        "a\n# b",
        "a\n...\n",
        "\u{a0}",
        "\u{e000}",
        "\u{fffe}",
    ] {
        read_back(text);
    }
}

#[test]
fn lines_end_as_all_readers_know() {
    assert_eq!(lines("a\r\nb\rc\u{85}d\u{2028}e\u{2029}f\n"), "a\nb\nc\nd\ne\nf\n");
}

#[test]
fn any_text_is_read_back() {
    const PARTS: [&str; 32] = [
        "a", "b c", "1", "yes", " ", "  ", "\n", "\n\n", "\t", "\r", "\r\n", ":", ": ", "#", " #",
        "-", "- ", "'", "\"", "\\", "|", ">", "%", "[", "}", ",", "é", "\u{85}", "\u{2028}",
        "\u{feff}", "\u{0}", "😀",
    ];
    fn text(u: &mut Unstructured<'_>) -> Result<String> {
        let parts = (0..u.int_in_range(0..=8)?).map(|_| u.choose(&PARTS).copied());
        parts.collect()
    }
    arbtest::arbtest(|u| {
        read_back(&text(u)?);
        Ok(())
    });
}

#[test]
fn names_stay_names() {
    for name in ["on", "1", "1e3", "007", "0x1f", "null", "2026-01-01", "1_000", "-", "tool"] {
        let made = draft(&KrewPlan { name: name.to_owned(), ..plan("x") }).unwrap();
        let read: Value = serde_yaml::from_str(&made.text).unwrap();
        assert_eq!(read["metadata"]["name"], name);
        let found = validate(&made.text, Path::new(&made.file), Archives::None);
        let guide = |finding: &Finding| finding.severity == Severity::Warning;
        assert!(found.iter().all(guide), "{name}: {found:?}");
    }
}
