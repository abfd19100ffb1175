//! What single lines of the manifests are worth: the same measurements with one of them changed.
//! The page of the example has what was seen.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Deployed, Load, changed, loses_nothing};
use crate::world::cluster::{Cluster, NODES};
use crate::world::said;

/// What the lines are measured with: the load balancer that leaves the client's address on the
/// packets.
const BALANCER: &str = "l4-dnat";

/// How long a node may take to follow a change of a Service.
const PATIENCE: Duration = Duration::from_secs(30);

impl Load<'_> {
    /// Of 60 s, while a node is drained.
    fn drain() -> Self {
        Load { action: "drain", balancer: BALANCER, seconds: 60, phase: "1", vars: &[] }
    }

    /// Of 100 s, in which each of two pods is replaced in turn.
    fn rollout() -> Self {
        Load { action: "rollout", seconds: 100, ..Load::drain() }
    }
}

/// The text without what is from one line to another one, which stays.
#[track_caller]
fn without(text: &str, from: &str, to: &str) -> String {
    let (before, after) = text.split_once(from).unwrap_or_else(|| panic!("no {from:?}"));
    let (_, after) = after.split_once(to).unwrap_or_else(|| panic!("no {to:?} after {from:?}"));
    format!("{before}{to}{after}")
}

/// A pod serves while it sleeps, and until then the load balancer has moved on: whatever takes the
/// pod's place, wherever, and however late.
#[test]
fn the_sleep_covers_other_lines_that_are_missing() {
    let Some(deployed) = Deployed::shared() else { return };
    let text = &deployed.text;
    let lines = "          matchLabels: {app: source-ip}\n";
    let spread = without(text, "      topologySpreadConstraints:\n", lines);
    let in_place = changed(text, "maxSurge: 1", "maxSurge: 0");
    let probe = ("        readinessProbe:\n", "        livenessProbe:\n");
    for (line, text, load) in [
        ("no readinessProbe", without(text, probe.0, probe.1), Load::rollout()),
        (
            "maxSurge: 0, maxUnavailable: 1",
            changed(&in_place, "maxUnavailable: 0", "maxUnavailable: 1"),
            Load::rollout(),
        ),
        ("no spread", changed(&spread, lines, ""), Load::rollout()),
        (
            "no matchLabelKeys",
            changed(text, "        matchLabelKeys: [pod-template-hash]\n", ""),
            Load::rollout(),
        ),
        (
            "no nodeTaintsPolicy",
            changed(text, "        nodeTaintsPolicy: Honor\n", ""),
            Load::drain(),
        ),
    ] {
        said(line);
        loses_nothing(&deployed.measure(&text, &load));
    }
}

/// The numbers hold for a load balancer that takes 24 s to find a node unhealthy, as GKE's does. A
/// sleep that is long enough for a quicker one does not.
#[test]
fn a_sleep_that_is_too_short_for_the_load_balancer_loses_requests() {
    let Some(deployed) = Deployed::shared() else { return };
    let vars = &[("INTER", "8"), ("FALL", "3"), ("RISE", "1")];
    let load = Load { seconds: 75, vars, ..Load::drain() };
    loses_nothing(&deployed.measure(&deployed.text, &load));
    said("sleep: {seconds: 10}");
    let short = changed(&deployed.text, "sleep: {seconds: 28}", "sleep: {seconds: 10}");
    let measured = deployed.measure(&short, &load);
    assert!(measured.failed > 0, "{}", measured.row);
}

/// A load balancer that takes 8 s to find a node healthy, and meanwhile has no other, is given the
/// time by `minReadySeconds`.
#[test]
fn without_the_pause_between_pods_requests_of_a_single_replica_are_lost() {
    let Some(deployed) = Deployed::shared() else { return };
    let one = changed(&deployed.text, "replicas: 2", "replicas: 1");
    let vars = &[("RISE", "4"), ("FAIL_OPEN", "0")];
    let load = Load { action: "move1", seconds: 75, vars, ..Load::drain() };
    loses_nothing(&deployed.measure(&one, &load));
    said("no minReadySeconds");
    let measured = deployed.measure(&changed(&one, "  minReadySeconds: 20\n", ""), &load);
    assert!(measured.failed > 0, "{}", measured.row);
}

/// With `externalTrafficPolicy: Cluster` each node takes connections, and puts its own address into
/// them.
#[test]
fn without_the_local_policy_the_address_is_a_nodes() {
    let Some(deployed) = Deployed::shared() else { return };
    let cluster = deployed.cluster;
    let _alone = cluster.alone();
    let policy =
        changed(&deployed.text, "externalTrafficPolicy: Local", "externalTrafficPolicy: Cluster");
    for (text, own) in [(&deployed.text, true), (&policy, false)] {
        cluster.apply(text);
        cluster.kubectl(&["rollout", "status", "deployment", "source-ip"]).ends_with(0);
        let port = cluster.kubectl(&["get", "service", "source-ip", "-o", PORT]);
        for node in NODES {
            let ask = || cluster.ask(node, port.stdout.trim());
            let is_own = |answer: &Value| Cluster::is_client(answer["source"].as_str().unwrap());
            // The node learns of the policy a moment later.
            let until = Instant::now() + PATIENCE;
            while is_own(&ask()) != own {
                assert!(Instant::now() < until, "{node}: {}", ask());
                sleep(Duration::from_millis(100));
            }
            for answer in [ask(), ask(), ask()] {
                assert_eq!(is_own(&answer), own, "{node}: {answer}");
            }
        }
    }
}

/// The port of the nodes that leads to the Service.
const PORT: &str = "jsonpath={.spec.ports[0].nodePort}";
