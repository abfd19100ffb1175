//! What programs are made with, by digests: the compiler, the standard libraries, and zig.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cache::{Cache, CacheKind};
use crate::digest::{self, Digest};
use crate::files::{self, EntryKind};
use crate::parallel;
use crate::plan::{BuildPlan, Tools};
use crate::project::{Project, rustc};

/// A part of the toolchain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ToolchainPart {
    /// `rustc`, `zig`, or `rust-std for TARGET`
    pub name: String,
    pub version: String,
    /// The target of the machine that it runs on; `None` for a library.
    pub host: Option<String>,
    /// The commit that it was built from, where it says so.
    pub commit: Option<String>,
    /// Of the file, or of the names and the digests of its files.
    pub digest: Digest,
}

/// What the compiler says of itself.
#[derive(Serialize, Deserialize)]
struct Compiler {
    release: String,
    host: String,
    commit: Option<String>,
}

/// The parts that the builds use, sorted. What was hashed once is cached, until a size or a time
/// changes.
pub fn identity(
    builds: &[BuildPlan],
    project: &Project,
    cache: &Cache,
) -> Result<Vec<ToolchainPart>> {
    let compiler = compiler(project, cache).context("identify the compiler")?;
    let targets: BTreeSet<_> = builds.iter().flat_map(|build| &build.targets).collect();
    let mut parts = Vec::new();
    for target in targets {
        let name = format!("rust-std for {target}");
        let dir = project.rustc.library(target.triple()).join("lib");
        // Nothing was built for a target without one, which was listed.
        if !files::exists(&dir)? {
            continue;
        }
        let digest = digest_of(&dir, &|_| true, cache);
        parts.push(ToolchainPart {
            digest: digest.with_context(|| format!("identify {name}"))?,
            name,
            version: compiler.version.clone(),
            host: None,
            commit: compiler.commit.clone(),
        });
    }
    let mut tools = builds.iter().flat_map(|build| build.tools.values());
    let with_zig = tools.any(|tools| matches!(tools, Tools::Cross | Tools::Zig));
    if let Some(zig) = project.cross.zig.as_ref().filter(|_| with_zig) {
        let dir = zig.program.parent().context("find zig's folder")?;
        let own = |name: &str| zig.program.file_name().is_some_and(|own| own == name);
        parts.push(ToolchainPart {
            name: "zig".to_owned(),
            version: zig.version.to_string(),
            host: compiler.host.clone(),
            commit: None,
            digest: digest_of(dir, &own, cache).context("identify zig")?,
        });
    }
    parts.push(compiler);
    parts.sort();
    Ok(parts)
}

/// The compiler by its library, which rustc's program only starts; where that is not beside it,
/// by the program.
fn compiler(project: &Project, cache: &Cache) -> Result<ToolchainPart> {
    let sysroot = &project.rustc.sysroot;
    let library = |name: &str| {
        name.trim_start_matches("lib").starts_with("rustc_driver-") && !name.ends_with(".lib")
    };
    let program = |name: &str| name.trim_end_matches(std::env::consts::EXE_SUFFIX) == "rustc";
    let (lib, bin) = (sysroot.join("lib"), sysroot.join("bin"));
    let places: [(&Path, Wanted<'_>); 3] = [(&lib, &library), (&bin, &library), (&bin, &program)];
    let mut found = None;
    for (dir, wanted) in places {
        if !stamps(dir, wanted).unwrap_or_default().is_empty() {
            found = Some((dir, wanted));
            break;
        }
    }
    let (dir, wanted) =
        found.with_context(|| format!("there is no compiler in {}", sysroot.display()))?;
    let digest = digest_of(dir, wanted, cache)?;
    let key = digest::of_parts([b"compiler 1".as_slice(), digest.hex().as_bytes()]);
    let said = match cache.get_json(CacheKind::Toolchain, &key)? {
        Some(said) => said,
        None => {
            let said = ask(project)?;
            cache.put_json(CacheKind::Toolchain, &key, &said)?;
            said
        }
    };
    let Compiler { release, host, commit } = said;
    Ok(ToolchainPart {
        name: "rustc".to_owned(),
        version: release,
        host: Some(host),
        commit,
        digest,
    })
}

fn ask(project: &Project) -> Result<Compiler> {
    let program = rustc::program(&project.root, &project.env).arg("-vV");
    let text = program.read()?;
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.filter(|value| *value != "unknown").map(str::to_owned)
    };
    let context = || format!("read the output of `{program}`");
    Ok(Compiler {
        release: field("release").with_context(context)?,
        host: field("host").with_context(context)?,
        commit: field("commit-hash"),
    })
}

/// Which files of a folder count, by their names.
type Wanted<'a> = &'a dyn Fn(&str) -> bool;

/// Name, size and time of a file, by which a changed one is recognized.
type Stamp = (String, u64, u128);

/// The files of a folder that are wanted, by their names, sorted.
fn stamps(dir: &Path, wanted: Wanted<'_>) -> Result<Vec<Stamp>> {
    let mut stamps = Vec::new();
    for entry in files::list(dir)? {
        let name = entry.path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| wanted(name)) else { continue };
        if entry.kind == EntryKind::Folder {
            continue;
        }
        let modified = entry.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        stamps.push((name.to_owned(), entry.size, modified.as_nanos()));
    }
    stamps.sort();
    Ok(stamps)
}

/// The digest over the names and the digests of those files of a folder.
fn digest_of(dir: &Path, wanted: Wanted<'_>, cache: &Cache) -> Result<Digest> {
    let stamps = stamps(dir, wanted)?;
    let text = serde_json::to_vec(&stamps).context("write the list of files")?;
    let place = dir.as_os_str().as_encoded_bytes();
    let key = digest::of_parts([b"toolchain 1".as_slice(), place, &text]);
    if let Some(digest) = cache.get_json(CacheKind::Toolchain, &key)? {
        return Ok(digest);
    }
    let digests = parallel::map(&stamps, parallel::processors(), |(name, ..)| {
        let path = dir.join(name);
        let digest = Digest::of_reader(files::open(&path)?);
        Ok(digest.with_context(|| format!("read {}", path.display()))?.hex())
    })?;
    let parts = stamps.iter().zip(&digests);
    let parts = parts.flat_map(|((name, ..), digest)| [name.as_bytes(), digest.as_bytes()]);
    let digest = digest::of_parts(parts.collect::<Vec<_>>());
    cache.put_json(CacheKind::Toolchain, &key, &digest)?;
    Ok(digest)
}
