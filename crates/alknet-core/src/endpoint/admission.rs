//! Who gets a connection at all: counts of connections, in all and per address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;

/// Counts connections from before their handshake until their end.
pub(crate) struct Admission {
    max_connections: usize,
    max_per_address: usize,
    retry_above: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: usize,
    handshakes: usize,
    by_network: HashMap<Network, usize>,
}

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 customer has at the least.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 4]),
    V6([u16; 4]),
}

/// What becomes of a new client.
pub(crate) enum Verdict {
    /// It may go on; the place is its own until the permit is dropped.
    Admit(Permit),
    /// It has to prove its address first (QUIC only).
    Validate,
    /// There is no place for it.
    Refuse(Refusal),
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Connections,
    PerAddress,
}

impl Refusal {
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Connections => "max_connections",
            Self::PerAddress => "max_connections_per_address",
        }
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max_connections: limits.max_connections,
            max_per_address: limits.max_connections_per_address,
            retry_above: limits.retry_above_handshakes,
            counts: Mutex::default(),
        })
    }

    /// `validated`: whether the address is proven to be the client's own. TCP's always is.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, validated: bool) -> Verdict {
        let network = Network::of(address);
        let mut counts = self.counts();
        let from_here = counts.by_network.get(&network).copied().unwrap_or(0);
        // An address that anyone could have written into a packet must not use up the place of its owner.
        if !validated && (counts.handshakes >= self.retry_above || from_here >= self.max_per_address.div_ceil(2)) {
            return Verdict::Validate;
        }
        if counts.connections >= self.max_connections {
            return Verdict::Refuse(Refusal::Connections);
        }
        if from_here >= self.max_per_address {
            return Verdict::Refuse(Refusal::PerAddress);
        }
        counts.connections += 1;
        counts.handshakes += 1;
        *counts.by_network.entry(network).or_default() += 1;
        Verdict::Admit(Permit { admission: self.clone(), network, in_handshake: true })
    }

    /// Connections that hold a place now, handshakes included.
    pub(crate) fn connections(&self) -> usize {
        self.counts().connections
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    network: Network,
    in_handshake: bool,
}

impl Permit {
    pub(crate) fn handshake_done(&mut self) {
        if std::mem::take(&mut self.in_handshake) {
            self.admission.counts().handshakes -= 1;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.handshake_done();
        let mut counts = self.admission.counts();
        counts.connections -= 1;
        if let Entry::Occupied(mut from_here) = counts.by_network.entry(self.network) {
            *from_here.get_mut() -= 1;
            if *from_here.get() == 0 {
                from_here.remove();
            }
        }
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = Ipv6Addr::segments(&v6);
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn admission(connections: usize, per_address: usize, retry_above: usize) -> Arc<Admission> {
        Admission::new(&Limits {
            max_connections: connections,
            max_connections_per_address: per_address,
            retry_above_handshakes: retry_above,
            ..Limits::default()
        })
    }

    fn admit(admission: &Arc<Admission>, address: &str) -> Result<Permit, Refusal> {
        match admission.admit(address.parse().unwrap(), true) {
            Verdict::Admit(permit) => Ok(permit),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Validate => panic!("a validated address was asked again"),
        }
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let admission = admission(10, 2, 100);
        let held = [admit(&admission, "192.0.2.1").unwrap(), admit(&admission, "192.0.2.1").unwrap()];
        assert_eq!(admit(&admission, "192.0.2.1").err(), Some(Refusal::PerAddress));
        assert!(admit(&admission, "192.0.2.2").is_ok());
        drop(held);
        assert!(admit(&admission, "192.0.2.1").is_ok());
    }

    #[test]
    fn an_ipv6_customer_is_one_address_and_a_mapped_ipv4_address_is_ipv4() {
        let admission = admission(10, 1, 100);
        let _held = (admit(&admission, "2001:db8::1").unwrap(), admit(&admission, "::ffff:192.0.2.1").unwrap());
        assert!(admit(&admission, "2001:db8::ffff:2").is_err());
        assert!(admit(&admission, "2001:db8:0:1::1").is_ok());
        assert!(admit(&admission, "192.0.2.1").is_err());
    }

    #[test]
    fn a_spoofed_address_does_not_lock_its_owner_out() {
        let admission = admission(100, 4, 100);
        let address = "192.0.2.1".parse().unwrap();
        let mut held = Vec::new();
        while let Verdict::Admit(permit) = admission.admit(address, false) {
            held.push(permit);
        }
        assert!(matches!(admission.admit(address, false), Verdict::Validate));
        assert!(admit(&admission, "192.0.2.1").is_ok());
    }

    #[test]
    fn many_handshakes_make_clients_prove_their_address() {
        let admission = admission(100, 100, 1);
        let mut first = admit(&admission, "192.0.2.1").unwrap();
        let another = "192.0.2.2".parse().unwrap();
        assert!(matches!(admission.admit(another, false), Verdict::Validate));
        first.handshake_done();
        assert!(matches!(admission.admit(another, false), Verdict::Admit(_)));
    }

    proptest! {
        #[test]
        fn nothing_is_left_when_all_have_gone(steps in prop::collection::vec((0u8..4, any::<bool>()), 0..200)) {
            let admission = admission(20, 7, 5);
            let mut held = Vec::new();
            for (host, leave) in steps {
                if leave && !held.is_empty() {
                    drop(held.swap_remove(usize::from(host) % held.len()));
                } else if let Ok(permit) = admit(&admission, &format!("192.0.2.{host}")) {
                    held.push(permit);
                }
                prop_assert_eq!(admission.connections(), held.len());
                prop_assert!(held.len() <= 20);
            }
            drop(held);
            let counts = admission.counts();
            prop_assert_eq!((counts.connections, counts.handshakes, counts.by_network.len()), (0, 0, 0));
        }
    }
}
