//! Sockets and names: what is granted reaches a real peer, and nothing else does, whichever way round it is tried.

mod limits;
pub(crate) mod peer;

use self::peer::{Datagrams, Echo};
use crate::http::lab::{Lab, Names};

fn lab() -> Lab {
    Lab::of("net", Names::new(&[&["127.0.0.1"]]))
}

fn connect(pattern: &str) -> String {
    format!("[[net]]\nconnect = '{pattern}'\n")
}

fn udp(pattern: &str) -> String {
    format!("[[net]]\nprotocol = 'udp'\nconnect = '{pattern}'\n")
}

fn listen(protocol: &str, pattern: &str) -> String {
    format!("[[net]]\nprotocol = '{protocol}'\nlisten = '{pattern}'\n")
}

#[test]
fn a_granted_address_is_reached_and_its_neighbours_are_not() {
    let (lab, echo, other) = (lab(), Echo::new("127.0.0.1"), Echo::new("127.0.0.1"));
    let at = format!("tcp={}", echo.address);
    let policy = connect(&echo.address.to_string());
    let got = lab.go(&policy, &[&at]);
    got.said("tcp: hello");
    assert_eq!((got.number("/usage/net-sent-bytes"), got.number("/usage/net-received-bytes")), (5, 5));
    assert_eq!((got.number("/usage/sockets-peak"), got.denied("net").len()), (1, 0));
    assert_eq!(echo.accepted(), 1);
    // Another port, another address, and no grant at all.
    let got = lab.go(&policy, &[&format!("tcp={}", other.address), &format!("tcp=127.0.0.2:{}", echo.address.port())]);
    assert_eq!(
        got.denied("net"),
        sorted([format!("tcp connect {}", other.address), format!("tcp connect 127.0.0.2:{}", echo.address.port()),])
    );
    let none = lab.go("", &[&at]);
    assert_eq!((none.reason(), none.denied("net")), ("failed", vec!["tcp socket".to_owned()]));
    assert_eq!((echo.accepted(), other.accepted()), (1, 0));
}

fn sorted<const N: usize>(mut texts: [String; N]) -> Vec<String> {
    texts.sort();
    texts.to_vec()
}

#[test]
fn a_range_and_every_port_are_granted_as_they_are_written() {
    let (lab, echo) = (lab(), Echo::new("127.0.0.5"));
    let at = format!("tcp={}", echo.address);
    lab.go(&connect("127.0.0.0/29:*"), &[&at]).said("tcp: hello");
    lab.go(&format!("{}allow-private = true\n", connect("*:*")), &[&at]).said("tcp: hello");
    lab.go(&connect("127.0.0.0/30:*"), &[&at]).saw_denied("net");
    assert_eq!(echo.accepted(), 2);
}

#[test]
fn the_hosts_own_network_is_not_reached_by_a_grant_for_everything() {
    let (lab, echo, six) = (lab(), Echo::new("127.0.0.1"), Echo::new("::1"));
    let (port, port6) = (echo.address.port(), six.address.port());
    for policy in [connect("*:*"), connect("0.0.0.0/0:*") + &connect("[::/0]:*")] {
        for address in [
            format!("127.0.0.1:{port}"),
            format!("127.0.0.2:{port}"),
            format!("0.0.0.0:{port}"),
            format!("[::1]:{port6}"),
            format!("[::]:{port6}"),
            format!("[::ffff:127.0.0.1]:{port}"),
            format!("[::127.0.0.1]:{port}"),
            format!("[64:ff9b::7f00:1]:{port}"),
            format!("[2002:7f00:1::]:{port}"),
            "10.0.0.1:80".to_owned(),
            "169.254.169.254:80".to_owned(),
            "224.0.0.1:80".to_owned(),
            "[fe80::1]:80".to_owned(),
            "[fd00:ec2::254]:80".to_owned(),
        ] {
            let got = lab.go(&policy, &[&format!("tcp={address}")]);
            assert_eq!(got.reason(), "failed", "{address}: {}", got.text());
        }
    }
    assert_eq!((echo.accepted(), six.accepted()), (0, 0));
    let got = lab.go(&connect("*:*"), &[&format!("tcp=[::1]:{port6}")]);
    let expected = format!("tcp connect [::1]:{port6}: its address is loopback");
    assert_eq!(got.denied("net"), [expected]);
    lab.go(&connect(&format!("[::1]:{port6}")), &[&format!("tcp=[::1]:{port6}")]).said("tcp: hello");
}

#[test]
fn a_guest_that_may_listen_serves_and_one_that_may_not_does_not() {
    let lab = lab();
    let (told, serving) = peer::announced();
    let policy = listen("tcp", "127.0.0.1:*") + &connect(&told.to_string());
    lab.go(&policy, &["listen=127.0.0.1:0", &format!("serve={told}")]).said("serve: are you there?");
    assert_eq!(serving.join().unwrap(), "are you there?");

    let only = listen("tcp", "127.0.0.1:*");
    for (policy, at) in [
        (only.as_str(), "0.0.0.0:0"),
        (only.as_str(), "127.0.0.2:0"),
        (only.as_str(), "[::1]:0"),
        (&connect("*:*"), "127.0.0.1:0"),
        (&connect("127.0.0.1:*"), "127.0.0.1:0"),
        // Any address and any port is what a socket that is going to connect is bound to; it doesn't get to listen.
        (&connect("*:*"), "0.0.0.0:0"),
        (&listen("tcp", "127.0.0.1:1"), "127.0.0.1:0"),
        (&listen("udp", "127.0.0.1:*"), "127.0.0.1:0"),
    ] {
        let got = lab.go(policy, &[&format!("listen={at}")]);
        got.saw_denied("net");
        assert!(!got.text().contains("listen: on"), "{policy} {at}");
    }
}

#[test]
fn to_listen_is_not_to_connect() {
    let (lab, echo) = (lab(), Echo::new("127.0.0.1"));
    let policy = listen("tcp", "*:*") + &listen("udp", "*:*");
    lab.go(&policy, &[&format!("tcp={}", echo.address)]).saw_denied("net");
    assert_eq!(echo.accepted(), 0);
    let datagrams = Datagrams::new();
    lab.go(&policy, &["bind=127.0.0.1:0", &format!("send={}", datagrams.address)]).saw_denied("net");
    lab.go(&policy, &["bind=127.0.0.1:0", &format!("connect={}", datagrams.address)]).saw_denied("net");
    assert!(datagrams.all().is_empty());
}

#[test]
fn datagrams_go_where_they_may_and_each_is_asked_about() {
    let (lab, peer, other) = (lab(), Datagrams::new(), Datagrams::new());
    let policy = udp(&peer.address.to_string());
    let (send, stray) = (format!("send={}", peer.address), format!("send={}", other.address));
    let got = lab.go(&policy, &["bind=0.0.0.0:0", &send, "receive"]);
    got.said("receive: echo hello");
    assert_eq!((got.number("/usage/net-sent-bytes"), got.number("/usage/net-received-bytes")), (13, 18));
    lab.go(&policy, &["bind=0.0.0.0:0", &format!("connect={}", peer.address), "receive"]).said("receive: echo hello");
    let got = lab.go(&policy, &["bind=0.0.0.0:0", &send, &stray, &send, &format!("connect={}", other.address)]);
    got.saw_denied("net");
    assert_eq!(got.text().matches("send: sent").count(), 2, "{}", got.text());
    assert!(got.denied("net")[0].starts_with("udp connect 127.0.0.1:"), "{:?}", got.denied("net"));
    assert!(other.all().is_empty());
    // What is granted for streams isn't for datagrams, nor the other way round.
    lab.go(&connect(&peer.address.to_string()), &["bind=0.0.0.0:0"]).saw_denied("net");
    lab.go(&policy, &[&format!("tcp={}", peer.address)]).saw_denied("net");
    // A port of one's own choice is a place to be found at.
    lab.go(&policy, &["bind=0.0.0.0:40999"]).saw_denied("net");
    lab.go(&policy, &["bind=127.0.0.1:0"]).saw_denied("net");
}

#[test]
fn a_socket_that_may_only_send_does_not_hear_strangers() {
    let (lab, peer) = (lab(), Datagrams::meddling());
    // The stranger's datagram is there first, since the peer answers after it was sent.
    let got =
        lab.go(&udp(&peer.address.to_string()), &["bind=0.0.0.0:0", &format!("send={}", peer.address), "receive"]);
    got.said("receive: echo hello");
    assert!(got.denied("net").is_empty());
}

#[test]
fn a_listening_socket_answers_who_wrote_to_it_and_nobody_else() {
    let (lab, other) = (lab(), Datagrams::new());
    let port = peer::free_udp_port();
    let asking = peer::ask_until_answered(port);
    let (bind, stray) = (format!("bind=127.0.0.1:{port}"), format!("send={}", other.address));
    let got = lab.go(&listen("udp", &format!("127.0.0.1:{port}")), &[&bind, "receive", &stray, "answer"]);
    assert_eq!(asking.join().unwrap(), "answer");
    assert!(got.text().contains("answer: sent") && got.text().contains("send error"), "{}", got.text());
    assert!(other.all().is_empty());
}

#[test]
fn one_that_listens_everywhere_does_not_answer_private_addresses_unless_it_may() {
    let lab = lab();
    for (private, answered) in [("", false), ("allow-private = true\n", true)] {
        let port = peer::free_udp_port();
        let asking = peer::ask_until(port);
        let policy = format!("{}{private}", listen("udp", &format!("0.0.0.0:{port}")));
        let got = lab.go(&policy, &[&format!("bind=0.0.0.0:{port}"), "receive", "answer"]);
        assert_eq!(got.text().contains("answer: sent"), answered, "{}", got.text());
        asking.stop();
    }
}

#[test]
fn a_name_grants_the_addresses_that_it_is_looked_up_with() {
    let echo = Echo::new("127.0.0.1");
    let lab = lab();
    let port = echo.address.port();
    let policy = format!("{}allow-private = true\n", connect(&format!("*.example.com:{port}")));
    lab.go(&policy, &[&format!("tcp=DB.example.com:{port}")]).said("tcp: hello");
    // The address alone isn't granted, nor another name, nor another port.
    lab.go(&policy, &[&format!("tcp=127.0.0.1:{port}")]).saw_denied("net");
    lab.go(&policy, &[&format!("tcp=example.com:{port}")]).saw_denied("dns");
    lab.go(&policy, &[&format!("tcp=db.example.com:{}", port ^ 1)]).saw_denied("net");
    assert_eq!(echo.accepted(), 1);
    // Once it was looked up, its address is what it stands for.
    lab.go(&policy, &["names=db.example.com", &format!("tcp=127.0.0.1:{port}")]).said("tcp: hello");
    lab.go(&connect(&format!("localhost:{port}")), &[&format!("tcp=localhost:{port}")]).said("tcp: hello");
}

#[test]
fn looking_up_is_a_grant_of_its_own_and_grants_no_connection() {
    let (names, echo) = (Names::new(&[&["127.0.0.1", "8.8.8.8"]]), Echo::new("127.0.0.1"));
    let lab = Lab::of("net", names.clone());
    let policy = "[[lookup]]\nname = '*.example.com'\nallow-private = true\n";
    lab.go(policy, &["names=a.example.com"]).said("names: 127.0.0.1 8.8.8.8");
    lab.go(policy, &["names=a.example.com", &format!("tcp={}", echo.address)]).saw_denied("net");
    let granted = policy.to_owned() + &connect("9.9.9.9:1");
    lab.go(&granted, &["names=a.example.com", &format!("tcp={}", echo.address)]).saw_denied("net");
    assert_eq!((echo.accepted(), names.asked()), (0, 3));
    for name in ["example.com", "example.org", "secret.example.org", "aexample.com"] {
        let got = lab.go(policy, &[&format!("names={name}")]);
        got.saw_denied("dns");
        assert_eq!(got.denied("dns"), [name]);
    }
    lab.go("", &["names=a.example.com"]).saw_denied("dns");
    assert_eq!(names.asked(), 3, "what isn't granted is asked of nobody");
    // What could be read in two ways is no name.
    for name in ["a.example.com.", "0x7f.1", "2130706433", "a..example.com", "ä.example.com"] {
        assert_eq!(lab.go(policy, &[&format!("names={name}")]).reason(), "failed", "{name}");
    }
    assert_eq!(names.asked(), 3);
}

#[test]
fn a_name_that_resolves_into_the_hosts_network_is_refused() {
    let echo = Echo::new("127.0.0.1");
    let port = echo.address.port();
    for answer in [&["127.0.0.1"][..], &["8.8.8.8", "127.0.0.1"], &["::1"], &["::ffff:127.0.0.1"], &["169.254.169.254"]]
    {
        let lab = Lab::of("net", Names::new(&[answer]));
        let got = lab.go(&connect(&format!("db.example.com:{port}")), &[&format!("tcp=db.example.com:{port}")]);
        got.saw_denied("dns");
        assert!(got.denied("dns")[0].starts_with("db.example.com: its address is "), "{:?}", got.denied("dns"));
        let lookup = lab.go("[[lookup]]\nname = '*'\n", &["names=db.example.com"]);
        lookup.saw_denied("dns");
        assert!(!lookup.text().contains("127.0.0.1"));
    }
    assert_eq!(echo.accepted(), 0);
    let metadata = Lab::of("net", Names::new(&[&["169.254.169.254"]]));
    let policy = format!("{}allow-private = true\n", connect("db.example.com:80"));
    metadata.go(&policy, &["tcp=db.example.com:80"]).saw_denied("dns");
}

#[test]
fn a_name_that_changes_its_mind_never_leads_to_the_second_address() {
    let echo = Echo::new("127.0.0.1");
    let port = echo.address.port();
    let names = Names::new(&[&["192.0.2.1"], &["127.0.0.1"]]);
    let lab = Lab::of("net", names.clone());
    // The first answer is one that may be reached under this grant; so is loopback, which only the check by name and the
    // pinned answer keep away.
    let policy = format!("{}allow-private = true\n", connect(&format!("db.example.com:{port}")));
    let args =
        ["names=db.example.com", "names=db.example.com", &format!("tcp=127.0.0.1:{port}"), "names=DB.example.com"];
    let got = lab.go(&policy, &args);
    got.saw_denied("net");
    assert_eq!(got.text().matches("names: 192.0.2.1\n").count(), 3, "{}", got.text());
    assert_eq!((names.asked(), echo.accepted(), got.number("/usage/lookups")), (1, 0, 1));
    // The next invocation asks anew.
    lab.go(&policy, &[&format!("tcp=db.example.com:{port}")]).said("tcp: hello");
}

#[test]
fn a_denial_stops_the_guest_where_the_policy_says_so() {
    let (lab, echo, datagrams) = (lab(), Echo::new("127.0.0.1"), Datagrams::new());
    let stop = |policy: &str, args: &[&str], reason: &str| {
        let got = lab.go(&format!("on-denied = 'stop'\n{policy}"), args);
        assert_eq!(got.reason(), reason, "{args:?}: {}", got.text());
        assert!(!got.text().contains("error"), "{}", got.text());
    };
    let everything = connect("*:*") + &udp("*:*");
    stop(&everything, &[&format!("tcp={}", echo.address)], "denied.net");
    stop(&everything, &["bind=0.0.0.0:0", &format!("send={}", datagrams.address)], "denied.net");
    stop(&everything, &["bind=0.0.0.0:0", &format!("connect={}", datagrams.address)], "denied.net");
    stop(&everything, &["listen=127.0.0.1:0"], "denied.net");
    stop("", &["listen=127.0.0.1:0"], "denied.net");
    stop("", &["names=a.example.com"], "denied.dns");
    stop(&everything, &["names=a.example.com"], "denied.dns");
    assert_eq!((echo.accepted(), datagrams.all().len()), (0, 0));
}

#[test]
fn the_flag_grants_connections() {
    let echo = Echo::new("127.0.0.1");
    let at = format!("tcp={}", echo.address);
    let run = |pattern: &str| crate::support::run_probe("net").flag("--allow-net", pattern).args(&[&at]);
    run(&echo.address.to_string()).ended("returned", 0);
    run("*:*").ended("failed", 1);
    let ran = run("127.0.0.1");
    assert!(ran.status == 2 && ran.stderr.contains("is not `HOST:PORT`"), "{}", ran.stderr);
}
