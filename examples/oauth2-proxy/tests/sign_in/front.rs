//! What stands before oauth2-proxy and the applications.

use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread::spawn;

use serde_json::{Value, json};

use crate::site::{Places, deployed, free_port, manifests, replaced};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    Nginx,
    Caddy,
    Traefik,
    Envoy,
}

impl Front {
    pub fn program(self) -> &'static str {
        match self {
            Front::Nginx => "nginx",
            Front::Caddy => "caddy",
            Front::Traefik => "traefik",
            Front::Envoy => "envoy",
        }
    }

    /// Writes its configuration, and returns how it is started.
    pub fn command(self, places: &Places<'_>) -> Command {
        let mut command = Command::new(self.program());
        let dir = places.dir;
        match self {
            Front::Nginx => {
                nginx(places);
                command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf"));
            }
            Front::Caddy => {
                caddy(places);
                command.args(["run", "--adapter", "caddyfile", "--config"]);
                command.arg(dir.join("Caddyfile"));
                command.env("XDG_DATA_HOME", dir).env("XDG_CONFIG_HOME", dir);
            }
            Front::Traefik => {
                let config = dir.join("traefik.yml");
                write(&config, &traefik(places).to_string());
                command.arg(format!("--entrypoints.websecure.address=127.0.0.1:{}", places.https));
                command.arg(format!("--providers.file.filename={}", config.display()));
                command
                    .args(["--global.checknewversion=false", "--global.sendanonymoususage=false"]);
            }
            Front::Envoy => {
                let config = dir.join("envoy.yaml");
                write(&config, &envoy(places).to_string());
                command.args([
                    "--use-dynamic-base-id",
                    "--concurrency",
                    "1",
                    "--log-level",
                    "warning",
                ]);
                command.arg("-c").arg(config);
            }
        }
        command
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// The files in a configuration that holds nothing but what a distribution's has.
fn nginx(places: &Places<'_>) {
    let dir = places.dir.display();
    let mut addresses = addresses(places);
    addresses.extend([
        ("listen 443 ssl", format!("listen 127.0.0.1:{} ssl", places.https)),
        ("/etc/nginx/", format!("{dir}/")),
    ]);
    write(
        &places.dir.join("tools.conf"),
        &replaced(&deployed("one-machine/nginx/tools.conf"), &addresses),
    );
    fs::create_dir_all(places.dir.join("snippets")).unwrap();
    let snippet = deployed("one-machine/nginx/signed-in.conf");
    write(&places.dir.join("snippets/signed-in.conf"), &snippet);
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {dir}/{kind};\n"))
        .concat();
    let config = format!(
        "user root;\ndaemon off;\nworker_processes 1;\npid {dir}/nginx.pid;\nerror_log stderr;\n\
         events {{}}\nhttp {{\n    access_log off;\n{temporary}    include {dir}/tools.conf;\n}}\n"
    );
    write(&places.dir.join("nginx.conf"), &config);
}

fn caddy(places: &Places<'_>) {
    let mut addresses = addresses(places);
    addresses.push(("/etc/caddy/", format!("{}/", places.dir.display())));
    let ours = replaced(&deployed("one-machine/Caddyfile"), &addresses);
    // Ports that others may have, and the redirects from port 80.
    let global = format!(
        "{{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n\thttps_port {}\n}}\n",
        places.https
    );
    write(&places.dir.join("Caddyfile"), &(global + &ours));
}

fn addresses(places: &Places<'_>) -> Vec<(&'static str, String)> {
    let ours = [
        ("127.0.0.1:4180", places.replicas[0]),
        ("127.0.0.1:4181", places.replicas[1]),
        ("127.0.0.1:8081", places.prom),
        ("127.0.0.1:8082", places.alerts),
    ];
    ours.map(|(from, port)| (from, format!("127.0.0.1:{port}"))).to_vec()
}

/// The Middlewares and Ingresses, as Traefik's provider for files names the same things.
fn traefik(places: &Places<'_>) -> Value {
    let manifests = json_manifests("ingress/traefik.yaml");
    let proxy = service(places.replicas);
    let mut middlewares = json!({});
    let mut routers = json!({});
    for manifest in &manifests {
        let name = manifest["metadata"]["name"].as_str().unwrap();
        if manifest["kind"] == "Middleware" {
            let mut spec = manifest["spec"].clone();
            let address = spec["forwardAuth"]["address"].as_str().unwrap();
            let here = ("oauth2-proxy.tools.svc.cluster.local:4180", format!("127.0.0.1:{proxy}"));
            spec["forwardAuth"]["address"] = replaced(address, &[here]).into();
            middlewares[name] = spec;
            continue;
        }
        let annotations = &manifest["metadata"]["annotations"];
        let chain = &annotations["traefik.ingress.kubernetes.io/router.middlewares"];
        let chain: Vec<&str> = chain
            .as_str()
            .into_iter()
            .map(|it| it.strip_prefix("tools-").unwrap().strip_suffix("@kubernetescrd").unwrap())
            .collect();
        let rule = &manifest["spec"]["rules"][0];
        let path = &rule["http"]["paths"][0];
        let host = rule["host"].as_str().unwrap();
        let prefix = path["path"].as_str().unwrap();
        routers[name] = json!({
            "rule": format!("Host(`{host}`) && PathPrefix(`{prefix}`)"),
            "service": path["backend"]["service"]["name"],
            "middlewares": chain,
            "entryPoints": [annotations["traefik.ingress.kubernetes.io/router.entrypoints"]],
        });
        // Without it a router answers nothing that comes by TLS.
        if annotations["traefik.ingress.kubernetes.io/router.tls"] == "true" {
            routers[name]["tls"] = json!({});
        }
    }
    let server = |port: u16| json!({"loadBalancer": {"servers": [{"url": format!("http://127.0.0.1:{port}")}]}});
    let dir = places.dir.display();
    json!({
        "http": {
            "middlewares": middlewares,
            "routers": routers,
            "services": {
                "oauth2-proxy": server(proxy),
                "prom": server(places.prom),
                "alerts": server(places.alerts),
            },
        },
        "tls": {"certificates": [{
            "certFile": format!("{dir}/tls/example.com.crt"),
            "keyFile": format!("{dir}/tls/example.com.key"),
        }]},
    })
}

/// What Envoy Gateway makes of the policies and routes, as far as they go: a filter for each
/// SecurityPolicy, and the ClientTrafficPolicy's headers before all filters.
/// <https://github.com/envoyproxy/gateway/blob/v1.9.0/internal/xds/translator/extauth.go>
fn envoy(places: &Places<'_>) -> Value {
    let manifests = json_manifests("ingress/envoy-gateway.yaml");
    let of_kind =
        |kind: &str| manifests.iter().filter(move |it| it["kind"] == kind).collect::<Vec<_>>();
    let early = &of_kind("ClientTrafficPolicy")[0]["spec"]["headers"]["earlyRequestHeaders"];
    let set = early["set"].as_array().unwrap().iter().map(|header| {
        let header = json!({"key": header["name"], "value": header["value"]});
        json!({"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}})
    });
    let remove = early["remove"].as_array().unwrap().iter().map(|name| json!({"remove": name}));
    let mutations: Vec<Value> = set.chain(remove).collect();
    let policies = of_kind("SecurityPolicy");
    let mut filters: Vec<Value> = policies.iter().map(|policy| ext_authz(policy)).collect();
    filters.push(json!({"name": "envoy.filters.http.router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    }}));
    let hosts: Vec<Value> =
        of_kind("HTTPRoute").iter().map(|route| virtual_host(route, &policies)).collect();
    let dir = places.dir.display();
    let certificate = json!({
        "certificate_chain": {"filename": format!("{dir}/tls/example.com.crt")},
        "private_key": {"filename": format!("{dir}/tls/example.com.key")},
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "tools",
        "use_remote_address": true,
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
        "early_header_mutation_extensions": [{
            "name": "envoy.http.early_header_mutation.header_mutation",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                "mutations": mutations,
            },
        }],
        "http_filters": filters,
        "route_config": {"virtual_hosts": hosts},
    });
    json!({"static_resources": {
        "listeners": [{
            "name": "https",
            "address": address(places.https),
            "filter_chains": [{
                "transport_socket": {"name": "tls", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                    "common_tls_context": {"tls_certificates": [certificate]},
                }},
                "filters": [{"name": "http", "typed_config": manager}],
            }],
        }],
        "clusters": [
            cluster("oauth2-proxy", service(places.replicas)),
            cluster("prom", places.prom),
            cluster("alerts", places.alerts),
        ],
    }})
}

fn ext_authz(policy: &Value) -> Value {
    let auth = &policy["spec"]["extAuth"];
    let http = &auth["http"];
    let exact = |names: &Value| {
        let names = names.as_array().unwrap().iter();
        names.map(|name| json!({"exact": name, "ignore_case": true})).collect::<Vec<_>>()
    };
    let backend = http["backendRefs"][0]["name"].as_str().unwrap();
    json!({
        "name": format!("envoy.filters.http.ext_authz/{}", policy["metadata"]["name"].as_str().unwrap()),
        "disabled": true,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "transport_api_version": "V3",
            "allowed_headers": {"patterns": exact(&auth["headersToExtAuth"])},
            "http_service": {
                "server_uri": {"uri": format!("http://{backend}"), "cluster": backend, "timeout": "10s"},
                "path_override": http["pathOverride"],
                "authorization_response": {
                    "allowed_upstream_headers": {"patterns": exact(&http["headersToBackend"])},
                },
            },
        },
    })
}

fn virtual_host(route: &Value, policies: &[&Value]) -> Value {
    let name = &route["metadata"]["name"];
    let rule = &route["spec"]["rules"][0];
    let targets = |policy: &&&Value| policy["spec"]["targetRefs"][0]["name"] == *name;
    let filters: serde_json::Map<String, Value> = policies
        .iter()
        .filter(targets)
        .map(|policy| {
            let filter = format!("envoy.filters.http.ext_authz/{}", policy["metadata"]["name"].as_str().unwrap());
            let on = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}});
            (filter, on)
        })
        .collect();
    let prefix = &rule["matches"][0]["path"]["value"];
    let matched = match prefix.as_str() {
        // A prefix of whole segments.
        Some(prefix) => json!({"path_separated_prefix": prefix}),
        None => json!({"prefix": "/"}),
    };
    let remove = &rule["filters"][0]["requestHeaderModifier"]["remove"];
    json!({
        "name": name,
        "domains": route["spec"]["hostnames"],
        "routes": [{
            "match": matched,
            "route": {"cluster": rule["backendRefs"][0]["name"]},
            "request_headers_to_remove": remove.as_array().cloned().unwrap_or_default(),
            "typed_per_filter_config": filters,
        }],
    })
}

fn cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
    })
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn json_manifests(name: &str) -> Vec<Value> {
    manifests(name).iter().map(|it| serde_json::to_value(it).unwrap()).collect()
}

/// Stands for the Service of oauth2-proxy: an address whose connections go to a replica that lives,
/// to each in turn.
fn service(replicas: [u16; 2]) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    spawn(move || {
        for (turn, client) in listener.incoming().enumerate() {
            let client = client.unwrap();
            let tries = [replicas[turn % 2], replicas[(turn + 1) % 2]];
            let server =
                tries.iter().find_map(|port| TcpStream::connect(("127.0.0.1", *port)).ok());
            // With neither alive the client sees its connection closed.
            let Some(server) = server else { continue };
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                spawn(move || {
                    // However one direction ends, the other side hears of it.
                    io::copy(&mut from, &mut to).and_then(|_| to.flush()).ok();
                    to.shutdown(std::net::Shutdown::Write).ok();
                });
            }
        }
    });
    port
}
