//! What was read from the world once, and what every command asks of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::{Command, Common, NetworkArgs};
use crate::cache::{Blobs, Cache};
use crate::config::{self, CheckConfig, Config, NetworkConfig};
use crate::files::{self, Boundary};
use crate::finding::{Finding, Findings, Help};
use crate::forge;
use crate::http::{self, Http};
use crate::plan::{self, Plan, PublishOptions, Request};
use crate::process::{self, Env, OwnToken};
use crate::project::{self, Invocation, Project, RawConfig, git};
use crate::reference::Above;
use crate::registry::Registry;
use crate::secret::Secret;
use crate::sink::Hosts;
use crate::term::{Settings, Term, Verbosity, links, tame};

/// What was read from the world once, and is passed to whoever acts.
pub struct World {
    pub dir: PathBuf,
    pub env: Env,
    /// GITHUB_TOKEN, which no program that is started sees.
    github_token: Option<Secret>,
    pub cache: Cache,
    pub term: Term,
    /// Where images are loaded over ssh.
    pub hosts: Hosts,
}

/// What says how programs are audited.
pub struct CheckSettings {
    pub config: CheckConfig,
    /// The folder that settings are relative to.
    pub root: PathBuf,
    /// Around the files of settings.
    pub boundary: Boundary,
}

/// A plan that may have errors yet, and what it is made of.
pub struct Drafted {
    pub project: Project,
    pub plan: Option<Plan>,
    pub errors: Vec<Finding>,
    pub config: Config,
}

impl World {
    /// Reads what there is. An error comes with what shows it.
    #[expect(clippy::disallowed_methods, reason = "the working directory is read here, once")]
    pub fn read(common: &Common, passes_tokens_on: bool) -> Result<World, (anyhow::Error, Term)> {
        let given = process::environment();
        let env = Env::scrub(given.as_ref().map(Vec::clone).unwrap_or_default());
        let github_token = env.token(OwnToken::GitHub);
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
            links: links::are_shown(|name| Some(env.get(name)?.to_string_lossy().into_owned())),
        });
        if let Err(error) = given {
            return Err((error, term));
        }
        match std::env::current_dir().context("find the working directory") {
            Ok(dir) => {
                let env = env.anchored(&dir);
                Ok(World {
                    cache: cache(&env, &dir),
                    dir,
                    env,
                    github_token,
                    term,
                    hosts: Hosts::default(),
                })
            }
            Err(error) => {
                Err((error.context(Help("change into a folder that exists".into())), term))
            }
        }
    }

    /// Listens for Ctrl-C and for requests to end, for a command that is not itself run by others.
    pub fn listen(&self, command: &Command) -> Result<()> {
        if matches!(command, Command::Cross(_)) {
            return Ok(());
        }
        let (term, left) = (self.term.clone(), command.left_to_do());
        process::on_signal(Arc::clone(self.env.children()), move || term.interrupted(left))
    }

    /// Appends Markdown to the job's summary page, where there is one.
    pub fn summary(&self, markdown: &str) -> Result<()> {
        match self.env.get("GITHUB_STEP_SUMMARY") {
            Some(path) => {
                files::append(Path::new(path), markdown).context("write GITHUB_STEP_SUMMARY")
            }
            None => Ok(()),
        }
    }

    /// Hands a value on to the later steps of a workflow's job, where there is one.
    /// <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#setting-an-output-parameter>
    pub fn output(&self, name: &str, value: &str) -> Result<()> {
        let Some(path) = self.env.get("GITHUB_OUTPUT") else { return Ok(()) };
        files::append(Path::new(path), &format!("{name}={}\n", tame(value)))
            .context("write GITHUB_OUTPUT")
    }

    /// What a workflow, or git, says of where a release is published.
    pub fn publish_options(&self) -> Result<PublishOptions> {
        let forge::Workflow { server, repository } = forge::workflow(&self.env)?;
        let origin = git::origin(&self.dir, &self.env)?;
        Ok(PublishOptions { server, workflow: repository, origin, ..PublishOptions::default() })
    }

    /// How servers are spoken to, with what the command line adds to the settings.
    pub fn http(&self, network: &NetworkConfig, more: &NetworkArgs, common: &Common) -> Http<'_> {
        let var = |name: &str| self.env.get(name).map(|value| value.to_string_lossy().into_owned());
        let own = more.ca.iter().map(|ca| self.dir.join(ca));
        let instead = self.env.get("SSL_CERT_FILE").map(|path| self.dir.join(path));
        let plain = network.plain_http.iter().chain(&more.plain_http);
        let settings = http::Settings {
            trust: http::Trust {
                instead,
                besides: network.ca.iter().cloned().chain(own).collect(),
                per_host: certs_d(&self.env),
            },
            proxies: http::Proxies::read(var),
            plain_http: plain.cloned().collect(),
            timeout: network.timeout,
            retries: network.retries,
            network: common.network(),
        };
        Http::new(settings, &self.term)
    }

    pub fn registry<'a>(
        &'a self,
        http: &'a Http<'a>,
        blobs: &'a Blobs,
        network: &NetworkConfig,
    ) -> Registry<'a> {
        let github = self.github_token.as_ref();
        Registry::new(http, &self.env, github, blobs, network.jobs, &self.term)
    }

    /// A variable of the tool's own, which is withheld from others where it holds a login.
    pub fn own(&self, name: &str) -> Option<String> {
        let plain = self.env.get(name).map(|value| value.to_string_lossy().into_owned());
        plain.or_else(|| self.env.secret(name).map(|value| value.expose().to_owned()))
    }

    /// What `--repository` names, or else DOCKLESS_REPOSITORY, as KO_DOCKER_REPO is for ko.
    pub fn repository(&self, named: Option<&Above>) -> Result<Option<Above>> {
        if let Some(named) = named {
            return Ok(Some(named.clone()));
        }
        let Some(text) = self.own("DOCKLESS_REPOSITORY") else { return Ok(None) };
        Above::parse(&text).map(Some).context("read DOCKLESS_REPOSITORY")
    }

    /// The project's settings; `None` where there is no project.
    pub fn settings(&self, common: &Common) -> Result<Option<Config>> {
        if !self.is_in_project(common) {
            return Ok(None);
        }
        Ok(Some(self.project_and_config(common, &[])?.1))
    }

    /// The project's settings of the network; the defaults, where there is no project.
    pub fn network_config(&self, common: &Common) -> Result<NetworkConfig> {
        Ok(self.settings(common)?.map_or_else(NetworkConfig::default, |config| config.network))
    }

    /// The project's settings of audits; the defaults, where there is no project.
    pub fn check_settings(&self, common: &Common) -> Result<CheckSettings> {
        if !self.is_in_project(common) {
            let (config, root) = (config::default_checks(), self.dir.clone());
            return Ok(CheckSettings { config, boundary: Boundary::new(&root, &[])?, root });
        }
        let (project, config) = self.project_and_config(common, &[])?;
        let Project { root, boundary, .. } = project;
        Ok(CheckSettings { config: config.check, root, boundary })
    }

    fn is_in_project(&self, common: &Common) -> bool {
        self.project_dir(common).is_some()
    }

    /// The folder of the manifest that is meant, where there is one.
    pub fn project_dir(&self, common: &Common) -> Option<PathBuf> {
        if let Some(named) = &common.manifest_path {
            let named = self.dir.join(named);
            return if named.is_dir() { Some(named) } else { named.parent().map(Path::to_owned) };
        }
        let mut above = self.dir.ancestors();
        above.find(|dir| dir.join("Cargo.toml").is_file()).map(Path::to_owned)
    }

    /// The project and the tables that configure it; `targets` are those of the command line.
    pub fn discover(
        &self,
        common: &Common,
        targets: &[String],
    ) -> Result<(Project, Vec<RawConfig>)> {
        let invocation = Invocation {
            dir: self.dir.clone(),
            manifest_path: common.manifest_path.clone(),
            targets: targets.to_vec(),
            network: common.network(),
            env: self.env.clone(),
        };
        project::discover(&invocation, &self.cache)
    }

    /// The project, for commands that need no settings.
    pub fn project(&self, common: &Common) -> Result<Project> {
        Ok(self.discover(common, &[])?.0)
    }

    /// Facts and settings, for those who decide nothing.
    pub fn project_and_config(
        &self,
        common: &Common,
        targets: &[String],
    ) -> Result<(Project, Config)> {
        let (project, raw) = self.discover(common, targets)?;
        let config = config::resolve(raw, &project).map_err(Findings)?;
        Ok((project, config))
    }

    /// Facts, settings, decisions: how every command that builds begins.
    pub fn plan(&self, common: &Common, request: &Request) -> Result<(Project, Plan, Config)> {
        self.drafted(common, request)?.approved(&self.term)
    }

    /// The same with what is wrong with the plan, for those who look at more.
    pub fn drafted(&self, common: &Common, request: &Request) -> Result<Drafted> {
        let (project, config) = self.project_and_config(common, &request.select.targets)?;
        self.draft(project, config, common, request)
    }

    /// The same, for those who ask the project what to request.
    pub fn draft(
        &self,
        mut project: Project,
        config: Config,
        common: &Common,
        request: &Request,
    ) -> Result<Drafted> {
        let wanted = plan::wanted(&config, &project, request).map_err(Findings)?;
        project.learn_graphs(&wanted, common.network(), &self.cache, &self.term)?;
        project.learn_inputs(&plan::inputs(&config, &project, request))?;
        let (plan, errors) = plan::plan(&config, &project, request);
        Ok(Drafted { project, plan, errors, config })
    }
}

impl Drafted {
    /// The plan with what it is made of, where nothing is wrong with it or with what it needs.
    pub fn approved(self, term: &Term) -> Result<(Project, Plan, Config)> {
        let Drafted { project, plan, errors, config } = self;
        let mut known: Vec<Finding> = Vec::new();
        for error in errors {
            if !known.contains(&error) {
                known.push(error);
            }
        }
        match plan {
            Some(plan) if known.is_empty() => {
                plan.warnings.iter().for_each(|warning| term.finding(warning));
                Ok((project, plan, config))
            }
            _ => bail!(Findings(known)),
        }
    }
}

/// The folders in which docker and podman keep certificates for registries, the user's first.
fn certs_d(env: &Env) -> Vec<PathBuf> {
    let at = |name: &str| env.get(name).map(PathBuf::from);
    let home = at("HOME").or_else(|| at("USERPROFILE"));
    let config = at("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let docker = home.map(|home| home.join(".docker/certs.d"));
    let podman = config.map(|config| config.join("containers/certs.d"));
    let all = ["/etc/docker/certs.d", "/etc/containers/certs.d"].map(PathBuf::from);
    docker.into_iter().chain(podman).chain(all).collect()
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
