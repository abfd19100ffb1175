use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::subject::Subject;
use super::{Common, NetworkArgs, World};
use crate::config::SignConfig;
use crate::files::{self, limits};
use crate::finding::failure;
use crate::plan::{BUNDLE, CHECKSUMS};
use crate::reference::Reference;
use crate::release::{self, Said};
use crate::sign::PrivateKey;

/// Sign files, the folder of a release, and images in registries
///
/// The signature of a file is written beside it, as FILE.sigstore.json. In a folder the list
/// checksums.txt is signed, which vouches for the others. An image gets its signature in its
/// registry, and so does each platform's. A good signature of the same key is kept.
///
/// The key is in COSIGN_PRIVATE_KEY, or in the file that the setting `sign.key` names, and its
/// password in COSIGN_PASSWORD. `keygen` makes one. Releases are signed by `release` itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless sign mytool.tar.gz
  cargo dockless sign dist
  cargo dockless sign ghcr.io/acme/mytool:1.0.0

Verify with:
  cargo dockless verify --key cosign.pub mytool.tar.gz
  cosign verify-blob --key cosign.pub --insecure-ignore-tlog --bundle F.sigstore.json F
  cosign verify --key cosign.pub --insecure-ignore-tlog ghcr.io/acme/mytool:1.0.0")]
pub struct Args {
    /// Files, folders, or images in registries
    #[arg(required = true, value_name = "FILE|FOLDER|IMAGE")]
    subject: Vec<String>,
    #[command(flatten)]
    network: NetworkArgs,
}

pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    let subjects = args.subject.iter().map(|text| Subject::parse(text, world));
    let subjects: Vec<Subject> = subjects.collect::<Result<_>>()?;
    let config = world.settings(common)?;
    let (sign, network) = config.map(|it| (it.sign, it.network)).unwrap_or_default();
    let Some(key) = world.private_key(&sign)? else {
        let fix = "make one with `dockless keygen`, and set COSIGN_PRIVATE_KEY to its text, or the \
                   setting `sign.key` to its path";
        bail!(failure("there is no key to sign with", fix));
    };
    let http = world.http(&network, &args.network, common);
    let blobs = world.cache.blobs()?;
    let registry = world.registry(&http, &blobs, &network);
    let mut signed = Vec::new();
    for subject in &subjects {
        signed.push(match subject {
            Subject::File(path) => file(path, &key, world)?,
            Subject::Folder(dir) => {
                let list = dir.join(CHECKSUMS);
                if !files::exists(&list)? {
                    let why = format!("there is no {CHECKSUMS} in {}", dir.display());
                    bail!(failure(why, "name a folder that `dockless release` made, or files"));
                }
                file(&list, &key, world)?
            }
            Subject::Image(reference) => image(reference, &key, &sign, &registry, world)?,
        });
    }
    world.term.results(&signed, &signed)?;
    Ok(ExitCode::SUCCESS)
}

/// Signs a file, and returns the path of its signature.
fn file(path: &Path, key: &PrivateKey, world: &World) -> Result<String> {
    let name = path.file_name().context("find the name of the file")?.to_string_lossy();
    let place = path.with_file_name(format!("{name}{BUNDLE}"));
    let bytes = files::read_foreign(path, limits::PROGRAM)?;
    let bundle = release::sign_file(&name, &bytes, &place, key, &world.term)?;
    files::write(&place, &bundle)?;
    Ok(place.display().to_string())
}

/// Signs an image, and returns its name with its digest.
fn image(
    reference: &Reference,
    key: &PrivateKey,
    config: &SignConfig,
    registry: &crate::registry::Registry<'_>,
    world: &World,
) -> Result<String> {
    let root = registry.pull(reference, &[])?.root;
    let at = &reference.repository;
    // What it was made from is not known here.
    let said = Said { key, legacy: config.legacy, provenance: None };
    release::sign_image(&root, at, &said, registry, &world.term)?;
    Ok(at.at(&root.digest()).to_string())
}
