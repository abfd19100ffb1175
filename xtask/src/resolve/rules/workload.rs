//! The numbers of a workload that a load balancer's checks depend on.

use crate::resolve::rules::pre_stop::{self, PreStop};
use crate::yaml::Node;

/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#lifecycle>
const DEFAULT_GRACE: u64 = 30;

/// The kinds that have a pod template and replace its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl Kind {
    pub fn of(document: &Node) -> Option<Kind> {
        match document.get("kind")?.text()? {
            "Deployment" => Some(Kind::Deployment),
            "StatefulSet" => Some(Kind::StatefulSet),
            "DaemonSet" => Some(Kind::DaemonSet),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Deployment => "Deployment",
            Kind::StatefulSet => "StatefulSet",
            Kind::DaemonSet => "DaemonSet",
        }
    }
}

/// A number, and the node that a message about it points to: where it is left out, the one that
/// would hold it.
#[derive(Clone, Copy, Debug)]
pub struct Number<'a> {
    pub value: u64,
    pub at: &'a Node,
    pub written: bool,
}

/// The number at a key, or its default. `None` where it is no number, such as a placeholder.
fn number<'a>(holder: &'a Node, key: &str, default: u64) -> Option<Number<'a>> {
    match holder.get(key) {
        None => Some(Number { value: default, at: holder, written: false }),
        Some(at) => Some(Number { value: at.text()?.parse().ok()?, at, written: true }),
    }
}

/// A workload, and its pods.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'a> {
    pub kind: Kind,
    pub name: &'a str,
    spec: &'a Node,
    pod: &'a Node,
}

/// A strategy under which no ready pod may be left.
#[derive(Clone, Copy, Debug)]
pub enum Gap<'a> {
    /// All pods are stopped first.
    Recreate(&'a Node),
    /// So many of so many pods may be away.
    Unavailable { away: u64, of: u64, at: &'a Node },
    /// The only pod is stopped first.
    InPlace(&'a Node),
    /// All pods of a DaemonSet may be away.
    Everywhere(&'a Node),
}

impl<'a> Workload<'a> {
    pub fn of(document: &'a Node) -> Option<Workload<'a>> {
        let kind = Kind::of(document)?;
        let name = document.get("metadata").and_then(|it| it.get("name")).and_then(Node::text);
        let spec = document.get("spec")?;
        let pod = spec.get("template")?.get("spec")?;
        Some(Workload { kind, name: name.unwrap_or("?"), spec, pod })
    }

    /// The labels of its pods.
    pub fn labels(&self) -> Option<&'a Node> {
        self.spec.get("template")?.get("metadata")?.get("labels")
    }

    /// `terminationGracePeriodSeconds`.
    pub fn grace(&self) -> Option<Number<'a>> {
        number(self.pod, "terminationGracePeriodSeconds", DEFAULT_GRACE)
    }

    /// `minReadySeconds`.
    pub fn min_ready(&self) -> Option<Number<'a>> {
        number(self.spec, "minReadySeconds", 0)
    }

    /// The containers that serve one of these ports, or all where none says that it does.
    /// A sidecar is an init container that goes on.
    pub fn serving(&self, ports: &[&str]) -> Vec<Container<'a>> {
        let list = |key: &str| self.pod.get(key).and_then(Node::items).unwrap_or_default();
        let goes_on = |it: &&Node| it.get("restartPolicy").and_then(Node::text) == Some("Always");
        let sidecars = list("initContainers").iter().filter(goes_on);
        let all = list("containers").iter().chain(sidecars).map(|node| Container { node });
        let (serving, others): (Vec<_>, Vec<_>) = all.partition(|it| it.has_any(ports));
        if serving.is_empty() { others } else { serving }
    }

    /// Whether an update may leave no ready pod.
    pub fn gap(&self) -> Option<Gap<'a>> {
        let replicas = number(self.spec, "replicas", 1)?.value;
        match self.kind {
            Kind::Deployment => {
                let strategy = self.spec.get("strategy")?;
                if let Some(at) = strategy.get("type").filter(|it| it.text() == Some("Recreate")) {
                    return Some(Gap::Recreate(at));
                }
                let at = strategy.get("rollingUpdate")?.get("maxUnavailable")?;
                let away = share(at, replicas)?;
                let is_gap = away > 0 && away >= replicas;
                is_gap.then_some(Gap::Unavailable { away, of: replicas, at })
            }
            Kind::StatefulSet => {
                let is_gap = replicas == 1 && !self.waits_for_deletion();
                is_gap.then_some(Gap::InPlace(self.spec.get("replicas").unwrap_or(self.spec)))
            }
            Kind::DaemonSet => {
                let update = self.spec.get("updateStrategy")?.get("rollingUpdate")?;
                let at = update.get("maxUnavailable")?;
                (at.text() == Some("100%")).then_some(Gap::Everywhere(at))
            }
        }
    }

    /// Whether pods are replaced only as somebody deletes them.
    fn waits_for_deletion(&self) -> bool {
        let strategy = self.spec.get("updateStrategy").and_then(|it| it.get("type"));
        strategy.and_then(Node::text) == Some("OnDelete")
    }
}

/// A number of pods, or a share of them such as `25%`, rounded down as Deployments do.
fn share(node: &Node, of: u64) -> Option<u64> {
    let text = node.text()?;
    match text.strip_suffix('%') {
        None => text.parse().ok(),
        Some(percent) => Some(percent.parse::<u64>().ok()?.saturating_mul(of) / 100),
    }
}

/// A container that serves requests.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    node: &'a Node,
}

impl<'a> Container<'a> {
    pub fn name(&self) -> &'a str {
        self.node.get("name").and_then(Node::text).unwrap_or("?")
    }

    pub fn node(&self) -> &'a Node {
        self.node
    }

    fn has_any(&self, ports: &[&str]) -> bool {
        let own = self.node.get("ports").and_then(Node::items).unwrap_or_default();
        own.iter().any(|port| {
            let names = ["containerPort", "name"].map(|key| port.get(key).and_then(Node::text));
            names.into_iter().flatten().any(|name| ports.contains(&name))
        })
    }

    pub fn pre_stop(&self) -> Option<&'a Node> {
        self.node.get("lifecycle")?.get("preStop")
    }

    /// What is known of its `preStop` handler.
    pub fn handler(&self) -> Option<PreStop<'a>> {
        self.pre_stop().map(pre_stop::read)
    }

    /// The path of a file that its `preStop` handler changes and its readiness probe reads,
    /// with how many seconds the probe then takes to fail.
    pub fn unready_first(&self) -> Option<(String, u64)> {
        let command = self.pre_stop()?.get("exec")?.get("command")?;
        let changed = paths(command);
        let probe = self.node.get("readinessProbe")?;
        let read = paths(probe.get("exec")?.get("command")?);
        let path = changed.into_iter().find(|path| read.contains(path))?;
        let period = number(probe, "periodSeconds", 10)?.value;
        let threshold = number(probe, "failureThreshold", 3)?.value;
        Some((path, period.saturating_mul(threshold)))
    }
}

/// The files that a command names, without programs.
fn paths(command: &Node) -> Vec<String> {
    let words = pre_stop::words(command).unwrap_or_default();
    let parts =
        words.iter().flat_map(|word| word.split([' ', '\n', '\t', ';', '&', '|', '>', '<']));
    let parts = parts.map(|part| part.trim_matches(['"', '\'', '[', ']', '(', ')', '!']));
    let is_file = |part: &&str| {
        part.starts_with('/') && part.len() > 1 && !part.contains("/bin/") && *part != "/dev/null"
    };
    parts.filter(is_file).map(str::to_owned).collect()
}
