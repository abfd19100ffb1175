//! What a plan would make, and what would be called for it.

use std::path::Path;

use anyhow::Result;

use super::{calls, left_out_table};
use crate::artifacts::IMAGES;
use crate::plan::{Plan, SbomOf};
use crate::preflight::Sites;
use crate::term::{Table, Term};

/// Prints what would be made: every name, path and target, and each call to `sites` that would
/// change something. `dist` is where images go, unless they go elsewhere.
pub fn dry_run(
    plan: &Plan,
    sites: Option<&Sites<'_>>,
    dist: Option<&Path>,
    term: &Term,
) -> Result<()> {
    if term.json_wanted() {
        return term.json(plan);
    }
    let publish = plan.publish.as_ref().zip(sites);
    let calls = publish.map(|(publish, sites)| calls(plan, publish, sites));
    let left_out = left_out_table(&plan.left_out);
    let made = [builds(plan), generated(plan), archives(plan), sboms(plan), statements(plan)];
    made.into_iter()
        .chain([plugins(plan), signatures(plan), images(plan, dist), left_out])
        .chain(calls)
        .filter(|table| !table.is_empty())
        .try_for_each(|table| term.result(table))
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

fn archives(plan: &Plan) -> Table {
    let mut table = Table::new(&["archive", "entries"]);
    for archive in &plan.archives {
        let entries = archive.entry_names(&plan.generate);
        table.row([plan.dist.join(&archive.name).display().to_string(), entries.join(", ")]);
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
        table.row([plan.dist.join(&sbom.name).display().to_string(), of]);
    }
    table
}

fn statements(plan: &Plan) -> Table {
    let mut table = Table::new(&["provenance", "of"]);
    for statement in &plan.provenance {
        let path = plan.dist.join(&statement.name).display().to_string();
        table.row([path, statement.package.clone()]);
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

fn images(plan: &Plan, dist: Option<&Path>) -> Table {
    let mut table = Table::new(&["image", "platforms", "base", "names"]);
    for image in &plan.images {
        let names = image.names.iter().map(ToString::to_string);
        let place = dist.map(|dist| dist.join(IMAGES).join(&image.name).display().to_string());
        table.row([
            place.unwrap_or_else(|| image.name.clone()),
            image.platform_names(),
            image.base.to_string(),
            names.collect::<Vec<_>>().join(", "),
        ]);
    }
    table
}
