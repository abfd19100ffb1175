//! The examples' manifests before a real API server.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::judges::{BUILT_IN, examples, group, repository};
use super::*;
use crate::world::cluster::Cluster;
use crate::world::said;

/// Where documents without a namespace go: other tests have objects of their names in the default
/// one, and some fields, such as the class of a Service's load balancer, may not change.
const SPACE: &str = "judged";

/// A real API server takes what the tool gives to kubectl: fields that it does not know are an
/// error to it. Kinds of others need their definitions first, and are left out by name.
#[test]
fn an_api_server_takes_the_examples() {
    let Some(cluster) = Cluster::shared() else { return };
    let Some(registry) = Registry::shared() else { return };
    // The API server gets the text of each: a reader of YAML 1.2 takes `0440` for no number.
    let documents: Vec<(&str, Value)> = examples(registry)
        .split("\n---\n")
        .map(|text| (text, serde_yaml::from_str(text).unwrap()))
        .filter(|(_, document): &(&str, Value)| !document.is_null())
        .collect();
    let (own, others): (Vec<_>, Vec<_>) =
        documents.iter().partition(|(_, document)| BUILT_IN.contains(&group(document)));
    let spaces: BTreeSet<&str> =
        own.iter().filter_map(|(_, document)| document["metadata"]["namespace"].as_str()).collect();
    for space in spaces.iter().chain(&[SPACE]) {
        // Another test may have made it.
        let made = cluster.kubectl(&["create", "namespace", space]);
        assert!(made.code == Some(0) || made.stderr.contains("AlreadyExists"), "{}", made.stderr);
    }
    let strict = ["--dry-run=server", "--validate=strict"];
    for (text, document) in &own {
        let space = document["metadata"]["namespace"].as_str().unwrap_or(SPACE);
        let mut kubectl = Command::new(cluster.bin().join("kubectl"));
        kubectl.args(["apply", "-f", "-", "--namespace", space]).args(strict);
        let taken = fed(&mut kubectl, (*text).to_owned());
        assert_eq!(taken.code, Some(0), "{}\nof\n{text}", taken.stderr);
    }
    // The same by the tool itself.
    let world = World::empty();
    let folder = "examples/source-ip/deploy";
    let mut apply = world.tool(["apply", "-f", folder, "--repository"]);
    apply.arg(format!("{}/resolve-examples", registry.host)).arg("--").args(strict);
    apply.args(["--namespace", SPACE]);
    apply.current_dir(repository()).env_remove("CARGO_NET_OFFLINE").env("PATH", cluster.path());
    let applied = run(&mut apply);
    assert!(applied.ends_with(0).stdout.contains("deployment.apps/source-ip"), "{applied:?}");
    let kind = |document: &Value| document["kind"].as_str().unwrap().to_owned();
    let kinds: BTreeSet<String> =
        others.iter().map(|(_, it)| format!("{}/{}", group(it), kind(it))).collect();
    said(&format!("API server: {} documents are taken, left out are {kinds:?}", own.len()));
}
