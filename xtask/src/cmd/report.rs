//! What was made and published, said.

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use super::World;
use crate::artifacts::Artifact;
use crate::plan::{Plan, Skip};
use crate::release::{Outcome, Public};
use crate::term::Table;

mod attested;

/// What a release made, and what of it is public.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<&'a Public>,
}

/// Says what was made and published: to people, to the page of a job and its later steps,
/// and on stdout.
pub fn report(
    plan: &Plan,
    outcome: &Outcome<'_>,
    public: Option<&Public>,
    wanted: impl Fn(&Artifact) -> bool,
    world: &World,
) -> Result<()> {
    let term = &world.term;
    outcome.show(term);
    world.summary(&outcome.markdown())?;
    if let Some(public) = public {
        for table in public.tables() {
            term.table(&table);
            world.summary(&table.markdown(public.title()))?;
        }
    }
    outputs(plan, outcome, public, world)?;
    let made = outcome.artifacts.iter().filter(|artifact| wanted(artifact));
    let paths = made.map(|artifact| plan.dist.join(artifact.path()));
    let shown = Shown { outcome, published: public };
    term.results(&shown, paths.map(|path| path.display().to_string()))
}

/// Whether what was made is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    Yes,
    NoKey,
}

impl Signed {
    pub fn of<T>(key: Option<T>) -> Signed {
        if key.is_some() { Signed::Yes } else { Signed::NoKey }
    }
}

/// Lists the steps that were left out, so that nobody takes them for done.
pub fn skipped(skip: &[Skip], signed: Signed, world: &World) -> Result<()> {
    let mut table = Table::new(&["skipped", "why"]);
    for step in skip {
        let name = step.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned());
        table.row([name.clone(), format!("--skip {name}")]);
    }
    if signed == Signed::NoKey && !skip.contains(&Skip::Sign) {
        let why = "there is no key: set COSIGN_PRIVATE_KEY, which `dockless keygen` makes";
        table.row(["sign".to_owned(), why.to_owned()]);
    }
    if !table.is_empty() {
        world.term.table(&table);
        world.summary(&table.markdown("Skipped"))?;
    }
    Ok(())
}

/// What the later steps of a job may need, each on one line.
fn outputs(
    plan: &Plan,
    outcome: &Outcome<'_>,
    public: Option<&Public>,
    world: &World,
) -> Result<()> {
    world.output("version", &outcome.version)?;
    world.output("tag", plan.tag.as_deref().unwrap_or_default())?;
    let paths = outcome.artifacts.iter().map(|it| format!("{}/{}", plan.dist_name(), it.path()));
    let artifacts: Vec<String> = paths.collect();
    world.output("artifacts", &json!(artifacts).to_string())?;
    let checksums = outcome.artifacts.iter().find(|it| matches!(it, Artifact::Checksums(_)));
    world.output("dist", plan.dist_name())?;
    world.output("checksums", &checksums.map_or(String::new(), |it| it.digest().hex()))?;
    let attested = attested::of(outcome, public);
    world.output("sboms", &json!(attested.files).to_string())?;
    world.output("images", &json!(attested.images).to_string())?;
    if !attested.skipped.is_empty() {
        world.term.table(&attested.skipped);
        world.summary(&attested.skipped.markdown("Not attested"))?;
    }
    let release = public.and_then(|public| public.release.as_ref());
    world.output("url", release.map_or("", |it| &it.url))
}
