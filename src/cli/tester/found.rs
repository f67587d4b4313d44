//! The matches of a line with the addresses of host names put in their places.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};

use crate::filter::Hit;
use crate::id::Id;
use crate::subnet::Subnet;

/// A match, and one of those whom it names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) hit: Hit,
    /// None: not known yet.
    pub(super) id: Option<Id>,
}

/// Who looks names up.
pub(super) trait Names {
    /// The addresses of a host.
    fn addresses(&mut self, name: &str) -> Vec<IpAddr>;
    /// The host of an address.
    fn host(&mut self, address: IpAddr) -> Option<String>;
}

/// The system's resolver, which is asked each name once.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    addresses: HashMap<String, Vec<IpAddr>>,
    hosts: HashMap<IpAddr, Option<String>>,
}

impl Names for Resolver {
    fn addresses(&mut self, name: &str) -> Vec<IpAddr> {
        if let Some(known) = self.addresses.get(name) {
            return known.clone();
        }
        let found = (name, 0).to_socket_addrs().map(|all| all.map(|one| one.ip()).collect::<Vec<_>>());
        let mut found = found.unwrap_or_default();
        found.sort();
        found.dedup();
        self.addresses.insert(name.to_owned(), found.clone());
        found
    }

    fn host(&mut self, address: IpAddr) -> Option<String> {
        let known = self.hosts.entry(address);
        known
            .or_insert_with(|| {
                // Without a name the address itself comes back.
                dns_lookup::lookup_addr(&address).ok().filter(|name| name.parse::<IpAddr>().is_err())
            })
            .clone()
    }
}

/// Each match once for each whom it names, instead of those before: a host that has no address is nobody.
pub(super) fn find(hits: &mut Vec<Hit>, names: &mut dyn Names, all: &mut Vec<Found>) {
    all.clear();
    for hit in hits.drain(..) {
        match &hit.id {
            Some(Id::Text(name)) if hit.is_name => {
                for address in names.addresses(name) {
                    let id = Some(Subnet::from(address).into());
                    all.push(Found { hit: hit.clone(), id });
                }
            }
            id => {
                let id = id.clone();
                all.push(Found { hit, id });
            }
        }
    }
}
