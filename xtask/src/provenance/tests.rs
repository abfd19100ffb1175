//! Statements as others hand them over. Those of real builds are looked at by whole commands.

use serde_json::{Value, json};

use super::{BUILD_TYPE, PREDICATE, Provenance, environment};
use crate::digest::Digest;
use crate::process::Env;
use crate::sign::{Statement, Subject};

fn predicate() -> Value {
    let digest = Digest::of(b"plan");
    json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "source": { "uri": "git+https://example.com/a/b", "digest": { "gitCommit": "0123" } },
                "tag": "v1.0.0",
                "package": "b",
                "version": "1.0.0",
                "bins": ["b"],
                "targets": ["x86_64-unknown-linux-musl"],
                "profile": "dist",
                "arguments": ["--profile", "dist"],
            },
            "internalParameters": { "plan": digest, "time": "2024-01-01T00:00:00Z" },
            "resolvedDependencies": [
                { "name": "rustc", "digest": { "sha256": digest.hex() },
                  "annotations": { "version": "1.95.0" } },
                { "name": "rust-std", "annotations": { "version": "1.94.0" } },
            ],
        },
        "runDetails": { "builder": { "id": "x", "version": { "dockless": "0.1.0" } } },
    })
}

fn of(kind: &str, predicate: Value) -> Result<Provenance, String> {
    let subject = Subject::new(Some("b".to_owned()), &Digest::of(b"b"));
    let statement = Statement::new(vec![subject], kind, predicate);
    Provenance::of(&statement).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_statement_says_from_what_and_by_what() {
    let provenance = of(PREDICATE, predicate()).unwrap();
    assert_eq!(
        provenance.summary(),
        "commit 0123 of git+https://example.com/a/b, tag v1.0.0, by dockless 0.1.0 with rustc 1.95.0"
    );
    let again = serde_json::to_value(&provenance).unwrap();
    assert_eq!(of(PREDICATE, again).unwrap(), provenance);
    let mut changed = predicate();
    changed["buildDefinition"]["externalParameters"]["source"] = json!({});
    changed["more"] = json!(1);
    let summary = of(PREDICATE, changed).unwrap().summary();
    assert_eq!(
        summary,
        "sources that no commit holds, tag v1.0.0, by dockless 0.1.0 with rustc 1.95.0"
    );
}

#[test]
fn what_is_no_provenance_of_this_tool_is_refused() {
    let with = |path: &str, value: Value| {
        let mut changed = predicate();
        *changed.pointer_mut(path).unwrap() = value;
        of(PREDICATE, changed).unwrap_err()
    };
    let other = of("https://slsa.dev/provenance/v0.2", predicate()).unwrap_err();
    assert!(other.contains("it is a statement of the type"), "{other}");
    for (path, value, why) in [
        ("/buildDefinition/buildType", json!("https://actions.github.io/x"), "another tool's"),
        ("/buildDefinition/buildType", json!(1), "another tool's"),
        ("/buildDefinition", json!([]), "another tool's"),
        ("/buildDefinition/externalParameters/targets", json!("a"), "read the provenance"),
        ("/buildDefinition/internalParameters/plan", json!("sha256:0"), "read the provenance"),
        ("/runDetails", json!(null), "read the provenance"),
    ] {
        let error = with(path, value);
        assert!(error.contains(why), "{path}: {error}");
    }
}

#[test]
fn variables_are_recorded_that_change_what_is_made() {
    for (name, value, recorded) in [
        ("RUSTFLAGS", "-Copt-level=1", true),
        ("CARGO_PROFILE_DIST_LTO", "fat", true),
        ("RUSTC_BOOTSTRAP", "1", true),
        ("RUSTC_BOOTSTRAP", "", false),
        ("CARGO_INCREMENTAL", "1", true),
        // What a profile of releases does without it, and what workflows set.
        ("CARGO_INCREMENTAL", "0", false),
        ("CARGO_BUILD_JOBS", "1", false),
        ("GITHUB_TOKEN", "t", false),
    ] {
        let env = Env::scrub([(name.into(), value.into())]);
        let expected = recorded.then(|| (name.to_owned(), value.to_owned()));
        assert_eq!(environment(&env), expected.into_iter().collect(), "{name}={value}");
    }
}
