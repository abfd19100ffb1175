//! What the files of `deploy/` must have in common, and the script for the Secrets. Whether they work
//! is another test's business: `sign_in` runs them.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use serde_yaml::Value;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn text(name: &str) -> String {
    fs::read_to_string(deploy().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text).map(|it| Value::deserialize(it).unwrap()).collect()
}

/// The manifests of these folders, with their files.
fn manifests(folders: &[&str]) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for folder in folders {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(deploy().join(folder)).unwrap().map(|it| it.unwrap().path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|it| it == "yaml")) {
            let name = path.strip_prefix(deploy()).unwrap().display().to_string();
            all.extend(documents(&text(&name)).into_iter().map(|it| (name.clone(), it)));
        }
    }
    assert!(all.len() > 10, "the manifests were found");
    all
}

fn strings(value: &Value) -> Vec<String> {
    let list = value.as_sequence().unwrap_or_else(|| panic!("{value:?} is no list"));
    list.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

fn proxy_args() -> Vec<String> {
    let manifests = documents(&text("oauth2-proxy.yaml"));
    let deployment = manifests.iter().find(|it| it["kind"] == "Deployment").unwrap();
    strings(&deployment["spec"]["template"]["spec"]["containers"][0]["args"])
}

fn without(args: &[String], names: &[&str]) -> Vec<String> {
    let named = |arg: &String| names.iter().any(|name| arg.starts_with(&format!("--{name}=")));
    args.iter().filter(|arg| !named(arg)).cloned().collect()
}

#[test]
fn the_chart_and_one_machine_get_the_flags_of_the_deployment() {
    let ours = proxy_args();
    assert!(ours.len() > 20, "{ours:?}");
    let values = &documents(&text("helm/oauth2-proxy.values"))[0];
    // The chart sets the addresses.
    let expected = without(&ours, &["http-address", "metrics-address"]);
    assert_eq!(strings(&values["extraArgs"]), expected);
    let image = &values["image"]["tag"];
    assert!(
        text("oauth2-proxy.yaml").contains(&format!("oauth2-proxy:{}\n", image.as_str().unwrap()))
    );

    // A flag a line, in quotes where it has spaces.
    let unit = text("one-machine/oauth2-proxy@.service");
    let lines = unit.lines().map(|line| line.trim_end_matches('\\').trim().trim_matches('"'));
    let flags = lines.filter(|line| line.starts_with("--"));
    let start: Vec<String> = flags.map(|it| it.replace("=%d/", "=/etc/oauth2-proxy/")).collect();
    let differ = ["http-address", "metrics-address", "trusted-proxy-ip", "redis-connection-url"];
    assert_eq!(without(&start, &differ), without(&ours, &differ));
}

#[test]
fn cookies_and_redirects_are_kept_to_the_parent_domain() {
    let args = proxy_args();
    for arg in [
        "--cookie-domain=.example.com",
        "--whitelist-domain=.example.com",
        "--redirect-url=https://login.example.com/oauth2/callback",
        "--cookie-secure=true",
        "--cookie-httponly=true",
        "--cookie-samesite=lax",
        "--reverse-proxy=true",
        "--session-store-type=redis",
        "--code-challenge-method=S256",
        "--insecure-oidc-skip-nonce=false",
    ] {
        assert!(args.iter().any(|it| it == arg), "{arg} is not in {args:?}");
    }
    // A browser takes a cookie of this name only with `Secure`.
    assert!(args.iter().any(|it| it.starts_with("--cookie-name=__Secure-")));
    // Without it, whoever reaches oauth2-proxy names the host and the scheme.
    assert!(args.iter().any(|it| it.starts_with("--trusted-proxy-ip=")));
    for (file, manifest) in manifests(&[".", "ingress"]) {
        let text = serde_yaml::to_string(&manifest).unwrap();
        for secret in ["--client-secret=", "--cookie-secret=", "--redis-password="] {
            assert!(!text.contains(secret), "{file} has {secret}");
        }
    }
}

#[test]
fn every_ingress_has_the_same_hosts_groups_and_headers() {
    let hosts: BTreeSet<&str> =
        ["login.example.com", "prom.example.com", "alerts.example.com"].into();
    let headers = [
        "X-Auth-Request-User",
        "X-Auth-Request-Email",
        "X-Auth-Request-Groups",
        "X-Auth-Request-Preferred-Username",
    ];
    for file in [
        "ingress/traefik.yaml",
        "ingress/envoy-gateway.yaml",
        "ingress/ingress-nginx.yaml",
        "one-machine/nginx/tools.conf",
        "one-machine/Caddyfile",
    ] {
        let mut text = text(file);
        let words = |text: &str| -> BTreeSet<String> {
            text.split(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c)))
                .map(str::to_owned)
                .collect()
        };
        let named = words(&text);
        let named: BTreeSet<&str> = named
            .iter()
            .map(|it| &**it)
            .filter(|it| it.ends_with(".example.com") && !it.starts_with('.'))
            .collect();
        assert_eq!(named, hosts, "{file}");
        for application in ["prom", "alerts"] {
            assert!(
                words(&text).contains(&format!("{application}-users")),
                "{file}: {application}"
            );
        }
        if file.ends_with("tools.conf") {
            text = self::text("one-machine/nginx/signed-in.conf");
        }
        for header in headers {
            assert!(text.contains(header), "{file}: {header}");
        }
    }
}

/// What of each API group is served today.
/// <https://kubernetes.io/docs/reference/using-api/deprecation-guide/>
#[test]
fn only_current_api_versions() {
    let current: BTreeMap<&str, &[&str]> = [
        ("v1", &["Service", "ServiceAccount"][..]),
        ("apps/v1", &["Deployment", "StatefulSet"]),
        ("policy/v1", &["PodDisruptionBudget"]),
        ("networking.k8s.io/v1", &["Ingress", "NetworkPolicy"]),
        ("gateway.networking.k8s.io/v1", &["Gateway", "HTTPRoute"]),
        ("gateway.envoyproxy.io/v1alpha1", &["ClientTrafficPolicy", "SecurityPolicy"]),
        ("traefik.io/v1alpha1", &["Middleware"]),
    ]
    .into();
    for (file, manifest) in manifests(&[".", "ingress"]) {
        let version = manifest["apiVersion"].as_str().unwrap();
        let kind = manifest["kind"].as_str().unwrap();
        assert!(
            current.get(version).is_some_and(|kinds| kinds.contains(&kind)),
            "{file}: {version} {kind}"
        );
        if kind == "Ingress" {
            assert!(manifest["spec"]["ingressClassName"].is_string(), "{file}");
            for rule in manifest["spec"]["rules"].as_sequence().unwrap() {
                assert!(rule["http"]["paths"][0]["pathType"].is_string(), "{file}");
            }
        }
    }
}

#[test]
fn pods_may_do_nothing_beside_their_work() {
    let all = manifests(&["."]);
    let policies = all.iter().filter(|(_, it)| it["kind"] == "NetworkPolicy");
    let denied = policies.map(|(_, it)| &it["spec"]).any(|spec| {
        spec["podSelector"] == Value::Mapping(Default::default())
            && spec["ingress"].is_null()
            && spec["egress"].is_null()
            && strings(&spec["policyTypes"]) == ["Ingress", "Egress"]
    });
    assert!(denied, "what no policy allows is refused");
    let pods: Vec<_> = all.iter().filter(|(_, it)| !it["spec"]["template"].is_null()).collect();
    assert_eq!(pods.len(), 4);
    for (file, manifest) in pods {
        let pod = &manifest["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false, "{file}");
        let account = &pod["serviceAccountName"];
        let own = all
            .iter()
            .find(|(_, it)| it["kind"] == "ServiceAccount" && it["metadata"]["name"] == *account);
        assert_eq!(own.unwrap().1["automountServiceAccountToken"], false, "{file}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{file}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{file}");
        for container in pod["containers"].as_sequence().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{file}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{file}");
            assert_eq!(strings(&context["capabilities"]["drop"]), ["ALL"], "{file}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{file}");
            assert!(!container["readinessProbe"].is_null(), "{file}");
            let image = container["image"].as_str().unwrap();
            let pinned = image.rsplit_once(':').is_some_and(|(_, tag)| tag.contains('.'));
            assert!(pinned || image.starts_with("dockless://oauth2-proxy/"), "{file}: {image}");
        }
    }
    assert!(
        all.iter().all(|(_, it)| !it["kind"].as_str().unwrap().contains("Role")),
        "no rights are given"
    );
}

/// Runs the script, if this machine has kubectl.
fn make_secrets(stdin: &[u8]) -> Option<Output> {
    let kubectl = Command::new("kubectl").arg("version").arg("--client").output();
    if kubectl.is_err() {
        let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        assert!(!ci, "kubectl not found, and CI is set");
        eprintln!("skipped: kubectl not found");
        return None;
    }
    let mut script = Command::new(deploy().join("make-secrets"));
    let mut child =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).ok();
    Some(child.wait_with_output().unwrap())
}

fn decoded(secret: &Value, key: &str) -> Vec<u8> {
    let mut base64 = Command::new("base64");
    let mut child =
        base64.arg("--decode").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(secret["data"][key].as_str().unwrap().as_bytes())
        .unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn make_secrets_writes_what_the_deployments_mount() {
    let mut cookies = BTreeSet::new();
    for stdin in ["s3cret $(id) 'x' \"y\" \\z", "s3cret $(id) 'x' \"y\" \\z\n"] {
        let Some(output) = make_secrets(stdin.as_bytes()) else { return };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("s3cret"));
        let secrets = documents(&text);
        let [proxy, redis] = &secrets[..] else { panic!("{text}") };
        assert_eq!((&proxy["kind"], &redis["kind"]), (&"Secret".into(), &"Secret".into()));
        assert_eq!(proxy["metadata"]["name"], "oauth2-proxy");
        assert_eq!(redis["metadata"]["name"], "redis");
        // To the last byte: no line break.
        assert_eq!(decoded(proxy, "client-secret"), stdin.trim_end().as_bytes());
        let cookie = decoded(proxy, "cookie-secret");
        assert_eq!(cookie.len(), 32);
        cookies.insert(cookie);
        let password = String::from_utf8(decoded(redis, "password")).unwrap();
        assert!(password.len() == 64 && password.bytes().all(|it| it.is_ascii_hexdigit()));
        let line = format!("requirepass {password}\n");
        assert_eq!(String::from_utf8(decoded(redis, "redis.conf")).unwrap(), line);
    }
    assert_eq!(cookies.len(), 2, "each run makes its own");
}

#[test]
fn make_secrets_refuses_what_cannot_be_a_secret() {
    for (stdin, why) in [
        (&b""[..], "stdin has no client secret"),
        (b"\n", "the client secret is empty or has a control character"),
        (b"one\ntwo\n", "stdin has more than one line"),
        (b"one\ntwo", "stdin has more than one line"),
        (b"windows\r\n", "the client secret is empty or has a control character"),
        (b"a\tb\n", "the client secret is empty or has a control character"),
    ] {
        let Some(output) = make_secrets(stdin) else { return };
        assert!(!output.status.success(), "{why}");
        assert_eq!(output.stdout, b"", "{why}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("make-secrets: {why}\n"));
    }
}
