//! Certificates for single servers, as docker and podman keep them.
//! <https://docs.docker.com/engine/security/certificates/>
//! <https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md>

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::files;
use crate::finding::failure;

/// What is kept for a server.
#[derive(Clone, Debug, Default)]
pub struct HostCerts {
    /// Authorities that are trusted too, for this server alone.
    pub authorities: Vec<PathBuf>,
    /// The client's certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// What the first of the folders that knows the server has for it: `HOST[:PORT]/*.crt`, `*.cert`
/// and the `*.key` of each.
pub fn find(folders: &[PathBuf], server: &str) -> Result<Option<HostCerts>> {
    let Some(folder) = folders.iter().map(|it| it.join(server)).find(|it| it.is_dir()) else {
        return Ok(None);
    };
    let mut found = HostCerts::default();
    for entry in files::list(&folder)? {
        let has = |end: &str| entry.path.extension().is_some_and(|it| it == end);
        if has("crt") {
            found.authorities.push(entry.path);
        } else if has("cert") && found.client.is_none() {
            let key = entry.path.with_extension("key");
            if !key.is_file() {
                return Err(keyless(&entry.path, &key));
            }
            found.client = Some((entry.path, key));
        }
    }
    Ok(Some(found))
}

fn keyless(certificate: &Path, key: &Path) -> anyhow::Error {
    let why = format!("{} has no key beside it", certificate.display());
    failure(why, format!("put its key into {}, or remove it", key.display()))
}
