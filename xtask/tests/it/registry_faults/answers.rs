//! What a registry says is believed where it says it as the specification has it, and what
//! it keeps is asked for in the end.

use super::*;
use crate::world::proxy::{ALWAYS, Answer, Fault, ONCE, Place, Step, refusal};

const HTML: &str = "<html>sign in</html>";
/// A digest that nothing has.
const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn push(world: &World, proxy: &Proxy, image: &Image, to: &str) -> Run {
    let args = format!("image copy {} {}/{to}", image.stored(), proxy.host);
    ended(&mut tool(world, proxy, &args))
}

#[test]
fn a_server_that_says_yes_to_everything_is_no_registry() {
    let world = with_retries(1);
    let digest = &*image().digest;
    let (page, json) = (("Content-Type", "text/html"), ("Content-Type", "application/json"));
    let (here, empty) = (("Location", "/v2/a/blobs/uploads/1"), ("Content-Length", "0"));
    let known = ("Docker-Content-Digest", digest);
    for (status, headers, body) in [
        (200, &[page][..], HTML),
        (200, &[page, here], HTML),
        (200, &[json], "{}"),
        (200, &[json, here], "{}"),
        (200, &[here, empty], ""),
        (200, &[known, here], ""),
        (201, &[page, here], HTML),
        (201, &[here], ""),
        (201, &[known, here], ""),
        (202, &[page, here], HTML),
        (202, &[json, here], "{}"),
        (202, &[here], ""),
        (204, &[here], ""),
        (206, &[here], "x"),
    ] {
        let proxy = Proxy::playing(Answer::new(status, headers, body));
        // With a tag and without one.
        for to in ["a:1".to_owned(), format!("a@{digest}")] {
            let run = push(&world, &proxy, image(), &to);
            fails(&run).says(&proxy.host);
        }
    }
    // And who has nothing, and takes all in the right words.
    for (tag, says) in [(None, "there is nothing"), (Some(OTHER), OTHER)] {
        let proxy = Proxy::playing(refusal(404, "UNKNOWN", "absent"));
        proxy.renew();
        let begun = Answer::new(202, &[here], "");
        let created = Answer::new(201, &[here], "");
        for (step, answer) in [
            (Step::Ping, &Answer::new(200, &[json], "{}")),
            (Step::Post, &begun),
            (Step::Put, &created),
            (Step::ManifestPut, &created),
            (Step::TagPut, &created),
        ] {
            proxy.inject(step, ALWAYS, Fault::Answer(answer.clone()));
        }
        let heads = image().manifests().len() as u32 + 2;
        if let Some(other) = tag {
            let named = Answer::new(200, &[("Docker-Content-Digest", other)], "");
            proxy.inject(Step::ManifestHead, heads + 1..=u32::MAX, Fault::Answer(named));
        }
        proxy.inject(None, ALWAYS, Fault::Answer(refusal(404, "UNKNOWN", "absent")));
        let run = push(&world, &proxy, image(), "a:1");
        fails(&run).says(&format!("tag {}/a:1", proxy.host)).says(says);
        assert_eq!(proxy.count(Step::TagPut), 1);
    }
}

/// A registry that takes a step and does nothing: the push ends well with all of it there, or
/// in an error.
#[test]
fn what_is_taken_and_not_kept_is_missed() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(1);
    let here = [("Location", "/v2/a/blobs/uploads/1")];
    let answer = |status| Fault::Answer(Answer::new(status, &here, ""));
    for (at, (step, hits, fault, works)) in [
        (Step::Put, ONCE, answer(201), true),
        (Step::Put, ALWAYS, answer(201), false),
        (Step::Put, ONCE, answer(200), false),
        (Step::Put, ONCE, answer(202), false),
        (Step::Put, ONCE, answer(204), false),
        (Step::Post, ONCE, answer(200), false),
        (Step::Post, ONCE, answer(204), false),
        (Step::ManifestPut, ALWAYS, answer(201), false),
        (Step::ManifestPut, ONCE, answer(200), false),
        (Step::ManifestPut, ONCE, answer(204), false),
        (Step::TagPut, ONCE, answer(201), false),
        (Step::TagPut, ONCE, answer(200), false),
        // A page of the right length is not the blob.
        (Step::BlobHead, ALWAYS, Fault::Answer(page_of(image())), true),
        (Step::BlobHead, ALWAYS, answer(200), true),
        (Step::BlobHead, ALWAYS, answer(204), true),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        let what = format!("{step:?} {hits:?} {fault:?}");
        proxy.inject(step, hits, fault);
        let repository = format!("faults/taken-{at}");
        let run = push(&world, &proxy, image(), &format!("{repository}:1"));
        assert_eq!(run.code == Some(0), works, "{what}: {}", run.stderr);
        if works {
            assert_pushed(&world, &registry.host, &repository, "1", image());
        } else {
            assert_eq!(unclear(&run), None, "{what}");
            assert_eq!(tagged(&registry.host, &repository, "1"), None, "{what}");
        }
    }
}

/// An answer to HEAD that has the length of a blob and is of a page.
fn page_of(image: &Image) -> Answer {
    let (_, size) = image.blobs().into_iter().next().unwrap();
    let size = size.to_string();
    Answer::new(200, &[("Content-Type", "text/html"), ("Content-Length", &*size)], "")
}

/// One request more than the push itself, and none where nothing changed.
#[test]
fn what_was_put_is_asked_for_once() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    push(&world, &proxy, image(), "faults/confirmed:1").ends_with(0);
    let seen = proxy.seen();
    let put = seen.iter().position(|seen| seen.step == Step::TagPut).unwrap();
    let after: Vec<Step> = seen[put + 1..].iter().map(|seen| seen.step).collect();
    assert_eq!(after, [Step::ManifestHead]);
    proxy.renew();
    push(&world, &proxy, image(), "faults/confirmed:1").ends_with(0);
    let asked = proxy.seen();
    let all = image().manifests().len() + image().blobs().len() + 2;
    assert_eq!(asked.iter().filter(|seen| seen.method == "HEAD").count(), all, "{asked:?}");
    assert!(asked.iter().all(|seen| matches!(&*seen.method, "HEAD" | "GET")), "{asked:?}");
}

/// A registry of several machines knows what was put after a moment.
#[test]
fn what_was_put_may_take_a_moment_to_be_there() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    let heads = image().manifests().len() as u32 + 2;
    for (at, fault) in
        [Fault::refusal(404, "MANIFEST_UNKNOWN"), Fault::WrongDigest, Fault::NoDigest]
            .into_iter()
            .enumerate()
    {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        proxy.inject(Step::ManifestHead, heads + 1..=heads + 2, fault);
        let repository = format!("faults/moment-{at}");
        push(&world, &proxy, image(), &format!("{repository}:1")).ends_with(0);
        assert_pushed(&world, &registry.host, &repository, "1", image());
    }
}

/// A blob whose bytes are not those of its name is never completed, whole or in parts.
#[test]
fn a_blob_that_is_another_is_not_uploaded() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(1);
    for (name, mib, limit) in [("lies", 10, u64::MAX), ("lies-in-parts", 10, 5 * MIB)] {
        for at in [0, 5 * MIB, 10 * MIB] {
            let image = large(name, mib);
            let (digest, _) = image.blobs().into_iter().max_by_key(|(_, size)| *size).unwrap();
            let hex = digest.strip_prefix("sha256:").unwrap();
            let path = image.dir.join("blobs/sha256").join(hex);
            let mut bytes = fs::read(&path).unwrap();
            bytes[at as usize] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
            proxy.inject(None, ALWAYS, Fault::TooLarge(limit));
            let run = push(&world, &proxy, &image, "faults/lies:1");
            fails(&run).says(&digest).says("damaged or changed");
            let taken = proxy.seen().into_iter().filter(|seen| {
                seen.step == Step::Put && seen.path.contains(hex) && seen.status == Some(201)
            });
            assert_eq!(taken.count(), 0, "{name} {at}");
            let there =
                ask(&registry.host, "HEAD", &format!("/v2/faults/lies/blobs/{digest}"), &[], b"");
            assert_eq!(there.status, 404, "{name} {at}");
            // The last of it never comes.
            let whole = proxy
                .seen()
                .iter()
                .any(|seen| seen.step == Step::Put && seen.received == bytes.len() as u64);
            assert!(!whole || limit < u64::MAX, "{name} {at}");
            fs::remove_dir_all(&image.dir).unwrap();
        }
    }
}

/// A large body is refused before it came, and the connection closed: that is an answer, and
/// no cut.
#[test]
fn an_answer_before_the_end_of_an_upload_is_heard() {
    let Some(registry) = Registry::shared() else { return };
    let (world, image) = (impatient(), large("early", 30));
    let early = |status, code, header: Option<(&str, &str)>| {
        let mut answer = refusal(status, code, "early");
        answer.headers.extend(header.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Fault::Early(answer)
    };
    for (status, code, header, works) in [
        (401, "UNAUTHORIZED", None, true),
        (403, "DENIED", None, false),
        (413, "SIZE_INVALID", None, true),
        (429, "TOOMANYREQUESTS", Some(("Retry-After", "1")), true),
        (503, "UNAVAILABLE", None, true),
        (507, "DENIED", None, false),
    ] {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        proxy.inject(Step::Put, ONCE, early(status, code, header));
        let repository = format!("faults/early-{status}");
        let to = format!("{}/{repository}:1", proxy.host);
        let args = format!("image copy -v {} {to}", image.stored());
        let run = ended(&mut tool(&world, &proxy, &args));
        assert_eq!(run.code == Some(0), works, "{status}: {}", run.stderr);
        run.never_says("was cut");
        match status {
            401 => assert_eq!(proxy.tokens().len(), 2, "a new token"),
            413 => assert!(proxy.count(Step::Patch) > 0, "it goes on in parts"),
            429 => drop(run.says("1 s, as asked")),
            503 => drop(run.says("503")),
            _ => drop(run.says(&format!("{status}")).says("early")),
        }
        if works {
            assert_pushed(&world, &registry.host, &repository, "1", &image);
        }
    }
    fs::remove_dir_all(&image.dir).unwrap();
}

/// Where an upload goes on is said in ways that nobody can follow.
#[test]
fn a_location_that_leads_nowhere_is_told() {
    let Some(registry) = Registry::shared() else { return };
    let world = with_retries(1);
    for location in [
        "",
        "https://",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://me:secret@127.0.0.1/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/x",
        "http:///x",
        "http://127.0.0.1:99999/x",
    ] {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        let answer = Answer::new(202, &[("Location", location)], "");
        proxy.inject(Step::Post, ALWAYS, Fault::Answer(answer));
        let run = push(&world, &proxy, image(), "faults/nowhere-to-go:1");
        fails(&run).says("read the Location").never_says("secret");
    }
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    proxy.inject(Step::Post, ALWAYS, Fault::Location(Place::Missing));
    fails(&push(&world, &proxy, image(), "faults/nowhere-to-go:1")).says("without a Location");
    // The same of where the next part goes.
    let large = large("nowhere-to-go", 10);
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    proxy.inject(None, ALWAYS, Fault::TooLarge(5 * MIB));
    proxy.inject(Step::Patch, ONCE, Fault::Location(Place::Garbage));
    fails(&push(&world, &proxy, &large, "faults/nowhere-to-go:2")).says("read the Location");
    fs::remove_dir_all(&large.dir).unwrap();
}
