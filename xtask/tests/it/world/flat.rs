//! An image as a container sees it: its config, and the files of all layers
//! applied one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use tar::EntryType;

use super::sha256;

/// What an image comes to.
#[derive(Debug)]
pub struct Flat {
    /// The whole config: `architecture`, `os`, `config`, `rootfs`, `history`.
    pub config: Value,
    /// Every file, by its path without a slash at either end.
    pub tree: BTreeMap<String, Node>,
}

/// One file of an image. Times are left out: builders choose their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub what: What,
    pub mode: u32,
    pub owner: (u64, u64),
}

/// What kind of file it is, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Folder,
    /// The digest of its bytes.
    File(String),
    /// Where it leads.
    Symlink(String),
    /// A device or a pipe, by the type byte of its entry.
    Special(u8),
}

/// The image for a platform, such as `linux/arm64`, in a folder in OCI's layout.
/// Without a platform, the only one.
pub fn of_layout(layout: &Path, platform: Option<&str>) -> Flat {
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        let (algorithm, hex) = digest.split_once(':').unwrap();
        let bytes = read(&layout.join("blobs").join(algorithm).join(hex));
        assert_eq!(sha256(&bytes), hex, "{}", layout.display());
        bytes
    };
    let mut index = json(&read(&layout.join("index.json")));
    let manifest = loop {
        let wanted: Vec<&Value> =
            manifests(&index).iter().filter(|it| is_for(it, platform)).collect();
        let [descriptor] = wanted[..] else {
            panic!("{} images for {platform:?} in {index:#}", wanted.len());
        };
        let manifest = json(&blob(descriptor));
        match manifest["manifests"].is_array() {
            true => index = manifest,
            false => break manifest,
        }
    };
    let layers = manifest["layers"].as_array().unwrap().iter().map(blob);
    Flat { config: json(&blob(&manifest["config"])), tree: applied(layers) }
}

/// The only image in a folder that an archive of `docker save` was unpacked into.
pub fn of_docker(folder: &Path) -> Flat {
    let manifest = json(&read(&folder.join("manifest.json")));
    let [image] = &manifest.as_array().unwrap()[..] else { panic!("{manifest:#}") };
    let file = |name: &Value| read(&folder.join(name.as_str().unwrap()));
    let layers = image["Layers"].as_array().unwrap().iter().map(file);
    Flat { config: json(&file(&image["Config"])), tree: applied(layers) }
}

fn manifests(index: &Value) -> &[Value] {
    index["manifests"].as_array().unwrap_or_else(|| panic!("no manifests in {index:#}"))
}

/// Whether a descriptor may lead to the platform. An index of a layout need not
/// tell one, and an attestation tells one that no machine has.
fn is_for(descriptor: &Value, platform: Option<&str>) -> bool {
    let told = &descriptor["platform"];
    let Some(os) = told["os"].as_str() else { return true };
    let mut name = format!("{os}/{}", told["architecture"].as_str().unwrap());
    // arm64's only variant is its default one.
    if let Some(variant) = told["variant"].as_str().filter(|variant| *variant != "v8") {
        name = format!("{name}/{variant}");
    }
    platform.map_or(os != "unknown", |wanted| wanted == name)
}

/// Layers applied in their order, with OCI's whiteouts.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#applying-changesets>
fn applied(layers: impl Iterator<Item = Vec<u8>>) -> BTreeMap<String, Node> {
    let mut tree = BTreeMap::new();
    for layer in layers {
        let reader: Box<dyn Read + '_> = match &layer[..] {
            [0x1f, 0x8b, ..] => Box::new(flate2::read::GzDecoder::new(&layer[..])),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                Box::new(ruzstd::decoding::StreamingDecoder::new(&layer[..]).unwrap())
            }
            _ => Box::new(&layer[..]),
        };
        apply(&mut tree, tar::Archive::new(reader));
    }
    tree
}

fn apply(tree: &mut BTreeMap<String, Node>, mut layer: tar::Archive<Box<dyn Read + '_>>) {
    // A whiteout counts for the layers below, wherever it stands in its own.
    let mut new: BTreeMap<String, Node> = BTreeMap::new();
    for entry in layer.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = normal(&entry.path().unwrap());
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            remove(tree, dir, Gone::Content);
            continue;
        }
        if let Some(name) = name.strip_prefix(".wh.") {
            remove(tree, format!("{dir}/{name}").trim_start_matches('/'), Gone::Whole);
            continue;
        }
        let target = entry.link_name().unwrap().map(|target| target.into_owned());
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let header = entry.header();
        let mode = header.mode().unwrap() & 0o7777;
        let owner = (header.uid().unwrap(), header.gid().unwrap());
        let what = match header.entry_type() {
            EntryType::Directory => What::Folder,
            EntryType::Regular | EntryType::Continuous => What::File(sha256(&bytes)),
            EntryType::Symlink => What::Symlink(target.unwrap().to_str().unwrap().to_owned()),
            EntryType::Link => {
                let target = normal(&target.unwrap());
                let node = new.get(&target).or_else(|| tree.get(&target));
                let node = node.unwrap_or_else(|| panic!("{path} is a link to nothing: {target}"));
                new.insert(path, node.clone());
                continue;
            }
            other => What::Special(other.as_byte()),
        };
        new.insert(path, Node { what, mode, owner });
    }
    for (path, node) in new {
        if node.what != What::Folder {
            remove(tree, &path, Gone::Content);
        }
        tree.insert(path, node);
    }
    // Whether a layer has an entry of the root is up to who made it.
    tree.remove("");
}

/// How much of a folder is removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    Whole,
    Content,
}

fn remove(tree: &mut BTreeMap<String, Node>, path: &str, gone: Gone) {
    let below = if path.is_empty() { String::new() } else { format!("{path}/") };
    tree.retain(|it, _| !it.starts_with(&below) && (gone == Gone::Content || it != path));
}

/// A path of an archive without `./`, and without a slash at either end.
fn normal(path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_str().unwrap()),
        Component::CurDir | Component::RootDir => None,
        Component::ParentDir | Component::Prefix(_) => panic!("{} leaves its root", path.display()),
    });
    parts.collect::<Vec<_>>().join("/")
}

fn read(path: &PathBuf) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn layers_hide_what_is_below_them() {
    let layer = |entries: &[(&str, EntryType, &str)]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_uid(1);
            header.set_gid(2);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    };
    let (file, dir) = (EntryType::Regular, EntryType::Directory);
    let lower = [
        ("a/", dir, ""),
        ("a/one", file, "1"),
        ("a/two", file, "2"),
        ("b/", dir, ""),
        ("b/x", file, "x"),
        ("c/", dir, ""),
        ("c/deep", file, "d"),
    ];
    let upper = [
        ("a/.wh.one", file, ""),
        ("b/new", file, "n"),
        ("b/.wh..wh..opq", file, ""),
        ("c", file, "now a file"),
    ];
    let tree = applied([layer(&lower), layer(&upper)].into_iter());
    assert_eq!(tree.keys().collect::<Vec<_>>(), ["a", "a/two", "b", "b/new", "c"]);
    let what = What::File(sha256(b"now a file"));
    assert_eq!(tree["c"], Node { what, mode: 0o644, owner: (1, 2) });
}
