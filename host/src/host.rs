//! The host: engines, what is linked into them, the threads that guests run on, and loading.
//!
//! Guests run on a runtime of their own, so that one which spins can't starve the caller's timers and sockets.
//! Loading happens on its blocking threads. There is no cache in here: a component that is loaded is kept by whoever
//! loaded it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::runtime::{Builder, Handle, Runtime};
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{InstancePre, Linker};

use crate::bindings::{Failure, Input, Output};
use crate::component::{Component, Inner, LoadTimings, Parsed, World};
use crate::egress::{Egress, Resolve};
use crate::engine::EngineKey;
use crate::linker;
use crate::outcome::{Refusal, Stop};
use crate::policy::{LimitKind, Policy};
use crate::state::State;
use crate::text::escape;

/// Runs components. `E` is the embedder's own type in each invocation's store.
pub struct Host<E: Send + 'static = ()> {
    link: Arc<LinkFn<E>>,
    extended: bool,
    engines: Mutex<HashMap<EngineKey, Prepared<E>>>,
    guests: Option<Runtime>,
    egress: Arc<Egress>,
}

/// Makes a [`Host`] that is not the usual one.
pub struct HostBuilder<E: Send + 'static> {
    link: Arc<LinkFn<E>>,
    extended: bool,
    guest_threads: usize,
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
        HostBuilder { link: Arc::new(|_| Ok(())), extended: false, guest_threads: threads(), resolver: None }
    }

    /// Turns bytes of unknown origin into a component that can be invoked under this policy: tells what they are,
    /// converts text and core modules, compiles, and matches imports.
    ///
    /// Fuel metering and the stack limit are compiled in, so a component can be invoked only under policies that say
    /// the same about them.
    ///
    /// # Errors
    /// A stop whose reason is `refused.…` or `limit.component-size`.
    pub async fn load(&self, bytes: Vec<u8>, policy: &Policy) -> Result<Component<E>, Stop> {
        let max = policy.limits.component_size.0;
        if bytes.len() as u64 > max {
            return Err(Stop::limit(LimitKind::ComponentSize, max, 0, Some(bytes.len() as u64)));
        }
        let prepared = self.prepared(EngineKey::of(&policy.limits))?;
        let (key, extended) = (EngineKey::of(&policy.limits), self.extended);
        let work = self.guests()?.spawn_blocking(move || load(bytes, &prepared, key, extended));
        work.await.unwrap_or_else(|_| Err(Stop::host_fault("the compiler panicked on this component")))
    }

    /// The runtime that guests run on.
    pub(crate) fn guests(&self) -> Result<&Handle, Stop> {
        self.guests.as_ref().map(Runtime::handle).ok_or_else(|| Stop::host_fault("the host is shutting down"))
    }

    /// What requests to the outside are sent with.
    pub(crate) fn egress(&self) -> &Arc<Egress> {
        &self.egress
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

    /// How many threads guests run on; at least one.
    #[must_use]
    pub fn guest_threads(mut self, threads: usize) -> Self {
        self.guest_threads = threads.max(1);
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
            .worker_threads(self.guest_threads)
            .thread_name("guest")
            .enable_all()
            .build()
            .map_err(|error| HostError { what: "start the guests' threads", cause: error.to_string() })?;
        let egress = Arc::new(Egress::new(self.resolver));
        let (link, extended) = (self.link, self.extended);
        let host = Host { link, extended, engines: Mutex::default(), guests: Some(guests), egress };
        // So that a clash of host functions shows now and not at the first component.
        host.prepared(EngineKey::of(&Policy::default().limits))
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

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn load<E: Send + 'static>(
    bytes: Vec<u8>,
    prepared: &Prepared<E>,
    key: EngineKey,
    extended: bool,
) -> Result<Component<E>, Stop> {
    let Parsed { facts, binary, took } = Parsed::read(bytes)?;
    // What nobody offers is said before a long compilation, unless the embedder offers more than we know of.
    if !extended {
        missing(&facts.imports)?;
    }
    let began = Instant::now();
    let component = wasmtime::component::Component::new(&prepared.engine, &binary).map_err(|error| {
        crate::component::source::invalid(format!("the component is not valid: {}", one_line(&error)))
    })?;
    let compile = began.elapsed();
    let began = Instant::now();
    let pre = prepared.linker.instantiate_pre(&component).map_err(|error| {
        let message = format!("an import doesn't match what the host offers: {}", one_line(&error));
        Stop::refused(Refusal::Import, message, OFFERED)
    })?;
    fits(facts.world, &pre)?;
    let timings = LoadTimings { load: took, compile, link: began.elapsed() };
    Ok(Component { inner: Arc::new(Inner { facts, pre, key, timings }) })
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
                       `wasi:random` and `wasi:sockets` at 0.2, `wasi:config/store@0.2.0-rc.1`, `wasi:logging/logging`, \
                       and `wasi:http/outgoing-handler` at 0.2";

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
