//! Which tags an image gets, and when `latest` is left where it is.

use std::sync::{Arc, Barrier};

use serde_json::json;

use super::*;
use crate::world::only_host;
use crate::world::proxy::{ALWAYS, Fault, Proxy, Step};
use crate::world::sketch::{CONFIG, MANIFEST, TAR, manifest};

/// The package at a version that is tagged, with the table of its image.
fn version<'a>(world: &'a World, version: &str, image: &str) -> &'a World {
    let table = format!("{}[package.metadata.dockless.image]\n{image}\n", only_host());
    world.package("", "tool", version, &table);
    world.file("LICENSE", "free\n").lock();
    world.commit();
    world.git(["tag", &format!("v{version}")]);
    world
}

/// Pushes the image to a repository of the registry; returns its digest there.
#[track_caller]
fn push(world: &World, registry: &Registry, repository: &str) -> (String, Run) {
    let args = format!("image --push --repository {}/{repository}", registry.host);
    let pushed = world.run(&args);
    let (named, digest) = pushed.ends_with(0).line().split_once('@').unwrap();
    assert_eq!(named, format!("{}/{repository}/tool", registry.host));
    (digest.to_owned(), pushed)
}

#[test]
fn latest_is_the_newest_release_and_never_goes_back() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    let at = |tag: &str| registry.digest(&format!("latest/tool:{tag}"));
    version(&world, "1.1.0", "");
    let (first, _) = push(&world, registry, "latest");
    assert_eq!((at("1.1.0"), at("latest")), (Some(first.clone()), Some(first.clone())));

    // A commit later, nothing is released.
    world.file("src/more.rs", "// more\n").commit();
    let (snapshot, pushed) = push(&world, registry, "latest");
    pushed.says("latest/tool:latest as it is: 1.1.1-dev.1.g");
    let name = format!("1.1.1-dev.1.g{}", world.sha());
    assert_ne!(snapshot, first);
    assert_eq!((at(&name), at("latest")), (Some(snapshot), Some(first.clone())));

    // A version before its time, and one that is late.
    for early in ["2.0.0-rc.1", "1.0.9"] {
        version(&world, early, "");
        let (digest, _) = push(&world, registry, "latest");
        assert_eq!((at(early), at("latest")), (Some(digest), Some(first.clone())), "{early}");
    }
    version(&world, "1.10.0", "");
    let (newer, _) = push(&world, registry, "latest");
    assert_eq!((at("1.10.0"), at("latest")), (Some(newer.clone()), Some(newer.clone())));
    // With something that is not committed, it is no release.
    world.file("src/main.rs", "fn main() {}\n");
    let (dirty, _) = push(&world, registry, "latest");
    assert_ne!(dirty, newer);
    assert_eq!((at("latest"), at("1.10.0")), (Some(newer.clone()), Some(newer)));
}

/// The first two requests wait for each other. Of two refusals, that of the first tag is told.
#[test]
fn tags_move_at_once_and_latest_when_they_are_there() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    let tags = "tags = [\"latest\", \"{{ version }}\", \"stable\"]\n";
    version(&world, "1.2.3", tags);
    let proxy = Proxy::before(&registry.host);
    proxy.inject(Step::TagPut, 1..=2, Fault::Meet(Arc::new(Barrier::new(2))));
    let push = || world.run(&format!("image --push --repository {}/at-once", proxy.host));
    let pushed = push();
    pushed.ends_with(0);
    let puts = proxy.seen().into_iter().filter(|seen| seen.step == Step::TagPut);
    let puts: Vec<String> = puts.map(|seen| seen.path).collect();
    assert_eq!(puts.len(), 3, "{puts:?}");
    assert!(puts[2].ends_with("/latest"), "{puts:?}");
    let said: Vec<_> = pushed.stderr.lines().filter(|line| line.contains(" tag ")).collect();
    let order = ["1.2.3", "stable", "latest"];
    assert!(said.iter().zip(order).all(|(line, tag)| line.ends_with(tag)), "{said:?}");

    let first = registry.digest("at-once/tool:stable");
    world.file("src/main.rs", "fn main() { println!(\"other\") }\n");
    version(&world, "1.2.4", tags);
    proxy.renew();
    proxy.inject(Step::TagPut, ALWAYS, Fault::refusal(400, "ImageTagAlreadyExistsException"));
    push().ends_with(1).says("at-once/tool:1.2.4").never_says("tool:stable");
    assert_eq!(registry.digest("at-once/tool:latest"), first);
}

/// Where there is no `latest`, what is no release does not begin one.
#[test]
fn a_snapshot_is_never_the_latest() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::committed("1.0.0");
    let (digest, pushed) = push(&world, registry, "snapshots");
    assert_eq!(registry.digest("snapshots/tool:latest"), None);
    let at = format!("1.0.0-dev.1.g{}", world.sha());
    let name = format!("snapshots/tool:{at}");
    assert_eq!(registry.digest(&name), Some(digest));
    // What is said is what is there: one tag, and no `latest` that could be kept.
    let repository = format!("{}/snapshots/tool", registry.host);
    pushed.says(&format!(" tag {repository}:{at}\n")).never_says("latest as it is");
    pushed.says(&format!(" keep {repository} without latest: {at} is a pre-release\n"));
    let (_, again) = push(&world, registry, "snapshots");
    again.never_says(" tag ").never_says(" push ");
    again.says(&format!(" keep {repository}:{at} as it is: it names the image already\n"));
    version(&world, "1.0.1-alpha", "");
    push(&world, registry, "snapshots");
    assert_eq!(registry.digest("snapshots/tool:latest"), None);
}

/// What somebody else has called the latest tells its version in an annotation or a
/// label, or else nothing that it could be compared by.
#[test]
fn a_latest_of_others_is_asked_for_its_version() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    version(&world, "1.0.0", "");
    let layout = Layout::at(&world.outside("layout"));
    let version = |version: &str| json!({ "org.opencontainers.image.version": version });
    let other = |what: &str, text: &str| {
        let mut config = json!({ "os": "linux", "architecture": here() });
        let layer = tar(&[file("other", text)]);
        let diff_id = format!("sha256:{}", sha256(&layer));
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [diff_id] });
        if what == "label" {
            config["config"] = json!({ "Labels": version(text) });
        }
        let config = layout.json(CONFIG, &config);
        let layer = layout.put(TAR, &layer);
        let mut manifest = manifest(&config, &[layer]);
        if what == "annotation" {
            manifest["annotations"] = version(text);
        }
        let mut image = layout.json(MANIFEST, &manifest);
        if what == "index" {
            image["platform"] = json!({ "os": "linux", "architecture": here() });
            let mut index = index(&[image]);
            index["annotations"] = version(text);
            image = layout.json(INDEX, &index);
        }
        layout.name(&[image]);
    };
    for (at, (what, text, moves)) in [
        ("annotation", "9.0.0", false),
        ("annotation", "v9.0.0", false),
        ("annotation", "0.9.0", true),
        ("index", "9.0.0", false),
        ("label", "9.0.0", false),
        ("label", "1.0.0", true),
        ("label", "0.1.0", true),
        ("label", "jammy", true),
        ("nothing", "9.0.0", true),
    ]
    .into_iter()
    .enumerate()
    {
        other(what, text);
        let latest = format!("others-{at}/tool:latest");
        let to = format!("{}/{latest}", registry.host);
        world.run(&format!("image copy oci:../layout {to}")).ends_with(0);
        let before = registry.digest(&latest);
        let (digest, pushed) = push(&world, registry, &format!("others-{at}"));
        let after = registry.digest(&latest);
        let expected = if moves { Some(digest) } else { before };
        assert_eq!(after, expected, "{what} {text}: {}", pushed.stderr);
    }
}

/// The rules are those of `latest`; whoever names other tags means them.
#[test]
fn other_tags_go_where_they_are_told_to() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    version(&world, "1.2.3-rc.1", "tags = [\"v{{ version }}\", \"edge\"]");
    let (first, _) = push(&world, registry, "others");
    let at = |tag: &str| registry.digest(&format!("others/tool:{tag}"));
    assert_eq!((at("v1.2.3-rc.1"), at("edge")), (Some(first.clone()), Some(first)));
    assert_eq!((at("latest"), at("1.2.3-rc.1")), (None, None));
    world.file("more", "more\n").commit();
    let (snapshot, _) = push(&world, registry, "others");
    assert_eq!(at("edge"), Some(snapshot));
}
