//! CycloneDX 1.6 as JSON. <https://cyclonedx.org/docs/1.6/json/>

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Document, Expression, Kind, Part, UNNAMED, write_named};

/// The unique name stands before all that others wrote, as [`write_named`] asks for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: &'static str,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Component<'a>>,
    dependencies: Vec<Dependency<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    timestamp: String,
    tools: Tools,
    component: Component<'a>,
}

#[derive(Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Serialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Component<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<&'a str>,
    #[serde(rename = "externalReferences", skip_serializing_if = "Vec::is_empty")]
    references: Vec<Reference<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct License<'a> {
    expression: &'a str,
}

#[derive(Serialize)]
struct Reference<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    url: &'a str,
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: &'static str,
}

#[derive(Serialize)]
struct Dependency<'a> {
    #[serde(rename = "ref")]
    id: &'a str,
    #[serde(rename = "dependsOn", skip_serializing_if = "BTreeSet::is_empty")]
    on: BTreeSet<&'a str>,
}

/// The document as CycloneDX.
pub fn write(document: &Document) -> Result<Vec<u8>> {
    let licenses = document.licenses();
    let mut components = document.named().map(|(id, part)| component(id, part, &licenses));
    let bom = Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: UNNAMED,
        version: 1,
        metadata: Metadata {
            timestamp: document.created.to_string(),
            tools: Tools {
                components: [Tool {
                    kind: "application",
                    name: "dockless",
                    version: env!("CARGO_PKG_VERSION"),
                }],
            },
            component: components.next().context("find what the SBOM is about")?,
        },
        components: components.collect(),
        dependencies: dependencies(document),
    };
    write_named(&bom)
}

fn component<'a>(
    id: &'a str,
    part: &'a Part,
    licenses: &'a BTreeMap<&str, Expression>,
) -> Component<'a> {
    let license = part.license.as_deref().and_then(|text| licenses.get(text));
    let role = match part.kind {
        Kind::ProcMacro => Some("proc-macro"),
        Kind::BuildCrate => Some("build-dependency"),
        Kind::Native => Some("native-code"),
        Kind::Index | Kind::Image | Kind::Program | Kind::Base | Kind::Data | Kind::Crate => None,
    };
    let download = part.download.iter().map(|url| Reference { kind: "distribution", url });
    let sboms = part.sboms.iter().map(|url| Reference { kind: "bom", url });
    Component {
        kind: match part.kind {
            Kind::Program => "application",
            Kind::Index | Kind::Image | Kind::Base => "container",
            Kind::Data => "data",
            Kind::Crate | Kind::Native | Kind::ProcMacro | Kind::BuildCrate => "library",
        },
        id,
        name: &part.name,
        version: part.version.as_deref(),
        description: part.note.as_deref(),
        scope: Some(if part.kind.is_of_builds() { "excluded" } else { "required" }),
        hashes: part
            .sha256
            .map(|digest| Hash { alg: "SHA-256", content: digest.hex() })
            .into_iter()
            .collect(),
        licenses: license.map(|it| License { expression: &it.text }).into_iter().collect(),
        purl: part.purl.as_deref(),
        references: download.chain(sboms).collect(),
        properties: role
            .map(|value| Property { name: "dockless:role", value })
            .into_iter()
            .collect(),
    }
}

/// All that each part uses: CycloneDX has one kind of dependency, and says by the scope which
/// parts are not shipped.
fn dependencies(document: &Document) -> Vec<Dependency<'_>> {
    let mut all: Vec<Dependency<'_>> =
        document.ids.iter().map(|id| Dependency { id, on: BTreeSet::new() }).collect();
    for relation in &document.relations {
        all[relation.from].on.insert(&document.ids[relation.to]);
    }
    all
}
