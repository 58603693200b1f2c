//! Which addresses a guest may connect to and listen on, which names it may look up, and why not.
//!
//! Threat model: a guest connects to the operator's own network: by an address that it knows, by one that has an IPv4
//! address in it, by a granted name that resolves there, or by a name that resolves to a harmless address first and to
//! another one once that was checked. It scans ports of a host of which one is granted. It asks for names whose labels
//! carry what it wants to tell somebody. So an address is judged by what it is, however it was found
//! ([`AddressClass`]); a name grants only the addresses that it was resolved to in this invocation, once ([`Pinned`]);
//! host, port, protocol and direction all have to fit one grant; and looking up is granted name by name.
//!
//! A grant for an address, or for a range in which there are private addresses alone, says that they may be reached. One
//! for a name, for a range with public addresses in it, or for everything needs `allow-private` as well.
//!
//! Absent: names in a grant to listen; grants by who connects to a guest that listens; ranges of ports.

mod algebra;
mod used;

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::http::{HostName, is_subdomain};
use super::net::AddressClass;

/// One pattern of addresses that a guest may connect to, or listen on. For UDP, connecting is sending.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NetGrant {
    /// Which protocol.
    pub protocol: NetProtocol,
    /// Which way.
    pub direction: NetDirection,
    /// Which hosts.
    pub host: NetHost,
    /// Which port; none for all of them.
    pub port: Option<u16>,
    /// Whether private addresses are covered that the grant doesn't name, see [`AddressClass::is_private`]. In a grant to
    /// listen on UDP: whether peers with such addresses are answered.
    pub allow_private: bool,
}

/// One pattern of names that a guest may look up without connecting to them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LookupGrant {
    /// Which names.
    pub name: NamePattern,
    /// Whether they may resolve to private addresses.
    pub allow_private: bool,
}

/// A protocol over IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetProtocol {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Which way a socket is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetDirection {
    /// To others.
    Connect,
    /// On an address of the host.
    Listen,
}

/// The hosts of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetHost {
    /// Every address and every name.
    Any,
    /// What these names resolve to.
    Name(NamePattern),
    /// These addresses.
    Range(AddressRange),
}

/// Names, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamePattern {
    /// Every name.
    Any,
    /// This one.
    Exactly(String),
    /// Every name below this one, at any depth, but not the name itself.
    Below(String),
}

/// All addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AddressRange {
    /// The first of them.
    address: IpAddr,
    /// How many bits they have in common.
    prefix: u8,
}

/// What a guest wants to do with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetAsk {
    /// Over which protocol.
    pub protocol: NetProtocol,
    /// Which way.
    pub direction: NetDirection,
    /// To or on which address.
    pub address: SocketAddr,
}

/// Names that were looked up in one invocation, each with the answer that it got the first time.
#[derive(Debug, Default)]
pub struct Pinned(BTreeMap<String, Arc<[IpAddr]>>);

/// Why something is not permitted: no grant covers it, or one does and doesn't reach such an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetDenial {
    /// No grant covers it.
    NoGrant,
    /// A grant covers it but for what kind of address it is: its place among the grants, from 0, and the kind.
    Address(usize, AddressClass),
}

/// A pattern is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidNet(String);

/// Which grant permits this, by its place, or why none does. `names` are those that were looked up.
///
/// # Errors
/// It isn't permitted.
pub fn permits(grants: &[NetGrant], ask: &NetAsk, names: &Pinned) -> Result<usize, NetDenial> {
    // Names are few and grants can be many, so what an address was found by is looked for once.
    let found: Vec<&str> = names.names_of(ask.address.ip()).collect();
    let mut denial = NetDenial::NoGrant;
    for (place, grant) in grants.iter().enumerate() {
        match grant.permits(ask, &found) {
            Some(Ok(())) => return Ok(place),
            Some(Err(class)) => denial = NetDenial::Address(place, class),
            None => {}
        }
    }
    Err(denial)
}

/// Whether a name may be looked up, and where its answer is known, whether the guest may have it. A grant to connect to a
/// name includes looking it up. One address that may not be reached refuses the answer: whoever answers for the name
/// decides about its other addresses too.
///
/// # Errors
/// It isn't permitted. The place is among the grants to look up after those to connect.
pub fn permits_lookup(
    net: &[NetGrant],
    lookup: &[LookupGrant],
    name: &str,
    answer: &[IpAddr],
) -> Result<(), NetDenial> {
    let by_net = net.iter().map(|grant| (grant.names(), grant.allow_private));
    let by_lookup = lookup.iter().map(|grant| (Some(&grant.name), grant.allow_private));
    let mut covers =
        by_net.chain(by_lookup).enumerate().filter(|(_, (names, _))| names.is_some_and(|names| names.covers(name)));
    let mut denial = NetDenial::NoGrant;
    covers
        .find_map(|(place, (names, private))| {
            let unreached = answer.iter().find_map(|address| {
                let class = AddressClass::of(*address);
                let own = names.is_some_and(NamePattern::is_localhost) && address.is_loopback();
                (!own && !reaches(class, private)).then_some(class)
            });
            match unreached {
                None => Some(()),
                Some(class) => {
                    denial = NetDenial::Address(place, class);
                    None
                }
            }
        })
        .ok_or(denial)
}

fn reaches(class: AddressClass, private: bool) -> bool {
    class == AddressClass::Public || (private && class.is_private())
}

impl NetGrant {
    /// Reads `[tcp://|udp://]HOST:PORT`, as `--allow-net` takes it: a grant to connect, over TCP where nothing is said.
    ///
    /// # Errors
    /// What is wrong with it.
    ///
    /// ```
    /// use host::policy::{NetGrant, NetProtocol};
    /// let grant = NetGrant::parse("udp://192.0.2.0/24:53").unwrap();
    /// assert_eq!((grant.protocol, grant.port), (NetProtocol::Udp, Some(53)));
    /// assert_eq!(grant.to_string(), "udp connect 192.0.2.0/24:53");
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidNet> {
        let (protocol, pattern) = match text.split_once("://") {
            Some(("tcp", rest)) => (NetProtocol::Tcp, rest),
            Some(("udp", rest)) => (NetProtocol::Udp, rest),
            Some((other, _)) => return Err(InvalidNet(format!("`{}` is neither `tcp` nor `udp`", shown(other)))),
            None => (NetProtocol::Tcp, text),
        };
        Self::read(protocol, NetDirection::Connect, pattern)
    }

    /// Reads `HOST:PORT`. The host is an address, a range such as `192.0.2.0/24` or `[2001:db8::/32]`, a name, a pattern
    /// such as `*.example.com`, or `*`; the port is a number or `*`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(protocol: NetProtocol, direction: NetDirection, text: &str) -> Result<Self, InvalidNet> {
        let form = || InvalidNet(format!("`{}` is not `HOST:PORT`, with `*` for every port", shown(text)));
        let number = |port: &str| {
            InvalidNet(format!("`{}` is no port: it is a number from 1 to 65535, or `*` for every one", shown(port)))
        };
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(form)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains([':', '[', ']']) {
            return Err(InvalidNet("an address of version 6 stands in brackets: `[2001:db8::1]:80`".to_owned()));
        }
        let port = match port {
            "*" => None,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0') => {
                Some(digits.parse().map_err(|_| number(digits))?)
            }
            other => return Err(number(other)),
        };
        let host = match bare {
            Some(bare) => NetHost::Range(AddressRange::read(bare)?),
            None if host == "*" => NetHost::Any,
            None if host.contains('/') => NetHost::Range(AddressRange::read(host)?),
            None => match host.parse::<IpAddr>() {
                Ok(address) => NetHost::Range(AddressRange::of(address)),
                Err(_) => NetHost::Name(NamePattern::read(host)?),
            },
        };
        if direction == NetDirection::Listen && matches!(host, NetHost::Name(_)) {
            return Err(InvalidNet("a guest listens on an address, not on a name".to_owned()));
        }
        Ok(Self { protocol, direction, host, port, allow_private: false })
    }

    /// What kind of address it is for; none where it is for several, or for names.
    pub fn class(&self) -> Option<AddressClass> {
        match &self.host {
            NetHost::Range(range) if *range == AddressRange::of(range.address) => Some(AddressClass::of(range.address)),
            _ => None,
        }
    }

    /// Host and port, as the policy file has them.
    pub fn pattern(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => format!("{}:*", self.host),
        }
    }

    /// Whether this grant covers it, and then whether it reaches that kind of address. `names` are those by which the
    /// address was found.
    fn permits(&self, ask: &NetAsk, names: &[&str]) -> Option<Result<(), AddressClass>> {
        let address = ask.address.ip();
        let fits = self.port.is_none_or(|port| port == ask.address.port())
            && self.protocol == ask.protocol
            && self.direction == ask.direction;
        let named = match &self.host {
            _ if !fits => return None,
            NetHost::Any => false,
            NetHost::Range(range) if range.contains(address) => range.names(address),
            NetHost::Name(pattern) if names.iter().any(|name| pattern.covers(name)) => {
                pattern.is_localhost() && address.is_loopback()
            }
            NetHost::Range(_) | NetHost::Name(_) => return None,
        };
        // Whoever may listen somewhere has been told so by that address itself.
        if self.direction == NetDirection::Listen {
            return Some(Ok(()));
        }
        let class = AddressClass::of(address);
        Some(if named || reaches(class, self.allow_private) { Ok(()) } else { Err(class) })
    }

    /// The names that it covers; none if it isn't about names.
    fn names(&self) -> Option<&NamePattern> {
        match &self.host {
            NetHost::Any if self.direction == NetDirection::Connect => Some(&NamePattern::Any),
            NetHost::Name(pattern) => Some(pattern),
            NetHost::Any | NetHost::Range(_) => None,
        }
    }

    /// Whether a UDP socket that listens on `local` under this grant may answer `peer`, who has written to it. Who that
    /// is said to be can be made up by whoever writes.
    pub fn permits_answer(&self, local: IpAddr, peer: IpAddr) -> bool {
        let class = AddressClass::of(peer);
        reaches(class, self.allow_private) || (local.is_loopback() && class == AddressClass::Loopback)
    }
}

impl LookupGrant {
    /// Reads a name, `*.` and a name of two labels or more, or `*`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidNet> {
        Ok(Self { name: NamePattern::read(text.trim())?, allow_private: false })
    }
}

impl NamePattern {
    fn read(text: &str) -> Result<Self, InvalidNet> {
        let wrong = || InvalidNet(format!("`{}` is neither an address nor a host name", shown(text)));
        let wildcard = "a wildcard is `*`, or `*.example.com`: whole labels at the front, before two labels or more";
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if text == "*" {
            return Ok(Self::Any);
        }
        if name.contains('*') || (below && !name.contains('.')) {
            return Err(InvalidNet(wildcard.to_owned()));
        }
        match HostName::read(name) {
            Ok(HostName::Name(name)) if below => Ok(Self::Below(name)),
            Ok(HostName::Name(name)) => Ok(Self::Exactly(name)),
            _ => Err(wrong()),
        }
    }

    /// Whether it is for this name, which is in lower case.
    pub fn covers(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(granted) => granted == name,
            Self::Below(parent) => is_subdomain(name, parent),
        }
    }

    fn is_localhost(&self) -> bool {
        matches!(self, Self::Exactly(name) if name == "localhost")
    }
}

impl AddressRange {
    /// Ranges of private addresses alone.
    const PRIVATE: [(IpAddr, u8); 6] = [
        (IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 0)), 8),
        (IpAddr::V4(core::net::Ipv4Addr::new(172, 16, 0, 0)), 12),
        (IpAddr::V4(core::net::Ipv4Addr::new(192, 168, 0, 0)), 16),
        (IpAddr::V4(core::net::Ipv4Addr::new(100, 64, 0, 0)), 10),
        (IpAddr::V4(core::net::Ipv4Addr::new(127, 0, 0, 0)), 8),
        (IpAddr::V6(core::net::Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    ];

    /// One address.
    pub fn of(address: IpAddr) -> Self {
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Reads an address, or one with `/` and the bits that the range has in common.
    fn read(text: &str) -> Result<Self, InvalidNet> {
        let wrong = || InvalidNet(format!("`{}` is no range of addresses, as `192.0.2.0/24` is", shown(text)));
        let Some((address, bits)) = text.split_once('/') else {
            return text.parse().map(Self::of).map_err(|_| wrong());
        };
        let one = address.parse().map(Self::of).map_err(|_| wrong())?;
        let plain = bits.bytes().all(|byte| byte.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
        let prefix = bits.parse().ok().filter(|prefix| plain && *prefix <= one.prefix).ok_or_else(wrong)?;
        let range = Self { address: one.address, prefix };
        let first = range.first();
        if first == one.address {
            return Ok(range);
        }
        Err(InvalidNet(format!("`{}` has bits after its prefix: write `{first}/{prefix}`", shown(text))))
    }

    /// The first address.
    fn first(self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                core::net::Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                core::net::Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }

    /// Whether an address is in it, in this notation: an IPv4 address isn't in a range of IPv6.
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && Self { address, prefix: self.prefix }.first() == self.address
    }

    /// Whether an address in it is granted by being named: it is the only one, or there are private ones alone. Among
    /// the latter can be one that is more than private.
    fn names(self, address: IpAddr) -> bool {
        let only = self == Self::of(self.address);
        only || (self.is_private() && AddressClass::of(address).is_private())
    }
}

impl Pinned {
    /// Keeps the answer for a name that was looked up; one that is there already stays as it is.
    pub fn insert(&mut self, name: String, answer: Arc<[IpAddr]>) {
        self.0.entry(name).or_insert(answer);
    }

    /// The answer that a name got.
    pub fn get(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        self.0.get(name).cloned()
    }

    fn names_of(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(_, answer)| answer.contains(&address)).map(|(name, _)| name.as_str())
    }
}

impl NetProtocol {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl NetDirection {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Listen => "listen",
        }
    }
}

impl fmt::Display for NetAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.protocol.name(), self.direction.name(), self.address)
    }
}

impl fmt::Display for NetGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.protocol.name(), self.direction.name(), self.pattern())
    }
}

impl fmt::Display for NetHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Name(pattern) => write!(f, "{pattern}"),
            Self::Range(range) => write!(f, "{range}"),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exactly(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.address.is_ipv4() { ("", "") } else { ("[", "]") };
        match *self == Self::of(self.address) {
            true => write!(f, "{open}{}{close}", self.address),
            false => write!(f, "{open}{}/{}{close}", self.address, self.prefix),
        }
    }
}

/// Text of a policy, short enough for a message.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
