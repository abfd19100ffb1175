//! The builds of a GoReleaser file: which packages for which targets, and how.

use std::collections::BTreeMap;

use super::names::{self, texts};
use crate::init::from::{Member, Sheet, Value, flags};
use crate::target::Target;
use crate::yaml::Node;

/// The packages of the builds, by their ids.
#[derive(Default)]
pub struct Built(Vec<(String, Member)>);

impl Built {
    /// The packages that an entry is of: those of its `ids` or `builds`, or else all.
    pub fn of(&self, entry: &Node, sheet: &Sheet<'_>) -> Vec<Member> {
        let named = ["ids", "builds", "build", "id"].into_iter().find_map(|key| entry.get(key));
        let ids = named.map(texts).unwrap_or_default();
        let mut found: Vec<Member> = Vec::new();
        for (id, member) in &self.0 {
            if ids.contains(&&**id) && !found.contains(member) {
                found.push(member.clone());
            }
        }
        // An id of its own names no build.
        if found.is_empty() {
            let built = self.0.iter().map(|(_, member)| member.clone());
            found = if self.0.is_empty() { sheet.scene.members.to_vec() } else { built.collect() };
            found.dedup();
        }
        found
    }
}

/// Reads all builds.
pub fn read(root: &Node, sheet: &mut Sheet<'_>) -> Built {
    let project = root.get("project_name").and_then(Node::text).unwrap_or_default();
    let mut built = Built::default();
    let mut targets: Vec<(Option<String>, Vec<String>, usize)> = Vec::new();
    let list = root.get("builds").or(root.get("build"));
    for build in list.and_then(Node::items).unwrap_or_default() {
        let of = |key: &str| build.get(key).and_then(Node::text);
        if of("skip") == Some("true") {
            continue;
        }
        let member = member(build, project, sheet);
        if let Some(member) = &member {
            let id = of("id").or(of("binary")).unwrap_or(project).to_owned();
            built.0.push((id, member.clone()));
        } else {
            let why = "no package with a binary fits: name it in `--package` of `flags`";
            sheet.note(build.line, format!("this build is of no package here: {why}"));
        }
        let found = of_build(build, root, sheet);
        if !found.is_empty() {
            let line = build.get("targets").or(build.get("goos")).unwrap_or(build).line;
            targets.push((member.as_ref().map(|it| it.name.clone()), found, line));
        }
        settings(build, member.as_ref(), sheet);
    }
    write(targets, sheet);
    built
}

/// Targets that all builds share are the workspace's; others are those of their packages.
fn write(targets: Vec<(Option<String>, Vec<String>, usize)>, sheet: &mut Sheet<'_>) {
    let Some((_, first, line)) = targets.first().cloned() else { return };
    if targets.iter().all(|(_, it, _)| *it == first) {
        sheet.workspace(&["targets"], Value::texts(first), line);
        return;
    }
    let mut by_package: BTreeMap<String, (Vec<String>, usize)> = BTreeMap::new();
    for (package, found, line) in targets {
        let Some(package) = package else { continue };
        let known = by_package.entry(package).or_insert((Vec::new(), line));
        for target in found {
            if !known.0.contains(&target) {
                known.0.push(target);
            }
        }
    }
    for (package, (found, line)) in by_package {
        sheet.set(Some(&package), &["targets"], Value::texts(found), line);
    }
}

/// The package of a build: named by its flags, its folder, its binary or its id.
fn member(build: &Node, project: &str, sheet: &Sheet<'_>) -> Option<Member> {
    let members = sheet.scene.members;
    let named = build.get("flags").map(texts).and_then(|it| flags::package(&it));
    let by_package = named.and_then(|name| members.iter().find(|it| it.name == name));
    let dir = build.get("dir").and_then(Node::text).filter(|dir| ![".", ""].contains(dir));
    let by_dir = dir.and_then(|dir| {
        let dir = sheet.scene.root.join(dir.trim_start_matches("./"));
        members.iter().find(|it| it.manifest.parent() == Some(&*dir))
    });
    let by_name = ["binary", "id"].into_iter().find_map(|key| {
        let name = build.get(key).and_then(Node::text)?;
        let name = if name.contains(".ProjectName") { project } else { name };
        members.iter().find(|it| it.name == name || it.bins.iter().any(|bin| bin == name))
    });
    let project = || members.iter().find(|it| it.name == project);
    let only = || if members.len() == 1 { members.first() } else { None };
    by_package.or(by_dir).or(by_name).or_else(project).or_else(only).cloned()
}

/// The triples of a build, each once.
fn of_build(build: &Node, root: &Node, sheet: &mut Sheet<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let typed = build.get("targets");
    for node in typed.and_then(Node::items).unwrap_or_default() {
        let Some(text) = node.text() else { continue };
        let parts: Vec<&str> = text.split('_').collect();
        let go = match &parts[..] {
            [os, arch, rest @ ..] if !text.contains('-') => {
                names::triple(os, arch, rest.first().copied().unwrap_or_default())
            }
            _ => Some(text.to_owned()),
        };
        match go.and_then(|name| Target::parse(&name).ok()) {
            Some(target) => found.push(target.as_str().to_owned()),
            None => sheet.note(
                node.line,
                format!("the target {text:?} is not taken over: it is none of rustc's"),
            ),
        }
    }
    if typed.is_none() && build.get("goos").or(build.get("goarch")).is_some() {
        found = of_go(build, sheet);
    }
    let joined = root.get("universal_binaries").and_then(Node::items).unwrap_or_default();
    let mac: Vec<String> =
        Target::universal().slices().iter().map(|it| it.as_str().to_owned()).collect();
    if let Some(universal) = joined.first()
        && mac.iter().all(|it| found.contains(it))
    {
        if universal.get("replace").and_then(Node::text) == Some("true") {
            found.retain(|it| !mac.contains(it));
        }
        found.push(Target::universal().as_str().to_owned());
    }
    let mut seen = Vec::new();
    found.retain(|it| {
        !seen.contains(it) && {
            seen.push(it.clone());
            true
        }
    });
    found
}

/// The triples of each system with each architecture, without those of `ignore`.
fn of_go(build: &Node, sheet: &mut Sheet<'_>) -> Vec<String> {
    let list = |key: &str, otherwise: &[&'static str]| -> Vec<String> {
        let typed = build.get(key).map(texts);
        let typed = typed.unwrap_or_else(|| otherwise.to_vec());
        typed.into_iter().map(str::to_owned).collect()
    };
    let line = build.get("goos").or(build.get("goarch")).unwrap_or(build).line;
    let ignored = |os: &str, arch: &str, arm: &str| {
        let rules = build.get("ignore").and_then(Node::items).unwrap_or_default();
        rules.iter().any(|rule| {
            let fits = |key: &str, value: &str| {
                let typed = rule.get(key).and_then(Node::text);
                typed.is_none_or(|typed| typed == value)
            };
            fits("goos", os) && fits("goarch", arch) && (arch != "arm" || fits("goarm", arm))
        })
    };
    let mut found = Vec::new();
    for os in list("goos", &["linux", "darwin", "windows"]) {
        for arch in list("goarch", &["386", "amd64", "arm64"]) {
            let arms = if arch == "arm" { list("goarm", &["6"]) } else { vec![String::new()] };
            for arm in arms {
                // GoReleaser leaves out what Go cannot build.
                let never = os == "darwin" && ["386", "arm"].contains(&&*arch);
                if never || ignored(&os, &arch, &arm) {
                    continue;
                }
                match names::triple(&os, &arch, &arm) {
                    Some(triple) => found.push(triple),
                    None => sheet.note(
                        line,
                        format!(
                            "{os}/{arch} is not taken over: name a target of rustc's in `targets`"
                        ),
                    ),
                }
            }
        }
    }
    found
}

/// What else a build says.
fn settings(build: &Node, member: Option<&Member>, sheet: &mut Sheet<'_>) {
    for (key, value) in build.entries().unwrap_or_default() {
        let Some(name) = key.text() else { continue };
        match name {
            "id" | "builder" | "binary" | "targets" | "goos" | "goarch" | "goarm" | "goamd64"
            | "ignore" | "dir" | "skip" | "mod_timestamp" | "goarm64" | "go386" | "goppc64"
            | "goriscv64" | "gomips" => {}
            "flags" => {
                if let Some(member) = member {
                    flags::take(&texts(value), member, key.line, sheet);
                }
            }
            "env" => {
                if let Some(member) = member {
                    env(value, member, sheet);
                }
            }
            "main" | "ldflags" | "gcflags" | "asmflags" | "tags" | "buildmode" | "gobinary" => {
                sheet.note(key.line, format!("`{name}` is not taken over: it is Go's"));
            }
            "tool" | "command" => {
                let why = "cargo builds, with zig as the linker where one is needed";
                sheet.note(key.line, format!("`{name}` is not taken over: {why}"));
            }
            "hooks" => sheet.note(
                key.line,
                "`hooks` are not taken over: a build script of the package can do what they do",
            ),
            name => sheet.note(key.line, format!("`{name}` of builds is not taken over")),
        }
    }
}

/// Variables with a value.
fn env(list: &Node, member: &Member, sheet: &mut Sheet<'_>) {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for node in list.items().unwrap_or_default() {
        let Some((name, value)) = node.text().and_then(|it| it.split_once('=')) else { continue };
        // They choose how Go builds.
        if ["CGO_ENABLED", "GO111MODULE", "GOFLAGS", "GOPRIVATE"].contains(&name) {
            continue;
        }
        match names::template(value, "") {
            Some(value) => found.push((name.to_owned(), Value::Text(value))),
            None => notes.push((
                node.line,
                format!("the variable {name} is not taken over: {}", names::UNKNOWN),
            )),
        }
    }
    notes.into_iter().for_each(|(line, note)| sheet.note(line, note));
    if !found.is_empty() {
        sheet.set(Some(&member.name), &["env"], Value::Table(found), list.line);
    }
}
