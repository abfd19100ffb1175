//! Whom the tool believes to be a registry, and whom it speaks to without TLS.

use std::fs;
use std::net::TcpListener;

use super::*;
use crate::world::registries::write_logins;
use crate::world::skipped;

/// A project with these lines in its table of the network, and a sample.
fn with(network: &str) -> World {
    let table = format!("[workspace.metadata.dockless.network]\n{network}\n");
    let world = World::workspace(&[("tool", "1.0.0")], &table);
    sample(&world, "trust");
    world
}

/// The tool that copies the sample to a name.
fn copy(world: &World, to: &str, flags: &[&str]) -> Command {
    let mut tool = world.tool(["image", "copy", "-vv", "oci:layout", to]);
    tool.args(flags).env("DOCKER_CONFIG", world.outside("docker"));
    tool
}

fn secure() -> Option<(&'static Registry, &'static Certificates)> {
    Some((Registry::of(Software::V3, Access::Tls)?, Certificates::shared()?))
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_authority_is_trusted_once_it_is_named() {
    let Some((registry, certificates)) = secure() else { return };
    let to = format!("{}/trust/named:1", registry.host);
    let world = with("");
    let ca = certificates.ca();
    let refusal = run(&mut copy(&world, &to, &[]));
    refused(&refusal, &registry.host).says("help: ").says("--ca");
    assert_eq!(registry.requests("trust/named"), Vec::<String>::new());

    run(&mut copy(&world, &to, &["--ca", text(&ca)])).ends_with(0);
    run(copy(&world, &to, &[]).env("SSL_CERT_FILE", &ca)).ends_with(0);
    // The flag adds to what is trusted, and SSL_CERT_FILE stands for what the system trusts.
    let mut both = copy(&world, &to, &["--ca", text(&ca)]);
    run(both.env("SSL_CERT_FILE", certificates.other_ca())).ends_with(0);
    for image in ["inspect", "validate"] {
        let args = ["image", image, &to, "--ca", text(&ca)];
        run(&mut world.tool(args)).ends_with(0);
    }
    // A relative path is one from where the command is run.
    fs::create_dir(world.path("below")).unwrap();
    fs::copy(&ca, world.path("below/own.pem")).unwrap();
    let mut below = world.tool(["image", "validate", &to, "--ca", "own.pem"]);
    run(below.current_dir(world.path("below"))).ends_with(0);
}

/// The setting's path begins at the workspace, wherever the tool is started.
#[test]
fn an_authority_can_be_a_setting() {
    let Some((registry, certificates)) = secure() else { return };
    let to = format!("{}/trust/setting:1", registry.host);
    let world = with("ca = \"certs/ca.pem\"");
    fs::create_dir(world.path("certs")).unwrap();
    fs::copy(certificates.ca(), world.path("certs/ca.pem")).unwrap();
    run(&mut copy(&world, &to, &[])).ends_with(0);
    let mut below = world.tool(["image", "validate", &to]);
    run(below.current_dir(world.path("tool"))).ends_with(0);
    let repository = format!("{}/trust", registry.host);
    let args = ["image", "--package", "tool", "--push", "--repository", &repository];
    let pushed = run(&mut world.tool(args));
    assert!(pushed.ends_with(0).line().starts_with(&format!("{repository}/tool@sha256:")));
}

#[test]
fn a_wrong_authority_is_an_error_that_says_so() {
    let Some((registry, certificates)) = secure() else { return };
    let to = format!("{}/trust/wrong:1", registry.host);
    let world = with("");
    let other = certificates.other_ca();
    refused(&run(&mut copy(&world, &to, &["--ca", text(&other)])), &registry.host);
    refused(&run(copy(&world, &to, &[]).env("SSL_CERT_FILE", &other)), &registry.host);
    world.file("empty.pem", "").file("garbage.pem", "no certificate\n");
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    world.file("broken.pem", broken);
    for name in ["missing.pem", "empty.pem", "garbage.pem", "broken.pem", "tool"] {
        refused(&run(&mut copy(&world, &to, &["--ca", name])), name);
        let mut from_variable = copy(&world, &to, &[]);
        refused(&run(from_variable.env("SSL_CERT_FILE", world.path(name))), name);
        let setting = with(&format!("ca = {name:?}"));
        for file in ["empty.pem", "garbage.pem", "broken.pem"] {
            setting.file(file, &world.read(file));
        }
        refused(&run(&mut copy(&setting, &to, &[])), name);
    }
    assert_eq!(registry.requests("trust/wrong"), Vec::<String>::new());
}

/// 0.0.0.0 leads to this machine, and is no address that is known to be its own.
#[test]
fn plain_http_is_only_for_those_who_are_named() {
    let Some(registry) = Registry::shared() else { return };
    let host = format!("0.0.0.0:{}", registry.port());
    let to = format!("{host}/trust/plain:1");
    let world = with("retries = 0");
    refused(&run(&mut copy(&world, &to, &[])), &host).says("plain-http");
    refused(&run(&mut copy(&world, &to, &["--plain-http", "0.0.0.0:1"])), &host);
    assert_eq!(registry.requests("trust/plain"), Vec::<String>::new());
    run(&mut copy(&world, &to, &["--plain-http", &host])).ends_with(0);
    let several = ["--plain-http", "registry.test", "--plain-http", &host];
    run(&mut copy(&world, &to, &several)).ends_with(0);
    let named = with(&format!("plain-http = [\"registry.test\", {host:?}]"));
    run(&mut copy(&named, &to, &[])).ends_with(0);
    for name in ["127.0.0.1", "localhost"] {
        let to = format!("{name}:{}/trust/plain:1", registry.port());
        run(&mut copy(&world, &to, &[])).ends_with(0);
    }
    for wrong in ["http://registry.test", "registry.test/path", "a b", ""] {
        let refusal = run(&mut copy(&world, &to, &["--plain-http", wrong]));
        assert!(matches!(refusal.code, Some(1 | 2)), "{wrong:?}: {}", refusal.stderr);
        refusal.no_result().says("plain-http");
    }
}

/// Nobody on the way learns a password.
#[test]
fn a_password_is_not_sent_without_tls() {
    let Some(registry) = Registry::of(Software::V3, Access::Basic) else { return };
    let host = format!("0.0.0.0:{}", registry.port());
    let to = format!("{host}/trust/password:1");
    let world = with("retries = 0");
    let auth = serde_json::json!({ &*host: { "auth": encoded(USER, PASSWORD) } });
    write_logins(&world, "docker", &serde_json::json!({ "auths": auth }).to_string());
    refused(discreet(&run(&mut copy(&world, &to, &[]))), &host);
    assert_eq!(registry.requests("trust/password"), Vec::<String>::new());
    run(&mut copy(&world, &to, &["--plain-http", &host])).ends_with(0);
}

/// A registry with TLS and a password, by the address of this machine and by another.
#[test]
fn a_password_is_sent_over_tls() {
    let Some(registry) = Registry::of(Software::V3, Access::TlsBasic) else { return };
    let Some(certificates) = Certificates::shared() else { return };
    let world = with("");
    for address in ["127.0.0.1", "0.0.0.0"] {
        let host = format!("{address}:{}", registry.port());
        let auth = serde_json::json!({ &*host: { "auth": encoded(USER, PASSWORD) } });
        write_logins(&world, "docker", &serde_json::json!({ "auths": auth }).to_string());
        let to = format!("{host}/trust/tls:1");
        let copied = run(&mut copy(&world, &to, &["--ca", text(&certificates.ca())]));
        discreet(&copied).ends_with(0);
    }
}

#[test]
fn a_registry_may_have_an_address_of_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skipped("this machine has no IPv6");
    }
    let world = World::empty();
    let digest = sample(&world, "trust");
    for access in [Access::Open, Access::Tls] {
        let Some(registry) = Registry::own(Software::V3, access, "[::1]") else { return };
        assert!(registry.host.starts_with("[::1]:"), "{}", registry.host);
        let to = format!("{}/trust/ipv6:1", registry.host);
        let copied = run(&mut tool(&world, &registry, &format!("image copy oci:layout {to}")));
        let reference = format!("{}/trust/ipv6@{digest}", registry.host);
        assert_eq!(copied.ends_with(0).line(), reference);
        let valid = run(&mut tool(&world, &registry, &format!("image validate {reference}")));
        assert_eq!(valid.ends_with(0).line(), digest);
    }
}

/// A registry that wants a certificate of its clients: as docker and podman keep it for them.
#[test]
fn a_client_has_the_certificate_that_is_kept_for_the_registry() {
    let Some(certificates) = Certificates::shared() else { return };
    let wanted = format!("REGISTRY_HTTP_TLS_CLIENTCAS=[{}]", certificates.ca().display());
    let own = Registry::own_with(Software::V3, Access::Tls, "127.0.0.1", &[&wanted]);
    let Some(registry) = own else { return };
    let world = World::empty();
    sample(&world, "mutual");
    let to = format!("{}/mutual:1", registry.host);
    let copy = || {
        let mut tool = world.tool(["image", "copy", "oci:layout", &to]);
        run(tool.env("HOME", world.outside("home")).env_remove("XDG_CONFIG_HOME"))
    };
    copy().ends_with(1).says("TLS");
    for folder in [".docker/certs.d", ".config/containers/certs.d"] {
        let dir = world.outside(&format!("home/{folder}/{}", registry.host));
        fs::create_dir_all(&dir).unwrap();
        let keep = |file: &str, name: &str| {
            fs::copy(certificates.file(file), dir.join(name)).unwrap();
        };
        // The authority alone is not enough, and a certificate needs its key.
        keep("trust/ca.crt", "ca.crt");
        copy().ends_with(1).no_result();
        keep("client.crt", "client.cert");
        copy().ends_with(1).says("client.cert has no key beside it").says("client.key");
        keep("client.key", "client.key");
        copy().ends_with(0).never_says("PRIVATE KEY");
        fs::remove_dir_all(&dir).unwrap();
    }
}
