use std::path::Path;

use super::*;
use crate::files;
use crate::http::Network;
use crate::process::Env;
use crate::project::{Invocation, Wanted, discover, graph};
use crate::target::Target;
use crate::term::Term;

const MIT: &str = include_str!("../../templates/licenses/MIT.txt");
const APACHE: &str = include_str!("../../templates/licenses/Apache-2.0.txt");

/// A crate of a path, with these files in its folder.
pub fn krate(dir: &Path, name: &str, license: Option<&str>, files: &[(&str, &[u8])]) -> Crate {
    let dir = dir.join(name);
    files::make_dir(&dir).unwrap();
    for (path, bytes) in files {
        files::write(&dir.join(path), bytes).unwrap();
    }
    Crate {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        source: None,
        host: false,
        features: Vec::new(),
        proc_macro: false,
        exports: false,
        root: false,
        dependencies: Vec::new(),
        license: license.map(str::to_owned),
        license_file: None,
        dir,
        checksum: None,
    }
}

fn collected(crates: &[Crate]) -> Licenses {
    collect(crates, &Cache::none()).unwrap()
}

/// `RULE: PLACE: WHY` of each finding.
fn said(licenses: &Licenses) -> Vec<String> {
    licenses.findings().iter().map(|it| format!("{}: {it}", it.rule)).collect()
}

#[test]
fn the_file_has_each_text_once_with_the_crates_that_have_it() {
    let temp = tempfile::tempdir().unwrap();
    let dos = MIT.replace('\n', "\r\n");
    let crates = [
        krate(temp.path(), "b", Some("MIT/Apache-2.0"), &[("LICENSE-MIT", dos.as_bytes())]),
        krate(
            temp.path(),
            "a",
            Some("MIT"),
            &[("LICENSE", MIT.as_bytes()), ("c/LICENSE.txt", MIT.as_bytes()), ("NOTICE", b"By A")],
        ),
        krate(temp.path(), "c", None, &[("COPYING", b"Do as you like.\n\n")]),
    ];
    let licenses = collected(&crates);
    let line = "=".repeat(80);
    let expected = format!(
        "THIRD-PARTY LICENCES\n\n\
         This software contains 3 crates of others. Here is each with the licence that it\n\
         declares; the texts follow, each with the crates that have it. The sources of a crate\n\
         from crates.io are at https://crates.io/crates/NAME/VERSION.\n\n\
         a 1.0.0: MIT\nb 1.0.0: MIT OR Apache-2.0\nc 1.0.0: see its files\n\n\
         {line}\na 1.0.0: LICENSE, c/LICENSE.txt\nb 1.0.0: LICENSE-MIT\n{line}\n\n{MIT}\n\
         {line}\na 1.0.0: NOTICE\n{line}\n\nBy A\n\n\
         {line}\nc 1.0.0: COPYING\n{line}\n\nDo as you like.\n"
    );
    assert_eq!(licenses.text, expected);
    assert_eq!((licenses.crates, licenses.texts), (3, 3));
    assert_eq!((licenses.standard.len(), said(&licenses)), (0, Vec::new()));
}

/// What is declared, the files, the standard texts that are added, and what is wrong.
type Case<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);

#[test]
fn what_a_crate_lacks_is_added_or_found() {
    let missing = "license-missing: x 1.0.0: it declares no licence, and its sources have none";
    let cases: [Case<'_>; 17] = [
        (Some("MIT"), &[], &["x 1.0.0 (MIT)"], &[]),
        (Some("MIT OR Apache-2.0"), &[], &["x 1.0.0 (MIT, Apache-2.0)"], &[]),
        // One branch of an OR is enough, and each of an AND is needed.
        (Some("MIT OR Apache-2.0"), &[("LICENSE", APACHE)], &[], &[]),
        (Some("MIT AND Apache-2.0"), &[("LICENSE", APACHE)], &["x 1.0.0 (MIT)"], &[]),
        (Some("MIT AND Apache-2.0"), &[("LICENSE", APACHE), ("COPYING", MIT)], &[], &[]),
        (
            Some("Apache-2.0 WITH LLVM-exception"),
            &[("LICENSE", APACHE)],
            &["x 1.0.0 (LLVM-exception)"],
            &[],
        ),
        // A text that nobody knows is the licence by its name, a notice is not.
        (Some("MIT AND Apache-2.0"), &[("LICENSE", "Mine")], &[], &[]),
        (Some("MIT"), &[("NOTICE", "Mine")], &["x 1.0.0 (MIT)"], &[]),
        (Some("MIT"), &[("NOTICE", MIT)], &[], &[]),
        // No text is at hand.
        (
            Some("GPL-3.0"),
            &[],
            &[],
            &["license-text: x 1.0.0: its sources have no text of GPL-3.0-only"],
        ),
        (Some("GPL-3.0 OR MIT"), &[], &["x 1.0.0 (MIT)"], &[]),
        (
            Some("MIT AND LicenseRef-Own"),
            &[],
            &["x 1.0.0 (MIT)"],
            &["license-text: x 1.0.0: its sources have no text of MIT AND LicenseRef-Own"],
        ),
        (Some("LicenseRef-Own"), &[("LICENSE", "Mine")], &[], &[]),
        // An expression that nobody understands.
        (
            Some("Mine!"),
            &[],
            &[],
            &["license-text: x 1.0.0: \"Mine!\" is not an SPDX expression: unknown term \
               at \"Mine\", and its sources have no licence"],
        ),
        (Some("Mine!"), &[("LICENSE", MIT)], &[], &[]),
        (None, &[("NOTICE", "Mine")], &[], &[missing]),
        (Some(" "), &[], &[], &[missing]),
    ];
    for (license, files, standard, found) in cases {
        let temp = tempfile::tempdir().unwrap();
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let licenses = collected(&[krate(temp.path(), "x", license, &files)]);
        assert_eq!(licenses.standard, standard, "{license:?} {}", licenses.text);
        assert_eq!(said(&licenses), found, "{license:?}");
        for name in standard {
            let name = name.split(['(', ',', ')']).nth(1).unwrap();
            let label = format!("x 1.0.0: the standard text of {name}");
            assert!(licenses.text.contains(&label), "{}", licenses.text);
        }
    }
}

#[test]
fn a_crate_counts_once_and_versions_are_in_their_order() {
    let temp = tempfile::tempdir().unwrap();
    let mut crates = Vec::new();
    for version in ["1.10.0", "1.9.0", "1.9.0"] {
        let one = krate(temp.path(), "x", Some("MIT"), &[]);
        crates.push(Crate { version: version.to_owned(), ..one });
    }
    crates[2].features.push("more".to_owned());
    let licenses = collected(&crates);
    assert_eq!(licenses.crates, 2);
    assert!(licenses.text.contains("\n\nx 1.9.0: MIT\nx 1.10.0: MIT\n\n"), "{}", licenses.text);
}

/// Sources of a registry do not change, those of a path do.
#[test]
fn the_cache_knows_what_can_change() {
    let temp = tempfile::tempdir().unwrap();
    let cache = Cache::at(&temp.path().join("cache"));
    let path = krate(temp.path(), "path", None, &[("LICENSE", b"first")]);
    let mut fixed = krate(temp.path(), "fixed", None, &[("LICENSE", b"fixed")]);
    fixed.source = Some("registry+https://github.com/rust-lang/crates.io-index".to_owned());
    let crates = [path, fixed];
    let first = collect(&crates, &cache).unwrap();
    files::write(&crates[1].dir.join("LICENSE"), b"unseen").unwrap();
    assert_eq!(collect(&crates, &cache).unwrap(), first);
    files::write(&crates[0].dir.join("LICENSE"), b"second").unwrap();
    let second = collect(&crates, &cache).unwrap();
    assert!(second.text.contains("second") && second.text.contains("unseen"), "{}", second.text);
    // What is wrong is said again.
    let none = [krate(temp.path(), "none", None, &[])];
    for _ in 0..2 {
        assert_eq!(said(&collect(&none, &cache).unwrap()).len(), 1);
    }
}

/// The same crates give the same file, wherever they lie and in whatever order they come.
#[test]
fn neither_folders_nor_order_matter() {
    arbtest::arbtest(|u| {
        let pool = [MIT, APACHE, "Mine\r\n", "Mine\n", "\u{e9}", ""];
        let names = ["LICENSE", "license-mit", "COPYING.txt", "NOTICE", "c/Licence", "src/lib.rs"];
        let licenses = [None, Some("MIT"), Some("MIT/ISC"), Some("?"), Some("GPL-2.0")];
        let mut described = Vec::new();
        for at in 0..u.int_in_range(0..=4)? {
            let mut files: Vec<(&str, &[u8])> = Vec::new();
            for name in names {
                if u.arbitrary()? {
                    files.push((name, u.choose(&pool)?.as_bytes()));
                }
            }
            described.push((format!("crate-{at}"), *u.choose(&licenses)?, files));
        }
        let made = |reverse: bool| {
            let temp = tempfile::tempdir().unwrap();
            let crates = described
                .iter()
                .map(|(name, license, files)| krate(temp.path(), name, *license, files));
            let mut crates: Vec<Crate> = crates.collect();
            if reverse {
                crates.reverse();
            }
            collected(&crates)
        };
        let licenses = made(false);
        assert_eq!(made(true), licenses);
        // Each text is there, once.
        assert!(!licenses.text.contains('\r'));
        let known = [MIT.as_bytes(), APACHE.as_bytes()];
        for (name, license, files) in &described {
            let has_license = files.iter().any(|(path, text)| {
                !text.is_empty() && !path.ends_with(".rs") && *path != "NOTICE"
            });
            let covered = has_license
                || licenses.standard.iter().any(|it| it.starts_with(&**name))
                || said(&licenses).iter().any(|it| it.contains(&format!(" {name} 1.0.0: ")))
                || (license.is_some() && files.iter().any(|(_, text)| known.contains(text)));
            assert!(covered, "{name} {license:?} {}", licenses.text);
        }
        Ok(())
    });
}

/// All crates that this tool itself is linked of have a text, and no standard one is needed.
#[test]
fn each_crate_of_this_tool_has_a_text() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.parent().unwrap();
    let path = Path::new(env!("CARGO")).parent().unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", path.display());
    let vars = [("PATH", Some(&*path)), ("HOME", option_env!("HOME"))];
    let vars = vars.into_iter().chain([("CARGO_HOME", option_env!("CARGO_HOME"))]);
    let vars = vars.filter_map(|(name, value)| Some((name.into(), value?.into())));
    let invocation = Invocation {
        dir: root.to_owned(),
        manifest_path: None,
        targets: Vec::new(),
        network: Network::Offline,
        env: Env::scrub(vars),
    };
    let (cache, term) = (Cache::none(), Term::silent());
    let (project, _) = discover(&invocation, &cache).unwrap();
    let package = project.package("dockless").unwrap().spec.clone();
    let target = Target::parse("x86_64-unknown-linux-musl").unwrap();
    let wanted = [Wanted { package, target, feature_args: Vec::new() }];
    let (graphs, _) = graph::learn(&project, &wanted, Network::Offline, &cache, &term).unwrap();
    let crates = graphs.into_values().flat_map(|graph| graph.crates);
    let crates: Vec<Crate> = crates.filter(|it| !it.host && it.source.is_some()).collect();
    assert!(crates.len() > 100, "{}", crates.len());
    let licenses = collected(&crates);
    assert_eq!(said(&licenses), Vec::<String>::new());
    assert_eq!(licenses.standard, Vec::<String>::new());
    for krate in &crates {
        let label = format!("\n{} {}: ", krate.name, krate.version);
        assert!(licenses.text.matches(&*label).count() >= 2, "{label}");
    }
}
