//! ctrl-C: the guest is stopped, the receipt is written, and the command ends in order.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use crate::support::{check_schema, host};

/// A program that says that it runs, and then does something for ever.
fn program(then: &str) -> String {
    format!(
        "(module
          (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
          (import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $poll (param i32 i32 i32 i32) (result i32)))
          (memory (export \"memory\") 1)
          (data (i32.const 16) \"ready\\n\")
          (func (export \"_start\")
            (i32.store (i32.const 0) (i32.const 16))
            (i32.store (i32.const 4) (i32.const 6))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            {then}))"
    )
}

fn interrupt(then: &str, signal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("program.wat");
    std::fs::write(&component, program(then)).unwrap();
    let receipt = folder.path().join("receipt.json");
    let mut child = host()
        .args(["run", "--wall", "1h", "--cpu", "1h", "--receipt"])
        .arg(&receipt)
        .arg(&component)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The guest says that it runs.
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    assert!(!first.is_empty());
    // `timeout` sends its signal twice, to the process and to its group.
    let pid = child.id().to_string();
    let status = std::process::Command::new("kill").args([signal, &pid, &pid]).status().unwrap();
    assert!(status.success());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(stderr.contains("error: cancelled: "), "{stderr}");
    let receipt = serde_json::from_str(&std::fs::read_to_string(&receipt).unwrap()).unwrap();
    check_schema(&receipt);
    assert_eq!(receipt["stop"]["reason"], "cancelled");
    assert_eq!(receipt["stop"]["blame"], "caller");
    assert!(receipt["usage"]["wall-ns"].as_u64().unwrap() > 0);
}

const SPIN: &str = "(loop $again (br $again))";

/// One clock subscription (clock 1, monotonic) with a timeout of centuries.
const WAIT: &str = "(i32.store (i32.const 272) (i32.const 1))
    (i64.store (i32.const 280) (i64.const 0x7fffffffffffffff))
    (drop (call $poll (i32.const 256) (i32.const 512) (i32.const 1) (i32.const 640)))";

#[test]
fn a_guest_that_computes_is_stopped() {
    interrupt(SPIN, "-INT");
    interrupt(SPIN, "-TERM");
}

#[test]
fn a_guest_that_waits_is_stopped() {
    interrupt(WAIT, "-INT");
}

/// What was over when ctrl-C came is told, in every form, and what wasn't is named.
#[test]
fn cases_that_were_over_are_told_after_an_interrupt() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let quick = file("quick.toml", "[[case]]\nname = \"quick\"\ncall = 'count()'\nreturns = '1'\n");
    let hangs = file(
        "hangs.toml",
        "[[case]]\nname = \"hangs\"\ncall = 'spin()'\nlimits = { cpu = \"1h\", wall = \"1h\" }\n\n\
         [[case]]\nname = \"after it\"\ncall = 'count()'\nreturns = '1'\n",
    );
    let results = folder.path().join("results.xml");
    let mut child = host()
        .args(["test", "--jobs", "1", "--junit"])
        .args([&results, &crate::support::root().join("tests/contract/shop.wat"), &quick, &hangs])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first file is over, and the second one never ends.
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert!(first.ends_with("quick.toml: 1 passed\n"), "{first}");
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let (mut rest, mut stderr) = (String::new(), String::new());
    stdout.read_to_string(&mut rest).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(stderr.contains("error: cancelled: "), "{stderr}");
    assert!(rest.ends_with("hangs.toml: 0 passed, 2 not run\n"), "{rest}");
    let xml = std::fs::read_to_string(&results).unwrap();
    assert!(xml.contains("name=\"quick\" time=") && xml.contains("skipped=\"2\""), "{xml}");
    assert!(xml.contains("name=\"after it\"><skipped message=\"interrupted\"/>"), "{xml}");
}
