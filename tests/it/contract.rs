//! The behaviour cases of `redact`, the same for every language: data in `tests/contract`, run on each guest that is
//! built. What a toolchain gets wrong is listed in `known-failures.toml` with its reason, and a case that is listed and
//! passes is a failure too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use host::policy::{Bytes, Policy, Span};
use host::{Failure, Host, Input, Invocation, Tenant, Value};
use serde::Deserialize;

use crate::support::root;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    name: String,
    #[serde(default)]
    config: BTreeMap<String, String>,
    content_type: Option<String>,
    input: Option<String>,
    input_hex: Option<String>,
    input_repeat: Option<Repeat>,
    output: Option<String>,
    output_hex: Option<String>,
    output_repeat: Option<Repeat>,
    failure: Option<String>,
    failure_text: Option<String>,
    /// Checked by the native tests of the Rust guest; through the host a message goes to the operator's log.
    #[expect(dead_code, reason = "not visible from outside")]
    log: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    text: String,
    times: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownFailures {
    #[serde(default)]
    known: Vec<Known>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    language: String,
    case: String,
    reason: String,
}

fn bytes(text: Option<&String>, hex: Option<&String>, repeat: Option<&Repeat>) -> Option<Vec<u8>> {
    match (text, hex, repeat) {
        (Some(text), None, None) => Some(text.clone().into_bytes()),
        (None, Some(hex), None) => {
            let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).expect("a hexadecimal digit") as u8).collect();
            Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        (None, None, Some(repeat)) => Some(repeat.text.repeat(repeat.times).into_bytes()),
        (None, None, None) => None,
        _ => panic!("more than one form"),
    }
}

/// Every built guest of that name, by language.
fn guests(name: &str) -> Vec<(String, PathBuf)> {
    let mut guests = Vec::new();
    for entry in std::fs::read_dir(root().join("target/guests")).expect("guests are built") {
        let folder = entry.expect("a folder can be listed").path();
        let path = folder.join(format!("{name}.wasm"));
        if path.exists() {
            guests.push((folder.file_name().unwrap().to_string_lossy().into_owned(), path));
        }
    }
    guests.sort();
    guests
}

async fn outcome(host: &Host, component: &host::Component, case: &Case) -> Result<(), String> {
    let mut policy = Policy::default();
    policy.grants.config = case.config.clone();
    policy.limits.memory = Bytes::from_mib(512);
    // An interpreter takes its time over a megabyte of hard cases; how long is not what is tested here.
    policy.limits.cpu = Span::from_millis(300_000);
    policy.limits.wall = Span::from_millis(600_000);
    let tenant = Tenant::new("contract", policy).unwrap();
    let body = bytes(case.input.as_ref(), case.input_hex.as_ref(), case.input_repeat.as_ref()).expect("an input");
    let input = Input { body, content_type: case.content_type.clone(), attributes: Vec::new() };
    let ended = host.invoke(Invocation::job(component, &tenant, input)).await;
    let expected = bytes(case.output.as_ref(), case.output_hex.as_ref(), case.output_repeat.as_ref());
    match (ended.outcome.value(), expected, &case.failure) {
        (Some(Value::Job(Ok(output))), Some(expected), None) => {
            if output.body != expected {
                let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
                return Err(format!("expected {:?}, got {:?}", shown(&expected), shown(&output.body)));
            }
            if output.content_type != case.content_type {
                return Err(format!("content type {:?}", output.content_type));
            }
            if !output.attributes.is_empty() {
                return Err("attributes".to_owned());
            }
            Ok(())
        }
        (Some(Value::Job(Err(failure))), None, Some(kind)) => {
            let (got, text) = match failure {
                Failure::InvalidInput(text) => ("invalid-input", text),
                Failure::InvalidConfig(text) => ("invalid-config", text),
                Failure::Other(text) => ("other", text),
            };
            if got != kind || case.failure_text.as_ref().is_some_and(|expected| expected != text) {
                return Err(format!("{got}: {text}"));
            }
            Ok(())
        }
        _ => Err(format!("{:?}", ended.receipt.stop)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn redact_behaves_the_same_in_every_language() {
    let folder = root().join("tests/contract");
    let cases: Cases = toml::from_str(&std::fs::read_to_string(folder.join("redact.toml")).unwrap()).unwrap();
    assert!(cases.case.len() >= 40);
    let known = std::fs::read_to_string(folder.join("known-failures.toml")).unwrap_or_default();
    let known: KnownFailures = toml::from_str(&known).unwrap();
    let guests = guests("redact");
    assert!(guests.iter().any(|(language, _)| language == "rust"), "build them with `cargo xtask build-guests`");
    let host: Host = Host::new().unwrap();
    let mut failures = String::new();
    let mut table = String::from("\nlanguage      passed  known  failed\n");
    for (language, path) in &guests {
        // How long an interpreter compiles on a busy machine is not what is tested.
        let policy = Policy::parse("limits.wall = 'unlimited'").unwrap();
        let component = host.load(std::fs::read(path).unwrap(), &policy).await.unwrap();
        let wasi = component.facts().imports.iter().filter(|name| name.starts_with("wasi:")).count();
        assert_eq!(wasi, 0, "{language} imports WASI: {:?}", component.facts().imports);
        let (mut passed, mut expected, mut failed) = (0, 0, 0);
        for case in &cases.case {
            let known = known.known.iter().find(|k| k.language == *language && k.case == case.name);
            match (outcome(&host, &component, case).await, known) {
                (Ok(()), None) => passed += 1,
                (Err(_), Some(_)) => expected += 1,
                (Err(why), None) => {
                    failed += 1;
                    writeln!(failures, "{language}: {}: {why}", case.name).unwrap();
                }
                (Ok(()), Some(known)) => {
                    failed += 1;
                    writeln!(failures, "{language}: {}: passes, but is known to fail: {}", case.name, known.reason)
                        .unwrap();
                }
            }
        }
        writeln!(table, "{language:<12} {passed:>7} {expected:>6} {failed:>7}").unwrap();
    }
    println!("{table}");
    assert!(failures.is_empty(), "{table}{failures}");
}
