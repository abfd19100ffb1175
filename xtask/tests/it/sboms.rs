//! SBOMs: what is in them, where they are, and what other programs say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::docs::golden;
use crate::world::proxy::ask;
use crate::world::registries::{Access, Registry, Software};
use crate::world::sketch::{INDEX, MANIFEST};
use crate::world::{
    AARCH64, World, X86_64, assert_whole, contents, entries, judge, missing, names, run, sha256,
};

/// A crate that seems to come from crates.io.
fn vendored(world: &World, name: &str, manifest: &str, lib: &str) {
    let version = manifest.lines().next().unwrap();
    let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2021\"\n{manifest}");
    world.file(&format!("vendor/{name}/Cargo.toml"), &manifest);
    world.file(&format!("vendor/{name}/src/lib.rs"), lib);
    let package = sha256(format!("{name} {version}").as_bytes());
    let sums = format!("{{\"files\":{{}},\"package\":\"{package}\"}}");
    world.file(&format!("vendor/{name}/.cargo-checksum.json"), &sums);
}

/// A program with crates of each kind: a dependency, a proc macro, one that both use, one for
/// Windows alone, a crate of its own workspace and, with the feature `native`, one with C.
fn project(more: &str) -> World {
    let world = World::empty();
    let config = "[source.crates-io]\nreplace-with = \"vendored\"\n\
                  [source.vendored]\ndirectory = \"vendor\"\n";
    world.file(".cargo/config.toml", config).file("LICENSE", "free\n");
    let manifest =
        "version = \"1.0.4\"\nlicense = \"MIT/Apache-2.0\"\n[dependencies]\nshared = \"2\"\n";
    vendored(&world, "alpha", manifest, "pub fn alpha() -> u32 { shared::one() }\n");
    vendored(
        &world,
        "shared",
        "version = \"2.3.4\"\nlicense = \"ISC\"\n",
        "pub fn one() -> u32 { 1 }\n",
    );
    let manifest = "version = \"3.0.0+build.7\"\nlicense = \"Acme-1.0\"\n[lib]\nproc-macro = true\n\
                    [dependencies]\nshared = \"2\"\n";
    let lib = "#[proc_macro]\npub fn unit(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n    \
               shared::one().to_string().parse().unwrap()\n}\n";
    vendored(&world, "unit-macro", manifest, lib);
    vendored(&world, "windows-only", "version = \"4.0.0\"\nlicense = \"MIT\"\n", "");
    let manifest = "version = \"1.1.9\"\nlicense = \"Zlib\"\nlinks = \"zee\"\nbuild = \"build.rs\"\n\
                    [build-dependencies]\ncc = \"1\"\n";
    vendored(&world, "zee-sys", manifest, "");
    world.file("vendor/zee-sys/build.rs", "fn main() {}\n");
    vendored(&world, "cc", "version = \"1.2.0\"\nlicense = \"MIT OR Apache-2.0\"\n", "");
    let manifest = format!(
        "license = \"Apache-2.0\"\n[features]\nnative = [\"dep:zee-sys\"]\n\
         [dependencies]\nalpha = \"1\"\nown = {{ path = \"own\" }}\nunit-macro = \"3\"\n\
         zee-sys = {{ version = \"1\", optional = true }}\n\
         [target.'cfg(windows)'.dependencies]\nwindows-only = \"4\"\n[workspace]\n{more}"
    );
    world.package("", "tool", "7.8.9", &manifest);
    let main =
        "fn main() { println!(\"{}\", alpha::alpha() + own::own() + unit_macro::unit!()) }\n";
    world.file("src/main.rs", main);
    world.package("own", "own", "5.0.0", "");
    world.file("own/src/lib.rs", "pub fn own() -> u32 { 5 }\n");
    fs::remove_file(world.path("own/src/main.rs")).unwrap();
    world.lock();
    world
}

/// Requires that other programs take the SBOMs for valid.
fn judged(world: &World, files: &[PathBuf]) {
    let Some(python) = judge("python3") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sboms/judge.py");
    let judged = run(world.with(python, [script]).args(files));
    if judged.code == Some(3) {
        return missing(&format!("a judge of SBOMs: {}", judged.stdout.trim()));
    }
    judged.ends_with(0);
    assert_eq!(judged.stdout, "");
}

/// The text without what each version of this tool has of its own.
fn of_any_version(text: &str) -> String {
    let text = text.replace(
        &format!("\"Tool: dockless-{}\"", env!("CARGO_PKG_VERSION")),
        "\"Tool: dockless-VERSION\"",
    );
    let at = text.find("urn:uuid:").unwrap() + "urn:uuid:".len();
    format!("{}UUID{}", &text[..at], &text[at + 36..]).replace(
        &format!(
            "\"name\": \"dockless\",\n          \"version\": \"{}\"",
            env!("CARGO_PKG_VERSION")
        ),
        "\"name\": \"dockless\",\n          \"version\": \"VERSION\"",
    )
}

#[test]
fn the_sbom_of_the_working_tree_is_printed() {
    let world = project("");
    let mut files = Vec::new();
    for (format, suffix) in [("spdx", "spdx.json"), ("cyclonedx", "cdx.json")] {
        let printed = world.run(&format!("sbom --format {format} --features native"));
        let text = &printed.ends_with(0).stdout;
        golden(&format!("xtask/tests/it/sboms/tool.{suffix}"), &of_any_version(text));
        let file = format!("tool.{suffix}");
        world.file(&file, text);
        files.push(world.path(&file));
    }
    assert!(!world.path("target").exists(), "something was built");
    judged(&world, &files);
    let packages = |args: &str| {
        let listed = world.run(&format!("sbom {args}")).ends_with(0).json();
        let packages = listed["packages"].as_array().unwrap().clone();
        let names = packages.iter().map(|package| package["name"].as_str().unwrap().to_owned());
        names.collect::<BTreeSet<String>>()
    };
    let linux = packages("--target x86_64-unknown-linux-musl");
    assert!(!linux.contains("windows-only") && !linux.contains("zee-sys"), "{linux:?}");
    let windows = packages("--target x86_64-pc-windows-gnu");
    assert!(windows.contains("windows-only") && windows.contains("tool.exe"), "{windows:?}");
}

#[test]
fn an_sbom_is_of_one_program_for_one_target() {
    let world = World::workspace(&[("one", "1.0.0"), ("two", "1.0.0")], "");
    world
        .run("sbom")
        .ends_with(1)
        .no_result()
        .says("an SBOM is of one program, and there are one of one, two of two")
        .says("help: name one with --package and --bin");
    world
        .run("sbom -p one --target x86_64-unknown-linux-musl --target x86_64-pc-windows-gnu")
        .ends_with(1)
        .says("an SBOM is of one target");
    world.run("sbom -p three").ends_with(1).says("no package \"three\" to build");
    world.run("sbom -p one --bin x").ends_with(1).says("no program is meant");
    let one = world.run("sbom -p one --bin one").ends_with(0).json();
    assert_eq!(one["packages"][0]["name"], "one");
}

/// The packages of an SPDX document by their IDs, and its relationships.
fn read(spdx: &[u8]) -> (BTreeMap<String, Value>, BTreeSet<String>) {
    let document: Value = serde_json::from_slice(spdx).unwrap();
    let short = |value: &Value| value.as_str().unwrap().replace("SPDXRef-", "");
    let packages = document["packages"].as_array().unwrap().iter();
    let packages = packages.map(|package| (short(&package["SPDXID"]), package.clone()));
    let relationships = document["relationships"].as_array().unwrap().iter().map(|it| {
        let kind = it["relationshipType"].as_str().unwrap();
        format!("{} {kind} {}", short(&it["spdxElementId"]), short(&it["relatedSpdxElement"]))
    });
    (packages.collect(), relationships.collect())
}

#[test]
fn a_release_lists_what_is_in_its_programs_and_images() {
    let world = project("");
    world.commit();
    world.git(["tag", "v7.8.9"]);
    let tables = world.run("release --dry-run --skip publish,check").ends_with(0).stdout.clone();
    for (name, of) in [
        ("tool-v7.8.9-x86_64-musl.spdx.json", "tool for x86_64-unknown-linux-musl"),
        ("tool-v7.8.9-x86_64-musl.image.spdx.json", "the image of tool for linux/amd64"),
        ("tool-v7.8.9.image.spdx.json", "the images of tool"),
    ] {
        let line = tables.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.trim_end().ends_with(of)), "{tables}");
    }
    let release = world.run("release --skip publish,check --json");
    let made = release.ends_with(0).json();
    let files = contents(&world.dist());
    let sboms: Vec<&str> =
        files.keys().map(String::as_str).filter(|name| name.ends_with(".spdx.json")).collect();
    assert_eq!(
        sboms,
        [
            "tool-v7.8.9-aarch64-musl.image.spdx.json",
            "tool-v7.8.9-aarch64-musl.spdx.json",
            "tool-v7.8.9-x86_64-musl.image.spdx.json",
            "tool-v7.8.9-x86_64-musl.spdx.json",
            "tool-v7.8.9.image.spdx.json",
        ]
    );
    assert_whole(&world.dist());
    judged(&world, &sboms.iter().map(|name| world.dist().join(name)).collect::<Vec<_>>());
    let artifacts = made["artifacts"].as_array().unwrap();
    let image = artifacts.iter().find(|it| it["type"] == "Image").unwrap();
    let sbom = artifacts.iter().find(|it| it["name"] == sboms[3]).unwrap();
    assert_eq!((&sbom["type"], &sbom["target"]), (&"SBOM".into(), &X86_64.into()), "{sbom}");

    for (at, (target, arch)) in [(X86_64, "x86_64"), (AARCH64, "aarch64")].into_iter().enumerate() {
        let archive = world.dist().join(format!("tool-v7.8.9-{target}.tar.gz"));
        let program = entries(&archive).into_iter().find(|entry| entry.name == "tool").unwrap();
        let (packages, relationships) = read(&files[&format!("tool-v7.8.9-{arch}-musl.spdx.json")]);
        let listed = &packages["Program-tool-7.8.9"];
        assert_eq!(listed["checksums"][0]["checksumValue"], sha256(&program.bytes).as_str());
        let alpha = &packages["Crate-alpha-1.0.4"];
        assert_eq!(alpha["licenseDeclared"], "MIT OR Apache-2.0");
        for expected in [
            "DOCUMENT DESCRIBES Program-tool-7.8.9",
            "Crate-tool-7.8.9 DEPENDS_ON Crate-own-5.0.0",
            "ProcMacro-unit-macro-3.0.0-build.7 BUILD_TOOL_OF Crate-tool-7.8.9",
        ] {
            assert!(relationships.contains(expected), "{relationships:?}");
        }
        let name = format!("tool-v7.8.9-{arch}-musl.image.spdx.json");
        let (packages, relationships) = read(&files[&name]);
        let digest = image["extra"]["platforms"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["target"] == target)
            .map(|it| it["digest"].as_str().unwrap().replace("sha256:", ""));
        let listed = packages["Image-tool-7.8.9"]["checksums"][0]["checksumValue"].as_str();
        assert_eq!(listed, digest.as_deref(), "{at}");
        let contained = relationships.iter().filter(|it| it.contains(" CONTAINS "));
        let contained: Vec<&str> = contained.map(|it| it.split(' ').next_back().unwrap()).collect();
        assert_eq!(contained.len(), 4, "{contained:?}");
        assert!(contained.iter().any(|it| it.starts_with("Data-ca-certificates-")));
        assert!(contained.iter().any(|it| it.starts_with("Data-tzdata-")));
    }
    let (packages, relationships) = read(&files["tool-v7.8.9.image.spdx.json"]);
    let digest = image["extra"]["digest"].as_str().unwrap().replace("sha256:", "");
    let index = &packages["Index-tool-7.8.9"];
    assert_eq!(index["checksums"][0]["checksumValue"], digest.as_str());
    for expected in ["Image-tool-7.8.9", "Image-tool-7.8.9-2"] {
        let expected = format!("Index-tool-7.8.9 CONTAINS {expected}");
        assert!(relationships.contains(&expected), "{relationships:?}");
    }

    // Again, and in the other form.
    world.run("release --skip publish,check").ends_with(0);
    assert_eq!(contents(&world.dist()), files);
    // The lists stay with what they are of.
    world.run("archive").ends_with(0);
    assert_whole(&world.dist());
    let made = contents(&world.dist());
    for (name, bytes) in files.iter().filter(|(name, _)| !name.ends_with("ta.json")) {
        assert!(*name == "artifacts.json" || made[name] == *bytes, "{name}");
    }
    world.run("image").ends_with(0);
    assert_whole(&world.dist());
    let kept: Vec<String> = names(&world.dist());
    let kept: Vec<&String> = kept.iter().filter(|name| name.ends_with(".spdx.json")).collect();
    assert_eq!(kept, sboms, "the same images have the same lists");
}

/// Each platform's image and the index have their lists, by the referrers API and without it.
#[test]
fn images_in_registries_have_their_sboms_attached() {
    for software in [Software::V3, Software::V2, Software::Referrers] {
        let Some(registry) = Registry::of(software, Access::Open) else { return };
        let world = project("[workspace.metadata.dockless.github]\nship = false\n");
        world.commit();
        world.git(["tag", "v7.8.9"]);
        let release = || {
            let mut tool = world.tool(["release", "--skip", "check"]);
            tool.env("DOCKLESS_REPOSITORY", format!("{}/sboms", registry.host));
            tool.envs(registry.vars(&world));
            run(&mut tool)
        };
        release().ends_with(0).says("  attach what is in it, to ");
        let get = |path: &str| {
            let accept = [("accept", &*format!("{INDEX}, {MANIFEST}"))];
            let answer =
                ask(&registry.host, "GET", &format!("/v2/sboms/tool/{path}"), &accept, b"");
            assert_eq!(answer.status, 200, "{path}");
            answer.body
        };
        let json = |path: &str| serde_json::from_slice::<Value>(&get(path)).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let artifacts = world.artifacts();
        let artifacts = artifacts.as_array().unwrap().clone();
        let image = artifacts.iter().find(|it| it["type"] == "Image").unwrap();
        let platforms = image["extra"]["platforms"].as_array().unwrap();
        let subjects = platforms.iter().map(|it| {
            let arch = it["target"].as_str().unwrap().split('-').next().unwrap();
            (text(&it["digest"]), format!("tool-v7.8.9-{arch}-musl.image.spdx.json"))
        });
        let index = (text(&image["extra"]["digest"]), "tool-v7.8.9.image.spdx.json".to_owned());
        for (digest, name) in subjects.chain([index]) {
            let list = match software {
                Software::Referrers => json(&format!("referrers/{digest}")),
                _ => json(&format!("manifests/{}", digest.replace(':', "-"))),
            };
            let [listed] = &list["manifests"].as_array().unwrap()[..] else { panic!("{list}") };
            let manifest = json(&format!("manifests/{}", text(&listed["digest"])));
            assert_eq!(manifest["artifactType"], "application/spdx+json");
            assert_eq!(manifest["subject"]["digest"], digest.as_str());
            let blob = get(&format!("blobs/{}", text(&manifest["layers"][0]["digest"])));
            assert!(blob == fs::read(world.dist().join(&name)).unwrap(), "{name}");
        }
        let asked = registry.all_requests("sboms/tool").len();
        release().ends_with(0).never_says(" attach ");
        let mut asked = registry.all_requests("sboms/tool").split_off(asked);
        asked.retain(|it| !it.starts_with("HEAD ") && !it.starts_with("GET "));
        assert_eq!(asked, [] as [String; 0], "{software:?}");
    }
}

#[test]
fn the_settings_say_whether_and_how() {
    let table = "[workspace.metadata.dockless]\ntargets = [\"x86_64-unknown-linux-musl\"]\n\
                 [workspace.metadata.dockless.sbom]\n";
    let world = project(&format!("{table}format = \"cyclonedx\"\n"));
    let listed = |args: &str| {
        world.run(format!("release --snapshot {args}").trim()).ends_with(0);
        assert_whole(&world.dist());
        let names = names(&world.dist());
        let sboms = names.into_iter().filter(|name| name.contains("dx.json"));
        sboms.collect::<Vec<String>>()
    };
    let made = listed("");
    assert_eq!(
        made,
        ["tool-v7.8.9-x86_64-musl.cdx.json", "tool-v7.8.9-x86_64-musl.image.cdx.json"]
    );
    judged(&world, &made.iter().map(|name| world.dist().join(name)).collect::<Vec<_>>());
    assert_eq!(listed("--skip sbom"), Vec::<String>::new());
    assert_eq!(listed("--skip image"), made[..1]);
    assert_eq!(listed("--skip archive"), made[1..]);
    let manifest = world.read("Cargo.toml");
    world.file("Cargo.toml", &manifest.replace("format = \"cyclonedx\"", "ship = false"));
    assert_eq!(listed(""), Vec::<String>::new());
    world.file("Cargo.toml", &manifest.replace("\"cyclonedx\"", "\"cdx\""));
    world
        .run("release --snapshot")
        .ends_with(1)
        .says("[workspace.metadata.dockless.sbom] format: \"cdx\" is neither \"spdx\" nor \"cyclonedx\"")
        .says("help: write it as `format = \"cyclonedx\"`");
}
