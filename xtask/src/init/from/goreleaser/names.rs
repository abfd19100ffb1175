//! Texts of GoReleaser's files: its templates, and its names of targets.

use crate::yaml::Node;

/// Why a template is not taken over.
pub const UNKNOWN: &str = "templates here know name, version, commit, date and describe only";

/// A list of texts, or a single one.
pub fn texts(node: &Node) -> Vec<&str> {
    match node.items() {
        Some(items) => items.iter().filter_map(Node::text).collect(),
        None => node.text().into_iter().collect(),
    }
}

/// A text in this tool's templates; `None` where they do not have what it names. `project` is the
/// name of the project, where it has one.
pub fn template(text: &str, project: &str) -> Option<String> {
    template_with(text, project, &[])
}

/// The same, where more names are known.
pub fn template_with(text: &str, project: &str, more: &[(&str, &str)]) -> Option<String> {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}")?;
        made.push_str(before);
        let name = name.trim_matches('-').trim();
        let known = more.iter().find(|(known, _)| *known == name).map(|(_, ours)| *ours);
        let ours = known.or(match name {
            ".Version" | ".RawVersion" => Some("{{ version }}"),
            ".Tag" => Some("v{{ version }}"),
            ".ProjectName" if project.is_empty() => Some("{{ name }}"),
            ".ProjectName" => Some(project),
            ".Binary" => Some("{{ name }}"),
            ".Commit" | ".FullCommit" => Some("{{ commit }}"),
            ".Date" | ".CommitDate" => Some("{{ date }}"),
            ".Summary" => Some("{{ describe }}"),
            _ => None,
        })?;
        made.push_str(ours);
        rest = after;
    }
    made.push_str(rest);
    Some(made)
}

/// The triple of a target in Go's names, such as `linux_arm64`.
pub fn triple(goos: &str, goarch: &str, goarm: &str) -> Option<String> {
    let arch = match goarch {
        "amd64" => "x86_64",
        "386" => "i686",
        "arm64" => "aarch64",
        "arm" if goarm.starts_with('7') => "armv7",
        "arm" => "arm",
        "ppc64le" => "powerpc64le",
        "riscv64" => "riscv64gc",
        "s390x" => "s390x",
        "loong64" => "loongarch64",
        _ => return None,
    };
    Some(match goos {
        "linux" if goarch == "arm" => format!("{arch}-unknown-linux-musleabihf"),
        "linux" => format!("{arch}-unknown-linux-musl"),
        "darwin" if ["amd64", "arm64"].contains(&goarch) => format!("{arch}-apple-darwin"),
        "windows" if ["amd64", "386"].contains(&goarch) => format!("{arch}-pc-windows-gnu"),
        "windows" if goarch == "arm64" => "aarch64-pc-windows-gnullvm".to_owned(),
        _ => return None,
    })
}
