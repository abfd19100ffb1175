//! What is wrong before anything is made, said all at once, each with its fix.

use super::*;
use crate::world::proxy::Proxy;
use crate::world::registries::{PASSWORD, USER};

/// Requires that nothing was made or changed.
#[track_caller]
fn untouched(stage: &Stage, run: &Run) {
    run.ends_with(1).no_result();
    assert!(!stage.world.dist().exists(), "{}", run.stderr);
    let writes = stage.github.writes();
    assert!(writes.is_empty(), "{writes:?}");
}

#[test]
fn all_that_is_wrong_is_found_at_once() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let closed = Proxy::before("127.0.0.1:1").with_password(USER, PASSWORD);
    stage.world.git(["tag", "--delete", "v1.0.0"]);
    stage.world.file("src/main.rs", "fn main() { println!(\"changed\") }");
    let mut tool = stage.tool("release");
    tool.env_remove("GITHUB_TOKEN").env_remove("KREW_GITHUB_TOKEN");
    tool.env("DOCKLESS_REPOSITORY", format!("{}/x", closed.host));
    let run = run(&mut tool);
    untouched(&stage, &run);
    for (why, fix) in [
        ("the tree has changes that the tag does not hold", "commit or stash them"),
        ("GITHUB_TOKEN is not set", "GITHUB_TOKEN=$(gh auth token)"),
        ("KREW_GITHUB_TOKEN is not set", "--skip krew"),
        ("401 Unauthorized", ""),
        ("audit: no advisory database", "DOCKLESS_ADVISORY_DB"),
    ] {
        run.says(why).says(fix);
    }
}

/// What the token is, and what is said of it.
#[test]
fn a_token_that_does_not_do_is_said() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    {
        let mut state = stage.github.state();
        state.classic("ghp_none", "acme", &[]);
        state.classic("reads", "acme", &["read:org", "gist"]);
        state.classic("other", "somebody", &["repo"]);
        let (login, repositories) = ("acme".to_owned(), vec![]);
        state.tokens.insert("fine".into(), Token::FineGrained { login, repositories });
        state.tokens.insert("flow".into(), Token::Workflow { repository: REPOSITORY.into() });
    }
    let release = |token: &str| {
        let mut tool = stage.tool(&format!("{RELEASE},krew"));
        run(tool.env("GITHUB_TOKEN", token))
    };
    for (token, said, fix) in [
        ("nobody's", "401 Unauthorized: Bad credentials", "is not valid, or has expired"),
        (
            "ghp_none",
            "the token in GITHUB_TOKEN has no scope",
            "use one with the scope public_repo",
        ),
        ("reads", "has the scopes read:org, gist", "use one with the scope public_repo"),
        ("other", "the token in GITHUB_TOKEN cannot write to it", "of somebody who may"),
    ] {
        let refused = release(token);
        untouched(&stage, &refused);
        refused.says(said).says(fix).never_says(token);
    }
    // What cannot be known before is said when it is met.
    release("fine").ends_with(1).says("403 Forbidden").says("the right to do this");
    release("flow").ends_with(0);
    stage.is_published("1.0.0");
}

#[test]
fn what_github_has_otherwise_is_said() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let release = || run(&mut stage.tool(&format!("{RELEASE},krew")));
    let commit = stage.github.state().repository(REPOSITORY).refs.remove("tags/v1.0.0").unwrap();
    let refused = release();
    untouched(&stage, &refused);
    refused.says("the tag v1.0.0 is not there").says("git push origin v1.0.0");
    let other = "0123456789abcdef0123456789abcdef01234567".to_owned();
    stage.github.state().repository(REPOSITORY).refs.insert("tags/v1.0.0".into(), other);
    let refused = release();
    untouched(&stage, &refused);
    refused.says("the tag v1.0.0 is at 0123456789ab there, and not at HEAD");
    stage.github.state().repository(REPOSITORY).refs.insert("tags/v1.0.0".into(), commit);
    stage.github.state().repository(REPOSITORY).archived = true;
    let refused = release();
    untouched(&stage, &refused);
    refused.says("it is archived, and takes nothing");
    stage.github.state().repository(REPOSITORY).archived = false;
    let mut tool = stage.tool(&format!("{RELEASE},krew"));
    let refused = run(tool.env("GITHUB_REPOSITORY", "acme/nothing"));
    untouched(&stage, &refused);
    refused.says("acme/nothing on GitHub: there is no such repository");
}

/// An annotated tag is as good as any.
#[test]
fn an_annotated_tag_is_followed() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.world.git(["tag", "--delete", "v1.0.0"]);
    stage.world.git(["tag", "--annotate", "--message", "one", "v1.0.0"]);
    stage.github.push(REPOSITORY, stage.world.root());
    assert!(!stage.github.state().repository(REPOSITORY).tags.is_empty());
    run(&mut stage.tool(&format!("{RELEASE},krew"))).ends_with(0);
    stage.is_published("1.0.0");
}

#[test]
fn a_shallow_clone_is_no_place_to_release_from() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.world.commit();
    stage.world.git(["tag", "--force", "v1.0.0"]);
    stage.github.push(REPOSITORY, stage.world.root());
    let clone = stage.world.outside("shallow");
    let from = format!("file://{}", stage.world.root().display());
    stage.world.git(["clone", "--quiet", "--depth", "1", &from, clone.to_str().unwrap()]);
    run(stage.tool(&format!("{RELEASE},krew")).current_dir(&clone))
        .ends_with(1)
        .says("the clone is shallow")
        .says("fetch-depth: 0");
}

/// Which repository it is: the setting, the workflow's, Cargo.toml's, git's remote.
#[test]
fn the_repository_is_found_where_it_is_named() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let named = |stage: &Stage, workflow: Option<&str>| {
        let mut tool = stage.tool("release --dry-run --json");
        tool.envs(workflow.map(|name| ("GITHUB_REPOSITORY", name)));
        let plan = run(&mut tool).ends_with(0).json();
        plan["publish"]["github"]["repository"].as_str().unwrap_or_default().to_owned()
    };
    let host = stage.github.host.clone();
    let repository = format!("repository = \"http://{host}/{REPOSITORY}\"\n");
    assert_eq!(named(&stage, None), REPOSITORY);
    // GitHub does not tell cases apart.
    assert_eq!(named(&stage, Some("ACME/Tool")), "ACME/Tool");
    // A fork's workflow would lead krew to what it did not release.
    let fork = run(stage.tool("release --dry-run").env("GITHUB_REPOSITORY", "fork/tool"));
    fork.ends_with(1).says("the release v1.0.0 goes to fork/tool, and krew is sent to http://");
    let elsewhere = "repository = \"https://example.com/tool\"\n";
    let manifest = stage.world.read("Cargo.toml").replace(&repository, elsewhere);
    let again = |manifest: &str| {
        stage.world.file("Cargo.toml", manifest);
        stage.world.commit();
        stage.world.git(["tag", "--force", "v1.0.0"]);
    };
    again(&manifest);
    let unknown = run(&mut stage.tool("release --dry-run --skip krew"));
    unknown.ends_with(1).says(&format!("it is not known which repository on {host} is released"));
    stage.world.git(["remote", "add", "origin", &format!("http://{host}/else/where.git")]);
    assert_eq!(named(&stage, None), "else/where");
    assert_eq!(named(&stage, Some("work/flow")), "work/flow");
    again(&format!(
        "{manifest}[workspace.metadata.dockless.github]\nrepository = \"set/ting\"\n[workspace]\n"
    ));
    assert_eq!(named(&stage, Some("work/flow")), "set/ting");
    // Images alone have no draft.
    again(&format!("{manifest}[workspace.metadata.dockless.github]\nship = false\n[workspace]\n"));
    let draft = run(&mut stage.tool("release --dry-run --draft"));
    draft.ends_with(1).says("or leave out --draft");
}
