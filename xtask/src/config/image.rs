//! The settings of an image.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::image_files::User;
use super::{Scope, image_files, image_rules};
use crate::finding::Finding;
use crate::reference::{Reference, Repository, Stored};

pub use super::image_files::{ImageFile, ImageNode};

/// The image's keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageKeys {
    ship: bool,
    repositories: Vec<String>,
    base: String,
    tags: Vec<String>,
    user: String,
    bin_dir: String,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    env: BTreeMap<String, String>,
    ports: Vec<String>,
    volumes: Vec<String>,
    workdir: String,
    stop_signal: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    files: Vec<image_files::FileKeys>,
}

/// The workspace's keys of images, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WorkspaceImageKeys {
    pub ship: bool,
}

/// An image's settings, with templates not yet rendered.
#[derive(Clone, Debug)]
pub struct ImageConfig {
    pub ship: bool,
    pub repositories: Vec<Repository>,
    pub base: Base,
    pub tags: Vec<String>,
    pub user: User,
    /// The folder of the binaries.
    pub bin_dir: String,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Each with its protocol.
    pub ports: Vec<String>,
    pub volumes: Vec<String>,
    /// Empty for the base's.
    pub workdir: String,
    /// Empty for the engine's default.
    pub stop_signal: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Sorted by path, each once.
    pub files: Vec<ImageFile>,
    /// What is wrong with the files. Another program may write them later, so this counts only
    /// when the image is made.
    pub unfound: Vec<Finding>,
}

/// The base of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// distroless/static, made of files that the tool carries.
    Builtin,
    /// Nothing.
    Scratch,
    /// An image in a folder or a file.
    #[serde(untagged)]
    Stored(Stored),
    /// An image in a registry.
    #[serde(untagged)]
    Named(Reference),
}

/// As it is written in the settings.
impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Base::Builtin => f.write_str("builtin"),
            Base::Scratch => f.write_str("scratch"),
            Base::Stored(stored) => stored.fmt(f),
            Base::Named(reference) => reference.fmt(f),
        }
    }
}

/// Resolves the keys. Every fault becomes a finding.
pub fn image(scope: &Scope<'_>, keys: ImageKeys, findings: &mut Vec<Finding>) -> ImageConfig {
    let mut unfound = Vec::new();
    let files = image_files::files(scope, keys.files, &mut unfound);
    let mut faults = Faults { scope, findings };
    let repositories = keys.repositories.iter().filter_map(|text| {
        let parsed = Repository::parse(text);
        parsed.map_err(|error| faults.add("repositories", format!("{error:#}"))).ok()
    });
    let repositories = repositories.collect();
    let base = base(&keys.base, scope).unwrap_or_else(|error| {
        faults.add("base", format!("{error:#}"));
        Base::Scratch
    });
    let mut place = |key: &str, place: anyhow::Result<String>| {
        place.map_err(|error| faults.add(key, format!("{error:#}"))).ok()
    };
    let volumes = keys.volumes.iter();
    let volumes = volumes.filter_map(|path| place("volumes", image_rules::volume(path))).collect();
    let bin_dir = place("bin-dir", image_rules::bin_dir(&keys.bin_dir));
    let workdir = Some(&keys.workdir).filter(|path| !path.is_empty());
    let workdir = workdir.and_then(|path| place("workdir", image_rules::folder(path)));
    let user = User::parse(&keys.user).unwrap_or_else(|| {
        faults.add("user", format!("{:?} is neither a number nor two with a colon", keys.user));
        User { uid: 0, gid: None }
    });
    if !keys.stop_signal.is_empty() && !image_rules::is_signal(&keys.stop_signal) {
        faults.add("stop-signal", format!("{:?} is not a signal", keys.stop_signal));
    }
    for name in keys.env.keys().filter(|name| !image_rules::is_variable(name)) {
        faults.add("env", format!("{name:?} cannot be a variable's name"));
    }
    for (key, names) in [("labels", &keys.labels), ("annotations", &keys.annotations)] {
        for name in names.keys() {
            if let Some(why) = image_rules::unfit_label(name) {
                faults.add(key, format!("{name:?} cannot be a name: {why}"));
            }
        }
    }
    let mut ports = Vec::new();
    for text in &keys.ports {
        match self::ports(text) {
            Some(found) => ports.extend(found),
            None => faults.add("ports", format!("{text:?} is not a port")),
        }
    }
    ImageConfig {
        ship: if scope.is_typed("image.ship") { keys.ship } else { scope.images },
        repositories,
        base,
        tags: keys.tags,
        user,
        bin_dir: bin_dir.unwrap_or_default(),
        entrypoint: keys.entrypoint,
        cmd: keys.cmd,
        env: keys.env,
        ports,
        volumes,
        workdir: workdir.unwrap_or_default(),
        stop_signal: keys.stop_signal,
        labels: keys.labels,
        annotations: keys.annotations,
        files,
        unfound,
    }
}

impl ImageConfig {
    /// The base, where it is in a registry and named without a digest.
    pub fn named_base(&self) -> Option<&Reference> {
        match &self.base {
            Base::Named(reference) if reference.digest.is_none() => Some(reference),
            _ => None,
        }
    }
}

/// Collects the findings on an image's keys.
struct Faults<'a, 'b> {
    scope: &'a Scope<'a>,
    findings: &'b mut Vec<Finding>,
}

impl Faults<'_, '_> {
    fn add(&mut self, key: &str, why: String) {
        let path = format!("image.{key}");
        let fix = super::schema::example(&path);
        self.findings.push(Finding::error("config-image", self.scope.place(&path), why, fix));
    }
}

fn base(text: &str, scope: &Scope<'_>) -> anyhow::Result<Base> {
    Ok(match (text, Stored::parse(text)) {
        ("builtin", _) => Base::Builtin,
        ("scratch", _) => Base::Scratch,
        (_, Some(stored)) => Base::Stored(stored?.anchored(&scope.package.dir)),
        (_, None) => Base::Named(Reference::parse(text)?),
    })
}

/// A port with its protocol, or each of a range.
/// <https://github.com/opencontainers/image-spec/blob/main/config.md#properties>
fn ports(text: &str) -> Option<Vec<String>> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0)
    };
    let (first, last) = (number(first)?, number(last)?);
    let fit = first <= last && ["tcp", "udp", "sctp"].contains(&protocol);
    fit.then(|| (first..=last).map(|port| format!("{port}/{protocol}")).collect())
}
