//! The licence texts of crates in what is shipped, and `check` by cargo-deny's rules.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::world::flat::{self, What};
use crate::world::{HOST, Run, World, entries, entry_names, only_host, run, sha256};

mod published;

const NAME: &str = "THIRD-PARTY-LICENSES";

/// A crate beside the project: its name, lines of its manifest, and files.
type Beside<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// The package `tool` that depends on these crates.
fn with(crates: &[Beside<'_>], more: &str) -> World {
    let world = World::empty();
    let mut needs = String::from("[dependencies]\n");
    for (name, lines, files) in crates {
        let place = world.outside(name);
        fs::create_dir_all(place.join("src")).unwrap();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{lines}\n"
        );
        fs::write(place.join("Cargo.toml"), manifest).unwrap();
        fs::write(place.join("src/lib.rs"), "").unwrap();
        for (path, text) in *files {
            let path = place.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        needs.push_str(&format!("{name} = {{ path = \"../{name}\" }}\n"));
    }
    world.package("", "tool", "1.0.0", &format!("{needs}{}{more}", only_host()));
    world.file("LICENSE", "free\n").lock();
    world
}

/// The text in the only archive.
fn text(world: &World) -> Option<String> {
    let found = entries(&archive(world)).into_iter().find(|it| it.name == NAME)?;
    Some(String::from_utf8(found.bytes).unwrap())
}

fn archive(world: &World) -> std::path::PathBuf {
    world.dist().join(format!("tool-v1.0.0-{HOST}.tar.gz"))
}

#[test]
fn archives_and_images_have_the_texts_of_what_is_linked_in() {
    let world = with(
        &[
            (
                "free",
                "license = \"MIT/ISC\"",
                &[("LICENSE-OWN", "Own terms\r\n"), ("NOTICE", "By F")],
            ),
            ("same", "license-file = \"TERMS\"", &[("TERMS", "Own terms\n")]),
            ("bare", "license = \"MIT\"", &[]),
            ("mute", "", &[]),
        ],
        "",
    );
    let planned = world.run("release --snapshot --dry-run");
    assert!(planned.ends_with(0).stdout.contains(NAME), "{planned:?}");
    let made = world.run("release --snapshot");
    made.ends_with(0).says("by its standard text, as the sources have none: bare 0.1.0 (MIT)");
    made.says("warning: mute 0.1.0: it declares no licence, and its sources have none");
    let text = text(&world).unwrap();
    let listed = "bare 0.1.0: MIT\nfree 0.1.0: MIT OR ISC\nmute 0.1.0: see its files\n\
                  same 0.1.0: see its files\n";
    assert!(text.contains(listed), "{text}");
    assert!(text.contains("\nfree 0.1.0: LICENSE-OWN\nsame 0.1.0: TERMS\n"), "{text}");
    assert!(text.contains("\nfree 0.1.0: NOTICE\n") && text.contains("\nBy F\n"), "{text}");
    assert!(text.contains("bare 0.1.0: the standard text of MIT\n"), "{text}");
    let entry = entries(&archive(&world)).into_iter().find(|it| it.name == NAME).unwrap();
    assert_eq!(entry.mode, 0o644);
    let image = flat::of_layout(&world.dist().join("images/tool"), None);
    let node = &image.tree[&format!("usr/share/doc/tool/{NAME}")];
    assert_eq!(node.what, What::File(sha256(text.as_bytes())));
    assert_eq!((node.mode, node.owner), (0o644, (0, 0)));
    let history: Vec<&str> = image.config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["created_by"].as_str().unwrap())
        .collect();
    assert_eq!(history, ["dockless: base", "dockless: licenses", "dockless: programs"]);
    // The same again is the same, and what is wrong is said again.
    let before = sha256(&fs::read(archive(&world)).unwrap());
    let again = world.run("release --snapshot");
    again.ends_with(0).says("standard text").says("mute 0.1.0: it declares no licence");
    assert_eq!(sha256(&fs::read(archive(&world)).unwrap()), before);
    // A crate that changes its terms changes the file.
    fs::write(world.outside("same/TERMS"), "Other terms\n").unwrap();
    world.run("release --snapshot").ends_with(0);
    assert!(self::text(&world).unwrap().contains("Other terms"));
}

#[test]
fn neither_own_crates_nor_those_of_the_build_are_listed() {
    let world = World::workspace(&[("tool", "1.0.0")], "");
    for (name, lines) in [("own", ""), ("builds", ""), ("derives", "[lib]\nproc-macro = true\n")] {
        world.package(name, name, "1.0.0", lines);
        world.file(&format!("{name}/src/lib.rs"), "");
        fs::remove_file(world.path(&format!("{name}/src/main.rs"))).unwrap();
    }
    let root = world.read("Cargo.toml").replace("[\"tool\"]", "[\"tool\", \"own\"]");
    world.file("Cargo.toml", &format!("{root}exclude = [\"builds\", \"derives\"]\n"));
    let needs = format!(
        "[dependencies]\nown = {{ path = \"../own\" }}\nderives = {{ path = \"../derives\" }}\n\
         [build-dependencies]\nbuilds = {{ path = \"../builds\" }}\n{}",
        only_host()
    );
    world.package("tool", "tool", "1.0.0", &needs).file("tool/build.rs", "fn main() {}\n").lock();
    world.run("release --snapshot").ends_with(0).never_says("licen");
    assert_eq!(text(&world), None);
    let image = flat::of_layout(&world.dist().join("images/tool"), None);
    assert!(!image.tree.keys().any(|path| path.ends_with(NAME)));
}

#[test]
fn a_setting_or_a_file_of_ones_own_takes_its_place() {
    let world = with(&[("free", "license = \"MIT\"", &[("LICENSE", "terms\n")])], "");
    let manifest = world.read("Cargo.toml");
    let set = |lines: &str| world.file("Cargo.toml", &format!("{manifest}{lines}\n"));
    set("licenses = false");
    world.run("release --snapshot").ends_with(0);
    assert_eq!(text(&world), None);
    let image = flat::of_layout(&world.dist().join("images/tool"), None);
    assert!(!image.tree.keys().any(|path| path.ends_with(NAME)));
    // The name counts as systems that ignore case read it.
    world.file("third-party-licenses", "ours\n").file(NAME, "ours\n");
    let place = format!("{{ from = \"{NAME}\", to = \"/usr/share/doc/tool/\" }}");
    for name in [NAME, "third-party-licenses"] {
        set(&format!("archive.files = [\"LICENSE\", \"{name}\"]\nimage.files = [{place}]"));
        world.run("release --snapshot").ends_with(0);
        let named: Vec<String> =
            entry_names(&archive(&world)).into_iter().filter(|it| it.contains(['-'])).collect();
        assert_eq!(named, [name]);
        let image = flat::of_layout(&world.dist().join("images/tool"), None);
        let node = &image.tree[&format!("usr/share/doc/tool/{NAME}")];
        assert_eq!(node.what, What::File(sha256(b"ours\n")));
    }
    // What a program writes is known only when it has run.
    world.file(
        "src/main.rs",
        "fn main() { for arg in std::env::args().skip(1) { \
         std::fs::write(format!(\"{arg}/THIRD-PARTY-LICENSES\"), \"x\").unwrap() } }",
    );
    set("archive.generate = [{ args = [\"{{ out }}\"], files = [\"*\"] }]");
    let refused = world.run("release --snapshot");
    refused.ends_with(1).says("another entry of its archives has that name");
    refused.says("rename it, or set `licenses = false` in [package.metadata.dockless]");
}

/// The file is no licence of the plugin's own.
#[test]
fn krew_still_gets_the_licence_of_the_plugin() {
    let world = with(
        &[("free", "license = \"MIT\"", &[("LICENSE", "terms\n")])],
        "[package.metadata.dockless.krew]\nname = \"tool\"\nshort-description = \"a\"\n\
         description = \"b\"\nhomepage = \"https://example.com\"\nuri = \"https://example.com/{{ archive }}\"\n",
    );
    fs::remove_file(world.path("LICENSE")).unwrap();
    let bare = world.run("release --snapshot");
    bare.ends_with(0).says("krew takes no plugin without a licence in its archives");
    world.file("LICENSE-MIT", "own\n");
    world.run("release --snapshot").ends_with(0).says("LICENSE of LICENSE-MIT for tool");
    let manifest = world.read("dist/krew/tool.yaml");
    assert!(manifest.contains("from: LICENSE\n"), "{manifest}");
    assert!(!manifest.contains(NAME), "{manifest}");
    assert!(text(&world).is_some());
}

#[test]
fn files_that_lead_elsewhere_or_are_no_texts_are_refused_and_said() {
    let world = with(&[("odd", "license = \"MIT\"", &[("COPYING", "J\u{fc}rgen's terms\n")])], "");
    let odd = world.outside("odd");
    let secret = world.outside("secret");
    fs::write(&secret, "password\n").unwrap();
    symlink(&secret, odd.join("LICENSE")).unwrap();
    fs::File::create(odd.join("NOTICE")).unwrap().set_len(50 << 20).unwrap();
    fs::write(odd.join("COPYRIGHT"), b"J\xfcrgen \xa9\n").unwrap();
    let made = world.run("release --snapshot");
    made.ends_with(0).says("warning: odd 0.1.0: LICENSE: ").says(" leads out of ");
    made.says("warning: odd 0.1.0: NOTICE: ").says("it has more than 4194304 bytes");
    let text = text(&world).unwrap();
    assert!(text.contains("J\u{fc}rgen's terms") && text.contains("J\u{fc}rgen \u{a9}"), "{text}");
    assert!(!text.contains("password"), "{text}");
}

/// A Dockerfile's image has what the images that are made without Docker have.
#[test]
fn a_dockerfile_goes_with_the_texts() {
    let world = with(&[("free", "license = \"MIT\"", &[("LICENSE", "terms\n")])], "");
    world.run("dockerfile").ends_with(0);
    let to = world.outside("rootfs");
    fs::create_dir_all(&to).unwrap();
    let tar = world.dist().join("docker/tool/rootfs.tar");
    run(world.with("tar", ["-C"]).arg(&to).arg("-xf").arg(&tar)).ends_with(0);
    let text = fs::read_to_string(to.join(format!("usr/share/doc/tool/{NAME}"))).unwrap();
    assert!(text.ends_with("terms\n"), "{text}");
}

/// `check` of licences alone.
fn check(world: &World, deny: &str) -> Run {
    world.file("deny.toml", deny);
    world.run("check --only licenses --json")
}

fn verdict(run: &Run) -> (String, String) {
    let all = run.list();
    let all = all.as_array().unwrap();
    let own = all.iter().find(|it| it["check"] == "licenses").unwrap();
    let text = |key: &str| own[key].as_str().unwrap().to_owned();
    (text("result"), text("detail"))
}

/// `RULE: PLACE: WHY` of each finding.
fn found(run: &Run) -> Vec<String> {
    let all = run.list();
    let own = all.as_array().unwrap().iter().find(|it| it["check"] == "licenses").unwrap().clone();
    let text = |it: &Value| {
        let (place, at) = (&it["place"]["file"], &it["place"]["at"]);
        let line = at[0].as_u64().unwrap_or(0);
        let (rule, why) = (it["rule"].as_str().unwrap(), it["why"].as_str().unwrap());
        format!("{rule}: {}:{line}: {why}", place.as_str().unwrap())
    };
    own["findings"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn a_project_without_rules_is_told_so_and_does_not_fail() {
    let world = with(&[("mute", "", &[])], "");
    let none = world.run("check --only licenses --json");
    assert_eq!(verdict(none.ends_with(0)), ("skipped".into(), "no [licenses] in deny.toml".into()));
    let none = check(&world, "[advisories]\nignore = []\n");
    assert_eq!(verdict(none.ends_with(0)), ("skipped".into(), "no [licenses] in deny.toml".into()));
    world.run("check --only licenses --require licenses").ends_with(1);
}

/// The rules, and what is found: an error fails.
#[test]
fn licences_are_checked_by_cargo_denys_rules() {
    let world = with(
        &[
            ("copyleft", "license = \"GPL-3.0-only OR LGPL-3.0-only\"", &[]),
            ("old", "license = \"MIT/Apache-2.0\"", &[]),
            ("shown", "", &[("LICENSE", include_str!("../../templates/licenses/ISC.txt"))]),
            ("own", "", &[("LICENSE", "My own terms\n")]),
        ],
        "",
    );
    let manifest = world.read("Cargo.toml").replace("edition", "license = \"Apache-2.0\"\nedition");
    world.file("Cargo.toml", &manifest);
    // The hash is what cargo-deny says of the file.
    let clarified = "[[licenses.clarify]]\ncrate = \"own\"\nexpression = \"LicenseRef-Own\"\n\
                     license-files = [{ path = \"LICENSE\", hash = HASH }]\n";
    let refused = "license-refused: Cargo.lock:5: copyleft 0.1.0: GPL-3.0-only, LGPL-3.0-only is \
                   not allowed, of its licence GPL-3.0-only OR LGPL-3.0-only (copyleft 0.1.0)";
    let base = "allow = [\"Apache-2.0\", \"ISC\"]\n";
    let first = check(&world, &format!("[licenses]\n{base}"));
    let seen = found(first.ends_with(1));
    assert_eq!(seen.len(), 2, "{seen:#?}");
    assert_eq!(seen[0], refused);
    let start = "license-unknown: Cargo.lock:13: own 0.1.0: it declares no licence, and its LICENSE is \
                 not a known text (hash = ";
    assert!(seen[1].starts_with(start), "{}", seen[1]);
    let hash = seen[1][start.len()..].split(')').next().unwrap();
    let clarified = clarified.replace("HASH", hash);
    let exception = "exceptions = [{ crate = \"copyleft@0.1\", allow = [\"LGPL-3.0-only\"] }]\n";
    let own = "allow = [\"Apache-2.0\", \"ISC\", \"LicenseRef-Own\"]\n";
    let passes = check(&world, &format!("[licenses]\n{own}{exception}{clarified}"));
    assert_eq!(verdict(passes.ends_with(0)), ("passed".into(), "5 crates".into()));
    // What is not needed is a warning, unless the rules say otherwise.
    let more = own.replace("ISC\"", "ISC\", \"Zlib\"");
    let unneeded = "license-unused: deny.toml:2:";
    for (level, code, count) in [("", 0, 1), ("warn", 0, 1), ("deny", 1, 1), ("allow", 0, 0)] {
        let level = match level {
            "" => String::new(),
            level => format!("unused-allowed-license = \"{level}\"\n"),
        };
        let run = check(&world, &format!("[licenses]\n{more}{level}{exception}{clarified}"));
        let seen = found(run.ends_with(code));
        assert_eq!(seen.len(), count, "{seen:?}");
        assert!(seen.iter().all(|it| it.starts_with(unneeded)), "{seen:?}");
    }
    // Exceptions may lie apart. A clarification of another file does not count.
    world.file("deny.exceptions.toml", &exception.replace("copyleft@0.1", "copyleft"));
    check(&world, &format!("[licenses]\n{own}{clarified}")).ends_with(0);
    let stale = clarified.replace(hash, "0x1");
    let stale = check(&world, &format!("[licenses]\n{own}{stale}"));
    assert_eq!(found(stale.ends_with(1)).len(), 2, "{stale:?}");
    // What cannot be read fails.
    let broken = check(&world, "[licenses]\ndeny = [\"GPL-3.0\"]\n");
    let (result, detail) = verdict(broken.ends_with(1));
    assert_eq!(result, "failed");
    assert!(detail.contains("[licenses] has `deny`, which cargo-deny removed"), "{detail}");
}

/// Which crates count.
#[test]
fn kinds_of_dependencies_and_private_crates_are_left_out_as_asked() {
    let world = World::empty();
    for (name, license) in
        [("normal", "MIT"), ("builds", "ISC"), ("tests", "Zlib"), ("bare", "0BSD")]
    {
        world.package(name, name, "0.1.0", &format!("license = \"{license}\"\n"));
        world.file(&format!("{name}/src/lib.rs"), "");
        fs::remove_file(world.path(&format!("{name}/src/main.rs"))).unwrap();
    }
    let needs = format!(
        "publish = false\n[dependencies]\nnormal = {{ path = \"normal\" }}\n\
         [build-dependencies]\nbuilds = {{ path = \"builds\" }}\n\
         [dev-dependencies]\ntests = {{ path = \"tests\" }}\n\
         [target.'cfg(windows)'.dependencies]\nbare = {{ path = \"bare\" }}\n\
         [workspace]\nexclude = [\"normal\", \"builds\", \"tests\", \"bare\"]\n{}",
        only_host()
    );
    world.package("", "tool", "1.0.0", &needs).file("build.rs", "fn main() {}\n").lock();
    let names = |deny: &str| -> Vec<String> {
        let run = check(&world, &format!("{deny}\n"));
        let found = found(&run);
        let name =
            |it: &String| it.split(": ").nth(2).unwrap().split(' ').next().unwrap().to_owned();
        found.iter().map(name).collect()
    };
    let linux = format!("[graph]\ntargets = [\"{HOST}\"]\n");
    for (deny, expected) in [
        ("[licenses]".to_owned(), &["bare", "builds", "normal", "tool"][..]),
        (format!("{linux}[licenses]"), &["builds", "normal", "tool"]),
        (
            "[licenses]\ninclude-dev = true".to_owned(),
            &["bare", "builds", "normal", "tests", "tool"],
        ),
        ("[licenses]\ninclude-build = false".to_owned(), &["bare", "normal", "tool"]),
        ("[licenses]\nprivate = { ignore = true }".to_owned(), &["bare", "builds", "normal"]),
        ("[graph]\nexclude = [\"bare\"]\n[licenses]".to_owned(), &["builds", "normal", "tool"]),
    ] {
        assert_eq!(names(&deny), expected, "{deny}");
    }
}
