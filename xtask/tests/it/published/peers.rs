//! What other programs read out of published programs with C, beside what they read out of a
//! build by cargo-auditable.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection};
use serde_json::Value;

use super::{HOST, SOON, WITH_C, World, asked, copied, kept};
use crate::world::{judge, run, said, unpack};

/// Names and versions of crates.
type Crates = BTreeSet<(String, String)>;

/// The names and the versions in a list of JSON.
fn crates(list: &Value) -> Crates {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|it| (text(&it["name"]), text(&it["version"]))).collect()
}

/// What syft reads: `file:PATH`, `oci-dir:PATH`.
fn by_syft(world: &World, syft: &Path, what: &str) -> Crates {
    let mut scan = world.with(syft, ["scan", what, "--quiet", "--output", "json"]);
    let scanned = run(scan.env("SYFT_CHECK_FOR_APP_UPDATE", "false"));
    let mut found = scanned.ends_with(0).json()["artifacts"].clone();
    found.as_array_mut().unwrap().retain(|it| it["type"] == "rust-crate");
    crates(&found)
}

/// What cargo-audit reads: it only names crates with advisories, so each of Cargo.lock has one.
fn by_cargo_audit(world: &World, audit: &Path, lock: &Path, program: &Path) -> Crates {
    let database = world.outside("advisories");
    let lock: toml::Table = fs::read_to_string(lock).unwrap().parse().unwrap();
    for (at, package) in lock["package"].as_array().unwrap().iter().enumerate() {
        let (name, id) = (package["name"].as_str().unwrap(), format!("RUSTSEC-2024-{:04}", at + 1));
        let text = format!(
            "```toml\n[advisory]\nid = \"{id}\"\npackage = \"{name}\"\ndate = \"2024-05-06\"\n\
             [versions]\npatched = []\n```\n\n# It breaks\n\nMuch.\n"
        );
        let folder = database.join("crates").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{id}.md")), text).unwrap();
    }
    let mut theirs = world.with(audit, ["audit", "--json", "--no-fetch", "--db"]);
    let theirs = run(theirs.arg(&database).arg("bin").arg(program)).json();
    fs::remove_dir_all(database).unwrap();
    let list = theirs["vulnerabilities"]["list"].as_array().unwrap();
    crates(&list.iter().map(|it| it["package"].clone()).collect())
}

/// The crates of the list inside a program that only run in builds.
fn of_builds(program: &object::File<'_>) -> Crates {
    let packed = program.section_by_name(".dep-v0").unwrap().data().unwrap();
    let mut list: Value = serde_json::from_reader(flate2::read::ZlibDecoder::new(packed)).unwrap();
    let packages = list["packages"].as_array_mut().unwrap();
    packages.retain(|it| it["kind"] == "build");
    crates(&list["packages"])
}

/// The same package, built by cargo-auditable for the same target, and the crates that cargo
/// compiled for it. clang compiles the C.
fn auditable(world: &World, copy: &Path, bin: &str) -> (PathBuf, Crates) {
    let target = kept("auditable");
    let mut cargo = world.with("cargo", ["auditable", "build", "--release", "--locked"]);
    cargo
        .args(["--quiet", "--message-format", "json", "--target", HOST])
        .current_dir(copy)
        .envs(SOON);
    cargo.env("CARGO_TARGET_DIR", &target);
    let (triple, arch) = (HOST.replace('-', "_"), HOST.split('-').next().unwrap());
    let flags = format!("-nostdlibinc -isystem /usr/include/{arch}-linux-musl");
    cargo.env(format!("CC_{triple}"), "clang").env(format!("AR_{triple}"), "ar");
    cargo.env(format!("CFLAGS_{triple}"), flags);
    let built = run(&mut cargo);
    let folder = target.join(HOST);
    let messages = built.ends_with(0).stdout.lines().map(|line| line.parse::<Value>().unwrap());
    // What runs in the build lies beside the target's folder.
    let linked = messages.filter(|it| {
        let file = it["filenames"][0].as_str();
        it["reason"] == "compiler-artifact"
            && file.is_some_and(|it| Path::new(it).starts_with(&folder))
    });
    let compiled = linked.map(|it| name_and_version(it["package_id"].as_str().unwrap())).collect();
    (folder.join("release").join(bin), compiled)
}

/// Of cargo's `URL#NAME@VERSION`, or `URL/NAME#VERSION`.
fn name_and_version(id: &str) -> (String, String) {
    let (url, rest) = id.rsplit_once('#').unwrap();
    let folder = url.rsplit('/').next().unwrap();
    let (name, version) = rest.split_once('@').unwrap_or((folder, rest));
    (name.to_owned(), version.to_owned())
}

/// What syft reads in a build by cargo-auditable, as far as cargo compiled it. With today's cargo
/// it also lists crates that only features of dev-dependencies need.
fn expected(world: &World, syft: &Path, copy: &Path, bin: &str) -> Crates {
    let (program, compiled) = auditable(world, copy, bin);
    let theirs = by_syft(world, syft, &format!("file:{}", program.display()));
    let beyond: Vec<String> =
        theirs.difference(&compiled).map(|(name, version)| format!("{name} {version}")).collect();
    if !beyond.is_empty() {
        said(&format!("cargo-auditable lists what is not compiled: {}", beyond.join(", ")));
    }
    theirs.intersection(&compiled).cloned().collect()
}

#[test]
fn other_programs_read_the_same_crates_as_in_a_build_by_cargo_auditable() {
    if !asked() {
        return;
    }
    let judges = ["syft", "cargo-auditable", "clang", "zig"].map(judge);
    let [Some(syft), Some(_), Some(_), Some(_)] = judges else { return };
    let audit = judge("cargo-audit");
    for (package, version, bin) in WITH_C {
        let world = World::empty();
        let copy = world.outside(package);
        copied(&world, package, version, &copy);
        let mut tool = world.tool(["release", "--snapshot", "--quiet", "--skip", "check"]);
        tool.args(["--target", HOST]).current_dir(&copy).envs(SOON);
        run(tool.env("CARGO_TARGET_DIR", kept("with-c"))).ends_with(0);
        let archive = copy.join(format!("dist/{package}-v{version}-{HOST}.tar.gz"));
        let program = unpack(&archive, bin, &world.outside("unpacked"));
        let bytes = fs::read(&program).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        assert_eq!(file.symbols().count(), 0, "{package} is not stripped");

        let expected = expected(&world, &syft, &copy, bin);
        let ours = by_syft(&world, &syft, &format!("file:{}", program.display()));
        assert_eq!(ours, expected, "{package}: syft, in the program");
        let image = copy.join("dist/images").join(package);
        let ours = by_syft(&world, &syft, &format!("oci-dir:{}", image.display()));
        assert_eq!(ours, expected, "{package}: syft, in the image");
        let root = (package.to_owned(), version.to_owned());
        assert!(expected.contains(&root) && expected.len() > 40, "{expected:?}");
        // Only what comes from crates.io has advisories, and the root is a folder.
        let expected: Crates = expected.into_iter().filter(|it| *it != root).collect();
        if let Some(audit) = &audit {
            let ours = by_cargo_audit(&world, audit, &copy.join("Cargo.lock"), &program);
            // It does not tell the crates that only run in builds from the others.
            let all: Crates = expected.union(&of_builds(&file)).cloned().collect();
            assert_eq!(ours, all, "{package}: cargo audit bin");
        }
        said(&format!("{package} {version}: {} crates and itself", expected.len()));
    }
}
