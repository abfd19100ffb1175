use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use super::check::database;
use super::image::{location, opened, with_registry};
use super::subject::{find_release, release};
use super::{Common, NetworkArgs, World};
use crate::cache::Cache;
use crate::check::{Audit, Audited, Outcome, Reach, audited_table};
use crate::config::{ForgeKind, Slug};
use crate::files;
use crate::finding::{Help, Severity};
use crate::forge::Forge;
use crate::reference::Location;
use crate::term;

/// Audit programs that are out there, by the lists of crates inside them
///
/// Releases have the list in each program, as those of cargo auditable do. It is compared with the
/// RustSec advisories as `check` compares Cargo.lock, with the settings of the project in the current
/// folder, if there is one. Yanked crates are not looked for. A program without a list does not
/// pass; in images, this holds for what is started, for what rustc made, and for packed programs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless audit target/x86_64-unknown-linux-musl/dist/mytool
  cargo dockless audit dist/*.tar.gz
  cargo dockless audit ghcr.io/acme/mytool:1.0.0        all platforms of an image
  cargo dockless audit acme/mytool@v1.0.0                all files of a release on GitHub
  cargo dockless audit --json oci:dist/images/mytool")]
pub struct Args {
    /// A program, a .tar.gz, .tar or .zip archive, an image (a name in a registry, oci:DIR[:TAG],
    /// oci-archive:FILE, docker-archive:FILE), or the release of a tag on GitHub: OWNER/REPO@TAG
    #[arg(required = true, value_name = "PROGRAM|ARCHIVE|IMAGE|RELEASE")]
    inputs: Vec<String>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What is audited.
enum Input {
    File(PathBuf),
    Image(Location),
    Release(Slug, String),
}

/// How files of a release end that hold no programs.
const NO_PROGRAMS: [&str; 9] =
    [".txt", ".json", ".jsonl", ".yaml", ".yml", ".md", ".pem", ".sig", ".sha256"];

pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let inputs = args.inputs.iter().map(|text| input(text, world)).collect::<Result<Vec<_>>>()?;
    let settings = world.check_settings(common)?;
    let reach = Reach {
        root: &settings.root,
        env: &world.env,
        network: common.network(),
        cache: &world.cache,
        term: &world.term,
    };
    let named = database(world);
    let audit = Audit::open(&settings.config, &settings.boundary, named.as_deref(), &reach)?;
    let mut audited = Vec::new();
    let mut faults = audit.findings();
    for (text, input) in args.inputs.iter().zip(&inputs) {
        world.term.step("audit", text);
        match one(&audit, text, input, args, common, world) {
            Ok(found) => audited.extend(found),
            Err(error) => {
                audited.push(Audited::failed(text, &error));
            }
        }
    }
    faults.extend(audited.iter().flat_map(|it| &it.findings).map(|it| it.finding.clone()));
    faults.iter().for_each(|finding| world.term.finding(finding));
    let table = audited_table(&audited);
    world.term.table(&table);
    world.summary(&table.markdown("Audit"))?;
    world.term.json(&term::list("audited", &audited))?;
    let failed = audited.iter().any(|it| it.result != Outcome::Passed)
        || faults.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A file that is there, or else a release or an image.
fn input(text: &str, world: &World) -> Result<Input> {
    let path = world.dir.join(text);
    if path.is_file() {
        return Ok(Input::File(path));
    }
    if let Some((repository, tag)) = release(text) {
        return Ok(Input::Release(repository, tag));
    }
    let help = "name a file that is there, or an image such as ghcr.io/acme/app:1.0 or oci:DIR";
    let context = || format!("there is no file {text}, and it names no image");
    location(text).map(Input::Image).with_context(context).context(Help(help.to_owned()))
}

fn one(
    audit: &Audit,
    text: &str,
    input: &Input,
    args: &Args,
    common: &Common,
    world: &World,
) -> Result<Vec<Audited>> {
    match input {
        Input::File(path) => audit.file(path, text),
        Input::Image(place) => {
            let cache = Cache::none();
            with_registry(&[place], &cache, &args.network, common, world, |registry| {
                let root = opened(place, &[], registry, world)?.root;
                audit.image(&registry.fetch(&root)?, text)
            })
        }
        Input::Release(repository, tag) => {
            let network = world.network_config(common)?;
            let http = world.http(&network, &args.network, common);
            let kind = ForgeKind::GitHub;
            let forge = Forge::open(kind, kind.token(), &http, &world.env)?;
            of_release(audit, text, repository, tag, &forge)
        }
    }
}

/// Audits the files of a release, one after the other.
fn of_release(
    audit: &Audit,
    text: &str,
    repository: &Slug,
    tag: &str,
    forge: &Forge<'_>,
) -> Result<Vec<Audited>> {
    let release = find_release(repository, tag, forge)?;
    let folder = files::temporary_dir()?;
    let path = folder.path().join("file");
    let mut audited = Vec::new();
    for asset in forge.assets(repository, release.id)? {
        if NO_PROGRAMS.iter().any(|end| asset.name.ends_with(end)) {
            continue;
        }
        let name = format!("{text} {}", asset.name);
        let found =
            forge.download_asset(repository, &asset, &path).and_then(|()| audit.file(&path, &name));
        match found {
            Ok(found) => audited.extend(found),
            Err(error) => audited.push(Audited::failed(&name, &error)),
        }
    }
    ensure!(!audited.is_empty(), "the release {tag} of {repository} has no programs");
    Ok(audited)
}
