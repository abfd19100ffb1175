use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde::Serialize;
use tempfile::TempDir;

use super::subject::{Subject, download};
use super::{Common, NetworkArgs, World};
use crate::config::{ForgeKind, NetworkConfig, Slug};
use crate::finding::failure;
use crate::forge::Forge;
use crate::verify::{self, Rebuild, Report};

mod rebuild;

/// Verify a file, a folder, a release on GitHub, or an image in a registry
///
/// A file is proved by its own signature, FILE.sigstore.json, or by the signed checksums.txt beside
/// it. All of a folder is compared with its checksums.txt, and its signature is verified. A release
/// on GitHub is downloaded and verified as a folder, and its tag must be the commit that it was
/// made of. An image is proved by a signature in its registry, whether dockless or cosign made it
/// with the key. Statements of provenance say from what each thing was made.
///
/// The command prints what was proved, by which key, and what is not there. It fails if anything
/// that should be there is not proved. Files need no network.
///
/// With --rebuild, the release is made again from its record: the recorded commit is cloned into a
/// new folder and built with the recorded toolchain, flags and targets. Then all of both is
/// compared, and each difference is printed with its place and the likely reason. The build scripts
/// of that commit run, as in every build.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless verify --key cosign.pub mytool-v1.0.0-x86_64-unknown-linux-musl.tar.gz
  cargo dockless verify --key cosign.pub dist
  cargo dockless verify --key cosign.pub acme/mytool@v1.0.0
  cargo dockless verify --key cosign.pub --json ghcr.io/acme/mytool:1.0.0
  cargo dockless verify --rebuild acme/mytool@v1.0.0
  cargo dockless verify --rebuild --key cosign.pub --source ~/src/mytool dist")]
pub struct Args {
    /// A file, a folder, an image in a registry, or the release of a tag: OWNER/REPO@TAG
    #[arg(value_name = "FILE|FOLDER|IMAGE|RELEASE")]
    subject: String,
    /// The public key, in PEM form
    #[arg(long, value_name = "FILE", required_unless_present = "rebuild")]
    key: Option<PathBuf>,
    /// Make the release again from its recorded commit, and compare
    #[arg(long)]
    rebuild: bool,
    /// Clone the sources from here instead of the recorded place
    #[arg(long, value_name = "URL|FOLDER", requires = "rebuild")]
    source: Option<OsString>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What was proved, and what was made again.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    report: Option<&'a Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuild: Option<&'a Rebuild>,
}

/// A release on GitHub, in a folder that is removed when this is dropped.
struct Downloaded {
    folder: TempDir,
    tag: String,
    /// What the tag points to.
    commit: Option<String>,
}

pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let subject = Subject::parse(&args.subject, world)?;
    let downloaded = match &subject {
        Subject::Release(repository, tag) => {
            Some(downloaded(repository, tag, args, common, world)?)
        }
        Subject::File(_) | Subject::Image(_) if args.rebuild => bail!(failure(
            format!("{} is no release", args.subject),
            "--rebuild makes all of a release: name its folder, such as dist, or OWNER/REPO@TAG",
        )),
        Subject::File(_) | Subject::Folder(_) | Subject::Image(_) => None,
    };
    let report = args.key.as_ref().map(|key| {
        let downloaded = downloaded.as_ref();
        report(args, key, &subject, downloaded, common, world)
    });
    let report = report.transpose()?;
    // What its makers did not sign is not built.
    let unproved = report.as_ref().map_or_else(Vec::new, Report::findings);
    let folder = match (&subject, &downloaded) {
        (Subject::Folder(dir), _) => Some(&**dir),
        (_, Some(downloaded)) => Some(downloaded.folder.path()),
        _ => None,
    };
    let wanted = folder.filter(|_| args.rebuild && unproved.is_empty());
    let rebuild = wanted.map(|dir| rebuild::rebuild(dir, args.source.as_ref(), common, world));
    let rebuild = rebuild.transpose()?;
    show(&Shown { report: report.as_ref(), rebuild: rebuild.as_ref() }, world)?;
    let differing = rebuild.as_ref().map_or_else(Vec::new, Rebuild::findings);
    world.term.verdict(unproved.into_iter().chain(differing).collect())?;
    Ok(ExitCode::SUCCESS)
}

fn downloaded(
    repository: &Slug,
    tag: &str,
    args: &Args,
    common: &Common,
    world: &World,
) -> Result<Downloaded> {
    let network = world.network_config(common)?;
    let http = world.http(&network, &args.network, common);
    let kind = ForgeKind::GitHub;
    let forge = Forge::open(kind, kind.token(), &http, &world.env)?;
    let (_, folder) = download(repository, tag, |_| true, &forge, world)?;
    let commit = forge.tag(repository, tag)?;
    Ok(Downloaded { folder, tag: tag.to_owned(), commit })
}

fn report(
    args: &Args,
    key: &Path,
    subject: &Subject,
    downloaded: Option<&Downloaded>,
    common: &Common,
    world: &World,
) -> Result<Report> {
    let key = world.public_key(key)?;
    if let Some(Downloaded { folder, tag, commit }) = downloaded {
        let mut report = verify::folder(folder.path(), &key)?;
        report.subject.clone_from(&args.subject);
        report.add_tag(tag, commit.as_deref());
        return Ok(report);
    }
    match subject {
        Subject::File(path) => verify::file(path, &key),
        Subject::Folder(dir) => verify::folder(dir, &key),
        Subject::Release(repository, tag) => bail!("{repository}@{tag} was not downloaded"),
        Subject::Image(reference) => {
            let config = world.settings(common)?;
            let network = config.map_or_else(NetworkConfig::default, |it| it.network);
            let http = world.http(&network, &args.network, common);
            let blobs = world.cache.blobs()?;
            verify::image(reference, &key, &world.registry(&http, &blobs, &network))
        }
    }
}

fn show(shown: &Shown<'_>, world: &World) -> Result<()> {
    if world.term.json_wanted() {
        return world.term.json(shown);
    }
    if let Some(report) = shown.report {
        world.term.result_table(&report.table())?;
    }
    shown.rebuild.map_or(Ok(()), |rebuild| rebuild::show(rebuild, world))
}
