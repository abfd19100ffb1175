//! Passwords and tokens go to whom they are for, and are seen nowhere else.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

use super::*;
use crate::world::proxy::{ALWAYS, Answer, Fault, ONCE, Place, Step};
use crate::world::{judge, names, skipped};

/// With the password itself in each request: a registry without tokens.
#[test]
fn a_password_follows_no_redirect_and_no_location() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    push_by_hand(&registry.host, "faults/redirected", "1", image());
    let away = |to: &str| Fault::RedirectTo(to.to_owned());
    let foreign = |to: &str| Fault::Location(Place::Foreign(to.to_owned()));
    type Case<'a> = (Step, &'a dyn Fn(&str) -> Fault, bool);
    let cases: &[Case<'_>] = &[
        (Step::Post, &foreign, true),
        (Step::BlobGet, &away, true),
        (Step::Ping, &away, false),
        (Step::BlobHead, &away, false),
        (Step::Post, &away, false),
        (Step::Put, &away, false),
        (Step::ManifestHead, &away, false),
        (Step::ManifestPut, &away, false),
        (Step::TagPut, &away, false),
        (Step::ManifestGet, &away, false),
    ];
    for (at, (step, fault, works)) in cases.iter().enumerate() {
        for name in ["127.0.0.1", "localhost"] {
            let elsewhere = Proxy::before(&registry.host);
            let proxy = Proxy::before(&registry.host).with_password(USER, PASSWORD);
            let (_, port) = elsewhere.host.split_once(':').unwrap();
            proxy.inject(*step, ALWAYS, fault(&format!("{name}:{port}")));
            let (out, cache) = (world.outside("out"), world.outside("cache"));
            fs::remove_dir_all(&cache).ok();
            let pull =
                format!("image copy {}/faults/redirected:1 oci:{}", proxy.host, out.display());
            let to = format!("{}/faults/redirected-{at}-{name}:1", proxy.host);
            let push = format!("image copy {} {to}", image().stored());
            for args in [pull, push] {
                let run = ended(&mut tool(&world, &proxy, &args));
                assert!(run.code == Some(0) || unclear(&run).is_none(), "{step:?}: {run:?}");
                assert!(!*works || run.code == Some(0), "{step:?}: {}", run.stderr);
            }
            let told: Vec<_> =
                elsewhere.seen().into_iter().filter(|seen| seen.authorization.is_some()).collect();
            assert!(told.is_empty(), "{step:?}: {told:?}");
            assert!(!*works || !elsewhere.seen().is_empty(), "{step:?}: nobody came");
        }
    }
}

/// Whoever answers at the end of a redirect or a Location may ask for a login, by a token
/// server of its own, and gets none.
#[test]
fn what_another_host_asks_for_is_not_given() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    push_by_hand(&registry.host, "faults/challenged", "1", image());
    for step in [Step::BlobGet, Step::ManifestGet, Step::ManifestHead, Step::Ping, Step::Post] {
        let thief = Proxy::before(&registry.host);
        let realm = format!("http://{}/token", thief.host);
        let elsewhere = Proxy::before(&registry.host).with_realm(&realm);
        let proxy = Proxy::before(&registry.host).with_password(USER, PASSWORD);
        let to = elsewhere.host.clone();
        proxy.inject(
            step,
            ALWAYS,
            match step {
                Step::Post => Fault::Location(Place::Foreign(to)),
                _ => Fault::RedirectTo(to),
            },
        );
        fs::remove_dir_all(world.outside("cache")).ok();
        let out = world.outside("out");
        let pull = format!("image copy {}/faults/challenged:1 oci:{}", proxy.host, out.display());
        let push = format!("image copy {} {}/faults/challenged-to:1", image().stored(), proxy.host);
        for args in [pull, push] {
            let run = ended(&mut tool(&world, &proxy, &args));
            assert!(run.code == Some(0) || unclear(&run).is_none(), "{step:?}: {run:?}");
        }
        let told = elsewhere.seen().into_iter().filter(|seen| seen.authorization.is_some());
        assert_eq!((told.count(), thief.seen().len()), (0, 0), "{step:?}");
    }
}

/// The same server by another name is another origin.
#[test]
fn the_same_server_by_another_name_is_not_told() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    let named = proxy.host.replace("127.0.0.1", "localhost");
    proxy.inject(Step::Post, ONCE, Fault::Location(Place::Foreign(named.clone())));
    let to = format!("{}/faults/named:1", proxy.host);
    let run = ended(&mut tool(&world, &proxy, &format!("image copy {} {to}", image().stored())));
    assert!(run.code == Some(0) || unclear(&run).is_none(), "{run:?}");
    let there: Vec<_> = proxy.seen().into_iter().filter(|seen| seen.host == named).collect();
    assert!(!there.is_empty());
    assert!(there.iter().all(|seen| seen.authorization.is_none()), "{there:?}");
}

#[test]
fn a_secret_is_seen_nowhere() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    let temporary = world.outside("tmp");
    fs::create_dir(&temporary).unwrap();
    for (at, asks) in ["tokens", "password", "wrong"].iter().enumerate() {
        let proxy = Proxy::before(&registry.host);
        let proxy = match *asks {
            "tokens" => proxy.with_tokens(USER, PASSWORD),
            "password" => proxy.with_password(USER, PASSWORD),
            _ => proxy.with_tokens(USER, "another"),
        };
        // What is retried and renewed is traced too.
        proxy.inject(Step::Put, ONCE, Fault::ResetInBody(100));
        proxy.inject(Step::BlobHead, ONCE, Fault::Expired);
        proxy.inject(Step::TagPut, ONCE, Fault::retry_after("1"));
        // Whatever goes to another machine would pass here.
        let others = Proxy::playing(Answer::new(502, &[], ""));
        let there = format!("{}/faults/canary-{at}:1", proxy.host);
        for args in [
            format!("image copy -vv {} {there}", image().stored()),
            format!("image copy -vv --json {there} oci:../pulled-{at}"),
            format!("image inspect -vv --json {there}"),
            format!("image validate -vv {there}"),
            format!("image inspect -q {there}-missing"),
        ] {
            let mut tool = tool(&world, &proxy, &args);
            tool.env("TMPDIR", &temporary);
            for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"] {
                tool.env(name, format!("http://{}", others.host));
            }
            let (run, seen) = watched(&mut tool);
            let fails = *asks == "wrong" || args.ends_with("missing");
            assert_eq!(run.code, Some(i32::from(fails)), "{args}:\n{}", run.stderr);
            assert!(
                !args.contains("-vv") || fails || run.stderr.contains("GET"),
                "nothing is traced"
            );
            let mut secrets = proxy.tokens();
            secrets.extend([PASSWORD.to_owned(), encoded(USER, PASSWORD)]);
            for text in [&run.stdout, &run.stderr, &seen] {
                let told = secrets.iter().find(|secret| text.contains(*secret));
                assert_eq!(told, None, "{args}:\n{text}");
            }
            // What a query says may be a signature.
            for query in queries(&proxy) {
                assert!(!run.stderr.contains(&query), "{query:?} in:\n{}", run.stderr);
            }
            let mut files = holding(world.root().parent().unwrap(), &secrets);
            files.retain(|path| !path.starts_with(world.outside("logins")));
            assert_eq!(files, Vec::<PathBuf>::new(), "{args}");
            assert_eq!(names(&temporary), Vec::<String>::new(), "{args}");
        }
        assert!(others.seen().is_empty(), "{:?}", others.seen());
    }
}

/// The values of all queries that are no digests and no names.
fn queries(proxy: &Proxy) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    for seen in proxy.seen() {
        let query = seen.path.split_once('?').unwrap_or_default().1;
        let state = query.split('&').filter_map(|part| part.strip_prefix("_state="));
        values.extend(state.map(str::to_owned));
    }
    values
}

/// Runs to the end and returns, too, the command lines of all processes meanwhile.
fn watched(command: &mut Command) -> (Run, String) {
    let over = AtomicBool::new(false);
    scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut lines = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    // Most are no processes, and some are gone.
                    let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    lines.insert(String::from_utf8_lossy(&line).replace('\0', " "));
                }
            }
            lines.into_iter().collect::<Vec<_>>().join("\n")
        });
        let run = ended(command);
        over.store(true, Ordering::Relaxed);
        (run, watcher.join().unwrap())
    })
}

/// Every connection that is made, as the system sees it.
#[test]
fn nobody_else_is_called() {
    let (Some(registry), Some(strace)) = (Registry::shared(), judge("strace")) else { return };
    let world = impatient();
    let proxy = Proxy::before(&registry.host).with_tokens(USER, PASSWORD);
    let to = format!("{}/faults/calls:1", proxy.host);
    let port = proxy.host.split_once(':').unwrap().1;
    let trace = world.outside("trace");
    for args in [format!("image copy {} {to}", image().stored()), format!("image inspect {to}")] {
        let tool = tool(&world, &proxy, &args);
        let mut traced =
            world.with(&strace, ["-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o"]);
        traced.arg(&trace).arg(tool.get_program()).args(tool.get_args());
        traced.envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let run = ended(&mut traced);
        if run.code != Some(0) && run.stderr.contains("ptrace") {
            return skipped("strace may not trace here");
        }
        run.ends_with(0);
        let calls = fs::read_to_string(&trace).unwrap();
        let ours = format!("sin_port=htons({port}), sin_addr=inet_addr(\"127.0.0.1\")");
        let inet = calls.lines().filter(|line| line.contains("AF_INET"));
        let (to_us, others): (Vec<&str>, Vec<&str>) = inet.partition(|line| line.contains(&ours));
        assert!(!to_us.is_empty() && others.is_empty(), "{others:?}");
    }
}

/// Who asks for a password must be trusted with it.
#[test]
fn a_token_server_elsewhere_without_tls_is_refused() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    // Whatever the tool sends to the name would come here.
    let site = Proxy::playing(Answer::new(200, &[], "{\"token\": \"x\"}"));
    for realm in ["http://tokens.test/token", "http://tokens.test:5000/token", "ftp://x/", "x"] {
        let proxy = Proxy::before(&registry.host).with_realm(realm);
        let from = format!("{}/faults/realm:1", proxy.host);
        let mut tool = tool(&world, &proxy, &format!("image inspect {from}"));
        tool.env("HTTP_PROXY", format!("http://{}", site.host));
        let refused = ended(tool.env("ALL_PROXY", format!("http://{}", site.host)));
        fails(&refused).says(&proxy.host);
        assert!(site.seen().is_empty(), "{realm}: {:?}", site.seen());
    }
}

/// A wrong password is not the same as none: nobody comes in without being asked.
#[test]
fn a_wrong_password_is_said_and_not_left_out() {
    let Some(registry) = Registry::shared() else { return };
    let world = impatient();
    for proxy in [
        Proxy::before(&registry.host).with_tokens(USER, "another"),
        Proxy::before(&registry.host).with_password(USER, "another"),
    ] {
        let to = format!("{}/faults/wrong-password:1", proxy.host);
        let args = format!("image copy {} {to}", image().stored());
        let refused = ended(&mut tool(&world, &proxy, &args));
        fails(&refused).says(&proxy.host);
        let anonymous = |seen: &&crate::world::proxy::Seen| {
            seen.step == Step::Token && seen.authorization.is_none()
        };
        assert_eq!(proxy.seen().iter().filter(anonymous).count(), 0);
        assert!(proxy.seen().len() < 10, "it is not tried again: {:?}", proxy.seen());
        assert_eq!(tagged(&registry.host, "faults/wrong-password", "1"), None);
    }
}
