//! Killed at every request, and run again.

use super::*;
use crate::world::proxy::{Fault, Moment, Step};
use crate::world::{contents, said};

const MOMENTS: [Moment; 3] = [Moment::Before, Moment::InBody, Moment::After];

/// What a repository holds of the image, and its tags.
fn state(host: &str, repository: &str) -> (Vec<u16>, String) {
    let paths = image().blobs().into_keys().map(|digest| format!("blobs/{digest}"));
    let manifests = image().manifests().into_iter().chain([image().digest.clone()]);
    let paths = paths.chain(manifests.map(|digest| format!("manifests/{digest}")));
    let accept = [("Accept", &*format!("{INDEX}, {MANIFEST}"))];
    let head =
        |path: String| ask(host, "HEAD", &format!("/v2/{repository}/{path}"), &accept, b"").status;
    let tags = ask(host, "GET", &format!("/v2/{repository}/tags/list"), &[], b"");
    let tags: Value = serde_json::from_slice(&tags.body).unwrap();
    (paths.map(head).collect(), tags["tags"].to_string())
}

/// Runs until the proxy kills at the request, and says whether it did.
fn killed(world: &World, proxy: &Proxy, args: &str, at: u32, moment: Moment) -> bool {
    proxy.inject(None, at..=at, Fault::Kill(moment));
    let running = start(&mut tool(world, proxy, args));
    proxy.watch(&running.child);
    let run = running.end().expect("it is killed or ends");
    assert!(matches!(run.code, None | Some(0)), "{at}, {moment:?}:\n{}", run.stderr);
    run.code.is_none()
}

#[test]
fn a_push_that_is_killed_at_any_request_can_be_run_again() {
    let Some(registry) = Registry::shared() else { return };
    let (world, host) = (impatient(), &*registry.host);
    let whole = {
        let proxy = Proxy::before(host).with_tokens(USER, PASSWORD);
        let to = format!("{}/faults/undisturbed:1", proxy.host);
        let args = format!("image copy {} {to}", image().stored());
        ended(&mut tool(&world, &proxy, &args)).ends_with(0);
        state(host, "faults/undisturbed")
    };
    let mut kills = 0;
    for moment in MOMENTS {
        for at in 1..200 {
            let proxy = Proxy::before(host).with_tokens(USER, PASSWORD);
            let repository = format!("faults/killed-{at}-{moment:?}").to_lowercase();
            let to = format!("{}/{repository}:1", proxy.host);
            let args = format!("image copy {} {to}", image().stored());
            // Every second tag points at something else before.
            let before = (at % 2 == 0).then(old_image);
            if let Some(image) = before {
                push_by_hand(host, &repository, "1", image);
            }
            let killed = killed(&world, &proxy, &args, at, moment);
            let now = tagged(host, &repository, "1");
            if now.as_deref() != before.map(|image| &*image.digest) {
                assert_pushed(&world, host, &repository, "1", image());
            }
            if !killed {
                break;
            }
            kills += 1;
            proxy.renew();
            ended(&mut tool(&world, &proxy, &args)).ends_with(0);
            assert_pushed(&world, host, &repository, "1", image());
            assert_eq!(state(host, &repository), whole, "after request {at}, {moment:?}");
        }
    }
    said(&format!("{kills} kills of a push"));
    assert!(kills > 30, "{kills} kills");
}

#[test]
fn a_pull_that_is_killed_at_any_request_can_be_run_again() {
    let Some(registry) = Registry::shared() else { return };
    let (world, host) = (impatient(), &*registry.host);
    push_by_hand(host, "faults/killed-pull", "1", image());
    let mut kills = 0;
    for moment in MOMENTS {
        for at in 1..200 {
            let proxy = Proxy::before(host).with_tokens(USER, PASSWORD);
            let out = world.outside("out");
            let from = format!("{}/faults/killed-pull:1", proxy.host);
            let args = format!("image copy {from} oci:{}", out.display());
            fs::remove_dir_all(world.outside("cache")).ok();
            fs::remove_dir_all(&out).ok();
            let killed = killed(&world, &proxy, &args, at, moment);
            if killed {
                kills += 1;
                assert!(!out.join("index.json").exists(), "before request {at} it was not there");
                proxy.renew();
                ended(&mut tool(&world, &proxy, &args)).ends_with(0);
            }
            let valid = world.run(&format!("image validate oci:{}", out.display()));
            assert_eq!(valid.ends_with(0).line(), image().digest);
            let blobs = contents(&out.join("blobs/sha256"));
            assert_eq!(blobs, contents(&image().dir.join("blobs/sha256")), "{at}, {moment:?}");
            if !killed {
                break;
            }
        }
    }
    said(&format!("{kills} kills of a pull"));
    assert!(kills > 15, "{kills} kills");
}

/// What was uploaded before the kill is not uploaded again.
#[test]
fn what_a_killed_push_brought_stays() {
    let Some(registry) = Registry::shared() else { return };
    let (world, host) = (impatient(), &*registry.host);
    let proxy = Proxy::before(host).with_tokens(USER, PASSWORD);
    let args = format!("image copy {} {}/faults/killed-late:1", image().stored(), proxy.host);
    proxy.inject(Step::TagPut, 1..=1, Fault::Kill(Moment::Before));
    let running = start(&mut tool(&world, &proxy, &args));
    proxy.watch(&running.child);
    assert_eq!(running.end().unwrap().code, None);
    proxy.renew();
    ended(&mut tool(&world, &proxy, &args)).ends_with(0);
    let counts = [Step::Put, Step::ManifestPut, Step::TagPut].map(|step| proxy.count(step));
    assert_eq!(counts, [0, 0, 1]);
    assert_pushed(&world, host, "faults/killed-late", "1", image());
}
