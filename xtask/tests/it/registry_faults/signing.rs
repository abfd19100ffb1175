//! Faults while an image is signed: it ends well or in one clear error, and the next run has it
//! signed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;

use super::*;
use crate::world::keys::{KEY, KEY_PART, verify};
use crate::world::proxy::{ALWAYS, Fault, ONCE, Step};
use crate::world::said;

/// All that a run asks for that signs an image.
const STEPS: [Step; 11] = [
    Step::Ping,
    Step::Token,
    Step::Referrers,
    Step::ManifestGet,
    Step::BlobGet,
    Step::ManifestHead,
    Step::BlobHead,
    Step::Post,
    Step::Put,
    Step::ManifestPut,
    Step::TagPut,
];

/// Whether a fault that comes once must be overcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Once {
    Overcome,
    MayFail,
}

type Row = (&'static str, fn() -> Fault, Once);

const ROWS: [Row; 10] = [
    ("reset", || Fault::Reset, Once::Overcome),
    ("answer lost", || Fault::AnswerLost, Once::Overcome),
    ("short body", || Fault::ShortBody, Once::Overcome),
    ("500", || Fault::status(500), Once::Overcome),
    ("503", || Fault::status(503), Once::Overcome),
    ("429 for a second", || Fault::retry_after("1"), Once::Overcome),
    ("no digest", || Fault::NoDigest, Once::Overcome),
    ("403", || Fault::refusal(403, "DENIED"), Once::MayFail),
    ("another bit", || Fault::Flip, Once::MayFail),
    ("wrong digest", || Fault::WrongDigest, Once::MayFail),
];

/// Whether the image and those of its platforms are signed, as nothing stands before the registry.
fn is_signed(world: &World, image: &str) -> bool {
    let report = crate::world::run(verify(world, image).arg("--json"));
    report.code == Some(0) && report.stdout.matches("\"proved\"").count() == 3
}

/// What is wrong with a cell; whether the fault befell anything.
fn play(
    world: &World,
    registry: &str,
    at: usize,
    (step, (name, fault, once), always): (Step, Row, bool),
) -> (Option<String>, bool) {
    let repository = format!("faults/signed-{at}");
    push_by_hand(registry, &repository, "1", image());
    let proxy = Proxy::before(registry).with_tokens(USER, PASSWORD);
    proxy.inject(step, if always { ALWAYS } else { ONCE }, fault());
    let sign = |args: &str| {
        let mut tool = tool(world, &proxy, args);
        tool.env("COSIGN_PRIVATE_KEY", KEY);
        // What one run has read would be there for the next one.
        tool.env("DOCKLESS_CACHE", world.outside(&format!("cache-signed-{at}")));
        ended(&mut tool)
    };
    let args = format!("sign {}/{repository}:1", proxy.host);
    let first = sign(&args);
    let met = proxy.seen().iter().any(|seen| seen.faulted);
    let direct = format!("{registry}/{repository}:1");
    let wrong = if first.code == Some(0) {
        (!is_signed(world, &direct)).then(|| "it is not signed".to_owned())
    } else if !always && once == Once::Overcome {
        Some(format!("fails:\n{}", first.stderr))
    } else {
        unclear(&first)
    };
    proxy.renew();
    let again = sign(&args);
    let wrong = wrong
        .or_else(|| (again.code != Some(0)).then(|| format!("again:\n{}", again.stderr)))
        .or_else(|| (!is_signed(world, &direct)).then(|| "it is not signed then".to_owned()))
        .or_else(|| {
            let told = [&first, &again].iter().any(|it| it.stderr.contains(KEY_PART));
            told.then(|| "it tells the key".to_owned())
        });
    let often = if always { "always" } else { "once" };
    (wrong.map(|wrong| format!("{name}, {often}, at {step:?}: {wrong}")), met)
}

#[test]
fn every_fault_while_signing_ends_well_or_in_one_clear_error() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    let lasting = ["reset", "500", "403"];
    let mut cells = Vec::new();
    for step in STEPS {
        for row in ROWS {
            cells.push((step, row, false));
            if lasting.contains(&row.0) {
                cells.push((step, row, true));
            }
        }
    }
    let (next, ends) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cell) = cells.get(at) else { break };
                    ends.lock().unwrap().push(play(&world, &registry.host, at, *cell));
                }
            });
        }
    });
    let ends = ends.into_inner().unwrap();
    let met = ends.iter().filter(|(_, met)| *met).count();
    let wrong: Vec<String> = ends.into_iter().filter_map(|(wrong, _)| wrong).collect();
    said(&format!("{} faults while signing, {met} of which befell a request", cells.len()));
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
    assert!(met > cells.len() / 2, "{met} of {}", cells.len());
}

/// What a run asks for that pushes an image with all that is said of it, at the steps that are not
/// those of its blobs.
const ATTACHING: [Step; 5] =
    [Step::Referrers, Step::Post, Step::Put, Step::ManifestPut, Step::TagPut];

/// Whether the image and those of its platforms have signature, provenance and SBOM.
fn is_all_said(world: &World, image: &str) -> bool {
    let report = crate::world::run(verify(world, image).arg("--json"));
    let text: Value = serde_json::from_str(&report.stdout).unwrap_or_default();
    let proofs = text["proofs"].as_array().cloned().unwrap_or_default();
    report.code == Some(0)
        && !proofs.is_empty()
        && proofs.iter().all(|it| it["verdict"] == "proved")
}

/// A push with SBOMs, provenance and signatures is overcome by no single fault, and the run after one
/// that lasts has all of it; a third writes nothing.
#[test]
fn every_fault_while_attaching_leaves_what_the_next_run_completes() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    let (mut cells, mut met) = (0, 0);
    for step in ATTACHING {
        for (name, fault) in [
            ("reset", Fault::Reset),
            ("answer lost", Fault::AnswerLost),
            ("500", Fault::status(500)),
        ] {
            let folder = format!("faults/said-{cells}");
            cells += 1;
            let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
            // The image itself goes up before, so that what is attached is what the fault befalls.
            let push = |more: &str| {
                let args = format!("image --push{more} --repository {}/{folder}", proxy.host);
                let mut tool = tool(&world, &proxy, &args);
                if !more.is_empty() {
                    tool.env("COSIGN_PRIVATE_KEY", KEY);
                }
                ended(&mut tool)
            };
            push("").ends_with(0);
            proxy.inject(step, ONCE, fault);
            let first = push(" --sbom");
            met += usize::from(proxy.seen().iter().any(|seen| seen.faulted));
            assert_eq!(first.code, Some(0), "{name} at {step:?}:\n{}", first.stderr);
            let image = first.line().replace(&proxy.host, &registry.host);
            assert!(is_all_said(&world, &image), "{name} at {step:?}: not all is said");
            proxy.renew();
            let before = registry.all_requests(&format!("{folder}/tool")).len();
            push(" --sbom").ends_with(0);
            let asked = registry.all_requests(&format!("{folder}/tool")).split_off(before);
            let is_read = |it: &String| it.starts_with("HEAD ") || it.starts_with("GET ");
            assert!(asked.iter().all(is_read), "{name} at {step:?}: {asked:#?}");
            assert!(is_all_said(&world, &image));
        }
    }
    said(&format!("{cells} faults while attaching, {met} of which befell a request"));
    assert!(met >= cells / 2, "{met} of {cells}");
}
