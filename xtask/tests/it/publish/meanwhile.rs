//! What others do while a release is made, and what an earlier run left.

use std::fs;
use std::sync::{Arc, Mutex};
use std::thread::scope;

use super::*;
use crate::world::github::State;
use crate::world::proxy::{ALWAYS, Answer, Fault, Proxy, Step};
use crate::world::running::{ended, start};

/// The only release, as it is now.
fn change(state: &mut State, act: impl FnOnce(&mut crate::world::github::Release)) {
    act(state.repository(REPOSITORY).releases.last_mut().unwrap());
}

/// The methods of the requests that come.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// The archive's name.
fn archive() -> String {
    format!("kubectl-tool-v1.0.0-{HOST}.tar.gz")
}

#[test]
fn two_releases_of_one_tag_at_once_end_as_one() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.github.state().expected.insert("v1.0.0".into(), stage.files("1.0.0"));
    stage.world.run("release --skip publish,check").ends_with(0);
    let before = stage.github.state().clone();
    // Not of one checkout, where one would wait for the other.
    let clones = ["a", "b", "c"].map(|name| {
        let clone = stage.world.outside(name);
        let from = stage.world.root().to_str().unwrap();
        stage.world.git(["clone", "--quiet", "--no-hardlinks", from, clone.to_str().unwrap()]);
        clone
    });
    for _ in 0..5 {
        *stage.github.state() = before.clone();
        let runs = clones.each_ref().map(|clone| start(stage.tool(RELEASE).current_dir(clone)));
        for run in runs {
            run.end().expect("it ends").ends_with(0);
        }
        stage.is_published("1.0.0");
        stage.is_submitted("1.0.0");
        let state = stage.github.state();
        assert_eq!(state.repositories[REPOSITORY].releases.len(), 1);
        assert_eq!(state.repositories[INDEX].pulls.len(), 1);
    }
}

/// Another run has done a part of it before this one begins, and does the rest between any two
/// of this one's requests: there is one pull request in the end, which nobody closed.
#[test]
fn what_another_run_submits_meanwhile_is_found_at_any_time() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    run(&mut stage.tool(&format!("{RELEASE},krew"))).ends_with(0);
    let submit = || ended(&mut stage.tool("krew pr"));
    // What there is before each step of the other run, and after the last.
    let befores: Arc<Mutex<Vec<State>>> = Arc::default();
    for (method, part) in
        [("POST", "/forks"), ("POST", "/git/refs"), ("PUT", "/contents/"), ("POST", "/pulls")]
    {
        let befores = Arc::clone(&befores);
        stage.github.before(method, part, move |state| befores.lock().unwrap().push(state.clone()));
    }
    submit().ends_with(0);
    let (befores, after) = (befores.lock().unwrap().clone(), stage.github.state().clone());
    assert_eq!(befores.len(), 4);
    for before in befores {
        *stage.github.state() = before.clone();
        stage.github.forget();
        submit().ends_with(0);
        // The requests of a run that nobody disturbs, with those of their method that come first.
        let mut moments: Vec<(&'static str, u32)> = Vec::new();
        for seen in stage.github.seen() {
            let method = METHODS.into_iter().find(|it| *it == seen.method).unwrap();
            let earlier = moments.iter().filter(|(other, _)| *other == method).count();
            moments.push((method, u32::try_from(earlier).unwrap()));
        }
        for (method, earlier) in moments {
            *stage.github.state() = before.clone();
            let after = after.clone();
            stage.github.before_later(method, "", earlier, move |state| *state = after);
            submit().ends_with(0);
            let state = stage.github.state();
            let pulls = &state.repositories[INDEX].pulls;
            assert_eq!(pulls.len(), 1, "before the {method} after {earlier} others: {pulls:?}");
            drop(state);
            stage.is_submitted("1.0.0");
        }
    }
}

/// In one checkout they have one dist/, and come one after the other.
#[test]
fn two_releases_in_one_checkout_wait_for_each_other() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let runs = [start(&mut stage.tool(RELEASE)), start(&mut stage.tool(RELEASE))];
    for run in runs {
        run.end().expect("it ends").ends_with(0);
    }
    stage.is_published("1.0.0");
    stage.is_submitted("1.0.0");
}

/// Another run has brought by now what was on its way when it was listed.
#[test]
fn what_came_meanwhile_is_kept() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    run(&mut stage.tool(&format!("{RELEASE} --draft"))).ends_with(0);
    let whole = |state: &mut State, whole: bool| {
        change(state, |release| release.assets.iter_mut().for_each(|it| it.whole = whole));
    };
    whole(&mut stage.github.state(), false);
    stage.github.before("GET", "/releases/assets/", move |state| whole(state, true));
    stage.github.forget();
    stage.release().ends_with(0);
    assert!(stage.github.writes().iter().all(|it| it.method != "DELETE"));
    stage.is_published("1.0.0");
}

/// A newer line is released while this one's files are on their way.
#[test]
fn what_is_the_latest_is_looked_at_last() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.github.before("POST", "/assets", |state| {
        let id = state.next();
        let repository = state.repository(REPOSITORY);
        let mut newer = repository.releases[0].clone();
        (newer.id, newer.tag, newer.draft, newer.latest) = (id, "v2.0.0".into(), false, true);
        repository.releases.push(newer);
    });
    stage.release().ends_with(0);
    stage.is_published("1.0.0");
    let state = stage.github.state();
    let latest = state.repositories[REPOSITORY].releases.iter().find(|it| it.latest);
    assert_eq!(latest.map(|it| &*it.tag), Some("v2.0.0"));
}

/// GitHub would make a tag of its main branch where there is none.
#[test]
fn a_tag_that_goes_meanwhile_is_missed_in_time() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let tags = stage.github.state().repositories[REPOSITORY].refs.clone();
    stage.github.before("POST", "/assets", |state| {
        state.repository(REPOSITORY).refs.remove("tags/v1.0.0");
    });
    stage.release().ends_with(1).says("the tag v1.0.0 is no longer at").says("push the tag again");
    assert!(stage.github.state().repositories[REPOSITORY].releases[0].draft);
    stage.github.state().repository(REPOSITORY).refs = tags;
    stage.release().ends_with(0);
    stage.is_published("1.0.0");
}

#[test]
fn what_an_upload_left_is_removed_and_brought_again() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    run(&mut stage.tool(&format!("{RELEASE} --draft"))).ends_with(0);
    change(&mut stage.github.state(), |release| {
        for asset in &mut release.assets {
            (asset.whole, asset.bytes) = (false, Arc::default());
        }
    });
    stage.release().ends_with(0);
    stage.is_published("1.0.0");
}

/// A file of the same name is another one: nothing is published, nothing is replaced.
#[test]
fn a_file_with_other_bytes_stops_it() {
    for no_digests in [false, true] {
        let Some(stage) = Stage::at("1.0.0") else { return };
        stage.github.state().no_digests = no_digests;
        run(&mut stage.tool(&format!("{RELEASE} --draft"))).ends_with(0);
        let change_it = |asset: &mut crate::world::github::Asset| {
            Arc::make_mut(&mut asset.bytes)[0] ^= 1;
            asset.digest = crate::world::sha256(&asset.bytes);
        };
        change(&mut stage.github.state(), |release| {
            release.assets.iter_mut().filter(|it| it.name == archive()).for_each(change_it);
        });
        let before = stage.github.state().seen();
        let stopped = stage.release();
        stopped.ends_with(1).no_result().says(&format!("{} exists with other bytes", archive()));
        assert_eq!(stage.github.state().seen(), before);
        assert_eq!(stage.image("1.0.0"), None);
        is_unsaid(&stopped);
    }
}

/// Older servers do not tell digests: what is there is downloaded, from another host, which
/// gets no token.
#[test]
fn without_digests_files_are_compared_themselves() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.github.state().no_digests = true;
    stage.release().ends_with(0);
    stage.is_published("1.0.0");
    stage.github.forget();
    stage.release().ends_with(0);
    assert_eq!(stage.github.writes().len(), 0);
    let downloads = stage.github.seen().iter().filter(|it| it.path.contains("/content/")).count();
    assert_eq!(downloads, 6);
    assert_eq!(stage.github.state().violations, [] as [String; 0]);
}

/// A file is replaced by another of the same size after it was brought: the draft stays one.
#[test]
fn a_file_that_is_replaced_meanwhile_is_found_by_its_digest() {
    let replace = |state: &mut State| {
        change(state, |release| {
            for asset in release.assets.iter_mut().filter(|it| it.name == archive()) {
                Arc::make_mut(&mut asset.bytes)[0] ^= 1;
                asset.digest = crate::world::sha256(&asset.bytes);
            }
        });
    };
    for no_digests in [false, true] {
        let Some(stage) = Stage::at("1.0.0") else { return };
        stage.github.state().no_digests = no_digests;
        if no_digests {
            // Each of six is compared when it came, and again in the end.
            stage.github.before_later("GET", "/content/", 6, replace);
        } else {
            // Only what is listed last is listed.
            stage.github.before("GET", "/assets", replace);
        }
        let stopped = stage.release();
        let why = format!("{} exists with other bytes", archive());
        stopped.ends_with(1).says("publish v1.0.0").says(&why);
        assert!(stage.github.state().repositories[REPOSITORY].releases[0].draft);
        assert_eq!(stage.image("1.0.0"), None);
        is_unsaid(&stopped);
    }
}

/// A file in dist/ becomes another after it was made: its end is not sent.
#[test]
fn a_file_that_changes_before_it_is_brought_is_not_completed() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let file = stage.world.dist().join(archive());
    stage.github.before("POST", "/releases", move |_| {
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
    });
    let stopped = stage.release();
    stopped.ends_with(1).says(&format!("upload {}", archive())).says("damaged or changed");
    {
        let state = stage.github.state();
        let release = &state.repositories[REPOSITORY].releases[0];
        let whole = release.assets.iter().any(|it| it.whole && it.name == archive());
        assert!(release.draft && !whole, "{release:?}");
    }
    stage.release().ends_with(0);
    stage.is_published("1.0.0");
}

/// A list that has no end, or too much in it, is not read for ever.
#[test]
fn a_list_that_leads_back_to_itself_ends() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    for (link, says) in [
        ("<?per_page=100>; rel=\"next\"", "leads back to itself"),
        ("<http://localhost:1/api/v3/x>; rel=\"next\"", "another server"),
        ("<http://169.254.169.254/>; rel=\"next\"", "next page"),
        ("<ftp://127.0.0.1/>; rel=\"next\"", "next page"),
        ("<>; rel=\"next\"", "next page"),
    ] {
        let proxy = Proxy::before(&stage.github.host);
        let kind = ("Content-Type", "application/json");
        let page = Answer::new(200, &[kind, ("Link", link)], "[]");
        proxy.inject(Step::GitHub("releases"), ALWAYS, Fault::Answer(page));
        let mut tool = stage.tool(RELEASE);
        tool.env("GITHUB_API_URL", format!("http://{}/api/v3", proxy.host));
        ended(&mut tool).ends_with(1).says(says);
        assert!(proxy.count(Step::GitHub("releases")) <= 2, "{link}");
    }
}

#[test]
fn a_file_that_github_renames_is_not_published() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.github.state().renames = true;
    stage.release().ends_with(1).says("GitHub stored it as \"renamed.");
    assert!(stage.github.state().repositories[REPOSITORY].releases[0].draft);
}

#[test]
fn a_release_that_was_frozen_is_left_and_one_that_lacks_something_is_said() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.github.state().repository(REPOSITORY).immutable = true;
    stage.release().ends_with(0);
    stage.is_published("1.0.0");
    stage.github.forget();
    stage.release().ends_with(0);
    assert_eq!(stage.github.writes().len(), 0);
    change(&mut stage.github.state(), |release| release.assets.retain(|it| it.name != archive()));
    fs::remove_dir_all(stage.world.dist()).unwrap();
    stage
        .release()
        .ends_with(1)
        .says(&format!("v1.0.0 was published and frozen without {}", archive()))
        .says("release another version");
    assert!(!stage.world.dist().exists());
}

/// What another run does between two calls of this one.
#[test]
fn what_others_do_meanwhile_is_found() {
    let published = |state: &mut State| {
        let (id, repository) = (state.repositories[REPOSITORY].releases[0].id, REPOSITORY);
        state.publish(repository, id, false, true);
    };
    type Act = fn(&mut State);
    let removed: Act = |state| state.repository(REPOSITORY).releases.clear();
    let lost: Act = |state| change(state, |release| drop(release.assets.pop()));
    for (method, part, act, said) in [
        ("PATCH", "/releases/", published as Act, None),
        ("GET", "/releases/1", published, None),
        ("POST", "/assets", removed, Some("404 Not Found")),
        ("PATCH", "/releases/", removed, Some("404 Not Found")),
    ] {
        let Some(stage) = Stage::at("1.0.0") else { return };
        stage.github.before(method, part, act);
        let run = stage.release();
        match said {
            // What two publish is published once.
            None => drop(run.ends_with(0)),
            Some(said) => drop(run.ends_with(1).says(said)),
        }
        stage.release().ends_with(0);
        stage.is_published("1.0.0");
        stage.is_submitted("1.0.0");
    }
    // A file that goes right before the release is published is missed in time.
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.github.state().expected.insert("v1.0.0".into(), stage.files("1.0.0"));
    run(&mut stage.tool(&format!("{RELEASE} --draft"))).ends_with(0);
    let id = stage.github.state().repositories[REPOSITORY].releases[0].id;
    stage.github.forget();
    // Its files are listed once when the draft is found, and again right before the end.
    stage.github.before_later("GET", &format!("/releases/{id}"), 1, lost);
    stage.release().ends_with(1).says("was removed from the release meanwhile");
    assert_eq!(stage.github.state().violations, [] as [String; 0]);
    stage.release().ends_with(0);
    stage.is_published("1.0.0");
}

/// Lists come in pages, of which the release may be on any.
#[test]
fn lists_are_read_to_their_end() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    run(&mut stage.tool(&format!("{RELEASE} --draft"))).ends_with(0);
    {
        let mut state = stage.github.state();
        for minor in 0..7 {
            let id = state.next();
            let repository = state.repository(REPOSITORY);
            let mut other = repository.releases[0].clone();
            (other.id, other.tag, other.draft) = (id, format!("v0.{minor}.0"), false);
            repository.releases.push(other);
        }
        state.page = Some(2);
    }
    stage.release().ends_with(0);
    stage.is_published("1.0.0");
    assert!(stage.github.seen().iter().any(|it| it.path.contains("page=4")));
}

/// Nobody asks what time it is here: two clocks that differ by days are no reason to fail.
#[test]
fn the_servers_clock_counts() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.github.state().skew = 36 * 3600;
    stage.release().ends_with(0);
    stage.is_published("1.0.0");
}

/// Files are sent to GitHub's own hosts, and to nobody whom it names.
#[test]
fn no_file_and_no_token_goes_to_a_host_that_is_not_githubs() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let thief = Proxy::before(&stage.github.host);
    let named = format!("http://{}", thief.host);
    stage.github.state().uploads_to = Some(named.clone());
    let stopped = stage.release();
    stopped.ends_with(1).says(&format!("names {named} for uploads, which is another"));
    assert_eq!(thief.seen().len(), 0);
    is_silent(&stage, &stopped);
}

/// While it runs, neither its arguments nor those of the programs that it starts tell a
/// token; what it builds cannot see one either.
#[test]
fn no_program_is_told_a_token() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let spy = stage.world.script(
        "spy/cargo",
        "env >>\"$SPY\"\ncat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >>\"$SPY\"\nexec \"$REAL\" \"$@\"\n",
    );
    let real = crate::world::judge("cargo").unwrap();
    let out = stage.world.outside("spied");
    let mut tool = stage.tool(RELEASE);
    tool.env("PATH", stage.world.path_with("spy")).env("SPY", &out).env("REAL", real);
    ended(&mut tool).ends_with(0);
    let spied = String::from_utf8_lossy(&fs::read(&out).unwrap()).into_owned();
    assert!(spied.contains("DOCKLESS_REPOSITORY="), "{} saw nothing", spy.display());
    for canary in [CANARY, KREW_CANARY] {
        assert!(!spied.contains(canary), "{spied}");
    }
}

/// Many files go up at a time, and one that fails does not keep the others from being told.
#[test]
fn runs_of_two_tags_do_not_disturb_each_other() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    let clone = stage.world.outside("next");
    let from = stage.world.root().to_str().unwrap();
    stage.world.git(["clone", "--quiet", "--no-hardlinks", from, clone.to_str().unwrap()]);
    for file in ["Cargo.toml", "Cargo.lock"] {
        let text = fs::read_to_string(clone.join(file)).unwrap();
        fs::write(clone.join(file), text.replacen("\"1.0.0\"", "\"1.1.0\"", 1)).unwrap();
    }
    let git =
        |args: &[&str]| run(stage.world.with("git", args).current_dir(&clone)).ends_with(0).code;
    git(&["commit", "--quiet", "--all", "--message", "next"]);
    git(&["tag", "v1.1.0"]);
    stage.github.push(REPOSITORY, &clone);
    let krew = format!("{RELEASE},krew");
    scope(|scope| {
        let first = scope.spawn(|| ended(&mut stage.tool(&krew)));
        let second = scope.spawn(|| ended(stage.tool(&krew).current_dir(&clone)));
        first.join().unwrap().ends_with(0);
        second.join().unwrap().ends_with(0);
    });
    let state = stage.github.state();
    let all = &state.repositories[REPOSITORY].releases;
    assert!(all.iter().all(|it| !it.draft && it.assets.len() == 6), "{all:?}");
    assert_eq!(state.violations, [] as [String; 0]);
}
