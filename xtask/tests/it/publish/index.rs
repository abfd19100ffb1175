//! `krew pr`, and what a release does with the index.

use super::*;
use crate::world::running::read_only;

/// Everything but the index's part is done: the command alone is left.
fn released(version: &str) -> Option<Stage> {
    let stage = Stage::at(version)?;
    run(&mut stage.tool(&format!("{RELEASE},krew"))).ends_with(0);
    stage.github.forget();
    Some(stage)
}

fn pr(stage: &Stage, args: &str) -> Run {
    run(&mut stage.tool(format!("krew pr {args}").trim()))
}

/// Raises the version from 1.0.0.
fn next(stage: &Stage, version: &str) {
    for file in ["Cargo.toml", "Cargo.lock"] {
        let to = format!("\"{version}\"");
        let text = stage.world.read(file).replacen("\"1.0.0\"", &to, 1);
        stage.world.file(file, &text);
    }
    stage.world.commit();
    stage.tag(version);
}

#[test]
fn a_plugin_is_brought_once() {
    let Some(stage) = released("1.0.0") else { return };
    stage.github.state().forking = 3;
    let page = pr(&stage, "").ends_with(0).line().to_owned();
    stage.is_submitted("1.0.0");
    assert!(page.starts_with(&format!("http://{}/{INDEX}/pull/", stage.github.host)), "{page}");
    stage.github.forget();
    assert_eq!(pr(&stage, "").ends_with(0).line(), page);
    assert_eq!(stage.github.writes().len(), 0);
    let json = pr(&stage, "--json").ends_with(0).list();
    assert_eq!((&json[0]["outcome"], &json[0]["anew"]), (&"open".into(), &false.into()), "{json}");
    // It is taken, and there is nothing more to do.
    stage.enter("1.0.0");
    pr(&stage, "").ends_with(0).no_result().says("the index has tool v1.0.0 already");
    assert_eq!(stage.github.writes().len(), 0);
    // Nor is there anybody left to take what waits of it.
    stage.enter("1.2.0");
    pr(&stage, "").ends_with(0).no_result().says("tool v1.2.0 is newer").says("close");
    assert!(!stage.github.state().repositories[INDEX].pulls[0].open);
    stage.github.forget();
    pr(&stage, "").ends_with(0).no_result().says("tool v1.2.0 is newer");
    assert_eq!(stage.github.writes().len(), 0);
}

#[test]
fn a_dry_run_prints_what_would_change() {
    let Some(stage) = released("1.0.0") else { return };
    let diff = pr(&stage, "--dry-run");
    let text = &diff.ends_with(0).stdout;
    for line in [
        "--- a/plugins/tool.yaml",
        "+++ b/plugins/tool.yaml",
        "-  version: v0.9.0",
        "+  version: v1.0.0",
        &format!("-    sha256: {}", "0".repeat(64)),
    ] {
        assert!(text.lines().any(|it| it == line), "no {line:?} in\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("@@")).count(), 3, "{text}");
    let json = pr(&stage, "--dry-run --json").ends_with(0).list();
    let would = serde_json::json!([{ "name": "tool", "outcome": "would-change",
                                     "diff": json[0]["diff"] }]);
    assert_eq!(json, would);
    assert_eq!(json[0]["diff"].as_str().map(str::trim_end), Some(text.trim_end()));
    assert_eq!(stage.github.writes().len(), 0);
}

/// A checkout that nobody can write, with what a release left in it.
#[test]
fn a_plugin_is_brought_from_a_checkout_that_cannot_be_written() {
    let Some(stage) = released("1.0.0") else { return };
    let root = stage.world.root();
    let Some(dry) = read_only(root, &stage.tool("krew pr --dry-run")) else { return };
    assert!(dry.ends_with(0).stdout.contains("+  version: v1.0.0"), "{}", dry.stdout);
    let brought = read_only(root, &stage.tool("krew pr")).unwrap();
    assert!(brought.ends_with(0).line().contains("/pull/"), "{}", brought.stdout);
    stage.is_submitted("1.0.0");
}

/// The version before waits to be taken: it is closed, and the new one says so.
#[test]
fn an_earlier_version_that_waits_is_superseded() {
    let Some(stage) = released("1.0.0") else { return };
    pr(&stage, "").ends_with(0);
    next(&stage, "1.1.0");
    stage.release().ends_with(0);
    stage.is_submitted("1.1.0");
    let state = stage.github.state();
    let [old, new] = &state.repositories[INDEX].pulls[..] else { panic!() };
    assert!(!old.open && new.open);
    assert!(new.body.ends_with(&format!("Supersedes #{}.", old.number)), "{}", new.body);
    drop(state);
    // What is older is not brought while what is newer waits.
    stage.world.git(["checkout", "--quiet", "v1.0.0"]);
    run(&mut stage.tool(&format!("{RELEASE},publish"))).ends_with(0);
    pr(&stage, "").ends_with(0).no_result().says("tool v1.1.0 is newer");
    stage.is_submitted("1.1.0");
}

/// The bot looks at a pull request when it is opened: one with other contents is closed.
#[test]
fn a_pull_request_with_other_contents_is_opened_anew() {
    let Some(stage) = released("1.0.0") else { return };
    pr(&stage, "").ends_with(0);
    stage.github.state().commit(FORK, "acme-tool-tool-v1.0.0", ENTRY, "something else\n");
    pr(&stage, "").ends_with(0).says("which has other contents");
    stage.is_submitted("1.0.0");
    let state = stage.github.state();
    assert_eq!(
        state.repositories[INDEX].pulls.iter().map(|it| it.open).collect::<Vec<_>>(),
        [false, true]
    );
}

/// What people changed on the branch, they changed for a reason: the version is asked for.
#[test]
fn what_reviewers_changed_stays() {
    let Some(stage) = released("1.0.0") else { return };
    let page = pr(&stage, "").ends_with(0).line().to_owned();
    let branch = "acme-tool-tool-v1.0.0";
    let text = stage.github.state().text(FORK, branch, ENTRY).unwrap();
    let reviewed = text.replace("# the tool", "# the tool, which is good");
    stage.github.state().commit(FORK, branch, ENTRY, &reviewed);
    stage.github.forget();
    assert_eq!(pr(&stage, "").ends_with(0).line(), page);
    assert_eq!(stage.github.writes().len(), 0);
    assert_eq!(stage.github.state().text(FORK, branch, ENTRY).unwrap(), reviewed);
}

/// What somebody else opened of an earlier version only they can close; it is said.
#[test]
fn what_others_opened_is_left_to_them() {
    let Some(stage) = released("1.0.0") else { return };
    pr(&stage, "").ends_with(0);
    stage.github.state().repository(INDEX).pulls[0].by = "somebody".to_owned();
    next(&stage, "1.1.0");
    let left = stage.release();
    left.ends_with(0)
        .says("it is superseded, and the token cannot close it")
        .never_says("  close http");
    let state = stage.github.state();
    let [old, new] = &state.repositories[INDEX].pulls[..] else { panic!() };
    assert!(old.open && new.open);
}

/// Somebody changes the index between what is read and what is written.
#[test]
fn what_changes_upstream_meanwhile_is_built_upon() {
    let Some(stage) = released("1.0.0") else { return };
    let host = stage.github.host.clone();
    stage.github.before("POST", "/git/refs", move |state| {
        let text = state.text(INDEX, "main", ENTRY).unwrap();
        let said = text.replace("# the tool", "# the tool, which is good");
        assert!(said != text, "{host}");
        state.commit(INDEX, "main", ENTRY, &said);
    });
    pr(&stage, "").ends_with(0);
    let text = stage.github.state().text(FORK, "acme-tool-tool-v1.0.0", ENTRY).unwrap();
    assert!(text.contains("which is good") && text.contains("v1.0.0"), "{text}");
    // Another version is taken meanwhile: there is nothing to bring any more.
    let Some(stage) = released("1.0.0") else { return };
    let newer = stage.github.state().text(INDEX, "main", ENTRY).unwrap().replace("0.9.0", "2.0.0");
    stage.github.before("PUT", "/contents/", move |state| {
        state.commit(INDEX, "main", ENTRY, &newer);
    });
    pr(&stage, "").ends_with(0).says("tool v2.0.0 is newer");
    assert_eq!(stage.github.state().repositories[INDEX].pulls.len(), 0);
}

/// A first submission is made by a person, who finds everything prepared.
#[test]
fn a_first_submission_is_prepared_and_left_to_a_person() {
    let Some(stage) = released("1.0.0") else { return };
    stage.github.state().commit(INDEX, "main", "plugins/other.yaml", "x");
    {
        let mut state = stage.github.state();
        let commit = state.repositories[INDEX].refs["heads/main"].clone();
        state.repository(INDEX).commits.get_mut(&commit).unwrap().remove(ENTRY);
    }
    let left = pr(&stage, "");
    let page = left.ends_with(0).says("a first submission is made by a person").line();
    let branch = "robot:acme-tool-tool-v1.0.0";
    assert!(page.ends_with(&format!("/{INDEX}/compare/main...{branch}?expand=1")), "{page}");
    let state = stage.github.state();
    assert_eq!(state.repositories[INDEX].pulls.len(), 0);
    let text = state.text(FORK, "acme-tool-tool-v1.0.0", ENTRY).unwrap();
    assert_eq!(text, stage.world.read("dist/krew/tool.yaml"));
    drop(state);
    // The person opens it, and does what reviewers ask for: it is theirs now.
    let reviewed = format!("# reviewed\n{text}");
    {
        let mut state = stage.github.state();
        let commit = state.commit(FORK, "acme-tool-tool-v1.0.0", ENTRY, &reviewed);
        let (number, title) = (state.next(), "Add tool".to_owned());
        let (by, head, base) = ("robot".to_owned(), branch.to_owned(), "main".to_owned());
        let body = String::new();
        let pull =
            crate::world::github::Pull { number, by, head, base, title, body, open: true, commit };
        state.repository(INDEX).pulls.push(pull);
    }
    stage.github.forget();
    assert!(pr(&stage, "").ends_with(0).line().contains("/pull/"));
    assert_eq!(stage.github.writes().len(), 0);
}

/// Tokens that may do less: what can be done is done, and the rest is said.
#[test]
fn with_an_unfit_token_what_is_left_is_said() {
    let Some(stage) = released("1.0.0") else { return };
    {
        let mut state = stage.github.state();
        state.repository(FORK).parent = Some(INDEX.to_owned());
        let refs = state.repositories[INDEX].refs.clone();
        state.repository(FORK).refs = refs;
        let (login, repositories) = ("robot".to_owned(), vec![FORK.to_owned()]);
        state.tokens.insert("fine".into(), Token::FineGrained { login, repositories });
        state.tokens.insert("flow".into(), Token::Workflow { repository: REPOSITORY.into() });
        state.classic("reads", "robot", &["gist"]);
    }
    let with = |token: &str| run(stage.tool("krew pr").env("KREW_GITHUB_TOKEN", token));
    let left = with("fine");
    left.ends_with(0).says("the token in KREW_GITHUB_TOKEN cannot open pull requests");
    assert!(left.line().contains("/compare/main...robot:acme-tool-tool-v1.0.0"), "{}", left.stdout);
    assert!(stage.github.state().text(FORK, "acme-tool-tool-v1.0.0", ENTRY).is_some());
    with("flow")
        .ends_with(1)
        .says("is a workflow's")
        .says("a classic token with the scope public_repo");
    // In a release that is known before anything is made.
    let release = |token: &str| {
        let refused = run(stage.tool(RELEASE).env("KREW_GITHUB_TOKEN", token));
        refused.ends_with(1).no_result();
        refused
    };
    release("flow").says("the token is a workflow's").says("--skip krew");
    release("reads").says("the token in KREW_GITHUB_TOKEN has the scopes gist");
    release("nobody's").says("401 Unauthorized").never_says("nobody's");
}

/// A name that is taken by something else is no fork.
#[test]
fn a_repository_of_the_same_name_is_no_fork() {
    let Some(stage) = released("1.0.0") else { return };
    stage.github.state().commit(FORK, "main", "README.md", "my own");
    pr(&stage, "").ends_with(0);
    let state = stage.github.state();
    let pull = &state.repositories[INDEX].pulls[0];
    assert_eq!(pull.head, "robot:acme-tool-tool-v1.0.0");
    assert!(
        state.repositories[&format!("{FORK}-1")].refs.contains_key("heads/acme-tool-tool-v1.0.0")
    );
    assert!(state.text(FORK, "acme-tool-tool-v1.0.0", ENTRY).is_none());
}

/// An index of one's own takes the branch itself.
#[test]
fn an_index_of_ones_own_needs_no_fork() {
    let Some(stage) = released("1.0.0") else { return };
    let own = "robot/our-index";
    let text = stage.github.state().text(INDEX, "main", ENTRY).unwrap();
    stage.github.state().commit(own, "main", ENTRY, &text);
    pr(&stage, &format!("--index {own}")).ends_with(0);
    let state = stage.github.state();
    assert_eq!(state.repositories[own].pulls[0].head, "robot:acme-tool-tool-v1.0.0");
    assert!(!state.repositories.contains_key(FORK));
}

/// What the bot would not approve of is a person's to look at, and found before all else.
#[test]
fn what_the_bot_would_not_approve_stops_a_release_first() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let text = stage.github.state().text(INDEX, "main", ENTRY).unwrap();
    let moved = text.replace("/releases/download/", "/elsewhere/");
    stage.github.state().commit(INDEX, "main", ENTRY, &moved);
    stage.release().ends_with(1).no_result().says("the release serves");
    assert!(!stage.world.dist().exists());
    assert_eq!(stage.github.writes().len(), 0);
}

#[test]
fn what_is_no_release_is_brought_to_no_index() {
    let Some(stage) = Stage::at("1.1.0-rc.1") else { return };
    stage.release().ends_with(0).says("an index takes no pre-releases");
    assert!(stage.github.state().repositories[REPOSITORY].releases[0].prerelease);
    pr(&stage, "").ends_with(1).says("v1.1.0-rc.1 is a pre-release, which an index does not take");
    stage.world.git(["tag", "--delete", "v1.1.0-rc.1"]);
    stage.world.run("release --snapshot").ends_with(0);
    pr(&stage, "")
        .ends_with(1)
        .says("dist/ has tool v1.1.0-rc.1.dev.")
        .says("HEAD has no release tag");
    assert!(!stage.github.state().repositories.contains_key(FORK));
}
