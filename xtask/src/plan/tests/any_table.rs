//! Whatever is typed into the tables is answered: by a plan, or by findings that say what helps.

use arbtest::arbitrary::{Result, Unstructured};
use serde_json::{Map, Value, json};

use super::*;
use crate::files::Boundary;
use crate::finding::Severity;
use crate::project::RawConfig;

/// How many pairs of tables are tried: the same ones in every run.
const TABLES: u64 = 600;

/// Keys that mean something, and some that don't.
const KEYS: [&str; 14] = [
    "packages",
    "targets",
    "profile",
    "ship",
    "bins",
    "features",
    "default-features",
    "env",
    "archive",
    "files",
    "image",
    "",
    "a.b",
    "\0é",
];

/// Texts with a meaning somewhere, or a hostile one.
const TEXTS: [&str; 14] = [
    "",
    "tool",
    X86,
    "dist",
    "dev",
    "LICENSE",
    "../..",
    "/etc/passwd",
    "{{ version }}",
    "{{",
    "[",
    "**/**",
    "\0",
    "-$(id);日本",
];

fn value(u: &mut Unstructured<'_>, depth: u32) -> Result<Value> {
    Ok(match u.int_in_range(0..=if depth == 0 { 4 } else { 6 })? {
        0 => u.arbitrary::<bool>()?.into(),
        1 => u.arbitrary::<i64>()?.into(),
        // As a date of TOML's comes from cargo.
        2 => json!({ "$__toml_private_datetime": "1979-05-27T07:32:00Z" }),
        3 | 4 => (*u.choose(&TEXTS)?).into(),
        5 => {
            let length = u.int_in_range(0..=3)?;
            (0..length).map(|_| value(u, depth - 1)).collect::<Result<Value>>()?
        }
        _ => table(u, depth - 1)?,
    })
}

fn table(u: &mut Unstructured<'_>, depth: u32) -> Result<Value> {
    let mut table = Map::new();
    for key in KEYS {
        if u.ratio(1, 4)? {
            table.insert(key.to_owned(), value(u, depth)?);
        }
    }
    Ok(table.into())
}

/// A table that means something, in which at most one value is any.
fn fitting(u: &mut Unstructured<'_>, of_package: bool) -> Result<Value> {
    let text = *u.choose(&TEXTS)?;
    let keys = if of_package {
        json!({
            "ship": u.arbitrary::<bool>()?,
            "targets": [X86],
            "bins": ["tool"],
            "default-features": false,
            "env": { "A": "{{ version }}" },
            "archive": { "files": ["LICENSE", text] },
            "image": { "files": [{ "from": "LICENSE", "to": "/a" }], "cmd": [text] },
        })
    } else {
        json!({ "packages": ["tool"], "targets": [X86], "profile": text })
    };
    let mut table = Map::new();
    for (key, value) in keys.as_object().unwrap() {
        if u.ratio(1, 3)? {
            table.insert(key.clone(), value.clone());
        }
    }
    if let Some(any) = table.values_mut().next().filter(|_| u.ratio(1, 3).unwrap_or(false)) {
        *any = value(u, 2)?;
    }
    Ok(table.into())
}

/// The tables of a package and of its workspace: of any values, of any keys, or such that
/// deeper code is reached.
fn tables(seed: u64) -> Result<[Value; 2]> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let bytes: Vec<u8> = (0..256).flat_map(|_| word()).collect();
    let mut u = Unstructured::new(&bytes);
    Ok(match seed % 3 {
        0 => [value(&mut u, 3)?, value(&mut u, 3)?],
        1 => [table(&mut u, 2)?, table(&mut u, 2)?],
        _ => [fitting(&mut u, true)?, fitting(&mut u, false)?],
    })
}

#[test]
fn any_table_gets_a_plan_or_findings_that_help() {
    let dir = tempfile::tempdir().unwrap();
    let root = crate::files::resolve(dir.path()).unwrap();
    for file in ["LICENSE", "Cargo.toml"] {
        crate::files::write(&root.join(file), b"[package]\n").unwrap();
    }
    let mut project = single(None);
    project.boundary = Boundary::new(&root, &[]).unwrap();
    project.packages[0].manifest = root.join("Cargo.toml");
    project.packages[0].dir.clone_from(&root);
    project.root = root;
    let [mut planned, mut refused] = [0, 0];
    for seed in 0..TABLES {
        let typed = tables(seed).unwrap();
        let said = format!("seed {seed}: {typed:?}");
        let [package, workspace] = typed;
        let raw = |package: Option<&str>, value| RawConfig {
            manifest: project.root.join("Cargo.toml"),
            package: package.map(str::to_owned),
            value,
        };
        let raw = vec![raw(Some("tool"), package), raw(None, workspace)];
        let result = config::resolve(raw, &project)
            .and_then(|config| plan(&config, &project, &request(Mode::Snapshot)));
        match result {
            Ok(plan) => {
                assert!(plan.publish.is_none(), "{said}");
                planned += 1;
            }
            Err(findings) => {
                let errors = findings.iter().filter(|it| it.severity == Severity::Error);
                assert!(errors.count() > 0, "{said}");
                for finding in &findings {
                    assert!(!finding.why.is_empty() && !finding.fix.is_empty(), "{said}");
                }
                refused += 1;
            }
        }
    }
    // Both were met often enough.
    assert!(planned > TABLES / 20 && refused > TABLES / 4, "{planned} and {refused}");
}
