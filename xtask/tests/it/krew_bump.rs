//! `krew bump` on a checkout of an index: what it changes, what it does not, and what it leaves
//! to a person; beside the index's bot, where that is here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_yaml::Value as Yaml;

use crate::world::{HOST, Run, World, contents, only_host, run, said, sha256, skipped};

#[path = "../../src/krew/approval/tests/cases.rs"]
mod cases;
mod head;

use cases::{CASES, OURS, texts};

const ENTRY: &str = "\
# By hand.
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: foo
spec:
  version: \"v1.2.3\"
  homepage: https://github.com/acme/foo
  shortDescription: Shows what foo is
  description: >-
    Shows what foo is.
  caveats: Needs bar.
  platforms:
    # On Linux.
    - bin: foo
      uri: https://example.org/v1.2.3/foo-1.2.3.tar.gz
      sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      selector:
        matchLabels: {os: linux, arch: amd64}
";

/// The entry at the next version, as `krew bump` leaves it.
fn next() -> String {
    ENTRY.replace("1.2.3", "1.3.0").replace(&"a".repeat(64), &"b".repeat(64))
}

/// What a release leaves of a plugin.
fn manifest(name: &str, version: &str) -> String {
    format!(
        "\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: {name}
spec:
  version: v{version}
  shortDescription: Shows what foo is
  description: Shows what foo is.
  platforms:
  - selector:
      matchLabels:
        os: linux
        arch: amd64
    uri: https://example.org/v{version}/foo-{version}.tar.gz
    sha256: {}
    files:
    - from: foo
      to: .
    bin: foo
",
        "b".repeat(64)
    )
}

/// What a dist/ says that it is of.
fn metadata(version: &str, commit: Option<&str>) -> String {
    let packages = serde_json::json!([{ "name": "tool", "version": version }]);
    let of = serde_json::json!({ "version": version, "commit": commit, "packages": packages,
                                 "dockless": "0.1.0" });
    of.to_string()
}

/// A project without git, with a dist/ that holds manifests, and an index with an entry of
/// `foo` in it.
fn world(manifests: &[(&str, &str)]) -> World {
    world_at("1.3.0", manifests)
}

/// The same at another version.
fn world_at(version: &str, manifests: &[(&str, &str)]) -> World {
    let world = World::quick(version);
    world.file("dist/metadata.json", &metadata(version, None));
    for (name, text) in manifests {
        world.file(&format!("dist/krew/{name}.yaml"), text);
    }
    world.file("index/plugins/foo.yaml", ENTRY);
    world
}

fn bump(world: &World, args: &str) -> Run {
    world.run(format!("krew bump --index index {args}").trim())
}

#[test]
fn a_release_changes_its_entry_in_the_index() {
    let world = World::empty();
    let more = format!(
        "description = \"Shows what foo is\"\nrepository = \"https://github.com/acme/foo\"\n{}\
         [package.metadata.dockless.krew]\n\
         uri = \"https://example.org/{{{{ version }}}}/{{{{ archive }}}}\"\n",
        only_host()
    );
    world.package("", "kubectl-foo", "1.3.0", &more).file("LICENSE", "free\n").lock().commit();
    world.git(["tag", "v1.3.0"]);
    let made = world.run("krew manifest");
    made.ends_with(0);
    let archive = format!("kubectl-foo-v1.3.0-{HOST}.tar.gz");
    let digest = sha256(&fs::read(world.path(&format!("dist/{archive}"))).unwrap());
    let arch = if HOST.starts_with("x86_64") { "amd64" } else { "arm64" };
    let before = ENTRY.replace("amd64", arch).replace("/v1.2.3/foo-1.2.3.tar.gz", "/1.2.3/foo");
    let before =
        before.replace("/foo\n      sha", &format!("/kubectl-foo-v1.2.3-{HOST}.tar.gz\n      sha"));
    let index = world.outside("index");
    fs::create_dir_all(index.join("plugins")).unwrap();
    let file = index.join("plugins/foo.yaml");
    fs::write(&file, &before).unwrap();
    let run = world.run("krew bump --index ../index");
    assert_eq!(run.ends_with(0).line(), "../index/plugins/foo.yaml");
    run.says("../index/plugins/foo.yaml: v1.2.3 -> v1.3.0, 3 values");
    let after = before.replace("1.2.3", "1.3.0").replace(&"a".repeat(64), &digest);
    assert_eq!(fs::read_to_string(&file).unwrap(), after);
    assert_eq!(contents(&index).len(), 1);
    let again = world.run("krew bump --index ../index");
    again.ends_with(0).no_result().says("has v1.3.0 already");
}

#[test]
fn values_change_and_nothing_else() {
    let world = world(&[("foo", &manifest("foo", "1.3.0"))]);
    world.file("index/plugins/other.yaml", "x").file("index/README.md", "x");
    let before = contents(&world.path("index"));
    let dry = bump(&world, "--dry-run");
    dry.ends_with(0).no_result().says("index/plugins/foo.yaml:7: v1.2.3 -> v1.3.0");
    assert_eq!(contents(&world.path("index")), before);
    let dry = bump(&world, "--dry-run --json").ends_with(0).list();
    assert_eq!(contents(&world.path("index")), before);
    let json = bump(&world, "foo --json").ends_with(0).list();
    assert_eq!(dry, json);
    assert_eq!(
        json,
        serde_json::json!([{
            "plugin": "foo",
            "file": "index/plugins/foo.yaml",
            "outcome": "bumped",
            "from": "v1.2.3",
            "to": "v1.3.0",
            "changes": [
                {"line": 7, "before": "v1.2.3", "after": "v1.3.0"},
                {
                    "line": 16,
                    "before": "https://example.org/v1.2.3/foo-1.2.3.tar.gz",
                    "after": "https://example.org/v1.3.0/foo-1.3.0.tar.gz",
                },
                {"line": 17, "before": "a".repeat(64), "after": "b".repeat(64)},
            ],
            "findings": [],
        }])
    );
    let mut expected = before;
    expected.insert("plugins/foo.yaml".to_owned(), next().into_bytes());
    assert_eq!(contents(&world.path("index")), expected);
}

#[test]
fn what_the_bot_would_not_approve_is_not_written() {
    type Row = (&'static str, &'static str, (&'static str, &'static str), &'static [&'static str]);
    let table: &[Row] = &[
        // The release's version, that of the entry, a change of the entry, and what is said.
        ("1.3.0-rc.1", "1.2.3", ("", ""), &["v1.3.0-rc.1 is a pre-release", "foo.yaml:7:12"]),
        ("1.2.3", "1.3.0", ("", ""), &["goes back from v1.3.0 to v1.2.3"]),
        ("1.2.3", "1.2.3", ("", ""), &["the version does not change"]),
        ("1.3.0", "1.2.3", ("\"v1.2.3\"", "'v1.2.3'"), &["\"'v1.2.3'\" as a version"]),
        ("1.3.0", "1.2.3", ("\"v1.2.3\"", "v1.2.3 # x"), &["\"v1.2.3 # x\" as a version"]),
        (
            "1.3.0",
            "1.2.3",
            ("      uri:", "      'uri':"),
            &["the bot accepts no change of the line"],
        ),
        (
            "1.3.0",
            "1.2.3",
            ("foo-1.2.3", "foo-v1"),
            &["the release serves https://example.org/v1.3.0/foo-1.3.0.tar.gz"],
        ),
        ("1.3.0", "1.2.3", ("example.org", "example.com"), &["example.com/v1.3.0"]),
        (
            "1.3.0",
            "1.2.3",
            ("arch: amd64", "arch: arm64"),
            &["warning", "the release has linux/amd64"],
        ),
        ("1.3.0", "1.2.3", ("kind: Plugin", "kind: &a Plugin"), &["foo.yaml:3:7: an anchor"]),
        ("1.3.0", "1.2.3", ("name: foo", "name: bar"), &["the entry is \"bar\""]),
        ("1.3.0", "1.2.3", ("  platforms:", "  platform:"), &["no `platforms`"]),
    ];
    for (to, from, (old, new), said) in table {
        let world = world_at(to, &[("foo", &manifest("foo", to))]);
        let entry = ENTRY.replace("1.2.3", from).replace(old, new);
        let entry = if old.is_empty() { ENTRY.replace("1.2.3", from) } else { entry };
        world.file("index/plugins/foo.yaml", &entry);
        let warned = said[0] == "warning";
        let refused = bump(&world, "");
        for text in *said {
            refused.says(text);
        }
        if warned {
            refused.ends_with(0);
            continue;
        }
        refused.ends_with(1).no_result();
        assert_eq!(world.read("index/plugins/foo.yaml"), entry, "{said:?}");
        let json = bump(&world, "--json").ends_with(1).list();
        assert_eq!(json[0]["outcome"], "refused", "{said:?}");
        let rewritten = bump(&world, "--rewrite");
        assert_eq!(rewritten.ends_with(0).line(), "index/plugins/foo.yaml", "{said:?}");
        rewritten.says("warning: ").never_says("error: ");
        let written = world.read("index/plugins/foo.yaml");
        assert!(written.contains(&format!("v{to}/foo-{to}.tar.gz")), "{said:?}: {written}");
        run(&mut world.tool(["krew", "validate", "index/plugins/foo.yaml"])).ends_with(0);
    }
}

#[test]
fn a_rewritten_entry_keeps_what_the_release_has_not() {
    let world = world(&[("foo", &manifest("foo", "1.3.0"))]);
    let before = ENTRY.replace("example.org", "example.com");
    world.file("index/plugins/foo.yaml", &before);
    let run = bump(&world, "--rewrite");
    run.ends_with(0).says("v1.2.3 -> v1.3.0; anew: version, platforms; kept: homepage, caveats");
    let (kept, _) = before.split_once("  platforms:").unwrap();
    let manifest = manifest("foo", "1.3.0");
    let (_, platforms) = manifest.split_once("  platforms:").unwrap();
    let expected = format!("{}  platforms:{platforms}", kept.replace("1.2.3", "1.3.0"));
    assert_eq!(world.read("index/plugins/foo.yaml"), expected);
}

/// What krew refuses is not written, whoever is to review it.
#[test]
fn what_krew_refuses_is_never_written() {
    let two = manifest("foo", "1.3.0");
    let world = world(&[("foo", &two.replace("bin: foo", "bin: ../foo"))]);
    for args in ["", "--rewrite"] {
        bump(&world, args).ends_with(1).no_result().says("dist/krew/foo.yaml:").says("leads out");
        assert_eq!(world.read("index/plugins/foo.yaml"), ENTRY);
    }
    // A fault of the entry that was there before is none of the release's.
    world.file("dist/krew/foo.yaml", &two);
    world.file("index/plugins/foo.yaml", &ENTRY.replace("    Shows what foo is.", "    "));
    bump(&world, "").ends_with(0);
}

#[test]
fn a_first_submission_is_made_by_a_person() {
    let world = world(&[("foo", &manifest("foo", "1.3.0")), ("new", &manifest("new", "1.3.0"))]);
    let refused = bump(&world, "new");
    refused.ends_with(1).no_result().says("the index has no plugin new");
    refused.says("copy dist/krew/new.yaml to index/plugins/new.yaml");
    // Of several nothing is written where one cannot be, and nothing else is said.
    let held = bump(&world, "");
    held.ends_with(1).no_result().never_says(" bump ");
    held.says(" leave index/plugins/foo.yaml as it is: another entry is refused\n");
    let held = bump(&world, "--json").ends_with(1).list();
    assert_eq!((&held[0]["outcome"], &held[1]["outcome"]), (&"held".into(), &"refused".into()));
    assert_eq!(world.read("index/plugins/foo.yaml"), ENTRY);
    let both = bump(&world, "--rewrite");
    both.ends_with(0).says("a first submission").says("one plugin a pull request");
    assert_eq!(both.stdout, "index/plugins/foo.yaml\nindex/plugins/new.yaml\n");
    assert_eq!(world.read("index/plugins/new.yaml"), manifest("new", "1.3.0"));
    assert_eq!(world.read("index/plugins/foo.yaml"), next());
}

#[test]
fn what_is_not_there_is_said() {
    let world = world(&[("foo", &manifest("foo", "1.3.0"))]);
    bump(&world, "bar").ends_with(1).says("no plugin \"bar\"").says("name one of foo");
    bump(&world, "../foo").ends_with(1).says("no plugin \"../foo\"");
    world.run("krew bump").ends_with(2).says("--index");
    world.run("krew bump --index nowhere").ends_with(1).says("nowhere is no index of krew");
    world.run("krew bump --index dist").ends_with(1).says("it has no folder plugins");
    fs::remove_dir_all(world.path("dist/krew")).unwrap();
    bump(&world, "").ends_with(1).says("no manifest of a plugin in").says("krew manifest");
    fs::remove_dir_all(world.dist()).unwrap();
    bump(&world, "").ends_with(1).says("no manifest of a plugin in");
    assert_eq!(world.read("index/plugins/foo.yaml"), ENTRY);
}

#[test]
fn no_link_leads_out_of_the_index() {
    let manifest = manifest("foo", "1.3.0");
    let outside = |world: &World| {
        let file = world.outside("foo.yaml");
        fs::write(&file, ENTRY).unwrap();
        file
    };
    let linked = |target: &Path, args: &str, what: &str| {
        let world = world(&[("foo", &manifest)]);
        let file = outside(&world);
        let link = world.path("index/plugins/foo.yaml");
        fs::remove_file(&link).unwrap();
        let target = if target.as_os_str().is_empty() { &file } else { target };
        symlink(target, &link).unwrap();
        bump(&world, args).ends_with(1).no_result().says(what);
        assert_eq!(fs::read_to_string(file).unwrap(), ENTRY);
        assert!(link.is_symlink());
    };
    for args in ["", "--rewrite"] {
        linked(Path::new(""), args, "index/plugins/foo.yaml leads out of the index");
        linked(Path::new("../../../foo.yaml"), args, "leads out of the index");
        linked(Path::new("nowhere"), args, "index/plugins/foo.yaml");
        linked(Path::new("foo.yaml"), args, "index/plugins/foo.yaml");
        linked(Path::new("/dev/zero"), args, "leads out of the index");
    }
    // Nor is the entry of another plugin written through a link, and nobody's file is read.
    for args in ["", "--rewrite"] {
        let world = world(&[("foo", &manifest)]);
        world.file("index/plugins/bar.yaml", ENTRY);
        let link = world.path("index/plugins/foo.yaml");
        fs::remove_file(&link).unwrap();
        symlink("bar.yaml", &link).unwrap();
        bump(&world, args).ends_with(1).no_result().says("index/plugins/foo.yaml is a link");
        assert_eq!(world.read("index/plugins/bar.yaml"), ENTRY);
        assert!(link.is_symlink());
        fs::remove_file(&link).unwrap();
        fs::copy(world.path("index/plugins/bar.yaml"), &link).unwrap();
        let made = world.dist().join("krew/foo.yaml");
        fs::rename(&made, world.outside("made.yaml")).unwrap();
        symlink(world.outside("made.yaml"), &made).unwrap();
        bump(&world, args).ends_with(1).no_result().says("dist/krew/foo.yaml leads out of");
    }
    let world = world(&[("foo", &manifest)]);
    let folder = world.outside("plugins");
    fs::rename(world.path("index/plugins"), &folder).unwrap();
    symlink(&folder, world.path("index/plugins")).unwrap();
    bump(&world, "").ends_with(1).says("leads out of the index");
    assert_eq!(fs::read_to_string(folder.join("foo.yaml")).unwrap(), ENTRY);
    // A checkout may be a link, and one within it may be.
    fs::remove_file(world.path("index/plugins")).unwrap();
    fs::rename(&folder, world.path("index/entries")).unwrap();
    symlink("entries", world.path("index/plugins")).unwrap();
    symlink("index", world.path("checkout")).unwrap();
    let run = world.run("krew bump --index checkout");
    assert_eq!(run.ends_with(0).line(), "checkout/plugins/foo.yaml");
    assert_eq!(world.read("index/entries/foo.yaml"), next());
}

#[test]
fn what_is_no_text_is_no_entry() {
    let world = world(&[("foo", &manifest("foo", "1.3.0"))]);
    let file = world.path("index/plugins/foo.yaml");
    fs::write(&file, b"a: \xff").unwrap();
    bump(&world, "").ends_with(1).no_result().says("the entry is no UTF-8");
    assert_eq!(fs::read(&file).unwrap(), b"a: \xff");
    bump(&world, "--rewrite").ends_with(0);
    assert_eq!(world.read("index/plugins/foo.yaml"), manifest("foo", "1.3.0"));
    world.file("index/plugins/foo.yaml", &ENTRY.replace("kind", &"#".repeat(10 << 20)));
    bump(&world, "").ends_with(1).says("it has more than");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    bump(&world, "").ends_with(1).says("it is not a regular file");
    fs::remove_dir(&file).unwrap();
    run(world.with("mkfifo", [&file]).arg("--")).ends_with(0);
    bump(&world, "--rewrite").ends_with(1).says("it is not a regular file");
}

#[test]
fn annotations_point_at_the_line() {
    let world = world_at("1.3.0-rc.1", &[("foo", &manifest("foo", "1.3.0-rc.1"))]);
    let mut command = world.tool(["krew", "bump", "--index", "index"]);
    let run = run(command.env("GITHUB_ACTIONS", "true"));
    run.ends_with(1).says("::error file=index/plugins/foo.yaml,line=7,col=12::");
}

/// The bot itself: https://github.com/ahmetb/krew-index-autoapprove, whose `bumpctl` says of
/// a patch whether it approves it. `None`, said aloud, where it is not on PATH: no registry
/// serves it.
fn bot() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("bumpctl")).find(|it| it.is_file());
    if found.is_none() {
        skipped("bumpctl of the index's bot is not found");
    }
    found
}

/// Why the bot does not approve the change of a file in a repository; `None` where it does.
fn objection(world: &World, bot: &Path, file: &str) -> Option<String> {
    let patch = run(&mut world.with("git", ["-c", "core.autocrlf=false", "diff", "--", file]));
    let file = world.outside("patch");
    fs::write(&file, patch.ends_with(0).stdout.as_bytes()).unwrap();
    let verdict = run(world.with(bot, ["-file"]).arg(&file));
    (verdict.code != Some(0)).then_some(verdict.stderr)
}

/// The how-to has a row for each rule.
#[test]
fn each_rule_is_on_the_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../docs/krew.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let listed: BTreeSet<&str> =
        rows.filter(|names| *names != "rule").flat_map(|names| names.split(", ")).collect();
    let code: Vec<String> = ["src/krew/approval.rs", "src/krew/bump.rs", "src/cmd/krew/bump.rs"]
        .map(|file| fs::read_to_string(root.join(file)).unwrap())
        .to_vec();
    let quoted = code.iter().flat_map(|code| code.split('"'));
    let rules = quoted.filter(|text| text.starts_with("approval-") || text.starts_with("bump-"));
    assert_eq!(listed, rules.collect());
}

#[test]
fn the_bot_says_the_same() {
    let Some(bot) = bot() else { return };
    let mut wrong = Vec::new();
    for case in CASES {
        let (before, after) = texts(case);
        let world = World::empty();
        world.file("plugins/foo.yaml", &before).commit();
        world.file("plugins/foo.yaml", &after);
        let theirs = objection(&world, &bot, "plugins/foo.yaml");
        let (mine, common): (Vec<&str>, Vec<&str>) =
            case.2.iter().map(|(rule, _)| *rule).partition(|rule| OURS.contains(rule));
        match theirs {
            Some(why) if common.is_empty() && mine.is_empty() => {
                wrong.push(format!("{:?} {:?}: taken here, and the bot: {why}", case.0, case.1));
            }
            None if !common.is_empty() => {
                wrong.push(format!("{:?} {:?}: {common:?}, and the bot takes it", case.0, case.1));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The manifest that a release would leave of a plugin at another version, whose archives are
/// served as those of the entry are; and each value of the entry with what becomes of it.
fn released(entry: &str, to: &str) -> (String, Vec<(String, String)>) {
    let mut manifest: Yaml = serde_yaml::from_str(entry).unwrap();
    let spec = &mut manifest["spec"];
    let from = spec["version"].as_str().unwrap().to_owned();
    let mut values = vec![(from.clone(), to.to_owned())];
    spec["version"] = to.into();
    // krew's guide requires one, and not all have it.
    if spec["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
        spec["description"] = "x".into();
    }
    for platform in spec["platforms"].as_sequence_mut().unwrap() {
        let uri = platform["uri"].as_str().unwrap().to_owned();
        let next = uri.replace(from.trim_start_matches('v'), to.trim_start_matches('v'));
        let digest = sha256(format!("{to} {next}").as_bytes());
        let old = platform["sha256"].as_str().unwrap().to_owned();
        values.extend([(uri, next.clone()), (old, digest.clone())]);
        (platform["uri"], platform["sha256"]) = (next.into(), digest.into());
    }
    (serde_yaml::to_string(&manifest).unwrap(), values)
}

/// Requires that lines differ in values of version, uri and sha256 alone.
#[track_caller]
fn assert_values(name: &str, before: &str, after: &str, values: &[(String, String)]) {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split('\n').collect(), after.split('\n').collect());
    assert_eq!(old.len(), new.len(), "{name}");
    for (old, new) in old.iter().zip(&new).filter(|(old, new)| old != new) {
        let key = old.trim_start().trim_start_matches("- ");
        let known = ["version:", "uri:", "sha256:"].iter().any(|known| key.starts_with(known));
        let replaced = values.iter().any(|(was, is)| {
            old.split_once(was).is_some_and(|(key, rest)| *new == format!("{key}{is}{rest}"))
        });
        assert!(known && replaced, "{name}: {old:?} -> {new:?}");
    }
}

#[test]
fn the_index_goes_to_a_next_version_and_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/krew-index/plugins");
    if !folder.is_dir() {
        return skipped("../shared/krew-index is not there");
    }
    let world = World::quick("1.0.0");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let before: BTreeMap<String, String> =
        contents(&folder).into_iter().map(|(name, bytes)| (name, text(bytes))).collect();
    let (mut values, mut versions) = (BTreeMap::new(), BTreeSet::new());
    for (name, entry) in &before {
        let version = serde_yaml::from_str::<Yaml>(entry).unwrap()["spec"]["version"].clone();
        let version = version.as_str().unwrap().trim_start_matches('v').to_owned();
        let version: semver::Version = version.parse().unwrap();
        let next = semver::Version::new(version.major + 100, 0, 0);
        let (manifest, changed) = released(entry, &format!("v{next}"));
        world.file(&format!("index/plugins/{name}"), entry);
        world.file(&format!("dist/krew/{name}"), &manifest);
        values.insert(name, changed);
        versions.extend([version, next]);
    }
    world.commit();
    // HEAD is the release of them all.
    for version in &versions {
        world.git(["tag", &format!("v{version}")]);
    }
    let head = world.git(["rev-parse", "HEAD"]);
    world.file("dist/metadata.json", &metadata("1.0.0", Some(&head)));
    let refused = bump(&world, "--json --dry-run").list();
    let refused: BTreeMap<&str, &Value> = refused
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["outcome"] != "bumped")
        .map(|it| (it["plugin"].as_str().unwrap(), &it["findings"]))
        .collect();
    for (name, findings) in &refused {
        let errors = findings.as_array().unwrap().iter().filter(|it| it["severity"] == "error");
        let rules: Vec<String> =
            errors.map(|it| format!("{} in line {}", it["rule"], it["place"]["at"][0])).collect();
        said(&format!("the bot would not approve {name}: {}", rules.join(", ")));
    }
    said(&format!("the bot would approve {} of {}", before.len() - refused.len(), before.len()));
    assert!(refused.len() < before.len() / 4, "{refused:?}");
    // What is refused is written to be reviewed, but values alone change all the same.
    bump(&world, "--rewrite").ends_with(0);
    let bot = bot();
    for (name, entry) in &before {
        let after = world.read(&format!("index/plugins/{name}"));
        assert_ne!(*entry, after, "{name}");
        assert_values(name, entry, &after, &values[name]);
        if let Some(bot) = &bot {
            let theirs = objection(&world, bot, &format!("index/plugins/{name}"));
            let ours = refused.contains_key(name.trim_end_matches(".yaml"));
            assert_eq!(theirs.is_some(), ours, "{name}: {theirs:?}");
        }
        let back = before[name].clone();
        world.file(&format!("dist/krew/{name}"), &described(&back));
    }
    bump(&world, "--rewrite").ends_with(0);
    for (name, entry) in &before {
        assert_eq!(world.read(&format!("index/plugins/{name}")), *entry, "{name}");
    }
}

/// An entry with a description.
fn described(entry: &str) -> String {
    let mut manifest: Yaml = serde_yaml::from_str(entry).unwrap();
    let description = &mut manifest["spec"]["description"];
    if description.as_str().is_none_or(|text| text.trim().is_empty()) {
        *description = "x".into();
    }
    serde_yaml::to_string(&manifest).unwrap()
}
