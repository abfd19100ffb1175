//! Whose login is used, from which file, and what is said of it.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;
use crate::world::registries::tokens::{PUBLIC, Who};
use crate::world::registries::write_logins;

/// A copy of the sample, by a user whose home is empty but for what is told here.
fn copy<V: AsRef<OsStr>>(world: &World, to: &str, vars: &[(&str, V)]) -> Run {
    if !world.path("layout").exists() {
        sample(world, "logins");
    }
    let run = run(as_nobody(world, &format!("image copy -vv oci:layout {to}"))
        .envs(vars.iter().map(|(name, value)| (name, value))));
    discreet(&run);
    run
}

fn as_nobody(world: &World, args: &str) -> Command {
    let mut tool = world.tool(args.split(' '));
    tool.env("HOME", world.outside("home"));
    tool
}

/// The two that want to know who comes.
fn guarded() -> impl Iterator<Item = &'static Registry> {
    [Access::Basic, Access::Token].into_iter().filter_map(|it| Registry::of(Software::V3, it))
}

/// The logins in a folder, as DOCKER_CONFIG.
fn docker_config(world: &World, auths: &Value) -> [(&'static str, PathBuf); 1] {
    let text = json!({ "auths": auths }).to_string();
    [("DOCKER_CONFIG", write_logins(world, "docker", &text).parent().unwrap().to_owned())]
}

#[test]
fn a_login_is_found_in_each_form_that_a_file_has_it_in() {
    let right = json!({ "auth": encoded(USER, PASSWORD) });
    let wrong = json!({ "auth": encoded(USER, "wrong") });
    let world = World::empty();
    for registry in guarded() {
        let host = &*registry.host;
        let key = |path: &str| format!("{host}{path}");
        for (what, auths) in [
            ("a host", json!({ host: right })),
            ("in the clear", json!({ host: { "username": USER, "password": PASSWORD } })),
            ("an address", json!({ format!("https://{host}"): right })),
            ("an address with a path", json!({ format!("http://{host}/v2/"): right })),
            ("an old address", json!({ format!("https://{host}/v1/"): right })),
            ("a repository", json!({ key("/logins/deep/app"): right })),
            (
                "the longest",
                json!({ host: wrong, key("/logins"): wrong, key("/logins/deep"): right }),
            ),
            ("no part of a name", json!({ host: right, key("/logins/dee"): wrong })),
            ("another one's", json!({ host: right, key("/logins/deep/other"): wrong })),
            ("an entry of a helper", json!({ key("/logins/deep"): {}, host: right })),
        ] {
            let to = format!("{host}/logins/deep/app:1");
            let copied = copy(&world, &to, &docker_config(&world, &auths));
            assert_eq!(copied.code, Some(0), "{what}: {}", copied.stderr);
        }
        // What counts for one repository does not for its neighbour.
        let auths = json!({ host: wrong, key("/logins/deep"): right });
        let to = format!("{host}/logins/other:1");
        refused(&copy(&world, &to, &docker_config(&world, &auths)), host);
    }
}

/// What is odd in a file blocks nobody, and is told to who asks; `-v` says what was used.
#[test]
fn an_odd_entry_blocks_no_other() {
    let Some(registry) = Registry::of(Software::V3, Access::Basic) else { return };
    let host = &*registry.host;
    let world = World::empty();
    let auth = encoded(USER, PASSWORD);
    let (start, end) = auth.split_at(5);
    let right = json!({ "auth": auth });
    let to = format!("{host}/logins/odd:1");
    for (what, config) in [
        ("no helper", json!({ "auths": { host: right }, "credHelpers": { host: "" } })),
        (
            "no helper but for others",
            json!({ "auths": { host: right }, "credHelpers": { host: "" }, "credsStore": "absent" }),
        ),
        ("nulls", json!({ "auths": { host: right, "x.test": null }, "credHelpers": null })),
        ("lines", json!({ "auths": { host: { "auth": format!("{start}\n {end}\n") } } })),
        ("no end", json!({ "auths": { host: { "auth": auth.trim_end_matches('=') } } })),
        (
            "neighbours",
            json!({ "auths": { "a.test": 3, "b.test": { "auth": "?" }, host: right }, "credsStore": 1 }),
        ),
        (
            "its own",
            json!({ "auths": { format!("{host}/logins/odd"): { "auth": "bm8=" }, host: right } }),
        ),
    ] {
        let file = write_logins(&world, "odd", &format!("\u{feff}{config}"));
        let vars = [("DOCKER_CONFIG", file.parent().unwrap())];
        let copied = copy(&world, &to, &vars);
        assert_eq!(copied.code, Some(0), "{what}: {}", copied.stderr);
        copied.says(&format!("with the login kept for {host} in {}", file.display()));
        copied.never_says(&auth).never_says(PASSWORD);
    }
}

/// A login for one name is told to nobody who asks for another.
#[test]
fn a_narrow_login_is_for_nothing_else() {
    let world = World::empty();
    for registry in guarded() {
        let host = &*registry.host;
        let right = json!({ "auth": encoded(USER, PASSWORD) });
        for key in ["acme/v2", "acme/v1", "acme/app/v2", "acme/v2/", "v2"] {
            let auths = json!({ format!("{host}/{key}"): right });
            let to = format!("{host}/acme/other:1");
            let refusal = copy(&world, &to, &docker_config(&world, &auths));
            refused(&refusal, host).says(&format!("no login for {host} was found"));
        }
    }
}

/// Who is told to log in is told where it was looked for.
#[test]
fn the_help_names_the_files_that_were_read() {
    let world = World::empty();
    for registry in guarded() {
        let host = &*registry.host;
        let to = format!("{host}/logins/help:1");
        let absent = world.outside("absent.json");
        let named = absent.display().to_string();
        let refusal = copy(&world, &to, &[("REGISTRY_AUTH_FILE", &absent)]);
        refused(&refusal, host)
            .says(&format!("in {named}, which does not exist"))
            .says(&format!("podman login --authfile {named} {host}"))
            .never_says("docker login");
        let file = write_logins(&world, "odd", &json!({ "auths": { host: 3 } }).to_string());
        let refusal = copy(&world, &to, &[("DOCKER_CONFIG", file.parent().unwrap())]);
        refused(&refusal, host)
            .says(&format!("in {}", file.display()))
            .says(&format!("the login for {host}: it is no object"))
            .says(&format!("docker login {host}"));
        let wrong = json!({ host: { "auth": encoded(USER, "wrong") } });
        let vars = docker_config(&world, &wrong);
        let file = vars[0].1.join("config.json");
        let refusal = copy(&world, &to, &vars);
        refused(&refusal, host).says(&format!("for {host} in {}", file.display()));
    }
}

#[test]
fn a_login_is_found_where_docker_and_podman_keep_it() {
    for registry in guarded() {
        let world = World::empty();
        let to = format!("{}/logins/places:1", registry.host);
        let auth = json!({ "auth": encoded(USER, PASSWORD) });
        let logins = json!({ "auths": { &*registry.host: auth } }).to_string();
        // A file before it that knows nothing of the registry hides none of these.
        let empty = write_logins(&world, "empty", r#"{"auths":{}}"#);
        let empty = empty.parent().unwrap();
        for (var, value, file) in [
            ("DOCKER_CONFIG", "there", "there/config.json"),
            ("REGISTRY_AUTH_FILE", "there/named.json", "there/named.json"),
            ("XDG_RUNTIME_DIR", "there", "there/containers/auth.json"),
            ("HOME", "there", "there/.config/containers/auth.json"),
            ("HOME", "there", "there/.docker/config.json"),
        ] {
            fs::remove_dir_all(world.outside("there")).ok();
            let file = world.outside(file);
            let written = write_logins(&world, "written", &logins);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::rename(written, &file).unwrap();
            let mut vars = vec![(var, world.outside(value))];
            if !file.ends_with("config.json") {
                vars.push(("DOCKER_CONFIG", empty.to_owned()));
            }
            let copied = copy(&world, &to, &vars);
            assert_eq!(copied.code, Some(0), "{}: {}", file.display(), copied.stderr);
            copied.never_says("warning: ");
        }
    }
}

/// A wrong password is an error, and not a reason to ask without one.
#[test]
fn a_wrong_password_is_said_and_nothing_else_is_tried() {
    let world = World::empty();
    for registry in guarded() {
        let host = &*registry.host;
        let wrong = json!({ host: { "auth": encoded(USER, "wrong") } });
        for repository in ["logins/wrong", &format!("{PUBLIC}wrong")] {
            let to = format!("{host}/{repository}:1");
            let refusal = copy(&world, &to, &docker_config(&world, &wrong));
            refused(&refusal, host).says("help: ").never_says(&encoded(USER, "wrong"));
            assert_eq!(writes(&registry.requests(repository)), Vec::<&String>::new());
        }
    }
    let Some(registry) = Registry::of(Software::V3, Access::Token) else { return };
    let (host, name) = (&*registry.host, format!("{PUBLIC}app"));
    put(&world, registry, "public", &format!("{name}:1"));
    let pull = |vars: &[(&str, PathBuf)]| {
        fs::remove_dir_all(world.outside("out")).ok();
        let args = format!("image copy -vv {host}/{name}:1 oci:{}", world.outside("out").display());
        run(as_nobody(&world, &args).envs(vars.iter().cloned()))
    };
    pull(&[]).ends_with(0);
    let grants = registry.tokens().grants(&name);
    assert_eq!(grants.last().unwrap().who, Who::Anonymous, "{grants:?}");
    let wrong = json!({ host: { "auth": encoded(USER, "wrong") } });
    refused(&pull(&docker_config(&world, &wrong)), host);
    assert!(!world.outside("out").exists());
    let later = registry.tokens().grants(&name).split_off(grants.len());
    assert!(!later.is_empty(), "the password was tried");
    assert!(later.iter().all(|grant| grant.who == Who::Stranger), "{later:?}");
}

#[test]
fn without_a_login_the_error_says_how_to_get_one() {
    let world = World::empty();
    for registry in guarded() {
        let to = format!("{}/logins/nobody:1", registry.host);
        refused(&copy(&world, &to, &[("CI", "")]), &registry.host).says("docker login");
        // GitHub's token is for GitHub.
        let github = [("GITHUB_TOKEN", PASSWORD), ("GITHUB_ACTOR", USER)];
        refused(&copy(&world, &to, &github), &registry.host);
        assert_eq!(writes(&registry.requests("logins/nobody")), Vec::<&String>::new());
    }
}

/// Tokens are asked for what is to be done, and no more often than needed.
#[test]
fn a_token_is_asked_for_once_and_for_what_is_done() {
    let Some(registry) = Registry::of(Software::V3, Access::Token) else { return };
    let world = World::empty();
    put(&world, registry, "scopes", "logins/scopes:1");
    let grants = registry.tokens().grants("logins/scopes");
    let scopes: Vec<&[String]> = grants.iter().map(|grant| &*grant.scopes).collect();
    assert_eq!(scopes, [["repository:logins/scopes:pull,push"]]);
    assert_eq!(grants[0].who, Who::Password);
    let from = format!("image validate {}/logins/scopes:1", registry.host);
    run(&mut tool(&world, registry, &from)).ends_with(0);
    let grants = registry.tokens().grants("logins/scopes");
    assert_eq!(grants[1].scopes, ["repository:logins/scopes:pull"]);
    assert_eq!(grants.len(), 2, "{grants:?}");
}

/// What a login elsewhere left behind, in docker's and in podman's form.
#[test]
fn an_identity_token_is_exchanged() {
    let Some(registry) = Registry::of(Software::V3, Access::Token) else { return };
    let host = &*registry.host;
    let world = World::empty();
    let nobody = encoded("00000000-0000-0000-0000-000000000000", "");
    let entry = |token: &str| json!({ host: { "auth": nobody, "identitytoken": token } });
    let to = format!("{host}/logins/identity:1");
    copy(&world, &to, &docker_config(&world, &entry(IDENTITY))).ends_with(0);
    let grants = registry.tokens().grants("logins/identity");
    assert!(!grants.is_empty(), "the token was exchanged");
    assert!(grants.iter().all(|grant| grant.who == Who::Identity), "{grants:?}");
    refused(&copy(&world, &to, &docker_config(&world, &entry("stale"))), host).never_says("stale");
    // Where a password is wanted, there is nothing to exchange it for.
    let Some(basic) = Registry::of(Software::V3, Access::Basic) else { return };
    let auths = json!({ &*basic.host: { "identitytoken": IDENTITY } });
    let to = format!("{}/logins/identity:1", basic.host);
    refused(&copy(&world, &to, &docker_config(&world, &auths)), &basic.host);
}

#[test]
fn a_file_of_logins_that_cannot_be_read_is_named() {
    let Some(registry) = Registry::of(Software::V3, Access::Basic) else { return };
    let host = &*registry.host;
    let world = World::empty();
    let to = format!("{host}/logins/malformed:1");
    let entry = |entry: Value| json!({ "auths": { host: entry } }).to_string();
    for text in [
        "",
        "{",
        r#"{"auths":3}"#,
        &format!("{PASSWORD}\n"),
        &format!(r#"{{"auths":{{"{host}":{{"auth":"{PASSWORD}}}}}"#),
        &entry(json!({ "auth": PASSWORD })),
        &entry(json!({ "auth": ["no", PASSWORD] })),
        &entry(json!({ "auth": "bm8gY29sb24=" })),
    ] {
        let file = write_logins(&world, "malformed", text);
        let folder = file.parent().unwrap();
        let refusal = copy(&world, &to, &[("DOCKER_CONFIG", folder)]);
        refused(&refusal, &file.display().to_string()).never_says("bm8gY29sb24=");
        let refusal = copy(&world, &to, &[("REGISTRY_AUTH_FILE", &file)]);
        refused(&refusal, &file.display().to_string());
    }
    let folder = world.outside("folder");
    fs::create_dir_all(folder.join("config.json")).unwrap();
    let refusal = copy(&world, &to, &[("DOCKER_CONFIG", &folder)]);
    refused(&refusal, &folder.join("config.json").display().to_string());
    // Whoever asks for nothing secret needs no such file.
    let Some(open) = Registry::shared() else { return };
    copy(&world, &format!("{}/logins/open:1", open.host), &[("DOCKER_CONFIG", &folder)])
        .ends_with(0);
}

#[test]
fn a_file_that_everybody_can_read_is_warned_of() {
    let Some(registry) = Registry::of(Software::V3, Access::Basic) else { return };
    let world = World::empty();
    let to = format!("{}/logins/public:1", registry.host);
    let auths = json!({ &*registry.host: { "auth": encoded(USER, PASSWORD) } });
    let vars = docker_config(&world, &auths);
    copy(&world, &to, &vars).ends_with(0).never_says("warning: ");
    let file = vars[0].1.join("config.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let warned = copy(&world, &to, &vars);
    warned.ends_with(0).says("warning").says(&format!("chmod 600 {}", file.display()));
    assert_eq!(warned.stderr.matches("chmod 600").count(), 1, "{}", warned.stderr);
}
