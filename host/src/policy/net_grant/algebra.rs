//! What two grants for sockets or look-ups have in common, and whether one covers the other.
//!
//! Threat model: a grant that names a private address reaches it without `allow-private`, so the narrower of two patterns
//! can permit what the wider one doesn't. What two grants have in common is therefore theirs only where each of them
//! reaches it by itself. What can't be said as one grant, such as a name and a range, is left out.

use core::net::IpAddr;

use super::{AddressClass, AddressRange, LookupGrant, NamePattern, NetDirection, NetGrant, NetHost, is_subdomain};

impl NetGrant {
    /// What both grants permit, as one grant.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let Self { protocol, direction, host, port, allow_private } = self;
        if *protocol != other.protocol || *direction != other.direction {
            return None;
        }
        let port = match (*port, other.port) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.or(b),
        };
        let host = host.meet(&other.host)?;
        // Whoever may listen somewhere has been told so by that address itself.
        let reached =
            |grant: &Self| *direction == NetDirection::Listen || grant.host.reaches(grant.allow_private, &host);
        if !reached(self) || !reached(other) {
            return None;
        }
        let allow_private = *allow_private && other.allow_private;
        Some(Self { protocol: *protocol, direction: *direction, host, port, allow_private })
    }

    /// Whether it permits all that another one does.
    pub fn covers(&self, other: &Self) -> bool {
        self.meet(other).as_ref() == Some(other)
    }
}

impl LookupGrant {
    /// What both grants permit, as one grant.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let Self { name, allow_private } = self;
        let met = name.meet(&other.name)?;
        if !name.reaches(*allow_private, &met) || !other.name.reaches(other.allow_private, &met) {
            return None;
        }
        Some(Self { name: met, allow_private: *allow_private && other.allow_private })
    }

    /// Whether it permits all that another one does.
    pub fn covers(&self, other: &Self) -> bool {
        self.meet(other).as_ref() == Some(other)
    }
}

impl NetHost {
    fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, host) | (host, Self::Any) => Some(host.clone()),
            (Self::Name(a), Self::Name(b)) => a.meet(b).map(Self::Name),
            (Self::Range(a), Self::Range(b)) => a.meet(*b).map(Self::Range),
            (Self::Name(_), Self::Range(_)) | (Self::Range(_), Self::Name(_)) => None,
        }
    }

    /// Whether a grant for this reaches all that one for a narrower pattern reaches because it names it.
    fn reaches(&self, private: bool, narrower: &Self) -> bool {
        match (self, narrower) {
            (own, narrower) if own == narrower => true,
            (Self::Name(own), Self::Name(narrower)) => own.reaches(private, narrower),
            (_, Self::Name(narrower)) => private || !narrower.is_localhost(),
            (own, Self::Range(narrower)) => {
                let (class, named) = (AddressClass::of(narrower.address), narrower.is_private());
                let by_name = matches!(own, Self::Range(range) if range.is_private());
                if narrower.is_one() {
                    class == AddressClass::Public || (class.is_private() && (private || by_name))
                } else {
                    !named || private || by_name
                }
            }
            (_, Self::Any) => true,
        }
    }
}

impl NamePattern {
    fn meet(&self, other: &Self) -> Option<Self> {
        if self.includes(other) {
            Some(other.clone())
        } else if other.includes(self) {
            Some(self.clone())
        } else {
            None
        }
    }

    fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) => false,
            (own, Self::Exactly(name)) => own.covers(name),
            (Self::Exactly(_), Self::Below(_)) => false,
            (Self::Below(parent), Self::Below(name)) => parent == name || is_subdomain(name, parent),
        }
    }

    /// Whether a grant for this reaches all that one for a narrower pattern reaches because it names it.
    fn reaches(&self, private: bool, narrower: &Self) -> bool {
        private || !narrower.is_localhost() || self == narrower
    }
}

impl AddressRange {
    fn meet(self, other: Self) -> Option<Self> {
        let includes = |a: Self, b: Self| a.prefix <= b.prefix && a.contains(b.address);
        if includes(self, other) {
            Some(other)
        } else if includes(other, self) {
            Some(self)
        } else {
            None
        }
    }

    fn is_one(self) -> bool {
        self == Self::of(self.address)
    }

    /// Whether it is within one of the ranges of private addresses alone.
    pub(super) fn is_private(self) -> bool {
        let within = |(first, prefix): &(IpAddr, u8)| {
            self.prefix >= *prefix && Self { address: *first, prefix: *prefix }.contains(self.address)
        };
        Self::PRIVATE.iter().any(within)
    }
}
