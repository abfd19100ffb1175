//! The command line: one module, one `Args` and one `run` per command.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cache::{Blobs, Cache};
use crate::config::{self, Config, NetworkConfig, Slug};
use crate::files;
use crate::finding::{Finding, Findings, Help};
use crate::github;
use crate::http::{self, Http, Network, Url};
use crate::plan::{self, Mode, Part, Plan, Request};
use crate::process::{self, Env};
use crate::project::{self, Project, Select, git};
use crate::reference::Above;
use crate::registry::Registry;
use crate::secret::Secret;
use crate::term::{Color, Settings, Term, Verbosity, tame};

mod archive;
mod build;
mod check;
mod ci;
mod clean;
mod cross;
mod dockerfile;
mod image;
mod init;
mod krew;
mod release;
mod run;
mod setup;
mod test;

/// Releases Rust programs: checks, static binaries, archives, checksums and images
/// in one command, the same on a laptop and in CI.
#[derive(Debug, Parser)]
#[command(
    name = "dockless",
    bin_name = "cargo dockless",
    arg_required_else_help = true,
    after_help = "Examples:
  cargo dockless build                  a static binary for this machine; prints its path
  cargo dockless image --load docker    an image, made without Docker and loaded into it
  cargo dockless release --dry-run      what a release would make, and what not
  cargo dockless release --snapshot     all of it, of any commit, into dist/
  cargo dockless ci                     fmt, clippy, an audit and the tests"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command understands.
#[derive(Debug, clap::Args)]
struct Common {
    /// A Cargo.toml, or its folder [default: the nearest one above]
    #[arg(long, global = true, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
    /// Say less: errors, warnings and results only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: the commands that are run; twice: the requests too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// When to use colours; `auto` obeys NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Use the network for nothing
    #[arg(long, global = true)]
    offline: bool,
    /// Fail where Cargo.lock would have to change
    #[arg(long, global = true)]
    locked: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Build(build::Args),
    Run(run::Args),
    Archive(archive::Args),
    Image(Box<image::Args>),
    Dockerfile(dockerfile::Args),
    Krew(Box<krew::Args>),
    Release(release::Args),
    Check(Box<check::Args>),
    Test(test::Args),
    Ci(Box<ci::Args>),
    Setup(setup::Args),
    Init(init::Args),
    Clean(clean::Args),
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
    /// For this target instead of the configured ones; may be repeated
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
    /// Trust the certificates of this PEM file too
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Speak to this registry without TLS; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<String>,
}

/// What was read from the world once, and is passed to whoever acts.
struct World {
    dir: PathBuf,
    env: Env,
    tokens: Tokens,
    cache: Cache,
    term: Term,
}

/// A plan that may have errors yet, and what it is made of.
struct Drafted {
    project: Project,
    plan: Option<Plan>,
    errors: Vec<Finding>,
    config: Config,
}

/// What may be done in the user's name at GitHub. No program that is started gets to see it.
struct Tokens {
    github: Option<Secret>,
    krew: Option<Secret>,
}

/// The variables of tokens.
const GITHUB_TOKEN: &str = "GITHUB_TOKEN";
const KREW_GITHUB_TOKEN: &str = "KREW_GITHUB_TOKEN";

/// Where GitHub's pages are, unless GITHUB_SERVER_URL says otherwise.
const SERVER: &str = "github.com";

/// Runs the command line of this process. `version` is the version that was
/// injected when the program was built; a library pinned by Cargo.lock has none.
pub fn main(version: Option<&str>) -> ExitCode {
    let cli = match parse(version.unwrap_or(env!("CARGO_PKG_VERSION"))) {
        Ok(cli) => cli,
        // Help and versions are results: a lost one is a failure, unless its reader has enough.
        Err(error) => {
            let lost = error.print().err().map(|lost| lost.kind());
            let printed = error.use_stderr() || matches!(lost, None | Some(ErrorKind::BrokenPipe));
            let code = if printed { error.exit_code() } else { 1 };
            return ExitCode::from(u8::try_from(code).unwrap_or(1));
        }
    };
    let world = match world(&cli.common, cli.command.passes_tokens_on()) {
        Ok(world) => world,
        Err((error, term)) => {
            term.error(&error);
            return ExitCode::FAILURE;
        }
    };
    let ended = cli.command.run(&cli.common, &world);
    world.cache.trouble().iter().for_each(|finding| world.term.finding(finding));
    match ended {
        Ok(code) => code,
        Err(error) => {
            world.term.error(&error);
            ExitCode::FAILURE
        }
    }
}

impl Command {
    /// Whether it runs what is the user's own, in an environment that is the user's.
    fn passes_tokens_on(&self) -> bool {
        matches!(self, Command::Run(_) | Command::Test(_) | Command::Ci(_))
    }

    fn run(self, common: &Common, world: &World) -> Result<ExitCode> {
        match self {
            Command::Build(args) => build::run(args, common, world),
            Command::Run(args) => run::run(args, common, world),
            Command::Archive(args) => archive::run(args, common, world),
            Command::Image(args) => image::run(*args, common, world),
            Command::Dockerfile(args) => dockerfile::run(args, common, world),
            Command::Krew(args) => krew::run(*args, common, world),
            Command::Release(args) => release::run(args, common, world),
            Command::Check(args) => check::run(*args, common, world),
            Command::Test(args) => test::run(args, common, world),
            Command::Ci(args) => ci::run(*args, common, world),
            Command::Setup(args) => setup::run(args, common, world),
            Command::Init(args) => init::run(&args, common, world),
            Command::Clean(args) => clean::run(args, common, world),
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
    let matches = Cli::command().version(version.to_owned()).try_get_matches_from(args)?;
    Cli::from_arg_matches(&matches)
}

#[expect(clippy::disallowed_methods, reason = "the working directory is read here, once")]
fn world(common: &Common, passes_tokens_on: bool) -> Result<World, (anyhow::Error, Term)> {
    let given = process::environment();
    let env = Env::scrub(given.as_ref().map(Vec::clone).unwrap_or_default());
    let tokens = Tokens { github: env.token(GITHUB_TOKEN), krew: env.token(KREW_GITHUB_TOKEN) };
    let env = if passes_tokens_on { env.with_tokens() } else { env };
    let term = Term::new(Settings {
        verbosity: match (common.quiet, common.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, 0) => Verbosity::Normal,
            (_, 1) => Verbosity::Verbose,
            _ => Verbosity::Trace,
        },
        color: common.color,
        json: common.json,
        annotate: env.get("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
        no_color: env.get("NO_COLOR").is_some(),
    });
    if let Err(error) = given {
        return Err((error, term));
    }
    match std::env::current_dir().context("find the working directory") {
        Ok(dir) => {
            let env = env.anchored(&dir);
            Ok(World { cache: cache(&env, &dir), dir, env, tokens, term })
        }
        Err(error) => Err((error.context(Help("change into a folder that exists".into())), term)),
    }
}

/// DOCKLESS_CACHE, or else this tool's own folder among the platform's caches.
fn cache(env: &Env, dir: &Path) -> Cache {
    let set = |name| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let absolute = |name| set(name).filter(|place| place.is_absolute());
    if let Some(named) = set("DOCKLESS_CACHE") {
        return Cache::at(&dir.join(named));
    }
    let (place, unset) = match std::env::consts::OS {
        "macos" => (absolute("HOME").map(|home| home.join("Library/Caches")), "HOME is"),
        "windows" => (absolute("LOCALAPPDATA"), "LOCALAPPDATA is"),
        // https://specifications.freedesktop.org/basedir-spec/latest/
        _ => {
            let home = || absolute("HOME").map(|home| home.join(".cache"));
            (absolute("XDG_CACHE_HOME").or_else(home), "XDG_CACHE_HOME and HOME are")
        }
    };
    match place {
        Some(place) => Cache::own(&place.join("dockless")),
        None => Cache::nowhere(&format!("{unset} not set to an absolute path")),
    }
}

impl World {
    /// Appends Markdown to the job's summary page, where there is one.
    fn summary(&self, markdown: &str) -> Result<()> {
        match self.env.get("GITHUB_STEP_SUMMARY") {
            Some(path) => {
                files::append(Path::new(path), markdown).context("write GITHUB_STEP_SUMMARY")
            }
            None => Ok(()),
        }
    }

    /// Hands a value on to the later steps of a workflow's job, where there is one.
    /// <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#setting-an-output-parameter>
    fn output(&self, name: &str, value: &str) -> Result<()> {
        let Some(path) = self.env.get("GITHUB_OUTPUT") else { return Ok(()) };
        files::append(Path::new(path), &format!("{name}={}\n", tame(value)))
            .context("write GITHUB_OUTPUT")
    }

    /// Where GitHub's API is.
    fn api(&self) -> Result<Url> {
        let named = self.env.get("GITHUB_API_URL").map(|url| url.to_string_lossy());
        let url = named.as_deref().unwrap_or(github::API);
        let fix = "set it to an address such as https://api.github.com, or unset it";
        Url::parse(url).context("read GITHUB_API_URL").context(Help(fix.to_owned()))
    }

    /// What a workflow, or the user, says of the repository.
    fn whereabouts(&self, request: &mut Request) -> Result<()> {
        if let Some(url) = self.env.get("GITHUB_SERVER_URL") {
            let url = Url::parse(&url.to_string_lossy()).context("read GITHUB_SERVER_URL")?;
            request.server = url.origin.authority();
        }
        let named = self.env.get("GITHUB_REPOSITORY").map(|name| name.to_string_lossy());
        request.workflow = named.as_deref().and_then(Slug::parse);
        request.origin = git::origin(&self.dir, &self.env)?;
        Ok(())
    }

    /// How servers are spoken to, with what the command line adds to the settings.
    fn http(&self, network: &NetworkConfig, more: &NetworkArgs, common: &Common) -> Http<'_> {
        let var = |name: &str| self.env.get(name).map(|value| value.to_string_lossy().into_owned());
        let own = more.ca.iter().map(|ca| self.dir.join(ca));
        let instead = self.env.get("SSL_CERT_FILE").map(|path| self.dir.join(path));
        let plain = network.plain_http.iter().chain(&more.plain_http);
        let settings = http::Settings {
            trust: http::Trust {
                instead,
                besides: network.ca.iter().cloned().chain(own).collect(),
            },
            proxies: http::Proxies::read(var),
            plain_http: plain.cloned().collect(),
            timeout: network.timeout,
            retries: network.retries,
            network: common.network(),
        };
        Http::new(settings, &self.term)
    }

    fn registry<'a>(
        &'a self,
        http: &'a Http<'a>,
        blobs: &'a Blobs,
        network: &NetworkConfig,
    ) -> Registry<'a> {
        let github = self.tokens.github.as_ref();
        Registry::new(http, &self.env, github, blobs, network.jobs, &self.term)
    }

    /// A variable of the tool's own, which is withheld from others where it holds a login.
    fn own(&self, name: &str) -> Option<String> {
        let plain = self.env.get(name).map(|value| value.to_string_lossy().into_owned());
        plain.or_else(|| self.env.token(name).map(|value| value.expose().to_owned()))
    }

    /// DOCKLESS_REPOSITORY, as KO_DOCKER_REPO is for ko.
    fn repository(&self) -> Result<Option<Above>> {
        let Some(text) = self.own("DOCKLESS_REPOSITORY") else { return Ok(None) };
        Above::parse(&text).map(Some).context("read DOCKLESS_REPOSITORY")
    }

    /// The project's settings of the network; the defaults, where there is no project.
    fn network_config(&self, common: &Common) -> Result<NetworkConfig> {
        let mut above = self.dir.ancestors();
        if common.manifest_path.is_none() && !above.any(|dir| dir.join("Cargo.toml").is_file()) {
            return Ok(NetworkConfig::default());
        }
        let (project, raw) = project::discover(&self.select(common, &[]), &self.cache)?;
        Ok(config::resolve(raw, &project).map_err(Findings)?.network)
    }

    fn select(&self, common: &Common, targets: &[String]) -> Select {
        Select {
            dir: self.dir.clone(),
            manifest_path: common.manifest_path.clone(),
            targets: targets.to_vec(),
            network: common.network(),
            env: self.env.clone(),
        }
    }

    /// The project, for commands that need no settings.
    fn project(&self, common: &Common) -> Result<Project> {
        Ok(project::discover(&self.select(common, &[]), &self.cache)?.0)
    }

    /// Facts and settings, for those who decide nothing.
    fn project_and_config(&self, common: &Common) -> Result<(Project, Config)> {
        let (project, raw) = project::discover(&self.select(common, &[]), &self.cache)?;
        let config = config::resolve(raw, &project).map_err(Findings)?;
        Ok((project, config))
    }

    /// Facts, settings, decisions: how every command that builds begins.
    fn plan(&self, common: &Common, request: &Request) -> Result<(Project, Plan)> {
        self.plan_and_config(common, request).map(|(project, plan, _)| (project, plan))
    }

    /// The same with the settings.
    fn plan_and_config(
        &self,
        common: &Common,
        request: &Request,
    ) -> Result<(Project, Plan, Config)> {
        let drafted = self.drafted(common, request)?;
        let Drafted { project, plan: Some(plan), errors, config } = drafted else {
            return Err(Findings(drafted.errors).into());
        };
        if !errors.is_empty() {
            return Err(Findings(errors).into());
        }
        plan.warnings.iter().for_each(|warning| self.term.finding(warning));
        Ok((project, plan, config))
    }

    /// The same with what is wrong with the plan, for those who look at more.
    fn drafted(&self, common: &Common, request: &Request) -> Result<Drafted> {
        let (mut project, raw) =
            project::discover(&self.select(common, &request.targets), &self.cache)?;
        let config: Config = config::resolve(raw, &project).map_err(Findings)?;
        let wanted = plan::wanted(&config, &project, request).map_err(Findings)?;
        project.learn_graphs(&wanted, common.network(), &self.cache, &self.term)?;
        project.learn_inputs(&plan::inputs(&config, &project, request))?;
        let (plan, errors) = plan::plan(&config, &project, request);
        Ok(Drafted { project, plan, errors, config })
    }
}

impl Common {
    fn network(&self) -> Network {
        if self.offline { Network::Offline } else { Network::Online }
    }
}

impl Selection {
    fn request(self, mode: Mode, common: &Common) -> Request {
        Request {
            mode,
            part: Part::All,
            packages: self.package,
            targets: self.target,
            platforms: Vec::new(),
            bins: self.bin,
            features: self.features,
            all_features: self.all_features,
            no_default_features: self.no_default_features,
            profile: self.profile,
            release: false,
            locked: common.locked,
            network: common.network(),
            jobs: self.jobs,
            skip: Vec::new(),
            repository: None,
            plugins: false,
            elsewhere: false,
            draft: false,
            server: SERVER.to_owned(),
            workflow: None,
            origin: None,
        }
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
