//! What invocations share: memory, places and the processor. Who is short waits, who waits too long is told so, and
//! whatever way an invocation ends, nothing of it stays behind.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use host::outcome::{Blame, Scope};
use host::policy::{Bytes, Policy, Span};
use host::{Component, Ended, Host, InUse, Invocation, State, Stop, Tenant};
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use wasmtime::StoreContextMut;

use crate::support::check_schema;

const MIB: u64 = 1 << 20;

/// What the host reserves for an invocation beside its memory, under the default limits.
const BASE: u64 = 256 * 1024 + 512 * 1024 + 1024 * 256;

/// Grows, waits at the gate for as long as the test likes, and ends in every way there is.
const GUEST: &str = r#"(component
    (import "test:gate/gate" (instance $gate (export "wait" (func))))
    (core func $wait (canon lower (func $gate "wait")))
    (core module $m
        (import "gate" "wait" (func $wait))
        (memory (export "m") 1)
        (func (export "grow") (param $pages i32) (result i32)
            (local $before i32)
            (local.set $before (memory.grow (local.get $pages)))
            (call $wait)
            (local.get $before))
        (func (export "grow-later") (param $pages i32) (result i32)
            (local $before i32)
            (call $wait)
            (local.set $before (memory.grow (local.get $pages)))
            (call $wait)
            (local.get $before))
        (func (export "nothing"))
        (func (export "trap") unreachable)
        (func (export "spin") (loop $l (br $l)))
        (func (export "refused")
            (if (i32.eq (memory.grow (i32.const 60000)) (i32.const -1)) (then unreachable)))
        (func (export "bulk")
            (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $l))))
    (core instance $i (instantiate $m (with "gate" (instance (export "wait" (func $wait))))))
    (func (export "grow") (param "pages" s32) (result s32) (canon lift (core func $i "grow")))
    (func (export "grow-later") (param "pages" s32) (result s32) (canon lift (core func $i "grow-later")))
    (func (export "nothing") (canon lift (core func $i "nothing")))
    (func (export "trap") (canon lift (core func $i "trap")))
    (func (export "spin") (canon lift (core func $i "spin")))
    (func (export "refused") (canon lift (core func $i "refused")))
    (func (export "bulk") (canon lift (core func $i "bulk"))))"#;

struct Bench {
    host: Arc<Host>,
    /// A gate that a guest passes when the test lets one through, and how many came to it.
    gate: Arc<Semaphore>,
    came: Arc<AtomicU64>,
}

impl Bench {
    fn new(make: impl FnOnce(host::HostBuilder<()>) -> host::HostBuilder<()>) -> Self {
        let (gate, came) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU64::new(0)));
        let inner = (Arc::clone(&gate), Arc::clone(&came));
        let builder = Host::<()>::builder().link(move |linker| {
            let inner = inner.clone();
            linker.instance("test:gate/gate")?.func_wrap_async(
                "wait",
                move |_: StoreContextMut<'_, State<()>>, (): ()| {
                    let (gate, came) = inner.clone();
                    Box::new(async move {
                        let mut pass = pin!(gate.acquire());
                        // It has come once it stands in the queue, so that those that come later stand behind it.
                        let first = poll_fn(|cx| Poll::Ready(pass.as_mut().poll(cx))).await;
                        came.fetch_add(1, Relaxed);
                        match first {
                            Poll::Ready(permit) => permit?.forget(),
                            Poll::Pending => pass.await?.forget(),
                        }
                        Ok(())
                    })
                },
            )
        });
        Self { host: Arc::new(make(builder).build().unwrap()), gate, came }
    }

    async fn load(&self) -> Component {
        self.host.load(GUEST.as_bytes().to_vec(), tenant("any", |_| ()).policy()).await.unwrap()
    }

    fn start(&self, component: &Component, tenant: &Tenant, call: &str) -> JoinHandle<Ended> {
        let (host, invocation) = (Arc::clone(&self.host), Invocation::function(component, tenant, call).unwrap());
        tokio::spawn(async move { host.invoke(invocation).await })
    }

    /// Waits until what is in use is as wanted.
    async fn until(&self, wanted: impl Fn(&InUse) -> bool) {
        while !wanted(&self.host.in_use()) {
            tokio::task::yield_now().await;
        }
    }

    async fn nothing_is_left(&self) {
        self.host.idle().await;
        assert_eq!(self.host.in_use(), InUse::default());
    }
}

fn tenant(name: &str, edit: impl FnOnce(&mut Policy)) -> Tenant {
    let mut policy = Policy::default();
    policy.limits.memory_wait = Span(Duration::from_secs(3600));
    policy.limits.wall = Span(Duration::from_secs(3600));
    edit(&mut policy);
    Tenant::new(name, policy).unwrap()
}

#[track_caller]
fn stop(ended: &Ended) -> &Stop {
    check_schema(&serde_json::to_value(&ended.receipt).unwrap());
    ended.outcome.stop().unwrap_or_else(|| panic!("{:?}", ended.outcome))
}

#[track_caller]
fn returned(ended: &Ended) {
    check_schema(&serde_json::to_value(&ended.receipt).unwrap());
    assert_eq!(ended.receipt.stop.reason, "returned", "{:#?}", ended.receipt);
    assert_eq!(ended.outcome.value().unwrap().to_wave().unwrap(), "1", "its growth was refused");
}

#[tokio::test]
async fn tenants_that_want_twice_what_there_is_get_it_one_after_the_other_and_none_is_refused() {
    // Room for three guests and 6 MiB; each of the three wants 4 MiB more.
    let bench = Bench::new(|host| host.memory(3 * (BASE + 65_536) + 6 * MIB).guest_threads(2));
    let component = bench.load().await;
    let mut calls = Vec::new();
    for (n, name) in (1..).zip(["first", "second", "third"]) {
        calls.push(bench.start(&component, &tenant(name, |_| ()), "grow-later(64)"));
        bench.until(|in_use| in_use.memory_bytes == n * (BASE + 65_536)).await;
        bench.until(|_| bench.came.load(Relaxed) == n).await;
    }
    for waiting in 0..3 {
        bench.gate.add_permits(1);
        bench.until(|in_use| in_use.memory_waiting == waiting).await;
        bench.until(|in_use| in_use.memory_bytes == 3 * (BASE + 65_536) + 4 * MIB).await;
        bench.until(|_| waiting > 0 || bench.came.load(Relaxed) == 4).await;
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(bench.host.in_use().memory_waiting, 2 - n as u64, "only the one that came first was served");
        bench.gate.add_permits(1);
        let ended = call.await.unwrap();
        returned(&ended);
        assert_eq!(ended.receipt.timings.memory_wait_ns > 0, n > 0);
        let left = 1_u64.saturating_sub(n as u64);
        bench.until(|in_use| in_use.memory_waiting == left).await;
    }
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_growth_that_waits_in_vain_is_refused_and_the_message_says_whose_budget_was_short() {
    let bench = Bench::new(|host| host.memory(2 * (BASE + 65_536) + 6 * MIB));
    let component = bench.load().await;
    let first = bench.start(&component, &tenant("first", |_| ()), "grow(64)");
    bench.until(|in_use| in_use.memory_bytes == BASE + 65_536 + 4 * MIB).await;
    let impatient = tenant("second", |policy| policy.limits.memory_wait = Span::from_millis(20));
    let second = bench.start(&component, &impatient, "refused()");
    let ended = second.await.unwrap();
    let stop = stop(&ended);
    // What would never fit is refused without a wait.
    let hit = stop.limit.as_deref().unwrap();
    assert_eq!((hit.scope, stop.blame()), (Scope::Invocation, Blame::Guest));
    let second = bench.start(&component, &impatient, "grow(64)");
    // It comes to the gate once it was refused.
    bench.until(|_| bench.came.load(Relaxed) == 2).await;
    bench.gate.add_permits(2);
    returned(&first.await.unwrap());
    let ended = second.await.unwrap();
    assert_eq!(ended.outcome.value().unwrap().to_wave().unwrap(), "-1");
    assert!(ended.receipt.timings.memory_wait_ns >= 20_000_000);
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_tenants_own_budget_holds_over_all_its_invocations_and_leaves_others_alone() {
    let bench = Bench::new(|host| host.memory(1 << 30));
    let component = bench.load().await;
    let small = tenant("small", |policy| {
        policy.tenant.memory = Bytes(2 * (BASE + 65_536) + 4 * MIB);
        policy.limits.memory_wait = Span::from_millis(20);
    });
    let first = bench.start(&component, &small, "grow(64)");
    bench.until(|in_use| in_use.memory_bytes == BASE + 65_536 + 4 * MIB).await;
    let second = bench.start(&component, &small, "grow(1)");
    let other = bench.start(&component, &tenant("other", |_| ()), "grow(64)");
    bench.until(|_| bench.came.load(Relaxed) == 3).await;
    assert_eq!(bench.host.in_use().memory_bytes, 3 * (BASE + 65_536) + 8 * MIB);
    bench.gate.add_permits(3);
    returned(&first.await.unwrap());
    returned(&other.await.unwrap());
    assert_eq!(second.await.unwrap().outcome.value().unwrap().to_wave().unwrap(), "-1");
    let third = tenant("small", |policy| {
        policy.tenant.memory = Bytes(BASE + 65_535);
        policy.limits.memory_wait = Span::from_millis(1);
    });
    let ended = bench.start(&component, &third, "trap()").await.unwrap();
    let hit = stop(&ended).limit.clone().unwrap();
    assert_eq!((hit.scope, hit.raise_with.as_str()), (Scope::Tenant, "[tenant] memory"));
    assert_eq!(stop(&ended).blame(), Blame::Capacity);
    let fourth = tenant("small", |policy| policy.tenant.memory = Bytes(BASE - 1));
    let ended = bench.start(&component, &fourth, "nothing()").await.unwrap();
    assert_eq!((stop(&ended).reason.code(), stop(&ended).reason.exit_status()), ("busy.memory", 75));
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn places_and_queue_are_bounded_and_who_finds_both_full_is_told_when_to_come_again() {
    let bench = Bench::new(|host| host);
    let component = bench.load().await;
    let busy = tenant("busy", |policy| (policy.tenant.concurrency, policy.tenant.queue) = (1, 1));
    let first = bench.start(&component, &busy, "grow(1)");
    bench.until(|in_use| in_use.in_flight == 1).await;
    let second = bench.start(&component, &busy, "grow(1)");
    bench.until(|in_use| in_use.queued == 1).await;
    let third = bench.start(&component, &busy, "grow(1)").await.unwrap();
    assert_eq!((stop(&third).reason.code(), stop(&third).blame()), ("busy.tenant", Blame::Capacity));
    assert!(third.receipt.stop.retry_after_ms.is_some_and(|ms| ms > 0), "{:#?}", third.receipt.stop);
    bench.gate.add_permits(1);
    returned(&first.await.unwrap());
    bench.gate.add_permits(1);
    let second = second.await.unwrap();
    returned(&second);
    assert!(second.receipt.timings.queue_ns > 0);
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn the_hosts_places_hold_over_all_tenants_and_the_deadline_goes_on_in_the_queue() {
    let bench = Bench::new(|host| host.concurrency(1).queue(1));
    let component = bench.load().await;
    let first = bench.start(&component, &tenant("a", |_| ()), "grow(1)");
    bench.until(|in_use| in_use.in_flight == 1).await;
    let late = tenant("b", |policy| policy.limits.wall = Span::from_millis(30));
    let ended = bench.start(&component, &late, "nothing()").await.unwrap();
    assert_eq!(stop(&ended).reason.code(), "limit.wall");
    assert!(ended.receipt.timings.queue_ns >= 30_000_000 && ended.receipt.timings.run_ns == 0);
    let waiting = bench.start(&component, &tenant("c", |_| ()), "nothing()");
    bench.until(|in_use| in_use.queued == 1).await;
    let ended = bench.start(&component, &tenant("d", |_| ()), "nothing()").await.unwrap();
    assert_eq!(stop(&ended).reason.code(), "busy.host");
    bench.gate.add_permits(1);
    returned(&first.await.unwrap());
    assert_eq!(waiting.await.unwrap().receipt.stop.reason, "returned");
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_tenant_that_used_up_its_processor_time_waits_and_another_does_not() {
    let bench = Bench::new(|host| host.guest_threads(1));
    let component = bench.load().await;
    let edit = |policy: &mut Policy| {
        policy.tenant.cpu = Span::from_millis(30);
        policy.tenant.window = Span(Duration::from_secs(3600));
        policy.limits.wall = Span::from_millis(300);
    };
    let spent = tenant("spent", edit);
    let ended = bench.start(&component, &spent, "spin()").await.unwrap();
    assert_eq!(stop(&ended).reason.code(), "limit.wall");
    assert!(ended.receipt.timings.computing_ns < 200_000_000, "it was held back: {:#?}", ended.receipt.usage);
    assert!(ended.receipt.timings.turn_wait_ns > 0);
    let ended = bench.start(&component, &spent, "nothing()").await.unwrap();
    assert_eq!(stop(&ended).reason.code(), "busy.cpu");
    let ended = bench.start(&component, &tenant("other", edit), "nothing()").await.unwrap();
    assert_eq!(ended.receipt.stop.reason, "returned");
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_deadline_that_was_handed_on_is_kept_and_time_before_the_call_counts() {
    let bench = Bench::new(|host| host);
    let component = bench.load().await;
    let patient = tenant("t", |_| ());
    let soon = std::time::Instant::now() + Duration::from_millis(20);
    let call = || Invocation::function(&component, &patient, "spin()").unwrap();
    let ended = bench.host.invoke(call().no_later_than(Some(soon)).no_later_than(None)).await;
    assert_eq!(stop(&ended).reason.code(), "limit.wall");
    let hour = Duration::from_secs(3600);
    let Some(long_ago) = std::time::Instant::now().checked_sub(hour) else { return };
    let ended = bench.host.invoke(call().counting_from(long_ago)).await;
    assert_eq!((stop(&ended).reason.code(), ended.receipt.timings.computing_ns), ("limit.wall", 0));
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_invocations_that_end_in_every_way_leave_nothing_behind() {
    const CALLS: usize = 10_000;
    let bench = Arc::new(Bench::new(|host| host.memory(48 * MIB).concurrency(24).queue(64)));
    let component = bench.load().await;
    let tenants: Vec<Tenant> = (0..4)
        .map(|n| {
            tenant(&format!("t{n}"), |policy| {
                policy.limits.wall = Span::from_millis(20);
                policy.limits.memory = Bytes(8 * MIB);
                policy.limits.memory_wait = Span::from_millis(2);
                policy.tenant.memory = Bytes(16 * MIB);
                policy.tenant.concurrency = 10;
                policy.tenant.queue = 10;
            })
        })
        .collect();
    // Some pass the gate and most are still there when their deadline comes.
    bench.gate.add_permits(CALLS / 20);
    let mut rng = rand::rngs::StdRng::seed_from_u64(7);
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    let mut warm = 0;
    for batch in 0..CALLS / 50 {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let name = ["nothing()", "nothing()", "trap()", "refused()", "grow(40)", "spin()", "bulk()"];
            let call = name[rng.random_range(0..name.len())];
            let invocation = Invocation::function(&component, &tenants[rng.random_range(0..4)], call).unwrap();
            let patience = Duration::from_micros(rng.random_range(0..4000));
            let (bench, how) = (Arc::clone(&bench), rng.random_range(0..3));
            calls.spawn(async move {
                match how {
                    // The caller goes away at a random moment.
                    0 => tokio::time::timeout(patience, bench.host.invoke(invocation)).await.ok(),
                    1 => {
                        let wish = tokio::time::timeout(patience, std::future::pending::<()>());
                        Some(bench.host.invoke(invocation.cancel_when(async { drop(wish.await) })).await)
                    }
                    _ => Some(bench.host.invoke(invocation).await),
                }
            });
        }
        while let Some(ended) = calls.join_next().await {
            let reason = ended.unwrap().map_or("the caller went away".to_owned(), |ended| ended.receipt.stop.reason);
            *seen.entry(reason).or_default() += 1;
        }
        if batch == CALLS / 50 / 4 {
            warm = resident();
        }
    }
    bench.nothing_is_left().await;
    let grown = resident().saturating_sub(warm);
    assert!(grown < 24 * MIB, "{grown} bytes more than after the first quarter");
    for reason in
        ["returned", "trapped", "limit.memory", "limit.wall", "cancelled", "busy.tenant", "the caller went away"]
    {
        assert!(seen.contains_key(reason), "no `{reason}` in {seen:?}");
    }
    assert!(!seen.contains_key("host-fault"), "{seen:?}");
}
