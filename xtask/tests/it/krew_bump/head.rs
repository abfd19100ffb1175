//! What goes into an index is of the release that HEAD is.

use super::*;
use crate::world::running::read_only;

/// The dist/ that is there is of some commit, which need not be HEAD: nothing of it goes into an
/// index unless HEAD is that release, whatever the command and however it is asked.
#[test]
fn what_is_not_of_heads_release_goes_into_no_index() {
    let more = format!(
        "description = \"Shows what foo is\"\nrepository = \"https://github.com/acme/foo\"\n{}\
         [package.metadata.dockless.krew]\nname = \"foo\"\n",
        only_host()
    );
    let world = World::empty();
    world.git(["init", "--quiet"]);
    world.file(".gitignore", "/target\n/dist\n");
    let version = |version: &str| {
        world.package("", "kubectl-foo", version, &more).file("LICENSE", "free\n").lock().commit();
    };
    let index = world.outside("index");
    fs::create_dir_all(index.join("plugins")).unwrap();
    fs::write(index.join("plugins/foo.yaml"), ENTRY).unwrap();
    let refused = |why: &[&str]| {
        for args in [
            "bump --index ../index",
            "bump --index ../index --rewrite",
            "bump --index ../index --dry-run",
            "pr --dry-run",
            "pr",
        ] {
            let mut tool = world.tool(format!("krew {args}").split(' '));
            let refused = run(tool.env("KREW_GITHUB_TOKEN", "x"));
            refused.ends_with(1).no_result();
            for why in why {
                refused.says(why);
            }
        }
        assert_eq!(fs::read_to_string(index.join("plugins/foo.yaml")).unwrap(), ENTRY);
    };
    // A development version, with no tag at all.
    version("0.3.0");
    world.run("krew manifest -q").ends_with(0);
    let none = "make the release of a tag; no index gets a development version";
    refused(&["dist/ has foo v0.3.0-dev.1.g", "and HEAD has no release tag", none]);
    // The release of another commit than HEAD, tagged or not.
    world.git(["tag", "v0.3.0"]);
    refused(&["dist/ has foo v0.3.0-dev.1.g", "and HEAD is v0.3.0"]);
    world.run("krew manifest -q").ends_with(0);
    let old = world.sha();
    world.run("krew bump --index ../index --rewrite --dry-run").ends_with(0);
    version("0.4.0");
    let of = format!(
        "dist/ is of 0.3.0 (commit {old}), and HEAD has no release tag (commit {})",
        world.sha()
    );
    refused(&[&of, "  help: make the release again, or check out what dist/ is of"]);
    world.git(["tag", "v0.4.0"]);
    refused(&[&format!(
        "dist/ is of 0.3.0 (commit {old}), and HEAD is v0.4.0 (commit {})",
        world.sha()
    )]);
    // A dirty tree, whose commit is tagged.
    world.file("src/more.rs", "// more\n");
    world.run("krew manifest -q").ends_with(0);
    refused(&["dist/ has foo v0.4.1-dev.0.g", ".dirty, and HEAD is v0.4.0"]);
    // Another part of dist/, made of HEAD, makes the plugins of an older commit no newer.
    fs::remove_file(world.path("src/more.rs")).unwrap();
    world.git(["checkout", "--quiet", "v0.3.0"]);
    world.run("krew manifest -q").ends_with(0);
    world.git(["checkout", "--quiet", "v0.4.0"]);
    for other in ["image", "dockerfile"] {
        world.run(other).ends_with(0);
        refused(&["there is no manifest of a plugin in"]);
    }
    // What cannot be read tells nothing.
    world.run("krew manifest -q").ends_with(0);
    for damaged in ["{\"dockless\":", "{\"dockless\": \"0.1.0\"}"] {
        world.file("dist/metadata.json", damaged);
        refused(&["metadata.json: ", "  help: remove dist/"]);
    }
    world.run("clean").ends_with(0);
    world.run("krew manifest -q").ends_with(0);
    let bumped = world.run("krew bump --index ../index --rewrite");
    bumped.ends_with(0).says("v1.2.3 -> v0.4.0");
}

/// Without git the manifests' versions are those of the packages.
#[test]
fn without_git_dist_is_of_what_cargo_toml_says() {
    let world = world_at("1.4.0", &[("foo", &manifest("foo", "1.3.0"))]);
    for args in ["", "--rewrite"] {
        bump(&world, args).ends_with(1).says("dist/ has foo v1.3.0, and Cargo.toml has 1.4.0");
    }
    world.file("dist/metadata.json", &metadata("1.3.0", Some(&"1".repeat(40))));
    let why = format!("dist/ is of 1.3.0 (commit {}), and Cargo.toml has 1.4.0", "1".repeat(12));
    bump(&world, "").ends_with(1).says(&why);
    assert_eq!(world.read("index/plugins/foo.yaml"), ENTRY);
}

/// What a release left in a checkout that nobody can write is read all the same.
#[test]
fn a_dist_that_cannot_be_written_is_read() {
    let world = world(&[("foo", &manifest("foo", "1.3.0"))]);
    let index = world.outside("index/plugins");
    fs::create_dir_all(&index).unwrap();
    fs::write(index.join("foo.yaml"), ENTRY).unwrap();
    let before = contents(world.root());
    let tool = world.tool(["krew", "bump", "--index", "../index"]);
    let Some(bumped) = read_only(world.root(), &tool) else { return };
    bumped.ends_with(0).says("v1.2.3 -> v1.3.0");
    assert_eq!(fs::read_to_string(index.join("foo.yaml")).unwrap(), next());
    assert_eq!(contents(world.root()), before);
}
