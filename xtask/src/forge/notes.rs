//! The notes of a release.

use crate::version::Version;

/// The longest notes that GitHub takes, in characters.
/// <https://docs.github.com/en/rest/releases/releases#create-a-release>
pub const LONGEST: usize = 125_000;

/// A commit: its full name and the first line of its message.
pub type Commit = (String, String);

/// The section of a changelog about a version, without its heading; `None` where there is
/// none, or nothing in it. <https://keepachangelog.com/en/1.1.0/>
pub fn section(changelog: &str, version: &Version) -> Option<String> {
    let mut level = None;
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in changelog.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let heading = line.chars().take_while(|c| *c == '#').count();
        let is_heading = !fenced && (1..=6).contains(&heading) && line[heading..].starts_with(' ');
        match level {
            None if is_heading && is_about(&line[heading..], version) => level = Some(heading),
            Some(own) if is_heading && heading <= own => break,
            Some(_) => lines.push(line),
            None => {}
        }
    }
    // The definitions of links end the file, and this section may be its last.
    while lines.last().is_some_and(|line| line.is_empty() || is_definition(line)) {
        lines.pop();
    }
    let text = lines.join("\n").trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Whether a heading is about a version: `1.2.3`, `v1.2.3`, `[1.2.3] - 2026-11-23`,
/// `tool 1.2.3 (…)`.
fn is_about(heading: &str, version: &Version) -> bool {
    let end = |c: char| c.is_whitespace() || matches!(c, '[' | ']' | '(' | ')' | ',' | ':' | '`');
    let version = version.to_string();
    // A date or a comment may follow, and name another version.
    let words = heading.split(end).filter(|word| !word.is_empty()).take(2);
    let plain = |word: &str| {
        let word = word.strip_prefix('v').unwrap_or(word);
        // A release's version has no build metadata.
        word.split('+').next().unwrap_or(word).to_owned()
    };
    words.map(plain).any(|word| word == version)
}

fn is_definition(line: &str) -> bool {
    line.starts_with('[') && line.contains("]: ")
}

/// The notes where there is no changelog: the commits, the newest first.
pub fn of_commits(commits: &[Commit]) -> String {
    let line = |(commit, subject): &Commit| format!("- {subject} ({commit:.12})\n");
    commits.iter().map(line).collect()
}

/// The notes with the images below them. Notes that are too long for GitHub are cut.
pub fn body(notes: &str, images: &[String]) -> String {
    let mut below = String::new();
    if !images.is_empty() {
        below.push_str("\n\n## Images\n\n");
        below.extend(images.iter().map(|image| format!("- `{image}`\n")));
    }
    const CUT: &str = "\n\n(and more)";
    let notes = notes.trim_end();
    let room = LONGEST.saturating_sub(below.chars().count());
    if notes.chars().count() <= room {
        return format!("{notes}{below}").trim().to_owned();
    }
    let kept: String = notes.chars().take(room.saturating_sub(CUT.len())).collect();
    let whole_lines = kept.rsplit_once('\n').map_or(&*kept, |(lines, _)| lines);
    format!("{}{CUT}{below}", whole_lines.trim_end()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog

All of it.

## [Unreleased]

## [1.2.0] - 2026-11-23

### Added
- One.

```
## [1.1.0]
```

### Fixed
- Two, of 1.1.0.

## v1.1.0+b1 (since 1.0.0)

Three.

## 1.0.0

## 0.9.0-rc.1
Four.

[1.2.0]: https://example.com/1.2.0
[Unreleased]: https://example.com/
";

    #[test]
    fn a_version_has_its_section() {
        let of = |version: &str| section(CHANGELOG, &version.parse().unwrap());
        let all = "### Added\n- One.\n\n```\n## [1.1.0]\n```\n\n### Fixed\n- Two, of 1.1.0.";
        assert_eq!(of("1.2.0").as_deref(), Some(all));
        assert_eq!(of("1.1.0").as_deref(), Some("Three."));
        assert_eq!(of("0.9.0-rc.1").as_deref(), Some("Four."));
        for version in ["1.0.0", "0.9.0", "1.2.1", "2.0.0"] {
            assert_eq!(of(version), None, "{version}");
        }
    }

    /// Of any text a section is a part, and never its heading.
    #[test]
    fn a_section_is_a_part_of_the_text() {
        let version: Version = "1.2.3".parse().unwrap();
        arbtest::arbtest(|u| {
            let pieces =
                ["# ", "## ", "1.2.3", "[1.2.3]", "v1.2.3", "1.2.4", "\n", "```", "a", " ", "\r\n"];
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=30)? {
                text.push_str(u.choose(&pieces)?);
            }
            if let Some(section) = section(&text, &version) {
                assert!(!section.trim().is_empty());
                assert!(text.replace("\r\n", "\n").contains(&section), "{text:?} {section:?}");
            }
            Ok(())
        });
    }

    #[test]
    fn a_body_is_never_too_long() {
        assert_eq!(body("a\n", &[]), "a");
        assert_eq!(body("", &["x@sha256:1".into()]), "## Images\n\n- `x@sha256:1`");
        let long = "ä line of it\n".repeat(20_000);
        let cut = body(&long, &["x@sha256:1".into()]);
        assert!(cut.chars().count() <= LONGEST);
        assert!(
            cut.ends_with("line of it\n\n(and more)\n\n## Images\n\n- `x@sha256:1`"),
            "{}",
            &cut[cut.len() - 99..]
        );
    }
}
