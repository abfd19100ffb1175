//! Man pages, as those who render them read them.

use std::fs;

use crate::world::{World, judge, names, run};

#[test]
fn man_writes_a_page_for_each_command() {
    let world = World::empty();
    let written = world.run("man");
    let pages = names(&world.path("man"));
    let printed = written.ends_with(0).stdout.lines().map(str::to_owned);
    let paths = pages.iter().map(|name| world.path("man").join(name).display().to_string());
    assert_eq!(printed.collect::<std::collections::BTreeSet<_>>(), paths.collect());
    for name in ["cargo-dockless", "cargo-dockless-release", "cargo-dockless-krew-manifest"] {
        assert!(pages.contains(&format!("{name}.1")), "{pages:?}");
    }
    // Nobody types these.
    assert!(!pages.iter().any(|name| name.contains("complete.") || name.contains("cross")));
    let page = world.read("man/cargo-dockless-release.1");
    assert!(page.contains("cargo dockless release \\-\\-snapshot"), "{page}");
    assert!(page.starts_with(".TH cargo-dockless-release 1 \"\" \"dockless "), "{page}");
    // Another folder, the same bytes.
    world.run("man elsewhere/man1 -q").ends_with(0);
    for name in &pages {
        let of = |folder: &str| fs::read(world.path(folder).join(name)).unwrap();
        assert!(of("man") == of("elsewhere/man1"), "{name}");
    }
}

#[test]
fn pages_are_rendered_without_a_warning() {
    let world = World::empty();
    world.run("man -q").ends_with(0);
    let pages = names(&world.path("man"));
    if judge("groff").is_some() {
        for page in &pages {
            let mut groff = world.with("groff", ["-ww", "-man", "-Tutf8", "-P-cbou"]);
            let shown = run(groff.arg(world.path("man").join(page)));
            assert_eq!(shown.ends_with(0).stderr, "", "{page}");
            let text = &shown.stdout;
            assert!(text.contains("EXAMPLES") && !text.contains("\\-"), "{page}: {text}");
        }
    }
    if judge("mandoc").is_some() {
        let mut mandoc = world.with("mandoc", ["-T", "lint", "-W", "error"]);
        let checked = run(mandoc.args(pages.iter().map(|page| world.path("man").join(page))));
        assert_eq!(checked.ends_with(0).stdout, "");
    }
}
