//! The manifests of plugins: what makes them, and what is said of them.

use std::path::PathBuf;

use serde_json::Value;

use crate::world::krew::Judges;
use crate::world::{
    AARCH64, HOST, World, X86_64, assert_whole, entry_names, judge, names, run, sha256, skipped,
};

mod validate;

/// A plugin for this machine alone, with more in its table of krew.
fn plugin(more: &str) -> World {
    let world = World::empty();
    let package = format!(
        "description = \"Says its version\"\nrepository = \"https://github.com/acme/tool.git\"\n\
         [package.metadata.dockless]\ntargets = [\"{HOST}\"]\n\
         [package.metadata.dockless.krew]\n{more}"
    );
    world.package("", "kubectl-tool", "1.2.3", &package).file("LICENSE", "free\n").lock().commit();
    world.git(["tag", "v1.2.3"]);
    world
}

/// The only archive for this machine in dist/.
fn archive(world: &World) -> PathBuf {
    let archives = names(&world.dist()).into_iter().filter(|name| name.ends_with(".tar.gz"));
    let [archive] = &archives.collect::<Vec<_>>()[..] else { panic!("there is one archive") };
    world.dist().join(archive)
}

/// The plugins that a release would make, with these targets.
fn planned(world: &World, targets: &[&str]) -> Value {
    let targets = targets.iter().map(|target| format!(" --target {target}"));
    world.plan(&format!("--snapshot{}", targets.collect::<String>()))["krew"].clone()
}

/// The platforms of the only plugin: system, architectures, program.
fn platforms(plugins: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = plugins[0]["platforms"].as_array().unwrap();
    let arches = |it: &Value| it["arches"].as_array().unwrap().iter().map(text).collect::<Vec<_>>();
    let one = |it: &Value| (text(&it["os"]), arches(it).join("+"), text(&it["bin"]));
    all.iter().map(one).collect()
}

fn shown(platforms: &[(String, String, String)]) -> Vec<String> {
    platforms.iter().map(|(os, arches, bin)| format!("{os}/{arches} {bin}")).collect()
}

#[test]
fn a_release_has_a_manifest_of_its_very_archives() {
    let world = plugin("");
    let release = world.run("release --skip publish,check");
    release.ends_with(0).never_says("warning");
    let archive = format!("kubectl-tool-v1.2.3-{HOST}.tar.gz");
    let digest = sha256(&std::fs::read(world.dist().join(&archive)).unwrap());
    let arch = if HOST.starts_with("aarch64") { "arm64" } else { "amd64" };
    let expected = format!(
        "apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: tool
spec:
  version: v1.2.3
  homepage: https://github.com/acme/tool.git
  shortDescription: Says its version
  description: Says its version
  platforms:
  - selector:
      matchLabels:
        os: linux
        arch: {arch}
    uri: https://github.com/acme/tool/releases/download/v1.2.3/{archive}
    sha256: {digest}
    files:
    - from: kubectl-tool
      to: .
    - from: LICENSE
      to: .
    bin: kubectl-tool
"
    );
    assert_eq!(world.read("dist/krew/tool.yaml"), expected);
    let artifacts = world.artifacts();
    let kinds = artifacts.as_array().unwrap().iter();
    let listed = kinds.filter(|it| it["type"] == "Krew Plugin Manifest").collect::<Vec<_>>();
    assert_eq!((listed.len(), &listed[0]["path"]), (1, &Value::from("dist/krew/tool.yaml")));

    // The others make the same file; of a command for plugins alone it is the result.
    for other in ["archive", "krew manifest"] {
        let made = world.run(other);
        made.ends_with(0);
        assert_eq!(world.read("dist/krew/tool.yaml"), expected, "{other}");
    }
    let printed = world.run("krew manifest -q");
    let path = world.dist().join("krew/tool.yaml");
    assert_eq!(printed.ends_with(0).line(), path.display().to_string());
    world.run("krew validate dist/krew/tool.yaml").ends_with(0).never_says("warning");
}

#[test]
fn each_platform_of_krew_is_chosen_once() {
    let Some(_) = judge("zig") else { return };
    let world = plugin("");
    let of = |targets: &[&str]| shown(&platforms(&planned(&world, targets)));
    let exe = "kubectl-tool.exe";
    let (mac, win) = ("aarch64-apple-darwin", "x86_64-pc-windows-gnu");
    let musl = "x86_64-unknown-linux-musl";
    assert_eq!(
        of(&[musl, win, mac]),
        ["darwin/arm64 kubectl-tool", "linux/amd64 kubectl-tool", &format!("windows/amd64 {exe}")]
    );
    // Of two for the same machines, the one that runs on all of them.
    let both = planned(&world, &["x86_64-unknown-linux-gnu", musl]);
    assert!(both[0]["platforms"][0]["archive"].as_str().unwrap().contains("musl"), "{both}");
    assert_eq!(platforms(&both).len(), 1);
    // A universal program is for both, where there is none for one alone.
    assert_eq!(of(&["universal2-apple-darwin"]), ["darwin/amd64+arm64 kubectl-tool"]);
    assert_eq!(
        of(&["universal2-apple-darwin", mac]),
        ["darwin/amd64 kubectl-tool", "darwin/arm64 kubectl-tool"]
    );
    assert_eq!(of(&["i686-unknown-linux-musl"]), ["linux/386+amd64 kubectl-tool"]);
    assert_eq!(
        of(&["i686-unknown-linux-musl", musl]),
        ["linux/386 kubectl-tool", "linux/amd64 kubectl-tool"]
    );
}

/// What a manifest has before its platforms.
const HEAD: &str = "\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: tool
spec:
  version: v1.2.3
  homepage: https://acme.test
  shortDescription: Tells
  description: |-
    Says its version.

      kubectl tool: # how
  caveats: |
    Beware.
  platforms:
";

#[test]
fn each_system_is_installed_from_its_own_archive() {
    let Some(_) = judge("zig") else { return };
    let world = plugin(
        "short-description = \"Tells\"\ncaveats = \"Beware.\\n\"\nhomepage = \"https://acme.test\"\n\
         description = \"\"\"\nSays its version.\n\n  kubectl tool: # how\"\"\"\n\
         uri = \"https://acme.test/{{ name }}/{{ tag }}/{{ archive }}\"\n",
    );
    let targets = ["x86_64-pc-windows-gnu", X86_64, "universal2-apple-darwin", AARCH64];
    let args = targets.map(|target| format!(" --target {target}")).concat();
    world.run(&format!("krew manifest -q{args}")).ends_with(0).never_says("warning");
    assert_whole(&world.dist());
    let entry = |os: &str, arch: &str, target: &str, format: &str, exe: &str| {
        let archive = format!("kubectl-tool-v1.2.3-{target}.{format}");
        let digest = sha256(&std::fs::read(world.dist().join(&archive)).unwrap());
        let arch = match arch {
            "" => "      matchExpressions:\n      - key: arch\n        operator: In\n        \
                   values:\n        - amd64\n        - arm64\n"
                .to_owned(),
            arch => format!("        arch: {arch}\n"),
        };
        format!(
            "  - selector:\n      matchLabels:\n        os: {os}\n{arch}    \
             uri: https://acme.test/kubectl-tool/v1.2.3/{archive}\n    sha256: {digest}\n    \
             files:\n    - from: kubectl-tool{exe}\n      to: .\n    \
             - from: LICENSE\n      to: .\n    bin: kubectl-tool{exe}\n"
        )
    };
    let expected = [
        HEAD.to_owned(),
        entry("darwin", "", "universal2-apple-darwin", "tar.gz", ""),
        entry("linux", "amd64", X86_64, "tar.gz", ""),
        entry("linux", "arm64", AARCH64, "tar.gz", ""),
        entry("windows", "amd64", "x86_64-pc-windows-gnu", "zip", ".exe"),
    ];
    assert_eq!(world.read("dist/krew/tool.yaml"), expected.concat());
    world.run("krew validate dist/krew/tool.yaml").ends_with(0).never_says("warning");
}

#[test]
fn a_workspace_has_a_manifest_of_each_plugin() {
    let metadata = format!("[workspace.metadata.dockless]\ntargets = [\"{HOST}\"]\n");
    let packages = [("kubectl-one", "1.0.0"), ("kubectl-two", "1.0.0"), ("other", "1.0.0")];
    let world = World::workspace(&packages, &metadata);
    let about = "description = \"Tells\"\nrepository = \"https://acme.test/all\"\n";
    for package in ["kubectl-one", "kubectl-two"] {
        world.package(package, package, "1.0.0", about);
    }
    world.commit();
    let made = || names(&world.dist().join("krew"));
    let archives = || {
        let all = names(&world.dist()).into_iter().filter(|name| name.ends_with(".tar.gz"));
        all.filter_map(|name| Some(name.split_once("-v1.0.0")?.0.to_owned())).collect::<Vec<_>>()
    };
    let run = world.run("krew manifest -q");
    let expected = ["one", "two"]
        .map(|name| format!("{}\n", world.dist().join(format!("krew/{name}.yaml")).display()));
    assert_eq!(run.ends_with(0).stdout, expected.concat());
    assert_eq!(
        (made(), archives()),
        (
            vec!["one.yaml".to_owned(), "two.yaml".to_owned()],
            vec!["kubectl-one".to_owned(), "kubectl-two".to_owned()]
        )
    );
    assert_whole(&world.dist());
    // Images have no part in it.
    world.run("release --snapshot -q").ends_with(0);
    assert_eq!((made().len(), archives().len()), (2, 3));
    world.run("image -q").ends_with(0);
    assert_eq!((made().len(), archives().len()), (2, 3));
    assert_whole(&world.dist());
    // What another name had goes with it.
    let renamed = format!("{about}[package.metadata.dockless.krew]\nname = \"first\"\n");
    world.package("kubectl-one", "kubectl-one", "1.0.0", &renamed);
    world.run("archive -q").ends_with(0);
    assert_eq!(made(), ["first.yaml", "two.yaml"]);
    assert_whole(&world.dist());
    let other = world.run("krew manifest --package other");
    other.ends_with(1).no_result().says("no package is a kubectl plugin").says("  help: ");
    world.run("krew manifest -q --package kubectl-two").ends_with(0);
    assert_eq!(made(), ["two.yaml"]);
    assert_whole(&world.dist());
    world.run("release --snapshot -q --skip archive").ends_with(0);
    assert!(!world.dist().join("krew").exists());
}

#[test]
fn what_krew_has_no_use_for_is_left_out_and_said() {
    let Some(_) = judge("zig") else { return };
    let world = plugin("");
    let targets = "--snapshot --target s390x-unknown-linux-gnu --target x86_64-unknown-linux-musl";
    let plan = world.plan(targets);
    assert_eq!(plan["krew"][0]["platforms"].as_array().unwrap().len(), 1);
    let left_out = plan["left_out"].to_string();
    assert!(left_out.contains("krew knows no linux/s390x"), "{left_out}");

    let lacking = |world: &World, why: &str, fix: &str| {
        let plan = world.plan("--snapshot");
        assert_eq!(plan["krew"].as_array().unwrap().len(), 0);
        let left_out = plan["left_out"].to_string();
        assert!(left_out.contains(why) && left_out.contains(fix), "{left_out}");
        // It is all that one of these would make.
        for command in ["krew manifest", "release --dry-run"] {
            world.run(command).ends_with(1).no_result().says(why).says("  help: ").says(fix);
        }
        assert!(!world.path("target").exists() && !world.dist().exists());
    };
    let manifest = plugin("").read("Cargo.toml");
    let without = |line: &str| {
        let world = plugin("");
        let text: Vec<&str> = manifest.lines().filter(|it| !it.starts_with(line)).collect();
        world.file("Cargo.toml", &text.join("\n"));
        world
    };
    let (why, fix) = ("krew wants a description", "set `description` in Cargo.toml");
    lacking(&without("description"), why, fix);
    let (why, fix) = ("nothing says where the archives will be served", "or `uri` in");
    lacking(&without("repository"), why, fix);
    let world = plugin("");
    std::fs::remove_file(world.path("LICENSE")).unwrap();
    lacking(&world, "krew takes no plugin without a licence", "put a LICENSE into");
}

#[test]
fn who_is_a_plugin_says_so() {
    let plugins = |world: &World| world.plan("--snapshot")["krew"].as_array().unwrap().len();
    assert_eq!(plugins(&plugin("ship = false\n")), 0);
    // By its table alone, which must name it then.
    let world = plugin("name = \"other\"\n");
    let manifest = world.read("Cargo.toml").replace("kubectl-tool", "tool");
    world.file("Cargo.toml", &manifest).lock();
    assert_eq!(world.plan("--snapshot")["krew"][0]["name"], "other");
    world.file("Cargo.toml", &manifest.replace("name = \"other\"\n", ""));
    let unnamed = world.run("release --dry-run --snapshot");
    unnamed.ends_with(1).says("no binary of \"tool\" is called kubectl-").says("name = ");
    // A program of another name is none.
    let world = World::quick("1.0.0");
    assert_eq!(plugins(&world), 0);
    world.run("krew manifest").ends_with(1).no_result().says("krew");
}

#[test]
fn what_krew_would_refuse_is_refused_before_anything_is_compiled() {
    for (more, why) in [
        ("name = \"a.b\"", "has other characters than letters, digits, - and _"),
        ("name = \"a b\"", "has other characters than letters, digits, - and _"),
        ("name = \"../x\"", "has other characters than letters, digits, - and _"),
        ("name = \"con\"", "is the name of a device on Windows"),
        ("uri = \"ftp://acme.test/{{ archive }}\"", "does not begin with https://"),
        ("uri = \"{{ archive }}\"", "does not begin with https://"),
        ("uri = \"https://acme.test/{{ archiv }}\"", "archiv"),
        ("uri = 7", "expected a string"),
        ("uri = \"git@github.com:acme/tool.git/{{ archive }}\"", "does not begin with https://"),
        ("name = \"a/b\"", "has other characters than letters, digits, - and _"),
        ("name = \" \"", "has other characters than letters, digits, - and _"),
        ("short-description = \" \"", "shortDescription is empty"),
        ("description = \"\\n\"", "description is empty"),
        ("ship = \"no\"", "expected"),
        ("name = []", "expected a string"),
        ("short-description = 1.0", "expected a string"),
        ("description = true", "expected a string"),
        ("homepage = {}", "expected a string"),
        ("caveats = [\"x\"]", "expected a string"),
        ("titel = \"x\"", "unknown key `titel`"),
        ("short_description = \"x\"", "did you mean `short-description`?"),
    ] {
        let world = plugin(&format!("{more}\n"));
        for command in ["release --dry-run --snapshot", "release --snapshot", "krew manifest"] {
            world.run(command).ends_with(1).no_result().says(why).says("  help: ");
        }
        assert!(!world.path("target").exists() && !world.dist().exists(), "{more}");
    }
    let world = World::workspace(&[("a", "1.0.0"), ("b", "1.0.0")], "");
    for package in ["a", "b"] {
        let more = "description = \"x\"\nrepository = \"https://acme.test\"\n\
                    [package.metadata.dockless.krew]\nname = \"same\"\n";
        world.package(package, package, "1.0.0", more).file("LICENSE", "free\n");
    }
    let twice = world.run("release --dry-run --snapshot");
    twice.ends_with(1).says("krew manifest of a: the plugin \"same\" is made of b too");
    let other = world.read("b/Cargo.toml").replace("same", "Same");
    world.file("b/Cargo.toml", &other).run("release --dry-run --snapshot").ends_with(1);
}

/// krew takes what its index's guide would have otherwise.
#[test]
fn what_a_guide_asks_for_is_said_and_stops_nothing() {
    let world = plugin("name = \"Kube_tool\"\nhomepage = \"acme.test\"\n");
    let made = world.run("krew manifest");
    made.ends_with(0).says("warning: ").says("has upper case").says("an underscore");
    made.says("homepage \"acme.test\" does not begin with https://").never_says("error");
    let again = world.run("krew validate dist/krew/Kube_tool.yaml");
    again.ends_with(0).says("dist/krew/Kube_tool.yaml:4:9: \"Kube_tool\" has upper case");
}

/// Prints a manifest's texts, as a reader of YAML 1.1 has them.
const SPEC: &str = "import sys, yaml, json; spec = yaml.safe_load(open(sys.argv[1]))['spec']; \
                    print(json.dumps([spec['description'], spec['caveats']]))";

#[test]
fn texts_come_out_as_they_were_set() {
    let Some(python) = judge("python3") else { return };
    let texts = [
        "yes",
        "1.0",
        "# x",
        "a: b",
        " a ",
        "- a",
        "it's",
        "say \"hi\"",
        "ü 日本 \u{1f600}",
        "null",
        "[a]",
        "one\ntwo\n",
        "one\n\n  two\nthree",
        "\ttab",
        "trailing \nspace",
        "{{ x }}",
        "a\\nb",
        "%",
        "@a",
        "`a`",
        "!a",
        "&a",
        "*a",
        "| a",
        "> a",
        "? a",
        "0x1F",
        "2026-01-01",
        "a #b",
        "...",
        "---",
    ];
    let world = plugin("");
    let judges = Judges::find(&world, &[]);
    let manifest = world.read("Cargo.toml");
    for pair in texts.chunks(2) {
        let [description, caveats] = [pair[0], pair[pair.len() - 1]];
        // What JSON escapes, TOML does too.
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let (first, second) = (quoted(description), quoted(caveats));
        world.file("Cargo.toml", &format!("{manifest}description = {first}\ncaveats = {second}\n"));
        world.run("krew manifest -q").ends_with(0);
        let expected = serde_json::json!([description, caveats]);
        let made = world.path("dist/krew/tool.yaml");
        let read = run(&mut world.with(&python, ["-c", SPEC, made.to_str().unwrap()]));
        if read.stderr.contains("No module named") {
            return skipped("python3 has no module yaml");
        }
        assert_eq!(read.ends_with(0).json(), expected);
        // krew keeps what it read of a plugin that it installs.
        let Some(judges) = &judges else { continue };
        let args = ["krew", "install", "--manifest", made.to_str().unwrap(), "--archive"];
        run(judges.kubectl(&world, &args).arg(archive(&world))).ends_with(0);
        let receipt = world.outside("krew/receipts/tool.yaml");
        let read = run(&mut world.with(&python, ["-c", SPEC, receipt.to_str().unwrap()]));
        assert_eq!(read.ends_with(0).json(), expected, "as krew read it");
        std::fs::remove_dir_all(world.outside("krew")).unwrap();
    }
}

#[test]
fn two_licences_become_one_that_krew_knows() {
    let world = plugin("");
    std::fs::remove_file(world.path("LICENSE")).unwrap();
    world.file("LICENSE-MIT", "as it is\n").file("LICENSE-APACHE", "as is\n");
    let release = world.run("archive");
    release.ends_with(0).says("LICENSE of LICENSE-APACHE and LICENSE-MIT for kubectl-tool");
    let archive = archive(&world);
    let expected = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "kubectl-tool"];
    assert_eq!(entry_names(&archive), expected);
    assert!(world.read("dist/krew/tool.yaml").contains("- from: LICENSE\n"));
    // One alone is as unknown by its name.
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        std::fs::remove_file(world.path(name)).unwrap();
    }
    world.file("UNLICENSE", "for all\n");
    world.run("archive").ends_with(0).says("LICENSE of UNLICENSE for kubectl-tool: krew takes no");
    world.run("krew validate dist/krew/tool.yaml").ends_with(0);
    // By a name of its own it is known, and nothing is joined.
    world.file("COPYING", "free\n");
    world.run("archive").ends_with(0).never_says("krew takes no licence by another name");
    assert!(world.read("dist/krew/tool.yaml").contains("- from: COPYING\n"));
}

/// What was found to be right is known by its digests, and nothing else is.
#[test]
fn a_release_is_judged_again_where_anything_changed() {
    let world = plugin("");
    world.run("archive -q").ends_with(0);
    let first = world.read("dist/krew/tool.yaml");
    world.run("archive -q").ends_with(0);
    assert_eq!(world.read("dist/krew/tool.yaml"), first);
    let kept = || {
        let entries = std::fs::read_dir(world.outside("cache/plugin")).unwrap();
        entries.filter(|it| it.as_ref().unwrap().file_name().len() == 64).count()
    };
    assert_eq!(kept(), 1);
    world.file("src/main.rs", "fn main() { println!(\"another\") }");
    world.run("archive -q").ends_with(0);
    let second = world.read("dist/krew/tool.yaml");
    assert_ne!(second, first);
    assert_eq!(kept(), 2);
    // Where nothing is known any more, it is found out again.
    std::fs::remove_dir_all(world.outside("cache")).unwrap();
    world.run("archive -q").ends_with(0);
    assert_eq!((world.read("dist/krew/tool.yaml"), kept()), (second, 1));
}
