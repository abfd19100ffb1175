//! Uploads that are cut, registries that lose what they had, and pushes at once.

use std::sync::Barrier;

use super::*;
use crate::world::proxy::{ALWAYS, Answer, Fault, ONCE, Seen, Step, WRONG_DIGEST};
use crate::world::said;

fn push(world: &World, proxy: &Proxy, image: &Image, to: &str) -> Run {
    let args = format!("image copy {} {}/{to}", image.stored(), proxy.host);
    ended(&mut tool(world, proxy, &args))
}

/// What changed something in the registry, or was to.
fn changes(proxy: &Proxy) -> Vec<Seen> {
    let mut seen = proxy.seen();
    seen.retain(|seen| !matches!(&*seen.method, "GET" | "HEAD"));
    seen
}

#[test]
fn an_upload_that_is_cut_goes_on_where_it_stopped() {
    const SIZE: u64 = 200;
    let Some(registry) = Registry::shared() else { return };
    let image = large("large", SIZE);
    let world = impatient();
    // What comes after the first cut comes in parts.
    let first = (Step::Put, ONCE, 120 * MIB);
    let more = [(Step::Patch, 2..=3, MIB), (Step::Patch, 9..=9, 3 * MIB)];
    for (repository, cuts) in [
        ("faults/cut-once", vec![first.clone()]),
        ("faults/cut-often", [vec![first], more.to_vec()].concat()),
    ] {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        for (step, hits, bytes) in cuts.clone() {
            proxy.inject(step, hits, Fault::ResetInBody(bytes));
        }
        push(&world, &proxy, &image, &format!("{repository}:1")).ends_with(0);
        let (sent, size) = (proxy.received(), SIZE * MIB);
        said(&format!("{repository}: {} MiB sent for {SIZE} MiB", sent / MIB));
        assert!(sent >= size && sent < size + size / 5, "{sent} bytes were sent for {size}");
        assert!(proxy.count(Step::Patch) >= cuts.len(), "{:?}", changes(&proxy));
        assert_pushed(&world, &registry.host, repository, "1", &image);
    }
    fs::remove_dir_all(&image.dir).unwrap();
}

/// As a registry behind a server with a limit.
#[test]
fn what_is_too_large_goes_in_parts() {
    let Some(registry) = Registry::shared() else { return };
    let (world, image) = (impatient(), large("parts", 10));
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    proxy.inject(None, ALWAYS, Fault::TooLarge(5 * MIB));
    push(&world, &proxy, &image, "faults/parts:1").ends_with(0);
    assert_eq!(proxy.count(Step::Patch), 3, "{:?}", changes(&proxy));
    assert_pushed(&world, &registry.host, "faults/parts", "1", &image);
}

/// Whatever a registry says that it has by now, an upload ends.
#[test]
fn parts_that_lead_nowhere_end() {
    let Some(registry) = Registry::shared() else { return };
    let (world, image) = (with_retries(1), large("nowhere", 10));
    for range in ["0-0", "bytes=0-0", "0-9", "0-99", "", "5-9", "0-99999999999", "9-0", "x-y", "-1"]
    {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        proxy.inject(None, ALWAYS, Fault::TooLarge(5 * MIB));
        let to = [("Location", "/v2/faults/nowhere/blobs/uploads/1"), ("Range", range)];
        proxy.inject(Step::Patch, ALWAYS, Fault::Answer(Answer::new(202, &to, "")));
        proxy.inject(Step::Status, ALWAYS, Fault::Answer(Answer::new(204, &to, "")));
        let args = format!("image copy {} {}/faults/nowhere:1", image.stored(), proxy.host);
        let run = start(&mut tool(&world, &proxy, &args)).end();
        let run = run
            .unwrap_or_else(|| panic!("{range}: hangs after {} parts", proxy.count(Step::Patch)));
        fails(&run);
        assert_eq!(tagged(&registry.host, "faults/nowhere", "1"), None, "{range}");
    }
}

/// It says of every blob that it is there, until somebody asks for the blob itself.
#[test]
fn a_registry_that_says_too_much_gets_no_tag_that_points_nowhere() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    let repository = "faults/forgetful";
    for hits in [ALWAYS, ONCE] {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        proxy.inject(Step::BlobHead, hits, Fault::Answer(Answer::new(200, &[], "")));
        let pushed = push(&world, &proxy, image(), &format!("{repository}:1"));
        match pushed.code {
            Some(0) => assert_pushed(&world, &registry.host, repository, "1", image()),
            _ => {
                fails(&pushed).says(&proxy.host);
                assert_eq!(tagged(&registry.host, repository, "1"), None);
            }
        }
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        push(&world, &proxy, image(), &format!("{repository}:1")).ends_with(0);
        assert_pushed(&world, &registry.host, repository, "1", image());
    }
}

#[test]
fn what_a_registry_lost_comes_back_with_the_next_push() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    let repository = "faults/lossy";
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    let to = format!("{repository}:1");
    push(&world, &proxy, image(), &to).ends_with(0);
    assert_pushed(&world, &registry.host, repository, "1", image());
    // All is there: nothing is sent.
    proxy.renew();
    let again = push(&world, &proxy, image(), &to);
    assert_eq!(
        again.ends_with(0).line(),
        format!("{}/{repository}@{}", proxy.host, image().digest)
    );
    assert_eq!((changes(&proxy).len(), proxy.received()), (0, 0), "{:?}", changes(&proxy));
    let blobs = image().blobs().into_keys().map(|digest| format!("blobs/{digest}"));
    let manifests = image().manifests().into_iter().map(|digest| format!("manifests/{digest}"));
    for lost in blobs.chain(manifests) {
        let path = format!("/v2/{repository}/{lost}");
        assert_eq!(ask(&registry.host, "DELETE", &path, &[], b"").status, 202, "{lost}");
        proxy.renew();
        push(&world, &proxy, image(), &to).ends_with(0);
        assert_pushed(&world, &registry.host, repository, "1", image());
        let puts = proxy.count(Step::Put) + proxy.count(Step::ManifestPut);
        assert_eq!(puts, 1, "only what was lost: {:?}", changes(&proxy));
    }
}

#[test]
fn a_tag_that_may_not_move_is_left_alone_or_said() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    let repository = "faults/immutable";
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    let to = format!("{repository}:1");
    push(&world, &proxy, image(), &to).ends_with(0);
    // As ECR answers whatever is put there, the same image too.
    proxy.renew();
    let refused = || Fault::refusal(400, "ImageTagAlreadyExistsException");
    proxy.inject(Step::TagPut, ALWAYS, refused());
    push(&world, &proxy, image(), &to).ends_with(0);
    assert_eq!(proxy.count(Step::TagPut), 0);
    let other = push(&world, &proxy, old_image(), &to);
    fails(&other).says(&to).says("may not be moved");
    assert_eq!(tagged(&registry.host, repository, "1").as_ref(), Some(&image().digest));
    assert_eq!(proxy.count(Step::TagPut), 1, "another try would not help");
}

/// Whatever is answered to a HEAD, a tag never gets what is not there.
#[test]
fn a_tag_whose_digest_is_hidden_is_set_all_the_same() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    for (at, answer) in [
        Answer::new(200, &[("Docker-Content-Digest", WRONG_DIGEST)], ""),
        Answer::new(200, &[("Docker-Content-Digest", "nonsense")], ""),
        Answer::new(200, &[], ""),
        Answer::new(405, &[], ""),
        Answer::new(400, &[], ""),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        let repository = format!("faults/hidden-{at}");
        proxy.inject(Step::ManifestHead, ALWAYS, Fault::Answer(answer.clone()));
        let pushed = push(&world, &proxy, image(), &format!("{repository}:1"));
        if pushed.code == Some(0) {
            assert_pushed(&world, &registry.host, &repository, "1", image());
        } else {
            fails(&pushed);
            assert_eq!(tagged(&registry.host, &repository, "1"), None, "{answer:?}");
        }
    }
}

/// Starts two pushes that wait for each other at a step, and returns how they ended.
fn at_once(world: &World, registry: &str, step: Step, pushes: [(&Image, &str); 2]) -> [Run; 2] {
    let barrier = Arc::new(Barrier::new(2));
    let running = pushes.map(|(image, to)| {
        let proxy = Proxy::before(registry).with_tokens(USER, PASSWORD);
        proxy.inject(step, ONCE, Fault::Meet(Arc::clone(&barrier)));
        let args = format!("image copy {} {}/{to}", image.stored(), proxy.host);
        (start(&mut tool(world, &proxy, &args)), proxy)
    });
    running.map(|(running, _proxy)| running.end().expect("both wait for each other"))
}

#[test]
fn two_pushes_at_once_do_not_disturb_each_other() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    let host = &registry.host;
    for step in [Step::BlobHead, Step::Post, Step::Put, Step::ManifestPut, Step::TagPut] {
        for (images, tags) in [
            ([image(), image()], ["1", "1"]),
            ([image(), image()], ["1", "2"]),
            ([image(), old_image()], ["1", "2"]),
            ([image(), old_image()], ["1", "1"]),
        ] {
            let at = format!("{step:?}").to_lowercase();
            let same = images[0].digest == images[1].digest;
            let repository = format!("faults/at-once-{at}-{}-{same}", tags.concat());
            let to = tags.map(|tag| format!("{repository}:{tag}"));
            let ends = at_once(&world, host, step, [(images[0], &to[0]), (images[1], &to[1])]);
            for end in &ends {
                end.ends_with(0);
            }
            for (tag, image) in tags.iter().zip(images) {
                let now = tagged(host, &repository, tag).unwrap();
                // Of two for one tag, the last one has it.
                let lost = tags[0] == tags[1] && now != image.digest;
                let image =
                    if lost { images.into_iter().find(|it| it.digest == now) } else { Some(image) };
                assert_pushed(&world, host, &repository, tag, image.unwrap());
            }
        }
    }
}
