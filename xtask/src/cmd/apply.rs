use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use anyhow::{Result, bail};

use super::resolve::{self, Images, What};
use super::{Common, World};
use crate::finding::{Finding, Place, failure};
use crate::process::{self, Program};

/// Build and push the images that manifests name, and run `kubectl apply` on them
///
/// The manifests are resolved as `resolve` does it, and kubectl reads them from its stdin. kubectl
/// is not started unless all images are there. Its exit status is that of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless apply -f deploy/ --repository ghcr.io/acme
  cargo dockless apply -f deploy/ -l app=shop -- --namespace staging
  cargo dockless apply -f deploy/ --load kind
  cargo dockless apply -f deploy/ -- --server-side --dry-run=server
  kubectl kustomize overlays/prod | cargo dockless apply -f -")]
pub struct Apply {
    #[command(flatten)]
    deploy: Deploy,
}

/// Build and push the images that manifests name, and run `kubectl create` on them
///
/// The manifests are resolved as `resolve` does it, and kubectl reads them from its stdin. kubectl
/// is not started unless all images are there. Its exit status is that of the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless create -f deploy/job.yaml --repository ghcr.io/acme
  cargo dockless create -f deploy/job.yaml -- --namespace staging")]
pub struct Create {
    #[command(flatten)]
    deploy: Deploy,
}

/// Run `kubectl delete` on manifests, as `apply` reads them
///
/// Nothing is built: kubectl needs only the names of objects. Its exit status is that of the
/// command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless delete -f deploy/
  cargo dockless delete -f deploy/ -l app=shop -- --namespace staging --ignore-not-found")]
pub struct Delete {
    #[command(flatten)]
    deploy: Deploy,
}

#[derive(Debug, clap::Args)]
struct Deploy {
    #[command(flatten)]
    what: What,
    /// Arguments of kubectl
    #[arg(last = true, value_name = "KUBECTL ARGS")]
    args: Vec<OsString>,
}

/// What kubectl does with the documents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Apply,
    Create,
    Delete,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Verb::Apply => "apply",
            Verb::Create => "create",
            Verb::Delete => "delete",
        }
    }
}

pub fn apply(args: &Apply, common: &Common, world: &World) -> Result<ExitCode> {
    run(Verb::Apply, &args.deploy, common, world)
}

pub fn create(args: &Create, common: &Common, world: &World) -> Result<ExitCode> {
    run(Verb::Create, &args.deploy, common, world)
}

pub fn delete(args: &Delete, common: &Common, world: &World) -> Result<ExitCode> {
    run(Verb::Delete, &args.deploy, common, world)
}

fn run(verb: Verb, deploy: &Deploy, common: &Common, world: &World) -> Result<ExitCode> {
    if world.term.json_wanted() {
        let why = format!("--json prints what was resolved, and {} prints nothing", verb.name());
        bail!(failure(why, "use `resolve --json`; for kubectl's own output pass `-- -o json`"));
    }
    let kubectl = find_kubectl(world)?;
    let what = &deploy.what;
    let read = resolve::read(what, world)?;
    let images = match verb {
        Verb::Apply | Verb::Create => resolve::images(what, &read, common, world)?,
        Verb::Delete => Images::default(),
    };
    let documents = images.documents(&read.manifests)?;
    if verb != Verb::Delete {
        images.record(what, world)?;
    }
    let names: Vec<String> = images.names().collect();
    let status = feed(&kubectl, verb, &deploy.args, &documents, world)?;
    if !status.success() {
        warn(verb, status, &deploy.what, &names, world);
    }
    // A program that a signal ended has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Where kubectl is.
pub fn find_kubectl(world: &World) -> Result<PathBuf> {
    let Some(kubectl) = process::find("kubectl", &world.env) else {
        let why = "kubectl is not on PATH";
        bail!(failure(why, "install it, see https://kubernetes.io/docs/tasks/tools/#kubectl"));
    };
    Ok(kubectl)
}

/// Runs kubectl on documents.
pub fn feed(
    kubectl: &Path,
    verb: Verb,
    args: &[OsString],
    documents: &str,
    world: &World,
) -> Result<ExitStatus> {
    let program = Program::new(kubectl, &world.dir, &world.env)
        .args([verb.name(), "-f", "-"])
        .args(args)
        .with_logins();
    world.term.step("run", &program);
    world.term.foreign(|| program.pass_through_input(documents.as_bytes()))
}

/// Says that kubectl failed after images were put in their places.
pub fn warn(verb: Verb, status: ExitStatus, what: &What, names: &[String], world: &World) {
    if names.is_empty() {
        return;
    }
    let done = if what.is_pushed() { "pushed" } else { "loaded" };
    let why = format!("it ended with {status}; {done} before that: {}", names.join(", "));
    let place = Place::item(format!("kubectl {}", verb.name()));
    let fix = "see kubectl's message above; the images stay, and another run sends only changes";
    world.term.finding(&Finding::warning("kubectl", place, why, fix));
}
