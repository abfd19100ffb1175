//! `.goreleaser.yaml`: what GoReleaser builds, archives and publishes, of Rust or of Go.
//! <https://goreleaser.com/customization/>

use super::{Member, Sheet, Value};
use crate::yaml::Node;
use builds::Built;

mod builds;
mod images;
mod names;

/// Takes over what has a setting, and says why the rest has none.
pub fn read(root: &Node, sheet: &mut Sheet<'_>) {
    let project = root.get("project_name").and_then(Node::text).unwrap_or_default().to_owned();
    let built = builds::read(root, sheet);
    for (key, value) in root.entries().unwrap_or_default() {
        let Some(name) = key.text() else { continue };
        let all = value.items().unwrap_or_default();
        match name {
            "version" | "project_name" | "builds" | "universal_binaries" | "gomod" => {}
            "archives" => all.iter().for_each(|it| archive(it, &built, sheet)),
            "checksum" => checksum(value, sheet),
            "release" => release(value, sheet),
            "changelog" => changelog(value, sheet),
            "krews" => all.iter().for_each(|it| krew(it, &built, sheet)),
            "dockers" => all.iter().for_each(|it| images::docker(it, &built, &project, sheet)),
            "dockers_v2" => {
                all.iter().for_each(|it| images::docker_v2(it, &built, &project, sheet))
            }
            "docker_manifests" => images::manifests(all, &built, &project, sheet),
            "kos" => all.iter().for_each(|it| images::ko(it, &built, &project, sheet)),
            name => sheet.note(key.line, format!("`{name}` is not taken over: {}", other(name))),
        }
    }
}

/// Why a key has no setting, and what takes its place.
fn other(name: &str) -> &'static str {
    match name {
        "before" => {
            "hooks do not run; what they write for archives, the program can write by `generate`"
        }
        "after" => "hooks do not run",
        "snapshot" => "a development version is the next one with the number of commits",
        "sboms" => "each release has SBOMs; the setting `sbom.format` is their form",
        "signs" | "docker_signs" | "binary_signs" => {
            "generated workflows attest releases, and `sign.key` signs with a key of your own"
        }
        "brews" | "homebrew_casks" | "scoops" | "winget" | "aurs" | "aur_sources" | "nix"
        | "chocolateys" | "snapcrafts" | "nfpms" | "flatpaks" | "srpms" | "msi" | "dmg" => {
            "such packages are not made"
        }
        "source" => "GitHub offers the sources of each tag",
        "upx" => "programs are not packed: it slows their start and alarms virus scanners",
        "announce" | "milestones" | "publishers" | "uploads" | "blobs" | "artifactories" => {
            "releases are published on GitHub, and images in registries"
        }
        "gitlab_urls" | "gitea_urls" => "releases are published on GitHub",
        "github_urls" => "GITHUB_API_URL names another server",
        "env" => "programs see the environment that the command is run in",
        "dist" => "the folder is dist/",
        "git" => "the setting `tag` is the form of tags",
        "metadata" => "the time of files is that of the commit",
        "report_sizes" => "sizes are in dist/artifacts.json",
        "monorepo" => "tags of one package name it: NAME-v1.2.3",
        _ => "it has no setting here",
    }
}

fn archive(archive: &Node, built: &Built, sheet: &mut Sheet<'_>) {
    for (key, value) in archive.entries().unwrap_or_default() {
        let Some(name) = key.text() else { continue };
        match name {
            "id" | "ids" | "builds" | "format_overrides" if name != "format_overrides" => {}
            "files" => files(value, &built.of(archive, sheet), sheet),
            "format" | "formats" => {
                let formats = names::texts(value);
                if formats.iter().any(|it| *it != "tar.gz" && *it != "tgz") {
                    sheet.note(
                        key.line,
                        format!("{} is not taken over: {FORMATS}", formats.join(", ")),
                    );
                }
            }
            "format_overrides" => {
                for over in value.items().unwrap_or_default() {
                    let of = |key| over.get(key).and_then(Node::text).unwrap_or_default();
                    let format = over.get("formats").or(over.get("format")).map(names::texts);
                    let is_ours = ["goos", "os"].iter().any(|key| of(key) == "windows")
                        && format.is_some_and(|it| it == ["zip"]);
                    if !is_ours {
                        sheet.note(over.line, format!("this format is not taken over: {FORMATS}"));
                    }
                }
            }
            "name_template" => {
                let why = "archives are called NAME-vVERSION-TARGET, which installers such as \
                           cargo-binstall find: scripts that download them need the new names";
                sheet.note(key.line, format!("`name_template` is not taken over: {why}"));
            }
            "wrap_in_directory" if value.text() == Some("false") => {}
            "wrap_in_directory" => {
                sheet.note(key.line, "`wrap_in_directory` is not taken over: archives are flat");
            }
            "allow_different_binary_count" => {}
            name => sheet.note(key.line, format!("`{name}` of archives is not taken over")),
        }
    }
}

const FORMATS: &str = "archives are tar.gz, and zip for Windows";

/// The files of archives: names and patterns, or tables with `src`.
fn files(list: &Node, members: &[Member], sheet: &mut Sheet<'_>) {
    let mut found = Vec::new();
    for file in list.items().unwrap_or_default() {
        let name = file.text().or_else(|| file.get("src").and_then(Node::text));
        let Some(typed) = name else { continue };
        if file.get("dst").is_some() || file.get("info").is_some() {
            sheet.note(
                file.line,
                format!("{typed}: archives are flat, so its folder and mode are not taken over"),
            );
        }
        // `none*` is how GoReleaser is told to add nothing.
        if typed == "none*" {
            continue;
        }
        match names::template(typed, "") {
            Some(name) if sheet.scene.has(&name) => found.push(name),
            Some(name) => {
                sheet.note(file.line, format!("{name:?} is not taken over: nothing has that name"))
            }
            None => {
                sheet.note(file.line, format!("{typed:?} is not taken over: {}", names::UNKNOWN))
            }
        }
    }
    for member in members.iter().filter(|_| !found.is_empty()) {
        sheet.set(
            Some(&member.name),
            &["archive", "files"],
            Value::texts(found.clone()),
            list.line,
        );
    }
}

fn checksum(checksum: &Node, sheet: &mut Sheet<'_>) {
    for (key, value) in checksum.entries().unwrap_or_default() {
        let why = match (key.text(), value.text()) {
            (Some("algorithm"), Some("sha256")) => continue,
            (Some("algorithm"), _) => "checksums are SHA-256",
            (Some("name_template"), _) => "the list is called SHA256SUMS",
            (Some("disable"), Some("true")) => "a release always has checksums",
            (Some("split"), Some("true")) => "one list has all checksums",
            (Some("extra_files"), _) => "a release has what this tool makes",
            _ => continue,
        };
        let name = key.text().unwrap_or_default();
        sheet.note(key.line, format!("`checksum.{name}` is not taken over: {why}"));
    }
}

fn release(release: &Node, sheet: &mut Sheet<'_>) {
    for (key, value) in release.entries().unwrap_or_default() {
        let Some(name) = key.text() else { continue };
        let why = match name {
            "github" => {
                let of = |key| value.get(key).and_then(Node::text).unwrap_or_default();
                let slug = format!("{}/{}", of("owner"), of("name"));
                match names::template(&slug, "") {
                    Some(slug) if crate::config::Slug::parse(&slug).is_some() => {
                        sheet.workspace(&["github", "repository"], Value::text(slug), key.line);
                    }
                    _ => sheet.note(key.line, "`release.github` is not taken over: the setting `github.repository` is OWNER/NAME"),
                }
                continue;
            }
            "disable" if value.text() == Some("true") => {
                sheet.workspace(&["github", "ship"], Value::Bool(false), key.line);
                continue;
            }
            "draft" if value.text() == Some("true") => "`release --draft` leaves a draft",
            "draft" | "disable" => continue,
            "prerelease" if value.text() == Some("auto") => continue,
            "prerelease" => "a version such as 1.2.3-rc.1 is a pre-release",
            "header" | "footer" | "name_template" => {
                "the release's text is the changelog's section about the version"
            }
            "replace_existing_artifacts" | "replace_existing_draft" | "use_existing_draft" => {
                "a second run goes on where the first one stopped"
            }
            "gitlab" | "gitea" => "releases are published on GitHub",
            _ => "it has no setting here",
        };
        sheet.note(key.line, format!("`release.{name}` is not taken over: {why}"));
    }
}

fn changelog(changelog: &Node, sheet: &mut Sheet<'_>) {
    let own = "the release's text is the section about the version in CHANGELOG.md, or else the \
               commits since the last release";
    sheet.note(changelog.line, format!("`changelog` is not taken over: {own}"));
}

fn krew(krew: &Node, built: &Built, sheet: &mut Sheet<'_>) {
    let members = built.of(krew, sheet);
    let [member] = &members[..] else {
        sheet.note(
            krew.line,
            "the plugin is not taken over: it is not clear of which package it is",
        );
        return;
    };
    for (key, value) in krew.entries().unwrap_or_default() {
        let (Some(name), text) = (key.text(), value.text().unwrap_or_default()) else { continue };
        let to = match name {
            "name" => "name",
            "short_description" => "short-description",
            "description" => "description",
            "homepage" => "homepage",
            "caveats" => "caveats",
            "url_template" => "uri",
            "ids" | "id" | "goarm" | "goamd64" | "commit_author" | "commit_msg_template" => {
                continue;
            }
            "repository" | "index" => {
                index(value, sheet);
                continue;
            }
            "skip_upload" if text == "true" => {
                sheet.workspace(&["index", "ship"], Value::Bool(false), key.line);
                continue;
            }
            "skip_upload" => continue,
            name => {
                sheet.note(key.line, format!("`{name}` of krews is not taken over"));
                continue;
            }
        };
        let of_uri = [(".ArtifactName", "{{ archive }}"), (".Tag", "{{ tag }}")];
        let known: &[(&str, &str)] = if to == "uri" { &of_uri } else { &[] };
        match names::template_with(text, "", known) {
            // The other texts of a plugin are no templates.
            Some(text) if to == "uri" || !text.contains("{{") => {
                sheet.set(Some(&member.name), &["krew", to], Value::text(text.trim()), key.line);
            }
            _ => sheet.note(key.line, format!("`{name}` is not taken over: {}", names::UNKNOWN)),
        }
    }
}

/// The repository of the index.
fn index(index: &Node, sheet: &mut Sheet<'_>) {
    let of = |key| index.get(key).and_then(Node::text).unwrap_or_default();
    let slug = format!("{}/{}", of("owner"), of("name"));
    if index.get("pull_request").is_some() {
        let why = "a pull request is opened in the index itself, from a fork of yours";
        sheet.note(index.line, format!("`pull_request` is not taken over: {why}"));
        return;
    }
    if crate::config::Slug::parse(&slug).is_some() {
        sheet.workspace(&["index", "repository"], Value::text(slug), index.line);
    }
}
