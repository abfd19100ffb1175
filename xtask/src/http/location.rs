//! URLs in responses: the targets of redirects, uploads, next pages, token servers. One rule
//! decides which of them are followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use anyhow::{Result, ensure};

use super::proxy::Route;
use super::url::{Origin, Scheme, Url};
use super::{Http, locked};

/// The network that a host is in, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    Public,
    /// The network of a company or a home.
    /// <https://www.rfc-editor.org/rfc/rfc6890#section-2.2.2>
    Private,
    /// This machine's own link, such as the metadata services of clouds.
    LinkLocal,
    Loopback,
}

impl Reach {
    fn words(self) -> &'static str {
        match self {
            Reach::Public => "on the Internet",
            Reach::Private => "in a private network",
            Reach::LinkLocal => "a link-local address",
            Reach::Loopback => "on this machine",
        }
    }
}

impl Http<'_> {
    /// Resolves a URL, absolute or relative, in a response from `by`. It must not have less
    /// protection than `by`, and `by` must be able to reach it: no public server may name a
    /// service of this machine or of its network.
    pub fn resolve_url(&self, by: &Url, text: &str) -> Result<Url> {
        ensure!(!text.trim().is_empty(), "the URL is empty");
        let named = by.join(text.trim())?;
        if named.origin == by.origin {
            return Ok(named);
        }
        let (from, to) = (by.origin.scheme, named.origin.scheme);
        ensure!((from, to) != (Scheme::Https, Scheme::Http), "{named} has no TLS");
        if named.origin.host() == by.origin.host() {
            return Ok(named);
        }
        let to = self.reach(&named.origin, Iterator::max);
        let from = if to == Reach::Public { to } else { self.reach(&by.origin, Iterator::min) };
        ensure!(may_name(from, to), "{} names {named}, which is {}", by.origin, to.words());
        Ok(named)
    }

    /// The network of a host. `chosen` selects one of several addresses. A name that only the
    /// proxy resolves counts as public.
    fn reach(
        &self,
        origin: &Origin,
        chosen: fn(std::vec::IntoIter<Reach>) -> Option<Reach>,
    ) -> Reach {
        if let Some(reach) = literal(origin.host()) {
            return reach;
        }
        if self.settings.proxies.route(origin) != Route::Direct {
            return Reach::Public;
        }
        let mut known = locked(&self.reaches);
        let all = known.entry(origin.host().to_owned()).or_insert_with(|| {
            // An unknown name fails later, when it is used.
            let found = (origin.host(), origin.port()).to_socket_addrs();
            found.map_or_else(|_| Vec::new(), |found| found.map(|it| of(it.ip())).collect())
        });
        chosen(all.clone().into_iter()).unwrap_or(Reach::Public)
    }
}

/// Whether a server in the network `from` may name one in `to`.
fn may_name(from: Reach, to: Reach) -> bool {
    match to {
        Reach::Public => true,
        Reach::Private => matches!(from, Reach::Private | Reach::Loopback),
        Reach::LinkLocal | Reach::Loopback => from == to,
    }
}

/// The network of a host that needs no resolution.
fn literal(host: &str) -> Option<Reach> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if let Ok(address) = host.parse() {
        return Some(of(address));
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return Some(Reach::Loopback);
    }
    // Some resolvers take `127.1` and `0x7f000001` for addresses.
    // https://url.spec.whatwg.org/#ends-in-a-number-checker
    let last = host.rsplit('.').next().unwrap_or(host);
    let number = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
    number.then_some(Reach::Loopback)
}

fn of(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => of_v4(address),
            None => of_v6(address),
        },
    }
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
fn of_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [0 | 127, ..] => Reach::Loopback,
        [169, 254, ..] => Reach::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [224..=255, ..] => {
            Reach::Private
        }
        _ => Reach::Public,
    }
}

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>
fn of_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Reach::Loopback,
        [0xfe80..=0xfebf, ..] => Reach::LinkLocal,
        [0xfc00..=0xfdff | 0xff00..=0xffff, ..] => Reach::Private,
        // Translated IPv4 addresses.
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] => {
            let ([a, b], [c, d]) = (a.to_be_bytes(), b.to_be_bytes());
            of_v4(Ipv4Addr::new(a, b, c, d))
        }
        _ => Reach::Public,
    }
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use super::super::{Network, Proxies, Settings, Trust};
    use super::*;
    use crate::term::Term;

    /// A client that sends nothing.
    pub fn offline(proxies: Proxies) -> Http<'static> {
        client(proxies, Network::Offline)
    }

    /// A client that tries each request once.
    pub fn client(proxies: Proxies, network: Network) -> Http<'static> {
        let settings = Settings {
            trust: Trust::default(),
            proxies,
            plain_http: Vec::new(),
            timeout: Duration::from_secs(30),
            retries: 0,
            network,
        };
        Http::new(settings, Box::leak(Box::new(Term::silent())))
    }

    /// How each reference in a response of each server is resolved. No name is looked up: all
    /// public ones go through a proxy.
    #[test]
    fn servers_name_no_address_that_they_cannot_reach() {
        let http = offline(Proxies::read(|name| {
            let named = matches!(name, "http_proxy" | "https_proxy");
            named.then(|| "http://proxy.test:1".to_owned())
        }));
        let (world, plain) = ("https://r.test/v2/a", "http://r.test/v2/a");
        let (near, own) = ("https://10.1.2.3/v2/a", "http://127.0.0.1:5000/v2/a");
        for (by, text, expected) in [
            (world, "/v2/b?x=1", Some("https://r.test/v2/b?x=1")),
            (world, "b", Some("https://r.test/v2/b")),
            (world, " /v2/b ", Some("https://r.test/v2/b")),
            (world, "//cdn.test/b", Some("https://cdn.test/b")),
            (world, "https://cdn.test/b", Some("https://cdn.test/b")),
            (world, "https://r.test:444/b", Some("https://r.test:444/b")),
            (world, "", None),
            (world, "  ", None),
            (world, "http://cdn.test/b", None),
            (world, "http://r.test/b", None),
            (world, "http://127.0.0.1/b", None),
            (world, "https://127.0.0.1/b", None),
            (world, "https://127.1/b", None),
            (world, "https://2130706433/b", None),
            (world, "https://0x7f000001/b", None),
            (world, "https://0.0.0.0/b", None),
            (world, "https://[::1]/b", None),
            (world, "https://[::]/b", None),
            (world, "https://[::ffff:127.0.0.1]/b", None),
            (world, "https://[64:ff9b::7f00:1]/b", None),
            (world, "https://localhost/b", None),
            (world, "https://LOCALHOST./b", None),
            (world, "https://a.localhost/b", None),
            (world, "https://169.254.169.254/latest", None),
            (world, "https://[fe80::1]/b", None),
            (world, "https://10.0.0.1/b", None),
            (world, "https://172.20.0.1/b", None),
            (world, "https://192.168.1.1/b", None),
            (world, "https://100.100.100.200/b", None),
            (world, "https://[fd00::1]/b", None),
            (world, "https://u:p@cdn.test/b", None),
            (world, "https://u@r.test/b", None),
            (world, "ftp://cdn.test/b", None),
            (world, "file:///etc/passwd", None),
            (world, "javascript:alert(1)", None),
            (world, "https://cdn.test/\r\nX: y", None),
            (plain, "http://127.0.0.1/b", None),
            (plain, "http://169.254.169.254/latest", None),
            (plain, "https://cdn.test/b", Some("https://cdn.test/b")),
            (plain, "http://cdn.test/b", Some("http://cdn.test/b")),
            (near, "https://10.9.9.9/b", Some("https://10.9.9.9/b")),
            (near, "https://cdn.test/b", Some("https://cdn.test/b")),
            (near, "https://127.0.0.1/b", None),
            (near, "https://169.254.169.254/b", None),
            (own, "http://127.0.0.1:1/b", Some("http://127.0.0.1:1/b")),
            (own, "http://localhost:1/b", Some("http://localhost:1/b")),
            (own, "http://10.0.0.1/b", Some("http://10.0.0.1/b")),
            (own, "https://cdn.test/b", Some("https://cdn.test/b")),
            (own, "http://169.254.169.254/b", None),
        ] {
            let named = http.resolve_url(&Url::parse(by).unwrap(), text);
            let shown = named.as_ref().ok().map(|url| format!("{}{}", url.origin, url.target()));
            assert_eq!(shown.as_deref(), expected, "{by} {text}: {named:?}");
        }
    }

    /// A name is as near as what it resolves to.
    #[test]
    fn names_of_this_machine_are_known_by_their_addresses() {
        let http = offline(Proxies::default());
        locked(&http.reaches).insert("inner.test".to_owned(), vec![Reach::Public, Reach::Loopback]);
        locked(&http.reaches).insert("outer.test".to_owned(), vec![Reach::Public]);
        let from = |text: &str, to: &str| http.resolve_url(&Url::parse(text).unwrap(), to).is_ok();
        assert!(!from("https://outer.test/", "https://inner.test/"));
        // A server in both networks may not name a local one.
        assert!(!from("https://inner.test/", "https://127.0.0.1/"));
        assert!(from("https://inner.test/", "https://outer.test/"));
    }
}
