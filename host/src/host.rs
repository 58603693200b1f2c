//! The host: engines, what is linked into them, the threads that guests run on, and loading.
//!
//! Guests run on a runtime of their own, so that one which spins can't starve the caller's timers and sockets.
//! Loading happens on its blocking threads. There is no cache in here: a component that is loaded is kept by whoever
//! loaded it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::runtime::{Builder, Handle, Runtime};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{InstancePre, Linker, ResourceType};
use wasmtime::{Engine, Trap};

use crate::bindings::{Failure, Input, Output};
use crate::component::{Component, Inner, LoadTimings, Parsed, World};
use crate::egress::{Egress, Resolve};
use crate::engine::EngineKey;
use crate::keyvalue::{Buckets, Stores};
use crate::linker;
use crate::outcome::{Refusal, Stop};
use crate::policy::{KeyValueGrant, LimitKind, Policy};
use crate::shared::{HostLimits, InUse, Shared};
use crate::state::{DirAccounts, State};
use crate::text::escape;

/// Runs components. `E` is the embedder's own type in each invocation's store.
pub struct Host<E: Send + 'static = ()> {
    link: Arc<LinkFn<E>>,
    extended: bool,
    open: bool,
    engines: Mutex<HashMap<EngineKey, Prepared<E>>>,
    guests: Option<Runtime>,
    pub(crate) shared: Arc<Shared>,
    stores: Arc<Stores>,
    egress: Arc<Egress>,
    dirs: DirAccounts,
}

/// Makes a [`Host`] that is not the usual one.
pub struct HostBuilder<E: Send + 'static> {
    link: Arc<LinkFn<E>>,
    extended: bool,
    open: bool,
    guest_threads: usize,
    blocking_threads: usize,
    memory: Option<u64>,
    concurrency: u64,
    queue: u64,
    resolver: Option<Arc<dyn Resolve>>,
}

/// The host could not be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to {what}: {cause}")]
pub struct HostError {
    what: &'static str,
    cause: String,
}

/// Engines that are kept for the next component: one for each pair of stack size and metering. Past that all are let
/// go, so that tenants who choose their own stack can't pile them up; components keep the one that they need.
const MAX_ENGINES: usize = 16;

/// Threads for what can't be waited for.
const BLOCKING_THREADS: usize = 64;

/// Invocations under way at once: what fits into the address space with room to spare, at 4 GiB for each memory.
const CONCURRENCY: u64 = 1000;

/// Invocations that wait.
const QUEUE: u64 = 10_000;

type LinkFn<E> = dyn Fn(&mut Linker<State<E>>) -> wasmtime::Result<()> + Send + Sync;

struct Prepared<E: 'static> {
    engine: Engine,
    linker: Arc<Linker<State<E>>>,
}

impl<E> Clone for Prepared<E> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), linker: Arc::clone(&self.linker) }
    }
}

impl Host {
    /// A host that offers what is in `wit/` and nothing else, with as many guest threads as there are processors.
    ///
    /// # Errors
    /// The operating system gives no threads, or the engine can't be configured on this processor.
    pub fn new() -> Result<Self, HostError> {
        Self::builder().build()
    }
}

impl<E: Send + 'static> Host<E> {
    /// To add host functions of your own, or to choose the number of threads.
    pub fn builder() -> HostBuilder<E> {
        HostBuilder {
            link: Arc::new(|_| Ok(())),
            extended: false,
            open: false,
            guest_threads: threads(),
            blocking_threads: BLOCKING_THREADS,
            memory: None,
            concurrency: CONCURRENCY,
            queue: QUEUE,
            resolver: None,
        }
    }

    /// What is in use at this moment, all tenants together.
    pub fn in_use(&self) -> InUse {
        self.shared.in_use()
    }

    /// Waits until no invocation is under way and none waits, guests included whose caller has gone away.
    pub async fn idle(&self) {
        self.shared.places.empty().await;
    }

    /// Turns bytes of unknown origin into a component that can be invoked under this policy: tells what they are,
    /// converts text and core modules, compiles, and matches imports.
    ///
    /// Fuel metering, the stack limit and whether runs are deterministic are compiled in, so a component can be invoked
    /// only under policies that say the same about them.
    ///
    /// # Errors
    /// A stop whose reason is `refused.…` or `limit.component-size`; `limit.wall` when it took longer than an invocation
    /// may.
    ///
    /// Must be awaited inside a tokio runtime with time enabled.
    pub async fn load(&self, bytes: Vec<u8>, policy: &Policy) -> Result<Component<E>, Stop> {
        let max = policy.limits.component_size.0;
        if bytes.len() as u64 > max {
            return Err(Stop::limit(LimitKind::ComponentSize, max, 0, Some(bytes.len() as u64)));
        }
        let prepared = self.prepared(EngineKey::of(policy))?;
        let (key, offers) = (EngineKey::of(policy), Offers { extended: self.extended, open: self.open });
        let work = self.guests()?.spawn_blocking(move || load(bytes, &prepared, key, offers));
        let wall = policy.limits.wall;
        match tokio::time::timeout(wall.0, work).await {
            Ok(loaded) => loaded.unwrap_or_else(|_| Err(Stop::host_fault("the compiler panicked on this component"))),
            Err(_) => Err(Stop::limit(LimitKind::Wall, wall.nanos(), wall.nanos(), None)),
        }
    }

    /// Links a component once more, with functions laid over the host's own: `link` may define what is there already.
    pub(crate) fn relink(
        &self,
        component: &Component<E>,
        link: impl FnOnce(&mut Linker<State<E>>, &wasmtime::component::Component) -> wasmtime::Result<()>,
    ) -> Result<Component<E>, Stop> {
        let inner = &component.inner;
        let mut linker = Linker::clone(&self.prepared(inner.key)?.linker);
        linker.allow_shadowing(true);
        let pre = || {
            link(&mut linker, inner.pre.component())?;
            linker.instantiate_pre(inner.pre.component())
        };
        let pre = pre().map_err(|error| {
            let message = format!("an import doesn't match its answer: {}", one_line(&error));
            Stop::refused(Refusal::Import, message, OFFERED)
        })?;
        let inner = Inner { facts: inner.facts.clone(), pre, key: inner.key, timings: inner.timings };
        Ok(Component { inner: Arc::new(inner) })
    }

    /// The runtime that guests run on.
    pub(crate) fn guests(&self) -> Result<&Handle, Stop> {
        self.guests.as_ref().map(Runtime::handle).ok_or_else(|| Stop::host_fault("the host is shutting down"))
    }

    /// The buckets that these grants name. Stores are opened on the guests' runtime, whose life is the host's and not
    /// the caller's: a connection's task lives there.
    pub(crate) async fn buckets(&self, tenant: &str, grants: &[KeyValueGrant]) -> Result<Buckets, Stop> {
        if grants.is_empty() {
            return Ok(Buckets::new());
        }
        let (stores, tenant, grants) = (Arc::clone(&self.stores), tenant.to_owned(), grants.to_vec());
        let work = self.guests()?.spawn(async move { stores.buckets(&tenant, &grants).await });
        work.await.unwrap_or_else(|_| Err(Stop::host_fault("opening a key-value store panicked")))
    }

    /// What requests to the outside are sent with.
    pub(crate) fn egress(&self) -> &Arc<Egress> {
        &self.egress
    }

    /// What is counted of directories with a quota.
    pub(crate) fn dirs(&self) -> &DirAccounts {
        &self.dirs
    }

    /// The engine and linker for a key, made on first use.
    fn prepared(&self, key: EngineKey) -> Result<Prepared<E>, Stop> {
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = engines.get(&key) {
            return Ok(prepared.clone());
        }
        let make = || -> wasmtime::Result<Prepared<E>> {
            let engine = key.build()?;
            let mut linker = Linker::new(&engine);
            linker::link(&mut linker)?;
            (self.link)(&mut linker)?;
            Ok(Prepared { engine, linker: Arc::new(linker) })
        };
        let prepared = make().map_err(|error| Stop::host_fault(format!("failed to set up the engine: {error:#}")))?;
        if engines.len() >= MAX_ENGINES {
            engines.clear();
        }
        engines.insert(key, prepared.clone());
        Ok(prepared)
    }
}

impl<E: Send + 'static> HostBuilder<E> {
    /// Adds host functions, with the `add_to_linker` that your own `bindgen!` generates. They are called like ours,
    /// under the same limits, and see [`State::extension`].
    #[must_use]
    pub fn link(
        mut self,
        link: impl Fn(&mut Linker<State<E>>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.link = Arc::new(link);
        self.extended = true;
        self
    }

    /// Loads components with any import; what nobody offers traps when it is called. For those who give other answers by
    /// linking once more.
    #[must_use]
    pub(crate) fn any_import(mut self) -> Self {
        self.open = true;
        self
    }

    /// How many guests compute at the same moment; at least one. By default as many as there are processors.
    #[must_use]
    pub fn guest_threads(mut self, threads: usize) -> Self {
        self.guest_threads = threads.max(1);
        self
    }

    /// How many threads do what can't be waited for: files, looking up names, compiling. 64 unless said; at least one.
    #[must_use]
    pub fn blocking_threads(mut self, threads: usize) -> Self {
        self.blocking_threads = threads.max(1);
        self
    }

    /// Bytes of memory for all guests together. Three quarters of what the machine has unless said.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Invocations under way at once, all tenants together. 1000 unless said.
    #[must_use]
    pub fn concurrency(mut self, invocations: u64) -> Self {
        self.concurrency = invocations.max(1);
        self
    }

    /// Invocations that may wait for a place, all tenants together. 10,000 unless said.
    #[must_use]
    pub fn queue(mut self, invocations: u64) -> Self {
        self.queue = invocations;
        self
    }

    /// Finds the addresses of host names in another way than the operating system does. What it answers is checked
    /// against the policy like any other answer.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Makes the host.
    ///
    /// # Errors
    /// The operating system gives no threads, or the host functions that were added clash with ours.
    pub fn build(self) -> Result<Host<E>, HostError> {
        let guests = Builder::new_multi_thread()
            // One more than there are slots, so that a thread is always free to look after timers and sockets.
            .worker_threads(self.guest_threads + 1)
            .max_blocking_threads(self.blocking_threads)
            .thread_name("guest")
            .enable_all()
            .build()
            .map_err(|error| HostError { what: "start the guests' threads", cause: error.to_string() })?;
        let shared = Shared::new(HostLimits {
            memory: self.memory.unwrap_or_else(machine_memory),
            concurrency: self.concurrency,
            queue: self.queue,
            slots: self.guest_threads,
        });
        let host = Host {
            link: self.link,
            extended: self.extended,
            open: self.open,
            engines: Mutex::default(),
            guests: Some(guests),
            shared: Arc::new(shared),
            stores: Arc::default(),
            egress: Arc::new(Egress::new(self.resolver)),
            dirs: DirAccounts::default(),
        };
        // So that a clash of host functions shows now and not at the first component.
        host.prepared(EngineKey::of(&Policy::default()))
            .map_err(|stop| HostError { what: "link the host functions", cause: stop.message })?;
        Ok(host)
    }
}

impl<E: Send + 'static> Drop for Host<E> {
    /// A guest that is parked in a call of the operating system can't be waited for.
    fn drop(&mut self) {
        if let Some(guests) = self.guests.take() {
            guests.shutdown_background();
        }
    }
}

/// Three quarters of the memory of the machine, or of the control group that the host runs in where that has less.
fn machine_memory() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let meminfo = read("/proc/meminfo");
    let total =
        meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    // Where neither can be read there is nothing to go by, and each invocation has its own limit.
    let machine = total.map_or(u64::MAX, |kib: u64| kib.saturating_mul(1024));
    let group = read("/sys/fs/cgroup/memory.max").trim().parse().ok();
    machine.min(group.unwrap_or(u64::MAX)) / 4 * 3
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What a host offers beyond what we know of.
#[derive(Clone, Copy)]
struct Offers {
    extended: bool,
    open: bool,
}

fn load<E: Send + 'static>(
    bytes: Vec<u8>,
    prepared: &Prepared<E>,
    key: EngineKey,
    offers: Offers,
) -> Result<Component<E>, Stop> {
    let Parsed { facts, binary, took } = Parsed::read(bytes)?;
    // What nobody offers is said before a long compilation, unless the embedder offers more than we know of.
    if !offers.extended && !offers.open {
        missing(&facts.imports)?;
    }
    let began = Instant::now();
    let component = wasmtime::component::Component::new(&prepared.engine, &binary).map_err(|error| {
        crate::component::source::invalid(format!("the component is not valid: {}", one_line(&error)))
    })?;
    let compile = began.elapsed();
    let began = Instant::now();
    let pre = match offers.open {
        true => {
            let mut linker = Linker::clone(&prepared.linker);
            trap_unknown(&mut linker, &component).and_then(|()| linker.instantiate_pre(&component))
        }
        false => prepared.linker.instantiate_pre(&component),
    };
    let pre = pre.map_err(|error| {
        let message = format!("an import doesn't match what the host offers: {}", one_line(&error));
        Stop::refused(Refusal::Import, message, OFFERED)
    })?;
    fits(facts.world, &pre)?;
    let timings = LoadTimings { load: took, compile, link: began.elapsed() };
    Ok(Component { inner: Arc::new(Inner { facts, pre, key, timings }) })
}

/// Lets every import trap that the host doesn't offer. What it offers stays whole: a resource that one of its interfaces
/// takes from another one must stay the same.
fn trap_unknown<E: Send + 'static>(
    linker: &mut Linker<State<E>>,
    component: &wasmtime::component::Component,
) -> wasmtime::Result<()> {
    /// Stands in for every resource that nobody offers.
    struct Unknown;
    let engine = linker.engine().clone();
    for (name, item) in component.component_type().imports(&engine) {
        match item.ty {
            _ if linker::offers(name) => {}
            ComponentItem::ComponentFunc(_) => {
                linker.root().func_new(name, |_, _, _, _| Err(Trap::UnreachableCodeReached.into()))?;
            }
            ComponentItem::ComponentInstance(instance) => {
                let mut inside = linker.instance(name)?;
                for (export, item) in instance.exports(&engine) {
                    match item.ty {
                        ComponentItem::ComponentFunc(_) => {
                            inside.func_new(export, |_, _, _, _| Err(Trap::UnreachableCodeReached.into()))?;
                        }
                        ComponentItem::Resource(_) => {
                            inside.resource(export, ResourceType::host::<Unknown>(), |_, _| Ok(()))?;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the export that makes a component one of a world has that world's type, before anything of it runs.
fn fits<E: 'static>(world: World, pre: &InstancePre<State<E>>) -> Result<(), Stop> {
    let (component, engine) = (pre.component().component_type(), pre.engine());
    let Some((name, export)) = component.exports(engine).find(|(name, _)| world.is_told_by(name)) else {
        return Ok(());
    };
    let run = match export.ty {
        ComponentItem::ComponentInstance(instance) => instance.get_export(engine, "run").map(|export| export.ty),
        _ => None,
    };
    let types = component.instance_type();
    let checked = match (world, run) {
        (World::Http | World::Custom, _) => Ok(()),
        (World::Sandbox, Some(ComponentItem::ComponentFunc(run))) => {
            run.typecheck::<(Input,), (Result<Output, Failure>,)>(&types)
        }
        (World::Command, Some(ComponentItem::ComponentFunc(run))) => run.typecheck::<(), (Result<(), ()>,)>(&types),
        _ => Err(wasmtime::format_err!("it has no function `run`")),
    };
    checked.map_err(|error| {
        let message = format!("the export `{name}` has another type than the contract: {}", one_line(&error));
        Stop::refused(Refusal::World, message, "build the guest against the WIT of that version")
    })
}

const OFFERED: &str = "the host offers `sandbox:host@0.1.0`, `wasi:cli`, `wasi:clocks`, `wasi:filesystem`, `wasi:io`, \
                       `wasi:random` and `wasi:sockets` at 0.2, `wasi:http/outgoing-handler` at 0.2, \
                       `wasi:config/store@0.2.0-rc.1`, `wasi:keyvalue@0.2.0-draft` and `wasi:logging/logging`";

/// Refuses imports that the host doesn't offer, all of them at once.
fn missing(imports: &[String]) -> Result<(), Stop> {
    let missing = imports.iter().filter(|name| !linker::offers(name)).map(|name| escape(name));
    let missing: Vec<String> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("the component imports `{}`, which the host doesn't offer", missing.join("`, `"));
    Err(Stop::refused(Refusal::Import, message, OFFERED))
}

fn one_line(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| escape(&cause.to_string().replace('\n', " "))).collect();
    causes.join(": ")
}
