//! The images of a GoReleaser file: by Docker, or by ko.

use super::builds::Built;
use super::names::{self, texts};
use crate::init::from::dockerfile::target_of;
use crate::init::from::{Sheet, Value};
use crate::reference::{Reference, Repository};
use crate::yaml::Node;

/// One of `dockers`: an image for one platform by a Dockerfile.
pub fn docker(docker: &Node, built: &Built, project: &str, sheet: &mut Sheet<'_>) {
    let image_templates = docker.get("image_templates");
    let list = image_templates.map(texts).unwrap_or_default();
    let line = image_templates.unwrap_or(docker).line;
    image(docker, built, &list, project, line, sheet);
    dockerfile(docker, sheet);
    let mut labels = Vec::new();
    for flag in docker.get("build_flag_templates").and_then(Node::items).unwrap_or_default() {
        let Some(text) = flag.text() else { continue };
        let label = text.strip_prefix("--label=").and_then(|it| it.split_once('='));
        match label {
            Some((name, _)) if name.starts_with("org.opencontainers.image.") => {}
            Some((name, value)) => match names::template(value.trim_matches('"'), project) {
                Some(value) => labels.push((name.to_owned(), Value::Text(value))),
                None => sheet.note(
                    flag.line,
                    format!("the label {name} is not taken over: {}", names::UNKNOWN),
                ),
            },
            None if text.starts_with("--platform=") || text == "--pull" => {}
            None => sheet
                .note(flag.line, format!("{text} is not taken over: no Docker builds the image")),
        }
    }
    if !labels.is_empty() {
        set(docker, built, "labels", Value::Table(labels), line, sheet);
    }
}

/// One of `dockers_v2`: an image for several platforms.
pub fn docker_v2(docker: &Node, built: &Built, project: &str, sheet: &mut Sheet<'_>) {
    dockerfile(docker, sheet);
    named(docker, "images", built, project, sheet);
    for key in ["labels", "annotations"] {
        table(docker, key, built, project, sheet);
    }
    for key in ["build_args", "extra_files", "flags", "retry"] {
        if let Some(node) = docker.get(key) {
            sheet.note(node.line, format!("`{key}` is not taken over: no Docker builds the image"));
        }
    }
}

/// One of `kos`.
pub fn ko(ko: &Node, built: &Built, project: &str, sheet: &mut Sheet<'_>) {
    let repositories = if ko.get("repositories").is_some() { "repositories" } else { "repository" };
    named(ko, repositories, built, project, sheet);
    if let Some(node) = ko.get("base_image")
        && let Some(text) = node.text()
    {
        if text.contains("distroless/static") {
            sheet.note(node.line, format!("{text} is the base `builtin`, which is the default"));
        } else if Reference::parse(text).is_ok() {
            set(ko, built, "base", Value::text(text), node.line, sheet);
        } else {
            sheet.note(
                node.line,
                format!("`base_image` is not taken over: {text:?} is no reference"),
            );
        }
    }
    if let Some(node) = ko.get("user") {
        match node.text() {
            Some(user) if user.bytes().all(|it| it.is_ascii_digit() || it == b':') => {
                set(ko, built, "user", Value::text(user), node.line, sheet);
            }
            _ => sheet.note(node.line, "`user` is not taken over: it has to be a number"),
        }
    }
    table(ko, "labels", built, project, sheet);
    table(ko, "annotations", built, project, sheet);
    for platform in ko.get("platforms").and_then(Node::items).unwrap_or_default() {
        let text = platform.text().unwrap_or_default();
        match target_of(text) {
            Some(target) => {
                let why = format!("the image for {text} is made where `targets` has {target}");
                sheet.note(platform.line, why);
            }
            None => sheet.note(platform.line, format!("the platform {text} is not taken over")),
        }
    }
    for key in ["bare", "preserve_import_paths", "base_import_paths"] {
        if let Some(node) = ko.get(key).filter(|it| it.text() == Some("true")) {
            let why = "`image.repositories` are the whole names of the image";
            sheet.note(node.line, format!("`{key}` is not taken over: {why}"));
        }
    }
}

/// `docker_manifests`: the names under which the images of `dockers` are joined.
pub fn manifests(list: &[Node], built: &Built, project: &str, sheet: &mut Sheet<'_>) {
    let names: Vec<&str> = list.iter().filter_map(|it| it.get("name_template")?.text()).collect();
    if let Some(first) = list.first() {
        image(first, built, &names, project, first.line, sheet);
    }
}

/// The repositories below `key`, with `tags`.
fn named(entry: &Node, key: &str, built: &Built, project: &str, sheet: &mut Sheet<'_>) {
    let Some(node) = entry.get(key) else { return };
    let tags = entry.get("tags").map(texts).unwrap_or_default();
    let repositories = texts(node);
    let mut all: Vec<String> = repositories.iter().map(|it| (*it).to_owned()).collect();
    if let Some(first) = repositories.first() {
        all.extend(tags.iter().map(|tag| format!("{first}:{tag}")));
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    image(entry, built, &all, project, node.line, sheet);
}

/// The repositories and tags of image names. Names of one platform lose its suffix: an image is
/// of all platforms.
fn image(
    entry: &Node,
    built: &Built,
    list: &[&str],
    project: &str,
    line: usize,
    sheet: &mut Sheet<'_>,
) {
    let (mut repositories, mut tags) = (Vec::<String>::new(), Vec::<String>::new());
    for typed in list {
        let Some(text) = names::template(typed, project) else {
            sheet.note(line, format!("the name {typed} is not taken over: {}", names::UNKNOWN));
            continue;
        };
        let slash = text.rfind('/').map_or(0, |at| at + 1);
        let colon = text[slash..].find(':').map(|at| slash + at);
        let (repository, tag) =
            colon.map_or((&*text, None), |at| (&text[..at], Some(&text[at + 1..])));
        if repository.contains("{{") || Repository::parse(repository).is_err() {
            sheet.note(line, format!("{repository:?} is not taken over: it is no repository"));
            continue;
        }
        if !repositories.iter().any(|it| it == repository) {
            repositories.push(repository.to_owned());
        }
        let ends = ["-amd64", "-arm64", "-arm64v8", "-armv7", "-armv6", "-386"];
        let tag = tag.map(|tag| ends.iter().find_map(|end| tag.strip_suffix(end)).unwrap_or(tag));
        if let Some(tag) = tag.filter(|it| !tags.iter().any(|known| known == it)) {
            tags.push(tag.to_owned());
        }
    }
    if !repositories.is_empty() {
        set(entry, built, "repositories", Value::texts(repositories), line, sheet);
    }
    if !tags.is_empty() {
        set(entry, built, "tags", Value::texts(tags), line, sheet);
    }
}

fn table(entry: &Node, key: &str, built: &Built, project: &str, sheet: &mut Sheet<'_>) {
    let Some(node) = entry.get(key) else { return };
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for (name, value) in node.entries().unwrap_or_default() {
        let (Some(name), Some(value)) = (name.text(), value.text()) else { continue };
        match names::template(value, project) {
            _ if name.starts_with("org.opencontainers.image.") => {}
            Some(value) => found.push((name.to_owned(), Value::Text(value))),
            None => notes.push(format!("{name} of `{key}` is not taken over: {}", names::UNKNOWN)),
        }
    }
    notes.into_iter().for_each(|note| sheet.note(node.line, note));
    if !found.is_empty() {
        set(entry, built, key, Value::Table(found), node.line, sheet);
    }
}

/// The setting for each package that the entry is of, unless an entry before says it.
fn set(entry: &Node, built: &Built, key: &str, value: Value, line: usize, sheet: &mut Sheet<'_>) {
    for member in built.of(entry, sheet) {
        sheet.once(Some(&member.name), &["image", key], value.clone(), line);
    }
}

fn dockerfile(entry: &Node, sheet: &mut Sheet<'_>) {
    if let Some(node) = entry.get("dockerfile") {
        let name = node.text().unwrap_or_default();
        let why =
            "what the Dockerfile at the root or beside a package says is taken over by itself";
        if name != "Dockerfile" {
            sheet.note(node.line, format!("{name} is not read: {why}"));
        }
    }
}
