use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use super::{
    Common, Drafted, GITHUB_TOKEN, KREW_GITHUB_TOKEN, NetworkArgs, Selection, World, check,
};
use crate::artifacts::IMAGES;
use crate::cache::Cache;
use crate::check as checks;
use crate::config::Config;
use crate::files;
use crate::finding::{Finding, Findings, failure};
use crate::forge::Forge;
use crate::github::GitHub;
use crate::http::Url;
use crate::plan::{BuildPlan, Mode, Part, Plan, Request, Skip};
use crate::preflight::{self, Build, Sites};
use crate::project::Project;
use crate::release::{self, Outcome, Public, Source};
use crate::target::Target;
use crate::term::{Table, Term};

/// Make everything that a release consists of, and publish it
///
/// HEAD must be clean and carry the tag of the version. What could go wrong is looked for
/// first: the token, the tag, the registries, the toolchains. Then everything is made, in
/// dist/, and published: images under their digests, files in a draft on GitHub, and only
/// then the release, the images' tags, and the pull request for the index of krew.
///
/// A run that was interrupted is made again, and finds what is there. A snapshot is made of
/// any commit, dirty ones too, and published nowhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless release --dry-run            print the plan and each call, and make nothing
  cargo dockless release --snapshot           archives, checksums and images of this commit
  cargo dockless release                      of a tag, published
  cargo dockless release --draft              up to a draft, which a person publishes
  cargo dockless release --skip publish       the same of a tag, as it would be published
  cargo dockless release --split --target x86_64-unknown-linux-musl
  cargo dockless release --merge shards       join what several machines built, and publish it
  cargo dockless release --snapshot --json    what was made, for machines

Publishing takes a token: GITHUB_TOKEN for the release, and KREW_GITHUB_TOKEN, a classic
one with the scope public_repo, for the pull request of a kubectl plugin.")]
pub struct Args {
    /// Release any commit, with a development version, and publish nothing
    #[arg(long)]
    snapshot: bool,
    /// Print the plan and each call, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove an earlier dist/ first, and use no archive made before
    #[arg(long)]
    clean: bool,
    /// End with a draft on GitHub, which nobody sees
    #[arg(long, conflicts_with = "snapshot")]
    draft: bool,
    /// The notes of the release [default: the changelog's section, or the commits]
    #[arg(long, value_name = "FILE", conflicts_with = "snapshot")]
    notes: Option<PathBuf>,
    /// Build the programs of the targets alone, for another machine to join
    #[arg(long, requires = "target", conflicts_with_all = ["merge", "draft", "notes", "dry_run"])]
    split: bool,
    /// Join what other machines built, which is in these folders, and go on
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with = "target")]
    merge: Vec<PathBuf>,
    /// Leave out these steps
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    skip: Vec<Skip>,
    /// Only kubectl plugins, for the command that makes them.
    #[arg(skip)]
    plugins: bool,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    selection: Selection,
}

impl Args {
    /// The arguments of a release that ends with its archives, or only those of plugins.
    pub fn archives(selection: Selection, plugins: bool) -> Args {
        Args {
            snapshot: true,
            dry_run: false,
            clean: false,
            draft: false,
            notes: None,
            split: false,
            merge: Vec::new(),
            skip: Vec::new(),
            plugins,
            network: NetworkArgs::default(),
            selection,
        }
    }
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    if args.split {
        return split(args, common, world);
    }
    make(args, Part::All, |_| true, common, world)
}

/// Makes a part of a release, or all of it; of what was made, those paths are printed
/// that are wanted.
pub fn make(
    args: Args,
    part: Part,
    wanted: impl Fn(&str) -> bool,
    common: &Common,
    world: &World,
) -> Result<ExitCode> {
    let mode = if args.snapshot { Mode::Snapshot } else { Mode::Release };
    let mut request = args.selection.request(mode, common);
    (request.plugins, request.draft) = (args.plugins, args.draft);
    request.elsewhere = !args.merge.is_empty();
    (request.part, request.skip) = (part, args.skip);
    request.repository = world.repository()?;
    if mode == Mode::Release {
        world.whereabouts(&mut request)?;
    }
    let Drafted { project, plan, mut errors, config } = world.drafted(common, &request)?;
    let uncached = Cache::none();
    let cache = if args.clean { &uncached } else { &world.cache };
    let http = world.http(&config.network, &args.network, common);
    let blobs = cache.blobs()?;
    let registry = world.registry(&http, &blobs, &config.network);
    let api = world.api()?;
    let github = GitHub::new(&http, &api, world.tokens.github.as_ref(), GITHUB_TOKEN);
    let index = GitHub::new(&http, &api, world.tokens.krew.as_ref(), KREW_GITHUB_TOKEN);
    let publish = plan.as_ref().and_then(|plan| plan.publish.clone());
    let to = publish.as_ref().and_then(|publish| publish.github.as_ref());
    let sites = Sites {
        forge: to.map(|to| Forge {
            github: &github,
            repository: &to.repository,
            term: &world.term,
        }),
        index: publish.as_ref().and_then(|it| it.index.as_ref()).map(|_| &index),
        registry: &registry,
    };
    let checked =
        mode == Mode::Release && part == Part::All && !request.skip.contains(&Skip::Check);
    if let Some(plan) = &plan {
        errors.extend(release::check_plugins(plan)?);
    }
    if let (Some(plan), Some(publish), false) = (&plan, &publish, args.dry_run) {
        let here = Build::Here(common.network());
        let build = if request.elsewhere { Build::Elsewhere } else { here };
        errors.extend(preflight::look(plan, publish, &project, &sites, build, &world.term));
    }
    if checked && !args.dry_run {
        errors.extend(advisories(&project, &config, common, world));
    }
    let plan = approved(plan, errors, &world.term)?;
    if args.dry_run {
        return dry_run(&plan, Some(&api), Some(&plan.dist), &world.term);
    }
    let notes = publish.as_ref().map(|publish| {
        let named = args.notes.map(|path| world.dir.join(path));
        release::notes(named.as_deref(), &config.github.changelog, publish, &project)
    });
    let notes = notes.transpose()?;
    let source = source(&args.merge, &plan, &project, &request, common, world)?;
    if checked {
        world.term.group("check", || check_all(&project, &config, common, world))?;
    }
    // What is in dist/ is published; nobody else makes anything there until then.
    let lock = release::lock(&project, &world.term)?;
    if args.clean {
        files::clear(&plan.dist)?;
    }
    let outcome = world.term.group("make", || {
        release::release(&plan, &project, &source, cache, &registry, &lock, &world.term)
    })?;
    let public = match (&publish, &notes) {
        (Some(publish), Some(notes)) => {
            let term = &world.term;
            let public = || release::publish(&plan, publish, &outcome, notes, &sites, term);
            Some(term.group("publish", public)?)
        }
        _ => None,
    };
    show(&plan, &outcome, public.as_ref(), wanted, world)?;
    if part == Part::All {
        skipped(&request.skip, world)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the programs come from: cargo, or the shards in these folders.
fn source(
    merge: &[PathBuf],
    plan: &Plan,
    project: &Project,
    request: &Request,
    common: &Common,
    world: &World,
) -> Result<Source> {
    if merge.is_empty() {
        return Ok(Source::Cargo(common.network()));
    }
    let dirs: Vec<PathBuf> = merge.iter().map(|dir| world.dir.join(dir)).collect();
    let whole = release::plan_digest(&whole(request, common, world)?.0)?;
    Ok(Source::Shards(release::merge(&dirs, plan, &whole, project)?))
}

/// Lists the steps that were left out, so that nobody takes them for done.
fn skipped(skip: &[Skip], world: &World) -> Result<()> {
    let mut table = Table::new(&["skipped", "why"]);
    for step in skip {
        let name = step.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned());
        table.row([name.clone(), format!("--skip {name}")]);
    }
    if !table.is_empty() {
        world.term.table(&table);
        world.summary(&table.markdown("Skipped"))?;
    }
    Ok(())
}

/// Builds the programs of some targets, for another machine to join.
fn split(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let mode = if args.snapshot { Mode::Snapshot } else { Mode::Release };
    let mut request = args.selection.request(mode, common);
    // Publishing is the other machine's, and takes what this one need not know.
    (request.part, request.skip) = (Part::Programs, vec![Skip::Publish]);
    let (whole, config) = whole(&request, common, world)?;
    let asked = |target: &Target| request.targets.contains(&target.to_string());
    let known = config.packages.iter().any(|package| package.targets.iter().any(asked));
    let is_wanted = |build: &BuildPlan| build.targets.iter().chain(&build.joined).any(asked);
    let (project, plan) = match known && !whole.builds.iter().any(is_wanted) {
        // The tag is of packages that are not for these targets: the shard holds nothing.
        true => {
            let plan = Plan { builds: Vec::new(), generate: Vec::new(), ..whole.clone() };
            (world.project_and_config(common)?.0, plan)
        }
        false => {
            let (project, plan, _) = world.plan_and_config(common, &request)?;
            (project, plan)
        }
    };
    let (targets, digest) = (&request.targets, release::plan_digest(&whole)?);
    let shard = release::split(&plan, targets, &digest, &project, common.network(), &world.term)?;
    world.output("version", &plan.version.to_string())?;
    world.term.result(shard.display())?;
    Ok(ExitCode::SUCCESS)
}

/// The plan of the release that machines make together.
fn whole(request: &Request, common: &Common, world: &World) -> Result<(Plan, Config)> {
    let (part, targets, skip) = (Part::All, Vec::new(), vec![Skip::Publish]);
    let repository = None;
    let request = Request { part, targets, skip, repository, elsewhere: true, ..request.clone() };
    let drafted = world.drafted(common, &request)?;
    match drafted.plan {
        Some(plan) => Ok((plan, drafted.config)),
        None => bail!(Findings(drafted.errors)),
    }
}

/// The plan, where nothing is wrong with it or with what it needs.
fn approved(plan: Option<Plan>, mut errors: Vec<Finding>, term: &Term) -> Result<Plan> {
    let mut known: Vec<Finding> = Vec::new();
    errors.retain(|error| {
        let is_new = !known.contains(error);
        known.extend(is_new.then(|| error.clone()));
        is_new
    });
    match plan {
        Some(plan) if errors.is_empty() => {
            plan.warnings.iter().for_each(|warning| term.finding(warning));
            Ok(plan)
        }
        _ => bail!(Findings(errors)),
    }
}

/// Why the audit, without which nothing is released, could not run.
fn advisories(
    project: &Project,
    config: &Config,
    common: &Common,
    world: &World,
) -> Option<Finding> {
    let options = check::options(&check::Args::default(), config, true, common, world);
    checks::ahead(project, &config.check, &options, &world.cache, &world.term)
}

/// Runs all checks; nothing is released that does not pass them.
fn check_all(project: &Project, config: &Config, common: &Common, world: &World) -> Result<()> {
    let verdicts = check::verdicts(&check::Args::default(), project, config, true, common, world)?;
    let failed = verdicts.iter().filter(|verdict| verdict.fails());
    let failed: Vec<&str> = failed.map(|verdict| verdict.check.name()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let why = format!("nothing is released that fails its checks: {}", failed.join(", "));
    bail!(failure(why, "mend what is said above, or leave them out by `--skip check`"));
}

/// What a release made, and what of it is public.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<&'a Public>,
}

/// Says what was made and published: to people, to the page of a job and its later steps,
/// and on stdout.
fn show(
    plan: &Plan,
    outcome: &Outcome,
    public: Option<&Public>,
    wanted: impl Fn(&str) -> bool,
    world: &World,
) -> Result<()> {
    let term = &world.term;
    outcome.show(term);
    world.summary(&outcome.markdown())?;
    if let Some(public) = public {
        for table in public.tables() {
            term.table(&table);
            world.summary(&table.markdown(public.title()))?;
        }
    }
    outputs(plan, outcome, public, world)?;
    if term.json_wanted() {
        term.json(&Shown { outcome, published: public })?;
    } else {
        for artifact in outcome.artifacts.iter().filter(|artifact| wanted(&artifact.path)) {
            term.result(plan.dist.with_file_name(&artifact.path).display())?;
        }
    }
    Ok(())
}

/// What the later steps of a job may need, each on one line.
fn outputs(plan: &Plan, outcome: &Outcome, public: Option<&Public>, world: &World) -> Result<()> {
    world.output("version", &outcome.version)?;
    world.output("tag", plan.tag.as_deref().unwrap_or_default())?;
    let artifacts: Vec<&str> = outcome.artifacts.iter().map(|it| &*it.path).collect();
    world.output("artifacts", &json!(artifacts).to_string())?;
    let images = public.iter().flat_map(|public| &public.images);
    let images: Vec<_> = images
        .filter_map(|it| it.reference.split_once('@'))
        .map(|(name, digest)| json!({ "name": name, "digest": digest }))
        .collect();
    world.output("images", &json!(images).to_string())?;
    let url = public.and_then(|public| public.release.as_ref().map(|it| &*it.url));
    world.output("url", url.unwrap_or_default())
}

/// Prints what would be made: every name, path and target, and each call to `api` and
/// others that would change something. `dist` is where images go, unless they go elsewhere.
pub fn dry_run(
    plan: &Plan,
    api: Option<&Url>,
    dist: Option<&Path>,
    term: &Term,
) -> Result<ExitCode> {
    if term.json_wanted() {
        term.json(plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut builds = Table::new(&["build", "version", "profile", "target", "binaries"]);
    for build in &plan.builds {
        for target in &build.targets {
            let (version, bins) = (build.version.to_string(), build.bins.join(", "));
            builds.row([
                build.package.clone(),
                version,
                build.profile.clone(),
                target.to_string(),
                bins,
            ]);
        }
    }
    let mut archives = Table::new(&["archive", "entries"]);
    for archive in &plan.archives {
        let entries = archive.entry_names(&plan.generate);
        archives.row([plan.dist.join(&archive.name).display().to_string(), entries.join(", ")]);
    }
    let mut images = Table::new(&["image", "platforms", "base", "names"]);
    for image in &plan.images {
        let platforms = image.platforms.iter().map(|it| it.platform.to_string());
        let names: Vec<String> = image.names.iter().map(ToString::to_string).collect();
        images.row([
            dist.map_or_else(
                || image.name.clone(),
                |dist| dist.join(IMAGES).join(&image.name).display().to_string(),
            ),
            platforms.collect::<Vec<_>>().join(", "),
            image.base.to_string(),
            names.join(", "),
        ]);
    }
    let mut plugins = Table::new(&["plugin", "platforms", "served at"]);
    for plugin in &plan.krew {
        for platform in &plugin.platforms {
            let arches = platform.arches.iter().map(|arch| format!("{}/{arch}", platform.os));
            let arches = arches.collect::<Vec<_>>().join(", ");
            plugins.row([plugin.name.clone(), arches, platform.uri.clone()]);
        }
    }
    let mut generated = Table::new(&["generate", "by", "target", "arguments"]);
    for plan in &plan.generate {
        let elsewhere = || "that of a shard".to_owned();
        let target = plan.target.as_ref().map_or_else(elsewhere, ToString::to_string);
        let output = plan.output.to_string();
        generated.row([output, plan.bin.clone(), target, plan.args.join(" ")]);
    }
    let left_out = release::left_out_table(&plan.left_out);
    let publish = plan.publish.as_ref().zip(api);
    let calls = publish.map(|(publish, api)| release::calls(plan, publish, api));
    for table in [builds, generated, archives, plugins, images, left_out]
        .into_iter()
        .chain(calls)
        .filter(|table| !table.is_empty())
    {
        term.result(table)?;
    }
    Ok(ExitCode::SUCCESS)
}
