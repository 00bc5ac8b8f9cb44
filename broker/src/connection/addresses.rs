//! How many connections each client address has, so that one machine does not take all of them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bounds, by Kafka's names.
#[derive(Clone, Debug)]
pub(crate) struct PerAddress {
    /// `max.connections.per.ip`.
    pub(crate) most: usize,
    /// `max.connections.per.ip.overrides`.
    pub(crate) overrides: BTreeMap<IpAddr, usize>,
}

impl Default for PerAddress {
    fn default() -> Self {
        Self { most: usize::MAX, overrides: BTreeMap::new() }
    }
}

/// The addresses that have connections, and how many. Clones are the same ones.
///
/// Bounded by the connections of the node: an address without one is forgotten.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    bounds: Arc<PerAddress>,
    connected: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection of an address, until this is dropped.
#[derive(Debug)]
pub(super) struct Connected {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    pub(super) fn new(bounds: PerAddress) -> Self {
        Self { bounds: Arc::new(bounds), connected: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection of this address; none if it has as many as it may have. An IPv4 address in IPv6 form, as a socket for
    /// both shows it, is the IPv4 address.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Connected> {
        let address = address.to_canonical();
        let most = self.bounds.overrides.get(&address).copied().unwrap_or(self.bounds.most);
        let mut connected = self.lock();
        let present = connected.get(&address).copied().unwrap_or_default();
        if present >= most {
            return None;
        }
        connected.insert(address, present + 1);
        Some(Connected { addresses: self.clone(), address })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut connected = self.addresses.lock();
        if let Some(present) = connected.get_mut(&self.address) {
            *present -= 1;
            if *present == 0 {
                connected.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_others_have_theirs() {
        let overrides = BTreeMap::from([(address("10.0.0.9"), 1), (address("10.0.0.8"), 0)]);
        let addresses = Addresses::new(PerAddress { most: 2, overrides });
        let first = addresses.admit(address("10.0.0.1"));
        let second = addresses.admit(address("::ffff:10.0.0.1"));
        assert!(first.is_some() && second.is_some());
        assert!(addresses.admit(address("10.0.0.1")).is_none());
        assert!(addresses.admit(address("10.0.0.2")).is_some());
        drop(first);
        assert!(addresses.admit(address("10.0.0.1")).is_some());

        let only = addresses.admit(address("10.0.0.9"));
        assert!(only.is_some() && addresses.admit(address("10.0.0.9")).is_none());
        assert!(addresses.admit(address("10.0.0.8")).is_none());
        drop((second, only));
        assert!(addresses.lock().is_empty(), "an address without a connection is forgotten");
    }
}
