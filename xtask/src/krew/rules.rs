//! What a manifest must be: the rules of krew v0.5.0 and of its index, and what its guides
//! ask for beside them.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/index/validation/validate.go>

use std::collections::BTreeMap;

use super::platform::{At, Platform, Text, pairs};
use super::play::{End, check_move, inside};
use super::plugin::Plugin;
use super::sheet::Sheet;
use crate::finding::Severity;

mod naming;
mod selector;
mod version;

/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/pkg/constants/constants.go>
const API_VERSION: &str = "krew.googlecontainertools.github.com/v1alpha2";
const KIND: &str = "Plugin";
const EXTENSION: &str = "yaml";

/// In characters: what the index's reviewing bot asks for; 95 of 402 plugins have more.
const LONGEST_SHORT_DESCRIPTION: usize = 50;

/// The rule that a manifest says what its plugin does, which krew's guide has and its programs
/// do not: of 402 plugins of the index nine say nothing.
/// <https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/>
pub const NO_DESCRIPTION: &str = "description-missing";

/// All but the entries of `platforms`, which [`platform`] looks at one by one.
pub fn plugin(sheet: &mut Sheet<'_>, plugin: &Plugin) {
    if plugin.api_version.text != API_VERSION {
        let why = format!("apiVersion is {:?}, and krew reads one alone", plugin.api_version.text);
        sheet.error("api-version", plugin.api_version.at, why, format!("write {API_VERSION}"));
    }
    if plugin.kind.text != KIND {
        let why = format!("kind is {:?}, and krew takes one alone", plugin.kind.text);
        sheet.error("kind", plugin.kind.at, why, format!("write {KIND}"));
    }
    naming::check(sheet, &plugin.name);
    version::check(sheet, &plugin.version);
    descriptions(sheet, plugin);
    if plugin.platforms.is_empty() {
        let fix = "add an entry for each archive";
        sheet.error("platforms-missing", plugin.platforms_at, "there is no platform", fix);
    }
    overlaps(sheet, &plugin.platforms);
    digests(sheet, &plugin.platforms);
}

fn descriptions(sheet: &mut Sheet<'_>, plugin: &Plugin) {
    let short = &plugin.short_description;
    if short.is_empty() {
        let fix = "say in a few words what the plugin does";
        sheet.error("short-description-missing", short.at, "shortDescription is empty", fix);
    } else if short.text.contains(['\r', '\n']) {
        let why = "shortDescription has more than one line, and krew refuses it";
        let fix = "write one line, and the rest into `description`";
        sheet.error("short-description-lines", short.at, why, fix);
    } else if short.text.chars().count() > LONGEST_SHORT_DESCRIPTION {
        let why = format!(
            "shortDescription has {} characters, and the index asks for {LONGEST_SHORT_DESCRIPTION} at most",
            short.text.chars().count()
        );
        let fix = "say it shorter, and the rest in `description`";
        sheet.warning("short-description-long", short.at, why, fix);
    }
    if plugin.description.text.trim().is_empty() {
        let fix = "say what the plugin does, and how it is used";
        sheet.warning(NO_DESCRIPTION, plugin.description.at, "description is empty", fix);
    }
    if plugin.homepage.text.trim().is_empty() {
        let fix = "name the plugin's page or its repository";
        sheet.warning("homepage-missing", plugin.homepage.at, "there is no homepage", fix);
    } else if let Some(why) = not_a_url(&plugin.homepage.text) {
        let fix = "write an address that begins with https://";
        sheet.warning("homepage-form", plugin.homepage.at, format!("homepage {why}"), fix);
    }
}

/// No platform has two entries. krew would take the first, and its index takes none.
/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/cmd/validate-krew-manifest/main.go>
fn overlaps(sheet: &mut Sheet<'_>, platforms: &[Platform]) {
    let mut said = Vec::new();
    for pair in pairs() {
        let matching = platforms.iter().filter(|it| it.pairs().any(|one| one == pair));
        let matching: Vec<At> = matching.map(selector_at).collect();
        let [first, others @ ..] = &matching[..] else { continue };
        for other in others.iter().filter(|other| !said.contains(*other)) {
            let why = format!(
                "{}/{} is selected here and in line {}, and the index takes one entry each",
                pair.os, pair.arch, first.0
            );
            let fix = "narrow one of the selectors";
            sheet.error("platforms-overlap", *other, why, fix);
        }
        said.extend(others);
    }
}

/// An address serves one archive.
fn digests(sheet: &mut Sheet<'_>, platforms: &[Platform]) {
    let mut known: BTreeMap<&str, &Text> = BTreeMap::new();
    for platform in platforms.iter().filter(|it| !it.uri.is_empty()) {
        let sha256 = &platform.sha256;
        let first = *known.entry(&platform.uri.text).or_insert(sha256);
        if first.text != sha256.text {
            let why = format!("the uri has another sha256 in line {}: one is wrong", first.at.0);
            sheet.error("sha256-differs", sha256.at, why, "name each archive's own sha256");
        }
    }
}

/// One entry of `platforms`.
pub fn platform(sheet: &mut Sheet<'_>, platform: &Platform) {
    let Platform { uri, sha256, bin, .. } = platform;
    if uri.is_empty() {
        sheet.error("uri-missing", uri.at, "there is no uri", "say where the archive is served");
    } else if let Some(why) = not_a_url(&uri.text) {
        let fix = "write an address that begins with https://";
        sheet.error("uri-form", uri.at, format!("the uri {why}"), fix);
    } else if !uri.text.to_ascii_lowercase().starts_with("https://") {
        let why = "the uri is not encrypted: whoever sees the download can hold it back";
        sheet.warning("uri-http", uri.at, why, "serve the archive by https");
    }
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if sha256.is_empty() {
        let fix = "name the sha256 of the archive";
        sheet.error("sha256-missing", sha256.at, "there is no sha256", fix);
    } else if sha256.text.len() != 64 || !sha256.text.bytes().all(is_hex) {
        let why = format!("{:?} is no sha256: that has 64 digits of 0-9 and a-f", sha256.text);
        sheet.error("sha256-form", sha256.at, why, "write what sha256sum prints of the archive");
    }
    if bin.is_empty() {
        let fix = "name the program by its path in the plugin's folder";
        sheet.error("bin-unset", bin.at, "there is no bin", fix);
    } else if inside(&bin.text).is_none() {
        let why = format!("{:?} leads out of the plugin's folder: krew links nothing", bin.text);
        let fix = "name the program by its path in the plugin's folder";
        sheet.error("bin-outside", bin.at, why, fix);
    }
    files(sheet, platform);
    if selector::check(sheet, platform) && platform.pairs().next().is_none() {
        let known: Vec<String> = pairs().map(|pair| format!("{}/{}", pair.os, pair.arch)).collect();
        let why = "the selector matches no platform that krew knows";
        let fix = format!("select at least one of {}", known.join(", "));
        sheet.error("platform-unused", selector_at(platform), why, fix);
    }
}

fn files(sheet: &mut Sheet<'_>, platform: &Platform) {
    let Some(files) = &platform.files else { return };
    if files.is_empty() {
        let fix = "leave `files` out to install all files, or name some";
        sheet.error("files-empty", platform.files_at, "`files` is empty", fix);
    }
    for one in files {
        let (from, to) = (&one.from, &one.to);
        if from.is_empty() {
            let fix = "name a file of the archive, or a pattern";
            sheet.error("files-from-unset", from.at, "an item has no `from`", fix);
        }
        if to.is_empty() {
            let fix = "name a folder, or `.` for the plugin's own";
            sheet.error("files-to-unset", to.at, "an item has no `to`", fix);
        } else if let Some((end, fault)) = check_move(&from.text, &to.text) {
            let at = match end {
                End::From => from.at,
                End::To => to.at,
            };
            sheet.fault(Severity::Error, at, fault);
        }
    }
}

/// The file's name, by which krew knows the plugin.
pub fn file_name(sheet: &mut Sheet<'_>, name: &Text) {
    let extension = sheet.file.extension().and_then(|it| it.to_str()).unwrap_or_default();
    let stem = sheet.file.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
    if extension != EXTENSION {
        let why = format!("the file's name ends with {extension:?}, and the index knows .yaml");
        sheet.error("file-extension", name.at, why, format!("name the file {}.yaml", name.text));
    } else if stem != name.text {
        let why = format!("the plugin is {:?} here, and {stem:?} by its file", name.text);
        sheet.error("file-name", name.at, why, "give both the same name");
    }
}

fn selector_at(platform: &Platform) -> At {
    platform.selector.as_ref().map_or(platform.at, |selector| selector.at)
}

/// Why a text is no address that krew could download from.
fn not_a_url(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let rest = ["https://", "http://"].iter().find_map(|scheme| lower.strip_prefix(scheme));
    let Some(rest) = rest else { return Some(format!("{text:?} does not begin with https://")) };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default();
    if name.is_empty() && !host.starts_with('[') {
        return Some(format!("{text:?} names no host"));
    }
    if text.contains(|c: char| c.is_ascii_control()) || host.contains(' ') {
        return Some(format!("{text:?} holds what no address can"));
    }
    // Go leaves what stands between ? and # as it is.
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let path = before.split('?').next().unwrap_or_default();
    let is_escape = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    let mut escapes = [path, fragment].into_iter().flat_map(|part| part.split('%').skip(1));
    (!escapes.all(is_escape))
        .then(|| format!("{text:?} has a % that two hexadecimal digits do not follow"))
}
