//! Programs with lists of their crates, and audits of what is out there.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::world::{HOST, Run, World, judge, names, only_host, run, skipped};

/// A project whose snapshot is in dist/.
fn released() -> World {
    let world = World::committed("1.0.0");
    world.run("release --snapshot --skip check").ends_with(0);
    world
}

fn program(world: &World) -> PathBuf {
    world.path(&format!("target/dockless/{HOST}/dist/tool"))
}

/// A database with one advisory about a crate.
fn database(world: &World, krate: &str) -> PathBuf {
    let text = format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2024-0001\"\npackage = \"{krate}\"\ndate = \"2024-05-06\"\n\
         [versions]\npatched = [\">=2.0.0\"]\n```\n\n# It breaks\n\nMuch.\n"
    );
    let folder = world.outside("advisories");
    let file = folder.join(format!("crates/{krate}/RUSTSEC-2024-0001.md"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    folder
}

fn audit(world: &World, database: &Path, args: &[&str]) -> Run {
    let mut command = world.tool([&["audit"], args].concat());
    run(command.env("DOCKLESS_ADVISORY_DB", database))
}

#[test]
fn what_is_released_passes_and_what_cargo_made_has_no_list() {
    let world = released();
    let database = database(&world, "other");
    let archives = names(&world.dist()).into_iter().filter(|name| name.ends_with(".tar.gz"));
    let archives: Vec<String> = archives.map(|name| format!("dist/{name}")).collect();
    let own = program(&world);
    let mut all = vec![own.to_str().unwrap(), "oci:dist/images/tool"];
    all.extend(archives.iter().map(String::as_str));
    let audited = audit(&world, &database, &[&["--json"], &all[..]].concat());
    let audited = audited.ends_with(0).list();
    assert_eq!(audited.as_array().unwrap().len(), all.len(), "{audited}");
    for one in audited.as_array().unwrap() {
        assert_eq!((&one["result"], &one["package"]), (&"passed".into(), &"tool 1.0.0".into()));
    }
    assert_eq!(audited[1]["path"], "usr/local/bin/tool");
    assert!(audited[1]["platform"].as_str().unwrap().starts_with("linux/"));

    // cargo's own file is as cargo made it.
    let cargos = world.path(&format!("target/{HOST}/dist/tool"));
    assert_ne!(fs::read(&cargos).unwrap(), fs::read(&own).unwrap());
    let none = audit(&world, &database, &[own.to_str().unwrap(), cargos.to_str().unwrap()]);
    none.ends_with(1).says("it has no list of its crates (.dep-v0)").says("no list");
    // Nothing is stamped again.
    let before = fs::metadata(&own).unwrap().modified().unwrap();
    world.run("release --snapshot --skip check").ends_with(0);
    assert_eq!(fs::metadata(&own).unwrap().modified().unwrap(), before);
}

#[test]
fn lists_are_left_out_where_that_is_asked_for_and_in_the_dev_profile() {
    let world = World::empty();
    world.package("", "tool", "1.0.0", "[package.metadata.dockless]\nauditable = false\n");
    world.file("src/main.rs", "fn main() {}").file("LICENSE", "free\n").lock();
    world.commit();
    world.run("archive").ends_with(0);
    assert!(!program(&world).exists());
    let archive = names(&world.dist()).into_iter().find(|name| name.ends_with(".tar.gz")).unwrap();
    let database = database(&world, "other");
    audit(&world, &database, &[&format!("dist/{archive}")]).ends_with(1).says("no list");
    let world = World::committed("1.0.0");
    let built = world.run("build -q");
    let path = built.ends_with(0).line().to_owned();
    assert!(!path.contains("target/dockless"), "{path}");
}

#[test]
fn what_cannot_be_audited_fails_and_the_others_are_audited() {
    let world = released();
    let database = database(&world, "other");
    world.file("text", "MZ is not the beginning of a program\n").file("empty", "");
    world.file("a.txt", "a text\n");
    let own = program(&world);
    let bytes = fs::read(&own).unwrap();
    let cut = world.path("cut");
    fs::write(&cut, &bytes[..bytes.len() - 100]).unwrap();
    let inputs = ["text", "empty", "a.txt", cut.to_str().unwrap(), own.to_str().unwrap()];
    let audited = audit(&world, &database, &[&["--json"], &inputs[..]].concat());
    let audited = audited.ends_with(1).list();
    let results: Vec<&str> =
        audited.as_array().unwrap().iter().map(|one| one["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["failed", "failed", "failed", "failed", "passed"], "{audited}");
    let nothing = audit(&world, &database, &["no/such/File"]);
    nothing.ends_with(1).says("there is no file no/such/File, and it names no image");
    let unreachable = world.outside("no-database");
    audit(&world, &unreachable, &[own.to_str().unwrap()]).ends_with(1).says("advisory database");
}

/// cargo-audit reads the same list in what is shipped, and finds the same in it.
#[test]
fn cargo_audit_finds_the_same_in_a_program() {
    let db = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/advisory-db");
    if !db.exists() {
        return skipped("../shared/advisory-db is not there");
    }
    if std::env::var_os("DOCKLESS_PUBLISHED").is_none() {
        return skipped("published crates are fetched only with DOCKLESS_PUBLISHED=1");
    }
    let Some(judge) = judge("cargo-audit") else { return };
    let world = World::empty();
    let more = format!("{}\n[dependencies]\nsmallvec = \"=1.6.0\"\n", only_host());
    world.package("", "tool", "1.0.0", &more).file("LICENSE", "free\n");
    let main =
        "fn main() { println!(\"{}\", smallvec::SmallVec::<[u8; 4]>::from_slice(b\"ab\").len()) }";
    world.file("src/main.rs", main);
    run(&mut world.with("cargo", ["generate-lockfile"])).ends_with(0);
    world.commit();
    world.run("release --snapshot --skip check").ends_with(0);
    let own = program(&world);
    let mut theirs = world.with(&judge, ["audit", "--json", "--no-fetch", "--db"]);
    let theirs = run(theirs.arg(&db).arg("bin").arg(&own));
    let theirs: Value = serde_json::from_str(&theirs.stdout).unwrap();
    let ours = audit(&world, &db, &["--json", own.to_str().unwrap()]);
    let ours = ours.ends_with(1).list();
    assert_eq!(theirs["lockfile"]["dependency-count"], 2, "{theirs}");
    assert!(ours[0]["detail"].as_str().unwrap().starts_with("2 crates, 1 error"), "{ours}");
    let id = &theirs["vulnerabilities"]["list"][0]["advisory"]["id"];
    assert_eq!((id, &ours[0]["findings"][0]["id"]), (&"RUSTSEC-2021-0003".into(), id));
}
