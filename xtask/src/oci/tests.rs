//! The bytes of images, pinned.

use std::collections::BTreeMap;

use std::path::Path;

use indicatif::ProgressBar;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::entry::{Content, LayerEntry, Node};
use super::{Parts, RawIndex, Root, base, build_image, layer, rootfs, validate};
use crate::cache::Cache;
use crate::config::{self, ImageFile, ImageNode, Owner, User};
use crate::digest::Digest;
use crate::files;
use crate::linkage::Binaries;
use crate::plan::{Compression, ImageConfig, ImagePlan, ImagePlatform};
use crate::reference::{Reference, Stored};
use crate::target::Target;
use crate::term::Term;

/// The message where pinned bytes have changed.
const RAISE: &str = "raise LAYOUT in oci/layer.rs, and VERSION_ID in os-release with it, pin the \
                     new digest, and say it in the changelog";

fn bytes(path: &str, mode: u32, bytes: Vec<u8>) -> LayerEntry {
    let node = Node::File(Content::Bytes(bytes.into()));
    LayerEntry { path: path.to_owned(), node, mode, uid: 65532, gid: 7, time: 0 }
}

/// Several blocks of a compressor, a name that needs a PAX header, and each kind of entry.
fn sample() -> Vec<LayerEntry> {
    let program = (0..400_000u32).flat_map(|i| (i.wrapping_mul(i >> 3) % 8191).to_le_bytes());
    let long = format!("usr/share/{}/x", "n".repeat(120));
    let entry = |path: &str, node| LayerEntry {
        path: path.to_owned(),
        node,
        mode: 0o755,
        uid: 0,
        gid: 0,
        time: 0,
    };
    vec![
        entry("usr", Node::Dir),
        bytes("usr/program", 0o755, program.collect()),
        entry("usr/same", Node::Hardlink("usr/program".to_owned())),
        bytes(&long, 0o640, b"long".to_vec()),
        entry("usr/to", Node::Symlink(format!("../{long}"))),
    ]
}

fn made(entries: &[LayerEntry], compression: Compression) -> (String, String) {
    let blobs = Cache::none().blobs().unwrap();
    let (cache, bar) = (Cache::none(), ProgressBar::hidden());
    let layer = layer::layer(entries, compression, &cache, &blobs, &bar, &|_| {}).unwrap();
    (layer.descriptor.digest.hex(), layer.diff_id.hex())
}

#[test]
fn the_bytes_of_layers_are_pinned() {
    for (entries, digest, diff_id) in [
        (
            sample(),
            "b8237e37c3edbc7210c6be2cd304d02ae36e6751af97ba99ac56d6b520c3bb95",
            "1e880e558e73134913286c401ca27061ad8cb59852d35e5518678f37a6ed863e",
        ),
        (
            rootfs::entries(),
            "944680d6be84cf377e22ba6a2458b62c29c1d60634c596e58bd26c3b696b9ab7",
            "56ede8a95b0e7cab440aa38a169182327240e68d31e830a06eaaa34142127eec",
        ),
    ] {
        let made = |compression| made(&entries, compression);
        assert_eq!(made(Compression::Gzip), (digest.to_owned(), diff_id.to_owned()), "{RAISE}");
        // Without compression, what is stored is what is unpacked.
        assert_eq!(made(Compression::None), (diff_id.to_owned(), diff_id.to_owned()), "{RAISE}");
    }
}

fn plan(dir: &Path, targets: &[&str]) -> ImagePlan {
    let file = dir.join("a.txt");
    files::write(&file, b"text").unwrap();
    let map = |name: &str| BTreeMap::from([(name.to_owned(), "value".to_owned())]);
    let owner = Owner { uid: 1, gid: 2 };
    let to = "srv/data/a.txt".to_owned();
    ImagePlan {
        name: "tool".to_owned(),
        package: "tool".to_owned(),
        version: "1.2.3".parse().unwrap(),
        platforms: targets
            .iter()
            .map(|name| Target::parse(name).unwrap())
            .map(|target| ImagePlatform { platform: target.platform().unwrap(), target })
            .collect(),
        bins: Vec::new(),
        bin_dir: "/usr/local/bin".to_owned(),
        base: config::Base::Builtin,
        compression: Compression::Gzip,
        files: vec![ImageFile { to, node: ImageNode::File(file), mode: 0o600, owner }],
        licenses: None,
        names: vec![Reference::parse("tool:1.2.3").unwrap()],
        moves_latest: false,
        config: ImageConfig {
            entrypoint: vec!["/usr/local/bin/tool".to_owned()],
            cmd: vec!["serve".to_owned()],
            default_env: map("PATH"),
            env: map("MORE"),
            user: User { uid: 65532, gid: None },
            workdir: Some("/home/nonroot".to_owned()),
            ports: vec!["80/tcp".to_owned(), "443/tcp".to_owned()],
            volumes: vec!["/data".to_owned()],
            stop_signal: Some("SIGINT".to_owned()),
            labels: map("org.opencontainers.image.title"),
            annotations: map("org.opencontainers.image.title"),
        },
    }
}

fn image(targets: &[&str]) -> Root {
    let dir = tempfile::tempdir().unwrap();
    image_of(&plan(dir.path(), targets), dir.path())
}

fn image_of(plan: &ImagePlan, dir: &Path) -> Root {
    let cache = Cache::at(&dir.join("cache"));
    let base = base(plan, &cache, &Term::silent()).unwrap();
    let time = Timestamp::constant(1_700_000_000, 0);
    let blobs = cache.blobs().unwrap();
    let (none, bar) = (Binaries::default(), ProgressBar::hidden());
    let licenses = |it: &ImagePlatform| (it.target.clone(), format!("of {}\n", it.target));
    let licenses = plan.platforms.iter().map(licenses).collect();
    let parts = Parts { binaries: &none, licenses: &licenses, tell: &|_| {} };
    let build = || build_image(plan, &base, parts, time, &cache, &blobs, &bar);
    let root = build().unwrap();
    assert_eq!(validate(&root), []);
    // From the cache it is the same.
    assert_eq!(build().unwrap().digest(), root.digest());
    root
}

#[test]
fn the_bytes_of_images_are_pinned() {
    let (x86, arm) = ("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl");
    let one = image(&[x86]);
    assert!(matches!(one, Root::Image(_)), "one platform makes a manifest alone");
    assert_eq!(
        one.digest().hex(),
        "76b44a716a6f391c5d466ba42c7c16f35108862723715b16e77c19a9ea7b7d4e",
        "{RAISE}"
    );
    let both = image(&[x86, arm]);
    assert_eq!(both.images().len(), 2);
    assert_eq!(
        both.digest().hex(),
        "39d46e89b62c8e2c986536680dccf2e268c367e98126a1e9acd4b5c7bf57aa40",
        "{RAISE}"
    );
}

/// Puts a blob into a layout, and returns its descriptor.
fn put(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes);
    let folder = layout.join("blobs/sha256");
    files::make_dir(&folder).unwrap();
    files::write(&folder.join(digest.hex()), bytes).unwrap();
    let media_type = format!("application/vnd.oci.image.{media_type}");
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

/// A base's config and its layers have fields that oci-spec does not model.
#[test]
fn what_a_base_says_beyond_the_specification_survives() {
    let dir = tempfile::tempdir().unwrap();
    let layout = dir.path().join("base");
    let mut layer = put(&layout, "layer.v1.tar", &[0; 1024]);
    layer["urls"] = json!(["https://example.test/layer"]);
    layer["annotations"] = json!({ "of": "the layer" });
    layer["com.example.more"] = json!({ "kept": [1, null] });
    let step = json!({ "created_by": "base", "com.example.step": 7 });
    let kept = json!({
        "Healthcheck": { "Test": ["CMD", "/probe"], "Interval": 30_000_000_000_u64 },
        "OnBuild": ["RUN true"],
        "Shell": ["/bin/bash", "-c"],
        "com.example.run": { "deep": [true] },
    });
    let mut container = kept.clone();
    container["Cmd"] = json!(["old"]);
    container["Labels"] = json!({ "old": "label" });
    container["Domainname"] = Value::Null;
    let config = json!({
        "architecture": "amd64",
        "author": "somebody",
        "com.example.top": ["kept"],
        "config": container,
        "history": [step],
        "os": "linux",
        "os.version": "1.2",
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(&[0; 1024])] },
    });
    let config = put(&layout, "config.v1+json", config.to_string().as_bytes());
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
    let manifest = put(&layout, "manifest.v1+json", manifest.to_string().as_bytes());
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    files::write(&layout.join("index.json"), index.to_string().as_bytes()).unwrap();
    files::write(&layout.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();

    let mut plan = plan(dir.path(), &["x86_64-unknown-linux-musl"]);
    let stored = Stored::parse(&format!("oci:{}", layout.display())).unwrap().unwrap();
    plan.base = config::Base::Stored(stored);
    let Root::Image(image) = image_of(&plan, dir.path()) else { panic!("it has one platform") };
    let manifest: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    assert_eq!(manifest["layers"][0], layer);
    let config: Value = serde_json::from_slice(&image.config.bytes).unwrap();
    assert_eq!(config["history"][0], step);
    assert_eq!(config["com.example.top"], json!(["kept"]));
    assert_eq!((&config["os.version"], config.get("author")), (&json!("1.2"), None));
    let container = config["config"].as_object().unwrap();
    for (name, value) in kept.as_object().unwrap() {
        assert_eq!(&container[name], value, "{name}");
    }
    assert_eq!(container["Cmd"], json!(["serve"]));
    assert_eq!(container["Labels"].get("old"), None);
    assert_eq!(container.get("Domainname"), None);
}

/// Adding an image to a layout rewrites the index that others wrote.
#[test]
fn an_index_is_written_as_it_was_read() {
    let digest = format!("sha512:{}", "a".repeat(128));
    let index = json!({
        "schemaVersion": 2,
        "annotations": { "of": "the index" },
        "com.example.more": [1],
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": 7,
            "artifactType": "text/plain",
            "platform": {
                "architecture": "amd64",
                "os": "windows",
                "os.version": "10.0.14393.1066",
                "com.example.more": 1,
            },
            "data": "e30=",
            "com.example.more": { "kept": true },
        }],
    });
    let read: RawIndex = super::parse(index.to_string().as_bytes(), "it").unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), index);
    let error = read.manifests[0].parse().unwrap_err().to_string();
    assert!(error.contains("is a sha512 digest, and only sha256 is read"), "{error}");
}

/// The builtin base names the layout's version.
#[test]
fn the_systems_version_is_the_layouts() {
    let entries = rootfs::entries();
    let release = entries.iter().find(|entry| entry.path == "usr/lib/os-release").unwrap();
    let Node::File(Content::Bytes(text)) = &release.node else { panic!("{release:?}") };
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains(&format!("VERSION_ID=\"{}\"\n", layer::LAYOUT)), "{RAISE}: {text}");
}
