use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::report::{Signed, report, skipped};
use super::{Common, Drafted, NetworkArgs, Selection, World, check, prepare};
use crate::cache::Cache;
use crate::check as checks;
use crate::config::Config;
use crate::digest::Digest;
use crate::files;
use crate::finding::{Finding, Findings, Place, failure};
use crate::forge::{Forge, index};
use crate::plan::{BuildPlan, Mode, Part, Plan, PublishOptions, Request, Skip};
use crate::preflight::{self, Sites};
use crate::project::Project;
use crate::release::{self, Signing, Source};
use crate::target::Target;

/// Make a release and publish it
///
/// HEAD must be clean and have the tag of the version. The token, the tag, the registries and the
/// toolchains are checked first. Then everything is made in dist/ and published: first the images
/// by digest and the files in a draft on GitHub, then the release, the images' tags and the pull
/// request to krew's index.
///
/// After an interruption, run the command again: it continues with what is there. A snapshot is
/// made of any commit, even with uncommitted changes, and is not published.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless release --prepare 1.2.3      set the version everywhere, commit and tag
  cargo dockless release --dry-run            print the plan and every call, and make nothing
  cargo dockless release --snapshot           make archives, checksums and images of this commit
  cargo dockless release                      make the release of a tag and publish it
  cargo dockless release --draft              stop at a draft, which a person publishes
  cargo dockless release --skip publish       make the release of a tag, and publish nothing
  cargo dockless release --split --target x86_64-unknown-linux-musl
  cargo dockless release --merge shards       merge what several machines built, and publish it
  cargo dockless release --snapshot --json    print what was made as JSON

Publishing needs tokens: GITHUB_TOKEN for the release, and KREW_GITHUB_TOKEN, a classic one
with the scope public_repo, for the pull request of a kubectl plugin. With COSIGN_PRIVATE_KEY
and COSIGN_PASSWORD, `keygen` makes them, the checksums and the images are signed.")]
pub struct Args {
    /// Make a release of any commit, with a development version, and publish nothing
    #[arg(long)]
    snapshot: bool,
    /// Print the plan and every call, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove dist/ first, and use no cached archives
    #[arg(long)]
    clean: bool,
    /// Stop at a draft on GitHub
    #[arg(long, conflicts_with = "snapshot")]
    draft: bool,
    /// The release notes [default: the changelog's section, or the commits]
    #[arg(long, value_name = "FILE", conflicts_with = "snapshot")]
    notes: Option<PathBuf>,
    /// Only build the programs of the targets, for another machine to merge
    #[arg(long, requires = "target", conflicts_with_all = ["merge", "draft", "notes", "dry_run"])]
    split: bool,
    /// Merge what other machines built, from these folders, and continue
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with = "target")]
    merge: Vec<PathBuf>,
    /// Set the version in Cargo.toml, Cargo.lock and the changelog, commit and tag; publish nothing.
    /// VERSION is 1.2.3, `major`, `minor` or `patch`
    #[arg(long, value_name = "VERSION", value_parser = prepare::wanted,
          conflicts_with_all = ["snapshot", "clean", "draft", "notes", "split", "merge", "skip"])]
    prepare: Option<prepare::Wanted>,
    /// Skip these steps
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    skip: Vec<Skip>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    selection: Selection,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    if let Some(wanted) = &args.prepare {
        return prepare::run(wanted, &args.selection.package, args.dry_run, common, world);
    }
    if args.split {
        return split(&args, common, world);
    }
    let request = request(&args, common, world)?;
    let mut drafted = world.drafted(common, &request)?;
    let network = drafted.config.network.clone();
    let forge = drafted.config.forge.kind;
    let http = world.http(&network, &args.network, common);
    let uncached = Cache::none();
    let cache = if args.clean { &uncached } else { &world.cache };
    let blobs = cache.blobs()?;
    let registry = world.registry(&http, &blobs, &network);
    let sites = Sites {
        forge: Forge::open(forge, forge.token(), &http, &world.env)?,
        index: index::open(&http, &world.env)?,
        registry: &registry,
    };
    look_ahead(&mut drafted, &args, &request, &sites, common, world)?;
    let signing = signing(&mut drafted, &args, &sites, world);
    let (project, plan, config) = drafted.approved(&world.term)?;
    if args.dry_run {
        release::dry_run(&plan, Some(&sites), release::ImagesIn::Dist, &world.term)?;
        return Ok(ExitCode::SUCCESS);
    }
    let notes = plan.publish.as_ref().map(|publish| {
        let named = args.notes.as_ref().map(|path| world.dir.join(path));
        release::notes(named.as_deref(), &config.forge.changelog, publish, &project)
    });
    let notes = notes.transpose()?;
    let source = if args.merge.is_empty() {
        Source::Cargo(common.network())
    } else {
        let dirs: Vec<PathBuf> = args.merge.iter().map(|dir| world.dir.join(dir)).collect();
        let whole = release::plan_digest(&whole(&request, common, world)?.0)?;
        Source::Shards(release::merge(&dirs, &plan, &whole, &project)?)
    };
    if is_checked(&request) {
        world.term.group("check", || check_all(&project, &config, common, world))?;
    }
    // What is in dist/ is published; nobody else makes anything there until then.
    let locks = release::lock(&project, &world.term)?;
    if args.clean {
        locks.dist.clear()?;
    }
    let (signing, term) = (signing.as_ref(), &world.term);
    let outcome = term.group("make", || {
        let made = release::make(&plan, &project, &source, cache, &registry, &locks, term)?;
        release::finish(made, &plan, &project, signing, term)
    })?;
    let public = notes.as_ref().zip(plan.publish.as_ref()).map(|(notes, to)| {
        let publish = || release::publish(&plan, to, &outcome, notes, signing, &sites, term);
        term.group("publish", publish)
    });
    let public = public.transpose()?;
    report(&plan, &outcome, public.as_ref(), |_| true, world)?;
    skipped(&request.select.skip, Signed::of(signing), world)?;
    Ok(ExitCode::SUCCESS)
}

fn mode(args: &Args) -> Mode {
    if args.snapshot { Mode::Snapshot } else { Mode::Release }
}

fn request(args: &Args, common: &Common, world: &World) -> Result<Request> {
    let mut request = args.selection.request(mode(args), Part::All, common);
    request.select.skip = args.skip.clone();
    request.build.elsewhere = !args.merge.is_empty();
    request.publish = publish_options(request.mode, world)?;
    request.publish.draft = args.draft;
    Ok(request)
}

/// Where what is made goes, by the environment and git.
pub fn publish_options(mode: Mode, world: &World) -> Result<PublishOptions> {
    let publish =
        if mode == Mode::Release { world.publish_options()? } else { PublishOptions::default() };
    Ok(PublishOptions { repository: world.repository(None)?, has_key: world.has_key(), ..publish })
}

/// The key, and what is signed already; `None` where nothing is signed. What is wrong with either
/// stops the release before anything is made.
fn signing(
    drafted: &mut Drafted,
    args: &Args,
    sites: &Sites<'_>,
    world: &World,
) -> Option<Signing> {
    let Drafted { plan: Some(plan), errors, config, .. } = drafted else { return None };
    let sign = plan.sign.as_ref().filter(|_| !args.dry_run)?;
    let key = match world.private_key(&config.sign) {
        Ok(key) => key?,
        Err(error) => {
            errors.push(Finding::of("sign", Place::default(), &error));
            return None;
        }
    };
    // What GitHub has is looked at only where everything else is well.
    let to = plan.publish.as_ref().filter(|_| errors.is_empty());
    let public = to.map_or_else(
        || Ok(BTreeMap::new()),
        |to| release::public_signatures(sign, to, &sites.forge),
    );
    match public {
        Ok(public) => Some(Signing { key, public }),
        Err(error) => {
            errors.push(Finding::of("sign", Place::default(), &error));
            None
        }
    }
}

/// Whether the checks must pass first.
fn is_checked(request: &Request) -> bool {
    request.mode == Mode::Release && !request.skips(Skip::Check)
}

/// Finds all that would stop the release on its way.
fn look_ahead(
    drafted: &mut Drafted,
    args: &Args,
    request: &Request,
    sites: &Sites<'_>,
    common: &Common,
    world: &World,
) -> Result<()> {
    let Drafted { project, plan, errors, config } = drafted;
    if let Some(plan) = plan {
        errors.extend(release::check_plugins(plan)?);
    }
    // A dry run asks nobody.
    if args.dry_run {
        return Ok(());
    }
    if let Some(plan) = plan
        && let Some(publish) = &plan.publish
    {
        let build = &request.build;
        errors.extend(preflight::look(plan, publish, project, sites, build, &world.term));
    }
    // Nothing is released without the audit.
    if is_checked(request) {
        let args = check::Args::default();
        let options = check::options(&args, config, Mode::Release, common, world);
        let World { cache, term, .. } = world;
        let config = &config.check;
        let subject = checks::Subject { project, config, options: &options, cache, term };
        errors.extend(checks::preflight(&subject));
    }
    Ok(())
}

/// Builds the programs of some targets, for another machine to join.
fn split(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let mut request = args.selection.request(mode(args), Part::Programs, common);
    // Another machine publishes, and this one need not have the settings for it.
    request.select.skip = vec![Skip::Publish];
    let (whole, config) = whole(&request, common, world)?;
    let targets = &request.select.targets;
    let asked = |target: &Target| targets.iter().any(|name| name == target.as_str());
    let known = config.packages.iter().any(|package| package.targets.iter().any(asked));
    let is_wanted = |build: &BuildPlan| build.targets.iter().chain(&build.joined).any(asked);
    let (project, plan) = if known && !whole.builds.iter().any(is_wanted) {
        // The tag is of packages that are not for these targets: the shard holds nothing.
        let plan = Plan { builds: Vec::new(), generate: Vec::new(), ..whole.clone() };
        (world.project(common)?, plan)
    } else {
        let (project, plan, _) = world.plan(common, &request)?;
        (project, plan)
    };
    let digest = release::plan_digest(&whole)?;
    let network = common.network();
    let (cache, term) = (&world.cache, &world.term);
    let shard = release::split(&plan, targets, &digest, &project, network, cache, term)?;
    world.output("version", &plan.version.to_string())?;
    world.output("dist", plan.dist_name())?;
    world.output("shard", &Digest::of(&files::read(&shard)?).hex())?;
    let shown = json!({ "shard": shard });
    world.term.results(&shown, [shard.display()])?;
    Ok(ExitCode::SUCCESS)
}

/// The plan of the release that machines make together.
fn whole(request: &Request, common: &Common, world: &World) -> Result<(Plan, Config)> {
    let mut request = Request { part: Part::All, ..request.clone() };
    request.select.targets.clear();
    request.select.skip = vec![Skip::Publish];
    request.build.elsewhere = true;
    request.publish.repository = None;
    let drafted = world.drafted(common, &request)?;
    match drafted.plan {
        Some(plan) => Ok((plan, drafted.config)),
        None => bail!(Findings(drafted.errors)),
    }
}

/// Runs all checks; nothing is released that does not pass them.
fn check_all(project: &Project, config: &Config, common: &Common, world: &World) -> Result<()> {
    let args = check::Args::default();
    let verdicts = check::verdicts(&args, project, config, Mode::Release, common, world)?;
    let failed = verdicts.iter().filter(|verdict| verdict.fails());
    let failed: Vec<&str> = failed.map(|verdict| verdict.check.name()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let why = format!("nothing is released that fails its checks: {}", failed.join(", "));
    bail!(failure(why, "mend what is said above, or leave them out by `--skip check`"));
}
