//! Releases that are made again from their records, and what is said of those that differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol};
use serde_json::{Value, json};

use crate::reproducible::varied::without_faketime;
use crate::world::keys::{PUBLIC, outside, signing};
use crate::world::sketch::gzip;
use crate::world::{Entry, HOST, Run, World, entries, judge, run, sha256};

/// A workspace below its repository's folder: a program with another crate, files in its archive
/// and in its image, a label, and symbols, which its profile keeps.
fn project() -> World {
    let world = World::empty();
    let more = format!(
        "repository = \"https://git.example.com/acme/tool\"\nlicense = \"MIT\"\n\
         [dependencies]\nnear.path = \"near\"\n[workspace]\n\
         [profile.dist]\ninherits = \"release\"\nstrip = false\n\
         [package.metadata.dockless]\ntargets = [\"{HOST}\"]\n\
         [package.metadata.dockless.archive]\nfiles = [\"LICENSE\", \"README.md\", \"notes\", \"CHANGES\"]\n\
         [package.metadata.dockless.image]\nlabels = {{ team = \"one\" }}\n\
         files = [{{ from = \"assets\", to = \"/srv\" }}]\n"
    );
    world.package("app", "tool", "1.0.0", &more);
    world
        .file("app/LICENSE", "free\n")
        .file("app/README.md", "# tool\n")
        .file("app/notes", "n\n")
        .file("app/CHANGES", "c\n");
    world.file("app/assets/page", "hello\n");
    let main = "fn main() {\n    println!(\"{} {}\", near::place(), env!(\"DOCKLESS_VERSION\"));\n    \
                println!(\"a text that is only here\");\n}\n";
    world.file("app/src/main.rs", main);
    world.package("app/near", "near", "0.1.0", "license = \"MIT\"\n");
    world.file("app/near/LICENSE", "free too\n");
    world.file("app/near/src/lib.rs", "pub fn place() -> &'static str { file!() }\n");
    fs::remove_file(world.path("app/near/src/main.rs")).unwrap();
    let mut lock = world.with("cargo", ["generate-lockfile", "--offline"]);
    run(lock.current_dir(world.path("app"))).ends_with(0);
    world.commit();
    world.git(["tag", "v1.0.0"]);
    world
}

/// Releases the project, and moves what was made out of it.
fn published(world: &World, mut release: Command) -> PathBuf {
    run(release.current_dir(world.path("app"))).ends_with(0);
    let to = world.outside("published");
    fs::rename(world.path("app/dist"), &to).unwrap();
    to
}

/// `verify --rebuild` in a folder of its own, with the sources of the project.
fn rebuild(world: &World, published: &Path) -> Command {
    let elsewhere = world.outside("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    let root = world.root().to_str().unwrap();
    let mut tool = world.tool(["verify", "--rebuild", "--source", root]);
    tool.arg(published).current_dir(elsewhere);
    tool
}

/// The differences that are said: place, difference and reason.
fn differences(said: &Run) -> Vec<[String; 3]> {
    let said = said.json();
    let found = said["rebuild"]["differences"].as_array().unwrap().iter();
    let text = |of: &Value, key: &str| of[key].as_str().unwrap().to_owned();
    found.map(|it| ["place", "what", "reason"].map(|key| text(it, key))).collect()
}

/// Requires a difference whose place ends so, and which has these words and this reason.
#[track_caller]
fn names(found: &[[String; 3]], place: &str, what: &str, reason: &str) {
    let fits = |it: &&[String; 3]| it[0].ends_with(place) && it[1].contains(what);
    let Some(it) = found.iter().find(fits) else { panic!("no {place}: {what} in {found:#?}") };
    assert!(it[2].contains(reason), "{it:?}, not {reason}");
}

/// The names of what was compared, by how they compare.
pub fn compared(said: &Run, result: &str) -> Vec<String> {
    let said = said.json();
    let all = said["rebuild"]["compared"].as_array().unwrap().iter();
    let some = all.filter(|it| it["result"] == result);
    some.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

/// Another folder, home, cargo home, cache, umask, time zone, language and date.
#[test]
fn a_release_is_made_again_elsewhere_and_later() {
    let world = project();
    let published = published(&world, signing(&world, "release --skip publish,check"));
    let key = outside(&world, "key.pub", PUBLIC);
    let (home, cargo) = (std::env::var("HOME").unwrap(), world.outside("another/cargo home"));
    let rustup = std::env::var("RUSTUP_HOME").unwrap_or_else(|_| format!("{home}/.rustup"));
    let tool = rebuild(&world, &published);
    let script = "umask 077 && exec \"$@\"";
    let mut command = world.with("sh", ["-c", script, "sh"]);
    if let Some(faketime) = judge("faketime") {
        command.args(["timeout", "300"]).arg(faketime).arg("2031-12-30 23:59:58");
        command.env("PATH", without_faketime(&world));
    }
    command.arg(tool.get_program()).args(tool.get_args());
    command.arg("--json").arg("--key").arg(key).current_dir(tool.get_current_dir().unwrap());
    fs::create_dir_all(&cargo).unwrap();
    let vars = [("TZ", "Asia/Tokyo"), ("LANG", "de_DE.UTF-8"), ("CARGO_BUILD_JOBS", "1")];
    command.envs(vars).env("HOME", world.outside("another/home")).env("CARGO_HOME", cargo);
    command.env("RUSTUP_HOME", rustup).env("DOCKLESS_CACHE", world.outside("another/cache"));
    // What is set here was not set for the release.
    command.env("RUSTFLAGS", "-Cdebuginfo=2").env("CARGO_TARGET_DIR", world.outside("target"));
    let said = run(&mut command);
    said.ends_with(0);
    let report = said.json();
    assert_eq!(report["rebuild"]["differences"], json!([]));
    let tag = world.git(["rev-parse", "HEAD"]);
    assert_eq!(
        (&report["rebuild"]["commit"], &report["rebuild"]["tag"]),
        (&json!(tag), &json!("v1.0.0"))
    );
    assert!(report["proofs"].as_array().unwrap().iter().any(|it| it["verdict"] == "proved"));
    assert_eq!(compared(&said, "different"), [""; 0]);
    let equal = compared(&said, "equal");
    let archive = format!("tool-v1.0.0-{HOST}.tar.gz");
    for name in [&*archive, "images/tool", "tool-v1.0.0.intoto.json"] {
        assert!(equal.iter().any(|it| it == name), "{name}: {equal:?}");
    }
    assert!(!world.outside("target").exists(), "nothing is built elsewhere");
}

/// A variable that cargo or rustc reads is set in the rebuild as it was in the release.
#[test]
fn what_a_release_was_made_by_is_set_again() {
    let world = project();
    // A stable compiler takes this only where the variable is set.
    let main = world.read("app/src/main.rs");
    world.file("app/src/main.rs", &format!("#![feature(never_type)]\n{main}"));
    world.commit();
    world.git(["tag", "--force", "v1.0.0"]);
    let mut release = world.tool(["release", "--skip", "publish,check"]);
    release.env("RUSTC_BOOTSTRAP", "1").env("CARGO_INCREMENTAL", "1");
    let said = run(rebuild(&world, &published(&world, release)).arg("--json"));
    said.ends_with(0);
    assert_eq!(compared(&said, "different"), [""; 0]);
}

/// Changes an archive, and makes the list of checksums fit.
fn change_archive(published: &Path, level: u32, change: impl FnOnce(&mut Vec<Entry>)) {
    let name = format!("tool-v1.0.0-{HOST}.tar.gz");
    let path = published.join(&name);
    let before = fs::read(&path).unwrap();
    let mut all = entries(&path);
    change(&mut all);
    let packed = flate2::GzBuilder::new().operating_system(255);
    let packed = packed.write(Vec::new(), flate2::Compression::new(level));
    let mut tar = tar::Builder::new(packed);
    for entry in &all {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(entry.mode);
        header.set_mtime(entry.mtime);
        header.set_uid(entry.owner.0);
        header.set_gid(entry.owner.1);
        tar.append_data(&mut header, &entry.name, &*entry.bytes).unwrap();
    }
    let after = tar.into_inner().unwrap().finish().unwrap();
    fs::write(&path, &after).unwrap();
    list_again(published, &before, &after);
}

fn list_again(published: &Path, before: &[u8], after: &[u8]) {
    let path = published.join("checksums.txt");
    let list = fs::read_to_string(&path).unwrap();
    assert!(list.contains(&sha256(before)), "{list}");
    fs::write(&path, list.replace(&sha256(before), &sha256(after))).unwrap();
}

/// The offset of a section in a program.
fn section(program: &[u8], name: &str) -> usize {
    let file = object::File::parse(program).unwrap();
    file.section_by_name(name).unwrap().file_range().unwrap().0 as usize
}

/// Changes a program in each of the ways that are looked for.
fn change_program(program: &mut Vec<u8>) {
    let file = object::File::parse(&**program).unwrap();
    let main = file.symbols().find(|it| it.name().unwrap().contains("4main")).unwrap();
    let text = file.section_by_name(".text").unwrap();
    let code = text.file_range().unwrap().0 + main.address() + 1 - text.address();
    let find = |text: &[u8]| program.windows(text.len()).position(|it| it == text).unwrap();
    let only = find(b"a text that is only here");
    let comment = section(program, ".comment");
    let version =
        comment + program[comment..].iter().position(|byte| byte.is_ascii_digit()).unwrap();
    let list = section(program, ".dep-v0");
    let size = file.section_by_name(".dep-v0").unwrap().size() as usize;
    program[code as usize] ^= 0x55;
    program[only..only + 24].copy_from_slice(b"/home/me/tool/src/main.r");
    program[version] = b'9';
    // A list of as many bytes with another crate: zlib takes stored blocks.
    let packages = json!({ "packages": [
        { "name": "tool", "version": "1.0.0", "source": "local", "root": true },
        { "name": "evil", "version": "6.6.6", "source": "crates.io" } ], "format": 1 });
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packed, packages.to_string().as_bytes()).unwrap();
    let mut packed = packed.finish().unwrap();
    packed.resize(packed.len().max(size), 0);
    program[list..list + size].copy_from_slice(&packed[..size]);
}

/// The one descriptor of a list in a document of an image.
fn only<'a>(document: &'a mut Value, list: &str) -> &'a mut Value {
    &mut document[list][0]
}

/// Changes a label and a file of the published image, and makes all digests fit.
fn change_image(layout: &Path) {
    let blob =
        |digest: &str| layout.join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
    let read = |path: &Path| fs::read(path).unwrap();
    let store = |descriptor: &mut Value, bytes: &[u8]| {
        let hex = sha256(bytes);
        fs::write(blob(&hex), bytes).unwrap();
        descriptor["digest"] = format!("sha256:{hex}").into();
        descriptor["size"] = bytes.len().into();
    };
    let json_of = |of: &Value| -> Value {
        serde_json::from_slice(&read(&blob(of["digest"].as_str().unwrap()))).unwrap()
    };
    let mut index: Value = serde_json::from_slice(&read(&layout.join("index.json"))).unwrap();
    let mut manifest = json_of(only(&mut index, "manifests"));
    assert!(manifest["layers"].is_array(), "{manifest}");
    let mut config = json_of(&manifest["config"]);
    config["config"]["Labels"]["team"] = "two".into();
    let tars = manifest["layers"].as_array().unwrap().iter().map(|layer| {
        let mut tar = Vec::new();
        let packed = read(&blob(layer["digest"].as_str().unwrap()));
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed), &mut tar).unwrap();
        tar
    });
    let mut tars = tars.enumerate();
    let found = tars.find_map(|(number, tar)| {
        let at = tar.windows(6).position(|it| it == b"hello\n")?;
        Some((number, at, tar))
    });
    let (number, at, mut tar) = found.unwrap();
    drop(tars);
    tar[at] = b'j';
    store(&mut manifest["layers"][number], &gzip(&tar));
    config["rootfs"]["diff_ids"][number] = format!("sha256:{}", sha256(&tar)).into();
    store(&mut manifest["config"], config.to_string().as_bytes());
    let text = manifest.to_string();
    store(only(&mut index, "manifests"), text.as_bytes());
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
}

/// What somebody changed is named: file, entry, section, symbol, layer, field.
#[test]
fn each_seeded_difference_has_its_place_and_reason() {
    let world = project();
    let published = published(&world, world.tool(["release", "--skip", "publish,check"]));
    change_archive(&published, 9, |all| {
        let mut by_name: BTreeMap<String, Entry> =
            std::mem::take(all).into_iter().map(|it| (it.name.clone(), it)).collect();
        change_program(&mut by_name.get_mut("tool").unwrap().bytes);
        by_name.get_mut("README.md").unwrap().bytes = b"# fool\n".to_vec();
        by_name.get_mut("LICENSE").unwrap().mode = 0o664;
        by_name.get_mut("CHANGES").unwrap().mtime += 3600;
        by_name.remove("notes");
        by_name.insert(
            "more".into(),
            Entry { name: "more".into(), mode: 0o644, mtime: 1, owner: (0, 0), bytes: vec![] },
        );
        all.extend(by_name.into_values());
    });
    change_image(&published.join("images/tool"));
    let is_sbom = |it: &String| it.ends_with(".spdx.json") && !it.contains(".image.");
    let sbom = crate::world::names(&published).into_iter().find(is_sbom).unwrap();
    let (name, sbom) = (sbom.clone(), published.join(sbom));
    let before = fs::read(&sbom).unwrap();
    let mut document: Value = serde_json::from_slice(&before).unwrap();
    document["creationInfo"]["created"] = "2026-01-01T00:00:00Z".into();
    let after = document.to_string();
    fs::write(&sbom, &after).unwrap();
    list_again(&published, &before, after.as_bytes());
    // This one is changed without its checksum.
    let statement = published.join("tool-v1.0.0.intoto.json");
    let text = fs::read_to_string(&statement).unwrap();
    fs::write(&statement, text.replace("\"bins\":[\"tool\"]", "\"bins\":[\"fool\"]")).unwrap();

    let said = run(rebuild(&world, &published).arg("--json"));
    said.ends_with(1).says("error: 1.0.0: the release differs from what its commit gives, in ");
    let found = differences(&said);
    let archive = format!("tool-v1.0.0-{HOST}.tar.gz");
    let entry = |rest: &str| format!("{archive}: entry {rest}");
    for (place, what, reason) in [
        (entry("README.md: line 1"), "\"# fool\" in the published", "unknown"),
        (entry("LICENSE"), "mode 0664 in the published one, 0644", "umask"),
        (entry("CHANGES"), "time 2023-11-14T23:", "a time"),
        (entry("notes"), "only in the rebuilt one", "unknown"),
        (entry("more"), "only in the published one", "unknown"),
        (entry("tool: section .comment"), "9.", "another compiler"),
        (entry("tool: section .dep-v0"), "evil 6.6.6", "other crates"),
        ("images/tool: config: field /config/Labels/team".into(), "\"two\" in the published", ""),
        ("entry srv/page: line 1".into(), "\"jello\"", "unknown"),
        (format!("{name}: field /creationInfo/created"), "2026", "a time"),
        (
            "tool-v1.0.0.intoto.json: field \
             /predicate/buildDefinition/externalParameters/bins/0"
                .into(),
            "\"fool\"",
            "unknown",
        ),
        ("tool-v1.0.0.intoto.json".into(), "checksums.txt has", "changed after it was released"),
    ] {
        names(&found, &place, what, reason);
    }
    let of = |words: &str| {
        found
            .iter()
            .find(|it| it[0].contains(words))
            .unwrap_or_else(|| panic!("{words}: {found:#?}"))
    };
    let code = of("entry tool: section .text, symbol ");
    assert!(code[0].contains("4main"), "{code:?}");
    let text = of("entry tool: section .rodata");
    assert!(text[2].contains("a path: /home/me/tool/src/main.r"), "{text:?}");

    // People see the same as a table.
    let said = run(&mut rebuild(&world, &published));
    said.ends_with(1);
    for words in ["DIFFERS", "section .text, symbol ", "likely reason", "other crates"] {
        assert!(said.stdout.contains(words), "no {words} in\n{}", said.stdout);
    }
}

#[test]
fn a_compression_alone_and_a_moved_tag_are_told() {
    let world = project();
    let published = published(&world, world.tool(["release", "--skip", "publish,check"]));
    change_archive(&published, 1, |_| ());
    let commit = world.git(["rev-parse", "HEAD"]);
    world.file("app/README.md", "# another\n").commit();
    world.git(["tag", "--force", "v1.0.0"]);
    let said = run(rebuild(&world, &published).arg("--json"));
    let moved = world.git(["rev-parse", "HEAD"]);
    said.ends_with(1).says(&format!("the tag v1.0.0: it is at the commit {moved} today"));
    let [only] = &differences(&said)[..] else { panic!("{}", said.stdout) };
    assert_eq!(only[0], format!("tool-v1.0.0-{HOST}.tar.gz"));
    assert!(only[1].contains("the compression alone differs"), "{only:?}");
    assert!(only[2].contains("level of compression"), "{only:?}");
    assert_eq!(said.json()["rebuild"]["commit"], json!(commit));
}

/// What a program takes from where and when it is built differs, and is named so.
#[test]
fn a_build_that_takes_in_its_folder_and_its_day_is_found() {
    let world = project();
    let main =
        "fn main() {\n    println!(\"{} {}\", env!(\"CARGO_MANIFEST_DIR\"), near::place());\n}\n";
    world.file("app/src/main.rs", main);
    world.commit();
    world.git(["tag", "--force", "v1.0.0"]);
    let published = published(&world, world.tool(["release", "--skip", "publish,check"]));
    let said = run(rebuild(&world, &published).arg("--json"));
    let found = differences(said.ends_with(1));
    let entry = format!("tool-v1.0.0-{HOST}.tar.gz: entry tool: section .rodata");
    let text = found.iter().find(|it| it[0].starts_with(&entry));
    let text = text.unwrap_or_else(|| panic!("{found:#?}"));
    assert!(
        text[2].starts_with("a path: ") && text[2].contains("only in the published one"),
        "{text:?}"
    );
}

/// The compiler of the record is taken, not the one that is active, also in an xtask: cargo hands
/// its own choice on.
#[test]
fn the_recorded_compiler_makes_it_again() {
    let world = project();
    let published = published(&world, world.tool(["release", "--skip", "publish,check"]));
    let sysroot = run(&mut world.with("rustc", ["--print", "sysroot"]));
    let sysroot = sysroot.ends_with(0).line().to_owned();
    let said = run(&mut world.with("rustc", ["-vV"])).ends_with(0).stdout.clone();
    let version = said.lines().find_map(|line| line.strip_prefix("release: ")).unwrap();
    // As rustup's: another compiler where the variable asks for another, or for none. What the
    // record asks for is there, and is later named by its folder.
    let script = format!(
        "case \"$RUSTUP_TOOLCHAIN\" in\n{version} | *-*) exec '{sysroot}/bin/rustc' \"$@\";;\nesac\n\
         case \"$1\" in\n-vV) echo 'release: 1.60.0';;\n*) exit 1;;\nesac\n"
    );
    world.script("proxies/rustc", &script);
    world.script("proxies/cargo", &format!("exec '{sysroot}/bin/cargo' \"$@\"\n"));
    let mut tool = rebuild(&world, &published);
    tool.env("PATH", world.path_with("proxies")).env("RUSTUP_TOOLCHAIN", "another");
    tool.env("CARGO", "/nowhere/cargo").env("CARGO_MANIFEST_DIR", world.root());
    run(&mut tool).ends_with(0);
}

/// Several packages, with other targets and features, of a commit without a tag.
#[test]
fn a_snapshot_of_several_packages_is_made_again() {
    let world = World::workspace(&[("one", "1.0.0"), ("two", "2.1.0")], "");
    let features = "[features]\nmore = []\n[package.metadata.dockless]\nfeatures = [\"more\"]\n";
    let two = world.read("two/Cargo.toml");
    world.file("two/Cargo.toml", &format!("{two}{features}targets = [\"{HOST}\"]\n")).commit();
    world.run("release --snapshot").ends_with(0);
    let published = world.outside("published");
    fs::rename(world.dist(), &published).unwrap();
    // What was tagged later does not change what the release was.
    world.git(["tag", "v9.0.0"]);
    let said = run(rebuild(&world, &published).arg("--json"));
    assert_eq!(said.ends_with(0).json()["rebuild"]["differences"], json!([]));
    let archives = |name: &String| name.ends_with(".tar.gz");
    assert_eq!(compared(&said, "equal").into_iter().filter(archives).count(), 3);
    // One of them alone, whose record has the same targets in another order than the settings.
    world.git(["tag", "--delete", "v9.0.0"]);
    world.run("release --snapshot --package one").ends_with(0);
    let said = run(rebuild(&world, &world.dist()).arg("--json"));
    assert_eq!(said.ends_with(0).json()["rebuild"]["differences"], json!([]));
    // A package's record that is of another commit is no record of this release.
    let statement = names_of(&published, ".intoto.json").remove(0);
    let text = fs::read_to_string(&statement).unwrap();
    let commit = world.git(["rev-parse", "HEAD"]);
    fs::write(&statement, text.replace(&commit, &"4".repeat(40))).unwrap();
    let said = run(&mut rebuild(&world, &published));
    said.ends_with(1).no_result().says("it records another release than the statements beside it");
}

/// The files of a folder whose names end so.
fn names_of(dir: &Path, end: &str) -> Vec<PathBuf> {
    let names = crate::world::names(dir).into_iter().filter(|name| name.ends_with(end));
    names.map(|name| dir.join(name)).collect()
}

/// A record that cannot be followed is refused before anything is built.
#[test]
fn what_cannot_be_made_again_is_said_with_the_fix() {
    let world = project();
    let published = published(&world, world.tool(["release", "--skip", "publish,check"]));
    let statement = published.join("tool-v1.0.0.intoto.json");
    let text = fs::read_to_string(&statement).unwrap();
    let refused = |changed: String, why: &str, fix: &str| {
        assert_ne!(changed, text, "{why}");
        fs::write(&statement, changed).unwrap();
        run(&mut rebuild(&world, &published)).ends_with(1).no_result().says(why).says(fix);
    };
    let commit = world.git(["rev-parse", "HEAD"]);
    let own = env!("CARGO_PKG_VERSION");
    let version = format!("\"dockless\":\"{own}\"");
    refused(
        text.replace(&version, "\"dockless\":\"0.0.7\""),
        "the release was made by dockless 0.0.7",
        "cargo install dockless@0.0.7",
    );
    refused(
        text.replace(&format!("\"gitCommit\":\"{commit}\""), "\"sha1\":\"0\""),
        "made of sources that no commit holds",
        "only a release of a clean commit",
    );
    let other = "1".repeat(40);
    refused(text.replace(&commit, &other), &format!("has no commit {other}"), "--source");
    let mut compiler: Value = serde_json::from_str(&text).unwrap();
    let used = compiler["predicate"]["buildDefinition"]["resolvedDependencies"].as_array_mut();
    let rustc = used.unwrap().iter_mut().find(|it| it["name"] == "rustc").unwrap();
    rustc["annotations"]["version"] = "1.41.7".into();
    refused(
        compiler.to_string(),
        "the release was compiled by rustc 1.41.7",
        &format!("rustup toolchain install 1.41.7 --target {HOST}"),
    );
    let mut variable: Value = serde_json::from_str(&text).unwrap();
    variable["predicate"]["buildDefinition"]["externalParameters"]["environment"] =
        json!({ "RUSTC_WRAPPER": "/bin/false" });
    refused(variable.to_string(), "sets the variable \"RUSTC_WRAPPER\"", "do not trust");
    let lock = sha256(&fs::read(world.path("app/Cargo.lock")).unwrap());
    refused(text.replace(&lock, &"2".repeat(64)), "no Cargo.lock with the recorded digest", "");
    refused("{}".into(), "tool-v1.0.0.intoto.json", "");
    fs::write(&statement, &text).unwrap();

    let mut ext = world.tool(["verify", "--rebuild", "--source", "ext::sh -c touch% pwned"]);
    run(ext.arg(&published)).ends_with(1).says("only https, ssh and files are fetched");
    assert!(!world.path("pwned").exists());
    // The recorded place is out of reach here.
    let mut recorded = world.tool(["verify", "--rebuild"]);
    recorded.env("https_proxy", "http://127.0.0.1:9");
    run(recorded.arg(&published))
        .ends_with(1)
        .says("clone https://git.example.com/acme/tool: git failed");
    fs::remove_file(&statement).unwrap();
    let none = run(&mut rebuild(&world, &published));
    none.ends_with(1).says("has no record of how it was made").says("provenance");
    let image = world.run("verify --rebuild ghcr.io/acme/tool:1");
    image.ends_with(1).no_result().says("name its folder, such as dist, or OWNER/REPO@TAG");
    world.run("verify dist").ends_with(2).says("--key <FILE>");
}
