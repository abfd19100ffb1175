//! Documents that are chosen by their labels.

use super::*;

fn labelled(name: &str, labels: &str, image: &str) -> String {
    let pod = pod(name, image);
    pod.replace("metadata:\n", &format!("metadata:\n  labels: {labels}\n"))
}

/// The selectors that kubectl takes.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>
#[test]
fn documents_are_chosen_by_labels() {
    let world = workspace(&["tool"]);
    let documents = [
        labelled("a", "{app: one, tier: web}", "nginx"),
        labelled("b", "{app: two, tier: web}", "nginx"),
        labelled("c", "{app: \"three\"}", "nginx"),
        pod("d", "nginx"),
    ];
    world.file("pods.yaml", &documents.join("---\n"));
    let chosen = |selector: &str| {
        let run = run(&mut world.tool(["resolve", "-f", "pods.yaml", "-l", selector]));
        let names = run.ends_with(0).stdout.split("\n  name: ").skip(1);
        names.map(|it| it.split('\n').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (selector, names) in [
        ("app=one", "a"),
        ("app==two", "b"),
        ("app=three", "c"),
        ("app!=one", "b c d"),
        ("tier=web,app!=one", "b"),
        ("app", "a b c"),
        ("!app", "d"),
        ("app in (one, three)", "a c"),
        ("app notin (one,three)", "b d"),
        ("app=none", ""),
    ] {
        assert_eq!(chosen(selector), names, "{selector}");
    }
    let long = run(&mut world.tool(["resolve", "-f", "pods.yaml", "--selector", "app=one"]));
    assert_eq!(long.ends_with(0).stdout.trim_end(), documents[0].trim_end());
    for wrong in ["app=", "=one", "app in", "app in (", "app=a=b", "a b", "app in ()", ",", "ä=b"]
    {
        let run = run(&mut world.tool(["resolve", "-f", "pods.yaml", "-l", wrong]));
        // kubectl takes an empty value.
        if wrong == "app=" || wrong == "app in ()" {
            continue;
        }
        assert!(matches!(run.code, Some(1 | 2)), "{wrong}: {}", run.stdout);
        run.no_result().never_says("panicked").says("error:");
    }
}

/// What is not chosen is not built: here, it could not be.
#[test]
fn images_of_other_documents_are_not_built() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&["tool", "broken"]);
    world.file("broken/src/main.rs", "fn main() { this is no Rust }");
    let tool = |image: &str| labelled("a", "{app: one}", image);
    let broken = labelled("b", "{app: two}", "dockless://broken");
    world.file("pods.yaml", &format!("{}---\n{broken}", tool("dockless://tool")));
    let mut command =
        resolving(&world, &registry.host, "resolve-selected", "-f pods.yaml -l app=one");
    let resolved = run(&mut command);
    let reference = reference(&resolved.ends_with(0).stdout);
    assert_eq!(resolved.stdout.trim_end(), tool(reference).trim_end());
}
