//! Media types: OCI's, and Docker's older names for the same.

use super::spec::MediaType;

/// How a layer's tar is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// <https://github.com/distribution/distribution/blob/main/docs/content/spec/manifest-v2-2.md>
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+";

pub fn is_image(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageManifest || media_type.as_ref() == DOCKER_MANIFEST
}

pub fn is_index(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageIndex || media_type.as_ref() == DOCKER_LIST
}

/// Whether a config is a container's, and not an artifact's.
pub fn is_config(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageConfig || media_type.as_ref() == DOCKER_CONFIG
}

/// OCI's name for the same kind of layer. An OCI manifest must not mix in Docker's names.
pub fn oci(media_type: &MediaType) -> MediaType {
    match compression(media_type) {
        Some(Compression::None) => MediaType::ImageLayer,
        Some(Compression::Gzip) => MediaType::ImageLayerGzip,
        Some(Compression::Zstd) => MediaType::ImageLayerZstd,
        None => media_type.clone(),
    }
}

/// Whether it is Docker's first format, which has no config and cannot be verified.
pub fn is_schema_1(media_type: &str) -> bool {
    media_type.starts_with(DOCKER_SCHEMA_1)
}

/// Whether others distribute a layer, so that it may be missing beside the image.
/// <https://github.com/opencontainers/image-spec/blob/main/layer.md#non-distributable-layers>
pub fn is_foreign(media_type: &MediaType) -> bool {
    let name = media_type.as_ref();
    name.contains(".nondistributable.") || name.contains(".foreign.")
}

/// How a layer is compressed; `None` where it is not a layer of a file system.
pub fn compression(media_type: &MediaType) -> Option<Compression> {
    Some(match media_type {
        MediaType::ImageLayer | MediaType::ImageLayerNonDistributable => Compression::None,
        MediaType::ImageLayerGzip | MediaType::ImageLayerNonDistributableGzip => Compression::Gzip,
        MediaType::ImageLayerZstd | MediaType::ImageLayerNonDistributableZstd => Compression::Zstd,
        MediaType::Other(name) => match &**name {
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Compression::Gzip,
            "application/vnd.docker.image.rootfs.diff.tar" => Compression::None,
            _ => return None,
        },
        _ => return None,
    })
}
