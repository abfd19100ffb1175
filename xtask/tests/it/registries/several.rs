//! Where an image goes: the repositories of a package, or below the one that is named.

use super::*;

/// A package for both platforms with these lines in its image's table.
fn with(image: &str) -> World {
    let world = project();
    let table = format!("[package.metadata.dockless.image]\n{image}\n");
    world.package("", "tool", "1.0.0", &table);
    world.commit();
    world.git(["tag", "--force", "v1.0.0"]);
    world
}

/// One image in several places: what one registry has is mounted there and brought to others.
#[test]
fn an_image_goes_to_all_its_repositories() {
    let Some(registry) = Registry::shared() else { return };
    let Some(other) = Registry::of(Software::V2, Access::Open) else { return };
    let names = [
        format!("{}/several/one", registry.host),
        format!("{}/several/two", registry.host),
        format!("{}/several/three", other.host),
    ];
    let world = with(&format!("repositories = {names:?}"));
    let pushed = world.run("image --push");
    let lines: Vec<&str> = pushed.ends_with(0).stdout.lines().collect();
    let (_, digest) = lines[0].split_once('@').unwrap();
    assert_eq!(lines, names.each_ref().map(|name| format!("{name}@{digest}")));
    for (registry, name) in [(registry, "one"), (registry, "two"), (other, "three")] {
        for tag in ["1.0.0", "latest"] {
            let there = registry.digest(&format!("several/{name}:{tag}"));
            assert_eq!(there.as_deref(), Some(digest), "{name}:{tag}");
        }
        let blobs = registry.requests(&format!("several/{name}"));
        let puts = blobs.iter().filter(|it| it.starts_with("PUT ") && it.contains("/blobs/"));
        // Mounted layers and configs are not brought again.
        let expected = if name == "two" { 0 } else { 5 };
        assert_eq!(puts.count(), expected, "{name}: {blobs:#?}");
        let row = pushed.stderr.lines().find(|line| line.contains(&format!("{name}@sha256:")));
        let cells = row.unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        let sent: Vec<&str> = cells.skip(2).collect();
        let mounted = if name == "two" { "5" } else { "0" };
        assert!(sent[0].ends_with(&format!(" in {expected} blobs")), "{name}: {sent:?}");
        assert_eq!((sent[0].starts_with("0 B "), sent[1]), (expected == 0, mounted), "{name}");
        pushed.says(&format!("{name}, which lacks "));
    }
    // They are in registries, and nowhere else.
    assert!(!world.dist().exists());
    pushed.never_says("images/");
    for name in &names {
        let host = if name.starts_with(&registry.host) { registry } else { other };
        assert_read(&world, host, &format!("{name}:1.0.0"), digest);
    }
    // An older image in dist/ is none of this push.
    world.file("dist/metadata.json", "{\"dockless\": \"0.1.0\"}").file("dist/images/tool/old", "");
    let again = world.run("image --push");
    assert_eq!(again.ends_with(0).never_says("images/").stdout, pushed.stdout, "the same twice");
}

/// Below a repository that is named for all, each package has its own name.
#[test]
fn a_repository_can_be_named_for_all_packages() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::workspace(&[("one", "1.0.0"), ("two", "1.0.0")], "");
    for name in ["one", "two"] {
        world.package(name, name, "1.0.0", &crate::world::only_host());
    }
    let named = format!("{}/below", registry.host);
    let from_flag = world.run(&format!("image --push --repository {named}/flag"));
    let repositories = |run: &Run| {
        let lines = run.ends_with(0).stdout.lines();
        lines.map(|line| line.split_once('@').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    let expected = |under: &str| [format!("{named}/{under}/one"), format!("{named}/{under}/two")];
    assert_eq!(repositories(&from_flag), expected("flag"));
    let with_variable = |args: &str| {
        let mut tool = world.tool(args.split(' '));
        run(tool.env("DOCKLESS_REPOSITORY", format!("{named}/variable")))
    };
    assert_eq!(repositories(&with_variable("image --push")), expected("variable"));
    let both = with_variable(&format!("image --push --repository {named}/flag"));
    assert_eq!(repositories(&both), expected("flag"));
    let one = with_variable("image --package two --push");
    assert_eq!(repositories(&one), [format!("{named}/variable/two")]);
    // A package that names its own place has nothing to do with it.
    let own = format!("{}/below/own", registry.host);
    let image = format!("[package.metadata.dockless.image]\nrepositories = [{own:?}]\n");
    let more = format!("{}{image}", crate::world::only_host());
    world.package("two", "two", "1.0.0", &more);
    let mixed = with_variable("image --push");
    assert_eq!(repositories(&mixed), [format!("{named}/variable/one"), own]);
}

#[test]
fn without_any_repository_nothing_is_compiled() {
    let world = World::committed("1.0.0");
    let refusal = world.run("image --push");
    refused(&refusal, "--repository").says("repositories").never_says("Compiling");
    for wrong in ["localhost/x:1", "a b", "", "https://localhost/x", "localhost/X"] {
        let mut tool = world.tool(["image", "--push", "--repository", wrong]);
        let refusal = run(&mut tool);
        assert!(matches!(refusal.code, Some(1 | 2)), "{wrong:?}: {}", refusal.stderr);
        refusal.no_result().never_says("Compiling");
        let mut tool = world.tool(["image", "--push"]);
        let refusal = run(tool.env("DOCKLESS_REPOSITORY", wrong));
        assert!(matches!(refusal.code, Some(1 | 2)), "{wrong:?}: {}", refusal.stderr);
        refusal.no_result().never_says("Compiling");
    }
    assert!(!world.dist().exists());
}

/// What is asked for of the image holds for what is pushed: here, one platform.
#[test]
fn one_platform_can_be_pushed_alone() {
    let Some(registry) = Registry::shared() else { return };
    let world = project();
    let repository = format!("{}/alone", registry.host);
    let args = format!("image --push --platform linux/arm64 --repository {repository}");
    let pushed = world.run(&args);
    let reference = pushed.ends_with(0).line();
    let inspected = world.run(&format!("image inspect --json {reference}")).json();
    assert_eq!(inspected["images"].as_array().unwrap().len(), 1, "{inspected:#}");
    world.run(&format!("image validate {reference}")).ends_with(0);
}

/// A registry that is not there is said once, with its name, after the tries that are allowed.
#[test]
fn a_registry_that_is_not_there_is_named() {
    let Some(registry) = Registry::own(Software::V3, Access::Open, "127.0.0.1") else { return };
    let host = registry.host.clone();
    drop(registry);
    let table = "[workspace.metadata.dockless.network]\nretries = 1\n";
    let world = World::workspace(&[("tool", "1.0.0")], table);
    sample(&world, "gone");
    refused(&world.run(&format!("image copy oci:layout {host}/gone:1")), &host);
    refused(&world.run(&format!("image inspect {host}/gone:1")), &host);
    refused(&world.run(&format!("image --push --repository {host}/gone")), &host);
}
