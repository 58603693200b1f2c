//! The rules that no test is ignored or sleeps, and that no code is left to be written.

use super::Finding;
use super::scan::{Kind, Scan, Sources};

/// The folder of the integration tests.
const TESTS: &str = "tests/it/";

pub(super) fn check(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, scan) in sources.iter() {
        one(path, scan, &mut findings);
    }
    findings
}

fn one(path: &str, scan: &Scan, findings: &mut Vec<Finding>) {
    for mention in &scan.mentions {
        let full = scan.expand(&mention.path).join("::");
        let last = mention.path.last().map_or("", String::as_str);
        let (rule, message, hint) = match mention.kind {
            Kind::Attribute if full == "ignore" => (
                "ignored-test",
                "test is ignored".to_owned(),
                "make it pass, or delete it: a test that never runs proves nothing",
            ),
            Kind::Macro if last == "todo" || last == "unimplemented" => (
                "unfinished",
                format!("`{last}!` stands in for code"),
                "write it, or return an error that says what is missing",
            ),
            _ if path.starts_with(TESTS) && sleeps(&full) => {
                ("sleeping-test", format!("a test sleeps with `{full}`"), "wait for the event itself, with a deadline")
            }
            _ => continue,
        };
        findings.push(Finding { path: path.to_owned(), line: mention.line, rule, message, hint: hint.to_owned() });
    }
}

fn sleeps(path: &str) -> bool {
    matches!(path, "std::thread::sleep" | "thread::sleep" | "tokio::time::sleep" | "tokio::time::sleep_until")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    fn found(path: &str, text: &str) -> Vec<String> {
        let made = made::tree(&[(path, text)]);
        check(&Sources::read(&made.tree)).iter().map(|one| format!("{} {}", one.place(), one.rule)).collect()
    }

    #[test]
    fn an_ignored_test_is_found_however_it_is_written() {
        for attribute in ["#[ignore]", "#[ignore = \"slow\"]", "#[cfg_attr(unix, ignore)]"] {
            let text = format!("{attribute}\n#[test] fn f() {{}}");
            assert_eq!(found("host/src/a.rs", &text), ["host/src/a.rs:1 ignored-test"], "{attribute}");
        }
        assert!(found("host/src/a.rs", "#[test] fn ignore() {}").is_empty());
    }

    #[test]
    fn code_to_be_written_is_found_everywhere() {
        for text in ["fn f() { todo!() }", "fn f() { unimplemented!(\"later\") }", "fn f() { a!(todo!()) }"] {
            assert_eq!(found("guests/rust/a/src/lib.rs", text), ["guests/rust/a/src/lib.rs:1 unfinished"], "{text}");
        }
        assert!(found("host/src/a.rs", "fn todo() { /* todo!() */ \"todo!()\"; }").is_empty());
    }

    #[test]
    fn a_sleep_is_found_in_integration_tests_only() {
        for text in [
            "fn f() { std::thread::sleep(d) }",
            "use std::thread; fn f() { thread::sleep(d) }",
            "async fn f() { select! { _ = tokio::time::sleep(d) => {} } }",
        ] {
            assert!(found("tests/it/a.rs", text).iter().any(|one| one.ends_with("sleeping-test")), "{text}");
            assert!(found("guests/rust/probes/src/bin/sleep.rs", text).is_empty(), "{text}");
        }
        assert!(found("tests/it/a.rs", "async fn f() { tokio::time::timeout(d, x).await }").is_empty());
    }
}
