//! SPDX 2.3 as JSON. <https://spdx.github.io/spdx-spec/v2.3/>

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::{Document, Expression, Kind, Part, RelationKind, UNNAMED, write_named};

/// What is not said, in SPDX's word.
const NO_ASSERTION: &str = "NOASSERTION";

/// The document itself, as its relationships name it.
const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// The unique name stands before all that others wrote, as [`write_named`] asks for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spdx<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    document_namespace: &'static str,
    name: &'a str,
    creation_info: CreationInfo,
    packages: Vec<Package<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<Extracted>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'a> {
    #[serde(rename = "SPDXID")]
    id: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<&'a str>,
    primary_package_purpose: &'static str,
    download_location: &'a str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    license_concluded: &'static str,
    license_declared: &'a str,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef<'a> {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extracted {
    license_id: String,
    name: String,
    extracted_text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The document as SPDX.
pub fn write(document: &Document) -> Result<Vec<u8>> {
    let licenses = document.licenses();
    let unlisted: BTreeMap<&String, &String> =
        licenses.values().flat_map(|expression| &expression.unlisted).collect();
    let extracted = unlisted.into_iter().map(|(id, name)| Extracted {
        license_id: id.clone(),
        name: name.clone(),
        extracted_text: format!(
            "The manifest names the licence {name:?}, which SPDX does not list."
        ),
    });
    let spdx = Spdx {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        document_namespace: UNNAMED,
        name: &document.name,
        creation_info: CreationInfo {
            created: document.created.to_string(),
            creators: [format!("Tool: dockless-{}", env!("CARGO_PKG_VERSION"))],
        },
        packages: document.named().map(|(id, part)| package(id, part, &licenses)).collect(),
        has_extracted_licensing_infos: extracted.collect(),
        relationships: relationships(document),
    };
    write_named(&spdx)
}

fn package<'a>(id: &str, part: &'a Part, licenses: &'a BTreeMap<&str, Expression>) -> Package<'a> {
    let declared = part.license.as_deref().and_then(|text| licenses.get(text));
    let purl = part.purl.iter().map(|purl| ExternalRef {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: purl,
    });
    let sboms = part.sboms.iter().map(|sbom| ExternalRef {
        reference_category: "OTHER",
        reference_type: "sbom",
        reference_locator: sbom,
    });
    let checksum =
        part.sha256.map(|digest| Checksum { algorithm: "SHA256", checksum_value: digest.hex() });
    Package {
        id: element(id),
        name: &part.name,
        version_info: part.version.as_deref(),
        primary_package_purpose: purpose(part.kind),
        download_location: part.download.as_deref().unwrap_or(NO_ASSERTION),
        files_analyzed: false,
        checksums: checksum.into_iter().collect(),
        license_concluded: NO_ASSERTION,
        license_declared: declared.map_or(NO_ASSERTION, |expression| &expression.text),
        copyright_text: NO_ASSERTION,
        external_refs: purl.chain(sboms).collect(),
        comment: part.note.as_deref(),
    }
}

fn purpose(kind: Kind) -> &'static str {
    match kind {
        Kind::Program => "APPLICATION",
        Kind::Index | Kind::Image | Kind::Base => "CONTAINER",
        Kind::Data => "FILE",
        Kind::Crate | Kind::Native | Kind::ProcMacro | Kind::BuildCrate => "LIBRARY",
    }
}

fn relationships(document: &Document) -> Vec<Relationship> {
    let first = document.ids.first().map(|id| Relationship {
        spdx_element_id: DOCUMENT.to_owned(),
        relationship_type: "DESCRIBES",
        related_spdx_element: element(id),
    });
    let others = document.relations.iter().map(|relation| {
        let (from, to) =
            (element(&document.ids[relation.from]), element(&document.ids[relation.to]));
        // The types for builds are named from the other side.
        let (from, relationship_type, to) = match relation.kind {
            RelationKind::Contains => (from, "CONTAINS", to),
            RelationKind::DependsOn => (from, "DEPENDS_ON", to),
            RelationKind::BuildDependsOn => (to, "BUILD_DEPENDENCY_OF", from),
            RelationKind::BuiltBy => (to, "BUILD_TOOL_OF", from),
        };
        Relationship { spdx_element_id: from, relationship_type, related_spdx_element: to }
    });
    first.into_iter().chain(others).collect()
}

fn element(id: &str) -> String {
    format!("SPDXRef-{id}")
}
