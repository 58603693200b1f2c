//! Measures how soon a guest runs and what it costs to have one: a whole invocation in the same process, calls in and
//! out of a live instance, the first answer of a large guest, instantiations on two threads, memory of a parked instance.
//!
//! ```sh
//! cargo run -p host --example bench_start -- instance     # or: calls, guest FILE, threads, parked, all
//! ```
//!
//! The method is in `docs/benchmarks.md`: both sides in one run, interleaved A B B A, medians of the ratios with the least
//! and the most. Processor time of the whole process is the main figure, since another program on the machine changes
//! it least.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use host::{Cache, Component, Host, Invocation, Policy, Pool, Tenant};
use rustix::time::{ClockId, clock_gettime};
use wasmtime::component::{InstancePre, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Returns its argument; calls the host for as often as it is told; waits in the host.
const GUEST: &str = r#"(component
    (import "bench" (instance $bench (export "add" (func (param "x" u32) (result u32))) (export "park" (func))))
    (core func $add (canon lower (func $bench "add")))
    (core func $park (canon lower (func $bench "park")))
    (core module $m
        (import "bench" "add" (func $add (param i32) (result i32)))
        (import "bench" "park" (func $park))
        (memory (export "memory") 1)
        (global $free (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (global.get $free))
            (global.set $free (i32.add (global.get $free) (local.get 3)))
            (if (i32.gt_u (global.get $free) (i32.const 60000)) (then (global.set $free (i32.const 1024))))
            (local.get $at))
        (func (export "echo") (param $at i32) (param $length i32) (result i32)
            (i32.store (i32.const 8) (local.get $at))
            (i32.store (i32.const 12) (local.get $length))
            (i32.const 8))
        (func (export "count") (param $n i32) (result i32)
            (local $sum i32)
            (loop $again
                (local.set $sum (call $add (local.get $sum)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $again (local.get $n)))
            (local.get $sum))
        (func (export "wait") (call $park)))
    (core instance $i (instantiate $m (with "bench" (instance
        (export "add" (func $add)) (export "park" (func $park))))))
    (func (export "echo") (param "text" string) (result string)
        (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
    (func (export "count") (param "n" u32) (result u32) (canon lift (core func $i "count")))
    (func (export "wait") (canon lift (core func $i "wait"))))"#;

const PAIRS: usize = 9;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let which = args.next().unwrap_or_default();
    let all = which == "all";
    anyhow::ensure!(
        all || ["instance", "calls", "guest", "tiers", "threads", "parked", "profile"].contains(&which.as_str()),
        "say which: `instance`, `calls`, `guest FILE`, `tiers`, `profile`, `threads`, `parked` or `all`"
    );
    if all || which == "instance" {
        instance().await?;
    }
    if all || which == "calls" {
        calls().await?;
    }
    if all || which == "threads" {
        threads().await?;
    }
    if all || which == "parked" {
        parked().await?;
    }
    if which == "profile" {
        profile().await?;
    }
    if all || which == "tiers" {
        tiers("target/guests/python/redact.wasm").await?;
    }
    if all || which == "guest" {
        let file = args.next().unwrap_or_else(|| "target/guests/python/redact.wasm".to_owned());
        guest(&file).await?;
    }
    Ok(())
}

/// What a plain embedding has in its store.
struct Plain {
    table: ResourceTable,
    wasi: WasiCtx,
}

impl WasiView for Plain {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn plain_store(engine: &Engine) -> Store<Plain> {
    let mut store = Store::new(engine, Plain { table: ResourceTable::new(), wasi: WasiCtxBuilder::new().build() });
    store.set_epoch_deadline(1_000_000);
    store
}

/// A plain embedding: the engine, WASI, and the component linked once.
fn plain(config: &Config) -> anyhow::Result<(Engine, InstancePre<Plain>)> {
    let engine = Engine::new(config)?;
    let mut linker: Linker<Plain> = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    let mut bench = linker.instance("bench")?;
    bench.func_wrap("add", |_, (x,): (u32,)| Ok((x + 1,)))?;
    bench.func_wrap_async("park", |_, (): ()| Box::new(std::future::pending::<wasmtime::Result<()>>()))?;
    let component = wasmtime::component::Component::new(&engine, wat::parse_str(GUEST)?)?;
    let pre = linker.instantiate_pre(&component)?;
    Ok((engine, pre))
}

/// The settings that the host's own engine has too.
fn same_settings() -> Config {
    let mut config = Config::new();
    config.concurrency_support(false).epoch_interruption(true).gc_support(false);
    config
}

async fn ours(pool: Option<Pool>, slots: usize) -> anyhow::Result<(Arc<Host>, Component, Tenant)> {
    let builder = Host::<()>::builder().guest_threads(slots).concurrency(4096).link(|linker| {
        let mut bench = linker.instance("bench")?;
        bench.func_wrap("add", |_, (x,): (u32,)| Ok((x + 1,)))?;
        bench.func_wrap_async("park", |_, (): ()| Box::new(std::future::pending::<wasmtime::Result<()>>()))
    });
    let builder = match pool {
        Some(pool) => builder.pool(pool),
        None => builder,
    };
    let host = Arc::new(builder.build()?);
    let policy = Policy::parse("tenant = { concurrency = 4096 }\nlimits.wall = '10m'\nlimits.cpu = '10m'")?;
    let component = host.load(GUEST.into(), &policy).await?;
    Ok((host, component, Tenant::new("bench", policy)?))
}

/// Row 1: everything of one invocation.
async fn instance() -> anyhow::Result<()> {
    const CALLS: usize = 2_000;
    let (engine, pre) = plain(&Config::new())?;
    let theirs = async || -> anyhow::Result<()> {
        for _ in 0..CALLS {
            let mut store = plain_store_default(&engine);
            let instance = pre.instantiate_async(&mut store).await?;
            let echo = instance.get_typed_func::<(&str,), (String,)>(&mut store, "echo")?;
            let (text,) = echo.call_async(&mut store, ("hello",)).await?;
            anyhow::ensure!(text == "hello");
        }
        Ok(())
    };
    for (what, pool) in [("on demand", None), ("a pool", Some(Pool::new(64)))] {
        let (host, component, tenant) = ours(pool, 2).await?;
        let ours = async || -> anyhow::Result<()> {
            for _ in 0..CALLS {
                echo(&host, &component, &tenant).await?;
            }
            Ok(())
        };
        let pairs = pairs(ours, theirs, CALLS).await?;
        println!("instance, {what}: {}", pairs.shown("plain embedding"));
    }
    // Where the time goes: the same plain embedding with our settings, and on our pool's terms.
    let (engine, pre) = plain(&same_settings())?;
    let tuned = async || -> anyhow::Result<()> {
        for _ in 0..CALLS {
            let mut store = plain_store(&engine);
            let instance = pre.instantiate_async(&mut store).await?;
            let echo = instance.get_typed_func::<(&str,), (String,)>(&mut store, "echo")?;
            echo.call_async(&mut store, ("hello",)).await?;
        }
        Ok(())
    };
    println!(
        "instance, plain embedding with our settings: {}",
        pairs(tuned, theirs, CALLS).await?.shown("its defaults")
    );
    Ok(())
}

/// A store on an engine without epochs.
fn plain_store_default(engine: &Engine) -> Store<Plain> {
    Store::new(engine, Plain { table: ResourceTable::new(), wasi: WasiCtxBuilder::new().build() })
}

async fn echo(host: &Host, component: &Component, tenant: &Tenant) -> anyhow::Result<()> {
    let invocation = Invocation::custom(component, tenant, ());
    let ended = host
        .invoke_with(invocation, "echo", |store, instance| {
            Box::pin(async move {
                let echo = instance.get_typed_func::<(&str,), (String,)>(&mut *store, "echo")?;
                echo.call_async(&mut *store, ("hello",)).await
            })
        })
        .await;
    anyhow::ensure!(ended.receipt.stop.reason == "returned", "{:?}", ended.receipt.stop);
    Ok(())
}

/// Rows 2 and 3: calls into and out of an instance that is there.
async fn calls() -> anyhow::Result<()> {
    const CALLS: usize = 100_000;
    let (engine, pre) = plain(&same_settings())?;
    let (host, component, tenant) = ours(None, 2).await?;
    for (row, counted) in [("typed call", false), ("host call", true)] {
        let theirs = async || -> anyhow::Result<()> {
            let mut store = plain_store(&engine);
            let instance = pre.instantiate_async(&mut store).await?;
            Ok(many(&mut store, &instance, counted, CALLS).await?)
        };
        let ours = async || -> anyhow::Result<()> {
            let invocation = Invocation::custom(&component, &tenant, ());
            let ended = host
                .invoke_with(invocation, "many", move |store, instance| {
                    Box::pin(async move { many(store, &instance, counted, CALLS).await })
                })
                .await;
            anyhow::ensure!(ended.receipt.stop.reason == "returned", "{:?}", ended.receipt.stop);
            Ok(())
        };
        println!("{row}: {}", pairs(ours, theirs, CALLS).await?.shown("plain, same settings"));
    }
    Ok(())
}

async fn many<T: Send>(
    store: &mut Store<T>,
    instance: &wasmtime::component::Instance,
    counted: bool,
    calls: usize,
) -> wasmtime::Result<()> {
    if counted {
        let count = instance.get_typed_func::<(u32,), (u32,)>(&mut *store, "count")?;
        count.call_async(&mut *store, (u32::try_from(calls)?,)).await?;
        return Ok(());
    }
    let echo = instance.get_typed_func::<(&str,), (String,)>(&mut *store, "echo")?;
    for _ in 0..calls {
        echo.call_async(&mut *store, ("hello",)).await?;
    }
    Ok(())
}

/// Invocations and nothing else, for a profiler: `valgrind --tool=callgrind --toggle-collect='*bench_start::echo*'`.
async fn profile() -> anyhow::Result<()> {
    let (host, component, tenant) = ours(None, 1).await?;
    for _ in 0..300 {
        echo(&host, &component, &tenant).await?;
    }
    Ok(())
}

/// Row 11: two threads against one.
async fn threads() -> anyhow::Result<()> {
    const CALLS: usize = 3_000;
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let mut rates = Vec::new();
        for threads in [1, 2, 2, 1] {
            let (host, component, tenant) = ours(Some(Pool::new(64)), threads).await?;
            let began = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..threads * 2 {
                let (host, component, tenant) = (Arc::clone(&host), component.clone(), tenant.clone());
                tasks.spawn(async move {
                    for _ in 0..CALLS {
                        echo(&host, &component, &tenant).await?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            rates.push((threads * 2 * CALLS) as f64 / began.elapsed().as_secs_f64());
        }
        if let [one, two, two_again, one_again] = rates[..] {
            ratios.push((two + two_again) / (one + one_again));
        }
    }
    let (median, least, most) = spread(&mut ratios);
    println!("threads: instantiations per second on 2 threads against 1: {median:.2} ({least:.2} to {most:.2})");
    Ok(())
}

/// Row 12: what a live instance holds that waits in a host call.
async fn parked() -> anyhow::Result<()> {
    const PARKED: usize = 400;
    for (what, pool) in [("on demand", None), ("a pool", Some(Pool::new(1024)))] {
        let (host, component, tenant) = ours(pool, 2).await?;
        let start = |count: usize| {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..count {
                let (host, component, tenant) = (Arc::clone(&host), component.clone(), tenant.clone());
                tasks.spawn(async move {
                    let invocation = Invocation::function(&component, &tenant, "wait()")?;
                    host.invoke(invocation).await;
                    anyhow::Ok(())
                });
            }
            tasks
        };
        let parked = async |count: u64| {
            // Until all of them are there and none of them computes.
            while host.in_use().in_flight < count || host.in_use().computing > 0 {
                tokio::task::yield_now().await;
            }
        };
        let _first = start(PARKED);
        parked(PARKED as u64).await;
        let before = resident()?;
        let _more = start(PARKED);
        parked(2 * PARKED as u64).await;
        let each = resident()?.saturating_sub(before) / PARKED as u64;
        println!(
            "parked, {what}: {} KB for each instance (with one page of 64 KiB of its own, written to nowhere)",
            each / 1000
        );
    }
    Ok(())
}

/// Row 8: from bytes to the first instance of a large guest, compiled and from the cache.
async fn guest(file: &str) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("`{file}`: run `cargo xtask build-guests` first"))?;
    let folder = tempfile::tempdir()?;
    let policy = Policy::parse("limits = { wall = '5m', cpu = '5m', compile-wall = '10m', compile-cpu = '10m' }")?;
    let tenant = Tenant::new("bench", policy)?;
    let first = async |cache: &Cache| -> anyhow::Result<f64> {
        let began = Instant::now();
        let host: Host = Host::builder().cache(cache.clone()).build()?;
        let component = host.load(bytes.clone(), tenant.policy()).await?;
        let input = host::Input { body: b"a@b.example".to_vec(), content_type: None, attributes: Vec::new() };
        let ended = host.invoke(Invocation::job(&component, &tenant, input)).await;
        anyhow::ensure!(ended.receipt.stop.reason == "returned", "{:?}", ended.receipt.stop);
        Ok(began.elapsed().as_secs_f64() * 1e3)
    };
    let cache = Cache::open(folder.path(), host::CACHE_BYTES, None)?;
    let cold = first(&cache).await?;
    let mut warm = Vec::new();
    for _ in 0..PAIRS {
        warm.push(first(&cache).await?);
    }
    let (median, least, most) = spread(&mut warm);
    println!(
        "guest {file}: first answer {median:.1} ms ({least:.1} to {most:.1}) from the cache, {cold:.0} ms compiled: {:.4} of it",
        median / cold
    );
    Ok(())
}

/// How soon a large guest answers with `tiered` and nothing in a cache, and how quick it is after the change.
async fn tiers(file: &str) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("`{file}`: run `cargo xtask build-guests` first"))?;
    let input = || host::Input { body: b"a@b.example ".repeat(2000), content_type: None, attributes: Vec::new() };
    let mut loaded = Vec::new();
    for compiler in ["cranelift", "tiered"] {
        let limits = "limits = { wall = '5m', cpu = '5m', compile-wall = '10m', compile-cpu = '10m' }";
        let tenant = Tenant::new("bench", Policy::parse(&format!("compiler = '{compiler}'\n{limits}"))?)?;
        let host: Host = Host::new()?;
        let began = Instant::now();
        let component = host.load(bytes.clone(), tenant.policy()).await?;
        let ended = host.invoke(Invocation::job(&component, &tenant, input())).await;
        anyhow::ensure!(ended.receipt.stop.reason == "returned", "{:?}", ended.receipt.stop);
        let first = began.elapsed().as_secs_f64();
        host.settled().await;
        println!(
            "tiers {file}: {compiler}: first answer after {first:.2} s, all code after {:.2} s",
            began.elapsed().as_secs_f64()
        );
        loaded.push((host, component, tenant, first));
    }
    let [(a_host, a_component, a_tenant, alone), (b_host, b_component, b_tenant, tiered)] = &loaded[..] else {
        anyhow::bail!("two of them");
    };
    let run = async |host: &Host, component: &Component, tenant: &Tenant| -> anyhow::Result<()> {
        let ended = host.invoke(Invocation::job(component, tenant, input())).await;
        anyhow::ensure!(ended.receipt.host.compiler.as_deref() == Some("cranelift"), "{:?}", ended.receipt.stop);
        Ok(())
    };
    let both =
        pairs(async || run(b_host, b_component, b_tenant).await, async || run(a_host, a_component, a_tenant).await, 1);
    println!(
        "tiers {file}: first answer {:.3} of the wait for Cranelift alone; after the change {}",
        tiered / alone,
        both.await?.shown("time without tiers")
    );
    Ok(())
}

/// What two sides took, in pairs.
struct Pairs {
    ratios: Vec<f64>,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Pairs {
    fn shown(mut self, against: &str) -> String {
        let (median, least, most) = spread(&mut self.ratios);
        let (ours, theirs) = (spread(&mut self.ours).0, spread(&mut self.theirs).0);
        format!(
            "{median:.3} ({least:.3} to {most:.3}) of the {against}; {ours:.3} and {theirs:.3} us of processor time each"
        )
    }
}

/// Runs both sides A B B A and takes the processor time of the process.
async fn pairs<A, B>(a: A, b: B, calls: usize) -> anyhow::Result<Pairs>
where
    A: AsyncFn() -> anyhow::Result<()>,
    B: AsyncFn() -> anyhow::Result<()>,
{
    let mut pairs = Pairs { ratios: Vec::new(), ours: Vec::new(), theirs: Vec::new() };
    // Once each without counting, for what is made on first use.
    a().await?;
    b().await?;
    for _ in 0..PAIRS {
        let mut took = [0.0; 2];
        for side in [0, 1, 1, 0] {
            let began = cpu();
            if side == 0 {
                a().await?;
            } else {
                b().await?;
            }
            if let Some(took) = took.get_mut(side) {
                *took += (cpu() - began) * 1e6 / (2 * calls) as f64;
            }
        }
        let [ours, theirs] = took;
        pairs.ratios.push(ours / theirs);
        pairs.ours.push(ours);
        pairs.theirs.push(theirs);
    }
    Ok(pairs)
}

/// The median, the least and the most.
fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
    (at(values.len() / 2), at(0), at(values.len().saturating_sub(1)))
}

/// Seconds of processor time of this process.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Bytes of this process that are in memory.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no `VmRSS` in /proc")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
