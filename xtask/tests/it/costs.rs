//! The table in CONTRIBUTING.md of what dependencies cost.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Who adds a crate says what it costs: people compile the tool in CI.
#[test]
fn each_crate_that_the_tool_is_made_of_has_its_cost_in_contributing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tree = Command::new(env!("CARGO"))
        .current_dir(&root)
        .args(["tree", "--locked", "--offline", "--package=dockless", "--edges=normal,build"])
        .args(["--prefix=none", "--format={p}", "--target=x86_64-unknown-linux-gnu"])
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<String> = tree.lines().map(name).filter(|name| !name.is_empty()).collect();

    let text = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let table =
        text.split("<!-- costs -->").nth(1).unwrap().split("<!-- /costs -->").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let rows = rows.skip(1).filter(|row| *row != "build scripts");
    let listed: BTreeSet<String> =
        rows.flat_map(|row| row.split(", ")).map(str::to_owned).collect();
    let help = "run `cargo bench -p dockless --bench cold -- costs` and look what it costs";
    assert!(crates.len() > 50, "{crates:?}");
    assert_eq!(crates, listed, "{help}");
}
