//! What the fuzz targets of `fuzz/` call: each takes any bytes and panics where
//! a property of the code does not hold.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use crate::oci::MediaType;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::digest::Digest;
use crate::finding::{Finding, Place, Severity};
use crate::http::Url;
use crate::krew::{self, Archives};
use crate::linkage::{Suspect, inspect};
use crate::oci::tar_reader::{TarMember, check_layer, walk, walk_file};
use crate::oci::{At, BaseTree, Blob, Descriptor, Raw, Reads, Zstd};
use crate::provenance::Provenance;
use crate::reference::{Reference, Repository};
use crate::registry::{parse_challenge, parse_logins};
use crate::resolve::{self, Manifest, Named};
use crate::sign::{Bundle, KeyText, PublicKey, Statement};
use crate::stamp::{self, Kind, List};
use crate::target::Target;
use crate::yaml::{self, Node, NodeKind};

mod compare;
mod init_from;
mod slot;

pub use compare::compare;
pub use init_from::{init_from, init_from_text};
pub use slot::slot;

/// One target of each width and byte order, one without IRELATIVE, two with glibc,
/// each kind of Mach-O and PE file, and one without proof.
const TARGETS: [&str; 13] = [
    "x86_64-unknown-linux-musl",
    "i686-unknown-linux-musl",
    "s390x-unknown-linux-musl",
    "powerpc-unknown-linux-musl",
    "mips64el-unknown-linux-muslabi64",
    "x86_64-unknown-linux-gnu.2.28",
    "s390x-unknown-linux-gnu",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    "universal2-apple-darwin",
    "x86_64-pc-windows-gnu",
    "i686-pc-windows-msvc",
    "wasm32-wasip1",
];

/// Inspects all bytes but the last, which chooses the target. A refusal has an
/// error, an acceptance has none, and what was found can be written and said.
pub fn linkage(bytes: &[u8]) {
    let Some((choice, file)) = bytes.split_last() else { return };
    let target = Target::parse(TARGETS[usize::from(*choice) % TARGETS.len()])
        .expect("the targets above are triples");
    let suspects = [
        Suspect { krate: "openssl-sys", links: Some("openssl") },
        Suspect { krate: "libz-sys", links: Some("z") },
        Suspect { krate: "glib", links: None },
    ];
    let verdict = inspect(Cursor::new(file), &target, &Place::default(), &suspects);
    let errors =
        |findings: &[Finding]| findings.iter().any(|finding| finding.severity == Severity::Error);
    match &verdict {
        Ok((linkage, findings)) => {
            assert!(!errors(findings), "accepted with an error: {findings:?}");
            let json = serde_json::to_value(linkage).expect("a linkage is JSON");
            assert!(json["format"].is_string(), "{linkage}: {json}");
        }
        Err(findings) => assert!(errors(findings), "refused without an error: {findings:?}"),
    }
}

/// Reads all bytes but the last as a program with lists of crates, and puts one into it; or, as
/// that byte chooses, reads them as a list, or as the JSON in one, which no mutation packs. What
/// was put in is found again, and what is accepted is written and read as the same.
pub fn stamp(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_last() else { return };
    match choice % 3 {
        0 => stamp_program(bytes),
        1 => list(bytes),
        _ => {
            let mut packed = ZlibEncoder::new(Vec::new(), Compression::none());
            packed.write_all(bytes).expect("memory takes it");
            list(&packed.finish().expect("memory takes it"));
        }
    }
}

/// A list of the root alone.
const LIST: &[u8] =
    br#"{"packages":[{"name":"a","version":"1.0.0","source":"local","root":true}],"format":1}"#;

fn stamp_program(bytes: &[u8]) {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::none());
    packed.write_all(LIST).expect("memory takes it");
    let packed = packed.finish().expect("memory takes it");
    let own = List::unpack(&packed).expect("the list above is one");
    let before = stamp::lists(bytes);
    if let Ok(Some(lists)) = &before {
        lists.iter().flatten().for_each(check_list);
    }
    let Ok(stamped) = stamp::put(bytes.to_vec(), &packed) else { return };
    if stamped == bytes {
        // It has one already, which may be damaged.
        assert!(!matches!(before, Ok(None)), "no program is taken for one with a list");
        return;
    }
    assert!(stamped.len() >= bytes.len(), "nothing is taken away");
    let after = stamp::lists(&stamped[..]).expect("what was written is read");
    assert_eq!(after, Some(vec![Some(own)]));
}

fn list(section: &[u8]) {
    if let Ok(list) = List::unpack(section) {
        check_list(&list);
    }
}

fn check_list(list: &List) {
    let all = list.packages.len();
    assert!(list.root().is_some_and(|root| root.root), "{list:?}");
    assert!(list.packages.iter().flat_map(|it| &it.dependencies).all(|at| *at < all), "{list:?}");
    let through = list.through();
    assert_eq!(through.len(), all);
    for (at, mut from) in through.iter().enumerate() {
        // The way back to the root ends.
        let mut steps = 0;
        while let Some(next) = *from {
            assert!(list.packages[next].dependencies.contains(&at) || steps > 0, "{list:?}");
            from = &through[next];
            steps += 1;
            assert!(steps < all, "{list:?}");
        }
    }
    let runtime = list.packages.iter().filter(|it| it.kind == Kind::Runtime).count();
    assert_eq!(list.runtime().count(), runtime);
    let again = List::unpack(&list.pack().expect("what was read is written"));
    assert_eq!(&again.expect("what was written is read"), list);
}

/// Parses any text as a reference. What is accepted is written and parsed to the
/// same, in the full form and the short one.
pub fn reference(bytes: &[u8]) {
    let Ok(reference) = Reference::parse(&String::from_utf8_lossy(bytes)) else { return };
    let again = Reference::parse(&reference.to_string());
    assert_eq!(again.expect("what was written parses"), reference);
    let familiar = Repository::parse(&reference.repository.familiar());
    assert_eq!(familiar.expect("the short form parses"), reference.repository);
}

/// Reads any bytes as a bundle, a statement, its provenance and a key, in PEM form and without it. A public key
/// that is accepted is written and read as the same.
pub fn sign(bytes: &[u8]) {
    if let Ok(bundle) = Bundle::parse(bytes) {
        assert!(format!("{bundle:?}").len() > 6, "what is accepted can be said");
    }
    if let Ok(statement) = Statement::parse(bytes) {
        let again = serde_json::to_vec(&statement).expect("a statement is JSON");
        assert!(Statement::parse(&again).is_ok(), "what was written parses");
        if let Ok(provenance) = Provenance::of(&statement) {
            assert!(!provenance.summary().is_empty(), "what is accepted can be said");
        }
    }
    let pem = |label: &str| {
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
    };
    let text = String::from_utf8_lossy(bytes).into_owned();
    for text in [
        text,
        pem("PRIVATE KEY"),
        pem("EC PRIVATE KEY"),
        pem("PUBLIC KEY"),
        pem("ENCRYPTED SIGSTORE PRIVATE KEY"),
    ] {
        if let Ok(KeyText::Plain(key)) = KeyText::parse(&text) {
            let signature = key.sign(bytes).expect("a key that was read signs");
            assert!(key.public().verifies(bytes, &signature));
        }
        if let Ok(key) = PublicKey::parse(&text) {
            assert_eq!(PublicKey::parse(&key.pem()).expect("what was written parses"), key);
        }
    }
}

/// Reads what a registry answers: challenges, addresses, manifests and files of logins.
/// An address that is accepted is read again as the same, and what it is joined with
/// leads to a host.
pub fn answer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    parse_challenge(&[&text, "Basic"]);
    let base = Url::parse("https://registry.test/v2/a/blobs/uploads/1?_state=x");
    let base = base.expect("the address above is one");
    for url in [Url::parse(&text), base.join(&text)].into_iter().flatten() {
        let whole = format!("{}{}", url.origin, url.target());
        assert_eq!(Url::parse(&whole).expect("what was written parses"), url);
        assert!(!url.origin.host().is_empty() && !whole.contains(['\r', '\n', ' ']), "{whole:?}");
        assert!(!url.to_string().contains('?'), "{url}");
    }
    parse_logins(bytes);
    let absent = |_: &Descriptor, _| Err(anyhow::anyhow!("absent"));
    let blob = |_: &Digest, _| Ok(Blob::Bytes(bytes.into()));
    let reads = Reads { json: &absent, blob: &blob, at_a_time: 1 };
    for media_type in [MediaType::ImageManifest, MediaType::ImageIndex] {
        let raw = Raw::new(bytes.into(), media_type, Digest::of(bytes));
        // Nothing that it could name is there, but for an index of nothing.
        if let Ok(root) = reads.of(raw, &[]) {
            assert_eq!(root.images().len(), 0);
        }
    }
}

/// Reads all bytes but the last as a tar, by reading and by seeking, with the same
/// result. A member without its content is refused. An odd last byte asks for
/// checksums that fit, which no mutation finds.
pub fn tar_reader(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_last() else { return };
    let mut bytes = bytes.to_vec();
    if choice % 2 == 1 {
        mend_checksums(&mut bytes);
    }
    let mut members = Vec::new();
    let read = walk(&bytes[..], |member, content| {
        let mut first = Vec::new();
        content.take(3).read_to_end(&mut first)?;
        let at = usize::try_from(member.at).expect("it lies within the bytes");
        assert!(bytes[at..].starts_with(&first), "{member:?}");
        members.push(member.clone());
        Ok(())
    });
    let mut sought = Vec::new();
    let seeking = walk_file(&mut Cursor::new(&bytes), |member, _| {
        sought.push(member.clone());
        Ok(())
    });
    let findings = check_layer(&bytes[..], &Place::default(), &mut |_| Ok(()));
    match (read, seeking, findings) {
        (Ok(()), Ok(()), Ok(findings)) => {
            assert_eq!(members, sought);
            let inside = |member: &TarMember| member.at + member.size <= bytes.len() as u64;
            assert!(members.iter().all(inside), "{members:?}");
            assert!(findings.len() <= 20, "{findings:?}");
            base_tree(&members);
        }
        (Err(_), Err(seeking), Err(findings)) => {
            assert_eq!(seeking.to_string(), findings.to_string());
        }
        (read, seeking, findings) => panic!("{read:?}, {seeking:?}, {findings:?}"),
    }
}

/// Applies the members as three layers. A resolved path has no link on its way, and a tree
/// that was written is read as the same.
fn base_tree(members: &[TarMember]) {
    let mut tree = BaseTree::default();
    for (member, at) in members.iter().zip(0..) {
        let layer = 1 + at * 3 / members.len();
        if tree.apply(member, u16::try_from(layer).expect("there are three")).is_err() {
            return;
        }
    }
    let again = BaseTree::read(&tree.written().expect("it is small")).expect("it was written");
    for member in members {
        let path = String::from_utf8_lossy(&member.path);
        let (found, same) = (tree.resolve(&path), again.resolve(&path));
        assert_eq!(found, same, "{path:?}");
        let Ok(found) = found else { continue };
        let parts = found.path.match_indices('/').map(|(at, _)| &found.path[..at]);
        for part in parts.chain([&*found.path]) {
            let at = tree.at(part);
            assert!(at.is_none_or(|at| matches!(at, At::Folder(_))), "{part:?}: {at:?}");
        }
    }
}

/// Unpacks all bytes as zstd, to no more than a MiB of it.
pub fn zstd(bytes: &[u8]) {
    let mut unpacked = Zstd::new(bytes).take(1 << 20);
    drop(std::io::copy(&mut unpacked, &mut std::io::sink()));
}

/// Writes into each block that is not all zeros the checksum that a header would have.
fn mend_checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if block.iter().any(|byte| *byte != 0) {
            let mut header = tar::Header::new_old();
            header.as_mut_bytes().copy_from_slice(block);
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
}

/// What values are replaced by: each kind of text that has to be quoted, or cannot be.
const VALUES: [&str; 20] = [
    "v1.2.4",
    "12",
    "0e1",
    "true",
    "",
    " a",
    "a ",
    "a: b",
    "a #b",
    "a\nb",
    "a\n\nb\n",
    "a\n  b\n",
    "\u{e9}\u{2028}\0",
    "[a]",
    "a,b",
    "- a",
    "it's",
    "\"\\",
    "---",
    "2026-01-01",
];

/// Parses all bytes but the last two as YAML, of which one chooses a value and the other
/// what it is replaced by. Nodes stand in the text in their order, each value replaced by
/// itself leaves the bytes as they are, and one replaced by another changes nothing else.
pub fn yaml(bytes: &[u8]) {
    let [bytes @ .., which, what] = bytes else { return };
    let text = &*String::from_utf8_lossy(bytes);
    let documents = match yaml::parse(text) {
        Ok(documents) => documents,
        Err(fault) => return assert!(fault.line > 0 && fault.column > 0, "{fault:?}"),
    };
    let (mut values, mut at) = (Vec::new(), 0);
    documents.iter().for_each(|document| stands(document, text, &mut at, &mut values));
    let same = |value: &&Node| yaml::edit(text, value, value.text().unwrap_or_default());
    let edits: Vec<_> = values.iter().filter_map(same).collect();
    assert_eq!(yaml::replace(text, &edits), text);
    let values: Vec<&Node> = values.into_iter().filter(|value| !value.span.is_empty()).collect();
    if values.is_empty() {
        return;
    }
    let chosen = values[usize::from(*which) % values.len()];
    let value = VALUES[usize::from(*what) % VALUES.len()];
    let Some(edit) = yaml::edit(text, chosen, value) else {
        let rest = text[chosen.span.end..].trim_start();
        return assert!(rest.starts_with([']', '}', ',']), "{chosen:?} in {text:?}");
    };
    let after = yaml::replace(text, &[edit]);
    let changed = yaml::parse(&after).unwrap_or_else(|fault| panic!("{fault:?}: {after:?}"));
    assert_eq!(changed.len(), documents.len(), "{after:?}");
    let mut found = Vec::new();
    for (before, after) in documents.iter().zip(&changed) {
        found.extend(yaml::differences(before, after).expect("the shape is the same"));
    }
    match &found[..] {
        [] => assert_eq!(chosen.text(), Some(value), "{after:?}"),
        [(was, is)] => {
            assert_eq!((was.span.start, is.text()), (chosen.span.start, Some(value)), "{after:?}");
        }
        _ => panic!("{value:?} for {chosen:?} changes {found:?}"),
    }
}

/// That a node and those within it stand where they say, from `at` on; and its values, of
/// which keys are none.
fn stands<'n>(node: &'n Node, text: &str, at: &mut usize, values: &mut Vec<&'n Node>) {
    let span = &node.span;
    assert!(*at <= span.start && text.get(span.clone()).is_some(), "{node:?} in {text:?}");
    let lines = text[..span.start].replace("\r\n", "\n").replace('\r', "\n");
    let line = lines.rsplit('\n').next().unwrap_or_default().trim_start_matches('\u{feff}');
    let place = (lines.matches('\n').count() + 1, line.chars().count() + 1);
    assert_eq!((node.line, node.column), place, "{node:?} in {text:?}");
    *at = span.start;
    match &node.kind {
        NodeKind::Scalar(_) => values.push(node),
        NodeKind::Alias(_) => {}
        NodeKind::List(items) => items.iter().for_each(|item| stands(item, text, at, values)),
        NodeKind::Map(entries) => {
            for (key, value) in entries {
                stands(key, text, at, &mut Vec::new());
                stands(value, text, at, values);
            }
        }
    }
    assert!(*at <= span.end, "{node:?} in {text:?}");
    *at = span.end;
}

/// What replaces a reference, as the name of an image in a registry that is named by a digest.
fn image_of(named: &Named) -> String {
    let name = named.to_string().to_lowercase();
    format!("127.0.0.1:5000/a/{name}@sha256:{}", "0".repeat(64))
}

/// Reads a manifest, with the documents that are selected. What is refused has a place.
fn manifest(text: &str, selector: Option<&str>) -> Option<(Manifest, Vec<Node>)> {
    let selector = selector.map(|it| it.parse().expect("the selectors below are some"));
    let mut documents = Vec::new();
    let mut keep = |document: resolve::Document| documents.push(document.node);
    match resolve::read(Path::new("a.yaml"), text.to_owned(), selector.as_ref(), &mut keep) {
        Ok(manifest) => Some((manifest, documents)),
        Err(findings) => {
            for found in findings {
                assert!(found.place.at.is_some_and(|(line, column)| line > 0 && column > 0));
                assert!(!found.why.is_empty() && !found.fix.is_empty(), "{found:?}");
            }
            None
        }
    }
}

/// Resolves all bytes but the last as a manifest. Without images every byte is kept; with them a
/// reader finds the same documents, in which each reference is an image and nothing else is
/// another. The last byte chooses what is selected then: each of those documents is found again.
pub fn resolve(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_last() else { return };
    let text = &*String::from_utf8_lossy(bytes);
    let Some((read, before)) = manifest(text, None) else { return };
    let one = std::slice::from_ref(&read);
    let kept = resolve::write(one, &|_| None).expect("nothing is to be replaced");
    assert_eq!(kept, text);
    // Where an image has no room for its quotes, that is said.
    let Ok(written) = resolve::write(one, &|named| Some(image_of(named))) else { return };
    if read.references.is_empty() {
        assert_eq!(written, text);
    }
    let Some((again, after)) = manifest(&written, None) else {
        panic!("{written:?} is not read, which was {text:?}");
    };
    assert!(again.references.is_empty(), "{written:?}");
    assert_eq!(before.len(), after.len(), "{written:?}");
    for (before, after) in before.iter().zip(&after) {
        assert!(is_resolved(before, after), "{before:?} is {after:?}");
    }
    let Some((read, before)) = manifest(text, Some(["a", "!a"][usize::from(choice % 2)])) else {
        return;
    };
    let selected = resolve::write(&[read], &|_| None).expect("nothing is to be replaced");
    let Some((_, after)) = manifest(&selected, None) else {
        panic!("{selected:?} is not read, which is of {text:?}");
    };
    assert_eq!(before.len(), after.len(), "{selected:?} is of {text:?}");
    let same = before.iter().zip(&after).all(|(before, after)| is_resolved(before, after));
    assert!(same, "{selected:?} is of {text:?}");
}

/// Whether a node is another one, or the same with images in place of references.
fn is_resolved(before: &Node, after: &Node) -> bool {
    match (&before.kind, &after.kind) {
        // What an anchor names is compared at its own place: aliases of aliases multiply.
        (NodeKind::Alias(before), NodeKind::Alias(after)) => {
            before.text().is_none() || is_resolved(before.target(), after.target())
        }
        (NodeKind::Scalar(before), NodeKind::Scalar(after)) => {
            let (was, is) = (&before.text, &after.text);
            let image = was.trim().strip_prefix("dockless://").map(str::to_lowercase);
            let image = image.map(|name| format!("127.0.0.1:5000/a/{name}@sha256:"));
            was == is || image.is_some_and(|image| is.trim().starts_with(&image))
        }
        (NodeKind::List(before), NodeKind::List(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|(before, after)| is_resolved(before, after))
        }
        (NodeKind::Map(before), NodeKind::Map(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|((key, value), (other, now))| {
                    is_resolved(key, other) && is_resolved(value, now)
                })
        }
        _ => false,
    }
}

/// Installs from all bytes but the last as an archive, or checks them as a manifest, as
/// that one chooses. An odd one asks for checksums that fit, within a gzip, which no
/// mutation finds.
pub fn krew(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_last() else { return };
    let file = Path::new("foo.yaml");
    let findings = match choice % 3 {
        0 => krew::validate(&String::from_utf8_lossy(bytes), file, Archives::None),
        1 => krew::check_archive(bytes, file),
        _ => {
            let mut tar = bytes.to_vec();
            mend_checksums(&mut tar);
            let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
            gzip.write_all(&tar).expect("memory takes it");
            krew::check_archive(&gzip.finish().expect("memory takes it"), file)
        }
    };
    for finding in findings {
        assert!(
            finding.place.at.is_some_and(|(line, column)| line > 0 && column > 0),
            "{finding:?}"
        );
        assert!(!finding.why.is_empty() && !finding.fix.is_empty(), "{finding:?}");
    }
}
