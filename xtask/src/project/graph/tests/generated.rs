//! Workspaces made at random, with all that decides on features.

use std::path::Path;

use super::write;

/// Packages that may use those after them, and in tests any.
const PACKAGES: [&str; 9] = ["pa", "pb", "pc", "pd", "la", "lb", "mac", "lc", "ld"];
pub const PROGRAMS: [&str; 4] = ["pa", "pb", "pc", "pd"];
/// There is another version of it, outside the workspace.
const TWICE: &str = "ld";
const TABLES: [&str; 6] = [
    "dependencies",
    "build-dependencies",
    "target.'cfg(windows)'.dependencies",
    "target.'cfg(unix)'.dependencies",
    "target.'cfg(unix)'.build-dependencies",
    "target.x86_64-unknown-linux-musl.dependencies",
];
const FEATURES: [&str; 3] = ["default", "x", "y"];

/// Numbers that are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % count
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// Writes the workspace of this number, and returns arguments for features that fit it.
pub fn workspace(root: &Path, seed: u64) -> &'static [&'static str] {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    random.below(1);
    let resolver = ["2", "3", "2", "3", "1"][random.below(5)];
    let text = format!(
        "[workspace]\nresolver = \"{resolver}\"\nmembers = {PACKAGES:?}\nexclude = [\"old\"]\n"
    );
    write(root, "Cargo.toml", &text);
    package(root, &format!("old/{TWICE}"), "0.9.0", "[features]\nx = []\ny = []\n");
    // Where features are rare, more of the packages have the same ones.
    let rare = random.below(4) + 1;
    for (at, name) in PACKAGES.iter().enumerate() {
        let tables = tables(&mut random, at, rare);
        package(root, name, "1.0.0", &tables);
        write(root, &format!("{name}/build.rs"), "fn main() {}");
        if PROGRAMS.contains(name) {
            write(root, &format!("{name}/src/main.rs"), "fn main() {}");
        }
    }
    let args: [&[&str]; 6] =
        [&[], &[], &[], &["--all-features"], &["--no-default-features"], &["--features=x"]];
    match args[random.below(args.len())] {
        // Only packages in the current folder may have such features then.
        _ if resolver == "1" => &[],
        args => args,
    }
}

/// Lets what depends on the processor depend on the operating system.
#[expect(clippy::disallowed_methods, reason = "the test's own files")]
pub fn without_processors(root: &Path) {
    for name in PACKAGES {
        let manifest = format!("{name}/Cargo.toml");
        let text = std::fs::read_to_string(root.join(&manifest)).unwrap();
        write(root, &manifest, &text.replace(TABLES[5], "target.'cfg(not(windows))'.dependencies"));
    }
}

fn package(root: &Path, dir: &str, version: &str, more: &str) {
    let name = dir.rsplit('/').next().unwrap();
    let text =
        format!("[package]\nname = {name:?}\nversion = {version:?}\nedition = \"2021\"\n{more}");
    write(root, &format!("{dir}/Cargo.toml"), &text);
    write(root, &format!("{dir}/src/lib.rs"), "");
}

/// The dependencies and features of the package at this place.
fn tables(random: &mut Random, at: usize, rare: usize) -> String {
    let mut text = String::new();
    if PACKAGES[at] == "mac" {
        text += "[lib]\nproc-macro = true\n";
    }
    let later = &PACKAGES[at + 1..];
    // The names of dependencies, and those that are optional wherever they are named.
    let (mut used, mut optional): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for name in later {
        // Few programs are a part of others.
        if PROGRAMS.contains(name) && !random.one_in(8) {
            continue;
        }
        let key = if random.one_in(4) { format!("r{name}") } else { (*name).to_owned() };
        let is_optional = random.one_in(3);
        let mut times = 0;
        for table in TABLES {
            if !random.one_in(if table == "dependencies" { 2 } else { 8 }) {
                continue;
            }
            times += 1;
            let features: Vec<&str> =
                ["x", "y"].into_iter().filter(|_| random.one_in(rare * 2)).collect();
            text += &format!(
                "[{table}.{key}]\npackage = {name:?}\npath = \"../{name}\"\n\
                 features = {features:?}\noptional = {is_optional}\ndefault-features = {}\n",
                random.one_in(2)
            );
        }
        if times > 0 {
            used.push(key.clone());
            optional.extend(is_optional.then_some(key));
        }
    }
    let tested = PACKAGES[random.below(PACKAGES.len())];
    if tested != PACKAGES[at] && random.one_in(2) {
        // A package has one name in all tables.
        let key = used.iter().find(|key| [tested, &format!("r{tested}")].contains(&&***key));
        text += &format!(
            "[dev-dependencies.{}]\npackage = {tested:?}\npath = \"../{tested}\"\n\
             features = [\"y\"]\n",
            key.map_or(tested, |key| key)
        );
    }
    if !later.is_empty() && random.one_in(4) {
        text += &format!(
            "[dependencies.older]\npackage = {TWICE:?}\npath = \"../old/{TWICE}\"\nversion = \"0.9\"\n"
        );
    }
    // Either all optional dependencies are features themselves, or none is.
    let hidden = random.one_in(2);
    text += "[features]\n";
    for (at, feature) in FEATURES.iter().enumerate() {
        if *feature == "default" && random.one_in(2) {
            continue;
        }
        let mut on: Vec<String> = FEATURES[at + 1..]
            .iter()
            .filter(|_| random.one_in(3))
            .map(|it| (*it).to_owned())
            .collect();
        for name in &used {
            let is_optional = optional.contains(name);
            match random.below(5) {
                0 if is_optional && hidden => on.push(format!("dep:{name}")),
                0 if is_optional => on.push(name.clone()),
                1 => on.push(format!("{name}/x")),
                2 if is_optional => on.push(format!("{name}?/y")),
                _ => {}
            }
        }
        text += &format!("{feature} = {on:?}\n");
    }
    text
}
