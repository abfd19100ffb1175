//! Findings about a layer that can be read.

use std::collections::HashSet;
use std::io::Read;

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::member::{TarMember, TarMemberKind, shown};
use super::place::{leads_out, normal};
use super::walk;
use crate::finding::{self, Finding, Severity};

/// Nobody reads more of them.
const MOST_FINDINGS: usize = 20;
/// In bytes: Linux takes no longer path, `PATH_MAX` in linux/limits.h.
const LONGEST_PATH: usize = 4096;
const REBUILD: &str = "rebuild the layer without it, or take another base image";

/// Reads a layer's uncompressed tar, calls `each` for every member, and returns at most 20
/// findings placed at `layer`: errors before warnings, each in the order of the stream. Fails
/// where the stream cannot be read as a tar, and where `each` fails.
///
/// An error is what engines refuse, or what would reach outside of the image. A warning is
/// what engines do differently, or what works and was hardly meant.
///
/// It takes 16 bytes of memory a member, and a hash table's share: up to 36 MiB.
pub fn check_layer(
    reader: impl Read,
    layer: &finding::Place,
    each: &mut dyn FnMut(&TarMember) -> Result<()>,
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
    member: &TarMember,
    seen: &mut HashSet<[u8; 16]>,
    say: &mut impl FnMut(Severity, &'static str, String),
) {
    let name = shown(&member.path);
    // Engines that unpack with the host's own calls would write elsewhere.
    if let Err(error) = member.place() {
        say(Severity::Error, "layer-path", format!("the path {name} {error}"));
    }
    if member.path.len() > LONGEST_PATH {
        let why = format!("the path {name} is longer than {LONGEST_PATH} bytes");
        say(Severity::Error, "layer-long-path", why);
    }
    let Ok(path) = normal(&member.path) else { return };
    // containerd uses the last of two, and readers with an index use the first. Writers often
    // repeat folders, which changes nothing.
    if !first_of(&path, member.kind, seen) {
        say(Severity::Warning, "layer-duplicate", format!("{name} is in the layer twice"));
    }
    let target = member.link.as_deref().unwrap_or_default();
    let kind = match member.kind {
        TarMemberKind::File | TarMemberKind::Directory => return,
        // The engine makes hard links on the host, so their targets are the host's.
        TarMemberKind::Hardlink => {
            if let Err(error) = normal(target) {
                let why = format!("{name} is a hard link to {}, which {error}", shown(target));
                say(Severity::Error, "layer-hardlink", why);
            }
            return;
        }
        // In a container `..` of the root is the root, so this works; a careless program
        // that unpacks the layer follows it. Absolute targets are usual.
        TarMemberKind::Symlink => {
            if leads_out(&path, target) {
                let why = format!("{name} is a symlink to {}, above the root", shown(target));
                say(Severity::Warning, "layer-symlink", why);
            }
            return;
        }
        // Rootless engines cannot make devices, and every runtime mounts its own /dev.
        TarMemberKind::CharacterDevice => "a character device",
        TarMemberKind::BlockDevice => "a block device",
        TarMemberKind::Fifo => "a fifo",
    };
    say(Severity::Warning, "layer-device", format!("{name} is {kind}"));
}

/// Whether this is the first member at the path, or all of them are folders. The set holds
/// half of each path's SHA-256, whose last bit is set where the member is not a folder.
fn first_of(path: &[u8], kind: TarMemberKind, seen: &mut HashSet<[u8; 16]>) -> bool {
    let mut key = [0; 16];
    key.copy_from_slice(&Sha256::digest(path)[..16]);
    key[15] &= !1;
    let folder = key;
    key[15] |= 1;
    let other = key;
    match kind {
        TarMemberKind::Directory => {
            seen.insert(folder);
            !seen.contains(&other)
        }
        _ => seen.insert(other) && !seen.contains(&folder),
    }
}
