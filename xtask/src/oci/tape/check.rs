//! What is wrong with a layer that can be read.

use std::collections::HashSet;
use std::io::Read;

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::place::{leads_out, normal};
use super::{Member, MemberKind, shown, walk};
use crate::finding::{self, Finding, Severity};

/// A layer with more is wrong as a whole, and nobody reads on.
const MOST_FINDINGS: usize = 20;
/// In bytes: no call of Linux takes a longer path, `PATH_MAX` in linux/limits.h.
const LONGEST_PATH: usize = 4096;
const REBUILD: &str = "build the layer anew without it, or take another base image";

/// Reads a layer's tar, uncompressed, and returns what is wrong with it: no more
/// than 20 findings, errors before warnings, each in the order of the stream and
/// placed at `layer`. What cannot be read as a tar is an error of its own, and what
/// `each`, called for every member, returns.
///
/// An error is what engines refuse, or what reaches outside of the image where
/// they don't. A warning is what some engines do otherwise than others, or what
/// works and was hardly meant.
///
/// Memory is 16 bytes, and a hash table's share, a member: up to 36 MiB.
pub fn check_layer(
    reader: impl Read,
    layer: &finding::Place,
    each: &mut dyn FnMut(&Member) -> Result<()>,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut seen = HashSet::new();
    let mut say = |severity, rule, why: String| {
        let found = findings.iter().filter(|it: &&Finding| it.severity == severity).count();
        if found < MOST_FINDINGS {
            let place = layer.clone();
            findings.push(Finding { rule, severity, place, why, fix: REBUILD.to_owned() });
        }
    };
    walk(reader, |member, _| {
        check_member(member, &mut seen, &mut say);
        each(member)
    })?;
    // The sort is stable.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings.truncate(MOST_FINDINGS);
    Ok(findings)
}

fn check_member(
    member: &Member,
    seen: &mut HashSet<[u8; 16]>,
    say: &mut impl FnMut(Severity, &'static str, String),
) {
    let name = shown(&member.path);
    // Engines that unpack it with the host's own calls would write elsewhere.
    if let Err(error) = member.place() {
        say(Severity::Error, "layer-path", format!("the path {name} {error}"));
    }
    if member.path.len() > LONGEST_PATH {
        let why = format!("the path {name} is longer than {LONGEST_PATH} bytes");
        say(Severity::Error, "layer-long-path", why);
    }
    let Ok(path) = normal(&member.path) else { return };
    // The last one counts in containerd, and the first in readers by index. Writers
    // repeat folders as a rule, which changes nothing.
    if !first_of(&path, member.kind, seen) {
        say(Severity::Warning, "layer-duplicate", format!("{name} stands in the layer twice"));
    }
    let target = member.link.as_deref().unwrap_or_default();
    let kind = match member.kind {
        MemberKind::File | MemberKind::Directory => return,
        // A hard link is made by the engine, so that its target is one on the host.
        MemberKind::Hardlink => {
            if let Err(error) = normal(target) {
                let why = format!("{name} is a hard link to {}, which {error}", shown(target));
                say(Severity::Error, "layer-hardlink", why);
            }
            return;
        }
        // Within a container, `..` of the root is the root, so this works; a program
        // that unpacks without care follows it. Absolute targets are usual.
        MemberKind::Symlink => {
            if leads_out(&path, target) {
                let why = format!("{name} is a symlink to {}, above the root", shown(target));
                say(Severity::Warning, "layer-symlink", why);
            }
            return;
        }
        // Rootless engines cannot make devices, and every runtime brings its own /dev.
        MemberKind::CharacterDevice => "a character device",
        MemberKind::BlockDevice => "a block device",
        MemberKind::Fifo => "a fifo",
    };
    say(Severity::Warning, "layer-device", format!("{name} is {kind}"));
}

/// Whether no member before stood at this path, or all were folders. The set holds
/// half of each path's SHA-256, with the last bit for what is no folder.
fn first_of(path: &[u8], kind: MemberKind, seen: &mut HashSet<[u8; 16]>) -> bool {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(path)[..16]);
    key[15] &= !1;
    let folder = key;
    key[15] |= 1;
    let other = key;
    match kind {
        MemberKind::Directory => {
            seen.insert(folder);
            !seen.contains(&other)
        }
        _ => seen.insert(other) && !seen.contains(&folder),
    }
}
