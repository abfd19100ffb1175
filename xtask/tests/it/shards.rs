//! A release that several machines build, and one of them joins.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::world::{AARCH64, HOST, Run, World, X86_64, assert_whole, contents, judge, run};

/// A plugin with completions that it writes itself, at a tag.
fn project() -> World {
    let world = World::empty();
    let more = "description = \"A tool\"\nrepository = \"https://github.com/acme/tool\"\n\
                [package.metadata.dockless.archive]\n\
                generate = [{ args = [\"completions\"], stdout = \"tool.bash\" }]\n";
    world.package("", "kubectl-tool", "1.0.0", more);
    world.file("LICENSE", "free\n");
    world.lock().commit();
    world.git(["tag", "v1.0.0"]);
    world
}

/// Another machine: a clone, a cargo home and a cache of its own.
fn machine(world: &World, name: &str) -> PathBuf {
    let clone = world.outside(name).join("clone");
    fs::create_dir_all(clone.parent().unwrap()).unwrap();
    let (from, to) = (world.root().to_str().unwrap(), clone.to_str().unwrap());
    world.git(["clone", "--quiet", "--no-hardlinks", from, to]);
    clone
}

fn at(world: &World, machine: &Path, args: &str) -> Run {
    let home = machine.parent().unwrap();
    run(world
        .tool(args.split(' '))
        .current_dir(machine)
        .env("CARGO_HOME", home.join("cargo"))
        .env("DOCKLESS_CACHE", home.join("cache")))
}

/// Builds a target on a machine of its own, and carries the shard to `shards/NAME` as
/// workflows carry artifacts: nothing can be run any more.
fn split(world: &World, name: &str, target: &str) -> PathBuf {
    let clone = machine(world, name);
    let made = at(world, &clone, &format!("release --split --target {target}"));
    assert_eq!(made.ends_with(0).line(), clone.join("dist/shard.json").to_str().unwrap());
    let to = world.outside("shards").join(name);
    for (path, bytes) in contents(&clone.join("dist")) {
        let path = to.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    to
}

#[test]
fn two_machines_make_what_one_makes() {
    let world = project();
    world.run("release --skip publish,check").ends_with(0);
    let one = contents(&world.dist());
    split(&world, "a", X86_64);
    split(&world, "b", AARCH64);
    let third = machine(&world, "third");
    let shards = world.outside("shards");
    let merge = format!("release --skip publish,check --merge {}", shards.display());
    at(&world, &third, &merge).ends_with(0).never_says("Compiling");
    let joined = contents(&third.join("dist"));
    assert_eq!(one.keys().collect::<Vec<_>>(), joined.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert!(*bytes == joined[name], "{name} differs");
    }
    assert_whole(&third.join("dist"));
    // Each by itself, in any order, is the same.
    let [a, b] = ["a", "b"].map(|name| shards.join(name).display().to_string());
    at(&world, &third, &format!("release --skip publish,check --merge {b} {a}")).ends_with(0);
    assert_eq!(contents(&third.join("dist")), joined);
}

/// What is done to the shards, and what the join says of it; nothing is made then.
#[test]
fn what_does_not_belong_together_is_not_joined() {
    let world = project();
    let a = split(&world, "a", X86_64);
    let b = split(&world, "b", AARCH64);
    let third = machine(&world, "third");
    let describes = b.join("shard.json");
    let whole = fs::read_to_string(&describes).unwrap();
    let join = || {
        let merge = format!("release --skip publish,check --merge {} {}", a.display(), b.display());
        at(&world, &third, &merge)
    };
    let changed = |from: &str, to: &str| {
        assert!(whole.contains(from), "{whole}");
        fs::write(&describes, whole.replace(from, to)).unwrap();
        join().ends_with(1).no_result().stderr.clone()
    };
    let commit = world.git(["rev-parse", "HEAD"]);
    let tool = format!("\"dockless\": \"{}\"", env!("CARGO_PKG_VERSION"));
    let digest = |key: &str| {
        let start = format!("\"{key}\": \"sha256:");
        let at = whole.find(&start).unwrap();
        whole[at..at + start.len() + 64].to_owned()
    };
    let zeros = |key: &str| format!("\"{key}\": \"sha256:{}", "0".repeat(64));
    for (from, to, said) in [
        (&*commit, "0123456789abcdef0123456789abcdef01234567", "it is of commit 0123456789ab"),
        (&*tool, "\"dockless\": \"0.0.9\"", "dockless 0.0.9 made it"),
        (&*digest("plan"), &*zeros("plan"), "it is of another plan of the same commit"),
        ("\"plan\": \"sha256:", "\"plan\": \"sha256:0", "is not a SHA-256 digest"),
        ("\"rustc\": \"rustc ", "\"rustc\": \"rustc 0.", "it was compiled by rustc 0."),
        (AARCH64, X86_64, "it holds kubectl-tool for x86_64-unknown-linux-musl, as "),
        (AARCH64, "../../../etc", "no shard holds kubectl-tool for aarch64-unknown-linux-musl"),
        (&*digest("digest"), &*zeros("digest"), "and not sha256:0"),
        ("\"digest\": \"sha256:", "\"digest\": \"sha256:0", "is not a SHA-256 digest"),
        ("{", "", "read "),
    ] {
        let stderr = changed(from, to);
        assert!(stderr.contains(said), "{from}: no {said:?} in\n{stderr}");
        assert!(!third.join("dist").exists(), "{from}");
    }
    fs::write(&describes, &whole).unwrap();
    let program = b.join("programs").join(AARCH64).join("kubectl-tool/kubectl-tool");
    let bytes = fs::read(&program).unwrap();
    fs::write(&program, &bytes[..bytes.len() - 1]).unwrap();
    join().ends_with(1).says("and not sha256:");
    fs::write(&program, &bytes).unwrap();
    let merge = format!("release --skip publish,check --merge {}", a.display());
    at(&world, &third, &merge)
        .ends_with(1)
        .says("no shard holds kubectl-tool for aarch64-unknown-linux-musl")
        .says(&format!("release --split --target {AARCH64}"));
    let nothing = world.outside("nothing");
    fs::create_dir(&nothing).unwrap();
    let merge = format!("release --skip publish,check --merge {}", nothing.display());
    at(&world, &third, &merge).ends_with(1).says("holds no shard");
    join().ends_with(0);
}

/// What programs write is written where they are built, and comes with the shard.
#[test]
fn what_programs_wrote_comes_with_a_shard() {
    let world = project();
    let other = if HOST == X86_64 { AARCH64 } else { X86_64 };
    let (a, b) = (split(&world, "a", HOST), split(&world, "b", other));
    let written = a.join("generated/kubectl-tool/tool.bash");
    assert!(written.is_file() && !b.join("generated").exists());
    let third = machine(&world, "third");
    let join = || {
        let merge = format!("release --skip publish,check --merge {} {}", a.display(), b.display());
        at(&world, &third, &merge)
    };
    let describes = a.join("shard.json");
    let whole = fs::read_to_string(&describes).unwrap();
    for (from, to, said) in [
        ("\"name\": \"tool.bash\"", "\"name\": \"../tool.bash\"", "archives are flat"),
        (
            "\"name\": \"tool.bash\"",
            "\"name\": \"shard.json\"",
            "generated/kubectl-tool/shard.json",
        ),
        (
            "\"package\": \"kubectl-tool\",\n      \"name\"",
            "\"package\": \"..\",\n      \"name\"",
            "generated files of kubectl-tool: no shard holds them",
        ),
    ] {
        assert!(whole.contains(from), "{whole}");
        fs::write(&describes, whole.replace(from, to)).unwrap();
        join().ends_with(1).no_result().says(said);
    }
    fs::write(&describes, &whole).unwrap();
    let bytes = fs::read(&written).unwrap();
    fs::write(&written, "other\n").unwrap();
    join().ends_with(1).says("and not sha256:");
    fs::write(&written, bytes).unwrap();
    join().ends_with(0).never_says("generate tool.bash");
    assert!(!third.join("target").join(HOST).exists(), "nothing was compiled");
}

/// Two machines that ran a package's programs must have got the same of them.
#[test]
fn what_two_machines_wrote_is_compared() {
    let world = World::empty();
    let targets = [X86_64, AARCH64].into_iter().filter(|it| *it != HOST).collect::<Vec<_>>();
    let gnu = if HOST == X86_64 { "x86_64-unknown-linux-gnu" } else { "aarch64-unknown-linux-gnu" };
    let more = format!(
        "[package.metadata.dockless]\ntargets = [{HOST:?}, {gnu:?}]\n\
         [package.metadata.dockless.archive]\n\
         generate = [{{ args = [\"completions\"], stdout = \"tool.bash\" }}]\n"
    );
    world.package("", "tool", "1.0.0", &more).file("LICENSE", "free\n").lock().commit();
    world.git(["tag", "v1.0.0"]);
    let (a, b) = (split(&world, "a", HOST), split(&world, "b", gnu));
    let third = machine(&world, "third");
    let merge = format!("release --skip publish,check --merge {} {}", a.display(), b.display());
    at(&world, &third, &merge).ends_with(0);
    let made = contents(&third.join("dist"));
    let turned = format!("release --skip publish,check --merge {} {}", b.display(), a.display());
    at(&world, &third, &turned).ends_with(0);
    assert_eq!(contents(&third.join("dist")), made);
    let written = b.join("generated/tool/tool.bash");
    let (text, describes) = (fs::read(&written).unwrap(), b.join("shard.json"));
    fs::write(&written, "other\n").unwrap();
    let (old, new) = (crate::world::sha256(&text), crate::world::sha256(b"other\n"));
    let shard = fs::read_to_string(&describes).unwrap();
    assert!(shard.contains(&old), "{shard}");
    fs::write(&describes, shard.replace(&old, &new)).unwrap();
    at(&world, &third, &merge)
        .ends_with(1)
        .says("its \"tool.bash\" of tool is not that of ")
        .says("let the program write the same on every machine");
    // None of a package's targets runs here: the program is built once more, to be run.
    let [foreign] = targets[..] else { panic!("{targets:?}") };
    let more = more.replace(&format!("[{HOST:?}, {gnu:?}]"), &format!("[{foreign:?}]"));
    world.package("", "tool", "1.0.1", &more).lock().commit();
    world.git(["tag", "v1.0.1"]);
    let alone = split(&world, "c", foreign);
    assert!(alone.join("generated/tool/tool.bash").is_file());
    assert!(!alone.join("programs").join(HOST).exists());
    let fourth = machine(&world, "fourth");
    let merge = format!("release --skip publish,check --merge {}", alone.display());
    at(&world, &fourth, &merge).ends_with(0);
}

/// A tag that speaks of one package: machines that build others' targets have nothing to do.
#[test]
fn a_tag_of_one_package_leaves_other_machines_nothing() {
    let world = World::empty();
    world.file("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"alpha\", \"beta\"]\n");
    for (name, target) in [("alpha", X86_64), ("beta", AARCH64)] {
        let more = format!("[package.metadata.dockless]\ntargets = [\"{target}\"]\n");
        world.package(name, name, "1.0.0", &more);
    }
    world.file("LICENSE", "free\n").lock().commit();
    world.git(["tag", "alpha-v1.0.0"]);
    split(&world, "a", X86_64);
    let nothing = split(&world, "b", AARCH64);
    assert!(!nothing.join("programs").exists());
    let third = machine(&world, "third");
    let merge =
        format!("release --skip publish,check --merge {}", world.outside("shards").display());
    at(&world, &third, &merge).ends_with(0);
    assert!(third.join(format!("dist/alpha-v1.0.0-{X86_64}.tar.gz")).is_file());
}

/// A program that is joined of two, and one of the two by itself.
#[test]
fn a_part_that_is_shipped_by_itself_comes_once() {
    if judge("zig").is_none() {
        return;
    }
    let world = World::empty();
    let targets = ["universal2-apple-darwin", "aarch64-apple-darwin"];
    let more = format!("[package.metadata.dockless]\ntargets = {targets:?}\n");
    world.package("", "tool", "1.0.0", &more).file("LICENSE", "free\n").lock().commit();
    world.git(["tag", "v1.0.0"]);
    for target in targets {
        split(&world, target, target);
    }
    let third = machine(&world, "third");
    let merge =
        format!("release --skip publish,check --merge {}", world.outside("shards").display());
    at(&world, &third, &merge).ends_with(0);
    for target in targets {
        assert!(third.join(format!("dist/tool-v1.0.0-{target}.tar.gz")).is_file(), "{target}");
    }
}

/// A plan has other parts where it is asked for other things.
#[test]
fn one_plan_is_built_and_joined() {
    let world = project();
    let a = split(&world, "a", HOST);
    let clone = world.outside("a/clone");
    let merge = format!("release --snapshot --merge {}", a.display());
    at(&world, &clone, &merge).ends_with(1).says("it is of another plan of the same commit");
    world.file("src/main.rs", "fn main() { println!(\"other\") }");
    world
        .run(&format!("release --split --snapshot --target {HOST}"))
        .ends_with(1)
        .says("several machines build one commit, and what is here is not committed");
    world.git(["checkout", "--quiet", "."]);
    world
        .run("release --split --target x86_64-unknown-linux-gnu")
        .ends_with(1)
        .says("no package is released for x86_64-unknown-linux-gnu")
        .says("name one of aarch64-unknown-linux-musl, x86_64-unknown-linux-musl");
    world.run("release --split").ends_with(2);
    world.run("release --split --target x --merge y").ends_with(2);
}
