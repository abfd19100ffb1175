//! What a program is made of: the crates of its build.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::purl::Purl;
use super::{Document, Draft, Kind, Part, RelationKind};
use crate::digest::Digest;
use crate::project::crates::{self, Crate};
use crate::project::{Graph, NativeCrate};
use crate::secret::Address;
use crate::target::Target;
use crate::version::Version;

/// A program, finished or not.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    pub bin: &'a str,
    pub version: &'a Version,
    pub target: &'a Target,
    /// Of its file; `None` before it is built.
    pub sha256: Option<Digest>,
    /// Its graph, or those of its slices.
    pub graphs: Vec<&'a Graph>,
    pub origin: &'a Origin,
}

/// Where the project's own sources are.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The address of the repository, where anything names it.
    pub repository: Option<String>,
    /// The commit that the sources are, without changes.
    pub commit: Option<String>,
    /// The repository's folder on this machine.
    pub root: PathBuf,
}

/// What a program is made of.
pub fn of_program(program: &Program<'_>, created: Timestamp) -> Document {
    let mut draft = Draft::default();
    add(&mut draft, program);
    let name = format!("{}-{}-{}", program.bin, program.version, program.target);
    draft.finish(name, created)
}

/// Adds the program and all that it is made of; returns its index.
pub(super) fn add(draft: &mut Draft, program: &Program<'_>) -> usize {
    let version = program.version.to_string();
    let name = format!("{}{}", program.bin, program.target.exe_suffix());
    let root = program.graphs.iter().flat_map(|graph| &graph.crates).find(|krate| krate.root);
    let own = draft.add(Part {
        license: root.and_then(|root| root.license.clone()),
        sha256: program.sha256,
        note: Some(format!("The program for {}.", program.target)),
        ..Part::new(Kind::Program, &name, Some(&version))
    });
    for graph in &program.graphs {
        let parts: Vec<usize> =
            graph.crates.iter().map(|krate| draft.add(part(krate, program.origin))).collect();
        for (krate, &at) in graph.crates.iter().zip(&parts) {
            if krate.root {
                draft.relate(own, RelationKind::DependsOn, at);
            }
            for dependency in &krate.dependencies {
                let kind = match dependency.kind {
                    _ if graph.crates[dependency.index].proc_macro => RelationKind::BuiltBy,
                    crates::Kind::Build => RelationKind::BuildDependsOn,
                    crates::Kind::Normal => RelationKind::DependsOn,
                };
                draft.relate(at, kind, parts[dependency.index]);
            }
        }
        for native in &graph.native {
            let brings = |krate: &Crate| {
                !krate.host && krate.name == native.name && krate.version == native.version
            };
            let by = graph.crates.iter().position(brings);
            if let (Some(by), Some(part)) = (by, native_part(native)) {
                let at = draft.add(part);
                draft.relate(parts[by], RelationKind::DependsOn, at);
            }
        }
    }
    own
}

fn part(krate: &Crate, origin: &Origin) -> Part {
    let kind = match (krate.proc_macro, krate.host) {
        (true, _) => Kind::ProcMacro,
        (false, true) => Kind::BuildCrate,
        (false, false) => Kind::Crate,
    };
    let place = match &krate.source {
        None => Place::of_path(&krate.dir, origin),
        Some(source) => Place::of_source(source, krate),
    };
    Part {
        purl: place.purl(krate),
        note: place.note.map(str::to_owned),
        download: place.download,
        license: krate.license.clone().filter(|license| !license.trim().is_empty()),
        sha256: krate.checksum.as_deref().and_then(|hex| Digest::from_hex(hex).ok()),
        ..Part::new(kind, &krate.name, Some(&krate.version))
    }
}

/// Where a crate comes from.
#[derive(Default)]
struct Place {
    /// Whether others can find it there. A package URL of nothing but name and version would
    /// claim that it is the crate of crates.io.
    is_known: bool,
    qualifier: Option<(&'static str, String)>,
    subpath: Option<String>,
    download: Option<String>,
    note: Option<&'static str>,
}

/// The package URL of a crate that is not of a path.
pub fn purl(krate: &Crate) -> Option<String> {
    Place::of_source(krate.source.as_deref()?, krate).purl(krate)
}

impl Place {
    /// The package URL of the crate that comes from here.
    fn purl(&self, krate: &Crate) -> Option<String> {
        let qualifiers = self.qualifier.iter().map(|(key, value)| (*key, &**value));
        let purl = Purl::new("cargo", &krate.name, &krate.version).with(qualifiers);
        self.is_known.then(|| purl.finish(self.subpath.as_deref()))
    }

    fn of_source(source: &str, krate: &Crate) -> Place {
        let known = Place { is_known: true, ..Place::default() };
        if krate.is_of_crates_io() {
            let (name, version) = (&krate.name, &krate.version);
            let download = format!("https://static.crates.io/crates/{name}/{name}-{version}.crate");
            return Place { download: Some(download), ..known };
        }
        let shown = Address::new(source).shown().to_owned();
        let Some(git) = shown.strip_prefix("git+") else {
            let index = shown.trim_start_matches("registry+").trim_start_matches("sparse+");
            return Place { qualifier: Some(("repository_url", index.to_owned())), ..known };
        };
        // `git+URL?branch=NAME#COMMIT`
        let (address, commit) = git.split_once('#').unwrap_or((git, ""));
        let address = address.split('?').next().unwrap_or(address);
        let at = if commit.is_empty() { String::new() } else { format!("@{commit}") };
        let git = format!("git+{address}{at}");
        // SPDX does not take files of a machine for a place to download from.
        let download = ["https://", "http://", "ssh://"].iter().any(|it| address.starts_with(it));
        Place {
            download: download.then(|| git.clone()),
            qualifier: Some(("vcs_url", git)),
            ..known
        }
    }

    fn of_path(dir: &Path, origin: &Origin) -> Place {
        let Ok(below) = dir.strip_prefix(&origin.root) else {
            let note = "Its sources are in a folder outside the repository.";
            return Place { note: Some(note), ..Place::default() };
        };
        let below: Vec<_> = below.iter().map(|name| name.to_string_lossy()).collect();
        let below = below.join("/");
        let known = Place { is_known: true, ..Place::default() };
        let Some(repository) = &origin.repository else {
            let folder = if below.is_empty() { ".".to_owned() } else { format!("./{below}") };
            let url = format!("file://{folder}");
            return Place { qualifier: Some(("download_url", url)), ..known };
        };
        let at = origin.commit.iter().map(|commit| format!("@{commit}")).collect::<String>();
        let git = format!("git+{repository}{at}");
        let within = if below.is_empty() { git.clone() } else { format!("{git}#{below}") };
        Place {
            qualifier: Some(("vcs_url", git)),
            subpath: Some(below).filter(|path| !path.is_empty()),
            download: Some(within),
            ..known
        }
    }
}

/// What a crate adds to the program that is not Rust.
fn native_part(native: &NativeCrate) -> Option<Part> {
    // Others only reserve the name of a library.
    if native.builders.is_empty() {
        return None;
    }
    let NativeCrate { name, version, links, builders, .. } = native;
    let what = links.as_ref().map_or("code".to_owned(), |links| format!("`{links}`"));
    let does = match (native.compiles_c(), native.finds_library()) {
        (true, false) => "compiles",
        (true, true) => "compiles, or finds on the machine that builds",
        (false, _) => "finds on the machine that builds",
    };
    let note = format!(
        "The {what} in C, C++ or assembly that the crate {name} {version} {does}, with {}. cargo \
         does not know its version.",
        builders.join(", ")
    );
    Some(Part {
        note: Some(note),
        ..Part::new(Kind::Native, &format!("{name} (native code)"), None)
    })
}
