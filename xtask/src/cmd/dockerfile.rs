use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::{Common, NetworkArgs, Selection, World};
use crate::files;
use crate::finding::failure;
use crate::plan::{Mode, Part};
use crate::project::Project;
use crate::release::{self, Source};
use crate::target::Platform;
use crate::term;

/// Write a Dockerfile that builds the same image, for BuildKit and buildah
///
/// The Dockerfile is written to dist/docker/NAME, with a rootfs.tar of everything in the image
/// except the programs. A build stage compiles the programs. With the build argument
/// BINARIES=prebuilt they are copied from beside the Dockerfile, where --prebuilt puts them. The
/// build context is the workspace's root. A base in a registry is read if `files` names folders.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless dockerfile
  docker build -f $(cargo dockless dockerfile -q --package mytool) .
  cargo dockless dockerfile --prebuilt
  docker build -f dist/docker/mytool/Dockerfile --build-arg BINARIES=prebuilt .
  cargo dockless dockerfile --package mytool --output docker")]
pub struct Args {
    /// Write to this folder of the workspace
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Compile the programs, and put them where the stage `prebuilt` copies them from
    #[arg(long)]
    prebuilt: bool,
    /// Only for this platform, such as linux/arm64; may be repeated
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',', value_parser = Platform::parse)]
    platform: Vec<Platform>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    selection: Selection,
}

pub fn run(args: Args, common: &Common, world: &World) -> Result<ExitCode> {
    let mut request = args.selection.request(Mode::Snapshot, Part::Dockerfiles, common);
    request.select.platforms = args.platform;
    let (project, plan, config) = world.plan(common, &request)?;
    let output = args.output.map(|dir| inside(&world.dir.join(dir), &project)).transpose()?;
    let http = world.http(&config.network, &args.network, common);
    let blobs = world.cache.blobs()?;
    let registry = world.registry(&http, &blobs, &config.network);
    let programs = args.prebuilt.then_some(Source::Cargo(common.network()));
    let written = release::dockerfiles(
        &plan,
        &project,
        programs.as_ref(),
        output.as_deref(),
        &world.cache,
        &registry,
        &world.term,
    )?;
    world
        .term
        .results(&term::list("files", &written), written.iter().map(|path| path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The folder as it is called from the workspace's root on, with slashes.
fn inside(dir: &std::path::Path, project: &Project) -> Result<String> {
    files::make_dir(dir)?;
    let resolved = files::resolve(dir)?;
    let below = resolved.strip_prefix(files::resolve(&project.root)?).ok();
    let text = below.and_then(|path| path.to_str()).map(|path| path.replace('\\', "/"));
    let plain = |text: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        !text.is_empty() && text.chars().all(plain)
    };
    text.filter(plain).ok_or_else(|| {
        failure(
            format!("{} is no folder that a build of the workspace can name", dir.display()),
            "name one below the workspace's root, of letters, digits, `.`, `_` and `-`",
        )
    })
}
