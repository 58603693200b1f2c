//! Measures what the limits that invocations share are worth and what they cost: fairness between tenants, what a
//! neighbour notices, how soon a deadline stops a guest, and the price of a call with every limit on.
//!
//! ```sh
//! cargo run -p host --example bench_limits -- fairness   # or: neighbour, stop, cost, all
//! ```
//!
//! The method is in `docs/benchmarks.md`: both sides in one run, interleaved A B B A, medians with their spread. A
//! machine that is busy with other things shows in the spread, and in how much processor time the guests got together.
//!
//! Long because the four share their guests, hosts and figures, and an example is one file.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use host::policy::{Bytes, LIMITS, LimitKind, Policy, Span, UNLIMITED};
use host::{Component, Ended, Host, Invocation, Tenant};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wasmtime::component::{InstancePre, Linker, Val};
use wasmtime::{Config, Engine, OptLevel, Store};

/// The host's slots in all of these, and what a machine of two processors has.
const SLOTS: usize = 2;

/// A guest that computes, fills memory or does nothing.
const GUEST: &str = r#"(component
    (core module $m
        (memory (export "m") 1 1024)
        (func (export "one") (result i32) (i32.const 1))
        (func (export "spin") (loop $l (br $l)))
        (func (export "work") (param $n i32) (result i32)
            (local $x i32)
            (loop $l
                (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (local.get $n)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $l (local.get $n)))
            (local.get $x))
        (func (export "fill") (param $bytes i32)
            (drop (memory.grow (i32.sub (i32.shr_u (local.get $bytes) (i32.const 16)) (i32.const 1))))
            (loop $l (memory.fill (i32.const 0) (i32.const 1) (local.get $bytes)) (br $l))))
    (core instance $i (instantiate $m))
    (func (export "one") (result s32) (canon lift (core func $i "one")))
    (func (export "spin") (canon lift (core func $i "spin")))
    (func (export "work") (param "n" u32) (result s32) (canon lift (core func $i "work")))
    (func (export "fill") (param "bytes" u32) (canon lift (core func $i "fill"))))"#;

/// Spins before it can be called.
const STARTS: &str = r#"(component
    (core module $m (func $spin (loop $l (br $l))) (start $spin) (func (export "never")))
    (core instance $i (instantiate $m))
    (func (export "never") (canon lift (core func $i "never"))))"#;

/// Waits for centuries in a host call.
const SLEEPS: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $pollable))
        (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core module $m
        (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
        (import "host" "block" (func $block (param i32)))
        (func (export "sleep") (call $block (call $subscribe (i64.const -1)))))
    (core instance $i (instantiate $m
        (with "host" (instance (export "subscribe" (func $subscribe)) (export "block" (func $block))))))
    (func (export "sleep") (canon lift (core func $i "sleep"))))"#;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let which = std::env::args().nth(1).unwrap_or_default();
    let all = which == "all";
    anyhow::ensure!(
        all || ["fairness", "neighbour", "stop", "cost"].contains(&which.as_str()),
        "say which: `fairness`, `neighbour`, `stop`, `cost` or `all`"
    );
    if all || which == "fairness" {
        fairness().await?;
    }
    if all || which == "neighbour" {
        // Back to back the neighbour wants half of the machine, which is all of its share; with pauses it wants a tenth.
        neighbour("with pauses of 3 ms between its calls", Duration::from_millis(3)).await?;
        neighbour("back to back", Duration::ZERO).await?;
    }
    if all || which == "stop" {
        stop().await?;
    }
    if all || which == "cost" {
        cost().await?;
    }
    Ok(())
}

fn new_host() -> anyhow::Result<Arc<Host>> {
    Ok(Arc::new(Host::<()>::builder().guest_threads(SLOTS).build()?))
}

/// A tenant whose guests may compute for as long as they like and are many.
fn tenant(name: &str, edit: impl FnOnce(&mut Policy)) -> anyhow::Result<Tenant> {
    let mut policy = Policy::default();
    policy.limits.cpu = Span::UNLIMITED;
    policy.limits.wall = Span(Duration::from_secs(3600));
    policy.tenant.concurrency = 256;
    edit(&mut policy);
    Ok(Tenant::new(name, policy)?)
}

async fn load(host: &Host, text: &str) -> anyhow::Result<Component> {
    Ok(host.load(text.as_bytes().to_vec(), &Policy::default()).await?)
}

async fn call(host: &Host, component: &Component, tenant: &Tenant, call: &str) -> anyhow::Result<Ended> {
    Ok(host.invoke(Invocation::function(component, tenant, call)?).await)
}

/// How tenants share the processors when all of their guests spin.
async fn fairness() -> anyhow::Result<()> {
    const ROUNDS: usize = 3;
    const WALL: Duration = Duration::from_secs(10);
    /// What is tried, and each tenant's weight and number of guests.
    const CASES: &[(&str, &[(u64, usize)])] = &[
        ("64 guests beside 1, equal weights", &[(1, 64), (1, 1)]),
        ("8 guests beside 8, weights 3 and 1", &[(3, 8), (1, 8)]),
        ("8 guests of one tenant", &[(1, 8)]),
    ];
    println!("fairness: {SLOTS} slots, {ROUNDS} rounds of {} s: median (least to most)", WALL.as_secs());
    let mut shares = vec![Vec::new(); CASES.len()];
    let mut totals = vec![Vec::new(); CASES.len()];
    for _ in 0..ROUNDS {
        for ((_, tenants), (shares, totals)) in CASES.iter().zip(shares.iter_mut().zip(&mut totals)) {
            let used = spin_together(tenants, WALL).await?;
            let total: f64 = used.iter().sum();
            shares.push(used.first().copied().unwrap_or_default() / total);
            totals.push(total / WALL.as_secs_f64());
        }
    }
    for ((what, tenants), (shares, totals)) in CASES.iter().zip(shares.into_iter().zip(totals)) {
        let weights: u64 = tenants.iter().map(|(weight, _)| weight).sum();
        let due = tenants.first().map_or(0.0, |(weight, _)| *weight as f64 / weights as f64);
        println!("  {what}: the first has {} of the time, due {due:.3};", Spread::of(shares));
        println!("    processors in use by all together {}", Spread::of(totals));
    }
    Ok(())
}

/// Seconds of processor time of each tenant.
async fn spin_together(tenants: &[(u64, usize)], wall: Duration) -> anyhow::Result<Vec<f64>> {
    let host = new_host()?;
    let component = load(&host, GUEST).await?;
    let mut calls = JoinSet::new();
    for (n, (weight, guests)) in tenants.iter().enumerate() {
        let tenant = tenant(&format!("t{n}"), |policy| {
            policy.limits.wall = Span(wall);
            policy.tenant.weight = *weight;
        })?;
        for _ in 0..*guests {
            let (host, invocation) = (Arc::clone(&host), Invocation::function(&component, &tenant, "spin()")?);
            calls.spawn(async move { (n, host.invoke(invocation).await) });
        }
    }
    let mut used = vec![0.0; tenants.len()];
    while let Some(ended) = calls.join_next().await {
        let (n, ended) = ended?;
        anyhow::ensure!(ended.receipt.stop.reason == "limit.wall", "{:?}", ended.receipt.stop);
        if let Some(used) = used.get_mut(n) {
            *used += ended.receipt.timings.computing_ns as f64 / 1e9;
        }
    }
    Ok(used)
}

/// What a tenant with short jobs, and the caller's own timers, notice of another tenant that spins.
async fn neighbour(how: &str, pause: Duration) -> anyhow::Result<()> {
    const PAIRS: usize = 8;
    const CALLS: usize = 300;
    let host = new_host()?;
    let component = load(&host, GUEST).await?;
    let quiet = tenant("quiet", |_| ())?;
    let work = format!("work({})", calibrate(&host, &component, &quiet).await?);
    let (mut alone, mut beside, mut ratios, mut over) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut late_alone, mut late_beside, mut turns) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let (mut a, mut b) = (0.0, 0.0);
        for spins in [pair % 2 == 1, pair % 2 == 0] {
            let spinners = if spins { Some(Spinners::start(&host, &component, 8).await?) } else { None };
            let look = Arc::new(AtomicBool::new(true));
            let timers = tokio::spawn(lateness(Arc::clone(&look)));
            let (mut took, mut waited) = (Vec::new(), Vec::new());
            for _ in 0..CALLS {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                let began = Instant::now();
                let ended = call(&host, &component, &quiet, &work).await?;
                took.push(millis(began.elapsed()));
                waited.push(ended.receipt.timings.turn_wait_ns as f64 / 1e6);
                anyhow::ensure!(ended.receipt.stop.reason == "returned", "{:?}", ended.receipt.stop);
            }
            look.store(false, Relaxed);
            let (p99, late) = (percentile(&mut took, 0.99), timers.await?);
            if let Some(spinners) = spinners {
                spinners.stop().await?;
                b = p99;
                beside.push((p99, percentile(&mut took, 0.5)));
                late_beside.extend(late);
                turns.push(percentile(&mut waited, 0.99));
            } else {
                a = p99;
                alone.push((p99, percentile(&mut took, 0.5)));
                late_alone.extend(late);
            }
        }
        ratios.push(b / a);
        over.push(b - 1.3 * a);
    }
    println!("neighbour, {how}: a job of 1 ms, {PAIRS} pairs of {CALLS} calls: median (least to most), in ms");
    for (what, rows) in [("alone", &alone), ("beside 8 guests that spin", &beside)] {
        let p99 = Spread::of(rows.iter().map(|row| row.0).collect());
        let p50 = Spread::of(rows.iter().map(|row| row.1).collect());
        println!("  {what}: p50 {p50}, p99 {p99}");
    }
    println!("  of that, by the receipt, waiting for a turn: p99 {}", Spread::of(turns));
    println!("  p99 beside / p99 alone: {}", Spread::of(ratios));
    println!("  p99 beside - 1.3 x p99 alone: {}, may be one slice of 10", Spread::of(over));
    for (what, mut late) in [("alone", late_alone), ("beside", late_beside)] {
        let (p99, most) = (percentile(&mut late, 0.99), percentile(&mut late, 1.0));
        println!("  a timer of 1 ms of the caller, {what}: late by p99 {p99:.2}, at most {most:.2} ({})", late.len());
    }
    Ok(())
}

/// How late timers of 1 ms are, for as long as it is asked to look.
async fn lateness(look: Arc<AtomicBool>) -> Vec<f64> {
    const LENGTH: Duration = Duration::from_millis(1);
    let mut late = Vec::new();
    while look.load(Relaxed) {
        let began = Instant::now();
        tokio::time::sleep(LENGTH).await;
        late.push(millis(began.elapsed().saturating_sub(LENGTH)));
    }
    late
}

/// How often `work` has to go round for a millisecond of processor time.
async fn calibrate(host: &Host, component: &Component, tenant: &Tenant) -> anyhow::Result<u64> {
    const ROUNDS: u64 = 20_000_000;
    let mut per_ms = Vec::new();
    for _ in 0..7 {
        let ended = call(host, component, tenant, &format!("work({ROUNDS})")).await?;
        per_ms.push(ROUNDS as f64 * 1e6 / ended.receipt.timings.computing_ns as f64);
    }
    Ok(percentile(&mut per_ms, 0.5) as u64)
}

/// Guests of one tenant that compute until they are told to stop.
struct Spinners {
    calls: JoinSet<Ended>,
    end: watch::Sender<bool>,
}

impl Spinners {
    async fn start(host: &Arc<Host>, component: &Component, guests: usize) -> anyhow::Result<Self> {
        let (end, ended) = watch::channel(false);
        let (mut calls, tenant) = (JoinSet::new(), tenant("spinner", |_| ())?);
        for _ in 0..guests {
            let mut ended = ended.clone();
            let invocation = Invocation::function(component, &tenant, "spin()")?
                .cancel_when(async move { drop(ended.wait_for(|end| *end).await) });
            let host = Arc::clone(host);
            calls.spawn(async move { host.invoke(invocation).await });
        }
        while host.in_use().computing < SLOTS as u64 || host.in_use().turn_waiting < (guests - SLOTS) as u64 {
            tokio::task::yield_now().await;
        }
        Ok(Self { calls, end })
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        self.end.send(true)?;
        while let Some(ended) = self.calls.join_next().await {
            anyhow::ensure!(ended?.receipt.stop.reason == "cancelled", "a guest that should spin ended");
        }
        Ok(())
    }
}

/// From the deadline to the end, wherever the guest is then.
async fn stop() -> anyhow::Result<()> {
    const WALL: Duration = Duration::from_millis(50);
    const TIMES: usize = 20;
    const CASES: &[(&str, &str, &str)] = &[
        ("in wasm", GUEST, "spin()"),
        ("parked in a host call", SLEEPS, "sleep()"),
        ("in memory.fill of 1 MiB", GUEST, "fill(1048576)"),
        ("in memory.fill of 64 MiB", GUEST, "fill(67108864)"),
        ("in a start function", STARTS, "never()"),
    ];
    let host = new_host()?;
    let hasty = tenant("hasty", |policy| {
        policy.limits.wall = Span(WALL);
        policy.limits.memory = Bytes(128 << 20);
    })?;
    println!("stop: {TIMES} guests each, from the deadline to the end, in ms: median (least to most)");
    for spins in [false, true] {
        let component = load(&host, GUEST).await?;
        let spinners = if spins { Some(Spinners::start(&host, &component, 8).await?) } else { None };
        for (what, text, function) in CASES {
            let component = load(&host, text).await?;
            let (mut receipt, mut caller) = (Vec::new(), Vec::new());
            for _ in 0..TIMES {
                let invocation = Invocation::function(&component, &hasty, function)?;
                let began = Instant::now();
                let ended = host.invoke(invocation).await;
                caller.push(millis(began.elapsed()) - millis(WALL));
                receipt.push(ended.receipt.usage.wall_ns as f64 / 1e6 - millis(WALL));
                anyhow::ensure!(ended.receipt.stop.reason == "limit.wall", "{:?}", ended.receipt.stop);
            }
            let beside = if spins { ", beside 8 guests that spin" } else { "" };
            println!("  {what}{beside}: receipt {}, caller {}", Spread::of(receipt), Spread::of(caller));
        }
        if let Some(spinners) = spinners {
            spinners.stop().await?;
        }
    }
    Ok(())
}

/// What a call costs with every limit on, with none, and without a host.
async fn cost() -> anyhow::Result<()> {
    const ROUNDS: usize = 40;
    const CALLS: usize = 250;
    let host = new_host()?;
    let component = load(&host, GUEST).await?;
    let limited = {
        let mut policy = Policy::default();
        policy.tenant.memory = Bytes(1 << 30);
        policy.tenant.cpu = Span(Duration::from_secs(3600));
        policy.tenant.output = Bytes(1 << 30);
        policy.tenant.random = Bytes(1 << 30);
        Tenant::new("limited", policy)?
    };
    let free = {
        let mut policy = Policy::default();
        for row in LIMITS.iter().filter(|row| row.kind != LimitKind::Stack) {
            policy.limits.set(row.kind, UNLIMITED);
        }
        Tenant::new("free", policy)?
    };
    let plain = Plain::new()?;
    let with = |tenant: Tenant| {
        let (host, component) = (Arc::clone(&host), component.clone());
        async move {
            let ended = call(&host, &component, &tenant, "one()").await?;
            anyhow::ensure!(ended.receipt.stop.reason == "returned", "{:?}", ended.receipt.stop);
            Ok(())
        }
    };
    let mut rows: [Vec<Cost>; 3] = Default::default();
    for round in 0..=ROUNDS {
        let order = if round % 2 == 0 { [0, 1, 2] } else { [2, 1, 0] };
        for which in order {
            let cost = match which {
                0 => measure(CALLS, || with(limited.clone())).await?,
                1 => measure(CALLS, || with(free.clone())).await?,
                _ => measure(CALLS, || plain.clone().call()).await?,
            };
            // The first round only warms up.
            if let Some(row) = rows.get_mut(which).filter(|_| round > 0) {
                row.push(cost);
            }
        }
    }
    let [limited_rows, free_rows, plain_rows] = rows;
    println!("cost: a fresh instance for each call, {ROUNDS} rounds of {CALLS} calls: median (quartiles), in us");
    for (what, row) in
        [("every limit on", &limited_rows), ("every limit off", &free_rows), ("the engine alone", &plain_rows)]
    {
        println!("  {what}: {}", Cost::show(row));
    }
    println!("  on / off: {}", Cost::ratio(&limited_rows, &free_rows));
    println!("  on / engine alone: {}", Cost::ratio(&limited_rows, &plain_rows));
    parts(&host, &component, &limited, &plain).await
}

/// Where the host's part of a call goes.
async fn parts(host: &Host, component: &Component, tenant: &Tenant, plain: &Arc<Plain>) -> anyhow::Result<()> {
    const CALLS: usize = 2000;
    let other = tokio::runtime::Builder::new_multi_thread().worker_threads(SLOTS + 1).build()?;
    let ready = |work: &dyn Fn()| {
        work();
        std::future::ready(Ok(()))
    };
    println!("  parts, in us:");
    let read = || drop(Invocation::function(component, tenant, "one()"));
    part("reading the call", || ready(&read)).await?;
    let digest = || drop(tenant.policy().digest());
    part("the policy's digest", || ready(&digest)).await?;
    let copy = || drop((tenant.policy().clone(), tenant.policy().limits_by_name()));
    part("a copy of policy and limits", || ready(&copy)).await?;
    let wasi = || drop(wasmtime_wasi::WasiCtx::builder().arg("x").build());
    part("a context for WASI", || ready(&wasi)).await?;
    let hop = || {
        let task = other.spawn(async {});
        async { Ok(task.await?) }
    };
    part("a task on another runtime", hop).await?;
    let there = || {
        let task = other.spawn(plain.clone().call());
        async { task.await? }
    };
    part("the engine alone on another runtime", there).await?;
    let (mut instantiate, mut run, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CALLS {
        let receipt = call(host, component, tenant, "one()").await?.receipt;
        instantiate.push(receipt.timings.instantiate_ns as f64 / 1e3);
        run.push(receipt.timings.run_ns as f64 / 1e3);
        cpu.push(receipt.timings.computing_ns as f64 / 1e3);
    }
    let [instantiate, run, cpu] = [instantiate, run, cpu].map(|mut row| percentile(&mut row, 0.5));
    println!("    by the receipt: instantiate {instantiate:.1}, run {run:.1}, processor {cpu:.1}");
    other.shutdown_background();
    Ok(())
}

/// Measures and prints one part.
async fn part<F: Future<Output = anyhow::Result<()>>>(what: &str, mut call: impl FnMut() -> F) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for _ in 0..20 {
        rows.push(measure(100, &mut call).await?);
    }
    println!("    {what}: {}", Cost::show(&rows));
    Ok(())
}

/// The same component on the same engine, without epochs, limits, contexts and receipt.
struct Plain {
    pre: InstancePre<()>,
}

impl Plain {
    fn new() -> anyhow::Result<Arc<Self>> {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .concurrency_support(false)
            .cranelift_opt_level(OptLevel::Speed)
            .max_wasm_stack(512 * 1024)
            .async_stack_size(2048 * 1024)
            .async_stack_zeroing(true)
            .gc_support(false)
            .wasm_memory64(false)
            .wasm_threads(false)
            .wasm_relaxed_simd(false);
        let engine = Engine::new(&config)?;
        let component = wasmtime::component::Component::new(&engine, wat::parse_str(GUEST)?)?;
        Ok(Arc::new(Self { pre: Linker::new(&engine).instantiate_pre(&component)? }))
    }

    async fn call(self: Arc<Self>) -> anyhow::Result<()> {
        let mut store = Store::new(self.pre.engine(), ());
        let instance = self.pre.instantiate_async(&mut store).await?;
        let one = instance.get_func(&mut store, "one").ok_or_else(|| anyhow::anyhow!("no function `one`"))?;
        let mut results = [Val::S32(0)];
        one.call_async(&mut store, &[], &mut results).await?;
        anyhow::ensure!(results == [Val::S32(1)], "it returned {results:?}");
        Ok(())
    }
}

/// Microseconds for one call: on the wall, and of all processors.
#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

impl Cost {
    fn show(rows: &[Self]) -> String {
        let wall = Spread::quartiles(rows.iter().map(|row| row.wall).collect());
        format!("wall {wall}, processor {}", Spread::quartiles(rows.iter().map(|row| row.cpu).collect()))
    }

    /// Of what was measured in the same round.
    fn ratio(ours: &[Self], theirs: &[Self]) -> String {
        let of = |(a, b): (&Self, &Self)| Self { wall: a.wall / b.wall, cpu: a.cpu / b.cpu };
        Self::show(&ours.iter().zip(theirs).map(of).collect::<Vec<_>>())
    }
}

/// Makes some calls one after the other.
async fn measure<F: Future<Output = anyhow::Result<()>>>(
    calls: usize,
    mut call: impl FnMut() -> F,
) -> anyhow::Result<Cost> {
    let (began, cpu) = (Instant::now(), process_cpu());
    for _ in 0..calls {
        call().await?;
    }
    let calls = calls as f64 / 1e6;
    Ok(Cost { wall: began.elapsed().as_secs_f64() / calls, cpu: (process_cpu() - cpu) / calls })
}

/// Seconds that the processors spent on this process.
fn process_cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The value at this part of all, which are in order afterwards.
fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * part).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// A median with the least and the most, or with the quartiles.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        let median = percentile(&mut values, 0.5);
        Self { median, least: percentile(&mut values, 0.0), most: percentile(&mut values, 1.0) }
    }

    /// For many short rounds, of which something else on the machine spoils a few.
    fn quartiles(mut values: Vec<f64>) -> Self {
        let median = percentile(&mut values, 0.5);
        Self { median, least: percentile(&mut values, 0.25), most: percentile(&mut values, 0.75) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { median, least, most } = self;
        write!(f, "{median:.3} ({least:.3} to {most:.3})")
    }
}
