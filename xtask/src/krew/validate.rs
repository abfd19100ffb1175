//! Validates the manifest of a plugin, without a network: what krew and its index refuse
//! is an error, and what they pass over or a guide of theirs asks for is a warning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::platform::Platform;
use super::play::play;
use super::sheet::Sheet;
use super::{plugin, rules};
use crate::digest::Digest;
use crate::files::{self, Boundary};
use crate::finding::{Finding, Place, Severity};
use crate::parallel;
use crate::yaml;

/// Where the archives of a manifest are.
#[derive(Clone, Copy, Debug)]
pub enum Archives<'a> {
    /// Nowhere: nothing is installed.
    None,
    /// In a folder, each by the last part of its uri.
    Folder(&'a Path),
    /// Where a release has just put them, by the sha256 that each is known to have.
    Made(&'a BTreeMap<String, PathBuf>),
}

/// Everything that is wrong with a manifest: `text` is what the file `file` holds, and the
/// file's name is that of the plugin. With archives each entry that is right by itself is
/// installed in memory, from the archive that its sha256 is of.
///
/// Findings stand in the order of their lines. No error is one.
pub fn validate(text: &str, file: &Path, archives: Archives<'_>) -> Vec<Finding> {
    let documents = match yaml::parse(text) {
        Ok(documents) => documents,
        Err(fault) => {
            let place = Place::at(file, fault.line, fault.column);
            let fix = "write plain YAML, as krew's guide has it";
            return vec![Finding::error("yaml", place, fault.why, fix)];
        }
    };
    let mut sheet = Sheet::new(file);
    let plugin = plugin::read(&documents, &mut sheet);
    rules::file_name(&mut sheet, &plugin.name);
    rules::plugin(&mut sheet, &plugin);
    let mut sound = Vec::new();
    for platform in &plugin.platforms {
        if !sheet.is_broken_by(|sheet| rules::platform(sheet, platform)) {
            sound.push(platform);
        }
    }
    sheet.findings.extend(install_all(&sound, file, archives));
    sheet.findings.sort_by_key(|finding| finding.place.at);
    sheet.findings
}

/// The same for a manifest that this tool makes: what the index has long taken without, and
/// krew's guide asks for, is an error in it.
pub fn validate_own(text: &str, file: &Path, archives: Archives<'_>) -> Vec<Finding> {
    let mut findings = validate(text, file, archives);
    for finding in findings.iter_mut().filter(|finding| finding.rule == rules::NO_DESCRIPTION) {
        finding.severity = Severity::Error;
    }
    findings
}

/// Installs as many entries at a time as there are processors, and returns what is found.
fn install_all(platforms: &[&Platform], file: &Path, archives: Archives<'_>) -> Vec<Finding> {
    let installed = |platform: &&Platform| {
        let mut sheet = Sheet::new(file);
        match archives {
            Archives::None => {}
            Archives::Folder(folder) => install(platform, folder, &mut sheet),
            Archives::Made(made) => install_made(platform, made, &mut sheet),
        }
        Ok(sheet.findings)
    };
    if let Archives::None = archives {
        // No thread is worth doing nothing.
        return Vec::new();
    }
    let found = parallel::map(platforms, parallel::processors(), installed);
    found.map(|found| found.concat()).unwrap_or_else(|error| {
        let why = format!("the archives could not be installed: {error:#}");
        let fix = "report this: it is a fault of this program";
        vec![Finding::error("archive-damaged", Place::file(file), why, fix)]
    })
}

/// Finds the archive of an entry and plays its installation.
fn install(platform: &Platform, folder: &Path, sheet: &mut Sheet<'_>) {
    let (uri, at) = (&platform.uri.text, platform.uri.at);
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    if ["", ".", ".."].contains(&name) || name.contains(['\\', ':', '\0']) {
        let why = format!("{uri:?} does not end with the name of a file");
        return sheet.error("archive-missing", at, why, "end the uri with the archive's name");
    }
    let path = folder.join(name);
    let opened = match files::list_one(&path) {
        Ok(None) => {
            let why = format!("there is no {}", path.display());
            let fix = "put the archive of each platform there, or name another folder";
            return sheet.error("archive-missing", at, why, fix);
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
            play(&mut archive, platform, sheet);
        }
        Ok((_, digest)) => {
            let why = format!("the sha256 of {} is {}", path.display(), digest.hex());
            let fix = "name the sha256 of the archive that is served";
            sheet.error("archive-sha256", platform.sha256.at, why, fix);
        }
        Err(error) => {
            let fix = "name a folder of archives that can be read";
            sheet.error("archive-missing", at, format!("{error:#}"), fix);
        }
    }
}

/// Plays the installation of an archive that was just made.
fn install_made(platform: &Platform, made: &BTreeMap<String, PathBuf>, sheet: &mut Sheet<'_>) {
    let (uri, sha256) = (&platform.uri, &platform.sha256);
    let opened = match made.get(&sha256.text) {
        Some(path) => files::open_regular(path).map_err(|error| format!("{error:#}")),
        None => Err(format!("no archive with the sha256 {} was made", sha256.text)),
    };
    match opened {
        Ok(mut archive) => play(&mut archive, platform, sheet),
        Err(why) => sheet.error("archive-missing", uri.at, why, "make the release again"),
    }
}

/// Installs an archive in the ways that manifests ask for, for what fuzzes it.
#[cfg(any(fuzzing, test))]
pub fn play_all(archive: &[u8], file: &Path) -> Vec<Finding> {
    let text = "spec: {platforms: [{bin: foo}, {bin: a/foo, files: [{from: '*/f?o', to: a}, \
                {from: '[!b-]*', to: .}]}, {bin: x, files: [{from: foo, to: /}]}, \
                {bin: foo, files: [{from: ., to: foo}, {from: a, to: a/b}]}]}";
    let documents = yaml::parse(text).expect("the text above is YAML");
    let mut sheet = Sheet::new(file);
    let plugin = plugin::read(&documents, &mut sheet);
    for platform in &plugin.platforms {
        play(&mut std::io::Cursor::new(archive), platform, &mut sheet);
    }
    sheet.findings
}

#[cfg(test)]
mod tests;
