//! How workflows log in to the registries that the settings name, each by the action of those who
//! run it.

use anyhow::Result;

use crate::template;

/// A registry that images are pushed to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Registry {
    /// GitHub's own, which takes the token of the workflow.
    GitHub,
    DockerHub,
    Quay,
    /// Google's Artifact Registry, at this host.
    Google(String),
    /// Amazon's, at this host, of an account in a region.
    Amazon {
        host: String,
        account: String,
        region: String,
    },
    /// Amazon's public one.
    AmazonPublic,
    /// Azure's, by its name there.
    Azure {
        host: String,
        name: String,
    },
    /// One that is known only by its host.
    Other(String),
}

/// A setting of the environment `release`, which the logins need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub name: &'static str,
    /// Whether it is a secret; otherwise it is a variable, which logs may show.
    pub is_secret: bool,
    pub what: &'static str,
}

macro_rules! text {
    ($name:literal) => {
        include_str!(concat!("../../templates/workflows/login-", $name, ".yml"))
    };
}

/// The actions by their names in the templates, each pinned to the commit of its tag.
const ACTIONS: [(&str, &str); 5] = [
    ("docker-login", "docker/login-action@4907a6ddec9925e35a0a9e82d7399ccc52663121 # v4.1.0"),
    ("google-auth", "google-github-actions/auth@7c6bc770dae815cd3e89ee6cdf493a5fab2cc093 # v3.0.0"),
    (
        "aws-credentials",
        "aws-actions/configure-aws-credentials@e6de054238d6b7531b4efff3b6587d9aade6a06c # v6.2.3",
    ),
    ("ecr-login", "aws-actions/amazon-ecr-login@03f1aad4c6c7ffd436567f42f9384779290529bd # v2.1.7"),
    ("azure-login", "Azure/login@f5d393ae46f8fde4be8b75f32e3fc50e654ad0ca # v3.0.1"),
];

/// Where Amazon's public registry is asked for logins, whatever the region of a project is.
/// <https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html>
const PUBLIC_REGION: &str = "us-east-1";

impl Registry {
    pub fn of(host: &str) -> Registry {
        let plain = |text: &str| !text.is_empty() && !text.contains(['.', ':']);
        match host {
            "ghcr.io" => return Registry::GitHub,
            "docker.io" => return Registry::DockerHub,
            "quay.io" => return Registry::Quay,
            "public.ecr.aws" => return Registry::AmazonPublic,
            "gcr.io" => return Registry::Google(host.to_owned()),
            _ => {}
        }
        let google = ["-docker.pkg.dev", ".gcr.io"];
        if google.iter().any(|end| host.strip_suffix(end).is_some_and(plain)) {
            return Registry::Google(host.to_owned());
        }
        if let Some(name) = host.strip_suffix(".azurecr.io").filter(|name| plain(name)) {
            return Registry::Azure { host: host.to_owned(), name: name.to_owned() };
        }
        let amazon = host.strip_suffix(".amazonaws.com").and_then(|it| it.split_once(".dkr.ecr."));
        let is_account =
            |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        match amazon {
            Some((account, region)) if is_account(account) && plain(region) => Registry::Amazon {
                host: host.to_owned(),
                account: account.to_owned(),
                region: region.to_owned(),
            },
            _ => Registry::Other(host.to_owned()),
        }
    }

    pub fn host(&self) -> &str {
        match self {
            Registry::GitHub => "ghcr.io",
            Registry::DockerHub => "docker.io",
            Registry::Quay => "quay.io",
            Registry::AmazonPublic => "public.ecr.aws",
            Registry::Google(host)
            | Registry::Amazon { host, .. }
            | Registry::Azure { host, .. }
            | Registry::Other(host) => host,
        }
    }

    /// Whether the login is one by the identity of the workflow, and needs no secret.
    pub fn by_identity(&self) -> bool {
        matches!(
            self,
            Registry::Google(_)
                | Registry::Amazon { .. }
                | Registry::AmazonPublic
                | Registry::Azure { .. }
        )
    }

    /// What the environment `release` must hold.
    pub fn needs(&self) -> Vec<Need> {
        let variable = |name, what| Need { name, is_secret: false, what };
        let secret = |name, what| Need { name, is_secret: true, what };
        match self {
            Registry::GitHub => vec![],
            Registry::DockerHub => vec![
                variable("DOCKERHUB_USERNAME", "the user at Docker Hub"),
                secret("DOCKERHUB_TOKEN", "an access token of that user, which may write"),
            ],
            Registry::Quay => vec![
                variable("QUAY_USERNAME", "a robot account at Quay"),
                secret("QUAY_TOKEN", "the token of that robot account"),
            ],
            Registry::Google(_) => vec![
                variable("GOOGLE_WORKLOAD_IDENTITY_PROVIDER", "projects/…/providers/NAME"),
                variable("GOOGLE_SERVICE_ACCOUNT", "an account that may write to the registry"),
            ],
            Registry::Amazon { .. } | Registry::AmazonPublic => {
                vec![variable("AWS_ROLE_TO_ASSUME", "the ARN of a role that may push")]
            }
            Registry::Azure { .. } => vec![
                variable("AZURE_CLIENT_ID", "an application with the role AcrPush"),
                variable("AZURE_TENANT_ID", "its tenant"),
                variable("AZURE_SUBSCRIPTION_ID", "the subscription of the registry"),
            ],
            Registry::Other(_) => {
                vec![secret("DOCKER_AUTH_CONFIG", "docker's config.json with the login")]
            }
        }
    }
}

/// The steps that log in to the registries which have an action for it.
pub fn steps(registries: &[Registry]) -> Result<String> {
    let is_first = |at: usize, kind: fn(&Registry) -> bool| {
        kind(&registries[at]) && !registries[..at].iter().any(kind)
    };
    let mut steps = String::new();
    for (at, registry) in registries.iter().enumerate() {
        if is_first(at, |it| matches!(it, Registry::Google(_))) {
            steps.push_str(&render(text!("google"), &[])?);
        }
        if is_first(at, |it| matches!(it, Registry::Azure { .. })) {
            steps.push_str(&render(text!("azure"), &[])?);
        }
        let host = ("host", registry.host().to_owned());
        steps.push_str(&match registry {
            Registry::GitHub | Registry::Other(_) => String::new(),
            Registry::DockerHub => docker(host, "DOCKERHUB")?,
            Registry::Quay => docker(host, "QUAY")?,
            Registry::Google(_) => render(text!("google-host"), &[host])?,
            Registry::Azure { name, .. } => {
                render(text!("azure-host"), &[host, ("name", name.clone())])?
            }
            Registry::Amazon { account, region, .. } => {
                amazon(host, at, region, format!("registries: \"{account}\""))?
            }
            Registry::AmazonPublic => {
                amazon(host, at, PUBLIC_REGION, "registry-type: public".to_owned())?
            }
        });
    }
    Ok(steps)
}

fn docker(host: (&'static str, String), prefix: &str) -> Result<String> {
    let username = format!("${{{{ vars.{prefix}_USERNAME }}}}");
    let token = format!("${{{{ secrets.{prefix}_TOKEN }}}}");
    render(text!("docker"), &[host, ("username", username), ("token", token)])
}

fn amazon(host: (&'static str, String), at: usize, region: &str, which: String) -> Result<String> {
    let id = format!("aws{at}");
    let output = |name: &str| format!("${{{{ steps.{id}.outputs.aws-{name} }}}}");
    let values = [
        host,
        ("region", region.to_owned()),
        ("which", which),
        ("key-id", output("access-key-id")),
        ("secret-key", output("secret-access-key")),
        ("session-token", output("session-token")),
        ("id", id.clone()),
    ];
    render(text!("aws"), &values)
}

fn render(text: &str, values: &[(&'static str, String)]) -> Result<String> {
    let own = values.iter().map(|(name, value)| (*name, &**value));
    let values: Vec<(&str, &str)> = own.chain(ACTIONS).collect();
    template::render_workflow(text, &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_known_by_their_hosts() {
        let of = |host: &str| format!("{:?}", Registry::of(host));
        for (host, registry) in [
            ("ghcr.io", "GitHub"),
            ("docker.io", "DockerHub"),
            ("quay.io", "Quay"),
            ("public.ecr.aws", "AmazonPublic"),
            ("europe-west1-docker.pkg.dev", "Google(\"europe-west1-docker.pkg.dev\")"),
            ("eu.gcr.io", "Google(\"eu.gcr.io\")"),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "Amazon { host: \"123456789012.dkr.ecr.eu-west-1.amazonaws.com\", \
                 account: \"123456789012\", region: \"eu-west-1\" }",
            ),
            ("acme.azurecr.io", "Azure { host: \"acme.azurecr.io\", name: \"acme\" }"),
            ("1.dkr.ecr.eu-west-1.amazonaws.com", "Other(\"1.dkr.ecr.eu-west-1.amazonaws.com\")"),
            ("a.b.azurecr.io", "Other(\"a.b.azurecr.io\")"),
            ("evil-docker.pkg.dev:5000", "Other(\"evil-docker.pkg.dev:5000\")"),
            ("localhost:5000", "Other(\"localhost:5000\")"),
        ] {
            assert_eq!(of(host), registry);
        }
    }
}
