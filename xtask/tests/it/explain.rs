//! `explain`: what rules mean.

use super::world::World;

#[test]
fn a_rule_is_explained_and_all_are_listed() {
    let world = World::empty();
    let run = world.run("explain release-dirty");
    let said = run.ends_with(0).line();
    assert!(said.starts_with("release-dirty: The tree has changes"), "{said}");
    assert!(said.contains("Example: "), "{said}");
    // As the brackets of a finding have it.
    assert_eq!(world.run("explain [release-dirty]").ends_with(0).line(), said);
    let all = world.run("explain").stdout;
    let page = include_str!("../../src/explain/rules.md");
    for name in page.lines().filter_map(|line| line.strip_prefix("### ")) {
        assert!(all.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name}");
    }
    let json = world.run("explain release-dirty --json").ends_with(0).json();
    assert_eq!(json["rules"][0]["rule"], "release-dirty");
}

#[test]
fn a_rule_that_is_not_there_is_an_error_that_names_the_nearest() {
    let run = World::empty().run("explain relase-dirty");
    run.ends_with(1).no_result().says("there is no rule \"relase-dirty\"");
    run.says("did you mean `release-dirty`?");
    World::empty().run("explain zzz").ends_with(1).says("see all with `cargo dockless explain`");
}
