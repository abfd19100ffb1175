use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::subject::{Subject, download};
use super::{Common, NetworkArgs, World};
use crate::config::{ForgeKind, NetworkConfig};
use crate::forge::Forge;
use crate::verify::{self, Report};

/// Verify a file, the folder of a release, a release on GitHub, or an image in a registry
///
/// A file is proved by its own signature, FILE.sigstore.json, or by the signed checksums.txt beside
/// it. All of a folder is compared with its checksums.txt, and its signature is verified. A release
/// on GitHub is downloaded and verified as a folder, and its tag must be the commit that it was
/// made of. An image is proved by a signature in its registry, whether dockless or cosign made it
/// with the key. Statements of provenance say from what each thing was made.
///
/// The command prints what was proved, by which key, and what is not there. It fails if anything
/// that should be there is not proved. Files need no network.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless verify --key cosign.pub mytool-v1.0.0-x86_64-unknown-linux-musl.tar.gz
  cargo dockless verify --key cosign.pub dist
  cargo dockless verify --key cosign.pub acme/mytool@v1.0.0
  cargo dockless verify --key cosign.pub --json ghcr.io/acme/mytool:1.0.0")]
pub struct Args {
    /// A file, a folder, an image in a registry, or the release of a tag: OWNER/REPO@TAG
    #[arg(value_name = "FILE|FOLDER|IMAGE|RELEASE")]
    subject: String,
    /// The public key, in PEM form
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
}

pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let key = world.public_key(&args.key)?;
    let report = match Subject::parse(&args.subject, world)? {
        Subject::File(path) => verify::file(&path, &key)?,
        Subject::Folder(dir) => verify::folder(&dir, &key)?,
        Subject::Release(repository, tag) => {
            let network = world.network_config(common)?;
            let http = world.http(&network, &args.network, common);
            let kind = ForgeKind::GitHub;
            let forge = Forge::open(kind, kind.token(), &http, &world.env)?;
            let (_, folder) = download(&repository, &tag, |_| true, &forge, world)?;
            let mut report = verify::folder(folder.path(), &key)?;
            report.subject.clone_from(&args.subject);
            report.add_tag(&tag, forge.tag(&repository, &tag)?.as_deref());
            report
        }
        Subject::Image(reference) => {
            let config = world.settings(common)?;
            let network = config.map_or_else(NetworkConfig::default, |it| it.network);
            let http = world.http(&network, &args.network, common);
            let blobs = world.cache.blobs()?;
            verify::image(&reference, &key, &world.registry(&http, &blobs, &network))?
        }
    };
    show(&report, world)?;
    world.term.verdict(report.findings())?;
    Ok(ExitCode::SUCCESS)
}

fn show(report: &Report, world: &World) -> Result<()> {
    if world.term.json_wanted() {
        return world.term.json(report);
    }
    world.term.result(report.table().to_string().trim_end())
}
