//! What kind of address an IP address is, so that only those of the open internet are reached without being named.
//!
//! Threat model: a guest names a host that the operator granted, or one that it controls under a granted wildcard, and
//! lets it resolve to what is behind the operator's firewall: the host itself, its neighbours, a cloud's metadata
//! service. IPv6 has many ways of writing an IPv4 address, each of which would be a way around a list of IPv4 ranges, so
//! each is taken apart and judged by what is inside. Everything that is not known to be public is not public.
//!
//! Absent: what an address means in a particular network. A public address can belong to the operator too; who is to
//! be reached is said by grants, and this only says where a grant doesn't reach by itself.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address it is. Every kind but [`AddressClass::Public`] needs an explicit grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressClass {
    /// An address of the open internet.
    Public,
    /// Addresses of private networks: RFC 1918, and unique local ones in IPv6.
    Private,
    /// Between a provider and its customers: `100.64.0.0/10`.
    SharedNat,
    /// The host itself.
    Loopback,
    /// For measurements: `198.18.0.0/15`, `2001:2::/48`.
    Benchmarking,
    /// For examples in documents.
    Documentation,
    /// The neighbours on one link.
    LinkLocal,
    /// Where clouds hand out credentials to the machines in them.
    Metadata,
    /// A group of hosts.
    Multicast,
    /// No address: `0.0.0.0`, `::`. Systems connect to themselves when they are asked for it.
    Unspecified,
    /// Anything else that isn't routed on the open internet.
    Reserved,
}

/// Addresses of metadata services in the clouds that publish theirs. Those in `169.254.0.0/16` are link-local anyway;
/// some of the others would look private or even public.
const METADATA_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0xa9fe, 0xa9fe, 0, 0),
];

impl AddressClass {
    /// The kind of an address, looking through every form that has an IPv4 address in it.
    ///
    /// ```
    /// use host::policy::AddressClass;
    /// assert_eq!(AddressClass::of("::ffff:127.0.0.1".parse().unwrap()), AddressClass::Loopback);
    /// assert_eq!(AddressClass::of("8.8.8.8".parse().unwrap()), AddressClass::Public);
    /// ```
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Whether a grant that allows private addresses covers this kind. The others are reached only by a grant for the
    /// literal address: no name has a good reason to resolve to them.
    pub fn is_private(self) -> bool {
        matches!(self, Self::Private | Self::SharedNat | Self::Loopback | Self::Benchmarking | Self::Documentation)
    }

    /// The kind in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::SharedNat => "shared",
            Self::Loopback => "loopback",
            Self::Benchmarking => "benchmarking",
            Self::Documentation => "documentation",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
            Self::Reserved => "reserved",
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressClass {
    use AddressClass as C;
    if METADATA_V4.contains(&address) {
        return C::Metadata;
    }
    match address.octets() {
        [0, 0, 0, 0] => C::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => C::Private,
        [100, 64..=127, ..] => C::SharedNat,
        [127, ..] => C::Loopback,
        [169, 254, ..] => C::LinkLocal,
        [198, 18..=19, ..] => C::Benchmarking,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => C::Documentation,
        [224..=239, ..] => C::Multicast,
        [0, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => C::Reserved,
        _ => C::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressClass {
    use AddressClass as C;
    if METADATA_V6.contains(&address) {
        return C::Metadata;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => C::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => C::Loopback,
        // Compatible, mapped, translated (SIIT) and NAT64: the IPv4 address is the last 32 bits.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of_v4(v4(high, low)),
        [0x64, 0xff9b, 1, ..] => C::Private,
        // 6to4: the bits after the prefix.
        [0x2002, high, low, ..] => of_v4(v4(high, low)),
        // Teredo: the relay's address in the open, the client's with its bits turned.
        [0x2001, 0, high, low, .., client_high, client_low] => {
            of_v4(v4(high, low)).max(of_v4(v4(!client_high, !client_low)))
        }
        [0xfc00..=0xfdff, ..] => C::Private,
        [0xfe80..=0xfebf, ..] => C::LinkLocal,
        [0xff00..=0xffff, ..] => C::Multicast,
        [0x2001, 2, 0, ..] => C::Benchmarking,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => C::Documentation,
        // The rest of what was set aside for protocols.
        [0x2001, 0..=0x01ff, ..] => C::Reserved,
        // ISATAP: the host's part of an address of any network.
        [.., 0 | 0x200, 0x5efe, high, low] if of_v4(v4(high, low)) != C::Public => of_v4(v4(high, low)),
        [0x2000..=0x3fff, ..] => C::Public,
        _ => C::Reserved,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(text: &str) -> AddressClass {
        AddressClass::of(text.parse().unwrap())
    }

    #[test]
    fn the_first_and_last_address_of_each_range_are_in_it_and_their_neighbours_are_not() {
        use AddressClass as C;
        let ranges = [
            ("10.0.0.0", "10.255.255.255", C::Private),
            ("172.16.0.0", "172.31.255.255", C::Private),
            ("192.168.0.0", "192.168.255.255", C::Private),
            ("100.64.0.0", "100.127.255.255", C::SharedNat),
            ("127.0.0.0", "127.255.255.255", C::Loopback),
            ("169.254.0.0", "169.254.255.255", C::LinkLocal),
            ("198.18.0.0", "198.19.255.255", C::Benchmarking),
            ("198.51.100.0", "198.51.100.255", C::Documentation),
            ("203.0.113.0", "203.0.113.255", C::Documentation),
        ];
        for (first, last, expected) in ranges {
            let (low, high) = (first.parse::<Ipv4Addr>().unwrap(), last.parse::<Ipv4Addr>().unwrap());
            assert_eq!((class(first), class(last)), (expected, expected));
            assert_eq!(of_v4(Ipv4Addr::from_bits(low.to_bits() - 1)), C::Public, "before {first}");
            assert_eq!(of_v4(Ipv4Addr::from_bits(high.to_bits() + 1)), C::Public, "after {last}");
        }
        assert_eq!((class("0.0.0.0"), class("0.0.0.1"), class("1.0.0.0")), (C::Unspecified, C::Reserved, C::Public));
        assert_eq!((class("223.255.255.255"), class("224.0.0.0")), (C::Public, C::Multicast));
        assert_eq!((class("239.255.255.255"), class("240.0.0.0")), (C::Multicast, C::Reserved));
        assert_eq!((class("255.255.255.255"), class("192.0.0.1")), (C::Reserved, C::Reserved));
    }

    #[test]
    fn addresses_of_version_6_have_their_kinds() {
        use AddressClass as C;
        for (text, expected) in [
            ("::", C::Unspecified),
            ("::1", C::Loopback),
            ("fc00::", C::Private),
            ("fdff:ffff::1", C::Private),
            ("fe80::1", C::LinkLocal),
            ("febf::1", C::LinkLocal),
            ("fec0::1", C::Reserved),
            ("ff02::1", C::Multicast),
            ("2001:db8::1", C::Documentation),
            ("3fff:fff::1", C::Documentation),
            ("3fff:1000::1", C::Public),
            ("2001:2::1", C::Benchmarking),
            ("2001:10::1", C::Reserved),
            ("100::1", C::Reserved),
            ("5f00::1", C::Reserved),
            ("2606:4700::1111", C::Public),
            ("2001:4860:4860::8888", C::Public),
        ] {
            assert_eq!(class(text), expected, "{text}");
        }
    }

    #[test]
    fn metadata_services_are_known_wherever_their_clouds_put_them() {
        for text in
            ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"]
        {
            assert_eq!(class(text), AddressClass::Metadata, "{text}");
            assert!(!class(text).is_private());
        }
        assert_eq!(class("::ffff:169.254.169.254"), AddressClass::Metadata);
    }

    #[test]
    fn a_teredo_address_is_judged_by_both_addresses_in_it() {
        // Relay 65.54.227.120 and a client of 127.0.0.1, whose bits are turned.
        assert_eq!(class("2001:0:4136:e378:8000:63bf:80ff:fffe"), AddressClass::Loopback);
        assert_eq!(class("2001:0:0a00:0001:8000:63bf:f7f7:f7f7"), AddressClass::Private);
    }

    proptest! {
        #[test]
        fn an_ipv4_address_has_the_same_kind_in_every_ipv6_form_of_it(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let expected = AddressClass::of(IpAddr::V4(v4));
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let mut forms = vec![
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ];
            if bits > 1 {
                forms.push(v4.to_ipv6_compatible());
            }
            for form in forms {
                prop_assert_eq!(AddressClass::of(IpAddr::V6(form)), expected, "{}", form);
            }
        }
    }
}
