//! A real Kubernetes cluster: API server, scheduler, and two nodes with kubelet, kube-proxy and
//! containerd, in namespaces of this machine. The scripts that start and measure it are in a folder
//! that `DOCKLESS_CLUSTER` names; their README says what they need. Tests share one cluster.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;

use super::kept::{Kept, new_dir, or_missing};
use super::{Run, judge, run, skipped};

/// The cluster, which ends with this process, however that ends.
pub struct Cluster {
    scripts: PathBuf,
    peers: PathBuf,
    dir: PathBuf,
    alone: Mutex<()>,
    _keeper: Child,
}

/// Waits for the end of its stdin, whose other end dies with the process that holds it.
const KEEPER: &str = "cat >/dev/null; \"$0/down.sh\" >/dev/null 2>&1; rm -rf \"$1\"";

/// The nodes.
pub const NODES: [&str; 2] = ["n1", "n2"];

/// The place that load comes from, and how the addresses in it begin.
const CLIENT: (&str, &str) = ("client", "10.77.1.");

impl Cluster {
    /// `None`, said aloud, where `DOCKLESS_CLUSTER` names no folder of scripts.
    pub fn shared() -> Option<&'static Cluster> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        let Some(scripts) = std::env::var_os("DOCKLESS_CLUSTER") else {
            skipped(
                "a cluster is started only where DOCKLESS_CLUSTER names the folder of its scripts",
            );
            return None;
        };
        or_missing(SHARED.get_or_init(|| Cluster::start(Path::new(&scripts))))
    }

    fn start(scripts: &Path) -> Result<Cluster, String> {
        let scripts = scripts.canonicalize().map_err(|error| format!("{scripts:?}: {error}"))?;
        let peers = std::env::var_os("PEERS").map_or(scripts.join("../../peers"), PathBuf::from);
        if !peers.join("bin/kube-apiserver").exists() {
            return Err(format!("{peers:?} has no cluster: {scripts:?}/build.sh builds it"));
        }
        let dir = new_dir();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER]).args([&scripts, &dir]).process_group(0);
        keeper.env("STATE", dir.join("state")).env("PEERS", &peers);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = keeper.spawn().unwrap();
        let alone = Mutex::new(());
        let cluster = Cluster { scripts, peers, dir, alone, _keeper: keeper };
        // What it starts keeps its output open, which would be waited for.
        let log = fs::File::create(cluster.dir.join("up.log")).unwrap();
        let mut up = cluster.script("up.sh");
        let up = up.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).status().unwrap();
        if !up.success() {
            let log = fs::read_to_string(cluster.dir.join("up.log")).unwrap();
            return Err(format!("the cluster does not start here: {}", log.trim()));
        }
        Ok(cluster)
    }

    fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    fn script(&self, name: &str) -> Command {
        let mut script = Command::new(self.scripts.join(name));
        script.current_dir(&self.dir).env("STATE", self.state()).env("PEERS", &self.peers);
        script
    }

    /// The cluster for one test alone, which would otherwise change what another one measures.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of a kubectl that speaks with this cluster.
    pub fn bin(&self) -> PathBuf {
        self.state().join("bin")
    }

    /// PATH with that kubectl first.
    pub fn path(&self) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(self.bin()).chain(std::env::split_paths(&path));
        std::env::join_paths(dirs).unwrap()
    }

    /// Runs kubectl.
    pub fn kubectl(&self, args: &[&str]) -> Run {
        run(Command::new(self.bin().join("kubectl")).args(args))
    }

    /// Gives documents to kubectl.
    pub fn apply(&self, text: &str) {
        let dir = new_dir();
        let file = dir.join("manifest.yaml");
        fs::write(&file, text).unwrap();
        self.kubectl(&["apply", "-f", file.to_str().unwrap()]).ends_with(0);
        fs::remove_dir_all(&dir).unwrap();
    }

    /// A command in the network of a place.
    fn inside(&self, place: &str) -> Vec<String> {
        let holder = fs::read_to_string(self.state().join(format!("{place}.pid"))).unwrap();
        ["nsenter", "-t", holder.trim(), "-n", "--"].map(str::to_owned).to_vec()
    }

    /// What the client is answered on a port of a node.
    pub fn ask(&self, node: &str, port: &str) -> Value {
        self.asked(node, port).ends_with(0).json()
    }

    /// The client's curl for a port of a node, whether it is answered or not.
    pub fn asked(&self, node: &str, port: &str) -> Run {
        let address = "jsonpath={.status.addresses[?(@.type=='InternalIP')].address}";
        let address = self.kubectl(&["get", "node", node, "-o", address]);
        let url = format!("http://{}:{port}/", address.ends_with(0).stdout.trim());
        let inside = self.inside(CLIENT.0);
        let mut curl = Command::new(&inside[0]);
        curl.args(&inside[1..]).args(["curl", "-sSf", "-m", "5", "--noproxy", "*", &url]);
        run(&mut curl)
    }

    /// Whether the address is one of the client's.
    pub fn is_client(address: &str) -> bool {
        address.starts_with(CLIENT.1)
    }

    /// Starts a registry that the nodes pull from, by the same name as this machine pushes to: they
    /// have a loopback each, and on each listens one with the same files.
    pub fn registry(&self) -> Option<ClusterRegistry> {
        let program = judge("registry")?;
        // Free here, and so on the nodes, where nothing else listens.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let folder = Kept::folder(new_dir());
        let config = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {:?}}}}}\n\
             http: {{addr: \"{host}\"}}\n",
            folder.dir.join("data"),
        );
        let file = folder.dir.join("config.yml");
        fs::write(&file, config).unwrap();
        let args = ["serve".into(), file.into_os_string()];
        let here = vec!["env".to_owned()];
        let on_nodes = NODES.iter().map(|node| {
            let mut inside = self.inside(node);
            inside.push("env".to_owned());
            inside
        });
        let started: Vec<Kept> = std::iter::once(here)
            .chain(on_nodes)
            .map(|wrapper| {
                let mut wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
                wrapper.push("OTEL_TRACES_EXPORTER=none");
                Kept::start(new_dir(), &wrapper, &program, &args)
            })
            .collect();
        let answers = || std::net::TcpStream::connect(&host).is_ok().then_some(());
        or_missing(&started[0].until(answers))?;
        Some(ClusterRegistry { host, _kept: (started, folder) })
    }

    /// Puts load through a load balancer while something happens to a Deployment and its Service,
    /// both of this name.
    pub fn measure(&self, manifest: &Manifest<'_>, action: &str, balancer: &str) -> Measured {
        let dir = new_dir();
        let file = dir.join("manifest.yaml");
        fs::write(&file, manifest.text).unwrap();
        let mut measure = self.script("measure.sh");
        measure.arg(&file).args([action, balancer]).env("OUT", &dir);
        measure.env("DEPLOYMENT", manifest.name).env("SERVICE", manifest.name);
        measure.env("DURATION", manifest.seconds.to_string()).env("PHASE", manifest.phase);
        measure.envs(manifest.vars.iter().copied());
        let run = run(&mut measure);
        run.ends_with(0);
        let mode = fs::read_to_string(self.state().join("mode")).unwrap();
        let report = dir.join(format!("manifest-{action}-{balancer}-{}.json", mode.trim()));
        let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
        let sum = |key: &str| {
            let kinds = report["kinds"].as_object().unwrap().values();
            kinds.map(|kind| kind[key].as_u64().unwrap()).sum::<u64>()
        };
        fs::remove_dir_all(&dir).unwrap();
        let answered = sum("ok");
        Measured {
            requests: sum("requests"),
            failed: sum("requests") - answered,
            misnamed: answered - report["source_own"].as_u64().unwrap(),
            row: run.stdout.trim().to_owned(),
        }
    }
}

/// A registry on each node's loopback, and on this machine's.
pub struct ClusterRegistry {
    /// `127.0.0.1:PORT`
    pub host: String,
    _kept: (Vec<Kept>, Kept),
}

/// What is deployed and measured.
pub struct Manifest<'a> {
    /// The name of the Deployment, of the Service, and the value of the pods' label `app`.
    pub name: &'a str,
    pub text: &'a str,
    /// How long the load takes.
    pub seconds: u32,
    /// By how many seconds the action comes later among the load balancer's checks.
    pub phase: &'a str,
    /// Variables of the script that measures.
    pub vars: &'a [(&'a str, &'a str)],
}

/// What the load saw.
#[derive(Debug)]
pub struct Measured {
    pub requests: u64,
    pub failed: u64,
    /// Answers that named another address than the client's.
    pub misnamed: u64,
    /// A row of a table, for people.
    pub row: String,
}
