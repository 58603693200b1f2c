//! Requests to the outside: what is granted reaches a real server, and nothing else does.

pub(crate) mod lab;
mod limits;
mod peer;
mod secrets;

use self::lab::{Lab, Names, granting};
use self::peer::{Authority, Certificate, Peer};
use crate::support::run_probe;

#[test]
fn a_granted_request_arrives_as_it_was_made_and_its_answer_comes_back() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let (port, policy) = (peer.port(), granting(&format!("POST http://api.test:{}/v1", peer.port())));
    let url = format!("http://API.test:{port}/v1/a?b=c");
    let got = lab.go(&policy, &["POST", &url, "header=X-Own: 1", "text=what"]);
    got.said("status 200").said("body hello");
    let seen = peer.take().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/a?b=c"));
    assert_eq!(seen.authority, format!("api.test:{port}"));
    assert_eq!((seen.headers["x-own"].as_bytes(), &seen.body[..]), (&b"1"[..], &b"what"[..]));
    assert_eq!(seen.version, http::Version::HTTP_11);
    assert_eq!(got.number("/usage/http-requests"), 1);
    assert_eq!((got.number("/usage/http-sent-bytes"), got.number("/usage/http-received-bytes")), (4, 5));
    assert!(got.denials().is_empty());
}

#[test]
fn each_part_of_a_grant_is_needed() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let port = peer.port();
    let url = format!("http://api.test:{port}/v1/x");
    for (pattern, granted) in [
        (format!("GET http://api.test:{port}/v1"), true),
        (format!("http://*.test:{port}"), false),
        (format!("GET,POST http://api.test:{port}"), true),
        (format!("POST http://api.test:{port}/v1"), false),
        (format!("https://api.test:{port}/v1"), false),
        (format!("http://api.test:{}/v1", port - 1), false),
        ("http://api.test/v1".to_owned(), false),
        (format!("http://www.api.test:{port}/v1"), false),
        (format!("http://*.api.test:{port}/v1"), false),
        (format!("http://api.test:{port}/v2"), false),
        (format!("http://api.test:{port}/v1/x/y"), false),
    ] {
        // A wildcard before one label is no grant at all.
        if host::policy::HttpGrant::parse(&pattern).is_err() {
            continue;
        }
        let got = lab.go(&granting(&pattern), &["GET", &url]);
        if granted {
            got.said("body hello");
        } else {
            got.saw("ErrorCode::HttpRequestDenied");
            assert_eq!(got.denials(), [format!("GET http://api.test:{port}")], "{pattern}");
        }
        assert_eq!(peer.take().len(), usize::from(granted), "{pattern}");
    }
    lab.go("", &["GET", &url]).saw("ErrorCode::HttpRequestDenied");
    lab.go("on-denied = 'stop'", &["GET", &url]);
    assert!(peer.take().is_empty());
}

/// Every name is the peer, so whatever passes the check arrives.
#[test]
fn no_spelling_of_a_target_gets_past_its_grant() {
    let (lab, peer, other) = (Lab::new(), Peer::plain(), Peer::plain());
    let (port, elsewhere) = (peer.port(), other.port());
    let policy = granting(&format!("GET http://ok.test:{port}/v1"));
    lab.go(&policy, &["GET", &format!("http://ok.test:{port}/v1/x")]).said("status 200");
    assert_eq!(peer.take().len(), 1);

    let mut attempts: Vec<(String, String)> = Vec::new();
    for method in ["POST", "get", "CONNECT", "TRACE", "trace", "GETX", "PROPFIND", "HEAD"] {
        attempts.push((method.into(), format!("http://ok.test:{port}/v1/x")));
    }
    for scheme in ["https", "ftp", "HTTPS", "file"] {
        attempts.push(("GET".into(), format!("{scheme}://ok.test:{port}/v1/x")));
    }
    for authority in [
        format!("ok.test:{elsewhere}"),
        "ok.test".into(),
        format!("ok.test:0{port}"),
        format!("ok.test:{}", u32::from(port) + 65_536),
        format!("evil-ok.test:{port}"),
        format!("ok.test.evil:{port}"),
        format!("xok.test:{port}"),
        format!("www.ok.test:{port}"),
        format!("ok.test.:{port}"),
        format!("ok.tes:{port}"),
        format!("ok.test@evil.test:{port}"),
        format!("ok.test:{port}@evil.test:{port}"),
        format!("ok.test:{port}@127.0.0.1:{port}"),
        format!("user:pw@ok.test:{port}"),
        format!("@ok.test:{port}"),
        format!("ok%2etest:{port}"),
        format!("ok.test%00.evil:{port}"),
        format!("127.0.0.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("0177.0.0.1:{port}"),
        format!("127.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("[::127.0.0.1]:{port}"),
        String::new(),
        format!(":{port}"),
    ] {
        attempts.push(("GET".into(), format!("http://{authority}/v1/x")));
    }
    for path in [
        "",
        "/",
        "/admin",
        "/v10",
        "/V1/x",
        "/v1/../admin",
        "/v1/./../admin",
        "/v1/%2e%2e/admin",
        "/v1/%2E%2E/admin",
        "/v1/.%2e/admin",
        "/v1/%252e%252e/admin",
        "/v1/..;/admin",
        "/v1/..%2fadmin",
        "/v1%2f..%2fadmin",
        "/v1/..%5cadmin",
        "/v1/..\\admin",
        "/v1//admin",
        "//v1/x",
        "/v1/%00",
        "?/v1/x",
    ] {
        attempts.push(("GET".into(), format!("http://ok.test:{port}{path}")));
    }
    assert!(attempts.len() >= 60);
    for (method, url) in &attempts {
        let got = lab.go(&policy, &[method, url]);
        assert_eq!(got.reason(), "failed", "{method} {url}: {}", got.text());
        assert!(!got.text().contains("status"), "{method} {url}: {}", got.text());
        assert!(peer.take().is_empty() && other.take().is_empty(), "{method} {url} arrived");
    }
}

#[test]
fn an_absolute_url_as_a_path_goes_nowhere() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let port = peer.port();
    let policy = granting(&format!("http://ok.test:{port}"));
    // The probe splits at the first slash, so the path is what comes after the authority here.
    for path in ["/http://evil.test/", "//evil.test/x", "/\\evil.test"] {
        lab.go(&policy, &["GET", &format!("http://ok.test:{port}{path}")]);
        for seen in peer.take() {
            assert_eq!(seen.authority, format!("ok.test:{port}"), "{path}");
        }
    }
}

#[test]
fn a_granted_name_does_not_lead_behind_the_firewall() {
    let names = Names::new(&[&["127.0.0.1"]]);
    let (lab, peer) = (Lab::with(names.clone()), Peer::plain());
    let url = format!("http://ok.test:{}/", peer.port());
    let public = format!("[[http]]\nallow = 'http://ok.test:{}'\n", peer.port());
    for (addresses, class) in [
        (&["127.0.0.1"][..], "loopback"),
        (&["::1"], "loopback"),
        (&["::ffff:127.0.0.1"], "loopback"),
        (&["::7f00:1"], "loopback"),
        (&["64:ff9b::7f00:1"], "loopback"),
        (&["2002:7f00:1::"], "loopback"),
        (&["2001:0:4136:e378:8000:63bf:80ff:fffe"], "loopback"),
        (&["0.0.0.0"], "unspecified"),
        (&["::"], "unspecified"),
        (&["10.0.0.1"], "private"),
        (&["192.168.0.1"], "private"),
        (&["fd00::1"], "private"),
        (&["100.64.0.1"], "shared"),
        (&["169.254.1.1"], "link-local"),
        (&["169.254.169.254"], "metadata"),
        (&["fd00:ec2::254"], "metadata"),
        (&["198.18.0.1"], "benchmarking"),
        (&["203.0.113.1"], "documentation"),
        (&["224.0.0.1"], "multicast"),
        (&["255.255.255.255"], "reserved"),
        // One of several is enough.
        (&["8.8.8.8", "127.0.0.1"], "loopback"),
        (&["127.0.0.1", "8.8.8.8"], "loopback"),
    ] {
        names.set(addresses);
        let got = lab.go(&public, &["GET", &url]);
        got.saw("ErrorCode::DestinationIpProhibited");
        let detail = format!("GET http://ok.test:{}: its address is {class}", peer.port());
        assert_eq!(got.denials(), [detail], "{addresses:?}");
    }
    // Private addresses can be granted, the others only by their own name.
    let private = granting(&format!("http://ok.test:{}", peer.port()));
    for addresses in [&["169.254.169.254"][..], &["0.0.0.0"], &["::"], &["127.0.0.1", "169.254.169.254"]] {
        names.set(addresses);
        lab.go(&private, &["GET", &url]).saw("ErrorCode::DestinationIpProhibited");
    }
    assert!(peer.seen().is_empty());
    names.set(&["127.0.0.1"]);
    lab.go(&private, &["GET", &url]).said("body hello");
    assert_eq!(peer.seen().len(), 1);
    let stopped = lab.go(&format!("on-denied = 'stop'\n{public}"), &["GET", &url]);
    assert_eq!((stopped.reason(), stopped.number("/stop/exit-status")), ("denied.http", 126));
}

#[test]
fn an_address_is_granted_by_its_literal_or_as_localhost() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let port = peer.port();
    for host in ["127.0.0.1", "localhost"] {
        let policy = format!("[[http]]\nallow = 'http://{host}:{port}'\n");
        lab.go(&policy, &["GET", &format!("http://{host}:{port}/")]).said("body hello");
        lab.go(&policy, &["GET", &format!("http://other.test:{port}/")]).saw("ErrorCode::HttpRequestDenied");
    }
    assert_eq!(peer.seen().len(), 2);
}

#[test]
fn a_name_that_changes_its_address_is_connected_to_where_it_was_checked() {
    // Nothing listens on 127.0.0.2, which is what the check sees; the peer is what a second look would find.
    let names = Names::new(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let (lab, peer) = (Lab::with(names.clone()), Peer::plain());
    let url = format!("http://ok.test:{}/", peer.port());
    lab.go(&granting(&format!("http://ok.test:{}", peer.port())), &["GET", &url]).saw("ErrorCode::ConnectionRefused");
    assert_eq!((names.asked(), peer.seen().len()), (1, 0));
}

#[test]
fn a_name_that_turns_to_loopback_is_refused_although_a_connection_to_it_is_kept() {
    let names = Names::new(&[&["127.0.0.1"]]);
    let (lab, peer) = (Lab::with(names.clone()), Peer::plain());
    let url = format!("http://ok.test:{}/", peer.port());
    lab.go(&granting(&format!("http://ok.test:{}", peer.port())), &["GET", &url]).said("body hello");
    let public = format!("[[http]]\nallow = 'http://ok.test:{}'\n", peer.port());
    lab.go(&public, &["GET", &url]).saw("ErrorCode::DestinationIpProhibited");
    names.set(&["127.0.0.2"]);
    lab.go(&granting(&format!("http://ok.test:{}", peer.port())), &["GET", &url]).saw("ErrorCode::ConnectionRefused");
    assert_eq!(peer.seen().len(), 1);
}

#[test]
fn a_redirect_is_handed_to_the_guest_whose_next_request_is_checked() {
    let (lab, peer, other) = (Lab::new(), Peer::plain(), Peer::plain());
    let policy = granting(&format!("http://ok.test:{}", peer.port()));
    let to = format!("http://inner.test:{}/", other.port());
    let url = format!("http://ok.test:{}/redirect?{to}", peer.port());
    let got = lab.go(&policy, &["GET", &url]);
    got.said("status 302").said(&format!("header location: {to}"));
    lab.go(&policy, &["GET", &url, "follow"]).saw("ErrorCode::HttpRequestDenied");
    assert_eq!((peer.seen().len(), other.seen().len()), (2, 0));
    let inside = format!("http://ok.test:{}/redirect?http://ok.test:{}/", peer.port(), peer.port());
    lab.go(&policy, &["GET", &inside, "follow"]).said("body hello");
}

#[test]
fn headers_of_the_connection_and_broken_ones_are_never_sent() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let (policy, url) =
        (granting(&format!("http://ok.test:{}", peer.port())), format!("http://ok.test:{}/", peer.port()));
    for header in [
        "Host: evil.test",
        "Connection: x-own",
        "Keep-Alive: 1",
        "Proxy-Authorization: Basic AA==",
        "Proxy-Connection: close",
        "TE: trailers",
        "Trailer: x",
        "Transfer-Encoding: chunked",
        "Upgrade: websocket",
        "HTTP2-Settings: AAA",
        "Expect: 100-continue",
        "X-HTTP-Method-Override: DELETE",
    ] {
        lab.go(&policy, &["GET", &url, &format!("header={header}")]).saw("header HeaderError::Forbidden");
    }
    for header in ["X: a\\r\\nHost: evil", "X: a\\nY: b", "X\\r\\nY: b", "X: a\\0", "X Y: b", ":authority: evil", ": b"]
    {
        lab.go(&policy, &["GET", &url, &format!("header={header}")]).saw("header HeaderError::InvalidSyntax");
    }
    for path in ["/a\\r\\nX: y", "/a b"] {
        lab.go(&policy, &["GET", &format!("http://ok.test:{}{}", peer.port(), path.replace("\\r\\n", "\r\n"))])
            .saw("path");
    }
    assert!(peer.seen().is_empty());
}

#[test]
fn a_body_that_is_longer_than_it_says_begins_no_second_request() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let (policy, url) =
        (granting(&format!("http://ok.test:{}", peer.port())), format!("http://ok.test:{}/", peer.port()));
    let smuggled = "text=abcGET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    lab.go(&policy, &["POST", &url, "header=content-length: 3", smuggled]);
    lab.go(&policy, &["POST", &url, "header=content-length: 0", smuggled]);
    lab.go(&policy, &["GET", &url]).said("body hello");
    assert!(peer.seen().iter().all(|seen| seen.path == "/" && seen.body.len() <= 3), "{:?}", peer.seen());
}

#[test]
fn tls_is_verified_against_the_granted_name() {
    let (lab, authority, stranger) = (Lab::new(), Authority::new(), Authority::new());
    let good = Certificate { name: "api.test", expired: false };
    let expired = Certificate { expired: true, ..good };
    let other = Certificate { name: "other.test", ..good };
    let run = |peer: &Peer, ca: &Authority| {
        let policy = format!("{}ca = '{}'\n", granting(&format!("https://api.test:{}", peer.port())), ca.path());
        lab.go(&policy, &["GET", &format!("https://api.test:{}/", peer.port())])
    };
    for (protocols, version) in
        [(&["h2", "http/1.1"][..], http::Version::HTTP_2), (&["http/1.1"], http::Version::HTTP_11)]
    {
        let peer = Peer::tls(&authority, good, protocols);
        run(&peer, &authority).said("body hello");
        let seen = peer.take().remove(0);
        assert_eq!((seen.version, seen.server_name.as_deref()), (version, Some("api.test")));
        assert_eq!(seen.authority, format!("api.test:{}", peer.port()));
        assert!(version == http::Version::HTTP_11 || !seen.headers.contains_key("host"));
        run(&peer, &stranger).saw("ErrorCode::TlsCertificateError");
        assert!(peer.take().is_empty());
    }
    for wrong in [expired, other] {
        let peer = Peer::tls(&authority, wrong, &["h2"]);
        run(&peer, &authority).saw("ErrorCode::TlsCertificateError");
        assert!(peer.take().is_empty());
    }
    let plain = Peer::plain();
    assert_eq!(run(&plain, &authority).reason(), "failed");
    assert!(plain.take().is_empty());
}

#[test]
fn authorities_come_from_the_policy_and_from_nowhere_else() {
    let (lab, authority) = (Lab::new(), Authority::new());
    let peer = Peer::tls(&authority, Certificate { name: "api.test", expired: false }, &["h2"]);
    let url = format!("https://api.test:{}/", peer.port());
    let grant = granting(&format!("https://api.test:{}", peer.port()));
    lab.go(&grant, &["GET", &url]).saw("ErrorCode::TlsCertificateError");
    lab.go(&format!("[tls]\nca = '{}'\n{grant}", authority.path()), &["GET", &url]).said("body hello");
    lab.go(&grant, &["GET", &url]).saw("ErrorCode::TlsCertificateError");
    let empty = tempfile::NamedTempFile::new().unwrap();
    for path in ["/no/such/file.pem".to_owned(), empty.path().display().to_string()] {
        let got = lab.go(&format!("[tls]\nca = '{path}'\n{grant}"), &["GET", &url]);
        assert_eq!(got.reason(), "refused.grant");
    }
}

#[test]
fn connections_are_kept_for_the_same_tenant_and_never_for_another() {
    let authority = Authority::new();
    let certificate = Certificate { name: "api.test", expired: false };
    let peers = [
        ("http", Peer::plain()),
        ("https", Peer::tls(&authority, certificate, &["http/1.1"])),
        ("https", Peer::tls(&authority, certificate, &["h2"])),
    ];
    for (scheme, peer) in &peers {
        let lab = Lab::new();
        let pattern = format!("{scheme}://api.test:{}", peer.port());
        let policy = format!("{}ca = '{}'\n", granting(&pattern), authority.path());
        let url = format!("{pattern}/connection");
        for tenant in ["one", "one", "two", "one", "two"] {
            // A connection is given back when the driver has seen the end of the exchange.
            lab.go_as(tenant, &policy, &["GET", &url, "repeat=2"]).said("body connection");
        }
        let of =
            |range: std::ops::Range<usize>| peer.seen()[range].iter().map(|seen| seen.connection).collect::<Vec<_>>();
        let (one, two) = ([of(0..4), of(6..8)].concat(), [of(4..6), of(8..10)].concat());
        assert!(one.iter().all(|connection| !two.contains(connection)), "{scheme}: {one:?} {two:?}");
        let distinct: std::collections::BTreeSet<_> = one.iter().chain(&two).collect();
        assert!(distinct.len() < 10, "{scheme}: nothing was kept: {one:?} {two:?}");
    }
}

#[test]
fn a_denial_stops_the_guest_where_the_policy_says_so() {
    let lab = Lab::new();
    let got = lab.go("on-denied = 'stop'", &["GET", "http://ok.test/"]);
    assert_eq!((got.reason(), got.number("/stop/exit-status")), ("denied.http", 126));
    assert_eq!(got.denials(), ["GET http://ok.test"]);
}

#[test]
fn a_grant_can_be_a_flag() {
    let peer = Peer::plain();
    let url = format!("http://127.0.0.1:{}/v1", peer.port());
    let granted = run_probe("http").flag("--allow-http", format!("GET {url}")).args(&["GET", &url]);
    assert!(granted.ended("returned", 0).text().contains("body hello"));
    let denied = run_probe("http").flag("--allow-http", format!("POST {url}")).args(&["GET", &url]);
    denied.ended("failed", 1);
    assert!(denied.stderr.contains("note: denied: http: GET http://127.0.0.1"), "{}", denied.stderr);
    assert_eq!(peer.seen().len(), 1);
}
