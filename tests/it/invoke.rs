//! `--invoke`: any exported function by name, values in WAVE, checked before the call.

use crate::support::{Ran, Run, guest};

fn invoke(call: &str) -> Ran {
    Run::new(guest("rust/values.wasm")).flag("--invoke", call).go()
}

#[track_caller]
fn returns(call: &str, value: &str) {
    let ran = invoke(call);
    assert_eq!(ran.ended("returned", 0).text(), format!("{value}\n"), "{call}");
}

#[track_caller]
fn refused(call: &str, said: &str, hint: &str) {
    let ran = invoke(call);
    ran.ended("refused.call", 126);
    assert!(ran.stderr.contains(said), "`{call}`: no `{said}` in {}", ran.stderr);
    assert!(ran.stderr.contains(hint), "`{call}`: no `{hint}` in {}", ran.stderr);
    assert_eq!(ran.at("/stop/blame"), "caller");
}

#[test]
fn every_kind_of_value_goes_in_and_comes_back() {
    for value in ["echo-bool(true)", "echo-u8(255)", "echo-s8(-128)", "echo-u16(65535)", "echo-s16(-32768)"] {
        returns(value, value.split(['(', ')']).nth(1).unwrap());
    }
    returns("echo-u64(18446744073709551615)", "18446744073709551615");
    returns("echo-s64(-9223372036854775808)", "-9223372036854775808");
    returns("echo-f64(-0.0)", "-0");
    returns("echo-f64(nan)", "nan");
    returns("echo-f32(-inf)", "-inf");
    returns("echo-char('🦀')", "'🦀'");
    returns(r#"echo-string("a\n\"b\" \u{1F980}")"#, r#""a\n\"b\" 🦀""#);
    returns("echo-bytes([0, 127, 255])", "[0, 127, 255]");
    returns("echo-lists([[], [\"a\"], [\"b\", \"c\"]])", "[[], [\"a\"], [\"b\", \"c\"]]");
    returns("echo-tuple((1, \"x\", false))", "(1, \"x\", false)");
    returns("echo-option(none)", "none");
    returns("echo-option(some(none))", "some(none)");
    returns("echo-option(some(some(3)))", "some(some(3))");
    returns("echo-colour(green)", "green");
    returns("echo-permissions({write, read})", "{read, write}");
    returns("echo-permissions({})", "{}");
    returns("echo-point({y: -2, x: 1})", "{x: 1, y: -2}");
    returns(
        "echo-person({name: \"Ann\", age: some(3), home: {x: 0, y: 0}, tags: [\"t\"], type: red})",
        "{name: \"Ann\", age: some(3), home: {x: 0, y: 0}, tags: [\"t\"], type: red}",
    );
    returns("echo-shape(nothing)", "nothing");
    returns("echo-shape(polygon([{x: 1, y: 2}]))", "polygon([{x: 1, y: 2}])");
    returns("join(2, '-', [\"a\", \"b\"])", "\"2-a-b\"");
}

#[test]
fn a_function_without_result_prints_nothing() {
    assert!(invoke("nothing()").ended("returned", 0).stdout.is_empty());
    assert!(invoke("nothing").ended("returned", 0).stdout.is_empty());
}

#[test]
fn a_result_says_whether_the_call_went_well() {
    returns("divide(7, 2)", "ok(3)");
    let failed = invoke("divide(1, 0)");
    assert!(failed.ended("failed", 1).text().starts_with("err(\""), "{}", failed.text());
    invoke("fail(\"why\")").ended("failed", 1);
    returns("echo-empty-result(ok)", "ok");
    invoke("echo-empty-result(err)").ended("failed", 1);
    let trapped = invoke("trap()");
    trapped.ended("trapped", 134);
    assert!(trapped.stdout.is_empty());
}

#[test]
fn a_name_may_be_as_short_as_it_is_clear() {
    for path in ["demo:values/everything@1.2.0#answer", "demo:values/everything#answer", "everything#answer", "answer"]
    {
        let ran = invoke(&format!("{path}()"));
        assert_eq!(ran.ended("returned", 0).text(), "42\n");
        assert_eq!(ran.at("/call").as_str(), Some("demo:values/everything@1.2.0#answer"));
    }
    refused(
        "greet(\"x\")",
        "`greet` is the name of 2 functions",
        "`demo:values/everything@1.2.0#greet`, `demo:values/other@1.2.0#greet`",
    );
    assert!(invoke("other#greet(\"x\")").ended("returned", 0).text().contains('x'));
    refused("no-such()", "exports no function `no-such`", "it exports `demo:values/everything@1.2.0#");
    refused("other#answer()", "exports no function `other#answer`", "it exports");
}

#[test]
fn arguments_that_do_not_fit_show_the_signature() {
    let point = "echo-point: func(value: record { x: s32, y: s32 }) -> record { x: s32, y: s32 }";
    refused("echo-point({x: 1})", "missing field", point);
    refused("echo-point({x: 1, y: \"2\"})", "don't fit", point);
    refused("echo-point({x: 1, y: 2, z: 3})", "`z`", point);
    refused("echo-point(3)", "don't fit", point);
    refused("echo-point()", "don't fit", point);
    refused("echo-u8(256)", "don't fit", "echo-u8: func(value: u8) -> u8");
    refused("echo-u8(1, 2)", "don't fit", "echo-u8: func(value: u8) -> u8");
    refused("echo-u8(", "don't parse", "echo-u8: func(value: u8) -> u8");
    refused("echo-u8(1) junk", "don't parse", "echo-u8");
    refused("echo-colour(purple)", "purple", "enum { red, green, blue }");
    refused("echo-permissions({fly})", "fly", "flags { read, write, execute }");
}

#[test]
fn unknown_fields_are_found_however_deep_they_hide() {
    let home =
        |field: &str| format!("echo-person({{name: \"n\", home: {{x: 0, y: 0, {field}}}, tags: [], type: red}})");
    refused(&home("z: 1"), "`z` is no field", "echo-person: func(");
    refused("echo-shape(polygon([{x: 1, y: 2}, {x: 1, y: 2, z: 3}]))", "`z` is no field", "echo-shape");
    refused(
        "echo-person({name: \"n\", agee: some(1), home: {x: 0, y: 0}, tags: [], type: red})",
        "`agee`",
        "echo-person",
    );
}

#[test]
fn resources_are_refused() {
    refused("make-counter(1)", "the result has a resource", "no text form");
    refused("read-counter(1)", "the parameter `counter` has a resource", "no text form");
}

#[test]
fn deep_nesting_is_refused_and_harmless() {
    let deep = format!("echo-lists({}{})", "[".repeat(30_000), "]".repeat(30_000));
    refused(&deep, "nest deeper than 64", "");
}

#[test]
fn arguments_after_the_component_belong_in_the_call() {
    let ran = Run::new(guest("rust/values.wasm")).flag("--invoke", "answer()").args(&["extra"]);
    ran.ended("refused.call", 126);
}
