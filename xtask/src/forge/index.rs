//! A plugin's next version, as a change of an index of krew.
//! <https://krew.sigs.k8s.io/docs/developer-guide/release/updating-plugins/>

use std::path::Path;

use anyhow::{Result, bail};

use super::{Change, Edit, Forge, NewText};
use crate::config::{ForgeKind, Slug};
use crate::finding::{self, Findings};
use crate::http::Http;
use crate::krew::{self, Release};
use crate::process::{Env, OwnToken};
use crate::version::{ReleaseTag, Version};

/// The forge that krew's indexes are on, with the token that opens pull requests there.
pub fn open<'a>(http: &'a Http<'a>, env: &Env) -> Result<Forge<'a>> {
    Forge::open(ForgeKind::GitHub, OwnToken::KrewIndex, http, env)
}

/// The change by which an index takes a plugin's version, which the repository `from`
/// released. Branch and title are those of krew-release-bot.
/// <https://github.com/rajatjindal/krew-release-bot>
pub fn change<'a>(
    index: &'a Slug,
    plugin: &'a Release,
    from: &Slug,
    tag: &'a ReleaseTag,
) -> Change<'a> {
    let (name, version) = (plugin.name(), plugin.version());
    let title = format!("release new version {version} of {name}");
    Change {
        repository: index,
        file: file(name),
        edit: Box::new(move |before| edit(before, plugin)),
        is_done: Box::new(move |text| {
            let bumped = krew::bump(text, Path::new(&file(plugin.name())), plugin);
            bumped.is_ok_and(|bumped| bumped.text == text)
        }),
        tag,
        branches: branches(name, from),
        message: title.clone(),
        title,
        body: format!("{name} {version} of {from}, released as {tag}."),
    }
}

/// The file of a plugin's entry in the index.
pub fn file(plugin: &str) -> String {
    format!("plugins/{plugin}.yaml")
}

/// How the branches of a plugin's changes begin; the release's tag follows.
pub fn branches(plugin: &str, from: &Slug) -> String {
    format!("{}-{plugin}-{}-", from.owner, from.name)
}

/// Decides what becomes of the entry. What the index's bot would not approve of is an error:
/// a person is to look at it first.
fn edit(before: Option<&str>, plugin: &Release) -> Result<Edit> {
    let version = plugin.version();
    let Some(before) = before else {
        let (text, by_hand) =
            (plugin.text().to_owned(), Some("a first submission is made by a person"));
        return Ok(Edit::Write(NewText { text, warnings: Vec::new(), by_hand }));
    };
    if let Some((existing, _)) = krew::version(before) {
        if existing == version {
            return Ok(Edit::UpToDate(existing));
        }
        let own: Version = version.trim_start_matches('v').parse()?;
        if own.is_before(&existing) {
            return Ok(Edit::Newer(existing));
        }
    }
    let file = file(plugin.name());
    let file = Path::new(&file);
    let bumped = krew::bump(before, file, plugin).map_err(Findings)?;
    let mut found = bumped.left;
    found.extend(krew::objections(before, &bumped.text, file));
    let (wrong, warnings) = finding::errors_and_warnings(found);
    if !wrong.is_empty() {
        bail!(Findings(wrong));
    }
    Ok(Edit::Write(NewText { text: bumped.text, warnings, by_hand: None }))
}

/// What changes, line by line, as `diff` writes it.
pub fn diff(file: &str, before: Option<&str>, text: &str) -> String {
    let Some(before) = before else {
        let added: String = text.lines().map(|line| format!("+{line}\n")).collect();
        let count = text.lines().count();
        return format!("--- /dev/null\n+++ b/{file}\n@@ -0,0 +1,{count} @@\n{added}");
    };
    let mut out = format!("--- a/{file}\n+++ b/{file}\n");
    // A bump changes values where they stand, so that lines stay what they are.
    for (at, (old, new)) in before.lines().zip(text.lines()).enumerate() {
        if old != new {
            let line = at + 1;
            out.push_str(&format!("@@ -{line} +{line} @@\n-{old}\n+{new}\n"));
        }
    }
    out
}
