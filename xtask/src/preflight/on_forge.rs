//! What a release needs of the forge: a token, a repository, and the tag.

use std::thread;

use anyhow::Result;

use crate::config::Slug;
use crate::finding::{Finding, Place};
use crate::forge::Forge;
use crate::parallel::join;
use crate::plan::{Plan, ReleasePlan};
use crate::term::Term;

/// What a token can do with a repository.
pub struct Access {
    /// Whether the repository is there, as far as the token can see.
    pub is_visible: bool,
    pub findings: Vec<Finding>,
}

/// Whether the release can be made on the forge, as far as that can be known.
pub fn release(
    plan: &Plan,
    to: &ReleasePlan,
    forge: &Forge<'_>,
    term: &Term,
) -> Result<Vec<Finding>> {
    let slug = &to.repository;
    if !forge.has_token() {
        return Ok(access(slug, forge)?.findings);
    }
    // Each is a question of its own, and asked at the same time.
    let (access, freezes, tagged) = thread::scope(|scope| {
        let freezes = scope.spawn(|| forge.has_immutable_releases(slug));
        let tagged = scope.spawn(|| match &plan.tag {
            Some(tag) => of_tag(tag, plan, to, forge),
            None => Ok(Vec::new()),
        });
        (access(slug, forge), join(freezes), join(tagged))
    });
    let Access { is_visible, mut findings } = access?;
    if !is_visible {
        return Ok(findings);
    }
    findings.extend(tagged?);
    if freezes? == Some(true) {
        term.detail(format_args!("{slug} freezes releases when they are published"));
    }
    Ok(findings)
}

/// Whether the token can write to the repository, as far as that can be known.
pub fn access(slug: &Slug, forge: &Forge<'_>) -> Result<Access> {
    let fault = |rule, why: String, fix: &str| Finding::error(rule, on(forge, slug), why, fix);
    let unseen = |fault| Ok(Access { is_visible: false, findings: vec![fault] });
    if !forge.has_token() {
        let why = format!("{} is not set, and nobody else may publish", forge.variable());
        return unseen(fault("forge-token", why, forge.token_help()));
    }
    let Some(repository) = forge.repository(slug)? else {
        let why = "there is no such repository, or the token may not see it".to_owned();
        let table = forge.kind().table();
        let fix = format!("name it as `repository` in {table}, or use a token that may see it");
        return unseen(fault("forge-repository", why, &fix));
    };
    let mut findings = Vec::new();
    if repository.archived {
        let why = "it is archived, and takes nothing".to_owned();
        findings.push(fault("forge-repository", why, "unarchive it, or name another"));
    }
    if let Some(scopes) = repository.insufficient_scopes() {
        let scope = if repository.private { "repo" } else { "public_repo" };
        let why = format!("the token in {} has {scopes}", forge.variable());
        let fix = format!("use one with the scope {scope}");
        findings.push(fault("forge-token", why, &fix));
    } else if repository.can_push == Some(false) {
        let why = format!("the token in {} cannot write to it", forge.variable());
        findings.push(fault("forge-token", why, "use the token of somebody who may"));
    }
    Ok(Access { is_visible: true, findings })
}

/// A repository, as findings name it.
fn on(forge: &Forge<'_>, repository: &Slug) -> Place {
    Place::item(format!("{repository} on {}", forge.kind().name()))
}

/// What is wrong with the tag there, and with what was released of it.
fn of_tag(tag: &str, plan: &Plan, to: &ReleasePlan, forge: &Forge<'_>) -> Result<Vec<Finding>> {
    let (pushed, frozen) = thread::scope(|scope| {
        let frozen = scope.spawn(|| frozen(tag, to, forge));
        (pushed(tag, plan, to, forge), join(frozen))
    });
    Ok(pushed?.into_iter().chain(frozen?).collect())
}

/// The tag must be on the forge: otherwise publishing would create it there, at the default
/// branch.
fn pushed(tag: &str, plan: &Plan, to: &ReleasePlan, forge: &Forge<'_>) -> Result<Option<Finding>> {
    let there = forge.tag(&to.repository, tag)?;
    let why = match (&there, &plan.commit) {
        (Some(there), Some(here)) if there == here => return Ok(None),
        (Some(there), _) => format!("the tag {tag} is at {there:.12} there, and not at HEAD"),
        (None, _) => format!("the tag {tag} is not there"),
    };
    let fix = match there {
        Some(_) => "release another version: who has the tag by now keeps it".to_owned(),
        None => format!("push it, for example by `git push origin {tag}`"),
    };
    Ok(Some(Finding::error("forge-tag", on(forge, &to.repository), why, fix)))
}

/// A release that is published and immutable must have all files already.
fn frozen(tag: &str, to: &ReleasePlan, forge: &Forge<'_>) -> Result<Option<Finding>> {
    let (found, _) = forge.find_release(&to.repository, tag)?;
    let Some(release) = found.filter(|it| it.immutable && !it.draft) else { return Ok(None) };
    let there = forge.assets(&to.repository, release.id)?;
    let lacks = |name: &&String| there.iter().all(|asset| asset.name != **name);
    let lacking: Vec<&str> = to.files.iter().filter(lacks).map(String::as_str).collect();
    let place = on(forge, &to.repository);
    let why = || format!("{tag} was published and frozen without {}", lacking.join(", "));
    let fix = "release another version";
    Ok((!lacking.is_empty()).then(|| Finding::error("forge-frozen", place, why(), fix)))
}
