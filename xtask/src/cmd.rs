//! The command line: one module, one `Args` and one `run` per command.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::files;
use crate::http::Network;
use crate::plan::{BuildOptions, Mode, Part, PublishOptions, Request, Select};
use crate::term::Color;

mod apply;
mod archive;
mod audit;
mod build;
mod check;
mod ci;
mod clean;
mod complete;
mod completions;
mod cross;
mod dockerfile;
mod doctor;
mod engines;
mod explain;
mod image;
mod init;
mod keygen;
mod keys;
mod krew;
mod man;
mod prepare;
mod release;
mod report;
mod resolve;
mod run;
mod sbom;
mod setup;
mod sign;
mod subject;
mod test;
mod verify;
mod watch;
mod world;

use world::{Drafted, World};

/// Release Rust programs: checks, static binaries, archives, checksums and images in one
/// command, on a laptop and in CI alike
#[derive(Debug, Parser)]
#[command(
    name = "dockless",
    bin_name = "cargo dockless",
    arg_required_else_help = true,
    after_help = "Examples:
  cargo dockless build                  build a static binary for this machine, print its path
  cargo dockless image --load docker    build an image without Docker, load it into Docker
  cargo dockless release --dry-run      print what a release would make, and what it would not
  cargo dockless release --snapshot     make a release of any commit in dist/
  cargo dockless apply -f deploy/       build and push what manifests name, and apply them
  cargo dockless ci                     run fmt, clippy, an audit and the tests"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command understands.
#[derive(Clone, Debug, clap::Args)]
struct Common {
    /// A Cargo.toml or its folder [default: as cargo finds it]
    #[arg(long, global = true, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
    /// Print only errors, warnings and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print the commands that are run; twice: the requests too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// When to use colours; `auto` respects NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Do not use the network
    #[arg(long, global = true)]
    offline: bool,
    /// Fail if Cargo.lock would change
    #[arg(long, global = true)]
    locked: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Args),
    Run(run::Args),
    Watch(Box<watch::Args>),
    Archive(archive::Args),
    Image(Box<image::Args>),
    Dockerfile(dockerfile::Args),
    Krew(Box<krew::Args>),
    Release(release::Args),
    Resolve(Box<resolve::Args>),
    Apply(Box<apply::Apply>),
    Create(Box<apply::Create>),
    Delete(Box<apply::Delete>),
    Sbom(sbom::Args),
    Check(Box<check::Args>),
    Audit(audit::Args),
    Test(test::Args),
    Ci(Box<ci::Args>),
    Keygen(keygen::Args),
    Sign(sign::Args),
    Verify(verify::Args),
    Setup(setup::Args),
    Doctor(doctor::Args),
    Init(init::Args),
    Explain(explain::Args),
    Clean(clean::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    Complete(complete::Args),
    #[command(hide = true)]
    Cross(cross::Args),
}

/// What is built, for the commands that build.
#[derive(Debug, Default, clap::Args)]
struct Selection {
    /// Only this package; may be repeated
    #[arg(short, long, value_name = "NAME")]
    package: Vec<String>,
    /// Only this binary; may be repeated
    #[arg(long, value_name = "NAME")]
    bin: Vec<String>,
    #[command(flatten)]
    build: BuildArgs,
}

/// How it is built.
#[derive(Debug, Default, clap::Args)]
struct BuildArgs {
    /// Build for this target instead of the configured ones; may be repeated
    #[arg(long, value_name = "TRIPLE")]
    target: Vec<String>,
    /// The cargo profile
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Features to turn on, separated by commas
    #[arg(short = 'F', long, value_name = "FEATURES", value_delimiter = ',')]
    features: Vec<String>,
    /// Turn on all features
    #[arg(long)]
    all_features: bool,
    /// Turn off the default features
    #[arg(long)]
    no_default_features: bool,
    /// How many jobs cargo runs at a time
    #[arg(short, long, value_name = "N")]
    jobs: Option<String>,
}

/// How registries are spoken to, for the commands that do.
#[derive(Debug, Default, clap::Args)]
struct NetworkArgs {
    /// Also trust the certificates in this PEM file
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Connect to this registry without TLS; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<String>,
}

/// Runs the command line of this process. `version` is the version that was
/// injected when the program was built; a library pinned by Cargo.lock has none.
pub fn main(version: Option<&str>) -> ExitCode {
    let version = version.unwrap_or(env!("CARGO_PKG_VERSION"));
    let cli = match parse(version) {
        Ok(cli) => cli,
        // Help and versions are results: a lost one is a failure, unless its reader has enough.
        Err(error) => {
            let lost = error.print().err().map(|lost| lost.kind());
            let printed = error.use_stderr() || matches!(lost, None | Some(ErrorKind::BrokenPipe));
            let code = if printed { error.exit_code() } else { 1 };
            return ExitCode::from(u8::try_from(code).unwrap_or(1));
        }
    };
    let world = match World::read(&cli.common, cli.command.passes_tokens_on()) {
        Ok(world) => world,
        Err((error, term)) => {
            term.error(&error);
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = world.listen(&cli.command) {
        world.term.error(&error);
        return ExitCode::FAILURE;
    }
    let (left, is_done) = (cli.command.left_to_do(), cli.command.tells_by_its_status());
    let ended = cli.command.run(version, &cli.common, &world);
    // What fails once the user has ended it has failed for that.
    if let Some(signal) = world.env.children().signal()
        && !(ended.is_ok() && is_done)
    {
        world.term.interrupted(left);
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(1));
    }
    world.cache.trouble().iter().for_each(|finding| world.term.finding(finding));
    match ended {
        Ok(code) => code,
        Err(error) => {
            world.term.error(&files::explain_space(error));
            ExitCode::FAILURE
        }
    }
}

impl Command {
    /// Whether it runs what is the user's own, in an environment that is the user's.
    fn passes_tokens_on(&self) -> bool {
        match self {
            Command::Run(_) | Command::Test(_) | Command::Ci(_) => true,
            Command::Watch(args) => args.starts_programs(),
            _ => false,
        }
    }

    /// Whether a run that returns a status has done its work. Those that only pass on what other
    /// programs found have not, where these were stopped.
    fn tells_by_its_status(&self) -> bool {
        !matches!(self, Command::Check(_) | Command::Test(_) | Command::Ci(_))
    }

    /// What is left to do after an interruption.
    fn left_to_do(&self) -> &'static str {
        match self {
            Command::Release(_) => {
                "run the same command again: it continues with what is there, and publishes \
                 nothing twice"
            }
            Command::Image(_) | Command::Resolve(_) | Command::Apply(_) | Command::Create(_) => {
                "run the same command again: it continues with what is there"
            }
            _ => "run the same command again; nothing is half-made",
        }
    }

    fn run(self, version: &str, common: &Common, world: &World) -> Result<ExitCode> {
        match self {
            Command::Build(args) => build::run(args, common, world),
            Command::Run(args) => run::run(args, common, world),
            Command::Watch(args) => watch::run(*args, common, world),
            Command::Archive(args) => archive::run(args, common, world),
            Command::Image(args) => image::run(*args, common, world),
            Command::Dockerfile(args) => dockerfile::run(args, common, world),
            Command::Krew(args) => krew::run(*args, common, world),
            Command::Release(args) => release::run(args, common, world),
            Command::Resolve(args) => resolve::run(&args, common, world),
            Command::Apply(args) => apply::apply(&args, common, world),
            Command::Create(args) => apply::create(&args, common, world),
            Command::Delete(args) => apply::delete(&args, common, world),
            Command::Sbom(args) => sbom::run(args, common, world),
            Command::Check(args) => check::run(*args, common, world),
            Command::Audit(args) => audit::run(&args, common, world),
            Command::Test(args) => test::run(args, common, world),
            Command::Ci(args) => ci::run(*args, common, world),
            Command::Keygen(args) => keygen::run(&args, common, world),
            Command::Sign(args) => sign::run(&args, common, world),
            Command::Verify(args) => verify::run(&args, common, world),
            Command::Setup(args) => setup::run(args, common, world),
            Command::Doctor(args) => doctor::run(&args, common, world),
            Command::Init(args) => init::run(&args, common, world),
            Command::Explain(args) => explain::run(&args, common, world),
            Command::Clean(args) => clean::run(args, common, world),
            Command::Completions(args) => completions::run(&args, common, world),
            Command::Man(args) => man::run(&args, version, common, world),
            Command::Complete(args) => complete::run(&args, common, world),
            Command::Cross(args) => cross::run(args, world),
        }
    }
}

/// Parses the arguments; `cargo dockless X` hands over `dockless` as the first.
fn parse(version: &str) -> Result<Cli, clap::Error> {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|arg| arg == "dockless") {
        args.remove(1);
    }
    let mut command = Cli::command().version(version.to_owned());
    let matches = command.try_get_matches_from_mut(args)?;
    // Taking the description of all commands apart would be a tenth of a short run.
    std::mem::forget(command);
    Cli::from_arg_matches(&matches)
}

impl Common {
    fn network(&self) -> Network {
        if self.offline { Network::Offline } else { Network::Online }
    }
}

impl Selection {
    fn request(&self, mode: Mode, part: Part, common: &Common) -> Request {
        let mut request = self.build.request(mode, part, common);
        request.select.packages = self.package.clone();
        request.select.bins = self.bin.clone();
        request
    }
}

impl BuildArgs {
    /// The request for all packages.
    fn request(&self, mode: Mode, part: Part, common: &Common) -> Request {
        let select = Select { targets: self.target.clone(), ..Select::default() };
        let build = BuildOptions {
            features: self.features.clone(),
            all_features: self.all_features,
            no_default_features: self.no_default_features,
            profile: self.profile.clone(),
            locked: common.locked,
            network: common.network(),
            jobs: self.jobs.clone(),
            ..BuildOptions::default()
        };
        Request { mode, part, select, build, publish: PublishOptions::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
