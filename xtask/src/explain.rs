//! What each rule of findings means: one paragraph each, with an example. The same text is a page
//! of the documentation.

/// The page with all rules.
pub const PAGE: &str = include_str!("explain/rules.md");

/// The text about one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub name: &'static str,
    /// The heading that it stands under.
    pub group: &'static str,
    /// One paragraph, in one line.
    pub text: &'static str,
}

impl Rule {
    /// Its first sentence.
    pub fn summary(&self) -> &'static str {
        self.text.split_once(". ").map_or(self.text, |(first, _)| first)
    }
}

/// All rules, in the order of the page.
pub fn rules() -> impl Iterator<Item = Rule> {
    let (mut group, mut name) = ("", None);
    PAGE.lines().filter_map(move |line| {
        if let Some(heading) = line.strip_prefix("## ") {
            (group, name) = (heading, None);
        } else if let Some(heading) = line.strip_prefix("### ") {
            name = Some(heading);
        } else if !line.is_empty() {
            return name.take().map(|name| Rule { name, group, text: line });
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_one_paragraph_with_an_example() {
        let headings = PAGE.lines().filter(|line| line.starts_with("### ")).count();
        let all: Vec<Rule> = rules().collect();
        assert_eq!(all.len(), headings, "a heading has no text");
        let mut names = BTreeSet::new();
        for rule in all {
            assert!(names.insert(rule.name), "{} is there twice", rule.name);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(rule.name.chars().all(plain), "{rule:?}");
            assert!(rule.text.contains("Example: ") && rule.text.ends_with('.'), "{rule:?}");
            assert!(!rule.group.is_empty() && rule.summary().len() > 10, "{rule:?}");
        }
    }
}
