//! The workflows, run: what their steps say is done by bash on fresh clones, and what
//! actions would do is played.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::github::{GitHub, Token};
use crate::world::{Run, World, contents, run};

/// A runner of workflows, for one repository at one tag.
struct Runner<'a> {
    world: &'a World,
    github: &'a GitHub,
    /// What jobs hand to each other.
    artifacts: PathBuf,
    /// What jobs said, by `JOB.NAME`.
    outputs: BTreeMap<String, String>,
    /// How many steps were run by bash.
    steps: usize,
    attested: Vec<String>,
}

/// One job on its machine.
struct Job {
    dir: PathBuf,
    temp: PathBuf,
    /// What `${{ … }}` stands for.
    values: BTreeMap<String, String>,
}

impl Job {
    /// The text with what is between the braces put in.
    fn text(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let (name, after) = after.split_once("}}").unwrap();
            let name = name.trim();
            let value = self.values.get(name).map(String::as_str);
            // What a step did not say is empty.
            let value = value.or(name.starts_with("steps.").then_some(""));
            out.push_str(before);
            out.push_str(value.unwrap_or_else(|| panic!("nobody knows {name:?}")));
            rest = after;
        }
        out + rest
    }

    fn holds(&self, condition: &str) -> bool {
        if let Some(args) = condition.strip_prefix("startsWith(") {
            let (name, start) = args.strip_suffix(')').unwrap().split_once(", ").unwrap();
            return self.values[name].starts_with(start.trim_matches('\''));
        }
        match condition.split_once(" != ") {
            Some((name, other)) => self.values[name] != other.trim_matches('\''),
            None => self.values[condition] == "true",
        }
    }
}

impl Runner<'_> {
    /// Runs all jobs of a workflow; they stand in the order of their needs.
    fn run(&mut self, workflow: &str) {
        let text = self.world.read(workflow);
        let workflow: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(workflow["permissions"], serde_json::json!({}), "{text}");
        // As a map they would stand in the order of their names.
        let jobs = text.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
        for name in jobs.filter(|name| workflow["jobs"].get(name).is_some()) {
            let job = &workflow["jobs"][name];
            for matrix in matrix(job, &self.outputs) {
                self.job(name, job, matrix);
            }
        }
    }

    fn job(&mut self, name: &str, job: &Value, mut values: BTreeMap<String, String>) {
        let place = self.world.outside("jobs").join(format!("{name}-{}", self.steps));
        let (dir, temp) = (place.join("checkout"), place.join("temp"));
        fs::create_dir_all(&temp).unwrap();
        fs::create_dir_all(&dir).unwrap();
        values.insert("runner.temp".to_owned(), temp.display().to_string());
        values.insert("github.token".to_owned(), "workflow".to_owned());
        values.insert("github.actor".to_owned(), "acme".to_owned());
        values.insert("secrets.KREW_GITHUB_TOKEN".to_owned(), "robot".to_owned());
        // What nobody has set is empty, and nothing is signed then.
        for name in ["COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD"] {
            values.insert(format!("secrets.{name}"), String::new());
        }
        for (known, value) in &self.outputs {
            values.insert(format!("needs.{known}"), value.clone());
        }
        let mut job_here = Job { dir, temp, values };
        if job["if"].as_str().is_some_and(|condition| !job_here.holds(condition)) {
            return;
        }
        for step in job["steps"].as_array().unwrap() {
            if step["if"].as_str().is_some_and(|condition| !job_here.holds(condition)) {
                continue;
            }
            match (step["uses"].as_str(), step["run"].as_str()) {
                (Some(action), None) => self.action(action, &step["with"], &job_here),
                (None, Some(script)) => self.script(script, step, &mut job_here),
                _ => panic!("{step}"),
            }
        }
        for (output, value) in job["outputs"].as_object().into_iter().flatten() {
            let value = job_here.text(value.as_str().unwrap());
            // One machine's outputs are not emptied by the next one's.
            if !value.is_empty() {
                self.outputs.insert(format!("{name}.outputs.{output}"), value);
            }
        }
    }

    fn script(&mut self, script: &str, step: &Value, job: &mut Job) {
        // Values come through the environment, and never into the text of a script.
        assert!(!script.contains("${{"), "{script}");
        let output = job.temp.join(format!("output-{}", self.steps));
        let mut bash =
            self.world.with("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        let dir = step["working-directory"].as_str().map(|dir| PathBuf::from(job.text(dir)));
        bash.current_dir(dir.as_ref().unwrap_or(&job.dir))
            .env("PATH", self.world.path_with("stand-ins"));
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            bash.env(name, job.text(&value.as_str().map_or(value.to_string(), str::to_owned)));
        }
        bash.envs([
            ("BUILT", env!("CARGO_BIN_EXE_cargo-dockless")),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "acme/tool"),
            ("GITHUB_API_URL", &self.github.api()),
            ("GITHUB_SERVER_URL", &format!("http://{}", self.github.host)),
            ("GITHUB_OUTPUT", output.to_str().unwrap()),
            ("GITHUB_STEP_SUMMARY", job.temp.join("summary").to_str().unwrap()),
        ]);
        // The advisories of the tests' own: none.
        bash.env("DOCKLESS_ADVISORY_DB", self.world.outside("advisories"));
        let ran: Run = run(&mut bash);
        assert_eq!(ran.code, Some(0), "{script}\n{}{}", ran.stdout, ran.stderr);
        self.steps += 1;
        if let (Some(id), Ok(text)) = (step["id"].as_str(), fs::read_to_string(output)) {
            for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
                job.values.insert(format!("steps.{id}.outputs.{name}"), value.to_owned());
            }
        }
    }

    /// What an action does, as far as others notice it.
    fn action(&mut self, action: &str, with: &Value, job: &Job) {
        let input = |name: &str| with[name].as_str().map(|text| job.text(text));
        let (action, pin) = action.split_once('@').unwrap();
        assert!(
            pin.len() == 40 && pin.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{action}@{pin}"
        );
        match action {
            "actions/checkout" => {
                assert_eq!(with["persist-credentials"], false);
                let (from, to) = (self.world.root().to_str().unwrap(), job.dir.to_str().unwrap());
                self.world.git(["clone", "--quiet", "--no-hardlinks", from, to]);
            }
            "actions/upload-artifact" => {
                let from = job.dir.join(input("path").unwrap().trim_end_matches('*'));
                let to = self.artifacts.join(input("name").unwrap());
                carry(&from, &to);
            }
            "actions/download-artifact" => {
                let to = input("path").map_or(job.dir.clone(), PathBuf::from);
                match (input("name"), input("pattern")) {
                    (Some(name), None) => carry(&self.artifacts.join(name), &to),
                    (None, Some(pattern)) => {
                        let start = pattern.strip_suffix('*').unwrap();
                        for name in crate::world::names(&self.artifacts) {
                            if name.starts_with(start) {
                                carry(&self.artifacts.join(&name), &to.join(&name));
                            }
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
            "actions/attest" => {
                let file = input("subject-checksums").map(|file| job.dir.join(file));
                let subject = file.map(|file| fs::read_to_string(file).unwrap());
                self.attested.push(subject.or(input("subject-digest")).unwrap());
            }
            other => panic!("nobody plays {other}"),
        }
    }
}

/// Carries a file, or what a folder holds, as artifacts are carried: nothing can be run then.
fn carry(from: &Path, to: &Path) {
    let files = match from.is_dir() {
        true => contents(from),
        false => {
            let name = from.file_name().unwrap().to_str().unwrap().to_owned();
            BTreeMap::from([(name, fs::read(from).unwrap())])
        }
    };
    assert!(!files.is_empty(), "nothing at {}", from.display());
    for (name, bytes) in files {
        let to = to.join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(&to, bytes).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).unwrap();
    }
}

/// The values of each of a job's machines.
fn matrix(job: &Value, outputs: &BTreeMap<String, String>) -> Vec<BTreeMap<String, String>> {
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let Some(matrix) = job["strategy"]["matrix"].as_object() else {
        return vec![BTreeMap::new()];
    };
    let (name, values) = matrix.iter().next().unwrap();
    match (&**name, values) {
        ("include", Value::Array(entries)) => {
            let entry = |entry: &Value| {
                let values = entry.as_object().unwrap().iter();
                values.map(|(name, value)| (format!("matrix.{name}"), text(value))).collect()
            };
            entries.iter().map(entry).collect()
        }
        (name, Value::Array(values)) => {
            let one = |value: &Value| BTreeMap::from([(format!("matrix.{name}"), text(value))]);
            values.iter().map(one).collect()
        }
        (name, Value::String(from)) => {
            let from = from.strip_prefix("${{ fromJSON(needs.").unwrap();
            let said = &outputs[from.strip_suffix(") }}").unwrap()];
            let values: Vec<Value> = serde_json::from_str(said).unwrap();
            let one = |value: &Value| {
                let fields = value.as_object().unwrap().iter();
                fields
                    .map(|(field, value)| (format!("matrix.{name}.{field}"), text(value)))
                    .collect()
            };
            values.iter().map(one).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_release_workflow_releases() {
    let github = GitHub::start();
    let world = World::empty();
    let more = format!(
        "description = \"A tool\"\nlicense = \"MIT\"\nrepository = \"http://{}/acme/tool\"\n\
         [package.metadata.dockless.image]\nship = false\n\
         [workspace.metadata.dockless.audit]\ndatabase = \"../advisories\"\n[workspace]\n",
        github.host
    );
    world.package("", "tool", "1.0.0", &more);
    world.file("LICENSE", "free\n").lock();
    world.file(
        "src/main.rs",
        "fn main() {\n    println!(\"{}\", option_env!(\"DOCKLESS_VERSION\").unwrap_or(\"none\"));\n}\n",
    );
    world.run("init --workflows").ends_with(0);
    world.commit();
    world.git(["tag", "v1.0.0"]);
    github.push("acme/tool", world.root());
    let workflow = Token::Workflow { repository: "acme/tool".to_owned() };
    github.state().tokens.insert("workflow".to_owned(), workflow);
    // A registry of crates would have it by its version; here it is what was built.
    world.script(
        "stand-ins/cargo",
        "if [ \"$1\" = install ]; then mkdir -p tool/bin && cp \"$BUILT\" tool/bin/; exit; fi\n\
         PATH=${PATH#*:} exec cargo \"$@\"\n",
    );
    no_newer_rust(&world);
    advisories(&world.outside("advisories"));
    let artifacts = world.outside("artifacts");
    let (outputs, attested) = (BTreeMap::new(), Vec::new());
    let mut runner =
        Runner { world: &world, github: &github, artifacts, outputs, steps: 0, attested };
    runner.run(".github/workflows/release.yml");
    assert_eq!(
        runner.steps, 14,
        "the tool and its digest; a check, two targets and the release, each with its Rust and a \
         look at the tool"
    );
    let state = github.state();
    let release = &state.repositories["acme/tool"].releases[0];
    let names: Vec<&str> = release.assets.iter().map(|it| &*it.name).collect();
    let expected = "checksums.txt tool-v1.0.0-aarch64-unknown-linux-musl.tar.gz \
                    tool-v1.0.0-aarch64-musl.spdx.json tool-v1.0.0-x86_64-unknown-linux-musl.tar.gz \
                    tool-v1.0.0-x86_64-musl.spdx.json tool-v1.0.0.intoto.json";
    let sorted = |names: &[&str]| names.iter().map(|it| it.to_string()).collect::<BTreeSet<_>>();
    assert_eq!(sorted(&names), sorted(&expected.split(' ').collect::<Vec<_>>()));
    assert!(!release.draft, "{release:?}");
    let checksums = release.assets.iter().find(|it| it.name == "checksums.txt").unwrap();
    assert_eq!(runner.attested, [String::from_utf8(checksums.bytes.to_vec()).unwrap()]);
    drop(state);
    runner.run(".github/workflows/ci.yml");
    assert_eq!(runner.steps, 18, "a Rust; installed, checked and tested, tried");
}

/// This repository's own, on clones of it: it compiles the tool and all that it ships, for
/// each of the machines, so that it takes a while.
#[test]
fn our_own_release_workflow_releases() {
    if std::env::var_os("DOCKLESS_WORKFLOWS").is_none() {
        crate::world::skipped("DOCKLESS_WORKFLOWS is not set, and it takes a quarter of an hour");
        return;
    }
    let github = GitHub::start();
    let world = World::empty();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    world.git(["clone", "--quiet", "--no-hardlinks", here.to_str().unwrap(), "."]);
    world.git(["tag", concat!("v", env!("CARGO_PKG_VERSION"))]);
    github.push("acme/tool", world.root());
    {
        let mut state = github.state();
        let workflow = Token::Workflow { repository: "acme/tool".to_owned() };
        state.tokens.insert("workflow".to_owned(), workflow);
    }
    advisories(&world.outside("advisories"));
    no_newer_rust(&world);
    let artifacts = world.outside("artifacts");
    let (outputs, attested) = (BTreeMap::new(), Vec::new());
    let mut runner =
        Runner { world: &world, github: &github, artifacts, outputs, steps: 0, attested };
    runner.run(".github/workflows/release.yml");
    let state = github.state();
    let release = &state.repositories["acme/tool"].releases[0];
    assert!(!release.draft && release.assets.len() == 9, "{release:?}");
    assert_eq!(runner.attested.len(), 1);
}

/// What is here is the newest one.
fn no_newer_rust(world: &World) {
    let script = "case \"$1 $2\" in update*|'toolchain install') exit;; esac\nPATH=${PATH#*:} exec rustup \"$@\"\n";
    world.script("stand-ins/rustup", script);
}

/// A database with one advisory, which is of nobody here.
fn advisories(folder: &Path) {
    let crates = folder.join("crates/nothing");
    fs::create_dir_all(&crates).unwrap();
    let day = jiff::Timestamp::now().to_string()[..10].to_owned();
    let text = format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2020-0001\"\npackage = \"nothing\"\ndate = \"{day}\"\n\
         [versions]\npatched = [\">= 1.0.0\"]\n```\n\n# Nothing\n\nNothing.\n"
    );
    fs::write(crates.join("RUSTSEC-2020-0001.md"), text).unwrap();
}

/// A tool that somebody changed on its way is not even made one that can be started.
#[test]
fn a_tool_that_was_changed_is_not_started() {
    let world = World::empty();
    world.package("", "tool", "1.0.0", "");
    world.file("LICENSE", "free\n").lock().commit();
    world.run("init --workflows").ends_with(0);
    let workflow: Value =
        serde_yaml::from_str(&world.read(".github/workflows/release.yml")).unwrap();
    for job in ["check", "build", "release"] {
        let needs = &workflow["jobs"][job]["needs"];
        let tool = serde_json::json!("tool");
        assert!(needs == "tool" || needs.as_array().unwrap().contains(&tool), "{job}");
        let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
        let looks = steps.iter().find(|it| it["env"].get("sha256_linux").is_some()).unwrap()["run"]
            .as_str();
        let tool = world.script("tool/cargo-dockless", "exit 0\n");
        let digest = crate::world::sha256(&fs::read(&tool).unwrap());
        for (digest, code) in [(&*digest, 0), ("", 1), (&digest[1..], 1)] {
            fs::set_permissions(&tool, fs::Permissions::from_mode(0o644)).unwrap();
            let mut bash = world.with("bash", ["-eo", "pipefail", "-c", looks.unwrap()]);
            bash.env("TOOL", &tool).env("sha256_linux", digest).env("OS", "linux");
            run(&mut bash).ends_with(code);
            let mode = fs::metadata(&tool).unwrap().permissions().mode();
            assert_eq!(mode & 0o111 != 0, code == 0, "{job}: {digest}");
        }
    }
    // The shell that has the tokens in its environment gives way to the tool.
    let steps = workflow["jobs"]["release"]["steps"].as_array().unwrap();
    let release = steps.iter().find(|it| it["env"].get("GITHUB_TOKEN").is_some()).unwrap();
    assert!(release["run"].as_str().unwrap().starts_with("exec \"$TOOL\" "), "{release}");
}

/// The password of a registry comes by a pipe, and is no argument.
#[test]
fn a_login_is_no_argument() {
    let world = World::empty();
    world.package(
        "",
        "tool",
        "1.0.0",
        "[package.metadata.dockless.image]\nrepositories = [\"ghcr.io/acme/tool\"]\n",
    );
    world.file("LICENSE", "free\n").lock().commit();
    world.run("init --workflows").ends_with(0);
    let workflow: Value =
        serde_yaml::from_str(&world.read(".github/workflows/release.yml")).unwrap();
    let steps = workflow["jobs"]["attest-images"]["steps"].as_array().unwrap();
    let login = steps.iter().find(|step| step["name"] == "log in to ghcr.io").unwrap();
    world.script("stand-ins/docker", "echo \"$@\"\ncat\n");
    let mut bash = world.with("bash", ["-eo", "pipefail", "-c", login["run"].as_str().unwrap()]);
    bash.env("PATH", world.path_with("stand-ins")).env("ACTOR", "me").env("TOKEN", "secret");
    assert_eq!(
        run(&mut bash).ends_with(0).stdout,
        "login ghcr.io --username me --password-stdin\nsecret"
    );
}
