//! `.ko.yaml`: what ko's images are based on.
//! <https://ko.build/configuration/>

use super::dockerfile::target_of;
use super::{Sheet, Value};
use crate::reference::Reference;
use crate::yaml::Node;

/// Takes over bases and platforms; what is about Go has no meaning here.
pub fn read(root: &Node, sheet: &mut Sheet<'_>) {
    for (key, value) in root.entries().unwrap_or_default() {
        let Some(name) = key.text() else { continue };
        match name {
            "defaultBaseImage" => {
                let names: Vec<String> =
                    sheet.scene.members.iter().map(|it| it.name.clone()).collect();
                names.iter().for_each(|package| base(value, package, sheet));
            }
            "baseImageOverrides" => {
                for (path, image) in value.entries().unwrap_or_default() {
                    // An import path ends with the name of its program.
                    let last = path.text().and_then(|it| it.rsplit('/').next()).unwrap_or_default();
                    let is_it = |bins: &[String]| bins.iter().any(|it| it == last);
                    let found =
                        sheet.scene.members.iter().find(|it| it.name == last || is_it(&it.bins));
                    match found.map(|it| it.name.clone()) {
                        Some(package) => base(image, &package, sheet),
                        None => sheet.note(
                            path.line,
                            format!(
                                "the base of {last} is not taken over: no package has that name"
                            ),
                        ),
                    }
                }
            }
            "defaultPlatforms" => platforms(value, sheet),
            "defaultEnv" | "defaultFlags" | "defaultLdflags" | "builds" => {
                let why = "it is about Go; the settings `env` and `features` of a package are about cargo";
                sheet.note(key.line, format!("`{name}` is not taken over: {why}"));
            }
            name => {
                sheet.note(key.line, format!("`{name}` is not taken over: it has no setting here"))
            }
        }
    }
}

fn base(image: &Node, package: &str, sheet: &mut Sheet<'_>) {
    let text = image.text().unwrap_or_default();
    if text.contains("distroless/static") && !text.contains(":debug") {
        sheet.note(image.line, format!("{text} is the base `builtin`, which is the default"));
    } else if Reference::parse(text).is_ok() {
        sheet.set(Some(package), &["image", "base"], Value::text(text), image.line);
        let why = "pin it with `cargo dockless image --update-base`";
        sheet.note(image.line, format!("the base {text} stays; {why}"));
    } else {
        sheet.note(image.line, format!("the base is not taken over: {text:?} is no reference"));
    }
}

fn platforms(list: &Node, sheet: &mut Sheet<'_>) {
    let texts: Vec<&str> = match list.items() {
        Some(items) => items.iter().filter_map(Node::text).collect(),
        None => list.text().into_iter().flat_map(|it| it.split(',')).collect(),
    };
    let mut targets: Vec<String> = Vec::new();
    for text in texts {
        match target_of(text) {
            Some(target) => targets.push(target.as_str().to_owned()),
            None if text == "all" => {
                sheet.note(
                    list.line,
                    "`all` is not taken over: name the targets, of which the default are two",
                );
            }
            None => sheet.note(list.line, format!("the platform {text} is not taken over")),
        }
    }
    if !targets.is_empty() {
        sheet.workspace(&["targets"], Value::texts(targets), list.line);
    }
}
