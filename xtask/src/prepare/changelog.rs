//! The heading that a changelog gets for a version.

use jiff::civil::Date;

use super::Splice;
use crate::forge;
use crate::version::Version;

/// What changes: the part about what is not released becomes the version's, and a new one begins.
/// Links that compare versions go along. Nothing, where the version has its part already, or there
/// is none to be released. `tags` are the last one and the next.
pub fn splices(
    text: &str,
    version: &Version,
    today: Date,
    (last, next): (Option<String>, &str),
) -> Vec<Splice> {
    if forge::section(text, version).is_some() {
        return Vec::new();
    }
    let Some((at, line)) = lines(text).find(|(_, line)| is_unreleased(line)) else {
        return Vec::new();
    };
    let end = if text[at..].starts_with(&format!("{line}\r\n")) { "\r\n" } else { "\n" };
    let level = line.len() - line.trim_start_matches('#').len();
    let is_linked = line.contains('[');
    let name = if is_linked { format!("[{version}]") } else { version.to_string() };
    let heading = format!("{line}{end}{end}{} {name} - {today}", "#".repeat(level));
    let mut splices = vec![Splice { at: at..at + line.len(), new: heading }];
    let link = lines(text).find(|(_, line)| line.to_lowercase().starts_with("[unreleased]: "));
    if let (true, Some((at, line)), Some(last)) = (is_linked, link, last) {
        let open = format!("{last}...HEAD");
        if line.ends_with(&open) {
            let base = &line[..line.len() - open.len()];
            let (_, address) = base.split_once(": ").unwrap_or_default();
            let new = format!("{base}{next}...HEAD{end}[{version}]: {address}{last}...{next}");
            splices.push(Splice { at: at..at + line.len(), new });
        }
    }
    splices
}

/// The lines, each with its place and without its end.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line.trim_end_matches(['\r', '\n']))
    })
}

/// Whether a line is the heading of what is not released yet.
fn is_unreleased(line: &str) -> bool {
    let Some(heading) = line.strip_prefix('#') else { return false };
    let name = heading.trim_start_matches('#').trim().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("unreleased")
}
