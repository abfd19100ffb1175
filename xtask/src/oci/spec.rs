//! The words of OCI's image specification: media types, digests, and the config of an image.
//! Tests compare them with the crate oci-spec, which brings more than forty others.
//! <https://github.com/opencontainers/image-spec/blob/main/spec.md>

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;

/// <https://github.com/opencontainers/image-spec/blob/main/media-types.md>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum MediaType {
    ImageIndex,
    ImageManifest,
    ImageConfig,
    ImageLayer,
    ImageLayerGzip,
    ImageLayerZstd,
    ImageLayerNonDistributable,
    ImageLayerNonDistributableGzip,
    ImageLayerNonDistributableZstd,
    EmptyJson,
    Other(String),
}

const NAMES: [(MediaType, &str); 10] = [
    (MediaType::ImageIndex, "application/vnd.oci.image.index.v1+json"),
    (MediaType::ImageManifest, "application/vnd.oci.image.manifest.v1+json"),
    (MediaType::ImageConfig, "application/vnd.oci.image.config.v1+json"),
    (MediaType::ImageLayer, "application/vnd.oci.image.layer.v1.tar"),
    (MediaType::ImageLayerGzip, "application/vnd.oci.image.layer.v1.tar+gzip"),
    (MediaType::ImageLayerZstd, "application/vnd.oci.image.layer.v1.tar+zstd"),
    (
        MediaType::ImageLayerNonDistributable,
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
    ),
    (
        MediaType::ImageLayerNonDistributableGzip,
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ),
    (
        MediaType::ImageLayerNonDistributableZstd,
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ),
    (MediaType::EmptyJson, "application/vnd.oci.empty.v1+json"),
];

impl From<&str> for MediaType {
    fn from(name: &str) -> MediaType {
        let known = NAMES.into_iter().find(|(_, known)| *known == name);
        known.map_or_else(|| MediaType::Other(name.to_owned()), |(media_type, _)| media_type)
    }
}

impl From<String> for MediaType {
    fn from(name: String) -> MediaType {
        MediaType::from(&*name)
    }
}

impl From<MediaType> for String {
    fn from(media_type: MediaType) -> String {
        media_type.as_ref().to_owned()
    }
}

impl AsRef<str> for MediaType {
    fn as_ref(&self) -> &str {
        if let MediaType::Other(name) = self {
            return name;
        }
        let known = NAMES.iter().find(|(known, _)| known == self);
        known.map_or("", |(_, name)| *name)
    }
}

impl Display for MediaType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_ref())
    }
}

/// A digest of any algorithm, in its right form.
/// <https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests>
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct AnyDigest(String);

impl AnyDigest {
    pub fn parse(text: &str) -> Result<AnyDigest, String> {
        let (algorithm, encoded) =
            text.split_once(':').ok_or_else(|| format!("the digest {text:?} has no algorithm"))?;
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let mut parts = algorithm.split(['+', '.', '_', '-']);
        let named = parts.all(|part| !part.is_empty() && part.bytes().all(lower));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"=_-".contains(&byte);
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let right = match algorithm {
            "sha256" => encoded.len() == 64 && encoded.bytes().all(hex),
            "sha384" => encoded.len() == 96 && encoded.bytes().all(hex),
            "sha512" => encoded.len() == 128 && encoded.bytes().all(hex),
            _ => named && !encoded.is_empty() && encoded.bytes().all(plain),
        };
        match right {
            true => Ok(AnyDigest(text.to_owned())),
            false => Err(format!("the digest {text:?} is of no known form")),
        }
    }

    pub fn algorithm(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

impl From<Digest> for AnyDigest {
    fn from(digest: Digest) -> AnyDigest {
        AnyDigest(digest.to_string())
    }
}

impl AsRef<str> for AnyDigest {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Display for AnyDigest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AnyDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AnyDigest, D::Error> {
        AnyDigest::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The config of an image, as far as it is looked at.
/// <https://github.com/opencontainers/image-spec/blob/main/config.md>
#[derive(Debug, Deserialize)]
pub struct ImageConfiguration {
    pub created: Option<String>,
    #[serde(default)]
    pub config: Option<Config>,
    pub history: Option<Vec<History>>,
    // These are read for their form.
    #[serde(rename = "author")]
    _author: Option<String>,
    #[serde(rename = "architecture")]
    _architecture: String,
    #[serde(rename = "os")]
    _os: String,
    #[serde(rename = "os.version")]
    _os_version: Option<String>,
    #[serde(rename = "os.features")]
    _os_features: Option<Vec<String>>,
    #[serde(rename = "variant")]
    _variant: Option<String>,
    #[serde(rename = "rootfs")]
    _rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    #[serde(rename = "type")]
    _kind: String,
    #[serde(rename = "diff_ids")]
    _diff_ids: Vec<String>,
}

/// How a container of the image runs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    pub user: Option<String>,
    #[serde(default, deserialize_with = "set")]
    pub exposed_ports: Vec<String>,
    pub env: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    #[serde(default, deserialize_with = "set")]
    pub volumes: Vec<String>,
    pub working_dir: Option<String>,
    pub labels: Option<BTreeMap<String, String>>,
    pub stop_signal: Option<String>,
}

/// A step of the image's making.
#[derive(Debug, Deserialize)]
pub struct History {
    #[serde(default)]
    pub empty_layer: Option<bool>,
    #[serde(rename = "created")]
    _created: Option<String>,
    #[serde(rename = "author")]
    _author: Option<String>,
    #[serde(rename = "created_by")]
    _created_by: Option<String>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

#[derive(Deserialize)]
struct Empty {}

/// The names of a set, which Go writes as a map to empty objects; sorted.
fn set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Option::<BTreeMap<String, Empty>>::deserialize(deserializer)?;
    Ok(names.unwrap_or_default().into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of media types: those that are known, and others.
    #[test]
    fn media_types_are_what_oci_spec_calls_them() {
        for (media_type, name) in NAMES {
            let theirs = oci_spec::image::MediaType::from(name);
            assert!(!matches!(theirs, oci_spec::image::MediaType::Other(_)), "{name}");
            assert_eq!(theirs.as_ref(), media_type.as_ref());
            assert_eq!(MediaType::from(name), media_type);
        }
        let other = MediaType::from("application/json");
        assert_eq!(other, MediaType::Other("application/json".into()));
        assert_eq!(serde_json::to_string(&other).unwrap(), "\"application/json\"");
    }

    #[test]
    fn digests_are_right_where_oci_spec_says_so() {
        let hex = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";
        let whole = format!("sha256:{hex}");
        assert_eq!(AnyDigest::parse(&whole).unwrap().algorithm(), "sha256");
        arbtest::arbtest(|u| {
            const PARTS: [&str; 16] = [
                "sha256",
                "sha384",
                "sha512",
                "multihash",
                "+",
                ".",
                ":",
                "base58",
                "Sha256",
                "é",
                "",
                "=",
                "-",
                "_",
                "0",
                " ",
            ];
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=5)? {
                text += u.choose(&PARTS)?;
                for _ in 0..u.int_in_range(0..=2)? {
                    text += u.choose(&[":", hex, &hex[..32], "A"])?;
                }
            }
            let theirs = text.parse::<oci_spec::image::Digest>();
            let ours = AnyDigest::parse(&text);
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}");
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                assert_eq!(ours.algorithm(), theirs.algorithm().as_ref());
                assert_eq!(ours.as_ref(), theirs.as_ref());
            }
            Ok(())
        });
    }

    /// Configs with each field in its right form, absent, null, and in wrong forms.
    #[test]
    fn configs_are_read_as_oci_spec_reads_them() {
        const FIELDS: [&str; 20] = [
            "/created",
            "/author",
            "/architecture",
            "/os",
            "/os.version",
            "/os.features",
            "/variant",
            "/config",
            "/rootfs",
            "/rootfs/type",
            "/rootfs/diff_ids",
            "/history",
            "/config/User",
            "/config/ExposedPorts",
            "/config/Env",
            "/config/Entrypoint",
            "/config/Cmd",
            "/config/Volumes",
            "/config/WorkingDir",
            "/config/Labels",
        ];
        const VALUES: [&str; 9] =
            ["null", "\"x\"", "1", "[]", "[\"x\"]", "[1]", "{}", "{\"x\": {}}", "{\"x\": \"y\"}"];
        let whole = r#"{"created": "2024-05-06T07:08:09Z", "author": "a", "architecture": "amd64",
            "os": "linux", "os.version": "1", "os.features": ["x"], "variant": "v8",
            "config": {"User": "1", "ExposedPorts": {"80/tcp": {}}, "Env": ["A=b"],
              "Entrypoint": ["/x"], "Cmd": ["y"], "Volumes": {"/v": {}}, "WorkingDir": "/",
              "Labels": {"a": "b"}, "StopSignal": "SIGINT", "Healthcheck": {}},
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [{"created_by": "a", "empty_layer": true}, {"created": "b"}]}"#;
        for field in FIELDS {
            for value in VALUES.iter().map(Some).chain([None]) {
                let mut json: serde_json::Value = serde_json::from_str(whole).unwrap();
                let (above, name) = field.rsplit_once('/').unwrap();
                let above = json.pointer_mut(above).unwrap().as_object_mut().unwrap();
                match value {
                    Some(value) => drop(above.insert(name.into(), value.parse().unwrap())),
                    None => drop(above.remove(name)),
                }
                let ours = serde_json::from_value::<ImageConfiguration>(json.clone());
                let theirs = serde_json::from_value::<oci_spec::image::ImageConfiguration>(json);
                assert_eq!(ours.is_ok(), theirs.is_ok(), "{field} {value:?} {ours:?} {theirs:?}");
                let (Ok(ours), Ok(theirs)) = (ours, theirs) else { continue };
                assert_eq!(&ours.created, theirs.created());
                let (ours, theirs) =
                    (ours.config.unwrap_or_default(), theirs.config().clone().unwrap_or_default());
                assert_eq!(&ours.env, theirs.env());
                assert_eq!(&ours.entrypoint, theirs.entrypoint());
                assert_eq!(ours.exposed_ports, theirs.exposed_ports().clone().unwrap_or_default());
                assert_eq!(ours.volumes, theirs.volumes().clone().unwrap_or_default());
                assert_eq!(&ours.stop_signal, theirs.stop_signal());
            }
        }
    }
}
