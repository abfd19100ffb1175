//! What a release needs of krew's index.

use std::path::Path;

use anyhow::Result;

use crate::finding::{Finding, Findings, Place, Severity};
use crate::forge::{self, Edit, Forge, index};
use crate::krew;
use crate::plan::{IndexPlan, Plan, PublishPlan, ReleasePlan};
use crate::term::Term;

/// Whether the index can be asked to take the plugins, and whether its bot would approve.
pub fn plugins(
    plan: &Plan,
    to: &IndexPlan,
    from: &ReleasePlan,
    publish: &PublishPlan,
    forge: &Forge<'_>,
    term: &Term,
) -> Result<Vec<Finding>> {
    let place = || Place::item(format!("the index {}", to.repository));
    let fault = |why: String| {
        let fix = format!(
            "set {} to a classic token with the scope public_repo, or leave the pull request out \
             by `--skip krew`, or for ever by `ship = false` in \
             [workspace.metadata.dockless.index]",
            forge.variable()
        );
        Finding::error("krew-token", place(), why, fix)
    };
    if !forge.has_token() {
        return Ok(vec![fault(format!("{} is not set", forge.variable()))]);
    }
    let mut findings = Vec::new();
    for plugin in plan.krew.iter().filter(|it| to.plugins.contains(&it.name)) {
        let draft = krew::draft(plugin)?;
        // What is wrong with the plan's manifests is another finding.
        let Ok(release) = krew::Release::read(&draft.text, Path::new(&draft.file)) else {
            continue;
        };
        let index = &to.repository;
        let change = index::change(index, &release, &from.repository, &publish.tag);
        let upstream = forge::upstream(forge, &change)?;
        match upstream.edit() {
            Ok(Edit::UpToDate(version)) => {
                term.detail(format_args!("{index} has {} {version} already", release.name()));
            }
            Ok(Edit::Newer(version)) => {
                term.detail(format_args!(
                    "{index} has {} {version}, which is newer",
                    release.name()
                ));
            }
            Ok(Edit::Write(_)) => {
                let scopes = upstream.repository.insufficient_scopes();
                let why = |scopes| format!("the token in {} has {scopes}", forge.variable());
                findings.extend(scopes.map(|scopes| fault(why(scopes))));
            }
            Err(error) => match error.downcast::<Findings>() {
                Ok(found) => {
                    let said = found.said().into_iter();
                    findings.extend(said.filter(|it| it.severity == Severity::Error));
                }
                Err(error) => findings.push(Finding::of("krew-index", place(), &error)),
            },
        }
    }
    if findings.is_empty() && forge.login()?.is_none() {
        let why = "the token is a workflow's, which may not open pull requests elsewhere";
        findings.push(fault(why.to_owned()));
    }
    findings.dedup();
    Ok(findings)
}
