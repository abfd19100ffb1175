//! The peers, each with a store of its own: buildah, podman, and docker with a daemon
//! of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, Run, remove, write};
use crate::program::{NAME, TARGETS};

/// What is built from the context; the architecture's name is handed over, because
/// without `--platform` buildah knows none.
const DOCKERFILE: &str = r#"FROM scratch
ARG TARGETARCH
ADD rootfs.tar /
COPY hello-$TARGETARCH /usr/local/bin/hello
USER 65532
ENTRYPOINT ["/usr/local/bin/hello"]
"#;

/// A way of building an image with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Buildah,
    /// buildah without a Dockerfile, on an image of the base that is there already.
    Commands,
    Podman,
    Docker,
}

pub struct Engines<'a> {
    bench: &'a Bench,
    dir: PathBuf,
    /// Those that are there, with their versions.
    there: Vec<(&'static str, String)>,
    daemon: Option<Child>,
}

/// How long the daemon may take to start; a tenth of a second is usual.
const PATIENCE: Duration = Duration::from_secs(30);

impl Way {
    pub const ALL: [Way; 4] = [Way::Buildah, Way::Commands, Way::Podman, Way::Docker];

    pub fn engine(self) -> &'static str {
        match self {
            Way::Buildah | Way::Commands => "buildah",
            Way::Podman => "podman",
            Way::Docker => "docker",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Way::Buildah => "buildah build + push",
            Way::Commands => "buildah from + copy + commit",
            Way::Podman => "podman build + push",
            Way::Docker => "docker build + save",
        }
    }

    /// The same where it ends in a registry.
    pub fn pushes(self) -> &'static str {
        match self {
            Way::Buildah => "buildah build + push to it",
            Way::Commands => "buildah from + copy + commit to it",
            Way::Podman => "podman build + push to it",
            Way::Docker => "docker build + push",
        }
    }
}

impl<'a> Engines<'a> {
    pub fn start(bench: &'a Bench) -> Result<Engines<'a>> {
        let dir = bench.dir.join("engines");
        // A killed daemon leaves the mark that it runs, and stores grow slow with age.
        remove(&dir)?;
        let mut engines = Engines { bench, dir, there: Vec::new(), daemon: None };
        for engine in ["buildah", "podman"] {
            let dir = engines.dir.join(engine);
            let (root, run) = (dir.join("root"), dir.join("run"));
            // With a mount on its own folder the store could not be removed.
            let store = format!(
                "[storage]\ndriver = \"overlay\"\ngraphroot = {root:?}\nrunroot = {run:?}\n\
                 [storage.options.overlay]\nskip_mount_home = \"true\"\n"
            );
            write(&dir.join("storage.conf"), &store)?;
        }
        let tmp = engines.dir.join("tmp");
        let engine = format!("[engine]\nevents_logger = \"none\"\ntmp_dir = {tmp:?}\n");
        write(&engines.dir.join("containers.conf"), &engine)?;
        for engine in ["buildah", "podman", "docker"] {
            match engines.look(engine)? {
                Some(version) => engines.there.push((engine, version)),
                None => eprintln!("skipped: {engine} is not on PATH"),
            }
        }
        Ok(engines)
    }

    /// The engine's version, where it is there; docker's daemon is started.
    fn look(&mut self, engine: &str) -> Result<Option<String>> {
        let last = |text: String| text.split_whitespace().last().unwrap_or("?").to_owned();
        if engine != "docker" {
            let run = self.bench.installed(engine, &["--version"])?;
            let word = |text: String| text.split_whitespace().nth(2).unwrap_or("?").to_owned();
            return Ok(run.map(word));
        }
        let daemon = self.bench.installed("dockerd", &["--version"])?;
        if daemon.is_none() || self.bench.installed(docker(), &["--version"])?.is_none() {
            return Ok(None);
        }
        self.daemon = Some(self.dockerd()?);
        let started = Instant::now();
        loop {
            let version = ["version", "--format", "{{.Server.Version}}"];
            match self.run("docker").args(version).read() {
                Ok(version) => return Ok(Some(last(version))),
                Err(error) if started.elapsed() > PATIENCE => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// A daemon that no one else sees, in processes and mounts of its own, which end
    /// with this process.
    fn dockerd(&self) -> Result<Child> {
        let dir = self.dir.join("docker");
        write(&dir.join("daemon.json"), "{}")?;
        let alone = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "dockerd"];
        let options = [
            ("--config-file=", "daemon.json"),
            ("--data-root=", "data"),
            ("--exec-root=", "exec"),
            ("--pidfile=", "pid"),
            ("--host=unix://", "sock"),
        ];
        let options = options.map(|(option, file)| format!("{option}{}", dir.join(file).display()));
        let network = ["--bridge=none", "--iptables=false", "--ip6tables=false"];
        let mut run = self.bench.command("setpriv", &dir).args(["--pdeathsig", "KILL", "unshare"]);
        run = run.args(alone).args(options).args(network).arg("--ip-forward=false");
        let log = std::fs::File::create(dir.join("log")).context("make the daemon's log")?;
        run.0.stdout(Stdio::null()).stderr(log).spawn().context("start dockerd")
    }

    pub fn versions(&self) -> String {
        let said = self.there.iter().map(|(engine, version)| format!("{engine} {version}"));
        said.collect::<Vec<_>>().join(", ")
    }

    /// The ways of the engines that are there.
    pub fn ways(&self) -> Vec<Way> {
        let there = |way: &Way| self.there.iter().any(|(engine, _)| *engine == way.engine());
        Way::ALL.into_iter().filter(there).collect()
    }

    pub fn run(&self, engine: &str) -> Run {
        let program = if engine == "docker" { docker() } else { engine };
        let socket = format!("unix://{}", self.dir.join("docker/sock").display());
        let run = self.bench.command(program, &self.dir);
        run.env("HOME", &self.dir)
            .env("CONTAINERS_STORAGE_CONF", self.dir.join(engine).join("storage.conf"))
            .env("CONTAINERS_CONF", self.dir.join("containers.conf"))
            .env("DOCKER_HOST", socket)
            .env("DOCKER_BUILDKIT", "1")
    }

    /// Where a way puts its images: a layout, but docker can only save an archive.
    pub fn output(&self, way: Way) -> PathBuf {
        self.dir.join(format!("{way:?}"))
    }

    /// Makes ready what the ways take for granted: the Dockerfile in the context, with
    /// `files` copied too, and the base as an image of the store.
    pub fn prepare(&self, context: &Path, files: &[&str]) -> Result<()> {
        let copies: String =
            files.iter().map(|file| format!("COPY {file} /srv/{file}\n")).collect();
        write(&context.join("Dockerfile"), &(DOCKERFILE.to_owned() + &copies))?;
        match self.ways().contains(&Way::Commands) {
            true => self.base(context),
            false => Ok(()),
        }
    }

    fn base(&self, context: &Path) -> Result<()> {
        let buildah = |args: &[&str]| self.run("buildah").args(args);
        for (_, arch) in TARGETS {
            let entrypoint = format!("[\"/usr/local/bin/{NAME}\"]");
            let config = ["config", "--arch", arch, "--user", "65532", "--entrypoint", &entrypoint];
            buildah(&["from", "--name", "making", "scratch"]).read()?;
            buildah(&["add", "-q", "making"]).arg(context.join("rootfs.tar")).arg("/").read()?;
            buildah(&config).arg("making").read()?;
            buildah(&["commit", "-q", "--rm", "making", &format!("base-{arch}")]).read()?;
        }
        Ok(())
    }

    /// The programs to start, one after the other, for an image of so many platforms.
    pub fn build(&self, way: Way, context: &Path, platforms: usize, files: &[&str]) -> Vec<Run> {
        match (way, platforms) {
            (Way::Commands, _) => self.commands(context, platforms, files),
            (Way::Docker, _) => self.docker(context, platforms),
            (_, 1) => {
                let engine = way.engine();
                let build = ["build", "-q", "--layers", "--build-arg", "TARGETARCH=amd64"];
                let build = self.run(engine).args(build).args(["-t", "image"]).arg(context);
                vec![build, self.run(engine).args(["push", "-q", "image"]).arg(self.oci(way))]
            }
            (_, _) => {
                let engine = way.engine();
                let both = "linux/amd64,linux/arm64";
                let build = ["build", "-q", "--layers", "--platform", both, "--manifest", "list"];
                let push = ["manifest", "push", "-q", "--all", "list"];
                vec![
                    self.run(engine).args(build).arg(context),
                    self.run(engine).args(push).arg(self.oci(way)),
                ]
            }
        }
    }

    /// The same where the image goes to a repository of a registry, under the tag 1.
    pub fn push(&self, way: Way, context: &Path, platforms: usize, to: &str) -> Vec<Run> {
        let there = format!("docker://{to}:1");
        let mut runs = self.build(way, context, platforms, &[]);
        // The last one writes to where images are measured otherwise.
        runs.pop();
        let engine = way.engine();
        let run = |args: &[&str]| self.run(engine).args(args);
        let name = format!("{to}:1");
        runs.extend(match (way, platforms) {
            (Way::Docker, _) => {
                vec![run(&["tag", "image:amd64", &name]), run(&["push", "-q", &name])]
            }
            (Way::Commands, 1) => {
                vec![run(&["commit", "-q", "--rm", "--tls-verify=false", "work", &there])]
            }
            (_, 1) => vec![run(&["push", "-q", "--tls-verify=false", "image", &there])],
            _ => {
                let push = ["manifest", "push", "-q", "--all", "--tls-verify=false", "list"];
                vec![run(&push).arg(&there)]
            }
        });
        runs
    }

    fn commands(&self, context: &Path, platforms: usize, files: &[&str]) -> Vec<Run> {
        let mut runs = Vec::new();
        let buildah = |args: &[&str]| self.run("buildah").args(args);
        for (_, arch) in &TARGETS[..platforms] {
            let binary = context.join(format!("{NAME}-{arch}"));
            let base = format!("base-{arch}");
            runs.push(buildah(&["from", "--pull-never", "--name", "work", &base]));
            runs.extend(files.iter().map(|file| {
                let to = format!("/srv/{file}");
                buildah(&["copy", "-q", "work"]).arg(context.join(file)).arg(to)
            }));
            let to = format!("/usr/local/bin/{NAME}");
            runs.push(buildah(&["copy", "-q", "work"]).arg(binary).arg(to));
            let commit = ["commit", "-q", "--rm", "--disable-compression=false"];
            runs.push(match platforms {
                1 => buildah(&commit).arg("work").arg(self.oci(Way::Commands)),
                _ => buildah(&commit).args(["--manifest", "list", "work", &format!("one-{arch}")]),
            });
        }
        if platforms > 1 {
            let push = ["manifest", "push", "-q", "--all", "list"];
            runs.push(buildah(&push).arg(self.oci(Way::Commands)));
        }
        runs
    }

    fn docker(&self, context: &Path, platforms: usize) -> Vec<Run> {
        let name = |arch: &str| format!("image:{arch}");
        let archs = TARGETS[..platforms].iter().map(|(_, arch)| *arch);
        let mut runs: Vec<Run> = archs
            .clone()
            .map(|arch| {
                let build = ["build", "-q", "--platform", &format!("linux/{arch}"), "--build-arg"];
                let arch_arg = format!("TARGETARCH={arch}");
                self.run("docker").args(build).arg(arch_arg).args(["-t", &name(arch)]).arg(context)
            })
            .collect();
        let save = self.run("docker").args(["save", "-o"]).arg(self.output(Way::Docker));
        runs.push(save.args(archs.map(name)));
        runs
    }

    fn oci(&self, way: Way) -> String {
        format!("oci:{}:1", self.output(way).display())
    }

    /// Removes the list of platforms, to which the next build would only add.
    pub fn forget_list(&self, way: Way) -> Result<()> {
        let engine = way.engine();
        if engine != "docker"
            && self.run(engine).args(["manifest", "exists", "list"]).read().is_ok()
        {
            self.run(engine).args(["manifest", "rm", "list"]).read()?;
        }
        Ok(())
    }

    /// Removes what the way has built and written, its caches too; its base is made anew.
    pub fn forget(&self, way: Way, context: &Path) -> Result<()> {
        let output = self.output(way);
        let removed = match output.is_dir() {
            true => std::fs::remove_dir_all(&output),
            false if output.is_file() => std::fs::remove_file(&output),
            false => Ok(()),
        };
        removed.with_context(|| format!("remove {}", output.display()))?;
        if way == Way::Docker {
            self.run("docker").args(["builder", "prune", "--all", "--force"]).read()?;
            return self
                .run("docker")
                .args(["image", "prune", "--all", "--force"])
                .read()
                .map(drop);
        }
        self.run(way.engine()).args(["rmi", "--all", "--force"]).read()?;
        if way == Way::Commands { self.base(context) } else { Ok(()) }
    }
}

/// Debian's client is of the daemon's age and brings BuildKit; another one on PATH may
/// lack it.
fn docker() -> &'static str {
    if Path::new("/usr/bin/docker").is_file() { "/usr/bin/docker" } else { "docker" }
}

/// Runs one after the other, and says how long all took.
pub fn time(runs: Vec<Run>) -> Result<Duration> {
    ensure!(!runs.is_empty(), "nothing to run");
    runs.into_iter().map(Run::time).sum()
}

/// The most that any of them ever had, in bytes.
pub fn peak(runs: Vec<Run>) -> Result<Option<u64>> {
    let peaks = runs.into_iter().map(Run::peak).collect::<Result<Vec<_>>>()?;
    Ok(peaks.into_iter().max().flatten())
}

impl Drop for Engines<'_> {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // It ends with this process at the latest.
            drop(daemon.kill().and_then(|()| daemon.wait().map(drop)));
        }
    }
}
