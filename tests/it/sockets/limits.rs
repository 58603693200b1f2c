//! Amounts of sockets, bytes and look-ups at N and at N+1.

use super::peer::{Datagrams, Echo};
use super::{connect, lab, listen, udp};
use crate::http::lab::{Lab, Names};

#[test]
fn sockets_are_counted_to_the_last_that_fits_and_are_free_again_when_they_are_closed() {
    let (lab, holding, echo) = (lab(), Echo::holding(), Echo::new("127.0.0.1"));
    let keep = format!("keep={}", holding.address);
    let policy = connect(&holding.address.to_string()) + &connect(&echo.address.to_string());
    let limited = |most: u64| format!("limits.sockets = {most}\n{policy}");
    let got = lab.go(&limited(3), &[&keep, &keep, &keep]);
    got.said("keep: open");
    assert_eq!(got.number("/usage/sockets-peak"), 3);
    let over = lab.go(&limited(3), &[&keep, &keep, &keep, &keep]);
    assert_eq!((over.reason(), over.text().matches("keep: open").count()), ("failed", 3), "{}", over.text());
    assert_eq!(over.denied("net"), ["over sockets"]);
    let one = format!("tcp={}", echo.address);
    lab.go(&limited(1), &[&one, &one, &one]).said("tcp: hello");
    lab.go(&limited(0), &[&one]).saw_denied("net");
    // Datagrams and listening count as well.
    let mixed = format!("limits.sockets = 2\n{}{}{}", policy, udp("*:*"), listen("tcp", "127.0.0.1:*"));
    lab.go(&mixed, &["bind=0.0.0.0:0", "listen=127.0.0.1:0"]).said("listen: on");
    lab.go(&mixed, &["bind=0.0.0.0:0", "listen=127.0.0.1:0", &keep]).saw_denied("net");
}

#[test]
fn an_accepted_connection_is_a_socket_too() {
    let lab = lab();
    for (most, served) in [(3, true), (2, true), (1, false)] {
        let (told, serving) = super::peer::announced();
        let policy = format!("limits.sockets = {most}\n{}{}", listen("tcp", "127.0.0.1:*"), connect(&told.to_string()));
        let got = lab.go(&policy, &["listen=127.0.0.1:0", &format!("serve={told}")]);
        assert_eq!(got.text().contains("serve: are you there?"), served, "{most}: {}", got.text());
        if served {
            serving.join().unwrap();
        } else {
            // Nobody was told, so nobody comes.
            drop(std::net::TcpStream::connect(told));
        }
    }
}

#[test]
fn each_socket_holds_memory_for_what_is_on_its_way() {
    let (lab, holding) = (lab(), Echo::holding());
    let (keep, policy) = (format!("keep={}", holding.address), connect(&holding.address.to_string()));
    let peak = |sockets: usize| lab.go(&policy, &vec![keep.as_str(); sockets]).number("/usage/memory-peak-bytes");
    assert!(peak(4) >= peak(1) + 3 * (128 << 10));
    let tight = format!("limits.memory = '{}'\n{policy}", peak(1) + (192 << 10));
    let got = lab.go(&tight, &[&keep, &keep, &keep]);
    assert_eq!((got.reason(), got.text().matches("keep: open").count()), ("failed", 2), "{}", got.text());
}

#[test]
fn bytes_over_tcp_are_counted_in_both_directions_together() {
    let (lab, holding) = (lab(), Echo::holding());
    let flood = |bytes: u64| format!("flood={},{bytes}", holding.address);
    let policy = format!("limits.net-bytes = '100000'\n{}", connect("127.0.0.1:*"));
    let got = lab.go(&policy, &[&flood(100_000)]);
    got.said("flood: 100000");
    assert_eq!(got.number("/usage/net-sent-bytes"), 100_000);
    lab.go(&policy, &[&flood(100_001)]).hit("net-bytes", 100_000);
    lab.go(&policy, &[&flood(50_000), &flood(50_001)]).hit("net-bytes", 100_000);
    let drain = |bytes: usize| {
        let source = Echo::source(bytes);
        (format!("drain={}", source.address), source)
    };
    let (fits, over) = (drain(100_000), drain(100_001));
    lab.go(&policy, &[&fits.0]).said("drain: 100000");
    lab.go(&policy, &[&over.0]).hit("net-bytes", 100_000);
    lab.go(&policy, &[&fits.0, &flood(1)]).hit("net-bytes", 100_000);
}

#[test]
fn datagrams_are_counted_with_their_headers() {
    let (lab, peer) = (lab(), Datagrams::new());
    let policy = |bytes: u64| format!("limits.net-bytes = '{bytes}'\n{}", udp(&peer.address.to_string()));
    let send = |bytes: u64| format!("send={},{bytes}", peer.address);
    lab.go(&policy(1008), &["bind=0.0.0.0:0", &send(1000)]).said("send: sent");
    assert_eq!(peer.all().len(), 1);
    lab.go(&policy(1008), &["bind=0.0.0.0:0", &send(1001)]).hit("net-bytes", 1008);
    assert!(peer.all().is_empty());
    // 13 bytes go, 18 come back.
    let asks = ["bind=0.0.0.0:0", &format!("send={}", peer.address), "receive"];
    lab.go(&policy(31), &asks).said("receive: echo hello");
    lab.go(&policy(30), &asks).hit("net-bytes", 30);
}

#[test]
fn names_are_counted_and_one_that_is_known_is_not_asked_for_again() {
    let names = Names::new(&[&["8.8.8.8"]]);
    let lab = Lab::of("net", names.clone());
    let policy = "limits.lookups = 2\n[[lookup]]\nname = '*.example.com'\n";
    let args = ["names=a.example.com", "names=b.example.com", "names=a.example.com", "names=B.example.com"];
    let got = lab.go(policy, &args);
    got.said("names: 8.8.8.8");
    assert_eq!((got.number("/usage/lookups"), names.asked()), (2, 2));
    lab.go(policy, &[&args[..], &["names=c.example.com"]].concat()).hit("lookups", 2);
    assert_eq!(names.asked(), 4);
    // Denied ones are work, and a line in the receipt.
    lab.go(policy, &["names=a.test", "names=b.test", "names=c.test"]).hit("lookups", 2);
}
