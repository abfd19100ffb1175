//! Where a registry answers, and what it is called where logins are kept.

use crate::http::{Origin, Scheme, Url};
use crate::reference::Repository;
use anyhow::{Context, Result};

/// The name that images of Docker Hub have, and the host that answers for it.
/// <https://github.com/distribution/reference/blob/main/normalize.go>
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
/// What Docker keeps its login under.
pub const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The server of a repository's registry.
pub fn origin(repository: &Repository, scheme: Scheme) -> Result<Origin> {
    let host = match repository.registry() {
        DOCKER_HUB => DOCKER_HUB_HOST,
        host => host,
    };
    Origin::new(scheme, host).with_context(|| format!("reach the registry {host}"))
}

/// The address of a part of a repository, such as `manifests/latest`.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints>
pub fn url(origin: &Origin, repository: &Repository, part: &str) -> Url {
    Url::at(origin, &format!("/v2/{}/{part}", repository.path()))
}

/// By what a login for the repository may be kept, the most exact first:
/// `ghcr.io/acme/app`, `ghcr.io/acme`, `ghcr.io`.
pub fn keys(repository: &Repository) -> Vec<String> {
    let mut keys = vec![repository.to_string()];
    while let Some((shorter, _)) = keys.last().and_then(|key| key.rsplit_once('/')) {
        keys.push(shorter.to_owned());
    }
    if repository.registry() == DOCKER_HUB {
        keys.extend(["index.docker.io", DOCKER_HUB_HOST].map(str::to_owned));
    }
    keys
}

/// A key of a file of logins without what some programs put around it.
pub fn bare_key(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_looked_for_from_the_most_exact_on() {
        let keys = |name| keys(&Repository::parse(name).unwrap());
        assert_eq!(keys("ghcr.io/a/b"), ["ghcr.io/a/b", "ghcr.io/a", "ghcr.io"]);
        assert_eq!(keys("alpine").last().unwrap(), "registry-1.docker.io");
        for (key, bare) in [
            ("ghcr.io", "ghcr.io"),
            ("https://ghcr.io/", "ghcr.io"),
            (DOCKER_HUB_KEY, "index.docker.io"),
            ("http://localhost:5000/v2/", "localhost:5000"),
        ] {
            assert_eq!(bare_key(key), bare);
        }
    }

    #[test]
    fn docker_hub_answers_elsewhere() {
        let of = |name| {
            let repository = Repository::parse(name).unwrap();
            let origin = origin(&repository, Scheme::Https).unwrap();
            url(&origin, &repository, "tags/list").to_string()
        };
        assert_eq!(of("alpine"), "https://registry-1.docker.io/v2/library/alpine/tags/list");
        assert_eq!(of("x.test:5000/a/b"), "https://x.test:5000/v2/a/b/tags/list");
    }
}
