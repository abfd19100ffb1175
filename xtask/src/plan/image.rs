//! What images are made of a package's Linux binaries, and what they say.

use std::collections::{BTreeMap, BTreeSet};

use super::values::{Compression, program_path};
use super::{
    BuildPlan, ImageConfig, ImagePlan, ImagePlatform, LeftOut, Mode, Request, Selected, THIRD_PARTY,
};
use crate::config::{self, Base, ImageNode};
use crate::finding::{Finding, Place, Severity, suggest};
use crate::project::{self, Project};
use crate::reference::{Above, Reference, Repository, Tag};
use crate::target::{Platform, Target};
use crate::template;
use crate::version::Versioned;

/// distroless/static has the same.
/// <https://github.com/GoogleContainerTools/distroless/blob/main/base/base.bzl>
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether an image is wanted of the package.
pub fn wanted(selected: &Selected<'_>, request: &Request) -> bool {
    let named = request.only_images() && request.select.packages.contains(&selected.package.name);
    request.images() && (selected.config.image.ship || named)
}

/// Whether images are made for the target, of those that the command line asks for.
pub fn serves(target: &Target, request: &Request) -> bool {
    let platform = target.platform();
    platform.is_some_and(|platform| {
        request.select.platforms.is_empty()
            || request.select.platforms.iter().any(|asked| asked.distance(&platform) == Some(0))
    })
}

/// What is wrong where a command that makes images alone has none to make.
pub fn missing(left_out: &[LeftOut], project: &Project, request: &Request) -> Vec<Finding> {
    let mut findings: Vec<Finding> = left_out.iter().map(LeftOut::finding).collect();
    if findings.is_empty() {
        let asked: Vec<String> = request.select.platforms.iter().map(Platform::to_string).collect();
        let why = if asked.is_empty() {
            "no package makes an image: that takes a Linux target".to_owned()
        } else {
            format!("no target of the packages is for {}", asked.join(" or "))
        };
        let fix = "see `targets` and the image's `ship`, or name a package with --package";
        let unknown = request.select.platforms.first();
        let fix = unknown.map_or_else(|| fix.to_owned(), |asked| nearest(asked, project, fix));
        findings.push(Finding::error("no-image", Place::default(), why, fix));
    }
    findings
}

/// Platforms that were asked for, and that no image is made for.
pub fn unserved(images: &[ImagePlan], project: &Project, request: &Request) -> Vec<Finding> {
    // A plan without any image is another finding.
    if images.is_empty() {
        return Vec::new();
    }
    let made: Vec<&Platform> =
        images.iter().flat_map(|image| &image.platforms).map(|it| &it.platform).collect();
    let served = |asked: &&Platform| made.iter().any(|made| asked.distance(made) == Some(0));
    let unserved = request.select.platforms.iter().filter(|asked| !served(asked));
    unserved
        .map(|asked| {
            let why = format!("no target of the packages is for {asked}");
            let fix = "add it to `targets`, or leave it out of --platform";
            let fix = nearest(asked, project, fix);
            Finding::error("no-image", Place::item("--platform"), why, fix)
        })
        .collect()
}

/// A fix that names the most similar platform of those that rustc has targets for, if the one that
/// was asked for is none of them.
fn nearest(asked: &Platform, project: &Project, otherwise: &str) -> String {
    let targets = project.rustc.known().filter_map(|triple| Target::parse(triple).ok());
    let known: Vec<Platform> = targets.filter_map(|target| target.platform()).collect();
    if known.iter().any(|platform| asked.distance(platform) == Some(0)) {
        return otherwise.to_owned();
    }
    let names = known.iter().map(|platform| match &*platform.architecture {
        // Its only variant needs no name.
        "arm64" => format!("{}/arm64", platform.os),
        _ => platform.to_string(),
    });
    let names: Vec<String> = names.collect();
    suggest(&asked.to_string(), names.iter().map(String::as_str), otherwise)
}

/// Names that two images would have.
pub fn shared_names(images: &[ImagePlan]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut makers: BTreeMap<&Reference, &str> = BTreeMap::new();
    for image in images {
        for name in &image.names {
            let other = makers.insert(name, &image.package);
            if let Some(other) = other.filter(|other| **other != *image.package) {
                let why = format!("{other} and {} would both be named so", image.package);
                let fix = "give each its own `repositories`";
                let place = Place::item(name.to_string());
                findings.push(Finding::error("image-name", place, why, fix));
            }
        }
    }
    findings
}

/// The image of a package whose binaries are built, what is wrong with it, and
/// for what it is not made.
pub fn plan(
    selected: &Selected<'_>,
    build: &BuildPlan,
    targets: &[&Target],
    project: &Project,
    request: &Request,
) -> (Option<ImagePlan>, Vec<Finding>, Vec<LeftOut>) {
    let config = &selected.config.image;
    let mut findings = config.unfound.clone();
    let base = match pinned(&config.base, project) {
        Ok(base) => base,
        Err(why) => {
            let fix = "run `dockless image --update-base`, and commit dockless.lock";
            findings.push(Finding::error("base-lock", place(selected, "base"), why, fix));
            config.base.clone()
        }
    };
    let (platforms, left_out) = platforms(selected, targets, request);
    if platforms.is_empty() {
        return (None, findings, left_out);
    }
    let values = project.values(selected.package);
    let mut texts = Texts { selected, values: &values, findings: &mut findings };
    let names = texts.names(config, request.publish.repository.as_ref());
    let released = matches!(selected.package.versioned, Versioned::Release { .. });
    let image = ImagePlan {
        name: build.package.clone(),
        package: build.package.clone(),
        version: build.version.clone(),
        bins: build.bins.clone(),
        bin_dir: config.bin_dir.clone(),
        base,
        compression: Compression::default(),
        files: config.files.clone(),
        licenses: licenses(selected, build, &platforms),
        platforms,
        names,
        moves_latest: released && !build.version.is_prerelease(),
        config: texts.config(config, build, project),
    };
    findings.extend(collisions(selected, &image));
    (Some(image), findings, left_out)
}

/// Where the licence texts lie, unless a file of the settings has their place.
fn licenses(
    selected: &Selected<'_>,
    build: &BuildPlan,
    platforms: &[ImagePlatform],
) -> Option<String> {
    let path = format!("usr/share/doc/{}/{THIRD_PARTY}", build.package);
    let linked = platforms.iter().any(|it| build.linked(&it.target).next().is_some());
    let free = !selected.config.image.files.iter().any(|file| file.to == path);
    (selected.config.licenses && linked && free).then_some(path)
}

/// The place of a key of the package's image.
fn place(selected: &Selected<'_>, key: &str) -> Place {
    let item = format!("[package.metadata.dockless.image] {key}");
    Place::within(&selected.package.manifest, item)
}

/// The base with the digest that dockless.lock has, where it is in a registry.
fn pinned(base: &Base, project: &Project) -> Result<Base, String> {
    let Base::Named(reference) = base else { return Ok(base.clone()) };
    if reference.digest.is_some() {
        return Ok(base.clone());
    }
    match project.bases.get(reference) {
        Some(pinned) => {
            let digest = Some(pinned.digest);
            Ok(Base::Named(Reference { digest, ..reference.clone() }))
        }
        None => Err(format!("dockless.lock does not say which image {reference} is")),
    }
}

/// Lines of dockless.lock that no package uses: a release is made of what the lock says, and
/// of nothing else.
pub fn forgotten_bases(
    config: &config::Config,
    project: &Project,
    request: &Request,
) -> Vec<Finding> {
    let used: Vec<&Reference> =
        config.packages.iter().filter_map(|it| it.image.named_base()).collect();
    let forgotten = project.bases.keys().filter(|base| !used.contains(base));
    let severity = match request.mode {
        Mode::Release => Severity::Error,
        Mode::Local | Mode::Snapshot => Severity::Warning,
    };
    forgotten
        .map(|base| {
            let place = Place::file(&project::bases::path(&project.root));
            let why = format!("no package's image stands on {base}");
            let fix = "run `dockless image --update-base`, and commit dockless.lock";
            Finding { severity, ..Finding::error("base-lock", place, why, fix) }
        })
        .collect()
}

/// A target for each platform: of two that make the same image the static one.
fn platforms(
    selected: &Selected<'_>,
    targets: &[&Target],
    request: &Request,
) -> (Vec<ImagePlatform>, Vec<LeftOut>) {
    let mut chosen: BTreeMap<Platform, &Target> = BTreeMap::new();
    let mut left_out = Vec::new();
    let bare = matches!(selected.config.image.base, Base::Builtin | Base::Scratch);
    for target in targets.iter().filter(|target| serves(target, request)) {
        let Some(platform) = target.platform() else { continue };
        match chosen.get(&platform) {
            Some(other) if other.is_musl() => {}
            _ => drop(chosen.insert(platform, target)),
        }
    }
    if bare {
        chosen.retain(|_, target| {
            let fit = target.is_musl();
            if !fit {
                let what = format!("image of {}", selected.package.name);
                let why = "its programs load glibc, which the base does not have";
                let musl = target.triple().replace("-gnu", "-musl");
                let fix = format!(
                    "build for {musl}, or set a `base` that has glibc, such as distroless/cc"
                );
                left_out.push(LeftOut::by_choice(what, Some(target), why, fix));
            }
            fit
        });
    }
    let platforms = chosen
        .into_iter()
        .map(|(platform, target)| ImagePlatform { platform, target: target.clone() })
        .collect();
    (platforms, left_out)
}

/// Files that would lie where binaries do, and folders that would lie where files do.
fn collisions(selected: &Selected<'_>, image: &ImagePlan) -> Vec<Finding> {
    let bins: BTreeSet<String> =
        image.bins.iter().map(|bin| image.program(bin)[1..].to_owned()).collect();
    let taken = image.files.iter().filter(|file| {
        let through = bins.iter().any(|bin| file.to.starts_with(&format!("{bin}/")));
        let blocks = !file.node.is_folder()
            && bins.iter().any(|bin| bin.starts_with(&format!("{}/", file.to)));
        bins.contains(&file.to) || through || blocks
    });
    let files = image.files.iter().filter(|file| matches!(file.node, ImageNode::File(_)));
    let files: BTreeSet<&str> =
        files.map(|file| &*file.to).chain(bins.iter().map(|bin| &**bin)).collect();
    let folders = image.config.volumes.iter().map(|path| ("volumes", path));
    let folders = folders.chain(image.config.workdir.iter().map(|path| ("workdir", path)));
    let blocked = folders.filter_map(|(key, path)| {
        let within = path.trim_start_matches('/');
        let mut above = within.match_indices('/').map(|(at, _)| &within[..at]).chain([within]);
        let file = above.find(|path| files.contains(path))?;
        let why = format!("{path:?} is to be a folder, and /{file} is a file of the image");
        Some(Finding::error("image-files", place(selected, key), why, "name another folder"))
    });
    let taken = taken.map(|file| {
        let why = format!("/{} is where a binary of the package lies", file.to);
        Finding::error("image-files", place(selected, "files"), why, "give the file another `to`")
    });
    taken.chain(blocked).collect()
}

/// Settings that are templates, rendered; what is wrong becomes a finding.
struct Texts<'a> {
    selected: &'a Selected<'a>,
    values: &'a [(&'static str, String)],
    findings: &'a mut Vec<Finding>,
}

impl Texts<'_> {
    fn fault(&mut self, key: &str, why: String, fix: &str) {
        self.findings.push(Finding::error("image", place(self.selected, key), why, fix));
    }

    /// `None` where it cannot be rendered, which becomes a finding.
    fn text(&mut self, key: &str, text: &str) -> Option<String> {
        template::render(text, self.values)
            .map_err(|error| self.fault(key, error.to_string(), "use one of the known names"))
            .ok()
    }

    fn list(&mut self, key: &str, texts: &[String]) -> Vec<String> {
        let texts: Vec<String> = texts.iter().filter_map(|text| self.text(key, text)).collect();
        if let Some(text) = texts.iter().find(|text| text.contains('\0')) {
            self.fault(key, format!("{text:?} holds a NUL, which ends a text"), "remove it");
        }
        texts
    }

    fn map(&mut self, key: &str, map: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        map.iter().filter_map(|(name, text)| Some((name.clone(), self.text(key, text)?))).collect()
    }

    /// Texts that a Dockerfile must be able to hold, too.
    fn lines(&mut self, key: &str, map: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let lines = self.map(key, map);
        for (name, _) in lines.iter().filter(|(_, text)| text.contains(['\n', '\0'])) {
            let why = format!("{name:?} has a line break, which a Dockerfile cannot say");
            self.fault(key, why, "write it in one line");
        }
        lines
    }

    /// All names of the image: each repository with each tag.
    fn names(&mut self, config: &config::ImageConfig, above: Option<&Above>) -> Vec<Reference> {
        let mut tags: Vec<Tag> = Vec::new();
        for text in self.list("tags", &config.tags) {
            match Tag::parse(&text) {
                Ok(tag) if tags.contains(&tag) => {}
                Ok(tag) => tags.push(tag),
                Err(error) => {
                    self.fault("tags", error.to_string(), "name a tag such as \"latest\"")
                }
            }
        }
        if config.tags.is_empty() {
            self.fault("tags", "it names no tag".to_owned(), "write `tags = [\"{{ version }}\"]`");
        }
        let mut repositories: Vec<Repository> = Vec::new();
        for repository in &config.repositories {
            if !repositories.contains(repository) {
                repositories.push(repository.clone());
            }
        }
        if repositories.is_empty() {
            let name = self.selected.package.name.to_lowercase();
            let named = above.map_or_else(|| Repository::parse(&name), |above| above.below(&name));
            match named {
                Ok(repository) => repositories.push(repository),
                Err(error) => {
                    let fix = "set `repositories`, such as [\"ghcr.io/acme/mytool\"]";
                    self.fault("repositories", format!("{error:#}"), fix);
                }
            }
        }
        let tagged = |repository: &Repository| {
            let tags = tags.iter().map(|tag| repository.tagged(tag));
            tags.collect::<Vec<_>>()
        };
        repositories.iter().flat_map(tagged).collect()
    }

    fn config(
        &mut self,
        config: &config::ImageConfig,
        build: &BuildPlan,
        project: &Project,
    ) -> ImageConfig {
        let standard = standard(build, project);
        let mut labels = standard.clone();
        labels.extend(self.lines("labels", &config.labels));
        let mut annotations = standard;
        annotations.extend(self.map("annotations", &config.annotations));
        let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
        if config.base == Base::Builtin {
            let bundle = "/etc/ssl/certs/ca-certificates.crt";
            env.insert("SSL_CERT_FILE".to_owned(), bundle.to_owned());
        }
        let own = self.lines("env", &config.env);
        let workdir = match (&*config.workdir, &config.base) {
            ("", Base::Builtin) => Some("/home/nonroot".to_owned()),
            ("", _) => None,
            (workdir, _) => Some(workdir.to_owned()),
        };
        let first = build.bins.iter().find(|bin| **bin == build.package).or(build.bins.first());
        let mut entrypoint = self.list("entrypoint", &config.entrypoint);
        if config.entrypoint.is_empty() {
            entrypoint.extend(first.map(|bin| program_path(&config.bin_dir, bin)));
        }
        if entrypoint.first().is_some_and(String::is_empty) {
            let fix = "name it, such as \"/usr/local/bin/mytool\"";
            self.fault("entrypoint", "its program has no name".to_owned(), fix);
        }
        if let Some(name) = annotations.iter().find(|(_, text)| text.contains('\0')) {
            let why = format!("{:?} holds a NUL, which ends a text", name.0);
            self.fault("annotations", why, "remove it");
        }
        ImageConfig {
            entrypoint,
            cmd: self.list("cmd", &config.cmd),
            default_env: env,
            env: own,
            user: config.user,
            workdir,
            ports: config.ports.clone(),
            volumes: config.volumes.clone(),
            stop_signal: Some(config.stop_signal.clone()).filter(|signal| !signal.is_empty()),
            labels,
            annotations,
        }
    }
}

/// What Cargo.toml and git tell.
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md#pre-defined-annotation-keys>
fn standard(build: &BuildPlan, project: &Project) -> BTreeMap<String, String> {
    let about = &build.about;
    let told = [
        ("title", Some(build.package.clone())),
        ("description", about.description.as_deref().map(one_line)),
        ("version", Some(build.version.to_string())),
        ("revision", project.commit().map(str::to_owned)),
        ("source", about.repository.as_deref().map(one_line)),
        ("url", about.homepage.as_deref().map(one_line)),
        ("licenses", about.license.as_deref().map(one_line)),
        ("created", project.time.map(|time| time.to_string())),
    ];
    let told = told.into_iter().filter_map(|(name, value)| Some((name, value?)));
    told.map(|(name, value)| (format!("org.opencontainers.image.{name}"), value)).collect()
}

/// Words as a label holds them: a Dockerfile knows no line breaks in one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
