//! The example source-ip on a real cluster: its image and its manifests, resolved and applied by
//! the tool, and constant load through real load balancers while pods and nodes are replaced. Slow,
//! so `DOCKLESS_CLUSTER` asks for it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::world::cluster::{Cluster, ClusterRegistry, Manifest, Measured};
use crate::world::{World, run, said};

mod lines;

/// The load balancers: one that names the client in a PROXY header, and one in the kernel that
/// leaves the client's address on the packets.
const BALANCERS: [&str; 2] = ["haproxy-proxy", "l4-dnat"];

/// Of the nodes, which is this machine's.
const PLATFORM: &str = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };

/// By how many seconds an action comes later among checks that are 2 s apart.
const PHASES: [&str; 4] = ["0", "0.5", "1", "1.5"];

/// What is done under load.
struct Load<'a> {
    action: &'a str,
    balancer: &'a str,
    seconds: u32,
    phase: &'a str,
    /// Of the load balancer.
    vars: &'a [(&'a str, &'a str)],
}

/// The manifests as the tool resolves them, and the registry that has the image.
struct Deployed {
    cluster: &'static Cluster,
    text: String,
    _registry: ClusterRegistry,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

impl Deployed {
    /// `None`, said aloud, without a cluster.
    fn shared() -> Option<&'static Deployed> {
        static SHARED: OnceLock<Option<Deployed>> = OnceLock::new();
        SHARED.get_or_init(Deployed::start).as_ref()
    }

    fn start() -> Option<Deployed> {
        let cluster = Cluster::shared()?;
        let registry = cluster.registry()?;
        let world = World::empty();
        let tool = |command: &str| {
            let manifests = "examples/source-ip/deploy";
            let to = &registry.host;
            let args = [command, "--platform", PLATFORM, "--repository", to, "-f", manifests];
            let mut tool = world.tool(args);
            tool.current_dir(root()).env("PATH", cluster.path());
            run(&mut tool)
        };
        tool("apply").ends_with(0);
        let status = ["rollout", "status", "deployment", "source-ip", "--timeout=90s"];
        cluster.kubectl(&status).ends_with(0);
        let resolved = tool("resolve");
        // A warning of its numbers would begin with its name.
        let text = resolved.ends_with(0).never_says("Deployment source-ip:").stdout.clone();
        Some(Deployed { cluster, text, _registry: registry })
    }

    /// Measures, and requires that the client's address was right in every answer.
    fn measure(&self, text: &str, load: &Load<'_>) -> Measured {
        let Load { action, balancer, seconds, phase, vars } = *load;
        let _alone = self.cluster.alone();
        let trusting = changed(text, "        env:\n", TRUST);
        let text = if balancer == "haproxy-proxy" { &trusting } else { text };
        let manifest = Manifest { name: "source-ip", text, seconds, phase, vars };
        let measured = self.cluster.measure(&manifest, action, balancer);
        said(&format!("{} (phase {phase})", measured.row));
        assert_eq!(measured.misnamed, 0, "{}", measured.row);
        measured
    }
}

/// A text with another line.
#[track_caller]
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from:?} in\n{text}");
    text.replacen(from, to, 1)
}

/// What lets the program believe the PROXY headers of the load balancer.
const TRUST: &str = "        env:
        - {name: PROXY_PROTOCOL, value: \"true\"}
        - {name: TRUSTED_PROXIES, value: 10.77.0.20/32}
";

#[track_caller]
fn loses_nothing(measured: &Measured) {
    assert_eq!(measured.failed, 0, "{}", measured.row);
    assert!(measured.requests > 5000, "{}", measured.row);
}

#[test]
fn pods_run_the_image_by_its_digest() {
    let Some(deployed) = Deployed::shared() else { return };
    let image = [
        "get",
        "pods",
        "-l",
        "app=source-ip",
        "-o",
        "jsonpath={.items[0].spec.containers[0].image}",
    ];
    let _alone = deployed.cluster.alone();
    let image = deployed.cluster.kubectl(&image);
    let image = &image.ends_with(0).stdout;
    assert!(image.contains("/source-ip@sha256:"), "{image}");
    assert!(deployed.text.contains(image.as_str()), "{image}");
}

#[test]
fn a_drained_node_loses_no_request() {
    let Some(deployed) = Deployed::shared() else { return };
    for balancer in BALANCERS {
        for phase in PHASES {
            let load = Load { action: "drain", balancer, seconds: 60, phase, vars: &[] };
            loses_nothing(&deployed.measure(&deployed.text, &load));
        }
    }
}

/// Each of two pods is replaced in turn, so this takes longer than a drain.
#[test]
fn a_rollout_loses_no_request() {
    let Some(deployed) = Deployed::shared() else { return };
    for balancer in BALANCERS {
        let load = Load { action: "rollout", balancer, seconds: 100, phase: "0", vars: &[] };
        loses_nothing(&deployed.measure(&deployed.text, &load));
    }
}

#[test]
fn a_single_replica_is_moved_without_a_lost_request() {
    let Some(deployed) = Deployed::shared() else { return };
    for balancer in BALANCERS {
        let one = changed(&deployed.text, "replicas: 2", "replicas: 1");
        let load = Load { action: "move1", balancer, seconds: 75, phase: "0", vars: &[] };
        loses_nothing(&deployed.measure(&one, &load));
    }
}

/// Without the sleep the same measurement counts failures: it can fail.
#[test]
fn without_the_sleep_requests_are_lost() {
    let Some(deployed) = Deployed::shared() else { return };
    let (before, after) = deployed.text.split_once("        lifecycle:\n").unwrap();
    let (_, after) = after.split_once("        readinessProbe:\n").unwrap();
    let none = format!("{before}        readinessProbe:\n{after}");
    for balancer in BALANCERS {
        let load = Load { action: "drain", balancer, seconds: 60, phase: "1", vars: &[] };
        let measured = deployed.measure(&none, &load);
        assert!(measured.failed > 0, "{}", measured.row);
    }
}
