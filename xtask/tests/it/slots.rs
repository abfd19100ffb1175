//! Programs whose version is put into a slot once they are linked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cross::has_library;
use super::world::{AARCH64, HOST, Run, World, X86_64, judge, only_host, run, unpack};

/// The program tells all that the slot says.
const MAIN: &str = r#"fn main() {
    let texts = [
        dockless_version::version(),
        dockless_version::commit(),
        dockless_version::date(),
        dockless_version::describe(),
    ];
    println!("{}", texts.map(|text| text.unwrap_or("none")).join("\n"));
}
"#;
const DEPENDENCY: &str = "[dependencies]\ndockless-version = { path = \"slot\" }\n";
const DARWIN: [&str; 2] = ["aarch64-apple-darwin", "x86_64-apple-darwin"];
const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// A copy of the crate in a folder of the project, as it would come from crates.io.
pub fn vendor(world: &World, folder: &str, version: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("version");
    for file in ["src/lib.rs", "README.md"] {
        let text = fs::read_to_string(from.join(file)).unwrap();
        world.file(&format!("{folder}/{file}"), &text);
    }
    let manifest = format!(
        "[package]\nname = \"dockless-version\"\nversion = \"{version}\"\nedition = \"2024\"\n"
    );
    world.file(&format!("{folder}/Cargo.toml"), &manifest);
}

/// A project whose program has the slot, with more settings.
fn project(settings: &str) -> World {
    let world = World::empty();
    world.package("", "tool", "1.0.0", &format!("{DEPENDENCY}{settings}"));
    vendor(&world, "slot", "0.1.0");
    world.file("src/main.rs", MAIN).file("LICENSE", "free\n").lock().commit();
    world
}

fn targets(targets: &[&str]) -> String {
    format!("[package.metadata.dockless]\ntargets = {targets:?}\n")
}

/// What the program must print at HEAD.
fn expected(world: &World, version: &str) -> Vec<String> {
    let commit = world.git(["rev-parse", "HEAD"]);
    let date = world.git(["log", "-1", "--format=%cd", "--date=format:%Y-%m-%dT%H:%M:%SZ"]);
    let describe = world.git(["describe", "--tags", "--always", "--dirty"]);
    vec![version.to_owned(), commit, date, describe]
}

#[track_caller]
fn says(ran: &Run, expected: &[String]) {
    assert_eq!(ran.ends_with(0).stdout.lines().collect::<Vec<_>>(), expected);
}

/// The shipped program for a target.
fn shipped(world: &World, version: &str, target: &str) -> PathBuf {
    let archive = world.dist().join(format!("tool-v{version}-{target}.tar.gz"));
    unpack(&archive, "tool", &world.outside(&format!("{version}/{target}")))
}

/// The tool with a target folder that holds nothing.
fn clean(world: &World, args: &str) -> Command {
    let target = world.outside("clean");
    fs::remove_dir_all(&target).ok();
    let mut tool = world.tool(args.split(' '));
    tool.env("CARGO_TARGET_DIR", target);
    tool
}

#[test]
fn a_version_alone_compiles_nothing_and_is_the_same_bytes_as_a_full_build() {
    // An optimiser that sees the whole program does not know what will be in the slot.
    let whole = "auditable = false\n[profile.release]\nlto = \"fat\"\ncodegen-units = 1\n";
    for more in ["", whole] {
        let world = project(&format!("{}{more}", targets(&[X86_64, AARCH64])));
        world.run("release --snapshot").ends_with(0).says("Compiling tool v1.0.0");
        let first = format!("1.0.0-dev.1.g{}", world.sha());
        let before = fs::read(shipped(&world, &first, HOST)).unwrap();
        world.commit();
        let second = format!("1.0.0-dev.2.g{}", world.sha());
        world.run("release --snapshot").ends_with(0).never_says("Compiling").says("Finished");
        let says_second = expected(&world, &second);
        let program = shipped(&world, &second, HOST);
        says(&run(&mut world.with(&program, [""; 0])), &says_second);
        let patched = [X86_64, AARCH64].map(|it| fs::read(shipped(&world, &second, it)).unwrap());
        assert!(!patched.contains(&before), "the version is in the program");
        if let Some(qemu) = judge("qemu-aarch64-static") {
            let program = shipped(&world, &second, AARCH64);
            says(&run(&mut world.with(qemu, [program])), &says_second);
        }
        let built = run(&mut clean(&world, "release --snapshot"));
        built.ends_with(0).says("Compiling tool v1.0.0");
        let full = [X86_64, AARCH64].map(|it| fs::read(shipped(&world, &second, it)).unwrap());
        assert!(full == patched, "both ways make the same bytes");
        // The commit becomes a release.
        world.git(["tag", "v1.0.0"]);
        world.run("release --snapshot").ends_with(0).never_says("Compiling");
        let released = run(&mut world.with(shipped(&world, "1.0.0", HOST), [""; 0]));
        says(&released, &expected(&world, "1.0.0"));
    }
}

/// What the linkers of other systems make has the slot in its section, too; the tool verifies
/// the signature of what it ships.
#[test]
fn programs_for_macos_and_windows_have_the_slot() {
    let world = project("");
    let all = [DARWIN[0], DARWIN[1], WINDOWS];
    if judge("zig").is_none() || !all.iter().all(|target| has_library(&world, target)) {
        return;
    }
    for auditable in ["auditable = false\n", ""] {
        let settings =
            format!("{DEPENDENCY}{}{auditable}", targets(&["universal2-apple-darwin", WINDOWS]));
        world.package("", "tool", "1.0.0", &settings).file("src/main.rs", MAIN).commit();
        let build = format!(
            "build -q --release --target universal2-apple-darwin --target {} --target {} \
             --target {WINDOWS} --json",
            DARWIN[0], DARWIN[1]
        );
        let built = |mut tool: Command| {
            let programs = run(&mut tool).ends_with(0).list();
            let programs = programs.as_array().unwrap().iter().map(|it| {
                let path = it["path"].as_str().unwrap();
                (it["target"].as_str().unwrap().to_owned(), fs::read(path).unwrap())
            });
            let mut programs: Vec<(String, Vec<u8>)> = programs.collect();
            programs.sort();
            programs
        };
        built(world.tool(build.split(' ')));
        world.commit();
        world.run(&build.replace("-q ", "")).ends_with(0).never_says("Compiling");
        let patched = built(world.tool(build.split(' ')));
        let commit = world.git(["rev-parse", "HEAD"]);
        for (target, program) in &patched {
            let found = memchr::memmem::find_iter(program, commit.as_bytes()).count();
            // One in each program of the universal one.
            let slots = if target.starts_with("universal") { 2 } else { 1 };
            assert_eq!(found, slots, "{target}");
        }
        assert_eq!(patched.len(), 4);
        assert!(built(clean(&world, &build)) == patched, "both ways make the same bytes");
    }
}

#[test]
fn build_and_run_show_the_version_of_the_development() {
    let world = project("");
    let version = |number: u32| format!("1.0.0-dev.{number}.g{}", world.sha());
    says(&world.run("run -q"), &expected(&world, &version(1)));
    world.commit();
    let second = world.run("run");
    says(second.never_says("Compiling"), &expected(&world, &version(2)));
    let built = world.run("build -q");
    let program = built.ends_with(0).line();
    says(&run(&mut world.with(program, [""; 0])), &expected(&world, &version(2)));
    // cargo's own program stays as cargo made it.
    let of_cargo = world.path(&format!("target/{HOST}/debug/tool"));
    assert_eq!(run(&mut world.with(of_cargo, [""; 0])).ends_with(0).stdout, "none\n".repeat(4));
}

/// The variables are still there, and a program that reads them is compiled for each version.
#[test]
fn the_variables_say_the_same_as_the_slot() {
    let world = project(&only_host());
    let main = "fn main() {\n    assert_eq!(dockless_version::version(), \
                Some(env!(\"DOCKLESS_VERSION\")));\n    assert_eq!(dockless_version::commit(), \
                Some(env!(\"DOCKLESS_COMMIT\")));\n    assert_eq!(dockless_version::date(), \
                Some(env!(\"DOCKLESS_DATE\")));\n    assert_eq!(dockless_version::describe(), \
                Some(env!(\"DOCKLESS_DESCRIBE\")));\n}\n";
    world.file("src/main.rs", main).commit();
    world.run("run -q").ends_with(0);
    world.commit();
    world.run("run").ends_with(0).says("Compiling tool").never_says("Compiling dockless-version");
}

/// The first program asks for its version, the second does not, and a third package is told by
/// its build script only.
#[test]
fn programs_without_the_slot_are_built_as_ever() {
    let world = World::workspace(&[("tool", "1.0.0"), ("plain", "1.0.0"), ("host", "1.0.0")], "");
    vendor(&world, "slot", "0.1.0");
    let dependency =
        |kind: &str| format!("[{kind}]\ndockless-version = {{ path = \"../slot\" }}\n");
    world.package("tool", "tool", "1.0.0", &(only_host() + &dependency("dependencies")));
    world.file("tool/src/main.rs", MAIN).file("tool/src/bin/silent.rs", "fn main() {}\n");
    world.package("plain", "plain", "1.0.0", &only_host());
    world.package("host", "host", "1.0.0", &(only_host() + &dependency("build-dependencies")));
    world.file("host/build.rs", "fn main() { assert!(dockless_version::version().is_none()) }\n");
    world.lock().commit();
    let built = world.run("build --json");
    let programs = built.ends_with(0).list();
    let paths = programs.as_array().unwrap().iter().map(|it| {
        let path = it["path"].as_str().unwrap().strip_prefix(world.root().to_str().unwrap());
        let is_finished = path.unwrap().starts_with("/target/dockless/");
        (it["name"].as_str().unwrap(), is_finished)
    });
    let mut paths: Vec<(&str, bool)> = paths.collect();
    paths.sort_unstable();
    assert_eq!(paths, [("host", false), ("plain", false), ("silent", false), ("tool", true)]);
}

#[test]
fn texts_that_do_not_fit_are_refused() {
    let long = "x".repeat(500);
    let world = project(&format!("{}env = {{ DOCKLESS_DESCRIBE = \"{long}\" }}\n", only_host()));
    world
        .run("build")
        .ends_with(1)
        .no_result()
        .says(&format!("error: put the version into tool for {HOST}: version, commit, date and"))
        .says("and the slot for them has 480: 1.0.0-dev.1.g")
        .says("help: use shorter tags");
}

#[test]
fn two_slots_are_refused() {
    let world = project(&only_host());
    vendor(&world, "other", "0.2.0");
    let other = "other = { package = \"dockless-version\", path = \"other\" }\n";
    world.package("", "tool", "1.0.0", &format!("{DEPENDENCY}{other}"));
    let both = "fn main() { println!(\"{:?} {:?}\", dockless_version::version(), \
                other::version()) }\n";
    world.file("src/main.rs", both).lock().commit();
    world
        .run("build")
        .ends_with(1)
        .no_result()
        .says("it has 2 slots for its version, and which counts is unclear")
        .says("help: use one version of dockless-version: `cargo tree --duplicates` shows all");
}

/// A build by cargo alone, such as that of the Dockerfile.
#[test]
fn cargo_alone_fills_the_slot_by_a_variable() {
    let world = project(&format!("{}auditable = false\n", only_host()));
    let ours = world.run("build -q");
    let path = PathBuf::from(ours.ends_with(0).line());
    let texts = expected(&world, &format!("1.0.0-dev.1.g{}", world.sha()));
    let cargo = |slot: &str| {
        let mut cargo = world.with("cargo", ["run", "-q"]);
        run(cargo.env("DOCKLESS_SLOT", slot))
    };
    says(&cargo(&texts.join(" ")), &texts);
    says(&cargo("1.0.0"), &["1.0.0", "none", "none", "none"].map(str::to_owned));
    cargo(&"x".repeat(500)).ends_with(101).says("DOCKLESS_SLOT is too long");
    cargo("a b c d e").ends_with(101).says("DOCKLESS_SLOT has more than four texts");
    // What is set here does not compile anything anew.
    let mut tool = world.tool(["build"]);
    run(tool.env("DOCKLESS_SLOT", "6.6.6")).ends_with(0).never_says("Compiling");
    says(&run(&mut world.with(path, [""; 0])), &texts);
}
