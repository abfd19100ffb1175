//! Statements of what was made from what, and what `verify` makes of them.

use std::path::PathBuf;

use super::*;
use crate::world::entries;

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What a statement says of a digest under a name.
fn subjects(statement: &Value) -> Vec<String> {
    let subjects = statement["subject"].as_array().unwrap().iter();
    subjects.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

fn release(world: &World, args: &str) {
    let mut release = signing(world, format!("release --snapshot {args}").trim());
    release.env("RUSTFLAGS", "--cfg told");
    run(&mut release).ends_with(0);
    assert_whole(&world.dist());
}

#[test]
fn a_release_says_from_what_each_package_was_made() {
    let world = World::quick("1.0.0");
    world.commit();
    let commit = world.git(["rev-parse", "HEAD"]);
    release(&world, "");
    let names = names(&world.dist());
    let name = names.iter().find(|name| name.ends_with(".intoto.json")).unwrap().clone();
    let path = world.dist().join(&name);
    let statement = json(path.clone());
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let definition = &statement["predicate"]["buildDefinition"];
    let told = &definition["externalParameters"];
    assert_eq!(told["source"]["digest"]["gitCommit"], commit.trim());
    assert_eq!((&told["package"], &told["profile"]), (&json!("tool"), &json!("dist")));
    assert_eq!(told["targets"], json!([HOST]));
    assert_eq!(told["environment"], json!({ "RUSTFLAGS": "--cfg told" }));
    let used = definition["resolvedDependencies"].as_array().unwrap();
    let used = |name: &str| used.iter().find(|it| it["name"] == name).unwrap();
    let rustc = run(world.with("rustc", ["-vV"]).current_dir(world.root()));
    let says = |of: &str| rustc.stdout.contains(&format!("{of}\n"));
    let compiler = used("rustc");
    assert!(says(&format!("release: {}", compiler["annotations"]["version"].as_str().unwrap())));
    assert!(says(&format!("host: {}", compiler["annotations"]["host"].as_str().unwrap())));
    assert!(says(&format!("commit-hash: {}", compiler["digest"]["gitCommit"].as_str().unwrap())));
    let std = used(&format!("rust-std for {HOST}"));
    assert_eq!(std["digest"]["sha256"].as_str().unwrap().len(), 64);
    assert!(used("Cargo.lock")["digest"]["sha256"].is_string());
    // It is about all that was made of the package: files, programs, images.
    let subjects = subjects(&statement);
    for made in names.iter().filter(|name| name.starts_with("tool-") && !name.contains(".intoto."))
    {
        assert!(subjects.contains(made), "{made} of {subjects:?}");
    }
    assert!(subjects.contains(&format!("{HOST}/tool")), "{subjects:?}");
    assert!(subjects.iter().any(|name| name.starts_with("tool@sha256:")));
    // The same again, whoever makes it, is the same bytes.
    let before = contents(&world.dist());
    release(&world, "--clean");
    let after = contents(&world.dist());
    assert_eq!(before[&name], after[&name]);
    assert_eq!(before["checksums.txt"], after["checksums.txt"]);
    // Other flags are told.
    world.run("release --snapshot").ends_with(0);
    assert_ne!(contents(&world.dist())[&name], before[&name]);
    // What is not committed has no commit.
    world.file("src/main.rs", "fn main() {}");
    release(&world, "--skip image");
    let dirty = names_of_statements(&world);
    let [dirty] = &dirty[..] else { panic!("{dirty:?}") };
    let dirty = json(world.dist().join(dirty));
    let source = &dirty["predicate"]["buildDefinition"]["externalParameters"]["source"];
    assert_eq!(source["digest"], Value::Null);
    release(&world, "--skip provenance");
    assert_eq!(names_of_statements(&world), [""; 0]);
}

fn names_of_statements(world: &World) -> Vec<String> {
    let mut names = names(&world.dist());
    names.retain(|name| name.ends_with(".intoto.json"));
    names
}

#[test]
fn a_statement_proves_what_it_is_about_and_nothing_else() {
    let world = World::quick("1.0.0");
    release(&world, "");
    let [name] = &names_of_statements(&world)[..] else { panic!() };
    let bundle = format!("{name}.sigstore.json");
    let archive = format!("tool-v1.0.0-{HOST}.tar.gz");
    let place = |name: &str| world.dist().join(name);
    let all = as_json(&world, "dist");
    let of_statement = ["proved checksum", "proved signature", "proved provenance"]
        .map(|it| format!("{it} {name}"));
    for expected in &of_statement {
        assert!(verdicts(all.ends_with(0)).contains(expected), "{expected}: {}", all.stdout);
    }
    let told = as_json(&world, &format!("dist/{archive}"));
    assert!(verdicts(told.ends_with(0)).contains(&format!("proved provenance {archive}")));
    assert!(told.stdout.contains("by dockless"), "{}", told.stdout);
    // cosign takes the bundle for each thing that the statement is about.
    let key = outside(&world, "key.pub", PUBLIC);
    let by_cosign = format!(
        "verify-blob-attestation --key {} --insecure-ignore-tlog --type slsaprovenance1 \
         --bundle {}",
        key.display(),
        place(&bundle).display()
    );
    cosign_says(&world, &format!("{by_cosign} dist/{archive}"), true);
    cosign_says(&world, &format!("{by_cosign} Cargo.toml"), false);
    // A program alone is proved by the statement.
    let entries = entries(&place(&archive));
    let program = entries.iter().find(|entry| entry.name == "tool").unwrap();
    for file in [name, &bundle] {
        fs::copy(place(file), world.outside(file)).unwrap();
    }
    let alone = world.outside("renamed");
    fs::write(&alone, &program.bytes).unwrap();
    let proved = as_json(&world, alone.to_str().unwrap());
    let expected = ["proved provenance renamed", "absent signature renamed"];
    assert_eq!(verdicts(proved.ends_with(0)), expected);
    cosign_says(&world, &format!("{by_cosign} {}", alone.display()), true);
    let mut other = program.bytes.clone();
    other.push(0);
    fs::write(&alone, other).unwrap();
    run(&mut verify(&world, alone.to_str().unwrap())).ends_with(1).says("nothing says who made it");
    // A changed statement, bundle or thing.
    let whole = fs::read_to_string(place(name)).unwrap();
    let digest = crate::world::sha256(&fs::read(place(&archive)).unwrap());
    fs::write(place(name), whole.replace(&digest, &"0".repeat(64))).unwrap();
    for subject in ["dist", &format!("dist/{archive}")] {
        let said = run(&mut verify(&world, subject));
        said.ends_with(1).says(&format!("error: {name}: its provenance fails: "));
    }
    fs::write(place(name), &whole).unwrap();
    let signed = fs::read_to_string(place(&bundle)).unwrap();
    let mut changed: Value = serde_json::from_str(&signed).unwrap();
    changed["dsseEnvelope"]["payloadType"] = "application/json".into();
    fs::write(place(&bundle), changed.to_string()).unwrap();
    run(&mut verify(&world, "dist")).ends_with(1).says("its payload is of the type");
    // Without its bundle the signed list vouches for it.
    fs::remove_file(place(&bundle)).unwrap();
    let listed = as_json(&world, "dist");
    assert!(verdicts(listed.ends_with(0)).contains(&of_statement[2]), "{}", listed.stdout);
    // Another's statement beside it proves nothing.
    fs::write(place("other.intoto.json"), whole.replace("\"tool\"", "\"other\"")).unwrap();
    let said = run(&mut verify(&world, "dist"));
    said.ends_with(1).says("other.intoto.json: its provenance fails").says("vouches for it");
    fs::remove_file(place("other.intoto.json")).unwrap();
    // `sign` signs it again.
    run(&mut signing(&world, "sign dist")).ends_with(0).says(&format!(" sign {name}"));
    assert!(verdicts(as_json(&world, "dist").ends_with(0)).contains(&of_statement[1]));
    cosign_says(&world, &format!("{by_cosign} dist/{archive}"), true);
}
