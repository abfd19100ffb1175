//! The installation of a plugin, played in memory as krew v0.5.0 does it on a disk: the
//! archive is unpacked, files are moved, and program and licence are looked for.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/install.go>

use std::fmt;
use std::io::{Read, Seek};

mod moves;
mod pattern;
mod tree;
mod unpack;
mod zip;

pub use moves::{End, check as check_move};
pub use tree::inside;

use self::tree::Node;
use super::platform::Platform;
use super::sheet::Sheet;
use crate::finding::Severity;
use crate::plan::LICENSES;

/// Something that is wrong, of which the one who knows says where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A stable name in kebab case.
    pub rule: &'static str,
    pub why: String,
    pub fix: String,
}

impl Fault {
    pub fn new(rule: &'static str, why: impl Into<String>, fix: impl Into<String>) -> Fault {
        Fault { rule, why: why.into(), fix: fix.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Fault {}

/// What krew moves where an entry has no `files`.
/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/install.go>
const ALL: (&str, &str) = ("*", ".");

/// Installs an entry of a manifest from its archive, and says what is wrong. Nothing is
/// written, and no more is unpacked than a plugin can have. Where krew would stop, the last
/// finding is an error; what it lets pass and nobody could use is one too.
pub fn play(archive: &mut (impl Read + Seek), platform: &Platform, sheet: &mut Sheet<'_>) {
    let unpacked = match unpack::unpack(archive) {
        Ok(unpacked) => unpacked,
        Err(fault) => return sheet.fault(Severity::Error, platform.uri.at, fault),
    };
    for fault in unpacked.odd() {
        sheet.fault(Severity::Warning, platform.uri.at, fault);
    }
    let mut staging = Some(unpacked.root);
    let mut installed = Node::empty();
    let moves = platform.files.iter().flatten();
    let named = moves.map(|it| (&*it.from.text, &*it.to.text, it.from.at));
    let unnamed = platform.files.is_none().then_some((ALL.0, ALL.1, platform.at));
    for (from, to, at) in named.chain(unnamed) {
        match moves::run(&mut staging, &mut installed, from, to) {
            Ok(None) => {}
            Ok(Some(odd)) => sheet.fault(Severity::Warning, at, odd),
            Err(fault) => return sheet.fault(Severity::Error, at, fault),
        }
    }
    if let Some(fault) = program(&installed, platform) {
        sheet.fault(Severity::Error, platform.bin.at, fault);
    }
    let licence = |name: &[u8]| LICENSES.iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes()));
    if !installed.any_file(&licence) {
        let at = match platform.files.as_deref() {
            Some([first, ..]) => first.from.at,
            _ => platform.uri.at,
        };
        sheet.fault(Severity::Error, at, no_licence(platform));
    }
}

fn no_licence(platform: &Platform) -> Fault {
    let why =
        format!("no licence is installed: krew's index wants a file named {}", LICENSES.join(", "));
    let fix = match platform.files {
        Some(_) => "put a LICENSE into the archive, and name it in `files`",
        None => "put a LICENSE into the archive",
    };
    Fault::new("license-missing", why, fix)
}

/// What is wrong with the program that was installed.
fn program(installed: &Node, platform: &Platform) -> Option<Fault> {
    let bin = &platform.bin.text;
    let file = match inside(bin).and_then(|path| installed.get(&path).cloned()) {
        Some(Node::File(file)) => file,
        Some(Node::Folder(_)) => {
            let why = format!("{bin:?} is a folder, which nobody can start");
            return Some(Fault::new("bin-not-a-file", why, "name the program"));
        }
        None => {
            let names: Vec<String> = installed.names().take(10).map(|name| shown(name)).collect();
            let why = format!(
                "there is no {bin:?} in what is installed: {}",
                if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
            );
            let fix = "name the program by its path after all of `files` was moved";
            return Some(Fault::new("bin-missing", why, fix));
        }
    };
    if file.was_link {
        let why = format!("{bin:?} is a link in the zip, of which krew makes a file with a path");
        return Some(Fault::new("bin-link", why, "put the program itself into the archive"));
    }
    // Windows knows no such bit, and krew links on all others whatever the mode is.
    if file.mode & 0o100 == 0 && platform.pairs().any(|pair| pair.os != "windows") {
        let why =
            format!("nobody may start {bin:?}: its mode in the archive is {:o}", file.mode & 0o777);
        let fix = "give the program the mode 755 before it is put into the archive";
        return Some(Fault::new("bin-not-executable", why, fix));
    }
    None
}

/// A name for people: quoted, and cut where it is long.
fn shown(name: &[u8]) -> String {
    let end = name.len().min(200);
    let dots = if end < name.len() { "..." } else { "" };
    format!("{:?}{dots}", String::from_utf8_lossy(&name[..end]))
}
