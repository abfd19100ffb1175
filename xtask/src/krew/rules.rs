//! The rules for manifests: those of krew v0.5.0, of its index, and of its guides.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/index/validation/validate.go>

use std::collections::BTreeMap;

use super::filepath::inside;
use super::platform::{At, Platform, Text, pairs};
use super::plugin::Plugin;
use super::report::Report;

mod files;
mod naming;
mod selector;
mod version;

/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/pkg/constants/constants.go>
const API_VERSION: &str = "krew.googlecontainertools.github.com/v1alpha2";
const KIND: &str = "Plugin";
const EXTENSION: &str = "yaml";

/// In characters: what the index's reviewing bot asks for. 95 of 402 plugins have more.
const LONGEST_SHORT_DESCRIPTION: usize = 50;

/// The rule that a manifest has a description. krew's guide asks for one, but its programs do
/// not: nine of 402 plugins in the index have none.
/// <https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/>
pub const NO_DESCRIPTION: &str = "description-missing";

/// Checks all but the entries of `platforms`, which [`platform`] checks one by one.
pub fn plugin(report: &mut Report<'_>, plugin: &Plugin) {
    if plugin.api_version.text != API_VERSION {
        let why = format!("apiVersion is {:?}, not {API_VERSION}", plugin.api_version.text);
        report.error("api-version", plugin.api_version.at, why, format!("write {API_VERSION}"));
    }
    if plugin.kind.text != KIND {
        let why = format!("kind is {:?}, not {KIND}", plugin.kind.text);
        report.error("kind", plugin.kind.at, why, format!("write {KIND}"));
    }
    naming::check(report, &plugin.name);
    version::check(report, &plugin.version);
    descriptions(report, plugin);
    if plugin.platforms.is_empty() {
        let fix = "add an entry for each archive";
        report.error("platforms-missing", plugin.platforms_at, "there is no platform", fix);
    }
    overlaps(report, &plugin.platforms);
    digests(report, &plugin.platforms);
}

fn descriptions(report: &mut Report<'_>, plugin: &Plugin) {
    let short = &plugin.short_description;
    if short.is_empty() {
        let fix = "say in a few words what the plugin does";
        report.error("short-description-missing", short.at, "shortDescription is empty", fix);
    } else if short.text.contains(['\r', '\n']) {
        let why = "shortDescription has more than one line: krew refuses it";
        let fix = "write one line, and put the rest into `description`";
        report.error("short-description-lines", short.at, why, fix);
    } else if short.text.chars().count() > LONGEST_SHORT_DESCRIPTION {
        let why = format!(
            "shortDescription has {} characters: the index asks for at most {LONGEST_SHORT_DESCRIPTION}",
            short.text.chars().count()
        );
        let fix = "shorten it, and put the rest into `description`";
        report.warning("short-description-long", short.at, why, fix);
    }
    if plugin.description.text.trim().is_empty() {
        let fix = "say what the plugin does and how it is used";
        report.warning(NO_DESCRIPTION, plugin.description.at, "description is empty", fix);
    }
    if plugin.homepage.text.trim().is_empty() {
        let fix = "name the plugin's page or its repository";
        report.warning("homepage-missing", plugin.homepage.at, "there is no homepage", fix);
    } else if let Some(why) = not_a_url(&plugin.homepage.text) {
        let fix = "write an address that begins with https://";
        report.warning("homepage-form", plugin.homepage.at, format!("homepage {why}"), fix);
    }
}

/// No platform has two entries: krew would use the first, but its index refuses the manifest.
/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/cmd/validate-krew-manifest/main.go>
fn overlaps(report: &mut Report<'_>, platforms: &[Platform]) {
    let mut reported = Vec::new();
    for pair in pairs() {
        let matching = platforms.iter().filter(|it| it.pairs().any(|one| one == pair));
        let matching: Vec<At> = matching.map(selector_at).collect();
        let [first, others @ ..] = &matching[..] else { continue };
        for other in others.iter().filter(|other| !reported.contains(*other)) {
            let why = format!(
                "{}/{} is selected here and in line {}: the index accepts one entry per platform",
                pair.os, pair.arch, first.0
            );
            let fix = "narrow one of the selectors";
            report.error("platforms-overlap", *other, why, fix);
        }
        reported.extend(others);
    }
}

/// One address serves one archive.
fn digests(report: &mut Report<'_>, platforms: &[Platform]) {
    let mut known: BTreeMap<&str, &Text> = BTreeMap::new();
    for platform in platforms.iter().filter(|it| !it.uri.is_empty()) {
        let sha256 = &platform.sha256;
        let first = *known.entry(&platform.uri.text).or_insert(sha256);
        if first.text != sha256.text {
            let why = format!("the same uri has another sha256 in line {}", first.at.0);
            report.error("sha256-differs", sha256.at, why, "name each archive's own sha256");
        }
    }
}

/// Checks one entry of `platforms`.
pub fn platform(report: &mut Report<'_>, platform: &Platform) {
    let Platform { uri, sha256, bin, .. } = platform;
    if uri.is_empty() {
        report.error("uri-missing", uri.at, "there is no uri", "name the address of the archive");
    } else if let Some(why) = not_a_url(&uri.text) {
        let fix = "write an address that begins with https://";
        report.error("uri-form", uri.at, format!("the uri {why}"), fix);
    } else if !uri.text.to_ascii_lowercase().starts_with("https://") {
        let why = "the uri is not encrypted: others can see and block the download";
        report.warning("uri-http", uri.at, why, "serve the archive over https");
    }
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if sha256.is_empty() {
        let fix = "name the sha256 of the archive";
        report.error("sha256-missing", sha256.at, "there is no sha256", fix);
    } else if sha256.text.len() != 64 || !sha256.text.bytes().all(is_hex) {
        let why = format!("{:?} is not a sha256: one has 64 digits of 0-9 and a-f", sha256.text);
        report.error("sha256-form", sha256.at, why, "write what sha256sum prints for the archive");
    }
    if bin.is_empty() {
        let fix = "name the program by its path in the plugin's folder";
        report.error("bin-unset", bin.at, "there is no bin", fix);
    } else if inside(&bin.text).is_none() {
        let why = format!("{:?} leads out of the plugin's folder: krew links nothing", bin.text);
        let fix = "name the program by its path in the plugin's folder";
        report.error("bin-outside", bin.at, why, fix);
    }
    files::check(report, platform);
    if selector::check(report, platform) && platform.pairs().next().is_none() {
        let known: Vec<String> = pairs().map(|pair| format!("{}/{}", pair.os, pair.arch)).collect();
        let why = "the selector matches no platform that krew knows";
        let fix = format!("select at least one of {}", known.join(", "));
        report.error("platform-unused", selector_at(platform), why, fix);
    }
}

/// Checks the file's name, by which krew finds the plugin.
pub fn file_name(report: &mut Report<'_>, name: &Text) {
    let extension = report.file.extension().and_then(|it| it.to_str()).unwrap_or_default();
    let stem = report.file.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
    if extension != EXTENSION {
        let why =
            format!("the file's name ends with {extension:?}: the index reads only .yaml files");
        report.error("file-extension", name.at, why, format!("name the file {}.yaml", name.text));
    } else if stem != name.text {
        let why = format!("the plugin is named {:?}, but its file is named {stem:?}", name.text);
        report.error("file-name", name.at, why, "give both the same name");
    }
}

fn selector_at(platform: &Platform) -> At {
    platform.selector.as_ref().map_or(platform.at, |selector| selector.at)
}

/// Why krew could not download from an address; `None` where it could.
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
        return Some(format!("{text:?} has a character that no address can have"));
    }
    // Go does not decode the query between ? and #.
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let path = before.split('?').next().unwrap_or_default();
    let is_escape = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    let mut escapes = [path, fragment].into_iter().flat_map(|part| part.split('%').skip(1));
    (!escapes.all(is_escape))
        .then(|| format!("{text:?} has a % without two hexadecimal digits after it"))
}
