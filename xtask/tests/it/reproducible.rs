//! One commit, made in different places, at different times, by different users and on different
//! machines: the same bytes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection};

use crate::cross::{BUILD, C, LIB};
use crate::world::{AARCH64, World, X86_64, assert_whole, contents, entries, judge, run, said};

pub mod varied;

use varied::{Change, Variation};

/// The target whose C zig compiles: not this machine's.
const FOREIGN: &str = if cfg!(target_arch = "aarch64") { X86_64 } else { AARCH64 };

/// Two programs that would betray where they were made: by panic messages, by `file!()`, by debug
/// information, by dependencies outside the workspace, and by what a C compiler tells.
fn talkative() -> World {
    let world = World::empty();
    world.commit();
    let members = "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"native\"]\n\
                   exclude = [\"near\", \"c-sys\", \"cc\"]\n";
    world.file("Cargo.toml", members).file("LICENSE", "free\n").file("README.md", "# app\n");
    let settings = format!(
        "license = \"MIT\"\n[dependencies]\nnear.path = \"../near\"\n{}\
         [package.metadata.dockless.image]\nfiles = [{{ from = \"assets\", to = \"/srv/assets\" }}]\n",
        crate::world::only_host()
    );
    world.package("app", "app", "1.0.0", &settings);
    let main = "fn main() {\n    println!(\"{} {} {}\", file!(), near::place(), \
                env!(\"DOCKLESS_VERSION\"));\n    let n = std::env::args().count();\n    \
                println!(\"{}\", vec![1, 2][n * 7 % 3]);\n}\n";
    world.file("app/src/main.rs", main);
    for asset in ["index.html", "a/1", "a/2", "a/b/3", "z", "Z", "10", "9"] {
        world.file(&format!("app/assets/{asset}"), asset);
    }
    world.package("near", "near", "0.1.0", "license = \"MIT\"\n");
    let lib = "pub fn place() -> &'static str { std::panic::Location::caller().file() }\n\
               pub fn fails() { panic!(\"here\") }\n";
    world.file("near/src/lib.rs", lib).file("near/LICENSE-MIT", "A permission.\n");
    let settings = format!(
        "license = \"MIT\"\n[dependencies]\nc-sys.path = \"../c-sys\"\n\
         [package.metadata.dockless]\ntargets = [\"{FOREIGN}\"]\n"
    );
    world.package("native", "native", "1.0.0", &settings);
    world.file("native/src/main.rs", "fn main() { println!(\"{}\", c_sys::told_by_c()) }\n");
    let c = "license = \"ISC\"\nlinks = \"told\"\n[build-dependencies]\ncc.path = \"../cc\"\n";
    world.package("c-sys", "c-sys", "0.9.1", c).package("cc", "cc", "1.2.0", "");
    for folder in ["near", "c-sys", "cc"] {
        fs::remove_file(world.path(folder).join("src/main.rs")).unwrap();
    }
    world.file("c-sys/src/lib.rs", LIB).file("c-sys/told.c", C).file("c-sys/build.rs", BUILD);
    world.file("cc/src/lib.rs", "").lock();
    world.commit();
    world.git(["tag", "v1.0.0"]);
    world
}

/// The bytes of each column, by names.
type Columns = BTreeMap<&'static str, BTreeMap<String, Vec<u8>>>;

/// What a release has made, and what the probes of all variations said.
struct Made {
    columns: Columns,
    probes: Vec<String>,
}

/// Clones the commit and releases it there, with nothing of an earlier release: caches, homes and
/// folders are new, in the same places unless the change says otherwise.
fn release(world: &World, change: &Change, variations: &[Variation]) -> Made {
    let place = world.outside("place");
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    for folder in ["home", "probes"] {
        fs::create_dir_all(place.join(folder)).unwrap();
    }
    let clone = place.join(change.folder.unwrap_or("clone"));
    let mut script = change.before.join("\n");
    script.push_str(&format!(
        "\nset -e\ngit clone --quiet {} \"file://{}\" \"$CLONE\"\ncd \"$CLONE\"\n",
        change.clone,
        world.root().display()
    ));
    script.push_str(&change.prepare.join("\n"));
    for (at, variation) in variations.iter().enumerate() {
        script.push_str(&format!(
            "\n{{ {}; }} >\"$PLACE/probes/{at}\" 2>&1 || true",
            variation.probe
        ));
    }
    let tool = env!("CARGO_BIN_EXE_cargo-dockless");
    let args = change.args.join(" ");
    script.push_str(&format!("\nexec '{tool}' release --skip publish,check {args}\n"));
    let script = world.script("release", &script);
    let mut words: Vec<OsString> = change.wrapper.iter().map(OsString::from).collect();
    match change.terminal {
        true => words
            .extend(["script", "-qec", script.to_str().unwrap(), "/dev/null"].map(OsString::from)),
        false => words.push(script.into()),
    }
    let mut command = world.with("timeout", ["300"]);
    command.args(words).env("PLACE", &place).env("CLONE", &clone).envs(own_folders(&place));
    command.envs(change.vars.iter().map(|(name, value)| (name, value)));
    run(&mut command).ends_with(0);
    let probe = |at: usize| fs::read_to_string(place.join(format!("probes/{at}"))).unwrap();
    let probes = (0..variations.len()).map(probe).collect();
    let dist = clone.join("dist");
    assert_whole(&dist);
    Made { columns: columns(&dist), probes }
}

/// Where rustup keeps the toolchains that the tests have.
fn rustup_home() -> PathBuf {
    let rustup = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
    rustup.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".rustup"))
}

/// Folders of a release's own, and the toolchain that the tests have.
fn own_folders(place: &Path) -> [(&'static str, PathBuf); 4] {
    [
        ("RUSTUP_HOME", rustup_home()),
        ("HOME", place.join("home")),
        ("CARGO_HOME", place.join("cargo")),
        ("DOCKLESS_CACHE", place.join("cache")),
    ]
}

/// The columns of the matrix: what a release makes.
const COLUMNS: [&str; 9] = [
    "Rust",
    "C by zig",
    "list inside",
    "licences",
    "archives",
    "image",
    "SBOM",
    "provenance",
    "the rest",
];

/// The files of dist/. What is in archives is looked at one by one, too.
fn columns(dist: &Path) -> Columns {
    let mut columns = Columns::new();
    let mut add = |column: &'static str, name: &str, bytes: Vec<u8>| {
        assert!(COLUMNS.contains(&column));
        columns.entry(column).or_default().insert(name.to_owned(), bytes);
    };
    for (name, bytes) in contents(dist) {
        let column = match &*name {
            name if name.ends_with(".tar.gz") => "archives",
            name if name.starts_with("images/") => "image",
            name if name.ends_with(".spdx.json") => "SBOM",
            name if name.ends_with(".intoto.json") => "provenance",
            _ => "the rest",
        };
        add(column, &name, bytes);
        if column != "archives" {
            continue;
        }
        for entry in entries(&dist.join(&name)) {
            let within = format!("{name}: {}", entry.name);
            match &*entry.name {
                "app" | "native" => {
                    let file = object::File::parse(&*entry.bytes).unwrap();
                    let list = file.section_by_name(".dep-v0").unwrap().data().unwrap().to_vec();
                    add("list inside", &within, list);
                    add(
                        if entry.name == "app" { "Rust" } else { "C by zig" },
                        &within,
                        entry.bytes,
                    );
                }
                "THIRD-PARTY-LICENSES" => add("licences", &within, entry.bytes),
                _ => {}
            }
        }
    }
    columns
}

/// The matrix, and a line for each file that is not the same.
fn compare(base: &Made, varied: &Made) -> (Vec<&'static str>, Vec<String>) {
    let (mut cells, mut faults) = (Vec::new(), Vec::new());
    for column in COLUMNS {
        let (before, after) = (base.columns.get(column), varied.columns.get(column));
        cells.push(if before == after { "same" } else { "DIFFERS" });
        let names = |of: Option<&BTreeMap<String, Vec<u8>>>| {
            of.into_iter().flatten().map(|(name, _)| name.clone()).collect::<Vec<String>>()
        };
        let bytes = |of: Option<&BTreeMap<String, Vec<u8>>>, name: &String| {
            of.and_then(|files| files.get(name)).cloned()
        };
        let mut all = [names(before), names(after)].concat();
        all.sort();
        all.dedup();
        all.retain(|name| bytes(before, name) != bytes(after, name));
        faults.extend(all.into_iter().map(|name| format!("{column}: {name}")));
    }
    (cells, faults)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

/// Requires that no program tells of the folders that it was made in.
fn assert_no_folders(made: &Made, folders: &[&str]) {
    for (column, files) in &made.columns {
        for (name, bytes) in files {
            if let Some(text) = folders.iter().find(|text| holds(bytes, text)) {
                panic!("{text} in {name} ({column})");
            }
        }
    }
}

/// The rows of the matrix: each variation alone with `DOCKLESS_MATRIX=1`, and always all
/// together. With the numbers of the probes that tell of it.
fn rows(variations: &[Variation]) -> Vec<(&'static str, Option<Change>, Vec<usize>)> {
    let mut rows = Vec::new();
    if std::env::var_os("DOCKLESS_MATRIX").is_some() {
        rows.push(("made again", Some(Change::default()), Vec::new()));
        let alone = variations.iter().enumerate();
        rows.extend(alone.map(|(at, it)| (it.name, it.change.clone(), vec![at])));
    }
    let all = variations.iter().filter_map(|it| it.change.as_ref());
    let all = all.fold(Change::default(), Change::and);
    let varied = variations.iter().enumerate().filter(|(_, it)| it.change.is_some());
    rows.push(("all together", Some(all), varied.map(|(at, _)| at).collect()));
    rows
}

fn line<T: std::fmt::Display>(name: &str, cells: &[T]) -> String {
    format!("{name:<28}{}", cells.iter().map(|cell| format!("{cell:<13}")).collect::<String>())
}

#[test]
fn what_does_not_count_changes_no_byte_and_what_counts_does() {
    let Some(zig) = judge("zig") else { return };
    if !crate::cross::has_library(&World::empty(), FOREIGN) {
        return;
    }
    let world = talkative();
    let variations = varied::all(&world);
    let base = release(&world, &Change::default(), &variations);
    for column in COLUMNS {
        assert!(base.columns.contains_key(column), "nothing is made for {column}");
    }
    let home = format!("{}/", std::env::var("HOME").unwrap());
    let (place, temp) = (world.outside(""), std::env::temp_dir());
    let folders = [&place, &temp, zig.parent().unwrap()].map(|path| path.to_str().unwrap());
    assert_no_folders(&base, &[&folders[..], &[&home]].concat());

    let mut faults = Vec::new();
    said(&line("varied", &COLUMNS));
    for (name, change, probes) in rows(&variations) {
        let Some(change) = change else {
            said(&line(name, &["not varied on this machine"]));
            continue;
        };
        let made = release(&world, &change, &variations);
        for at in probes {
            let (before, after) = (&base.probes[at], &made.probes[at]);
            let Variation { name, probe, .. } = &variations[at];
            if before == after {
                faults.push(format!("{name} is not varied: `{probe}` says {after:?} again"));
            }
        }
        let (cells, differing) = compare(&base, &made);
        said(&line(name, &cells));
        faults.extend(differing.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    let counts = varied::what_counts();
    let (cells, _) = compare(&base, &release(&world, &counts, &variations));
    said(&line("what counts: flags, time", &cells));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (column, cell) in COLUMNS.iter().zip(cells) {
        // What is in the programs by name, and their licences, are the same.
        let same = ["list inside", "licences"].contains(column);
        assert!(same || cell == "DIFFERS", "{column} has not changed");
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
