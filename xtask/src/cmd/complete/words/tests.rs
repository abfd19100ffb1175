use clap::CommandFactory;

use super::super::super::Cli;
use super::*;

fn project(names: Names) -> [Vec<String>; 2] {
    let lists: [&[&str]; 2] = match names {
        Names::Packages => [&["api", "worker"], &[]],
        Names::Bins => [&["api", "ctl$(reboot)", "a b"], &[]],
        Names::Features => [&["tls", "metrics"], &[]],
        Names::Profiles => [&["dev", "dist", "dev"], &[]],
        Names::Targets => [
            &["x86_64-unknown-linux-musl"],
            &["x86_64-pc-windows-gnu", "x86_64-unknown-linux-musl"],
        ],
        Names::Platforms => [&["linux/amd64", "linux/arm64/v8"], &[]],
    };
    lists.map(|list| list.iter().map(|name| (*name).to_owned()).collect())
}

/// The values for a line; the word at the cursor is what follows the last blank.
fn at(line: &str) -> Vec<String> {
    let mut command = Cli::command();
    command.build();
    let (before, word) = line.rsplit_once(' ').unwrap_or(("", line));
    let before: Vec<String> = before.split_whitespace().map(str::to_owned).collect();
    let found = Cursor::find(&command, &before, word).candidates(project);
    found.into_iter().map(|it| it.value).collect()
}

#[test]
fn what_may_stand_at_the_cursor() {
    for (line, values) in [
        ("rel", "release"),
        ("help imag", "image"),
        ("krew ", "manifest validate bump pr help"),
        ("build --pro", "--profile"),
        ("build --profile ", "dev dist"),
        ("build --profile=di", "--profile=dist"),
        ("-q build -p ", "api worker"),
        ("build -pwo", "-pworker"),
        ("build -rp ", "api worker"),
        ("build --package api --bin ", "api"),
        ("build -F tls,m", "tls,metrics"),
        ("build --target x86", "x86_64-unknown-linux-musl"),
        ("build --target x86_64-p", "x86_64-pc-windows-gnu"),
        ("image --platform linux/amd64,linux/arm", "linux/amd64,linux/arm64/v8"),
        ("image --load pod", "podman"),
        ("image copy a --load pod", "podman"),
        ("check --skip fmt,cl", "fmt,clippy"),
        ("release --skip image,publ", "image,publish"),
        ("build --color a", "auto always"),
        ("build --color=n", "--color=never"),
        ("run -- --ver", ""),
        ("run -p", ""),
        ("completions z", "zsh"),
        ("completions zsh --prog", "--program"),
        ("archive b", ""),
        ("nonsense --man", "--manifest-path"),
        ("com", "completions"),
    ] {
        let values: Vec<&str> = values.split_whitespace().collect();
        assert_eq!(at(line), values, "{line:?}");
    }
    assert!(at("build -").contains(&"-p".to_owned()));
    assert!(!at("build --").contains(&"-p".to_owned()));
}

/// Each kind of name is asked for by some option, and no option that takes a name is forgotten.
#[test]
fn options_take_the_names_of_the_project() {
    for names in ["package", "bin", "features", "profile", "target", "platform"] {
        let line = format!("image --{names} ");
        assert!(!at(&line).is_empty(), "{line}");
    }
}

#[test]
fn any_line_is_completed_without_a_panic() {
    arbtest::arbtest(|u| {
        let words =
            ["build", "-p", "--target=", "--", "image", "--load", "-", "é", "-é", ",", "--skip"];
        let mut line = Vec::new();
        for _ in 0..u.int_in_range(1..=6)? {
            line.push(*u.choose(&words)?);
        }
        at(&line.join(" "));
        Ok(())
    });
}
