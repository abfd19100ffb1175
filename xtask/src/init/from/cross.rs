//! `Cross.toml`: how cross builds for each target.
//! <https://github.com/cross-rs/cross/wiki/Configuration>

use super::{Sheet, Value};
use crate::target::Target;
use crate::yaml::Node;

/// Takes over the targets. The rest says how containers are made, and there are none here.
pub fn read(root: &Node, sheet: &mut Sheet<'_>) {
    for (key, value) in root.entries().unwrap_or_default() {
        match key.text() {
            Some("target") => targets(value, sheet),
            Some("build") => build(value, sheet),
            Some(other) => sheet.note(key.line, format!("`{other}` is not taken over")),
            None => {}
        }
    }
}

fn targets(tables: &Node, sheet: &mut Sheet<'_>) {
    let (mut targets, mut line) = (Vec::new(), None);
    for (name, table) in tables.entries().unwrap_or_default() {
        let Some(text) = name.text() else { continue };
        match Target::parse(text) {
            Ok(target) => {
                targets.push(target.as_str().to_owned());
                line = line.or(Some(name.line));
            }
            Err(error) => sheet.note(name.line, format!("{error}")),
        }
        build(table, sheet);
    }
    if let Some(line) = line {
        sheet.workspace(&["targets"], Value::texts(targets), line);
    }
}

/// The keys of `[build]` or of a target.
fn build(table: &Node, sheet: &mut Sheet<'_>) {
    for (key, value) in table.entries().unwrap_or_default() {
        let Some(name) = key.text() else { continue };
        let why = match name {
            "image" | "dockerfile" => {
                "builds need no container: C is compiled by zig, and what else an image installs is \
                 not there"
            }
            "pre-build" => {
                "no package of a distribution is installed: build C from its source, as crates with \
                 a feature such as `vendored` do"
            }
            "zig" => "zig is used for C and for linking wherever it is needed, without a setting",
            "env" => {
                passthrough(value, sheet);
                continue;
            }
            "default-target" => "without --target all `targets` are built",
            "xargo" | "build-std" => {
                "the standard library is the toolchain's: `cargo dockless setup` installs it"
            }
            "runner" => "programs are not run for other machines",
            _ => "it has no setting here",
        };
        sheet.note(key.line, format!("`{name}` is not taken over: {why}"));
    }
}

/// Variables reach builds here without a list of them; only those with a value need a setting.
fn passthrough(env: &Node, sheet: &mut Sheet<'_>) {
    for (key, value) in env.entries().unwrap_or_default() {
        let Some(name) = key.text() else { continue };
        let names: Vec<&str> =
            value.items().unwrap_or_default().iter().filter_map(Node::text).collect();
        let (with, without): (Vec<&str>, Vec<&str>) =
            names.into_iter().partition(|name| name.contains('='));
        if name == "passthrough" && !without.is_empty() {
            let all = without.join(", ");
            sheet.note(key.line, format!("builds see {all} as they are set, without a setting"));
        }
        if !with.is_empty() {
            let why = "set variables with a value in `env` of a package, or in .cargo/config.toml";
            sheet.note(key.line, format!("`{}` is not taken over: {why}", with.join(", ")));
        }
        if name == "volumes" {
            sheet.note(key.line, "`volumes` is not taken over: builds read the files themselves");
        }
    }
}
