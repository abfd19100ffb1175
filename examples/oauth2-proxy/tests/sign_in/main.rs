//! Signing in, with nothing played: the real oauth2-proxy in two replicas, Redis, an OpenID provider,
//! Chromium, and before them nginx, Caddy, Traefik or Envoy, all with the files of `deploy/`, in which
//! only addresses, paths and certificates are replaced. Slow, so `DOCKLESS_OAUTH2=1` asks for it.
#![cfg(unix)]

use serde_json::json;

use front::Front;
use site::Site;

mod browser;
mod front;
mod redirects;
mod site;

/// A URL whose query a careless redirect would cut or change.
const ASKED: &str = "https://alerts.example.com/silences?filter=a%3D%22b%22&x=1&y=%2F%2Fz&x=2";
const PROM: &str = "https://prom.example.com/graph?expr=up&range=1h";

#[test]
fn behind_nginx() {
    promises(Front::Nginx);
}

#[test]
fn behind_caddy() {
    promises(Front::Caddy);
}

#[test]
fn behind_traefik() {
    promises(Front::Traefik);
}

#[test]
fn behind_envoy() {
    promises(Front::Envoy);
}

fn promises(front: Front) {
    let Some(mut site) = Site::start(front) else { return };
    nobody_gets_in_without_a_session(&site);
    sign_in_returns_to_the_very_url(&mut site);
    the_other_application_asks_nothing(&mut site);
    the_cookie_is_for_browsers_and_the_parent_domain_alone(&mut site);
    forged_headers_do_not_reach_the_application(&mut site);
    redirects::lead_nowhere_else(&mut site);
    groups_restrict_each_application(&mut site);
    two_tabs_sign_in_at_the_same_time(&mut site);
    a_killed_replica_loses_nobodys_session(&mut site);
    an_expired_session_leads_to_sign_in_again(&mut site);
    sign_out_holds_for_both_and_at_the_provider(&mut site);
    the_callback_can_be_made_from_the_request(&mut site);
}

/// What the README says of applications without a common domain.
fn the_callback_can_be_made_from_the_request(site: &mut Site) {
    let answer = site.start_without_redirect_url("alerts.example.com");
    let location = answer.header("location").unwrap();
    let callback = "redirect_uri=https%3A%2F%2Falerts.example.com%2Foauth2%2Fcallback";
    assert!(location.contains(callback), "{location}");
}

fn nobody_gets_in_without_a_session(site: &Site) {
    for args in [
        &[][..],
        &["--header", "X-Auth-Request-User: alice"],
        &["--header", "Cookie: __Secure-oauth2-proxy=v2.forged.1.forged"],
        &["--header", "Cookie: __Secure-oauth2-proxy=v2.forged.1.forged", "--request", "POST"],
        &["--data", "a=b"],
        &["--header", "Authorization: Bearer forged"],
    ] {
        let answer = site.curl(ASKED, args);
        assert_eq!(answer.status, 302, "{args:?}: {answer:?}");
        let location = answer.header("location").unwrap();
        assert!(location.starts_with("https://id.example.net/auth?"), "{location}");
        let callback = "redirect_uri=https%3A%2F%2Flogin.example.com%2Foauth2%2Fcallback";
        assert!(location.contains(callback), "{location}");
        assert_eq!(redirects::after_sign_in(location), ASKED);
        assert!(!answer.body.contains("Signed in"), "{answer:?}");
    }
    // oauth2-proxy answers some of these without a session; an application's are no exception.
    for path in ["/ping", "/ready", "/robots.txt", "/oauth2/auth", "/oauth2/sign_in", "/metrics"] {
        let answer = site.curl(&format!("https://alerts.example.com{path}"), &[]);
        let hidden = site.front == Front::Nginx && path == "/oauth2/auth";
        assert_eq!(answer.status, if hidden { 404 } else { 302 }, "{path}: {answer:?}");
    }
}

fn sign_in_returns_to_the_very_url(site: &mut Site) {
    let seen = site.ask(json!({"do": "goto", "person": "alice", "url": ASKED}));
    assert!(seen["url"].as_str().unwrap().starts_with("https://id.example.net/"), "{seen}");
    let seen = site.ask(json!({"do": "sign_in", "person": "alice"}));
    assert_eq!(seen["url"], ASKED, "{seen}");
    let text = seen["text"].as_str().unwrap();
    for part in ["alerts", "Signed in: alice, alice@example.org", ASKED] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

fn the_other_application_asks_nothing(site: &mut Site) {
    let seen = site.ask(json!({"do": "goto", "person": "alice", "url": PROM}));
    assert_eq!((&seen["url"], &seen["status"]), (&json!(PROM), &json!(200)), "{seen}");
    assert_eq!(seen["redirects"], json!([]), "{seen}");
    assert!(seen["text"].as_str().unwrap().starts_with("prom\n"), "{seen}");
}

fn the_cookie_is_for_browsers_and_the_parent_domain_alone(site: &mut Site) {
    let cookies = site.ask(json!({"do": "cookies", "person": "alice"}));
    let ours: Vec<_> =
        cookies.as_array().unwrap().iter().filter(|it| it["domain"] != "id.example.net").collect();
    // That of the sign-in itself is gone.
    assert_eq!(ours.len(), 1, "{ours:?}");
    let cookie = ours[0];
    assert_eq!(cookie["name"], "__Secure-oauth2-proxy");
    assert_eq!(cookie["domain"], ".example.com");
    assert_eq!(cookie["path"], "/");
    assert_eq!((&cookie["secure"], &cookie["httpOnly"]), (&json!(true), &json!(true)));
    assert_eq!(cookie["sameSite"], "Lax");
    assert_eq!(cookie["session"], false);
    // A ticket, which fits into one cookie whatever the provider puts into its tokens.
    assert!(cookie["size"].as_u64().unwrap() < 1024, "{cookie}");
}

fn forged_headers_do_not_reach_the_application(site: &mut Site) {
    let cookie = site.session("alice");
    let forged = [
        "X-Auth-Request-User: root",
        "X-Auth-Request-Email: root@example.org",
        "X-Auth-Request-Groups: alerts-users",
        "X-Auth-Request-Preferred-Username: root",
        "x-auth-request-user: root",
        "X_Auth_Request_User: root",
    ];
    for header in forged {
        let answer = site.curl(ASKED, &["--header", &cookie, "--header", header]);
        // Envoy Gateway refuses names with an underscore.
        if answer.status == 400 && header.starts_with("X_") {
            continue;
        }
        assert_eq!(answer.status, 200, "{header}: {answer:?}");
        assert!(answer.body.contains("Signed in: alice, alice@example.org\n"), "{answer:?}");
        assert!(!answer.body.contains("root"), "{header}: {answer:?}");
    }
}

fn groups_restrict_each_application(site: &mut Site) {
    let url = format!("{PROM}&as=bob");
    site.ask(json!({"do": "goto", "person": "bob", "url": url}));
    let seen = site.ask(json!({"do": "sign_in", "person": "bob"}));
    assert_eq!((&seen["url"], &seen["status"]), (&json!(url), &json!(200)), "{seen}");
    for url in [
        ASKED.to_owned(),
        // The groups of the configuration hold, not those of a query.
        format!("{ASKED}&allowed_groups=prom-users"),
        "https://alerts.example.com/?allowed_groups=prom-users".to_owned(),
        "https://alerts.example.com/oauth2/auth?allowed_groups=prom-users".to_owned(),
    ] {
        let seen = site.ask(json!({"do": "goto", "person": "bob", "url": url}));
        let refused =
            if site.front == Front::Nginx && url.contains("/oauth2/auth") { 404 } else { 403 };
        assert_eq!((&seen["url"], &seen["status"]), (&json!(url), &json!(refused)), "{seen}");
        assert!(!seen["text"].as_str().unwrap().contains("Signed in"), "{seen}");
    }
    let cookie = site.session("bob");
    let groups = "X-Auth-Request-Groups: alerts-users";
    assert_eq!(site.curl(ASKED, &["--header", &cookie, "--header", groups]).status, 403);
}

fn two_tabs_sign_in_at_the_same_time(site: &mut Site) {
    let urls = [format!("{ASKED}&tab=1"), format!("{PROM}&tab=2")];
    site.expire_sessions();
    // With a provider that knows nobody, both tabs stop at its form.
    site.ask(json!({"do": "forget", "person": "alice"}));
    for (tab, url) in urls.iter().enumerate() {
        let seen = site.ask(json!({"do": "goto", "person": "alice", "tab": tab, "url": url}));
        assert!(seen["url"].as_str().unwrap().starts_with("https://id.example.net/"), "{seen}");
    }
    for (tab, url) in urls.iter().enumerate() {
        let seen = site.ask(json!({"do": "sign_in", "person": "alice", "tab": tab}));
        assert_eq!((&seen["url"], &seen["status"]), (&json!(url), &json!(200)), "{seen}");
    }
}

fn a_killed_replica_loses_nobodys_session(site: &mut Site) {
    let cookie = site.session("alice");
    for killed in [0, 1] {
        site.kill(killed);
        for _ in 0..20 {
            let answer = site.curl(ASKED, &["--header", &cookie]);
            assert_eq!(answer.status, 200, "without replica {killed}: {answer:?}");
        }
        site.run(killed);
    }
    // Nor a sign-in that one began and the other ends.
    site.kill(0);
    site.ask(json!({"do": "forget", "person": "alice"}));
    let seen = site.ask(json!({"do": "goto", "person": "alice", "url": ASKED}));
    assert!(seen["url"].as_str().unwrap().starts_with("https://id.example.net/"), "{seen}");
    site.run(0);
    site.kill(1);
    let seen = site.ask(json!({"do": "sign_in", "person": "alice"}));
    assert_eq!((&seen["url"], &seen["status"]), (&json!(ASKED), &json!(200)), "{seen}");
    site.run(1);
}

fn an_expired_session_leads_to_sign_in_again(site: &mut Site) {
    let cookie = site.session("alice");
    assert_eq!(site.curl(ASKED, &["--header", &cookie]).status, 200);
    site.expire_sessions();
    let answer = site.curl(ASKED, &["--header", &cookie]);
    assert_eq!(answer.status, 302, "{answer:?}");
    // The provider still knows alice: she comes back without a form.
    let seen = site.ask(json!({"do": "goto", "person": "alice", "url": ASKED}));
    assert_eq!((&seen["url"], &seen["status"]), (&json!(ASKED), &json!(200)), "{seen}");
    let through = seen["redirects"].as_array().unwrap().iter();
    assert!(
        through.filter_map(|it| it.as_str()).any(|it| it.starts_with("https://id.example.net/")),
        "{seen}"
    );
}

fn sign_out_holds_for_both_and_at_the_provider(site: &mut Site) {
    site.ask(json!({"do": "goto", "person": "bob", "url": PROM}));
    let other = site.session("bob");
    let cookie = site.session("alice");
    site.ask(json!({"do": "goto", "person": "alice", "url": ASKED}));
    let seen = site.ask(json!({"do": "click", "person": "alice", "selector": "#sign-out"}));
    let url = seen["url"].as_str().unwrap();
    assert!(url.starts_with("https://id.example.net/session/end?id_token_hint=ey"), "{seen}");
    let seen = site.ask(json!({"do": "click", "person": "alice", "selector": "button[value=yes]"}));
    assert!(seen["url"].as_str().unwrap().starts_with("https://id.example.net/"), "{seen}");
    // The session is gone, not only the browser's cookie.
    for url in [ASKED, PROM] {
        let answer = site.curl(url, &["--header", &cookie]);
        assert_eq!(answer.status, 302, "{url}: {answer:?}");
        let seen = site.ask(json!({"do": "goto", "person": "alice", "url": url}));
        assert!(
            seen["url"].as_str().unwrap().starts_with("https://id.example.net/interaction/"),
            "{seen}"
        );
    }
    let cookies = site.ask(json!({"do": "cookies", "person": "alice"}));
    let cookies = cookies.as_array().unwrap();
    assert!(cookies.iter().all(|it| it["name"] != "__Secure-oauth2-proxy"), "{cookies:?}");
    assert_eq!(
        site.curl(PROM, &["--header", &other]).status,
        200,
        "another user is still signed in"
    );
}
