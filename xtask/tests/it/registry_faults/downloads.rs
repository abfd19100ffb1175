//! Downloads that are cut, and what registries answer to who wants the rest.

use super::*;
use crate::world::proxy::{ALWAYS, Answer, Fault, ONCE, Step};
use crate::world::{names, said};

fn pull(world: &World, proxy: &Proxy, from: &str, to: &str) -> Run {
    let args = format!("image copy {}/{from} oci:{}", proxy.host, world.outside(to).display());
    ended(&mut tool(world, proxy, &args))
}

#[test]
fn a_download_that_is_cut_goes_on_where_it_stopped() {
    const SIZE: u64 = 50;
    let Some(registry) = Registry::shared() else { return };
    let (world, image) = (impatient(), large("download", SIZE));
    push_by_hand(&registry.host, "faults/download", "1", &image);
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    // The config comes first.
    proxy.inject(Step::BlobGet, 2..=2, Fault::CutBody(30 * MIB));
    proxy.inject(Step::BlobGet, 3..=3, Fault::status(503));
    proxy.inject(Step::BlobGet, 4..=4, Fault::CutBody(15 * MIB));
    pull(&world, &proxy, "faults/download:1", "out").ends_with(0);
    let blobs: Vec<_> =
        proxy.seen().into_iter().filter(|seen| seen.step == Step::BlobGet).collect();
    let sent: u64 = blobs.iter().map(|seen| seen.sent).sum();
    said(&format!("{} MiB received for {SIZE} MiB, in {} tries", sent / MIB, blobs.len() - 1));
    assert!(sent < (SIZE + SIZE / 5) * MIB, "{blobs:?}");
    assert_eq!(blobs.len(), 5, "{blobs:?}");
    let valid = world.run(&format!("image validate oci:{}", world.outside("out").display()));
    assert_eq!(valid.ends_with(0).line(), image.digest);
}

/// Whoever asks for the rest may get something else: that is seen before it is used.
#[test]
fn what_is_not_the_rest_is_not_taken_for_it() {
    let Some(registry) = Registry::shared() else { return };
    let (world, image) = (with_retries(1), large("rest", 2));
    push_by_hand(&registry.host, "faults/rest", "1", &image);
    let (digest, size) = image.blobs().into_iter().max_by_key(|(_, size)| *size).unwrap();
    let whole = image.read(&digest);
    let rest = &whole[MIB as usize..];
    let right = format!("bytes {MIB}-{}/{size}", size - 1);
    let partial = |range: &str, body: &[u8]| Answer::new(206, &[("Content-Range", range)], body);
    for (what, answer, works) in [
        ("the rest", partial(&right, rest), true),
        ("all of it", Answer::new(200, &[], &*whole), true),
        ("all of it as the rest", partial(&right, &whole), false),
        ("a rest of zeros", partial(&right, &vec![0; rest.len()]), false),
        ("another part", partial("bytes 0-9/10", b"0123456789"), false),
        ("a rest from nowhere", partial("", rest), false),
        ("too little of it", Answer::new(200, &[], rest), false),
        ("nothing", Answer::new(416, &[("Content-Range", "bytes */0")], ""), false),
        ("nothing at all", Answer::new(204, &[], ""), false),
    ] {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        proxy.inject(Step::BlobGet, 2..=2, Fault::CutBody(MIB));
        proxy.inject(Step::BlobGet, 3..=u32::MAX, Fault::Answer(answer));
        for dir in ["cache", "out"] {
            fs::remove_dir_all(world.outside(dir)).ok();
        }
        let run = pull(&world, &proxy, "faults/rest:1", "out");
        if works {
            run.ends_with(0);
            world
                .run(&format!("image validate oci:{}", world.outside("out").display()))
                .ends_with(0);
        } else {
            assert_eq!(unclear(&run), None, "{what}");
            assert!(!world.outside("out/index.json").exists(), "{what}");
        }
        assert_kept(&world, what);
    }
}

/// Requires that what the cache keeps is what it is called, and that nothing is left in the
/// making.
#[track_caller]
fn assert_kept(world: &World, what: &str) {
    let kept = world.outside("cache/blob");
    let names = if kept.exists() { names(&kept) } else { Vec::new() };
    for name in names.iter().filter(|name| *name != "pruned") {
        assert_eq!(&sha256(&fs::read(kept.join(name)).unwrap()), name, "{what}");
    }
}

#[test]
fn a_blob_that_is_another_is_not_kept() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    push_by_hand(&registry.host, "faults/another", "1", image());
    for nth in 1..=image().blobs().len() as u32 {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        proxy.inject(Step::BlobGet, nth..=nth, Fault::Flip);
        fs::remove_dir_all(world.outside("cache")).ok();
        let run = pull(&world, &proxy, "faults/another:1", "out");
        fails(&run).says("sha256:");
        assert!(!world.outside("out/index.json").exists(), "{nth}");
        assert_kept(&world, &run.stderr);
    }
}

/// Pulls of the same image at once, into one cache and one folder.
#[test]
fn pulls_at_once_do_not_disturb_each_other() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    push_by_hand(&registry.host, "faults/pulls", "1", image());
    let barrier = Arc::new(std::sync::Barrier::new(3));
    let running: Vec<_> = ["same", "same", "other"]
        .map(|to| {
            let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
            proxy.inject(Step::BlobGet, ONCE, Fault::Meet(Arc::clone(&barrier)));
            let out = world.outside(to);
            let args = format!("image copy {}/faults/pulls:1 oci:{}", proxy.host, out.display());
            (start(&mut tool(&world, &proxy, &args)), proxy)
        })
        .into();
    for (running, _proxy) in running {
        running.end().expect("none waits for another").ends_with(0);
    }
    for to in ["same", "other"] {
        let valid = world.run(&format!("image validate oci:{}", world.outside(to).display()));
        assert_eq!(valid.ends_with(0).line(), image().digest);
    }
    // With all of it in the cache, blobs come from there.
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    proxy.inject(Step::BlobGet, ALWAYS, Fault::status(404));
    pull(&world, &proxy, "faults/pulls:1", "cached").ends_with(0);
    assert_eq!(proxy.count(Step::BlobGet), 0);
}
