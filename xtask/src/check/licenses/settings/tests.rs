use super::*;
use crate::finding::said;

fn read_text(text: &str) -> Result<Option<Rules>> {
    File { name: "deny.toml", text }.read_rules()
}

#[test]
fn the_rules_are_read_with_their_places() {
    let rules = read_text(
        r#"
[graph]
targets = ["x86_64-unknown-linux-musl", { triple = "aarch64-unknown-linux-musl", features = [] }]
all-features = true

[advisories]
ignore = []

[licenses]
version = 2
confidence-threshold = 0.93
allow = [
    "MIT",
    "Apache-2.0 WITH LLVM-exception",
]
exceptions = [{ crate = "ring@0.17.8", allow = ["OpenSSL"] }, { name = "a", version = "0.1", allow = [] }]
unused-allowed-license = "deny"
unused-license-exception = "allow"
include-dev = true
include-build = false
private = { ignore = true, registries = ["ours"], ignore-sources = ["https://example.com/x"] }

[[licenses.clarify]]
crate = "ring"
expression = "MIT AND ISC"
license-files = [{ path = "LICENSE", hash = 0xbd0eed23 }]
"#,
    );
    let rules = rules.unwrap().unwrap();
    let allow: Vec<String> =
        rules.allow.iter().map(|(_, it)| format!("{} {}", it.place, it.text)).collect();
    assert_eq!(allow, ["deny.toml:13:5 MIT", "deny.toml:14:5 Apache-2.0 WITH LLVM-exception"]);
    let [ring, a] = &rules.exceptions[..] else { panic!("{rules:?}") };
    let version = |text: &str| Version::parse(text).unwrap();
    assert!(ring.of.matches("ring", &version("0.17.8")));
    assert!(!ring.of.matches("ring", &version("0.17.9")));
    assert!(!ring.of.matches("rings", &version("0.17.8")));
    assert!(a.of.matches("a", &version("0.1.7")) && !a.of.matches("a", &version("0.2.0")));
    assert_eq!(ring.entry.place.to_string(), "deny.toml:16:15");
    let [clarification] = &rules.clarify[..] else { panic!("{rules:?}") };
    assert_eq!(clarification.files, [("LICENSE".into(), 0xbd0e_ed23)]);
    assert_eq!(clarification.expression.text(), "MIT AND ISC");
    assert_eq!((rules.unused_allowed, rules.unused_exception), (Level::Deny, Level::Allow));
    assert!(rules.include_dev && !rules.include_build && rules.private.ignore);
    assert_eq!(rules.private.registries, ["ours"]);
    let targets: Vec<&str> = rules.graph.targets.iter().map(TargetKey::triple).collect();
    assert_eq!(targets, ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"]);
}

#[test]
fn cargo_denys_defaults_count() {
    assert!(read_text("[advisories]\nignore = []\n").unwrap().is_none());
    let rules = read_text("[licenses]\n").unwrap().unwrap();
    assert!(rules.allow.is_empty() && rules.include_build && !rules.include_dev);
    assert_eq!((rules.unused_allowed, rules.unused_exception), (Level::Warn, Level::Warn));
}

/// The texts, and what the error says.
#[test]
fn what_cargo_deny_refuses_is_refused() {
    for (licenses, expected) in [
        ("deny = [\"GPL-3.0\"]", "[licenses] has `deny`, which cargo-deny removed"),
        ("copyleft = \"warn\"", "[licenses] has `copyleft`, which cargo-deny removed"),
        ("default = \"deny\"", "[licenses] has `default`, which cargo-deny removed"),
        ("unlicensed = \"deny\"", "[licenses] has `unlicensed`, which cargo-deny removed"),
        ("allow-osi-fsf-free = \"osi\"", "[licenses] has `allow-osi-fsf-free`, which"),
        ("alow = [\"MIT\"]", "unknown field `alow`"),
        ("allow = [\"MITT\"]", "deny.toml:2:10: \"MITT\": unknown"),
        ("allow = [\"MIT OR ISC\"]", "deny.toml:2:10: \"MIT OR ISC\": "),
        ("allow = [1]", "invalid type: integer `1`, expected a string"),
        ("exceptions = [{ allow = [] }]", "it needs `crate`, or `name` and perhaps `version`"),
        ("exceptions = [{ crate = \"a\", name = \"a\", allow = [] }]", "it needs `crate`"),
        ("exceptions = [{ crate = \"a@one\", allow = [] }]", "read the version of \"a@one\""),
        ("exceptions = [{ crate = \"a\" }]", "missing field `allow`"),
        ("clarify = [{ crate = \"a\", expression = \"MIT\" }]", "missing field `license-files`"),
        (
            "clarify = [{ crate = \"a\", expression = \"MIT OR\", license-files = [] }]",
            "\"MIT OR\" is not an SPDX expression",
        ),
        (
            "clarify = [{ crate = \"a\", expression = \"MIT\", license-files = [{ path = \"x\", hash = -1 }] }]",
            "hash",
        ),
        ("unused-allowed-license = \"error\"", "unknown variant `error`"),
        ("private = { ignored = true }", "unknown field `ignored`"),
    ] {
        let error = read_text(&format!("[licenses]\n{licenses}\n")).unwrap_err();
        let (why, help) = said(&error);
        assert!(why.contains(expected), "{licenses}: {why}");
        assert!(help.is_some(), "{licenses}");
    }
}
