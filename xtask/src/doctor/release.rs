//! What a release needs beside the project: services, logins, advisories, and a key.

use anyhow::Result;

use super::Row;
use crate::check;
use crate::finding::{Finding, Place};
use crate::forge::Forge;
use crate::http::Network;
use crate::parallel::join;
use crate::plan::{Plan, PublishPlan};
use crate::preflight::{self, Sites};
use crate::reference::Repository;
use crate::registry::{Login, Registry};
use crate::term::Term;

/// What a release talks to, and with what.
pub struct Services<'a> {
    pub sites: &'a Sites<'a>,
    pub network: Network,
    /// What the audit of a release is made of.
    pub checks: &'a check::Subject<'a>,
    pub term: &'a Term,
}

/// Looks at all services at the same time. Nothing is changed anywhere.
pub fn look(plan: &Plan, services: &Services<'_>) -> Vec<Row> {
    let parts: Vec<Result<Vec<Row>>> = std::thread::scope(|scope| {
        let registries: Vec<_> = preflight::destinations(plan)
            .into_iter()
            .map(|to| scope.spawn(move || Ok(vec![registry(to, services)])))
            .collect();
        let forge = scope.spawn(|| Ok(forge(plan, services)));
        let index = scope.spawn(|| Ok(index(plan, services)));
        let advisories = vec![advisories(services)];
        let mut parts: Vec<_> = registries.into_iter().map(join).collect();
        parts.extend([join(forge), join(index), Ok(advisories)]);
        parts
    });
    let died = |error| vec![Row::of("release", &Finding::of("doctor", Place::default(), &error))];
    parts.into_iter().flat_map(|part| part.unwrap_or_else(died)).collect()
}

const OFFLINE: &str = "--offline forbids asking";

fn registry(to: &Repository, services: &Services<'_>) -> Row {
    let name = format!("login for {to}");
    if services.network == Network::Offline {
        return Row::not_looked_at(name, OFFLINE);
    }
    let registry: &Registry<'_> = services.sites.registry;
    match registry.check_access(to) {
        Ok(Login { about, grants_push }) => {
            let may = match grants_push {
                Some(_) => "it may push",
                None => "whether it may push shows when it does",
            };
            let about =
                about.map_or_else(|| "none is asked for".to_owned(), |it| format!("kept {it}"));
            Row::ok(name, format!("{about}; {may}"))
        }
        Err(error) => Row::of(name, &Finding::of("registry", Place::default(), &error)),
    }
}

/// The token that publishes, by what the forge says of it.
fn forge(plan: &Plan, services: &Services<'_>) -> Vec<Row> {
    let forge = &services.sites.forge;
    let Some(PublishPlan { release: Some(to), .. }) = &plan.publish else {
        let why = "it is not known to which repository, or the settings make no release";
        return vec![Row::not_looked_at(forge.variable(), why)];
    };
    let name = forge.variable();
    if services.network == Network::Offline && forge.has_token() {
        return vec![Row::not_looked_at(name, OFFLINE)];
    }
    let found = preflight::access(&to.repository, forge).map(|access| access.findings);
    of(name, forge, found, &format!("it can write to {}", to.repository))
}

fn index(plan: &Plan, services: &Services<'_>) -> Vec<Row> {
    let forge = &services.sites.index;
    let name = forge.variable();
    let Some(publish) = &plan.publish else { return Vec::new() };
    let PublishPlan { release: Some(from), index: Some(to), .. } = publish else {
        return vec![Row::not_looked_at(name, "no pull request to krew's index is made")];
    };
    if services.network == Network::Offline && forge.has_token() {
        return vec![Row::not_looked_at(name, OFFLINE)];
    }
    let found = preflight::plugins(plan, to, from, publish, forge, services.term);
    of(name, forge, found, &format!("it can ask {} for a pull request", to.repository))
}

fn of(name: &str, forge: &Forge<'_>, found: Result<Vec<Finding>>, good: &str) -> Vec<Row> {
    match found {
        Ok(findings) if findings.is_empty() => vec![Row::ok(name, good)],
        Ok(findings) => findings.iter().map(|finding| Row::of(name, finding)).collect(),
        Err(error) => {
            vec![Row::of(name, &Finding::of("forge", Place::item(forge.kind().name()), &error))]
        }
    }
}

/// The age of the advisory database.
fn advisories(services: &Services<'_>) -> Row {
    let name = "advisory database";
    match check::look_at_database(services.checks) {
        Ok(look) => match &look.finding {
            Some(finding) => Row::of(name, finding),
            None => {
                let as_of = look.as_of.map(|day| format!(", of {day}")).unwrap_or_default();
                Row::ok(name, format!("{} advisories{as_of}", look.advisories))
            }
        },
        Err(finding) => Row::of(name, &finding),
    }
}
