//! `host test`: the format's example, imports that are answered, limits of a case, and that order doesn't matter.
//! `tests/contract/shop-wrong.toml` with `tests/cli/test.txt` has what is said when a case fails.

use host::Conductor;
use host::contract::{Status, Suite, Verdict};

use crate::support::{guest, root};

async fn verdicts(component: Vec<u8>, cases: &str) -> Vec<Verdict> {
    let suite = Suite::parse(cases).unwrap_or_else(|errors| panic!("{errors}"));
    let conductor = Conductor::new(component).await.unwrap();
    let mut verdicts = Vec::new();
    for case in &suite.cases {
        verdicts.push(conductor.run(case).await);
    }
    verdicts
}

fn shop() -> Vec<u8> {
    std::fs::read(root().join("tests/contract/shop.wat")).unwrap()
}

fn redact() -> Vec<u8> {
    std::fs::read(guest("rust/redact.wasm")).unwrap()
}

#[track_caller]
fn all_pass(verdicts: &[Verdict]) {
    let wrong: Vec<String> = verdicts.iter().filter(|v| v.status != Status::Passed).map(Verdict::text).collect();
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[tokio::test]
async fn the_example_of_the_format_passes() {
    let page = std::fs::read_to_string(root().join("docs/contract.md")).unwrap();
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [shop_cases, redact_cases, cart_cases] = blocks.as_slice() else { panic!("{} examples", blocks.len()) };
    all_pass(&verdicts(shop(), shop_cases).await);
    let cart = std::fs::read(root().join("tests/contract/cart.wat")).unwrap();
    all_pass(&verdicts(cart, cart_cases).await);
    all_pass(&verdicts(redact(), redact_cases).await);
}

#[tokio::test]
async fn every_part_of_the_format_works() {
    let cases = std::fs::read_to_string(root().join("tests/contract/shop.toml")).unwrap();
    all_pass(&verdicts(shop(), &cases).await);
}

/// A job's imports are answered like any other, and what the guest makes of it comes out.
#[tokio::test]
async fn configuration_can_be_answered_by_the_case() {
    let cases = r#"
        [[case]]
        name = "the answer is what the guest works with"
        order = "any"
        input = "a@b.org 10.0.0.1"
        output = "* 10.0.0.1"
        log = "info redact: email=1 card=0 ipv4=0 ipv6=0 token=0"
        import = [
          { call = 'config#get("mask")', answer = 'some("email")', times = "any" },
          { call = 'config#get("replacement")', answer = 'some("*")', times = "any" },
        ]
        [[case]]
        name = "a huge answer meets the memory of the case"
        order = "any"
        input = ""
        stops = "limit.memory"
        limits = { memory = "3MiB" }
        import = [{ call = 'config#get(_)', huge = "4MiB", times = "any" }]
    "#;
    all_pass(&verdicts(redact(), cases).await);
}

/// The same two cases, with the log as it is not.
#[tokio::test]
async fn what_is_logged_is_looked_at() {
    let case = |log: &str| {
        format!(
            "[[case]]\nname = \"a\"\nreal = \"sandbox:host/config\"\ninput = \"10.0.0.1\"\noutput = \"[ipv4]\"\nlog = {log}\n"
        )
    };
    for right in ["\"info redact: email=0 card=0 ipv4=1 ipv6=0 token=0\"", "\"email=0 card=0 ipv4=1 ipv6=0 token=0\""] {
        all_pass(&verdicts(redact(), &case(right)).await);
    }
    for wrong in ["[]", "\"warn redact: email=0 card=0 ipv4=1 ipv6=0 token=0\"", "[\"email=0\", \"card=0\"]"] {
        let found = verdicts(redact(), &case(wrong)).await;
        assert_eq!(found[0].status, Status::Failed, "{wrong}");
        assert!(found[0].text().contains("the log differs"), "{}", found[0].text());
    }
}

/// The limits that a case names are the ones that it runs under: reached at N, not passed; passed at N + 1.
#[tokio::test]
async fn a_case_runs_under_its_own_limits() {
    let cases = r#"
        [defaults]
        real = "sandbox:host/*"
        limits = { input = "3B" }
        [[case]]
        name = "as much as the limit"
        input = "abc"
        output = "abc"
        [[case]]
        name = "one byte more"
        input = "abcd"
        stops = "limit.input"
        [[case]]
        name = "one byte more, and a limit that allows it"
        input = "abcd"
        output = "abcd"
        limits = { input = "4B" }
        [[case]]
        name = "fuel is compiled in, and this case has a component of its own"
        input = "abc"
        stops = "limit.fuel"
        limits = { fuel = 10 }
    "#;
    all_pass(&verdicts(redact(), cases).await);
}

/// Nothing of a case reaches another one, so the order in which they are ready changes nothing.
#[test]
fn the_report_is_the_same_however_many_run_at_once() {
    let run = |jobs: &str| {
        let output = crate::support::host()
            .args(["test", "--verbose", "--jobs", jobs])
            .args(["tests/contract/shop.wat", "tests/contract/shop.toml", "tests/contract/shop-wrong.toml"])
            .current_dir(root())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        // How much time was used differs from run to run.
        text.lines()
            .map(|line| {
                line.split(" used").next().unwrap().rsplit_once(": ").map_or(line, |(start, _)| start).to_owned()
            })
            .collect::<Vec<_>>()
    };
    let alone = run("1");
    assert!(alone.len() > 60, "{alone:#?}");
    assert_eq!(alone, run("16"));
}

#[tokio::test]
async fn a_resource_is_passed_from_step_to_step() {
    let cart = std::fs::read(root().join("tests/contract/cart.wat")).unwrap();
    let cases = std::fs::read_to_string(root().join("tests/contract/cart.toml")).unwrap();
    all_pass(&verdicts(cart, &cases).await);
}

#[tokio::test]
async fn a_program_is_a_case_too() {
    let program = std::fs::read(crate::support::probe("args-env-stdin")).unwrap();
    let cases = std::fs::read_to_string(root().join("tests/contract/program.toml")).unwrap();
    all_pass(&verdicts(program, &cases).await);
}

/// What a program writes is bounded by the limits of its case: as much as the limit, and one byte more.
#[tokio::test]
async fn a_program_has_the_limits_of_its_case() {
    let program = std::fs::read(crate::support::probe("args-env-stdin")).unwrap();
    // The first line is `arg 0: `, twelve digits and the line's end: 20 bytes.
    let case = |limit: u64, rest: &str| {
        format!("[[case]]\nname = \"a\"\nargs = []\nstdin = \"abc\"\nlimits = {{ output = \"{limit}B\" }}\n{rest}\n")
    };
    all_pass(&verdicts(program.clone(), &case(23, "exit = 0")).await);
    all_pass(&verdicts(program, &case(22, "stops = \"limit.output\"")).await);
}

/// What a call returns is held whole, so a case can't let it be of any size; and a value that fits is not written down.
#[tokio::test]
async fn a_large_value_stops_at_the_limit_of_the_case() {
    let large = r#"(component
        (core module $code
            (memory (export "memory") 160)
            (func (export "large") (param i32) (result i32)
                (i32.store (i32.const 4) (local.get 0))
                (i32.const 0)))
        (core instance $run (instantiate $code))
        (alias core export $run "memory" (core memory $memory))
        (func (export "large") (param "bytes" u32) (result (list u8))
            (canon lift (core func $run "large") (memory $memory))))"#;
    let cases = r#"
        [[case]]
        name = "within the limit"
        call = 'large(100000)'
        returns = '[0, 0, ..]'
        limits = { hostcall = "8MiB" }
        [[case]]
        name = "beyond the limit"
        call = 'large(1000000)'
        stops = "limit.hostcall"
        limits = { hostcall = "8MiB" }
    "#;
    let found = verdicts(large.as_bytes().to_vec(), cases).await;
    // The first four bytes are nothing, and the next four say how many there are.
    all_pass(&found);
    assert!(found.iter().all(|verdict| verdict.seen.is_empty()));
}
