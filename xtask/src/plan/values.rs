//! What a plan says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::{BUNDLE, Mode, Part, Tools};
use crate::config::{ArchiveFile, Base, ImageFile, Output, SbomFormat, Slug, User};
use crate::finding::{Finding, Place};
use crate::project::{About, Crate, NativeCrate};
use crate::reference::{Reference, Repository, Tag};
use crate::target::{Platform, Target};
use crate::version::{ReleaseTag, Version};

/// All that is going to be made.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    pub mode: Mode,
    #[serde(skip)]
    pub part: Part,
    /// The version of the release; of several packages' development versions the highest.
    pub version: Version,
    /// The tag that is released.
    pub tag: Option<String>,
    pub commit: Option<String>,
    /// The time that outputs carry.
    pub time: Timestamp,
    pub dist: PathBuf,
    pub builds: Vec<BuildPlan>,
    /// What programs are asked to write for the archives.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub generate: Vec<GeneratePlan>,
    pub archives: Vec<ArchivePlan>,
    pub images: Vec<ImagePlan>,
    pub krew: Vec<KrewPlan>,
    pub sboms: Vec<SbomPlan>,
    pub provenance: Vec<ProvenancePlan>,
    /// What is signed; `None` without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign: Option<SignPlan>,
    pub publish: Option<PublishPlan>,
    pub left_out: Vec<LeftOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Finding>,
}

impl Plan {
    /// The name of dist/, which the settings choose.
    pub fn dist_name(&self) -> &str {
        self.dist.file_name().and_then(|name| name.to_str()).unwrap_or("dist")
    }
}

/// What cargo builds of a package: one call for all targets with the same flags.
#[derive(Clone, Debug, Serialize)]
pub struct BuildPlan {
    pub package: String,
    /// How cargo is told which package is meant.
    #[serde(skip)]
    pub spec: String,
    /// The other packages that the same call of cargo builds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    pub version: Version,
    pub about: About,
    pub bins: Vec<String>,
    pub targets: Vec<Target>,
    /// The tools by which each target's C is compiled and its programs are linked.
    pub tools: BTreeMap<Target, Tools>,
    /// The targets whose programs are joined from those of other targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Target>,
    pub profile: String,
    /// The arguments of `cargo build`, but for packages, binaries and targets.
    pub args: Vec<String>,
    /// Variables for the build, beside the project's environment.
    pub env: BTreeMap<String, String>,
    /// Folders of this machine and their names in binaries; a later one wins. Empty for
    /// builds that stay on this machine.
    pub remap: Vec<(PathBuf, String)>,
    /// Whether the finished programs have a list of their crates.
    pub auditable: bool,
    /// All crates of the build, by target.
    #[serde(skip)]
    pub crates: BTreeMap<Target, Vec<Crate>>,
    /// The folders of the workspace's packages, whose crates are not of others.
    #[serde(skip)]
    pub members: Arc<BTreeSet<PathBuf>>,
    /// The crates that may bring a library into the binary, by target.
    #[serde(skip)]
    pub native: BTreeMap<Target, Vec<NativeCrate>>,
}

impl BuildPlan {
    /// The crates of others in the target's programs. Those of a universal target come from
    /// each of its parts.
    pub fn linked(&self, target: &Target) -> impl Iterator<Item = &Crate> {
        let own = |krate: &Crate| krate.source.is_none() && self.members.contains(&krate.dir);
        let parts = target.parts().into_iter();
        let crates = parts.flat_map(|part| self.crates.get(&part).into_iter().flatten());
        crates.filter(move |krate| !krate.host && !own(krate))
    }
}

/// One archive: a package's binaries for one target, and its files.
#[derive(Clone, Debug, Serialize)]
pub struct ArchivePlan {
    /// `NAME-vVERSION-TARGET.tar.gz`, or `.zip`
    pub name: String,
    pub format: Format,
    pub package: String,
    pub version: Version,
    pub target: Target,
    /// The folder that all of it is in; `None` for a flat one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    pub bins: Vec<String>,
    pub files: Vec<ArchiveFile>,
    /// A licence file by a name that krew knows, made of those with other names.
    pub joined: Option<Joined>,
    /// The name of the file with the licence texts of the crates that are linked in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<String>,
}

/// A file that is made of others, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Joined {
    pub name: String,
    pub from: Vec<PathBuf>,
}

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Format {
    #[serde(rename = "tar.gz")]
    TarGz,
    #[serde(rename = "zip")]
    Zip,
}

impl Format {
    /// What the target's users can open without another program.
    pub fn of(target: &Target) -> Format {
        if target.is_windows() { Format::Zip } else { Format::TarGz }
    }

    /// What archives are called by, and what their names end with.
    pub fn name(self) -> &'static str {
        match self {
            Format::TarGz => "tar.gz",
            Format::Zip => "zip",
        }
    }
}

impl ArchivePlan {
    /// The path in the archive of what is called so.
    pub fn place(&self, name: &str) -> String {
        self.folder.as_ref().map_or_else(|| name.to_owned(), |folder| format!("{folder}/{name}"))
    }

    /// The names of the binaries in the archive.
    pub fn programs(&self) -> impl Iterator<Item = String> {
        self.bins.iter().map(|bin| format!("{bin}{}", self.target.exe_suffix()))
    }

    /// The names of the entries that are known before anything is made.
    pub fn entry_names(&self, generate: &[GeneratePlan]) -> Vec<String> {
        self.entries(generate).map(|(name, _)| self.place(&name)).collect()
    }

    /// The entries that are known before anything is made, unsorted: the name of each, and
    /// what it is. Of `generate` its own package's count.
    pub fn entries(&self, generate: &[GeneratePlan]) -> impl Iterator<Item = (String, String)> {
        let programs = self.programs().map(|name| (name, "the program itself".to_owned()));
        let files = self.files.iter();
        let files = files.map(|file| (file.name.clone(), file.path.display().to_string()));
        let joined = self.joined.iter();
        let joined = joined.map(|it| (it.name.clone(), "the licences in one".to_owned()));
        let own = generate.iter().filter(|plan| plan.package == self.package);
        let printed = own.filter_map(|plan| match &plan.output {
            Output::Stdout(name) => Some((name.clone(), format!("what {} prints", plan.bin))),
            Output::Files(_) => None,
        });
        let licenses = self.licenses.iter();
        let licenses = licenses.map(|name| (name.clone(), "the licences of crates".to_owned()));
        programs.chain(files).chain(joined).chain(licenses).chain(printed)
    }
}

/// One call of a package's program, which writes files for all its archives.
#[derive(Clone, Debug, Serialize)]
pub struct GeneratePlan {
    pub package: String,
    pub bin: String,
    /// The target whose program runs on this machine; `None` where other machines, which
    /// built the programs, ran them too.
    pub target: Option<Target>,
    /// Templates that may name the folder [`config::OUT`].
    pub args: Vec<String>,
    pub output: Output,
}

/// The manifest of a kubectl plugin.
#[derive(Clone, Debug, Serialize)]
pub struct KrewPlan {
    /// The plugin's name, which its file has too.
    pub name: String,
    pub package: String,
    pub version: Version,
    pub short_description: String,
    pub description: String,
    pub homepage: String,
    pub caveats: String,
    /// Sorted by system and architecture.
    pub platforms: Vec<KrewPlatform>,
}

/// An archive of a plugin, and the machines that install it.
#[derive(Clone, Debug, Serialize)]
pub struct KrewPlatform {
    /// Go's name of the system.
    pub os: String,
    /// Go's names of the architectures that run it.
    pub arches: Vec<String>,
    /// The archive's name in dist/.
    pub archive: String,
    /// Where it is served.
    pub uri: String,
    /// The names of its program and its licence.
    pub bin: String,
    pub license: String,
}

/// One image: a package's binaries for one platform or several.
#[derive(Clone, Debug, Serialize)]
pub struct ImagePlan {
    /// The name of its folder in dist/images.
    pub name: String,
    pub package: String,
    pub version: Version,
    /// Sorted by platform, each once.
    pub platforms: Vec<ImagePlatform>,
    pub bins: Vec<String>,
    /// The folder of the binaries in the image: an absolute path without a slash at its end, or `/`.
    pub bin_dir: String,
    pub base: Base,
    #[serde(skip)]
    pub compression: Compression,
    /// Sorted by path, each once.
    pub files: Vec<ImageFile>,
    /// The path of the file with the licence texts of the crates that are linked in, without `/`
    /// at its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<String>,
    /// Each repository with each tag, in the order of the settings.
    pub names: Vec<Reference>,
    /// Whether `latest` may move to it: it is a release, and no pre-release.
    pub moves_latest: bool,
    pub config: ImageConfig,
}

/// How the layers are stored that are made for an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    Gzip,
    None,
}

/// The path of a binary in an image.
pub fn program_path(bin_dir: &str, bin: &str) -> String {
    format!("{}/{bin}", bin_dir.trim_end_matches('/'))
}

impl ImagePlan {
    /// The path of a binary in the image.
    pub fn program(&self, bin: &str) -> String {
        program_path(&self.bin_dir, bin)
    }

    /// Its platforms, as people read them.
    pub fn platform_names(&self) -> String {
        let names: Vec<String> = self.platforms.iter().map(|it| it.platform.to_string()).collect();
        names.join(", ")
    }

    /// Where it is pushed to, each once, in the order of the settings.
    pub fn repositories(&self) -> Vec<&Repository> {
        let mut all: Vec<&Repository> = Vec::new();
        for name in &self.names {
            if !all.contains(&&name.repository) {
                all.push(&name.repository);
            }
        }
        all
    }

    /// The same without names that nobody chose: a name without a registry is one of Docker's
    /// own images.
    pub fn destinations(&self) -> Vec<&Repository> {
        let mut all = self.repositories();
        all.retain(|it| !it.is_official());
        all
    }

    /// The tags that it gets in a repository.
    pub fn tags(&self, repository: &Repository) -> Vec<&Tag> {
        let here = self.names.iter().filter(|name| name.repository == *repository);
        here.filter_map(|name| name.tag.as_ref()).collect()
    }
}

/// A platform of an image, and the target whose programs it holds.
#[derive(Clone, Debug, Serialize)]
pub struct ImagePlatform {
    pub platform: Platform,
    pub target: Target,
}

/// What an image says of how it runs and of itself.
#[derive(Clone, Debug, Serialize)]
pub struct ImageConfig {
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// Variables that hold where the base does not set them.
    pub default_env: BTreeMap<String, String>,
    pub env: BTreeMap<String, String>,
    pub user: User,
    /// `None` for the base's.
    pub workdir: Option<String>,
    pub ports: Vec<String>,
    pub volumes: Vec<String>,
    pub stop_signal: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// The list of what is in a program or an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SbomPlan {
    /// The name of its file.
    pub name: String,
    pub format: SbomFormat,
    pub package: String,
    pub version: Version,
    pub of: SbomOf,
}

impl SbomPlan {
    /// Whether it is the list of an image of this plan.
    pub fn is_of(&self, image: &ImagePlan) -> bool {
        self.package == image.package && !matches!(self.of, SbomOf::Program { .. })
    }
}

/// What an SBOM is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum SbomOf {
    Program {
        bin: String,
        target: Target,
    },
    /// The package's image for one platform.
    Image {
        platform: Platform,
        target: Target,
    },
    /// The package's images for several platforms.
    Index,
}

/// The statement that says from what a package was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProvenancePlan {
    /// The name of its file.
    pub name: String,
    pub package: String,
    pub version: Version,
}

/// What is made public, and where. A plan without one cannot publish.
#[derive(Clone, Debug, Serialize)]
pub struct PublishPlan {
    pub tag: ReleaseTag,
    /// Whether it ends with a draft, which somebody else is to publish.
    pub draft: bool,
    #[serde(rename = "github")]
    pub release: Option<ReleasePlan>,
    pub index: Option<IndexPlan>,
}

/// A release on the forge.
#[derive(Clone, Debug, Serialize)]
pub struct ReleasePlan {
    pub repository: Slug,
    pub prerelease: bool,
    /// The names of its files, sorted.
    pub files: Vec<String>,
}

/// What is signed with the key. Images are, wherever they are pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignPlan {
    /// The names of the files that get a signature, sorted. A statement is within its own.
    pub files: Vec<String>,
    /// Whether images get one as cosign wrote it before bundles, too.
    pub legacy: bool,
}

impl SignPlan {
    /// The names of the signatures of files.
    pub fn bundles(&self) -> impl Iterator<Item = String> {
        self.files.iter().map(|name| format!("{name}{BUNDLE}"))
    }
}

/// The index that is asked to take plugins.
#[derive(Clone, Debug, Serialize)]
pub struct IndexPlan {
    pub repository: Slug,
    pub plugins: Vec<String>,
}

/// What is not made, why, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub what: String,
    pub target: Option<Target>,
    pub why: String,
    pub fix: String,
    /// Whether somebody chose so, which a release accepts.
    pub by_choice: bool,
}

impl LeftOut {
    /// What cannot be made.
    pub fn forced(
        what: impl Into<String>,
        target: Option<&Target>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> LeftOut {
        let (what, why, fix) = (what.into(), why.into(), fix.into());
        LeftOut { what, target: target.cloned(), why, fix, by_choice: false }
    }

    /// What somebody chose not to make.
    pub fn by_choice(
        what: impl Into<String>,
        target: Option<&Target>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> LeftOut {
        LeftOut { by_choice: true, ..LeftOut::forced(what, target, why, fix) }
    }

    /// The error that this is where nothing may be left out.
    pub fn finding(&self) -> Finding {
        let target = self.target.as_ref().map(|it| format!(" for {it}")).unwrap_or_default();
        let place = Place::item(format!("{}{target}", self.what));
        Finding::error("not-buildable", place, self.why.clone(), self.fix.clone())
    }
}
