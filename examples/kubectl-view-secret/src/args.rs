//! The command line: what may be typed.

use std::path::PathBuf;

use clap::{ArgAction, CommandFactory, Parser, ValueEnum, ValueHint};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  kubectl view-secret                     choose a secret, then a key
  kubectl view-secret db                  choose a key, or all
  kubectl view-secret db password         one value, and nothing else
  kubectl view-secret db --all -o yaml    every value, as YAML";

/// Show a Kubernetes secret decoded
#[derive(Parser)]
#[command(name = "kubectl-view-secret", bin_name = "kubectl view-secret", after_help = EXAMPLES)]
pub struct Args {
    /// Secret to show; without it, choose one of the namespace's
    #[arg(value_parser = secret_name)]
    pub secret: Option<String>,

    /// Key to show; without it, choose one
    pub key: Option<String>,

    /// Show every key
    #[arg(short, long)]
    pub all: bool,

    #[command(flatten)]
    pub cluster: Cluster,

    /// Say nothing but the value
    #[arg(short, long)]
    pub quiet: bool,

    /// How to write the values
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub output: Format,

    /// Print a completion script for this program and exit
    #[arg(long, value_name = "SHELL", value_enum, exclusive = true)]
    pub completion: Option<Shell>,
}

/// Where the secret is and who asks: handed to kubectl as typed.
#[derive(clap::Args, Default)]
pub struct Cluster {
    /// Namespace of the secret
    #[arg(short, long, value_name = "NS")]
    pub namespace: Option<String>,

    /// Context of the kubeconfig
    #[arg(short, long, value_name = "CTX")]
    pub context: Option<String>,

    /// Kubeconfig file
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,

    /// User to act as
    #[arg(long = "as", value_name = "USER")]
    pub user: Option<String>,

    /// Group to act as; may be given several times
    #[arg(long = "as-group", value_name = "GROUP", action = ArgAction::Append)]
    pub groups: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    Yaml,
}

/// The command line's grammar, with `version` as what `--version` says.
pub fn command(version: &'static str) -> clap::Command {
    Args::command().version(version)
}

/// kubectl would read such a name as a flag. No object in Kubernetes can bear
/// one: names are DNS subdomains and begin with a letter or digit.
fn secret_name(word: &str) -> Result<String, String> {
    if word.starts_with('-') {
        return Err("a secret's name cannot begin with '-'".to_owned());
    }
    Ok(word.to_owned())
}
