//! The behaviour cases of `redact`, the same for every language: data in `tests/contract`, run by the library on each
//! guest that is built. What a toolchain gets wrong is listed in `known-failures.toml` with its reason, and a case that is listed and
//! passes is a failure too.

use std::fmt::Write as _;
use std::path::PathBuf;

use host::Conductor;
use host::contract::{self, Status, Suite, Target};
use serde::Deserialize;

use crate::support::root;

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

/// Every built guest of that name, by language.
pub(crate) fn guests(name: &str) -> Vec<(String, PathBuf)> {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn redact_behaves_the_same_in_every_language() {
    let folder = root().join("tests/contract");
    let suite = Suite::parse(&std::fs::read_to_string(folder.join("redact.toml")).unwrap());
    let suite = suite.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(suite.cases.len() >= 100, "{}", suite.cases.len());
    let known = std::fs::read_to_string(folder.join("known-failures.toml")).unwrap_or_default();
    let known: KnownFailures = toml::from_str(&known).unwrap();
    let guests = guests("redact");
    assert!(guests.iter().any(|(language, _)| language == "rust"), "build them with `cargo xtask build-guests`");
    let mut failures = String::new();
    let mut table = String::from("\nlanguage      passed  known  failed\n");
    for (language, path) in &guests {
        let (facts, binary) = host::read_component(std::fs::read(path).unwrap()).unwrap();
        let wasi = facts.imports.iter().filter(|name| name.starts_with("wasi:")).count();
        assert_eq!(wasi, 0, "{language} imports WASI: {:?}", facts.imports);
        let report = contract::check(&binary, &Target::built_in("sandbox-pure").unwrap(), None);
        assert!(report.findings.is_empty(), "{language}: {:#?}", report.findings);
        let conductor = Conductor::new(binary).await.unwrap();
        let (mut passed, mut expected, mut failed) = (0, 0, 0);
        for case in &suite.cases {
            let known = known.known.iter().find(|k| k.language == *language && k.case == case.name);
            let verdict = conductor.run(case).await;
            match (verdict.status, known) {
                (Status::Passed, None) => passed += 1,
                (Status::Passed, Some(known)) => {
                    failed += 1;
                    let why = format!("passes, but is known to fail: {}", known.reason);
                    writeln!(failures, "{language}: {}: {why}", case.name).unwrap();
                }
                (_, Some(_)) => expected += 1,
                (_, None) => {
                    failed += 1;
                    writeln!(failures, "{language}: {}", verdict.text()).unwrap();
                }
            }
        }
        writeln!(table, "{language:<12} {passed:>7} {expected:>6} {failed:>7}").unwrap();
    }
    println!("{table}");
    assert!(failures.is_empty(), "{table}{failures}");
}
