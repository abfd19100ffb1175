use std::ffi::OsStr;
use std::path::Path;

use super::*;
use crate::cache::Cache;
use crate::files;
use crate::http::Network;
use crate::process::{Env, Program};
use crate::project::{Invocation, Wanted, discover, graph};
use crate::target::Target;
use crate::term::Term;

const LINUX: &str = "x86_64-unknown-linux-musl";
const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// The toolchain of this test, and nothing of the user's.
fn env(home: &Path) -> Env {
    let bin = Path::new(env!("CARGO")).parent().unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    Env::scrub([
        ("PATH".into(), path.into()),
        ("HOME".into(), home.into()),
        ("CARGO_HOME".into(), home.join(".cargo").into()),
    ])
}

/// A package's folder, and its manifest after name and edition.
type Written = (&'static str, &'static str);

/// Resolver, target, arguments for features, packages, and the crates of `app`.
type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a [Written], &'a [&'a str]);

/// Writes packages, each at version 1.0.0 unless it begins with another.
fn write(root: &Path, packages: &[(&str, &str)]) {
    for (dir, rest) in packages {
        let name = dir.rsplit('/').next().unwrap();
        let package = format!("[package]\nname = \"{name}\"\nedition = \"2021\"\n{rest}");
        let version = if rest.starts_with("version") { "" } else { "version = \"1.0.0\"\n" };
        let text = package.replacen("edition", &format!("{version}edition"), 1);
        let dir = root.join(dir);
        files::make_dir(&dir.join("src")).unwrap();
        files::write(&dir.join("Cargo.toml"), text.as_bytes()).unwrap();
        files::write(&dir.join("src/lib.rs"), b"").unwrap();
        files::write(&dir.join("src/main.rs"), b"fn main() {}").unwrap();
        if rest.contains("build-dependencies") {
            files::write(&dir.join("build.rs"), b"fn main() {}").unwrap();
        }
    }
}

/// The crates of the package `app` of the workspace in `root`.
fn crates(root: &Path, target: &str, feature_args: &[&str]) -> Vec<Crate> {
    let invocation = Invocation {
        dir: root.to_owned(),
        manifest_path: None,
        targets: Vec::new(),
        network: Network::Online,
        env: env(&root.join("home")),
    };
    let (project, _) = discover(&invocation, &Cache::none()).unwrap();
    let wanted = Wanted {
        package: "app@1.0.0".to_owned(),
        target: Target::parse(target).unwrap(),
        feature_args: feature_args.iter().map(|arg| (*arg).to_owned()).collect(),
    };
    let (cache, term) = (Cache::none(), Term::silent());
    let all = [wanted.clone()];
    let (mut graphs, _) = graph::learn(&project, &all, Network::Online, &cache, &term).unwrap();
    graphs.remove(&wanted).unwrap().crates
}

/// `NAME VERSION SIDE [FEATURES] > DEPENDENCIES`, where `b` marks one of the build script.
fn line(krate: &Crate) -> String {
    let side = match (krate.root, krate.proc_macro, krate.host) {
        (true, ..) => "root",
        (_, true, true) => "macro",
        (_, _, true) => "host",
        _ => "target",
    };
    let mut line = format!("{} {} {side}", krate.name, krate.version);
    if !krate.features.is_empty() {
        line += &format!(" [{}]", krate.features.join(","));
    }
    for Dependency { index, kind } in &krate.dependencies {
        let kind = if *kind == Kind::Build { "b" } else { "" };
        line += &format!(" >{index}{kind}");
    }
    line
}

#[test]
fn each_crate_is_listed_as_it_is_compiled() {
    let both =
        ("both", "[features]\nx = []\ny = []\n[dependencies]\nleaf = { path = \"../leaf\" }");
    let app_of_both = "[dependencies]\nboth = { path = \"../both\", features = [\"x\"] }\n\
        [build-dependencies]\nboth = { path = \"../both\", features = [\"y\"] }";
    let other = "[dependencies]\nleaf = { path = \"../leaf\" }";
    let cases: [Case<'_>; 8] = [
        // A crate for both sides with other features.
        (
            "2",
            LINUX,
            &[],
            &[("app", app_of_both), both, ("leaf", "")],
            &[
                "app 1.0.0 root >1 >2b",
                "both 1.0.0 target [x] >3",
                "both 1.0.0 host [y] >4",
                "leaf 1.0.0 target",
                "leaf 1.0.0 host",
            ],
        ),
        // The old resolver unites features, but compiles for each side.
        (
            "1",
            LINUX,
            &[],
            &[("app", app_of_both), both, ("leaf", "")],
            &[
                "app 1.0.0 root >1 >2b",
                "both 1.0.0 target [x,y] >3",
                "both 1.0.0 host [x,y] >4",
                "leaf 1.0.0 target",
                "leaf 1.0.0 host",
            ],
        ),
        // What a proc macro uses is for the host; cargo prints each crate's dependencies once.
        (
            "3",
            LINUX,
            &[],
            &[
                (
                    "app",
                    "[dependencies]\nuser = { path = \"../user\" }\nmac = { path = \"../mac\" }",
                ),
                (
                    "user",
                    "[dependencies]\nmac = { path = \"../mac\" }\nmid = { path = \"../mid\" }",
                ),
                ("mac", "[lib]\nproc-macro = true\n[dependencies]\nmid = { path = \"../mid\" }"),
                ("mid", other),
                ("leaf", ""),
            ],
            &[
                "app 1.0.0 root >3 >6",
                "leaf 1.0.0 target",
                "leaf 1.0.0 host",
                "mac 1.0.0 macro >5",
                "mid 1.0.0 target >1",
                "mid 1.0.0 host >2",
                "user 1.0.0 target >3 >4",
            ],
        ),
        // Other names in the manifest, and two versions of one crate.
        (
            "2",
            LINUX,
            &[],
            &[
                (
                    "app",
                    "[dependencies]\nold = { package = \"leaf\", path = \"../old/leaf\" }\n\
                     new = { package = \"leaf\", path = \"../leaf\" }",
                ),
                ("old/leaf", "version = \"0.9.0\""),
                ("leaf", ""),
            ],
            &["app 1.0.0 root >1 >2", "leaf 0.9.0 target", "leaf 1.0.0 target"],
        ),
        // A circle through tests is none of the build.
        (
            "2",
            LINUX,
            &[],
            &[
                (
                    "app",
                    "[dependencies]\nmid = { path = \"../mid\" }\n\
                     [dev-dependencies]\nleaf = { path = \"../leaf\" }",
                ),
                ("mid", "[dev-dependencies]\napp = { path = \"../app\" }"),
                ("leaf", ""),
            ],
            &["app 1.0.0 root >1", "mid 1.0.0 target"],
        ),
        // A build script's platform is the host's.
        (
            "2",
            WINDOWS,
            &[],
            &[
                (
                    "app",
                    "[target.'cfg(windows)'.dependencies]\nwin = { path = \"../win\" }\n\
                     [target.'cfg(not(windows))'.dependencies]\nleaf = { path = \"../leaf\" }\n\
                     [target.'cfg(not(windows))'.build-dependencies]\nmid = { path = \"../mid\" }",
                ),
                ("win", ""),
                ("mid", ""),
                ("leaf", ""),
            ],
            &["app 1.0.0 root >1b >2", "mid 1.0.0 host", "win 1.0.0 target"],
        ),
        // Features of the command line.
        (
            "2",
            LINUX,
            &["--features=more"],
            &[
                (
                    "app",
                    "[features]\nmore = [\"dep:leaf\", \"leaf/a\"]\n\
                     [dependencies]\nleaf = { path = \"../leaf\", optional = true }",
                ),
                ("leaf", "[features]\ndefault = [\"b\"]\na = []\nb = []"),
            ],
            &["app 1.0.0 root [more] >1", "leaf 1.0.0 target [a,b,default]"],
        ),
        // A crate that builds and is built.
        (
            "2",
            LINUX,
            &[],
            &[
                ("app", "[build-dependencies]\nmid = { path = \"../mid\" }"),
                (
                    "mid",
                    "[dependencies]\nleaf = { path = \"../leaf\" }\n\
                     [build-dependencies]\nleaf = { path = \"../leaf\" }",
                ),
                ("leaf", ""),
            ],
            &["app 1.0.0 root >2b", "leaf 1.0.0 host", "mid 1.0.0 host >1 >1b"],
        ),
    ];
    for (resolver, target, features, packages, expected) in cases {
        let dir = files::temporary_dir().unwrap();
        let root = files::resolve(dir.path()).unwrap();
        write(&root, packages);
        let text = format!(
            "[workspace]\nmembers = [\"app\"]\nexclude = [\"old\"]\nresolver = \"{resolver}\"\n"
        );
        files::write(&root.join("Cargo.toml"), text.as_bytes()).unwrap();
        let lines: Vec<String> = crates(&root, target, features).iter().map(line).collect();
        assert_eq!(lines, expected, "{packages:?}");
    }
}

#[test]
fn sources_licences_and_folders_are_known() {
    let dir = files::temporary_dir().unwrap();
    let root = files::resolve(dir.path()).unwrap();
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=n", "-c", "user.email=e@e", "-c", "commit.gpgsign=false"];
        let home = env(&root.join("home"));
        let dir = root.join("elsewhere");
        Program::new("git", &dir, &home).args(identity).args(args).read().unwrap();
    };
    write(&root, &[("elsewhere/leaf", "license = \"MIT\"\nlicense-file = \"../COPYING\"")]);
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "m"]);
    let url = format!("file://{}", root.join("elsewhere").display());
    let app = format!(
        "[dependencies]\nfirst = {{ package = \"leaf\", path = \"../leaf\" }}\n\
         second = {{ package = \"leaf\", git = \"{url}\" }}"
    );
    write(&root, &[("app", &app), ("leaf", "")]);
    let text = b"[workspace]\nmembers = [\"app\"]\nexclude = [\"elsewhere\"]\n";
    files::write(&root.join("Cargo.toml"), text).unwrap();
    let found = crates(&root, LINUX, &[]);
    let [app, path, git] = &found[..] else { panic!("{found:?}") };
    assert_eq!((line(app), app.dir.clone()), ("app 1.0.0 root >1 >2".into(), root.join("app")));
    assert_eq!(
        (path.source.as_deref(), &path.license, &path.dir),
        (None, &None, &root.join("leaf"))
    );
    let source = git.source.as_deref().unwrap();
    assert!(source.starts_with(&format!("git+{url}#")), "{source}");
    assert_eq!(git.license.as_deref(), Some("MIT"));
    assert_eq!(git.license_file.as_deref(), Some(Path::new("../COPYING")));
    assert_eq!(git.dir.file_name(), Some(OsStr::new("leaf")));
    assert!(git.dir.starts_with(root.join("home")), "{}", git.dir.display());
    assert!(found.iter().all(|krate| krate.checksum.is_none()));
}

#[test]
fn checksums_are_read_from_each_form_of_the_lock_file() {
    const INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";
    let package = format!("[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"{INDEX}\"\n");
    let key = ("a".to_owned(), "1.0.0".to_owned(), INDEX.to_owned());
    for (lock, expected) in [
        (format!("version = 4\n{package}checksum = \"0a\"\n"), Some("0a")),
        (format!("{package}[metadata]\n\"checksum a 1.0.0 ({INDEX})\" = \"0b\"\n"), Some("0b")),
        (format!("{package}[metadata]\n\"checksum a 1.0.0 ({INDEX})\" = \"<none>\"\n"), None),
        ("[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n".to_owned(), None),
        (String::new(), None),
    ] {
        assert_eq!(checksums(&lock).unwrap().get(&key).map(String::as_str), expected, "{lock}");
    }
    assert!(checksums("[[package]]").is_err());
}

#[test]
fn a_tree_of_another_form_is_refused() {
    let known = Known::default();
    for tree in ["app", "app v1.0.0", "app 1.0.0\t\t", "[build-dependencies]"] {
        let error = format!("{:#}", known.crates(tree).unwrap_err());
        assert_eq!(error, format!("read `{tree}`, which `cargo tree` printed"));
    }
    let error = known.crates("app v1.0.0 (/p)\tx\t").unwrap_err();
    let unlisted = "cargo does not list the package app 1.0.0, which is compiled";
    assert_eq!(format!("{error:#}"), unlisted);
}
