use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{Common, World};

/// Print the completions for a shell
///
/// They complete commands, options and their values, and the names of packages, binaries, features,
/// profiles, targets and platforms of the project at hand: after `cargo-dockless`, `cargo dockless`
/// and `cargo xtask`. cargo's own completions stay. The script asks cargo-dockless, which must be
/// on PATH, unless --program names another.
///
/// Where to put it:
///   bash         source <(cargo-dockless completions bash)     in ~/.bashrc
///   zsh          source <(cargo-dockless completions zsh)      in ~/.zshrc, after compinit
///   fish         cargo-dockless completions fish | source      in ~/.config/fish/config.fish
///   powershell   cargo-dockless completions powershell | Out-String | Invoke-Expression
///                                                              in $PROFILE
///   elvish       eval (cargo-dockless completions elvish | slurp)
///                                                              in ~/.config/elvish/rc.elv
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  cargo dockless completions bash
  cargo dockless completions zsh > ~/.zfunc/_cargo-dockless
  cargo dockless completions bash --program target/debug/xtask"
)]
pub struct Args {
    shell: Shell,
    /// The program that the script asks, such as the xtask of a project [default: cargo-dockless]
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// A shell with completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(alias = "pwsh")]
    Powershell,
    Elvish,
}

/// What the script calls the program.
const PROGRAM: &str = "PROGRAM";

pub fn run(args: &Args, _: &Common, world: &World) -> Result<ExitCode> {
    let program = match &args.program {
        // The script is used in other folders.
        Some(path) => {
            let path = world.dir.join(path);
            path.to_str().context("the path of the program is not UTF-8")?.to_owned()
        }
        None => "cargo-dockless".to_owned(),
    };
    let script = args.shell.script().replace(PROGRAM, &args.shell.quoted(&program));
    world.term.documents(&script)?;
    Ok(ExitCode::SUCCESS)
}

impl Shell {
    fn script(self) -> &'static str {
        match self {
            Shell::Bash => include_str!("../../templates/completions/cargo-dockless.bash"),
            Shell::Zsh => include_str!("../../templates/completions/_cargo-dockless"),
            Shell::Fish => include_str!("../../templates/completions/cargo-dockless.fish"),
            Shell::Powershell => include_str!("../../templates/completions/cargo-dockless.ps1"),
            Shell::Elvish => include_str!("../../templates/completions/cargo-dockless.elv"),
        }
    }

    /// The text between quotes, within which the shell finds nothing to act on.
    fn quoted(self, text: &str) -> String {
        let text = match self {
            Shell::Bash | Shell::Zsh => text.replace('\'', r"'\''"),
            Shell::Fish => text.replace('\\', r"\\").replace('\'', r"\'"),
            Shell::Powershell | Shell::Elvish => text.replace('\'', "''"),
        };
        format!("'{text}'")
    }
}
