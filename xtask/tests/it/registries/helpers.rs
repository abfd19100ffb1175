//! Credential helpers: other programs that know the logins, and what they may do wrong.
//! <https://github.com/docker/docker-credential-helpers>

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::world::registries::tokens::Who;
use crate::world::registries::write_logins;

/// A program `docker-credential-tests` of these lines of shell.
fn helper(world: &World, lines: &str) {
    world.script("bin/docker-credential-tests", lines);
}

/// One that knows the login, if it is asked right.
fn knowing(host: &str, user: &str, secret: &str) -> String {
    let login = json!({ "ServerURL": host, "Username": user, "Secret": secret });
    format!("[ \"$1\" = get ] && [ \"$(cat)\" = '{host}' ] || exit 9\nprintf '%s\\n' '{login}'\n")
}

/// A copy to the registry, with this config.json and the helper on PATH.
fn copy(world: &World, registry: &Registry, config: &Value) -> Run {
    sample(world, "helpers");
    let file = write_logins(world, "docker", &config.to_string());
    let to = format!("{}/helpers/app:1", registry.host);
    let mut tool = world.tool(["image", "copy", "-vv", "oci:layout", &to]);
    tool.env("PATH", world.path_with("bin")).env("HOME", world.outside("home"));
    let run = run(tool.env("DOCKER_CONFIG", file.parent().unwrap()));
    discreet(&run);
    run
}

fn auths(host: &str, password: &str) -> Value {
    json!({ host: { "auth": encoded(USER, password) } })
}

#[test]
fn a_helper_is_asked_before_the_file_is_looked_into() {
    let Some(registry) = Registry::of(Software::V3, Access::Basic) else { return };
    let host = &*registry.host;
    let world = World::empty();
    helper(&world, &knowing(host, USER, PASSWORD));
    world.script("bin/docker-credential-wrong", &knowing(host, USER, "wrong"));
    for (what, config) in [
        ("for all", json!({ "credsStore": "tests" })),
        ("for this one", json!({ "credHelpers": { host: "tests" } })),
        ("this one's", json!({ "credsStore": "wrong", "credHelpers": { host: "tests" } })),
        ("not another's", json!({ "credsStore": "tests", "credHelpers": { "ghcr.io": "wrong" } })),
        ("docker's own", json!({ "credsStore": "tests", "auths": { host: {} } })),
        ("before the file", json!({ "credsStore": "tests", "auths": auths(host, "wrong") })),
    ] {
        let copied = copy(&world, registry, &config);
        assert_eq!(copied.code, Some(0), "{what}: {}", copied.stderr);
    }
    let wrong = json!({ "credsStore": "wrong", "auths": auths(host, PASSWORD) });
    refused(&copy(&world, registry, &wrong), host);
}

/// What a helper knows is an identity token where its user is `<token>`.
#[test]
fn a_helper_may_keep_an_identity_token() {
    let Some(registry) = Registry::of(Software::V3, Access::Token) else { return };
    let world = World::empty();
    helper(&world, &knowing(&registry.host, "<token>", IDENTITY));
    copy(&world, registry, &json!({ "credsStore": "tests" })).ends_with(0);
    let grants = registry.tokens().grants("helpers/app");
    assert_eq!(grants.last().unwrap().who, Who::Identity, "{grants:?}");
}

/// A helper that knows nothing of a registry is no error.
#[test]
fn a_helper_that_knows_nothing_leaves_it_to_the_file() {
    let Some(registry) = Registry::of(Software::V3, Access::Basic) else { return };
    let host = &*registry.host;
    let world = World::empty();
    for told in ["", " >&2"] {
        helper(&world, &format!("echo 'credentials not found in native keychain'{told}\nexit 1\n"));
        let config = json!({ "credsStore": "tests", "auths": auths(host, PASSWORD) });
        copy(&world, registry, &config).ends_with(0);
        let config = json!({ "credsStore": "tests" });
        refused(&copy(&world, registry, &config), host).says("docker login");
    }
}

/// What a helper prints may be the secret itself, so none of it is shown.
#[test]
fn a_helper_that_fails_is_named_and_not_quoted() {
    let Some(registry) = Registry::of(Software::V3, Access::Basic) else { return };
    let host = &*registry.host;
    let world = World::empty();
    // A right login in the file must not hide the failure.
    let config = json!({ "credsStore": "tests", "auths": auths(host, PASSWORD) });
    refused(&copy(&world, registry, &config), "docker-credential-tests").says("on PATH");
    let secret = json!({ "ServerURL": host, "Username": USER, "Secret": PASSWORD }).to_string();
    for lines in [
        "echo garbage\n",
        "exit 3\n",
        "kill -9 $$\n",
        "printf '\\377\\376'\n",
        "echo '{}'\n",
        "echo '[]'\n",
        &format!("echo '{PASSWORD}'\n"),
        &format!("echo '{PASSWORD}'; exit 1\n"),
        &format!("echo '{PASSWORD}' >&2; exit 1\n"),
        &format!("echo '{secret} and more'\n"),
        &format!("echo '{secret}' >&2\nexit 2\n"),
        "while :; do echo 0123456789012345678901234567890123456789; done\n",
    ] {
        helper(&world, lines);
        let refusal = copy(&world, registry, &config);
        refused(&refusal, "docker-credential-tests").never_says("0123456789012345");
    }
    for name in ["../tests", "a b", "tests;true"] {
        let config = json!({ "credHelpers": { host: name } });
        refused(&copy(&world, registry, &config), name);
    }
}

/// What it prints beside the login on stderr, where it works, stays there.
#[test]
fn a_helper_that_works_may_say_what_it_likes() {
    let Some(registry) = Registry::of(Software::V3, Access::Basic) else { return };
    let world = World::empty();
    let knowing = knowing(&registry.host, USER, PASSWORD);
    helper(&world, &format!("echo '{PASSWORD}' >&2\n{knowing}"));
    copy(&world, registry, &json!({ "credsStore": "tests" })).ends_with(0);
}

/// One that waits for ever is given up, with all that it started.
#[test]
fn a_helper_that_hangs_is_given_up() {
    let Some(registry) = Registry::of(Software::V3, Access::Basic) else { return };
    let world = World::empty();
    // It is asked once, for all that is to be done, or each time would take as long.
    helper(&world, "echo $$ >>\"$HOME.pid\"\nsleep 1000 &\necho $! >>\"$HOME.child\"\nwait\n");
    let refusal = copy(&world, registry, &json!({ "credsStore": "tests" }));
    refused(&refusal, "docker-credential-tests");
    for name in ["home.pid", "home.child"] {
        let ids = fs::read_to_string(world.outside(name)).unwrap();
        let [id] = ids.lines().collect::<Vec<_>>()[..] else { panic!("{name}: {ids}") };
        let status = || fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The dead who wait to be buried are no matter, and dying takes its moment.
        let gone = || status().is_empty() || status().contains(") Z ");
        let began = Instant::now();
        while !gone() && began.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(20));
        }
        assert!(gone(), "{name} lives on: {}", status());
    }
}
