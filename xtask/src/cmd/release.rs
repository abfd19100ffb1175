use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{Common, NetworkArgs, Selection, World, check};
use crate::cache::Cache;
use crate::checksum::IMAGES;
use crate::files;
use crate::finding::failure;
use crate::plan::{Mode, Part, Plan, Skip};
use crate::release;
use crate::term::{Table, Term};

/// Make everything that a release consists of, into dist/
///
/// A snapshot is made of any commit, dirty ones too, and published nowhere.
/// Without --snapshot HEAD must be clean and carry the tag of the version, and all checks
/// must pass, an audit included.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless release --dry-run            print the plan and make nothing
  cargo dockless release --snapshot           archives, checksums and images of this commit
  cargo dockless release --skip publish       the same of a tag, as it would be published
  cargo dockless release --snapshot --json    what was made, for machines")]
pub struct Args {
    /// Release any commit, with a development version, and publish nothing
    #[arg(long)]
    snapshot: bool,
    /// Print the plan and make nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove an earlier dist/ first, and use no archive made before
    #[arg(long)]
    clean: bool,
    /// Leave out these steps
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    skip: Vec<Skip>,
    /// Only kubectl plugins, for the command that makes them.
    #[arg(skip)]
    plugins: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Args {
    /// The arguments of a release that ends with its archives, or only those of plugins.
    pub fn archives(selection: Selection, plugins: bool) -> Args {
        let skip = Vec::new();
        Args { snapshot: true, dry_run: false, clean: false, skip, plugins, selection }
    }
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
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
    request.plugins = args.plugins;
    (request.part, request.skip) = (part, args.skip);
    request.repository = world.repository()?;
    let (project, plan, config) = world.plan_and_config(common, &request)?;
    release::check_plugins(&plan)?;
    if args.dry_run {
        return dry_run(&plan, &world.term);
    }
    if plan.publish.is_some() {
        bail!(failure(
            "this version of dockless cannot publish a release",
            "make it without publishing, with `--skip publish`, or try it with --snapshot",
        ));
    }
    let checked = mode == Mode::Release && !request.skip.contains(&Skip::Check);
    if checked && part == Part::All {
        let verdicts =
            check::verdicts(&check::Args::default(), &project, &config, true, common, world)?;
        let failed = verdicts.iter().filter(|verdict| verdict.fails());
        let failed: Vec<&str> = failed.map(|verdict| verdict.check.name()).collect();
        if !failed.is_empty() {
            let why = format!("nothing is released that fails its checks: {}", failed.join(", "));
            bail!(failure(why, "mend what is said above, or leave them out by `--skip check`"));
        }
    }
    let uncached = Cache::none();
    let cache = if args.clean { &uncached } else { &world.cache };
    if args.clean {
        let _lock = release::lock(&project, &world.term)?;
        files::clear(&plan.dist)?;
    }
    let more = NetworkArgs::default();
    let (http, blobs) = (world.http(&config.network, &more, common), cache.blobs()?);
    let registry = world.registry(&http, &blobs, &config.network);
    let outcome = release::release(&plan, &project, common.offline, cache, &registry, &world.term)?;
    outcome.show(&world.term);
    world.summary(&outcome.markdown())?;
    if world.term.json_wanted() {
        world.term.json(&outcome)?;
    } else {
        for artifact in outcome.artifacts.iter().filter(|artifact| wanted(&artifact.path)) {
            world.term.result(plan.dist.with_file_name(&artifact.path).display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what would be made: every name, path and target.
pub fn dry_run(plan: &Plan, term: &Term) -> Result<ExitCode> {
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
            plan.dist.join(IMAGES).join(&image.name).display().to_string(),
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
        let (output, target) = (plan.output.to_string(), plan.target.to_string());
        generated.row([output, plan.bin.clone(), target, plan.args.join(" ")]);
    }
    let left_out = release::left_out_table(&plan.left_out);
    for table in [builds, generated, archives, plugins, images, left_out]
        .into_iter()
        .filter(|table| !table.is_empty())
    {
        term.result(table)?;
    }
    Ok(ExitCode::SUCCESS)
}
