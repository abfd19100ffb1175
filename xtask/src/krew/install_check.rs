//! Whether krew could install a plugin from an archive: the installation is carried out in
//! memory. [`check`] is the only way in.
//!
//! It imitates krew v0.5.0 (internal/download, internal/installation) and what krew uses of
//! Go 1.26: archive/zip, archive/tar, compress/gzip and path/filepath. `krew validate` needs
//! neither krew nor Go for it, and writes nothing that a foreign archive contains. Crates that
//! read archives are no substitute: they accept and refuse other archives than Go does, and a
//! plugin is right only if krew itself installs it. The tests `krew_judges` compare the two.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/install.go>

use std::io::{Read, Seek};

mod move_files;
mod tree;
mod unpack;
mod unpacked;
mod zip;

use self::tree::Node;
use super::filepath::inside;
use super::platform::Platform;
use super::report::{Problem, Report};
use crate::finding::Severity;
use crate::plan::LICENSES;

/// What krew moves where an entry has no `files`: `from` and `to`.
/// <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/install.go>
const ALL_FILES: (&str, &str) = ("*", ".");

/// Installs an entry of a manifest from its archive, and reports what is wrong. Nothing is
/// written to disk, and no more is unpacked than a plugin can have. The check ends with the
/// first error that stops krew; what krew installs and nobody could use is an error too.
///
/// The rules of the manifest were checked before: its paths and patterns are valid.
pub fn check(archive: &mut (impl Read + Seek), platform: &Platform, report: &mut Report<'_>) {
    let unpacked = match unpack::unpack(archive) {
        Ok(unpacked) => unpacked,
        Err(problem) => return report.problem(Severity::Error, platform.uri.at, problem),
    };
    for problem in unpacked.warnings() {
        report.problem(Severity::Warning, platform.uri.at, problem);
    }
    let mut staging = Some(unpacked.root);
    let mut installed = Node::empty();
    let operations = platform.files.iter().flatten();
    let named = operations.map(|it| (&*it.from.text, &*it.to.text, it.from.at));
    let all = platform.files.is_none().then_some((ALL_FILES.0, ALL_FILES.1, platform.at));
    for (from, to, at) in named.chain(all) {
        match move_files::move_files(&mut staging, &mut installed, from, to) {
            Ok(None) => {}
            Ok(Some(problem)) => report.problem(Severity::Warning, at, problem),
            Err(problem) => return report.problem(Severity::Error, at, problem),
        }
    }
    if let Some(problem) = program(&installed, platform) {
        report.problem(Severity::Error, platform.bin.at, problem);
    }
    let licence = |name: &[u8]| LICENSES.iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes()));
    if !installed.any_file(&licence) {
        let at = match platform.files.as_deref() {
            Some([first, ..]) => first.from.at,
            _ => platform.uri.at,
        };
        report.problem(Severity::Error, at, no_licence(platform));
    }
}

fn no_licence(platform: &Platform) -> Problem {
    let names = LICENSES.join(", ");
    let why = format!("no licence is installed: krew's index requires a file named one of {names}");
    let fix = match platform.files {
        Some(_) => "put a LICENSE into the archive, and name it in `files`",
        None => "put a LICENSE into the archive",
    };
    Problem::new("license-missing", why, fix)
}

/// What is wrong with the installed program.
fn program(installed: &Node, platform: &Platform) -> Option<Problem> {
    let bin = &platform.bin.text;
    let file = match inside(bin).and_then(|path| installed.get(&path)) {
        Some(Node::File(file)) => file,
        Some(Node::Folder(_)) => {
            let why = format!("{bin:?} is a folder, not a program");
            return Some(Problem::new("bin-not-a-file", why, "name the program"));
        }
        None => {
            let names = installed.first_names();
            let names = if names.is_empty() { "nothing" } else { &names };
            let why = format!("there is no {bin:?} in what is installed: {names}");
            let fix = "name the program by its path after `files` is applied";
            return Some(Problem::new("bin-missing", why, fix));
        }
    };
    if file.was_link {
        let why = format!("{bin:?} is a link in the zip: krew makes it a file that holds a path");
        return Some(Problem::new("bin-link", why, "put the program itself into the archive"));
    }
    // Windows has no such bit. On other systems krew links the program whatever its mode is.
    if file.mode & 0o100 == 0 && platform.pairs().any(|pair| pair.os != "windows") {
        let mode = file.mode & 0o777;
        let why = format!("{bin:?} is not executable: its mode in the archive is {mode:o}");
        let fix = "give the program mode 755 before it is put into the archive";
        return Some(Problem::new("bin-not-executable", why, fix));
    }
    None
}
