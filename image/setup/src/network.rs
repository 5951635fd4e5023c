//! How the machine is on its network: by DHCP unless somebody typed something else at the console, or a seed says so. What was typed lies on the data
//! partition; at each start it becomes files of systemd-networkd, before that reads them.

use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result};

/// What was typed, as it was typed.
const KEPT: &str = "/var/lib/strongroom/network";
/// Where systemd-networkd looks before it looks into the image.
const FILES: &str = "/run/systemd/network";
/// What may be typed.
pub(crate) const EXAMPLES: &str = "dhcp    dhcp vlan 12    10.0.5.10/24 via 10.0.5.1 dns 10.0.5.2    10.0.5.10/24 via 10.0.5.1 dns 10.0.5.2 vlan 12";

/// How the machine is on its network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Network {
    /// None: by DHCP.
    fixed: Option<Fixed>,
    /// The number of the VLAN (IEEE 802.1Q) that the machine is in, where the port that it is at does not say so.
    vlan: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fixed {
    address: IpAddr,
    /// The length of its network's prefix, in bits.
    prefix: u8,
    gateway: Option<IpAddr>,
    resolvers: Vec<IpAddr>,
}

/// Why what was typed is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mistake {
    /// Neither `dhcp` nor an address stands first.
    #[error(
        "begin with dhcp, or with an address and the length of its prefix, such as 10.0.5.10/24"
    )]
    Beginning,
    /// A word that is not known, or that has nothing behind it.
    #[error("\"{0}\" is not understood")]
    Word(String),
    /// The gateway cannot be reached from the address.
    #[error("the gateway is not in the address's network")]
    Gateway,
    /// VLANs have numbers from 1 to 4094.
    #[error("a VLAN has a number from 1 to 4094")]
    Vlan,
}

impl FromStr for Network {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let mut words = text.split_whitespace();
        let first = words.next().ok_or(Mistake::Beginning)?;
        let mut network = Self {
            fixed: match first {
                "dhcp" => None,
                _ => Some(Fixed::at(first).ok_or(Mistake::Beginning)?),
            },
            vlan: None,
        };
        while let Some(word) = words.next() {
            let wrong = || Mistake::Word(word.to_owned());
            let value = words.next().ok_or_else(wrong)?;
            match (word, &mut network.fixed) {
                ("vlan", _) => {
                    let number = value
                        .parse()
                        .ok()
                        .filter(|number| (1..=4094).contains(number));
                    network.vlan = Some(number.ok_or(Mistake::Vlan)?);
                }
                ("via", Some(fixed)) => {
                    let gateway = value.parse().map_err(|_| wrong())?;
                    if !fixed.reaches(gateway) {
                        return Err(Mistake::Gateway);
                    }
                    fixed.gateway = Some(gateway);
                }
                ("dns", Some(fixed)) => {
                    let resolvers: Result<Vec<IpAddr>, _> =
                        value.split(',').map(str::parse).collect();
                    fixed.resolvers = resolvers.map_err(|_| wrong())?;
                }
                _ => return Err(wrong()),
            }
        }
        Ok(network)
    }
}

/// As it is typed.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fixed {
            None => f.write_str("dhcp")?,
            Some(fixed) => {
                write!(f, "{}/{}", fixed.address, fixed.prefix)?;
                if let Some(gateway) = fixed.gateway {
                    write!(f, " via {gateway}")?;
                }
                for (index, resolver) in fixed.resolvers.iter().enumerate() {
                    f.write_str(if index == 0 { " dns " } else { "," })?;
                    write!(f, "{resolver}")?;
                }
            }
        }
        if let Some(vlan) = self.vlan {
            write!(f, " vlan {vlan}")?;
        }
        Ok(())
    }
}

impl Fixed {
    fn at(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix
            .parse()
            .ok()
            .filter(|prefix| (1..=most).contains(prefix))?;
        let unusable = address.is_unspecified() || address.is_loopback() || address.is_multicast();
        (!unusable).then_some(Self {
            address,
            prefix,
            gateway: None,
            resolvers: Vec::new(),
        })
    }

    /// Whether another address is in the same network; those of one link (IPv6) always are.
    fn reaches(&self, other: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        match (self.address, other) {
            (IpAddr::V6(_), IpAddr::V6(other)) if other.is_unicast_link_local() => true,
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                (bits(self.address) ^ bits(other)).leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

impl Network {
    /// What was typed last, or DHCP.
    pub(crate) fn kept() -> Result<Self> {
        match fs::read_to_string(KEPT) {
            Ok(text) => text.parse().with_context(|| format!("{KEPT} is damaged")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{KEPT} cannot be read")),
        }
    }

    /// Keeps it for the next start: the old or the new, and nothing between.
    pub(crate) fn keep(&self) -> Result<()> {
        let new = format!("{KEPT}.new");
        fs::write(&new, self.to_string())
            .and_then(|()| fs::File::open(&new)?.sync_all())
            .and_then(|()| fs::rename(&new, KEPT))
            .with_context(|| format!("{KEPT} cannot be written"))
    }

    /// The files of systemd-networkd, by name; none where DHCP is all, as the image has that.
    fn files(&self) -> Vec<(&'static str, String)> {
        let Some(vlan) = self.vlan else {
            let wire = self.fixed.as_ref().map(|fixed| {
                let file = format!("[Match]\nType=ether\n\n{}", fixed.section());
                ("70-strongroom.network", file)
            });
            return wire.into_iter().collect();
        };
        let within = match &self.fixed {
            Some(fixed) => fixed.section(),
            None => "[Network]\nDHCP=yes\nLLMNR=no\nMulticastDNS=no\n".to_owned(),
        };
        vec![
            (
                "60-strongroom.netdev",
                format!("[NetDev]\nName=vlan{vlan}\nKind=vlan\n\n[VLAN]\nId={vlan}\n"),
            ),
            (
                "60-strongroom.network",
                format!("[Match]\nName=vlan{vlan}\n\n{within}"),
            ),
            // The wire itself, which has no address and carries the VLAN.
            (
                "70-strongroom.network",
                format!(
                    "[Match]\nType=ether\n\n[Network]\nVLAN=vlan{vlan}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
                ),
            ),
        ]
    }
}

impl Fixed {
    fn section(&self) -> String {
        let mut text = format!(
            "[Network]\nDHCP=no\nIPv6AcceptRA=no\nLLMNR=no\nMulticastDNS=no\nAddress={}/{}\n",
            self.address, self.prefix
        );
        // Writing to a string cannot fail.
        if let Some(gateway) = self.gateway {
            let _ = writeln!(text, "Gateway={gateway}");
        }
        for resolver in &self.resolvers {
            let _ = writeln!(text, "DNS={resolver}");
        }
        text
    }
}

/// Makes the files of systemd-networkd from what is kept.
pub(crate) fn run() -> Result<()> {
    let network = Network::kept()?;
    write_files(Path::new(FILES), &network).with_context(|| format!("{FILES} cannot be written"))
}

fn write_files(folder: &Path, network: &Network) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in network.files() {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_was_typed_reads_back() {
        for typed in [
            "dhcp",
            "dhcp vlan 12",
            "10.0.5.10/24",
            "10.0.5.10/24 via 10.0.5.1 dns 10.0.5.2,10.0.5.3 vlan 4094",
            "fd00::10/64 via fe80::1 dns fd00::53",
        ] {
            let network: Network = typed.parse().unwrap();
            assert_eq!(network.to_string(), typed);
        }
        let spaced: Network = " 10.0.5.10/24   vlan 7 via 10.0.5.1 ".parse().unwrap();
        assert_eq!(spaced.to_string(), "10.0.5.10/24 via 10.0.5.1 vlan 7");
    }

    #[test]
    fn what_cannot_work_is_refused_with_the_reason() {
        for (typed, mistake) in [
            ("", Mistake::Beginning),
            ("10.0.5.10", Mistake::Beginning),
            ("10.0.5.10/33", Mistake::Beginning),
            ("127.0.0.1/8", Mistake::Beginning),
            ("10.0.5.10/24 via 10.0.6.1", Mistake::Gateway),
            ("10.0.5.10/24 via fd00::1", Mistake::Gateway),
            ("10.0.5.10/24 via", Mistake::Word("via".to_owned())),
            ("dhcp via 10.0.5.1", Mistake::Word("via".to_owned())),
            ("10.0.5.10/24 dns x", Mistake::Word("dns".to_owned())),
            ("dhcp vlan 4095", Mistake::Vlan),
        ] {
            assert_eq!(typed.parse::<Network>(), Err(mistake), "{typed}");
        }
    }

    #[test]
    fn the_files_say_what_was_typed() {
        let folder = tempfile::tempdir().unwrap();
        let typed = "10.0.5.10/24 via 10.0.5.1 dns 10.0.5.2 vlan 12";
        write_files(folder.path(), &typed.parse().unwrap()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(read("60-strongroom.netdev").ends_with("[VLAN]\nId=12\n"));
        assert!(read("60-strongroom.network").contains("Name=vlan12\n"));
        let within = read("60-strongroom.network");
        assert!(within.ends_with("Address=10.0.5.10/24\nGateway=10.0.5.1\nDNS=10.0.5.2\n"));
        assert!(read("70-strongroom.network").contains("VLAN=vlan12\n"));
        assert!(Network::default().files().is_empty());
    }
}
