//! What a release says of what it made, and what that costs.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::bench::{Bench, INSTALLED, read, write};
use crate::fixture::Project;
use crate::race::{self, Contestant};

/// A private key of this bench alone, without a password: scrypt is slow by design, and counted by
/// nobody.
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOJZRkbXYinGkSn3G\n\
/YHKIgEZdtMUKlv6XjvWNCH2ECqhRANCAAQL8Oi2MFZtDxX1kMar9uayA58ilgUl\n\
1HvdsFJhAHH10KaktSQTOCMok5Jt/OLPsmlGWtrcdnHVBReiLk1rGd6G\n\
-----END PRIVATE KEY-----\n";

/// The settings of a release that says nothing.
const SILENT: &str = "\n[package.metadata.dockless]\nauditable = false\nlicenses = false\n\
[workspace]\n[workspace.metadata.dockless]\nsbom = { ship = false }\n\
provenance = { ship = false }\n";

/// The most that all of it may add, in milliseconds.
const MOST: f64 = 60.0;

/// What SBOMs, lists of crates, licences, provenance and signatures add to a snapshot release with
/// nothing to compile.
pub fn trust(bench: &Bench) -> Result<String> {
    let project = bench.small()?;
    let silent = silent(bench, &project)?;
    let release = ["release", "--snapshot"];
    let whole = || {
        let tool = bench.command(INSTALLED, &project.ours).args(release);
        tool.env("COSIGN_PRIVATE_KEY", KEY).time()
    };
    let bare = || bench.command(INSTALLED, &silent).args(release).time();
    let contestants = vec![
        Contestant::new("SBOMs, lists, licences, provenance, signatures", whole),
        Contestant::new("none of them", bare),
    ];
    let times = race::run(crate::table::ROUNDS, contestants, |_| Ok(()))?;
    let medians = times.iter().map(|it| Ok(it.median()?.as_secs_f64() * 1e3));
    let medians = medians.collect::<Result<Vec<f64>>>()?;
    let [whole, bare] = medians[..] else { anyhow::bail!("two take part") };
    let mut text = "| snapshot release, 2 targets and an image, nothing to compile | median |\n\
                    |---|--:|\n"
        .to_owned();
    for (one, median) in times.iter().zip(&medians) {
        writeln!(text, "| {} | {median:.1} ms |", one.name)?;
    }
    let added = whole - bare;
    let verdict = if added <= MOST { "reached" } else { "MISSED" };
    writeln!(text, "\nadded: {added:.1} ms, at most {MOST:.0}: {verdict}")?;
    Ok(text)
}

/// A clone of the same project whose settings ask for none of it.
fn silent(bench: &Bench, project: &Project) -> Result<PathBuf> {
    let root = project.ours.parent().context("find the projects")?;
    let clone = root.join("silent");
    if !clone.is_dir() {
        bench.command("git", root).args(["clone", "--quiet", "seed", "silent"]).read()?;
        let manifest = clone.join("Cargo.toml");
        write(&manifest, &(read(&manifest)? + SILENT))?;
        bench.command("git", &clone).args(["add", "--all"]).read()?;
        bench.commit(&clone, "Nothing is said")?;
    }
    Ok(clone)
}
