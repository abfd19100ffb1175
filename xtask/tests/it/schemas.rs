//! The schemas of JSON, compared with what commands print. Every other test that reads JSON
//! compares it too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::world::schema::{COMMANDS, faults, folder};
use super::world::{HOST, World, judge, missing, names, run};

/// The files of a release that have one.
const FILES: [&str; 2] = ["artifacts", "metadata"];

fn schema(name: &str) -> Value {
    let path = folder().join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The schemas by their names.
fn all() -> Vec<&'static str> {
    COMMANDS.into_iter().chain(FILES).collect()
}

#[test]
fn each_output_has_a_schema_and_a_row_in_the_page() {
    let expected: BTreeSet<String> = all().iter().map(|name| format!("{name}.json")).collect();
    assert_eq!(names(&folder()).into_iter().collect::<BTreeSet<_>>(), expected);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/json.md");
    let page = std::fs::read_to_string(page).unwrap();
    for name in all() {
        assert!(page.contains(&format!("(../schemas/{name}.json)")), "{name} has no row");
        let schema = schema(name);
        assert_eq!(schema["properties"]["schema"]["const"], 1, "{name}");
        assert!(schema["required"].as_array().unwrap().contains(&"schema".into()), "{name}");
        assert!(schema["title"].is_string(), "{name}");
    }
}

/// A field that is not in the schema, or is not there, or has another type, is found.
#[test]
fn what_differs_from_a_schema_is_found() {
    let schema = schema("build");
    let linkage = json!({ "format": "elf", "static": true });
    let program = json!({ "name": "a", "package": "a", "target": "t", "path": "p", "size": 1,
                          "linkage": linkage });
    let document = json!({ "schema": 1, "programs": [program] });
    assert_eq!(faults(&schema, &document), [""; 0]);
    for (pointer, value, found) in [
        ("/programs/0/more", json!(1), "/programs/0/more is not in the schema"),
        ("/programs/0/size", json!("1"), "/programs/0/size is \"1\", not of the type \"integer\""),
        (
            "/programs/0/linkage/format",
            json!("a.out"),
            "/programs/0/linkage/format is \"a.out\", none of",
        ),
        ("/schema", json!(2), "/schema is 2, not 1"),
    ] {
        let mut changed = document.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = changed.pointer_mut(parent).unwrap();
        parent[key] = value;
        let wrong = faults(&schema, &changed);
        assert!(matches!(&wrong[..], [one] if one.starts_with(found)), "{wrong:?}");
    }
    let wrong = faults(&schema, &json!({ "schema": 1 }));
    assert_eq!(wrong, [" has no \"programs\""]);
}

/// What each command prints is as its schema says, by this test's reader and by another program.
#[test]
fn commands_print_what_their_schemas_say() {
    let world = World::quick("1.2.3");
    world.lock().file(".gitignore", "target\ndist\n").commit();
    let mut outputs: Vec<(&str, PathBuf)> = Vec::new();
    let split = format!("release --split --snapshot --target {HOST} --json");
    for (name, args) in [
        ("build", "build --json"),
        ("test", "test --json"),
        ("release-dry-run", "release --dry-run --snapshot --json"),
        ("release", "release --snapshot --skip check --json"),
        ("release-split", &*split),
        ("archive", "archive --json"),
        ("image", "image --json --output oci:../image"),
        ("image-inspect", "image inspect --json oci:../image"),
        ("image-validate", "image validate --json oci:../image"),
        ("image-copy", "image copy --json oci:../image oci-archive:../image.tar"),
        ("dockerfile", "dockerfile --json"),
        ("setup", "setup --json"),
        ("keygen", "keygen --json --output ../key"),
        ("sign", "sign --json dist"),
        ("verify", "verify --json --key ../key.pub dist"),
        ("explain", "explain --json"),
        ("init", "init --yes --no-xtask --json"),
    ] {
        let mut tool = world.tool(args.split(' '));
        tool.env("COSIGN_PASSWORD", "secret");
        if name == "sign" {
            tool.env("COSIGN_PRIVATE_KEY", world.read("../key.key"));
        }
        let said = run(&mut tool);
        said.ends_with(0).json();
        let path = world.outside(&format!("{name}.json"));
        std::fs::write(&path, &said.stdout).unwrap();
        outputs.push((name, path));
    }
    outputs.extend(FILES.map(|name| (name, world.dist().join(format!("{name}.json")))));
    let Some(python) = judge("python3") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schemas/judge.py");
    let pairs = outputs
        .iter()
        .flat_map(|(name, path)| [folder().join(format!("{name}.json")), path.clone()]);
    let judged = run(world.with(python, [script]).args(pairs));
    if judged.code == Some(3) {
        return missing(&format!("a judge of JSON Schema: {}", judged.stdout.trim()));
    }
    judged.ends_with(0);
    assert_eq!(judged.stdout, "");
}
