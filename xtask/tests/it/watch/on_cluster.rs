//! `watch apply` on a real cluster. It is slow, so `DOCKLESS_CLUSTER` asks for it.

use serde_json::Value;

use super::*;
use crate::world::cluster::{Cluster, NODES};
use crate::world::only_host;

/// A server that says which edit it is, and in which pod it runs.
const SERVER: &str = r#"use std::io::{Read, Write};

fn main() {
    let pod = std::fs::read_to_string("/etc/hostname").unwrap();
    let body = format!("{{\"edit\": EDIT, \"pod\": \"{}\"}}", pod.trim());
    let listener = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut head = [0; 4096];
        if stream.read(&mut head).is_ok_and(|read| read > 0) {
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n");
            _ = stream.write_all(format!("{head}\r\n{body}").as_bytes());
        }
    }
}
"#;

const PORT: &str = "30181";

const MANIFESTS: &str = "apiVersion: v1
kind: Service
metadata: {name: edited}
spec:
  type: NodePort
  selector: {app: edited}
  ports: [{port: 80, targetPort: 8080, nodePort: 30181}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edited}
spec:
  selector: {matchLabels: {app: edited}}
  template:
    metadata: {labels: {app: edited}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: tool
        image: dockless://tool
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
";

/// Waits until the cluster answers with this edit, and returns the pod that does.
fn answering(cluster: &Cluster, edit: u64) -> String {
    let ready = ["rollout", "status", "deployment", "edited", "--timeout=90s"];
    cluster.kubectl(&ready).ends_with(0);
    let until = Instant::now() + PATIENCE;
    loop {
        // A pod that is going away may still answer, and the way to the new one may not be there.
        let asked = cluster.asked(NODES[0], PORT);
        let said: Option<Value> = (asked.code == Some(0)).then(|| asked.json());
        if let Some(said) = said.filter(|it| it["edit"] == edit) {
            return said["pod"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < until, "edit {edit} does not come: {}", asked.stdout);
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn each_edit_answers_from_a_new_pod() {
    let Some(cluster) = Cluster::shared() else { return };
    let Some(registry) = cluster.registry() else { return };
    let _alone = cluster.alone();
    let world = World::empty();
    world.package("", "tool", "1.0.0", &only_host()).file("LICENSE", "free\n");
    let server = |edit: u64| SERVER.replace("EDIT", &edit.to_string());
    world.file("src/main.rs", &server(0)).file("deploy/edited.yaml", MANIFESTS).lock().commit();
    let args = ["watch", "apply", "-f", "deploy", "--repository", &registry.host];
    let mut tool = world.tool(args);
    let mut watch = Watch::of(tool.env("PATH", cluster.path()));
    watch.prints("deployment.apps/edited created\n");
    let mut pods = vec![answering(cluster, 0)];
    for edit in 1..=10 {
        if edit == 6 {
            save(&world.path("src/main.rs"), "fn main() { this is no Rust }\n");
            watch.says("error: expected");
            watch.says("waits for changes");
            assert_eq!(answering(cluster, 5), pods[5], "what ran goes on");
        }
        save(&world.path("src/main.rs"), &server(edit));
        // What has not changed is left alone.
        watch.prints("service/edited unchanged\ndeployment.apps/edited configured\n");
        let pod = answering(cluster, edit);
        assert!(!pods.contains(&pod), "edit {edit} answers from {pod}, as before");
        pods.push(pod);
    }
    watch.end(Signal::INT);
    cluster.kubectl(&["delete", "-f", &world.path("deploy").display().to_string()]);
}
