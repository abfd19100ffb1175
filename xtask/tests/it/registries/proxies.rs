//! Proxies, as the environment names them. `registry.test` is known to the tests' one alone.

use serde_json::json;

use super::*;
use crate::world::registries::servers::{Answer, ForwardProxy, SocksProxy, serve};
use crate::world::registries::write_logins;

/// A copy of the sample to a name, with these variables.
fn copy(world: &World, to: &str, flags: &[&str], vars: &[(&str, &str)]) -> Run {
    sample(world, "proxies");
    let mut tool = world.tool(["image", "copy", "-vv", "oci:layout", to]);
    tool.args(flags).env("DOCKER_CONFIG", world.outside("docker"));
    let run = run(tool.envs(vars.iter().copied()));
    discreet(&run);
    run
}

/// A world in which no try is made twice.
fn impatient() -> World {
    let table = "[workspace.metadata.dockless.network]\nretries = 0\ntimeout = 5\n";
    World::workspace(&[("tool", "1.0.0")], table)
}

#[test]
fn a_proxy_leads_to_a_registry_with_tls() {
    let Some(registry) = Registry::of(Software::V3, Access::Tls) else { return };
    let Some(certificates) = Certificates::shared() else { return };
    let flags = ["--ca", certificates.ca().to_str().unwrap()].map(str::to_owned);
    let flags = flags.each_ref().map(String::as_str);
    let world = World::empty();
    for (var, name, port) in [
        ("HTTPS_PROXY", "registry.test", 443),
        ("https_proxy", "registry.test:5443", 5443),
        ("ALL_PROXY", "registry.test", 443),
        ("all_proxy", "registry.test", 443),
    ] {
        let asked = format!("registry.test:{port}");
        let proxy = ForwardProxy::start(&[(&asked, &registry.host)]);
        for address in [proxy.address.clone(), format!("http://{}", proxy.address)] {
            let copied = copy(&world, &format!("{name}/proxies/tls:1"), &flags, &[(var, &address)]);
            assert_eq!(copied.code, Some(0), "{var}={address}: {}", copied.stderr);
        }
        let all = proxy.asked();
        assert!(!all.is_empty(), "{var}");
        assert!(all.iter().all(|it| *it == format!("CONNECT {asked}")), "{all:?}");
    }
    // A certificate must be for the name, whoever has led there.
    let proxy = ForwardProxy::start(&[("other.test:443", &registry.host)]);
    let vars = [("HTTPS_PROXY", &*proxy.address)];
    refused(&copy(&world, "other.test/proxies/tls:1", &flags, &vars), "other.test");
}

/// The proxy resolves the name, and its password is for it alone.
#[test]
fn a_socks_proxy_leads_to_a_registry_with_tls_and_without() {
    let Some(secure) = Registry::of(Software::V3, Access::Tls) else { return };
    let Some(plain) = Registry::shared() else { return };
    let Some(certificates) = Certificates::shared() else { return };
    let world = impatient();
    let names = [("registry.test:443", &*secure.host), ("registry.test:80", &plain.host)];
    let proxy = SocksProxy::start(&names, ("user", "s0cks-pass"));
    let address = |password: &str| format!("socks5h://user:{password}@{}", proxy.address);
    let good = address("s0cks-pass");
    let file = certificates.ca();
    let ca = ["--ca", file.to_str().unwrap()];
    for (flags, asked) in
        [(ca, "registry.test:443"), (["--plain-http", "registry.test"], "registry.test:80")]
    {
        let copied = copy(&world, "registry.test/proxies/socks:1", &flags, &[("ALL_PROXY", &good)]);
        copied.ends_with(0).never_says("s0cks-pass");
        assert_eq!(proxy.asked().last().map(String::as_str), Some(asked));
    }
    let to = "registry.test/proxies/socks:1";
    let other = copy(&world, to, &ca, &[("ALL_PROXY", &address("wr0ng-pass"))]);
    other.ends_with(1).says("through the proxy of ALL_PROXY").never_says("wr0ng-pass");
    let name = "nowhere.test/proxies/socks:1";
    let unknown = copy(&world, name, &ca, &[("ALL_PROXY", &good)]);
    unknown.ends_with(1).says("through the proxy of ALL_PROXY").never_says("s0cks-pass");
}

#[test]
fn a_proxy_leads_to_a_registry_without_tls() {
    let Some(registry) = Registry::shared() else { return };
    let proxy = ForwardProxy::start(&[
        ("registry.test:80", &registry.host),
        ("registry.test:5000", &registry.host),
    ]);
    let (world, address) = (World::empty(), &*proxy.address);
    for name in ["registry.test", "registry.test:5000"] {
        let before = proxy.asked().len();
        let to = format!("{name}/proxies/plain:1");
        copy(&world, &to, &["--plain-http", name], &[("HTTP_PROXY", address)]).ends_with(0);
        assert!(proxy.asked().len() > before, "{name}");
    }
    // Without leave, nothing is said without TLS, to a proxy neither.
    let impatient = impatient();
    let asked = registry.requests("proxies/refused");
    let refusal =
        copy(&impatient, "registry.test/proxies/refused:1", &[], &[("ALL_PROXY", address)]);
    refused(&refusal, "registry.test");
    assert_eq!(asked, registry.requests("proxies/refused"));
    assert!(!proxy.asked().iter().any(|it| it.starts_with("GET http://registry.test:443")));
}

/// What is on this machine, and what NO_PROXY names, is reached directly.
#[test]
fn some_are_never_reached_by_a_proxy() {
    let Some(registry) = Registry::shared() else { return };
    let proxy = ForwardProxy::start(&[]);
    let world = World::empty();
    let all = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let vars = all.map(|name| (name, &*proxy.address));
    for name in ["127.0.0.1", "localhost"] {
        let to = format!("{name}:{}/proxies/direct:1", registry.port());
        copy(&world, &to, &[], &vars).ends_with(0);
    }
    let host = format!("0.0.0.0:{}", registry.port());
    let to = format!("{host}/proxies/direct:1");
    for direct in ["0.0.0.0", "*", "registry.test,0.0.0.0", "registry.test, 0.0.0.0/8", &host] {
        for name in ["NO_PROXY", "no_proxy"] {
            let vars: Vec<(&str, &str)> = vars.into_iter().chain([(name, direct)]).collect();
            let copied = copy(&world, &to, &["--plain-http", &host], &vars);
            assert_eq!(copied.code, Some(0), "{name}={direct}: {}", copied.stderr);
        }
    }
    assert_eq!(proxy.asked(), Vec::<String>::new());
    let impatient = impatient();
    for direct in ["", "1.0.0.0", "0.0.0.0:1", "registry.test"] {
        let vars: Vec<(&str, &str)> = vars.into_iter().chain([("NO_PROXY", direct)]).collect();
        let before = proxy.asked().len();
        copy(&impatient, &to, &["--plain-http", &host], &vars).ends_with(1);
        assert!(proxy.asked().len() > before, "{direct:?}");
    }
}

/// A proxy's own password goes to it, and into no message.
#[test]
fn a_proxy_may_want_a_login() {
    let Some(registry) = Registry::of(Software::V3, Access::Tls) else { return };
    let Some(certificates) = Certificates::shared() else { return };
    let proxy = ForwardProxy::start(&[("registry.test:443", &registry.host)]);
    let (world, ca) = (World::empty(), certificates.ca());
    let address = format!("http://{USER}:correct%20horse@{}", proxy.address);
    let flags = ["--ca", ca.to_str().unwrap()];
    let vars = [("HTTPS_PROXY", &*address)];
    copy(&world, "registry.test/proxies/login:1", &flags, &vars).ends_with(0);
    let login = Some(format!("Basic {}", encoded(USER, PASSWORD)));
    let logins = proxy.logins();
    assert!(!logins.is_empty() && logins.iter().all(|it| *it == login), "{logins:?}");
}

#[test]
fn a_proxy_that_refuses_is_named_without_its_password() {
    let world = impatient();
    let refusing = serve(|request| {
        let status = if request.headers.contains_key("proxy-authorization") { 403 } else { 407 };
        Answer::new(status, "not through me")
    });
    // Nobody listens there any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in
        [refusing.clone(), format!("{USER}:correct%20horse@{refusing}"), gone.to_string()]
    {
        let address = format!("http://{address}");
        for (var, flags) in
            [("HTTPS_PROXY", &[][..]), ("HTTP_PROXY", &["--plain-http", "registry.test"][..])]
        {
            let refusal =
                copy(&world, "registry.test/proxies/refused:1", flags, &[(var, &address)]);
            refused(&refusal, "registry.test");
            // A proxy answers for the registry where it is not asked for a tunnel.
            assert!(var == "HTTP_PROXY" || refusal.stderr.contains(var), "{}", refusal.stderr);
        }
    }
    for wrong in ["http://", "ftp://proxy.test", "http://a b", "http://proxy.test:99999"] {
        let vars = [("HTTPS_PROXY", wrong)];
        refused(&copy(&world, "registry.test/proxies/wrong:1", &[], &vars), "HTTPS_PROXY");
    }
    let vars = [("HTTPS_PROXY", "http://tester:correct horse@")];
    refused(&copy(&world, "registry.test/proxies/wrong:1", &[], &vars), "HTTPS_PROXY");
}

/// GitHub's token is for GitHub's registry, which is played here, and for no other.
#[test]
fn the_token_of_a_workflow_is_for_github() {
    let Some(registry) = Registry::of(Software::V3, Access::TlsBasic) else { return };
    let Some(certificates) = Certificates::shared() else { return };
    let proxy = ForwardProxy::start(&[
        ("ghcr.io:443", &registry.host),
        ("registry.test:443", &registry.host),
    ]);
    let (world, ca) = (World::empty(), certificates.ca());
    let flags = ["--ca", ca.to_str().unwrap()];
    let vars =
        [("HTTPS_PROXY", &*proxy.address), ("GITHUB_TOKEN", PASSWORD), ("GITHUB_ACTOR", USER)];
    write_logins(&world, "docker", "{}");
    copy(&world, "ghcr.io/proxies/github:1", &flags, &vars).ends_with(0);
    refused(&copy(&world, "registry.test/proxies/github:1", &flags, &vars), "registry.test");
    // What somebody has logged in with counts before it.
    let auths = json!({ "ghcr.io": { "auth": encoded(USER, "wrong") } });
    write_logins(&world, "docker", &json!({ "auths": auths }).to_string());
    refused(&copy(&world, "ghcr.io/proxies/github:1", &flags, &vars), "ghcr.io");
    let vars = [("HTTPS_PROXY", &*proxy.address), ("GITHUB_TOKEN", "wrong")];
    let auths = json!({ "ghcr.io/proxies": { "auth": encoded(USER, PASSWORD) } });
    write_logins(&world, "docker", &json!({ "auths": auths }).to_string());
    copy(&world, "ghcr.io/proxies/github:1", &flags, &vars).ends_with(0);
}

/// Docker Hub's images, host and logins have names of their own each.
#[test]
fn docker_hub_is_found_by_its_names() {
    let Some(registry) = Registry::of(Software::V3, Access::TlsBasic) else { return };
    let Some(certificates) = Certificates::shared() else { return };
    let proxy = ForwardProxy::start(&[("registry-1.docker.io:443", &registry.host)]);
    let (world, ca) = (World::empty(), certificates.ca());
    let flags = ["--ca", ca.to_str().unwrap()];
    let vars = [("HTTPS_PROXY", &*proxy.address)];
    for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "docker.io/acme"] {
        let auths = json!({ key: { "auth": encoded(USER, PASSWORD) } });
        write_logins(&world, "docker", &json!({ "auths": auths }).to_string());
        for name in ["acme/hub:1", "docker.io/acme/hub:1", "docker://index.docker.io/acme/hub:1"] {
            let copied = copy(&world, name, &flags, &vars);
            assert_eq!(copied.code, Some(0), "{key}, {name}: {}", copied.stderr);
            assert!(copied.line().starts_with("docker.io/acme/hub@sha256:"), "{name}");
        }
    }
    assert!(!registry.requests("acme/hub").is_empty());
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|it| it == "CONNECT registry-1.docker.io:443"));
}
