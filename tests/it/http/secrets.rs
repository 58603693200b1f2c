//! A secret reaches the server that it is for, and neither the guest nor anything that is written down.

use super::lab::{Lab, granting};
use super::peer::Peer;
use crate::support::run_probe;

const SECRET: &str = "c0rrect-h0rse-battery";

/// A policy with a secret for one URL, in a file of its own.
fn with_secret(pattern: &str, to: &str, file: &tempfile::NamedTempFile) -> String {
    std::fs::write(file.path(), format!("{SECRET}\n")).unwrap();
    format!(
        "{}[[secret]]\nname = 'key'\nfile = '{}'\nheader = 'X-Key'\nformat = 'Token {{}}'\nfor = ['{to}']\n\
         allow-plaintext = true\n",
        granting(pattern),
        file.path().display()
    )
}

#[test]
fn a_secret_reaches_the_server_and_never_the_guest() {
    let (lab, peer, file) = (Lab::new(), Peer::plain(), tempfile::NamedTempFile::new().unwrap());
    let base = format!("http://api.test:{}", peer.port());
    let policy = with_secret(&base, &format!("GET {base}/v1"), &file);
    let placed = "header=x-key: {{secret:key}}";
    let got = lab.go(&policy, &["GET", &format!("{base}/v1"), placed, "dump", "quiet"]);
    got.said("status 200");
    assert_eq!(peer.take()[0].headers["x-key"], format!("Token {SECRET}"));
    assert!(got.output.len() > 1 << 20, "the dump is all of the memory: {}", got.output.len());
    let contains = |bytes: &[u8], part: &str| bytes.windows(part.len()).any(|window| window == part.as_bytes());
    assert!(contains(&got.output, "{{secret:key}}"), "the dump shows what the guest has");
    assert!(!contains(&got.output, SECRET) && !got.receipt.to_string().contains(SECRET));
}

#[test]
fn a_secret_goes_only_into_its_header_and_its_requests() {
    let (lab, peer, file) = (Lab::new(), Peer::plain(), tempfile::NamedTempFile::new().unwrap());
    let base = format!("http://api.test:{}", peer.port());
    let policy = with_secret(&base, &format!("GET {base}/v1"), &file);
    let v1 = format!("{base}/v1");
    for args in [
        &["POST", v1.as_str(), "header=x-key: {{secret:key}}"][..],
        &["GET", &format!("{base}/v2"), "header=x-key: {{secret:key}}"],
        &["GET", &format!("{base}/v1/../v2"), "header=x-key: {{secret:key}}"],
        &["GET", &v1, "header=x-other: {{secret:key}}"],
        &["GET", &v1, "header=x-key: {{secret:other}}"],
        &["GET", &v1, "header=x-key: a{{secret:key}}"],
        &["GET", &v1, "header=x-key: {{secret:key}} "],
        &["GET", &format!("{v1}?q={{{{secret:key}}}}")],
    ] {
        let got = lab.go(&policy, args);
        assert_eq!(got.reason(), "failed", "{args:?}: {}", got.text());
        assert!(peer.take().iter().all(|seen| !format!("{seen:?}").contains(SECRET)), "{args:?}");
    }
    // A request without a placeholder has no secret in it.
    lab.go(&policy, &["GET", &v1]).said("status 200");
    assert!(!peer.take()[0].headers.contains_key("x-key"));
    let plain = policy.replace("allow-plaintext = true\n", "");
    assert!(host::Policy::parse(&plain).is_err());
}

#[test]
fn a_secret_that_comes_back_in_a_header_is_covered_up() {
    let (lab, peer, file) = (Lab::new(), Peer::plain(), tempfile::NamedTempFile::new().unwrap());
    let base = format!("http://api.test:{}", peer.port());
    let policy = with_secret(&base, &base, &file);
    for path in ["echo", "trailers"] {
        let got = lab.go(&policy, &["GET", &format!("{base}/{path}"), "header=x-key: {{secret:key}}"]);
        got.said("status 200");
        assert!(!got.text().contains(SECRET), "{}", got.text());
        assert!(path != "echo" || got.text().contains("header x-echo-x-key: Token [secret]"), "{}", got.text());
    }
    assert_eq!(peer.seen().len(), 2);
}

#[test]
fn a_secret_is_in_no_log_no_message_and_no_receipt() {
    let (peer, file) = (Peer::plain(), tempfile::NamedTempFile::new().unwrap());
    let base = format!("http://127.0.0.1:{}", peer.port());
    let policy = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(policy.path(), with_secret(&base, &base, &file)).unwrap();
    let run =
        |args: &[&str]| run_probe("http").flag("--policy", policy.path()).variable("HOST_LOG", "trace").args(args);
    let ran = run(&["GET", &format!("{base}/echo"), "header=x-key: {{secret:key}}", "dump"]);
    ran.ended("returned", 0);
    assert!(ran.stderr.len() > 1000, "the log has everything: {}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET) && !ran.receipt.to_string().contains(SECRET));
    assert!(!ran.stdout.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    // A value that can't stand in a header is refused without being shown.
    std::fs::write(file.path(), format!("{SECRET}\r\nX: y")).unwrap();
    let refused = run(&["GET", &base]);
    refused.ended("refused.grant", 126);
    assert!(refused.stderr.contains("`key`") && !refused.stderr.contains(SECRET), "{}", refused.stderr);
    std::fs::remove_file(file.path()).unwrap();
    run(&["GET", &base]).ended("refused.grant", 126);
}
