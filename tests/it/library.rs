//! The library as an embedder uses it, where the command line doesn't reach.

use std::time::Duration;

use host::policy::{Policy, Span};
use host::{Buffer, Host, Invocation, Outcome, Sink, State, Stdin, StopReason, Tenant, Value};
use wasmtime::StoreContextMut;

use crate::support::{check_schema, guest, probe};

fn tenant(text: &str) -> Tenant {
    Tenant::new("embedder", Policy::parse(text).unwrap()).unwrap()
}

async fn load(host: &Host, name: &str, tenant: &Tenant) -> host::Component {
    host.load(std::fs::read(probe(name)).unwrap(), tenant.policy()).await.unwrap()
}

#[tokio::test]
async fn streams_are_bytes_in_and_bytes_out() {
    let host: Host = Host::new().unwrap();
    let tenant = tenant("args = ['a', 'b']\nstdio = { stdin = true, stdout = true, stderr = true }");
    let component = load(&host, "args-env-stdin", &tenant).await;
    let output = Buffer::default();
    let invocation = Invocation::command(&component, &tenant)
        .stdin(Stdin::Bytes("hello".into()))
        .stdout(Sink::Buffer(output.clone()));
    let ended = host.invoke(invocation).await;
    assert!(matches!(ended.outcome, Outcome::Returned(Value::Exited)), "{:?}", ended.outcome);
    let text = String::from_utf8(output.take()).unwrap();
    assert!(text.contains("HELLO") && text.contains('a') && text.contains('b'), "{text}");
    check_schema(&serde_json::to_value(&ended.receipt).unwrap());
}

#[tokio::test]
async fn a_future_of_the_callers_choice_cancels_a_call() {
    let host: Host = Host::new().unwrap();
    let tenant = tenant("limits = { wall = '1h', cpu = '1h' }");
    for name in ["spin", "sleep-forever"] {
        let component = load(&host, name, &tenant).await;
        let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
        let invocation = Invocation::command(&component, &tenant).cancel_when(async { drop(cancelled.await) });
        let call = host.invoke(invocation);
        tokio::pin!(call);
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut call).await.is_err(), "it runs until cancelled");
        cancel.send(()).unwrap();
        let ended = call.await;
        assert_eq!(ended.outcome.reason(), StopReason::Cancelled);
        assert_eq!(ended.receipt.stop.reason, "cancelled");
    }
}

/// Says when the store that it is in is gone.
#[derive(Default)]
struct Tattle(Option<tokio::sync::oneshot::Sender<()>>);

impl Drop for Tattle {
    fn drop(&mut self) {
        self.0.take().map(|sender| sender.send(()));
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_guest_along() {
    let host: Host<Tattle> = Host::<Tattle>::builder().build().unwrap();
    let tenant = tenant("limits = { wall = '1h', cpu = '1h' }");
    for name in ["spin", "sleep-forever"] {
        let component = host.load(std::fs::read(probe(name)).unwrap(), tenant.policy()).await.unwrap();
        let (sender, gone) = tokio::sync::oneshot::channel();
        let invocation = Invocation::custom(&component, &tenant, Tattle(Some(sender)));
        let call = host.invoke_with(invocation, "wasi:cli/run#run", |store, instance| {
            Box::pin(async move {
                let command = wasmtime_wasi::p2::bindings::Command::new(&mut *store, &instance)?;
                command.wasi_cli_run().call_run(&mut *store).await
            })
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err(), "{name} runs for ever");
        tokio::time::timeout(Duration::from_secs(30), gone).await.expect("its store is dropped").unwrap();
    }
}

#[tokio::test]
async fn a_component_runs_only_under_policies_that_it_was_compiled_for() {
    let host: Host = Host::new().unwrap();
    let plain = tenant("");
    let component = load(&host, "exit", &plain).await;
    for other in ["limits.fuel = 5", "limits.stack = '1MiB'"] {
        let ended = host.invoke(Invocation::command(&component, &tenant(other))).await;
        assert_eq!(ended.receipt.stop.reason, "refused.policy", "{other}");
    }
    let other = tenant("limits.memory = '1GiB'\nlimits.wall = '1s'");
    let ended = host.invoke(Invocation::command(&component, &other)).await;
    assert_ne!(ended.receipt.stop.reason, "refused.policy");
}

#[tokio::test]
async fn a_call_that_does_not_fit_the_world_is_refused() {
    let host: Host = Host::new().unwrap();
    let tenant = tenant("");
    let program = load(&host, "exit", &tenant).await;
    let input = host::Input { body: Vec::new(), content_type: None, attributes: Vec::new() };
    let ended = host.invoke(Invocation::job(&program, &tenant, input)).await;
    assert_eq!(ended.receipt.stop.reason, "refused.world");
    let job = load(&host, "job-echo", &tenant).await;
    let ended = host.invoke(Invocation::command(&job, &tenant)).await;
    assert_eq!(ended.receipt.stop.reason, "refused.world");
}

#[tokio::test]
async fn an_older_guest_of_the_same_world_runs() {
    let host: Host = Host::new().unwrap();
    let tenant = tenant("");
    // The host's own version is 0.1.0; a guest built for a later compatible one exports a later version.
    let text = std::fs::read(guest("rust/redact.wasm")).unwrap();
    let text = wasm_bytes_with(&text, b"sandbox:host/job@0.1.0", b"sandbox:host/job@0.1.9");
    let component = host.load(text, tenant.policy()).await.unwrap();
    assert_eq!(component.facts().world, host::World::Sandbox);
    let input = host::Input { body: b"a@b.example".to_vec(), content_type: None, attributes: Vec::new() };
    let ended = host.invoke(Invocation::job(&component, &tenant, input)).await;
    assert_eq!(ended.receipt.stop.reason, "returned", "{:?}", ended.receipt.stop);
}

/// The bytes with each occurrence of a name replaced by one of the same length.
fn wasm_bytes_with(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut found = 0;
    for at in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
    bytes
}

#[tokio::test]
async fn a_deadline_that_no_clock_can_say_never_comes() {
    let host: Host = Host::new().unwrap();
    let mut policy = Policy::default();
    policy.limits.wall = Span(Duration::from_nanos(u64::MAX));
    let tenant = Tenant::new("patient", policy).unwrap();
    let component = load(&host, "exit", &tenant).await;
    let ended = host.invoke(Invocation::command(&component, &tenant)).await;
    assert!(!ended.receipt.stop.reason.starts_with("limit"), "{:?}", ended.receipt.stop);
}

/// A program that calls one host function of the embedder's and nothing else.
const CALLS_EMBEDDER: &str = r#"(component
    (import "test:embedder/calls" (instance $calls (export "call" (func))))
    (core func $call (canon lower (func $calls "call")))
    (core module $m (import "c" "call" (func $call)) (func (export "run") (result i32) (call $call) (i32.const 0)))
    (core instance $i (instantiate $m (with "c" (instance (export "call" (func $call))))))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $command (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $command)))"#;

fn embedder(call: impl Fn() + Send + Sync + Clone + 'static) -> Host {
    let link = move |linker: &mut wasmtime::component::Linker<State>| {
        let call = call.clone();
        linker.instance("test:embedder/calls")?.func_wrap("call", move |_: StoreContextMut<'_, State>, (): ()| {
            call();
            Ok(())
        })
    };
    Host::builder().link(link).build().unwrap()
}

#[tokio::test]
async fn a_panic_of_the_host_is_a_host_fault_and_the_next_call_goes_on() {
    let first = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let host = embedder(move || {
        assert!(!first.swap(false, std::sync::atomic::Ordering::SeqCst), "a bug of the embedder's");
    });
    let tenant = tenant("");
    let component = host.load(CALLS_EMBEDDER.into(), tenant.policy()).await.unwrap();
    let ended = host.invoke(Invocation::command(&component, &tenant)).await;
    assert_eq!((ended.receipt.stop.reason.as_str(), ended.receipt.stop.exit_status), ("host-fault", 125));
    assert!(ended.receipt.stop.message.unwrap().contains("a bug of the embedder's"));
    let ended = host.invoke(Invocation::command(&component, &tenant)).await;
    assert_eq!(ended.receipt.stop.reason, "returned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_host_call_that_never_comes_back_is_given_up() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let host = embedder(move || {
        // The other end hangs up when the test is over.
        let _ = wait.lock().unwrap().recv();
    });
    let tenant = tenant("limits.wall = '50ms'");
    // Loading has the time that a policy gives to the whole, so it is done under another one.
    let component = host.load(CALLS_EMBEDDER.into(), &Policy::default()).await.unwrap();
    let ended = host.invoke(Invocation::command(&component, &tenant)).await;
    assert_eq!(ended.receipt.stop.reason, "limit.wall");
    check_schema(&serde_json::to_value(&ended.receipt).unwrap());
    drop(release);
}

#[test]
fn the_documentation_lists_every_stop_reason_with_its_status() {
    let page = std::fs::read_to_string(crate::support::root().join("docs/stop-reasons.md")).unwrap();
    for reason in StopReason::ALL {
        let row = page.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{reason}`")));
        let row = row.unwrap_or_else(|| panic!("`{reason}` has no row in docs/stop-reasons.md"));
        assert!(row.contains(&reason.exit_status().to_string()), "{row}");
    }
}

#[test]
fn the_documentation_lists_every_limit_with_its_unit_and_default() {
    use host::policy::{LIMITS, Limits, TENANT_LIMITS, TenantLimits, UNLIMITED, Unit};
    let text = std::fs::read_to_string(crate::support::root().join("docs/policy.md")).unwrap();
    let unit = |unit: Unit| match unit {
        Unit::Size => "size",
        Unit::Duration => "duration",
        Unit::Count => "count",
    };
    let (own, shared) = text.split_once("## What a tenant's invocations share").unwrap();
    for row in LIMITS {
        let default =
            Limits::default().get(row.kind).map_or("off".to_owned(), |amount| format!("`{}`", row.show(amount)));
        let begin = format!("| `{}` | {} | {default} |", row.name, unit(row.unit));
        assert!(own.contains(&begin), "docs/policy.md has no row that begins `{begin}`");
        assert!(own.contains(&format!("| `{}` | ", row.name)), "`{}` has no reason", row.name);
    }
    for row in TENANT_LIMITS {
        let default = match TenantLimits::default().get(row.name).unwrap() {
            UNLIMITED => "unlimited".to_owned(),
            amount => LIMITS.iter().find(|limit| limit.unit == row.unit).unwrap().show(amount),
        };
        let begin = format!("| `{}` | {} | `{default}` |", row.name, unit(row.unit));
        assert!(shared.contains(&begin), "docs/policy.md has no row that begins `{begin}`");
    }
}
