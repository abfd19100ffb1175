//! Looks, before anything is done, for what would make a release fail on its way.

use std::path::Path;
use std::thread;

use anyhow::Result;

use crate::config::{FULL_CLONE, Slug};
use crate::files;
use crate::finding::{Finding, Findings, Place, Severity};
use crate::forge::{self, Edit, Forge, index};
use crate::krew;
use crate::parallel::join;
use crate::plan::{BuildOptions, IndexPlan, LeftOut, Plan, PublishPlan, ReleasePlan};
use crate::project::Project;
use crate::registry::Registry;
use crate::term::{self, Term};
use crate::toolchain;

/// In bytes: with less room on the disk no build is begun.
const LEAST_ROOM: u64 = 256 << 20;

/// The services that a release talks to.
pub struct Sites<'a> {
    pub forge: Forge<'a>,
    /// The same, with the token that opens pull requests.
    pub index: Forge<'a>,
    pub registry: &'a Registry<'a>,
}

/// Looks at all that a release needs, at all services at the same time, and finds what is
/// wrong with any of it. Nothing is changed anywhere.
pub fn look(
    plan: &Plan,
    publish: &PublishPlan,
    project: &Project,
    sites: &Sites<'_>,
    build: &BuildOptions,
    term: &Term,
) -> Vec<Finding> {
    term.step("look", "at what the release needs");
    // All of it, so that what is added to the plan is looked at here. The plan checks the tag,
    // and a draft needs what a release does.
    let PublishPlan { tag: _, draft: _, release: to_forge, index: to_index } = publish;
    let forge = || match to_forge {
        Some(to) => release(plan, to, &sites.forge, term),
        None => Ok(Vec::new()),
    };
    let index = || match (to_index, to_forge) {
        (Some(to), Some(from)) => krew_index(plan, to, from, publish, &sites.index, term),
        _ => Ok(Vec::new()),
    };
    let here = || machine(plan, project, build, term);
    let images = || Ok(registries(plan, sites.registry));
    let parts = thread::scope(|scope| {
        let forge = scope.spawn(forge);
        let index = scope.spawn(index);
        let images = scope.spawn(images);
        [
            ("this machine", here()),
            (sites.forge.kind().name(), join(forge)),
            ("the index", join(index)),
            ("registries", join(images)),
        ]
    });
    let mut findings = checkout(project);
    for (name, found) in parts {
        match found {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding::of("preflight", Place::item(name), &error)),
        }
    }
    findings
}

/// What the checkout must be, beside its tag, which the plan looks at.
fn checkout(project: &Project) -> Vec<Finding> {
    let shallow = project.git.as_ref().is_some_and(|git| git.shallow);
    let why = "the clone is shallow, so that it is not known what came before";
    let finding = || Finding::error("shallow-clone", Place::item("git"), why, FULL_CLONE);
    shallow.then(finding).into_iter().collect()
}

/// Room, toolchains and linkers.
fn machine(
    plan: &Plan,
    project: &Project,
    build: &BuildOptions,
    term: &Term,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for folder in [&project.target_dir, &project.root] {
        if let Some(left) = files::free_space(folder)?.filter(|left| *left < LEAST_ROOM) {
            findings.push(narrow(folder, left));
        }
    }
    if !build.elsewhere {
        let ready = toolchain::prepare(&plan.builds, project, build.network, term)?;
        findings.extend(ready.left_out.iter().map(LeftOut::finding));
    }
    Ok(findings)
}

fn narrow(folder: &Path, left: u64) -> Finding {
    let why = format!("there are {} left on its disk", term::size(left));
    Finding::error("disk", Place::file(folder), why, "make room, or set CARGO_TARGET_DIR")
}

/// Whether the registries that images go to accept the logins.
fn registries(plan: &Plan, registry: &Registry<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut known = Vec::new();
    for repository in plan.images.iter().flat_map(|image| image.destinations()) {
        if known.contains(&repository) {
            continue;
        }
        known.push(repository);
        if let Err(error) = registry.check_access(repository) {
            findings.push(Finding::of("registry", Place::default(), &error));
        }
    }
    findings
}

/// Whether the release can be made on the forge, as far as that can be known.
fn release(plan: &Plan, to: &ReleasePlan, forge: &Forge<'_>, term: &Term) -> Result<Vec<Finding>> {
    let slug = &to.repository;
    let fault = |rule, why: String, fix: &str| Finding::error(rule, on(forge, slug), why, fix);
    if !forge.has_token() {
        let why = format!("{} is not set, and nobody else may publish", forge.variable());
        return Ok(vec![fault("forge-token", why, forge.token_help())]);
    }
    // Each is a question of its own, and asked at the same time.
    let (repository, freezes, tagged) = thread::scope(|scope| {
        let freezes = scope.spawn(|| forge.has_immutable_releases(slug));
        let tagged = scope.spawn(|| match &plan.tag {
            Some(tag) => of_tag(tag, plan, to, forge),
            None => Ok(Vec::new()),
        });
        (forge.repository(slug), join(freezes), join(tagged))
    });
    let Some(repository) = repository? else {
        let why = "there is no such repository, or the token may not see it".to_owned();
        let table = forge.kind().table();
        let fix = format!("name it as `repository` in {table}, or use a token that may see it");
        return Ok(vec![fault("forge-repository", why, &fix)]);
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
    findings.extend(tagged?);
    if freezes? == Some(true) {
        term.detail(format_args!("{slug} freezes releases when they are published"));
    }
    Ok(findings)
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

/// Whether the index can be asked to take the plugins, and whether its bot would approve.
fn krew_index(
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
