//! The manifests of plugins: what makes them, and what is said of them.

use serde_json::Value;

use crate::world::{HOST, Run, World, entry_names, judge, run, sha256};

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

fn names(platforms: &[(String, String, String)]) -> Vec<String> {
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
    let artifacts: Value = serde_json::from_str(&world.read("dist/artifacts.json")).unwrap();
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
    let of = |targets: &[&str]| names(&platforms(&planned(&world, targets)));
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
        ("name = \"a.b\"", "holds more than letters, digits, - and _"),
        ("name = \"a b\"", "holds more than letters, digits, - and _"),
        ("name = \"../x\"", "holds more than letters, digits, - and _"),
        ("name = \"con\"", "is the name of a device on Windows"),
        ("uri = \"ftp://acme.test/{{ archive }}\"", "does not begin with https://"),
        ("uri = \"{{ archive }}\"", "does not begin with https://"),
        ("uri = \"https://acme.test/{{ archiv }}\"", "archiv"),
        ("uri = 7", "expected a string"),
        ("titel = \"x\"", "unknown key `titel`"),
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
}

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
    let manifest = world.read("Cargo.toml");
    for text in texts {
        // What JSON escapes, TOML does too.
        let quoted = serde_json::to_string(text).unwrap();
        world
            .file("Cargo.toml", &format!("{manifest}description = {quoted}\ncaveats = {quoted}\n"));
        world.run("krew manifest -q").ends_with(0);
        let made = world.path("dist/krew/tool.yaml");
        let script = "import sys, yaml, json; spec = yaml.safe_load(open(sys.argv[1]))['spec']; \
                      print(json.dumps([spec['description'], spec['caveats']]))";
        let read = run(&mut world.with(&python, ["-c", script, made.to_str().unwrap()]));
        if read.stderr.contains("No module named") {
            return crate::world::skipped("python3 has no module yaml");
        }
        assert_eq!(read.ends_with(0).json(), serde_json::json!([text, text]), "{text:?}");
    }
}

#[test]
fn two_licences_become_one_that_krew_knows() {
    let world = plugin("");
    std::fs::remove_file(world.path("LICENSE")).unwrap();
    world.file("LICENSE-MIT", "as it is\n").file("LICENSE-APACHE", "as is\n");
    let release = world.run("archive");
    release.ends_with(0).says("LICENSE of LICENSE-APACHE and LICENSE-MIT for kubectl-tool");
    let name = std::fs::read_dir(world.dist()).unwrap().map(|it| it.unwrap().path());
    let archive =
        name.into_iter().find(|path| path.to_string_lossy().ends_with(".tar.gz")).unwrap();
    let expected = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "kubectl-tool"];
    assert_eq!(entry_names(&archive), expected);
    assert!(world.read("dist/krew/tool.yaml").contains("- from: LICENSE\n"));
    // By a name of its own it is known, and nothing is joined.
    world.file("COPYING", "free\n");
    world.run("archive").ends_with(0).never_says("krew takes no licence by another name");
}

fn validate(world: &World, args: &str) -> Run {
    world.run(&format!("krew validate {args}"))
}

#[test]
fn validate_says_what_is_wrong_where_it_stands() {
    let world = plugin("");
    world.run("krew manifest -q").ends_with(0);
    let text = world.read("dist/krew/tool.yaml");
    let broken =
        text.replace("version: v", "version: ").replace("apiVersion", "# a comment\napiVersion");
    world.file("tool.yaml", &broken);
    let said = validate(&world, "tool.yaml");
    said.ends_with(1).no_result();
    said.says("error: tool.yaml:7:12: the version \"1.2.3\" does not begin with v\n  help: write v1.2.3\n");
    let json = validate(&world, "--json tool.yaml");
    let json = json.ends_with(1).json();
    assert_eq!(json[0]["rule"], "version-prefix");
    assert_eq!(json[0]["place"]["at"], serde_json::json!([7, 12]));

    let mut annotated = world.tool(["krew", "validate", "tool.yaml"]);
    let annotated = run(annotated.env("GITHUB_ACTIONS", "true"));
    annotated
        .ends_with(1)
        .says("::error file=tool.yaml,line=7,col=12::tool.yaml:7:12: the version");

    // Warnings alone fail nothing.
    world.file("tool.yaml", &text.replace("  homepage: https://github.com/acme/tool.git\n", ""));
    let odd = validate(&world, "tool.yaml");
    odd.ends_with(0).says("warning: tool.yaml:6:3: there is no homepage");
    // All files are looked at, whatever is wrong with one.
    world.file("other.yaml", "kind: [");
    let both = validate(&world, "other.yaml tool.yaml");
    both.ends_with(1).says("error: other.yaml:").says("warning: tool.yaml:6:3");
    std::fs::write(world.path("latin.yaml"), b"name: \xe4\n").unwrap();
    validate(&world, "latin.yaml").ends_with(1).says("error: latin.yaml: the manifest is no UTF-8");
    validate(&world, "absent.yaml").ends_with(1).says("absent.yaml");
    validate(&world, "src").ends_with(1).no_result();
    world.run("krew validate").ends_with(2).says("<FILE>...");
}

#[test]
fn validate_installs_from_the_archives_that_it_finds() {
    let world = plugin("");
    world.run("krew manifest -q").ends_with(0);
    let name = std::fs::read_dir(world.dist()).unwrap().map(|it| it.unwrap().path());
    let archive =
        name.into_iter().find(|path| path.to_string_lossy().ends_with(".tar.gz")).unwrap();
    let whole = std::fs::read(&archive).unwrap();
    // A manifest in dist/krew is judged by the archives of dist/.
    std::fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
    let damaged = validate(&world, "dist/krew/tool.yaml");
    damaged.ends_with(1).says("dist/krew/tool.yaml:").says("the sha256 of ").says(" is ");
    std::fs::write(&archive, &whole).unwrap();
    validate(&world, "dist/krew/tool.yaml").ends_with(0);
    // Elsewhere a folder must be named.
    std::fs::copy(world.path("dist/krew/tool.yaml"), world.path("tool.yaml")).unwrap();
    validate(&world, "tool.yaml").ends_with(0);
    validate(&world, "tool.yaml --archives dist").ends_with(0);
    let absent = validate(&world, "tool.yaml --archives src");
    absent.ends_with(1).says("there is no ").says("put the archive of each platform there");
    let wrong = world.read("tool.yaml").replace("bin: kubectl-tool", "bin: tool");
    world.file("tool.yaml", &wrong);
    let wrong = validate(&world, "tool.yaml --archives dist");
    wrong
        .ends_with(1)
        .says("there is no \"tool\" in what is installed: \"LICENSE\", \"kubectl-tool\"");
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
    assert_ne!(world.read("dist/krew/tool.yaml"), first);
    assert_eq!(kept(), 2);
}
