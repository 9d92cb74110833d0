//! Where a pairing link says that the node is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::PairingError;
use crate::config::Address;

/// Why a link has the address that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressSource {
    /// Somebody said so.
    Given,
    /// The node listens there and nowhere else.
    Listen,
    /// The node listens everywhere, and the machine uses that address towards the internet.
    Route,
}

impl AddressSource {
    /// As the operation answers it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Listen => "listen",
            Self::Route => "route",
        }
    }
}

/// Chooses the address of a link to a node that listens on `listen`.
///
/// # Errors
/// When it listens everywhere, and the machine has no route to anywhere.
pub fn choose_address(given: Option<Address>, listen: &[SocketAddr]) -> Result<(Address, AddressSource), PairingError> {
    choose(given, listen, route)
}

fn choose(
    given: Option<Address>,
    listen: &[SocketAddr],
    route: impl Fn(IpAddr) -> Option<IpAddr>,
) -> Result<(Address, AddressSource), PairingError> {
    if let Some(address) = given {
        return Ok((address, AddressSource::Given));
    }
    // An address that others can reach comes before one that only this machine can.
    let mut named: Vec<_> = listen.iter().filter(|address| !address.ip().is_unspecified()).collect();
    named.sort_by_key(|address| address.ip().is_loopback());
    let everywhere = listen.iter().filter(|address| address.ip().is_unspecified());
    let routed = everywhere.flat_map(|any| {
        let route = &route;
        // A socket on [::] takes IPv4, too.
        let families: &[IpAddr] = match any.is_ipv6() {
            true => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
            false => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
        };
        families.iter().filter_map(move |family| Some(SocketAddr::new(route(*family)?, any.port())))
    });
    let candidates = routed.map(|address| (address, AddressSource::Route));
    let candidates = candidates.chain(named.into_iter().map(|address| (*address, AddressSource::Listen)));
    let mut found = candidates.filter_map(|(address, source)| Some((address.to_string().parse().ok()?, source)));
    found.next().ok_or(PairingError::NoAddress)
}

/// The address that this machine would send from to the internet. To connect a UDP socket looks the route up and sends
/// nothing; the addresses are those of documentation (RFC 5737, RFC 3849).
fn route(family: IpAddr) -> Option<IpAddr> {
    let far: SocketAddr = match family {
        IpAddr::V4(_) => (Ipv4Addr::new(192, 0, 2, 1), 9).into(),
        IpAddr::V6(_) => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into(),
    };
    let socket = UdpSocket::bind((family, 0)).ok()?;
    socket.connect(far).ok()?;
    let address = socket.local_addr().ok()?.ip();
    // The scope of a link-local address means nothing on another machine.
    let link_local = matches!(address, IpAddr::V6(ip) if ip.is_unicast_link_local());
    (!address.is_unspecified() && !address.is_loopback() && !link_local).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(listen: &[&str], v4: Option<&str>, v6: Option<&str>) -> Option<(String, AddressSource)> {
        let listen: Vec<SocketAddr> = listen.iter().map(|address| address.parse().unwrap()).collect();
        let route = |family: IpAddr| if family.is_ipv4() { v4 } else { v6 }.map(|ip| ip.parse().unwrap());
        choose(None, &listen, route).ok().map(|(address, source)| (address.to_string(), source))
    }

    #[test]
    fn a_link_says_where_others_reach_the_node() {
        use AddressSource::{Listen, Route};
        let (v4, v6) = (Some("10.0.0.7"), Some("2001:db8::7"));
        assert_eq!(chosen(&["[::]:443"], v4, v6), Some(("10.0.0.7:443".to_owned(), Route)));
        assert_eq!(chosen(&["[::]:443"], None, v6), Some(("[2001:db8::7]:443".to_owned(), Route)));
        assert_eq!(chosen(&["0.0.0.0:443"], None, v6), None);
        assert_eq!(chosen(&["127.0.0.1:1", "10.1.1.1:2"], v4, v6), Some(("10.1.1.1:2".to_owned(), Listen)));
        assert_eq!(chosen(&["127.0.0.1:1"], v4, v6), Some(("127.0.0.1:1".to_owned(), Listen)));
        let given = choose(Some("hub.example:1".parse().unwrap()), &[], |_| None).unwrap();
        assert_eq!((given.0.as_str(), given.1), ("hub.example:1", AddressSource::Given));
    }
}
