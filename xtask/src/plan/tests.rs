use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::config::{ArchiveFile, Base, User};
use crate::process::Env;
use crate::project::cross::{Clang, Zig};
use crate::project::git::{GitTag, TagPlace, Tree};
use crate::project::{About, Bin, Cross, Git, Graph, NativeCrate, Rustc};
use crate::version::{Head, ReleaseTag, Version};

mod any_table;
mod calls;
mod generate;
mod image;
mod krew;
mod sign;

const X86: &str = "x86_64-unknown-linux-musl";
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// The plan, where nothing is wrong with it.
fn plan(config: &Config, project: &Project, request: &Request) -> Result<Plan, Vec<Finding>> {
    let (plan, errors) = super::plan(config, project, request);
    plan.filter(|_| errors.is_empty()).ok_or(errors)
}

fn package(name: &str, version: &str, git: Option<&Git>) -> Package {
    let cargo_version: Version = version.parse().unwrap();
    let head = git.map(|git| {
        let head = git.head(name, |tag| tag.announces(&cargo_version, ""));
        Head { last: head.tag, commits: 3, ..head }
    });
    Package {
        name: name.to_owned(),
        spec: format!("{name}@{version}"),
        manifest: format!("/p/{name}/Cargo.toml").into(),
        dir: format!("/p/{name}").into(),
        versioned: Versioned::decide(&cargo_version, "", head.as_ref()),
        cargo_version,
        cargo_build: String::new(),
        bins: vec![Bin { name: name.to_owned(), required_features: Vec::new() }],
        features: Vec::new(),
        about: About::default(),
        named_files: Vec::new(),
        is_xtask: false,
    }
}

fn git(tags: &[&str]) -> Git {
    let all_tags = tags.iter().map(|tag| GitTag {
        name: (*tag).to_owned(),
        commit: SHA.to_owned(),
        place: TagPlace::OnHead,
    });
    let all_tags: Vec<GitTag> = all_tags.collect();
    let mut git = Git {
        top: "/p".into(),
        commit: Some(SHA.to_owned()),
        time: Some(Timestamp::constant(1_700_000_000, 0)),
        describe: Some("described".to_owned()),
        dirty: false,
        tree: Tree::default(),
        shallow: false,
        all_tags,
        tags: Vec::new(),
        counts: BTreeMap::new(),
    };
    git.read_tags(ReleaseTag::parse);
    git
}

fn project(packages: Vec<Package>, git: Option<Git>) -> Project {
    Project {
        root: "/p".into(),
        target_dir: "/p/target".into(),
        dist: "/p/dist".into(),
        made: vec!["/p/target".into()],
        packages,
        time: git.as_ref().and_then(|git| git.time),
        git,
        boundary: crate::files::Boundary::default(),
        tag_form: None,
        packaged_commit: None,
        rustc: Rustc {
            sysroot: "/r".into(),
            host: "x86_64-unknown-linux-gnu".into(),
            targets: Vec::new(),
        },
        profiles: Vec::new(),
        has_lock: true,
        bases: BTreeMap::new(),
        metadata: Vec::new(),
        graphs: BTreeMap::new(),
        alike: Vec::new(),
        cross: Cross::default(),
        linkers: BTreeMap::new(),
        build_vars: BTreeMap::new(),
        cargo: "cargo".into(),
        env: Env::scrub([("CARGO_HOME".into(), "/home/cargo".into())]),
    }
}

fn file(path: &str) -> ArchiveFile {
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    ArchiveFile { name, path: path.into(), mode: 0o644 }
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
        auditable: true,
        licenses: true,
        archive_folder: false,
        archive_files: vec![file("/p/LICENSE")],
        archive_unfound: Vec::new(),
        generate: Vec::new(),
        krew: None,
        image: image_config(),
    });
    Config {
        ci: None,
        check: crate::config::CheckConfig::default(),
        profile: "dist".to_owned(),
        sbom: config::SbomConfig { ship: true, format: config::SbomFormat::Spdx },
        provenance: config::ProvenanceConfig { ship: true },
        network: config::NetworkConfig::default(),
        forge: config::ForgeConfig {
            kind: config::ForgeKind::GitHub,
            ship: true,
            repository: config::Slug::parse("acme/tool"),
            changelog: String::new(),
            unfound: None,
            index: config::Slug::parse("acme/index"),
        },
        sign: config::SignConfig::default(),
        packages: packages.collect(),
        warnings: Vec::new(),
    }
}

fn image_config() -> config::ImageConfig {
    config::ImageConfig {
        ship: true,
        repositories: Vec::new(),
        base: Base::Builtin,
        tags: vec!["{{ version }}".to_owned(), "latest".to_owned()],
        user: User { uid: 65532, gid: None },
        bin_dir: "/usr/local/bin".to_owned(),
        entrypoint: Vec::new(),
        cmd: Vec::new(),
        env: BTreeMap::new(),
        ports: Vec::new(),
        volumes: Vec::new(),
        workdir: String::new(),
        stop_signal: String::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        files: Vec::new(),
        unfound: Vec::new(),
    }
}

fn request(mode: Mode) -> Request {
    let (build, publish) = (BuildOptions::default(), PublishOptions::default());
    Request { mode, part: Part::All, select: Select::default(), build, publish }
}

fn skipping(step: Skip, mode: Mode) -> Request {
    let select = Select { skip: vec![step], ..Select::default() };
    Request { select, ..request(mode) }
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
    assert_eq!(plan.publish.unwrap().tag.to_string(), "v1.2.3");
    let archive = &plan.archives[0];
    assert_eq!(archive.name, "tool-v1.2.3-x86_64-unknown-linux-musl.tar.gz");
    assert_eq!(archive.files, [file("/p/LICENSE")]);
    let build = &plan.builds[0];
    let expected = [
        "--profile",
        "dist",
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
    assert_eq!(local.builds[0].args, ["--profile", "dev"]);
    let skipping = skipping(Skip::Publish, Mode::Release);
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

/// A crate with a build script.
fn native(name: &str, builders: &[&str], features: &[&str]) -> NativeCrate {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NativeCrate {
        name: name.to_owned(),
        version: "0.9.1".to_owned(),
        links: name.strip_suffix("-sys").map(str::to_owned),
        builders: owned(builders),
        features: owned(features),
    }
}

/// The plan of one package for one target, with the crate in its graph.
fn planned(
    mut project: Project,
    target: &str,
    krate: Option<NativeCrate>,
) -> Result<Plan, Vec<Finding>> {
    let mut config = config(&project);
    config.packages[0].targets = vec![Target::parse(target).unwrap()];
    for wanted in wanted(&config, &project, &request(Mode::Snapshot)).unwrap() {
        let native = krate.clone().into_iter().collect();
        let sources = vec![("/elsewhere".into(), "/deps/x".into())];
        project.graphs.insert(wanted, Graph { native, sources, ..Graph::default() });
    }
    let request = skipping(Skip::Image, Mode::Snapshot);
    plan(&config, &project, &request)
}

fn zig() -> Option<Zig> {
    Some(Zig { program: "/bin/zig".into(), version: semver::Version::new(0, 17, 1) })
}

#[test]
fn each_target_is_built_by_what_can_build_it() {
    let gnu = "x86_64-unknown-linux-gnu";
    let arm = "aarch64-unknown-linux-musl";
    let ring = || Some(native("ring", &["cc"], &[]));
    for (target, krate, with, expected) in [
        (X86, None, "", Tools::Rustc),
        (X86, ring(), "zig", Tools::Cross),
        (X86, ring(), "clang", Tools::Cross),
        (X86, ring(), "CC_x86_64_unknown_linux_musl", Tools::Users),
        (arm, ring(), "TARGET_CC", Tools::Users),
        (gnu, ring(), "", Tools::Host),
        ("x86_64-unknown-linux-gnu.2.28", None, "zig", Tools::Zig),
        ("aarch64-unknown-linux-gnu", None, "zig", Tools::Zig),
        ("x86_64-apple-darwin", ring(), "zig", Tools::Zig),
        ("x86_64-pc-windows-gnu", None, "zig", Tools::Zig),
        ("x86_64-pc-windows-gnu", None, "linker", Tools::Users),
        ("x86_64-pc-windows-gnu", ring(), "linker and zig", Tools::Cross),
    ] {
        let mut project = single(None);
        match with {
            "zig" => project.cross.zig = zig(),
            "clang" => {
                let headers = vec![("x86_64".to_owned(), "/usr/include/x86_64-linux-musl".into())];
                project.cross.clang = Some(Clang { program: "/bin/clang".into(), headers });
            }
            "linker" | "linker and zig" => {
                project.linkers.insert(target.to_owned(), "ld".into());
                project.cross.zig = zig().filter(|_| with != "linker");
            }
            "" => {}
            name => project.env = project.env.with(name, "cc".as_ref()),
        }
        let plan = planned(project, target, krate).unwrap();
        let tools: Vec<Tools> = plan.builds[0].tools.values().copied().collect();
        assert_eq!(tools, [expected], "{target} with {with:?}");
        assert_eq!(plan.left_out, []);
        let outside = ("/elsewhere".into(), "/deps/x".into());
        assert!(plan.builds[0].remap.contains(&outside));
    }
}

#[test]
fn what_this_machine_cannot_build_is_an_error_that_names_the_crate_and_the_fix() {
    let zig_missing = "setup --zig";
    for (target, krate, with, why, fix) in [
        (
            X86,
            Some(native("ring", &["cc"], &[])),
            "",
            "a C compiler for the target is needed by ring 0.9.1 (by cc)",
            zig_missing,
        ),
        (
            "aarch64-apple-darwin",
            Some(native("ring", &["cc"], &[])),
            "",
            "this machine has no linker for it, nor a C compiler, which ring 0.9.1 (by cc) need",
            zig_missing,
        ),
        ("aarch64-apple-darwin", None, "", "this machine has no linker for it", zig_missing),
        (
            "x86_64-pc-windows-msvc",
            None,
            "zig",
            "its linker and libraries are Microsoft's and run on Windows alone",
            "x86_64-pc-windows-gnu",
        ),
        ("x86_64-unknown-freebsd", None, "zig", "no linker for it is known", ".cargo/config.toml"),
        (
            X86,
            Some(native("openssl-sys", &["cc", "pkg-config"], &[])),
            "zig",
            "openssl-sys 0.9.1 links openssl of the system, and there is none for the target",
            "turn on the feature `vendored` of openssl-sys",
        ),
    ] {
        let mut project = single(None);
        project.rustc.targets = vec![target.to_owned()];
        project.cross.zig = zig().filter(|_| with == "zig");
        let findings = planned(project, target, krate).unwrap_err();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].rule, &*findings[0].why), ("not-buildable", why), "{target}");
        assert!(findings[0].fix.contains(fix), "{}", findings[0].fix);
    }
    // A crate that brings its library along, or whose library the user names, is
    // no obstacle, nor is one that may never look for it.
    let mut project = single(None);
    project.cross.zig = zig();
    let vendored = native("openssl-sys", &["cc", "pkg-config"], &["vendored"]);
    assert_eq!(planned(project.clone(), X86, Some(vendored)).unwrap().left_out, []);
    let idle = native("wayland-sys", &["pkg-config"], &[]);
    assert_eq!(planned(project.clone(), X86, Some(idle)).unwrap().left_out, []);
    project.env = project.env.with("OPENSSL_DIR", "/opt/openssl".as_ref());
    let found = native("openssl-sys", &["cc", "pkg-config"], &[]);
    assert_eq!(planned(project, X86, Some(found)).unwrap().left_out, []);
}

#[test]
fn what_cannot_be_built_is_left_out_of_a_snapshot_and_stops_a_release() {
    let project = single(Some(git(&["v1.2.3"])));
    let mut config = config(&project);
    config.packages[0].targets.push(Target::parse("aarch64-apple-darwin").unwrap());
    let snapshot = plan(&config, &project, &request(Mode::Snapshot)).unwrap();
    assert_eq!(snapshot.builds[0].targets, [Target::parse(X86).unwrap()]);
    assert_eq!(snapshot.left_out[0].why, "this machine has no linker for it");
    let stopped = rules(plan(&config, &project, &request(Mode::Release)));
    assert_eq!(stopped, ["not-buildable"]);
}

#[test]
fn a_universal_program_is_made_of_two() {
    let mut project = single(None);
    project.cross.zig = zig();
    let plan = planned(project, "universal2-apple-darwin", None).unwrap();
    let built: Vec<&str> = plan.builds[0].targets.iter().map(Target::as_str).collect();
    assert_eq!(built, ["aarch64-apple-darwin", "x86_64-apple-darwin"]);
    assert_eq!(plan.builds[0].joined[0].as_str(), "universal2-apple-darwin");
    let names: Vec<&str> = plan.archives.iter().map(|archive| &*archive.name).collect();
    assert_eq!(names, ["tool-v1.2.3-universal2-apple-darwin.tar.gz"]);
}

#[test]
fn names_that_two_things_would_share_are_refused() {
    let mut project = project(vec![package("a", "1.0.0", None), package("b", "1.0.0", None)], None);
    project.packages[1].bins[0].name = "a".to_owned();
    let mut config = config(&project);
    assert_eq!(rules(plan(&config, &project, &request(Mode::Snapshot))), ["binary-name"]);
    config.packages.pop();
    config.packages[0].archive_files.push(file("/p/docs/LICENSE"));
    let findings = plan(&config, &project, &request(Mode::Snapshot)).unwrap_err();
    assert!(findings[0].why.ends_with("they are /p/LICENSE and /p/docs/LICENSE"), "{findings:?}");
    assert_eq!(rules(plan(&config, &project, &request(Mode::Snapshot))), ["archive-name"]);
    config.packages[0].archive_files = vec![file("/p/a")];
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
    let build = BuildOptions { features: vec!["more".into()], ..BuildOptions::default() };
    let with = Request { build, ..request(Mode::Snapshot) };
    let with = plan(&config, &project, &with).unwrap();
    assert_eq!(with.builds[0].bins, ["tool", "extra"]);
    assert!(with.builds[0].args.contains(&"--features=more".to_owned()));
}
