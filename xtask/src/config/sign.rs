//! How releases and images are signed.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::schema;
use crate::finding::Finding;
use crate::project::RawConfig;

/// The keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SignKeys {
    key: String,
    files: String,
    legacy: bool,
}

/// The settings. The default is that without a project.
#[derive(Clone, Debug, Default)]
pub struct SignConfig {
    /// The file of the private key.
    pub key: Option<PathBuf>,
    pub files: SignedFiles,
    /// Whether images get a signature as cosign wrote it before bundles, too.
    pub legacy: bool,
}

/// Which files of a release get a signature of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignedFiles {
    /// The list of checksums, which vouches for the others.
    #[default]
    Checksums,
    All,
}

/// Resolves the keys. `root` is the workspace's folder.
pub fn sign(
    keys: SignKeys,
    typed: Option<&RawConfig>,
    root: &Path,
    findings: &mut Vec<Finding>,
) -> SignConfig {
    let files = match &*keys.files {
        "checksums" => SignedFiles::Checksums,
        "all" => SignedFiles::All,
        other => {
            let why = format!("{other:?} is neither `checksums` nor `all`");
            let known = ["checksums", "all"].into_iter();
            let named = (other, why);
            findings.push(schema::no_such("config-sign", typed, "sign.files", named, known));
            SignedFiles::Checksums
        }
    };
    let key = (!keys.key.is_empty()).then(|| root.join(&keys.key));
    SignConfig { key, files, legacy: keys.legacy }
}
