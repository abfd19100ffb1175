//! One commit, made in different places and at different times: the same bytes.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::world::{World, assert_whole, contents, entries, judge, run};

/// A program that would betray where it was made: by panic messages, by
/// `file!()`, by debug information, and by a dependency outside the workspace.
fn talkative() -> World {
    let world = World::empty();
    world.package("app", "app", "1.0.0", "[dependencies]\nnear.path = \"../near\"\n[workspace]\n");
    world.file("app/LICENSE", "free\n").file("app/README.md", "# app\n");
    let main = "fn main() {\n    println!(\"{} {} {}\", file!(), near::place(), \
                env!(\"DOCKLESS_VERSION\"));\n    let n = std::env::args().count();\n    \
                println!(\"{}\", vec![1, 2][n * 7 % 3]);\n}\n";
    world.file("app/src/main.rs", main);
    world.package("near", "near", "0.1.0", "[workspace]\n");
    let lib = "pub fn place() -> &'static str { std::panic::Location::caller().file() }\n\
               pub fn fails() { panic!(\"here\") }\n";
    world.file("near/src/lib.rs", lib);
    fs::remove_file(world.path("near/src/main.rs")).unwrap();
    run(world.with("cargo", ["generate-lockfile", "--offline"]).current_dir(world.path("app")))
        .ends_with(0);
    world.commit();
    world.git(["tag", "v1.0.0"]);
    world
}

/// Clones the commit to `place` and releases it there: at `date`, with a cargo
/// home and a target folder of its own. Returns the clone.
fn release(world: &World, place: &str, date: &str, more: &[(&str, &str)]) -> PathBuf {
    let clone = world.outside(place);
    fs::create_dir_all(clone.parent().unwrap()).unwrap();
    let (from, to) = (world.root().to_str().unwrap(), clone.to_str().unwrap());
    world.git(["clone", "--quiet", "--no-hardlinks", from, to]);
    let tool = world.tool(["release", "--skip", "publish,check"]);
    let mut command = match judge("faketime") {
        Some(faketime) => {
            let mut command = world.with("timeout", ["120"]);
            command.arg(faketime).arg(date).arg(tool.get_program()).args(tool.get_args());
            command.env("PATH", without_faketime(world));
            command
        }
        None => tool,
    };
    let released = run(command
        .current_dir(clone.join("app"))
        .env("CARGO_TARGET_DIR", clone.join("made"))
        .env("CARGO_HOME", clone.join("home"))
        .env("DOCKLESS_CACHE", clone.join("cache"))
        .envs(more.iter().copied()));
    released.ends_with(0);
    clone
}

/// PATH with a rustc that is told the real time: faketime's library and rustc's
/// allocator wait for each other for ever. cargo and this tool see the other date.
fn without_faketime(world: &World) -> OsString {
    let sysroot = run(&mut world.with("rustc", ["--print", "sysroot"]));
    let rustc = Path::new(sysroot.ends_with(0).line()).join("bin/rustc");
    let script = format!("unset LD_PRELOAD\nexec '{}' \"$@\"\n", rustc.display());
    world.script("real-time/rustc", &script);
    world.path_with("real-time")
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn two_places_and_two_dates_give_the_same_bytes_and_none_of_the_machine() {
    let world = talkative();
    let one = release(&world, "a/clone", "2024-01-02 03:04:05", &[]);
    let two = release(
        &world,
        "a-much-longer-path/with more/parts/than the other/clone",
        "2031-12-30 23:59:58",
        &[("TZ", "Asia/Tokyo"), ("LANG", "de_DE.UTF-8"), ("CARGO_BUILD_JOBS", "1")],
    );
    let (first, second) = (contents(&one.join("app/dist")), contents(&two.join("app/dist")));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        assert!(bytes == &second[name], "{name} differs");
    }
    assert_whole(&one.join("app/dist"));
    let home = std::env::var("HOME").unwrap();
    let (cargo, rustup) = (format!("{home}/.cargo"), format!("{home}/.rustup"));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    for archive in first.keys().filter(|name| name.ends_with(".tar.gz")) {
        for entry in entries(&Path::new(one).join("app/dist").join(archive)) {
            for text in [one, two, &cargo, &rustup, "a-much-longer-path"] {
                assert!(!holds(&entry.bytes, text), "{text} in {} of {archive}", entry.name);
            }
        }
    }
}

/// The same commit in the same place is compiled, archived and described anew.
#[test]
fn nothing_of_an_earlier_build_shows() {
    let world = World::committed("1.0.0");
    world.git(["tag", "v1.0.0"]);
    world.run("release --skip publish,check").ends_with(0);
    let first = contents(&world.dist());
    fs::remove_dir_all(world.path("target")).unwrap();
    fs::remove_dir_all(world.outside("cache")).unwrap();
    let touched = fs::File::open(world.path("LICENSE")).unwrap();
    touched.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    world.run("release --skip publish,check -j 1").ends_with(0);
    assert_eq!(contents(&world.dist()), first);
}
