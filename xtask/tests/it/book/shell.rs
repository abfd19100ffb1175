//! The commands on the pages, typed as they stand by someone who has a project such as the pages
//! speak of.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::markdown::{Block, Page, pages};
use crate::world::registries::Registry;
use crate::world::{World, judge, run};

mod not_run;

use not_run::NOT_RUN;

/// The program of the pages: it has a version, completions, a man page and a feature.
const MAIN: &str = r##"const VERSION: &str = match option_env!("DOCKLESS_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["completions", shell] => println!("# for {shell}"),
        ["man", folder] => std::fs::write(format!("{folder}/mytool.1"), ".TH mytool\n").unwrap(),
        _ => println!("mytool {VERSION}"),
    }
}
"##;

const MANIFEST: &str = r#"[package]
name = "mytool"
version = "1.2.3"
edition = "2021"
license = "MIT"
description = "Does what the pages say"
repository = "https://github.com/acme/mytool"

[features]
extra = []

[package.metadata.dockless.image]
repositories = ["ghcr.io/acme/mytool"]
ports = ["8080/tcp"]

[package.metadata.dockless.archive]
generate = [
    { args = ["completions", "bash"], stdout = "mytool.bash" },
    { args = ["man", "{{ out }}"], files = ["*.1"] },
]
"#;

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: mytool}
spec:
  selector: {matchLabels: {app: mytool}}
  template:
    metadata: {labels: {app: mytool}}
    spec:
      containers:
        - {name: mytool, image: dockless://mytool}
";

/// A database has at least one, which is not old.
fn advisory() -> String {
    let today = &jiff::Timestamp::now().to_string()[..10];
    format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2024-0001\"\npackage = \"other\"\n\
         date = \"{today}\"\n[versions]\npatched = [\">=2.0.0\"]\n```\n\n# It breaks\n\nMuch.\n"
    )
}

/// An overlay of kustomize over the manifests.
const OVERLAY: &str = "resources: [../../deploy]\nnamePrefix: staging-\n";

/// A project for the commands of one page, and what they are typed with.
pub struct Desk {
    pub world: World,
    registry: String,
    vars: BTreeMap<&'static str, OsString>,
}

impl Desk {
    /// The project that a page speaks of, in git, with the tag of its version.
    pub fn of(page: &Page, at: usize, registry: &Registry) -> Desk {
        let world = World::empty();
        let registry = format!("{}/page-{at}", registry.host);
        world.file("LICENSE", "free\n").file("README.md", "# mytool\n");
        world.file("CHANGELOG.md", "# Changelog\n\n## 1.2.3\n\nAll of it.\n");
        world.file(".gitignore", "/target\n/dist\n");
        if !page.path.starts_with("docs/start/") {
            world.file("deploy/mytool.yaml", DEPLOYMENT);
        }
        let manifest = MANIFEST.replace("ghcr.io/acme", &registry);
        if is_of_a_plugin(&page.path) {
            let manifest = manifest.replace("mytool", "kubectl-view-secret");
            world.file("Cargo.toml", &manifest).file("src/main.rs", MAIN);
        } else {
            world.file("Cargo.toml", &manifest).file("src/main.rs", MAIN);
        }
        world.lock().commit();
        let desk = Desk { world, registry, vars: BTreeMap::new() };
        desk.furnished(page)
    }

    /// What a page takes to be there.
    fn furnished(mut self, page: &Page) -> Desk {
        let world = &self.world;
        if bumps(page) {
            // The version before, as whoever reads the page has not set the next one yet.
            let manifest = world.read("Cargo.toml").replace("1.2.3", "1.2.2");
            world.file("Cargo.toml", &manifest).lock().commit();
        } else {
            world.git(["tag", "v1.2.3"]);
        }
        let advisories = world.outside("advisories");
        fs::create_dir_all(advisories.join("crates/other")).unwrap();
        fs::write(advisories.join("crates/other/RUSTSEC-2024-0001.md"), advisory()).unwrap();
        world.script("bin/kubectl", &kubectl());
        // As cargo finds it: beside nothing else.
        symlink(env!("CARGO_BIN_EXE_cargo-dockless"), world.outside("bin/cargo-dockless")).unwrap();
        self.vars.insert("PATH", world.path_with("bin"));
        self.vars.insert("DOCKLESS_ADVISORY_DB", advisories.into());
        self.vars.insert("COSIGN_PASSWORD", "pass".into());
        self.vars.insert("DOCKLESS_REPOSITORY", self.registry.clone().into());
        match &*page.path {
            "docs/how-to/kustomize.md" => {
                world.file("overlays/staging/kustomization.yaml", OVERLAY);
                world.file("deploy/kustomization.yaml", "resources: [mytool.yaml]\n");
            }
            "docs/how-to/trust.md" | "docs/how-to/rebuild.md" => {
                self.run("cargo dockless release --skip publish").unwrap();
            }
            "docs/krew.md" => self.index(),
            _ => {}
        }
        self
    }

    /// A clone of an index of plugins, which has the version before this one.
    fn index(&self) {
        self.run("cargo dockless krew manifest").unwrap();
        let entry = self.world.read("dist/krew/view-secret.yaml").replace("1.2.3", "1.2.2");
        let upstream = self.world.outside("upstream/plugins/view-secret.yaml");
        fs::create_dir_all(upstream.parent().unwrap()).unwrap();
        fs::write(upstream, entry).unwrap();
        let lines = "cd ../upstream && git init --quiet --initial-branch master && git add --all\n\
                     git commit --quiet --message entries\n\
                     git clone --quiet ../upstream ../home/src/krew-index";
        self.run(lines).unwrap();
    }

    /// What is typed for what a page says: their names are not ours.
    fn typed(&self, text: &str) -> String {
        let place = self.world.outside("home");
        text.replace("ghcr.io/acme", &self.registry).replace("~/", &format!("{}/", place.display()))
    }

    /// Does what a block says, and before it what the text before it says.
    fn follow(&self, text: &str) -> Result<(), String> {
        if text.starts_with(BUMP) {
            let manifest = self.world.read("Cargo.toml");
            self.world.file("Cargo.toml", &manifest.replace("1.2.2", "1.2.3"));
        }
        self.run(text)
    }

    /// Types in a block.
    pub fn run(&self, text: &str) -> Result<(), String> {
        let typed = self.typed(text);
        let mut bash = self.world.with("bash", ["-euo", "pipefail", "-c", &typed]);
        let run = run(bash.envs(&self.vars));
        if run.code == Some(0) {
            return Ok(());
        }
        Err(format!("{typed}\nended with {:?}:\n{}\n{}", run.code, run.stdout, run.stderr))
    }
}

/// kubectl without a cluster: it takes what it is given. Its kustomize is the real one.
fn kubectl() -> String {
    let real = judge("kubectl").map_or("false".to_owned(), |path| path.display().to_string());
    format!(
        "case \"$1\" in kustomize) exec {real} \"$@\";; esac\n\
         case \" $* \" in *' -f - '*) cat > /dev/null;; esac\n"
    )
}

fn is_of_a_plugin(page: &str) -> bool {
    page == "docs/krew.md" || page.contains("plugin")
}

/// How the block begins that comes after the version in Cargo.toml was set.
const BUMP: &str = "cargo update --workspace";

fn bumps(page: &Page) -> bool {
    shell(page).any(|block| block.text.starts_with(BUMP))
}

/// What is typed: in a block that shows a session, the lines after a `$`.
fn commands(block: &Block) -> String {
    if block.language != "console" {
        return block.text.clone();
    }
    let lines = block.text.lines().filter_map(|line| line.strip_prefix("$ "));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The blocks of a page that are typed into a shell.
fn shell(page: &Page) -> impl Iterator<Item = &Block> {
    let is_shell = |block: &&Block| ["sh", "bash", "console"].contains(&&*block.language);
    page.blocks.iter().filter(is_shell)
}

/// Why a block is not run, where it is on the list.
fn reason(
    page: &str,
    block: &Block,
) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let text = commands(block);
    NOT_RUN.iter().find(|(of, start, _)| *of == page && text.starts_with(start))
}

/// Types in all blocks of a page, one after the other; says what went wrong, and how many were run.
fn follow(page: &Page, at: usize, registry: &Registry) -> (usize, Vec<String>) {
    let blocks: Vec<&Block> =
        shell(page).filter(|block| reason(&page.path, block).is_none()).collect();
    if blocks.is_empty() {
        return (0, Vec::new());
    }
    let desk = Desk::of(page, at, registry);
    let failed = blocks.iter().filter_map(|block| {
        let failure = desk.follow(&commands(block)).err()?;
        Some(format!("{}:{}:\n{failure}", page.path, block.line))
    });
    (blocks.len(), failed.collect())
}

#[test]
fn commands_on_pages_work_as_they_stand() {
    let Some(registry) = Registry::shared() else { return };
    let pages = pages();
    let pages: Vec<&Page> = pages.values().collect();
    let (next, said) = (AtomicUsize::new(0), Mutex::new((0, Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let at = pages.iter().position(|it| it.path == page.path).unwrap();
                    let (run, failed) = follow(page, at, registry);
                    let mut said = said.lock().unwrap();
                    said.0 += run;
                    said.1.extend(failed);
                }
            });
        }
    });
    let (run, failed) = said.into_inner().unwrap();
    assert!(run > 20 && failed.is_empty(), "{run} were run\n{}", failed.join("\n\n"));
}

#[test]
fn what_is_not_run_is_on_a_page_and_says_why() {
    let pages = pages();
    let mut wrong = Vec::new();
    for entry in NOT_RUN {
        let (page, start, why) = entry;
        let blocks = pages.get(*page).into_iter().flat_map(shell);
        let named = blocks.filter(|block| reason(page, block) == Some(entry)).count();
        if named != 1 || why.len() < 10 {
            wrong.push(format!("{page}: {named} blocks begin with {start:?}: {why}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
