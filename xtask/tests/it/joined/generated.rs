//! Workspaces made at random: programs, libraries with features, a proc macro and build scripts.

use crate::resolve::generated::Random;
use crate::world::{HOST, World};

/// The crates that programs use, each of which may use those after it. `mac` is a proc macro.
const LIBRARIES: [&str; 5] = ["la", "lb", "mac", "lc", "ld"];
pub const PROGRAMS: [&str; 3] = ["pa", "pb", "pc"];
const FEATURES: [&str; 2] = ["x", "y"];

/// What changes how code is compiled.
const PROFILES: [&str; 6] = [
    "opt-level = 0",
    "opt-level = 1\ncodegen-units = 1",
    "opt-level = 1\nlto = \"thin\"\npanic = \"abort\"",
    "opt-level = 1\nlto = true",
    "opt-level = 1\nlto = \"off\"\ndebug = 1",
    "opt-level = 1\nincremental = true",
];

/// The workspace of this number.
pub fn workspace(seed: u64) -> World {
    let mut random = Random::new(seed);
    let world = World::empty();
    let resolver = random.of(&["2", "3", "3", "1"]);
    let members: Vec<&str> = LIBRARIES.into_iter().chain(PROGRAMS).collect();
    let profile = random.of(&PROFILES);
    let manifest = format!(
        "[workspace]\nresolver = \"{resolver}\"\nmembers = {members:?}\n\n\
         [workspace.metadata.dockless]\ntargets = [{HOST:?}]\n\n\
         [profile.dist]\ninherits = \"release\"\n{profile}\n"
    );
    world.file("Cargo.toml", &manifest).file("LICENSE", "free\n");
    // Where features are rare, more of the programs have the same ones.
    let rare = random.below(4) + 1;
    for (at, name) in LIBRARIES.iter().enumerate() {
        Package { world: &world, random: &mut random, name, rare }.library(&LIBRARIES[at + 1..]);
    }
    for (at, name) in PROGRAMS.iter().enumerate() {
        let others = &PROGRAMS[at + 1..];
        Package { world: &world, random: &mut random, name, rare }.program(others);
    }
    world.lock();
    world
}

/// A package that is being written.
struct Package<'a> {
    world: &'a World,
    random: &'a mut Random,
    name: &'a str,
    rare: usize,
}

impl Package<'_> {
    fn library(&mut self, later: &[&str]) {
        let is_macro = self.name == "mac";
        let (mut tables, called) = self.dependencies(later, "dependencies");
        let features = FEATURES.map(|feature| {
            let turned_on = later.iter().find(|name| tables.contains(&format!("{name} = ")));
            let on = turned_on.filter(|name| **name != "mac" && self.random.one_in(2));
            let on = on.map(|name| format!("\"{name}/{feature}\"")).unwrap_or_default();
            format!("{feature} = [{on}]\n")
        });
        tables += &format!("\n[features]\n{}", features.concat());
        let said = FEATURES.map(|feature| format!("cfg!(feature = \"{feature}\")"));
        let said = said.join(", ");
        let value = format!("format!(\"{} {{:?}} {{all:?}}\", [{said}])", self.name);
        let built = self.build_script(later, &mut tables);
        let list = format!("let all: Vec<String> = vec![{called}];");
        if is_macro {
            tables += "\n[lib]\nproc-macro = true\n";
            let code = format!(
                "#[proc_macro]\npub fn mac(_: proc_macro::TokenStream) -> proc_macro::TokenStream \
                 {{ {list} format!(\"{{:?}}\", {value}).parse().unwrap() }}\n"
            );
            self.write(&tables, &[("src/lib.rs", &code)]);
            return;
        }
        if self.random.one_in(12) {
            tables += "\n[lib]\ncrate-type = [\"rlib\", \"cdylib\"]\n";
        }
        let code = format!(
            "pub fn value() -> String {{ {list} {value} + {built} }}\n\
             pub fn longest<T: AsRef<str>>(all: &[T]) -> usize \
             {{ all.iter().map(|it| it.as_ref().len()).max().unwrap_or(0) }}\n"
        );
        self.write(&tables, &[("src/lib.rs", &code)]);
    }

    fn program(&mut self, others: &[&str]) {
        let (mut tables, called) = self.dependencies(&LIBRARIES, "dependencies");
        let built = self.build_script(&LIBRARIES[3..], &mut tables);
        let main = format!(
            "fn main() {{\n    let all: Vec<String> = vec![{called}];\n    \
             println!(\"{{all:?}} {{}} {{:?}}\", {built}, option_env!(\"DOCKLESS_VERSION\"));\n}}\n"
        );
        if self.random.one_in(3) {
            tables += &self.dependencies(&LIBRARIES, "dev-dependencies").0;
        }
        // A program may have a library, which another may use.
        let mut files = vec![("src/main.rs", &*main)];
        if self.random.one_in(4) {
            files.push(("src/lib.rs", "pub fn own() {}\n"));
        }
        let used = others.first().filter(|_| self.random.one_in(6));
        if let Some(used) = used {
            tables += &format!("\n[dependencies.{used}]\npath = \"../{used}\"\n");
        }
        self.write(&tables, &files);
    }

    /// A table of dependencies, and an expression for each that asks it for its value.
    fn dependencies(&mut self, all: &[&str], table: &str) -> (String, String) {
        let mut text = format!("\n[{table}]\n");
        let mut called = String::new();
        for name in all.iter().filter(|_| self.random.one_in(2)).collect::<Vec<_>>() {
            let features: Vec<&str> =
                FEATURES.into_iter().filter(|_| self.random.one_in(self.rare * 2)).collect();
            text += &format!("{name} = {{ path = \"../{name}\", features = {features:?} }}\n");
            called += &match *name {
                "mac" => "mac::mac!().to_string(), ".to_owned(),
                name => format!("{name}::value(), "),
            };
        }
        (text, called)
    }

    /// Adds a build script, or none; an expression of what it said.
    fn build_script(&mut self, later: &[&str], tables: &mut String) -> &'static str {
        if !self.random.one_in(3) {
            return "\"\"";
        }
        let usable: Vec<&str> = later.iter().copied().filter(|name| *name != "mac").collect();
        let (text, called) = self.dependencies(&usable, "build-dependencies");
        *tables += &text;
        let script = format!(
            "fn main() {{\n    let all: Vec<String> = vec![{called}];\n    \
             println!(\"cargo:rustc-env=BUILT={{}}\", all.join(\" \"));\n}}\n"
        );
        self.world.file(&format!("{}/build.rs", self.name), &script);
        "env!(\"BUILT\")"
    }

    fn write(&self, tables: &str, files: &[(&str, &str)]) {
        let name = self.name;
        let manifest = format!(
            "[package]\nname = {name:?}\nversion = \"1.0.0\"\nedition = \"2021\"\n{tables}"
        );
        self.world.file(&format!("{name}/Cargo.toml"), &manifest);
        for (file, text) in files {
            self.world.file(&format!("{name}/{file}"), text);
        }
    }
}
