//! Every fault at every step that it can befall, once and always.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;
use std::time::Duration;

use super::*;
use crate::world::proxy::{ALWAYS, Fault, ONCE, Place, Step, refusal};
use crate::world::said;

/// What a cell does with the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Push,
    /// A push whose first upload is cut, so that it goes on from there.
    Resume,
    /// From another repository of the same registry.
    Mount,
    Pull,
}

impl Work {
    /// What is brought.
    fn image(self) -> &'static Image {
        static LARGE: OnceLock<Image> = OnceLock::new();
        if self == Work::Resume { LARGE.get_or_init(|| large("resumed", 10)) } else { image() }
    }
}

/// How a cell must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Well,
    Error,
}
use End::{Error, Well};

/// How the cells of a row end, and the steps that end in the other way.
type Ends = (End, &'static [Step]);
const WELL: Ends = (Well, &[]);
const ERROR: Ends = (Error, &[]);
/// Where the rest of an upload cannot be sent, or asked after, all of it is begun anew.
const ANEW: Ends = (Error, &[Step::Status, Step::Patch]);
/// The same, and what was put can be seen where its answer is lost.
const SEEN: Ends = (Error, &[Step::Status, Step::Patch, Step::Put]);
/// What cannot be asked after is begun anew; what is refused for good in a part is not.
const ASKED: Ends = (Error, &[Step::Status]);
/// What only saves time is done without, and who keeps the root may let in what is below.
const SPARED: Ends = (Error, &[Step::Ping, Step::Status, Step::Mount]);
/// The same; always, what is put could not be asked for in the end.
const SPARED_ONCE: Ends = (Error, &[Step::Ping, Step::Status, Step::Mount, Step::ManifestHead]);
/// Blobs go in parts where they are too large, and manifests cannot.
const PARTS_ONCE: Ends = (Well, &[Step::ManifestPut, Step::TagPut]);
/// Parts that do not get through are begun anew, as a whole.
const PARTS: Ends = (Error, &[Step::Patch]);
/// A part goes where the one before went; an upload that begins has to say where.
const UNPLACED: Ends = (Well, &[Step::Post]);
/// What is read may be had elsewhere; what is brought goes nowhere else, and no login does.
const ELSEWHERE: Ends = (
    Error,
    &[
        Step::Ping,
        Step::BlobHead,
        Step::ManifestHead,
        Step::BlobGet,
        Step::ManifestGet,
        Step::Status,
    ],
);

/// How often the fault befalls the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Often {
    Once,
    Always,
}

/// A fault: its name, itself before a registry elsewhere, the steps that it can befall,
/// and how it must end when it comes once and when it comes always.
type Row = (&'static str, fn(&str) -> Fault, &'static [(Work, Step)], Ends, Ends);

const ALL: &[(Work, Step)] = &[
    (Work::Push, Step::Ping),
    (Work::Push, Step::Token),
    (Work::Push, Step::BlobHead),
    (Work::Push, Step::Post),
    (Work::Push, Step::Put),
    (Work::Push, Step::ManifestHead),
    (Work::Push, Step::ManifestPut),
    (Work::Push, Step::TagPut),
    (Work::Resume, Step::Status),
    (Work::Resume, Step::Patch),
    (Work::Mount, Step::Mount),
    (Work::Pull, Step::Token),
    (Work::Pull, Step::ManifestGet),
    (Work::Pull, Step::BlobGet),
];
/// Those whose requests bring something.
const BRINGING: &[(Work, Step)] = &[
    (Work::Push, Step::Put),
    (Work::Push, Step::ManifestPut),
    (Work::Push, Step::TagPut),
    (Work::Resume, Step::Patch),
];
/// Those whose answers have a body that is read.
const READ: &[(Work, Step)] = &[
    (Work::Push, Step::Token),
    (Work::Pull, Step::Token),
    (Work::Pull, Step::ManifestGet),
    (Work::Pull, Step::BlobGet),
];
/// Those whose answers name a digest that counts.
const NAMING: &[(Work, Step)] =
    &[(Work::Push, Step::ManifestPut), (Work::Push, Step::TagPut), (Work::Pull, Step::ManifestGet)];
/// Those whose answers may name one.
const KNOWN: &[(Work, Step)] = &[
    (Work::Push, Step::BlobHead),
    (Work::Push, Step::Put),
    (Work::Push, Step::ManifestHead),
    (Work::Mount, Step::Mount),
    (Work::Pull, Step::BlobGet),
];
/// Those after which another request goes where the answer says.
const PLACING: &[(Work, Step)] =
    &[(Work::Push, Step::Post), (Work::Resume, Step::Status), (Work::Resume, Step::Patch)];
/// Those of them that answer with a place whatever the registry knows by then.
const BEGINNING: &[(Work, Step)] = &[(Work::Push, Step::Post), (Work::Resume, Step::Status)];
/// Those whose answers name a place that nobody asks for.
const PLACED: &[(Work, Step)] = &[
    (Work::Push, Step::Put),
    (Work::Push, Step::ManifestPut),
    (Work::Push, Step::TagPut),
    (Work::Mount, Step::Mount),
];
/// Those that bring a token.
/// Mounts are not among them: those of several layers at a time expire each other's tokens, and
/// whether an upload in their place still gets through is a matter of time.
const WITH_TOKEN: &[(Work, Step)] = &[
    (Work::Push, Step::BlobHead),
    (Work::Push, Step::Post),
    (Work::Push, Step::Put),
    (Work::Push, Step::ManifestHead),
    (Work::Push, Step::ManifestPut),
    (Work::Push, Step::TagPut),
    (Work::Resume, Step::Status),
    (Work::Resume, Step::Patch),
    (Work::Pull, Step::ManifestGet),
    (Work::Pull, Step::BlobGet),
];

const ROWS: &[Row] = &[
    ("refused", |_| Fault::Refused(2), ALL, WELL, ANEW),
    ("reset", |_| Fault::Reset, ALL, WELL, ANEW),
    ("reset in what is sent", |_| Fault::ResetInBody(100), BRINGING, WELL, PARTS),
    ("answer lost", |_| Fault::AnswerLost, ALL, WELL, SEEN),
    ("head cut", |_| Fault::CutHead, ALL, WELL, SEEN),
    ("short body", |_| Fault::ShortBody, READ, WELL, ERROR),
    ("a byte of body", |_| Fault::CutBody(1), READ, WELL, ERROR),
    // A token is a token, until it is refused.
    ("another bit", |_| Fault::Flip, READ, (Error, &[Step::Token]), ERROR),
    ("dripping head", |_| Fault::DripHead, ALL, WELL, SEEN),
    ("dripping body", |_| Fault::DripBody, READ, WELL, ERROR),
    ("silence", |_| Fault::Silence, ALL, WELL, ANEW),
    ("500", |_| Fault::status(500), ALL, WELL, ANEW),
    ("503", |_| Fault::status(503), ALL, WELL, ANEW),
    ("early 503", |_| early(503, "UNAVAILABLE"), BRINGING, WELL, PARTS),
    ("early 429", |_| early(429, "TOOMANYREQUESTS"), BRINGING, WELL, PARTS),
    ("early 413", |_| early(413, "SIZE_INVALID"), BRINGING, PARTS_ONCE, PARTS),
    ("early 401", |_| early(401, "UNAUTHORIZED"), BRINGING, WELL, ERROR),
    ("early 403", |_| early(403, "DENIED"), BRINGING, ERROR, ERROR),
    ("403", |_| Fault::refusal(403, "DENIED"), ALL, SPARED_ONCE, SPARED),
    ("429 for a second", |_| Fault::retry_after("1"), ALL, WELL, ANEW),
    ("429 to a date", |_| Fault::retry_at(Duration::from_secs(1)), ALL, WELL, ANEW),
    ("429 for an hour", |_| Fault::retry_after("3600"), ALL, ASKED, ASKED),
    ("endless error", |_| Fault::Endless(500), ALL, WELL, ANEW),
    ("endless answer", |_| Fault::Endless(200), READ, ERROR, ERROR),
    ("wrong digest", |_| Fault::WrongDigest, NAMING, ERROR, ERROR),
    // What is not there has no digest; what is there in the end must have the right one.
    (
        "wrong digest of what is known",
        |_| Fault::WrongDigest,
        KNOWN,
        (Well, &[Step::Put, Step::Mount]),
        (Error, &[Step::BlobHead, Step::BlobGet]),
    ),
    ("no digest", |_| Fault::NoDigest, NAMING, WELL, WELL),
    ("no digest of what is known", |_| Fault::NoDigest, KNOWN, WELL, WELL),
    // A part goes where the last one went.
    ("no Location", |_| Fault::Location(Place::Missing), PLACING, UNPLACED, UNPLACED),
    ("unknown Location", |_| Fault::Location(Place::Unknown), PLACING, WELL, ANEW),
    ("garbage as Location", |_| Fault::Location(Place::Garbage), BEGINNING, ERROR, ERROR),
    ("relative Location", |_| Fault::Location(Place::Relative), PLACING, WELL, WELL),
    ("foreign Location", |to| Fault::Location(Place::Foreign(to.to_owned())), PLACING, WELL, WELL),
    ("no Location of what is there", |_| Fault::Location(Place::Missing), PLACED, WELL, WELL),
    ("odd Location of what is there", |_| Fault::Location(Place::Garbage), PLACED, WELL, WELL),
    ("token expired", |_| Fault::Expired, WITH_TOKEN, WELL, ASKED),
    ("redirected in a circle", |_| Fault::RedirectLoop, ALL, WELL, ASKED),
    ("redirected elsewhere", |to| Fault::RedirectTo(to.to_owned()), ALL, ELSEWHERE, ELSEWHERE),
];

/// A refusal that comes before the body is through, and ends the connection.
fn early(status: u16, code: &str) -> Fault {
    Fault::Early(refusal(status, code, "early"))
}

struct Cell {
    name: String,
    work: Work,
    step: Step,
    fault: fn(&str) -> Fault,
    often: Often,
    end: End,
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (name, fault, steps, once, always) in ROWS {
        for (work, step) in *steps {
            for (often, (end, others)) in [(Often::Once, *once), (Often::Always, *always)] {
                let other = if end == Well { Error } else { Well };
                cells.push(Cell {
                    name: format!("{name}, {often:?}, at {step:?} of a {work:?}"),
                    work: *work,
                    step: *step,
                    fault: *fault,
                    often,
                    end: if others.contains(step) { other } else { end },
                });
            }
        }
    }
    cells
}

/// How a cell came out.
enum Outcome {
    Well,
    Error,
    /// The step did not come.
    NotMet,
    Wrong(String),
}

/// The repository that pulls and mounts are from.
const SOURCE: &str = "faults/source";

fn play(world: &World, registry: &str, at: usize, cell: &Cell) -> Outcome {
    let proxy = Proxy::before(registry).with_tokens(USER, PASSWORD);
    let elsewhere = Proxy::before(registry);
    let repository = format!("faults/cell-{at}");
    // Every second tag is there already, and points at something else: of each kind of
    // cell, as once and always stand side by side.
    let before = (cell.work != Work::Pull && (at / 2).is_multiple_of(2)).then(old_image);
    if let Some(image) = before {
        push_by_hand(registry, &repository, "1", image);
    }
    if cell.work == Work::Resume {
        // Of less, the registry may not have kept enough yet for anybody to ask after it.
        proxy.inject(Step::Put, ONCE, Fault::ResetInBody(9 * MIB));
    }
    let hits = if cell.often == Often::Once { ONCE } else { ALWAYS };
    proxy.inject(cell.step, hits, (cell.fault)(&elsewhere.host));
    let out = world.outside(&format!("pulled-{at}"));
    let there = format!("{}/{repository}:1", proxy.host);
    let (from, to) = match cell.work {
        Work::Push | Work::Resume => (cell.work.image().stored(), there),
        Work::Mount => (format!("{}/{SOURCE}:1", proxy.host), there),
        Work::Pull => (format!("{}/{SOURCE}:1", proxy.host), format!("oci:{}", out.display())),
    };
    let mut tool = tool(world, &proxy, &format!("image copy {from} {to}"));
    // What one cell has pulled would be there for the next one.
    tool.env("DOCKLESS_CACHE", world.outside(&format!("cache-{at}")));
    let Some(run) = start(&mut tool).end() else {
        return Outcome::Wrong("hangs".to_owned());
    };
    let met = proxy.seen().iter().any(|seen| seen.step == cell.step && seen.faulted);
    // An upload may be begun anew before the step comes.
    let end = if met { cell.end } else { Well };
    let wrong = failed(&run, end)
        .or_else(|| match cell.work {
            Work::Pull => wrongly_pulled(world, &run, &out),
            _ => wrongly_pushed(world, &run, (registry, &repository), before, cell.work.image()),
        })
        .or_else(|| leaked(&run, &proxy, &elsewhere));
    match wrong {
        Some(wrong) => Outcome::Wrong(wrong),
        None if !met => Outcome::NotMet,
        None if run.code == Some(0) => Outcome::Well,
        None => Outcome::Error,
    }
}

/// Whether the run ended in another way than it must.
fn failed(run: &Run, end: End) -> Option<String> {
    match (run.code, end) {
        (Some(0), Well) => None,
        (Some(0), Error) => Some("ends well".to_owned()),
        (_, Well) => Some(format!("fails:\n{}", run.stderr)),
        _ => unclear(run),
    }
}

/// A tag is what it was, or points at all of the new image.
fn wrongly_pushed(
    world: &World,
    run: &Run,
    (registry, repository): (&str, &str),
    before: Option<&Image>,
    after: &Image,
) -> Option<String> {
    let now = tagged(registry, repository, "1");
    if now.as_ref() == Some(&after.digest) {
        let valid = world.run(&format!("image validate {registry}/{repository}:1"));
        return (valid.code != Some(0)).then(|| format!("half of it is there:\n{}", valid.stderr));
    }
    let kept = now.as_deref() == before.map(|image| &*image.digest);
    (run.code == Some(0) || !kept).then(|| format!("the tag points at {now:?}"))
}

/// There is a whole image, or none.
fn wrongly_pulled(world: &World, run: &Run, out: &Path) -> Option<String> {
    let there = out.join("index.json").exists();
    if run.code == Some(0) || there {
        let valid = world.run(&format!("image validate oci:{}", out.display()));
        let whole = valid.code == Some(0) && valid.stdout.trim() == image().digest;
        return (!whole).then(|| format!("it is not whole:\n{}{}", valid.stdout, valid.stderr));
    }
    None
}

/// A secret went where it does not belong.
fn leaked(run: &Run, proxy: &Proxy, elsewhere: &Proxy) -> Option<String> {
    let said = [run.stdout.as_str(), &run.stderr].concat();
    let mut secrets = proxy.tokens();
    secrets.push(PASSWORD.to_owned());
    if let Some(secret) = secrets.iter().find(|secret| said.contains(*secret)) {
        return Some(format!("says {secret}:\n{said}"));
    }
    let told = elsewhere.seen().into_iter().find(|seen| seen.authorization.is_some());
    told.map(|seen| format!("another origin is told the secret: {seen:?}"))
}

#[test]
fn every_fault_at_every_step_ends_well_or_in_one_clear_error() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    push_by_hand(&registry.host, SOURCE, "1", image());
    let cells = cells();
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cell) = cells.get(at) else { break };
                    let outcome = play(&world, &registry.host, at, cell);
                    outcomes.lock().unwrap().push((at, outcome));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|(_, it)| wanted(it)).count();
    let well = count(|it| matches!(it, Outcome::Well));
    let errors = count(|it| matches!(it, Outcome::Error));
    let mut wrong: Vec<String> = Vec::new();
    for (at, outcome) in &outcomes {
        if let Outcome::Wrong(what) = outcome {
            wrong.push(format!("{}: {what}", cells[*at].name));
        }
    }
    let not_met = count(|it| matches!(it, Outcome::NotMet));
    said(&format!(
        "{} faults at {} steps: {well} end well, {errors} in one error, {} are wrong, \
         {not_met} befall nothing",
        ROWS.len(),
        ALL.len(),
        wrong.len()
    ));
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
    assert!(not_met < cells.len() / 20, "{not_met} of {} befall nothing", cells.len());
}
