use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use super::{Common, World};
use crate::explain::{self, Rule};
use crate::finding::{failure, suggest};
use crate::term;

/// Explain a rule: what is wrong, why, and an example
///
/// A finding names its rule with --json, as `rule`, and with -v. Without a rule all are listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless explain                 list all rules
  cargo dockless explain release-dirty   say what this one is about")]
pub struct Args {
    /// The rule's name
    rule: Option<String>,
}

pub fn run(args: &Args, _: &Common, world: &World) -> Result<ExitCode> {
    let chosen: Vec<Rule> = match args.rule.as_deref() {
        Some(name) => vec![find(name.trim_matches(['[', ']']))?],
        None => explain::rules().collect(),
    };
    let json = |rule: &Rule| json!({ "rule": rule.name, "group": rule.group, "text": rule.text });
    let all: Vec<_> = chosen.iter().map(json).collect();
    let lines: Vec<String> = match &chosen[..] {
        [rule] => vec![format!("{}: {}", rule.name, rule.text)],
        all => listed(all),
    };
    world.term.results(&term::list("rules", &all), lines)?;
    Ok(ExitCode::SUCCESS)
}

fn find(name: &str) -> Result<Rule> {
    explain::rules().find(|rule| rule.name == name).ok_or_else(|| {
        let names = explain::rules().map(|rule| rule.name);
        let fix = suggest(name, names, "see all with `cargo dockless explain`");
        failure(format!("there is no rule {name:?}"), fix)
    })
}

/// The rules under their headings, a line each.
fn listed(all: &[Rule]) -> Vec<String> {
    let width = all.iter().map(|rule| rule.name.len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    let mut group = "";
    for rule in all {
        if rule.group != group {
            lines.extend((!group.is_empty()).then(String::new));
            lines.push(rule.group.to_owned());
            group = rule.group;
        }
        lines.push(format!("  {:width$}  {}", rule.name, rule.summary()));
    }
    lines
}
