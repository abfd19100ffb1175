//! What other tools have in `[package.metadata]`: cargo-deb and cargo-binstall.

use super::{Member, Sheet, Value};
use crate::yaml::Node;

/// `[package.metadata.deb]`: its files and its licence go into archives.
/// <https://github.com/kornelski/cargo-deb#packagemetadatadeb-options>
pub fn deb(table: &Node, member: &Member, sheet: &mut Sheet<'_>) {
    let mut files: Vec<String> = Vec::new();
    let mut line = None;
    for (key, value) in table.entries().unwrap_or_default() {
        match key.text() {
            Some("assets") => {
                for asset in value.items().unwrap_or_default() {
                    let source = asset.items().and_then(|it| it.first()?.text());
                    let Some(source) = source.or_else(|| asset.get("source")?.text()) else {
                        continue;
                    };
                    // cargo-deb names programs by where cargo puts them.
                    if source.starts_with("target/") {
                        continue;
                    }
                    if has(source, member, sheet) {
                        files.push(source.to_owned());
                        line = line.or(Some(key.line));
                    } else {
                        sheet.note(
                            asset.line,
                            format!("{source:?} is not taken over: nothing has that name"),
                        );
                    }
                }
            }
            Some("license-file") => {
                let name = value.text().or_else(|| value.items()?.first()?.text());
                if let Some(name) = name.filter(|it| has(it, member, sheet)) {
                    files.push(name.to_owned());
                    line = line.or(Some(key.line));
                }
            }
            Some("depends" | "recommends" | "suggests" | "pre-depends") => {
                let name = key.text().unwrap_or_default();
                sheet.note(
                    key.line,
                    format!("`{name}` is not taken over: a static program needs no packages"),
                );
            }
            Some("features" | "default-features") => {
                let name = key.text().unwrap_or_default();
                sheet.note(key.line, format!("`{name}` of the package for Debian is not taken over: all releases of a package have the same features"));
            }
            _ => {}
        }
    }
    if let Some(line) = line {
        let own = ["LICEN[SC]E*", "UNLICENSE*", "COPYING*", "NOTICE*", "README*"];
        let own = own.iter().filter(|it| has(it, member, sheet)).map(|it| (*it).to_owned());
        let mut all: Vec<String> = own.collect();
        all.extend(
            files.into_iter().filter(|it| !it.starts_with("README") && !it.starts_with("LICENSE")),
        );
        all.dedup();
        let why = "archives are flat: the places of the files on a system are not taken over";
        sheet.note(line, why);
        sheet.set(Some(&member.name), &["archive", "files"], Value::texts(all), line);
    }
    sheet.note(
        table.line,
        "packages for Debian are not made: units, scripts and the rest are not taken over",
    );
}

/// Whether the package or the workspace has a file of the name.
fn has(name: &str, member: &Member, sheet: &Sheet<'_>) -> bool {
    let dir = member.manifest.parent().unwrap_or(sheet.scene.root);
    sheet.scene.has_in(dir, name) || sheet.scene.has(name)
}

/// The parts of a release that templates of cargo-binstall name, and samples of them.
const SAMPLES: [(&str, &str); 8] = [
    ("repo", "REPO"),
    ("version", "1.2.3"),
    ("target", "x86_64-unknown-linux-musl"),
    ("archive-format", "tar.gz"),
    ("archive-suffix", ".tar.gz"),
    ("format", "tar.gz"),
    ("binary-ext", ""),
    ("target-arch", "x86_64"),
];

/// `[package.metadata.binstall]`: says whether it fits the names of our archives.
/// <https://github.com/cargo-bins/cargo-binstall/blob/main/SUPPORT.md>
pub fn binstall(table: &Node, member: &Member, sheet: &mut Sheet<'_>) {
    let name = &*member.name;
    let filled = |text: &str| {
        let mut text = text.replace("{ ", "{").replace(" }", "}");
        for (key, value) in SAMPLES.iter().chain([&("name", name), &("bin", name)]) {
            text = text.replace(&format!("{{{key}}}"), value);
        }
        text
    };
    let ours = format!("{name}-v1.2.3-x86_64-unknown-linux-musl.tar.gz");
    if let Some(url) = table.get("pkg-url") {
        let text = filled(url.text().unwrap_or_default());
        let wanted = format!("REPO/releases/download/v1.2.3/{ours}");
        if text != wanted {
            let why = "`pkg-url` does not name our archives: write \"{ repo }/releases/download/\
                       v{ version }/{ name }-v{ version }-{ target }.tar.gz\", or remove the table";
            sheet.note(url.line, why);
        }
    }
    if let Some(format) = table.get("pkg-fmt").filter(|it| it.text() != Some("tgz")) {
        sheet.note(format.line, "`pkg-fmt` does not fit our archives: write \"tgz\", and \"zip\" in overrides for Windows");
    }
    if let Some(dir) = table.get("bin-dir") {
        let text = filled(dir.text().unwrap_or_default());
        if text != name && text != format!("./{name}") {
            sheet.note(dir.line, "`bin-dir` does not fit our archives, which are flat: write \"{ bin }{ binary-ext }\"");
        }
    }
    for (target, table) in table.get("overrides").and_then(Node::entries).unwrap_or_default() {
        let target = target.text().unwrap_or_default();
        let fits = target.contains("windows")
            && table.get("pkg-fmt").is_none_or(|it| it.text() == Some("zip"));
        if !fits {
            sheet.note(table.line, format!("the override for {target} is to be looked at: archives are tgz, and zip for Windows"));
        }
    }
}
