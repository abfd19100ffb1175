//! What `files` must be, whatever the archive contains.
//! <https://github.com/kubernetes-sigs/krew/blob/v0.5.0/internal/installation/move.go>

use crate::krew::filepath::{clean, inside, patterns};
use crate::krew::platform::{FileOperation, Platform, Text};
use crate::krew::report::Report;

/// Checks `files` of an entry.
pub fn check(report: &mut Report<'_>, platform: &Platform) {
    let Some(files) = &platform.files else { return };
    if files.is_empty() {
        let fix = "leave `files` out to install all files, or name some";
        report.error("files-empty", platform.files_at, "`files` is empty", fix);
    }
    for FileOperation { from, to } in files {
        if from.is_empty() {
            let fix = "name a file of the archive, or a pattern";
            report.error("files-from-unset", from.at, "an item has no `from`", fix);
        }
        if to.is_empty() {
            let fix = "name a folder, or `.` for the plugin's own";
            report.error("files-to-unset", to.at, "an item has no `to`", fix);
        } else {
            paths(report, from, to);
        }
    }
}

fn paths(report: &mut Report<'_>, from: &Text, to: &Text) {
    let cleaned = clean(&to.text);
    if to.text != cleaned {
        let why = format!("krew accepts only clean paths for `to`, not {:?}", to.text);
        report.error("files-to-clean", to.at, why, format!("write {cleaned:?}"));
    } else if inside(&to.text).is_none() {
        let why = format!("{:?} leads out of the plugin's folder: krew refuses it", to.text);
        let fix = "name a folder within the plugin's";
        report.error("files-to-outside", to.at, why, fix);
    } else if let Some(path) = inside(&from.text) {
        if patterns(&path).is_none() {
            let why = format!("{:?} is not a pattern that krew understands", from.text);
            let fix = "close each `[`, and put a backslash before a character without meaning";
            report.error("files-pattern", from.at, why, fix);
        }
    } else {
        let why = format!("{:?} leads out of the archive: krew refuses it", from.text);
        report.error("files-from-outside", from.at, why, "name files of the archive");
    }
}
