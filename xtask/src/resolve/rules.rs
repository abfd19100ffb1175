//! The rules for workloads behind a Service with `externalTrafficPolicy: Local`.
//!
//! A load balancer learns from a node's health check that its last pod is going, and takes
//! `interval x threshold` until it does. The health check fails as soon as the pod is deleted, and
//! kube-proxy sends to the pod for as long as it is ready. So the pod has to go on as if nothing
//! happened for that long, and then has to have time for the requests that are in flight.
//! <https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1669-proxy-terminating-endpoints>

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use super::Document;
use crate::finding::{Finding, Place};
use crate::yaml::Node;
use checks::{Annotations, Times};
use pre_stop::PreStop;
use workload::{Container, Gap, Workload};

mod checks;
mod pre_stop;
mod workload;

/// In seconds: a node's health check follows its pods within 0.3 s, and a check's answer takes
/// a while too.
const MARGIN: u64 = 2;

/// A resource: a document, or an item of a `List`.
#[derive(Clone, Copy, Debug)]
struct Resource<'a> {
    file: &'a Path,
    node: &'a Node,
}

/// What the load balancers before a set of pods need of them.
#[derive(Clone, Debug)]
struct Needs<'a> {
    /// The ports of pods that requests arrive at, by number or name.
    ports: Vec<&'a str>,
    times: Times,
}

/// A namespace, and the labels that pods must have.
type Selector<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// Warns of each number that cannot hold.
pub fn check(documents: &[Document]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let all: Vec<Resource<'_>> = documents.iter().flat_map(resources).collect();
    let needs = services(&all, &mut findings);
    // Services by one of their labels, so that not each is compared with each workload.
    let mut by_label: BTreeMap<(&str, (&str, &str)), Vec<&Selector<'_>>> = BTreeMap::new();
    for selector in needs.keys() {
        if let Some(label) = selector.1.first() {
            by_label.entry((selector.0, *label)).or_default().push(selector);
        }
    }
    for resource in &all {
        let Some(workload) = Workload::of(resource.node) else { continue };
        let labels = workload.labels().map(texts).unwrap_or_default();
        let namespace = namespace(resource.node);
        let candidates = labels.iter().filter_map(|label| by_label.get(&(namespace, *label)));
        for selector in candidates.flatten() {
            if selector.1.iter().all(|label| labels.contains(label)) {
                let report = Report { file: resource.file, workload, needs: &needs[*selector] };
                report.all(&mut findings);
            }
        }
    }
    findings
}

/// A document's resources: those of a `List`, or the one that it is.
fn resources(document: &Document) -> Vec<Resource<'_>> {
    let Document { file, node } = document;
    let is_list = node.get("kind").and_then(Node::text) == Some("List");
    match node.get("items").filter(|_| is_list).and_then(Node::items) {
        None => vec![Resource { file, node }],
        Some(items) => items.iter().map(|node| Resource { file, node }).collect(),
    }
}

fn namespace(resource: &Node) -> &str {
    let named = resource.get("metadata").and_then(|it| it.get("namespace"));
    named.and_then(Node::text).unwrap_or_default()
}

/// A map's keys and values that are texts, sorted.
fn texts(map: &Node) -> Vec<(&str, &str)> {
    let entries = map.entries().unwrap_or_default();
    let pairs = entries.iter().filter_map(|(key, value)| Some((key.text()?, value.text()?)));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    pairs
}

/// The needs of each set of pods that a Service with `externalTrafficPolicy: Local` selects.
fn services<'a>(
    resources: &[Resource<'a>],
    findings: &mut Vec<Finding>,
) -> BTreeMap<Selector<'a>, Needs<'a>> {
    let mut found: BTreeMap<Selector<'a>, Needs<'a>> = BTreeMap::new();
    for resource in resources {
        let node = resource.node;
        let is_service = node.get("kind").and_then(Node::text) == Some("Service");
        let Some(spec) = node.get("spec").filter(|_| is_service) else { continue };
        let policy = spec.get("externalTrafficPolicy").and_then(Node::text);
        let selector = spec.get("selector").map(texts).unwrap_or_default();
        if policy != Some("Local") || selector.is_empty() {
            continue;
        }
        let mut annotations = Annotations::of(resource.file, node);
        let needs = Needs { ports: ports(spec), times: annotations.times() };
        findings.append(&mut annotations.findings);
        match found.entry((namespace(node), selector)) {
            Entry::Vacant(entry) => {
                entry.insert(needs);
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.ports.extend(needs.ports);
                known.times = known.times.clone().or(needs.times);
            }
        }
    }
    found
}

/// The ports of pods that a Service sends to, by number or name.
fn ports(spec: &Node) -> Vec<&str> {
    let ports = spec.get("ports").and_then(Node::items).unwrap_or_default();
    let target = |port| Node::get(port, "targetPort").or_else(|| port.get("port"));
    ports.iter().filter_map(|port| target(port)?.text()).collect()
}

/// The findings in one workload.
struct Report<'a> {
    file: &'a Path,
    workload: Workload<'a>,
    needs: &'a Needs<'a>,
}

impl Report<'_> {
    fn all(&self, findings: &mut Vec<Finding>) {
        let containers = self.workload.serving(&self.needs.ports);
        let slept = containers.iter().map(|container| self.pre_stop(container, findings));
        // The pod's time is over only when its last container has ended.
        let slept = slept.collect::<Option<Vec<u64>>>().unwrap_or_default();
        if let Some(slept) = slept.into_iter().max() {
            findings.extend(self.grace(slept));
        }
        findings.extend(containers.iter().filter_map(|container| self.unready_first(container)));
        findings.extend(self.gap());
        findings.extend(self.min_ready());
    }

    /// How long a pod has to go on after its deletion, in seconds.
    fn sleep(&self) -> u64 {
        self.needs.times.fall.seconds.saturating_add(MARGIN)
    }

    fn warning(&self, rule: &'static str, at: &Node, why: String, fix: String) -> Finding {
        let place = Place::at(self.file, at.line, at.column);
        let why = format!("{} {}: {why}", self.workload.kind.name(), self.workload.name);
        Finding::warning(rule, place, why, fix)
    }

    /// Checks how long a container sleeps before SIGTERM. Returns that or, where it is too short,
    /// what it has to be; `None` where it is unknown.
    fn pre_stop(&self, container: &Container<'_>, findings: &mut Vec<Finding>) -> Option<u64> {
        let (need, fall) = (self.sleep(), &self.needs.times.fall.said);
        let (rule, at, why, fix) = match container.handler() {
            Some(PreStop::Unknown) => return None,
            Some(PreStop::Sleeps(seconds, _)) if seconds >= need => return Some(seconds),
            Some(PreStop::Sleeps(seconds, at)) => {
                let why = format!(
                    "preStop of container {} sleeps {seconds} s, and the load balancer takes up to \
                     {fall}, until it sends no more: requests are lost when a node's last pod goes",
                    container.name(),
                );
                (
                    "local-pre-stop-short",
                    at,
                    why,
                    format!("sleep {need} s or more: that time and {MARGIN} s"),
                )
            }
            None => {
                let why = format!(
                    "container {} has no preStop, and the load balancer takes up to {fall}, until \
                     it sends no more: requests are lost when a node's last pod goes",
                    container.name(),
                );
                let fix = format!(
                    "add `lifecycle: {{preStop: {{sleep: {{seconds: {need}}}}}}}`: that time and \
                     {MARGIN} s"
                );
                ("local-pre-stop-missing", container.node(), why, fix)
            }
        };
        findings.push(self.warning(rule, at, why, fix));
        Some(need)
    }

    /// Checks the time between the sleep's end and SIGKILL.
    fn grace(&self, slept: u64) -> Option<Finding> {
        let grace = self.workload.grace()?;
        let longest = &self.needs.times.longest_request;
        let need = slept.saturating_add(longest.seconds).saturating_add(MARGIN);
        if grace.value >= need {
            return None;
        }
        let default = if grace.written { "" } else { " by default" };
        let why = format!(
            "terminationGracePeriodSeconds is {}{default}, of which preStop needs {slept} s: what \
             is left is too short for the longest request ({})",
            grace.value, longest.said,
        );
        let fix = format!(
            "write {need} or more: {slept} s for preStop, {} s for the longest request, and \
             {MARGIN} s",
            longest.seconds
        );
        Some(self.warning("local-grace-short", grace.at, why, fix))
    }

    /// A handler that makes the readiness probe fail stops kube-proxy before the load balancer.
    fn unready_first(&self, container: &Container<'_>) -> Option<Finding> {
        let (path, seconds) = container.unready_first()?;
        if seconds >= self.sleep() {
            return None;
        }
        let why = format!(
            "preStop of container {} changes {path}, by which the readiness probe fails after \
             {seconds} s: kube-proxy then drops what the load balancer sends, for up to {}",
            container.name(),
            self.needs.times.fall.said,
        );
        let fix = "leave the readiness probe alone: let preStop do nothing but sleep";
        Some(self.warning("local-unready-first", container.pre_stop()?, why, fix.to_owned()))
    }

    fn gap(&self) -> Option<Finding> {
        let (at, why, fix) = match self.workload.gap()? {
            Gap::Recreate(at) => (
                at,
                "the strategy Recreate stops all pods before it starts others".to_owned(),
                "write RollingUpdate, with maxSurge 1 and maxUnavailable 0",
            ),
            Gap::Unavailable { away, of, at } => (
                at,
                format!("maxUnavailable lets a rollout take away {away} of {of} pods at once"),
                "write 0, with maxSurge 1",
            ),
            Gap::InPlace(at) => (
                at,
                "the only replica is stopped before another is started".to_owned(),
                "run two replicas or more, or a Deployment",
            ),
            Gap::Everywhere(at) => (
                at,
                "maxUnavailable lets an update take away all pods at once".to_owned(),
                "write 1",
            ),
        };
        let why = format!("{why}: no pod is left to take requests");
        Some(self.warning("local-max-unavailable", at, why, fix.to_owned()))
    }

    /// A new pod counts as available before the load balancer knows its node.
    fn min_ready(&self) -> Option<Finding> {
        let min_ready = self.workload.min_ready()?;
        let rise = &self.needs.times.rise;
        if min_ready.value >= rise.seconds {
            return None;
        }
        let default = if min_ready.written { "" } else { " by default" };
        let why = format!(
            "minReadySeconds is {}{default}: the next pod is stopped before the load balancer \
             sends to the node of the new one, which takes up to {}",
            min_ready.value, rise.said,
        );
        let fix = format!("write {} or more", rise.seconds);
        Some(self.warning("local-min-ready-short", min_ready.at, why, fix))
    }
}

#[cfg(test)]
mod tests;
