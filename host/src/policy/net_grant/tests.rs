use proptest::prelude::*;

use super::*;

fn tcp(text: &str) -> NetGrant {
    NetGrant::read(NetProtocol::Tcp, NetDirection::Connect, text).unwrap()
}

fn private(text: &str) -> NetGrant {
    NetGrant { allow_private: true, ..tcp(text) }
}

fn ask(address: &str) -> NetAsk {
    NetAsk { protocol: NetProtocol::Tcp, direction: NetDirection::Connect, address: address.parse().unwrap() }
}

fn may(grant: &NetGrant, address: &str) -> Result<usize, NetDenial> {
    permits(std::slice::from_ref(grant), &ask(address), &Pinned::default())
}

fn pinned(names: &[(&str, &[&str])]) -> Pinned {
    let mut pinned = Pinned::default();
    for (name, answer) in names {
        pinned.insert((*name).to_owned(), answer.iter().map(|address| address.parse().unwrap()).collect());
    }
    pinned
}

#[test]
fn patterns_are_read_as_they_are_written() {
    for text in [
        "192.0.2.7:80",
        "192.0.2.0/24:*",
        "[2001:db8::1]:80",
        "[2001:db8::/32]:443",
        "db.example.com:5432",
        "*.example.com:80",
        "*:443",
        "*:*",
        "0.0.0.0/0:1",
        "localhost:8080",
    ] {
        assert_eq!(tcp(text).to_string(), format!("tcp connect {text}"));
    }
    assert_eq!(tcp("DB.Example.COM:1").to_string(), "tcp connect db.example.com:1");
    assert_eq!(NetGrant::parse("udp://1.1.1.1:53").unwrap().protocol, NetProtocol::Udp);
    for wrong in [
        "",
        "a",
        "a:",
        "a:0",
        "a:080",
        "a:65536",
        "a:-1",
        "2001:db8::1:80",
        "[::1:80",
        "192.0.2.1/24:80",
        "192.0.2.0/33:80",
        "192.0.2.0/024:80",
        "192.0.2.0/+8:80",
        "10.1:80",
        "0x7f.1:80",
        "017.0.0.1:80",
        "a*.example.com:80",
        "*.com:80",
        "*.*:80",
        "a b:80",
        "ex\u{e4}mple.com:80",
        "example.com.:80",
        "[example.com]:80",
        "[1.2.3.4]x:80",
        "sctp://a:80",
    ] {
        assert!(NetGrant::parse(wrong).is_err(), "{wrong}");
    }
    let found = NetGrant::parse("10.1.2.3/8:80").unwrap_err().to_string();
    assert!(found.contains("write `10.0.0.0/8`"), "{found}");
    assert!(NetGrant::read(NetProtocol::Tcp, NetDirection::Listen, "a.example:80").is_err());
    assert!(LookupGrant::parse("127.0.0.1").is_err() && LookupGrant::parse("*").is_ok());
}

#[test]
fn host_port_protocol_and_direction_all_have_to_fit_one_grant() {
    let grants = [tcp("8.8.8.0/24:53"), NetGrant::parse("udp://1.1.1.1:53").unwrap()];
    let may = |ask: NetAsk| permits(&grants, &ask, &Pinned::default());
    assert_eq!(may(ask("8.8.8.255:53")), Ok(0));
    assert_eq!(may(NetAsk { protocol: NetProtocol::Udp, ..ask("1.1.1.1:53") }), Ok(1));
    for other in [
        ask("8.8.9.0:53"),
        ask("8.8.8.8:54"),
        ask("1.1.1.1:53"),
        NetAsk { protocol: NetProtocol::Udp, ..ask("8.8.8.8:53") },
        NetAsk { direction: NetDirection::Listen, ..ask("8.8.8.8:53") },
    ] {
        assert_eq!(may(other), Err(NetDenial::NoGrant), "{other}");
    }
}

#[test]
fn a_grant_for_everything_reaches_public_addresses_only() {
    let inside = [
        "127.0.0.1:80",
        "10.0.0.1:80",
        "172.16.0.1:80",
        "192.168.1.1:80",
        "100.64.0.1:80",
        "169.254.1.1:80",
        "169.254.169.254:80",
        "224.0.0.1:80",
        "0.0.0.0:80",
        "255.255.255.255:80",
        "[::1]:80",
        "[::]:80",
        "[fe80::1]:80",
        "[fd00::1]:80",
        "[ff02::1]:80",
        "[fd00:ec2::254]:80",
        "[::ffff:127.0.0.1]:80",
        "[::127.0.0.1]:80",
        "[64:ff9b::7f00:1]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[2002:7f00:1::]:80",
        "[2002:a00:1::1]:80",
        "[2001:0:a00:1::f5ff:fffe]:80",
        "[fe80::5efe:a00:1]:80",
        "[2001:db8::5efe:a00:1]:80",
    ];
    for grant in [tcp("*:*"), tcp("0.0.0.0/0:80"), tcp("[::/0]:80")] {
        for address in inside {
            assert!(may(&grant, address).is_err(), "{grant} {address}");
        }
    }
    assert_eq!((may(&tcp("*:*"), "8.8.8.8:80"), may(&tcp("*:*"), "[2606:4700::1111]:80")), (Ok(0), Ok(0)));
    // Even where private addresses are allowed, some are reached only by being named.
    for address in ["169.254.169.254:80", "169.254.1.1:80", "[fe80::1]:80", "224.0.0.1:80", "[64:ff9b::a9fe:a9fe]:80"] {
        assert!(may(&private("*:*"), address).is_err(), "{address}");
        assert_eq!(may(&tcp(address), address), Ok(0), "{address}");
    }
    assert_eq!(may(&private("*:*"), "127.0.0.1:80"), Ok(0));
}

#[test]
fn a_range_of_private_addresses_alone_says_what_it_means_and_a_wider_one_does_not() {
    assert_eq!(may(&tcp("10.0.0.0/8:80"), "10.1.2.3:80"), Ok(0));
    assert_eq!(may(&tcp("127.0.0.1:80"), "127.0.0.1:80"), Ok(0));
    assert_eq!(may(&tcp("[fc00::/7]:80"), "[fd12::1]:80"), Ok(0));
    assert_eq!(may(&tcp("10.0.0.0/7:80"), "10.1.2.3:80"), Err(NetDenial::Address(0, AddressClass::Private)));
    assert_eq!(may(&private("10.0.0.0/7:80"), "10.1.2.3:80"), Ok(0));
    assert_eq!(may(&tcp("100.64.0.0/10:80"), "100.100.100.200:80"), Err(NetDenial::Address(0, AddressClass::Metadata)));
    assert_eq!(
        may(&tcp("169.254.0.0/16:80"), "169.254.169.254:80"),
        Err(NetDenial::Address(0, AddressClass::Metadata))
    );
    assert_eq!(may(&tcp("127.0.0.1:80"), "[::ffff:127.0.0.1]:80"), Err(NetDenial::NoGrant));
}

#[test]
fn a_name_grants_the_addresses_that_it_was_looked_up_with_and_no_private_ones() {
    let grants = [tcp("db.example.com:5432"), private("*.internal.example:80"), tcp("localhost:80")];
    let names = pinned(&[
        ("db.example.com", &["8.8.8.8", "10.0.0.1", "::1"]),
        ("a.internal.example", &["10.0.0.2", "169.254.169.254"]),
        ("localhost", &["127.0.0.1", "10.0.0.3"]),
        ("other.example", &["9.9.9.9"]),
    ]);
    let may = |address| permits(&grants, &ask(address), &names);
    assert_eq!((may("8.8.8.8:5432"), may("10.0.0.2:80"), may("127.0.0.1:80")), (Ok(0), Ok(1), Ok(2)));
    assert_eq!(may("10.0.0.1:5432"), Err(NetDenial::Address(0, AddressClass::Private)));
    assert_eq!(may("[::1]:5432"), Err(NetDenial::Address(0, AddressClass::Loopback)));
    assert_eq!(may("169.254.169.254:80"), Err(NetDenial::Address(1, AddressClass::Metadata)));
    assert_eq!(may("10.0.0.3:80"), Err(NetDenial::Address(2, AddressClass::Private)));
    for address in ["8.8.8.8:5433", "9.9.9.9:5432", "8.8.4.4:5432", "10.0.0.2:5432"] {
        assert_eq!(may(address), Err(NetDenial::NoGrant), "{address}");
    }
    assert_eq!(permits(&grants, &ask("8.8.8.8:5432"), &Pinned::default()), Err(NetDenial::NoGrant));
}

#[test]
fn the_first_answer_for_a_name_stays() {
    let mut names = pinned(&[("a.example", &["8.8.8.8"])]);
    names.insert("a.example".into(), Arc::from(["127.0.0.1".parse().unwrap()]));
    assert_eq!(*names.get("a.example").unwrap(), ["8.8.8.8".parse::<IpAddr>().unwrap()]);
}

#[test]
fn looking_up_is_granted_name_by_name_and_with_every_connection_to_a_name() {
    let (net, lookup) =
        ([tcp("db.example.com:5432"), tcp("10.0.0.0/8:80")], [LookupGrant::parse("*.example.org").unwrap()]);
    let may = |name: &str, answer: &[&str]| {
        let answer: Vec<IpAddr> = answer.iter().map(|address| address.parse().unwrap()).collect();
        permits_lookup(&net, &lookup, name, &answer)
    };
    assert_eq!((may("db.example.com", &[]), may("a.b.example.org", &["8.8.8.8"])), (Ok(()), Ok(())));
    for name in ["example.org", "xexample.org", "example.com", "x.db.example.com", "db.example.com.evil.example", ""] {
        assert_eq!(may(name, &[]), Err(NetDenial::NoGrant), "{name}");
    }
    assert_eq!(may("db.example.com", &["8.8.8.8", "10.0.0.1"]), Err(NetDenial::Address(0, AddressClass::Private)));
    assert_eq!(may("a.example.org", &["::1"]), Err(NetDenial::Address(2, AddressClass::Loopback)));
    let listening = NetGrant::read(NetProtocol::Tcp, NetDirection::Listen, "*:80").unwrap();
    assert_eq!(permits_lookup(&[listening], &[], "a.example", &[]), Err(NetDenial::NoGrant));
    assert_eq!(permits_lookup(&[tcp("*:443")], &[], "a.example", &["8.8.8.8".parse().unwrap()]), Ok(()));
    assert_eq!(permits_lookup(&[tcp("localhost:1")], &[], "localhost", &["::1".parse().unwrap()]), Ok(()));
}

#[test]
fn listening_is_granted_by_address_whatever_kind_it_is() {
    let listen = |text| NetGrant::read(NetProtocol::Tcp, NetDirection::Listen, text).unwrap();
    let may = |grant: NetGrant, address: &str| {
        permits(&[grant], &NetAsk { direction: NetDirection::Listen, ..ask(address) }, &Pinned::default())
    };
    assert_eq!(may(listen("127.0.0.1:80"), "127.0.0.1:80"), Ok(0));
    assert_eq!(may(listen("*:80"), "0.0.0.0:80"), Ok(0));
    assert_eq!(may(listen("127.0.0.1:80"), "0.0.0.0:80"), Err(NetDenial::NoGrant));
    assert_eq!(may(tcp("127.0.0.1:80"), "127.0.0.1:80"), Err(NetDenial::NoGrant));
}

#[test]
fn who_wrote_to_a_listening_socket_is_answered_unless_the_address_is_private() {
    let grant = NetGrant::read(NetProtocol::Udp, NetDirection::Listen, "*:53").unwrap();
    let answers =
        |grant: &NetGrant, local: &str, peer: &str| grant.permits_answer(local.parse().unwrap(), peer.parse().unwrap());
    assert!(answers(&grant, "0.0.0.0", "8.8.8.8") && answers(&grant, "127.0.0.1", "127.0.0.1"));
    assert!(!answers(&grant, "0.0.0.0", "127.0.0.1") && !answers(&grant, "0.0.0.0", "10.0.0.1"));
    let private = NetGrant { allow_private: true, ..grant };
    assert!(answers(&private, "0.0.0.0", "10.0.0.1") && !answers(&private, "0.0.0.0", "169.254.169.254"));
}

proptest! {
    #[test]
    fn no_grant_without_private_addresses_reaches_one_that_it_does_not_name(bits: u128, v4: u32, prefix in 0_u8..=32) {
        let range = AddressRange { address: core::net::Ipv4Addr::from_bits(v4).into(), prefix };
        let range = AddressRange { address: range.first(), prefix };
        let wide = NetGrant { host: NetHost::Range(range), ..tcp("*:80") };
        let any = tcp("*:80");
        for ip in [IpAddr::V6(bits.into()), IpAddr::V4(v4.into())] {
            let ask = NetAsk { address: SocketAddr::new(ip, 80), ..ask("1.1.1.1:80") };
            let public = AddressClass::of(ip) == AddressClass::Public;
            prop_assert_eq!(permits(std::slice::from_ref(&any), &ask, &Pinned::default()).is_ok(), public);
            if permits(std::slice::from_ref(&wide), &ask, &Pinned::default()).is_ok() {
                prop_assert!(range.contains(ip) && (public || range.names(ip)));
            }
        }
    }

    #[test]
    fn a_range_has_exactly_the_addresses_with_its_bits(address: u32, other: u32, prefix in 0_u8..=32) {
        let range = AddressRange { address: core::net::Ipv4Addr::from_bits(address).into(), prefix };
        let range = AddressRange { address: range.first(), prefix };
        let same = u64::from(address) >> (32 - prefix) == u64::from(other) >> (32 - prefix);
        prop_assert_eq!(range.contains(core::net::Ipv4Addr::from_bits(other).into()), same);
        let written = AddressRange::read(&format!("{}/{prefix}", range.first())).unwrap();
        prop_assert_eq!(written, range);
    }

    #[test]
    fn reading_a_pattern_never_panics(text in "[a-z0-9.:*/\\[\\]é-]{0,20}") {
        drop(NetGrant::parse(&text));
        drop(LookupGrant::parse(&text));
    }
}
