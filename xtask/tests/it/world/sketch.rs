//! Images made by hand, wrong where a test wants them wrong.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{HOST, sha256};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// The architecture of this machine, as images name it.
pub fn here() -> &'static str {
    if HOST.starts_with("aarch64") { "arm64" } else { "amd64" }
}

/// A folder of blobs that becomes a layout.
pub struct Layout {
    pub dir: PathBuf,
}

impl Layout {
    /// Starts anew in the folder.
    pub fn at(dir: &Path) -> Layout {
        fs::remove_dir_all(dir).ok();
        fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Layout { dir: dir.to_owned() }
    }

    pub fn blob(&self, digest: &str) -> PathBuf {
        self.dir.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
    }

    /// Stores a blob and returns its descriptor.
    pub fn put(&self, media_type: &str, bytes: impl AsRef<[u8]>) -> Value {
        let bytes = bytes.as_ref();
        let hex = sha256(bytes);
        fs::write(self.blob(&hex), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len() })
    }

    pub fn json(&self, media_type: &str, value: &Value) -> Value {
        self.put(media_type, value.to_string())
    }

    /// The config of an image for this machine with layers of these tars.
    pub fn config(&self, tars: &[&[u8]]) -> Value {
        self.config_for(here(), tars)
    }

    pub fn config_for(&self, architecture: &str, tars: &[&[u8]]) -> Value {
        let ids: Vec<String> = tars.iter().map(|tar| format!("sha256:{}", sha256(tar))).collect();
        let rootfs = json!({ "type": "layers", "diff_ids": ids });
        let config = json!({ "os": "linux", "architecture": architecture, "rootfs": rootfs });
        self.json(CONFIG, &config)
    }

    /// A manifest, right unless its parts are wrong.
    pub fn manifest(&self, config: &Value, layers: &[Value]) -> Value {
        self.json(MANIFEST, &manifest(config, layers))
    }

    /// A right image of these tars, compressed, for the architecture.
    pub fn image_for(&self, architecture: &str, tars: &[&[u8]]) -> Value {
        let config = self.config_for(architecture, tars);
        let layers: Vec<Value> = tars.iter().map(|tar| self.put(GZIP, gzip(tar))).collect();
        let mut descriptor = self.manifest(&config, &layers);
        descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
        descriptor
    }

    pub fn image(&self, tars: &[&[u8]]) -> Value {
        self.image_for(here(), tars)
    }

    /// Writes index.json.
    pub fn name(&self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        fs::write(self.dir.join("index.json"), index.to_string()).unwrap();
    }
}

pub fn manifest(config: &Value, layers: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers })
}

pub fn index(manifests: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// A header of tar with its checksum. What is said of the size need not be true.
pub fn header(flag: u8, name: &str, target: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    let fields = header.as_old_mut();
    fields.name[..name.len()].copy_from_slice(name.as_bytes());
    fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
    fields.linkflag = [flag];
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A file with its content, filled up.
pub fn file(name: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes = header(b'0', name, "", content.len() as u64);
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// Members, and what ends a tar.
pub fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

/// The files of a folder or of a tar, as a tar keeps them.
pub type Members = Vec<(String, Vec<u8>)>;

/// A tar of these files.
pub fn archive(members: &Members) -> Vec<u8> {
    tar(&members.iter().map(|(name, bytes)| file(name, bytes)).collect::<Vec<_>>())
}

/// The files of an archive, without its folders.
pub fn members(path: &Path) -> Members {
    let mut archive = tar::Archive::new(fs::File::open(path).unwrap());
    let files = archive.entries().unwrap().map(Result::unwrap);
    let files = files.filter(|entry| entry.header().entry_type().is_file());
    files
        .map(|mut entry| {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
        })
        .collect()
}
