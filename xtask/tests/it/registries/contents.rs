//! What registries hold, as the conformance suite of the distribution specification has
//! it, brought there and got back. docs/registry-conformance.md lists what comes of it.
//! <https://github.com/opencontainers/distribution-spec/blob/main/conformance/run.go>

use serde_json::json;

use super::*;
use crate::world::said;
use crate::world::sketch::{CONFIG, GZIP, MANIFEST, TAR, gzip, manifest};

const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const NOTE: &str = "application/vnd.example.note";

/// An artifact with so many blobs, and what else its manifest says.
fn artifact(layout: &Layout, blobs: usize, more: &Value) -> Value {
    let config = layout.put(EMPTY, "{}");
    let blobs: Vec<Value> = (0..blobs).map(|at| layout.put(NOTE, format!("note {at}"))).collect();
    let mut artifact = manifest(&config, &blobs);
    artifact["artifactType"] = NOTE.into();
    for (key, value) in more.as_object().unwrap() {
        artifact[key] = value.clone();
    }
    let mut descriptor = layout.json(MANIFEST, &artifact);
    descriptor["artifactType"] = NOTE.into();
    descriptor
}

/// The suite's test data by their names, how each is made, and why it is refused, where it
/// is.
type Case = (&'static str, fn(&Layout) -> Value, Option<&'static str>);

const CASES: [Case; 15] = [
    ("image", |of| of.image(&[&tar(&[file("a", "a")])]), None),
    ("image-uncompressed", uncompressed, None),
    ("index", several, None),
    ("large-manifest", |of| with(of, "annotations", annotations()), None),
    ("nested-index", nested, Some("names another index")),
    ("empty-index", |of| of.json(INDEX, &index(&[])), None),
    ("artifact", |of| artifact(of, 2, &json!({})), None),
    ("artifact-index", artifacts, None),
    ("artifact-without-layers", |of| artifact(of, 0, &json!({})), None),
    ("missing-subject", missing_subject, None),
    ("data-field", data_field, None),
    ("custom-fields", |of| with(of, "org.example.custom", json!({ "kept": true })), None),
    ("no-layers", |of| of.manifest(&of.config(&[]), &[]), None),
    ("sparse-index", sparse, Some("No such file")),
    ("bad-digest-image", bad_digest, Some("holds other bytes")),
];

fn uncompressed(layout: &Layout) -> Value {
    let tar = tar(&[file("a", "a")]);
    layout.manifest(&layout.config(&[&tar]), &[layout.put(TAR, &tar)])
}

fn several(layout: &Layout) -> Value {
    let images = ["amd64", "arm64", "s390x"].map(|arch| layout.image_for(arch, &[&tar(&[])]));
    layout.json(INDEX, &index(&images))
}

/// An image whose manifest says something more.
fn with(layout: &Layout, key: &str, value: Value) -> Value {
    let tar = tar(&[]);
    let mut image = manifest(&layout.config(&[&tar]), &[layout.put(GZIP, gzip(&tar))]);
    image[key] = value;
    layout.json(MANIFEST, &image)
}

/// Some 3 MB: registries must take 4 MiB.
fn annotations() -> Value {
    (0..300).map(|at| (format!("large-{at}"), Value::from("A".repeat(10_000)))).collect()
}

fn nested(layout: &Layout) -> Value {
    let inner = several(layout);
    layout.json(INDEX, &index(&[inner]))
}

fn artifacts(layout: &Layout) -> Value {
    let several = [artifact(layout, 1, &json!({})), artifact(layout, 2, &json!({}))];
    // What runs nowhere names no platform that it runs on.
    let unknown = json!({ "os": "unknown", "architecture": "unknown" });
    let several = several.map(|mut one| {
        one["platform"] = unknown.clone();
        one
    });
    layout.json(INDEX, &index(&several))
}

fn missing_subject(layout: &Layout) -> Value {
    let digest = format!("sha256:{}", "5".repeat(64));
    let subject = json!({ "mediaType": MANIFEST, "digest": digest, "size": 123 });
    artifact(layout, 1, &json!({ "subject": subject }))
}

/// A descriptor may bring what it describes.
fn data_field(layout: &Layout) -> Value {
    let mut config = layout.put(EMPTY, "{}");
    config["data"] = "e30=".into();
    let mut artifact = manifest(&config, &[layout.put(NOTE, "note")]);
    artifact["artifactType"] = NOTE.into();
    layout.json(MANIFEST, &artifact)
}

/// One platform's image is named and not there.
fn sparse(layout: &Layout) -> Value {
    let there = layout.image_for("amd64", &[&tar(&[])]);
    let mut absent = json!({ "mediaType": MANIFEST, "size": 123, "digest": there["digest"] });
    absent["digest"] = format!("sha256:{}", "6".repeat(64)).into();
    absent["platform"] = json!({ "os": "linux", "architecture": "arm64" });
    layout.json(INDEX, &index(&[there, absent]))
}

fn bad_digest(layout: &Layout) -> Value {
    let image = layout.image(&[&tar(&[])]);
    let path = layout.blob(image["digest"].as_str().unwrap());
    let mut bytes = fs::read(&path).unwrap();
    let config = bytes.windows(CONFIG.len()).position(|at| at == CONFIG.as_bytes()).unwrap();
    bytes[config] = b'A';
    fs::write(path, bytes).unwrap();
    image
}

#[test]
fn all_that_the_specification_knows_comes_back_as_it_went() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::empty();
    for (name, make, refusal) in CASES {
        let layout = Layout::at(&world.path("layout"));
        let descriptor = make(&layout);
        layout.name(std::slice::from_ref(&descriptor));
        let digest = descriptor["digest"].as_str().unwrap();
        let there = format!("{}/contents/{name}:1", registry.host);
        let copied = world.run(&format!("image copy oci:layout {there}"));
        if let Some(why) = refusal {
            refused(&copied, why);
            assert_eq!(registry.digest(&format!("contents/{name}:1")), None, "{name}");
            continue;
        }
        assert_eq!((copied.code, name), (Some(0), name), "{}", copied.stderr);
        assert_eq!(registry.digest(&format!("contents/{name}:1")).as_deref(), Some(digest));
        fs::remove_dir_all(world.path("back")).ok();
        let back = world.run(&format!("image copy {there} oci:back"));
        let back = back.ends_with(0).line().to_owned();
        assert!(back.ends_with(&format!("back@{digest}")), "{name}: {back}");
        assert_eq!(world.run(&format!("image validate {there}")).ends_with(0).line(), digest);
    }
    said(&format!("{} kinds of content", CASES.len()));
}

/// What refers to an image goes with it, from registries that list it themselves and from
/// those that have an index under a tag instead, and to both.
#[test]
fn referrers_go_with_their_image() {
    let kinds = [Software::Referrers, Software::V3];
    for (from, to) in kinds.iter().flat_map(|from| kinds.map(|to| (*from, to))) {
        let Some(source) = Registry::of(from, Access::Open) else { return };
        let Some(target) = Registry::of(to, Access::Open) else { return };
        let world = World::empty();
        let name = format!("{from:?}-{to:?}").to_lowercase();
        let image = format!("{}/referrers/{name}:1", source.host);
        let layout = Layout::at(&world.path("layout"));
        let tar = tar(&[file("a", &name)]);
        let subject = layout.image(&[&tar]);
        layout.name(std::slice::from_ref(&subject));
        world.run(&format!("image copy oci:layout {image}")).ends_with(0);
        // A note on the image, and one on the note.
        let mut on = subject.clone();
        let mut notes = Vec::new();
        for text in ["one", "two"] {
            on.as_object_mut().unwrap().remove("platform");
            let more = json!({ "subject": on, "annotations": { "text": text } });
            on = artifact(&layout, 1, &more);
            layout.name(std::slice::from_ref(&on));
            let digest = on["digest"].as_str().unwrap().to_owned();
            let place = format!("{}/referrers/{name}@{digest}", source.host);
            world.run(&format!("image copy oci:layout {place}")).ends_with(0);
            on.as_object_mut().unwrap().remove("artifactType");
            notes.push(digest);
        }
        let copy = format!("{}/referrers-copied/{name}:1", target.host);
        world.run(&format!("image copy --referrers {image} {copy}")).ends_with(0);
        for (place, software) in [(&image, from), (&copy, to)] {
            // go-containerregistry's list takes the config's type for the artifact's.
            let kind = if software == Software::Referrers { EMPTY } else { NOTE };
            let said = world.run(&format!("image inspect --json --referrers {place}"));
            let said = said.ends_with(0).json();
            let listed = said["referrers"].as_array().unwrap();
            assert_eq!(listed.len(), 1, "{place}: {listed:?}");
            assert_eq!(
                (&listed[0]["digest"], &listed[0]["artifactType"]),
                (&Value::from(&*notes[0]), &Value::from(kind)),
                "{place}"
            );
            assert_eq!(listed[0]["annotations"]["text"], "one");
            let (repository, _) = place.rsplit_once(':').unwrap();
            let below = format!("image inspect --json --referrers {repository}@{}", notes[0]);
            let below = world.run(&below).ends_with(0).json();
            assert_eq!(below["referrers"][0]["digest"], Value::from(&*notes[1]), "{place}");
        }
        // Once more, and nothing is listed twice.
        world.run(&format!("image copy --referrers {image} {copy}")).ends_with(0);
        let said = world.run(&format!("image inspect --json --referrers {copy}"));
        assert_eq!(said.ends_with(0).json()["referrers"].as_array().unwrap().len(), 1);
    }
}
