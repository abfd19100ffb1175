use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::process::Env;
use crate::project::git::Tagged;
use crate::project::{About, Bin, Git, Graph, Rustc};
use crate::version::{Head, ReleaseTag};

const X86: &str = "x86_64-unknown-linux-musl";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn package(name: &str, version: &str, git: Option<&Git>) -> Package {
    let cargo_version: Version = version.parse().unwrap();
    let head = git.map(|git| {
        let tag = git.tags_on_head().find(|tag| tag.speaks_of(name));
        Head { commit: Some(SHA), dirty: git.dirty, tag, last: tag, commits: 3 }
    });
    Package {
        name: name.to_owned(),
        spec: format!("{name}@{version}"),
        manifest: format!("/p/{name}/Cargo.toml").into(),
        dir: format!("/p/{name}").into(),
        versioned: Versioned::decide(&cargo_version, head.as_ref()),
        cargo_version,
        bins: vec![Bin { name: name.to_owned(), required_features: Vec::new() }],
        features: Vec::new(),
        about: About::default(),
        named_files: Vec::new(),
        is_xtask: false,
    }
}

fn git(tags: &[&str]) -> Git {
    let tags =
        tags.iter().map(|tag| Tagged { tag: ReleaseTag::parse(tag).unwrap(), on_head: true });
    Git {
        top: "/p".into(),
        commit: Some(SHA.to_owned()),
        time: Some(Timestamp::constant(1_700_000_000, 0)),
        describe: Some("described".to_owned()),
        dirty: false,
        changes: Vec::new(),
        shallow: false,
        tags: tags.collect(),
        counts: BTreeMap::new(),
    }
}

fn project(packages: Vec<Package>, git: Option<Git>) -> Project {
    Project {
        root: "/p".into(),
        target_dir: "/p/target".into(),
        packages,
        time: git.as_ref().and_then(|git| git.time),
        git,
        packaged_commit: None,
        rustc: Rustc {
            sysroot: "/r".into(),
            host: "x86_64-unknown-linux-gnu".into(),
            targets: Vec::new(),
        },
        profiles: Vec::new(),
        has_lock: true,
        metadata: Vec::new(),
        graphs: BTreeMap::new(),
        cargo: "cargo".into(),
        env: Env::scrub([("CARGO_HOME".into(), "/home/cargo".into())]),
    }
}

fn config(project: &Project) -> Config {
    let packages = project.packages.iter().map(|package| PackageConfig {
        name: package.name.clone(),
        kept_back: None,
        targets: vec![Target::parse(X86).unwrap()],
        bins: package.bins.clone(),
        features: Vec::new(),
        default_features: true,
        env: BTreeMap::new(),
        archive_files: vec!["/p/LICENSE".into()],
    });
    Config { profile: "dist".to_owned(), packages: packages.collect(), warnings: Vec::new() }
}

fn request(mode: Mode) -> Request {
    Request {
        mode,
        packages: Vec::new(),
        targets: Vec::new(),
        bins: Vec::new(),
        features: Vec::new(),
        all_features: false,
        no_default_features: false,
        profile: None,
        release: false,
        locked: false,
        offline: false,
        jobs: None,
        skip: Vec::new(),
    }
}

fn single(git: Option<Git>) -> Project {
    project(vec![package("tool", "1.2.3", git.as_ref())], git)
}

fn rules(result: Result<Plan, Vec<Finding>>) -> Vec<&'static str> {
    result.unwrap_err().iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_tagged_commit_is_planned_to_the_last_name() {
    let project = single(Some(git(&["v1.2.3"])));
    let plan = plan(&config(&project), &project, &request(Mode::Release)).unwrap();
    assert_eq!(
        (plan.version.to_string(), plan.tag.as_deref()),
        ("1.2.3".to_owned(), Some("v1.2.3"))
    );
    assert_eq!(plan.publish.unwrap().tag, "v1.2.3");
    let archive = &plan.archives[0];
    assert_eq!(archive.name, "tool-v1.2.3-x86_64-unknown-linux-musl.tar.gz");
    assert_eq!(archive.files, [ArchiveFile { name: "LICENSE".into(), path: "/p/LICENSE".into() }]);
    let build = &plan.builds[0];
    let expected = [
        "--package",
        "tool@1.2.3",
        "--profile",
        "dist",
        "--bin",
        "tool",
        "--config",
        r#"profile.dist.inherits="release""#,
        "--config",
        r#"profile.dist.strip="symbols""#,
        "--locked",
    ];
    assert_eq!(build.args, expected);
    let env: Vec<_> = build.env.iter().map(|(name, value)| (&**name, &**value)).collect();
    let expected = [
        ("DOCKLESS_COMMIT", SHA),
        ("DOCKLESS_DATE", "2023-11-14T22:13:20Z"),
        ("DOCKLESS_DESCRIBE", "described"),
        ("DOCKLESS_VERSION", "1.2.3"),
        ("SOURCE_DATE_EPOCH", "1700000000"),
    ];
    assert_eq!(env, expected);
    let names: Vec<_> = build.remap.iter().map(|(from, to)| (from.as_path(), &**to)).collect();
    let expected = [("/home/cargo", "/cargo"), ("/p", "/src"), ("/p/target", "/target")];
    assert_eq!(names, expected.map(|(from, to)| (Path::new(from), to)));
}

#[test]
fn a_snapshot_cannot_publish_and_a_local_build_makes_no_archive() {
    let project = single(Some(git(&["v1.2.3"])));
    let snapshot = plan(&config(&project), &project, &request(Mode::Snapshot)).unwrap();
    assert!(snapshot.publish.is_none() && !snapshot.archives.is_empty());
    let local = plan(&config(&project), &project, &request(Mode::Local)).unwrap();
    assert!(local.publish.is_none() && local.archives.is_empty());
    assert!(local.builds[0].remap.is_empty());
    assert_eq!(
        local.builds[0].args,
        ["--package", "tool@1.2.3", "--profile", "dev", "--bin", "tool"]
    );
    let skipping = Request { skip: vec![Skip::Publish], ..request(Mode::Release) };
    let skipping = plan(&config(&project), &project, &skipping).unwrap();
    assert!(skipping.publish.is_none() && !skipping.archives.is_empty());
}

/// Git, change of the project -> the rules that stop a release.
#[test]
fn what_stops_a_release() {
    let stopped = |git: Option<Git>, change: fn(&mut Project)| {
        let mut project = single(git);
        change(&mut project);
        let config = config(&project);
        rules(plan(&config, &project, &request(Mode::Release)))
    };
    assert_eq!(stopped(None, |_| {}), ["release-git"]);
    assert_eq!(stopped(Some(git(&[])), |_| {}), ["release-tag"]);
    assert_eq!(stopped(Some(git(&["v1.2.4"])), |_| {}), ["release-tag"]);
    assert_eq!(stopped(Some(Git { dirty: true, ..git(&["v1.2.3"]) }), |_| {}), ["release-dirty"]);
    assert_eq!(
        stopped(Some(git(&["v1.2.3"])), |project| project.has_lock = false),
        ["release-lock"]
    );
    let two = |project: &mut Project| {
        let git = git(&["tool-v1.2.3", "other-v2.0.0"]);
        project.packages = ["tool 1.2.3", "other 2.0.0"]
            .map(|text| text.split_once(' ').unwrap())
            .map(|(name, version)| package(name, version, Some(&git)))
            .into();
        project.git = Some(git);
    };
    assert_eq!(stopped(None, two), ["release-tag"]);
}

#[test]
fn a_tag_of_one_package_releases_that_one_alone() {
    let git = git(&["tool-v1.2.3"]);
    let packages =
        vec![package("tool", "1.2.3", Some(&git)), package("other", "2.0.0", Some(&git))];
    let project = project(packages, Some(git));
    let plan = plan(&config(&project), &project, &request(Mode::Release)).unwrap();
    assert_eq!(plan.builds.iter().map(|build| &*build.package).collect::<Vec<_>>(), ["tool"]);
    assert_eq!(plan.left_out[0].what, "other");
    assert_eq!(plan.left_out[0].why, "the tag tool-v1.2.3 on HEAD does not speak of it");
}

#[test]
fn c_and_targets_without_proof_are_left_out_of_a_snapshot_and_stop_a_release() {
    let mut project = single(Some(git(&["v1.2.3"])));
    let mut config = config(&project);
    config.packages[0].targets.push(Target::parse("aarch64-unknown-linux-musl").unwrap());
    config.packages[0].targets.push(Target::parse("x86_64-unknown-linux-gnu").unwrap());
    let ring = NativeCrate {
        name: "ring".into(),
        version: "0.17.8".into(),
        links: Some("ring_core".into()),
        builder: Some("cc".into()),
    };
    let wanted = wanted(&config, &project, &request(Mode::Snapshot)).unwrap();
    let graph =
        Graph { native: vec![ring], sources: vec![("/elsewhere".into(), "/deps/x".into())] };
    project.graphs.insert(wanted[1].clone(), graph);
    let snapshot = plan(&config, &project, &request(Mode::Snapshot)).unwrap();
    assert_eq!(snapshot.builds[0].targets, [Target::parse(X86).unwrap()]);
    let why: Vec<&str> = snapshot.left_out.iter().map(|left| &*left.why).collect();
    let expected = [
        "C code or a library of the system is needed by ring 0.17.8 (by cc)",
        "only Linux targets with musl are built, for their binaries can be proved static",
    ];
    assert_eq!(why, expected);
    assert!(snapshot.builds[0].remap.contains(&("/elsewhere".into(), "/deps/x".into())));
    let stopped = rules(plan(&config, &project, &request(Mode::Release)));
    assert_eq!(stopped, ["not-buildable", "not-buildable"]);
}

#[test]
fn names_that_two_things_would_share_are_refused() {
    let mut project = project(vec![package("a", "1.0.0", None), package("b", "1.0.0", None)], None);
    project.packages[1].bins[0].name = "a".to_owned();
    let mut config = config(&project);
    assert_eq!(rules(plan(&config, &project, &request(Mode::Snapshot))), ["binary-name"]);
    config.packages.pop();
    config.packages[0].archive_files.push("/p/docs/LICENSE".into());
    assert_eq!(rules(plan(&config, &project, &request(Mode::Snapshot))), ["archive-name"]);
    config.packages[0].archive_files = vec!["/p/a".into()];
    assert_eq!(rules(plan(&config, &project, &request(Mode::Snapshot))), ["archive-name"]);
}

#[test]
fn a_binary_whose_features_are_off_is_left_out() {
    let mut project = single(None);
    let package = &mut project.packages[0];
    package.bins.push(Bin { name: "extra".into(), required_features: vec!["deep".into()] });
    package.features = vec![
        ("default".into(), vec![]),
        ("more".into(), vec!["deep".into()]),
        ("deep".into(), vec![]),
    ];
    let config = config(&project);
    let without = plan(&config, &project, &request(Mode::Snapshot)).unwrap();
    assert_eq!(without.builds[0].bins, ["tool"]);
    assert_eq!(without.left_out[0].what, "extra (binary of tool)");
    let with = Request { features: vec!["more".into()], ..request(Mode::Snapshot) };
    let with = plan(&config, &project, &with).unwrap();
    assert_eq!(with.builds[0].bins, ["tool", "extra"]);
    assert!(with.builds[0].args.contains(&"--features=more".to_owned()));
}
