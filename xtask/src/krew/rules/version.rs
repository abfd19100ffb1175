//! The plugin's version, as krew parses it.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/semver/version.go>

use crate::krew::platform::Text;
use crate::krew::report::Report;

/// Checks the version in `spec`.
pub fn check(report: &mut Report<'_>, version: &Text) {
    let Text { text, at } = version;
    if text.is_empty() {
        report.error("version-missing", *at, "there is no version", "write one like v1.2.3");
        return;
    }
    let Some(rest) = text.strip_prefix('v') else {
        let why = format!("the version {text:?} does not begin with v");
        let fix = match parse(text) {
            Ok(()) => format!("write v{text}"),
            Err(_) => "write one like v1.2.3".to_owned(),
        };
        report.error("version-prefix", *at, why, fix);
        return;
    };
    // Only krew's parser accepts space here.
    let trimmed = rest.trim_end_matches([' ', '\t', '\r', '\u{c}']);
    if let Err(why) = parse(trimmed) {
        let why = format!("the version {text:?} {why}");
        report.error("version-form", *at, why, "write one like v1.2.3, as semver.org describes");
    } else if trimmed != rest {
        let why = format!("the version {text:?} ends with space");
        report.warning("version-space", *at, why, format!("write v{trimmed}"));
    }
}

/// Why a text is not a version, as Kubernetes' parser sees it: a number in a pre-release may
/// begin with zero where it has more than 64 bits.
/// <https://github.com/kubernetes/apimachinery/blob/v0.34.1/pkg/util/version/version.go>
fn parse(text: &str) -> Result<(), &'static str> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let parts: Vec<&str> = numbers.split('.').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.is_empty()) {
        return Err("does not have three numbers");
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
        (_, None) => return Err("has neither - nor + after its numbers"),
    };
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let words = pre.iter().chain(&build).flat_map(|text| text.split('.'));
    if !words.clone().all(is_word) {
        return Err("has other characters than letters, digits and - after its numbers");
    }
    let zero = |word: &str| word.len() > 1 && word.starts_with('0') && word.parse::<u64>().is_ok();
    if pre.is_some_and(|pre| pre.split('.').any(zero)) {
        return Err("has a number that begins with 0");
    }
    Ok(())
}
