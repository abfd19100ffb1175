//! The examples of this repository, which its own releases ship.

use std::path::Path;

use serde_json::Value;

use crate::world::{AARCH64, World, X86_64, names, run};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The packages in examples/, each in a folder of its name.
fn examples() -> Vec<String> {
    let folder = root().join("examples");
    let all = names(&folder).into_iter();
    let examples: Vec<String> =
        all.filter(|it| folder.join(it).join("Cargo.toml").exists()).collect();
    assert!(examples.len() > 2, "{examples:?}");
    examples
}

#[test]
fn a_release_makes_every_example() {
    let world = World::empty();
    let args = ["release", "--dry-run", "--snapshot", "--json", "--skip", "check"];
    let plan = run(world.tool(args).current_dir(root())).ends_with(0).json();
    let of = |list: &str, package: &str| -> Vec<Value> {
        let all = plan[list].as_array().unwrap().iter();
        all.filter(|it| it["package"] == package).cloned().collect()
    };
    for example in examples() {
        let archives = of("archives", &example);
        for target in [AARCH64, X86_64] {
            assert!(archives.iter().any(|it| it["target"] == target), "{example}: {archives:?}");
        }
        let [image] = &of("images", &example)[..] else { panic!("{example} has no image") };
        assert_eq!(image["platforms"].as_array().unwrap().len(), 2, "{image}");
    }
    assert_eq!(of("krew", "kubectl-view-secret")[0]["name"], "view-secret");
}

#[test]
fn every_example_is_on_their_page() {
    let page = std::fs::read_to_string(root().join("examples/README.md")).unwrap();
    for example in examples() {
        assert!(page.contains(&format!("[{example}]({example}/)")), "{example}");
        assert!(root().join("examples").join(&example).join("README.md").exists(), "{example}");
    }
}
