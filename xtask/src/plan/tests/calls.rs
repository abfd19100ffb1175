//! Which builds one call of cargo makes.

use super::*;
use crate::target::Target;

/// What makes the second package another one.
type Change = fn(&mut Project, &mut Config);

/// Two packages with the same crates.
fn two() -> Project {
    let mut project = project(vec![package("a", "1.2.3", None), package("b", "1.2.3", None)], None);
    project.alike = vec![["a@1.2.3", "b@1.2.3"].map(str::to_owned).into()];
    project
}

#[test]
fn builds_with_the_same_crates_and_arguments_are_one_call() {
    let cases: [(&str, Change, bool); 7] = [
        ("the same", |_, _| {}, true),
        ("other crates", |project, _| project.alike.clear(), false),
        (
            "only one of a set",
            |project, _| project.alike = vec![["a@1.2.3", "c@1.2.3"].map(str::to_owned).into()],
            false,
        ),
        (
            "a variable",
            |_, config| drop(config.packages[1].env.insert("A".into(), "b".into())),
            false,
        ),
        ("features", |_, config| config.packages[1].features = vec!["more".into()], false),
        (
            "targets",
            |_, config| {
                let more = Target::parse("aarch64-unknown-linux-musl").unwrap();
                config.packages[1].targets.push(more);
            },
            false,
        ),
        (
            "a binary that is not built has the name of one that is",
            |project, config| {
                let bin = Bin { name: "A".into(), required_features: vec!["off".into()] };
                project.packages[1].bins.push(bin.clone());
                config.packages[1].bins.push(bin);
            },
            false,
        ),
    ];
    for (what, change, together) in cases {
        let mut project = two();
        let mut config = config(&project);
        change(&mut project, &mut config);
        let (plan, errors) = super::super::plan(&config, &project, &request(Mode::Snapshot));
        assert!(errors.is_empty(), "{what}: {errors:?}");
        let with: Vec<_> = plan.unwrap().builds.into_iter().map(|build| build.with).collect();
        let expected =
            if together { [vec!["b".to_owned()], vec!["a".to_owned()]] } else { [vec![], vec![]] };
        assert_eq!(with, expected, "{what}");
    }
}
