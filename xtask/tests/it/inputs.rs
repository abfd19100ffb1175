//! What is made of files that the commit does not hold: refused in a release, said in a
//! snapshot.

use std::fs;

use crate::world::{World, only_host, run};

/// A committed project whose tag is on HEAD once `make` has done its work and what it left is
/// committed; `then` is done after that.
struct Case {
    name: &'static str,
    make: fn(&World),
    then: fn(&World),
    /// The file, from the project's folder, and why it does not do.
    path: &'static str,
    why: &'static str,
}

const IGNORED: &str = "it is read, and git ignores it";
const HIDDEN: &str = "it is not what the commit holds, and the index says not to look at it";
const ELSEWHERE: &str = "it is changed, in a repository of its own";
const OUTSIDE: &str = "it is read, and lies in no repository";

fn exclude(world: &World, pattern: &str) {
    world.file(".git/info/exclude", &format!("{pattern}\n"));
}

/// A submodule whose changes git is told not to show.
fn submodule(world: &World) {
    world.submodule();
    world.git(["config", "--file", ".gitmodules", "submodule.sub.ignore", "all"]);
}

/// A package beside the project that it depends on.
fn dependency(world: &World) {
    let folder = world.outside("dep");
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest =
        "[package]\nname = \"dep\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    let manifest = world.read("Cargo.toml");
    world.file("Cargo.toml", &(manifest + "[dependencies]\ndep = { path = \"../dep\" }\n")).lock();
}

/// The same in a repository of its own.
fn dependency_with_git(world: &World) {
    dependency(world);
    let folder = world.outside("dep");
    let folder = folder.to_str().unwrap();
    world.git(["init", "--quiet", folder]);
    world.git(["-C", folder, "add", "--all"]);
    world.git(["-C", folder, "commit", "--quiet", "--message", "dep"]);
}

/// Files that are known to be read before anything is compiled.
#[test]
fn what_the_commit_lacks_is_refused_before_it_is_compiled() {
    let case = |name, make, then, path, why| Case { name, make, then, path, why };
    let cases = [
        case(
            "an ignored Cargo.lock",
            |w| {
                w.git(["rm", "--quiet", "--cached", "Cargo.lock"]);
                w.file(".gitignore", "/target\nCargo.lock\n");
            },
            |_| {},
            "Cargo.lock",
            IGNORED,
        ),
        case(
            "a source that an exclude file hides",
            |w| exclude(w, "gen.rs"),
            |w| {
                w.file("src/gen.rs", "");
            },
            "src/gen.rs",
            IGNORED,
        ),
        case(
            "a folder of sources that .gitignore hides",
            |w| {
                w.file(".gitignore", "/target\n/src/gen\n");
            },
            |w| {
                w.file("src/gen/mod.rs", "");
            },
            "src/gen/mod.rs",
            IGNORED,
        ),
        case(
            "a source that the user's own excludes hide",
            |w| {
                fs::write(w.outside("excludes"), "gen.rs\n").unwrap();
                let file = w.outside("excludes");
                w.git(["config", "core.excludesFile", file.to_str().unwrap()]);
            },
            |w| {
                w.file("src/bin/gen.rs", "fn main() {}");
            },
            "src/bin/gen.rs",
            IGNORED,
        ),
        case(
            "a build script",
            |w| exclude(w, "build.rs"),
            |w| {
                w.file("build.rs", "fn main() {}");
            },
            "build.rs",
            IGNORED,
        ),
        case(
            "settings of cargo",
            |w| exclude(w, ".cargo"),
            |w| {
                w.file(".cargo/config.toml", "[net]\noffline = true\n");
            },
            ".cargo/config.toml",
            IGNORED,
        ),
        case(
            "a file for archives",
            |w| exclude(w, "LICENSE-2"),
            |w| {
                w.file("LICENSE-2", "x");
            },
            "LICENSE-2",
            IGNORED,
        ),
        case(
            "a file for images",
            |w| {
                exclude(w, "b.txt");
                let files = "[package.metadata.dockless.image]\n\
                             files = [{ from = \"assets\", to = \"/srv\" }]\n";
                w.file("Cargo.toml", &(w.read("Cargo.toml") + files)).file("assets/a.txt", "");
            },
            |w| {
                w.file("assets/b.txt", "");
            },
            "assets/b.txt",
            IGNORED,
        ),
        case(
            "a file that is assumed to be unchanged",
            |w| {
                w.file("a b.txt", "a");
            },
            |w| {
                w.git(["update-index", "--assume-unchanged", "a b.txt"]);
                w.file("a b.txt", "b");
            },
            "a b.txt",
            HIDDEN,
        ),
        case(
            "a file that is not to be in the work tree, and is",
            |_| {},
            |w| {
                w.git(["update-index", "--skip-worktree", "src/main.rs"]);
                w.file("src/main.rs", "fn main() { }");
            },
            "src/main.rs",
            HIDDEN,
        ),
        case(
            "a link that is assumed to be unchanged",
            |w| std::os::unix::fs::symlink("LICENSE", w.path("COPYING")).unwrap(),
            |w| {
                w.git(["update-index", "--assume-unchanged", "COPYING"]);
                fs::remove_file(w.path("COPYING")).unwrap();
                std::os::unix::fs::symlink("Cargo.toml", w.path("COPYING")).unwrap();
            },
            "COPYING",
            HIDDEN,
        ),
        case(
            "a sparse checkout",
            |w| {
                w.file("docs/a.md", "");
            },
            |w| {
                w.git(["sparse-checkout", "set", "src"]);
            },
            "docs/a.md",
            HIDDEN,
        ),
        case(
            "a submodule whose changes are not to be shown",
            submodule,
            |w| {
                w.file("sub/lib.rs", "pub fn f() {}");
            },
            "sub/lib.rs",
            ELSEWHERE,
        ),
        case(
            "a new file in such a submodule",
            submodule,
            |w| {
                w.file("sub/more.rs", "");
            },
            "sub/more.rs",
            ELSEWHERE,
        ),
        case(
            "what lies in the folder of a submodule that is not checked out",
            submodule,
            |w| {
                w.git(["submodule", "--quiet", "deinit", "--force", "sub"]);
                w.file("sub/lib.rs", "");
            },
            "sub",
            ELSEWHERE,
        ),
        case("a dependency without git", dependency, |_| {}, "../dep/Cargo.toml", OUTSIDE),
        case(
            "a changed dependency",
            dependency_with_git,
            |w| fs::write(w.outside("dep/src/lib.rs"), "pub fn f() {}").unwrap(),
            "../dep/src/lib.rs",
            ELSEWHERE,
        ),
        case(
            "a new file of a dependency",
            dependency_with_git,
            |w| fs::write(w.outside("dep/src/new.rs"), "").unwrap(),
            "../dep/src/new.rs",
            ELSEWHERE,
        ),
    ];
    for Case { name, make, then, path, why } in cases {
        let world = World::committed("1.2.3");
        make(&world);
        world.commit();
        world.git(["tag", "v1.2.3"]);
        then(&world);
        let path = match path.strip_prefix("../") {
            Some(path) => world.outside(path),
            None => world.path(path),
        };
        let release = world.run("release --skip publish,check");
        assert_eq!(release.code, Some(1), "{name}: {}", release.stderr);
        let said = format!("error: {}: {why}", path.display());
        assert!(release.stderr.contains(&said), "{name}: {}", release.stderr);
        assert!(!world.dist().exists() && !release.stderr.contains("Compiling"), "{name}");
        let snapshot = world.run("release --dry-run --snapshot --json");
        assert_eq!(snapshot.code, Some(0), "{name}: {}", snapshot.stderr);
        let version = format!("1.2.4-dev.0.g{}.dirty", world.sha());
        assert_eq!(snapshot.json()["version"], version, "{name}");
        let said = format!("warning: {}: {why}", path.display());
        assert!(snapshot.stderr.contains(&said), "{name}: {}", snapshot.stderr);
    }
}

/// A submodule that stands at another commit than the one that is committed.
#[test]
fn a_submodule_at_another_commit_is_a_change() {
    let world = World::committed("1.2.3");
    submodule(&world);
    world.commit();
    world.git(["tag", "v1.2.3"]);
    world.git(["-C", "sub", "commit", "--quiet", "--allow-empty", "--message", "later"]);
    let release = world.run("release --skip publish,check");
    release.ends_with(1).says("error: git: the tree has changes that the tag does not hold\n");
    let version = format!("1.2.4-dev.0.g{}.dirty", world.sha());
    assert_eq!(world.plan("--snapshot")["version"], version);
}

/// Files that only the compiler, or a build script, says were read.
#[test]
fn what_the_commit_lacks_is_refused_before_it_is_published() {
    let world = World::empty();
    world.package("", "tool", "1.2.3", &only_host());
    let main = "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\n\
                fn main() { println!(\"{}{}\", include_str!(\"../data/a b.txt\"), MADE); }\n";
    let script = "fn main() {\n    println!(\"cargo::rerun-if-changed=schema.txt\");\n\
                  let text = std::fs::read_to_string(\"schema.txt\").unwrap();\n\
                  let out = std::env::var(\"OUT_DIR\").unwrap();\n\
                  std::fs::write(out + \"/made.rs\", format!(\"const MADE: &str = {text:?};\")).unwrap();\n}\n";
    world.file("src/main.rs", main).file("build.rs", script).file("LICENSE", "free\n").lock();
    world.file("data/a b.txt", "a").file("schema.txt", "s").commit();
    world.git(["tag", "v1.2.3"]);
    // What a build script made of what is committed is fine.
    world.run("release --skip publish,check,image").ends_with(0);
    for path in ["data/a b.txt", "schema.txt"] {
        world.git(["rm", "--quiet", "--cached", path]);
        exclude(&world, &format!("/{path}"));
        world.git(["commit", "--quiet", "--message", "a file less"]);
        world.git(["tag", "--force", "v1.2.3"]);
        fs::remove_dir_all(world.dist()).unwrap();
        let path = world.path(path);
        let release = world.run("release --skip publish,check,image");
        release.ends_with(1).no_result().says(&format!("error: {}: {IGNORED}", path.display()));
        assert!(!world.dist().exists());
        let snapshot = world.run("release --snapshot --skip image");
        snapshot.ends_with(0).says(&format!("warning: {}: {IGNORED}", path.display()));
        world.git(["reset", "--quiet", "--hard", "HEAD~1"]);
    }
}

/// A checkout that changes line ends makes other bytes than those that are committed.
#[test]
fn line_ends_that_a_checkout_changes_are_refused() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.2.3"]);
    world.git(["config", "core.autocrlf", "true"]);
    fs::remove_file(world.path("LICENSE")).unwrap();
    world.git(["checkout", "--quiet", "--", "LICENSE"]);
    assert_eq!(world.read("LICENSE"), "free\r\n");
    let release = world.run("release --dry-run --skip publish,check");
    let why = "the checkout changed its line ends, so it is not what the commit holds";
    release.ends_with(1).says(&format!("error: {}: {why}", world.path("LICENSE").display()));
    // What the commit itself says of line ends holds in every checkout.
    world.file(".gitattributes", "LICENSE text eol=crlf\n").commit();
    world.git(["tag", "--force", "v1.2.3"]);
    world.run("release --dry-run --skip publish,check").ends_with(0);
}

/// What is ignored and not read, and what is as it was, is no matter of a release's.
#[test]
fn what_nothing_is_made_of_stops_nothing() {
    let world = World::committed("1.2.3");
    dependency_with_git(&world);
    submodule(&world);
    let script = "fn main() { println!(\"cargo::rerun-if-changed=/usr/lib\"); }\n";
    world.file("build.rs", script);
    world.file(".gitignore", "/target\n*.log\n/notes\n").file("a.txt", "a").commit();
    world.git(["tag", "v1.2.3"]);
    world.file("x.log", "").file("src/x.log", "").file("notes/a.rs", "").file("sub/.git-x/y", "");
    fs::remove_dir_all(world.path("sub/.git-x")).unwrap();
    world.git(["update-index", "--assume-unchanged", "a.txt"]);
    let release = run(&mut world.tool(["release", "--skip", "publish,check,image"]));
    release.ends_with(0);
}
