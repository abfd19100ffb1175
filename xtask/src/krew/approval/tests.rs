use super::*;

mod cases;

use cases::{BEFORE, CASES, NEXT, OURS, changed, texts};

fn found(before: &str, after: &str, file: &str) -> Vec<(&'static str, usize)> {
    let file = Path::new(file);
    let found = objections(before, after, file);
    for finding in &found {
        assert_eq!(finding.place.file.as_deref(), Some(file), "{finding:?}");
        assert!(finding.place.at.is_some_and(|(line, column)| line > 0 && column > 0));
        assert!(!finding.fix.is_empty() && !finding.why.ends_with('.'), "{finding:?}");
    }
    found.iter().map(|it| (it.rule, it.place.at.unwrap_or_default().0)).collect()
}

#[test]
fn what_the_bot_leaves_to_a_person_is_found() {
    let mut wrong = Vec::new();
    for case in CASES {
        let (before, after) = texts(case);
        let found = found(&before, &after, "foo.yaml");
        let (in_before, in_after, expected) = case;
        if found != *expected {
            wrong.push(format!(
                "{in_before:?} {in_after:?}:\n  found    {found:?}\n  expected {expected:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rule_of_ours_is_broken_somewhere() {
    let broken = |rule: &&str| CASES.iter().any(|case| case.2.iter().any(|(it, _)| it == rule));
    assert_eq!(OURS.iter().filter(|rule| !broken(rule)).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn only_a_yaml_file_is_looked_at() {
    let after = changed(BEFORE, &NEXT);
    assert_eq!(found(BEFORE, &after, "plugins/foo.yml"), [("approval-file", 1)]);
    assert_eq!(found(BEFORE, &after, "foo"), [("approval-file", 1)]);
    assert_eq!(found(BEFORE, BEFORE, "foo.yaml"), [("approval-version-unchanged", 6)]);
}

/// Places say what the user has to look at.
#[test]
fn objections_stand_where_the_change_does() {
    let after = changed(&changed(BEFORE, &NEXT), &[("v1.3.0/foo-linux", "v1.3.0/foo-x86_64")]);
    let findings = objections(BEFORE, &after, Path::new("foo.yaml"));
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "foo.yaml:14:3: \"https://example.org/v1.2.3/foo-linux.tar.gz\" becomes \
         \"https://example.org/v1.3.0/foo-linux.tar.gz\" with the new version, and no new uri is that",
            "foo.yaml:14:3: \"https://example.org/v1.3.0/foo-x86_64.tar.gz\" is not an old uri with \
         the new version",
        ]
    );
}
