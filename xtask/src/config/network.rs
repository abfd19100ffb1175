//! The settings for registries and other servers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::schema;
use crate::finding::Finding;
use crate::http::{Origin, Scheme};
use crate::project::RawConfig;

/// The keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NetworkKeys {
    ca: String,
    plain_http: Vec<String>,
    timeout: f64,
    retries: f64,
    jobs: f64,
}

/// The settings.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// A file of additional trusted certificates.
    pub ca: Option<PathBuf>,
    /// `host` or `host:port` of servers without TLS.
    pub plain_http: Vec<String>,
    pub timeout: Duration,
    pub retries: u32,
    /// How many blobs are transferred to or from a registry at a time.
    pub jobs: usize,
}

/// The settings without a project.
impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        let timeout = Duration::from_secs(60);
        NetworkConfig { ca: None, plain_http: Vec::new(), timeout, retries: 5, jobs: 4 }
    }
}

/// Resolves the keys. `root` is the workspace's folder.
pub fn network(
    keys: NetworkKeys,
    typed: Option<&RawConfig>,
    root: &Path,
    findings: &mut Vec<Finding>,
) -> NetworkConfig {
    let mut fault = |key: &str, why: String| {
        let path = format!("network.{key}");
        findings.push(schema::fault("config-network", typed, &path, why));
    };
    let mut number = |key: &str, value: f64, most: u32| {
        let whole = value.fract() == 0.0 && (0.0..=f64::from(most)).contains(&value);
        if !whole {
            fault(key, format!("{value} is not a whole number from 0 to {most}"));
        }
        if whole { value as u32 } else { 1 }
    };
    let timeout = Duration::from_secs(number("timeout", keys.timeout, 3600).max(1).into());
    let retries = number("retries", keys.retries, 100);
    let jobs = number("jobs", keys.jobs, 64).max(1) as usize;
    for host in &keys.plain_http {
        if Origin::new(Scheme::Http, host).is_err() {
            fault("plain-http", format!("{host:?} is neither a host nor a host with a port"));
        }
    }
    let ca = (!keys.ca.is_empty()).then(|| root.join(&keys.ca));
    NetworkConfig { ca, plain_http: keys.plain_http, timeout, retries, jobs }
}
