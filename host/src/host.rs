//! The host: engines, what is linked into them, the threads that guests run on, and loading.
//!
//! Guests run on a runtime of their own, so that one which spins can't starve the caller's timers and sockets.
//! Loading happens on its blocking threads. A component that is loaded is kept by whoever loaded it; its code can be
//! kept on disk, in a [`Cache`].

mod load;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};
use wasmtime::Engine;
use wasmtime::component::Linker;

use self::load::Loader;
use crate::artifact::ArtifactKey;
use crate::cache::Cache;
use crate::compile::child::ChildCompiler;
use crate::compile::{OFFERED, Offers};
use crate::component::{Component, Inner, one_line};
use crate::egress::{Egress, Resolve};
use crate::engine::pool::Pool;
use crate::engine::{CodeId, EngineKey};
use crate::keyvalue::{Buckets, Stores};
use crate::linker;
use crate::outcome::{Refusal, Stop};
use crate::policy::{KeyValueGrant, Policy};
use crate::shared::{HostLimits, InUse, Shared};
use crate::state::{DirAccounts, State};

/// Runs components. `E` is the embedder's own type in each invocation's store.
pub struct Host<E: Send + 'static = ()> {
    link: Arc<LinkFn<E>>,
    loader: Arc<Loader>,
    engines: Mutex<HashMap<EngineKey, Prepared<E>>>,
    guests: Option<Runtime>,
    pub(crate) shared: Arc<Shared>,
    stores: Arc<Stores>,
    egress: Arc<Egress>,
    dirs: DirAccounts,
    pool: Option<Pool>,
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
    cache: Option<Cache>,
    child: Option<ChildCompiler>,
    key: Option<ArtifactKey>,
    pool: Option<Pool>,
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
    code: CodeId,
}

impl<E> Clone for Prepared<E> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), linker: Arc::clone(&self.linker), code: self.code }
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
            cache: None,
            child: None,
            key: None,
            pool: None,
        }
    }

    /// The name of the key that this host makes and checks artifacts with, if it has one.
    pub fn artifact_key_id(&self) -> Option<String> {
        self.loader.key().map(ArtifactKey::id)
    }

    /// What is in use at this moment, all tenants together.
    pub fn in_use(&self) -> InUse {
        self.shared.in_use()
    }

    /// Waits until no invocation is under way and none waits, guests included whose caller has gone away.
    pub async fn idle(&self) {
        self.shared.places.empty().await;
    }

    /// Links a component once more, with functions laid over the host's own: `link` may define what is there already.
    pub(crate) fn relink(
        &self,
        component: &Component<E>,
        link: impl FnOnce(&mut Linker<State<E>>, &wasmtime::component::Component) -> wasmtime::Result<()>,
    ) -> Result<Component<E>, Stop> {
        let inner = &component.inner;
        // Whatever code it has now is the code that it keeps.
        let code = inner.pre().component();
        let mut linker = Linker::clone(&self.prepared_for(code.engine(), inner.key)?.linker);
        linker.allow_shadowing(true);
        let pre = || {
            link(&mut linker, code)?;
            linker.instantiate_pre(code)
        };
        let pre = pre().map_err(|error| {
            let message = format!("an import doesn't match its answer: {}", one_line(&error));
            Stop::refused(Refusal::Import, message, OFFERED)
        })?;
        let (facts, better) = (inner.facts.clone(), OnceLock::new());
        let inner = Inner { facts, pre, tier: inner.chosen().1, better, key: inner.key, timings: inner.timings };
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

    /// The engine and linker that a component of this key has its code in.
    fn prepared_for(&self, engine: &Engine, key: EngineKey) -> Result<Prepared<E>, Stop> {
        let best = self.prepared(key.settled())?;
        match key.quick() {
            Some(quick) if !Engine::same(&best.engine, engine) => self.prepared(quick),
            _ => Ok(best),
        }
    }

    /// The engine and linker for a key, made on first use.
    fn prepared(&self, key: EngineKey) -> Result<Prepared<E>, Stop> {
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = engines.get(&key) {
            return Ok(prepared.clone());
        }
        let make = || -> wasmtime::Result<Prepared<E>> {
            let engine = key.build(self.pool)?;
            let mut linker = Linker::new(&engine);
            linker::link(&mut linker)?;
            (self.link)(&mut linker)?;
            let code = CodeId::of(&engine);
            Ok(Prepared { engine, linker: Arc::new(linker), code })
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

    /// Keeps compiled code in this cache and takes it from there. Several hosts may share one.
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Checks artifacts that are given to [`Host::load`] with this key and not with the cache's.
    #[must_use]
    pub fn artifact_key(mut self, key: ArtifactKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Reads and compiles components in a child process that can do nothing else, under all limits of compiling. Without
    /// it both happen in this process, where a component that makes the compiler use up memory harms everybody.
    #[must_use]
    pub fn compile_in(mut self, child: ChildCompiler) -> Self {
        self.child = Some(child);
        self
    }

    /// Has places for instances ready, for a host that makes many. Each setting that needs an engine of its own (`stack`,
    /// `fuel`, `deterministic`, `compiler`) has a pool of its own, in address space of its own.
    #[must_use]
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
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
            // More could be admitted than there are places for.
            concurrency: self.pool.map_or(self.concurrency, |pool| self.concurrency.min(pool.instances())),
            queue: self.queue,
            slots: self.guest_threads,
        });
        let host = Host {
            link: self.link,
            loader: Arc::new(Loader::new(
                Offers { extended: self.extended, open: self.open },
                (self.cache, self.child, self.key),
                guests.handle().clone(),
            )),
            engines: Mutex::default(),
            guests: Some(guests),
            shared: Arc::new(shared),
            stores: Arc::default(),
            egress: Arc::new(Egress::new(self.resolver)),
            dirs: DirAccounts::default(),
            pool: self.pool,
        };
        // So that a clash of host functions shows now and not at the first component.
        host.prepared(EngineKey::of(&Policy::default()).settled())
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
