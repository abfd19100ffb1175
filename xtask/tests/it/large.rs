//! Workspaces with many packages.

use std::fs;

use crate::world::{HOST, World};

/// A workspace of programs, each of which the tests of the one before use.
fn ring(packages: usize) -> World {
    let world = World::empty();
    let names: Vec<String> = (0..packages).map(|at| format!("p{at}")).collect();
    let root = format!(
        "[workspace]\nresolver = \"3\"\nmembers = {names:?}\n\n\
         [workspace.metadata.dockless]\ntargets = [{HOST:?}]\n"
    );
    world.file("Cargo.toml", &root).file("LICENSE", "free\n");
    for (at, name) in names.iter().enumerate() {
        let next = &names[(at + 1) % packages];
        let tested = format!("[dev-dependencies]\n{next} = {{ path = \"../{next}\" }}\n");
        world.package(name, name, "1.0.0", &tested);
        fs::write(world.path(&format!("{name}/src/lib.rs")), "").unwrap();
    }
    world.lock();
    world
}

#[test]
fn a_thousand_packages_whose_tests_use_each_other_in_a_circle_are_planned() {
    let world = ring(1000);
    let plan = world.plan("--snapshot");
    let builds = plan["builds"].as_array().unwrap();
    assert_eq!(builds.len(), 1000);
    assert_eq!(plan["archives"].as_array().unwrap().len(), 1000);
    // None is a part of another, so that one call of cargo builds them.
    assert!(builds.iter().all(|build| build["with"].as_array().unwrap().len() == 999));
    assert_eq!(world.plan("--snapshot"), plan);
}
