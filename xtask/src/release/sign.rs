//! What was made, signed. A good signature of the same key that is there already is kept: no two
//! signatures of the same bytes are alike, and public files must not change.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::cause;
use crate::artifacts::{Artifact, Provenance, PushedImage, Signature};
use crate::digest::Digest;
use crate::files::{self, Staging, limits};
use crate::forge::Forge;
use crate::oci::{Descriptor, Root};
use crate::parallel;
use crate::plan::{BUNDLE, PublishPlan, STATEMENT, SignPlan};
use crate::provenance::PREDICATE;
use crate::reference::Repository;
use crate::registry::{Attachment, Keeper, Registry, SignedDocument};
use crate::sign::{
    self, Bundle, LIMIT, MEDIA_TYPE, PrivateKey, SIGNATURE, SIGNATURE_ANNOTATION, SIMPLE_SIGNING,
    Statement,
};
use crate::term::Term;

/// How often an image is signed while other clients overwrite the list of its signatures.
const ROUNDS: usize = 3;
/// How many manifests are signed at a time.
const AT_A_TIME: usize = 4;

/// The key, and the signatures that are public already.
pub struct Signing {
    pub key: PrivateKey,
    /// By the names of their files.
    pub public: BTreeMap<String, Vec<u8>>,
}

/// The signatures of a release's files that an earlier run published.
pub fn public_signatures(
    sign: &SignPlan,
    to: &PublishPlan,
    forge: &Forge<'_>,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let Some(release) = &to.release else { return Ok(BTreeMap::new()) };
    let repo = &release.repository;
    let context = || format!("look for the signatures of {} in {repo}", to.tag);
    let (found, _) = forge.find_release(repo, &to.tag.to_string()).with_context(context)?;
    let Some(found) = found else { return Ok(BTreeMap::new()) };
    let wanted: Vec<String> = sign.bundles().collect();
    let mut assets = forge.assets(repo, found.id).with_context(context)?;
    assets.retain(|it| it.is_complete && it.size <= LIMIT.0 && wanted.contains(&it.name));
    let bytes = parallel::map(&assets, AT_A_TIME, |asset| {
        Ok((asset.name.clone(), forge.asset_bytes(repo, asset)?))
    });
    Ok(bytes.with_context(context)?.into_iter().collect())
}

/// Signs those of the artifacts that the plan names.
pub fn files(
    plan: &SignPlan,
    signing: &Signing,
    made: &[Artifact],
    staging: &Staging<'_>,
    term: &Term,
) -> Result<Vec<Artifact>> {
    let key = &signing.key;
    let mut signatures = Vec::new();
    for artifact in made.iter().filter(|it| plan.files.iter().any(|name| name == it.name())) {
        let bytes = files::read_foreign(&staging.path(&artifact.path()), limits::PROGRAM)?;
        let public = signing.public.get(&format!("{}{BUNDLE}", artifact.name())).cloned();
        let before = staging.dist().join(format!("{}{BUNDLE}", artifact.path()));
        let bundle = match public {
            Some(public) if is_good(&public, &bytes, key) => kept(artifact.name(), public, term),
            _ => sign_file(artifact.name(), bytes, &before, key, term)?,
        };
        let fingerprint = key.public().fingerprint();
        let signature = Signature::write(artifact, &bundle, fingerprint, staging)?;
        signatures.push(Artifact::Signature(signature));
    }
    Ok(signatures)
}

/// The signature of a file: the one `before`, where it is good, or else a new one. A statement is
/// within its own, as verifiers of provenance expect it.
pub fn sign_file(
    name: &str,
    bytes: Vec<u8>,
    before: &Path,
    key: &PrivateKey,
    term: &Term,
) -> Result<Vec<u8>> {
    if let Some(there) = good_before(name, &bytes, before, key, term) {
        return Ok(kept(name, there, term));
    }
    term.step("sign", name);
    let is_statement = name.ends_with(STATEMENT) && Statement::parse(&bytes).is_ok();
    let signed =
        if is_statement { sign::sign_payload(bytes, key) } else { sign::sign_file(&bytes, key) };
    signed.with_context(|| format!("sign {name}"))
}

/// The signature of these bytes that is there already.
fn good_before(
    name: &str,
    bytes: &[u8],
    before: &Path,
    key: &PrivateKey,
    term: &Term,
) -> Option<Vec<u8>> {
    match files::read_foreign_if_there(before, LIMIT) {
        Ok(there) => there.filter(|there| is_good(there, bytes, key)),
        Err(error) => {
            term.detail(format_args!("sign {name} anew: {error:#}"));
            None
        }
    }
}

fn kept(name: &str, bundle: Vec<u8>, term: &Term) -> Vec<u8> {
    term.step("keep", format_args!("the signature of {name}, which is good"));
    bundle
}

fn is_good(bundle: &[u8], bytes: &[u8], key: &PrivateKey) -> bool {
    Bundle::parse(bundle).and_then(|it| it.verify_file(bytes, key.public())).is_ok()
}

/// What is said of an image, and with which key.
pub struct Said<'a> {
    pub key: &'a PrivateKey,
    /// Whether it is signed as cosign did before bundles, too.
    pub legacy: bool,
    /// The statement of what it was made from.
    pub provenance: Option<&'a [u8]>,
}

/// Signs the images in all their repositories, and attaches the statements about them.
pub fn sign_images(
    images: &[PushedImage<'_>],
    statements: &[&Provenance],
    key: &PrivateKey,
    legacy: bool,
    registry: &Registry<'_>,
    term: &Term,
) -> Result<()> {
    for pushed in images {
        let image = pushed.image();
        let own = statements.iter().find(|it| it.plan.package == image.plan.package);
        let said = Said { key, legacy, provenance: own.map(|it| &*it.text) };
        for at in pushed.at() {
            sign_image(&image.root, at.repository(), &said, registry, term)?;
        }
    }
    Ok(())
}

/// Signs an image in a repository, and each platform's image of an index: whoever pulls by a
/// platform's digest never sees the index.
pub fn sign_image(
    root: &Root,
    at: &Repository,
    said: &Said<'_>,
    registry: &Registry<'_>,
    term: &Term,
) -> Result<()> {
    let mut subjects: Vec<&Descriptor> = vec![&root.raw().descriptor];
    for (_, image) in root.images() {
        let descriptor = &image.manifest.descriptor;
        if !subjects.iter().any(|it| it.digest == descriptor.digest) {
            subjects.push(descriptor);
        }
    }
    let context = || format!("sign {}", at.at(&root.digest()));
    let provenance = said.provenance.map(|text| sign::sign_payload(text.to_vec(), said.key));
    let provenance = provenance.transpose().with_context(context)?;
    let mut unsigned = subjects.clone();
    for round in 0..=ROUNDS {
        let found = each(&unsigned, |subject| {
            let (missing, keeper) = missing(subject, at, said, registry)?;
            // A registry's own list may be late, and nobody overwrites it.
            let done = missing.is_empty() || round > 0 && keeper == Keeper::Registry;
            Ok((subject.digest, if done { Vec::new() } else { missing }))
        });
        let found: BTreeMap<Digest, Vec<Claim>> =
            found.with_context(context)?.into_iter().collect();
        unsigned.retain(|subject| found.get(&subject.digest).is_some_and(|it| !it.is_empty()));
        if unsigned.is_empty() {
            let image = at.at(&root.digest());
            match round {
                0 => term.step("keep", format_args!("the signatures of {image}, which are good")),
                _ => term.step("sign", image),
            }
            break;
        }
        ensure!(round < ROUNDS, "{}: others overwrite what is written; run again", context());
        let attached = each(&unsigned, |subject| {
            // One after the other: where a tag lists them, each changes the same list.
            let claims = found.get(&subject.digest).into_iter().flatten();
            claims.into_iter().try_for_each(|claim| {
                let (predicate, bundle) = match (claim, &provenance) {
                    (Claim::Provenance, Some(bundle)) => (PREDICATE, bundle.clone()),
                    _ => {
                        let signature = Statement::signature(&subject.digest);
                        (SIGNATURE, sign::sign_statement(&signature, said.key)?)
                    }
                };
                attach(subject, at, predicate, bundle, registry)
            })
        });
        attached.with_context(context)?;
    }
    if said.legacy {
        let signed = each(&subjects, |subject| sign_by_tag(subject, at, said.key, registry));
        signed.with_context(context)?;
    }
    Ok(())
}

/// Does the same with each manifest, several at a time.
fn each<R: Send>(
    subjects: &[&Descriptor],
    work: impl Fn(&Descriptor) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    cause::all(parallel::map(subjects, AT_A_TIME, |subject| Ok(work(subject)))?)
}

/// What a bundle of an image says.
#[derive(Clone, Copy, Debug)]
enum Claim {
    Signature,
    Provenance,
}

/// What nothing of a manifest says yet, and who keeps the list of what does.
fn missing(
    subject: &Descriptor,
    at: &Repository,
    said: &Said<'_>,
    registry: &Registry<'_>,
) -> Result<(Vec<Claim>, Keeper)> {
    let (digest, key) = (&subject.digest, said.key.public());
    let attached = registry.attached(at, digest, MEDIA_TYPE)?;
    let there: Vec<Bundle> =
        attached.contents.iter().filter_map(|bundle| Bundle::parse(bundle).ok()).collect();
    let mut missing = Vec::new();
    if !there.iter().any(|it| it.verify_about(digest, SIGNATURE, key).is_ok()) {
        missing.push(Claim::Signature);
    }
    if let Some(statement) = said.provenance
        && !there.iter().any(|it| it.holds(statement, key))
    {
        missing.push(Claim::Provenance);
    }
    Ok((missing, attached.keeper))
}

fn attach(
    subject: &Descriptor,
    at: &Repository,
    predicate: &str,
    content: Vec<u8>,
    registry: &Registry<'_>,
) -> Result<()> {
    // cosign writes both, and needs neither.
    let annotations = BTreeMap::from([
        ("dev.sigstore.bundle.content".to_owned(), "dsse-envelope".to_owned()),
        ("dev.sigstore.bundle.predicateType".to_owned(), predicate.to_owned()),
    ]);
    let attachment = Attachment { kind: MEDIA_TYPE, content, annotations };
    registry.attach(at, subject, &attachment)
}

/// Signs as cosign did before bundles.
fn sign_by_tag(
    subject: &Descriptor,
    at: &Repository,
    key: &PrivateKey,
    registry: &Registry<'_>,
) -> Result<()> {
    let digest = &subject.digest;
    let documents = registry.signed_documents(at, digest, SIMPLE_SIGNING)?;
    let good = |it: &SignedDocument| {
        let signature = it.annotations.get(SIGNATURE_ANNOTATION).map_or("", String::as_str);
        sign::verify_simple(&it.bytes, signature, digest, key.public()).is_ok()
    };
    if documents.iter().any(good) {
        return Ok(());
    }
    let (bytes, signature) = sign::simple_signing(&at.to_string(), digest, key)?;
    let annotations = BTreeMap::from([(SIGNATURE_ANNOTATION.to_owned(), signature)]);
    let document = SignedDocument { bytes, annotations };
    registry.add_signed_document(at, digest, SIMPLE_SIGNING, document)
}
