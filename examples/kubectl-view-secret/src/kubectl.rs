//! kubectl: the one program started, and what its answers hold.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::args::Cluster;

/// The most bytes of an answer that are read. A secret holds at most 1 MiB, so
/// this is a namespace with some two hundred of the largest.
const MAX_ANSWER: u64 = 256 << 20;

/// A Secret of the Kubernetes API, core/v1, so far as it matters here.
#[derive(Deserialize)]
pub struct Secret {
    /// Base64 by key. Go writes an empty value as `null` at times.
    data: Option<BTreeMap<String, Option<String>>>,
    pub metadata: Metadata,
    #[serde(rename = "type", default)]
    pub kind: String,
}

#[derive(Deserialize)]
pub struct Metadata {
    pub name: String,
    #[serde(default)]
    pub namespace: String,
}

impl Secret {
    /// Its keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.data.iter().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// The base64 under `key`; a key that is not there is empty.
    pub fn value(&self, key: &str) -> &str {
        self.data.as_ref().and_then(|data| data.get(key)?.as_deref()).unwrap_or("")
    }
}

/// The secret of that name.
pub fn secret(cluster: &Cluster, name: &str) -> Result<Secret> {
    parse(&kubectl(cluster, &["get", "secret", name, "-o", "json"])?)
}

/// Every secret of the namespace, as kubectl sorts them.
pub fn secrets(cluster: &Cluster) -> Result<Vec<Secret>> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Secret>,
    }
    let list: List = parse(&kubectl(cluster, &["get", "secret", "-o", "json"])?)?;
    Ok(list.items)
}

/// The names of every object of `kind`, such as `namespaces`.
pub fn names(cluster: &Cluster, kind: &str) -> Result<Vec<String>> {
    let lines = lines(cluster, &["get", kind, "-o", "name"])?;
    Ok(lines
        .iter()
        .map(|line| line.split_once('/').map_or(&**line, |(_, name)| name).to_owned())
        .collect())
}

/// The names of the kubeconfig's contexts, which may well hold a slash.
pub fn contexts(cluster: &Cluster) -> Result<Vec<String>> {
    lines(cluster, &["config", "get-contexts", "-o", "name"])
}

fn lines(cluster: &Cluster, words: &[&str]) -> Result<Vec<String>> {
    let text =
        String::from_utf8(kubectl(cluster, words)?).context("kubectl's answer is not UTF-8")?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T> {
    serde_json::from_slice(answer).context("cannot read kubectl's answer as a secret")
}

/// Runs kubectl and returns its stdout. Its stdin and stderr stay the user's:
/// a login may ask there, and its own error says what is wrong.
fn kubectl(cluster: &Cluster, words: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new("kubectl");
    command.args(words).args(flags(cluster)).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            anyhow!("kubectl is not on PATH; install it: https://kubernetes.io/docs/tasks/tools/")
        }
        _ => anyhow!(error).context("cannot start kubectl"),
    })?;
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let read = stdout.take(MAX_ANSWER + 1).read_to_end(&mut answer);
        read.context("cannot read kubectl's answer")?;
    }
    // The pipe is closed by now, so a kubectl with more to say ends as well.
    let status = child.wait().context("cannot wait for kubectl")?;
    if answer.len() as u64 > MAX_ANSWER {
        bail!(
            "kubectl's answer is larger than {} MiB; name the SECRET on the command line",
            MAX_ANSWER >> 20
        );
    }
    if !status.success() {
        bail!("kubectl {} failed ({status})", words[..2].join(" "));
    }
    Ok(answer)
}

/// As `--flag=value`, in one word, so that no value is read as a flag.
fn flags(cluster: &Cluster) -> Vec<OsString> {
    let text = |flag: &str, value: &String| OsString::from(format!("--{flag}={value}"));
    let mut flags = Vec::new();
    flags.extend(cluster.namespace.iter().map(|value| text("namespace", value)));
    flags.extend(cluster.context.iter().map(|value| text("context", value)));
    flags.extend(cluster.kubeconfig.iter().map(|file| {
        let mut flag = OsString::from("--kubeconfig=");
        flag.push(file);
        flag
    }));
    flags.extend(cluster.user.iter().map(|value| text("as", value)));
    flags.extend(cluster.groups.iter().map(|value| text("as-group", value)));
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_stays_in_its_flag() {
        let cluster = Cluster {
            namespace: Some("-A".into()),
            context: Some("a b".into()),
            kubeconfig: Some("--x".into()),
            user: Some("$(id)".into()),
            groups: vec!["g1,g2".into(), "-g3".into()],
        };
        let expected = [
            "--namespace=-A",
            "--context=a b",
            "--kubeconfig=--x",
            "--as=$(id)",
            "--as-group=g1,g2",
            "--as-group=-g3",
        ];
        assert_eq!(flags(&cluster), expected);
        assert_eq!(flags(&Cluster::default()), [""; 0]);
    }

    #[test]
    fn a_secret_may_lack_what_kubernetes_leaves_out() {
        for (json, expected) in [
            (r#"{"metadata":{"name":"s"}}"#, vec![]),
            (r#"{"metadata":{"name":"s"},"data":null}"#, vec![]),
            (
                r#"{"metadata":{"name":"s"},"data":{"b":null,"a":"eA=="}}"#,
                vec![("a", "eA=="), ("b", "")],
            ),
        ] {
            let secret: Secret = parse(json.as_bytes()).unwrap();
            let data: Vec<_> = secret.keys().map(|key| (key, secret.value(key))).collect();
            assert_eq!(data, expected, "{json}");
        }
    }
}
