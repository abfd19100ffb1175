//! Logins as files hold them, and what is said where there is none.

use super::*;

/// The user and the password, or the token alone; and what is odd.
fn searched(json: &str, name: &str) -> (Option<(String, String)>, Vec<String>) {
    let mut stored = Stored::parse(json.as_bytes()).unwrap();
    let found = stored.find(&Repository::parse(name).unwrap(), &Env::scrub([])).unwrap();
    let login = found.map(|(login, _)| match login {
        Login::Password { user, password } => (user, password.expose().to_owned()),
        Login::Identity(token) => (TOKEN_USER.to_owned(), token.expose().to_owned()),
    });
    (login, stored.invalid)
}

fn login(json: &str, name: &str) -> Option<(String, String)> {
    searched(json, name).0
}

#[test]
fn the_most_exact_login_counts() {
    // `a:b`, `c:d:e` and `f:g`
    let json = r#"{"auths": {
        "ghcr.io": {"auth": "YTpi"},
        "ghcr.io/acme": {"auth": "YzpkOmU="},
        "https://index.docker.io/v1/": {"username": "u", "password": "p"},
        "quay.io": {"identitytoken": "t", "auth": "ZjpnCg=="},
        "empty.test": {}
    }}"#;
    let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    for (name, expected) in [
        ("ghcr.io/other/app", pair("a", "b")),
        ("ghcr.io/acme/app", pair("c", "d:e")),
        ("ghcr.io/acmes/app", pair("a", "b")),
        ("alpine", pair("u", "p")),
        ("quay.io/a/b", pair(TOKEN_USER, "t")),
        ("empty.test/a", None),
        ("other.test/a", None),
    ] {
        assert_eq!(login(json, name), expected, "{name}");
    }
}

#[test]
fn logins_are_looked_for_where_other_tools_keep_them() {
    let env = |vars: &[(&str, &str)]| {
        Env::scrub(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    };
    let home = ("HOME", "/h");
    for (vars, expected) in [
        (vec![home], vec!["/h/.docker/config.json", "/h/.config/containers/auth.json"]),
        (vec![home, ("REGISTRY_AUTH_FILE", "/a.json")], vec!["/a.json"]),
        (
            vec![home, ("DOCKER_CONFIG", "/d"), ("XDG_RUNTIME_DIR", "/r")],
            vec!["/d/config.json", "/r/containers/auth.json", "/h/.config/containers/auth.json"],
        ),
        (vec![], vec![]),
    ] {
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(files_of_logins(&env(&vars)), expected, "{vars:?}");
    }
}

/// `us:secret`, and whatever else files hold beside and instead of it.
#[test]
fn logins_are_read_as_others_write_them() {
    let right = Some(("us".to_owned(), "secret".to_owned()));
    for (what, json) in [
        ("plain", r#"{"auths": {"r.test": {"auth": "dXM6c2VjcmV0"}}}"#),
        ("a byte order mark", "\u{feff}{\"auths\": {\"r.test\": {\"auth\": \"dXM6c2VjcmV0\"}}}"),
        ("lines", r#"{"auths": {"r.test": {"auth": "dXM6\n  c2Vj\r\ncmV0\n"}}}"#),
        (
            "no helper",
            r#"{"auths": {"r.test": {"auth": "dXM6c2VjcmV0"}}, "credHelpers": {"r.test": ""}}"#,
        ),
        (
            "no helper but one for all",
            r#"{"auths": {"r.test": {"auth": "dXM6c2VjcmV0"}},
            "credHelpers": {"r.test": ""}, "credsStore": "absent"}"#,
        ),
        (
            "nulls",
            r#"{"auths": {"r.test": {"auth": "dXM6c2VjcmV0", "identitytoken": null,
            "username": null, "email": null}, "x.test": null}, "credHelpers": null,
            "credsStore": null, "HttpHeaders": null}"#,
        ),
        (
            "a helper that is null",
            r#"{"auths": {"r.test": {"auth": "dXM6c2VjcmV0"}}, "credHelpers": {"r.test": null}}"#,
        ),
        (
            "odd fields",
            r#"{"auths": {"r.test": {"auth": "dXM6c2VjcmV0"}}, "credHelpers": 3, "credsStore": []}"#,
        ),
        (
            "odd neighbours",
            r#"{"auths": {"a.test": 3, "b.test": {"auth": "x"}, "c.test": {"auth": []},
            "r.test": {"auth": "dXM6c2VjcmV0"}}}"#,
        ),
        (
            "an odd entry before it",
            r#"{"auths": {"r.test/a": {"auth": "no colon"}, "r.test": {"auth": "dXM6c2VjcmV0"}}}"#,
        ),
        ("twice", r#"{"auths": {"r.test": {"auth": "YTpi"}, "r.test": {"auth": "dXM6c2VjcmV0"}}}"#),
        (
            "in other case",
            r#"{"Auths": {"R.test": {"Auth": "dXM6c2VjcmV0", "identityToken": ""}}}"#,
        ),
        (
            "in two forms",
            r#"{"auths": {"https://r.test/v1/access-token": {"auth": "YTpi"},
            "https://r.test/v1/": {"auth": "dXM6c2VjcmV0"}}}"#,
        ),
        (
            "in the clear",
            r#"{"auths": {"r.test": {"auth": "", "username": "us", "password": "secret"}}}"#,
        ),
    ] {
        assert_eq!(login(json, "r.test/a/b"), right, "{what}");
    }
    let of = |auth: &str| {
        login(&format!(r#"{{"auths": {{"r.test": {{"auth": "{auth}"}}}}}}"#), "r.test/a")
    };
    // `a:?>~` and `u:secr`, which need padding, or letters that addresses do without.
    for (auth, user, password) in [
        ("YTo/Pn4=", "a", "?>~"),
        ("YTo/Pn4", "a", "?>~"),
        ("YTo_Pn4", "a", "?>~"),
        ("YTo_Pn4=\\n", "a", "?>~"),
        ("dTpzZWNy", "u", "secr"),
        ("dTo=", "u", ""),
    ] {
        assert_eq!(of(auth), Some((user.to_owned(), password.to_owned())), "{auth}");
    }
    for text in ["", " \n", "\u{feff}", "{}", r#"{"auths": []}"#, r#"{"auths": {"r.test": {}}}"#] {
        assert_eq!(login(text, "r.test/a/b"), None, "{text}");
    }
}

/// A login for one name is not for its neighbours.
#[test]
fn a_narrow_login_stays_narrow() {
    for (key, fits, others) in [
        ("r.test/acme/v2", "r.test/acme/v2/app", "r.test/acme/other"),
        ("r.test/acme/v1", "r.test/acme/v1", "r.test/acme/other"),
        ("r.test/acme/app/v2", "r.test/acme/app/v2", "r.test/acme/app"),
        ("r.test/v2", "r.test/v2/app", "r.test/acme/app"),
        ("r.test/acme/", "r.test/acme/app", "r.test/acmes/app"),
        ("r.test:5000", "r.test:5000/a", "r.test/a"),
        ("docker.io/acme", "acme/app", "other/app"),
    ] {
        let json = format!(r#"{{"auths": {{"{key}": {{"auth": "YTpi"}}}}}}"#);
        assert!(login(&json, fits).is_some(), "{key}: {fits}");
        assert_eq!(login(&json, others), None, "{key}: {others}");
    }
}

#[test]
fn without_a_login_the_files_that_were_read_are_named() {
    let vars = |vars: &[(&str, &str)]| {
        Env::scrub(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    };
    let looked = ["/a.json, which does not exist".to_owned()];
    let named = vars(&[("REGISTRY_AUTH_FILE", "/a.json")]);
    let help = not_found("r.test", &looked, &[], &named);
    assert!(help.contains("podman login --authfile /a.json r.test"), "{help}");
    assert!(help.contains("in /a.json, which does not exist"), "{help}");
    let looked = ["/d/config.json".to_owned(), "/r/auth.json".to_owned()];
    let odd = ["the login for r.test: it is no object".to_owned()];
    let help = not_found("r.test", &looked, &odd, &vars(&[]));
    for part in ["in /d/config.json, or in /r/auth.json", &odd[0], "`docker login r.test`"] {
        assert!(help.contains(part), "{help}");
    }
}

#[test]
fn what_is_no_login_is_told_without_being_shown() {
    for entry in [
        r#"{"auth": "hunter2!"}"#,
        r#"{"auth": "aHVudGVyMg=="}"#,
        r#"{"auth": ["hunter2"]}"#,
        r#"{"identitytoken": {"hunter2": 1}}"#,
        r#""hunter2""#,
    ] {
        let json = format!(r#"{{"auths": {{"ghcr.io": {entry}}}}}"#);
        let (login, odd) = searched(&json, "ghcr.io/a/b");
        assert_eq!((login, odd.len()), (None, 1), "{entry}");
        assert!(odd[0].contains("ghcr.io") && !odd[0].contains("hunter2"), "{odd:?}");
    }
    for helper in ["", "../x", "a b", "/bin/sh"] {
        assert!(ask(helper, "ghcr.io", &Env::scrub([])).is_err(), "{helper}");
    }
}
