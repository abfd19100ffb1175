//! Engines on other machines. The user's own `ssh` opens a tunnel from that machine's loopback to a
//! server in this process; the engine there pulls through it, and so asks for what it lacks only.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::served::Served;
use self::session::{Ended, Script, Session};
use super::super::archive;
use super::known;
use crate::files;
use crate::finding::failure;
use crate::http::Asked;
use crate::oci::Root;
use crate::process::{Env, excerpt};
use crate::reference::Reference;
use crate::registry::Registry;
use crate::secret::Secret;
use crate::target::Platform;
use crate::term::{self, Term};

mod served;
mod session;

pub use session::Hosts;

/// An engine on another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    host: Host,
    engine: There,
}

/// Where ssh connects to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Host {
    user: Option<String>,
    name: String,
    port: Option<u16>,
}

/// The engines of other machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    Docker,
    Podman,
    Containerd,
}

/// How long an engine may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long an engine may neither ask for anything nor end: it unpacks layers meanwhile.
const UNPACK: Duration = Duration::from_secs(600);
/// The user by which the engine logs in to the server in this process.
const USER: &str = "dockless";

impl Remote {
    /// The scheme before the host.
    pub const SCHEME: &str = "ssh://";

    /// Parses `ssh://[USER@]HOST[:PORT][/ENGINE]`. ssh's own settings may put parts of it into
    /// commands, so it has no character that means something to a shell.
    pub fn parse(text: &str) -> Result<Remote> {
        let form = "it has the form ssh://[USER@]HOST[:PORT][/docker|/podman|/containerd]";
        let rest = text.strip_prefix(Remote::SCHEME).context(form)?;
        let (place, engine) = rest.split_once('/').unwrap_or((rest, "docker"));
        let engine = match engine {
            "" | "docker" => There::Docker,
            "podman" => There::Podman,
            "containerd" => There::Containerd,
            _ => bail!("it names no engine: {form}"),
        };
        let (user, place) = match place.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, place),
        };
        if user.is_some_and(|user| user.contains(':')) {
            bail!("it has no password: ssh asks for it, or has a key");
        }
        let (name, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) => {
                ensure!(
                    address.contains(':') && is_plain(address, ":%"),
                    "it has no address in []"
                );
                (address, port)
            }
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        ensure!(is_plain(name, ":%"), "it names no host: {form}");
        ensure!(user.is_none_or(|user| is_plain(user, "+")), "it names no user: {form}");
        let number = |port: &str| port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0);
        let port = match port {
            "" => None,
            port => Some(number(port).context("its port is no number from 1 to 65535")?),
        };
        let user = user.map(str::to_owned);
        Ok(Remote { host: Host { user, name: name.to_owned(), port }, engine })
    }

    /// Fails where the machine cannot be reached, forwards nothing, or has no engine that answers.
    /// Returns the engine's platform, where it tells it.
    pub fn probe(&self, hosts: &Hosts, env: &Env, term: &Term) -> Result<Option<Platform>> {
        hosts.with(&self.host, env, term, |session| self.platform(session))
    }

    fn platform(&self, session: &mut Session) -> Result<Option<Platform>> {
        let script = Script { text: self.engine.ask(), vars: &[], args: &[] };
        let ended = session.run(&script, ANSWER)?;
        if !ended.is_success() {
            let fix = format!("see what `{} {}` says", self.host.command(), self.engine.shown());
            return Err(self.failed(&ended, &fix));
        }
        let platform =
            ended.output.lines().rev().find_map(|line| Platform::parse(line.trim()).ok());
        if self.engine == There::Containerd {
            return Ok(platform);
        }
        let said = || format!("{self} printed no platform:\n{}", excerpt(&ended.output));
        platform.map(Some).with_context(said)
    }

    /// Why a script failed on the other machine.
    fn failed(&self, ended: &Ended, fix: &str) -> anyhow::Error {
        let program = self.engine.program();
        if ended.code == NOT_FOUND {
            let other = There::ALL.into_iter().find(|it| *it != self.engine).map(There::name);
            return failure(
                format!("{} has no program `{program}`", self.host),
                format!(
                    "install {program} there, or name another engine: {}{}/{}",
                    Remote::SCHEME,
                    self.host,
                    other.unwrap_or_default()
                ),
            );
        }
        let said = excerpt(&ended.output);
        failure(format!("{self} failed (exit status {}):\n{said}", ended.code), fix)
    }

    /// Has the engine pull the image, gives it its names, and returns the name by which the engine
    /// has it.
    pub fn load(
        &self,
        root: &Root,
        names: &[Reference],
        registry: &Registry<'_>,
        hosts: &Hosts,
        env: &Env,
        term: &Term,
    ) -> Result<String> {
        hosts.with(&self.host, env, term, |session| {
            self.load_there(session, root, names, registry, env, term)
        })
    }

    fn load_there(
        &self,
        session: &mut Session,
        root: &Root,
        names: &[Reference],
        registry: &Registry<'_>,
        env: &Env,
        term: &Term,
    ) -> Result<String> {
        let root = match self.platform(session)? {
            // Docker's classic store has no indexes.
            Some(platform) if self.engine == There::Docker => {
                Root::Image(Box::new(root.narrow(&platform)?))
            }
            _ => root.clone(),
        };
        let root = registry.fetch(&root)?;
        let name = names.first().context("name the image")?;
        let digested = name.repository.at(&root.digest());
        let mut given: Vec<String> =
            names.iter().filter(|it| it.tag.is_some()).map(ToString::to_string).collect();
        if self.engine == There::Containerd {
            // containerd finds an image by its digest only where a name has the digest.
            given.push(digested.to_string());
        }
        ensure!(!given.is_empty(), "{} has no tag, and {self} needs one to name it", name);
        let login = STANDARD.encode(format!("{USER}:{}", Secret::random()?.expose()));
        let login = Secret::new(login);
        let served = Served::new(&root, &login);
        term.step(
            "load",
            format_args!("into {self}: what it lacks of {}", term::size(root.size())),
        );
        let digest = root.digest().to_string();
        let namespace = env.get("CONTAINERD_NAMESPACE").map(|it| it.to_string_lossy());
        let vars = [
            ("login", login.expose()),
            ("digest", &digest),
            ("digested", &digested.to_string()),
            ("namespace", namespace.as_deref().unwrap_or_default()),
        ];
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let mut serve = |text: &str| -> Result<Ended> {
            let script = Script { text, vars: &vars, args: &given };
            let answer = |asked: &Asked| served.answer(asked);
            let mut ended = session.serve(&script, UNPACK, &answer, &|| served.sent())?;
            // No engine prints it; one that does is not passed on.
            ended.output = ended.output.replace(login.expose(), "…");
            Ok(ended)
        };
        let mut ended = serve(self.engine.pull())?;
        let is_reached = ended.is_success() || served.was_asked();
        if !is_reached && self.engine == There::Docker {
            let why = "does not reach 127.0.0.1 there, so all layers are sent";
            term.step("load", format_args!("{self} {why}"));
            let temp = files::temporary_dir()?;
            let file = temp.path().join("image.tar");
            archive::docker(&root, names, &file)?;
            served.offer(&file)?;
            ended = serve(include_str!("remote/docker-load.sh"))?;
        }
        if !ended.is_success() {
            let fix = match is_reached {
                true => "mend what it says, and run the command again",
                false => UNREACHED,
            };
            return Err(served.failure(self.failed(&ended, fix)));
        }
        let (size, layers) = (term::size(served.sent()), served.layers());
        term.step("load", format_args!("sent {size} to {}: {layers}", self.host));
        match self.engine {
            There::Docker => known(&root, name, ended.said("id").unwrap_or_default()),
            There::Podman | There::Containerd => Ok(digested.to_string()),
        }
    }
}

/// What to do where an engine has asked for nothing.
const UNREACHED: &str = "an engine with a network of its own, as rootless Docker and Docker Desktop \
     have it, does not reach 127.0.0.1 of its machine: install curl there, or use another engine or a \
     registry";

/// Whether the text is of letters, digits, `.`, `_`, `-` and some more, and is no option.
fn is_plain(text: &str, more: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || more.contains(c);
    !text.is_empty() && text.len() <= 255 && !text.starts_with('-') && text.chars().all(plain)
}

impl Host {
    /// What follows ssh's options.
    fn destination(&self) -> String {
        match &self.user {
            Some(user) => format!("{user}@{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The command that connects to it.
    fn command(&self) -> String {
        let port = self.port.map_or_else(String::new, |port| format!("-p {port} "));
        format!("ssh {port}{}", self.destination())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.name.contains(':') {
            true => write!(f, "[{}]", self.name)?,
            false => f.write_str(&self.name)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.engine.name(), self.host)
    }
}

/// The exit status of a script that lacks its program, as shells have it.
const NOT_FOUND: i32 = 127;

impl There {
    const ALL: [There; 3] = [There::Docker, There::Podman, There::Containerd];

    fn name(self) -> &'static str {
        match self {
            There::Docker => "docker",
            There::Podman => "podman",
            There::Containerd => "containerd",
        }
    }

    fn program(self) -> &'static str {
        match self {
            There::Docker => "docker",
            There::Podman => "podman",
            There::Containerd => "ctr",
        }
    }

    /// What a person types to see whether it works.
    fn shown(self) -> &'static str {
        match self {
            There::Docker => "docker version",
            There::Podman => "podman info",
            There::Containerd => "ctr version",
        }
    }

    /// Prints the engine's platform, where it tells it.
    fn ask(self) -> &'static str {
        match self {
            There::Docker => {
                "command -v docker >/dev/null 2>&1 || exit 127\n\
                 docker version --format '{{.Server.Os}}/{{.Server.Arch}}'\n"
            }
            There::Podman => {
                "command -v podman >/dev/null 2>&1 || exit 127\n\
                 podman version --format '{{.OsArch}}'\n"
            }
            There::Containerd => {
                "command -v ctr >/dev/null 2>&1 || exit 127\n\
                 ctr --connect-timeout 5s version || exit\n\
                 case $(uname -sm) in\n\
                 'Linux x86_64') echo linux/amd64 ;;\n\
                 'Linux aarch64') echo linux/arm64 ;;\n\
                 esac\n"
            }
        }
    }

    /// Pulls `$digest` from `$at`, names it `$@`, and removes the name that it was pulled by. The
    /// login is in a file that only the user can read, and on no command line.
    fn pull(self) -> &'static str {
        match self {
            There::Docker => include_str!("remote/docker.sh"),
            There::Podman => include_str!("remote/podman.sh"),
            There::Containerd => include_str!("remote/containerd.sh"),
        }
    }
}

#[cfg(test)]
mod tests;
