//! The host of a registry, and its keys in files of logins.

use crate::http::{Origin, Scheme, Url};
use crate::reference::Repository;
use anyhow::{Context, Result};

/// Docker Hub's name in references, and the host of its API.
/// <https://github.com/distribution/reference/blob/main/normalize.go>
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
/// The key of Docker Hub's login.
pub const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The origin of a repository's registry.
pub fn origin(repository: &Repository, scheme: Scheme) -> Result<Origin> {
    let host = match repository.registry() {
        DOCKER_HUB => DOCKER_HUB_HOST,
        host => host,
    };
    Origin::new(scheme, host).with_context(|| format!("reach the registry {host}"))
}

/// The URL of a part of a repository, such as `manifests/latest`.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints>
pub fn url(origin: &Origin, repository: &Repository, part: &str) -> Url {
    Url::at(origin, &format!("/v2/{}/{part}", repository.path()))
}

/// The keys that a login for the repository may have, the most specific first:
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

/// The host, or host and path, that a key in a file of logins stands for. A URL stands for
/// its host, whatever its path, and so does an old key of docker that ends in the version of
/// the API. `acme/v2` below a host is a path like others.
/// <https://github.com/containers/image/blob/main/pkg/docker/config/config.go>
pub fn bare_key(key: &str) -> String {
    let address = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let old = ["/v1/", "/v2/"].iter().find_map(|end| key.strip_suffix(end));
    let bare = match (address, old) {
        (Some(address), _) => address.split(['/', '?', '#']).next().unwrap_or(address),
        (None, Some(host)) if !host.contains('/') => host,
        _ => key.trim_end_matches('/'),
    };
    let (host, path) = bare.split_at(bare.find('/').unwrap_or(bare.len()));
    [&host.to_ascii_lowercase(), path].concat()
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
            ("https://ghcr.io/acme/app", "ghcr.io"),
            ("https://acme.azurecr.io/oauth2/token?x=y", "acme.azurecr.io"),
            ("ghcr.io/", "ghcr.io"),
            ("GHCR.io/Acme", "ghcr.io/Acme"),
            ("index.docker.io/v1/", "index.docker.io"),
            ("ghcr.io/v2/", "ghcr.io"),
            ("ghcr.io/v2", "ghcr.io/v2"),
            ("ghcr.io/acme/", "ghcr.io/acme"),
            ("ghcr.io/acme/v2", "ghcr.io/acme/v2"),
            ("ghcr.io/acme/v2/", "ghcr.io/acme/v2"),
            ("ghcr.io/acme/v1/app", "ghcr.io/acme/v1/app"),
            ("", ""),
            ("https://", ""),
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
