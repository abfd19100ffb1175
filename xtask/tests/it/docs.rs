//! The pages of docs/ that are made from what the program itself says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const COMMANDS: [&str; 27] = [
    "build",
    "run",
    "watch",
    "archive",
    "image",
    "dockerfile",
    "krew",
    "init",
    "release",
    "resolve",
    "apply",
    "create",
    "delete",
    "sbom",
    "check",
    "audit",
    "test",
    "ci",
    "keygen",
    "sign",
    "verify",
    "setup",
    "doctor",
    "explain",
    "clean",
    "completions",
    "man",
];

/// Compares a file, named from the workspace's root, with what it should be; `UPDATE_GOLDEN=1`
/// writes it.
pub fn golden(path: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let help = "run this test with UPDATE_GOLDEN=1 and look at the change";
    assert_eq!(expected, actual, "{} is out of date: {help}", path.display());
}

fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-dockless"))
        .args(args)
        .arg("--help")
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // clap pads the lines of long help with blanks.
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn each_command_has_its_page() {
    let mut index = format!("# Commands\n\n```text\n{}```\n\n", help(&[]));
    for command in COMMANDS {
        golden(
            &format!("docs/commands/{command}.md"),
            &format!("# dockless {command}\n\n```text\n{}```\n", help(&[command])),
        );
        index += &format!("- [{command}]({command}.md)\n");
    }
    golden("docs/commands/README.md", &index);
    let listed = help(&[]);
    let named = listed.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let named = named.lines().filter_map(|line| line.split_whitespace().next());
    let known = |name: &&str| *name == "help" || COMMANDS.contains(name);
    assert_eq!(named.filter(|name| !known(name)).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// The files that CONTRIBUTING.md names are there.
#[test]
fn what_contributing_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let quoted = text.split('`').skip(1).step_by(2);
    let is_file = |name: &&str| {
        let ends = [".rs", ".toml", ".md", "/"].iter().any(|end| name.ends_with(end));
        ends && !name.contains([' ', ':'])
    };
    let files: Vec<&str> = quoted.filter(is_file).collect();
    let exists = |name: &&&str| {
        let places = ["", "xtask/", "xtask/src/", "xtask/tests/it/"];
        places.iter().any(|place| root.join(place).join(name).exists())
    };
    let absent: Vec<&&str> = files.iter().filter(|name| !exists(name)).collect();
    assert!(files.len() > 40 && absent.is_empty(), "{absent:?}");
}

#[test]
fn the_settings_have_their_page() {
    let default = include_str!("../../src/config/default.toml");
    let page = format!(
        "# Settings\n\ndockless reads its defaults from this file. Write the settings that differ to\n\
         Cargo.toml.\n\n```toml\n{default}```\n"
    );
    golden("docs/config.md", &page);
}

/// `explain` prints the same text.
#[test]
fn the_rules_have_their_page() {
    golden("docs/rules.md", include_str!("../../src/explain/rules.md"));
}

/// A rule that a finding has, and a file that names it.
fn rules_in_sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let explained = include_str!("../../src/explain/rules.md");
    let explained: BTreeSet<&str> =
        explained.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let families: BTreeSet<&str> = explained
        .iter()
        .filter_map(|name| name.split_once('-'))
        .map(|(family, _)| family)
        .collect();
    for (module, text) in super::house::sources() {
        if module.iter().any(|name| name == "tests") || module[0] == "fuzzing" {
            continue;
        }
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let file = module.join("/");
        for (at, _) in text.match_indices('"') {
            let Some(end) = text[at + 1..].find('"') else { continue };
            let (name, before) = (&text[at + 1..at + 1 + end], text[..at].trim_end());
            let parts: Vec<&str> = name.split('-').collect();
            let plain = |part: &&str| {
                !part.is_empty()
                    && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            };
            if !parts.iter().all(plain) {
                continue;
            }
            let is_argument = |callee: &&str| before.ends_with(*callee);
            let said = CALLS.iter().any(is_argument)
                || (parts.len() > 1 && OTHER_CALLS.iter().any(is_argument))
                || (parts.len() > 1 && families.contains(parts[0]) && is_finder(text));
            if said && !NO_RULES.contains(&name) {
                found.insert(name.to_owned(), file.clone());
            }
        }
    }
    found
}

/// What takes a rule as its first argument.
const CALLS: [&str; 5] =
    ["Finding::error(", "Finding::warning(", "Finding::of(", "Problem::new(", "schema::fault("];

/// What may take one: a method or a closure of the file's own.
const OTHER_CALLS: [&str; 6] = [".error(", ".warning(", "fault(", "say(", "finding(", "rule: "];

/// Whether a file makes findings.
fn is_finder(text: &str) -> bool {
    ["Finding", "Problem", "Report"].iter().any(|name| text.contains(name))
}

/// What has the form of a rule, and is none: keys of the settings, names of files.
const NO_RULES: [&str; 4] = ["bin-dir", "plain-http", "krew-downloads", "rust-toolchain"];

#[test]
fn every_rule_is_explained() {
    let explained = include_str!("../../src/explain/rules.md");
    let explained: BTreeSet<&str> =
        explained.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let found = rules_in_sources();
    assert!(found.len() > 150, "the rules were found: {}", found.len());
    let missing: Vec<_> = found.iter().filter(|(name, _)| !explained.contains(&***name)).collect();
    assert!(missing.is_empty(), "explain these in src/explain/rules.md: {missing:?}");
}
