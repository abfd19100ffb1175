//! Bad nights: whatever befalls any call, nobody sees half of a release, and the next run
//! ends it.

use std::thread::scope;

use serde_json::Value;

use super::*;
use crate::world::github::State;
use crate::world::keys::verify;
use crate::world::proxy::{ALWAYS, Answer, Fault, Moment, ONCE, Proxy, Step};
use crate::world::running::{ended, start, unclear};
use crate::world::said;

/// Whether the release is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    Yes,
    No,
}

/// A stage whose servers are behind proxies, and what GitHub held in the beginning.
struct Night {
    stage: Stage,
    signed: Signed,
    before: State,
    github: Proxy,
    registry: Proxy,
}

impl Night {
    fn new(signed: Signed) -> Option<Night> {
        let mut stage = Stage::at("1.0.0")?;
        stage.is_signed = signed == Signed::Yes;
        // A server that says nothing is not waited for.
        let quick = "[workspace.metadata.dockless.network]\ntimeout = 1\nretries = 3\n";
        let manifest = stage.world.read("Cargo.toml");
        stage.world.file("Cargo.toml", &format!("{manifest}[workspace]\n{quick}"));
        stage.world.commit();
        stage.world.git(["tag", "--force", "v1.0.0"]);
        stage.github.push(REPOSITORY, stage.world.root());
        stage.github.state().expected.insert("v1.0.0".into(), stage.files("1.0.0"));
        // Everything is compiled before anything is cut.
        stage.world.run("release --skip publish,check").ends_with(0);
        let before = stage.github.state().clone();
        let github = Proxy::before(&stage.github.host);
        let registry = Proxy::before(&stage.registry.host);
        Some(Night { stage, signed, before, github, registry })
    }

    /// Begins anew, with images that nobody has yet.
    fn renew(&mut self) {
        *self.stage.github.state() = self.before.clone();
        self.stage.github.forget();
        self.github.renew();
        self.registry.renew();
        self.stage.folder = unique();
    }

    fn tool(&self) -> Command {
        let mut tool = self.stage.tool(RELEASE);
        tool.env("GITHUB_API_URL", format!("http://{}/api/v3", self.github.host));
        tool.env("DOCKLESS_REPOSITORY", format!("{}/{}", self.registry.host, self.stage.folder));
        tool
    }

    /// What there is in the end, but for where images are, which no two runs have alike.
    fn end(&self) -> Value {
        let text = self.stage.github.state().seen().to_string();
        let mut seen: Value =
            serde_json::from_str(&text.replace(&self.stage.folder, "FOLDER")).unwrap();
        // No two signatures are alike; that the file is the one in dist/ is looked at elsewhere.
        let releases = seen[REPOSITORY]["releases"].as_array_mut().into_iter().flatten();
        let assets = releases.flat_map(|it| it["assets"].as_array_mut().into_iter().flatten());
        let is_signature = |it: &Value| it["name"].as_str().unwrap().ends_with(".sigstore.json");
        assets.filter(|it| is_signature(it)).for_each(|it| drop(it["digest"].take()));
        seen
    }

    /// Requires that it is all there, and nobody saw less.
    #[track_caller]
    fn is_whole(&self, undisturbed: &Value) {
        self.stage.is_published("1.0.0");
        self.stage.is_submitted("1.0.0");
        assert_eq!(&self.end(), undisturbed);
        if self.signed == Signed::Yes {
            let world = &self.stage.world;
            run(&mut verify(world, "dist")).ends_with(0);
            let image = format!("{}/{}", self.registry.host, self.stage.folder);
            let image = format!("{image}/kubectl-tool:1.0.0");
            let said = run(verify(world, &image).envs(self.stage.registry.vars(world)));
            let stdout = &said.ends_with(0).stdout;
            // Its signature, its provenance and its SBOM.
            assert_eq!(stdout.matches("proved ").count(), 3, "{stdout}");
        }
    }
}

/// What an undisturbed run ends with, and how many calls it makes to GitHub and the registry.
fn undisturbed(night: &mut Night) -> (Value, usize, usize) {
    night.renew();
    ended(&mut night.tool()).ends_with(0);
    let calls = (night.github.seen().len(), night.registry.seen().len());
    night.stage.is_published("1.0.0");
    night.stage.is_submitted("1.0.0");
    (night.end(), calls.0, calls.1)
}

/// Kills the run at each call to GitHub, or to the registry, and makes it again.
fn killed_at_each(of_github: bool, moment: Moment, signed: Signed) -> usize {
    let Some(mut night) = Night::new(signed) else { return usize::MAX };
    let (whole, to_github, to_registry) = undisturbed(&mut night);
    let calls = if of_github { to_github } else { to_registry };
    let mut kills = 0;
    for at in 1..=u32::try_from(calls).unwrap() {
        night.renew();
        let proxy = if of_github { &night.github } else { &night.registry };
        proxy.inject(None, at..=at, Fault::Kill(moment));
        let running = start(&mut night.tool());
        proxy.watch(&running.child);
        let run = running.end().expect("it is killed or ends");
        assert!(matches!(run.code, None | Some(0)), "{at}:\n{}", run.stderr);
        kills += usize::from(run.code.is_none());
        assert_eq!(night.stage.github.state().violations, [] as [String; 0], "call {at}");
        night.github.renew();
        night.registry.renew();
        ended(&mut night.tool()).ends_with(0);
        night.is_whole(&whole);
    }
    kills
}

#[test]
fn a_run_that_is_killed_at_any_call_is_made_again() {
    let cuts = [(true, Moment::After), (true, Moment::InBody), (false, Moment::After)];
    let kills: usize = scope(|scope| {
        let runs = cuts.map(|(github, moment)| {
            scope.spawn(move || killed_at_each(github, moment, Signed::No))
        });
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    said(&format!("{kills} cuts"));
    assert!(kills >= 60, "{kills}");
}

/// The same of a signed release: its signatures of files and images are all there in the end.
#[test]
fn a_signed_run_that_is_killed_at_any_call_is_made_again() {
    let cuts = [(true, Moment::After), (false, Moment::After), (false, Moment::Before)];
    let kills: usize = scope(|scope| {
        let runs = cuts.map(|(github, moment)| {
            scope.spawn(move || killed_at_each(github, moment, Signed::Yes))
        });
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    said(&format!("{kills} cuts of a signed release"));
    assert!(kills >= 60, "{kills}");
}

/// An error as GitHub answers it.
fn answer(status: u16, message: &str, headers: &[(&str, &str)]) -> Fault {
    let body = serde_json::json!({ "message": message }).to_string();
    Fault::Answer(Answer::new(status, headers, body))
}

/// What befalls calls: a name, and what it is.
fn faults() -> Vec<(&'static str, Fault)> {
    let secondary = "You have exceeded a secondary rate limit.";
    let used_up = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1")];
    vec![
        ("401", answer(401, "Bad credentials", &[])),
        ("403", answer(403, "Resource not accessible by personal access token", &[])),
        ("secondary rate limit", answer(403, secondary, &[("Retry-After", "0")])),
        ("rate limit", answer(403, "API rate limit exceeded", &used_up)),
        ("404", answer(404, "Not Found", &[])),
        ("409", answer(409, "is at another commit", &[])),
        ("422", answer(422, "Validation Failed", &[])),
        ("429", answer(429, "slow down", &[("Retry-After", "0")])),
        ("500", answer(500, "a fault of the test", &[])),
        ("502", Fault::Answer(Answer::new(502, &[], "<html>bad gateway</html>"))),
        ("503", answer(503, "down", &[("Retry-After", "0")])),
        ("no JSON", Fault::Answer(Answer::new(200, &[], "<html>hello</html>"))),
        ("nothing", Fault::Answer(Answer::new(200, &[], "{}"))),
        ("reset", Fault::Reset),
        ("cut at 0", Fault::ResetInBody(0)),
        ("cut at half", Fault::ResetInBody(100)),
        ("answer lost", Fault::AnswerLost),
        ("cut head", Fault::CutHead),
        ("half an answer", Fault::ShortBody),
        ("silence", Fault::Silence),
    ]
}

/// What a cell ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    /// It was of no account, or overcome.
    Published,
    /// One clear error, and the next run made it whole.
    Said,
    /// No call met it.
    Unmet,
}

/// Has a fault befall a step once or always, and then makes the run again.
fn befallen(
    night: &mut Night,
    whole: &Value,
    step: Step,
    name: &str,
    fault: &Fault,
    always: bool,
) -> Cell {
    night.renew();
    let place = format!("{name} at {step:?}, {}", if always { "always" } else { "once" });
    night.github.inject(step, if always { ALWAYS } else { ONCE }, fault.clone());
    let run = ended(&mut night.tool());
    let violations = night.stage.github.state().violations.clone();
    assert_eq!(violations, [] as [String; 0], "{place}");
    let met = night.github.seen().iter().any(|seen| seen.faulted);
    let cell = match run.code {
        _ if !met => Cell::Unmet,
        Some(0) => Cell::Published,
        _ => Cell::Said,
    };
    if cell == Cell::Said {
        // What is looked at first is looked at all at once.
        let errors = run.stderr.matches("error: ").count();
        assert!(unclear(&run).is_none() || errors == 2, "{place}: {:?}", unclear(&run));
    } else {
        run.ends_with(0);
        night.stage.is_published("1.0.0");
    }
    is_unsaid(&run);
    night.github.renew();
    let again = ended(&mut night.tool());
    assert_eq!(again.code, Some(0), "{place}:\n{}", again.stderr);
    night.is_whole(whole);
    cell
}

/// Each fault at each step of GitHub's: the run ends well or with one clear error, nobody
/// sees half of anything, and the next run ends it.
#[test]
fn each_fault_at_each_call_ends_well_or_with_one_clear_error() {
    const WORKERS: usize = 8;
    let Some(mut night) = Night::new(Signed::No) else { return };
    undisturbed(&mut night);
    let mut steps: Vec<Step> = night.github.seen().iter().map(|seen| seen.step).collect();
    steps.sort();
    steps.dedup();
    let faults = faults();
    let often = ["403", "422", "500", "reset"];
    let cells: Vec<(Step, usize, bool)> = steps
        .iter()
        .flat_map(|step| (0..faults.len()).map(move |fault| (*step, fault)))
        .flat_map(|(step, fault)| {
            let always = often.contains(&faults[fault].0);
            [false, true]
                .into_iter()
                .filter(move |it| !*it || always)
                .map(move |it| (step, fault, it))
        })
        .collect();
    let ends: Vec<Cell> = scope(|scope| {
        let worker = |which: usize| {
            let (cells, faults) = (&cells, &faults);
            scope.spawn(move || {
                let mut night = Night::new(Signed::No).unwrap();
                let whole = undisturbed(&mut night).0;
                let own = cells.iter().skip(which).step_by(WORKERS);
                own.map(|(step, fault, always)| {
                    let (name, fault) = &faults[*fault];
                    befallen(&mut night, &whole, *step, name, fault, *always)
                })
                .collect::<Vec<_>>()
            })
        };
        let workers: Vec<_> = (0..WORKERS).map(worker).collect();
        workers.into_iter().flat_map(|it| it.join().unwrap()).collect()
    });
    let count = |of: Cell| ends.iter().filter(|cell| **cell == of).count();
    let [published, clear, unmet] = [Cell::Published, Cell::Said, Cell::Unmet].map(count);
    let steps = steps.len();
    said(&format!(
        "{} cells of {steps} steps: {published} published, {clear} said and mended, {unmet} unmet",
        ends.len()
    ));
    assert!(published > 100 && clear > 50, "{published} {clear}");
}
