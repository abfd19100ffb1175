//! The manifests' numbers: no request is lost only while they hold together. README.md explains
//! the sums.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_yaml::Value;

/// In seconds: what a node's health check and the answer to a probe take.
const MARGIN: u64 = 2;

/// A load balancer's checks: seconds between two, and how many in a row change its mind.
#[derive(Clone, Copy, Debug)]
struct Checks {
    interval: u64,
    unhealthy: u64,
    healthy: u64,
}

/// GKE's, whose nodes take the longest of the three clouds to be left alone.
const ASSUMED: Checks = Checks { interval: 8, unhealthy: 3, healthy: 1 };

/// The prefix of annotations, and their names for interval, unhealthy and healthy threshold.
const ANNOTATIONS: [(&str, [&str; 3]); 2] = [
    (
        "service.beta.kubernetes.io/aws-load-balancer-healthcheck-",
        ["interval", "unhealthy-threshold", "healthy-threshold"],
    ),
    (
        "service.beta.kubernetes.io/azure-load-balancer-health-probe-",
        ["interval", "num-of-probe", "num-of-probe"],
    ),
];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn read(name: &str) -> String {
    fs::read_to_string(deploy().join(name)).unwrap()
}

/// The files with a Service: one for any load balancer, and one in the folder of each cloud.
fn services() -> Vec<String> {
    let entries = fs::read_dir(deploy()).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let folders = folders.map(|entry| entry.file_name().into_string().unwrap());
    let mut services: Vec<String> = folders.map(|name| format!("{name}/service.yaml")).collect();
    services.push("service.yaml".to_owned());
    services.sort();
    services
}

/// The value at a path of keys; a number picks an item of a list.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| match key.parse::<usize>() {
        Ok(index) => &value[index],
        Err(_) => &value[key],
    })
}

fn number(value: &Value, path: &str) -> u64 {
    at(value, path).as_u64().unwrap_or(0)
}

fn checks(service: &Value) -> Checks {
    let annotations = at(service, "metadata.annotations");
    let text = |prefix: &str, name: &str| annotations[format!("{prefix}{name}").as_str()].as_str();
    let written =
        ANNOTATIONS.iter().find(|(prefix, [interval, ..])| text(prefix, interval).is_some());
    let Some((prefix, names)) = written else { return ASSUMED };
    let [interval, unhealthy, healthy] =
        names.map(|name| text(prefix, name).and_then(|text| text.parse().ok()).unwrap_or(0));
    Checks { interval, unhealthy, healthy }
}

/// How long the program takes to end after SIGTERM at most, in seconds, as its help says.
fn shutdown_timeout() -> u64 {
    static SECONDS: OnceLock<u64> = OnceLock::new();
    *SECONDS.get_or_init(said_timeout)
}

fn said_timeout() -> u64 {
    let help = Command::new(env!("CARGO_BIN_EXE_source-ip")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, after) = help.split_once("SHUTDOWN_TIMEOUT").expect("the help names the variable");
    let (_, after) = after.split_once("[default: ").expect("the help names the default");
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap();
    after[..digits].parse().unwrap()
}

/// The names of the numbers that do not hold together.
fn broken(deployment: &str, service: &str) -> Vec<&'static str> {
    let deployment: Value = serde_yaml::from_str(deployment).unwrap();
    let service: Value = serde_yaml::from_str(service).unwrap();
    let Checks { interval, unhealthy, healthy } = checks(&service);
    let spec = at(&deployment, "spec");
    let container = at(spec, "template.spec.containers.0");
    let sleep = number(container, "lifecycle.preStop.sleep.seconds");
    let grace = number(spec, "template.spec.terminationGracePeriodSeconds");
    let rolling = at(spec, "strategy.rollingUpdate");
    let spread = at(spec, "template.spec.topologySpreadConstraints.0");
    let labels = at(spec, "template.metadata.labels");
    let holds = [
        ("interval", interval > 0 && unhealthy > 0 && healthy > 0),
        ("sleep", sleep >= interval * unhealthy + MARGIN),
        ("grace", grace >= sleep + shutdown_timeout() + MARGIN),
        ("minReadySeconds", number(spec, "minReadySeconds") >= interval * healthy),
        ("replicas", number(spec, "replicas") >= 2),
        ("maxUnavailable", rolling["maxUnavailable"].as_u64() == Some(0)),
        ("maxSurge", number(rolling, "maxSurge") >= 1),
        ("spread", spread["matchLabelKeys"][0].as_str() == Some("pod-template-hash")),
        ("policy", at(&service, "spec.externalTrafficPolicy").as_str() == Some("Local")),
        ("selector", at(&service, "spec.selector") == labels),
    ];
    holds.iter().filter(|(_, holds)| !holds).map(|(name, _)| *name).collect()
}

#[test]
fn the_numbers_hold_for_every_load_balancer() {
    let services = services();
    assert!(services.len() > 4, "{services:?}");
    for service in services {
        assert_eq!(broken(&read("deployment.yaml"), &read(&service)), [""; 0], "{service}");
    }
}

/// What is replaced, in the Deployment or in GKE's, AWS's or Azure's Service, and what is refused.
#[test]
fn numbers_that_break_a_sum_are_refused() {
    let deployment = read("deployment.yaml");
    for (from, to, name) in [
        ("sleep: {seconds: 28}", "sleep: {seconds: 25}", "sleep"),
        ("preStop:", "postStart:", "sleep"),
        ("sleep: {seconds: 28}", "sleep: {seconds: 29}", "grace"),
        ("PeriodSeconds: 45", "PeriodSeconds: 44", "grace"),
        ("      terminationGracePeriodSeconds: 45\n", "", "grace"),
        ("minReadySeconds: 20", "minReadySeconds: 7", "minReadySeconds"),
        ("  minReadySeconds: 20\n", "", "minReadySeconds"),
        ("replicas: 2", "replicas: 1", "replicas"),
        ("maxUnavailable: 0", "maxUnavailable: 1", "maxUnavailable"),
        ("maxSurge: 1", "maxSurge: 0", "maxSurge"),
        ("        matchLabelKeys: [pod-template-hash]\n", "", "spread"),
    ] {
        assert!(deployment.contains(from), "{from:?}");
        let changed = deployment.replacen(from, to, 1);
        assert_eq!(broken(&changed, &read("gke/service.yaml")), [name], "{from:?} -> {to:?}");
    }
    for (file, from, to, names) in [
        ("aws", "interval: \"10\"", "interval: \"15\"", &["sleep", "minReadySeconds"][..]),
        ("aws", "unhealthy-threshold: \"2\"", "unhealthy-threshold: \"3\"", &["sleep"]),
        ("aws", "-healthy-threshold: \"2\"", "-healthy-threshold: \"3\"", &["minReadySeconds"]),
        ("aws-proxy", "interval: \"10\"", "interval: ten", &["interval"]),
        ("azure", "num-of-probe: \"2\"", "num-of-probe: \"6\"", &["sleep", "minReadySeconds"]),
        ("gke", "Policy: Local", "Policy: Cluster", &["policy"]),
        ("gke", "selector: {app: source-ip}", "selector: {app: other}", &["selector"]),
    ] {
        let service = read(&format!("{file}/service.yaml"));
        assert!(service.contains(from), "{from:?}");
        let changed = service.replacen(from, to, 1);
        assert_eq!(broken(&deployment, &changed), names, "{file}: {from:?} -> {to:?}");
    }
}

/// What the Pod Security Standard "restricted" asks for, and no token of the cluster.
/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>
#[test]
fn pods_are_restricted() {
    let deployment: Value = serde_yaml::from_str(&read("deployment.yaml")).unwrap();
    let pod = at(&deployment, "spec.template.spec");
    let container = at(pod, "containers.0");
    for (from, path, value) in [
        (pod, "securityContext.runAsNonRoot", "true"),
        (pod, "securityContext.seccompProfile.type", "RuntimeDefault"),
        (pod, "automountServiceAccountToken", "false"),
        (container, "securityContext.allowPrivilegeEscalation", "false"),
        (container, "securityContext.readOnlyRootFilesystem", "true"),
        (container, "securityContext.capabilities.drop.0", "ALL"),
        (container, "image", "dockless://source-ip"),
    ] {
        let found = serde_yaml::to_string(at(from, path)).unwrap();
        assert_eq!(found.trim(), value, "{path}");
    }
}
