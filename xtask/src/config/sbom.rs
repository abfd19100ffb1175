//! The settings for SBOMs.

use serde::{Deserialize, Serialize};

use super::schema;
use crate::finding::Finding;
use crate::project::RawConfig;

/// The keys, as `default.toml` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SbomKeys {
    ship: bool,
    format: String,
}

/// The settings.
#[derive(Clone, Copy, Debug)]
pub struct SbomConfig {
    /// Whether releases have SBOMs.
    pub ship: bool,
    pub format: SbomFormat,
}

/// The form of an SBOM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SbomFormat {
    /// SPDX 2.3 in JSON.
    Spdx,
    /// CycloneDX 1.6 in JSON.
    #[value(name = "cyclonedx")]
    CycloneDx,
}

impl SbomFormat {
    /// What the names of its files end with.
    pub fn suffix(self) -> &'static str {
        match self {
            SbomFormat::Spdx => ".spdx.json",
            SbomFormat::CycloneDx => ".cdx.json",
        }
    }

    /// The media type of its documents, by which registries list them.
    pub fn media_type(self) -> &'static str {
        match self {
            SbomFormat::Spdx => "application/spdx+json",
            SbomFormat::CycloneDx => "application/vnd.cyclonedx+json",
        }
    }
}

/// Resolves the keys.
pub fn sbom(keys: SbomKeys, typed: Option<&RawConfig>, findings: &mut Vec<Finding>) -> SbomConfig {
    let format = match &*keys.format {
        "spdx" => SbomFormat::Spdx,
        "cyclonedx" => SbomFormat::CycloneDx,
        other => {
            let why = format!("{other:?} is neither \"spdx\" nor \"cyclonedx\"");
            findings.push(schema::fault("config-sbom", typed, "sbom.format", why));
            SbomFormat::Spdx
        }
    };
    SbomConfig { ship: keys.ship, format }
}
