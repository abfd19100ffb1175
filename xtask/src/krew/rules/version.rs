//! The plugin's version, as krew parses it.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/semver/version.go>

use crate::krew::platform::Text;
use crate::krew::sheet::Sheet;

pub fn check(sheet: &mut Sheet<'_>, version: &Text) {
    let Text { text, at } = version;
    if text.is_empty() {
        sheet.error("version-missing", *at, "there is no version", "write one like v1.2.3");
        return;
    }
    let Some(rest) = text.strip_prefix('v') else {
        let why = format!("the version {text:?} does not begin with v");
        let fix = match parse(text) {
            Ok(()) => format!("write v{text}"),
            Err(_) => "write one like v1.2.3".to_owned(),
        };
        sheet.error("version-prefix", *at, why, fix);
        return;
    };
    // Space is what krew's parser lets pass, and nobody else's.
    let trimmed = rest.trim_end_matches([' ', '\t', '\r', '\u{c}']);
    if let Err(why) = parse(trimmed) {
        let why = format!("the version {text:?} {why}");
        sheet.error("version-form", *at, why, "write one like v1.2.3, as semver.org has it");
    } else if trimmed != rest {
        let why = format!("the version {text:?} ends with space");
        sheet.warning("version-space", *at, why, format!("write v{trimmed}"));
    }
}

/// Three numbers, and what may follow them, or why it is none. Kubernetes' parser, for
/// which a pre-release may have a number of more than 64 bits that begins with zero.
/// <https://github.com/kubernetes/apimachinery/blob/v0.34.1/pkg/util/version/version.go>
fn parse(text: &str) -> Result<(), &'static str> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.is_empty()) {
        return Err("has not three numbers");
    }
    if parts.iter().any(|part| part.len() > 1 && part.starts_with('0')) {
        return Err("has a number that begins with 0");
    }
    if parts.iter().any(|part| part.parse::<u64>().is_err()) {
        return Err("has a number that is larger than 64 bits");
    }
    let (pre, build) = match rest.split_once('+') {
        Some((pre, build)) => (pre, Some(build)),
        None => (rest, None),
    };
    let pre = match (pre, pre.strip_prefix('-')) {
        ("", _) => None,
        (_, Some(pre)) => Some(pre),
        (_, None) => return Err("goes on after its numbers with neither - nor +"),
    };
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let words = pre.iter().chain(&build).flat_map(|text| text.split('.'));
    if !words.clone().all(is_word) {
        return Err("holds more than letters, digits and - in what follows its numbers");
    }
    let zero = |word: &str| word.len() > 1 && word.starts_with('0') && word.parse::<u64>().is_ok();
    match pre.is_some_and(|pre| pre.split('.').any(zero)) {
        true => Err("has a number that begins with 0"),
        false => Ok(()),
    }
}
