//! A release, published: on a played GitHub, in a real registry, and in an index of krew.

use std::collections::BTreeSet;
use std::process::Command;

use crate::world::github::{GitHub, Seen, Token};
use crate::world::keys::{KEY, KEY_PART};
use crate::world::registries::{Registry, digest_at};
use crate::world::{HOST, Run, World, contents, names, run};

mod audits;
mod findings;
mod index;
mod meanwhile;
mod nights;
mod proofs;
mod rebuilt;

/// Nobody but GitHub may ever see it.
const CANARY: &str = "ghp_canary0123456789abcdefghijklmnop";
/// The same of the token for the index.
const KREW_CANARY: &str = "ghp_crewcanary0123456789abcdefghijkl";

const REPOSITORY: &str = "acme/tool";
const INDEX: &str = "kubernetes-sigs/krew-index";
const FORK: &str = "robot/krew-index";
const ENTRY: &str = "plugins/tool.yaml";

/// A plugin with an image, and all that hears of its releases.
struct Stage {
    world: World,
    github: GitHub,
    registry: &'static Registry,
    /// Below it, its images are in the registry.
    folder: String,
    /// Whether its releases are signed.
    is_signed: bool,
}

impl Stage {
    /// At the tag of this version, which GitHub has; the index has version 0.9.0. `None`
    /// where this machine has no registry.
    fn at(version: &str) -> Option<Stage> {
        let registry = Registry::shared()?;
        let github = GitHub::start();
        let world = World::empty();
        let more = format!(
            "description = \"A tool\"\nrepository = \"http://{host}/{REPOSITORY}\"\n\
             [package.metadata.dockless]\ntargets = [\"{HOST}\"]\n",
            host = github.host
        );
        world.package("", "kubectl-tool", version, &more);
        let lock = format!(
            "version = 4\n\n[[package]]\nname = \"kubectl-tool\"\nversion = \"{version}\"\n"
        );
        world.file("LICENSE", "free\n").file("Cargo.lock", &lock);
        let changes =
            format!("# Changelog\n\n## {version}\n\n- All of it.\n\n## 0.9.0\n\n- Less.\n");
        world.file("CHANGELOG.md", &changes);
        world.commit();
        world.file(".gitignore", "/target\n/dist\n").commit();
        let stage = Stage { world, github, registry, folder: unique(), is_signed: false };
        stage.tag(version);
        {
            let mut state = stage.github.state();
            state.classic(CANARY, "acme", &["repo"]);
            state.classic(KREW_CANARY, "robot", &["public_repo"]);
            state.commit(INDEX, "main", "README.md", "an index");
        }
        stage.enter("0.9.0");
        Some(stage)
    }

    /// Tags HEAD and lets GitHub know.
    fn tag(&self, version: &str) {
        self.world.git(["tag", &format!("v{version}")]);
        self.github.push(REPOSITORY, self.world.root());
    }

    /// Puts the plugin into the index at a version.
    fn enter(&self, version: &str) {
        let arch = if HOST.starts_with("aarch64") { "arm64" } else { "amd64" };
        let text = format!(
            "apiVersion: krew.googlecontainertools.github.com/v1alpha2\nkind: Plugin\n\
             metadata:\n  name: tool # the tool\nspec:\n  version: v{version}\n  \
             homepage: http://{host}/{REPOSITORY}\n  shortDescription: A tool\n  \
             description: A tool\n  platforms:\n  - selector:\n      matchLabels:\n        \
             os: linux\n        arch: {arch}\n    uri: \
             http://{host}/{REPOSITORY}/releases/download/v{version}/kubectl-tool-v{version}-{HOST}.tar.gz\n    \
             sha256: {digest}\n    bin: kubectl-tool\n",
            host = self.github.host,
            digest = "0".repeat(64)
        );
        self.github.state().commit(INDEX, "main", ENTRY, &text);
    }

    /// The tool, with tokens, in a workflow that publishes.
    fn tool(&self, args: &str) -> Command {
        let mut tool = self.world.tool(args.split(' '));
        tool.envs([
            ("GITHUB_TOKEN", CANARY),
            ("KREW_GITHUB_TOKEN", KREW_CANARY),
            ("GITHUB_API_URL", &self.github.api()),
            ("GITHUB_SERVER_URL", &format!("http://{}", self.github.host)),
            ("DOCKLESS_REPOSITORY", &format!("{}/{}", self.registry.host, self.folder)),
        ]);
        tool.envs(self.registry.vars(&self.world));
        if self.is_signed {
            tool.env("COSIGN_PRIVATE_KEY", KEY);
        }
        tool
    }

    fn release(&self) -> Run {
        run(&mut self.tool(RELEASE))
    }

    /// The digest of what a tag of the image names.
    fn image(&self, tag: &str) -> Option<String> {
        digest_at(&self.registry.host, &format!("{}/kubectl-tool:{tag}", self.folder))
    }

    /// The files that the release of a version has.
    fn files(&self, version: &str) -> BTreeSet<String> {
        let archive = format!("kubectl-tool-v{version}-{HOST}.tar.gz");
        let mut files = BTreeSet::from([archive, "checksums.txt".into(), "tool.yaml".into()]);
        let stem = format!("kubectl-tool-v{version}-{}", HOST.replace("-unknown-linux", ""));
        files.extend([".spdx.json", ".image.spdx.json"].map(|end| format!("{stem}{end}")));
        let statement = format!("kubectl-tool-v{version}.intoto.json");
        if self.is_signed {
            let signed = ["checksums.txt", &statement];
            files.extend(signed.map(|name| format!("{name}.sigstore.json")));
        }
        files.insert(statement);
        files
    }

    /// Requires that the version is all there, in all places, and that nobody saw less.
    #[track_caller]
    fn is_published(&self, version: &str) {
        let tag = format!("v{version}");
        let state = self.github.state();
        assert_eq!(state.violations, [] as [String; 0]);
        let repository = &state.repositories[REPOSITORY];
        let of_tag: Vec<_> = repository.releases.iter().filter(|it| it.tag == tag).collect();
        let [release] = &of_tag[..] else { panic!("{of_tag:?}") };
        assert!(!release.draft, "{release:?}");
        let names: BTreeSet<String> = release.assets.iter().map(|it| it.name.clone()).collect();
        assert_eq!(names, self.files(version));
        let dist = contents(&self.world.dist());
        for asset in &release.assets {
            let made = dist.get(&asset.name).or(dist.get(&format!("krew/{}", asset.name)));
            assert!(asset.whole && Some(&*asset.bytes) == made, "{}", asset.name);
        }
        for tag in [version, "latest"] {
            assert!(self.image(tag).is_some(), "{tag}");
        }
    }

    /// Requires that one pull request asks for this version, from one branch.
    #[track_caller]
    fn is_submitted(&self, version: &str) {
        let state = self.github.state();
        let branch = format!("acme-tool-tool-v{version}");
        let open: Vec<_> = state.repositories[INDEX].pulls.iter().filter(|it| it.open).collect();
        let [pull] = &open[..] else { panic!("{open:?}") };
        assert_eq!(pull.head, format!("robot:{branch}"));
        assert_eq!(pull.title, format!("release new version v{version} of tool"));
        assert_eq!(pull.base, "main");
        let text = state.text(FORK, &branch, ENTRY).unwrap();
        assert!(text.contains(&format!("version: v{version}\n")), "{text}");
        // What stood around the values stands there still.
        assert!(text.contains("name: tool # the tool"), "{text}");
        let branches = state.repositories[FORK].refs.keys().filter(|it| it.contains(&branch));
        assert_eq!(branches.count(), 1);
    }
}

/// Checks take a while and are tested elsewhere.
const RELEASE: &str = "release --skip check";

/// A name that no other test has.
fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("publish-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Requires that no output tells a token.
#[track_caller]
fn is_unsaid(run: &Run) {
    for canary in [CANARY, KREW_CANARY, KEY_PART] {
        assert!(!run.stdout.contains(canary) && !run.stderr.contains(canary), "{}", run.stderr);
    }
}

/// Requires that no output and no file tells a token.
#[track_caller]
fn is_silent(stage: &Stage, run: &Run) {
    is_unsaid(run);
    for canary in [CANARY, KREW_CANARY] {
        for (name, bytes) in contents(&stage.world.outside("")) {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{name}");
        }
    }
}

/// The tag keeps its form wherever it is named; versions keep theirs.
#[test]
fn a_tag_in_another_form_is_published_under_its_own_name() {
    for (tag, in_address) in [
        ("1.0.0", "1.0.0"),
        ("kubectl-tool/v1.0.0", "kubectl-tool%2Fv1.0.0"),
        ("kubectl-tool@1.0.0", "kubectl-tool%401.0.0"),
    ] {
        let Some(stage) = Stage::at("1.0.0") else { return };
        stage.world.git(["tag", tag, "v1.0.0"]);
        stage.world.git(["tag", "--delete", "v1.0.0"]);
        stage.github.push(REPOSITORY, stage.world.root());
        {
            // The release before had the same form.
            let mut state = stage.github.state();
            let entry = state.text(INDEX, "main", ENTRY).unwrap();
            let before = format!("/download/{}/", in_address.replace("1.0.0", "0.9.0"));
            let entry = entry.replace("/download/v0.9.0/", &before);
            state.commit(INDEX, "main", ENTRY, &entry);
        }
        stage.release().ends_with(0);
        let state = stage.github.state();
        let release = &state.repositories[REPOSITORY].releases[0];
        assert_eq!((&*release.tag, release.draft, release.latest), (tag, false, true));
        let names: BTreeSet<&str> = release.assets.iter().map(|it| &*it.name).collect();
        assert!(names.contains(&*format!("kubectl-tool-v1.0.0-{HOST}.tar.gz")), "{names:?}");
        let branch = format!("acme-tool-tool-{tag}");
        let text = state.text(FORK, &branch, ENTRY).unwrap();
        assert!(text.contains("version: v1.0.0\n"), "{text}");
        let uri = format!("/releases/download/{in_address}/kubectl-tool-v1.0.0-{HOST}.tar.gz\n");
        assert!(text.contains(&uri), "{text}");
    }
}

#[test]
fn a_tag_is_published_everywhere_and_a_second_run_changes_nothing() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    published_twice(&stage);
}

/// The signatures are kept, too.
#[test]
fn a_signed_release_is_published_once() {
    let Some(mut stage) = Stage::at("1.0.0") else { return };
    stage.is_signed = true;
    published_twice(&stage);
}

#[track_caller]
fn published_twice(stage: &Stage) {
    let first = stage.release();
    first.ends_with(0);
    stage.is_published("1.0.0");
    stage.is_submitted("1.0.0");
    is_silent(stage, &first);
    let before = {
        let state = stage.github.state();
        let release = &state.repositories[REPOSITORY].releases[0];
        assert!(release.body.starts_with("- All of it.\n\n## Images\n\n- `"), "{}", release.body);
        assert!(release.latest && !release.prerelease);
        state.seen()
    };
    stage.github.forget();
    let of_image = format!("{}/kubectl-tool", stage.folder);
    let asked = stage.registry.all_requests(&of_image).len();
    let second = stage.release();
    second.ends_with(0).never_says("Compiling");
    assert_eq!(
        stage.github.writes().iter().map(|it| &it.path).collect::<Vec<_>>(),
        [] as [&str; 0]
    );
    assert_eq!(stage.github.state().seen(), before);
    let seen = stage.github.seen();
    // The storage that GitHub leads to gets no token.
    let known = |it: &Seen| it.login != it.path.starts_with("/api/v3/content/");
    assert!(!seen.is_empty() && seen.iter().all(known), "{seen:?}");
    // The same, from a fresh clone that never saw the first run.
    let clone = stage.world.outside("clone");
    let from = stage.world.root().to_str().unwrap();
    stage.world.git(["clone", "--quiet", "--no-hardlinks", from, clone.to_str().unwrap()]);
    run(stage.tool(RELEASE).current_dir(&clone)).ends_with(0);
    assert_eq!(stage.github.writes().len(), 0);
    let mut asked = stage.registry.all_requests(&of_image).split_off(asked);
    assert!(!asked.is_empty(), "the registry's log was read");
    asked.retain(|it| !it.starts_with("HEAD ") && !it.starts_with("GET "));
    assert_eq!(asked, [] as [String; 0]);
}

#[test]
fn a_dry_run_prints_each_call_and_makes_none() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let dry = run(&mut stage.tool("release --dry-run"));
    let text = &dry.ends_with(0).stdout;
    let api = stage.github.api();
    for call in [
        format!("POST   {api}/repos/{REPOSITORY}/releases "),
        format!("{api}/repos/{REPOSITORY}/releases/…/assets?name=checksums.txt"),
        format!("PATCH  {api}/repos/{REPOSITORY}/releases/…"),
        format!("POST   {api}/repos/{INDEX}/pulls"),
        "the branch acme-tool-tool-v1.0.0".to_owned(),
    ] {
        assert!(text.contains(&call), "no {call:?} in\n{text}");
    }
    assert!(text.contains("/manifests/latest "), "{text}");
    assert_eq!(stage.github.seen().len(), 0);
    assert_eq!(names(stage.world.root()).iter().filter(|it| *it == "dist").count(), 0);
    // What would not be moved is none of the calls.
    let Some(stage) = Stage::at("1.1.0-rc.1") else { return };
    let early = run(&mut stage.tool("release --dry-run"));
    let text = &early.ends_with(0).stdout;
    assert!(text.contains("/manifests/1.1.0-rc.1 ") && !text.contains("/latest"), "{text}");
}

#[test]
fn a_draft_is_left_to_a_person_and_then_published() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let drafted = run(&mut stage.tool(&format!("{RELEASE} --draft")));
    drafted.ends_with(0).says("drafted ").never_says("published ").never_says(" tag ");
    {
        let mut state = stage.github.state();
        let release = &mut state.repository(REPOSITORY).releases[0];
        assert!(release.draft && release.assets.len() == 6, "{release:?}");
        release.body = "a person wrote this".to_owned();
        assert!(!state.repositories.contains_key(FORK));
    }
    assert_eq!(stage.image("1.0.0"), None);
    stage.release().ends_with(0);
    stage.is_published("1.0.0");
    stage.is_submitted("1.0.0");
    assert_eq!(
        stage.github.state().repositories[REPOSITORY].releases[0].body,
        "a person wrote this"
    );
}

#[test]
fn what_is_said_of_a_release_comes_from_where_it_is_asked_for() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.world.file("NOTES.md", "named\n");
    stage.world.commit();
    let body =
        || stage.github.state().repositories[REPOSITORY].releases.last().unwrap().body.clone();
    let next = |version: &str| {
        let manifest = stage.world.read("Cargo.toml");
        let lock = stage.world.read("Cargo.lock");
        let old = lock.lines().last().unwrap().split('"').nth(1).unwrap().to_owned();
        let version_of = |text: &str| {
            text.replacen(&format!("version = \"{old}\""), &format!("version = \"{version}\""), 1)
        };
        stage
            .world
            .file("Cargo.toml", &version_of(&manifest))
            .file("Cargo.lock", &version_of(&lock));
        stage.world.commit();
        stage.tag(version);
    };
    next("1.0.1");
    run(&mut stage.tool(&format!("{RELEASE},krew --notes NOTES.md"))).ends_with(0);
    assert!(body().starts_with("named\n\n## Images"), "{}", body());
    next("1.0.2");
    run(&mut stage.tool(&format!("{RELEASE},krew"))).ends_with(0);
    assert_eq!(body().lines().next().unwrap(), format!("- a change ({})", stage.world.sha()));
    assert_eq!(body().lines().filter(|line| line.starts_with("- a change")).count(), 1);
}

/// Versions in the order of their releases, and which is shown as the latest then.
#[test]
fn the_latest_release_is_the_highest_version_that_is_none_to_come() {
    let Some(stage) = Stage::at("2.0.0") else { return };
    run(&mut stage.tool(&format!("{RELEASE},krew"))).ends_with(0);
    let state = || {
        let state = stage.github.state();
        let all = &state.repositories[REPOSITORY].releases;
        let latest = all.iter().find(|it| it.latest).map(|it| it.tag.clone());
        (latest, all.last().unwrap().prerelease)
    };
    assert_eq!(state(), (Some("v2.0.0".to_owned()), false));
    for (version, latest, prerelease) in
        [("1.0.1", "v2.0.0", false), ("2.1.0-rc.1", "v2.0.0", true), ("2.1.0", "v2.1.0", false)]
    {
        let (manifest, lock) = (stage.world.read("Cargo.toml"), stage.world.read("Cargo.lock"));
        let old = lock.lines().last().unwrap().split('"').nth(1).unwrap().to_owned();
        let of = |text: &str| text.replacen(&format!("\"{old}\""), &format!("\"{version}\""), 1);
        stage.world.file("Cargo.toml", &of(&manifest)).file("Cargo.lock", &of(&lock));
        stage.world.commit();
        stage.tag(version);
        run(&mut stage.tool(&format!("{RELEASE},krew"))).ends_with(0);
        assert_eq!(state(), (Some(latest.to_owned()), prerelease), "{version}");
    }
}

/// Later steps of a job, and its page, hear of it.
#[test]
fn a_workflow_hears_what_was_published() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let (output, summary) = (stage.world.outside("output"), stage.world.outside("summary"));
    let mut tool = stage.tool(RELEASE);
    tool.env("GITHUB_OUTPUT", &output).env("GITHUB_STEP_SUMMARY", &summary);
    let released = run(tool.env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", REPOSITORY));
    released.ends_with(0).says("::group::make").says("::group::publish").says("::endgroup::");
    let output = std::fs::read_to_string(output).unwrap();
    let value = |name: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no {name} in\n{output}")).to_owned()
    };
    assert_eq!((value("version"), value("tag")), ("1.0.0".to_owned(), "v1.0.0".to_owned()));
    let images: serde_json::Value = serde_json::from_str(&value("images")).unwrap();
    let digest = stage.image("1.0.0");
    let name = format!("{}/{}/kubectl-tool", stage.registry.host, stage.folder);
    assert_eq!(images[0]["name"], name.as_str());
    assert_eq!(images[0]["digest"].as_str(), digest.as_deref());
    assert!(value("url").ends_with("/acme/tool/releases/tag/v1.0.0"), "{output}");
    let summary = std::fs::read_to_string(summary).unwrap();
    for text in ["Release 1.0.0", "kubectl-tool-v1.0.0", "/releases/tag/v1.0.0", "/pull/"] {
        assert!(summary.contains(text), "no {text:?} in\n{summary}");
    }
    // The token that a workflow has by itself does for its repository, and not for the index.
    let mut state = stage.github.state();
    state.tokens.insert("workflow".into(), Token::Workflow { repository: REPOSITORY.into() });
}
