use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::subject::{Subject, download};
use super::{Common, NetworkArgs, World};
use crate::config::{ForgeKind, SignConfig, Slug};
use crate::digest::Digest;
use crate::files::{self, EntryKind, limits};
use crate::finding::failure;
use crate::forge::{Forge, ReleaseFile};
use crate::plan::{BUNDLE, CHECKSUMS, STATEMENT};
use crate::reference::Reference;
use crate::release::{self, Said};
use crate::sign::PrivateKey;
use crate::term;

/// Sign files, the folder of a release, a release on GitHub, and images in registries
///
/// The signature of a file is written beside it, as FILE.sigstore.json. In a folder the list
/// checksums.txt is signed, which vouches for the others, and the statements of provenance are. A
/// release on GitHub gets the same signatures as files. An image gets its signature in its
/// registry, and so does each platform's. A good signature of the same key is kept.
///
/// The key is in COSIGN_PRIVATE_KEY, or in the file that the setting `sign.key` names, and its
/// password in COSIGN_PASSWORD. `keygen` makes one. Releases are signed by `release` itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless sign mytool.tar.gz
  cargo dockless sign dist
  cargo dockless sign acme/mytool@v1.0.0
  cargo dockless sign ghcr.io/acme/mytool:1.0.0

Verify with:
  cargo dockless verify --key cosign.pub mytool.tar.gz
  cosign verify-blob --key cosign.pub --insecure-ignore-tlog --bundle F.sigstore.json F
  cosign verify --key cosign.pub --insecure-ignore-tlog ghcr.io/acme/mytool:1.0.0")]
pub struct Args {
    /// Files, folders, images in registries, or the release of a tag: OWNER/REPO@TAG
    #[arg(required = true, value_name = "FILE|FOLDER|IMAGE|RELEASE")]
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
        let made = match subject {
            Subject::File(path) => file(path, &key, world)?,
            Subject::Folder(dir) => {
                let list = dir.join(CHECKSUMS);
                if !files::exists(&list)? {
                    let why = format!("there is no {CHECKSUMS} in {}", dir.display());
                    bail!(failure(why, "name a folder that `dockless release` made, or files"));
                }
                for statement in statements(dir)? {
                    signed.push(file(&statement, &key, world)?);
                }
                file(&list, &key, world)?
            }
            Subject::Release(repository, tag) => {
                let kind = ForgeKind::GitHub;
                let forge = Forge::open(kind, kind.token(), &http, &world.env)?;
                signed.extend(release_of(repository, tag, &key, &forge, world)?);
                continue;
            }
            Subject::Image(reference) => image(reference, &key, &sign, &registry, world)?,
        };
        signed.push(made);
    }
    world.term.results(&term::list("signatures", &signed), &signed)?;
    Ok(ExitCode::SUCCESS)
}

/// Signs a file, and returns the path of its signature.
fn file(path: &Path, key: &PrivateKey, world: &World) -> Result<String> {
    let name = path.file_name().context("find the name of the file")?.to_string_lossy();
    let place = path.with_file_name(format!("{name}{BUNDLE}"));
    let bytes = files::read_foreign(path, limits::PROGRAM)?;
    let bundle = release::sign_file(&name, bytes, &place, key, &world.term)?;
    files::write(&place, &bundle)?;
    Ok(place.display().to_string())
}

/// The statements in the folder of a release, sorted.
fn statements(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = files::list(dir)?.into_iter();
    let named = entries.filter(|entry| {
        let name = entry.path.file_name().and_then(|name| name.to_str());
        entry.kind != EntryKind::Folder && name.is_some_and(|name| name.ends_with(STATEMENT))
    });
    let mut paths: Vec<PathBuf> = named.map(|entry| entry.path).collect();
    paths.sort();
    Ok(paths)
}

/// Signs the list of checksums and the statements of a release, adds the signatures to it, and
/// returns their names.
fn release_of(
    repository: &Slug,
    tag: &str,
    key: &PrivateKey,
    forge: &Forge<'_>,
    world: &World,
) -> Result<Vec<String>> {
    let wanted = |name: &str| {
        let of = name.strip_suffix(BUNDLE).unwrap_or(name);
        of == CHECKSUMS || of.ends_with(STATEMENT)
    };
    let (release, folder) = download(repository, tag, wanted, forge, world)?;
    let list = folder.path().join(CHECKSUMS);
    if !files::exists(&list)? {
        let why = format!("the release {tag} of {repository} has no {CHECKSUMS}");
        bail!(failure(why, "name a release that dockless made, or files"));
    }
    let mut made = Vec::new();
    for path in statements(folder.path())?.into_iter().chain([list]) {
        let path = PathBuf::from(file(&path, key, world)?);
        let bytes = files::read(&path)?;
        let name = path.file_name().context("find the name of the file")?;
        let name = name.to_string_lossy().into_owned();
        let (size, digest) = (bytes.len() as u64, Digest::of(&bytes));
        made.push(ReleaseFile { name, path, size, digest });
    }
    forge.add_files(repository, &release, &made, &world.term)?;
    Ok(made.into_iter().map(|file| format!("{repository}@{tag} {}", file.name)).collect())
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
