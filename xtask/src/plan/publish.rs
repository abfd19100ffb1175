//! What a release makes public, and where.

use super::{
    Decided, ImagePlan, IndexPlan, KrewPlan, LeftOut, PublishOptions, PublishPlan, ReleasePlan,
    Request, Skip,
};
use crate::config::{Config, ForgeConfig, ForgeKind, Slug};
use crate::finding::{Finding, Place};
use crate::project::Project;
use crate::version::ReleaseTag;

/// Decides where the release of a tag goes.
pub fn plan(
    config: &Config,
    project: &Project,
    request: &Request,
    tag: &ReleaseTag,
    decided: &Decided,
) -> (PublishPlan, Vec<Finding>, Vec<LeftOut>) {
    let config = &config.forge;
    let options = &request.publish;
    let (forge, server) = (config.kind, options.server(config.kind));
    let Decided { images, plugins, .. } = decided;
    let mut findings = Vec::new();
    let mut left_out: Vec<LeftOut> = images.iter().filter_map(homeless).collect();
    let repository = repository(config, project, options);
    let mut release = None;
    if !config.ship {
        let why = format!("`ship = false` in {}", forge.table());
        let what = format!("the release {tag} on {}", forge.name());
        left_out.push(LeftOut::by_choice(what, None, &why, "set `ship = true`"));
        if options.draft {
            let fix = "set `ship = true`, or leave out --draft";
            findings.push(Finding::error("forge-draft", Place::item("--draft"), why, fix));
        }
    } else if let Some(repository) = &repository {
        let files = decided.files();
        findings.extend(files.iter().filter_map(|name| unfit(name, forge)));
        findings.extend(config.unfound.clone());
        findings.extend(plugins.iter().filter_map(|it| elsewhere(it, repository, tag, server)));
        release = Some(ReleasePlan {
            repository: repository.clone(),
            prerelease: tag.version.is_prerelease(),
            files,
        });
    } else {
        let why = format!("it is not known which repository on {server} is released");
        let fix = format!(
            "name it as `repository` in {}, or, to publish images alone, set `ship = false` there",
            forge.table()
        );
        let place = Place::file(&project.root.join("Cargo.toml"));
        findings.push(Finding::error("forge-repository", place, why, fix));
    }
    let (index, more) = index(config, request, tag, plugins, release.as_ref());
    left_out.extend(more);
    let publish = PublishPlan { tag: tag.clone(), draft: options.draft, release, index };
    (publish, findings, left_out)
}

/// The repository of the settings, or else of the workflow, or else the one that the packages
/// name, or else git's.
pub fn repository(
    config: &ForgeConfig,
    project: &Project,
    options: &PublishOptions,
) -> Option<Slug> {
    let of = |address: &str| Slug::of_address(address, options.server(config.kind));
    let named = || project.packages.iter().filter_map(|it| it.about.repository.as_deref());
    let configured = config.repository.clone().or_else(|| options.workflow.clone());
    configured.or_else(|| named().find_map(of)).or_else(|| options.origin.as_deref().and_then(of))
}

/// An image that nobody said where to push.
fn homeless(image: &ImagePlan) -> Option<LeftOut> {
    let why = "the settings do not say where to";
    let fix = "set `repositories` in [package.metadata.dockless.image], or DOCKLESS_REPOSITORY";
    let what = format!("the push of the image of {}", image.package);
    image.destinations().is_empty().then(|| LeftOut::by_choice(what, None, why, fix))
}

/// A name that a forge would change: GitHub does so with other characters.
/// <https://docs.github.com/en/rest/releases/assets#upload-a-release-asset>
fn unfit(name: &str, forge: ForgeKind) -> Option<Finding> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let fits = name.bytes().all(plain) && !name.starts_with('.');
    (!fits).then(|| {
        let forge = forge.name();
        let why = format!("{forge} would give {name} another name, where nobody looks for it");
        let fix = "choose a name of ASCII letters, digits, `-`, `_` and `.`";
        Finding::error("forge-name", Place::item(name), why, fix)
    })
}

/// A plugin whose archives are looked for in another repository's releases.
fn elsewhere(
    plugin: &KrewPlan,
    repository: &Slug,
    tag: &ReleaseTag,
    server: &str,
) -> Option<Finding> {
    let uri = plugin.platforms.iter().map(|it| &it.uri).find(|uri| {
        let other = Slug::of_address(uri, server);
        other.is_some_and(|other| !other.is(repository))
    })?;
    let why = format!("the release {tag} goes to {repository}, and krew is sent to {uri}");
    let fix = "name the repository alike in Cargo.toml's `repository`, or set `uri` in the \
               package's krew table";
    let place = Place::item(format!("krew manifest of {}", plugin.package));
    Some(Finding::error("krew-elsewhere", place, why, fix))
}

/// Which index is asked to take which plugins.
fn index(
    config: &ForgeConfig,
    request: &Request,
    tag: &ReleaseTag,
    plugins: &[KrewPlan],
    release: Option<&ReleasePlan>,
) -> (Option<IndexPlan>, Vec<LeftOut>) {
    if plugins.is_empty() {
        return (None, Vec::new());
    }
    let why = match &config.index {
        None => "`ship = false` in [workspace.metadata.dockless.index]",
        _ if request.skips(Skip::Krew) => "--skip krew",
        _ if request.publish.draft => "a draft is seen by nobody",
        _ if release.is_none() => "its archives are not released",
        _ if tag.version.is_prerelease() => "an index takes no pre-releases",
        Some(index) => {
            let plugins = plugins.iter().map(|it| it.name.clone()).collect();
            return (Some(IndexPlan { repository: index.clone(), plugins }), Vec::new());
        }
    };
    let left_out = |plugin: &KrewPlan| {
        let what = format!("the pull request of {}", plugin.name);
        LeftOut::by_choice(what, None, why, "nothing to do")
    };
    (None, plugins.iter().map(left_out).collect())
}
