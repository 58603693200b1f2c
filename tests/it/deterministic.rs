//! Deterministic runs: the same output and the same receipt, but for its timings, whenever and however often.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value as Json;

use crate::support::{host, probe};

/// The output of the probe `chance`, and its receipt.
fn chance(flags: &[&str], input: &[u8]) -> (String, Json) {
    let folder = tempfile::tempdir().unwrap();
    let receipt = folder.path().join("receipt.json");
    let mut command = host();
    command.arg("run").args(flags).arg("--receipt").arg(&receipt).arg(probe("chance"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let receipt = serde_json::from_str(&std::fs::read_to_string(receipt).unwrap()).unwrap();
    (String::from_utf8(output.stdout).unwrap(), receipt)
}

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap()
}

#[test]
fn two_runs_with_one_seed_are_the_same_but_for_their_timings() {
    let input = vec![b'x'; 300_000];
    let [(first, mut receipt), (second, mut again)] = [(); 2].map(|()| chance(&["--deterministic", "7"], &input));
    assert_eq!(first, second);
    let timings = receipt["timings"].take();
    assert_ne!(timings, again["timings"].take());
    assert_eq!(receipt, again);
    // An hour of sleep is over at once, by the clock of the host.
    assert!(line(&first, "slept: ").starts_with("3600.00000"), "{first}");
    assert_eq!(line(&first, "wall: "), "946684800 s");
    assert_eq!(line(&first, "nan: "), "7ff8000000000000");
    assert_eq!(
        (receipt["usage"]["cpu-ns"].clone(), receipt["limits"]["fuel"].clone()),
        (Json::Null, 10_000_000_000_u64.into())
    );
    assert!(receipt["usage"]["fuel"].as_u64().unwrap() > 10_000);
    assert_eq!(receipt["usage"]["wall-ns"].as_u64().unwrap() / 1_000_000, 3_600_000);
}

#[test]
fn another_seed_another_input_and_the_real_clocks_are_another_run() {
    let (seven, receipt) = chance(&["--deterministic", "7"], b"");
    let (eight, other) = chance(&["--deterministic", "8"], b"");
    assert_ne!(line(&seven, "order: "), line(&eight, "order: "));
    assert_eq!(line(&seven, "slept: "), line(&eight, "slept: "));
    assert_ne!(receipt["id"], other["id"]);
    let (input, more) = chance(&["--deterministic", "7"], b"more");
    assert_ne!((input, more["id"].clone()), (seven, receipt["id"].clone()));
}

#[test]
fn fuel_ends_a_deterministic_run_at_the_same_place() {
    let run = |fuel: u64| {
        let folder = tempfile::tempdir().unwrap();
        let receipt = folder.path().join("receipt.json");
        let mut command = host();
        let fuel = fuel.to_string();
        command.args(["run", "--deterministic", "7", "--fuel", &fuel, "--receipt"]).arg(&receipt).arg(probe("chance"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let mut receipt: Json = serde_json::from_str(&std::fs::read_to_string(receipt).unwrap()).unwrap();
        receipt["timings"].take();
        (output.status.code(), output.stdout, receipt)
    };
    let (status, _, whole) = run(10_000_000);
    let used = whole["usage"]["fuel"].as_u64().unwrap();
    assert_eq!((status, run(used).0, run(used - 1).0), (Some(0), Some(0), Some(152)));
    assert_eq!(run(used / 2), run(used / 2));
}
