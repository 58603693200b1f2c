//! Jobs: a filter from standard input to standard output, typed.

use std::fs;

use crate::support::{Run, guest, root, run_probe};

#[test]
fn redact_masks_a_real_log() {
    let log = fs::read(root().join("docs/samples/access.log")).unwrap();
    let ran = Run::new(guest("rust/redact.wasm")).stdin(&log).go();
    ran.ended("returned", 0);
    assert_eq!(ran.at("/component/world").as_str(), Some("sandbox"));
    let (before, after) = (String::from_utf8(log).unwrap(), ran.text());
    assert_eq!(before.lines().count(), after.lines().count());
    assert!(before.contains('@') && after.contains("[email]") && after.contains("[ipv4]"));
    assert!(ran.stderr.contains("INFO guest: email="), "{}", ran.stderr);
}

#[test]
fn redact_takes_its_configuration_from_the_policy() {
    let policy = tempfile::NamedTempFile::new().unwrap();
    fs::write(policy.path(), "[config]\nmask = 'ipv4'\nreplacement = '<{kind}>'\n").unwrap();
    let run = || Run::new(guest("rust/redact.wasm")).flag("--policy", policy.path()).stdin("a@b.example 192.0.2.1\n");
    assert_eq!(run().go().ended("returned", 0).text(), "a@b.example <ipv4>\n");
    assert_eq!(run().flag("--config", "mask=email").go().ended("returned", 0).text(), "<email> 192.0.2.1\n");
    let wrong = run().flag("--config", "mask=phone").go();
    wrong.ended("failed", 1);
    assert!(
        wrong.stderr.contains("error: failed: invalid-config: `mask` has the unknown kind `phone`"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn markdown_becomes_html() {
    let readme = fs::read(root().join("README.md")).unwrap();
    let ran = Run::new(guest("rust/markdown.wasm")).stdin(&readme).go();
    assert!(ran.ended("returned", 0).text().starts_with("<h1>"), "{}", ran.text());
    let ran = Run::new(guest("rust/markdown.wasm")).stdin("*a* <script>alert(1)</script>\n").go();
    assert!(!ran.ended("returned", 0).text().contains("<script>"), "{}", ran.text());
    let ran = Run::new(guest("rust/markdown.wasm")).stdin(b"ok \xff").go();
    ran.ended("failed", 1);
    assert!(ran.stderr.contains("invalid-input"), "{}", ran.stderr);
}

#[test]
fn attributes_come_from_the_arguments() {
    let ran = run_probe("job-output").args(&["bytes=3"]);
    assert_eq!(ran.ended("returned", 0).text(), "xxx");
    let wrong = run_probe("job-output").args(&["--bytes"]);
    wrong.ended("refused.call", 126);
    assert!(wrong.stderr.contains("`NAME=VALUE`"), "{}", wrong.stderr);
}

#[test]
fn a_job_can_ask_what_is_left() {
    let ran = run_probe("budget-report").flag("--memory", "8MiB").flag("--output", "1000").flag("--wall", "10s").go();
    let text = ran.ended("returned", 0).text();
    let field = |name: &str| -> u64 {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no `{name}` in {text}")).parse().unwrap()
    };
    // The output body is held after the guest has asked.
    let asked = ran.number("/usage/memory-peak-bytes") - ran.number("/usage/body-bytes");
    assert_eq!(field("memory-bytes") + asked, 8 << 20);
    assert_eq!(field("output-bytes"), 1000);
    let second = 1_000_000_000;
    assert!((5 * second..10 * second).contains(&field("wall-nanoseconds")), "{text}");
    assert!((9 * second..10 * second).contains(&field("cpu-nanoseconds")), "{text}");
    assert!(text.contains("fuel=none"), "{text}");
    let metered = run_probe("budget-report").flag("--fuel", "1000000").go();
    let left: u64 = metered.text().lines().find_map(|l| l.strip_prefix("fuel=")).unwrap().parse().unwrap();
    assert!(left < 1_000_000 && left > 1_000_000 - metered.number("/usage/fuel") - 1, "{left}");
}

/// A log of 200 MB is refused by a named limit, or filtered within the memory limit; either way the host itself holds
/// little more than that limit.
#[test]
fn a_huge_log_is_refused_by_name_or_filtered_within_its_limits() {
    let line = "192.0.2.7 - ann@example.com [21/Nov/2026] \"GET / HTTP/1.1\" 200\n";
    let log = line.repeat((200 << 20) / line.len());
    Run::new(guest("rust/redact.wasm")).stdin(&log).go().hit("input", 153, 16 << 20);
    let small = Run::new(guest("rust/redact.wasm")).flag("--input", "300MiB").stdin(&log).go();
    small.hit("input", 153, 128 << 20);
}
