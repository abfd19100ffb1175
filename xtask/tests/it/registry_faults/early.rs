//! What is asked of a registry before its answer is needed: while programs are compiled and
//! layers are made. Whatever comes of it, the push ends as it would without.

use std::sync::Barrier;
use std::time::Duration;

use super::*;
use crate::world::proxy::{ALWAYS, Fault, ONCE, Seen, Step, refusal};

/// A project whose image was pushed once to a registry behind the proxy, so that the next push
/// logs in while it compiles.
fn pushed(proxy: &Proxy) -> World {
    let world = World::committed("1.0.0");
    push(&world, proxy).ends_with(0);
    proxy.renew();
    world
}

/// What repositories are below; tests that run at the same time share nothing.
fn below(proxy: &Proxy) -> String {
    format!("{}/early-{}", proxy.host, proxy.host.rsplit(':').next().unwrap())
}

/// Pushes the image of the project.
fn push(world: &World, proxy: &Proxy) -> Run {
    let args = format!("image --push --json --repository {}", below(proxy));
    ended(&mut tool(world, proxy, &args))
}

/// Another program, and so another layer.
fn change(world: &World, text: &str) {
    world.file("src/main.rs", &format!("fn main() {{ println!(\"{text}\"); }}\n"));
}

fn count(seen: &[Seen], method: &str, part: &str) -> usize {
    seen.iter().filter(|it| it.method == method && it.path.contains(part)).count()
}

/// Requires that the image is in the registry as it was said to be.
#[track_caller]
fn assert_there(registry: &Registry, proxy: &Proxy, run: &Run) {
    let said: Value = serde_json::from_str(&run.ends_with(0).stdout).unwrap();
    let digest = said["images"][0]["digest"].as_str().unwrap();
    let tags = said["images"][0]["pushed"][0]["tags"].as_array().unwrap();
    for tag in tags {
        let repository = format!("{}/tool", below(proxy).rsplit('/').next().unwrap());
        let named = tagged(&registry.host, &repository, tag.as_str().unwrap());
        assert_eq!(named.as_deref(), Some(digest), "{tag}: {}", run.stderr);
    }
    assert!(!tags.is_empty());
}

fn sent(run: &Run) -> Value {
    let said: Value = serde_json::from_str(&run.ends_with(0).stdout).unwrap();
    said["images"][0]["pushed"][0]["sent"].clone()
}

/// A changed program costs one upload of its layer and one of the config, each begun once, and
/// one manifest, which goes up under its tag.
#[test]
fn a_changed_program_is_pushed_with_the_fewest_requests() {
    let Some(registry) = Registry::shared() else { return };
    for proxy in [
        Proxy::before(&registry.host),
        Proxy::before(&registry.host).with_tokens(USER, PASSWORD),
        Proxy::before(&registry.host).with_password(USER, PASSWORD),
    ] {
        let world = pushed(&proxy);
        change(&world, &proxy.host);
        let run = push(&world, &proxy);
        assert_there(registry, &proxy, &run);
        let seen: Vec<Seen> =
            proxy.seen().into_iter().filter(|it| it.status != Some(401)).collect();
        let puts = count(&seen, "PUT", "/manifests/");
        assert_eq!((count(&seen, "POST", "/uploads/"), puts), (2, 1), "{seen:#?}");
        assert_eq!(count(&seen, "PUT", "/uploads/"), 2, "{seen:#?}");
        assert_eq!(count(&seen, "DELETE", ""), 0, "{seen:#?}");
        // Nothing is asked for twice but the tag, which is confirmed in the end.
        let heads: Vec<&str> =
            seen.iter().filter(|it| it.method == "HEAD").map(|it| &*it.path).collect();
        for head in &heads {
            let times = heads.iter().filter(|other| other == &head).count();
            let most = if head.contains("/manifests/1") { 2 } else { 1 };
            assert!(times <= most, "{head}: {heads:?}");
        }
        // And if nothing has changed, nothing is begun.
        proxy.renew();
        let again = push(&world, &proxy);
        assert_there(registry, &proxy, &again);
        let methods: Vec<String> = proxy.seen().into_iter().map(|it| it.method).collect();
        assert!(methods.iter().all(|it| ["GET", "HEAD"].contains(&&**it)), "{methods:?}");
    }
}

/// What the registry makes of early requests changes nothing.
#[test]
fn early_requests_may_fail() {
    let Some(registry) = Registry::shared() else { return };
    let denied = || Fault::refusal(403, "DENIED");
    // Two uploads are begun early: of the layer and of the config.
    for (at, (step, hits, fault)) in [
        (Step::Post, ONCE, Fault::retry_after("1")),
        (Step::Post, 1..=2, Fault::retry_after("1")),
        (Step::Post, 1..=2, denied()),
        (Step::Post, 1..=2, Fault::Reset),
        (Step::Post, 1..=2, Fault::AnswerLost),
        (Step::Post, 1..=2, Fault::Closes),
        (Step::Post, 1..=2, Fault::status(500)),
        (Step::Put, ONCE, Fault::status(404)),
        (Step::Put, 1..=2, Fault::status(404)),
        (Step::Put, 1..=2, Fault::refusal(404, "BLOB_UPLOAD_UNKNOWN")),
        (Step::Put, ONCE, Fault::refusal(400, "BLOB_UPLOAD_INVALID")),
        (Step::Put, ONCE, Fault::Early(refusal(404, "BLOB_UPLOAD_UNKNOWN", "early"))),
        (Step::Put, ONCE, Fault::ResetInBody(100)),
        // A registry that closes its connections when they are idle.
        (Step::Ping, ALWAYS, Fault::Closes),
        (Step::Token, ALWAYS, Fault::Closes),
        (Step::ManifestHead, ALWAYS, Fault::Closes),
        (Step::BlobHead, ALWAYS, Fault::Closes),
        (Step::ManifestHead, ONCE, Fault::status(500)),
        (Step::ManifestHead, ONCE, denied()),
        (Step::BlobHead, ONCE, Fault::retry_after("1")),
        (Step::Ping, ONCE, Fault::status(503)),
        (Step::Ping, ONCE, Fault::Reset),
    ]
    .into_iter()
    .enumerate()
    {
        let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
        let world = pushed(&proxy);
        change(&world, &format!("{at} {}", proxy.host));
        let what = format!("{at}: {step:?}, {fault:?}");
        proxy.inject(step, hits, fault);
        let run = push(&world, &proxy);
        assert_eq!(run.code, Some(0), "{what}: {}", run.stderr);
        assert!(proxy.seen().iter().any(|it| it.faulted), "{what}: it was not met");
        assert_there(registry, &proxy, &run);
    }
}

/// Uploads that were begun for layers which the registry turns out to have are cancelled, and
/// nothing is sent; one that it refuses to begin is not missed.
#[test]
fn uploads_that_are_not_needed_are_cancelled() {
    let Some(registry) = Registry::shared() else { return };
    let proxy = Proxy::before(&registry.host);
    let world = World::committed("1.0.0");
    change(&world, &proxy.host);
    push(&world, &proxy).ends_with(0);
    for refused in [false, true] {
        // As after a clean-up of the machine: the layers are made again.
        fs::remove_dir_all(world.outside("cache").join("layer")).unwrap();
        proxy.renew();
        if refused {
            proxy.inject(Step::Post, ALWAYS, Fault::refusal(403, "DENIED"));
        }
        let run = push(&world, &proxy);
        assert_there(registry, &proxy, &run);
        assert_eq!(sent(&run)["blobs"], 0, "{}", run.stderr);
        let seen = proxy.seen();
        let begun = seen.iter().filter(|it| it.step == Step::Post && it.status == Some(202));
        assert_eq!(count(&seen, "DELETE", "/uploads/"), begun.count(), "{seen:#?}");
        assert!(count(&seen, "POST", "/uploads/") > 0 && count(&seen, "PUT", "") == 0);
    }
}

/// Where a file of a program was changed, the upload is initiated before the program is compiled.
#[test]
fn an_edited_program_has_its_upload_before_it_is_compiled() {
    let Some(registry) = Registry::shared() else { return };
    let proxy = Proxy::before(&registry.host);
    let world = pushed(&proxy);
    change(&world, &proxy.host);
    let go = world.outside("go");
    let wait = format!("fn main() {{ while !std::path::Path::new({go:?}).exists() {{}} }}\n");
    world.file("build.rs", &wait);
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| push(&world, &proxy));
        while count(&proxy.seen(), "POST", "/uploads/") == 0 && !run.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        fs::write(&go, "").unwrap();
        run.join().unwrap()
    });
    assert_there(registry, &proxy, &run);
    assert_eq!(count(&proxy.seen(), "DELETE", ""), 0, "{:#?}", proxy.seen());
}

/// A registry that is far away is asked what a tag names while the tag is moved. Such an answer
/// counts once the registry has moved it; one that came too early is asked for again.
#[test]
fn a_tag_far_away_is_confirmed_while_it_is_moved() {
    let Some(registry) = Registry::shared() else { return };
    for (moved, heads) in
        [(Fault::AnswerMeets as fn(_) -> _, 3..=3), (Fault::Meet as fn(_) -> _, 3..=4)]
    {
        let proxy = Proxy::before(&registry.host);
        let world = pushed(&proxy);
        change(&world, &proxy.host);
        let barrier = Arc::new(Barrier::new(2));
        // The first two ask what the tag and `latest` name before the push.
        proxy.inject(Step::ManifestHead, 3..=3, Fault::Meet(Arc::clone(&barrier)));
        proxy.inject(Step::TagPut, ONCE, moved(barrier));
        proxy.inject(None, ALWAYS, Fault::Late(Duration::from_millis(40)));
        let run = push(&world, &proxy);
        assert_there(registry, &proxy, &run);
        let seen = proxy.count(Step::ManifestHead);
        assert!(heads.contains(&seen), "{seen}, not {heads:?}: {:#?}", proxy.seen());
    }
}

/// A login that is refused is the error, also where the registry was pushed to before, and the
/// compiler is not waited for.
#[test]
fn a_login_that_is_refused_meanwhile_ends_the_build() {
    let Some(registry) = Registry::shared() else { return };
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    let world = pushed(&proxy);
    change(&world, "another");
    // It would take so long that a test that waits for it fails.
    let wait = "fn main() { std::thread::sleep(std::time::Duration::from_secs(600)); }";
    world.file("build.rs", wait);
    let args = format!("image --push --repository {}", below(&proxy));
    let run = ended(&mut with_login(&world, &proxy.host, (USER, "wrong"), &args));
    fails(&run).says(&format!("prepare the push to {}/tool", below(&proxy)));
    run.says("docker login").never_says("cargo build");
    assert_eq!(count(&proxy.seen(), "PUT", ""), 0);
}
