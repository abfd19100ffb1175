//! A runner of workflows: what their steps say is done by bash on fresh clones, and what actions
//! would do is played.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::expression::{self, field, holds, shown};
use crate::world::github::GitHub;
use crate::world::{Run, World, contents, names, run};

/// A runner of workflows, for one repository at one tag.
pub struct Runner<'a> {
    pub world: &'a World,
    pub github: &'a GitHub,
    /// The secrets of the repository; others are empty.
    pub secrets: BTreeMap<String, String>,
    /// Workflows of other repositories, by `OWNER/REPO/PATH@COMMIT`.
    pub elsewhere: BTreeMap<String, String>,
    /// What jobs hand to each other.
    pub artifacts: PathBuf,
    /// The scripts that bash ran, as `JOB: STEP`.
    pub ran: Vec<String>,
    pub attested: Vec<Attested>,
    /// What jobs wrote on the run's page.
    pub summary: String,
    machines: usize,
}

/// What was attested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attested {
    /// The workflow that has the job, as its certificate names it.
    pub by: String,
    /// Names and digests.
    pub subjects: Vec<(String, String)>,
    /// The SBOM; `None` for provenance.
    pub sbom: Option<Vec<u8>>,
    /// Whether it went to the registry of the image.
    pub pushed: bool,
}

/// A workflow that runs.
struct Workflow {
    /// Its path, or that in another repository with the commit.
    name: String,
    /// Its jobs in the order of the file, which is that of their needs.
    jobs: Vec<(String, Value)>,
    /// The permissions that its caller has; `None` for one that was triggered.
    granted: Option<Value>,
    inputs: Value,
    secrets: Value,
}

/// One job on its machine.
struct Job {
    name: String,
    dir: PathBuf,
    temp: PathBuf,
    permissions: Value,
    /// What expressions can name.
    contexts: Value,
}

/// What `actions/attest` takes.
const ATTEST: [&str; 6] = [
    "subject-checksums",
    "subject-name",
    "subject-digest",
    "sbom-path",
    "push-to-registry",
    "create-storage-record",
];

/// The secrets that a repository may have.
const SECRETS: [&str; 4] =
    ["KREW_GITHUB_TOKEN", "COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD", "DOCKER_AUTH_CONFIG"];

fn level(permission: &Value) -> u8 {
    match permission.as_str() {
        None | Some("none") => 0,
        Some("read") => 1,
        Some("write") => 2,
        Some(other) => panic!("{other}"),
    }
}

impl<'a> Runner<'a> {
    pub fn new(world: &'a World, github: &'a GitHub) -> Runner<'a> {
        Runner {
            world,
            github,
            secrets: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            artifacts: world.outside("artifacts"),
            ran: Vec::new(),
            attested: Vec::new(),
            summary: String::new(),
            machines: 0,
        }
    }

    /// Runs a workflow of the repository. Fails with the output of the step that failed, or with
    /// what is wrong before any job starts.
    pub fn run(&mut self, path: &str) -> Result<(), String> {
        let given = |name: &&str| {
            let value = self.secrets.get(*name).cloned().unwrap_or_default();
            ((*name).to_owned(), Value::from(value))
        };
        let workflow = Workflow {
            name: path.to_owned(),
            jobs: jobs(&self.world.read(path)),
            granted: None,
            inputs: json!({}),
            secrets: SECRETS.iter().map(given).collect::<Map<_, _>>().into(),
        };
        self.workflow(&workflow)
    }

    fn workflow(&mut self, workflow: &Workflow) -> Result<(), String> {
        self.permitted(workflow)?;
        let mut outputs: BTreeMap<String, Value> = BTreeMap::new();
        for (name, job) in &workflow.jobs {
            let mut contexts = self.contexts(workflow, job, &outputs);
            if job["if"].as_str().is_some_and(|it| !holds(&expression::value(it, &contexts))) {
                // What needs it does not run either, and nothing here does.
                continue;
            }
            if let Some(called) = job["uses"].as_str() {
                let called = self.called(called, job, &contexts)?;
                self.workflow(&called)?;
                continue;
            }
            let mut said = Map::new();
            for name in job["outputs"].as_object().into_iter().flatten().map(|(name, _)| name) {
                said.insert(name.clone(), "".into());
            }
            for (at, matrix) in matrix(job, &contexts).into_iter().enumerate() {
                contexts["matrix"] = matrix;
                contexts["strategy"] = json!({ "job-index": at });
                for (output, value) in self.job(workflow, name, job, contexts.clone())? {
                    // One machine's outputs are not emptied by the next one's.
                    if !value.is_empty() {
                        said.insert(output, value.into());
                    }
                }
            }
            outputs.insert(name.clone(), said.into());
        }
        Ok(())
    }

    /// Whether each job has a caller that may let it do what it asks for. GitHub starts nothing
    /// otherwise.
    fn permitted(&self, workflow: &Workflow) -> Result<(), String> {
        for (name, job) in &workflow.jobs {
            let Some(granted) = &workflow.granted else { continue };
            for (permission, wanted) in job["permissions"].as_object().into_iter().flatten() {
                if level(wanted) > level(&granted[permission]) {
                    return Err(format!(
                        "{}: the job {name} asks for {permission}: {wanted}, which its caller lacks",
                        workflow.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// The workflow that a job calls, with what the job hands over.
    fn called(&self, uses: &str, job: &Value, contexts: &Value) -> Result<Workflow, String> {
        let text = match uses.strip_prefix("./") {
            Some(path) => self.world.read(path),
            None => {
                let (_, pin) = uses.split_once('@').unwrap();
                assert!(is_commit(pin), "{uses}");
                self.elsewhere.get(uses).ok_or(format!("nobody has {uses}"))?.clone()
            }
        };
        let workflow: Value = serde_yaml::from_str(&text).unwrap();
        let call = &workflow["on"]["workflow_call"];
        assert!(call.is_object(), "{uses} cannot be called");
        let declared = |kind: &str| call[kind].as_object().cloned().unwrap_or_default();
        let (mut inputs, mut secrets) = (Map::new(), Map::new());
        for (name, input) in declared("inputs") {
            let kind = input["type"].as_str().unwrap();
            let value = match job["with"].get(&name) {
                Some(value) => field(value, contexts),
                None if input["required"] == true => {
                    return Err(format!("{uses}: the input {name} is not given"));
                }
                None => input["default"].clone(),
            };
            let fits = match kind {
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                other => panic!("{other}"),
            };
            if !fits {
                return Err(format!("{uses}: the input {name} is no {kind}: {value}"));
            }
            inputs.insert(name, value);
        }
        for (name, _) in job["with"].as_object().into_iter().flatten() {
            if !inputs.contains_key(name) {
                return Err(format!("{uses} has no input {name}"));
            }
        }
        assert_ne!(job["secrets"], "inherit", "only named secrets are handed over");
        for (name, _) in declared("secrets") {
            let value = job["secrets"].get(&name).map_or("".into(), |it| field(it, contexts));
            secrets.insert(name, value);
        }
        for (name, _) in job["secrets"].as_object().into_iter().flatten() {
            if !secrets.contains_key(name) {
                return Err(format!("{uses} has no secret {name}"));
            }
        }
        Ok(Workflow {
            name: uses.to_owned(),
            jobs: jobs(&text),
            granted: Some(job["permissions"].clone()),
            inputs: inputs.into(),
            secrets: secrets.into(),
        })
    }

    /// What a job's expressions can name; of other jobs only those that it needs.
    fn contexts(
        &self,
        workflow: &Workflow,
        job: &Value,
        outputs: &BTreeMap<String, Value>,
    ) -> Value {
        let needs: Vec<&str> = match &job["needs"] {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().map(|name| name.as_str().unwrap()).collect(),
            _ => Vec::new(),
        };
        let needs = needs.into_iter().map(|name| {
            let said = outputs.get(name).unwrap_or_else(|| panic!("{name} did not run before"));
            (name.to_owned(), json!({ "outputs": said }))
        });
        let writes = level(&job["permissions"]["contents"]) == 2;
        json!({
            "github": {
                "token": if writes { "workflow" } else { "reader" },
                "actor": "acme",
                "repository": "acme/tool",
                "ref": concat!("refs/tags/v", env!("CARGO_PKG_VERSION")),
            },
            "inputs": workflow.inputs,
            "secrets": workflow.secrets,
            "needs": needs.collect::<Map<_, _>>(),
            "matrix": {},
        })
    }

    /// Runs a job on a machine of its own, and returns its outputs.
    fn job(
        &mut self,
        workflow: &Workflow,
        name: &str,
        job: &Value,
        contexts: Value,
    ) -> Result<Vec<(String, String)>, String> {
        self.machines += 1;
        let place = self.world.outside("jobs").join(format!("{name}-{}", self.machines));
        let (dir, temp) = (place.join("checkout"), place.join("temp"));
        for folder in [&dir, &temp, &place.join("home")] {
            fs::create_dir_all(folder).unwrap();
        }
        let permissions = job["permissions"].clone();
        assert!(permissions.is_object(), "{name} names no permissions");
        let runner = shown(&field(&job["runs-on"], &contexts));
        assert!(["ubuntu-24.04", "macos-15", "windows-2025"].contains(&&*runner), "{runner}");
        let mut here = Job { name: name.to_owned(), dir, temp, permissions, contexts };
        here.contexts["runner"] = json!({ "temp": here.temp.to_str().unwrap() });
        let steps = job["steps"].as_array().unwrap();
        let ids = steps.iter().filter_map(|step| step["id"].as_str());
        let ids = ids.map(|id| (id.to_owned(), json!({ "outputs": {} })));
        here.contexts["steps"] = ids.collect::<Map<_, _>>().into();
        for step in steps {
            let condition = step["if"].as_str();
            if condition.is_some_and(|it| !holds(&expression::value(it, &here.contexts))) {
                continue;
            }
            match (step["uses"].as_str(), step["run"].as_str()) {
                (Some(action), None) => self.action(action, &step["with"], &here, workflow),
                (None, Some(script)) => self.script(script, step, &mut here)?,
                _ => panic!("{step}"),
            }
        }
        let outputs = job["outputs"].as_object().into_iter().flatten();
        let value = |value: &Value| shown(&field(value, &here.contexts));
        Ok(outputs.map(|(name, text)| (name.clone(), value(text))).collect())
    }

    fn script(&mut self, script: &str, step: &Value, job: &mut Job) -> Result<(), String> {
        // Values come through the environment, and never into the text of a script.
        assert!(!script.contains("${{"), "{script}");
        let output = job.temp.join(format!("output-{}", self.ran.len()));
        let summary = job.temp.join("summary");
        let text = |value: &Value| expression::text(&shown(value), &job.contexts);
        let mut bash =
            self.world.with("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        let dir = step.get("working-directory").map(|dir| PathBuf::from(text(dir)));
        bash.current_dir(dir.as_ref().unwrap_or(&job.dir))
            .env("PATH", self.world.path_with("stand-ins"));
        // Each machine has a home of its own, with the toolchains of this one.
        let home = PathBuf::from(std::env::var_os("HOME").unwrap());
        for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            bash.env(name, std::env::var_os(name).unwrap_or(home.join(folder).into()));
        }
        bash.env("HOME", job.dir.with_file_name("home"));
        bash.envs([
            ("BUILT", env!("CARGO_BIN_EXE_cargo-dockless")),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "acme/tool"),
            ("GITHUB_API_URL", &self.github.api()),
            ("GITHUB_SERVER_URL", &format!("http://{}", self.github.host)),
            ("GITHUB_OUTPUT", output.to_str().unwrap()),
            ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ]);
        // The advisories of the tests' own: none.
        bash.env("DOCKLESS_ADVISORY_DB", self.world.outside("advisories"));
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            bash.env(name, text(value));
        }
        let ran: Run = run(&mut bash);
        self.ran.push(format!("{}: {}", job.name, step["name"].as_str().unwrap()));
        self.summary += &fs::read_to_string(&summary).unwrap_or_default();
        fs::remove_file(&summary).ok();
        if ran.code != Some(0) {
            return Err(format!("{script}\n{}{}", ran.stdout, ran.stderr));
        }
        if let (Some(id), Ok(text)) = (step["id"].as_str(), fs::read_to_string(output)) {
            for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
                job.contexts["steps"][id]["outputs"][name] = value.into();
            }
        }
        Ok(())
    }

    /// What an action does, as far as others notice it.
    fn action(&mut self, action: &str, with: &Value, job: &Job, workflow: &Workflow) {
        let input = |name: &str| with.get(name).map(|text| shown(&field(text, &job.contexts)));
        let (action, pin) = action.split_once('@').unwrap();
        assert!(is_commit(pin), "{action}@{pin}");
        match action {
            "actions/checkout" => {
                assert!(level(&job.permissions["contents"]) > 0, "{}", job.name);
                assert_eq!(with["persist-credentials"], false);
                let (from, to) = (self.world.root().to_str().unwrap(), job.dir.to_str().unwrap());
                self.world.git(["clone", "--quiet", "--no-hardlinks", from, to]);
            }
            "actions/upload-artifact" => {
                let to = self.artifacts.join(input("name").unwrap());
                assert!(!to.exists(), "there is an artifact {}", to.display());
                upload(&job.dir, &input("path").unwrap(), &to);
            }
            "actions/download-artifact" => {
                let to = input("path").map_or(job.dir.clone(), PathBuf::from);
                match (input("name"), input("pattern")) {
                    (Some(name), None) => carry(contents(&self.artifacts.join(name)), &to),
                    (None, Some(pattern)) => {
                        let start = pattern.strip_suffix('*').unwrap();
                        for name in names(&self.artifacts) {
                            if name.starts_with(start) {
                                carry(contents(&self.artifacts.join(&name)), &to.join(&name));
                            }
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
            "actions/attest" => {
                let known = |name: &String| ATTEST.contains(&&**name);
                assert!(with.as_object().unwrap().keys().all(known), "{with}");
                let attested = self.attest(&input, job, workflow);
                self.attested.push(attested);
            }
            other => panic!("nobody plays {other}"),
        }
    }

    fn attest(
        &self,
        input: &dyn Fn(&str) -> Option<String>,
        job: &Job,
        workflow: &Workflow,
    ) -> Attested {
        for permission in ["id-token", "attestations"] {
            assert_eq!(job.permissions[permission], "write", "{} asks for {permission}", job.name);
        }
        assert!(job.permissions.get("contents").is_none(), "{}", job.name);
        let pushed = input("push-to-registry").is_some_and(|it| it == "true");
        let file = |name: &str| input(name).map(|file| fs::read(job.dir.join(file)).unwrap());
        let subjects = match file("subject-checksums") {
            Some(text) => {
                let text = String::from_utf8(text).unwrap();
                let line = |line: &str| {
                    let (digest, name) = line.split_once("  ").unwrap();
                    (name.to_owned(), format!("sha256:{digest}"))
                };
                text.lines().map(line).collect()
            }
            None => vec![(input("subject-name").unwrap(), input("subject-digest").unwrap())],
        };
        if pushed {
            let (host, _) = subjects[0].0.split_once('/').unwrap();
            let logins = job.dir.with_file_name("home").join(".docker/config.json");
            let logins: Value = serde_json::from_slice(&fs::read(logins).unwrap()).unwrap();
            assert!(logins["auths"].get(host).is_some(), "{} has no login at {host}", job.name);
        }
        let sbom = file("sbom-path");
        if let Some(sbom) = &sbom {
            assert!(sbom.len() <= 16 << 20);
            let sbom: Value = serde_json::from_slice(sbom).unwrap();
            assert!(sbom["spdxVersion"].is_string() && sbom["SPDXID"].is_string(), "{sbom}");
        }
        let by = workflow.name.clone();
        Attested { by, subjects, sbom, pushed }
    }
}

fn is_commit(pin: &str) -> bool {
    pin.len() == 40 && pin.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The jobs of a workflow by their names, in the order of the file.
fn jobs(text: &str) -> Vec<(String, Value)> {
    let workflow: Value = serde_yaml::from_str(text).unwrap();
    assert_eq!(workflow["permissions"], json!({}), "{text}");
    // As a map they would stand in the order of their names.
    let (_, below) = text.split_once("\njobs:\n").unwrap();
    let names = below.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let names = names.filter(|name| !name.starts_with(' '));
    let job = |name: &str| (name.to_owned(), workflow["jobs"][name].clone());
    let jobs: Vec<(String, Value)> = names.map(job).collect();
    assert_eq!(jobs.len(), workflow["jobs"].as_object().unwrap().len());
    jobs
}

/// Uploads what each line of `paths` names: a folder, a file, or files by a pattern.
fn upload(dir: &Path, paths: &str, to: &Path) {
    let mut files = BTreeMap::new();
    let mut folders = BTreeSet::new();
    for line in paths.lines() {
        let path = dir.join(line);
        if path.is_dir() {
            files.extend(contents(&path));
            folders.insert(path);
            continue;
        }
        let folder = path.parent().unwrap().to_owned();
        let pattern = path.file_name().unwrap().to_str().unwrap();
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let fits = |name: &String| match pattern.contains('*') {
            true => name.starts_with(start) && name[start.len()..].ends_with(end),
            false => name == pattern,
        };
        for name in names(&folder).into_iter().filter(fits) {
            let bytes = fs::read(folder.join(&name));
            files.extend(bytes.ok().map(|bytes| (name, bytes)));
        }
        folders.insert(folder);
    }
    assert_eq!(folders.len(), 1, "{paths} would keep its folders");
    carry(files, to);
}

/// Carries files as artifacts are carried: nothing can be run then.
fn carry(files: BTreeMap<String, Vec<u8>>, to: &Path) {
    assert!(!files.is_empty(), "nothing for {}", to.display());
    for (name, bytes) in files {
        let to = to.join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(&to, bytes).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).unwrap();
    }
}

/// The values of each of a job's machines.
fn matrix(job: &Value, contexts: &Value) -> Vec<Value> {
    let Some(matrix) = job["strategy"]["matrix"].as_object() else { return vec![json!({})] };
    assert_eq!(matrix.len(), 1, "{job}");
    let (name, values) = matrix.iter().next().unwrap();
    let values = field(values, contexts);
    let values = values.as_array().unwrap();
    assert!((1..=256).contains(&values.len()), "GitHub refuses a matrix of {}", values.len());
    let one = |value: &Value| match &**name {
        "include" => value.clone(),
        name => json!({ name: value }),
    };
    values.iter().map(one).collect()
}
