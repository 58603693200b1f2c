//! What of a grant for sockets was used: what an audit records of it, and the narrower grant that is suggested from that.
//!
//! Threat model: a name in an audit is the guest's own word. So what is made of it is compared with the grant that it is said
//! to be a part of, and where it isn't one the grant is taken as it is.

use core::net::SocketAddr;

use super::{AddressClass, AddressRange, HostName, NamePattern, NetDirection, NetGrant, NetHost, Pinned};

/// Before a name that led to an address which isn't public.
const PRIVATE: &str = "private ";

impl NetGrant {
    /// What of this grant a socket uses, as a pattern: the name by which an address was found, where the grant is about
    /// names, and else the address.
    pub(crate) fn used_as(&self, address: SocketAddr, names: &Pinned) -> String {
        let found = names.names_of(address.ip()).find(|name| self.names().is_some_and(|own| own.covers(name)));
        let (host, before) = match found.map(|name| NetHost::Name(NamePattern::Exactly(name.to_owned()))) {
            Some(name) if AddressClass::of(address.ip()) != AddressClass::Public => (name, PRIVATE),
            Some(name) => (name, ""),
            None => (NetHost::Range(AddressRange::of(address.ip())), ""),
        };
        // Whoever listens on port 0 is given another one each time.
        let port = Some(address.port()).filter(|port| *port > 0);
        let (protocol, direction) = (self.protocol, self.direction);
        before.to_owned() + &Self { protocol, direction, host, port, allow_private: false }.pattern()
    }

    /// The part of this grant that was used; all of it where what is said to be used is no part of it.
    pub(in crate::policy) fn narrowed(&self, used: &str) -> Self {
        let (private, pattern) = match used.strip_prefix(PRIVATE) {
            Some(pattern) => (true, pattern),
            None => (false, used),
        };
        let made = Self::read(self.protocol, self.direction, pattern).ok();
        let made = made.map(|made| Self { allow_private: private && self.allow_private, ..made });
        made.filter(|made| self.meet(made).as_ref() == Some(made)).unwrap_or_else(|| self.clone())
    }

    /// The same for one name alone, where this includes looking it up.
    pub(in crate::policy) fn to_name(&self, name: &str) -> Option<Self> {
        let HostName::Name(name) = HostName::parse(name)? else { return None };
        let covered = self.direction == NetDirection::Connect && self.names()?.covers(&name);
        covered.then(|| Self { host: NetHost::Name(NamePattern::Exactly(name)), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn narrowed(grant: &str, private: bool, address: &str, looked_up: Option<&str>) -> (String, bool) {
        let grant = NetGrant { allow_private: private, ..NetGrant::parse(grant).unwrap() };
        let address: SocketAddr = address.parse().unwrap();
        let mut names = Pinned::default();
        if let Some(name) = looked_up {
            names.insert(name.to_owned(), Arc::from([address.ip()]));
        }
        let made = grant.narrowed(&grant.used_as(address, &names));
        assert!(grant.covers(&made), "{grant}: {made}");
        (made.pattern(), made.allow_private)
    }

    #[test]
    fn a_grant_becomes_the_addresses_and_ports_that_were_used() {
        for (grant, address, name, expected) in [
            ("*:*", "8.8.8.8:53", None, "8.8.8.8:53"),
            ("*:*", "8.8.8.8:53", Some("dns.example"), "dns.example:53"),
            ("*.example.com:*", "8.8.8.8:443", Some("a.example.com"), "a.example.com:443"),
            // A grant for addresses doesn't cover the name by which one was found.
            ("8.0.0.0/8:*", "8.8.8.8:53", Some("dns.example"), "8.8.8.8:53"),
            ("[2606::/16]:*", "[2606:4700::1]:80", None, "[2606:4700::1]:80"),
            ("10.0.0.0/8:53", "10.1.2.3:53", None, "10.1.2.3:53"),
            ("localhost:*", "127.0.0.1:80", Some("localhost"), "localhost:80"),
        ] {
            assert_eq!(narrowed(grant, false, address, name), (expected.to_owned(), false));
        }
    }

    #[test]
    fn private_addresses_are_reached_only_as_far_as_they_were() {
        assert_eq!(narrowed("*:*", true, "10.0.0.1:80", Some("db.corp")), ("db.corp:80".to_owned(), true));
        assert_eq!(narrowed("*:*", true, "10.0.0.1:80", None), ("10.0.0.1:80".to_owned(), false));
        assert_eq!(narrowed("*:*", true, "8.8.8.8:80", Some("db.corp")), ("db.corp:80".to_owned(), false));
    }

    #[test]
    fn what_is_no_part_of_a_grant_is_not_made_of_it() {
        let grant = NetGrant::parse("*.example.com:443").unwrap();
        for made_up in ["other.example:443", "*.com:443", "*:443", "a.example.com:80", "private *:*", "", "private "] {
            assert_eq!(grant.narrowed(made_up), grant, "{made_up}");
        }
        assert_eq!(grant.to_name("a.example.com").unwrap().pattern(), "a.example.com:443");
        assert!(grant.to_name("example.com").is_none() && grant.to_name("10.0.0.1").is_none());
    }

    #[test]
    fn who_listens_on_any_port_is_granted_any() {
        let grant = NetGrant::read(super::super::NetProtocol::Tcp, NetDirection::Listen, "127.0.0.0/8:*").unwrap();
        let made = |address: &str| grant.narrowed(&grant.used_as(address.parse().unwrap(), &Pinned::default()));
        assert_eq!(made("127.0.0.1:0").pattern(), "127.0.0.1:*");
        assert_eq!(made("127.0.0.1:80").pattern(), "127.0.0.1:80");
    }
}
