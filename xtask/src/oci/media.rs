//! What media types say, Docker's older names too.

use oci_spec::image::MediaType;

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

/// Whether a config is that of a container, and not of an artifact.
pub fn is_config(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageConfig || media_type.as_ref() == DOCKER_CONFIG
}

/// OCI's name for the same kind of layer: a manifest of one kind holds no others.
pub fn oci(media_type: &MediaType) -> MediaType {
    match compression(media_type) {
        Some(Compression::None) => MediaType::ImageLayer,
        Some(Compression::Gzip) => MediaType::ImageLayerGzip,
        Some(Compression::Zstd) => MediaType::ImageLayerZstd,
        None => media_type.clone(),
    }
}

/// Docker's first format, which names no config and cannot be verified.
pub fn is_schema_1(media_type: &str) -> bool {
    media_type.starts_with(DOCKER_SCHEMA_1)
}

/// Whether a layer is kept by others, and need not be where the image is.
/// <https://github.com/opencontainers/image-spec/blob/main/layer.md#non-distributable-layers>
pub fn is_foreign(media_type: &MediaType) -> bool {
    let name = media_type.as_ref();
    name.contains(".nondistributable.") || name.contains(".foreign.")
}

/// How a layer is compressed; `None` for what is no layer of a file system.
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
