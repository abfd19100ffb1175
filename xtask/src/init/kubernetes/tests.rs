use super::*;
use crate::yaml::{self, Node};

fn tool() -> Service {
    Service {
        package: "tool".to_owned(),
        name: "tool".to_owned(),
        ports: distinct(&["8080/tcp".to_owned()]),
        volumes: Vec::new(),
        root: false,
    }
}

/// The Deployment, the PodDisruptionBudget and the Service.
fn documents(service: &Service) -> Vec<Node> {
    let (_, text) = manifest(service).unwrap();
    let documents = yaml::parse(&text).unwrap_or_else(|error| panic!("{error:?} in\n{text}"));
    assert_eq!(documents.len(), 3, "{text}");
    documents
}

/// The node at a path such as `spec/replicas`; an item of a list has its number.
fn at<'a>(node: &'a Node, path: &str) -> &'a Node {
    path.split('/').fold(node, |node, step| match step.parse::<usize>() {
        Ok(number) => &node.items().unwrap_or_else(|| panic!("{path}"))[number],
        Err(_) => node.get(step).unwrap_or_else(|| panic!("no {step} of {path}")),
    })
}

fn text<'a>(node: &'a Node, path: &str) -> &'a str {
    at(node, path).text().unwrap()
}

fn number(node: &Node, path: &str) -> u32 {
    text(node, path).parse().unwrap()
}

#[test]
fn packages_become_names_of_services() {
    let long = "a".repeat(63);
    for (package, name) in [
        ("tool", "tool"),
        ("my_tool", "my-tool"),
        ("My_Tool-2", "my-tool-2"),
        ("_tool_", "tool"),
        ("a--b", "a--b"),
        ("t", "t"),
        (&long, &long),
    ] {
        assert_eq!(object_name(package), Ok(name.to_owned()));
    }
    let longer = "a".repeat(64);
    for (package, why) in [
        ("größe", "it has the character 'ö'"),
        ("a.b", "it has the character '.'"),
        ("a b", "it has the character ' '"),
        ("a\nkind: Secret", "it has the character '\\n'"),
        ("{{ name }}", "it has the character '{'"),
        ("2fast", "it must begin with a letter"),
        ("__", "it must begin with a letter"),
        ("", "it must begin with a letter"),
        (&longer, "it has 64 characters of at most 63"),
    ] {
        assert_eq!(object_name(package), Err(why.to_owned()), "{package:?}");
    }
}

/// The numbers hold for the health checks that the comments name: the slowest to take a node out
/// is each 8 s, 3 times, and the slowest to take one in each 10 s, twice.
#[test]
fn the_numbers_hold() {
    let [deployment, budget, service] = &documents(&tool())[..] else { panic!() };
    let pod = at(deployment, "spec/template/spec");
    let sleep = number(pod, "containers/0/lifecycle/preStop/sleep/seconds");
    assert!(sleep >= 8 * 3 + 2, "{sleep}");
    assert!(number(pod, "terminationGracePeriodSeconds") >= sleep + 15 + 2);
    assert!(number(deployment, "spec/minReadySeconds") >= 10 * 2);
    assert!(number(deployment, "spec/replicas") > number(budget, "spec/maxUnavailable"));
    assert_eq!(text(deployment, "spec/strategy/rollingUpdate/maxUnavailable"), "0");
    assert_eq!(text(service, "spec/externalTrafficPolicy"), "Local");
}

/// What selects the pods, in all three objects, is what the pods are labelled with.
#[test]
fn the_selectors_find_the_pods() {
    // To readers of YAML 1.1 `on` is true.
    let on = Service { package: "on".to_owned(), name: "on".to_owned(), ..tool() };
    let (path, manifest) = manifest(&on).unwrap();
    assert_eq!(path, Path::new("deploy/on.yaml"));
    assert!(manifest.contains("app.kubernetes.io/name: \"on\"\n"), "{manifest}");
    let [deployment, budget, service] = &documents(&on)[..] else { panic!() };
    for (document, selector) in [
        (deployment, "spec/selector/matchLabels"),
        (deployment, "spec/template/metadata/labels"),
        (deployment, "spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels"),
        (budget, "spec/selector/matchLabels"),
        (service, "spec/selector"),
    ] {
        let label = at(document, selector).get("app.kubernetes.io/name");
        assert_eq!(label.and_then(Node::text), Some("on"), "{selector}");
        assert_eq!(text(document, "metadata/name"), "on");
    }
    assert_eq!(text(deployment, "spec/template/spec/containers/0/image"), "dockless://on");
}

#[test]
fn ports_are_those_of_the_image() {
    let ports = ["53/udp", "53/tcp", "8080/tcp", "53/udp", "9/sctp"].map(str::to_owned);
    let dns = Service { ports: distinct(&ports), ..tool() };
    let [deployment, _, service] = &documents(&dns)[..] else { panic!() };
    let container = at(deployment, "spec/template/spec/containers/0");
    let expected = [
        ("udp-53", 53, "UDP"),
        ("tcp-53", 53, "TCP"),
        ("tcp-8080", 8080, "TCP"),
        ("sctp-9", 9, "SCTP"),
    ];
    for (place, (name, port, protocol)) in expected.into_iter().enumerate() {
        let inner = at(container, &format!("ports/{place}"));
        let outer = at(service, &format!("spec/ports/{place}"));
        assert_eq!((text(inner, "name"), number(inner, "containerPort")), (name, port));
        assert_eq!((text(outer, "name"), number(outer, "port")), (name, port));
        assert_eq!(text(outer, "targetPort"), name);
        assert_eq!((text(inner, "protocol"), text(outer, "protocol")), (protocol, protocol));
    }
    assert_eq!(at(container, "ports").items().unwrap().len(), expected.len());
    assert_eq!(text(container, "readinessProbe/tcpSocket/port"), "tcp-53");
    let udp = Service { ports: distinct(&["53/udp".to_owned()]), ..tool() };
    let deployment = &documents(&udp)[0];
    let container = at(deployment, "spec/template/spec/containers/0");
    assert_eq!(container.get("readinessProbe"), None);
}

#[test]
fn volumes_are_mounted_and_root_is_told() {
    let volumes = ["/data", "/my \"data\"", "/a: b #c", "/ü\\n"].map(str::to_owned).to_vec();
    let service = Service { volumes: volumes.clone(), root: true, ..tool() };
    let deployment = &documents(&service)[0];
    let pod = at(deployment, "spec/template/spec");
    for (place, folder) in volumes.iter().enumerate() {
        let mount = at(pod, &format!("containers/0/volumeMounts/{place}"));
        let volume = at(pod, &format!("volumes/{place}"));
        assert_eq!(text(mount, "mountPath"), folder);
        assert_eq!(text(mount, "name"), text(volume, "name"));
        assert!(volume.get("emptyDir").is_some());
    }
    assert_eq!(text(pod, "securityContext/runAsNonRoot"), "false");
    assert_eq!(
        text(&documents(&tool())[0], "spec/template/spec/securityContext/runAsNonRoot"),
        "true"
    );
}

/// A package is what cargo allows, which may be more than today.
#[test]
fn a_package_with_a_strange_name_stays_a_text() {
    for package in ["a b", "a\": b", "a\nkind: Secret", "a # b", "größe", "a: b"] {
        let service = Service { package: package.to_owned(), ..tool() };
        let image = "spec/template/spec/containers/0/image";
        assert_eq!(text(&documents(&service)[0], image), format!("dockless://{package}"));
    }
}
