//! What of a project's own runs in GitHub's workflows.

use std::path::{Component, Path};

use serde::Deserialize;

use super::schema;
use crate::finding::{Finding, Place};
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
        "is no path of a file in the workspace"
    } else if !keys.run.contains('/') {
        "would be looked for on PATH"
    } else if !root.join(&keys.run).is_file() {
        "is no file"
    } else {
        return Some(keys.run);
    };
    let place = typed.map(|raw| Place::within(&raw.manifest, schema::item(raw, "ci.run")));
    let (why, fix) = (format!("{:?} {why}", keys.run), schema::example("ci.run"));
    findings.push(Finding::error("config-ci", place.unwrap_or_default(), why, fix));
    None
}
