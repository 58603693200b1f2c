//! Every grant both ways: with it the guest can, without it the guest can't, and the receipt says so.

use std::fs;
use std::path::Path;

use crate::support::{Ran, Run, run_probe};

/// A folder with a file in it, a file beside it, and links out of it.
fn world() -> (tempfile::TempDir, String) {
    let outer = tempfile::tempdir().unwrap();
    let inside = outer.path().join("inside");
    fs::create_dir(&inside).unwrap();
    fs::write(inside.join("file.txt"), "inside\n").unwrap();
    fs::write(outer.path().join("outside.txt"), "outside\n").unwrap();
    std::os::unix::fs::symlink("../outside.txt", inside.join("relative-link")).unwrap();
    std::os::unix::fs::symlink(outer.path().join("outside.txt"), inside.join("absolute-link")).unwrap();
    std::os::unix::fs::symlink("..", inside.join("folder-link")).unwrap();
    let path = inside.display().to_string();
    (outer, path)
}

fn denials(ran: &Ran, capability: &str) -> u64 {
    let denials = ran.at("/denials").as_array().unwrap();
    denials.iter().filter(|d| d["capability"] == capability).filter_map(|d| d["count"].as_u64()).sum()
}

#[test]
fn a_directory_is_seen_only_when_granted() {
    let (_outer, inside) = world();
    let granted = run_probe("cat-file").flag("--dir", format!("{inside}::/d::ro")).args(&["/d/file.txt"]);
    assert_eq!(granted.ended("returned", 0).text(), "inside\n");
    let denied = run_probe("cat-file").args(&["/d/file.txt"]);
    assert_ne!(denied.status, 0);
    assert!(denied.stdout.is_empty());
}

#[test]
fn a_read_only_directory_can_be_read_and_not_written() {
    let (_outer, inside) = world();
    let target = Path::new(&inside).join("new.txt");
    let denied = run_probe("write-file").flag("--dir", format!("{inside}::/d::ro")).args(&["/d/new.txt", "10"]);
    assert_ne!(denied.status, 0);
    assert!(!target.exists());
    assert!(denials(&denied, "dir") >= 1, "{:#}", denied.receipt);
    run_probe("write-file").flag("--dir", format!("{inside}::/d")).args(&["/d/new.txt", "10"]).ended("returned", 0);
    assert_eq!(fs::metadata(&target).unwrap().len(), 10);
    let again = run_probe("cat-file").flag("--dir", format!("{inside}::/d::ro")).args(&["/d/new.txt"]);
    assert_eq!(again.ended("returned", 0).stdout.len(), 10);
}

#[test]
fn there_is_no_way_out_of_a_directory() {
    for access in ["ro", "rw"] {
        for link in ["relative-link", "absolute-link", "folder-link", "folder-link/outside.txt"] {
            let (outer, inside) = world();
            let ran = run_probe("read-outside").flag("--dir", format!("{inside}::/d::{access}")).args(&[link]);
            ran.ended("returned", 0);
            assert!(ran.text().lines().count() >= 12, "{}", ran.text());
            for line in ran.text().lines() {
                let harmless = access == "rw" && line.starts_with("file-inside:");
                assert!(harmless || !line.contains("ALLOWED"), "{access} {link}: {line}");
            }
            assert!(denials(&ran, "dir") >= 5, "{:#}", ran.receipt);
            let mut left: Vec<_> = fs::read_dir(outer.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            left.sort();
            assert_eq!(left, ["inside", "outside.txt"]);
            assert_eq!(fs::read_to_string(outer.path().join("outside.txt")).unwrap(), "outside\n");
        }
    }
}

#[test]
fn a_denial_stops_the_guest_only_where_the_policy_says_so() {
    let (_outer, inside) = world();
    let policy = tempfile::NamedTempFile::new().unwrap();
    fs::write(policy.path(), "on-denied = 'stop'\n").unwrap();
    let stopped = run_probe("read-outside")
        .flag("--policy", policy.path())
        .flag("--dir", format!("{inside}::/d::ro"))
        .args(&["relative-link"]);
    stopped.ended("denied.dir", 126);
    assert_eq!(denials(&stopped, "dir"), 1);
    run_probe("connect").flag("--policy", policy.path()).args(&["127.0.0.1:9"]).ended("denied.net", 126);
    run_probe("resolve").flag("--policy", policy.path()).args(&["localhost"]).ended("denied.dns", 126);
}

#[test]
fn no_address_and_no_name_can_be_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    listener.set_nonblocking(true).unwrap();
    let connect = run_probe("connect").args(&[address]);
    connect.ended("failed", 1);
    assert!(denials(&connect, "net") >= 1, "{:#}", connect.receipt);
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let resolve = run_probe("resolve").args(&["localhost"]);
    resolve.ended("failed", 1);
    assert_eq!(denials(&resolve, "dns"), 1);
}

#[test]
fn an_environment_variable_is_seen_only_when_granted() {
    let read = |run: Run| run.args(&["HOST_TEST_SECRET"]).text().to_owned();
    assert_eq!(read(run_probe("read-env")), "unset\n");
    assert_eq!(read(run_probe("read-env").flag("--env", "OTHER=1")), "unset\n");
    assert_eq!(read(run_probe("read-env").flag("--env", "HOST_TEST_SECRET=given")), "given\n");
    let missing = run_probe("read-env").flag("--env", "HOST_TEST_SECRET").args(&["HOST_TEST_SECRET"]);
    missing.ended("refused.policy", 126);
    assert!(missing.stderr.contains("HOST_TEST_SECRET"), "{}", missing.stderr);
    assert_eq!(run_probe("read-env").flag("--env", "CARGO_MANIFEST_DIR").args(&["CARGO_MANIFEST_DIR"]).status, 0);
}

#[test]
fn configuration_is_the_same_through_both_interfaces() {
    let ran = run_probe("config-dump").flag("--config", "b=2").flag("--config", "a=1=1").go();
    assert_eq!(ran.ended("returned", 0).text(), "sandbox a=1=1\nsandbox b=2\nwasi a=1=1\nwasi b=2\n");
    assert_eq!(run_probe("config-dump").go().ended("returned", 0).text(), "");
}

#[test]
fn standard_streams_are_connected_only_when_granted() {
    let policy = tempfile::NamedTempFile::new().unwrap();
    let run = |stdio: &str| {
        fs::write(policy.path(), format!("[stdio]\n{stdio}")).unwrap();
        run_probe("args-env-stdin").flag("--policy", policy.path()).stdin("hello\n").go()
    };
    let all = run("stdin = true\nstdout = true\n");
    assert!(all.ended("returned", 0).text().contains("HELLO"), "{}", all.text());
    let deaf = run("stdout = true\n");
    assert!(!deaf.ended("returned", 0).text().contains("HELLO"));
    let mute = run("stdin = true\n");
    assert!(mute.ended("returned", 0).stdout.is_empty());
    assert!(mute.number("/usage/stdout-bytes") > 0, "what is dropped is counted");
}

#[test]
fn a_directory_that_is_not_there_is_refused_by_name() {
    let ran = run_probe("cat-file").flag("--dir", "/no/such/folder::/d").args(&["/d/x"]);
    ran.ended("refused.grant", 126);
    assert!(ran.stderr.contains("`/no/such/folder`"), "{}", ran.stderr);
}

#[test]
fn a_guests_log_can_forge_nothing() {
    let ran = run_probe("log-forge").go();
    ran.ended("returned", 0);
    assert!(ran.stderr.contains("guest:"), "{}", ran.stderr);
    for line in ran.stderr.lines() {
        assert!(line.trim_start().starts_with("WARN guest:"), "{line:?}");
    }
    let evil =
        |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!ran.stderr.contains(evil), "{:?}", ran.stderr);
    let quiet = run_probe("log-forge").flag("--env", "A=b").flag("--config", "a=b");
    assert!(!quiet.go().stderr.is_empty());
}
