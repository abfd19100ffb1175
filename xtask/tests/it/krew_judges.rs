//! `krew validate` beside krew itself: both are given one table of manifests and archives,
//! good and broken, and say the same of each, but for what is listed with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::world::krew::{Judges, Server};
use crate::world::{World, run, said, skipped};

#[path = "../../src/krew/validate/tests/archives.rs"]
mod archives;
#[path = "../../src/krew/validate/tests/cases.rs"]
mod cases;

use archives::{archives, good, good_zip};
use cases::{CASES, GOOD, KNOWN, LINUX, NAMES, SERVED, WINDOWS};

/// The rules that the table breaks.
fn broken() -> BTreeSet<&'static str> {
    let packed = archives();
    let cases = CASES.iter().map(|case| case.2).chain(packed.iter().map(|it| it.found));
    let cases = cases.flatten().map(|(rule, _)| *rule);
    cases.chain(NAMES.iter().flat_map(|(_, rules)| rules.iter().copied())).collect()
}

/// The page of rules has those that the table breaks, and those that other tests do.
#[test]
fn each_rule_is_on_the_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/krew-rules.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter_map(|row| row.split(" | ").next()).filter(|names| *names != "rule");
    let listed: BTreeSet<&str> = rows.flat_map(|names| names.split(", ")).collect();
    let elsewhere = [
        "archive-missing",
        "archive-sha256",
        "archive-too-large",
        "file-extension",
        "file-name",
        "uri-http",
    ];
    let known: BTreeSet<&str> = broken().into_iter().chain(elsewhere).collect();
    assert_eq!(listed, known);
}

/// How many cases are judged at a time.
const AT_A_TIME: usize = 2;

/// A manifest, its file's name and the archive for Linux.
struct Case {
    what: String,
    file: String,
    text: String,
    archive: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let case = |what: String, file: &str, text: String, archive: Vec<u8>| {
        let mut text = text;
        for (token, bytes) in [("LINUX", &archive), ("WINDOWS", &good_zip())] {
            let digest = Sha256::digest(bytes);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            text = text.replace(token, &hex);
        }
        Case { what, file: file.to_owned(), text, archive }
    };
    let broken = CASES.iter().map(|(from, to, _)| {
        case(format!("{from:?} -> {to:?}"), "foo.yaml", GOOD.replacen(from, to, 1), good())
    });
    let named = NAMES.iter().map(|(name, _)| {
        let text = GOOD.replace("name: foo", &format!("name: {name}"));
        case(format!("the name {name}"), &format!("{name}.yaml"), text, good())
    });
    let files = ["foo.yml", "foo", "foo.YAML", "Foo.yaml"]
        .map(|file| case(format!("the file {file}"), file, GOOD.to_owned(), good()));
    broken.chain(named).chain(files).chain(packed(case)).collect()
}

/// The cases that are about archives.
fn packed(case: impl Fn(String, &str, String, Vec<u8>) -> Case) -> impl Iterator<Item = Case> {
    archives().into_iter().map(move |packed| {
        let text = GOOD.replacen(packed.change.0, packed.change.1, 1);
        case(packed.name.to_owned(), "foo.yaml", text, packed.bytes)
    })
}

/// What was said of a case: by us the rules of errors, by krew what it ended with.
struct Verdict {
    what: String,
    ours: Vec<String>,
    krew: Option<String>,
}

/// A folder with the case in it.
fn laid_out(world: &World, number: usize, case: &Case, text: &str) -> PathBuf {
    let folder = world.path(&format!("{number}"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(&case.file), text).unwrap();
    std::fs::write(folder.join(LINUX), &case.archive).unwrap();
    std::fs::write(folder.join(WINDOWS), good_zip()).unwrap();
    folder
}

/// What `krew validate` finds.
fn findings(world: &World, file: &Path, folder: &Path) -> Vec<Value> {
    let args = ["krew", "validate", "--json", "--archives"].map(AsRef::<Path>::as_ref);
    let run = run(&mut world.tool(args.into_iter().chain([folder, Path::new("--"), file])));
    let findings = run.list().as_array().unwrap().clone();
    run.ends_with(i32::from(!errors(&findings).is_empty()));
    findings
}

/// The rules that are broken.
fn errors(findings: &[Value]) -> Vec<String> {
    let errors = findings.iter().filter(|it| it["severity"] == "error");
    errors.map(|it| it["rule"].as_str().unwrap().to_owned()).collect()
}

/// What a program of krew's fails with; `None` where it takes the case.
fn theirs(command: &mut Command) -> Option<String> {
    let run = run(command);
    (run.code != Some(0)).then_some(run.stderr)
}

/// Judges all cases, some at a time.
fn judged(cases: &[Case], judge: impl Fn(usize, &Case) -> Verdict + Sync) -> Vec<Verdict> {
    let numbered: Vec<(usize, &Case)> = cases.iter().enumerate().collect();
    let chunks = numbered.chunks(numbered.len().div_ceil(AT_A_TIME));
    std::thread::scope(|scope| {
        let judge = &judge;
        let started: Vec<_> = chunks
            .map(|chunk| {
                let all = move || chunk.iter().map(|(at, it)| judge(*at, it)).collect::<Vec<_>>();
                scope.spawn(all)
            })
            .collect();
        started.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Fails for each difference that is not listed, and for what is listed and is none.
/// Returns the rules by which differences are known.
fn compare(verdicts: &[Verdict]) -> BTreeSet<&str> {
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for Verdict { what, ours, krew } in verdicts {
        match (&ours[..], krew) {
            ([], Some(krew)) => wrong.push(format!("{what}: taken here, and krew says: {krew}")),
            ([], None) => {}
            // Or the test would compare with a krew that never saw the archive.
            (rules, Some(krew)) => {
                let served = rules.iter().all(|rule| rule != "archive-sha256");
                let misled = ["status code", "checksum does not match", "connection refused"];
                let misled = served && misled.iter().any(|why| krew.contains(why));
                assert!(!misled, "{what}: {rules:?}, and krew says: {krew}");
            }
            (rules, None) => {
                let all_known = rules.iter().all(|rule| KNOWN.iter().any(|it| it.0 == rule));
                match all_known {
                    true => known.extend(rules.iter().map(String::as_str)),
                    false => wrong.push(format!("{what}: krew takes it, and here it is {rules:?}")),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    known
}

#[test]
fn validate_agrees_with_the_program_of_krews_index() {
    let world = World::empty();
    let Some(judges) = Judges::find(&world, &[]) else { return };
    let server = Server::start();
    let cases = cases();
    let verdicts = judged(&cases, |number, case| {
        let base = format!("{}/{number}", server.address());
        // What is wrong with an address stays so, whoever serves it.
        let text = case.text.replace(&format!("https://{SERVED}"), &format!("http://{base}"));
        for (name, bytes) in [(LINUX, case.archive.clone()), (WINDOWS, good_zip())] {
            server.serve(&format!("/{number}/{name}"), bytes);
        }
        let folder = laid_out(&world, number, case, &text);
        let file = folder.join(&case.file);
        let mut command = world.with(&judges.validate, ["-manifest"]);
        command.arg(&file).env("PATH", &judges.path);
        Verdict {
            what: case.what.clone(),
            ours: errors(&findings(&world, &file, &folder)),
            krew: theirs(&mut command),
        }
    });
    let known = compare(&verdicts);
    let listed: BTreeSet<&str> = KNOWN.iter().map(|it| it.0).collect();
    assert_eq!(known, listed, "what is listed as known differs");
    let refused = verdicts.iter().filter(|it| it.krew.is_some()).count();
    said(&format!("krew takes {} cases and refuses {refused}", verdicts.len() - refused));
}

/// Manifests that people wrote, which the index took.
#[test]
fn what_the_index_has_is_taken() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/krew-index/plugins");
    if !folder.exists() {
        return skipped("../shared/krew-index is not there");
    }
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let world = World::empty();
    let args = ["krew", "validate", "--json"].map(PathBuf::from);
    let run = run(&mut world.tool(args.into_iter().chain(files.iter().cloned())));
    let findings = run.list().as_array().unwrap().clone();
    let of = |severity: &str| -> Vec<String> {
        let found = findings.iter().filter(|it| it["severity"] == severity);
        let shown = found.map(|it| {
            let file = Path::new(it["place"]["file"].as_str().unwrap()).file_name().unwrap();
            format!("{}: {}", file.to_str().unwrap(), it["rule"].as_str().unwrap())
        });
        shown.collect()
    };
    // krew's guide asks for a description, and its index did not always.
    run.ends_with(0);
    assert_eq!(of("error"), [""; 0]);
    assert!(of("warning").contains(&"pod-logs.yaml: description-missing".to_owned()));
    let mut counts = BTreeMap::<String, usize>::new();
    for warning in of("warning") {
        *counts.entry(warning.rsplit(' ').next().unwrap().to_owned()).or_default() += 1;
    }
    said(&format!("{} manifests of the index, warnings: {counts:?}", files.len()));
}

#[test]
fn validate_agrees_with_kubectl_krew_install() {
    let world = World::empty();
    let Some(judges) = Judges::find(&world, &[]) else { return };
    let cases = cases();
    let packed = archives();
    let cases = &cases[cases.len() - packed.len()..];
    let verdicts = judged(cases, |number, case| {
        let folder = laid_out(&world, number, case, &case.text);
        let file = folder.join(&case.file);
        let mut command = world.with("kubectl", ["krew", "install", "--manifest"]);
        command.arg(&file).arg("--archive").arg(folder.join(LINUX)).envs([
            ("PATH", judges.path.as_os_str()),
            ("KREW_ROOT", folder.join("root").as_os_str()),
            ("KREW_OS", "linux".as_ref()),
            ("KREW_ARCH", "amd64".as_ref()),
        ]);
        let found = findings(&world, &file, &folder);
        let places = found.iter().map(|it| (it["rule"].as_str().unwrap(), &it["place"]["at"][0]));
        let places: Vec<_> = places.map(|(rule, line)| (rule, line.as_u64().unwrap())).collect();
        let expected = packed[number].found.iter().map(|(rule, line)| (*rule, *line as u64));
        assert_eq!(places, expected.collect::<Vec<_>>(), "{}", case.what);
        let mut ours = errors(&found);
        // Only the index asks for a licence.
        ours.retain(|rule| rule != "license-missing");
        Verdict { what: case.what.clone(), ours, krew: theirs(&mut command) }
    });
    compare(&verdicts);
}
