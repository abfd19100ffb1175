//! Keys, signatures of files, and what `verify` says of them; cosign and openssl judge.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::world::keys::{
    KEY, OTHER_PUBLIC, PUBLIC, cosign, outside, signing, verify, without_log,
};
use crate::world::{HOST, Run, World, assert_whole, contents, judge, names, run};

mod bad_keys;
mod provenance;

/// Requires that cosign ends well, or does not.
#[track_caller]
fn cosign_says(world: &World, args: &str, good: bool) {
    if let Some(mut cosign) = cosign(world, args, &[]) {
        let said = run(&mut cosign);
        assert_eq!(said.code == Some(0), good, "cosign {args}:\n{}", said.stderr);
    }
}

/// What a report says: each verdict, and what it is on.
fn verdicts(report: &Run) -> Vec<String> {
    let report = report.json();
    let proofs = report["proofs"].as_array().unwrap().iter();
    let one = |it: &Value| {
        ["verdict", "what", "of"].map(|key| it[key].as_str().unwrap().to_owned()).join(" ")
    };
    proofs.map(one).collect()
}

fn as_json(world: &World, subject: &str) -> Run {
    run(verify(world, subject).arg("--json"))
}

/// The tool with a password, and with the key that it made with it.
fn with_password(world: &World, args: &str) -> Command {
    let mut tool = world.tool(args.split(' '));
    tool.env("COSIGN_PASSWORD", "pass");
    if let Ok(key) = fs::read_to_string(world.path("cosign.key")) {
        tool.env("COSIGN_PRIVATE_KEY", key);
    }
    tool
}

#[test]
fn a_key_pair_is_made_once_and_signs_here_and_in_cosign() {
    let world = World::empty();
    let made = run(&mut with_password(&world, "keygen"));
    let paths = ["cosign.key", "cosign.pub"].map(|it| format!("{}\n", world.path(it).display()));
    assert_eq!(made.ends_with(0).stdout, paths.concat());
    let mode = fs::metadata(world.path("cosign.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (key, public) = (world.read("cosign.key"), world.read("cosign.pub"));
    let again = run(&mut with_password(&world, "keygen"));
    again.ends_with(1).no_result().says("cosign.key exists already").says("--output");
    fs::remove_file(world.path("cosign.key")).unwrap();
    let again = run(&mut with_password(&world, "keygen"));
    again.ends_with(1).no_result().says("cosign.pub exists already");
    assert_eq!(names(world.root()), ["cosign.pub"]);
    world.file("cosign.key", &key);
    // Nobody is there to ask.
    world.run("keygen --output other").ends_with(1).no_result().says("set COSIGN_PASSWORD");
    assert_eq!(names(world.root()), ["cosign.key", "cosign.pub"]);

    world.file("data", "some bytes");
    let place = world.path("data.sigstore.json").display().to_string();
    assert_eq!(run(&mut with_password(&world, "sign data")).ends_with(0).line(), place);
    world.run("verify --key cosign.pub data").ends_with(0);
    let verify = "verify-blob --key cosign.pub --insecure-ignore-tlog --bundle";
    cosign_says(&world, &format!("{verify} data.sigstore.json data"), true);
    // cosign opens the key with its password, and signs with it.
    let Some(mut derive) = cosign(&world, "public-key --key cosign.key", &[]) else { return };
    assert_eq!(run(&mut derive).ends_with(0).stdout.trim(), public.trim());
    world.file("theirs", "other bytes");
    let options = without_log(&world);
    let sign = format!("sign-blob -y {options} --key cosign.key --bundle theirs.sigstore.json");
    cosign_says(&world, &format!("{sign} theirs"), true);
    world.run("verify --key cosign.pub theirs").ends_with(0);
    // It is kept, as it is good.
    let before = world.read("theirs.sigstore.json");
    run(&mut with_password(&world, "sign theirs")).ends_with(0).says(" keep the signature");
    assert_eq!(world.read("theirs.sigstore.json"), before);
}

#[test]
fn a_file_is_proved_by_its_signature_and_by_nothing_less() {
    let world = World::empty();
    world.file("data", "some bytes");
    run(&mut signing(&world, "sign data")).ends_with(0);
    let bundle: Value = serde_json::from_str(&world.read("data.sigstore.json")).unwrap();
    let signature = bundle["messageSignature"]["signature"].as_str().unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    let raw = world.outside("signature");
    fs::write(&raw, &signature).unwrap();
    let key = outside(&world, "key.pub", PUBLIC).display().to_string();
    if let Some(openssl) = judge("openssl") {
        let args = format!("dgst -sha256 -verify {key} -signature {} data", raw.display());
        let said = run(&mut world.with(openssl, args.split(' ')));
        assert_eq!(said.ends_with(0).line(), "Verified OK");
    }
    let expected = ["proved signature data", "absent provenance data"];
    assert_eq!(verdicts(as_json(&world, "data").ends_with(0)), expected);
    let by_cosign =
        format!("verify-blob --key {key} --insecure-ignore-tlog --bundle data.sigstore.json data");
    cosign_says(&world, &by_cosign, true);
    let refused = |why: &str| {
        let said = run(&mut verify(&world, "data"));
        said.ends_with(1).says("error: data: its signature fails: ").says(why);
        assert!(said.stdout.contains("FAILED"), "{}", said.stdout);
        cosign_says(&world, &by_cosign, false);
    };
    world.file("data", "some bytez");
    refused("and the file is sha256:");
    world.file("data", "some bytes");
    let with = |signature: &[u8]| {
        let mut bundle = bundle.clone();
        bundle["messageSignature"]["signature"] = STANDARD.encode(signature).into();
        world.file("data.sigstore.json", &bundle.to_string());
    };
    let mut flipped = signature.clone();
    *flipped.last_mut().unwrap() ^= 1;
    with(&flipped);
    refused("the signature is not by the key sha256:");
    with(&[&signature[..], &[0]].concat());
    refused("the signature is not by the key sha256:");
    let mut old = bundle.clone();
    old["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1".into();
    world.file("data.sigstore.json", &old.to_string());
    run(&mut verify(&world, "data")).ends_with(1).says("the bundle is of the type");
    world.file("data.sigstore.json", &bundle.to_string());
    let other = outside(&world, "other.pub", OTHER_PUBLIC);
    let other = world.run(&format!("verify --key {} data", other.display()));
    other.ends_with(1).says("the signature is not by the key sha256:");
    // A bundle of 100 MB is not read.
    let huge = fs::File::create(world.path("data.sigstore.json")).unwrap();
    huge.set_len(100 << 20).unwrap();
    run(&mut verify(&world, "data")).ends_with(1).says("data.sigstore.json");
    fs::remove_file(world.path("data.sigstore.json")).unwrap();
    let absent = as_json(&world, "data");
    let expected = ["absent provenance data", "absent signature data"];
    assert_eq!(verdicts(absent.ends_with(1)), expected);
    absent.says("nothing says who made it");
    run(&mut verify(&world, "nothing")).ends_with(1).no_result().says("there is no file");
    run(&mut verify(&world, "oci:x")).ends_with(1).no_result().says("they are in registries");
    let private = outside(&world, "private", KEY);
    let private = world.run(&format!("verify --key {} data", private.display()));
    private.ends_with(1).no_result().says("it is a private key").never_says("OJZR");
}

#[test]
fn a_release_is_signed_and_a_second_run_keeps_its_signature() {
    let world = World::quick("1.0.0");
    let archive = format!("tool-v1.0.0-{HOST}.tar.gz");
    world
        .run("release --snapshot --skip sbom,provenance")
        .ends_with(0)
        .says("set COSIGN_PRIVATE_KEY");
    let place = world.dist().join("checksums.txt.sigstore.json");
    assert!(!place.exists());
    let release = || run(&mut signing(&world, "release --snapshot --skip sbom,provenance"));
    release().ends_with(0).says(" sign checksums.txt").never_says("COSIGN_PRIVATE_KEY");
    assert_whole(&world.dist());
    let before = contents(&world.dist());
    release().ends_with(0).says(" keep the signature of checksums.txt, which is good");
    assert!(contents(&world.dist()) == before, "a second run changes nothing");
    let artifacts = world.artifacts();
    let mut artifacts = artifacts.as_array().unwrap().iter();
    let listed = artifacts.find(|it| it["type"] == "Signature").unwrap();
    assert_eq!(listed["name"], "checksums.txt.sigstore.json");
    assert_eq!(listed["extra"]["of"], "checksums.txt");
    // The list vouches for the archive, and the signature for the list.
    let proved = as_json(&world, &format!("dist/{archive}"));
    let expected = [format!("proved checksum {archive}"), "proved signature checksums.txt".into()];
    assert_eq!(verdicts(proved.ends_with(0))[..2], expected);
    let all = verdicts(as_json(&world, "dist").ends_with(0));
    assert_eq!(all[..2], [expected[1].clone(), expected[0].clone()]);
    let rest = ["artifacts.json", "images", "metadata.json"];
    assert_eq!(all[2..5], rest.map(|name| format!("absent checksum {name}")));
    assert_eq!(all[5..], [format!("absent provenance {archive}")]);
    let key = outside(&world, "key.pub", PUBLIC);
    let by_cosign = format!(
        "verify-blob --key {} --insecure-ignore-tlog --bundle {} dist/checksums.txt",
        key.display(),
        place.display()
    );
    cosign_says(&world, &by_cosign, true);
    // Whatever is changed of the three is found.
    for name in [&*archive, "checksums.txt", "checksums.txt.sigstore.json"] {
        let path = world.dist().join(name);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        // In the JSON this is within the bytes that are signed, or within the signature.
        flipped[30] ^= 1;
        fs::write(&path, flipped).unwrap();
        run(&mut verify(&world, "dist")).ends_with(1).says("error: ");
        run(&mut verify(&world, &format!("dist/{archive}"))).ends_with(1).says("error: ");
        if name != archive {
            cosign_says(&world, &by_cosign, false);
        }
        fs::remove_file(&path).unwrap();
        run(&mut verify(&world, "dist")).ends_with(1).says("error: ");
        fs::write(&path, whole).unwrap();
    }
    run(&mut verify(&world, "dist")).ends_with(0);
    // A list by somebody else proves nothing.
    let other = outside(&world, "other.pub", OTHER_PUBLIC);
    let other = world.run(&format!("verify --key {} dist/{archive}", other.display()));
    other.ends_with(1).says("the signature is not by the key");
    let skipped = run(&mut signing(&world, "release --snapshot --skip sign,sbom,provenance"));
    skipped.ends_with(0).says("--skip sign");
    assert!(!place.exists());
    // What is there already is signed, too.
    let signed = run(&mut signing(&world, "sign dist"));
    assert_eq!(signed.ends_with(0).line(), place.display().to_string());
    run(&mut verify(&world, "dist")).ends_with(0);
}

#[test]
fn each_file_is_signed_where_the_settings_say_so() {
    let world = World::quick("1.0.0");
    let manifest = world.read("Cargo.toml");
    let key = outside(&world, "signing.key", KEY);
    let table = format!("[workspace.metadata.dockless.sign]\nfiles = \"all\"\nkey = {key:?}\n");
    world.file("Cargo.toml", &format!("{manifest}[workspace]\n{table}"));
    let archive = format!("tool-v1.0.0-{HOST}.tar.gz");
    let plan = world.run("release --snapshot --skip sbom,provenance --dry-run --json");
    assert_eq!(plan.ends_with(0).json()["sign"]["files"], json!(["checksums.txt", archive]));
    // Everybody may read this key.
    let released = world.run("release --snapshot --skip sbom,provenance");
    let warning = "everybody on this machine may read the private key";
    released.ends_with(0).says("warning: ").says(warning);
    assert_whole(&world.dist());
    let proved = as_json(&world, &format!("dist/{archive}"));
    assert_eq!(verdicts(proved.ends_with(0))[0], format!("proved signature {archive}"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    world.run("release --snapshot --skip sbom,provenance").ends_with(0).never_says(warning);
    // By itself the archive is proved, too.
    for name in [archive.clone(), format!("{archive}.sigstore.json")] {
        fs::copy(world.dist().join(&name), world.outside(&name)).unwrap();
    }
    let alone = as_json(&world, world.outside(&archive).to_str().unwrap());
    let expected = ["proved signature", "absent provenance"].map(|it| format!("{it} {archive}"));
    assert_eq!(verdicts(alone.ends_with(0)), expected);
}
