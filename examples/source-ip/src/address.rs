//! Addresses: what an answer names, and which networks are trusted.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Who a request comes from, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In canonical form: IPv4 instead of IPv4-mapped IPv6 (RFC 4291, section 2.5.5.2).
    Address(IpAddr),
    /// A name that a trusted proxy gave to a client whose address it hides (RFC 7239, section 6.3).
    Obfuscated(String),
    /// A trusted proxy does not know it, or what it wrote cannot be read.
    Unknown,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Address(address) => address.fmt(f),
            Source::Obfuscated(name) => name.fmt(f),
            Source::Unknown => f.write_str("unknown"),
        }
    }
}

/// A network, such as `10.0.0.0/8`. Its address is canonical and has no bits after the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the network has this address, which may be IPv4-mapped.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| {
            format!("`{text}` is neither an address nor a network; write it as 10.0.0.0/8")
        })?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(digits) => Some(digits)
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .filter(|prefix| *prefix <= bits)
                .ok_or_else(|| format!("the prefix of `{text}` is not a number up to {bits}"))?,
        };
        let (address, prefix) = match address.to_canonical() {
            // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
            v4 @ IpAddr::V4(_) if address.is_ipv6() && prefix >= 96 => (v4, prefix - 96),
            _ => (address, prefix),
        };
        let network = Network { address: masked(address, prefix), prefix };
        if network.address != address {
            return Err(format!(
                "`{text}` has bits set after its prefix; the network is {}/{prefix}",
                network.address
            ));
        }
        Ok(network)
    }
}

/// The address with all bits after the prefix cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

/// The networks whose hosts are believed when they name a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted(pub Vec<Network>);

impl Trusted {
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_addresses() {
        let table = [
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::10.1.2.3", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.7/32", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.9", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
            ("::ffff:10.0.0.0/104", "10.9.8.7", true),
            ("::ffff:10.0.0.0/104", "11.9.8.7", false),
        ];
        for (network, address, inside) in table {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(ip(address)), inside, "{network:?} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let table = [
            ("", "neither an address nor a network"),
            ("10.0.0.0.0/8", "neither an address nor a network"),
            ("localhost", "neither an address nor a network"),
            ("10.0.0.0/33", "not a number up to 32"),
            ("10.0.0.0/+8", "not a number up to 32"),
            ("10.0.0.0/", "not a number up to 32"),
            ("::/129", "not a number up to 128"),
            ("10.0.0.1/8", "the network is 10.0.0.0/8"),
            ("2001:db8::1/32", "the network is 2001:db8::/32"),
        ];
        for (text, why) in table {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
