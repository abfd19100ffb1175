use std::collections::{BTreeMap, BTreeSet};

use arbtest::arbitrary::{Result, Unstructured};
use serde_json::Value;

use super::image::{Base, Image};
use super::*;
use crate::config::{self, ImageFile, ImageNode, Owner, User};
use crate::plan::{Compression, ImageConfig, ImagePlan};
use crate::project::crates::{self, Crate, Dependency};
use crate::project::{Graph, NativeCrate};
use crate::reference::{Reference, Repository};
use crate::target::{Platform, Target};
use crate::version::Version;

const LINUX: &str = "x86_64-unknown-linux-musl";

/// Names that crates have, and what no registry would take.
const NAMES: [&str; 8] = ["serde", "a-b", "a_b", "a.b", "ring", "", "a b/©#?", "SPDXRef-DOCUMENT"];
const VERSIONS: [&str; 4] = ["1.0.0", "0.1.0-rc.1+b%2", "1.0.0-a", "0.0.0"];
const SOURCES: [&str; 7] = [
    "registry+https://github.com/rust-lang/crates.io-index",
    "sparse+https://user:secret@crates.example/index/",
    "registry+https://crates.example/index",
    "git+https://token@example.com/a/b?branch=x#0123456789abcdef",
    "git+ssh://git@example.com/a/b.git#0123456789abcdef",
    "git+file:///srv/a b?rev=1#0123456789abcdef",
    "",
];
const LICENSES: [&str; 8] =
    ["MIT", "MIT/Apache-2.0", "GPL-3.0+", "Acme", "Acme OR MIT", "", "see ©", "LicenseRef-a"];
const DIRS: [&str; 4] = ["/p", "/p/x y/z", "/elsewhere", "/p2"];

fn graph(u: &mut Unstructured<'_>) -> Result<Graph> {
    let count = u.int_in_range(1..=8)?;
    let mut crates = Vec::new();
    for at in 0..count {
        let count_of = u.int_in_range(0..=3)?;
        let kinds = [crates::Kind::Normal, crates::Kind::Build];
        let dependencies = (0..count_of).map(|_| {
            let index = u.int_in_range(0..=count - 1)?;
            Ok(Dependency { index, kind: *u.choose(&kinds)? })
        });
        let dependencies = dependencies.collect::<Result<_>>()?;
        let source = (*u.choose(&SOURCES)?).to_owned();
        let license = Some((*u.choose(&LICENSES)?).to_owned()).filter(|it| it != "MIT");
        crates.push(Crate {
            name: (*u.choose(&NAMES)?).to_owned(),
            version: (*u.choose(&VERSIONS)?).to_owned(),
            source: Some(source).filter(|source| !source.is_empty()),
            host: u.arbitrary()?,
            features: Vec::new(),
            proc_macro: u.ratio(1, 4)?,
            exports: false,
            root: at == 0,
            dependencies,
            license,
            license_file: None,
            dir: (*u.choose(&DIRS)?).into(),
            checksum: u.arbitrary::<bool>()?.then(|| "ab".repeat(32)),
        });
    }
    let native = crates.iter().filter(|krate| krate.name.len() == 4).map(|krate| NativeCrate {
        name: krate.name.clone(),
        version: krate.version.clone(),
        links: Some("z".to_owned()),
        builders: vec!["cc".to_owned()],
        features: Vec::new(),
    });
    let native = native.collect();
    Ok(Graph { crates, native, ..Graph::default() })
}

fn image_plan() -> ImagePlan {
    let repository = Repository::parse("ghcr.io/acme/tool").unwrap();
    let tag = crate::reference::Tag::parse("latest").unwrap();
    ImagePlan {
        name: "tool".to_owned(),
        package: "tool".to_owned(),
        version: "1.2.3".parse().unwrap(),
        platforms: Vec::new(),
        bins: vec!["tool".to_owned()],
        bin_dir: "/usr/local/bin".to_owned(),
        base: config::Base::Builtin,
        compression: Compression::Gzip,
        files: vec![ImageFile {
            to: "a".to_owned(),
            node: ImageNode::File("/p/a".into()),
            mode: 0o755,
            owner: Owner::default(),
        }],
        names: vec![repository.tagged(&tag)],
        moves_latest: true,
        licenses: None,
        config: ImageConfig {
            entrypoint: Vec::new(),
            cmd: Vec::new(),
            default_env: BTreeMap::new(),
            env: BTreeMap::new(),
            user: User { uid: 1, gid: None },
            workdir: None,
            ports: Vec::new(),
            volumes: Vec::new(),
            stop_signal: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        },
    }
}

/// The documents of a program, of images with it, and of an index of them.
fn documents(u: &mut Unstructured<'_>) -> Result<Vec<Document>> {
    let (one, two) = (graph(u)?, graph(u)?);
    let origin = Origin {
        repository: u.arbitrary::<bool>()?.then(|| "https://example.com/acme/tool".to_owned()),
        commit: u.arbitrary::<bool>()?.then(|| "0123".to_owned()),
        root: "/p".into(),
    };
    let (version, target): (Version, _) = ("1.2.3".parse().unwrap(), Target::parse(LINUX).unwrap());
    let program = |graph| Program {
        bin: "tool",
        version: &version,
        target: &target,
        sha256: Some(Digest::of(b"tool")),
        graphs: vec![graph],
        origin: &origin,
    };
    let time = Timestamp::constant(1_700_000_000, 0);
    let platforms = ["linux/amd64", "linux/arm64"].map(|name| Platform::parse(name).unwrap());
    let base: Reference = Reference::parse("gcr.io/distroless/static:nonroot").unwrap();
    let digest = Digest::of(b"base");
    let bases = [
        Base::Builtin,
        Base::Foreign { name: Some(&base), digest, sboms: Vec::new() },
        Base::Scratch,
    ];
    let images = platforms.iter().zip([&one, &two]).map(|(platform, graph)| {
        let programs = vec![program(graph)];
        let digest = Digest::of(platform.to_string().as_bytes());
        Ok(Image { platform, digest, programs, base: u.choose(&bases)?.clone() })
    });
    let images = images.collect::<Result<Vec<_>>>()?;
    let plan = image_plan();
    let both = Program { graphs: vec![&one, &two], ..program(&one) };
    Ok(vec![
        of_program(&both, time),
        of_image(&plan, &images[0], time),
        of_index(&plan, Digest::of(b"index"), &images, time),
    ])
}

fn texts<'a>(values: &'a Value, key: &str) -> Vec<&'a str> {
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().filter_map(|value| value[key].as_str()).collect()
}

/// Requires a package URL that reads back to name and version.
fn read_purl(purl: &str, name: &str, version: Option<&str>) {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, after @ ..] = rest {
            rest = after;
            match first {
                b'%' => {
                    let hex = std::str::from_utf8(&rest[..2]).unwrap();
                    bytes.push(u8::from_str_radix(hex, 16).unwrap());
                    rest = &rest[2..];
                }
                b'?' | b'#' | b'@' | b' ' | b'+' | 0x80.. => panic!("{text} is not encoded"),
                byte => bytes.push(*byte),
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let text = purl.strip_prefix("pkg:").unwrap();
    let text = text.split_once('#').map_or(text, |(text, subpath)| {
        decode(subpath);
        text
    });
    let (text, qualifiers) = text.split_once('?').unwrap_or((text, ""));
    let mut keys = Vec::new();
    for qualifier in qualifiers.split('&').filter(|it| !it.is_empty()) {
        let (key, value) = qualifier.split_once('=').unwrap();
        assert!(!decode(value).is_empty(), "{purl}");
        keys.push(key);
    }
    assert!(keys.is_sorted(), "{purl}");
    let (kind, rest) = text.split_once('/').unwrap();
    let (encoded, at) = rest.split_once('@').unwrap();
    if kind == "cargo" && decode(encoded) != "webpki-root-certs" {
        assert_eq!((&*decode(encoded), Some(&*decode(at))), (name, version), "{purl}");
    }
}

fn check_spdx(text: &[u8]) -> String {
    let spdx: Value = serde_json::from_slice(text).unwrap();
    let ids = texts(&spdx["packages"], "SPDXID");
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len());
    for id in &ids {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let name = id.strip_prefix("SPDXRef-").unwrap();
        assert!(*id != "SPDXRef-DOCUMENT" && name.chars().all(plain), "{id}");
    }
    let relationships = &spdx["relationships"];
    let ends = [texts(relationships, "spdxElementId"), texts(relationships, "relatedSpdxElement")];
    for id in ends.iter().flatten().filter(|id| **id != "SPDXRef-DOCUMENT") {
        assert!(unique.contains(id), "{id}");
    }
    let described = relationships.as_array().unwrap().iter();
    let described = described.filter(|it| it["relationshipType"] == "DESCRIBES");
    let described: Vec<&Value> = described.map(|it| &it["relatedSpdxElement"]).collect();
    assert_eq!(described, [ids[0]]);
    // All are reached from what the document is about.
    let mut reached = BTreeSet::from([ids[0]]);
    loop {
        let known = reached.len();
        for (from, to) in ends[0].iter().zip(&ends[1]) {
            if reached.contains(from) || reached.contains(to) {
                reached.extend([*from, *to]);
            }
        }
        if reached.len() == known {
            break;
        }
    }
    let listed = texts(&spdx["hasExtractedLicensingInfos"], "licenseId");
    for package in spdx["packages"].as_array().unwrap() {
        let license = package["licenseDeclared"].as_str().unwrap();
        for word in license.split([' ', '(', ')']).filter(|it| it.starts_with("LicenseRef-")) {
            assert!(listed.contains(&word), "{license}");
        }
        let (name, version) = (package["name"].as_str().unwrap(), package["versionInfo"].as_str());
        for purl in texts(&package["externalRefs"], "referenceLocator") {
            read_purl(purl, name, version);
        }
    }
    spdx["documentNamespace"].as_str().unwrap().to_owned()
}

fn check_cyclonedx(text: &[u8]) -> String {
    let bom: Value = serde_json::from_slice(text).unwrap();
    let first = bom["metadata"]["component"]["bom-ref"].as_str().unwrap();
    let mut ids = texts(&bom["components"], "bom-ref");
    ids.push(first);
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len());
    let dependencies = bom["dependencies"].as_array().unwrap();
    let refs: BTreeSet<&str> = texts(&bom["dependencies"], "ref").into_iter().collect();
    assert_eq!(refs, unique);
    for on in dependencies.iter().filter_map(|it| it["dependsOn"].as_array()).flatten() {
        assert!(unique.contains(on.as_str().unwrap()), "{on}");
    }
    bom["serialNumber"].as_str().unwrap().to_owned()
}

#[test]
fn all_names_in_a_document_are_of_something_in_it() {
    let mut names: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    arbtest::arbtest(|u| {
        for document in documents(u)? {
            for (format, check) in [
                (SbomFormat::Spdx, check_spdx as fn(&[u8]) -> String),
                (SbomFormat::CycloneDx, check_cyclonedx),
            ] {
                let text = document.write(format).unwrap();
                let name = check(&text);
                let hex = name.strip_prefix("urn:uuid:").unwrap();
                let lengths: Vec<usize> = hex.split('-').map(str::len).collect();
                assert_eq!(lengths, [8, 4, 4, 4, 12], "{name}");
                let [version, variant] = [14, 19].map(|at| char::from(hex.as_bytes()[at]));
                assert!(version == '8' && "89ab".contains(variant), "{name}");
                assert!(!text.windows(6).any(|it| it == b"secret" || it == b"token@"));
                // One name is of one document.
                let other = names.entry(name).or_insert_with(|| text.clone());
                assert!(*other == text);
            }
        }
        Ok(())
    });
}

#[test]
fn a_crate_is_named_by_where_it_comes_from() {
    let krate = |source: &str, dir: &str| Crate {
        name: "a".to_owned(),
        version: "1.0.0+x".to_owned(),
        source: Some(source.to_owned()).filter(|source| !source.is_empty()),
        host: false,
        features: Vec::new(),
        proc_macro: false,
        exports: false,
        root: true,
        dependencies: Vec::new(),
        license: None,
        license_file: None,
        dir: dir.into(),
        checksum: None,
    };
    let own = "https://example.com/acme/tool";
    let known = Origin {
        repository: Some(own.to_owned()),
        commit: Some("0123".to_owned()),
        root: "/p".into(),
    };
    let changed = Origin { commit: None, ..known.clone() };
    let unknown = Origin { repository: None, ..known.clone() };
    let (version, target) = ("1.0.0".parse().unwrap(), Target::parse(LINUX).unwrap());
    for (source, dir, origin, purl, download) in [
        (
            SOURCES[0],
            "/home/a",
            &known,
            Some("pkg:cargo/a@1.0.0%2Bx"),
            "https://static.crates.io/crates/a/a-1.0.0+x.crate",
        ),
        (
            SOURCES[1],
            "/home/a",
            &known,
            Some("pkg:cargo/a@1.0.0%2Bx?repository_url=https://crates.example/index/"),
            "NOASSERTION",
        ),
        (
            SOURCES[3],
            "/home/a",
            &known,
            Some("pkg:cargo/a@1.0.0%2Bx?vcs_url=git%2Bhttps://example.com/a/b%400123456789abcdef"),
            "git+https://example.com/a/b@0123456789abcdef",
        ),
        (
            SOURCES[5],
            "/home/a",
            &known,
            Some("pkg:cargo/a@1.0.0%2Bx?vcs_url=git%2Bfile:///srv/a%20b%400123456789abcdef"),
            "NOASSERTION",
        ),
        (
            "",
            "/p",
            &known,
            Some("pkg:cargo/a@1.0.0%2Bx?vcs_url=git%2Bhttps://example.com/acme/tool%400123"),
            "git+https://example.com/acme/tool@0123",
        ),
        (
            "",
            "/p/b/c",
            &changed,
            Some("pkg:cargo/a@1.0.0%2Bx?vcs_url=git%2Bhttps://example.com/acme/tool#b/c"),
            "git+https://example.com/acme/tool#b/c",
        ),
        (
            "",
            "/p/b",
            &unknown,
            Some("pkg:cargo/a@1.0.0%2Bx?download_url=file://./b"),
            "NOASSERTION",
        ),
        ("", "/elsewhere/a", &known, None, "NOASSERTION"),
    ] {
        let graph = Graph { crates: vec![krate(source, dir)], ..Graph::default() };
        let program = Program {
            bin: "tool",
            version: &version,
            target: &target,
            sha256: None,
            graphs: vec![&graph],
            origin,
        };
        let document = of_program(&program, Timestamp::constant(0, 0));
        let spdx: Value =
            serde_json::from_slice(&document.write(SbomFormat::Spdx).unwrap()).unwrap();
        let found = &spdx["packages"][1];
        assert_eq!(found["downloadLocation"], download, "{source} {dir}");
        assert_eq!(found["externalRefs"][0]["referenceLocator"].as_str(), purl, "{source} {dir}");
    }
}

#[test]
fn what_only_builds_use_is_told_from_what_is_shipped() {
    let krate = |name: &str, host, proc_macro, dependencies: &[(usize, crates::Kind)]| Crate {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        source: Some(SOURCES[0].to_owned()),
        host,
        features: Vec::new(),
        proc_macro,
        exports: false,
        root: name == "tool",
        dependencies: dependencies
            .iter()
            .map(|(index, kind)| Dependency { index: *index, kind: *kind })
            .collect(),
        license: None,
        license_file: None,
        dir: "/c".into(),
        checksum: None,
    };
    use crates::Kind::{Build, Normal};
    let crates = vec![
        krate("cc", true, false, &[]),
        krate("derive", true, true, &[(3, Normal)]),
        krate("syn", false, false, &[]),
        krate("syn", true, false, &[]),
        krate("tool", false, false, &[(1, Normal), (2, Normal), (5, Normal)]),
        krate("zlib-sys", false, false, &[(0, Build)]),
    ];
    let native = vec![NativeCrate {
        name: "zlib-sys".to_owned(),
        version: "1.0.0".to_owned(),
        links: Some("z".to_owned()),
        builders: vec!["cc".to_owned(), "pkg-config".to_owned()],
        features: Vec::new(),
    }];
    let graph = Graph { crates, native, ..Graph::default() };
    let (version, target) = ("1.0.0".parse().unwrap(), Target::parse(LINUX).unwrap());
    let origin = Origin::default();
    let program = Program {
        bin: "tool",
        version: &version,
        target: &target,
        sha256: None,
        graphs: vec![&graph],
        origin: &origin,
    };
    let document = of_program(&program, Timestamp::constant(0, 0));
    let spdx: Value = serde_json::from_slice(&document.write(SbomFormat::Spdx).unwrap()).unwrap();
    let short = |value: &Value| value.as_str().unwrap().replace("SPDXRef-", "");
    let relationships = spdx["relationships"].as_array().unwrap().iter().map(|it| {
        let kind = it["relationshipType"].as_str().unwrap();
        format!("{} {kind} {}", short(&it["spdxElementId"]), short(&it["relatedSpdxElement"]))
    });
    assert_eq!(
        relationships.collect::<Vec<_>>(),
        [
            "DOCUMENT DESCRIBES Program-tool-1.0.0",
            "Program-tool-1.0.0 DEPENDS_ON Crate-tool-1.0.0",
            "Crate-tool-1.0.0 DEPENDS_ON Crate-syn-1.0.0",
            "Crate-tool-1.0.0 DEPENDS_ON Crate-zlib-sys-1.0.0",
            "ProcMacro-derive-1.0.0 BUILD_TOOL_OF Crate-tool-1.0.0",
            "Crate-zlib-sys-1.0.0 DEPENDS_ON Native-zlib-sys--native-code",
            "BuildCrate-cc-1.0.0 BUILD_DEPENDENCY_OF Crate-zlib-sys-1.0.0",
            "ProcMacro-derive-1.0.0 DEPENDS_ON BuildCrate-syn-1.0.0",
        ]
    );
    let bom = document.write(SbomFormat::CycloneDx).unwrap();
    let bom: Value = serde_json::from_slice(&bom).unwrap();
    let scopes = bom["components"].as_array().unwrap().iter();
    let scopes = scopes.map(|it| format!("{} {}", short(&it["bom-ref"]), short(&it["scope"])));
    assert_eq!(
        scopes.collect::<Vec<_>>(),
        [
            "Crate-syn-1.0.0 required",
            "Crate-tool-1.0.0 required",
            "Crate-zlib-sys-1.0.0 required",
            "Native-zlib-sys--native-code required",
            "ProcMacro-derive-1.0.0 excluded",
            "BuildCrate-cc-1.0.0 excluded",
            "BuildCrate-syn-1.0.0 excluded",
        ]
    );
}
