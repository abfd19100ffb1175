//! The certificate authorities that are trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::certs_d::HostCerts;
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
    /// The folders `certs.d` of docker and podman.
    pub per_host: Vec<PathBuf>,
}

/// The TLS configuration, with what is kept for the one server that it is for.
pub fn config(trust: &Trust, host: Option<&HostCerts>) -> Result<TlsConfig> {
    let mut roots = roots(trust)?.0;
    let mut client = None;
    if let Some(host) = host {
        for path in &host.authorities {
            roots.extend(read(path)?);
        }
        client =
            host.client.as_ref().map(|(certificate, key)| pair(certificate, key)).transpose()?;
    }
    let roots = RootCerts::Specific(Arc::new(roots));
    Ok(TlsConfig::builder().root_certs(roots).client_cert(client).build())
}

/// A client's certificate. The key is in no error.
fn pair(certificate: &Path, key: &Path) -> Result<ClientCert> {
    let bytes = files::read_foreign(key, limits::CERTIFICATES)?;
    let context = || format!("read the key in {}", key.display());
    let key = PrivateKey::from_pem(&bytes).ok().context("it is no PEM").with_context(context)?;
    Ok(ClientCert::new_with_certs(&read(certificate)?, key))
}

/// How many certificates are trusted, and from where they are.
pub fn look(trust: &Trust) -> Result<(usize, String)> {
    let (roots, of) = roots(trust)?;
    let besides = trust.besides.iter().map(|path| path.display().to_string());
    Ok((roots.len(), std::iter::once(of).chain(besides).collect::<Vec<_>>().join(" and ")))
}

/// The certificates of SSL_CERT_FILE, else the system's, else Mozilla's, which are compiled in,
/// and the name of where they are from; and those of the settings.
fn roots(trust: &Trust) -> Result<(Vec<Certificate<'static>>, String)> {
    let named = |path: &Path| Ok::<_, anyhow::Error>((read(path)?, path.display().to_string()));
    let (mut roots, of) = match &trust.instead {
        Some(path) => named(path).context("read SSL_CERT_FILE")?,
        None => match (store(), SYSTEM.iter().map(Path::new).find(|path| path.is_file())) {
            (Some(roots), _) => (roots, "the system's store".to_owned()),
            (None, Some(path)) => named(path)?,
            (None, None) => {
                let builtin = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
                let roots = builtin.map(|der| Certificate::from_der(der).to_owned()).collect();
                (roots, "Mozilla's list, which is compiled in".to_owned())
            }
        },
    };
    for path in &trust.besides {
        roots.extend(read(path)?);
    }
    Ok((roots, of))
}

/// The certificates in the store of macOS or Windows, to which companies add their own; `None`
/// where nothing could be read there.
#[cfg(any(target_os = "macos", windows))]
fn store() -> Option<Vec<Certificate<'static>>> {
    let found = rustls_native_certs::load_native_certs().certs;
    let roots = found.iter().map(|der| Certificate::from_der(der).to_owned());
    Some(roots.collect()).filter(|roots: &Vec<_>| !roots.is_empty())
}

/// Elsewhere the store is a file.
#[cfg(not(any(target_os = "macos", windows)))]
fn store() -> Option<Vec<Certificate<'static>>> {
    None
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
