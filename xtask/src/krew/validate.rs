//! Validates the manifest of a plugin offline. What krew or its index refuses is an error; what
//! they ignore or only their guides ask for is a warning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::platform::Platform;
use super::report::Report;
use super::{install_check, plugin, rules};
use crate::digest::Digest;
use crate::files::{self, Boundary};
use crate::finding::{Finding, Place, Severity};
use crate::parallel;

/// Where a manifest's archives are.
#[derive(Clone, Copy, Debug)]
pub enum Archives<'a> {
    /// Unknown: no installation is checked.
    None,
    /// In a folder, each under the last part of its uri.
    Folder(&'a Path),
    /// At the paths that a release has just written them to, by their sha256.
    Made(&'a BTreeMap<String, PathBuf>),
}

/// Everything that is wrong with a manifest: `text` is the content of `file`, which is named
/// after the plugin. With archives, each entry without errors is also installed in memory, from
/// the archive with its sha256.
///
/// Findings are sorted by their lines.
pub fn validate(text: &str, file: &Path, archives: Archives<'_>) -> Vec<Finding> {
    let documents = match plugin::parse(text, file) {
        Ok(documents) => documents,
        Err(findings) => return findings,
    };
    let mut report = Report::new(file);
    let plugin = plugin::read(&documents, &mut report);
    rules::file_name(&mut report, &plugin.name);
    rules::plugin(&mut report, &plugin);
    let mut valid = Vec::new();
    for platform in &plugin.platforms {
        if !report.is_broken_by(|report| rules::platform(report, platform)) {
            valid.push(platform);
        }
    }
    report.findings.extend(check_installs(&valid, file, archives));
    report.findings.sort_by_key(|finding| finding.place.at);
    report.findings
}

/// The same for a manifest that dockless makes. It must have a description, which krew's guide
/// asks for, although the index has plugins without one.
pub fn validate_own(text: &str, file: &Path, archives: Archives<'_>) -> Vec<Finding> {
    let mut findings = validate(text, file, archives);
    for finding in findings.iter_mut().filter(|finding| finding.rule == rules::NO_DESCRIPTION) {
        finding.severity = Severity::Error;
    }
    findings
}

/// Checks the installation of entries, one on each processor at a time.
fn check_installs(platforms: &[&Platform], file: &Path, archives: Archives<'_>) -> Vec<Finding> {
    let check_one = |platform: &&Platform| {
        let mut report = Report::new(file);
        match archives {
            Archives::None => {}
            Archives::Folder(folder) => check_in_folder(platform, folder, &mut report),
            Archives::Made(made) => check_made(platform, made, &mut report),
        }
        Ok(report.findings)
    };
    if let Archives::None = archives {
        // Threads that do nothing are not worth their cost.
        return Vec::new();
    }
    let found = parallel::map(platforms, parallel::processors(), check_one);
    found.map(|found| found.concat()).unwrap_or_else(|error| {
        let why = format!("the archives could not be installed: {error:#}");
        let fix = "report this: it is a bug of dockless";
        vec![Finding::error("archive-damaged", Place::file(file), why, fix)]
    })
}

/// Finds the archive of an entry in a folder, and checks its installation.
fn check_in_folder(platform: &Platform, folder: &Path, report: &mut Report<'_>) {
    let uri = &platform.uri.text;
    let at = platform.uri.at;
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    if ["", ".", ".."].contains(&name) || name.contains(['\\', ':', '\0']) {
        let why = format!("{uri:?} does not end with the name of a file");
        return report.error("archive-missing", at, why, "end the uri with the archive's name");
    }
    let path = folder.join(name);
    let opened = match files::list_one(&path) {
        Ok(None) => {
            let why = format!("there is no {}", path.display());
            let fix = "put the archive of each platform there, or name another folder";
            return report.error("archive-missing", at, why, fix);
        }
        Ok(Some(_)) => Boundary::new(folder, &[]).and_then(|folder| folder.open(&path)),
        Err(error) => Err(error),
    };
    let digested = opened.and_then(|archive| {
        let digest = Digest::of_reader(&archive);
        Ok((archive, digest.with_context(|| format!("read {}", path.display()))?))
    });
    match digested {
        Ok((mut archive, digest)) if digest.hex() == platform.sha256.text => {
            install_check::check(&mut archive, platform, report);
        }
        Ok((_, digest)) => {
            let why = format!("the sha256 of {} is {}", path.display(), digest.hex());
            let fix = "name the sha256 of the archive that is served";
            report.error("archive-sha256", platform.sha256.at, why, fix);
        }
        Err(error) => {
            let fix = "name a folder of archives that can be read";
            report.error("archive-missing", at, format!("{error:#}"), fix);
        }
    }
}

/// Checks the installation of an archive that was just made.
fn check_made(platform: &Platform, made: &BTreeMap<String, PathBuf>, report: &mut Report<'_>) {
    let uri = &platform.uri;
    let sha256 = &platform.sha256;
    let opened = match made.get(&sha256.text) {
        Some(path) => files::open_regular(path).map_err(|error| format!("{error:#}")),
        None => Err(format!("the release made no archive with the sha256 {}", sha256.text)),
    };
    match opened {
        Ok(mut archive) => install_check::check(&mut archive, platform, report),
        Err(why) => report.error("archive-missing", uri.at, why, "make the release again"),
    }
}

/// Checks the installation of an archive by several entries, for fuzzing.
#[cfg(any(fuzzing, test))]
pub fn check_archive(archive: &[u8], file: &Path) -> Vec<Finding> {
    let text = "spec: {platforms: [{bin: foo}, {bin: a/foo, files: [{from: '*/f?o', to: a}, \
                {from: '[!b-]*', to: .}]}, {bin: x, files: [{from: foo, to: /}]}, \
                {bin: foo, files: [{from: ., to: foo}, {from: a, to: a/b}]}]}";
    let documents = plugin::parse(text, file).expect("the text above is YAML");
    let mut report = Report::new(file);
    let plugin = plugin::read(&documents, &mut report);
    for platform in &plugin.platforms {
        install_check::check(&mut std::io::Cursor::new(archive), platform, &mut report);
    }
    report.findings
}

#[cfg(test)]
mod tests;
