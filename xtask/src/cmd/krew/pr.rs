//! A release's version of plugins, for an index on GitHub.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::super::{Common, NetworkArgs, World};
use crate::artifacts::Of;
use crate::config::Slug;
use crate::finding::failure;
use crate::forge::{self, Change, Edit, Forge, PullRequest, index};
use crate::plan;
use crate::project::Project;
use crate::release;
use crate::term;
use crate::version::ReleaseTag;

/// Open a pull request for the next version of plugins in an index on GitHub
///
/// The version, uris and digests of the release of HEAD in dist/krew are written to the index's
/// entry, on a branch of a fork. Nothing else changes. Then a pull request is opened, as
/// krew-release-bot does. Existing branches and pull requests are kept, a pull request of an
/// earlier version is closed, and nothing is done if the index has the version or a newer one.
///
/// The command needs KREW_GITHUB_TOKEN, a classic token with the scope public_repo. If the token
/// cannot open pull requests, and for a first submission, which a person makes, the branch is made
/// and the page printed on which to open the pull request.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless krew pr --dry-run
  cargo dockless krew pr view-secret
  cargo dockless krew pr --index acme/krew-index")]
pub struct Pr {
    /// Only these plugins [default: all in dist/krew]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The index, instead of the one in the settings
    #[arg(long, value_name = "OWNER/NAME", value_parser = slug)]
    index: Option<Slug>,
    /// Print the change of the entry, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    network: NetworkArgs,
}

fn slug(text: &str) -> Result<Slug> {
    Slug::parse(text).context("one looks like kubernetes-sigs/krew-index")
}

pub fn run(args: &Pr, common: &Common, world: &World) -> Result<ExitCode> {
    let (project, config) = world.project_and_config(common, &[])?;
    let (plugins, of) = release::plugins_of_head(&args.names, &project, &world.term)?;
    let tag = released_tag(&of, &project)?;
    let Some(index) = args.index.as_ref().or(config.forge.index.as_ref()) else {
        let why = "`ship = false` in [workspace.metadata.dockless.index]";
        bail!(failure(why, "name the index with --index"));
    };
    let options = world.publish_options()?;
    let Some(from) = plan::repository(&config.forge, &project, &options) else {
        let why = "it is not known which repository is released, by which branches are called";
        let fix = format!("name it as `repository` in {}", config.forge.kind.table());
        bail!(failure(why, &fix));
    };
    let http = world.http(&config.network, &args.network, common);
    let forge = index::open(&http, &world.env)?;
    if !forge.has_token() && !args.dry_run {
        let why = format!("{} is not set", forge.variable());
        bail!(failure(why, "set it to a classic token with the scope public_repo"));
    }
    let mut all = Vec::new();
    for plugin in &plugins {
        let change = index::change(index, plugin, &from, &tag);
        all.push(if args.dry_run {
            preview(plugin.name(), &forge, &change, world)?
        } else {
            submitted(plugin.name(), forge::contribute(&forge, &change, &world.term)?, world)?
        });
    }
    world.term.json(&term::list("plugins", &all))?;
    Ok(ExitCode::SUCCESS)
}

/// The tag that the last release is of.
fn released_tag(of: &Of, project: &Project) -> Result<ReleaseTag> {
    let Some(tag) = of.tag.as_deref().and_then(|tag| project.read_tag(tag)) else {
        let why = "dist/ holds no release of a tag, and an index takes nothing else";
        bail!(failure(why, "tag the commit and make the release again, without --snapshot"));
    };
    if tag.version.is_prerelease() {
        let why = format!("{tag} is a pre-release, which an index does not take");
        bail!(failure(why, "release the version itself"));
    }
    Ok(tag)
}

/// What became of a plugin, or would, for `--json`.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    Submitted(release::Plugin),
    /// What a run that is not dry would change.
    Change {
        name: String,
        outcome: &'static str,
        diff: String,
    },
}

fn submitted(name: &str, pull: PullRequest, world: &World) -> Result<Shown> {
    say(name, &pull, world)?;
    Ok(Shown::Submitted(release::Plugin { name: name.to_owned(), submitted: pull }))
}

/// Says what would change.
fn preview(name: &str, forge: &Forge<'_>, change: &Change<'_>, world: &World) -> Result<Shown> {
    let upstream = forge::upstream(forge, change)?;
    match upstream.edit()? {
        Edit::UpToDate(version) => submitted(name, PullRequest::UpToDate { version }, world),
        Edit::Newer(version) => submitted(name, PullRequest::Newer { version }, world),
        Edit::Write(new) => {
            new.warnings.iter().for_each(|warning| world.term.finding(warning));
            let diff = index::diff(&change.file, upstream.text(), &new.text);
            if !world.term.json_wanted() {
                world.term.result(diff.trim_end())?;
            }
            Ok(Shown::Change { name: name.to_owned(), outcome: "would-change", diff })
        }
    }
}

/// Says what became of a plugin; where a page matters, it is the result.
fn say(name: &str, submitted: &PullRequest, world: &World) -> Result<()> {
    let term = &world.term;
    let page = match submitted {
        PullRequest::UpToDate { version } => {
            term.step("there", format_args!("the index has {name} {version} already"));
            return Ok(());
        }
        PullRequest::Newer { version } => {
            term.step("leave", format_args!("the index as it is: {name} {version} is newer"));
            return Ok(());
        }
        PullRequest::Open { url, anew } => {
            let verb = if *anew { "open" } else { "there" };
            term.step(verb, format_args!("the pull request of {name}"));
            url
        }
        PullRequest::ByHand { url, why } => {
            term.step("left", format_args!("to a person, to open the pull request: {why}"));
            url
        }
    };
    if term.json_wanted() { Ok(()) } else { term.result(page) }
}
