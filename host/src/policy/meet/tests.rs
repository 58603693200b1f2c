//! The laws of the meet, on policies and requests that are made up at random from few names, so that they often meet.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::policy::compiler::Compiler;
use crate::policy::secret::SecretSource;
use crate::policy::{
    Bytes, HttpScheme, HttpTarget, KeyValueStore, LIMITS, MAX_GRANTS, NetAsk, NetDirection, NetProtocol, Pinned,
    TENANT_LIMITS, permits_lookup, permits_net,
};

const HOSTS: &[&str] = &["a.example", "b.a.example", "c.b.a.example", "localhost", "127.0.0.1", "8.8.8.8", "[::1]"];
const PATTERNS: &[&str] = &["*.a.example", "*.b.a.example", "*.example.org"];
const METHODS: &[&str] = &["GET", "POST", "PUT"];
const PATHS: &[&str] = &["", "/v1", "/v1/x", "/v10", "/v2"];

fn http() -> impl Strategy<Value = HttpGrant> {
    let hosts: Vec<&str> = HOSTS.iter().chain(PATTERNS).copied().collect();
    let parts = (
        subsequence(METHODS, 0..=3),
        select(vec!["http", "https"]),
        select(hosts),
        select(vec!["", ":8080"]),
        select(PATHS),
        any::<bool>(),
        prop::option::of(select(vec!["a.pem", "b.pem"])),
        prop::bool::weighted(0.1),
    );
    parts.prop_map(|(methods, scheme, host, port, path, private, ca, every)| {
        if every {
            return HttpGrant::any(if scheme == "http" { HttpScheme::Http } else { HttpScheme::Https });
        }
        let mut grant = HttpGrant::parse(&format!("{} {scheme}://{host}{port}{path}", methods.join(","))).unwrap();
        (grant.allow_private, grant.ca) = (private, ca.map(PathBuf::from));
        grant
    })
}

fn target() -> impl Strategy<Value = HttpTarget> {
    let paths = vec!["/", "/v1", "/v1/x", "/v1/x/y", "/v10", "/v2", "/v1/../v2"];
    let more = vec!["d.a.example", "a.example.org", "other.test"];
    let hosts: Vec<&str> = HOSTS.iter().copied().chain(more).collect();
    let parts =
        (select(METHODS), select(vec!["http", "https"]), select(hosts), select(vec!["", ":8080"]), select(paths));
    parts.prop_map(|(method, scheme, host, port, path)| {
        HttpTarget::parse(method, &format!("{scheme}://{host}{port}{path}")).unwrap()
    })
}

fn words() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(select(vec!["A", "B", "C"]).prop_map(str::to_owned), select(vec!["1", "2"]).prop_map(str::to_owned), 0..3)
}

fn directory() -> impl Strategy<Value = DirGrant> {
    let access = select(vec![DirAccess::ReadOnly, DirAccess::ReadWrite]);
    let quota = (prop::option::of(1..4_u64), prop::option::of(1..4_u64));
    (select(vec!["d", "d/e"]), select(vec!["/d", "/e"]), access, quota).prop_map(|(host, guest, access, quota)| {
        let (bytes, files) = if access.permits_writing() { quota } else { (None, None) };
        // As the file has it: without a quota on files one on bytes has its own.
        let files = files.or(bytes.map(|_| DirGrant::MAX_FILES));
        DirGrant { max_bytes: bytes.map(Bytes), max_files: files, ..DirGrant::new(host, guest, access) }
    })
}

fn key_value() -> impl Strategy<Value = KeyValueGrant> {
    let access = select(vec![KeyValueAccess::ReadOnly, KeyValueAccess::ReadWrite]);
    let parts = (select(vec!["a", "b"]), select(vec!["memory", "file:x"]), access, [1_u64..9, 1..9, 1..9, 1..9]);
    parts.prop_map(|(bucket, store, access, [max_keys, key, value, total])| KeyValueGrant {
        bucket: bucket.into(),
        store: KeyValueStore::parse(store).unwrap(),
        access,
        quota: BucketQuota { max_keys, max_key: Bytes(key), max_value: Bytes(value), max_total: Bytes(total) },
    })
}

fn secret_grant() -> impl Strategy<Value = SecretGrant> {
    let parts = (select(vec!["s", "t"]), select(vec!["S", "T"]), vec(http(), 1..3), any::<bool>());
    parts.prop_map(|(name, env, to, allow_plaintext)| SecretGrant {
        name: name.into(),
        source: SecretSource::Env(env.into()),
        header: "x-s".into(),
        format: "{}".into(),
        to,
        allow_plaintext,
    })
}

const NET_HOSTS: &[&str] = &[
    "*",
    "*.a.example",
    "b.a.example",
    "*.c.b.a.example",
    "localhost",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3",
    "8.8.0.0/16",
    "8.8.8.8",
    "169.254.0.0/16",
    "169.254.169.254",
    "[::ffff:10.1.2.3]",
    "[fc00::]",
    "[::]",
];

fn net() -> impl Strategy<Value = NetGrant> {
    let protocol = select(vec![NetProtocol::Tcp, NetProtocol::Udp]);
    (protocol, any::<bool>(), select(NET_HOSTS.to_vec()), select(vec!["*", "80", "443"]), any::<bool>()).prop_map(
        |(protocol, listen, host, port, allow_private)| {
            let listen = listen && host.parse::<core::net::Ipv4Addr>().is_ok();
            let direction = if listen { NetDirection::Listen } else { NetDirection::Connect };
            let grant = NetGrant::read(protocol, direction, &format!("{host}:{port}")).unwrap();
            NetGrant { allow_private, ..grant }
        },
    )
}

fn lookup() -> impl Strategy<Value = LookupGrant> {
    let names = vec!["*", "*.a.example", "b.a.example", "*.c.b.a.example", "localhost"];
    (select(names), any::<bool>())
        .prop_map(|(name, allow_private)| LookupGrant { allow_private, ..LookupGrant::parse(name).unwrap() })
}

fn grants_of_all_kinds() -> impl Strategy<Value = Grants> {
    let streams = prop::option::of((any::<bool>(), any::<bool>(), any::<bool>()));
    let stop = any::<bool>();
    let args = vec(select(vec!["x", "y"]).prop_map(str::to_owned), 0..3);
    let ca = prop::option::of(select(vec!["a.pem", "b.pem"]).prop_map(PathBuf::from));
    let seed = prop::option::of(0..3_u64);
    let compiler = select(Compiler::WORDS).prop_map(|word| Compiler::parse(word).unwrap());
    let lists = (
        vec(directory(), 0..3),
        vec(key_value(), 0..3),
        vec(http(), 0..5),
        vec(secret_grant(), 0..2),
        vec(net(), 0..4),
        vec(lookup(), 0..3),
    );
    (words(), words(), args, streams, (stop, seed, compiler), ca, lists).prop_map(
        |(
            env,
            config,
            args,
            streams,
            (stop, deterministic, compiler),
            tls_ca,
            (dir, key_value, http, secret, net, lookup),
        )| {
            Grants {
                dir,
                env,
                args,
                config,
                key_value,
                stdio: streams.map(|(stdin, stdout, stderr)| StdioGrant { stdin, stdout, stderr }),
                on_denied: if stop { OnDenied::Stop } else { OnDenied::Error },
                http,
                secret,
                tls_ca,
                deterministic,
                net,
                lookup,
                compiler,
            }
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let amount = || prop_oneof![1_u64..5, Just(u64::MAX)];
    let limits = vec(amount(), LIMITS.len());
    let tenant = vec(amount(), TENANT_LIMITS.len());
    (grants_of_all_kinds(), limits, tenant).prop_map(|(grants, limits, tenant)| {
        let mut policy = Policy { grants, ..Policy::default() };
        LIMITS.iter().zip(limits).for_each(|(row, amount)| policy.limits.set(row.kind, amount));
        TENANT_LIMITS.iter().zip(tenant).for_each(|(row, amount)| policy.tenant.set(row.name, amount));
        policy
    })
}

/// Whether two policies permit the same.
fn same(a: &Policy, b: &Policy) -> bool {
    a.diff(b).is_empty() && b.diff(a).is_empty()
}

fn permits(policy: &Policy, target: &HttpTarget) -> bool {
    policy.grants.http.iter().any(|grant| grant.permits(target))
}

fn reaches(policy: &Policy, target: &HttpTarget, address: core::net::IpAddr) -> bool {
    let mut grants = policy.grants.http.iter();
    grants.any(|grant| grant.permits(target) && grant.permits_address(address).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_meet_is_never_wider_than_either(a in policy(), b in policy()) {
        let met = a.meet(&b);
        prop_assert!(!a.is_widened_by(&met), "{:#?}", a.diff(&met));
        prop_assert!(!b.is_widened_by(&met), "{:#?}", b.diff(&met));
    }

    #[test]
    fn a_request_is_permitted_by_a_meet_exactly_where_both_permit_it(
        a in policy(), b in policy(), target in target(),
        address in select(vec!["127.0.0.1", "10.0.0.1", "8.8.8.8", "::1", "169.254.169.254"]),
    ) {
        let met = a.meet(&b);
        let address = address.parse().unwrap();
        if permits(&met, &target) {
            prop_assert!(permits(&a, &target) && permits(&b, &target));
        }
        if reaches(&met, &target, address) {
            prop_assert!(reaches(&a, &target, address) && reaches(&b, &target, address));
        }
        let special = |policy: &Policy| policy.grants.http.iter().any(|grant| grant.to_string().contains("://*"));
        // Every public host and one address by name have nothing in common, though both permit the request.
        if permits(&a, &target) && permits(&b, &target) && !special(&a) && !special(&b) {
            prop_assert!(permits(&met, &target), "{met:#?}");
        }
        for secret in &met.grants.secret {
            let in_both = |policy: &Policy| policy.grants.secret.iter().any(|other| other.name == secret.name && other.permits(&target));
            prop_assert!(!secret.permits(&target) || (in_both(&a) && in_both(&b)));
        }
    }

    #[test]
    fn an_address_and_a_name_are_permitted_by_a_meet_only_where_both_permit_them(
        a in vec(net(), 0..4), b in vec(net(), 0..4), c in vec(lookup(), 0..3), d in vec(lookup(), 0..3),
        name in select(vec!["b.a.example", "x.c.b.a.example", "localhost", "other.example"]),
        address in select(vec!["127.0.0.1", "10.1.2.3", "10.9.9.9", "8.8.8.8", "169.254.169.254", "::ffff:10.1.2.3", "fc00::"]),
        port in select(vec![80_u16, 443, 1]), listen in any::<bool>(), udp in any::<bool>(), found in any::<bool>(),
    ) {
        let of = |net: &[NetGrant], lookup: &[LookupGrant]| {
            let grants = Grants { net: net.to_vec(), lookup: lookup.to_vec(), ..Grants::default() };
            Policy { grants, ..Policy::default() }
        };
        let (a, b) = (of(&a, &c), of(&b, &d));
        let met = a.meet(&b);
        let ip: core::net::IpAddr = address.parse().unwrap();
        let ask = NetAsk {
            protocol: if udp { NetProtocol::Udp } else { NetProtocol::Tcp },
            direction: if listen { NetDirection::Listen } else { NetDirection::Connect },
            address: core::net::SocketAddr::new(ip, port),
        };
        let mut names = Pinned::default();
        if found {
            names.insert(name.to_owned(), std::sync::Arc::from([ip]));
        }
        let may = |policy: &Policy| permits_net(&policy.grants.net, &ask, &names).is_ok();
        prop_assert!(!may(&met) || (may(&a) && may(&b)), "{met:#?}");
        let finds = |policy: &Policy| permits_lookup(&policy.grants.net, &policy.grants.lookup, name, &[ip]).is_ok();
        prop_assert!(!finds(&met) || (finds(&a) && finds(&b)), "{met:#?}");
    }

    #[test]
    fn a_meet_is_the_same_in_either_order_and_however_it_is_nested(a in policy(), b in policy(), c in policy()) {
        prop_assert!(same(&a.meet(&b), &b.meet(&a)), "{:#?}", a.meet(&b).diff(&b.meet(&a)));
        let (left, right) = (a.meet(&b).meet(&c), a.meet(&b.meet(&c)));
        prop_assert!(same(&left, &right), "{:#?}", left.diff(&right));
    }

    #[test]
    fn a_policy_meets_itself_in_itself(a in policy()) {
        // A secret for requests in the clear that may not go out in the clear is no secret for them, which no file says.
        let mut a = a;
        for secret in &mut a.grants.secret {
            secret.allow_plaintext = true;
        }
        let mut seen = Vec::new();
        a.grants.secret.retain(|secret| !seen.contains(&secret.name) && { seen.push(secret.name.clone()); true });
        prop_assert!(same(&a.meet(&a), &a), "{:#?}", a.diff(&a.meet(&a)));
        let met = a.meet(&a);
        prop_assert_eq!(met.meet(&met), met);
    }

    #[test]
    fn a_policy_that_is_written_reads_back_to_itself(a in policy()) {
        // Only what a file can say: names come once, parts are no larger than their whole, and no pattern for every host.
        let mut a = a;
        a.limits = Limits { memory: Bytes(1 << 20), wall: crate::policy::Span::from_millis(2), ..Limits::default() };
        a.limits.input = Bytes(7);
        a.limits.cpu = crate::policy::Span::from_millis(1);
        a.tenant = TenantLimits { weight: 7, ..TenantLimits::default() };
        a.grants.http.retain(|grant| !grant.to_string().contains("://*") || grant.to_string().contains("*."));
        a.grants.env.insert("ODD".into(), "a\"\\\n\t\u{7f}é".into());
        let mut guests = Vec::new();
        a.grants.dir.retain(|dir| !guests.contains(&dir.guest) && { guests.push(dir.guest.clone()); true });
        let mut buckets = Vec::new();
        a.grants.key_value.retain(|b| !buckets.contains(&b.bucket) && { buckets.push(b.bucket.clone()); true });
        for bucket in &mut a.grants.key_value {
            bucket.quota.max_total = Bytes(9);
        }
        let mut names = Vec::new();
        a.grants.secret.retain(|s| !names.contains(&s.name) && { names.push(s.name.clone()); true });
        for secret in &mut a.grants.secret {
            secret.allow_plaintext = true;
            secret.to = vec![HttpGrant::parse("GET https://*.a.example/v1").unwrap()];
        }
        let text = a.to_toml();
        let read = Policy::parse(&text);
        prop_assert_eq!(read.as_ref(), Ok(&a), "{}", text);
        prop_assert_eq!(read.unwrap().digest(), a.digest());
    }
}

#[test]
fn a_directory_below_a_granted_one_is_none_of_it() {
    let parse = |text: &str| Policy::parse(text).unwrap();
    let dir = |host: &str, guest: &str| format!("[[dir]]\nhost = '{host}'\nguest = '{guest}'\naccess = 'read-write'\n");
    let ceiling = parse(&dir("/srv/a", "/d"));
    for (host, guest) in [("/srv/a/link", "/d"), ("/srv/a/../b", "/d"), ("/srv/a", "/"), ("/", "/d")] {
        assert!(parse(&dir(host, guest)).meet(&ceiling).grants.dir.is_empty(), "{host}");
    }
    assert_eq!(ceiling.meet(&ceiling), ceiling);
}

#[test]
fn a_policy_has_up_to_a_thousand_grants_of_a_kind() {
    type One = fn(usize) -> String;
    let kinds: [(&str, One); 6] = [
        ("http", |n| format!("allow = 'https://h{n}.example.com'")),
        ("net", |n| format!("connect = 'h{n}.example.com:80'")),
        ("lookup", |n| format!("name = 'h{n}.example.com'")),
        ("dir", |n| format!("host = 'd{n}'\naccess = 'read-only'")),
        ("key-value", |n| format!("bucket = 'b{n}'\nstore = 'memory'\naccess = 'read-only'")),
        ("secret", |n| format!("name = 's{n}'\nenv = 'S'\nheader = 'x'\nfor = ['https://a.example.com']")),
    ];
    for (key, one) in kinds {
        let policy = |count: usize| (0..count).map(|n| format!("[[{key}]]\n{}\n", one(n))).collect::<String>();
        let most = Policy::parse(&policy(MAX_GRANTS)).unwrap();
        assert_eq!(most.meet(&most), most, "{key}");
        let errors = Policy::parse(&policy(MAX_GRANTS + 1)).unwrap_err().0;
        assert!(errors.len() == 1 && errors[0].message.contains(&format!("`{key}` has 1001 entries")), "{errors:?}");
    }
    let secret = |count: usize| {
        let patterns = vec!["'https://a.example.com'"; count].join(", ");
        Policy::parse(&format!("[[secret]]\nname = 's'\nenv = 'S'\nheader = 'x'\nfor = [{patterns}]"))
    };
    assert!(secret(MAX_GRANTS).is_ok());
    assert!(secret(MAX_GRANTS + 1).unwrap_err().0[0].message.contains("`for` has 1001 entries"));
    assert!(Policy::parse(&format!("args = [{}]", vec!["'a'"; MAX_GRANTS + 1].join(", "))).is_ok());
}

#[test]
fn what_many_grants_have_in_common_is_all_there_and_once() {
    let policy = |count: usize, pattern: fn(usize) -> String| {
        let text: String = (0..count).map(|n| format!("[[http]]\nallow = '{}'\n", pattern(n))).collect();
        Policy::parse(&text).unwrap()
    };
    let (paths, hosts) = (
        policy(60, |n| format!("https://*.example.com/p{n}")),
        policy(60, |n| format!("GET https://h{n}.example.com")),
    );
    // More than is looked through for what another one covers.
    let (one, other) = (paths.meet(&hosts), hosts.meet(&paths));
    assert_eq!((one.grants.http.len(), other.grants.http.len()), (3600, 3600));
    for url in ["https://h0.example.com/p59/x", "https://h59.example.com/p0"] {
        let target = HttpTarget::parse("GET", url).unwrap();
        assert!([&one, &other].iter().all(|met| met.grants.http.iter().any(|grant| grant.permits(&target))));
    }
    // More than anybody writes is cut, and what is left is in both.
    let (paths, hosts) = (
        policy(200, |n| format!("https://*.example.com/p{n}")),
        policy(200, |n| format!("GET https://h{n}.example.com")),
    );
    let cut = paths.meet(&hosts);
    assert_eq!(cut.grants.http.len(), MOST_COMMON);
    let within = |grant: &HttpGrant, policy: &Policy| policy.grants.http.iter().any(|other| other.covers(grant));
    assert!(cut.grants.http.iter().all(|grant| within(grant, &paths) && within(grant, &hosts)));
    let target = HttpTarget::parse("GET", "https://h60.example.com/p0").unwrap();
    assert!(!one.grants.http.iter().any(|grant| grant.permits(&target)));
}
