//! Who a request comes from: the socket, the PROXY header, and the headers of proxies, together.

use std::net::IpAddr;

use hyper::HeaderMap;
use serde::Serialize;

use crate::address::{Source, Trusted};
use crate::forwarded::{self, Header};
use crate::proxy_protocol::Origin;

/// Who is believed. A host of a trusted network is believed in what it says about its client, and
/// in nothing else. Nobody else is believed.
#[derive(Clone, Debug)]
pub struct Policy {
    pub trusted: Trusted,
    /// Whether connections from trusted hosts begin with a PROXY header. All of them must then: a
    /// header that is optional could be sent by a client through a proxy that sends none.
    pub proxy_protocol: bool,
    /// The one header that is read, if any.
    pub header: Option<Header>,
}

/// A client, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub source: Source,
    pub via: Via,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    Socket,
    Proxy,
    Forwarded,
}

impl Client {
    /// The host at the other end of a socket.
    pub fn of_socket(peer: IpAddr) -> Self {
        Client { source: Source::Address(peer.to_canonical()), via: Via::Socket }
    }

    /// The client of a connection that begins with a PROXY header.
    pub fn of_proxy(peer: IpAddr, origin: Origin) -> Self {
        match origin {
            Origin::Local => Client::of_socket(peer),
            Origin::Address(address) => {
                Client { source: Source::Address(address), via: Via::Proxy }
            }
            Origin::Unknown => Client { source: Source::Unknown, via: Via::Proxy },
        }
    }
}

impl Policy {
    /// Whether a connection from this host must begin with a PROXY header.
    pub fn expects_proxy_header(&self, peer: IpAddr) -> bool {
        self.proxy_protocol && self.trusted.contains(peer)
    }

    /// The client of a request on a connection of `connection`.
    pub fn client(&self, connection: &Client, headers: &HeaderMap) -> Client {
        let (Some(header), Source::Address(hop)) = (self.header, &connection.source) else {
            return connection.clone();
        };
        if !self.trusted.contains(*hop) {
            return connection.clone();
        }
        let lines: Vec<&[u8]> =
            headers.get_all(header.name()).iter().map(|value| value.as_bytes()).collect();
        match forwarded::client(lines.into_iter(), header, &self.trusted) {
            Some(source) => Client { source, via: Via::Forwarded },
            None => connection.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use arbtest::arbtest;
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn policy(header: Option<Header>) -> Policy {
        let trusted = Trusted(vec!["10.0.0.0/8".parse().unwrap()]);
        Policy { trusted, proxy_protocol: true, header }
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_trusted_hops_and_the_chosen_header_are_believed() {
        let both = [("x-forwarded-for", "203.0.113.1"), ("forwarded", "for=203.0.113.2")];
        let forwarded = [("forwarded", "for=203.0.113.2")];
        let (x, f) = (Some(Header::XForwardedFor), Some(Header::Forwarded));
        let table: &[(_, _, &[_], _, _)] = &[
            (None, "10.0.0.1", &both, "10.0.0.1", Via::Socket),
            (x, "10.0.0.1", &both, "203.0.113.1", Via::Forwarded),
            (f, "10.0.0.1", &both, "203.0.113.2", Via::Forwarded),
            (x, "::ffff:10.0.0.1", &both, "203.0.113.1", Via::Forwarded),
            (x, "11.0.0.1", &both, "11.0.0.1", Via::Socket),
            // The other header does not stand in for a missing one.
            (x, "10.0.0.1", &forwarded, "10.0.0.1", Via::Socket),
        ];
        for (header, peer, lines, source, via) in table {
            let client = policy(*header).client(&Client::of_socket(ip(peer)), &headers(lines));
            assert_eq!((&*client.source.to_string(), client.via), (*source, *via), "{peer}");
        }
    }

    #[test]
    fn behind_a_proxy_header_the_client_in_it_is_the_hop() {
        let lines = headers(&[("x-forwarded-for", "203.0.113.1")]);
        let (here, proxied) = ("10.0.0.1", |text: &str| Origin::Address(ip(text)));
        let table = [
            (proxied("10.0.0.2"), "203.0.113.1", Via::Forwarded),
            (proxied("198.51.100.1"), "198.51.100.1", Via::Proxy),
            (Origin::Unknown, "unknown", Via::Proxy),
            (Origin::Local, "203.0.113.1", Via::Forwarded),
        ];
        for (origin, source, via) in table {
            let connection = Client::of_proxy(ip(here), origin);
            let client = policy(Some(Header::XForwardedFor)).client(&connection, &lines);
            assert_eq!((&*client.source.to_string(), client.via), (source, via), "{origin:?}");
        }
    }

    #[test]
    fn nothing_that_an_untrusted_peer_sends_changes_its_address() {
        arbtest(|u| {
            let peer: [u8; 4] = u.arbitrary()?;
            let text: Vec<u8> = u.arbitrary()?;
            let Ok(value) = HeaderValue::from_bytes(&text) else { return Ok(()) };
            let mut map = HeaderMap::new();
            map.append("x-forwarded-for", value.clone());
            map.append("forwarded", value);
            let client = Client::of_socket(peer.into());
            for header in [Header::XForwardedFor, Header::Forwarded] {
                let policy = policy(Some(header));
                let trusted = policy.trusted.contains(peer.into());
                assert!(trusted || policy.client(&client, &map) == client);
                assert_eq!(policy.expects_proxy_header(peer.into()), trusted);
            }
            Ok(())
        })
        .budget_ms(200);
    }
}
