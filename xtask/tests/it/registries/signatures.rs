//! Signatures of images: cosign verifies ours, we verify cosign's, and what a registry lists
//! beside them proves nothing.

use std::ffi::OsString;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::world::keys::{
    OTHER_KEY, OTHER_PUBLIC, PUBLIC, cosign, outside, signing, verify, without_log,
};
use crate::world::proxy::ask;
use crate::world::registries::servers::{Answer, serve};
use crate::world::sketch::MANIFEST;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// With the referrers API, and without it.
const KINDS: [Software; 4] = [Software::V3, Software::V2, Software::Crane, Software::Referrers];

fn in_registry(mut command: Command, world: &World, registry: &Registry) -> Run {
    run(command.envs(registry.vars(world)))
}

fn signed(world: &World, registry: &Registry, name: &str) -> Run {
    in_registry(signing(world, &format!("sign {}/{name}", registry.host)), world, registry)
}

fn verified(world: &World, registry: &Registry, name: &str) -> Run {
    let mut verify = verify(world, &format!("{}/{name}", registry.host));
    verify.arg("--json");
    in_registry(verify, world, registry)
}

/// The verdicts on the signatures of the image and of those of its platforms.
fn verdicts(report: &Run) -> Vec<String> {
    verdicts_on("signature", report)
}

fn verdicts_on(what: &str, report: &Run) -> Vec<String> {
    let report = report.json();
    let proofs = report["proofs"].as_array().unwrap().iter().filter(|it| it["what"] == what);
    proofs.map(|it| it["verdict"].as_str().unwrap().to_owned()).collect()
}

/// What cosign says of an image, with a public key beside the project.
fn by_cosign(world: &World, registry: &Registry, key: &str, args: &str) -> Option<Run> {
    let vars: Vec<(&str, OsString)> = registry.vars(world);
    let args = format!("verify --key {key} --insecure-ignore-tlog {args}");
    Some(run(&mut cosign(world, &args, &vars)?))
}

/// The manifests of the sample: its index, and each platform's.
fn manifests(world: &World, digest: &str) -> Vec<String> {
    let path = world.path("layout/blobs/sha256").join(digest.trim_start_matches("sha256:"));
    let index: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let below = index["manifests"].as_array().unwrap().iter();
    let below = below.map(|it| it["digest"].as_str().unwrap().to_owned());
    std::iter::once(digest.to_owned()).chain(below).collect()
}

#[test]
fn each_registry_takes_signatures_that_cosign_verifies() {
    let world = World::empty();
    let key = outside(&world, "key.pub", PUBLIC).display().to_string();
    let other = outside(&world, "other.pub", OTHER_PUBLIC).display().to_string();
    for software in KINDS {
        let Some(registry) = Registry::of(software, Access::Open) else { continue };
        let digest = put(&world, registry, "signed", "signed/app:1");
        let unsigned = verified(&world, registry, "signed/app:1");
        unsigned.ends_with(1).says("its registry lists no signature of it");
        let name = format!("{}/signed/app", registry.host);
        assert_eq!(
            signed(&world, registry, "signed/app:1").ends_with(0).line(),
            format!("{name}@{digest}")
        );
        let report = verified(&world, registry, "signed/app:1");
        assert_eq!(verdicts(report.ends_with(0)), ["proved"; 3], "{software:?}");
        for manifest in manifests(&world, &digest) {
            let image = format!("{name}@{manifest}");
            let Some(good) = by_cosign(&world, registry, &key, &image) else { break };
            good.ends_with(0);
            by_cosign(&world, registry, &other, &image).unwrap().ends_with(1);
        }
        let before = registry.all_requests("signed/app").len();
        signed(&world, registry, "signed/app:1").ends_with(0).says(" keep ");
        let asked = registry.all_requests("signed/app").split_off(before);
        assert!(!asked.is_empty() && writes(&asked).is_empty(), "{software:?}: {asked:#?}");
        // Another key signs beside the first.
        let mut second = world.tool(["sign", &format!("{name}:1")]);
        second.env("COSIGN_PRIVATE_KEY", OTHER_KEY);
        in_registry(second, &world, registry).ends_with(0);
        verified(&world, registry, "signed/app:1").ends_with(0);
        let by_other = world.tool(["verify", "--key", &other, &format!("{name}@{digest}")]);
        in_registry(by_other, &world, registry).ends_with(0);
    }
}

#[test]
fn what_cosign_signed_is_verified() {
    let world = World::empty();
    let make = run(world.tool(["keygen"]).env("COSIGN_PASSWORD", "pass"));
    make.ends_with(0);
    let options = without_log(&world);
    for software in KINDS {
        let Some(registry) = Registry::of(software, Access::Open) else { continue };
        let vars = registry.vars(&world);
        let cosign = |args: &str| {
            let done = cosign(&world, args, &vars).map(|mut cosign| run(&mut cosign));
            done.inspect(|run| {
                run.ends_with(0);
            })
        };
        let ours = |repository: &str, digest: &str| {
            let image = format!("{}/{repository}@{digest}", registry.host);
            let args = ["verify", "--json", "--key", "cosign.pub", &image];
            in_registry(world.tool(args), &world, registry)
        };
        let digest = put(&world, registry, "theirs", "theirs/app:1");
        let image = format!("{}/theirs/app@{digest}", registry.host);
        if cosign(&format!("sign -y {options} --key cosign.key {image}")).is_none() {
            return;
        }
        let report = ours("theirs/app", &digest);
        // cosign signed the index, which names the others.
        assert_eq!(verdicts(report.ends_with(0)), ["proved", "absent", "absent"], "{software:?}");
        // Any good bundle of the key passes in cosign, and here a signature alone.
        let digest = put(&world, registry, "attested", "attested/app:1");
        let image = format!("{}/attested/app@{digest}", registry.host);
        world.file("sbom.json", "{}");
        cosign(&format!(
            "attest -y {options} --key cosign.key --type spdxjson --predicate sbom.json {image}"
        ));
        cosign(&format!("verify --key cosign.pub --insecure-ignore-tlog {image}"));
        let report = ours("attested/app", &digest);
        report.ends_with(1).says("it is a statement of the type").says("spdx.dev");
        assert_eq!(verdicts(&report), ["failed", "absent", "absent"]);
    }
}

/// A signature as cosign made it before version 3, and where the settings ask for one.
#[test]
fn signatures_under_tags_are_written_and_read() {
    let Some(registry) = Registry::shared() else { return };
    let world = World::quick("1.0.0");
    let manifest = world.read("Cargo.toml");
    let legacy = "[workspace]\n[workspace.metadata.dockless.sign]\nlegacy = true\n";
    world.file("Cargo.toml", &format!("{manifest}{legacy}"));
    let key = outside(&world, "key.pub", PUBLIC).display().to_string();
    let digest = put(&world, registry, "legacy", "legacy/app:1");
    let name = format!("{}/legacy/app@{digest}", registry.host);
    run(world.tool(["keygen"]).env("COSIGN_PASSWORD", "pass")).ends_with(0);
    let vars = registry.vars(&world);
    let old = format!(
        "sign -y --new-bundle-format=false --use-signing-config=false --tlog-upload=false \
         --key cosign.key {name}"
    );
    if let Some(mut theirs) = cosign(&world, &old, &vars) {
        run(&mut theirs).ends_with(0);
        let args = ["verify", "--key", "cosign.pub", &name];
        let report = in_registry(world.tool(args), &world, registry);
        let said = &report.ends_with(0).stdout;
        assert!(said.contains("under the tag of cosign 2"), "{said}");
    }
    signed(&world, registry, &format!("legacy/app@{digest}")).ends_with(0);
    for manifest in manifests(&world, &digest) {
        let tag = format!("legacy/app:sha256-{}.sig", manifest.trim_start_matches("sha256:"));
        assert!(registry.digest(&tag).is_some(), "{tag}");
        let name = format!("--new-bundle-format=false {}/legacy/app@{manifest}", registry.host);
        let Some(good) = by_cosign(&world, registry, &key, &name) else { break };
        good.ends_with(0);
    }
    // What cosign signed under the same tag stays.
    let theirs = format!("--new-bundle-format=false {name}");
    if let Some(good) = by_cosign(&world, registry, "cosign.pub", &theirs) {
        good.ends_with(0);
    }
    let before = registry.all_requests("legacy/app").len();
    signed(&world, registry, &format!("legacy/app@{digest}")).ends_with(0);
    let asked = registry.all_requests("legacy/app").split_off(before);
    assert!(!asked.is_empty() && writes(&asked).is_empty(), "{asked:#?}");
}

#[test]
fn an_image_is_signed_when_it_is_pushed() {
    let Some(registry) = Registry::shared() else { return };
    let world = project();
    let repository = format!("{}/pushed-signed", registry.host);
    let args = format!("image --push --sbom --repository {repository}");
    let without = in_registry(world.tool(args.split(' ')), &world, registry);
    without.ends_with(0).says("set COSIGN_PRIVATE_KEY");
    let unsigned = verified(&world, registry, "pushed-signed/tool:1.0.0");
    unsigned.ends_with(1);
    assert_eq!(verdicts_on("provenance", &unsigned), ["absent"; 3]);
    assert_eq!(verdicts_on("sbom", &unsigned), ["absent"; 3], "nothing vouches for them");
    let push = || in_registry(signing(&world, &args), &world, registry);
    let pushed = push();
    pushed.ends_with(0).says(" sign ").never_says("COSIGN_PRIVATE_KEY");
    let report = verified(&world, registry, "pushed-signed/tool:1.0.0");
    for what in ["signature", "provenance", "sbom"] {
        assert_eq!(verdicts_on(what, report.ends_with(0)), ["proved"; 3], "{what}");
    }
    let key = outside(&world, "key.pub", PUBLIC).display().to_string();
    let vars: Vec<(&str, OsString)> = registry.vars(&world);
    let attested = format!(
        "verify-attestation --key {key} --insecure-ignore-tlog --type slsaprovenance1 \
         {repository}/tool:1.0.0"
    );
    if let Some(mut cosign) = cosign(&world, &attested, &vars) {
        run(&mut cosign).ends_with(0);
    }
    let before = registry.all_requests("pushed-signed/tool").len();
    assert_eq!(push().ends_with(0).stdout, pushed.stdout);
    let asked = registry.all_requests("pushed-signed/tool").split_off(before);
    assert!(!asked.is_empty() && writes(&asked).is_empty(), "{asked:#?}");
    // Its copies are signed as it is.
    let copy = format!("{}/pushed-signed/copy:1", registry.host);
    let args = format!("image copy --referrers {repository}/tool:1.0.0 {copy}");
    run(&mut tool(&world, registry, &args)).ends_with(0);
    let report = verified(&world, registry, "pushed-signed/copy:1");
    for what in ["signature", "provenance", "sbom"] {
        assert_eq!(verdicts_on(what, report.ends_with(0)), ["proved"; 3], "{what}");
    }
}

/// Puts a manifest or a blob by its digest, which is returned with its size.
pub fn put_bytes(host: &str, repository: &str, media_type: &str, bytes: &[u8]) -> Value {
    let digest = format!("sha256:{}", sha256(bytes));
    if media_type == MANIFEST {
        let path = format!("/v2/{repository}/manifests/{digest}");
        let put = ask(host, "PUT", &path, &[("content-type", media_type)], bytes);
        assert_eq!(put.status, 201);
    } else {
        let begun = ask(host, "POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        let place = begun.header("location").unwrap().to_owned();
        let place = place.split_once(host).map_or(&*place, |(_, path)| path);
        let sign = if place.contains('?') { '&' } else { '?' };
        let put = ask(host, "PUT", &format!("{place}{sign}digest={digest}"), &[], bytes);
        assert_eq!(put.status, 201, "{place}");
    }
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

/// One byte of the only bundle, flipped: cosign refuses it, and so do we.
#[test]
fn a_flipped_byte_of_a_bundle_proves_nothing() {
    let Some(registry) = Registry::shared() else { return };
    let (world, host) = (World::empty(), &*registry.host);
    let key = outside(&world, "key.pub", PUBLIC).display().to_string();
    let digest = put(&world, registry, "flipped", "flipped/app:1");
    signed(&world, registry, "flipped/app:1").ends_with(0);
    let get = |path: &str| {
        let accept = [("accept", &*format!("{INDEX}, {MANIFEST}"))];
        let answer = ask(host, "GET", &format!("/v2/flipped/app/{path}"), &accept, b"");
        assert_eq!(answer.status, 200, "{path}");
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    let fallback = format!("manifests/sha256-{}", digest.trim_start_matches("sha256:"));
    let list = get(&fallback);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let own = get(&format!("manifests/{}", text(&list["manifests"][0]["digest"])));
    let bundle = get(&format!("blobs/{}", text(&own["layers"][0]["digest"])));
    let signature = text(&bundle["dsseEnvelope"]["signatures"][0]["sig"]);
    let payload = text(&bundle["dsseEnvelope"]["payload"]);
    let flipped = |text: &str, at: usize| {
        let mut bytes = STANDARD.decode(text).unwrap();
        bytes[at] ^= 1;
        STANDARD.encode(bytes)
    };
    for (pointer, value, why) in [
        ("/dsseEnvelope/signatures/0/sig", json!(flipped(&signature, 20)), "not by the key"),
        ("/dsseEnvelope/payload", json!(flipped(&payload, 20)), "not by the key"),
        ("/dsseEnvelope/payloadType", json!("text/plain"), "its payload is of the type"),
        ("/dsseEnvelope/signatures/0/keyid", json!("a"), "its signature has a keyid"),
        ("/dsseEnvelope/signatures", json!([]), "it has 0 signatures"),
        (
            "/mediaType",
            json!("application/vnd.dev.sigstore.bundle+json;version=0.1"),
            "of the type",
        ),
    ] {
        let mut changed = bundle.clone();
        if pointer.ends_with("keyid") {
            changed["dsseEnvelope"]["signatures"][0]["keyid"] = value;
        } else {
            *changed.pointer_mut(pointer).unwrap() = value;
        }
        let layer = put_bytes(host, "flipped/app", BUNDLE, changed.to_string().as_bytes());
        let mut manifest = own.clone();
        manifest["layers"] = json!([layer]);
        let entry = put_bytes(host, "flipped/app", MANIFEST, manifest.to_string().as_bytes());
        let list = index(&[entry]).to_string();
        let path = format!("/v2/flipped/app/{fallback}");
        let put = ask(host, "PUT", &path, &[("content-type", INDEX)], list.as_bytes());
        assert_eq!(put.status, 201);
        let refused = verified(&world, registry, &format!("flipped/app@{digest}"));
        refused.ends_with(1).says("none of 1 is a good signature").says(why);
        let image = format!("{host}/flipped/app@{digest}");
        if let Some(said) = by_cosign(&world, registry, &key, &image) {
            assert_ne!(said.code, Some(0), "{pointer}");
        }
    }
    // A good one is put beside the bad one.
    signed(&world, registry, "flipped/app:1").ends_with(0);
    verified(&world, registry, "flipped/app:1").ends_with(0);
}

/// A registry whose lists lie: the name of the repository says how.
#[test]
fn hostile_lists_of_referrers_prove_nothing_and_end() {
    let world = World::empty();
    let config = json!({ "os": "linux", "architecture": "amd64",
                         "rootfs": { "type": "layers", "diff_ids": [] } });
    let descriptor = |kind: &str, text: &str| {
        json!({ "mediaType": kind, "digest": format!("sha256:{}", sha256(text.as_bytes())),
                "size": text.len() })
    };
    let config_type = "application/vnd.oci.image.config.v1+json";
    let config = config.to_string();
    let image = json!({ "schemaVersion": 2, "mediaType": MANIFEST,
                        "config": descriptor(config_type, &config), "layers": [] })
    .to_string();
    let of_image = descriptor(MANIFEST, &image);
    // An artifact that refers to another manifest, and one of a layer that is too large.
    let artifact = |subject: &Value, layer: Value| {
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
                "config": descriptor(EMPTY, "{}"), "layers": [layer], "subject": subject })
        .to_string()
    };
    let elsewhere = artifact(&descriptor(MANIFEST, "another"), descriptor(BUNDLE, "{}"));
    let mut large = descriptor(BUNDLE, "{}");
    large["size"] = json!(100u64 << 20);
    let large = artifact(&of_image, large);
    let no_bundle = artifact(&of_image, descriptor(BUNDLE, "{}"));
    let entry = |text: &str| {
        let mut entry = descriptor(MANIFEST, text);
        entry["artifactType"] = json!(BUNDLE);
        entry
    };
    let mut lying = entry(&no_bundle);
    lying["size"] = json!(1u64 << 40);
    let mut short = entry(&no_bundle);
    short["size"] = json!(10);
    let many = |kind: &str| -> Vec<Value> {
        let one = |at: u32| {
            json!({ "mediaType": MANIFEST, "digest": format!("sha256:{at:064x}"), "size": 500,
                    "artifactType": kind })
        };
        (0..10_000).map(one).collect()
    };
    let lists: [(&str, Vec<Value>, &str); 8] = [
        ("foreign", many("application/spdx+json"), "its registry lists no signature of it"),
        ("flood", many(BUNDLE), "10000 may be of that kind, more than 1000"),
        ("lying", vec![lying], "is said to have 1099511627776 bytes"),
        ("short", vec![short], "does not match its descriptor"),
        ("cycle", vec![entry(&image); 3], "its registry lists no signature of it"),
        ("elsewhere", vec![entry(&elsewhere)], "and refers to sha256:"),
        ("large", vec![entry(&large)], "more than 67108864 bytes together"),
        ("absent", vec![entry("nothing has it")], "404"),
    ];
    let known: Vec<String> =
        [image.clone(), config, elsewhere, large, no_bundle, "{}".to_owned()].to_vec();
    let served = lists.clone();
    let top = image.clone();
    let host = serve(move |request| {
        let target = request.target.as_str();
        let with_type = |text: &str, kind: &str| {
            let mut answer = Answer::new(200, text);
            answer.headers.push(("Content-Type", kind.to_owned()));
            answer
        };
        let list = served.iter().find(|(name, ..)| target.contains(&format!("/{name}/")));
        match list {
            None => Answer::new(200, "{}"),
            Some((_, entries, _)) if target.contains("/referrers/") => {
                with_type(&index(entries).to_string(), INDEX)
            }
            _ if target.ends_with("/manifests/1") => with_type(&top, MANIFEST),
            _ => {
                let found = known.iter().find(|it| target.ends_with(&sha256(it.as_bytes())));
                let kind = if target.contains("/blobs/") { BUNDLE } else { MANIFEST };
                found.map_or_else(|| Answer::new(404, ""), |text| with_type(text, kind))
            }
        }
    });
    for (name, _, why) in lists {
        let said = run(&mut verify(&world, &format!("{host}/{name}/app:1")));
        said.ends_with(1).says(why).never_says("panicked");
    }
}
