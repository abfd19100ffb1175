//! The certificate authorities that are trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::files::{self, limits};

/// Where Linux distributions keep their trusted certificates.
/// <https://github.com/golang/go/blob/master/src/crypto/x509/root_linux.go>
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Certificate files named by the environment and the settings.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// SSL_CERT_FILE, which replaces the machine's certificates.
    pub instead: Option<PathBuf>,
    /// The files of the settings, which are added.
    pub besides: Vec<PathBuf>,
}

/// The TLS configuration. Its roots are those of SSL_CERT_FILE, else the machine's, else
/// Mozilla's, which are compiled in; and those of the settings.
pub fn config(trust: &Trust) -> Result<TlsConfig> {
    let mut roots = match &trust.instead {
        Some(path) => read(path).context("read SSL_CERT_FILE")?,
        None => match SYSTEM.iter().map(Path::new).find(|path| path.is_file()) {
            Some(path) => read(path)?,
            None => webpki_root_certs::TLS_SERVER_ROOT_CERTS
                .iter()
                .map(|der| Certificate::from_der(der).to_owned())
                .collect(),
        },
    };
    for path in &trust.besides {
        roots.extend(read(path)?);
    }
    let roots = RootCerts::Specific(Arc::new(roots));
    Ok(TlsConfig::builder().root_certs(roots).build())
}

/// The certificates of a PEM file. An empty file is an error: nobody means to trust no one.
fn read(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let context = || format!("read the certificates of {}", path.display());
    let bytes = files::read_foreign(path, limits::CERTIFICATES)?;
    let mut found = Vec::new();
    for item in parse_pem(&bytes) {
        if let PemItem::Certificate(certificate) = item.with_context(context)? {
            found.push(certificate);
        }
    }
    ensure!(!found.is_empty(), "{} contains no PEM certificate", path.display());
    Ok(found)
}
