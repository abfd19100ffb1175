//! A registry with TLS that leads to where there is none.

use super::*;
use crate::world::proxy::Answer;
use crate::world::registries::certificates::Certificates;
use crate::world::registries::{self, Access, Registry, Software};

/// Runs the tool with a login for a registry that is called by an address: `HOST`.
fn at(address: &str, registry: &Registry, world: &World, args: &str) -> Run {
    let host = format!("{address}:{}", registry.port());
    let login = (registries::USER, registries::PASSWORD);
    let mut tool = with_login(world, &host, login, &args.replace("HOST", &host));
    ended(tool.env("SSL_CERT_FILE", Certificates::shared().unwrap().ca()))
}

/// A place without TLS that answers all.
fn site(answer: &str) -> Proxy {
    Proxy::playing(Answer::new(200, &[("Content-Type", "application/json")], answer))
}

#[test]
fn tokens_are_not_asked_for_without_tls() {
    let Some(certificates) = Certificates::shared() else { return };
    let (world, site) = (with_retries(1), site("{\"token\": \"x\"}"));
    let (_, port) = site.host.split_once(':').unwrap();
    for realm in [site.host.clone(), format!("0.0.0.0:{port}")] {
        let vars = [
            format!("REGISTRY_AUTH_TOKEN_REALM=http://{realm}/token"),
            "REGISTRY_AUTH_TOKEN_SERVICE=registry.test".to_owned(),
            "REGISTRY_AUTH_TOKEN_ISSUER=registry.test".to_owned(),
            format!(
                "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE={}",
                certificates.file("tokens.crt").display()
            ),
        ];
        let vars: Vec<&str> = vars.iter().map(String::as_str).collect();
        let registry = Registry::own_with(Software::V3, Access::Tls, "127.0.0.1", &vars);
        let Some(registry) = registry else { return };
        for address in ["0.0.0.0", "127.0.0.1"] {
            let refused = at(address, &registry, &world, "image inspect HOST/tls/realm:1");
            fails(&refused).says(&format!("http://{realm}/token")).says("no TLS");
            assert!(site.seen().is_empty(), "{:?}", site.seen());
        }
    }
}

#[test]
fn a_redirect_away_from_tls_is_not_followed() {
    let (world, site) = (with_retries(1), site(""));
    let redirect = format!(
        "REGISTRY_MIDDLEWARE_STORAGE=[{{name: redirect, options: {{baseurl: \"http://{}/\"}}}}]",
        site.host
    );
    let registry = Registry::own_with(Software::V3, Access::TlsBasic, "127.0.0.1", &[&redirect]);
    let Some(registry) = registry else { return };
    // Only what is there is redirected.
    let push = format!("image copy {} HOST/tls/redirect:1", image().stored());
    at("127.0.0.1", &registry, &world, &push).ends_with(0);
    for address in ["0.0.0.0", "127.0.0.1"] {
        for args in
            ["image validate HOST/tls/redirect:1", "image copy HOST/tls/redirect:1 oci:../out"]
        {
            let refused = at(address, &registry, &world, args);
            fails(&refused).says(&format!("http://{}/", site.host)).says("no TLS");
        }
        assert!(site.seen().is_empty(), "{:?}", site.seen());
    }
}

/// Where an upload goes on is the registry's word, and followed no further than a redirect.
#[test]
fn an_upload_away_from_tls_goes_nowhere() {
    let (world, site) = (with_retries(1), site(""));
    let (_, port) = site.host.split_once(':').unwrap();
    for to in ["127.0.0.1", "0.0.0.0", "localhost"] {
        let elsewhere = format!("REGISTRY_HTTP_HOST=http://{to}:{port}");
        let registry =
            Registry::own_with(Software::V3, Access::TlsBasic, "127.0.0.1", &[&elsewhere]);
        let Some(registry) = registry else { return };
        let push = format!("image copy {} HOST/tls/upload:1", image().stored());
        for address in ["0.0.0.0", "127.0.0.1"] {
            let refused = at(address, &registry, &world, &push);
            fails(&refused).says(&format!("http://{to}:{port}/")).says("no TLS");
        }
        assert!(site.seen().is_empty(), "{:?}", site.seen());
        let there = at("0.0.0.0", &registry, &world, "image inspect HOST/tls/upload:1");
        fails(&there).says("there is no");
    }
}
