//! The proxy for an origin, read from the environment as curl and Go do.
//! <https://pkg.go.dev/golang.org/x/net/http/httpproxy>

use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::url::{Origin, Scheme};
use crate::secret::Secret;

/// The proxies of the environment. Their addresses may hold passwords.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// The variable and its value.
    http: Option<(&'static str, Secret)>,
    https: Option<(&'static str, Secret)>,
    direct: Vec<Direct>,
}

/// An entry of NO_PROXY.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Direct {
    All,
    /// A name, and all below it, unless it began with a dot.
    Domain {
        name: String,
        below_only: bool,
        port: Option<u16>,
    },
    Network {
        address: IpAddr,
        bits: u32,
    },
}

/// How an origin is reached: directly, or by the proxy for its scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    Direct,
    ForHttp,
    ForHttps,
}

impl Proxies {
    /// `get` reads a variable. Lower-case names take precedence, as everywhere.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Proxies {
        let first = |names: &[&'static str]| {
            let set = names.iter().find_map(|name| Some((*name, get(name)?)));
            set.map(|(name, value)| (name, Secret::new(value)))
        };
        let entries = first(&["no_proxy", "NO_PROXY"]);
        let entries = entries.iter().flat_map(|(_, text)| text.expose().split(','));
        Proxies {
            http: first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            direct: entries.filter_map(|entry| Direct::parse(entry.trim())).collect(),
        }
    }

    /// How an origin is reached.
    pub fn route(&self, origin: &Origin) -> Route {
        let (proxy, route) = match origin.scheme {
            Scheme::Http => (&self.http, Route::ForHttp),
            Scheme::Https => (&self.https, Route::ForHttps),
        };
        let direct = origin.is_loopback() || self.direct.iter().any(|it| it.fits(origin));
        if proxy.is_none() || direct { Route::Direct } else { route }
    }

    fn setting(&self, route: Route) -> Option<&(&'static str, Secret)> {
        match route {
            Route::Direct => None,
            Route::ForHttp => self.http.as_ref(),
            Route::ForHttps => self.https.as_ref(),
        }
    }

    /// The variable that names the proxy of a route.
    pub fn variable(&self, route: Route) -> Option<&'static str> {
        self.setting(route).map(|(name, _)| *name)
    }

    /// The proxy of a route; `None` if it is direct.
    pub fn proxy(&self, route: Route) -> Result<Option<ureq::Proxy>> {
        let Some((name, address)) = self.setting(route) else { return Ok(None) };
        // The error of ureq may quote the address.
        let proxy = ureq::Proxy::new(address.expose()).ok();
        proxy.map(Some).with_context(|| {
            format!(
                "{name} does not name a proxy, such as http://proxy.example:3128 or \
                 socks5h://proxy.example:1080"
            )
        })
    }
}

/// A proxy of the environment.
pub struct NamedProxy {
    /// The variable that names it.
    pub variable: &'static str,
    /// `host:port`; an error where the variable names no proxy.
    pub place: Result<String>,
}

impl Proxies {
    /// All that are named, each once, without their logins.
    pub fn named(&self) -> Vec<NamedProxy> {
        let mut all = Vec::new();
        for route in [Route::ForHttps, Route::ForHttp] {
            let Some(variable) = self.variable(route) else { continue };
            if all.iter().any(|it: &NamedProxy| it.variable == variable) {
                continue;
            }
            let proxy = self.proxy(route);
            let place = |it: Option<ureq::Proxy>| {
                it.map_or_else(String::new, |it| format!("{}:{}", it.host(), it.port()))
            };
            all.push(NamedProxy { variable, place: proxy.map(place) });
        }
        all
    }
}

impl NamedProxy {
    /// Fails where nothing listens there.
    pub fn reach(&self, within: Duration) -> Result<()> {
        let Ok(place) = &self.place else { return Ok(()) };
        let context = || format!("connect to {place}");
        let mut tried = None;
        for address in place.to_socket_addrs().with_context(context)? {
            match TcpStream::connect_timeout(&address, within) {
                Ok(_) => return Ok(()),
                Err(error) => tried = Some(error),
            }
        }
        Err(tried.map_or_else(|| anyhow!("it has no address"), Into::into)).with_context(context)
    }
}

impl Direct {
    fn parse(text: &str) -> Option<Direct> {
        if text.is_empty() {
            return None;
        }
        if text == "*" {
            return Some(Direct::All);
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let (address, bits) = match bare.split_once('/') {
            Some((address, bits)) => (address, bits.parse().ok()),
            None => (bare, None),
        };
        if let Ok(address) = address.parse::<IpAddr>() {
            let all = if address.is_ipv4() { 32 } else { 128 };
            return Some(Direct::Network { address, bits: bits.unwrap_or(all).min(all) });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let name = name.to_ascii_lowercase();
        let name = name.strip_prefix('*').unwrap_or(&name);
        let bare = name.strip_prefix('.');
        let (below_only, name) = (bare.is_some(), bare.unwrap_or(name).to_owned());
        Some(Direct::Domain { name, below_only, port })
    }

    fn fits(&self, origin: &Origin) -> bool {
        match self {
            Direct::All => true,
            Direct::Domain { name, below_only, port } => {
                let host = origin.host();
                let below = host.strip_suffix(&**name).is_some_and(|rest| rest.ends_with('.'));
                (below || (!below_only && host == name))
                    && port.is_none_or(|port| port == origin.port())
            }
            Direct::Network { address, bits } => match (address, origin.host().parse()) {
                (IpAddr::V4(network), Ok(IpAddr::V4(host))) => {
                    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                    u32::from(*network) & mask == u32::from(host) & mask
                }
                (IpAddr::V6(network), Ok(IpAddr::V6(host))) => {
                    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                    u128::from(*network) & mask == u128::from(host) & mask
                }
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::url::Url;
    use super::*;

    fn route(vars: &[(&str, &str)], url: &str) -> Route {
        let get = |name: &str| {
            vars.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
        };
        Proxies::read(get).route(&Url::parse(url).unwrap().origin)
    }

    #[test]
    fn the_environment_names_proxies() {
        let https = ("HTTPS_PROXY", "http://p:1");
        for (vars, url, expected) in [
            (vec![], "https://ghcr.io", Route::Direct),
            (vec![https], "https://ghcr.io", Route::ForHttps),
            (vec![https], "http://ghcr.io", Route::Direct),
            (vec![("all_proxy", "p:1")], "http://ghcr.io", Route::ForHttp),
            (vec![https], "https://localhost", Route::Direct),
            (vec![https], "https://127.0.0.1:5000", Route::Direct),
            (vec![https, ("NO_PROXY", "*")], "https://ghcr.io", Route::Direct),
            (vec![https, ("no_proxy", " a.b , ghcr.io")], "https://ghcr.io", Route::Direct),
            (vec![https, ("NO_PROXY", "ghcr.io")], "https://x.ghcr.io", Route::Direct),
            (vec![https, ("NO_PROXY", ".ghcr.io")], "https://ghcr.io", Route::ForHttps),
            (vec![https, ("NO_PROXY", "*.ghcr.io")], "https://x.ghcr.io", Route::Direct),
            (vec![https, ("NO_PROXY", "hcr.io")], "https://ghcr.io", Route::ForHttps),
            (vec![https, ("NO_PROXY", "ghcr.io:444")], "https://ghcr.io", Route::ForHttps),
            (vec![https, ("NO_PROXY", "10.0.0.0/8")], "https://10.1.2.3", Route::Direct),
            (vec![https, ("NO_PROXY", "10.0.0.0/8")], "https://11.1.2.3", Route::ForHttps),
            (vec![https, ("NO_PROXY", "fd00::/8")], "https://[fd01::1]", Route::Direct),
            (vec![https, ("NO_PROXY", "0.0.0.0/0")], "https://11.1.2.3", Route::Direct),
        ] {
            assert_eq!(route(&vars, url), expected, "{vars:?} {url}");
        }
    }

    #[test]
    fn a_password_in_a_proxys_address_is_not_shown() {
        let get = |name: &str| (name == "https_proxy").then(|| "http://u:hunter2@[".to_owned());
        let proxies = Proxies::read(get);
        let error = proxies.proxy(Route::ForHttps).unwrap_err();
        assert!(!format!("{error:?} {proxies:?}").contains("hunter2"));
        assert!(error.to_string().starts_with("https_proxy does not name a proxy"));
    }
}
