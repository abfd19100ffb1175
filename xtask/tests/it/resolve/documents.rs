//! Where in a document references are found, and where they are left alone.

use super::*;
use crate::world::judge;

/// A template of pods in each of Kubernetes' kinds, and in one of others.
const KINDS: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: deployment, labels: {app: a}}
spec:
  template:
    spec:
      initContainers:
      - name: first
        image: dockless://tool   # before the others
      - {name: second, image: 'dockless://tool'}
      containers:
      - image: \"dockless://tool\"
        name: main
      ephemeralContainers:
      - image: >-
          dockless://tool
        name: debug
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: cron
spec:
  schedule: '*/5 * * * *'
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - name: main
              image: |-
                dockless://tool
---
# A resource of somebody's own kind.
apiVersion: example.org/v1
kind: Fleet
metadata:
  name: fleet
spec:
  runner:
    image: dockless://tool
  sidecars:
    metrics: {image: dockless://tool, port: 9090}
  # Not called `image`, but the whole text is a reference.
  template: dockless://tool
  args: [--image, dockless://tool]
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata:
    name: listed
  spec:
    volumes:
    - name: v
      image:
        reference: dockless://tool
    containers:
    - name: main
      image: dockless://tool
";

#[test]
fn every_image_of_every_kind_is_replaced_and_nothing_else() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    world.file("kinds.yaml", KINDS);
    let resolved = resolve(&world, registry, "resolve-kinds", "-f kinds.yaml");
    let reference = references(&resolved.ends_with(0).stdout)[0];
    assert_eq!(resolved.stdout, KINDS.replace("dockless://tool", reference));
}

/// A kind's definition speaks of images too, as of properties.
const DEFINITION: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: fleets.example.org
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        properties:
          spec:
            properties:
              image:
                description: Such as dockless://tool, in a text.
                type: string
              images:
                items: {properties: {image: {type: string}}}
                type: array
";

/// What speaks of a reference, and is none.
const TEXTS: &str = "\
# dockless://comment is a comment.
apiVersion: v1
kind: ConfigMap
metadata:
  name: texts
  annotations:
    note: built from dockless://tool, says the text
data:
  pod.yaml: |
    kind: Pod
    spec:
      containers:
      - image: dockless://tool
  sentence: see dockless://tool
  \"dockless://key\": value
";

#[test]
fn texts_that_speak_of_a_reference_are_left_alone() {
    let world = workspace(&["tool"]);
    world.file("crd.yaml", DEFINITION).file("texts.yaml", TEXTS);
    // Nothing is built, so that there is no need of a place to push to.
    let resolved = world.run("resolve -f crd.yaml -f texts.yaml");
    assert_joined(&resolved.ends_with(0).stdout, &[DEFINITION.to_owned(), TEXTS.to_owned()]);
    resolved.never_says("Compiling").never_says("texts.yaml");
    let told = world.run("resolve -v -f crd.yaml -f texts.yaml");
    assert_eq!(told.ends_with(0).stdout, resolved.stdout);
    // The text of the pod begins in line 9, and its image is in line 13.
    for place in ["crd.yaml:14:", "texts.yaml:7:", "texts.yaml:14:"] {
        told.says(place);
    }
    let of_pod = ["texts.yaml:9:", "texts.yaml:13:"].map(|place| told.stderr.contains(place));
    assert!(of_pod.contains(&true), "{}", told.stderr);
}

/// Lines of an anchor and of its aliases, as they are and as they become.
#[test]
fn anchors_are_replaced_once_and_aliases_follow() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool", "other"]);
    let anchored = |tool: &str, other: &str| {
        format!(
            "x-image: &image {tool}\nx-base: &base\n  image: {other}\n  tty: true\nspec:\n  \
             containers:\n  - name: a\n    image: *image\n  - name: b\n    <<: *base\n  \
             - &c {{name: c, image: *image}}\n  - *c\n"
        )
    };
    world.file("pod.yaml", &anchored("dockless://tool", "dockless://other"));
    let resolved = resolve(&world, registry, "resolve-anchors", "-f pod.yaml");
    let named = references(&resolved.ends_with(0).stdout);
    let [tool, other] = named[..] else { panic!("{named:?}") };
    assert!(tool.contains("/tool@") && other.contains("/other@"), "{named:?}");
    assert_eq!(resolved.stdout, anchored(tool, other));
}

/// JSON is kept as it is, with escapes that YAML 1.1 does not know.
#[test]
fn json_stays_json() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    let documents = |tool: &str| {
        [
            format!("{{\n\t\"kind\": \"Pod\",\n\t\"spec\": {{\"image\": \"{tool}\"}}\n}}\n"),
            format!(r#"{{"url":"https:\/\/example.org\/","spec":{{"image":"{tool}"}}}}"#),
            format!(r#"{{"text":"a\u00e9\ud83d\ude00\n","items":[{{"image":"{tool}"}}]}}"#),
        ]
    };
    for (at, text) in documents("dockless://tool").iter().enumerate() {
        world.file(&format!("{at}.json"), text);
    }
    for at in 0..3 {
        let resolved = resolve(&world, registry, "resolve-json-files", &format!("-f {at}.json"));
        let reference = reference(&resolved.ends_with(0).stdout);
        let expected = &documents(reference)[at];
        assert_eq!(resolved.stdout.trim_end(), expected.trim_end(), "{at}.json");
        let _: serde_json::Value = serde_json::from_str(&resolved.stdout).unwrap();
    }
}

/// A reference with escapes is the text that it stands for.
#[test]
fn escapes_in_a_reference_are_read() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool"]);
    for text in [
        r#"{"image": "dockless:\/\/tool"}"#,
        r#"{"image": "\u0064ockless://tool"}"#,
        "image: \"dockless:\\x2f/tool\"\n",
        "image: \"dockless://\\\n  tool\"\n",
    ] {
        let resolved = fed(&mut resolving(&world, &registry.host, "resolve-escapes", "-f -"), text);
        let reference = reference(&resolved.ends_with(0).stdout);
        let expected = format!("{}/resolve-escapes/tool@", registry.host);
        assert!(reference.starts_with(&expected), "{text}: {reference}");
        let read: serde_yaml::Value = serde_yaml::from_str(&resolved.stdout).unwrap();
        assert_eq!(read["image"].as_str(), Some(reference), "{text}");
    }
}

/// What kustomize writes comes by a pipe.
#[test]
fn kustomize_pipes_into_it() {
    let Some(registry) = Registry::shared() else { return };
    let Some(kubectl) = judge("kubectl") else { return };
    let world = workspace(&["tool"]);
    world.file("base/kustomization.yaml", "resources: [pod.yaml]\nnamePrefix: my-\n");
    world.file("base/pod.yaml", &pod("a", "dockless://tool"));
    let made = run(&mut world.with(kubectl, ["kustomize", "base"]));
    assert!(made.ends_with(0).stdout.contains("image: dockless://tool\n"), "{}", made.stdout);
    let mut tool = resolving(&world, &registry.host, "resolve-kustomize", "-f -");
    let resolved = fed(&mut tool, made.stdout.clone());
    let reference = reference(&resolved.ends_with(0).stdout);
    assert_eq!(resolved.stdout, made.stdout.replace("dockless://tool", reference));
}

/// What kubectl reads of the output: the names of all objects of all files.
#[test]
fn kubectl_reads_files_that_were_joined() {
    let Some(kubectl) = judge("kubectl") else { return };
    let world = workspace(&["tool"]);
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let json = |name: &str| {
        format!(r#"{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "{name}"}}}}"#)
    };
    let files = [
        ("a.json", json("a")),
        ("b.yaml", map("b").trim_end().to_owned()),
        ("c.yaml", format!("---\n{}---\n", map("c"))),
        ("d.yaml", format!("{}---\n{}...\n", map("d"), map("e"))),
        ("e.yaml", "# nothing\n".to_owned()),
        ("f.yaml", String::new()),
        ("g.json", json("g")),
        ("h.yaml", format!("\u{feff}{}", map("h")).replace('\n', "\r\n")),
        ("i.yml", map("i")),
    ];
    for (name, text) in &files {
        world.file(&format!("k8s/{name}"), text);
    }
    let resolved = world.run("resolve -f k8s");
    let read = |text: &str| {
        let args = ["label", "--local", "-f", "-", "-o", "name", "x=y"];
        fed(&mut world.with(&kubectl, args), text)
    };
    let names = read(&resolved.ends_with(0).stdout);
    let expected: String =
        ["a", "b", "c", "d", "e", "g", "h", "i"].map(|it| format!("configmap/{it}\n")).concat();
    assert_eq!(names.ends_with(0).stdout, expected, "of {}", resolved.stdout);
}

/// A reference has one form, and what only resembles it is not left for the cluster to find.
#[test]
fn a_reference_that_is_none_is_an_error() {
    let world = workspace(&["tool"]);
    for wrong in [
        "dockless://",
        "dockless:///",
        "dockless:///tool",
        "dockless://tool/",
        "dockless://tool:1.0.0",
        "dockless://tool@sha256:00",
        "dockless://tool/tool/tool",
        "dockless://to ol",
        "dockless://tool?x=y",
        "dockless://../tool",
        "dockless://TOOL",
    ] {
        world.file("pod.yaml", &pod("a", &format!("\"{wrong}\"")));
        let run = world.run("resolve -f pod.yaml");
        refused(&run, "pod.yaml:8:").never_says("Compiling");
    }
    // This one is an image on Docker Hub.
    world.file("pod.yaml", &pod("a", "dockless:tool"));
    assert_eq!(world.run("resolve -f pod.yaml").ends_with(0).stdout, pod("a", "dockless:tool"));
}
