//! The licence texts of what is linked into published programs with C, beside cargo-about's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use spdx::{Expression, LicenseReq, ParseMode};

use super::NAME;
use crate::published::{WITH_C, asked, copied};
use crate::world::{AARCH64, World, X86_64, judge, run, said};

/// More programs that link C.
const MORE: [(&str, &str); 2] = [("bat", "0.25.0"), ("ripgrep", "14.1.1")];

/// By which phrases a licence's text is known here, in lower case and with single spaces.
const PHRASES: [(&str, &[&str]); 21] = [
    ("0BSD", &["with or without fee is hereby granted", "the software is provided"]),
    ("Apache-2.0", &["apache license", "version 2.0"]),
    ("BSD-2-Clause", &["redistributions of source code must retain", "in binary form must"]),
    ("BSD-3-Clause", &["redistributions of source code must retain", "endorse or promote"]),
    ("BSL-1.0", &["boost software license"]),
    ("CC0-1.0", &["cc0"]),
    ("CDLA-Permissive-2.0", &["community data license agreement", "permissive", "version 2.0"]),
    ("GPL-2.0", &["gnu general public license", "version 2"]),
    ("ISC", &["permission to use, copy, modify, and", "this permission notice appear in all"]),
    ("LGPL-3.0", &["gnu lesser general public license", "version 3"]),
    ("LLVM-exception", &["llvm exceptions"]),
    ("MIT", &["permission is hereby granted, free of charge", "this permission notice"]),
    ("MIT-0", &["permission is hereby granted, free of charge"]),
    ("MPL-2.0", &["mozilla public license", "version 2.0"]),
    ("OpenSSL", &["openssl project"]),
    ("Unicode-3.0", &["unicode license v3"]),
    ("Unicode-DFS-2016", &["unicode, inc. license agreement"]),
    ("Unlicense", &["this is free and unencumbered software"]),
    ("WTFPL", &["do what the fuck you want to"]),
    ("Zlib", &["altered source versions must be plainly marked"]),
    ("bzip2-1.0.6", &["julian"]),
];

/// Beginnings of the names of files with licences and notices, in lower case.
const FILES: [&str; 6] = ["licence", "license", "copying", "copyright", "notice", "unlicense"];

/// Endings of files that only seem to be some.
const SOURCES: [&str; 8] = ["rs", "c", "h", "s", "asm", "pl", "toml", "json"];

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether texts have all that a licence asks for, with its exception.
fn is_covered(license: &LicenseReq, texts: &[String]) -> bool {
    let license = license.to_string();
    license.split(" WITH ").all(|name| {
        let name = name.trim_end_matches("-only").trim_end_matches("-or-later");
        let known = PHRASES.iter().find(|(known, _)| *known == name);
        known.is_some_and(|(_, phrases)| {
            texts.iter().any(|text| phrases.iter().all(|phrase| text.contains(phrase)))
        })
    })
}

/// A program's file of licences, read again.
struct Shipped {
    /// What it lists: `NAME VERSION`, and the licence.
    listed: BTreeMap<String, String>,
    /// The texts of each, folded.
    texts: BTreeMap<String, Vec<String>>,
    /// How many of them no crate has.
    standard: usize,
}

impl Shipped {
    fn read(text: &str) -> Shipped {
        let line = format!("\n{}\n", "=".repeat(80));
        let mut parts = text.split(&line);
        let head = parts.next().unwrap().lines().skip(6).filter(|line| !line.is_empty());
        let pair = |line: &str| {
            let (of, rest) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
            (of.to_owned(), rest.to_owned())
        };
        let listed = head.map(pair).collect();
        let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut standard = 0;
        while let (Some(labels), Some(text)) = (parts.next(), parts.next()) {
            for label in labels.lines() {
                let (of, names) = pair(label);
                standard += usize::from(names.contains("the standard text of "));
                texts.entry(of).or_default().push(folded(text));
            }
        }
        Shipped { listed, texts, standard }
    }
}

fn online(command: &mut Command, copy: &Path) -> crate::world::Run {
    run(command.current_dir(copy).env("CARGO_NET_OFFLINE", "false"))
}

/// What is linked in, by cargo: `NAME VERSION`.
fn linked(world: &World, copy: &Path) -> BTreeSet<String> {
    let mut linked = BTreeSet::new();
    for target in [X86_64, AARCH64] {
        let edges = ["tree", "--edges", "normal,no-proc-macro", "--prefix", "none"];
        let mut tree = world.with("cargo", edges);
        tree.args(["--locked", "--no-dedupe", "--format", "{p}", "--target", target]);
        let tree = online(&mut tree, copy);
        linked.extend(tree.ends_with(0).stdout.lines().map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            format!("{name} {}", words.next().unwrap().trim_start_matches('v'))
        }));
    }
    linked
}

/// The crates of the graph by cargo: `NAME VERSION`, licence and folder.
fn facts(world: &World, copy: &Path) -> BTreeMap<String, (String, std::path::PathBuf)> {
    let mut cargo = world.with("cargo", ["metadata", "--locked", "--format-version", "1"]);
    let metadata = online(&mut cargo, copy);
    let metadata = metadata.ends_with(0).json();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let folder = Path::new(&text("manifest_path")).parent().unwrap().to_owned();
        (format!("{} {}", text("name"), text("version")), (text("license"), folder))
    });
    packages.collect()
}

/// The licences and notices that lie beside a crate's manifest.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_lowercase();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if path.is_file()
            && FILES.iter().any(|start| name.starts_with(start))
            && !SOURCES.contains(&ending)
        {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            found.push((name, folded(&text)));
        }
    }
    found
}

/// All crates that are linked into what people shipped have their texts: for each `AND` all, for
/// each `OR` one, and all files that their authors put beside their manifests. `dockerfile`
/// collects them without a build.
#[test]
fn each_licence_of_published_programs_has_its_text() {
    if !asked() {
        return;
    }
    let about = judge("cargo-about");
    let (mut notices, mut sources) = (0, 0);
    let with_c = WITH_C.map(|(package, version, _)| (package, version));
    for (package, version) in with_c.into_iter().chain(MORE) {
        let world = World::empty();
        let copy = world.outside(package);
        copied(&world, package, version, &copy);
        online(&mut world.tool(["dockerfile"]), &copy).ends_with(0).never_says("warning: ");
        let to = world.outside("rootfs");
        fs::create_dir_all(&to).unwrap();
        let tar = copy.join(format!("dist/docker/{package}/rootfs.tar"));
        run(world.with("tar", ["-C"]).arg(&to).arg("-xf").arg(&tar)).ends_with(0);
        let text = fs::read_to_string(to.join(format!("usr/share/doc/{package}/{NAME}"))).unwrap();
        let shipped = Shipped::read(&text);
        let facts = facts(&world, &copy);
        let mut linked = linked(&world, &copy);
        linked.remove(&format!("{package} {version}"));
        assert!(linked.len() > 20, "{linked:?}");
        assert_eq!(shipped.listed.keys().cloned().collect::<BTreeSet<_>>(), linked, "{package}");
        for of in &linked {
            let (license, folder) = &facts[of];
            let texts = shipped.texts.get(of).unwrap_or_else(|| panic!("no text of {of}"));
            // Some only name a file, which is compared below.
            let holds = license.is_empty() || {
                let parsed = Expression::parse_mode(license, ParseMode::LAX).unwrap();
                parsed.evaluate(|license| is_covered(license, texts))
            };
            assert!(holds, "{of} in {package}: {license} is not covered by {texts:#?}");
            for (name, text) in files(folder) {
                notices += usize::from(name.starts_with("notice"));
                assert!(texts.contains(&text), "{of} in {package}: {name} is not among its texts");
            }
        }
        let (count, standard) = (linked.len(), shipped.standard);
        said(&format!("{package} {version}: {count} crates, {standard} standard texts"));
        if let Some(about) = about.as_ref().filter(|_| with_c.contains(&(package, version))) {
            sources += compare(&world, about, &copy, &shipped);
        }
    }
    assert!(about.is_none() || sources > 0, "cargo about no longer takes source files for texts");
    said(&format!("{notices} notices"));
}

/// Where cargo-about has other texts than we have. What it lacks and we have: every branch of an
/// `OR` but one. What it has in excess: whole source files, for the licences in their comments.
/// Returns how many of these there are.
fn compare(world: &World, about: &Path, copy: &Path, shipped: &Shipped) -> usize {
    let accepted: Vec<&str> = PHRASES.iter().map(|(name, _)| *name).collect();
    let accepted =
        accepted.iter().filter(|name| !["LLVM-exception", "GPL-2.0", "LGPL-3.0"].contains(*name));
    // The programs' own licences count there too.
    let accepted = accepted.chain([&"EUPL-1.2"]).collect::<Vec<_>>();
    let settings = format!(
        "accepted = {accepted:?}\ntargets = [\"{X86_64}\", \"{AARCH64}\"]\n\
         ignore-build-dependencies = true\nignore-dev-dependencies = true\n"
    );
    let file = world.outside("about.toml");
    fs::write(&file, settings).unwrap();
    let mut about = world.with(about, ["about", "generate", "--format", "json", "--offline"]);
    let theirs = run(about.arg("--config").arg(&file).current_dir(copy));
    let theirs = theirs.ends_with(0).json();
    let (mut of_theirs, mut sources) = (BTreeMap::new(), BTreeSet::new());
    for license in theirs["licenses"].as_array().unwrap() {
        let id = license["id"].as_str().unwrap();
        let place = license["source_path"].as_str().unwrap_or_default();
        let ending = place.rsplit_once('.').map_or("", |(_, ending)| ending);
        for used in license["used_by"].as_array().unwrap() {
            let text = |key: &str| used["crate"][key].as_str().unwrap().to_owned();
            let of = format!("{} {}", text("name"), text("version"));
            // It also lists procedural macros and what they use.
            let Some(texts) = shipped.texts.get(&of) else { continue };
            if SOURCES.contains(&ending) {
                sources.insert(format!("{of}: {place}"));
                continue;
            }
            let required = Expression::parse(id).unwrap();
            let holds = required.evaluate(|license| is_covered(license, texts));
            // Where the sources have no file of the branch that it chose, it has a standard text.
            assert!(holds || place.is_empty(), "no {id} of {of}, which cargo about has: {place}");
            of_theirs.entry(of).or_insert_with(BTreeSet::new).insert(id.to_owned());
        }
    }
    let mut branches = 0;
    for (of, license) in &shipped.listed {
        let parsed = Expression::parse_mode(license, ParseMode::LAX).unwrap();
        let names = parsed.requirements().map(|it| &it.req);
        let ours = names.filter(|it| is_covered(it, &shipped.texts[of])).count();
        let theirs = of_theirs.get(of).map_or(0, BTreeSet::len);
        branches += ours.saturating_sub(theirs);
    }
    let (listed, sources) = (shipped.listed.len(), sources.len());
    assert!(branches > 0, "cargo about has all branches");
    said(&format!(
        "cargo about has texts of {} of the {listed} crates, lacks {branches} licences that they \
         offer, and has {sources} source files whole",
        of_theirs.len()
    ));
    sources
}
