//! What is taken for the repository of the sources: a shallow clone, a worktree,
//! a broken one, one around them, none.

use std::fs;

use crate::world::{World, only_host, run};

#[test]
fn a_shallow_clone_is_noticed_and_explained() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.2.3"]);
    let clone = |world: &World, to: &str| {
        let from = format!("file://{}", world.root().display());
        let to = world.outside(to);
        world.git(["clone", "--quiet", "--depth", "1", &from, to.to_str().unwrap()]);
        let args = ["release", "--dry-run", "--snapshot", "--json"];
        run(world.tool(args).current_dir(to))
    };
    // With the tag on HEAD nothing is missing.
    let tagged = clone(&world, "tagged");
    assert_eq!(tagged.ends_with(0).json()["version"], "1.2.3");
    tagged.never_says("warning:");
    world.commit();
    let untagged = clone(&world, "untagged");
    let version = format!("1.2.3-dev.1.g{}", world.sha());
    assert_eq!(untagged.ends_with(0).json()["version"], version);
    untagged
        .says("warning: git: the clone is shallow, so earlier tags and commits are missing")
        .says("  help: run `git fetch --unshallow --tags`; ")
        .says("`fetch-depth: 0`\n");
}

#[test]
fn sources_without_git_have_cargos_version() {
    let world = World::quick("1.2.3");
    let plan = world.plan("--snapshot");
    assert_eq!(plan["version"], "1.2.3");
    assert_eq!(plan["commit"], serde_json::Value::Null);
    assert_eq!(plan["time"], "2006-07-24T01:21:28Z");
    let env = plan["builds"][0]["env"].as_object().unwrap();
    assert_eq!(env.keys().collect::<Vec<_>>(), ["DOCKLESS_VERSION"]);

    // What `cargo package` writes tells the commit.
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let info = format!(r#"{{"git": {{"sha1": "{sha}"}}, "path_in_vcs": ""}}"#);
    world.file(".cargo_vcs_info.json", &info);
    let plan = world.plan("--snapshot");
    assert_eq!(plan["version"], "1.2.3");
    assert_eq!(plan["commit"], sha);
    assert_eq!(plan["builds"][0]["env"]["DOCKLESS_COMMIT"], sha);

    // What is no commit is not taken for one, and what is no JSON is said.
    world.file(".cargo_vcs_info.json", r#"{"git": {"sha1": "$(id)"}}"#);
    assert_eq!(world.plan("--snapshot")["commit"], serde_json::Value::Null);
    world.file(".cargo_vcs_info.json", "{");
    let broken = world.run("release --dry-run --snapshot");
    broken
        .ends_with(1)
        .no_result()
        .says(&format!("error: read {}: ", world.path(".cargo_vcs_info.json").display()));
}

#[test]
fn before_the_first_commit_there_is_a_version_too() {
    let world = World::quick("1.2.3");
    world.git(["init", "--quiet"]);
    let plan = world.plan("--snapshot");
    assert_eq!(plan["version"], "1.2.3-dev.0.dirty");
    assert_eq!(plan["commit"], serde_json::Value::Null);
    world.run("release --skip publish,check").ends_with(1).says("error: git: ");
}

/// An unpacked package that lies in somebody's repository is not that repository's.
#[test]
fn a_repository_around_the_sources_is_not_theirs() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.2.3"]);
    world.package("target/vendored", "other", "0.7.0", &only_host());
    world.file(
        "target/vendored/Cargo.toml",
        &format!("{}[workspace]\n", world.read("target/vendored/Cargo.toml")),
    );
    let plan = world.plan("--snapshot --manifest-path target/vendored");
    assert_eq!(plan["version"], "0.7.0", "the folder is ignored by git");

    world.package("unpacked", "other", "0.7.0", &only_host());
    world.file(
        "unpacked/Cargo.toml",
        &format!("{}[workspace]\n", world.read("unpacked/Cargo.toml")),
    );
    let info = r#"{"git": {"sha1": "0123456789abcdef0123456789abcdef01234567"}}"#;
    world.file("unpacked/.cargo_vcs_info.json", info);
    let plan = world.plan("--snapshot --manifest-path unpacked");
    assert_eq!(plan["version"], "0.7.0", "cargo packaged it");

    // Variables that a git hook sets point to another repository.
    let hook = run(world
        .tool(["release", "--dry-run", "--snapshot", "--json", "--manifest-path", "unpacked"])
        .env("GIT_DIR", world.path(".git")));
    assert_eq!(hook.ends_with(0).json()["version"], "0.7.0");
}

/// A repository that cannot be read is not taken for none: its version would
/// be that of a release.
#[test]
fn a_broken_repository_is_an_error() {
    let world = World::committed("1.2.3");
    let head = world.read(".git/HEAD");
    for broken in ["ref: ", "nonsense"] {
        world.file(".git/HEAD", broken);
        world.run("release --dry-run --snapshot").ends_with(1).no_result().says("git");
    }
    fs::remove_file(world.path(".git/HEAD")).unwrap();
    world.run("release --dry-run --snapshot").ends_with(1).no_result().says("git");
    world.file(".git/HEAD", &head);
    assert_eq!(world.plan("--snapshot")["version"], format!("1.2.3-dev.1.g{}", world.sha()));
    // A worktree or a submodule whose repository is elsewhere, and not here.
    fs::rename(world.path(".git"), world.outside("git")).unwrap();
    for link in ["gitdir: ../gone/.git/worktrees/x", "nonsense"] {
        world.file(".git", link);
        world.run("release --dry-run --snapshot").ends_with(1).no_result().says("git");
    }
    world.file(".git", "gitdir: ../git\n");
    assert_eq!(world.plan("--snapshot")["version"], format!("1.2.3-dev.1.g{}", world.sha()));
}

#[test]
fn a_worktree_is_a_repository() {
    let world = World::committed("1.2.3");
    world.git(["tag", "v1.2.3"]);
    let tree = world.outside("tree");
    world.git(["worktree", "add", "--quiet", "--detach", tree.to_str().unwrap()]);
    let args = ["release", "--dry-run", "--skip", "publish", "--json"];
    let plan = run(world.tool(args).current_dir(&tree)).ends_with(0).json();
    assert_eq!(plan["version"], "1.2.3");
    assert_eq!(plan["dist"], tree.join("dist").to_str().unwrap());
}

/// A repository in which people have done what git lets them do is read like any other.
#[test]
fn ordinary_repositories_are_read() {
    type Make = fn(&World);
    let released: [(&str, Make); 14] = [
        ("a file called HEAD", |w| {
            w.file("HEAD", "x").file("HEAD~1", "x").commit();
        }),
        ("a file called as the tag", |w| {
            w.file("v1.2.3", "x").file("refs/tags/v1.2.3", "x").commit();
        }),
        ("a branch and a tag called HEAD", |w| {
            w.git(["update-ref", "refs/heads/HEAD", "HEAD"]);
            w.commit();
            w.git(["update-ref", "refs/tags/HEAD", "HEAD~1"]);
        }),
        ("a branch called as the tag", |w| {
            w.git(["branch", "v1.2.3"]);
            w.commit();
        }),
        ("names that are not UTF-8", |w| {
            fs::write(w.root().join(latin1("caf\u{e9}")), "").unwrap();
            w.commit();
            let head = w.git(["rev-parse", "HEAD"]);
            fs::write(w.path(".git/refs/tags").join(latin1("v1.0.0-\u{e9}")), head).unwrap();
        }),
        ("a message and a name that are not UTF-8", |w| {
            w.commit();
            let commit = w.git(["cat-file", "commit", "HEAD"]).replace("a change", "caf\u{e9}");
            let commit = commit.replace("dockless tests", "Jos\u{e9}");
            let bytes: Vec<u8> = commit.chars().map(|c| u8::try_from(c).unwrap()).collect();
            fs::write(w.outside("commit"), bytes).unwrap();
            let file = w.outside("commit");
            let made = ["hash-object", "-t", "commit", "-w", file.to_str().unwrap()];
            let made = w.git(made);
            w.git(["reset", "--quiet", "--hard", &made]);
        }),
        ("tags with odd names", |w| {
            w.commit();
            for name in ["%(refname)", "-x", "--all", "a;b", "$(id)", "v9.9.9'", "x/HEAD"] {
                w.git(["update-ref", &format!("refs/tags/{name}"), "HEAD"]);
            }
        }),
        ("settings of how git shows things", |w| {
            w.file("a b/\u{e9}", "").commit();
            for (name, value) in [
                ("color.ui", "always"),
                ("color.status", "always"),
                ("column.ui", "always"),
                ("core.abbrev", "40"),
                ("core.quotePath", "false"),
                ("diff.ignoreSubmodules", "all"),
                ("diff.renames", "copies"),
                ("format.pretty", "raw"),
                ("i18n.logOutputEncoding", "latin1"),
                ("log.date", "relative"),
                ("log.decorate", "full"),
                ("log.showSignature", "true"),
                ("status.branch", "true"),
                ("status.relativePaths", "false"),
                ("status.short", "true"),
                ("status.showStash", "true"),
                ("status.showUntrackedFiles", "all"),
                ("tag.sort", "-refname"),
                ("versionsort.suffix", "-rc"),
            ] {
                w.git(["config", name, value]);
            }
        }),
        ("aliases", |w| {
            w.commit();
            for name in ["log", "status", "describe", "rev-parse", "for-each-ref", "ls-files"] {
                w.git(["config", &format!("alias.{name}"), "!false"]);
            }
        }),
        ("the other format of objects", |w| {
            fs::remove_dir_all(w.path(".git")).unwrap();
            w.git(["init", "--quiet", "--object-format=sha256"]);
            w.commit();
        }),
        ("packed references", |w| {
            w.commit();
            w.git(["tag", "v1.0.0"]);
            w.git(["pack-refs", "--all"]);
        }),
        ("a shallow clone's mark", |w| {
            w.commit();
            let head = w.git(["rev-parse", "HEAD"]);
            w.file(".git/shallow", &format!("{head}\n"));
        }),
        ("a submodule", |w| {
            w.submodule();
            w.commit();
        }),
        ("a bare repository beside the work tree", |w| {
            w.commit();
            fs::rename(w.path(".git"), w.outside("git")).unwrap();
            w.file(".git", "gitdir: ../git\n");
        }),
    ];
    for (name, make) in released {
        let world = World::committed("1.2.3");
        make(&world);
        world.git(["update-ref", "refs/tags/v1.2.3", "HEAD"]);
        let plan = world.run("release --dry-run --skip publish --json");
        assert_eq!(plan.code, Some(0), "{name}: {}", plan.stderr);
        assert_eq!(plan.json()["version"], "1.2.3", "{name}");
        assert_eq!(plan.json()["commit"], world.git(["rev-parse", "HEAD"]), "{name}");
        // The next commit's version stands on what is counted, and on nothing else.
        world.commit();
        let version = format!("1.2.4-dev.1.g{}", world.sha());
        let plan = world.run("release --dry-run --snapshot --json");
        assert_eq!(plan.code, Some(0), "{name}: {}", plan.stderr);
        assert_eq!(plan.json()["version"], version, "{name}");
    }
}

/// The bytes of a text in Latin-1, as a name of a file.
fn latin1(text: &str) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(text.chars().map(|c| u8::try_from(c).unwrap()).collect())
}

/// A tag may be of a tag of a tag; what it is of in the end is what is released.
#[test]
fn a_tag_of_a_tag_is_of_its_commit() {
    let world = World::committed("1.2.3");
    world.git(["tag", "--annotate", "--message", "one", "candidate"]);
    world.git(["tag", "--annotate", "--message", "two", "approved", "candidate"]);
    world.git(["tag", "--annotate", "--message", "three", "v1.2.3", "approved"]);
    let plan = world.plan("--skip publish");
    assert_eq!((&plan["version"], &plan["tag"]), (&"1.2.3".into(), &"v1.2.3".into()));
    world.commit();
    let version = format!("1.2.4-dev.1.g{}", world.sha());
    assert_eq!(world.plan("--snapshot")["version"], version);
}

/// Whoever hands over a folder with a repository in it gets nothing run by its settings.
#[test]
fn what_a_repository_configures_is_never_run() {
    let world = World::committed("1.2.3");
    world.file(".gitattributes", "*.txt filter=own diff=own\n").file("a.txt", "a\n");
    world.submodule();
    world.commit();
    world.git(["tag", "v1.2.3"]);
    let ran = world.outside("ran");
    let program = world.script("own", &format!("echo \"$0 $@\" >> {}\ncat\n", ran.display()));
    let program = program.to_str().unwrap();
    for dir in [".", "sub"] {
        for name in [
            "core.fsmonitor",
            "core.pager",
            "core.editor",
            "core.askPass",
            "core.sshCommand",
            "core.alternateRefsCommand",
            "credential.helper",
            "diff.external",
            "diff.own.command",
            "diff.own.textconv",
            "filter.own.clean",
            "filter.own.smudge",
            "filter.own.process",
            "gpg.program",
            "pager.log",
            "sequence.editor",
        ] {
            world.git(["-C", dir, "config", name, program]);
        }
        world.git(["-C", dir, "config", "log.showSignature", "true"]);
        world.git(["-C", dir, "config", "filter.own.required", "true"]);
    }
    let hooks = world.outside("hooks");
    fs::create_dir_all(&hooks).unwrap();
    for hook in ["post-index-change", "reference-transaction", "fsmonitor-watchman"] {
        fs::copy(program, hooks.join(hook)).unwrap();
    }
    world.git(["config", "core.hooksPath", hooks.to_str().unwrap()]);
    let modified = std::time::SystemTime::now();
    // git looks at what is in a file whose time is another.
    for file in ["a.txt", "sub/lib.rs"] {
        let file = fs::File::options().append(true).open(world.path(file)).unwrap();
        file.set_modified(modified).unwrap();
    }
    // Making all this ran some of it.
    fs::write(&ran, "").unwrap();
    world.run("release --dry-run --skip publish").ends_with(0);
    world.run("release --dry-run --snapshot").ends_with(0);
    world.file("a.txt", "b\n");
    world.run("release --dry-run --skip publish").ends_with(1).says("the tree has changes");
    assert_eq!(fs::read_to_string(&ran).unwrap(), "");
}

/// What git takes for the work tree is what is built, or it is an error.
#[test]
fn a_work_tree_elsewhere_is_an_error() {
    let world = World::committed("1.2.3");
    fs::create_dir_all(world.outside("elsewhere")).unwrap();
    world.git(["config", "core.worktree", world.outside("elsewhere").to_str().unwrap()]);
    let run = world.run("release --dry-run --snapshot");
    run.ends_with(1).no_result().says("git");
}
