//! Each way in which a guest itself can end, with status, message and receipt.

use crate::support::run_probe;

#[test]
fn a_program_keeps_its_exit_status() {
    run_probe("exit").args(&["0"]).ended("returned", 0);
    let one = run_probe("exit").args(&["1"]);
    one.ended("failed", 1);
    assert_eq!(one.at("/stop/blame"), "guest");
    assert!(!one.stderr.contains("error:"), "a program that fails says why by itself: {}", one.stderr);
}

#[test]
fn any_exit_status_is_kept_where_the_guest_can_say_it() {
    for status in [2, 7, 124, 255] {
        run_probe("exit").args(&[status.to_string()]).ended("failed", status);
    }
}

#[test]
fn a_trap_shows_the_guests_own_stack_in_its_own_names() {
    let ran = run_probe("trap").go();
    ran.ended("trapped", 134);
    assert_eq!(ran.at("/stop/blame"), "guest");
    let trace: Vec<&str> = ran.at("/stop/trace").as_array().unwrap().iter().filter_map(|f| f.as_str()).collect();
    let place = |name: &str| trace.iter().position(|frame| frame.contains(name));
    let (inner, middle, outer) = (place("trap::inner"), place("trap::middle"), place("trap::outer"));
    assert!(inner.is_some() && inner < middle && middle < outer, "{trace:#?}");
    assert!(ran.stderr.contains("unreachable"), "{}", ran.stderr);
    assert!(ran.stderr.contains("trap::middle"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(" at host/src"), "no stack of ours: {}", ran.stderr);
}

#[test]
fn a_panic_is_a_trap_and_its_message_comes_through() {
    let ran = run_probe("panic").go();
    ran.ended("trapped", 134);
    assert!(ran.stderr.contains("panicked at"), "{}", ran.stderr);
}

#[test]
fn a_typed_failure_goes_to_standard_error() {
    for kind in ["invalid-input", "invalid-config", "other"] {
        let ran = run_probe("job-fail").args(&[format!("kind={kind}"), "text=because\u{1b}[2J\nso".to_owned()]);
        ran.ended("failed", 1);
        assert!(ran.stdout.is_empty());
        let said = format!("error: failed: {kind}: because\\u{{1b}}[2J\\nso");
        assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    }
}

#[test]
fn what_a_guest_called_is_in_the_receipt() {
    let ran = run_probe("clock").go();
    ran.ended("returned", 0);
    assert!(ran.number("/calls/wasi:clocks~1wall-clock") >= 1);
    assert!(ran.number("/calls/wasi:clocks~1monotonic-clock") >= 1);
    let calls = ran.at("/calls").as_object().unwrap();
    let sum: u64 = calls.values().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(sum, ran.number("/usage/host-calls"));
    assert!(calls.keys().all(|name| name.contains(':')));
}
