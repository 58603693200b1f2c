//! What a component's code is made with: the same answers from each, and a change from one to the next that nobody
//! notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use host::{ChildCompiler, Ended, Host, Input, Invocation, Outcome, Policy, Tenant, Value};

use crate::support::{Run, guest};

const COMPILERS: &[&str] = &["pulley", "cranelift", "tiered", "winch"];

fn tenant(policy: &str) -> Tenant {
    Tenant::new("acme", Policy::parse(policy).unwrap()).unwrap()
}

fn body(ended: &Ended) -> &[u8] {
    match &ended.outcome {
        Outcome::Returned(Value::Job(Ok(output))) => &output.body,
        other => panic!("{other:?}"),
    }
}

fn input() -> Input {
    Input { body: b"write to a@b.example".to_vec(), content_type: None, attributes: Vec::new() }
}

fn compiler(ended: &Ended) -> &str {
    ended.receipt.host.compiler.as_deref().unwrap()
}

#[test]
fn every_compiler_gives_the_same_answers_and_says_which_it_was() {
    let log = std::fs::read(crate::support::root().join("docs/samples/access.log")).unwrap();
    let expected = Run::new(guest("rust/redact.wasm")).stdin(&log).go();
    for compiler in COMPILERS {
        let ran =
            Run::new(guest("rust/redact.wasm")).flag("--compiler", compiler).flag("--cpu", "30s").stdin(&log).go();
        ran.ended("returned", 0);
        assert_eq!(ran.stdout, expected.stdout, "{compiler}");
        let said = ran.at("/host/compiler").as_str().unwrap();
        match *compiler {
            "tiered" => assert!(["winch", "cranelift"].contains(&said), "{said}"),
            other => assert_eq!(said, other),
        }
    }
    // A run that is to be the same everywhere has the code that is the same everywhere.
    for compiler in ["winch", "tiered"] {
        let ran = Run::new(guest("rust/redact.wasm")).flag("--compiler", compiler).flag("--deterministic", "7");
        assert_eq!(ran.stdin("a").go().at("/host/compiler"), "cranelift");
    }
}

#[test]
fn limits_hold_whatever_made_the_code() {
    for compiler in COMPILERS {
        let spin = |flag: &str, limit: &str| {
            Run::new(crate::support::probe("spin")).flag("--compiler", compiler).flag(flag, limit).go()
        };
        spin("--cpu", "50ms").ended("limit.cpu", 152);
        spin("--wall", "50ms").ended("limit.wall", 124);
        spin("--fuel", "10000").ended("limit.fuel", 152);
    }
}

#[tokio::test]
async fn better_code_takes_over_for_later_invocations_and_none_fails_meanwhile() {
    let host: Host = Host::builder().compile_in(ChildCompiler::program(env!("CARGO_BIN_EXE_host"))).build().unwrap();
    let tenant = tenant("compiler = 'tiered'");
    let bytes = std::fs::read(guest("rust/redact.wasm")).unwrap();
    let component = host.load(bytes.clone(), tenant.policy()).await.unwrap();
    let settled = Arc::new(AtomicBool::new(false));
    let mut seen = Vec::new();
    loop {
        // Asked before the call: what is true then is true for the call.
        let before = settled.load(Relaxed);
        let ended = host.invoke(Invocation::job(&component, &tenant, input())).await;
        assert_eq!(body(&ended), b"write to [email]");
        seen.push(compiler(&ended).to_owned());
        if before {
            break;
        }
        tokio::select! {
            biased;
            () = host.settled() => settled.store(true, Relaxed),
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(seen.first().unwrap(), "winch");
    assert_eq!(seen.last().unwrap(), "cranelift");
    assert!(seen.is_sorted_by(|a, b| a >= b), "it never goes back: {seen:?}");
}

#[tokio::test]
async fn what_is_in_the_cache_is_optimised_from_the_first_call_on() {
    let folder = tempfile::tempdir().unwrap();
    let cache = host::Cache::open(folder.path(), host::CACHE_BYTES, None).unwrap();
    let tenant = tenant("compiler = 'tiered'");
    let bytes = std::fs::read(guest("rust/redact.wasm")).unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let host: Host = Host::builder().cache(cache.clone()).build().unwrap();
        let component = host.load(bytes.clone(), tenant.policy()).await.unwrap();
        let ended = host.invoke(Invocation::job(&component, &tenant, input())).await;
        seen.push(compiler(&ended).to_owned());
        host.settled().await;
    }
    assert_eq!(seen, ["winch", "cranelift"]);
}

#[tokio::test]
async fn code_of_a_compiler_that_the_policy_does_not_trust_is_not_run() {
    let host: Host = Host::new().unwrap();
    let bytes = std::fs::read(guest("rust/redact.wasm")).unwrap();
    let quick = host.load(bytes, &Policy::parse("compiler = 'winch'").unwrap()).await.unwrap();
    for policy in ["", "compiler = 'tiered'", "compiler = 'pulley'"] {
        let ended = host.invoke(Invocation::job(&quick, &tenant(policy), input())).await;
        assert_eq!(ended.receipt.stop.reason, "refused.policy", "{policy}");
    }
    // A caller's own policy can't ask for it either.
    let narrowed = tenant("").narrowed(&Policy::parse("compiler = 'winch'").unwrap());
    assert_eq!(narrowed.policy().grants.compiler, host::policy::Compiler::Cranelift);
}

#[tokio::test]
async fn many_who_want_one_component_at_once_have_it_compiled_once() {
    let host: Host = Host::new().unwrap();
    let bytes = std::fs::read(guest("rust/redact.wasm")).unwrap();
    let policy = Policy::default();
    let load = || host.load(bytes.clone(), &policy);
    let (a, b, c, d) = tokio::join!(load(), load(), load(), load());
    let compiled = |component: &host::Component| component.compile_time();
    let times = [a, b, c, d].map(|loaded| compiled(&loaded.unwrap()));
    assert!(times.iter().all(|time| *time == times[0] && !time.is_zero()), "{times:?}");
    // One with limits of its own fails alone.
    let tight = Policy::parse("limits.artifact-size = '1KiB'").unwrap();
    let (good, refused) = tokio::join!(load(), host.load(bytes.clone(), &tight));
    assert!(good.is_ok());
    assert_eq!(refused.err().unwrap().reason.code(), "refused.compile-size");
}
