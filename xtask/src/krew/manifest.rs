//! Writes the manifest of a plugin in the form that krew's index uses.
//! <https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/>

use anyhow::{Context, Result, anyhow};
use serde::Serialize;

use crate::archive::Archive;
use crate::digest::Digest;
use crate::plan::{KrewPlan, KrewPlatform};
use crate::yaml::{self, Edit, Node, NodeKind, Scalar, Style};

/// A manifest that was made of a release's archives.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The plugin's name.
    pub name: String,
    /// The name of its file, which must be the plugin's.
    pub file: String,
    /// The package that the plugin is built from.
    pub package: String,
    /// The YAML of the manifest.
    pub text: String,
    pub digest: Digest,
}

/// The fields in the order that most of the index has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Plugin<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    version: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    homepage: &'a str,
    short_description: &'a str,
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    caveats: String,
    platforms: Vec<Platform<'a>>,
}

#[derive(Serialize)]
struct Platform<'a> {
    selector: Selector<'a>,
    uri: &'a str,
    sha256: String,
    files: [File<'a>; 2],
    bin: &'a str,
}

#[derive(Serialize)]
struct File<'a> {
    from: &'a str,
    to: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector<'a> {
    match_labels: Labels<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    match_expressions: Vec<Expression<'a>>,
}

#[derive(Serialize)]
struct Labels<'a> {
    os: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    arch: Option<&'a str>,
}

#[derive(Serialize)]
struct Expression<'a> {
    key: &'static str,
    operator: &'static str,
    values: &'a [String],
}

/// Writes the plugin's manifest, with the digests of the archives that are shipped.
pub fn manifest(plan: &KrewPlan, archives: &[Archive]) -> Result<Manifest> {
    write(plan, |name| {
        // An archive that could not be made was reported before.
        let made = archives.iter().find(|archive| archive.plan.name == name)?;
        Some(made.digest.hex())
    })
}

/// The manifest that a plan leads to, with placeholders for the digests, so that anything
/// that krew would refuse is found before the compilation.
pub fn draft(plan: &KrewPlan) -> Result<Manifest> {
    write(plan, |_| Some("0".repeat(64)))
}

/// `sha256` returns the digest of an archive by its name; `None` where it was not made.
fn write(plan: &KrewPlan, sha256: impl Fn(&str) -> Option<String>) -> Result<Manifest> {
    let context = || format!("make the krew manifest of {}", plan.package);
    let platforms = plan
        .platforms
        .iter()
        .filter_map(|platform| Some(entry(platform, sha256(&platform.archive)?)));
    let plugin = Plugin {
        api_version: "krew.googlecontainertools.github.com/v1alpha2",
        kind: "Plugin",
        metadata: Metadata { name: &plan.name },
        spec: Spec {
            version: format!("v{}", plan.version),
            homepage: &plan.homepage,
            short_description: &plan.short_description,
            description: lines(&plan.description),
            caveats: lines(&plan.caveats),
            platforms: platforms.collect(),
        },
    };
    let text = serde_yaml::to_string(&plugin).with_context(context)?;
    let text = quoted(&text).with_context(context)?;
    let (name, file) = (plan.name.clone(), format!("{}.yaml", plan.name));
    let digest = Digest::of(text.as_bytes());
    Ok(Manifest { name, file, package: plan.package.clone(), text, digest })
}

/// A text with the line breaks that every reader of YAML knows. A block cannot have others.
/// <https://yaml.org/spec/1.2.2/#54-line-break-characters>
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace(['\r', '\u{85}', '\u{2028}', '\u{2029}'], "\n")
}

/// Quotes the plain texts that have another type in YAML 1.1, which krew and others read:
/// `yes`, `on`, a date.
fn quoted(text: &str) -> Result<String> {
    let documents = yaml::parse(text)
        .map_err(|error| anyhow!("line {}, column {}: {}", error.line, error.column, error.why))?;
    let mut edits = Vec::new();
    let mut next: Vec<&Node> = documents.iter().collect();
    while let Some(node) = next.pop() {
        match &node.kind {
            NodeKind::Map(entries) => next.extend(entries.iter().map(|(_, value)| value)),
            NodeKind::List(items) => next.extend(items),
            NodeKind::Scalar(Scalar { text, style: Style::Plain }) if !yaml::is_text(text) => {
                let text = format!("'{text}'");
                edits.push(Edit { span: node.span.clone(), text });
            }
            NodeKind::Scalar(_) | NodeKind::Alias(_) => {}
        }
    }
    Ok(yaml::replace(text, &edits))
}

fn entry(platform: &KrewPlatform, sha256: String) -> Platform<'_> {
    let (arch, match_expressions) = match &platform.arches[..] {
        [one] => (Some(&**one), Vec::new()),
        several => (None, vec![Expression { key: "arch", operator: "In", values: several }]),
    };
    let match_labels = Labels { os: &platform.os, arch };
    let file = |from| File { from, to: "." };
    Platform {
        selector: Selector { match_labels, match_expressions },
        uri: &platform.uri,
        sha256,
        files: [file(&platform.bin), file(&platform.license)],
        bin: &platform.bin,
    }
}

#[cfg(test)]
mod tests;
