//! Networks, as `10.0.0.0/8` and `2001:db8::/32`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A network in CIDR notation (RFC 4632, RFC 4291 section 2.3). A single address is a network of its own. Bits beyond the prefix are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, examples("10.0.0.0/8"))]
pub struct Network(IpNet);

impl Network {
    /// The network with this address and this length of the prefix in bits; none where it is longer than the address.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        IpNet::new(address, prefix)
            .ok()
            .map(|net| Self(net.trunc()))
    }

    /// Its first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// The length of its prefix in bits.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether the address is in it. An IPv4 address is in no IPv6 network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// What is in both: networks are apart, or one is within the other.
    #[must_use]
    pub fn both(self, other: Self) -> Option<Self> {
        if self.0.contains(&other.0) {
            Some(other)
        } else if other.0.contains(&self.0) {
            Some(self)
        } else {
            None
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Network {
    type Err = MalformedNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map(|net| Self(net.trunc()))
            .map_err(|_| MalformedNetwork)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is written as 10.0.0.0/8 or 2001:db8::/32, or is a single address")]
pub struct MalformedNetwork;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_in_a_network() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "::1", "127.0.0.1"),
        ] {
            assert!(network(text).contains(inside.parse().unwrap()), "{text}");
            assert!(!network(text).contains(outside.parse().unwrap()), "{text}");
        }
        assert_eq!(network("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(network("2001:DB8::5").to_string(), "2001:db8::5/128");
        for wrong in ["", "10.0.0.0/33", "10.0.0", "example.com", "10.0.0.0/-1"] {
            assert_eq!(wrong.parse::<Network>(), Err(MalformedNetwork), "{wrong}");
        }
    }

    #[test]
    fn networks_are_apart_or_within_one_another() {
        let ten = network("10.0.0.0/8");
        assert_eq!(
            ten.both(network("10.1.0.0/16")),
            Some(network("10.1.0.0/16"))
        );
        assert_eq!(
            network("10.1.0.0/16").both(ten),
            Some(network("10.1.0.0/16"))
        );
        assert_eq!(ten.both(network("192.0.2.0/24")), None);
        assert_eq!(ten.both(network("::/0")), None);
    }
}
