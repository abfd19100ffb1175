use std::collections::BTreeSet;
use std::path::PathBuf;

use super::check;
use super::pre_stop::{PreStop, read};
use crate::finding::{Finding, Severity};
use crate::resolve::Document;
use crate::yaml::parse;

/// Numbers that hold for checks every 5 s, twice.
const GOOD: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: app
  annotations:
    service.beta.kubernetes.io/azure-load-balancer-health-probe-interval: \"5\"
    service.beta.kubernetes.io/azure-load-balancer-health-probe-num-of-probe: \"2\"
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  minReadySeconds: 10
  selector: {matchLabels: {app: web}}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec:
      terminationGracePeriodSeconds: 19
      containers:
      - name: web
        image: dockless://web
        ports: [{containerPort: 8080, name: http}]
        readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 1}
        lifecycle:
          preStop:
            sleep:
              seconds: 12
";

fn found(text: &str) -> Vec<Finding> {
    let nodes = parse(text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let document = |node| Document { file: PathBuf::from("app.yaml"), node };
    check(&nodes.into_iter().map(document).collect::<Vec<_>>())
}

/// The rules and lines of what is found.
fn rules(text: &str) -> Vec<(&'static str, usize)> {
    found(text).iter().map(|it| (it.rule, it.place.at.unwrap().0)).collect()
}

/// What is replaced in [`GOOD`], by what, and the rules that this breaks, with their lines.
type Case = (&'static str, &'static str, &'static [(&'static str, usize)]);

const CASES: [Case; 37] = [
    ("", "", &[]),
    // The sleep.
    ("seconds: 12", "seconds: 11", &[("local-pre-stop-short", 37)]),
    ("seconds: 12", "seconds: \"{{ .Values.sleep }}\"", &[]),
    ("      terminationGracePeriodSeconds: 19\n", "", &[]),
    (
        "        lifecycle:\n          preStop:\n            sleep:\n              seconds: 12\n",
        "",
        &[("local-pre-stop-missing", 30)],
    ),
    ("preStop", "postStart", &[("local-pre-stop-missing", 30)]),
    (
        "            sleep:\n              seconds: 12\n",
        "            exec: {command: [sleep, \"5\"]}\n",
        &[("local-pre-stop-short", 36)],
    ),
    (
        "            sleep:\n              seconds: 12\n",
        "            exec: {command: [/bin/sh, -c, \"sleep 12 && nginx -s quit\"]}\n",
        &[],
    ),
    (
        "            sleep:\n              seconds: 12\n",
        "            exec: {command: [/drain]}\n",
        &[],
    ),
    (
        "            sleep:\n              seconds: 12\n",
        "            httpGet: {path: /drain, port: 8080}\n",
        &[],
    ),
    // The load balancer's numbers.
    (
        "interval: \"5\"",
        "interval: \"6\"",
        &[("local-pre-stop-short", 37), ("local-grace-short", 28), ("local-min-ready-short", 20)],
    ),
    (
        "num-of-probe: \"2\"",
        "num-of-probe: \"3\"",
        &[("local-pre-stop-short", 37), ("local-grace-short", 28), ("local-min-ready-short", 20)],
    ),
    ("interval: \"5\"", "interval: 5s", &[("local-annotation", 6)]),
    ("interval: \"5\"", "interval: \"0\"", &[("local-annotation", 6)]),
    ("num-of-probe: \"2\"", "num-of-probe: two", &[("local-annotation", 7)]),
    ("interval: \"5\"", "interval: \"{{ .Values.interval }}\"", &[]),
    (
        "    service.beta.kubernetes.io/azure-load-balancer-health-probe-interval: \"5\"\n",
        "    dockless/health-check-interval: \"2\"\n",
        &[],
    ),
    // The grace period.
    ("Seconds: 19", "Seconds: 18", &[("local-grace-short", 28)]),
    ("Seconds: 19", "Seconds: 0x19", &[]),
    (
        "  annotations:\n",
        "  annotations:\n    dockless/longest-request: \"6\"\n",
        &[("local-grace-short", 29)],
    ),
    (
        "  annotations:\n",
        "  annotations:\n    dockless/longest-request: long\n",
        &[("local-annotation", 6)],
    ),
    // Readiness.
    (
        "            sleep:\n              seconds: 12\n",
        "            exec: {command: [sh, -c, touch /tmp/going; sleep 12]}\n",
        &[],
    ),
    // The strategy.
    ("maxUnavailable: 0", "maxUnavailable: 1", &[]),
    ("maxUnavailable: 0", "maxUnavailable: 2", &[("local-max-unavailable", 24)]),
    ("maxUnavailable: 0", "maxUnavailable: 99%", &[]),
    ("maxUnavailable: 0", "maxUnavailable: 100%", &[("local-max-unavailable", 24)]),
    ("type: RollingUpdate", "type: Recreate", &[("local-max-unavailable", 23)]),
    ("kind: Deployment", "kind: StatefulSet", &[]),
    (
        "kind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 2\n",
        "kind: StatefulSet\nmetadata:\n  name: web\nspec:\n",
        &[("local-max-unavailable", 19)],
    ),
    // Until a new pod's node is known.
    ("  minReadySeconds: 10\n", "", &[("local-min-ready-short", 19)]),
    ("minReadySeconds: 10", "minReadySeconds: 9", &[("local-min-ready-short", 20)]),
    // What is not behind such a Service.
    ("Policy: Local", "Policy: Cluster", &[]),
    ("selector: {app: web}\n  ports", "selector: {app: other}\n  ports", &[]),
    ("  name: web\nspec", "  name: web\n  namespace: other\nspec", &[]),
    ("kind: Deployment", "kind: ReplicaSet", &[]),
    ("selector: {app: web}\n  ports", "selector: {}\n  ports", &[]),
    ("kind: Service", "kind: Gateway", &[]),
];

#[test]
fn each_number_that_cannot_hold_is_found_at_its_line() {
    for (from, to, expected) in CASES {
        assert!(GOOD.contains(from), "{from:?}");
        let text = GOOD.replacen(from, to, 1);
        assert_eq!(rules(&text), *expected, "{from:?} -> {to:?}");
    }
}

/// What a number is compared with, said in full.
#[test]
fn a_warning_names_the_numbers_and_where_they_are_from() {
    for (from, to, why, fix) in [
        (
            "seconds: 12",
            "seconds: 5",
            "Deployment web: preStop of container web sleeps 5 s, and the load balancer takes up \
             to 5 s x 2 = 10 s, by the Service's annotations, until it sends no more: requests are \
             lost when a node's last pod goes",
            "sleep 12 s or more: that time and 2 s",
        ),
        (
            "Seconds: 19",
            "Seconds: 15",
            "Deployment web: terminationGracePeriodSeconds is 15, of which preStop needs 12 s: \
             what is left is too short for the longest request (5 s, assumed: \
             dockless/longest-request of the Service can say better)",
            "write 19 or more: 12 s for preStop, 5 s for the longest request, and 2 s",
        ),
        (
            "  minReadySeconds: 10\n",
            "",
            "Deployment web: minReadySeconds is 0 by default: the next pod is stopped before the \
             load balancer sends to the node of the new one, which takes up to 5 s x 2 = 10 s, by \
             the Service's annotations",
            "write 10 or more",
        ),
    ] {
        let [finding] = &found(&GOOD.replacen(from, to, 1))[..] else { panic!("one: {from:?}") };
        assert_eq!((finding.why.as_str(), finding.fix.as_str()), (why, fix));
        assert_eq!(finding.severity, Severity::Warning);
    }
}

/// The lines of a Service, and what the sleep has to be by them.
#[test]
fn the_numbers_are_those_of_the_load_balancer() {
    let cloud = |annotations: &str| {
        let annotations = annotations.replace("aws-", "service.beta.kubernetes.io/aws-");
        annotations.replace("azure-", "service.beta.kubernetes.io/azure-")
    };
    let (aws, eks) = ("service.k8s.aws/nlb", "eks.amazonaws.com/nlb");
    let gke = "networking.gke.io/l4-regional-external";
    let own = "dockless/health-check-interval: \"2\", dockless/health-check-threshold: \"2\"";
    for (annotations, class, sleep, basis) in [
        ("", "", 26, "8 s x 3 = 24 s, assumed"),
        ("", aws, 22, "10 s x 2 = 20 s, by default of the AWS"),
        ("", eks, 22, "10 s x 2 = 20 s, by default of the AWS"),
        ("aws-load-balancer-nlb-target-type: ip", "", 32, "10 s x 3 = 30 s, by default"),
        ("aws-load-balancer-healthcheck-interval: \"5\"", "", 12, "the rest by default of the AWS"),
        ("azure-load-balancer-internal: \"true\"", "", 12, "5 s x 2 = 10 s, by default of the Az"),
        ("", gke, 26, "8 s x 3 = 24 s, as GKE checks"),
        ("cloud.google.com/l4-rbs: enabled", "", 26, "as GKE checks"),
        (own, gke, 6, "2 s x 2 = 4 s, by the Service's annotations"),
    ] {
        let annotations = match annotations {
            "" => String::new(),
            some => format!("  annotations: {{{}}}\n", cloud(some)),
        };
        let class = match class {
            "" => String::new(),
            some => format!("  loadBalancerClass: {some}\n"),
        };
        let head = GOOD.find("  annotations:").unwrap();
        let spec = GOOD.find("spec:\n").unwrap();
        let rest = GOOD[spec..].replacen("spec:\n", &format!("spec:\n{class}"), 1);
        let text = format!("{}{annotations}{rest}", &GOOD[..head]);
        let text = text.replace("seconds: 12", "seconds: 1").replace("Seconds: 19", "Seconds: 99");
        let text = text.replace("minReadySeconds: 10", "minReadySeconds: 99");
        let [finding] = &found(&text)[..] else { panic!("one: {text}") };
        assert!(finding.why.contains(basis), "{} has no {basis:?}", finding.why);
        assert!(finding.fix.contains(&format!(" {sleep} s or more")), "{sleep}: {}", finding.fix);
    }
}

/// Containers of a pod and what is found, by the lines of the containers.
#[test]
fn the_container_that_takes_the_requests_has_to_sleep() {
    let head = &GOOD[..GOOD.find("      containers:").unwrap()];
    let sleeps = "lifecycle: {preStop: {sleep: {seconds: 12}}}";
    let web = "{name: web, ports: [{containerPort: 8080, name: http}]";
    for (containers, expected) in [
        (format!("      containers:\n      - {web}, {sleeps}}}\n      - {{name: logs}}\n"), None),
        (
            format!("      containers:\n      - {{name: logs, {sleeps}}}\n      - {web}}}\n"),
            Some(31),
        ),
        // None says that it serves the port: each has to.
        (
            format!("      containers:\n      - {{name: a, {sleeps}}}\n      - {{name: b}}\n"),
            Some(31),
        ),
        (
            format!(
                "      initContainers:\n      - {web}, restartPolicy: Always}}\n      \
                 containers:\n      - {{name: b, {sleeps}}}\n"
            ),
            Some(30),
        ),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|line| ("local-pre-stop-missing", line)).collect();
        assert_eq!(rules(&format!("{head}{containers}")), expected, "{containers}");
    }
}

/// A handler by which the pod is unready at once, although it sleeps after that.
#[test]
fn a_handler_that_makes_the_probe_fail_is_found() {
    let probe = "{httpGet: {path: /readyz, port: http}, periodSeconds: 1}";
    for (handler, probe_command, period, expected) in [
        ("touch /tmp/going; sleep 12", "test ! -e /tmp/going", 1, true),
        ("touch '/tmp/going' && sleep 12", "[ ! -e /tmp/going ]", 3, true),
        ("rm /run/ready; sleep 12", "cat /run/ready", 3, true),
        ("rm /run/ready; sleep 12", "cat /run/ready", 4, false),
        ("touch /tmp/other; sleep 12", "test ! -e /tmp/going", 1, false),
        ("/bin/sleep 12", "/bin/sleep 0", 1, false),
    ] {
        let text = GOOD
            .replace(
                "            sleep:\n              seconds: 12\n",
                &format!("            exec: {{command: [sh, -c, \"{handler}\"]}}\n"),
            )
            .replace(
                probe,
                &format!(
                    "{{exec: {{command: [sh, -c, \"{probe_command}\"]}}, periodSeconds: {period}}}"
                ),
            );
        let expected: &[_] = if expected { &[("local-unready-first", 36)] } else { &[] };
        assert_eq!(rules(&text), expected, "{handler} and {probe_command}");
    }
}

#[test]
fn a_daemon_set_keeps_some_of_its_pods() {
    let daemon_set = |update: &str| {
        let strategy = "  strategy:\n    type: RollingUpdate\n    \
                        rollingUpdate: {maxSurge: 1, maxUnavailable: 0}\n";
        let text =
            GOOD.replace("kind: Deployment", "kind: DaemonSet").replace("  replicas: 2\n", "");
        text.replace(strategy, &format!("  updateStrategy: {{rollingUpdate: {{{update}}}}}\n"))
    };
    assert_eq!(rules(&daemon_set("maxUnavailable: 1")), []);
    assert_eq!(rules(&daemon_set("maxUnavailable: 50%")), []);
    assert_eq!(rules(&daemon_set("maxUnavailable: 100%")), [("local-max-unavailable", 21)]);
}

/// The slowest of several load balancers counts, and each problem is said once.
#[test]
fn two_services_before_the_same_pods_are_both_served() {
    let (service, deployment) = GOOD.split_once("---\n").unwrap();
    let gke = service.replace("  name: app\n", "  name: gke\n").replace(
        "  type: LoadBalancer\n",
        "  type: LoadBalancer\n  loadBalancerClass: networking.gke.io/l4-regional-external\n",
    );
    let gke = gke.lines().filter(|line| !line.contains("nnotations") && !line.contains("azure"));
    let gke: String = gke.map(|line| format!("{line}\n")).collect();
    for text in [
        format!("{service}---\n{gke}---\n{deployment}"),
        format!("{gke}---\n{service}---\n{deployment}"),
        format!("{deployment}---\n{gke}---\n{service}"),
    ] {
        let found = found(&text);
        let rules: Vec<&str> = found.iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, ["local-pre-stop-short", "local-grace-short"], "{text}");
        assert!(found[0].fix.contains("26 s"), "{}", found[0].fix);
    }
}

#[test]
fn the_documents_of_a_list_count() {
    let items: Vec<String> = GOOD
        .split("---\n")
        .map(|document| {
            let lines = document.lines().enumerate();
            let lines =
                lines.map(|(at, line)| format!("{}{line}\n", if at == 0 { "- " } else { "  " }));
            lines.collect()
        })
        .collect();
    let list = format!("kind: List\nitems:\n{}", items.concat());
    assert_eq!(rules(&list), []);
    assert_eq!(rules(&list.replace("seconds: 12", "seconds: 2")), [("local-pre-stop-short", 38)]);
}

#[test]
fn any_form_of_sleep_counts() {
    for (handler, expected) in [
        ("sleep: {seconds: 15}", Some(15)),
        ("sleep: {seconds: 0}", Some(0)),
        ("sleep: {seconds: soon}", None),
        ("exec: {command: [sleep, '15']}", Some(15)),
        ("exec: {command: [/bin/sleep, 15s]}", Some(15)),
        ("exec: {command: [/usr/bin/sleep, 0.5m]}", Some(30)),
        ("exec: {command: [sleep, '1', '2']}", Some(3)),
        ("exec: {command: [sleep, infinity]}", None),
        ("exec: {command: [sleep]}", None),
        ("exec: {command: [busybox, sleep, '5']}", Some(5)),
        ("exec: {command: [sh, -c, sleep 15]}", Some(15)),
        ("exec: {command: [/bin/bash, -ec, 'sleep 15']}", Some(15)),
        ("exec: {command: [sh, -x, -c, 'sleep 15;']}", Some(15)),
        ("exec: {command: [sh, -c, 'sleep 10 && kill -QUIT 1 && sleep 5']}", Some(15)),
        ("exec: {command: [sh, -c, \"echo bye\\nexec sleep 15\\n\"]}", Some(15)),
        ("exec: {command: [sh, -c, '(sleep 15)']}", Some(15)),
        ("exec: {command: [sh, -c, 'sleep 15 >/dev/null']}", Some(15)),
        ("exec: {command: [sh, -c, 'sleep \"15\"']}", Some(15)),
        ("exec: {command: [sh, -c, 'sleep 15 &']}", None),
        ("exec: {command: [sh, -c, 'sleep $SECONDS_TO_SLEEP']}", None),
        ("exec: {command: [sh, -c, 'echo sleep 15']}", None),
        ("exec: {command: [sh, -c]}", None),
        ("exec: {command: [python, -c, 'sleep 15']}", None),
        ("exec: {command: []}", None),
        ("exec: {command: sleep 15}", None),
        ("httpGet: {path: /drain, port: 8080}", None),
        ("{}", None),
    ] {
        let node = &parse(handler).unwrap()[0];
        let seconds = match read(node) {
            PreStop::Sleeps(seconds, _) => Some(seconds),
            PreStop::Unknown => None,
        };
        assert_eq!(seconds, expected, "{handler}");
    }
}

/// Numbers as large as they can be written are compared, not added up beyond their type.
#[test]
fn huge_numbers_are_compared() {
    let huge = u64::MAX.to_string();
    assert_eq!(
        rules(&GOOD.replace("seconds: 12", &format!("seconds: {huge}"))),
        [("local-grace-short", 28)]
    );
    assert_eq!(rules(&GOOD.replace("Seconds: 19", &format!("Seconds: {huge}"))), []);
    let percent = format!("maxUnavailable: {huge}%");
    assert_eq!(
        rules(&GOOD.replace("maxUnavailable: 0", &percent)),
        [("local-max-unavailable", 24)]
    );
}

/// The Deployment of the example, which each of its Services selects.
const EXAMPLE: &str = include_str!("../../../../examples/source-ip/deploy/deployment.yaml");

/// Its Services, each for another load balancer.
const SERVICES: [&str; 5] = [
    include_str!("../../../../examples/source-ip/deploy/service.yaml"),
    include_str!("../../../../examples/source-ip/deploy/aws/service.yaml"),
    include_str!("../../../../examples/source-ip/deploy/aws-proxy/service.yaml"),
    include_str!("../../../../examples/source-ip/deploy/azure/service.yaml"),
    include_str!("../../../../examples/source-ip/deploy/gke/service.yaml"),
];

#[test]
fn the_numbers_of_the_example_hold_for_each_of_its_services() {
    for service in SERVICES {
        assert_eq!(rules(&format!("{service}---\n{EXAMPLE}")), [], "{service}");
    }
    for (from, to, rule) in [
        ("{seconds: 28}", "{seconds: 25}", "local-pre-stop-short"),
        ("Seconds: 45", "Seconds: 34", "local-grace-short"),
        ("minReadySeconds: 20", "minReadySeconds: 7", "local-min-ready-short"),
        ("maxUnavailable: 0", "maxUnavailable: 2", "local-max-unavailable"),
    ] {
        let text = format!("{}---\n{}", SERVICES[4], EXAMPLE.replacen(from, to, 1));
        let found: Vec<&str> = found(&text).iter().map(|finding| finding.rule).collect();
        assert_eq!(found, [rule], "{from} -> {to}");
    }
}

/// What the page says of each rule is for a rule that is broken above, and the other way round.
#[test]
fn each_rule_is_on_the_page() {
    let page = include_str!("../../../../docs/resolve-rules.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let names = rows.filter_map(|row| row.split(" | ").next()).filter(|name| *name != "rule");
    let listed: BTreeSet<&str> = names.filter(|name| name.starts_with("local-")).collect();
    let broken = CASES.iter().flat_map(|case| case.2).map(|(rule, _)| *rule);
    let known: BTreeSet<&str> = broken.chain(["local-unready-first"]).collect();
    assert_eq!(listed, known);
}
