//! The workflows, run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::github::{GitHub, Token};
use crate::world::keys::{KEY, PUBLIC};
use crate::world::krew::Server;
use crate::world::registries::{Access, PASSWORD, Registry, Software, USER, encoded};
use crate::world::{World, judge, run, sha256};
use runner::{Attested, Runner};

mod expression;
mod runner;

/// The workflow of another repository, as this one offers it to projects with images at GitHub's
/// registry or without.
fn offered(ghcr: bool) -> (String, String) {
    let file = if ghcr { "reusable-release-ghcr.yml" } else { "reusable-release.yml" };
    let path = format!(".github/workflows/{file}");
    let text = fs::read_to_string(here().join(&path)).unwrap();
    (format!("acme/dockless/{path}@{COMMIT}"), text)
}

/// The version that these tests release.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The default targets.
const MUSL: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// Where the workflow of another repository is called.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// This repository.
fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A GitHub that has the project at its tag, and knows the tokens of its workflows.
fn pushed(world: &World, github: &GitHub) {
    github.push("acme/tool", world.root());
    let mut state = github.state();
    let workflow = Token::Workflow { repository: "acme/tool".to_owned() };
    state.tokens.insert("workflow".to_owned(), workflow);
    let reader = Token::FineGrained { login: "reader".to_owned(), repositories: Vec::new() };
    state.tokens.insert("reader".to_owned(), reader);
    drop(state);
    stand_ins(world);
    advisories(&world.outside("advisories"), "nothing", ">= 1.0.0");
}

/// The files of the only release, by their names.
fn released(github: &GitHub) -> BTreeMap<String, Vec<u8>> {
    let state = github.state();
    let [release] = &state.repositories["acme/tool"].releases[..] else { panic!("one release") };
    assert!(!release.draft, "{release:?}");
    release.assets.iter().map(|it| (it.name.clone(), it.bytes.to_vec())).collect()
}

/// The SBOMs and archives of a package of one program for these targets, as the names of both say.
fn archives(package: &str, targets: &[&str]) -> Vec<(String, String)> {
    let one = |target: &&str| {
        let end = if target.contains("windows") { "zip" } else { "tar.gz" };
        let short =
            target.replace("-unknown-linux", "").replace("-darwin", "").replace("-windows", "");
        let stem = format!("{package}-v{VERSION}");
        (format!("{stem}-{short}.spdx.json"), format!("{stem}-{target}.{end}"))
    };
    targets.iter().map(one).collect()
}

/// Requires the attestations of the files: provenance of all that the checksums list, and each SBOM of a
/// program for its archive. Returns the other ones.
fn attested_files(runner: &Runner<'_>, by: &str, sboms: &[(String, String)]) -> Vec<Attested> {
    let files = released(runner.github);
    let attested = |subjects: Vec<(String, String)>, sbom: Option<&Vec<u8>>| Attested {
        by: by.to_owned(),
        subjects,
        sbom: sbom.cloned(),
        pushed: false,
    };
    let mut expected = vec![attested(subjects(&files["checksums.txt"]), None)];
    for (sbom, archive) in sboms {
        let digest = format!("sha256:{}", sha256(&files[archive]));
        expected.push(attested(vec![(archive.clone(), digest)], Some(&files[sbom])));
    }
    let mut others = runner.attested.clone();
    for one in expected {
        let at = others.iter().position(|it| *it == one);
        others.remove(at.unwrap_or_else(|| panic!("{:?} are not attested", one.subjects)));
    }
    others
}

/// The lines of a list of checksums.
fn subjects(checksums: &[u8]) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (digest, name) = line.split_once("  ").unwrap();
        (name.to_owned(), format!("sha256:{digest}"))
    };
    std::str::from_utf8(checksums).unwrap().lines().map(line).collect()
}

/// The scripts of a workflow, as `JOB: STEP`.
fn scripts(text: &str) -> BTreeSet<String> {
    let workflow: Value = serde_yaml::from_str(text).unwrap();
    let jobs = workflow["jobs"].as_object().unwrap().iter();
    let scripts = jobs.flat_map(|(job, its)| {
        let steps = its["steps"].as_array().into_iter().flatten();
        let scripts = steps.filter(|step| step["run"].is_string());
        scripts.map(move |step| format!("{job}: {}", step["name"].as_str().unwrap()))
    });
    scripts.collect()
}

#[test]
fn the_release_workflow_releases() {
    let github = GitHub::start();
    let world = World::empty();
    let more = format!(
        "description = \"A tool\"\nlicense = \"MIT\"\nrepository = \"http://{}/acme/tool\"\n\
         [package.metadata.dockless.image]\nship = false\n\
         [workspace.metadata.dockless.audit]\ndatabase = \"../advisories\"\n[workspace]\n",
        github.host
    );
    world.package("", "tool", VERSION, &more);
    world.file("LICENSE", "free\n").lock();
    world.file(
        "src/main.rs",
        "fn main() {\n    println!(\"{}\", option_env!(\"DOCKLESS_VERSION\").unwrap_or(\"none\"));\n}\n",
    );
    world.run("init --workflows").ends_with(0);
    world.commit();
    world.git(["tag", concat!("v", env!("CARGO_PKG_VERSION"))]);
    pushed(&world, &github);
    let mut runner = Runner::new(&world, &github);
    let workflow = ".github/workflows/release.yml";
    runner.run(workflow).unwrap();
    assert_eq!(runner.ran.iter().cloned().collect::<BTreeSet<_>>(), scripts(&world.read(workflow)));
    let sboms = archives("tool", &MUSL);
    let mut expected = vec!["checksums.txt".to_owned(), format!("tool-v{VERSION}.intoto.json")];
    expected.extend(sboms.iter().flat_map(|(sbom, archive)| [sbom.clone(), archive.clone()]));
    let names: BTreeSet<String> = released(&github).into_keys().collect();
    assert_eq!(names, expected.into_iter().collect());
    assert_eq!(attested_files(&runner, workflow, &sboms), []);
    runner.ran.clear();
    runner.run(".github/workflows/ci.yml").unwrap();
    let ci = scripts(&world.read(".github/workflows/ci.yml"));
    assert_eq!(runner.ran.iter().cloned().collect::<BTreeSet<_>>(), ci);
}

/// A workflow of another repository builds, publishes and attests; what the project brings runs in no
/// job that may write or sign. Later, an advisory appears.
#[test]
fn a_workflow_of_another_repository_releases() {
    let Some(registry) = Registry::of(Software::V3, Access::Basic) else { return };
    if judge("curl").is_none() || judge("jq").is_none() {
        return;
    }
    let github = GitHub::start();
    let world = World::empty();
    let image = format!("{}/workflows-{}/tool", registry.host, std::process::id());
    let more = format!(
        "description = \"A tool\"\nlicense = \"MIT\"\nrepository = \"http://{}/acme/tool\"\n\
         [dependencies]\nnothing = \"1\"\n\
         [package.metadata.dockless.image]\nrepositories = [\"{image}\"]\n[workspace]\n",
        github.host
    );
    world.package("", "tool", VERSION, &more);
    let ran = world.outside("ran");
    fs::write(&ran, "").unwrap();
    let build = format!(
        "use std::fs::OpenOptions;\nuse std::io::Write;\n\nconst RAN: &str = {ran:?};\n\n\
         fn main() {{\n    let mut ran = OpenOptions::new().append(true).open(RAN).unwrap();\n    \
         let here = std::env::current_dir().unwrap();\n    \
         writeln!(ran, \"build.rs in {{}}\", here.display()).unwrap();\n}}\n"
    );
    let wrapper = format!("echo \"wrapper in $PWD\" >> {}\nexec \"$@\"\n", ran.display());
    let wrapper = world.script("wrapper", &wrapper);
    let config = format!(
        "[build]\nrustc-wrapper = {wrapper:?}\n[source.crates-io]\nreplace-with = \"vendored\"\n\
         [source.vendored]\ndirectory = \"vendor\"\n"
    );
    let nothing = "[package]\nname = \"nothing\"\nversion = \"1.5.0\"\nlicense = \"MIT\"\n\
                   edition = \"2021\"\n";
    let sums = format!("{{\"files\":{{}},\"package\":\"{}\"}}", "0".repeat(64));
    world
        .file("LICENSE", "free\n")
        .file("build.rs", &build)
        .file(".cargo/config.toml", &config)
        .file("vendor/nothing/Cargo.toml", nothing)
        .file("vendor/nothing/LICENSE", "free\n")
        .file("vendor/nothing/src/lib.rs", "pub fn nothing() {}\n")
        .file("vendor/nothing/.cargo-checksum.json", &sums)
        .file("src/main.rs", "fn main() {\n    nothing::nothing();\n}\n")
        .lock();
    let workflow = ".github/workflows/release.yml";
    world.run(&format!("init --workflows --reusable acme/dockless@{COMMIT}")).ends_with(0);
    world.commit();
    world.git(["tag", concat!("v", env!("CARGO_PKG_VERSION"))]);
    pushed(&world, &github);

    let mut runner = Runner::new(&world, &github);
    let audit = ".github/workflows/audit.yml";
    runner.run(audit).unwrap();
    assert_eq!(runner.summary, "There is no release yet.\n");

    let (uses, text) = offered(false);
    runner.ran.clear();
    runner.elsewhere.insert(uses.clone(), text.clone());
    let logins = json!({ "auths": { &*registry.host: { "auth": encoded(USER, PASSWORD) } } });
    runner.secrets.insert("DOCKER_AUTH_CONFIG".to_owned(), logins.to_string());
    runner.secrets.insert("COSIGN_PRIVATE_KEY".to_owned(), KEY.to_owned());
    runner.run(workflow).unwrap();
    assert!(released(&github).contains_key("checksums.txt.sigstore.json"));
    let mut expected = scripts(&text);
    expected.remove("build: install zig");
    assert_eq!(runner.ran.iter().cloned().collect::<BTreeSet<_>>(), expected);

    let others = attested_files(&runner, &uses, &archives("tool", &MUSL));
    let digest = others[0].subjects[0].1.clone();
    let sbom = released(&github).remove(&format!("tool-v{VERSION}.image.spdx.json")).unwrap();
    assert!(std::str::from_utf8(&sbom).unwrap().contains(&digest["sha256:".len()..]));
    let of_image = |sbom: Option<Vec<u8>>| Attested {
        by: uses.clone(),
        subjects: vec![(image.clone(), digest.clone())],
        sbom,
        pushed: true,
    };
    assert_eq!(others, [of_image(None), of_image(Some(sbom))]);

    // The build jobs ran what the project brings, and nothing that may write or sign did.
    let ran = fs::read_to_string(&ran).unwrap();
    let in_job = |job: &str| ran.lines().filter(|it| it.contains(&format!("/jobs/{job}"))).count();
    assert!(in_job("build-") > 0 && ran.contains("build.rs in") && ran.contains("wrapper in"));
    assert_eq!((in_job("tool-"), in_job("release-"), in_job("attest")), (0, 0, 0), "{ran}");

    runner.summary.clear();
    let ours = world.read(audit).replace(&format!("{image}:latest"), "");
    world.file(audit, &ours);
    runner.run(audit).unwrap();
    assert!(runner.summary.contains(&archives("tool", &MUSL)[0].1), "{}", runner.summary);
    advisories(&world.outside("advisories"), "nothing", ">= 2.0.0");
    let failed = runner.run(audit).unwrap_err();
    assert!(failed.contains("RUSTSEC-2020-0001"), "{failed}");
}

/// GitHub starts nothing that asks for more than its caller may do, or is called with other things
/// than it takes.
#[test]
fn a_call_that_lacks_something_starts_nothing() {
    let github = GitHub::start();
    for (ghcr, lacks) in
        [(false, ["id-token", "attestations", "contents"]), (true, ["packages"; 3])]
    {
        let world = World::empty();
        let at = if ghcr { "ghcr.io/acme/tool" } else { "registry.example/acme/tool" };
        let more = format!("[package.metadata.dockless.image]\nrepositories = [\"{at}\"]\n");
        world.package("", "tool", "1.0.0", &more).file("LICENSE", "free\n").lock().commit();
        world.run(&format!("init --workflows --reusable acme/dockless@{COMMIT}")).ends_with(0);
        let workflow = ".github/workflows/release.yml";
        let good = world.read(workflow);
        let (uses, text) = offered(ghcr);
        assert!(good.contains(&format!("    uses: {uses}\n")), "{good}");
        let fails = |change: &str, by: &str, why: &str| {
            let changed = good.replace(change, by);
            assert_ne!(changed, good, "{change}");
            world.file(workflow, &changed);
            let mut runner = Runner::new(&world, &github);
            runner.elsewhere.insert(uses.clone(), text.clone());
            let failed = runner.run(workflow).unwrap_err();
            assert!(failed.contains(why) && runner.ran.is_empty(), "{failed}");
        };
        for permission in lacks {
            fails(&format!("      {permission}: write"), "      actions: write", permission);
        }
        fails(&uses, &uses.replace(COMMIT, &"5".repeat(40)), "nobody has");
        fails("      targets: |", "      target: |", "the input targets is not given");
        fails("    with:\n", "    with:\n      runner: mine\n", "has no input runner");
        fails("    with:\n", "    with:\n      macos: 'true'\n", "the input macos is no boolean");
        fails("    secrets:\n", "    secrets:\n      OTHER: x\n", "has no secret OTHER");
    }
}

/// This repository's own, on clones of it: it compiles the tool and all that it ships, for
/// each of the machines, so that it takes a while.
#[test]
fn our_own_release_workflow_releases() {
    if std::env::var_os("DOCKLESS_WORKFLOWS").is_none() {
        crate::world::skipped("DOCKLESS_WORKFLOWS is not set, and it takes a quarter of an hour");
        return;
    }
    let github = GitHub::start();
    let world = World::empty();
    world.git(["clone", "--quiet", "--no-hardlinks", here().to_str().unwrap(), "."]);
    world.git(["tag", concat!("v", env!("CARGO_PKG_VERSION"))]);
    pushed(&world, &github);
    let mut runner = Runner::new(&world, &github);
    let workflow = ".github/workflows/release.yml";
    runner.run(workflow).unwrap();
    let kubectl = ["x86_64-apple-darwin", "aarch64-apple-darwin", "x86_64-pc-windows-gnu"];
    let mut sboms = archives("dockless", &MUSL);
    sboms.extend(archives("kubectl-view-secret", &[&MUSL[..], &kubectl].concat()));
    sboms.extend(archives("source-ip", &MUSL));
    // A package of two programs has two SBOMs.
    for (sbom, archive) in archives("oauth2-proxy", &MUSL) {
        for bin in ["alerts", "prom"] {
            let sbom = sbom.replace("oauth2-proxy", &format!("oauth2-proxy.{bin}"));
            sboms.push((sbom, archive.clone()));
        }
    }
    let mut expected: BTreeSet<String> =
        ["checksums.txt", "view-secret.yaml"].map(str::to_owned).into();
    expected.extend(sboms.iter().flat_map(|(sbom, archive)| [sbom.clone(), archive.clone()]));
    for package in ["dockless", "kubectl-view-secret", "oauth2-proxy", "source-ip"] {
        expected.insert(format!("{package}-v{VERSION}.intoto.json"));
    }
    for package in ["kubectl-view-secret", "oauth2-proxy", "source-ip"] {
        for image in ["", "-x86_64-musl", "-aarch64-musl"] {
            expected.insert(format!("{package}-v{VERSION}{image}.image.spdx.json"));
        }
    }
    assert_eq!(released(&github).into_keys().collect::<BTreeSet<_>>(), expected);
    assert_eq!(attested_files(&runner, workflow, &sboms), []);
}

/// What a runner of GitHub's has, and what is not asked for here: a registry of crates would have the
/// tool by its version, and what is installed is the newest Rust.
fn stand_ins(world: &World) {
    world.script(
        "stand-ins/cargo",
        "if [ \"$1\" = install ]; then mkdir -p tool/bin && cp \"$BUILT\" tool/bin/; exit; fi\n\
         PATH=${PATH#*:} exec cargo \"$@\"\n",
    );
    world.script(
        "stand-ins/rustup",
        "case \"$1 $2\" in update*|'toolchain install') exit;; esac\nPATH=${PATH#*:} exec rustup \"$@\"\n",
    );
    world.script(
        "stand-ins/gh",
        "[ \"$1 $3\" = 'api --jq' ] || exit 2\n\
         curl --silent --fail --header \"authorization: Bearer $GITHUB_TOKEN\" \"$GITHUB_API_URL/$2\" |\n\
         jq --raw-output \"$4\"\n",
    );
}

/// A database with one advisory.
fn advisories(folder: &Path, krate: &str, patched: &str) {
    let crates = folder.join("crates").join(krate);
    fs::create_dir_all(&crates).unwrap();
    let day = jiff::Timestamp::now().to_string()[..10].to_owned();
    let text = format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2020-0001\"\npackage = \"{krate}\"\ndate = \"{day}\"\n\
         [versions]\npatched = [\"{patched}\"]\n```\n\n# Nothing\n\nNothing.\n"
    );
    fs::write(crates.join("RUSTSEC-2020-0001.md"), text).unwrap();
}

/// Requires that all steps of the workflow for CI pass, which `init` wrote for this project.
pub fn ci_passes(world: &World) {
    let github = GitHub::start();
    pushed(world, &github);
    let workflow = ".github/workflows/ci.yml";
    let mut runner = Runner::new(world, &github);
    runner.run(workflow).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(runner.ran.iter().cloned().collect::<BTreeSet<_>>(), scripts(&world.read(workflow)));
}

/// A tool that somebody changed on its way is not even made one that can be started.
#[test]
fn a_tool_that_was_changed_is_not_started() {
    let world = World::empty();
    world.package("", "tool", "1.0.0", "");
    world.file("LICENSE", "free\n").lock().commit();
    world.run("init --workflows").ends_with(0);
    let workflow: Value =
        serde_yaml::from_str(&world.read(".github/workflows/release.yml")).unwrap();
    for job in ["check", "build", "release"] {
        let needs = &workflow["jobs"][job]["needs"];
        let tool = serde_json::json!("tool");
        assert!(needs == "tool" || needs.as_array().unwrap().contains(&tool), "{job}");
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        let looks =
            steps.iter().find(|it| it["name"] == "verify its SHA-256").unwrap()["run"].as_str();
        let tool = world.script("tool/cargo-dockless", "exit 0\n");
        let digest = crate::world::sha256(&fs::read(&tool).unwrap());
        for (digest, code) in [(&*digest, 0), ("", 1), (&digest[1..], 1)] {
            fs::set_permissions(&tool, fs::Permissions::from_mode(0o644)).unwrap();
            let mut bash = world.with("bash", ["-eo", "pipefail", "-c", looks.unwrap()]);
            bash.env("TOOL", &tool).env("SHA256", digest);
            run(&mut bash).ends_with(code);
            let mode = fs::metadata(&tool).unwrap().permissions().mode();
            assert_eq!(mode & 0o111 != 0, code == 0, "{job}: {digest}");
        }
    }
    // The shell that has the tokens in its environment gives way to the tool.
    let steps = workflow["jobs"]["release"]["steps"].as_array().unwrap();
    let release = steps.iter().find(|it| it["env"].get("GITHUB_TOKEN").is_some()).unwrap();
    assert!(release["run"].as_str().unwrap().starts_with("exec \"$TOOL\" "), "{release}");
}

/// Only what the jobs of this workflow built is released, and only their SBOMs are attested: every job of
/// a run can upload artifacts, also one of the caller's.
#[test]
fn what_others_uploaded_is_not_taken() {
    if judge("jq").is_none() {
        return;
    }
    let (_, text) = offered(false);
    let workflow: Value = serde_yaml::from_str(&text).unwrap();
    let script = |job: &str, name: &str| {
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        step["run"].as_str().unwrap().to_owned()
    };
    let world = World::empty();
    let bash = |script: &str, vars: &[(&str, &str)], code: i32| {
        let mut bash = world.with("bash", ["-eo", "pipefail", "-c", script]);
        run(bash.envs(vars.iter().copied())).ends_with(code);
    };
    let shards = script("release", "verify that the build jobs built them");
    let (one, two) = (sha256(b"one"), sha256(b"two"));
    let built = |digests: [&str; 3]| {
        let of = |(at, digest): (usize, &&str)| (format!("shard{at}"), json!(digest));
        Value::Object(digests.iter().enumerate().map(of).collect()).to_string()
    };
    let place = world.path("shards");
    let check = |digests: [&str; 3], code: i32| {
        let vars = [("SHARDS", place.to_str().unwrap()), ("BUILT", &*built(digests))];
        bash(&shards, &vars, code);
    };
    world.file("shards/shard-a/shard.json", "one").file("shards/shard-b/shard.json", "two");
    check([&one, &two, ""], 0);
    check([&two, &one, ""], 0);
    for digests in [[&*one, "", ""], ["", "", ""], [&one, &one, ""], [&one, &two, &two]] {
        check(digests, 1);
    }
    world.file("shards/shard-c/shard.json", "three");
    check([&one, &two, ""], 1);

    world.file("sbom.json", "one").file("checksums.txt", "one");
    for (job, name) in [
        ("attest", "verify the checksums"),
        ("attest-sboms", "verify the SBOM"),
        ("attest-images", "verify the SBOM"),
    ] {
        let script = script(job, name);
        for (digest, code) in [(&*one, 0), (&two, 1), ("", 1), (&one[1..], 1)] {
            bash(&script, &[("SHA256", digest), ("SBOM", "sbom.json")], code);
        }
    }
}

/// A toolchain in a folder of the project's choice would be its code in the job that publishes.
#[test]
fn a_toolchain_of_the_project_is_refused() {
    let (_, text) = offered(false);
    let workflow: Value = serde_yaml::from_str(&text).unwrap();
    let steps = workflow["jobs"]["release"]["steps"].as_array().unwrap();
    let position = |name: &str| steps.iter().position(|step| step["name"] == name).unwrap();
    let refuses = position("refuse a toolchain that is a folder");
    assert!(refuses < position("release"));
    let world = World::empty();
    let script = steps[refuses]["run"].as_str().unwrap();
    let bash = |code: i32| {
        let mut bash = world.with("bash", ["-eo", "pipefail", "-c", script]);
        run(bash.env_remove("RUSTUP_TOOLCHAIN")).ends_with(code);
    };
    bash(0);
    let toolchain = world.outside("toolchain");
    world.script("toolchain/bin/cargo", "exit 0\n");
    world.script("toolchain/bin/rustc", "exit 0\n");
    world.file("rust-toolchain.toml", &format!("[toolchain]\npath = {toolchain:?}\n"));
    bash(1);
}

/// The password of a registry comes by a pipe, and is no argument.
#[test]
fn a_login_is_no_argument() {
    let world = World::empty();
    world.package(
        "",
        "tool",
        "1.0.0",
        "[package.metadata.dockless.image]\nrepositories = [\"ghcr.io/acme/tool\"]\n",
    );
    world.file("LICENSE", "free\n").lock().commit();
    world.run("init --workflows").ends_with(0);
    let workflow: Value =
        serde_yaml::from_str(&world.read(".github/workflows/release.yml")).unwrap();
    let steps = workflow["jobs"]["attest-images"]["steps"].as_array().unwrap();
    let login = steps.iter().find(|step| step["name"] == "log in to ghcr.io").unwrap();
    world.script("stand-ins/docker", "echo \"$@\"\ncat\n");
    let mut bash = world.with("bash", ["-eo", "pipefail", "-c", login["run"].as_str().unwrap()]);
    bash.env("PATH", world.path_with("stand-ins")).env("ACTOR", "me").env("TOKEN", "secret");
    assert_eq!(
        run(&mut bash).ends_with(0).stdout,
        "login ghcr.io --username me --password-stdin\nsecret"
    );
}

/// The released program is downloaded in the version that the workflow pins, and one that differs is
/// never started.
#[test]
fn workflows_take_the_released_tool() {
    if judge("curl").is_none() || judge("jq").is_none() {
        return;
    }
    let (server, github, world) = (Server::start(), GitHub::start(), World::empty());
    let more = format!(
        "description = \"A tool\"\nlicense = \"MIT\"\nrepository = \"http://{}/acme/tool\"\n\
         [package.metadata.dockless.image]\nship = false\n\
         [workspace.metadata.dockless.audit]\ndatabase = \"../advisories\"\n[workspace]\n",
        github.host
    );
    world.package("", "tool", VERSION, &more);
    world.file("LICENSE", "free\n").lock();
    world.file("src/main.rs", "fn main() {\n    println!(\"hello\");\n}\n").commit();
    let folder = world.outside("released-tool");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_cargo-dockless"), folder.join("cargo-dockless")).unwrap();
    let name = format!("dockless-v{VERSION}-x86_64-unknown-linux-musl.tar.gz");
    let mut tar = world.with("tar", ["-czf", &name, "cargo-dockless"]);
    run(tar.current_dir(&folder)).ends_with(0);
    let archive = fs::read(folder.join(&name)).unwrap();
    let at = |file: &str| format!("/acme/dockless/releases/download/v{VERSION}/{file}");
    server.serve(&at(&name), archive.clone());
    let base = format!("http://{}/acme/dockless", server.address());
    let init = format!("init --workflows --prebuilt --prebuilt-from {base}");
    world.run(&init).ends_with(1).says(&format!("find the released dockless {VERSION}"));
    server.serve(&at("checksums.txt"), b"no list\n".to_vec());
    world.run(&init).ends_with(1).says("line 1 is no checksum");
    server.serve(&at("checksums.txt"), b"".to_vec());
    world.run(&init).ends_with(1).says("has no program for ubuntu-24.04, where a target is built");
    let list = format!("{}  {name}\n", sha256(&archive));
    server.serve(&at("checksums.txt"), list.clone().into_bytes());
    // A key, and no signature.
    world.file("../cosign.pub", PUBLIC);
    world.run(&format!("{init} --prebuilt-key ../cosign.pub")).ends_with(1).says("404");
    world.file("../checksums.txt", &list);
    let mut sign = world.tool(["sign", "../checksums.txt"]);
    run(sign.env("COSIGN_PRIVATE_KEY", KEY).env("COSIGN_PASSWORD", "")).ends_with(0);
    let bundle = fs::read(world.outside("checksums.txt.sigstore.json")).unwrap();
    server.serve(&at("checksums.txt.sigstore.json"), bundle);
    assert!(!world.path(".github").exists());
    world.run(&format!("{init} --prebuilt-key ../cosign.pub")).ends_with(0);
    let ci = world.read(".github/workflows/ci.yml");
    let pinned = format!(
        "{VERSION} {base}/releases/download/v{VERSION} linux {name} {}\n",
        sha256(&archive)
    );
    assert_eq!(
        ci.lines().nth(1).unwrap(),
        format!("# The tool is the released one: {}", pinned.trim_end())
    );
    // The version is pinned: the list is not read again.
    server.serve(&at("checksums.txt"), b"".to_vec());
    world.run("init --workflows").ends_with(0).no_result();
    world.run("init --workflows --check").ends_with(0);

    world.commit();
    world.git(["tag", concat!("v", env!("CARGO_PKG_VERSION"))]);
    pushed(&world, &github);
    world.script("stand-ins/cargo", "[ \"$1\" != install ] && PATH=${PATH#*:} exec cargo \"$@\"\n");
    let mut runner = Runner::new(&world, &github);
    for workflow in [".github/workflows/release.yml", ".github/workflows/ci.yml"] {
        runner.ran.clear();
        runner.run(workflow).unwrap();
        let ran = runner.ran.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(ran, scripts(&world.read(workflow)));
    }
    assert!(released(&github).contains_key("checksums.txt"));
    let mut changed = archive.clone();
    changed.push(0);
    server.serve(&at(&name), changed);
    let error = runner.run(".github/workflows/ci.yml").unwrap_err();
    assert!(error.contains(&format!(", not {}", sha256(&archive))), "{error}");
    assert!(runner.ran.last().unwrap().ends_with(": download the tool"), "{:?}", runner.ran.last());
}

/// The pinned version is the one that Cargo.lock has, where the project has an xtask.
#[test]
fn the_released_tool_is_that_of_the_lock_file() {
    let (server, world) = (Server::start(), World::empty());
    world.file("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"tool\", \"xtask\"]\n");
    world.package("tool", "tool", "1.0.0", "");
    let dockless = format!("[dependencies]\ndockless.path = {:?}\n", env!("CARGO_MANIFEST_DIR"));
    world.package("xtask", "xtask", "0.0.0", &dockless);
    world.file("LICENSE", "free\n").lock().commit();
    let name = format!("dockless-v{VERSION}-x86_64-unknown-linux-musl.tar.gz");
    let list = format!("{}  {name}\n", "a".repeat(64));
    let at = format!("/me/dockless/releases/download/v{VERSION}/checksums.txt");
    server.serve(&at, list.into_bytes());
    let base = format!("http://{}/me/dockless", server.address());
    world.run(&format!("init --workflows --prebuilt --prebuilt-from {base}")).ends_with(0);
    let current = world.read(".github/workflows/ci.yml");
    assert!(current.contains(&format!("/v{VERSION}/{name}")), "{current}");
    assert!(
        current.contains("run: tool/bin/cargo-dockless init --workflows --check\n"),
        "{current}"
    );
    // Written when Cargo.lock had another version.
    world.file(".github/workflows/ci.yml", &current.replace(VERSION, "0.0.9"));
    world
        .run("init --workflows --check")
        .ends_with(1)
        .says(&format!("ci.yml does not take the released dockless {VERSION}"));
    world.run("init --workflows").ends_with(0);
    assert_eq!(world.read(".github/workflows/ci.yml"), current);
}
