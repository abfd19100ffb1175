//! Renders the manifests by which the project's services run on Kubernetes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::yaml;
use crate::config::{Config, KeptBack, PackageConfig};
use crate::finding::{Finding, Findings, Place, suggest};
use crate::project::Project;
use crate::target::Target;
use crate::template;

/// The folder of the manifests, relative to the workspace's root.
pub const FOLDER: &str = "deploy";

/// The port of a service whose settings name none.
const PORT: &str = "8080/tcp";

/// How many ports a service can have. A range in the settings stands for all its ports.
const MOST_PORTS: usize = 100;

/// The longest name of a Service, in bytes.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#rfc-1035-label-names>
const LONGEST_NAME: usize = 63;

/// How long a pod that is to stop goes on serving, in seconds. Of the health checks that clouds
/// make by default, that of GKE takes longest to notice: each 8 s, 3 times. 2 s more are for what
/// lies between.
/// <https://github.com/kubernetes/ingress-gce/blob/master/pkg/healthchecksl4/healthchecksl4.go>
const SLEEP: u32 = 28;

/// How long a pod may take to stop, in seconds: the sleep, 15 for the longest request, and 2.
const GRACE: u32 = 45;

/// A service of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The package that makes its image.
    pub package: String,
    /// The name of its objects, an RFC 1035 label.
    pub name: String,
    /// Each once.
    pub ports: Vec<Port>,
    /// Folders that the image declares as volumes.
    pub volumes: Vec<String>,
    /// Whether the image's user is root.
    pub root: bool,
}

/// A port that the program listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub number: u16,
    pub protocol: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// What `init` finds: the services, and warnings about them.
#[derive(Debug, Default)]
pub struct Found {
    pub services: Vec<Service>,
    pub warnings: Vec<Finding>,
}

/// The services among the packages: those in `named`, or else all that are released with an image
/// that has ports.
pub fn services(project: &Project, config: &Config, named: &[String]) -> Result<Found, Findings> {
    let mut errors = unknown(config, named);
    let mut found = Found::default();
    for package in config.packages.iter().filter(|it| is_wanted(it, named)) {
        let file = project.package(&package.name);
        let place = file.map_or_else(Place::default, |it| Place::file(&it.manifest));
        match service(package, &place) {
            Ok(service) => found.services.push(service),
            Err(finding) => errors.push(*finding),
        }
        if package.image.ports.is_empty() {
            let why = format!("the image of {} names no ports: {PORT} is assumed", package.name);
            let fix = format!("set `ports = [{PORT:?}]` in [package.metadata.dockless.image]");
            found.warnings.push(Finding::warning("init-port", place, why, fix));
        }
    }
    errors.extend(shared_names(&found.services));
    if found.services.is_empty() && errors.is_empty() {
        let place = Place::file(&project.root.join("Cargo.toml"));
        let why = "no package that is released has an image with `ports`";
        let fix = format!(
            "set `ports = [{PORT:?}]` in [package.metadata.dockless.image], or name a package with \
             --package"
        );
        errors.push(Finding::error("no-service", place, why, fix));
    }
    if errors.is_empty() { Ok(found) } else { Err(Findings(errors)) }
}

/// Whether manifests are wanted for a package. To name it overrules its settings.
fn is_wanted(package: &PackageConfig, named: &[String]) -> bool {
    if !named.is_empty() {
        return named.contains(&package.name);
    }
    package.kept_back.is_none() && package.image.ship && !package.image.ports.is_empty()
}

/// Names that no package with a binary has.
fn unknown(config: &Config, named: &[String]) -> Vec<Finding> {
    let known: Vec<&str> = config.packages.iter().map(|package| &*package.name).collect();
    let unknown = named.iter().filter(|name| !known.contains(&name.as_str()));
    let finding = |name: &String| {
        let why = format!("no package {name:?} with a binary");
        let all = format!("packages with a binary are: {}", known.join(", "));
        let fix = suggest(name, known.iter().copied(), &all);
        Finding::error("package", Place::item("--package"), why, fix)
    };
    unknown.map(finding).collect()
}

/// The service that a package is, or what is in the way.
fn service(package: &PackageConfig, place: &Place) -> Result<Service, Box<Finding>> {
    let fault = |why: String, fix: &str| {
        Box::new(Finding::error("init-service", place.clone(), why, fix.to_owned()))
    };
    if package.kept_back == Some(KeptBack::Xtask) {
        let why = format!("{} depends on dockless: an xtask has no image", package.name);
        return Err(fault(why, "name another package"));
    }
    if !package.targets.iter().any(|target: &Target| target.platform().is_some()) {
        let why = format!("{} has no Linux target, so it has no image", package.name);
        return Err(fault(why, "add one to `targets`, such as x86_64-unknown-linux-musl"));
    }
    let name = object_name(&package.name).map_err(|why| {
        let why = format!("{:?} cannot be a name on Kubernetes: {why}", package.name);
        fault(why, "rename the package, or write its manifests by hand")
    })?;
    let assumed = [PORT.to_owned()];
    let set = &package.image.ports;
    let ports = distinct(if set.is_empty() { &assumed } else { set });
    if ports.len() > MOST_PORTS {
        let why = format!(
            "{} has {} ports: a Service lists at most {MOST_PORTS}",
            package.name,
            ports.len()
        );
        return Err(fault(why, "shorten `ports`, or write its manifests by hand"));
    }
    let unfit = |folder: &&String| folder.contains(':') || !folder.chars().all(is_plain);
    if let Some(folder) = package.image.volumes.iter().find(unfit) {
        let why = format!("nothing can be mounted on the volume {folder:?} of {}", package.name);
        return Err(fault(why, "rename the folder: no colon, and printable characters only"));
    }
    Ok(Service {
        package: package.name.clone(),
        name,
        ports,
        volumes: package.image.volumes.clone(),
        root: package.image.user.uid == 0,
    })
}

/// Whether a character is the same in a quoted text of YAML and of JSON.
fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The name of a package as that of a Service, which is an RFC 1035 label.
fn object_name(package: &str) -> Result<String, String> {
    let name = package.to_ascii_lowercase().replace('_', "-");
    let name = name.trim_matches('-');
    let foreign = name.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-');
    if let Some(c) = foreign {
        return Err(format!("it has the character {c:?}"));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("it must begin with a letter".to_owned());
    }
    if name.len() > LONGEST_NAME {
        return Err(format!("it has {} characters of at most {LONGEST_NAME}", name.len()));
    }
    Ok(name.to_owned())
}

/// Names that two services would have.
fn shared_names(services: &[Service]) -> Vec<Finding> {
    let mut makers: BTreeMap<&str, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for service in services {
        if let Some(other) = makers.insert(&service.name, &service.package) {
            let why = format!("{other} and {} would both be named so", service.package);
            let fix = "rename one, or write the manifests of one by hand";
            findings.push(Finding::error("init-service", Place::item(&service.name), why, fix));
        }
    }
    findings
}

/// The ports of the settings, such as `8080/tcp`, each once.
fn distinct(ports: &[String]) -> Vec<Port> {
    let mut all = Vec::new();
    for text in ports {
        let port = Port::parse(text).expect("the settings hold a number and a protocol each");
        if !all.contains(&port) {
            all.push(port);
        }
    }
    all
}

impl Port {
    /// `None` where the settings would not allow it.
    fn parse(text: &str) -> Option<Port> {
        let (number, protocol) = text.split_once('/')?;
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return None,
        };
        Some(Port { number: number.parse().ok()?, protocol })
    }

    /// Its name in the pod and in the Service, at most 15 characters long.
    /// <https://datatracker.ietf.org/doc/html/rfc6335#section-5.1>
    fn name(self) -> String {
        format!("{}-{}", self.protocol.name().to_lowercase(), self.number)
    }
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        }
    }
}

/// The manifest of a service: its path relative to the workspace's root, and its text.
pub fn manifest(service: &Service) -> Result<(PathBuf, String)> {
    let name = yaml(&service.name);
    let user = if service.root {
        "        # The image's `user` is root, which most clusters refuse.\n        runAsNonRoot: false"
    } else {
        "        runAsNonRoot: true"
    };
    let values = [
        ("folder", FOLDER.to_owned()),
        ("image", image(&service.package)),
        ("sleep", SLEEP.to_string()),
        ("grace", GRACE.to_string()),
        ("user", user.to_owned()),
        ("container-ports", each(&service.ports, container_port)),
        ("probe", probe(&service.ports)?),
        ("service-ports", each(&service.ports, service_port)),
        ("volumes", volumes(&service.volumes)),
        ("mounts", mounts(&service.volumes)),
        ("name", name),
    ];
    let text = template::render(include_str!("../../templates/kubernetes/service.yaml"), &values)?;
    Ok((Path::new(FOLDER).join(format!("{}.yaml", service.name)), text))
}

/// The reference to a package's image, as YAML.
fn image(package: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let reference = format!("dockless://{package}");
    if package.bytes().all(plain) { reference } else { serde_json::json!(reference).to_string() }
}

fn each(ports: &[Port], entry: impl Fn(&Port) -> String) -> String {
    ports.iter().map(entry).collect::<Vec<_>>().join("\n")
}

fn container_port(port: &Port) -> String {
    let (name, number, protocol) = (port.name(), port.number, port.protocol.name());
    format!(
        "            - name: {name}\n              containerPort: {number}\n              \
         protocol: {protocol}"
    )
}

fn service_port(port: &Port) -> String {
    let (name, number, protocol) = (port.name(), port.number, port.protocol.name());
    format!(
        "    - name: {name}\n      port: {number}\n      targetPort: {name}\n      \
         protocol: {protocol}"
    )
}

/// The probe of the first TCP port. Nothing else shows whether a program is ready that answers
/// neither HTTP nor gRPC, and the settings do not say what it answers.
fn probe(ports: &[Port]) -> Result<String> {
    let Some(port) = ports.iter().find(|port| port.protocol == Protocol::Tcp) else {
        return Ok(String::new());
    };
    let text = include_str!("../../templates/kubernetes/probe.yaml");
    template::render(text, &[("port", port.name())])
}

fn volumes(folders: &[String]) -> String {
    if folders.is_empty() {
        return String::new();
    }
    let entry = |at: usize| format!("        - name: volume-{at}\n          emptyDir: {{}}\n");
    let entries: String = (0..folders.len()).map(entry).collect();
    format!(
        "      # The `volumes` of the image's settings. Their contents go with the pod.\n      \
         volumes:\n{entries}"
    )
}

fn mounts(folders: &[String]) -> String {
    if folders.is_empty() {
        return String::new();
    }
    let entry = |(at, folder): (usize, &String)| {
        let folder = serde_json::json!(folder);
        format!("            - name: volume-{at}\n              mountPath: {folder}\n")
    };
    let entries: String = folders.iter().enumerate().map(entry).collect();
    format!("          volumeMounts:\n{entries}")
}

#[cfg(test)]
mod tests;
