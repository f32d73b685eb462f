//! Which addresses a client may connect to.
//!
//! URLs come from the configuration only, never from alerts. Still a name may be made to resolve
//! to something inside: what a name resolves to is looked at right before it is connected to, and
//! exactly the addresses that were looked at are connected to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// A range of addresses, such as `169.254.0.0/16`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(of), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (of.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(of), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (of.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be an address or a range, such as 169.254.1.1 or 169.254.0.0/16";
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| FORM)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), |prefix| prefix.parse().map_err(|_| FORM))?;
        if prefix > bits { Err(FORM) } else { Ok(Self { address, prefix }) }
    }
}

/// Link-local addresses, where clouds serve metadata, and further places of metadata. Multicast
/// and broadcast can be no web server.
const FORBIDDEN: [Network; 6] = [
    Network::v4(169, 254, 0, 0, 16),
    Network::v4(100, 100, 100, 200, 32),
    Network::v4(168, 63, 129, 16, 32),
    Network::v4(192, 0, 0, 192, 32),
    Network::v4(224, 0, 0, 0, 4),
    Network::v4(255, 255, 255, 255, 32),
];
const FORBIDDEN_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// What an address stands for: one of version 4 may be wrapped into one of version 6.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let segments = v6.segments();
    let is_nat64 = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let is_compatible = segments[..6] == [0; 6] && v6.to_bits() > 0xffff;
    if is_nat64 || is_compatible {
        return IpAddr::V4(Ipv4Addr::from_bits(v6.to_bits() as u32));
    }
    v6.to_canonical()
}

/// Resolves names and hands out only addresses that may be connected to.
#[derive(Debug)]
pub(super) struct Guarded<R> {
    inner: R,
    /// Hosts from the configuration that are this machine by their own words.
    local: Vec<String>,
    allowed: Vec<Network>,
}

impl<R: Resolver> Guarded<R> {
    /// `configured` are the hosts of the URLs in the configuration: of these, `localhost` and
    /// addresses such as 127.0.0.1 may be connected to. Another name that resolves to this
    /// machine may not: nobody has asked for it.
    pub(super) fn new(inner: R, configured: &[&str], allowed: &[Network]) -> Self {
        let is_local = |host: &&&str| {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            **host == "localhost" || address.is_ok_and(|address| is_here(unwrapped(address)))
        };
        let local = configured.iter().filter(is_local).map(|host| (*host).to_owned()).collect();
        Self { inner, local, allowed: allowed.to_vec() }
    }

    fn may_connect(&self, host: &str, address: IpAddr) -> bool {
        let address = unwrapped(address);
        if self.allowed.iter().any(|network| network.contains(address)) {
            return true;
        }
        if is_here(address) {
            return self.local.iter().any(|local| local == host);
        }
        let v6 = |&(network, prefix): &(Ipv6Addr, u8)| {
            Network { address: IpAddr::V6(network), prefix }.contains(address)
        };
        !FORBIDDEN.iter().any(|network| network.contains(address)) && !FORBIDDEN_V6.iter().any(v6)
    }
}

fn is_here(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

impl<R: Resolver> Resolver for Guarded<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let host = uri.host().unwrap_or_default();
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| self.may_connect(host, address.ip())) {
            allowed.push(*address);
        }
        match (allowed.is_empty(), found.iter().next()) {
            (true, Some(address)) => {
                let refused = Refused { host: host.to_owned(), address: address.ip() };
                Err(ureq::Error::Other(Box::new(refused)))
            }
            _ => Ok(allowed),
        }
    }
}

/// An address that must not be connected to.
#[derive(Debug)]
struct Refused {
    host: String,
    address: IpAddr,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, address } = self;
        write!(
            f,
            "{host} resolves to {address}, which is not connected to; if it is meant, put it into \
             http_config.allow_addresses"
        )
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ureq::unversioned::transport::time::Duration;

    use super::*;

    /// A name server that says whatever it is told to.
    #[derive(Debug)]
    struct Lying(Vec<IpAddr>);

    impl Resolver for Lying {
        fn resolve(
            &self,
            _: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let mut all = self.empty();
            self.0.iter().for_each(|&ip| all.push(SocketAddr::new(ip, 80)));
            Ok(all)
        }
    }

    fn resolve(host: &str, says: &[&str], configured: &[&str], allowed: &[&str]) -> Vec<String> {
        let says = says.iter().map(|ip| ip.parse().expect("an address")).collect();
        let allowed: Vec<Network> = allowed.iter().map(|n| n.parse().expect("a range")).collect();
        let guarded = Guarded::new(Lying(says), configured, &allowed);
        let uri: Uri = format!("http://{host}/").parse().expect("a URI");
        let timeout = NextTimeout {
            after: Duration::from_secs(1),
            reason: ureq::Timeout::Global,
            ..NextTimeout::default()
        };
        match guarded.resolve(&uri, &Config::default(), timeout) {
            Ok(found) => found.iter().map(|address| address.ip().to_string()).collect(),
            Err(error) => {
                assert!(error.to_string().contains("is not connected to"), "{error}");
                Vec::new()
            }
        }
    }

    #[test]
    fn a_name_that_turns_inside_is_not_followed() {
        // (what the name server says, what is left)
        let table: &[(&[&str], &[&str])] = &[
            (&["10.1.2.3"], &["10.1.2.3"]),
            (&["192.168.0.1", "fd00::1"], &["192.168.0.1", "fd00::1"]),
            (&["127.0.0.1"], &[]),
            (&["127.8.9.1"], &[]),
            (&["::1"], &[]),
            (&["0.0.0.0"], &[]),
            (&["::"], &[]),
            (&["::ffff:127.0.0.1"], &[]),
            (&["::127.0.0.1"], &[]),
            (&["64:ff9b::169.254.169.254"], &[]),
            (&["169.254.169.254"], &[]),
            (&["::ffff:169.254.169.254"], &[]),
            (&["fe80::1"], &[]),
            (&["febf::1"], &[]),
            (&["fd00:ec2::254"], &[]),
            (&["100.100.100.200"], &[]),
            (&["168.63.129.16"], &[]),
            (&["224.0.0.1"], &[]),
            (&["255.255.255.255"], &[]),
            (&["10.1.2.3", "169.254.169.254", "127.0.0.1"], &["10.1.2.3"]),
        ];
        for (says, left) in table {
            let found = resolve("alertmanager.example", says, &["alertmanager.example"], &[]);
            assert_eq!(&found, left, "{says:?}");
        }
    }

    #[test]
    fn this_machine_must_be_meant() {
        let here = ["127.0.0.1"];
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(resolve(host, &here, &[host], &[]), here, "{host}");
            // A redirect to it from elsewhere.
            assert!(resolve(host, &here, &["am.example"], &[]).is_empty(), "{host}");
        }
        // Names that only the system's resolver takes for an address.
        for host in ["2130706433", "0x7f.1", "0177.0.0.1", "localhost.example", "127.1"] {
            assert!(resolve(host, &here, &[host], &[]).is_empty(), "{host}");
        }
    }

    #[test]
    fn what_is_allowed_is_connected_to() {
        let metadata = ["169.254.169.254"];
        for allowed in ["169.254.0.0/16", "169.254.169.254", "0.0.0.0/0"] {
            assert_eq!(resolve("m", &metadata, &["m"], &[allowed]), metadata, "{allowed}");
        }
        assert!(resolve("m", &metadata, &["m"], &["169.254.168.0/24"]).is_empty());
        assert_eq!(resolve("m", &["fe80::1"], &["m"], &["fe80::/10"]), ["fe80::1"]);
        for wrong in ["", "a", "1.2.3.4/33", "::/129", "1.2.3.4/-1", "1.2.3.4/8/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
