//! cargo-dist's settings: `dist-workspace.toml`, and `metadata.dist` of Cargo.toml.
//! <https://axodotdev.github.io/cargo-dist/book/reference/config.html>

use super::{Member, Sheet, Value};
use crate::target::Target;
use crate::yaml::Node;

/// `dist-workspace.toml`.
pub fn file(root: &Node, sheet: &mut Sheet<'_>) {
    if let Some(table) = root.get("dist") {
        read(table, None, sheet);
    }
    for member in
        root.get("workspace").and_then(|it| it.get("members")?.items()).unwrap_or_default()
    {
        if member.text().is_some_and(|text| !text.starts_with("cargo:")) {
            let text = member.text().unwrap_or_default();
            sheet.note(
                member.line,
                format!("{text} is not taken over: only cargo's packages are released"),
            );
        }
    }
}

/// The table `dist` of the workspace, or of one package.
pub fn read(table: &Node, package: Option<&Member>, sheet: &mut Sheet<'_>) {
    let members = package.map_or_else(|| sheet.scene.members.to_vec(), |it| vec![it.clone()]);
    let name = package.map(|it| it.name.clone());
    let name = name.as_deref();
    for (key, value) in table.entries().unwrap_or_default() {
        let (Some(text), line) = (key.text(), key.line) else { continue };
        let is_true = value.text() == Some("true");
        match text {
            "cargo-dist-version"
            | "dist-version"
            | "rust-toolchain-version"
            | "checksum"
            | "precise-builds"
            | "github-actions-pinning"
            | "github-action-commits"
            | "display"
            | "display-name"
            | "cache-builds"
            | "create-release"
            | "auto-includes"
            | "min-glibc-version" => {}
            "targets" => targets(value, table, name, sheet),
            "include" => include(value, table, &members, sheet),
            "features" => {
                let list: Vec<&str> = texts(value);
                for member in members.iter().filter(|_| !list.is_empty()) {
                    sheet.set(Some(&member.name), &["features"], Value::texts(list.clone()), line);
                }
            }
            "default-features" if !is_true => {
                for member in &members {
                    sheet.set(Some(&member.name), &["default-features"], Value::Bool(false), line);
                }
            }
            "dist" if name.is_some() && !is_true => {
                sheet.set(name, &["ship"], Value::Bool(false), line);
            }
            "binaries" => binaries(value, &members, sheet),
            "github-releases-repo" => match value.text() {
                Some(slug) if crate::config::Slug::parse(slug).is_some() => {
                    sheet.workspace(&["github", "repository"], Value::text(slug), line);
                }
                _ => sheet
                    .note(line, "`github-releases-repo` is not taken over: it is not OWNER/NAME"),
            },
            "tag-namespace" => {
                if let Some(space) = value.text().filter(|it| !it.is_empty()) {
                    let form = format!("{}-v{{{{ version }}}}", space.trim_end_matches('-'));
                    sheet.workspace(&["tag"], Value::text(form), line);
                }
            }
            "cargo-auditable" | "default-features" | "dist" | "all-features"
            | "dispatch-releases" | "cargo-cyclonedx"
                if is_default(text, is_true) => {}
            "cargo-cyclonedx" => {
                sheet.workspace(&["sbom", "format"], Value::text("cyclonedx"), line);
            }
            _ => {
                let shown = texts(value).join(", ");
                let shown =
                    if shown.is_empty() { text.to_owned() } else { format!("{text} = {shown}") };
                if let Some(why) = other(text, value) {
                    sheet.note(line, format!("`{shown}` is not taken over: {why}"));
                }
            }
        }
    }
}

/// Whether a truth value says what is so here anyway.
fn is_default(key: &str, value: bool) -> bool {
    match key {
        "all-features" | "dispatch-releases" | "cargo-cyclonedx" => !value,
        // Programs have the list of their crates either way.
        "cargo-auditable" => true,
        _ => value,
    }
}

/// Why a key has no setting, and what takes its place; `None` where nothing is lost.
fn other(key: &str, value: &Node) -> Option<&'static str> {
    let text = value.text().unwrap_or_default();
    Some(match key {
        "ci" | "hosting" if texts(value).iter().all(|it| *it == "github") => {
            "`init --workflows` writes GitHub's workflows; remove cargo-dist's"
        }
        "ci" | "hosting" | "simple-hosting" => "workflows are for GitHub only",
        "installers"
        | "install-path"
        | "install-success-msg"
        | "install-updater"
        | "tap"
        | "formula"
        | "npm-package"
        | "npm-scope"
        | "bin-aliases"
        | "install-libraries" => {
            "installers are not made; `cargo binstall` finds the archives by their names"
        }
        "publish-jobs" => "packages of Homebrew and npm are not published",
        "unix-archive" | "windows-archive" if [".tar.gz", ".zip"].contains(&text) => return None,
        "unix-archive" | "windows-archive" => "archives are tar.gz, and zip for Windows",
        "pr-run-mode" => "pull requests run ci.yml: the checks, the tests and a snapshot",
        "github-attestations" | "github-attestations-phase" | "github-attestations-filters" => {
            "generated workflows attest every release"
        }
        "github-custom-runners" => "each target is built on a runner that has its linker",
        "github-build-setup" => "the setting `ci.run` names a program that CI runs",
        "dependencies" => "programs are linked statically, and C is built by zig",
        "all-features" => "name the features in `features`",
        "allow-dirty" => "`init --workflows --check` says whether workflows are outdated",
        "source-tarball" => "GitHub offers the sources of each tag",
        "extra-artifacts" => "a release has what this tool makes",
        "macos-sign" | "ssldotcom-windows-sign" => "programs are not signed for macOS or Windows",
        "dist" => "`packages` names those that are released",
        _ => "it has no setting here",
    })
}

fn texts(value: &Node) -> Vec<&str> {
    match value.items() {
        Some(items) => items.iter().filter_map(Node::text).collect(),
        None => value.text().into_iter().collect(),
    }
}

/// The targets. Those with glibc get the oldest version that `min-glibc-version` names.
fn targets(list: &Node, table: &Node, package: Option<&str>, sheet: &mut Sheet<'_>) {
    let oldest = table.get("min-glibc-version");
    let mut found = Vec::new();
    for node in list.items().unwrap_or_default() {
        let Some(text) = node.text() else { continue };
        let of = |key: &str| oldest.and_then(|it| it.get(key)).and_then(Node::text);
        let version = of(text).or_else(|| of("*")).filter(|_| text.contains("-linux-gnu"));
        let name = version.map_or(text.to_owned(), |version| format!("{text}.{version}"));
        match Target::parse(&name) {
            Ok(target) => found.push(target.as_str().to_owned()),
            Err(error) => sheet.note(node.line, format!("{error}")),
        }
    }
    if found.is_empty() {
        return;
    }
    if found.iter().any(|it| it.contains("-linux-gnu")) {
        let why =
            "programs for -linux-gnu need a glibc: images are best made of -linux-musl targets";
        sheet.note(list.line, why);
    }
    sheet.set(package, &["targets"], Value::texts(found), list.line);
}

/// Files of archives, with those that cargo-dist adds by itself.
fn include(list: &Node, table: &Node, members: &[Member], sheet: &mut Sheet<'_>) {
    let auto = table.get("auto-includes").and_then(Node::text) != Some("false");
    let own = ["LICEN[SC]E*", "UNLICENSE*", "COPYING*", "NOTICE*", "README*", "CHANGELOG*"];
    let mut found: Vec<String> = Vec::new();
    found.extend(own.iter().filter(|it| auto && sheet.scene.has(it)).map(|it| (*it).to_owned()));
    for text in texts(list) {
        let name = text.trim_start_matches("./").trim_end_matches('/');
        let is_folder = sheet.scene.root.join(name).is_dir();
        let name = if is_folder { format!("{name}/*") } else { name.to_owned() };
        if !sheet.scene.has(&name) {
            sheet.note(list.line, format!("{text:?} is not taken over: nothing has that name; `generate` lets the program write files"));
            continue;
        }
        if is_folder {
            sheet.note(
                list.line,
                format!("archives are flat: the files of {text} lose their folder"),
            );
        }
        found.push(name);
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

/// Which programs of a package are released.
fn binaries(table: &Node, members: &[Member], sheet: &mut Sheet<'_>) {
    for (target, list) in table.entries().unwrap_or_default() {
        if target.text() != Some("*") {
            let text = target.text().unwrap_or_default();
            sheet.note(
                target.line,
                format!(
                    "the binaries of {text} alone are not taken over: all targets have the same"
                ),
            );
            continue;
        }
        let list = texts(list);
        for member in members {
            let bins: Vec<&String> =
                member.bins.iter().filter(|it| list.contains(&&***it)).collect();
            if !bins.is_empty() && bins.len() < member.bins.len() {
                let bins = bins.into_iter().cloned();
                sheet.set(Some(&member.name), &["bins"], Value::texts(bins), target.line);
            }
        }
    }
}
