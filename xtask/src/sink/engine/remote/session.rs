//! One login to each machine: a shell there that is told what to do, and a tunnel back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Host;
use crate::finding::failure;
use crate::http::{Answer, Asked, Listener};
use crate::parallel::locked;
use crate::process::{Dialog, Env, Heard, Program, excerpt};
use crate::secret::Secret;
use crate::term::Term;

/// The machines that images are loaded into. Each is logged in to once.
#[derive(Debug, Default)]
pub struct Hosts(Mutex<BTreeMap<Host, Session>>);

/// A shell on another machine.
#[derive(Debug)]
pub struct Session {
    host: Host,
    dialog: Dialog,
    /// Where the tunnel ends.
    listener: Listener,
    /// The port of the other machine's loopback where it begins.
    port: u16,
    /// What the lines begin with that are not another program's.
    mark: String,
}

/// What the other machine's shell is to do.
pub struct Script<'a> {
    pub text: &'a str,
    pub vars: &'a [(&'a str, &'a str)],
    /// Its `$@`.
    pub args: &'a [&'a str],
}

/// How a script ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    /// Of stdout and stderr.
    pub output: String,
}

/// How long a login may take where nobody is asked, and where somebody types.
const LOGIN: Duration = Duration::from_secs(60);
const TYPED: Duration = Duration::from_secs(600);
/// How long a shell may take for nothing.
const NOTHING: Duration = Duration::from_secs(10);
/// How often it is looked whether anything moves.
const TURN: Duration = Duration::from_millis(200);
/// How much a script may print, in bytes.
const OUTPUT: usize = 1 << 20;

/// The shell's own preparations. Where nobody logs in to type, PATH lacks these folders.
const PREPARE: &str =
    "PATH=$PATH:/usr/local/bin:/usr/sbin:/sbin:/snap/bin; LC_ALL=C; export PATH LC_ALL\n";

impl Ended {
    pub fn is_success(&self) -> bool {
        self.code == 0
    }

    /// What follows the word in the last line that begins with it.
    pub fn said(&self, word: &str) -> Option<&str> {
        let mut lines = self.output.lines().rev();
        lines.find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
    }
}

impl Hosts {
    /// Works with the machine's shell, which is there already or is begun.
    pub(super) fn with<T>(
        &self,
        host: &Host,
        env: &Env,
        term: &Term,
        work: impl FnOnce(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let mut open = locked(&self.0);
        // A connection may have broken while programs were compiled.
        let kept = open.remove(host).and_then(|mut session| {
            let nothing = Script { text: ":\n", vars: &[], args: &[] };
            session.run(&nothing, NOTHING).is_ok().then_some(session)
        });
        let mut session = match kept {
            Some(session) => session,
            None => Session::open(host, env, term)?,
        };
        let done = work(&mut session);
        // One that is broken is found out by the next who needs it.
        open.insert(host.clone(), session);
        done
    }
}

impl Session {
    fn open(host: &Host, env: &Env, term: &Term) -> Result<Session> {
        let listener = Listener::loopback()?;
        let asks = term.has_user() && env.get("CI").is_none();
        let mark = format!("dockless-{}", &Secret::random()?.expose()[..16]);
        let program = ssh(host, listener.port(), asks, env);
        let ready = format!("{PREPARE}printf '\\n%s\\n' {mark}\n");
        let begin = || -> Result<Dialog> {
            let mut dialog = program.talk()?;
            // Where it has ended, it has said why.
            _ = dialog.say(&ready);
            let until = Instant::now() + if asks { TYPED } else { LOGIN };
            loop {
                match dialog.hear(until.saturating_duration_since(Instant::now())) {
                    Heard::Line(line) if line == mark => return Ok(dialog),
                    Heard::Line(_) => {}
                    Heard::End => return Err(refused(host, &mut dialog)),
                    Heard::Silence => {
                        let why =
                            format!("{host} did not let anybody in: it was waited for too long");
                        bail!(failure(why, format!("see what `{}` says", host.command())));
                    }
                }
            }
        };
        term.step("connect", format_args!("to {host} with ssh"));
        let dialog = if asks { term.foreign(begin)? } else { begin()? };
        let port = forwarded(host, &dialog, listener.port())?;
        Ok(Session { host: host.clone(), dialog, listener, port, mark })
    }

    /// Runs a script to its end, while requests through the tunnel are answered. `sent` says what
    /// has been sent; where nothing more is and nothing ends for so long, it fails.
    pub fn serve<'a>(
        &mut self,
        script: &Script<'_>,
        patience: Duration,
        answer: &(dyn Fn(&Asked) -> Answer<'a> + Sync),
        sent: &dyn Fn() -> u64,
    ) -> Result<Ended> {
        let Session { host, dialog, listener, port, mark } = self;
        let at = format!("127.0.0.1:{port}");
        let text = script.shell(&at, mark);
        listener.serve(answer, || run(host, dialog, &text, mark, patience, sent))
    }

    /// Runs a script to its end, which it must reach within this time.
    pub fn run(&mut self, script: &Script<'_>, patience: Duration) -> Result<Ended> {
        let text = script.shell("", &self.mark);
        run(&self.host, &mut self.dialog, &text, &self.mark, patience, &|| 0)
    }
}

/// The user's ssh, with a shell on the other machine and a port there that leads to this one. Of
/// the settings of the user, those are left out that would hide the port, or start something else.
fn ssh<'a>(host: &Host, port: u16, asks: bool, env: &'a Env) -> Program<'a> {
    let mut program = Program::new("ssh", Path::new("."), env).args(["-T", "-a", "-x"]);
    for option in [
        "LogLevel=INFO",
        "ControlMaster=no",
        "ControlPath=none",
        "ClearAllForwardings=no",
        "RemoteCommand=none",
        "PermitLocalCommand=no",
        "ExitOnForwardFailure=no",
        "ConnectTimeout=30",
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
    ] {
        program = program.args(["-o", option]);
    }
    if !asks {
        program = program.args(["-o", "BatchMode=yes"]);
    }
    if let Some(port) = host.port {
        program = program.args(["-p", &port.to_string()]);
    }
    let tunnel = format!("127.0.0.1:0:127.0.0.1:{port}");
    program.args(["-R", &tunnel, "--", &host.destination(), "exec sh"])
}

/// Why ssh has ended before there was a shell.
fn refused(host: &Host, dialog: &mut Dialog) -> anyhow::Error {
    let status = dialog.end().map_or_else(String::new, |status| format!(" ({status})"));
    let said = dialog.stderr();
    let command = host.command();
    let fix = if said.contains("Host key verification failed") {
        format!("run `{command}` once, and compare the key that it shows with the host's")
    } else if said.contains("Permission denied") || said.contains("Too many authentication") {
        "load a key with `ssh-add`, or name one as IdentityFile in ~/.ssh/config: without a \
         terminal ssh asks for no password"
            .to_owned()
    } else {
        format!("see what `{command}` says")
    };
    failure(format!("connect to {host} with ssh{status}:\n{}", excerpt(&said)), fix)
}

/// The port of the other machine that leads to this port. ssh has asked for it before it asked for
/// the shell, so it says soon what came of it.
fn forwarded(host: &Host, dialog: &Dialog, own: u16) -> Result<u16> {
    let end = format!(" for remote forward to 127.0.0.1:{own}");
    let until = Instant::now() + NOTHING;
    loop {
        let said = dialog.stderr();
        let mut lines = said.lines().filter_map(|line| {
            line.trim_end().strip_suffix(&end)?.rsplit_once("Allocated port ")?.1.parse().ok()
        });
        if let Some(port) = lines.next() {
            return Ok(port);
        }
        if said.contains("remote port forwarding failed") || Instant::now() > until {
            bail!(failure(
                format!("{host} forwards no port to this machine:\n{}", excerpt(&said)),
                "allow it in the host's sshd_config: `AllowTcpForwarding remote` or `yes`, no \
                 `DisableForwarding` and no `PermitListen` that excludes 127.0.0.1",
            ));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Script<'_> {
    /// The script as a shell reads it: by itself, with its variables, and followed by its status.
    fn shell(&self, at: &str, mark: &str) -> String {
        let mut shell = format!("(\nat={}\n", quoted(at));
        for (name, value) in self.vars {
            // Nothing fails that writes to a String.
            _ = writeln!(shell, "{name}={}", quoted(value));
        }
        let args: Vec<String> = self.args.iter().map(|arg| quoted(arg)).collect();
        _ = writeln!(shell, "set -- {}\n{}\n) </dev/null 2>&1", args.join(" "), self.text);
        _ = writeln!(shell, "printf '\\n%s %s\\n' {mark} \"$?\"");
        shell
    }
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn run(
    host: &Host,
    dialog: &mut Dialog,
    shell: &str,
    mark: &str,
    patience: Duration,
    sent: &dyn Fn() -> u64,
) -> Result<Ended> {
    let again =
        || format!("run the command again; if it stays so, see what `{}` says", host.command());
    // Where the connection is broken, nothing more is heard either.
    _ = dialog.say(shell);
    let mut output = String::new();
    let (mut moved, mut before) = (Instant::now(), sent());
    loop {
        match dialog.hear(TURN) {
            Heard::Line(line) => {
                let status = line.strip_prefix(mark).and_then(|status| status.trim().parse().ok());
                if let Some(code) = status {
                    return Ok(Ended { code, output });
                }
                output += &line;
                output.push('\n');
                if output.len() > OUTPUT {
                    bail!(failure(format!("{host} prints without end"), again()));
                }
            }
            Heard::Silence => {}
            Heard::End => {
                dialog.end();
                let said = excerpt(&format!("{output}\n{}", dialog.stderr()));
                bail!(failure(format!("the connection to {host} broke off:\n{said}"), again()));
            }
        }
        let now = sent();
        if now != before {
            (moved, before) = (Instant::now(), now);
        } else if moved.elapsed() > patience {
            let why = format!("{host} did nothing for {} s", patience.as_secs());
            bail!(failure(why, again()));
        }
    }
}
