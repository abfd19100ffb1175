use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use super::engines::Engines;
use super::release::publish_options;
use super::{Common, Drafted, NetworkArgs, Selection, World, check};
use crate::check as checks;
use crate::config::{self, Config, NetworkConfig};
use crate::doctor::{self, Here, Report, Row, Services};
use crate::finding::{Finding, Findings, Place};
use crate::forge::{Forge, index};
use crate::http::Http;
use crate::parallel::join;
use crate::plan::{Mode, Part, Plan, Request};
use crate::preflight::Sites;
use crate::project::Project;
use crate::sink::Engine;

/// Look at all that builds and releases need, and say what is missing and how to get it
///
/// Programs, targets, logins, tokens, the advisory database, the cache, certificates, proxies, the
/// clock and the disk are looked at. Nothing is changed. Outside a project, what only a project
/// needs is listed as not looked at.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless doctor                 print a table, and a fix for whatever is wrong
  cargo dockless doctor --load docker   also require that Docker answers
  cargo dockless doctor --offline       ask no server; list what was not looked at
  cargo dockless doctor --json          print the table as JSON

The exit code is 1 if the configured release could not run here.")]
pub struct Args {
    /// Require this engine, as `image --load` does, also over ssh; may be repeated
    #[arg(long, value_name = "ENGINE", value_parser = Engines)]
    load: Vec<Engine>,
    #[command(flatten)]
    network: NetworkArgs,
}

pub fn run(args: &Args, common: &Common, world: &World) -> Result<ExitCode> {
    world.term.step("look", "at what builds and releases need");
    let dir = world.project_dir(common);
    let at = dir.as_deref().filter(|dir| dir.is_dir()).unwrap_or(&world.dir);
    let env = world.env.for_project(at);
    let probe = |engine: &Engine| engine.probe(&world.hosts, &env, &world.term).map(drop);
    let (mut rows, broken) = doctor::programs(at, &env, &world.cache, &args.load, &probe);
    let known = if dir.is_none() {
        Known::nothing(Row::not_looked_at("project", "there is no Cargo.toml here or above"))
    } else if broken.is_empty() {
        Known::read(common, world)
    } else {
        let why = format!("first mend {}", broken.join(" and "));
        Known::nothing(Row::not_looked_at("project", why))
    };
    let default = NetworkConfig::default();
    let network = known.config.as_ref().map_or(&default, |config| &config.network);
    let http = world.http(network, &args.network, common);
    let (here, project) = std::thread::scope(|scope| {
        let here = scope.spawn(|| Ok(machine(&known, &http, common, world)));
        let project = of_project(&known, &http, network, common, world);
        (join(here), project)
    });
    let failed = |error: anyhow::Error| vec![Row::of("machine", &finding(&error))];
    rows.extend(here.unwrap_or_else(failed));
    rows.extend(doctor::lists());
    rows.extend(project.unwrap_or_else(|error| vec![Row::of("project", &finding(&error))]));
    let commit = known.project.as_ref().and_then(|it| it.git.as_ref()?.time);
    rows.push(doctor::clock(&http, commit, &world.env));
    let report = Report::new(rows);
    world.term.results(&report, [report.table().to_string().trim_end()])?;
    report.findings().iter().for_each(|finding| world.term.finding(finding));
    Ok(if report.fails() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn finding(error: &anyhow::Error) -> Finding {
    Finding::of("doctor", Place::default(), error)
}

/// The findings that no other row has.
fn unheard(findings: Vec<Finding>, plan: &Option<Plan>) -> Vec<Finding> {
    let has_row = |rule: &str| match rule {
        "release-lock" | "shallow-clone" => true,
        "not-buildable" => plan.is_some(),
        _ => false,
    };
    findings.into_iter().filter(|it| !has_row(it.rule)).collect()
}

/// What could be read of the project, and what went wrong with the rest.
struct Known {
    project: Option<Project>,
    config: Option<Config>,
    plan: Option<Plan>,
    errors: Vec<Row>,
}

impl Known {
    fn nothing(why: Row) -> Known {
        Known { project: None, config: None, plan: None, errors: vec![why] }
    }

    /// Reads as much as there is: a broken setting does not hide the checkout.
    fn read(common: &Common, world: &World) -> Known {
        let (project, raw) = match world.discover(common, &[]) {
            Ok(found) => found,
            Err(error) => return Known::nothing(Row::of("project", &finding(&error))),
        };
        let known = |config, errors| Known { project: None, config, plan: None, errors };
        let config = match config::resolve(raw, &project) {
            Ok(config) => config,
            Err(found) => {
                let errors = doctor::of_findings("settings", &found);
                return Known { project: Some(project), ..known(None, errors) };
            }
        };
        let drafted = publish_options(Mode::Release, world).and_then(|publish| {
            let request = Selection::default().request(Mode::Release, Part::All, common);
            let request = Request { publish, ..request };
            world.draft(project.clone(), config.clone(), common, &request)
        });
        match drafted {
            Ok(Drafted { project, plan, errors, config }) => {
                let errors = doctor::of_findings("release", &unheard(errors, &plan));
                Known { project: Some(project), plan, ..known(Some(config), errors) }
            }
            Err(error) => {
                let errors = match error.downcast_ref::<Findings>() {
                    Some(found) => doctor::of_findings("release", &found.said()),
                    None => vec![Row::of("release", &finding(&error))],
                };
                Known { project: Some(project), ..known(Some(config), errors) }
            }
        }
    }
}

fn machine(known: &Known, http: &Http<'_>, common: &Common, world: &World) -> Vec<Row> {
    let folders: Vec<&Path> = match &known.project {
        Some(project) => vec![&project.target_dir, &project.root],
        None => vec![&world.dir],
    };
    doctor::machine(&Here {
        folders,
        cache: &world.cache,
        http,
        network: common.network(),
        ca_is_named: world.env.get("SSL_CERT_FILE").is_some(),
    })
}

/// The rows of the project and of its release.
fn of_project(
    known: &Known,
    http: &Http<'_>,
    network: &NetworkConfig,
    common: &Common,
    world: &World,
) -> Result<Vec<Row>> {
    let Some(project) = &known.project else {
        let mut rows = known.errors.clone();
        rows.extend(doctor::not_looked_at("no project is known"));
        return Ok(rows);
    };
    let World { cache, term, .. } = world;
    let (mut rows, errors) = (Vec::new(), known.errors.clone());
    let Some(config) = &known.config else {
        rows.extend(doctor::project(project, None));
        rows.extend(errors);
        rows.push(Row::not_looked_at("release", "first correct the settings"));
        return Ok(rows);
    };
    let options = check::options(&check::Args::default(), config, Mode::Release, common, world);
    let subject =
        checks::Subject { project, config: &config.check, options: &options, cache, term };
    rows.extend(doctor::project(project, Some(&subject)));
    rows.extend(errors);
    rows.push(key(config, world));
    let Some(plan) = &known.plan else {
        rows.push(Row::not_looked_at("services", "there is no plan of a release"));
        return Ok(rows);
    };
    rows.extend(doctor::targets(plan, project, common.network()));
    let blobs = cache.blobs()?;
    let registry = world.registry(http, &blobs, network);
    let kind = config.forge.kind;
    let sites = Sites {
        forge: Forge::open(kind, kind.token(), http, &world.env)?,
        index: index::open(http, &world.env)?,
        registry: &registry,
    };
    let services = Services { sites: &sites, network: common.network(), checks: &subject, term };
    rows.extend(doctor::release(plan, &services));
    Ok(rows)
}

/// The key that a release signs with. Nobody is asked for its password.
fn key(config: &Config, world: &World) -> Row {
    let name = "signing key";
    match world.look_at_key(&config.sign) {
        Ok(None) => Row::ok(name, "none: releases are not signed"),
        Ok(Some((_, Some(warning)))) => Row::of(name, &warning),
        Ok(Some((about, None))) => Row::ok(name, about),
        Err(error) => Row::of(name, &finding(&error)),
    }
}
