//! Which files count: those that a build reads, and those that one may read from now on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::config::{Base, ImageNode};
use crate::files;
use crate::plan::Plan;
use crate::process::Env;
use crate::project::{Git, Project};

/// The files that count, by what is known of the project and of the last build.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The folders of the packages that are compiled, those of path dependencies too.
    pub packages: BTreeSet<PathBuf>,
    /// The folders of the workspace's other packages.
    pub others: BTreeSet<PathBuf>,
    /// Folders and files of which everything counts.
    pub whole: BTreeSet<PathBuf>,
    /// The files and folders that the plan names or that cargo read.
    pub inputs: BTreeSet<PathBuf>,
    /// The files that say what the project is.
    pub settings: BTreeSet<PathBuf>,
    /// What this program, cargo and git write themselves.
    pub made: BTreeSet<PathBuf>,
    /// What git ignored when it was asked.
    pub ignored: BTreeSet<PathBuf>,
    pub(super) git: Option<Git>,
    pub(super) env: Option<Env>,
}

/// What a path is to a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing.
    None,
    /// It may be read, unless git ignores it.
    Possible,
    /// It is read.
    Input,
    /// It says what the project is.
    Setting,
}

/// What became of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was not there before.
    New,
    /// It was there, and is.
    Kept,
    /// It is there no longer.
    Gone,
}

/// Which files of a package count beside those that cargo names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// Only new ones, which cargo may find.
    New,
    /// All, for nobody knows what is read.
    All,
}

impl Scope {
    /// What counts before anything was compiled.
    pub fn of(project: &Project, plan: &Plan, breadth: Breadth) -> Scope {
        let mut scope =
            Scope { env: Some(project.env.clone()), git: project.git.clone(), ..Scope::default() };
        let crates = plan.builds.iter().flat_map(|build| build.crates.values().flatten());
        let local = crates.filter(|krate| krate.source.is_none());
        scope.packages.extend(local.map(|krate| krate.dir.clone()));
        let built = |name: &str| plan.builds.iter().any(|build| build.package == name);
        for package in &project.packages {
            scope.settings.insert(package.manifest.clone());
            if built(&package.name) {
                scope.packages.insert(package.dir.clone());
            }
        }
        let all = project.packages.iter().map(|package| &package.dir);
        scope.others.extend(all.filter(|dir| !scope.packages.contains(*dir)).cloned());
        scope.settings.extend(scope.packages.iter().map(|dir| dir.join("Cargo.toml")));
        let top = project.git.as_ref().map_or(&project.root, |git| &git.top);
        for dir in project.root.ancestors().take_while(|dir| dir.starts_with(top)) {
            let names =
                [".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain"];
            scope.settings.extend(names.iter().map(|name| dir.join(name)));
        }
        let names = ["Cargo.toml", "Cargo.lock", "dockless.lock"];
        scope.settings.extend(names.map(|name| project.root.join(name)));
        // Without a line of its own about what it reads, a build script runs again for any file.
        let loose = |dir: &&PathBuf| breadth == Breadth::All || dir.join("build.rs").is_file();
        scope.whole.extend(scope.packages.iter().filter(loose).cloned());
        scope.add_images(project, plan);
        scope.made.extend([project.target_dir.clone(), project.dist.clone()]);
        scope.made.extend(project.made.iter().cloned());
        if let Some(git) = &project.git {
            scope.made.insert(git.top.join(".git"));
            scope.ignored.extend(git.tree.ignored.iter().cloned());
        }
        scope
    }

    fn add_images(&mut self, project: &Project, plan: &Plan) {
        let files = plan.images.iter().flat_map(|image| &image.files);
        let files: Vec<&PathBuf> = files
            .filter_map(|file| match &file.node {
                ImageNode::File(path) => Some(path),
                ImageNode::Dir | ImageNode::Walked | ImageNode::Link(_) => None,
            })
            .collect();
        self.read(files.iter().copied());
        // What is added beside a file may be meant too, except where everything is beside it.
        let is_all = |dir: &Path| {
            let packages = project.packages.iter().map(|package| &package.dir);
            packages.chain([&project.root]).any(|known| known.starts_with(dir))
        };
        let beside = files.iter().filter_map(|file| file.parent()).filter(|dir| !is_all(dir));
        self.whole.extend(beside.map(Path::to_owned));
        for image in &plan.images {
            if let Base::Stored(stored) = &image.base {
                self.whole.insert(stored.path.clone());
            }
        }
    }

    /// Adds files and folders that are read. A link counts by its own name and by that of the
    /// file that it leads to.
    pub fn read<'a>(&mut self, inputs: impl IntoIterator<Item = &'a PathBuf>) {
        for input in inputs {
            self.inputs.extend(files::resolve(input).ok());
            self.inputs.insert(input.clone());
        }
    }

    /// Whether a build writes it, or git.
    pub fn is_made(&self, path: &Path) -> bool {
        let own = |name: &str| name.starts_with(".dist.dockless-") || name == ".dockless-lock";
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        own(name) || files::is_temporary(path) || is_below(path, &self.made)
    }

    /// Whether cargo may read it.
    pub fn is_compiled(&self, path: &Path) -> bool {
        is_below(path, &self.packages) || self.inputs.contains(path)
    }

    /// What a path is. `failing` says that the last build told nothing of what it reads.
    pub fn part(&self, path: &Path, fate: Fate, failing: bool) -> Part {
        if self.is_made(path) {
            return Part::None;
        }
        if self.settings.contains(path) {
            return Part::Setting;
        }
        if is_below(path, &self.inputs) {
            return Part::Input;
        }
        if is_editors_own(path) || is_below(path, &self.ignored) {
            return Part::None;
        }
        let owner = path.ancestors().find(|dir| {
            self.packages.contains(*dir) || self.others.contains(*dir) || self.whole.contains(*dir)
        });
        match owner {
            Some(owner) if self.whole.contains(owner) => Part::Possible,
            Some(owner) if self.packages.contains(owner) => match fate {
                Fate::New => Part::Possible,
                Fate::Kept if failing => Part::Possible,
                Fate::Kept | Fate::Gone => Part::None,
            },
            _ => Part::None,
        }
    }

    /// The paths that git does not ignore.
    pub fn unignored(&mut self, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
        let (Some(git), Some(env)) = (&self.git, &self.env) else { return Ok(paths) };
        let asked = paths.iter().filter(|path| path.starts_with(&git.top) && !git.tree.holds(path));
        let asked: Vec<&Path> = asked.map(PathBuf::as_path).collect();
        if asked.is_empty() {
            return Ok(paths);
        }
        let ignored = git.ignores(&asked, env)?;
        let counted = paths.into_iter().filter(|path| !ignored.contains(path)).collect();
        self.ignored.extend(ignored);
        Ok(counted)
    }

    /// Whether the project is at another commit than when it was read, or now differs from the
    /// one that it was at.
    pub fn is_outdated(&self) -> Result<bool> {
        let (Some(git), Some(env)) = (&self.git, &self.env) else { return Ok(false) };
        Ok(!git.dirty || git.has_moved(env)?)
    }
}

/// Whether a path or a folder above it is among these.
fn is_below(path: &Path, folders: &BTreeSet<PathBuf>) -> bool {
    path.ancestors().any(|above| folders.contains(above))
}

/// Whether an editor writes it for itself.
/// <https://github.com/watchexec/watchexec/blob/main/crates/cli/src/filterer.rs>
fn is_editors_own(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let swap = name.starts_with('.')
        && [".swp", ".swo", ".swx", ".swpx", ".kate-swp"].iter().any(|end| name.ends_with(end));
    let emacs = name.starts_with(".#") || (name.starts_with('#') && name.ends_with('#'));
    // vim tries with such a file whether it can write.
    let vim = name == "4913" || name.ends_with('~');
    swap || emacs || vim || name.starts_with(".goutputstream-") || name == ".DS_Store"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths<const N: usize>(all: [&str; N]) -> BTreeSet<PathBuf> {
        all.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn what_counts_is_what_a_build_reads_or_may_find() {
        let scope = Scope {
            packages: paths(["/w", "/w/lib", "/outside"]),
            others: paths(["/w/other"]),
            whole: paths(["/w/deploy", "/w/lib"]),
            inputs: paths(["/w/src/main.rs", "/w/proto"]),
            settings: paths(["/w/Cargo.toml", "/w/other/Cargo.toml"]),
            made: paths(["/w/target", "/w/.git", "/w/dist"]),
            ignored: paths(["/w/logs"]),
            ..Scope::default()
        };
        for (path, fate, failing, expected) in [
            ("/w/src/main.rs", Fate::Kept, false, Part::Input),
            ("/w/src/main.rs", Fate::Gone, false, Part::Input),
            ("/w/proto/a/b.proto", Fate::Kept, false, Part::Input),
            ("/w/Cargo.toml", Fate::Kept, false, Part::Setting),
            ("/w/other/Cargo.toml", Fate::Kept, false, Part::Setting),
            ("/w/src/new.rs", Fate::New, false, Part::Possible),
            ("/w/README.md", Fate::Kept, false, Part::None),
            ("/w/README.md", Fate::Kept, true, Part::Possible),
            ("/w/README.md", Fate::Gone, true, Part::None),
            ("/w/lib/data.json", Fate::Kept, false, Part::Possible),
            ("/w/deploy/app.yaml", Fate::Kept, false, Part::Possible),
            ("/w/other/src/main.rs", Fate::New, true, Part::None),
            ("/outside/src/x.rs", Fate::New, false, Part::Possible),
            ("/elsewhere/x.rs", Fate::New, true, Part::None),
            ("/w/target/debug/x", Fate::New, true, Part::None),
            ("/w/.git/index", Fate::Kept, true, Part::None),
            ("/w/.dist.dockless-lock", Fate::New, true, Part::None),
            ("/w/logs/today", Fate::New, true, Part::None),
            ("/w/src/.main.rs.swp", Fate::New, true, Part::None),
            ("/w/src/.#main.rs", Fate::New, true, Part::None),
            ("/w/src/main.rs~", Fate::New, true, Part::None),
            ("/w/src/4913", Fate::New, true, Part::None),
        ] {
            assert_eq!(scope.part(Path::new(path), fate, failing), expected, "{path} {fate:?}");
        }
    }
}
