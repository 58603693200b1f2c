//! Amounts of HTTP at N and at N+1, and servers that never come to an end.

use super::lab::{Lab, granting};
use super::peer::{Authority, Certificate, Peer};

#[test]
fn requests_are_counted_to_the_last_that_fits() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let url = format!("http://ok.test:{}/", peer.port());
    let policy = format!("limits.http-requests = 3\n{}", granting(&format!("http://ok.test:{}", peer.port())));
    lab.go(&policy, &["GET", &url, "repeat=3"]).said("body hello");
    assert_eq!(peer.take().len(), 3);
    let over = lab.go(&policy, &["GET", &url, "repeat=4"]);
    over.hit("http-requests", 3);
    assert_eq!((peer.take().len(), over.number("/usage/http-requests")), (3, 3));
    // Denied ones count: each is work, and a line in the receipt.
    lab.go("limits.http-requests = 3", &["GET", &url, "repeat=4"]).hit("http-requests", 3);
    lab.go("limits.http-requests = 0", &["GET", &url]).hit("http-requests", 0);
}

#[test]
fn requests_at_once_are_counted_and_held_memory_with_them() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let url = |path: &str| format!("http://ok.test:{}/{path}", peer.port());
    let grant = granting(&format!("http://ok.test:{}", peer.port()));
    let policy = format!("limits.http-concurrency = 3\n{grant}");
    lab.go(&policy, &["GET", &url(""), "parallel=3", "repeat=2"]).said("body hello");
    lab.go(&policy, &["GET", &url(""), "parallel=4"]).hit("http-concurrency", 3);
    // An answer that isn't read is still in flight; one that failed or was read is not.
    lab.go(&policy, &["GET", &url("endless"), "unread", "repeat=3"]).said("status 200");
    lab.go(&policy, &["GET", &url("endless"), "unread", "repeat=4"]).hit("http-concurrency", 3);
    lab.go(&policy, &["GET", "http://no.test/", "repeat=4"]).saw("ErrorCode::HttpRequestDenied");

    let peak = |args: &[&str]| lab.go(&grant, args).number("/usage/memory-peak-bytes");
    let base = peak(&["GET", "http://no.test/"]);
    // What the guest writes is kept for the test, and counts as well.
    assert!(peak(&["GET", &url(""), "repeat=5"]) < base + 4096);
    assert!(peak(&["GET", &url("endless"), "unread", "repeat=5"]) >= base + 4 * (256 << 10));
    let tight = format!("limits.memory = '{}'\n{grant}", base + 4096);
    lab.go(&tight, &["GET", &url("")]).said("body hello");
    assert_eq!(lab.go(&tight, &["GET", &url("endless"), "unread", "repeat=5"]).reason(), "limit.memory");
}

#[test]
fn bodies_are_counted_in_both_directions_together() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let url = |path: &str| format!("http://ok.test:{}/{path}", peer.port());
    let grant = granting(&format!("http://ok.test:{}", peer.port()));
    let policy = format!("limits.http-body = '100000'\n{grant}");
    lab.go(&policy, &["GET", &url("bytes/100000"), "quiet"]).said("body 100000");
    lab.go(&policy, &["GET", &url("bytes/100001"), "quiet"]).hit("http-body", 100_000);
    lab.go(&policy, &["POST", &url("bytes/0"), "quiet", "body=100000"]).said("body 0");
    peer.take();
    lab.go(&policy, &["POST", &url("bytes/0"), "quiet", "body=100001"]).hit("http-body", 100_000);
    assert!(peer.take().iter().all(|seen| seen.body.len() <= 100_000));
    let both = lab.go(&policy, &["POST", &url("bytes/40000"), "quiet", "body=60000"]);
    both.said("body 40000");
    assert_eq!((both.number("/usage/http-sent-bytes"), both.number("/usage/http-received-bytes")), (60_000, 40_000));
    lab.go(&policy, &["POST", &url("bytes/40001"), "quiet", "body=60000"]).hit("http-body", 100_000);
    lab.go(&policy, &["GET", &url("bytes/25000"), "quiet", "repeat=5"]).hit("http-body", 100_000);
}

#[test]
fn an_endless_answer_ends_at_the_limit_and_one_that_nobody_reads_takes_no_memory() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let url = format!("http://ok.test:{}/endless", peer.port());
    let grant = granting(&format!("http://ok.test:{}", peer.port()));
    let bomb = lab.go(&grant, &["GET", &url, "quiet"]);
    bomb.hit("http-body", 32 << 20);
    assert!(bomb.number("/usage/http-received-bytes") <= 32 << 20);
    let unread = lab.go(&grant, &["GET", &url, "unread", "repeat=10"]);
    unread.said("status 200");
    assert_eq!(unread.number("/usage/http-received-bytes"), 0);
}

#[test]
fn headers_are_counted_in_both_directions_together() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let url = |path: &str| format!("http://ok.test:{}/{path}", peer.port());
    let grant = granting(&format!("http://ok.test:{}", peer.port()));
    let used = lab.go(&grant, &["GET", &url(""), "header=x-a: b"]).number("/usage/http-header-bytes");
    let run = |limit: u64, args: &[&str]| lab.go(&format!("limits.http-headers = '{limit}'\n{grant}"), args);
    run(used, &["GET", &url(""), "header=x-a: b"]).said("body hello");
    run(used - 1, &["GET", &url(""), "header=x-a: b"]).hit("http-headers", used - 1);
    run(used, &["GET", &url(""), "header=x-a: bb"]).hit("http-headers", used);
    run(used, &["GET", &url(""), "header=x-a: b", "repeat=2"]).hit("http-headers", used);
    // A guest that hoards headers without sending any.
    let hoard = format!("header=x: {}", "y".repeat(40_000));
    lab.go(&grant, &["GET", &url(""), &hoard]).hit("http-headers", 1 << 20);
}

#[test]
fn an_answer_whose_headers_have_no_end_fails() {
    let authority = Authority::new();
    let peers = [
        ("http", Peer::plain()),
        ("https", Peer::tls(&authority, Certificate { name: "ok.test", expired: false }, &["h2"])),
    ];
    for (scheme, peer) in &peers {
        let lab = Lab::new();
        let pattern = format!("{scheme}://ok.test:{}", peer.port());
        let policy = format!("{}ca = '{}'\n", granting(&pattern), authority.path());
        lab.go(&policy, &["GET", &format!("{pattern}/header/16000"), "quiet"]).said("status 200");
        let got = lab.go(&policy, &["GET", &format!("{pattern}/header/200000"), "quiet"]);
        got.saw("ErrorCode::");
        assert!(!got.text().contains("status"), "{}", got.text());
    }
    let (lab, endless) = (Lab::new(), Peer::raw(b"HTTP/1.1 200 OK\r\nx: "));
    let policy = format!("limits.http-timeout = '200ms'\n{}", granting(&format!("http://ok.test:{}", endless.port())));
    lab.go(&policy, &["GET", &format!("http://ok.test:{}/", endless.port())]).saw("ErrorCode::HttpResponseTimeout");
}

#[test]
fn what_is_no_http_is_an_error_and_never_an_answer() {
    let lab = Lab::new();
    for answer in [
        &b"\x16\x03\x01 no http at all\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
    ] {
        let peer = Peer::raw(answer);
        let policy = format!("limits.http-timeout = '2s'\n{}", granting(&format!("http://ok.test:{}", peer.port())));
        let got = lab.go(&policy, &["GET", &format!("http://ok.test:{}/", peer.port())]);
        assert_eq!(got.reason(), "failed", "{}", got.text());
        assert!(!got.text().contains("body hello"));
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    let (lab, peer) = (Lab::new(), Peer::plain());
    let url = |path: &str| format!("http://ok.test:{}/{path}", peer.port());
    let grant = granting(&format!("http://ok.test:{}", peer.port()));
    let run = |timeout: &str, args: &[&str]| lab.go(&format!("limits.http-timeout = '{timeout}'\n{grant}"), args);
    run("1h", &["GET", &url("")]).said("body hello");
    run("200ms", &["GET", &url("never")]).saw("ErrorCode::HttpResponseTimeout");
    run("200ms", &["GET", &url("stall")]).saw("body ErrorCode::HttpResponseTimeout");
    // A guest can make it shorter and not longer.
    run("1h", &["GET", &url("never"), "first-byte-ms=100"]).saw("ErrorCode::HttpResponseTimeout");
    run("1h", &["GET", &url("stall"), "between-ms=100"]).saw("body ErrorCode::ConnectionReadTimeout");
    let long = ["connect-ms=3600000", "first-byte-ms=3600000", "between-ms=18446744073709"];
    run("200ms", &[&["GET", &url("never")], &long[..]].concat()).saw("ErrorCode::HttpResponseTimeout");
    run("200ms", &[&["GET", &url("stall")], &long[..]].concat()).saw("body ErrorCode::HttpResponseTimeout");
    // The invocation's own deadline holds whatever a request may take.
    let policy = format!("limits = {{ http-timeout = '1h', wall = '300ms' }}\n{grant}");
    for path in ["never", "stall"] {
        assert_eq!(lab.go(&policy, &["GET", &url(path)]).reason(), "limit.wall");
    }
}
