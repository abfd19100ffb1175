//! The form of release tags that a project's settings may fix.

use std::fmt;

use anyhow::{Context, Result, ensure};

use crate::template;
use crate::version::{ReleaseTag, Version};

/// A form such as `{{ name }}/v{{ version }}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagForm {
    text: String,
    before: String,
    after: String,
    /// The text between name and version, and their order; `None` for a form without a name.
    between: Option<(String, Order)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    NameFirst,
    VersionFirst,
}

/// Placeholders for the two values while a form is parsed.
const NAME: char = '\u{1}';
const VERSION: char = '\u{2}';

impl TagForm {
    /// Parses the setting: it has `{{ version }}` once, `{{ name }}` at most once, and a
    /// separator between them.
    pub fn parse(text: &str) -> Result<TagForm> {
        let (name, version) = (NAME.to_string(), VERSION.to_string());
        ensure!(!text.contains([NAME, VERSION]), "{text:?} holds control characters");
        let form = template::render(text, &[("name", &name), ("version", &version)])?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._/@-".contains(c);
        ensure!(
            form.chars().all(|c| c == NAME || c == VERSION || plain(c)),
            "{text:?} holds more than letters, digits, `.`, `_`, `/`, `@` and `-`"
        );
        ensure!(!form.starts_with('-'), "{text:?} begins like an option");
        let places = |of: char| form.matches(of).count();
        ensure!(places(VERSION) == 1, "{text:?} does not name {{{{ version }}}} once");
        ensure!(places(NAME) <= 1, "{text:?} names {{{{ name }}}} more than once");
        let first = form.find([NAME, VERSION]).context("find the version")?;
        let last = form.rfind([NAME, VERSION]).context("find the version")?;
        let (before, after) = (form[..first].to_owned(), form[last + 1..].to_owned());
        let order =
            if form[first..].starts_with(NAME) { Order::NameFirst } else { Order::VersionFirst };
        let between = (first < last).then(|| (form[first + 1..last].to_owned(), order));
        ensure!(
            between.as_ref().is_none_or(|(between, _)| !between.is_empty()),
            "{text:?} has nothing between name and version"
        );
        Ok(TagForm { text: text.to_owned(), before, after, between })
    }

    /// The release that a tag of this form announces.
    pub fn read(&self, tag: &str) -> Option<ReleaseTag> {
        let inner = tag.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        let Some((between, order)) = &self.between else {
            return ReleaseTag::of(tag, None, inner);
        };
        inner.match_indices(&**between).find_map(|(at, _)| {
            let (first, second) = (&inner[..at], &inner[at + between.len()..]);
            match order {
                Order::NameFirst => ReleaseTag::of(tag, Some(first), second),
                Order::VersionFirst => ReleaseTag::of(tag, Some(second), first),
            }
        })
    }

    /// The tag of a package's version.
    pub fn write(&self, package: &str, version: &Version) -> String {
        let version = version.to_string();
        self.filled(package, &version)
    }

    /// The pattern that matches tags of this form in a workflow's filter.
    /// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet>
    pub fn pattern(&self) -> String {
        self.filled("*", "[0-9]+.[0-9]+.[0-9]+*")
    }

    fn filled(&self, name: &str, version: &str) -> String {
        let inner = match &self.between {
            None => version.to_owned(),
            Some((between, Order::NameFirst)) => format!("{name}{between}{version}"),
            Some((between, Order::VersionFirst)) => format!("{version}{between}{name}"),
        };
        format!("{}{inner}{}", self.before, self.after)
    }
}

impl fmt::Display for TagForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_reads_what_it_writes_and_nothing_else() {
        for (form, tag, package, pattern) in [
            (
                "{{ name }}/v{{ version }}",
                "tool/v1.2.3-rc.1",
                Some("tool"),
                "*/v[0-9]+.[0-9]+.[0-9]+*",
            ),
            (
                "{{name}}-{{version}}",
                "a-v1-b-1.2.3-rc.1",
                Some("a-v1-b"),
                "*-[0-9]+.[0-9]+.[0-9]+*",
            ),
            ("{{ version }}_{{ name }}", "1.2.3-rc.1_a_b", Some("a_b"), "[0-9]+.[0-9]+.[0-9]+*_*"),
            ("release-{{ version }}", "release-1.2.3-rc.1", None, "release-[0-9]+.[0-9]+.[0-9]+*"),
            ("r/{{ version }}/x", "r/1.2.3-rc.1/x", None, "r/[0-9]+.[0-9]+.[0-9]+*/x"),
            ("{{ version }}", "1.2.3-rc.1", None, "[0-9]+.[0-9]+.[0-9]+*"),
        ] {
            let form = TagForm::parse(form).unwrap();
            let version: Version = "1.2.3-rc.1".parse().unwrap();
            let read = form.read(tag).unwrap_or_else(|| panic!("{form} reads {tag}"));
            assert_eq!((read.package.as_deref(), &read.version), (package, &version), "{form}");
            assert_eq!(read.to_string(), tag);
            assert_eq!(form.write(package.unwrap_or("any"), &version), tag);
            assert_eq!(form.pattern(), pattern);
            let with_build = tag.replace("rc.1", "rc.1+b1");
            assert_eq!(form.read(&with_build).unwrap().written(), "1.2.3-rc.1+b1");
            for other in ["v1.2.3", "tool-v1.2.3", "x", "", "release-1.2", "/v1.2.3", "é/v1.2.3"] {
                assert_eq!(form.read(other), None, "{form} {other}");
            }
        }
    }

    #[test]
    fn a_form_that_tells_no_version_is_refused() {
        for (form, why) in [
            ("{{ name }}", "does not name {{ version }} once"),
            ("{{ version }}.{{ version }}", "does not name {{ version }} once"),
            ("{{ name }}-{{ name }}-{{ version }}", "names {{ name }} more than once"),
            ("{{ name }}{{ version }}", "has nothing between name and version"),
            ("{{ tag }}", "names \"tag\"; known are name, version"),
            ("v{{ version", "is not closed"),
            ("-v{{ version }}", "begins like an option"),
            ("v{{ version }}*", "holds more than letters"),
            ("v {{ version }}", "holds more than letters"),
            ("v{{ version }}\n", "holds more than letters"),
            ("\u{2}", "control characters"),
        ] {
            let error = TagForm::parse(form).unwrap_err().to_string();
            assert!(error.contains(why), "{form:?}: {error}");
        }
    }
}
