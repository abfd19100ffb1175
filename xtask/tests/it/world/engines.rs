//! Container engines that tests start for themselves, once for all tests of a process.
//! Tests share them, so images are told apart by their names (in containerd by the
//! namespace too).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::kept::{ISOLATED, Kept, new_dir, or_missing};
use super::{Run, judge, run, write_program};

/// A docker daemon. The ID of an image that was loaded into it is its config's digest.
pub struct Docker {
    client: PathBuf,
    kept: Kept,
}

impl Docker {
    /// `None`, said aloud, where this machine has none; so for all engines here.
    pub fn shared() -> Option<&'static Docker> {
        static SHARED: OnceLock<Result<Docker, String>> = OnceLock::new();
        let (daemon, client) = (judge("dockerd")?, docker_client()?);
        or_missing(SHARED.get_or_init(|| Docker::start(&daemon, client, ISOLATED)))
    }

    /// One with a network of its own, which does not reach this machine's loopback.
    pub fn apart() -> Option<&'static Docker> {
        static SHARED: OnceLock<Result<Docker, String>> = OnceLock::new();
        let (daemon, client) = (judge("dockerd")?, docker_client()?);
        let wrapper: Vec<&str> = [&ISOLATED[..1], &["--net"], &ISOLATED[1..]].concat();
        or_missing(SHARED.get_or_init(|| Docker::start(&daemon, client, &wrapper)))
    }

    fn start(daemon: &Path, client: PathBuf, wrapper: &[&str]) -> Result<Docker, String> {
        let dir = new_dir();
        // The machine's own /etc/docker/daemon.json has no say here.
        fs::write(dir.join("daemon.json"), "{}").unwrap();
        let files = [
            ("--config-file=", "daemon.json"),
            ("--data-root=", "data"),
            ("--exec-root=", "exec"),
            ("--pidfile=", "pid"),
            ("--host=unix://", "docker.sock"),
        ];
        let files = files.map(|(option, path)| joined(option, &dir.join(path)));
        let networkless = "--bridge=none --iptables=false --ip6tables=false --ip-forward=false";
        let args: Vec<OsString> =
            files.into_iter().chain(networkless.split(' ').map(OsString::from)).collect();
        let docker = Docker { client, kept: Kept::start(dir, wrapper, daemon, &args) };
        docker.kept.until(|| (docker.command(["version"]).code == Some(0)).then_some(()))?;
        Ok(docker)
    }

    /// What makes a program's docker speak with this daemon.
    pub fn vars(&self) -> [(&'static str, OsString); 1] {
        [("DOCKER_HOST", joined("unix://", &self.kept.dir.join("docker.sock")))]
    }

    /// Runs docker.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        run(self.kept.client(&self.client).envs(self.vars()).args(args))
    }

    /// Runs a container of an image with these arguments, without any network.
    pub fn run(&self, image: &str, args: &[&str]) -> Run {
        let options = ["run", "--rm", "--pull=never", "--network=none", image];
        self.command(options.iter().chain(args))
    }

    /// The ID of the image with this name.
    pub fn image_id(&self, image: &str) -> String {
        let found = self.command(["image", "inspect", "--format={{.Id}}", image]);
        found.ends_with(0).line().to_owned()
    }
}

/// Debian's client is of the daemon's age and brings BuildKit; another one on PATH may lack it.
fn docker_client() -> Option<PathBuf> {
    let packaged = Path::new("/usr/bin/docker");
    if packaged.is_file() { Some(packaged.to_owned()) } else { judge("docker") }
}

/// A containerd. An image in it has the digest of its descriptor in `index.json`.
pub struct Containerd {
    client: PathBuf,
    kept: Kept,
}

impl Containerd {
    pub fn shared() -> Option<&'static Containerd> {
        static SHARED: OnceLock<Result<Containerd, String>> = OnceLock::new();
        let (daemon, client) = (judge("containerd")?, judge("ctr")?);
        or_missing(SHARED.get_or_init(|| Containerd::start(&daemon, client)))
    }

    fn start(daemon: &Path, client: PathBuf) -> Result<Containerd, String> {
        let dir = new_dir();
        // `opt` would make /opt/containerd, and `cri` serves a kubelet.
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n\
             [grpc]\naddress = {:?}\n",
            dir.join("root"),
            dir.join("state"),
            dir.join("containerd.sock"),
        );
        fs::write(dir.join("config.toml"), config).unwrap();
        let args = ["--config".into(), dir.join("config.toml").into()];
        let containerd = Containerd { client, kept: Kept::start(dir, ISOLATED, daemon, &args) };
        // Before the socket is there, ctr would wait for it ten seconds long.
        let answers = || containerd.command("default", ["version"]).code == Some(0);
        containerd.kept.until(|| (containerd.address().exists() && answers()).then_some(()))?;
        Ok(containerd)
    }

    fn address(&self) -> PathBuf {
        self.kept.dir.join("containerd.sock")
    }

    /// What makes a program's ctr speak with this daemon, in a namespace.
    pub fn vars(&self, namespace: &str) -> [(&'static str, OsString); 2] {
        let address = self.address().into_os_string();
        [("CONTAINERD_ADDRESS", address), ("CONTAINERD_NAMESPACE", namespace.into())]
    }

    /// Runs ctr in a namespace.
    pub fn command<S: AsRef<OsStr>>(
        &self,
        namespace: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Run {
        run(self.kept.client(&self.client).envs(self.vars(namespace)).args(args))
    }

    /// Runs a container of an image, named as [`Self::images`] names it. Arguments, when there
    /// are any, begin with the program: they replace the entrypoint.
    pub fn run(&self, namespace: &str, image: &str, args: &[&str]) -> Run {
        static CONTAINERS: AtomicU64 = AtomicU64::new(0);
        let id = format!("test-{}", CONTAINERS.fetch_add(1, Ordering::Relaxed));
        self.command(namespace, ["run", "--rm", image, &id].iter().chain(args))
    }

    /// The names of a namespace's images, with the digest of each.
    pub fn images(&self, namespace: &str) -> Vec<(String, String)> {
        let listed = self.command(namespace, ["images", "list"]);
        let image = |line: &str| {
            // Name, media type and digest: REF TYPE DIGEST …
            let mut fields = line.split_whitespace().step_by(2).map(str::to_owned);
            (fields.next().unwrap(), fields.next().unwrap())
        };
        listed.ends_with(0).stdout.lines().skip(1).map(image).collect()
    }
}

/// A podman with a storage of its own.
pub struct Podman {
    client: PathBuf,
    kept: Kept,
}

impl Podman {
    pub fn shared() -> Option<&'static Podman> {
        static SHARED: OnceLock<Result<Podman, String>> = OnceLock::new();
        let client = judge("podman")?;
        judge("runc")?;
        or_missing(SHARED.get_or_init(|| Podman::start(client, "vfs")))
    }

    /// One that keeps each layer by itself, as most people's does.
    pub fn overlay() -> Option<&'static Podman> {
        static SHARED: OnceLock<Result<Podman, String>> = OnceLock::new();
        let client = judge("podman")?;
        or_missing(SHARED.get_or_init(|| Podman::start(client, "overlay")))
    }

    fn start(client: PathBuf, driver: &str) -> Result<Podman, String> {
        let dir = new_dir();
        let storage = format!(
            "[storage]\ndriver = {driver:?}\ngraphroot = {:?}\nrunroot = {:?}\n",
            dir.join("root"),
            dir.join("run"),
        );
        fs::write(dir.join("storage.conf"), storage).unwrap();
        // Podman would raise both limits, which a root without CAP_SYS_RESOURCE may not; crun
        // refuses a machine that has both versions of cgroups.
        let containers = format!(
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n\
             netns = \"none\"\n\
             [engine]\nruntime = \"runc\"\nevents_logger = \"none\"\ntmp_dir = {:?}\n",
            dir.join("tmp"),
        );
        fs::write(dir.join("containers.conf"), containers).unwrap();
        let podman = Podman { client, kept: Kept::folder(dir) };
        let info = podman.command(["info", "--format={{.Store.GraphRoot}}"]);
        let root = podman.kept.dir.join("root");
        if info.code == Some(0) && Path::new(info.stdout.trim()) == root {
            return Ok(podman);
        }
        let last = info.stderr.lines().last().unwrap_or("it uses another storage");
        Err(format!("podman does not work here: {last}"))
    }

    /// What makes a program's podman use this storage.
    pub fn vars(&self) -> [(&'static str, OsString); 2] {
        let file = |name: &str| self.kept.dir.join(name).into_os_string();
        [
            ("CONTAINERS_STORAGE_CONF", file("storage.conf")),
            ("CONTAINERS_CONF", file("containers.conf")),
        ]
    }

    /// Runs podman.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        run(self.kept.client(&self.client).envs(self.vars()).args(args))
    }

    /// Runs a container of an image with these arguments, without any network.
    pub fn run(&self, image: &str, args: &[&str]) -> Run {
        self.command(["run", "--rm", "--pull=never", image].iter().chain(args))
    }
}

/// A cluster for kind with one node, a container of [`Docker`] whose ctr speaks with
/// [`Containerd`]: there, in the namespace `k8s.io`, is what kind loads.
pub struct Kind {
    docker: [(&'static str, OsString); 1],
    kept: Kept,
}

impl Kind {
    /// The name of the cluster, which is kind's default too.
    pub const CLUSTER: &str = "kind";

    pub fn shared() -> Option<&'static Kind> {
        static SHARED: OnceLock<Result<Kind, String>> = OnceLock::new();
        judge("kind")?;
        let (docker, containerd) = (Docker::shared()?, Containerd::shared()?);
        or_missing(SHARED.get_or_init(|| Kind::start(docker, containerd)))
    }

    fn start(docker: &Docker, containerd: &Containerd) -> Result<Kind, String> {
        let kind = Kind { docker: docker.vars(), kept: Kept::folder(new_dir()) };
        let dir = &kind.kept.dir;
        // kind gives its command in the node every capability, more than root has in a sandbox.
        let docker_path = docker.client.display();
        let wrapper = format!(
            "#!/bin/sh\nif [ \"$1 $2\" = 'exec --privileged' ]; then shift 2; set -- exec \"$@\"; fi\n\
             exec {docker_path} \"$@\"\n",
        );
        fs::create_dir(dir.join("bin")).unwrap();
        write_program(&dir.join("bin/docker"), wrapper.as_bytes());
        let tar = dir.join("node.tar");
        fs::write(&tar, node()).unwrap();
        docker.command(["import".as_ref(), tar.as_os_str(), "node:1".as_ref()]).ends_with(0);
        let socket = containerd.address().into_os_string().into_string().unwrap();
        let folder = containerd.kept.dir.to_str().unwrap();
        docker
            .command([
                "run",
                "--detach",
                "--network=none",
                &format!("--name={}-control-plane", Kind::CLUSTER),
                &format!("--label=io.x-k8s.kind.cluster={}", Kind::CLUSTER),
                "--label=io.x-k8s.kind.role=control-plane",
                "--volume=/usr:/usr:ro",
                &format!("--volume={folder}:{folder}"),
                &format!("--env=CONTAINERD_ADDRESS={socket}"),
                "--env=PATH=/usr/bin",
                "node:1",
                "/usr/bin/sleep",
                "infinity",
            ])
            .ends_with(0);
        Ok(kind)
    }

    /// What makes a program's kind find the cluster.
    pub fn vars(&self) -> Vec<(&'static str, OsString)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(self.kept.dir.join("bin")).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(dirs).unwrap();
        let provider = ("KIND_EXPERIMENTAL_PROVIDER", "docker".into());
        self.docker.iter().cloned().chain([("PATH", path), provider]).collect()
    }
}

/// The files of a node: its programs are this machine's, mounted at /usr.
fn node() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["bin", "sbin", "lib", "lib64"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        tar.append_link(&mut header, name, format!("usr/{name}")).unwrap();
    }
    // kind asks `containerd config dump` for the snapshotter.
    let config = b"version = 2\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(config.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "etc/containerd/config.toml", &config[..]).unwrap();
    tar.into_inner().unwrap()
}

fn joined(before: &str, path: &Path) -> OsString {
    let mut joined = OsString::from(before);
    joined.push(path);
    joined
}
