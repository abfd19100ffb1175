//! That the images differ, and nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use super::generated::{Manifest, Random, manifest, values};
use super::*;
use crate::world::{names, said, skipped};

/// How many manifests are made.
const MANIFESTS: u64 = 200;

const PACKAGES: [&str; 3] = ["one", "two", "three"];

/// Manifests at random are resolved at once and one by one, with the same result: the very
/// bytes with the references replaced, which a reader of YAML understands as that.
#[test]
fn only_images_differ_in_manifests_made_at_random() {
    let Some(registry) = Registry::shared() else { return };
    let world = workspace(&PACKAGES);
    let pods = PACKAGES.map(|name| pod(name, &format!("dockless://{name}")));
    world.file("pods.yaml", &pods.join("---\n"));
    let known = resolve(&world, registry, "resolve-random", "-f pods.yaml");
    let known = references(&known.ends_with(0).stdout);
    let images: BTreeMap<&str, &str> = PACKAGES.into_iter().zip(known).collect();
    let image = |package: &str| images[package].to_owned();

    let made: Vec<Manifest> =
        (0..MANIFESTS).map(|seed| manifest(&mut Random::new(seed + 1), &PACKAGES)).collect();
    for (at, manifest) in made.iter().enumerate() {
        world.file(&format!("made/{at:03}.yaml"), &manifest.source());
    }
    let all = resolve(&world, registry, "resolve-random", "-f made");
    let expected: Vec<String> = made.iter().map(|manifest| manifest.with(image)).collect();
    let total: usize = made.iter().map(Manifest::images).sum();
    assert!(total > 500, "{total} references are enough");
    assert_joined_or_marked(&all.ends_with(0).stdout, &expected);

    for (at, manifest) in made.iter().enumerate().step_by(10) {
        let args = format!("-f made/{at:03}.yaml");
        let resolved = resolve(&world, registry, "resolve-random", &args);
        let (out, expected) = (&resolved.ends_with(0).stdout, &expected[at]);
        assert!(out == expected || *out == format!("{expected}\n"), "{at}: {out}");
        let none = |package: &str| format!("dockless://{package}");
        let read = values(&manifest.source(), &image);
        assert!(!read.is_empty());
        assert_eq!(values(out, &none), read, "{at}: {out}");
    }
    said(&format!("{total} references in {MANIFESTS} manifests made at random"));
}

/// As [`assert_joined`], for files of which some begin with a byte order mark: in the middle
/// of a stream it may be left out.
#[track_caller]
fn assert_joined_or_marked(output: &str, files: &[String]) {
    let bare = |text: &str| text.replace('\u{feff}', "");
    let files: Vec<String> = files.iter().map(|text| bare(text)).collect();
    assert_joined(&bare(output), &files);
}

/// The manifests are what they are meant to be: readable, and different.
#[test]
fn what_is_made_at_random_is_yaml() {
    let mut seen = std::collections::BTreeSet::new();
    let mut styles = BTreeMap::<&str, usize>::new();
    for seed in 0..MANIFESTS {
        let made = manifest(&mut Random::new(seed + 1), &PACKAGES);
        let source = made.source();
        let same = |package: &str| format!("dockless://{package}");
        assert!(!values(&source, &same).is_empty());
        for style in
            ["image: &i", "image: *i", "image: |-", "image: >-", "'dockless", "\r\n", "\u{feff}"]
        {
            *styles.entry(style).or_default() += usize::from(source.contains(style));
        }
        assert!(seen.insert(source), "{seed} is a second time");
    }
    assert!(styles.len() == 7 && styles.values().all(|count| *count > 3), "{styles:?}");
}

/// Manifests of others without references: of each folder, every byte is kept.
#[test]
fn manifests_without_references_are_passed_on_to_the_byte() {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/krew-index/plugins");
    if !plugins.exists() {
        return skipped("../shared/krew-index is not there");
    }
    let world = workspace(&["tool"]);
    let names = names(&plugins);
    let texts: Vec<String> =
        names.iter().map(|name| std::fs::read_to_string(plugins.join(name)).unwrap()).collect();
    let folder = plugins.to_str().unwrap();
    let all = run(&mut world.tool(["resolve", "-f", folder]));
    assert_joined(&all.ends_with(0).stdout, &texts);
    for (name, text) in names.iter().zip(&texts) {
        let one = run(&mut world.tool(["resolve", "-f", &format!("{folder}/{name}")]));
        let out = &one.ends_with(0).stdout;
        assert!(out == text || *out == format!("{text}\n"), "{name}: {out}");
        one.never_says("Compiling");
    }
    said(&format!("{} manifests of krew's index are passed on to the byte", names.len()));
}
