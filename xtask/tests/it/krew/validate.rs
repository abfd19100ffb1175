//! What `krew validate` says, of which files, and how it ends.

use serde_json::Value;

use super::{archive, plugin};
use crate::world::{Run, World, run, sha256};

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
    let json = json.ends_with(1).list();
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
    let archive = archive(&world);
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

/// Findings of all severities in one answer for machines, and in the lines that GitHub reads.
#[test]
fn validate_tells_machines_all_that_it_tells_people() {
    let world = plugin("");
    world.run("krew manifest -q").ends_with(0);
    let text = world.read("dist/krew/tool.yaml");
    let good = validate(&world, "--json dist/krew/tool.yaml");
    assert_eq!(good.ends_with(0).list(), serde_json::json!([]));
    good.never_says("warning").never_says("error");
    let odd = text.replace("  homepage: https://github.com/acme/tool.git\n", "");
    world.file("a/tool.yaml", &odd.replace("kind: Plugin", "kind: Plug"));
    world.file("b%/tool.yaml", &odd.replace("bin: kubectl-tool", "bin: ../tool"));
    let args = "--archives dist a/tool.yaml b%/tool.yaml";
    let found = validate(&world, &format!("--json {args}"));
    let json = found.ends_with(1).list();
    let told = json.as_array().unwrap().iter().map(|it| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        assert!(!text(&it["why"]).is_empty() && !text(&it["fix"]).is_empty());
        let place = &it["place"];
        let line = place["at"][0].as_u64().unwrap();
        format!("{} {}:{line} {}", text(&it["severity"]), text(&place["file"]), text(&it["rule"]))
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "error a/tool.yaml:2 kind",
            "warning a/tool.yaml:6 homepage-missing",
            "warning b%/tool.yaml:6 homepage-missing",
            "error b%/tool.yaml:21 bin-outside",
        ]
    );
    let mut annotated = world.tool("krew validate".split(' ').chain(args.split(' ')));
    let annotated = run(annotated.env("GITHUB_ACTIONS", "true"));
    annotated.ends_with(1).no_result();
    let lines: Vec<&str> =
        annotated.stderr.lines().filter_map(|it| it.split_once("::").map(|it| it.1)).collect();
    let begin = [
        "warning file=a/tool.yaml,line=6,col=3::a/tool.yaml:6:3: there is no homepage%0Ahelp: ",
        "warning file=b%25/tool.yaml,line=6,col=3::b%25/tool.yaml:6:3: there is no homepage%0A",
        "error file=a/tool.yaml,line=2,col=7::a/tool.yaml:2:7: kind is \"Plug\"",
        "error file=b%25/tool.yaml,line=21,col=10::b%25/tool.yaml:21:10: \"../tool\" leads out",
    ];
    assert_eq!(lines.len(), begin.len(), "{}", annotated.stderr);
    for (line, begin) in lines.iter().zip(begin) {
        assert!(line.starts_with(begin), "{line}");
    }
}

#[test]
fn validate_needs_no_project() {
    let made = plugin("");
    made.run("krew manifest -q").ends_with(0);
    let text = made.read("dist/krew/tool.yaml");
    let world = World::empty();
    // As an editor of Windows leaves it.
    world.file("tool.yaml", &format!("\u{feff}{}", text.replace('\n', "\r\n")));
    validate(&world, "tool.yaml").ends_with(0).never_says("warning");
    validate(&world, "-q ./tool.yaml").ends_with(0).no_result();
    // What is called dist/krew is a release's only where a release made it.
    world.file("dist/krew/tool.yaml", &text);
    validate(&world, "dist/krew/tool.yaml").ends_with(0);
    // From within dist/krew, or by its whole path, its archives are found as well.
    std::fs::remove_file(archive(&made)).unwrap();
    let whole = made.path("dist/krew/tool.yaml");
    validate(&world, whole.to_str().unwrap()).ends_with(1).says("there is no ");
    let mut within = made.tool(["krew", "validate", "tool.yaml"]);
    let within = run(within.current_dir(made.path("dist/krew")));
    within.ends_with(1).says("error: tool.yaml:").says("there is no ");
    // Where it was put is no folder, and so nothing is in it.
    let file = validate(&world, "--archives tool.yaml tool.yaml");
    file.ends_with(1).no_result().says("error: tool.yaml:");
}

/// An archive that is damaged is known by its digest, and by itself where that was made anew.
#[test]
fn validate_knows_a_damaged_archive() {
    let world = plugin("");
    world.run("krew manifest -q").ends_with(0);
    let (archive, text) = (archive(&world), world.read("dist/krew/tool.yaml"));
    let whole = std::fs::read(&archive).unwrap();
    let middle = whole.len() / 2;
    let flipped: Vec<u8> = whole
        .iter()
        .enumerate()
        .map(|(at, byte)| if (middle..middle + 64).contains(&at) { !byte } else { *byte })
        .collect();
    for (damaged, rule) in [
        (&whole[..middle], "archive-damaged"),
        (&flipped[..], "archive-damaged"),
        (&b""[..], "archive-format"),
        (&b"PK\x03\x04"[..], "archive-damaged"),
    ] {
        std::fs::write(&archive, damaged).unwrap();
        let unnamed = validate(&world, "dist/krew/tool.yaml");
        unnamed.ends_with(1).no_result().says("the sha256 of ").says("  help: ");
        let named = text.replace(&sha256(&whole), &sha256(damaged));
        std::fs::write(world.outside("tool.yaml"), named).unwrap();
        let run = validate(&world, "../tool.yaml --archives dist --json");
        let json = run.ends_with(1).list();
        assert_eq!((json.as_array().unwrap().len(), &json[0]["rule"]), (1, &rule.into()));
    }
    // The next release mends it.
    world.run("krew manifest -q").ends_with(0);
    assert_eq!(std::fs::read(&archive).unwrap(), whole);
    validate(&world, "dist/krew/tool.yaml").ends_with(0);
}
