//! The settings for provenance.

use serde::Deserialize;

/// The keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProvenanceKeys {
    ship: bool,
}

/// The settings.
#[derive(Clone, Copy, Debug)]
pub struct ProvenanceConfig {
    /// Whether releases say from what they were made.
    pub ship: bool,
}

impl From<ProvenanceKeys> for ProvenanceConfig {
    fn from(keys: ProvenanceKeys) -> ProvenanceConfig {
        ProvenanceConfig { ship: keys.ship }
    }
}
