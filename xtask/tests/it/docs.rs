//! The pages of docs/ that are made from what the program itself says.

use std::path::Path;
use std::process::Command;

const COMMANDS: [&str; 23] = [
    "build",
    "run",
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
    "clean",
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
