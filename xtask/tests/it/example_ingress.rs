//! The manifests of the example oauth2-proxy, judged by a real API server. It learns the kinds of
//! Traefik, Gateway API and Envoy Gateway from what these publish, in their Go modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::world::cluster::Cluster;
use super::world::{judge, run};

/// A module, and where in it the definitions are.
const DEFINITIONS: [(&str, &str); 3] = [
    ("sigs.k8s.io/gateway-api@v1.6.1", "config/crd/standard"),
    ("github.com/envoyproxy/gateway@v1.9.0", "charts/gateway-helm/charts/crds/crds/generated"),
    (
        "github.com/traefik/traefik/v3@v3.7.9",
        "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",
    ),
];

/// The folder of a Go module's sources.
fn module(go: &Path, module: &str) -> PathBuf {
    let dir = tempfile::tempdir().unwrap();
    let mut download = Command::new(go);
    download.args(["mod", "download", "-json", module]).current_dir(dir.path());
    let answer = run(&mut download).ends_with(0).json();
    PathBuf::from(answer["Dir"].as_str().unwrap())
}

#[test]
fn the_manifests_for_ingress_controllers_are_taken_by_a_real_api_server() {
    let Some(cluster) = Cluster::shared() else { return };
    let Some(go) = judge("go") else { return };
    for (source, path) in DEFINITIONS {
        let path = module(&go, source).join(path);
        // Definitions of this size do not fit into the annotation of a client-side apply.
        let apply = ["apply", "--server-side", "--filename", path.to_str().unwrap()];
        cluster.kubectl(&apply).ends_with(0);
    }
    let wait = ["wait", "--for=condition=Established", "--all", "crd", "--timeout=60s"];
    cluster.kubectl(&wait).ends_with(0);

    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/oauth2-proxy/deploy");
    let dry_run = |file: &Path| {
        let file = file.to_str().unwrap();
        cluster.kubectl(&["apply", "--dry-run=server", "--validate=strict", "--filename", file])
    };
    for (file, kinds) in [
        (".", &["deployment.apps/prom", "statefulset.apps/redis", "networkpolicy"][..]),
        ("ingress/traefik.yaml", &["middleware.traefik.io/alerts-sign-in", "ingress"]),
        ("ingress/envoy-gateway.yaml", &["securitypolicy.gateway.envoyproxy.io/prom", "httproute"]),
        ("ingress/ingress-nginx.yaml", &["ingress.networking.k8s.io/login"]),
    ] {
        let taken = dry_run(&deploy.join(file));
        taken.ends_with(0);
        for kind in kinds {
            assert!(taken.stdout.contains(kind), "{kind} is not in {}", taken.stdout);
        }
    }

    // A key that no controller knows is not taken.
    let dir = tempfile::tempdir().unwrap();
    for (file, key, wrong) in [
        ("traefik.yaml", "authResponseHeaders:", "authResponseHeader:"),
        ("envoy-gateway.yaml", "pathOverride:", "pathoverride:"),
        ("envoy-gateway.yaml", "earlyRequestHeaders:", "earlyRequestHeader:"),
    ] {
        let text = std::fs::read_to_string(deploy.join("ingress").join(file)).unwrap();
        assert!(text.contains(key));
        let path = dir.path().join(file);
        std::fs::write(&path, text.replace(key, wrong)).unwrap();
        let refused = dry_run(&path);
        let wrong = wrong.trim_end_matches(':');
        assert!(refused.code != Some(0) && refused.stderr.contains(wrong), "{refused:?}");
    }
}
