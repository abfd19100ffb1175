use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn typed(package: Option<&str>, value: Value) -> RawConfig {
    RawConfig { manifest: "/p/Cargo.toml".into(), package: package.map(str::to_owned), value }
}

/// `default.toml` has every key that the program knows, and no other.
#[test]
fn the_default_file_is_the_schema() {
    let mut findings = Vec::new();
    let workspace: WorkspaceKeys = keys(None, None, &mut findings);
    let package: PackageKeys = keys(Some("a"), None, &mut findings);
    assert_eq!(findings, []);
    assert_eq!(workspace.targets, crate::project::rustc::DEFAULT_TARGETS);
    assert!(package.ship && package.default_features);
    for (of_package, keys) in [(false, 15), (true, 11)] {
        assert_eq!(schema::defaults(of_package).as_object().unwrap().len(), keys);
    }
}

/// Every key has a sentence above it, which the docs and the hints show.
#[test]
fn every_key_is_explained() {
    let lines: Vec<&str> = DEFAULT.lines().collect();
    let keys =
        lines.iter().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'));
    for (at, key) in keys {
        assert!(lines[at - 1].starts_with("# "), "{key} is not explained");
    }
}

#[test]
fn what_was_typed_is_laid_over_the_defaults() {
    let table = typed(
        Some("a"),
        json!({ "ship": false, "env": { "X": "{{ version }}" }, "archive": { "files": ["A"] } }),
    );
    let mut findings = Vec::new();
    let keys: PackageKeys = keys(Some("a"), Some(&table), &mut findings);
    assert_eq!(findings, []);
    assert!(!keys.ship && keys.default_features);
    assert_eq!(keys.env["X"], "{{ version }}");
    assert_eq!(keys.archive.files, ["A"]);
}

/// What every fault of `generate` that no key explains ends with.
const GENERATE: &str = concat!(
    r#"write it as `generate = [{ args = ["completions", "bash"], stdout = "mytool.bash" }, "#,
    r#"{ bin = "mytool", args = ["man", "{{ out }}"], files = ["*.1"] }]`"#
);

/// All that is wrong in several entries is found at once.
#[test]
fn every_entry_of_a_list_of_tables_is_looked_at() {
    let entries = json!([{ "arg": [] }, { "args": 1, "stdout": 2 }, { "file": "x" }]);
    let table = typed(Some("a"), json!({ "archive": { "generate": entries, "fils": [] } }));
    let mut findings = Vec::new();
    let keys: PackageKeys = keys(Some("a"), Some(&table), &mut findings);
    let items: Vec<_> = findings.iter().map(|found| found.place.item.as_deref().unwrap()).collect();
    let table = "[package.metadata.dockless.archive]";
    let expected =
        ["fils", "generate[0].arg", "generate[1].args", "generate[1].stdout", "generate[2].file"];
    assert_eq!(items, expected.map(|key| format!("{table} {key}")));
    assert!(keys.archive.generate.is_empty());
}

/// Table, what was typed -> place, why, fix.
#[test]
fn faults_name_table_key_and_the_nearest_valid_one() {
    let cases = [
        (
            None,
            json!({ "target": [] }),
            "/p/Cargo.toml: [workspace.metadata.dockless] target: unknown key `target`",
            "did you mean `targets`?",
        ),
        (
            None,
            json!({ "qqq": 1 }),
            "/p/Cargo.toml: [workspace.metadata.dockless] qqq: unknown key `qqq`",
            "known keys are audit, check, ci, dist, github, image, index, network, packages, profile, provenance, sbom, sign, tag, targets",
        ),
        (
            None,
            json!({ "targets": "x86_64-unknown-linux-musl" }),
            "/p/Cargo.toml: [workspace.metadata.dockless] targets: expected a list of strings, found a string",
            "write it as `targets = [\"x86_64-unknown-linux-musl\"]`",
        ),
        (
            Some("a"),
            json!({ "archive": { "fils": [] } }),
            "/p/Cargo.toml: [package.metadata.dockless.archive] fils: unknown key `fils`",
            "did you mean `files`?",
        ),
        (
            Some("a"),
            json!({ "ship": "yes" }),
            "/p/Cargo.toml: [package.metadata.dockless] ship: expected true or false, found a string",
            "write it as `ship = false`",
        ),
        (
            Some("a"),
            json!({ "env": { "A": 1 } }),
            "/p/Cargo.toml: [package.metadata.dockless] env: expected a table of strings",
            "write it as `env = { APP_VERSION = \"{{ version }}\" }`",
        ),
        (
            Some("a"),
            json!({ "features": [1] }),
            "/p/Cargo.toml: [package.metadata.dockless] features: expected a list of strings",
            "write it as `features = [\"completions\"]`",
        ),
        (
            Some("a"),
            json!({ "archive": { "generate": { "args": [] } } }),
            "/p/Cargo.toml: [package.metadata.dockless.archive] generate: expected a list of tables, found a table",
            GENERATE,
        ),
        (
            Some("a"),
            json!({ "archive": { "generate": ["x", {}] } }),
            "/p/Cargo.toml: [package.metadata.dockless.archive] generate: expected a list of tables",
            GENERATE,
        ),
        (
            Some("a"),
            json!({ "archive": { "generate": [{}, { "arg": [] }] } }),
            "/p/Cargo.toml: [package.metadata.dockless.archive] generate[1].arg: unknown key `arg`",
            "did you mean `args`?",
        ),
        (
            Some("a"),
            json!({ "archive": { "generate": [{ "args": "x" }] } }),
            "/p/Cargo.toml: [package.metadata.dockless.archive] generate[0].args: expected a list of strings, found a string",
            GENERATE,
        ),
        (
            Some("a"),
            json!({ "archive": { "generate": [{ "files": [[]] }] } }),
            "/p/Cargo.toml: [package.metadata.dockless.archive] generate[0].files: expected a list of strings",
            GENERATE,
        ),
        (
            Some("a"),
            json!({ "archive": { "generate": [{ "stdout": ["x"] }] } }),
            "/p/Cargo.toml: [package.metadata.dockless.archive] generate[0].stdout: expected a string, found a list of strings",
            GENERATE,
        ),
        (
            Some("a"),
            json!({ "archive": { "files": [{}] } }),
            "/p/Cargo.toml: [package.metadata.dockless.archive] files: expected a list of strings",
            "write it as `files = [\"LICENSE*\", \"README.md\", \"docs/*.md\"]`",
        ),
        (
            Some("a"),
            json!([]),
            "/p/Cargo.toml: [package.metadata.dockless]: expected a table, found a list of strings",
            "write its keys below `[package.metadata.dockless]`: archive, auditable, bins, \
             default-features, env, features, image, krew, licenses, ship, targets; \
             docs/config.md describes them",
        ),
    ];
    for (package, value, expected, fix) in cases {
        let mut findings = Vec::new();
        let merged = schema::merge(Some(&typed(package, value)), package.is_some(), &mut findings);
        assert_eq!(merged, schema::defaults(package.is_some()));
        let said: Vec<_> =
            findings.iter().map(|finding| (finding.to_string(), &*finding.fix)).collect();
        assert_eq!(said, [(expected.to_owned(), fix)]);
    }
}

#[test]
fn numbers_of_the_network_are_whole_and_not_too_large() {
    for (key, value, fine) in [
        ("timeout", json!(3600), true),
        ("timeout", json!(3601), false),
        ("retries", json!(0), true),
        ("retries", json!(-1), false),
        ("jobs", json!(1.5), false),
        ("jobs", json!(1e300), false),
        ("plain-http", json!(["registry.internal:5000", "[::1]:5"]), true),
        ("plain-http", json!(["http://registry.internal"]), false),
    ] {
        let table = typed(None, json!({ "network": { key: value } }));
        let mut found = Vec::new();
        let keys: WorkspaceKeys = keys(None, Some(&table), &mut found);
        network::network(keys.network, Some(&table), Path::new("/p"), &mut found);
        let rules: Vec<&str> = found.iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, if fine { vec![] } else { vec!["config-network"] }, "{key} = {value}");
    }
}

/// Whatever stands in the table, the merged one has the types of the default.
#[test]
fn any_table_is_merged_into_a_valid_one() {
    fn value(
        u: &mut arbtest::arbitrary::Unstructured<'_>,
        depth: usize,
    ) -> arbtest::arbitrary::Result<Value> {
        const KEYS: [&str; 14] = [
            "ship",
            "targets",
            "bins",
            "features",
            "default-features",
            "env",
            "archive",
            "files",
            "packages",
            "generate",
            "args",
            "stdout",
            "bin",
            "",
        ];
        Ok(match u.int_in_range(0..=if depth == 0 { 4 } else { 6 })? {
            0 => Value::Null,
            1 => json!(u.arbitrary::<bool>()?),
            2 => json!(u.arbitrary::<i64>()?),
            3 => json!(u.arbitrary::<String>()?),
            4 => json!("x86_64-unknown-linux-musl"),
            5 => {
                let length = u.int_in_range(0..=3)?;
                (0..length).map(|_| value(u, depth - 1)).collect::<Result<Value, _>>()?
            }
            _ => {
                let mut table = serde_json::Map::new();
                for _ in 0..u.int_in_range(0..=4)? {
                    table.insert((*u.choose(&KEYS)?).to_owned(), value(u, depth - 1)?);
                }
                Value::Object(table)
            }
        })
    }
    arbtest::arbtest(|u| {
        let package = u.arbitrary::<bool>()?.then_some("a");
        let table = typed(package, value(u, 4)?);
        let mut findings = Vec::new();
        match package {
            None => drop(keys::<WorkspaceKeys>(None, Some(&table), &mut findings)),
            Some(_) => drop(keys::<PackageKeys>(package, Some(&table), &mut findings)),
        }
        Ok(())
    });
}
