//! What a plan would make, and what would be called for it.

use anyhow::Result;

use super::{calls, left_out_table};
use crate::artifacts::IMAGES;
use crate::plan::{Plan, SbomOf};
use crate::preflight::Sites;
use crate::reference::Reference;
use crate::term::{Table, Term};

/// Where images go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImagesIn {
    Dist,
    Elsewhere,
}

/// Prints what would be made: every name, path and target, and each call to `sites` that would
/// change something.
pub fn dry_run(
    plan: &Plan,
    sites: Option<&Sites<'_>>,
    images_in: ImagesIn,
    term: &Term,
) -> Result<()> {
    if term.json_wanted() {
        return term.json(plan);
    }
    let publish = plan.publish.as_ref().zip(sites);
    let calls = publish.map(|(publish, sites)| calls(plan, publish, sites));
    let left_out = left_out_table(&plan.left_out);
    let made = [builds(plan), generated(plan), archives(plan), sboms(plan), statements(plan)];
    let tables = made.into_iter();
    let tables = tables.chain([plugins(plan), signatures(plan), images(plan, images_in), left_out]);
    for (at, table) in tables.chain(calls).filter(|table| !table.is_empty()).enumerate() {
        if at > 0 {
            term.result("")?;
        }
        term.result_table(&table)?;
    }
    Ok(())
}

fn builds(plan: &Plan) -> Table {
    let mut table = Table::new(&["build", "version", "profile", "target", "binaries"]);
    for build in &plan.builds {
        for target in &build.targets {
            table.row([
                build.package.clone(),
                build.version.to_string(),
                build.profile.clone(),
                target.to_string(),
                build.bins.join(", "),
            ]);
        }
    }
    table
}

fn generated(plan: &Plan) -> Table {
    let mut table = Table::new(&["generate", "by", "target", "arguments"]);
    for it in &plan.generate {
        let elsewhere = || "that of a shard".to_owned();
        let target = it.target.as_ref().map_or_else(elsewhere, ToString::to_string);
        table.row([it.output.to_string(), it.bin.clone(), target, it.args.join(" ")]);
    }
    table
}

/// The path of what is made, relative to the workspace's root.
fn in_dist(plan: &Plan, name: &str) -> String {
    format!("{}/{name}", plan.dist_name())
}

fn archives(plan: &Plan) -> Table {
    let mut table = Table::new(&["archive", "entries"]);
    for archive in &plan.archives {
        let entries = archive.entry_names(&plan.generate);
        table.row([in_dist(plan, &archive.name), entries.join(", ")]);
    }
    table
}

fn sboms(plan: &Plan) -> Table {
    let mut table = Table::new(&["sbom", "of"]);
    for sbom in &plan.sboms {
        let of = match &sbom.of {
            SbomOf::Program { bin, target } => format!("{bin} for {target}"),
            SbomOf::Image { platform, .. } => {
                format!("the image of {} for {platform}", sbom.package)
            }
            SbomOf::Index => format!("the images of {}", sbom.package),
        };
        table.row([in_dist(plan, &sbom.name), of]);
    }
    table
}

fn statements(plan: &Plan) -> Table {
    let mut table = Table::new(&["provenance", "of"]);
    for statement in &plan.provenance {
        table.row([in_dist(plan, &statement.name), statement.package.clone()]);
    }
    table
}

fn plugins(plan: &Plan) -> Table {
    let mut table = Table::new(&["plugin", "platforms", "served at"]);
    for plugin in &plan.krew {
        for platform in &plugin.platforms {
            let arches = platform.arches.iter().map(|arch| format!("{}/{arch}", platform.os));
            let arches = arches.collect::<Vec<_>>().join(", ");
            table.row([plugin.name.clone(), arches, platform.uri.clone()]);
        }
    }
    table
}

fn signatures(plan: &Plan) -> Table {
    let mut table = Table::new(&["signature", "of"]);
    if let Some(sign) = &plan.sign {
        for (bundle, file) in sign.bundles().zip(&sign.files) {
            table.row([bundle, file.clone()]);
        }
    }
    table
}

fn images(plan: &Plan, images_in: ImagesIn) -> Table {
    let mut table = Table::new(&["image", "platforms", "base", "names"]);
    for image in &plan.images {
        // A name without a registry is the engines' name of the image alone.
        let pushed = |of: &Reference| !of.repository.is_official();
        let name = |of: &Reference| match pushed(of) {
            true => of.to_string(),
            false => format!("{} (not pushed)", of.familiar()),
        };
        let names = image.names.iter().map(name);
        let place = match images_in {
            ImagesIn::Dist => in_dist(plan, &format!("{IMAGES}{}", image.name)),
            ImagesIn::Elsewhere => image.name.clone(),
        };
        table.row([
            place,
            image.platform_names(),
            image.base.to_string(),
            names.collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}
