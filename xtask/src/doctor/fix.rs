//! Fixes, as commands where there is one.

use crate::process::{self, Env};

/// The command in a fix that begins with one: "run `…`".
pub fn command(fix: &str) -> Option<String> {
    let (command, _) = fix.strip_prefix("run `")?.split_once('`')?;
    Some(command.to_owned())
}

/// How rustup is had, with a toolchain.
pub fn rustup() -> &'static str {
    match std::env::consts::OS {
        "windows" => "run `winget install Rustlang.Rustup`",
        // https://rustup.rs
        _ => "run `curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh`",
    }
}

/// The commands of package managers that install something.
const MANAGERS: [(&str, &str); 7] = [
    ("apt-get", "apt-get install"),
    ("dnf", "dnf install"),
    ("apk", "apk add"),
    ("pacman", "pacman -S"),
    ("zypper", "zypper install"),
    ("brew", "brew install"),
    ("winget", "winget install"),
];

/// How a package of this name is installed here.
pub fn package(name: &str, env: &Env) -> String {
    let found = MANAGERS.iter().find(|(manager, _)| process::find(manager, env).is_some());
    let Some((manager, install)) = found else { return format!("install {name}") };
    let own = ["brew", "winget"].contains(manager) || process::find("sudo", env).is_none();
    let sudo = if own { "" } else { "sudo " };
    format!("run `{sudo}{install} {name}`")
}

/// How the clock is set.
pub fn clock(env: &Env) -> String {
    let command = match std::env::consts::OS {
        "windows" => "w32tm /resync",
        "macos" => "sudo sntp -sS time.apple.com",
        _ if process::find("timedatectl", env).is_some() => "sudo timedatectl set-ntp true",
        _ => return "set the clock of this machine".to_owned(),
    };
    format!("run `{command}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_that_begins_with_a_command_has_it() {
        for (fix, expected) in [
            (
                "run `git fetch --unshallow --tags`; in a workflow `x`",
                Some("git fetch --unshallow --tags"),
            ),
            ("set `x`", None),
            ("run `", None),
            ("", None),
        ] {
            assert_eq!(command(fix).as_deref(), expected, "{fix}");
        }
    }
}
