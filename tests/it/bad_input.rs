//! What is no guest: a one-line cause and a hint, the right status, and never a panic.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Ran, Run, guest, host, probe, run_probe};

/// Runs bytes as a component, from a file and from standard input, which must agree.
#[track_caller]
fn refused(bytes: &[u8], reason: &str, said: &str) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let from_file = Run::new(file.path()).go();
    check(&from_file, reason, said);
    let from_stdin = Run::new("-").stdin(bytes).go();
    check(&from_stdin, reason, said);
}

#[track_caller]
fn check(ran: &Ran, reason: &str, said: &str) {
    let status = if reason == "refused.no-file" { 127 } else { 126 };
    ran.ended(reason, status);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let [error, hint] = lines.as_slice() else { panic!("a cause and a hint: {}", ran.stderr) };
    assert!(error.starts_with(&format!("error: {reason}: ")), "{error}");
    assert!(error.contains(said), "no `{said}` in `{error}`");
    assert!(hint.starts_with("hint: "), "{hint}");
    assert!(ran.stdout.is_empty());
    assert!(ran.at("/call").is_null());
}

#[test]
fn what_is_no_webassembly_is_refused_for_what_it_is() {
    refused(b"", "refused.not-wasm", "empty");
    refused(b"just text\n", "refused.not-wasm", "text");
    refused(b"\xff\xd8\xff\xe0 picture", "refused.not-wasm", "not WebAssembly");
    refused(b"PK\x03\x04", "refused.not-wasm", "zip");
    refused(b"\x7fELF\x02\x01\x01", "refused.unauthenticated", "native code");
    refused(b"\0asm", "refused.invalid", "header");
}

#[test]
fn a_component_that_is_cut_off_anywhere_is_refused() {
    let whole = fs::read(guest("rust/redact.wasm")).unwrap();
    let mut ends: Vec<usize> = (8..64).collect();
    ends.extend((1..16).map(|n| whole.len() * n / 16));
    for end in ends {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&whole[..end]).unwrap();
        let ran = Run::new(file.path()).go();
        // A component may end between two sections; it is then one that exports nothing.
        assert!(["refused.invalid", "refused.world"].contains(&ran.reason()), "{end}: {}", ran.stderr);
        assert_eq!(ran.status, 126);
    }
}

#[test]
fn a_component_with_any_byte_changed_never_harms_the_host() {
    let whole = fs::read(guest("rust/redact.wasm")).unwrap();
    for n in 0..40 {
        let mut bytes = whole.clone();
        let at = (n * 7919 + 13) % bytes.len();
        bytes[at] ^= 0x5a;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let ran = Run::new(file.path()).flag("--cpu", "1s").stdin("a@b.example\n").go();
        assert_ne!(ran.reason(), "host-fault", "byte {at}: {}", ran.stderr);
    }
}

#[test]
fn a_huge_file_of_zeros_is_refused_from_its_first_bytes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(1 << 30).unwrap();
    check(&Run::new(file.path()).go(), "refused.not-wasm", "zero bytes");
}

#[test]
fn a_huge_file_with_the_right_beginning_is_not_read_to_its_end() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"\0asm\x0d\0\x01\0").unwrap();
    file.as_file().set_len(1 << 30).unwrap();
    Run::new(file.path()).go().hit("component-size", 126, 64 << 20);
}

#[test]
fn text_that_does_not_parse_has_a_place() {
    refused(b"(component\n  (impor \"a\"))", "refused.invalid", "2:");
    refused(format!("(module (func {}", "(block ".repeat(100_000)).as_bytes(), "refused.invalid", "doesn't parse");
}

#[test]
fn a_core_module_that_imports_the_unknown_is_refused_by_name() {
    refused(b"(module (import \"env\" \"abort\" (func)) (func (export \"_start\")))", "refused.import", "`env.abort`");
    refused(b"(module (func (export \"add\")))", "refused.world", "`_start`");
}

#[test]
fn an_interface_that_nobody_offers_is_named_with_what_is_offered() {
    let text = "(component (import \"acme:db/query@1.0.0\" (instance (export \"run\" (func))))
                           (import \"acme:db/admin@1.0.0\" (instance (export \"run\" (func)))))";
    let ran = Run::new("-").stdin(text).go();
    check(&ran, "refused.import", "`acme:db/admin@1.0.0`, `acme:db/query@1.0.0`");
    assert!(ran.stderr.contains("the host offers `sandbox:host@0.1.0`, `wasi:cli`"), "{}", ran.stderr);
}

#[test]
fn an_interface_with_another_type_or_version_is_refused_with_the_difference() {
    let text =
        "(component (import \"wasi:random/random@0.2.0\" (instance (export \"get-random-u64\" (func (result u32))))))";
    check(&Run::new("-").stdin(text).go(), "refused.import", "get-random-u64");
    let text =
        "(component (import \"wasi:random/random@0.3.0\" (instance (export \"get-random-u64\" (func (result u64))))))";
    check(&Run::new("-").stdin(text).go(), "refused.import", "wasi:random/random@0.3.0");
}

#[test]
fn what_switched_off_proposals_need_is_refused() {
    refused(b"(component (core module (memory i64 1)))", "refused.invalid", "memory64");
    refused(b"(component (core module (memory 1 1 shared)))", "refused.invalid", "threads");
}

#[test]
fn a_missing_file_a_folder_and_an_unreadable_file_differ() {
    let folder = tempfile::tempdir().unwrap();
    check(&Run::new(folder.path().join("none.wasm")).go(), "refused.no-file", "no file");
    check(&Run::new(folder.path()).go(), "refused.unreadable", "folder");
    let path = folder.path().join("closed.wasm");
    fs::write(&path, b"\0asm").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Whoever may read everything reads it and finds it broken.
    let reason = if fs::File::open(&path).is_ok() { "refused.invalid" } else { "refused.unreadable" };
    check(&Run::new(&path).go(), reason, "");
}

#[test]
fn a_component_without_a_world_says_what_can_be_called() {
    let ran = Run::new(guest("rust/values.wasm")).go();
    check(&ran, "refused.world", "neither a job");
    assert!(ran.stderr.contains("`demo:values/everything@1.2.0`"), "{}", ran.stderr);
    let http = "(component (import \"h\" (func $f)) (instance $i (export \"handle\" (func $f)))
                  (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))";
    Run::new("-").stdin(http).go().ended("refused.import", 126);
}

#[test]
fn everything_wrong_with_a_policy_is_said_at_once_with_its_place() {
    let policy = tempfile::NamedTempFile::new().unwrap();
    fs::write(policy.path(), "[limits]\nmemory = '64 parsecs'\nwal = '1s'\ncpu = 5\n").unwrap();
    let ran = run_probe("spin").flag("--policy", policy.path()).go();
    ran.ended("refused.policy", 126);
    let path = policy.path().display();
    for place in ["2:10: ", "3:1: ", "4:7: "] {
        assert!(ran.stderr.contains(&format!("{path}:{place}")), "{place}: {}", ran.stderr);
    }
    assert!(ran.stderr.contains("did you mean `wall`?"), "{}", ran.stderr);
    let missing = run_probe("spin").flag("--policy", "/no/such/policy.toml").go();
    missing.ended("refused.policy", 126);
    assert!(missing.stderr.contains("/no/such/policy.toml"), "{}", missing.stderr);
    fs::write(policy.path(), b"\xff\xfe").unwrap();
    assert!(run_probe("spin").flag("--policy", policy.path()).go().stderr.contains("not UTF-8"));
    fs::write(policy.path(), vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(run_probe("spin").flag("--policy", policy.path()).go().stderr.contains("larger than 1MiB"));
}

#[test]
fn wrong_flags_are_usage_errors() {
    for args in [
        &["run"][..],
        &["run", "--memory", "lots", "x.wasm"],
        &["run", "--wall", "5", "x.wasm"],
        &["run", "--no-such-flag", "x.wasm"],
        &["run", "--dir", "a::b::c::d", "x.wasm"],
        &["no-such-command"],
        &[],
    ] {
        let output = host().args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_receipt_that_cannot_be_written_is_found_before_the_run() {
    let output = host().args(["run", "--receipt", "/no/such/folder/receipt.json"]).arg(probe("spin")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("failed to write the receipt"));
}

#[test]
fn a_full_disk_under_the_output_is_an_error() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output =
        host().args(["run", "--invoke", "answer()"]).arg(guest("rust/values.wasm")).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(74), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_full_disk_under_a_programs_output_is_an_error_even_if_the_program_ignores_it() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    // It writes five bytes, ignores whether that went well, and returns.
    let careless = "(module
        (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export \"memory\") 1)
        (data (i32.const 16) \"hello\")
        (func (export \"_start\")
          (i32.store (i32.const 0) (i32.const 16))
          (i32.store (i32.const 4) (i32.const 5))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))";
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(careless.as_bytes()).unwrap();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = host().arg("run").arg(file.path()).stdout(full).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("failed to write the output"), "{stderr}");
}

#[test]
fn a_name_that_a_guest_chose_can_neither_end_a_line_nor_drive_a_terminal() {
    for text in [
        r#"(component (import "\1b[31mX:y/z" (func)))"#,
        r#"(component (import "a:b/c\0a d" (func)))"#,
        r#"(module (import "e\1b[2J\0anv" "f\0ag" (func)) (func (export "_start")))"#,
    ] {
        let ran = Run::new("-").stdin(text).go();
        assert!(ran.reason().starts_with("refused."), "{}", ran.stderr);
        assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 2, "{:?}", ran.stderr);
        assert!(!ran.at("/stop/message").as_str().unwrap().contains(['\u{1b}', '\n']));
    }
}

#[test]
fn an_export_of_another_type_than_the_contract_is_refused_before_anything_runs() {
    let text = |export: &str| {
        format!(
            "(component (core module $m (func (export \"run\") (unreachable)))
               (core instance $i (instantiate $m))
               (func $run (canon lift (core func $i \"run\")))
               (instance $c (export \"run\" (func $run)))
               (export \"{export}\" (instance $c)))"
        )
    };
    for export in ["wasi:cli/run@0.2.0", "sandbox:host/job@0.1.0"] {
        check(&Run::new("-").stdin(text(export)).go(), "refused.world", "has another type than the contract");
    }
}

#[test]
fn a_receipt_through_a_link_keeps_nothing_of_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&file, "x".repeat(100_000)).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let status = host().args(["run", "--receipt"]).arg(&link).arg(probe("clock")).status().unwrap();
    assert!(status.success());
    let receipt = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    crate::support::check_schema(&receipt);
    assert!(link.is_symlink());
}

#[test]
fn a_message_that_nobody_can_read_is_no_panic() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let receipt = folder.path().join("receipt.json");
    let mut run = host();
    run.args(["run", "--cpu", "50ms", "--receipt"]).arg(&receipt).arg(probe("spin")).stderr(full());
    assert_eq!(run.status().unwrap().code(), Some(152));
    assert!(receipt.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no unfinished file is left");
    assert_eq!(host().args(["run", "no-such-file"]).stderr(full()).status().unwrap().code(), Some(127));
    let status =
        host().arg("run").arg(guest("rust/redact.wasm")).stdin(std::process::Stdio::null()).stderr(full()).status();
    assert_eq!(status.unwrap().code(), Some(0));
}

/// Types that share their parts: a few kilobytes that would be gigabytes as text, or would take for ever to go through.
#[test]
fn a_type_that_is_a_bomb_is_refused_or_cut() {
    let run = |depth: u32, call: &str| {
        let mut text =
            format!("(component (type $r (record (field \"{}\" u8))) (export $t0 \"r\" (type $r))", "x".repeat(50_000));
        for n in 1..=depth {
            text += &format!("(type $t{n} (tuple $t{0} $t{0}))", n - 1);
        }
        text += &format!(
            "(core module $m (memory (export \"m\") 1)
               (func (export \"r\") (param i32 i32 i32 i32) (result i32) (i32.const 0))
               (func (export \"f\") (param i32 i32)))
             (core instance $i (instantiate $m))
             (type $l (list $t{depth}))
             (func $f (param \"v\" $l)
               (canon lift (core func $i \"f\") (memory (core memory $i \"m\")) (realloc (core func $i \"r\"))))
             (export \"f\" (func $f)))"
        );
        Run::new("-").flag("--invoke", call).stdin(&text).go()
    };
    let many = run(17, "f([])");
    many.ended("refused.call", 126);
    assert!(many.stderr.contains("too many parts"), "{}", many.stderr);
    let wide = run(8, "f(1)");
    wide.ended("refused.call", 126);
    assert!(wide.stderr.contains("f: func(v: list<") && wide.stderr.len() < 20_000, "{}", wide.stderr.len());
    run(8, "f([])").ended("returned", 0);
}

/// Each template argument stands for two of the one before it, so a few hundred bytes would be gigabytes of a name.
#[test]
fn a_name_that_is_a_bomb_for_the_demangler_is_cut() {
    let mut name = String::from("_Z1f1AIiE");
    for n in 0..22 {
        let digit = |n: u32| char::from_digit(n, 36).unwrap().to_ascii_uppercase();
        name += &format!("S_IS{0}_S{0}_E", digit(n));
    }
    let text = format!(
        "(module (memory (export \"memory\") 1) (func $\"{name}\" unreachable) (func (export \"_start\") call $\"{name}\"))"
    );
    let ran = Run::new("-").flag("--cpu", "200ms").stdin(text).go();
    ran.ended("trapped", 134);
    let frame = ran.at("/stop/trace/0").as_str().unwrap();
    assert!(frame.starts_with("f(A<int>, ") && frame.len() < 400, "{frame}");
}
