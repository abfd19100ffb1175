//! The program of the project that GitHub's workflows run.

use std::path::{Component, Path};

use serde::Deserialize;

use super::schema;
use crate::finding::Finding;
use crate::project::RawConfig;

/// The keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CiKeys {
    run: String,
}

/// The program that CI runs, from the workspace's folder; `None` where there is none.
pub fn ci(
    keys: CiKeys,
    typed: Option<&RawConfig>,
    root: &Path,
    findings: &mut Vec<Finding>,
) -> Option<String> {
    if keys.run.is_empty() {
        return None;
    }
    let inner = |it| matches!(it, Component::Normal(_) | Component::CurDir);
    let within = Path::new(&keys.run).components().all(inner);
    let why = if !within || keys.run.chars().any(char::is_control) || keys.run.contains("${{") {
        "is not a path in the workspace"
    } else if !keys.run.contains('/') {
        "would be looked up on PATH"
    } else if !root.join(&keys.run).is_file() {
        "is not a file"
    } else {
        return Some(keys.run);
    };
    findings.push(schema::fault("config-ci", typed, "ci.run", format!("{:?} {why}", keys.run)));
    None
}
