//! What the command line asks for.

use serde::Serialize;

use crate::config::{ForgeKind, SignConfig, Slug};
use crate::http::Network;
use crate::reference::Above;
use crate::target::Platform;

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A binary for this machine and this moment.
    Local,
    /// Everything that a release makes, of any commit, published nowhere.
    Snapshot,
    /// A tag, made public.
    Release,
}

/// A step of a release that can be skipped by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Skip {
    Check,
    Archive,
    Image,
    /// The lists of what is in programs and images.
    Sbom,
    /// The statements that say from what packages were made.
    Provenance,
    /// All publishing.
    Publish,
    /// The pull request to krew's index.
    Krew,
    /// All signatures.
    Sign,
}

/// Which part of dist/ a command makes; the rest of it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    Archives,
    Images,
    /// What images are made of by others.
    Dockerfiles,
    /// The binaries alone, which another machine makes the rest of.
    Programs,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Request {
    pub mode: Mode,
    pub part: Part,
    pub select: Select,
    pub build: BuildOptions,
    pub publish: PublishOptions,
}

/// What is made of all that the settings name. An empty list narrows nothing.
#[derive(Clone, Debug, Default)]
pub struct Select {
    pub packages: Vec<String>,
    pub bins: Vec<String>,
    /// Targets in place of the configured ones.
    pub targets: Vec<String>,
    /// The platforms of images.
    pub platforms: Vec<Platform>,
    /// Whether packages that are no kubectl plugins are left aside.
    pub only_plugins: bool,
    /// The steps that are left out.
    pub skip: Vec<Skip>,
}

/// How programs are built.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    pub features: Vec<String>,
    pub all_features: bool,
    pub no_default_features: bool,
    /// The profile in place of the configured one.
    pub profile: Option<String>,
    /// Whether a local build is made with the profile of releases.
    pub release: bool,
    pub locked: bool,
    pub network: Network,
    pub jobs: Option<String>,
    /// Whether other machines build the programs, so that this one needs nothing to build them.
    pub elsewhere: bool,
}

/// Where a release is published.
#[derive(Clone, Debug, Default)]
pub struct PublishOptions {
    /// Where images go whose settings name no repository: below this one.
    pub repository: Option<Above>,
    /// Whether a release ends with a draft.
    pub draft: bool,
    /// The host of the forge's pages, where it is not the usual one.
    pub server: Option<String>,
    /// The repository of the workflow that runs this.
    pub workflow: Option<Slug>,
    /// The address of git's remote `origin`.
    pub origin: Option<String>,
    /// Whether the environment holds a key to sign with.
    pub has_key: bool,
}

impl Request {
    /// Whether a step is left out by its name.
    pub fn skips(&self, step: Skip) -> bool {
        self.select.skip.contains(&step)
    }

    /// Whether archives are made at all.
    pub fn archives(&self) -> bool {
        let part = matches!(self.part, Part::All | Part::Archives);
        self.mode != Mode::Local && part && !self.skips(Skip::Archive)
    }

    /// Whether images are made at all.
    pub fn images(&self) -> bool {
        let part = !matches!(self.part, Part::Archives | Part::Programs);
        self.mode != Mode::Local && part && !self.skips(Skip::Image)
    }

    /// Whether SBOMs are made, of those things that are made.
    pub fn sboms(&self) -> bool {
        let part = matches!(self.part, Part::All | Part::Archives | Part::Images);
        self.mode != Mode::Local && part && !self.skips(Skip::Sbom)
    }

    /// Whether there is a key to sign with.
    pub fn has_key(&self, config: &SignConfig) -> bool {
        self.publish.has_key || config.key.is_some()
    }

    /// Whether nothing is made but images, or what goes into them.
    pub fn only_images(&self) -> bool {
        matches!(self.part, Part::Images | Part::Dockerfiles)
    }

    /// Whether anything is made public.
    pub fn publishes(&self) -> bool {
        self.mode == Mode::Release && !self.skips(Skip::Publish)
    }
}

impl PublishOptions {
    /// The host of the forge's pages.
    pub fn server(&self, forge: ForgeKind) -> &str {
        self.server.as_deref().unwrap_or(forge.server())
    }
}
