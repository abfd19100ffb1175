//! Files that settings name, for archives and images: what is found, and that nothing which was
//! asked for is left out without a word.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use serde_json::Value;

use crate::world::{HOST, World, entries, only_host, run};

/// A workspace whose package `tool` has files of many kinds.
fn world() -> World {
    let world = World::quick("1.0.0");
    for path in [
        "docs/a.md",
        "docs/b.md",
        "docs/[show].html",
        "docs/s.html",
        "docs/tool.md",
        "docs/sub/deep.md",
        "docs/{x,y}.txt",
        "docs/.hidden.md",
        "man/a.1",
        "only/folders/here/x",
        "{plain}.md",
        "[",
    ] {
        world.file(path, path);
    }
    for path in ["run.sh", "docs/run.sh"] {
        world.file(path, "#!/bin/sh\n");
        fs::set_permissions(world.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (link, to) in [
        ("linked.md", "docs/a.md"),
        ("linked.sh", "run.sh"),
        ("docs-link", "docs"),
        ("gone.md", "nowhere"),
        ("docs/gone.txt", "nowhere"),
        ("git-config", ".git/config"),
        ("git-folder", ".git"),
        ("made", "target/made"),
    ] {
        symlink(to, world.path(link)).unwrap();
    }
    world.file(".git/config", "token").file("target/made", "made").file("dist-files/x", "x");
    fs::remove_dir_all(world.path(".git")).unwrap();
    world.file("modules/.git", "gitdir: ../.git/modules/x").file("modules/x", "x");
    world.git(["init", "--quiet"]);
    world
}

/// The settings that name `text` for both, or for one of them.
fn set(world: &World, archive: Option<&str>, image: Option<&str>) {
    let archive = archive.map(|text| {
        format!("[package.metadata.dockless.archive]\nfiles = [\"LICENSE\", {text:?}]\n")
    });
    let image = image.map(|text| {
        format!(
            "[package.metadata.dockless.image]\nfiles = [{{ from = {text:?}, to = \"/srv/\" }}]\n"
        )
    });
    let tables: String = archive.into_iter().chain(image).collect();
    world.package("", "tool", "1.0.0", &format!("{}{tables}", only_host()));
}

fn named(files: &Value, key: &str) -> Vec<(String, u64)> {
    let named = files.as_array().unwrap().iter().map(|file| {
        let name = file[key].as_str().unwrap();
        (name.rsplit('/').next().unwrap().to_owned(), file["mode"].as_u64().unwrap())
    });
    named.filter(|(name, _)| name != "LICENSE" && name != "srv").collect()
}

fn version(world: &World) -> String {
    world.plan("--snapshot")["version"].as_str().unwrap().to_owned()
}

#[test]
fn archives_and_images_find_the_same() {
    let world = world();
    let versioned = format!("{}.md", version(&world));
    world.file(&format!("docs/{versioned}"), "");
    for (text, expected) in [
        ("docs/a.md", &["a.md"][..]),
        ("./docs/./a.md", &["a.md"]),
        ("docs//a.md", &["a.md"]),
        ("docs/[ab].md", &["a.md", "b.md"]),
        ("docs/?.md", &["a.md", "b.md"]),
        ("docs/{a,b}.md", &["a.md", "b.md"]),
        ("{docs/a.md,man/a.1}", &["a.1", "a.md"]),
        ("docs/{a,s}{.md,.html}", &[]),
        ("docs/s.{html,html}", &["s.html"]),
        ("{docs,man}/a.*", &["a.1", "a.md"]),
        ("**/deep.md", &["deep.md"]),
        ("docs/sub/**", &["deep.md"]),
        ("docs/**/d*.md", &["deep.md"]),
        ("docs/.hidden.md", &[".hidden.md"]),
        ("docs/.h*", &[".hidden.md"]),
        ("{{ name }}.md", &[]),
        ("docs/{{ name }}.md", &["tool.md"]),
        ("docs/{{version}}.md", &[&*versioned]),
        ("docs/{{{ name }},a}.md", &[]),
        ("docs/[[]show].html", &["[show].html"]),
        ("linked.md", &["linked.md"]),
        ("docs-link/a.md", &["a.md"]),
        ("{plain}.md", &["{plain}.md"]),
        ("run.sh", &["run.sh"]),
        ("linked.sh", &["linked.sh"]),
    ] {
        set(&world, Some(text), Some(text));
        let run = world.run("release --dry-run --json --snapshot");
        if expected.is_empty() {
            run.ends_with(1);
            assert_eq!(run.stderr.matches("error: ").count(), 2, "{text}: {}", run.stderr);
            continue;
        }
        run.ends_with(0).never_says("warning: ");
        let plan = run.json();
        let mode = |name: &str| if name.ends_with(".sh") { 0o755 } else { 0o644 };
        let expected: Vec<_> =
            expected.iter().map(|name| ((*name).to_owned(), mode(name))).collect();
        assert_eq!(named(&plan["archives"][0]["files"], "name"), expected, "{text}");
        assert_eq!(named(&plan["images"][0]["files"], "to"), expected, "{text}");
    }
}

/// A name that could be a pattern is a name first, which is said.
#[test]
fn a_file_whose_name_looks_like_a_pattern_is_found_by_it() {
    let world = world();
    for (text, name) in
        [("docs/[show].html", "[show].html"), ("docs/{x,y}.txt", "{x,y}.txt"), ("[", "[")]
    {
        set(&world, Some(text), Some(text));
        let run = world.run("release --dry-run --json --snapshot");
        run.ends_with(0);
        let said = format!("warning: {}: ", world.path("Cargo.toml").display());
        assert_eq!(run.stderr.matches(&said).count(), 2, "{text}: {}", run.stderr);
        run.says(&format!("{text:?} is the name of a file, so it is not read as a pattern"));
        let plan = run.json();
        let expected = [(name.to_owned(), 0o644)];
        assert_eq!(named(&plan["archives"][0]["files"], "name"), expected, "{text}");
        assert_eq!(named(&plan["images"][0]["files"], "to"), expected, "{text}");
    }
}

#[test]
fn what_was_named_and_is_not_found_stops_the_work() {
    let world = world();
    UnixListener::bind(world.path("socket")).unwrap();
    run(world.with("mkfifo", ["pipe"]).arg("--")).ends_with(0);
    for (text, why) in [
        ("docs/missing.md", "nothing matches \"docs/missing.md\""),
        ("docs/missing*", "nothing matches \"docs/missing*\""),
        ("docs/{a,c}.md", "nothing matches \"docs/c.md\", of \"docs/{a,c}.md\""),
        ("docs/[xyz].md", "nothing matches"),
        ("{{ name }}.txt", "nothing matches \"tool.txt\", of \"{{ name }}.txt\""),
        ("{{ nam }}.md", "names \"nam\"; known are name, version"),
        ("{{ name.md", "is not closed"),
        ("!docs/a.md", "nothing matches"),
        ("~/x", "nothing matches"),
        ("$HOME/x", "nothing matches"),
        ("docs/a.md/", "nothing matches"),
        ("docs/a.md/x", "nothing matches"),
        ("DOCS/A.MD", "nothing matches"),
        ("docs/*.MD", "nothing matches"),
        ("docs/*hidden.md", "nothing matches"),
        (" docs/a.md", "nothing matches"),
        ("", "leads out of the project"),
        ("..", "leads out of the project"),
        ("/docs/a.md", "leads out of the project"),
        ("[a", "Pattern"),
        ("gone.md", "gone.md leads nowhere"),
        ("g*.md", "gone.md leads nowhere"),
        ("docs/gone.*", "docs/gone.txt leads nowhere"),
        ("git-config", "leads into git's own files"),
        ("git-folder/config", "leads into git's own files"),
        (".git/config", "leads into git's own files"),
        (".g*/config", "nothing matches"),
        ("modules/.git", "leads into git's own files"),
        ("made", "which builds write"),
        ("target/made", "which builds write"),
        ("t*/made", "nothing matches"),
        ("pipe", "is not a regular file"),
        ("pip*", "is not a regular file"),
        ("socket", "is not a regular file"),
    ] {
        for (archive, image) in [(Some(text), None), (None, Some(text))] {
            set(&world, archive, image);
            for command in ["release --dry-run --snapshot", "archive -q", "image -q"] {
                let made = match command {
                    "archive -q" => archive.is_some(),
                    "image -q" => image.is_some(),
                    _ => true,
                };
                if made {
                    let run = world.run(command);
                    run.ends_with(1).no_result().says(why).says("  help: ");
                    run.says("Cargo.toml: [package.metadata.dockless.");
                }
            }
            // They may come of another program, later.
            world.run("build --help").ends_with(0);
        }
    }
    assert!(!world.dist().exists());
    // What makes neither asks for no files.
    world.run("build -q").ends_with(0);
}

/// Archives are flat: their settings name files.
#[test]
fn a_folder_is_no_file_of_an_archive() {
    let world = world();
    for text in ["docs", "docs/", ".", "docs-link", "only/*", "only/folders/**/here"] {
        set(&world, Some(text), None);
        let run = world.run("release --dry-run --snapshot");
        run.ends_with(1).no_result();
        run.says(&format!("{text:?} is a folder, and archives are flat: name its files"));
        set(&world, None, Some(text));
        if text != "." {
            world.run("release --dry-run --snapshot").ends_with(0);
        }
    }
    // A pattern means the files among what it matches.
    set(&world, Some("docs/s*"), None);
    let plan = world.plan("--snapshot");
    assert_eq!(named(&plan["archives"][0]["files"], "name"), [("s.html".to_owned(), 0o644)]);
}

#[test]
fn programs_beside_the_binary_can_be_started() {
    let world = world();
    set(&world, Some("*.sh"), None);
    world.run("archive -q").ends_with(0);
    let archive = world.dist().join(format!("tool-v{}-{HOST}.tar.gz", version(&world)));
    let modes: Vec<_> = entries(&archive).into_iter().map(|it| (it.name, it.mode)).collect();
    let expected = [("LICENSE", 0o644), ("linked.sh", 0o755), ("run.sh", 0o755), ("tool", 0o755)];
    assert_eq!(modes, expected.map(|(name, mode)| (name.to_owned(), mode)));
    // A program less is another archive, whatever is kept.
    fs::set_permissions(world.path("run.sh"), fs::Permissions::from_mode(0o645)).unwrap();
    world.run("archive -q").ends_with(0);
    let of = |name: &str| entries(&archive).into_iter().find(|it| it.name == name).unwrap().mode;
    assert_eq!((of("run.sh"), of("linked.sh")), (0o644, 0o644));
}

/// What Cargo.toml names as licence and readme was named, too.
#[test]
fn files_that_cargo_toml_names_are_looked_for() {
    let world = World::workspace(&[("alpha", "1.0.0")], "");
    let set = |keys: &str| {
        let manifest = world.read("alpha/Cargo.toml");
        let (head, rest) = manifest.split_once("name = ").unwrap();
        let kept = head.split("license-file").next().unwrap().split("readme").next().unwrap();
        world.file("alpha/Cargo.toml", &format!("{kept}{keys}\nname = {rest}"));
    };
    world.file("TERMS", "terms").file("alpha/GUIDE.md", "guide").commit();
    for (keys, expected) in [
        ("license-file = \"../TERMS\"", Ok("TERMS")),
        ("readme = \"GUIDE.md\"", Ok("GUIDE.md")),
        // The one that the defaults find, by another way.
        ("license-file = \"../LICENSE\"", Ok("LICENSE")),
        ("license-file = \"../none\"", Err("[package] license-file: there is no ")),
        ("readme = \"GUIDE.txt\"", Err("[package] readme: there is no ")),
        ("readme = true", Err("[package] readme: there is no ")),
    ] {
        set(keys);
        let run = world.run("release --dry-run --snapshot --json");
        match expected {
            Ok(name) => {
                let files = run.ends_with(0).json()["archives"][0]["files"].clone();
                let names = files.as_array().unwrap().iter().map(|it| it["name"].clone());
                assert_eq!(names.filter(|it| it == name).count(), 1, "{keys}: {files}");
            }
            Err(why) => {
                run.ends_with(1).no_result().says(why);
            }
        }
    }
}

/// Where two files would have one name, both are named.
#[test]
fn a_collision_names_both() {
    let world = world();
    world.file("man/a.md", "another");
    set(&world, Some("{docs,man}/a.md"), None);
    let run = world.run("release --dry-run --snapshot");
    let (one, other) = (world.path("docs/a.md"), world.path("man/a.md"));
    run.ends_with(1).no_result().says(&format!(
        "two entries would be named \"a.md\": archives are flat; they are {} and {}",
        one.display(),
        other.display()
    ));
}

/// A changelog that the settings name holds the notes; one that nobody named may be missing.
#[test]
fn a_changelog_that_was_named_is_there() {
    let world = World::committed("1.0.0");
    world.git(["tag", "v1.0.0"]);
    let release = "release --dry-run --skip check,image";
    let named = |name: &str| {
        let table = format!("[workspace.metadata.dockless.github]\nchangelog = {name:?}\n");
        let repository = "repository = \"acme/tool\"\n";
        let manifest = world.read("Cargo.toml");
        let before = manifest.split("[workspace.metadata.dockless.github]").next().unwrap();
        world.file("Cargo.toml", &format!("{before}{table}{repository}"));
        world.commit();
        world.git(["tag", "--force", "v1.0.0"]);
    };
    for name in ["CHANGES.md", "CHANGELOG.md", "src", "../CHANGES.md"] {
        named(name);
        let run = world.run(release);
        run.ends_with(1).says("[workspace.metadata.dockless.github] changelog: ").says("help: ");
    }
    world.file("CHANGES.md", "# 1.0.0\n\nfirst\n");
    named("CHANGES.md");
    world.run(release).ends_with(0);
    // Notes are no concern of what publishes nothing.
    named("none.md");
    world.run("release --dry-run --snapshot").ends_with(0);
}
