//! What Helm and kustomize render, resolved: the commands of docs/how-to/helm.md and kustomize.md.

use std::path::PathBuf;

use crate::world::registries::{Registry, digest_at};
use crate::world::{Run, World, judge, only_host, run, skipped};

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  selector:
    matchLabels:
      app: api
  template:
    metadata:
      labels:
        app: api
    spec:
      containers:
      - image: IMAGE
        name: api
";

/// A service whose image goes to a folder of the registry.
struct Service<'a> {
    world: World,
    registry: &'a Registry,
    folder: &'static str,
}

impl<'a> Service<'a> {
    /// Without git, so that its version stays 1.0.0 as files change.
    fn new(registry: &'a Registry, folder: &'static str) -> Service<'a> {
        let world = World::empty();
        world.package("", "api", "1.0.0", &only_host()).file("LICENSE", "free\n").lock();
        Service { world, registry, folder }
    }

    fn repository(&self) -> String {
        format!("{}/{}", self.registry.host, self.folder)
    }

    /// The reference that the image gets.
    fn image(&self) -> String {
        let repository = format!("{}/api", self.folder);
        let digest = digest_at(&self.registry.host, &format!("{repository}:1.0.0"));
        format!("{}/api@{}", self.repository(), digest.expect("the image is in the registry"))
    }

    /// Runs the line of a page, in which `cargo dockless` is the built tool.
    fn shell(&self, line: &str) -> Run {
        let tool = PathBuf::from(env!("CARGO_BIN_EXE_cargo-dockless"));
        let folder = tool.parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        let mut shell = self.world.with("bash", ["-euo", "pipefail", "-c", line]);
        shell
            .env("PATH", std::env::join_paths(dirs).unwrap())
            .env("DOCKLESS_REPOSITORY", self.repository())
            .env("HELM_CACHE_HOME", self.world.outside("helm"))
            .env("HELM_DATA_HOME", self.world.outside("helm"));
        run(&mut shell)
    }
}

/// kubectl, where its kustomize reads folders as `resources`, which that of 1.20 does not.
fn has_kustomize(world: &World) -> bool {
    if judge("kubectl").is_none() {
        return false;
    }
    let version = run(&mut world.with("kubectl", ["version", "--client", "--output", "json"]));
    let version = version.ends_with(0).json();
    let minor = version["clientVersion"]["minor"].as_str().unwrap_or_default();
    let minor: u32 = minor.trim_end_matches('+').parse().unwrap();
    if minor <= 20 {
        skipped("kubectl is older than 1.21");
    }
    minor > 20
}

/// The major version of helm, which is optional even in CI.
fn helm(world: &World) -> Option<u32> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|dir| dir.join("helm").is_file()) {
        skipped("helm not found");
        return None;
    }
    let version = run(&mut world.with("helm", ["version", "--template", "{{.Version}}"]));
    let version = version.ends_with(0).stdout.trim_start_matches('v').to_owned();
    let (major, _) = version.split_once('.').unwrap();
    Some(major.parse().unwrap())
}

#[test]
fn kustomizations_are_resolved_by_a_pipe() {
    let Some(registry) = Registry::shared() else { return };
    let service = Service::new(registry, "kustomize");
    if !has_kustomize(&service.world) {
        return;
    }
    let deployment = |image: &str| DEPLOYMENT.replace("IMAGE", image);
    let overlay = "resources: [../../base]\nnamePrefix: staging-\n";
    let mapped = "images:\n- name: api\n  newName: dockless://api\n";
    for (image, more) in [("dockless://api", ""), ("api", mapped)] {
        service
            .world
            .file("base/kustomization.yaml", "resources: [deployment.yaml]\n")
            .file("base/deployment.yaml", &deployment(image))
            .file("overlays/staging/kustomization.yaml", &format!("{overlay}{more}"));
        let rendered = service.shell("kubectl kustomize overlays/staging");
        let rendered = rendered.ends_with(0).stdout.clone();
        assert!(rendered.contains("image: dockless://api\n"), "{rendered}");
        let line = "kubectl kustomize overlays/staging | cargo dockless resolve -f -";
        let resolved = service.shell(line).ends_with(0).stdout.clone();
        assert_eq!(resolved, rendered.replace("dockless://api", &service.image()));
    }
    // A release is named in place of the package, and nothing is built.
    let digest = format!("sha256:{}", "4b".repeat(32));
    let released = format!(
        "images:\n- name: dockless://api\n  newName: ghcr.io/acme/api\n  digest: {digest}\n"
    );
    service
        .world
        .file("base/deployment.yaml", &deployment("dockless://api"))
        .file("overlays/production/kustomization.yaml", &format!("{overlay}{released}"));
    let rendered = service.shell("kubectl kustomize overlays/production");
    let image = format!("image: ghcr.io/acme/api@{digest}\n");
    assert!(rendered.ends_with(0).stdout.contains(&image), "{}", rendered.stdout);
    // A tag of the base makes a name that is none.
    service
        .world
        .file("base/deployment.yaml", &deployment("api:1.0"))
        .file("overlays/staging/kustomization.yaml", &format!("{overlay}{mapped}"));
    let line = "kubectl kustomize overlays/staging | cargo dockless resolve -f -";
    service.shell(line).ends_with(1).no_result().says("dockless://api:1.0");
}

/// A chart with a hook, as `values.yaml` names the image.
fn chart(world: &World) {
    let image = "{{ .Values.image }}";
    let hook = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: migrate\n  annotations:\n    \
                helm.sh/hook: pre-upgrade\nspec:\n  template:\n    spec:\n      \
                restartPolicy: Never\n      containers:\n      - name: migrate\n        image: IMAGE\n";
    world
        .file("chart/Chart.yaml", "apiVersion: v2\nname: api\nversion: 0.1.0\n")
        .file("chart/values.yaml", "# the service\nimage: dockless://api\n")
        .file("chart/templates/deployment.yaml", &DEPLOYMENT.replace("IMAGE", image))
        .file("chart/templates/migrate.yaml", &hook.replace("IMAGE", image));
}

#[test]
fn charts_are_resolved_in_their_values_and_after_rendering() {
    let Some(registry) = Registry::shared() else { return };
    let service = Service::new(registry, "helm");
    let Some(major) = helm(&service.world) else { return };
    chart(&service.world);
    let rendered = service.shell("helm template api ./chart").ends_with(0).stdout.clone();
    assert_eq!(rendered.matches("image: dockless://api\n").count(), 2, "{rendered}");
    let line = "cargo dockless resolve -f chart/values.yaml | helm template api ./chart --values -";
    let resolved = service.shell(line).ends_with(0).stdout.clone();
    let expected = rendered.replace("dockless://api", &service.image());
    assert_eq!(resolved, expected);
    let line = "helm template api ./chart | cargo dockless resolve -f -";
    assert_eq!(service.shell(line).ends_with(0).stdout, expected);

    let resolved = if major >= 4 {
        let plugin = "apiVersion: v1\ntype: postrenderer/v1\nname: dockless\nversion: 0.1.0\n\
                      runtime: subprocess\nruntimeConfig:\n  platformCommand:\n    - command: cargo\n      \
                      args: [dockless, resolve, -f, \"-\"]\n";
        service.world.file("helm-dockless/plugin.yaml", plugin);
        service.shell("helm plugin install ./helm-dockless").ends_with(0);
        service.shell("helm template api ./chart --post-renderer dockless")
    } else {
        service.shell(
            "helm template api ./chart --post-renderer cargo --post-renderer-args dockless \
             --post-renderer-args resolve --post-renderer-args -f --post-renderer-args -",
        )
    };
    // Helm 3 passes no hooks to post-renderers.
    let resolved = resolved.ends_with(0).stdout.clone();
    let hooks = if major >= 4 { 2 } else { 1 };
    assert_eq!(resolved.matches(&service.image()).count(), hooks, "{resolved}");
}
