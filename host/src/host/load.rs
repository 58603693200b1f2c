//! Loading: from bytes of unknown origin to a component that can be invoked.
//!
//! Code comes from where it is quickest: from an artifact that was given, from the cache, from somebody who compiles the
//! very same at this moment, or from the compiler. What is linked and checked afterwards is the same for all.

mod link;

use std::collections::HashMap;
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio::task::JoinError;
use wasmtime::Engine;

use self::link::link_code;
use super::{Host, Prepared, threads};
use crate::artifact::{self, ArtifactKey, SourceId};
use crate::cache::{Cache, Found, Name};
use crate::compile::child::{ChildCompiler, Job, Kill};
use crate::compile::{CompileLimits, Compiled, Offers, Took, compile, missing};
use crate::component::{Component, Facts, Inner, LoadTimings, one_line};
use crate::engine::pool;
use crate::engine::{CodeId, EngineKey, Tier};
use crate::outcome::{Busy, Refusal, Stop};
use crate::policy::{LimitKind, Policy};

/// What loading needs beside an engine.
pub(super) struct Loader {
    offers: Offers,
    cache: Option<Cache>,
    child: Option<ChildCompiler>,
    /// What artifacts that are given are checked with.
    key: Option<ArtifactKey>,
    /// What is being compiled at this moment.
    flights: Mutex<HashMap<FlightKey, Weak<Flight>>>,
    /// One compilation for each processor.
    compilers: Semaphore,
    /// The threads that it is done on.
    guests: Handle,
    /// Optimised code that is being made while other code stands in, and how often that is over.
    later: watch::Sender<usize>,
}

/// When to try again where all compile: about as long as a small component takes.
const RETRY_MS: u64 = 200;

/// The same bytes for the same engine under the same limits: a caller's own narrow limits mustn't fail another's.
type FlightKey = (SourceId, EngineKey, CompileLimits);

type Flight = OnceCell<Result<Code, Stop>>;

/// What is to be compiled, and how.
#[derive(Clone)]
struct Wanted {
    bytes: Arc<Vec<u8>>,
    source: SourceId,
    key: EngineKey,
    limits: CompileLimits,
    /// Nobody waits for it.
    later: bool,
}

/// Code that an engine has.
#[derive(Clone)]
struct Code {
    component: wasmtime::component::Component,
    facts: Facts,
    took: Took,
    /// Its size, which has a limit wherever it is from.
    bytes: u64,
}

impl Loader {
    pub(super) fn new(
        offers: Offers,
        (cache, child, key): (Option<Cache>, Option<ChildCompiler>, Option<ArtifactKey>),
        guests: Handle,
    ) -> Self {
        let key = key.or_else(|| cache.as_ref().map(|cache| cache.key().clone()));
        let (flights, compilers) = (Mutex::default(), Semaphore::new(threads()));
        Self { offers, cache, child, key, flights, compilers, guests, later: watch::channel(0).0 }
    }

    pub(super) fn key(&self) -> Option<&ArtifactKey> {
        self.key.as_ref()
    }

    /// Where those meet who want the same.
    fn flight(&self, key: FlightKey) -> Arc<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::new(Flight::new());
        flights.insert(key, Arc::downgrade(&flight));
        flight
    }

    /// The code of a component from wherever it is.
    async fn code(&self, wanted: &Wanted, engine: &Engine, code: CodeId) -> Result<Code, Stop> {
        let Wanted { source, key, limits, .. } = *wanted;
        let flight = self.flight((source, key, limits));
        // Whoever comes first does it; if that one gives up, the next one takes over.
        let code = flight.get_or_init(|| self.find_or_compile(wanted, Name { source, code }, engine)).await.clone()?;
        within(&limits, code.bytes)?;
        Ok(code)
    }

    async fn find_or_compile(&self, wanted: &Wanted, name: Name, engine: &Engine) -> Result<Code, Stop> {
        let Some(cache) = self.cache.clone() else {
            let compiled = self.compile(wanted).await?;
            let engine = engine.clone();
            return self.blocking(move || from_memory(compiled, &engine)).await?;
        };
        if let Some(code) = self.cached(&cache, name, engine).await? {
            return Ok(code);
        }
        // Whoever has it may be allowed longer than this caller; after that it is compiled twice.
        let wall = Duration::from_nanos(wanted.limits.wall_ns);
        let lock = tokio::time::timeout(wall, cache.lock(name)).await.unwrap_or_default();
        if lock.is_some()
            && let Some(code) = self.cached(&cache, name, engine).await?
        {
            return Ok(code);
        }
        let compiled = self.compile(wanted).await?;
        let engine = engine.clone();
        let kept = self.blocking(move || {
            cache.store(name, &compiled.about, &compiled.code);
            let took = compiled.took;
            // Mapped from disk the code costs no memory of its own.
            match cache.find(name).and_then(|found| mapped(found, &engine).ok()) {
                Some(code) => Ok(Code { took, ..code }),
                None => from_memory(compiled, &engine),
            }
        });
        let code = kept.await?;
        drop(lock);
        code
    }

    async fn cached(&self, cache: &Cache, name: Name, engine: &Engine) -> Result<Option<Code>, Stop> {
        let (cache, engine, offers) = (cache.clone(), engine.clone(), self.offers);
        self.blocking(move || {
            let found = cache.find(name)?;
            // It may have been compiled for a host that offers more.
            if !offers.extended && !offers.open && missing(&found.about.facts).is_err() {
                return None;
            }
            mapped(found, &engine).inspect_err(|stop| tracing::warn!(target: "host", "{}", stop.message)).ok()
        })
        .await
    }

    /// Compiles, in a child where there is one. Dropping the future ends the child.
    async fn compile(&self, wanted: &Wanted) -> Result<Compiled, Stop> {
        let Wanted { key, limits, later, .. } = *wanted;
        let bytes = Arc::clone(&wanted.bytes);
        let wall = Duration::from_nanos(limits.wall_ns);
        let busy = |_| Stop::busy(Busy::Host, "all places to compile are taken by others", RETRY_MS);
        let place = tokio::time::timeout(wall, self.compilers.acquire()).await.map_err(busy)?;
        let _place = place.map_err(|_| Stop::host_fault("the compilers are gone"))?;
        let offers = self.offers;
        let kill = KillOnDrop(Kill::default());
        let work = match self.child.clone() {
            Some(child) => {
                let (job, kill) = (Job { code: key.code, offers, limits, later }, kill.0.clone());
                self.guests.spawn_blocking(move || child.compile(&bytes, &job, &kill))
            }
            None => self.guests.spawn_blocking(move || compile(Arc::unwrap_or_clone(bytes), key.code, offers)),
        };
        let compiled = match tokio::time::timeout(wall, work).await {
            Ok(compiled) => {
                compiled.unwrap_or_else(|_| Err(Stop::host_fault("the compiler panicked on this component")))?
            }
            Err(_) => return Err(limits.exceeded(LimitKind::CompileWall)),
        };
        within(&limits, compiled.code.len() as u64)?;
        Ok(compiled)
    }

    /// Does what takes a while on a thread that is there for it.
    async fn blocking<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R, Stop> {
        let panicked = |_: JoinError| Stop::host_fault("loading the component panicked");
        self.guests.spawn_blocking(work).await.map_err(panicked)
    }
}

impl<E: Send + 'static> Host<E> {
    /// Turns bytes of unknown origin into a component that can be invoked under this policy: tells what they are,
    /// converts text and core modules, compiles, and matches imports. An artifact is loaded if it was made with the key of
    /// the host's cache, and is refused otherwise.
    ///
    /// Fuel metering, the stack limit, the compiler and whether runs are deterministic belong to the engine, so a component can be
    /// invoked only under policies that say the same about them.
    ///
    /// # Errors
    /// A stop whose reason is `refused.…` or `limit.component-size`. How long it may take is the limit `compile-wall`, not
    /// `wall`: whether code is in a cache makes no difference to an invocation.
    ///
    /// Must be awaited inside a tokio runtime with time enabled.
    pub async fn load(&self, bytes: Vec<u8>, policy: &Policy) -> Result<Component<E>, Stop> {
        let (key, limits) = (EngineKey::of(policy), CompileLimits::of(&policy.limits));
        let is_artifact = artifact::looks_like(&bytes);
        bounded(&bytes, is_artifact, policy)?;
        let prepared = self.prepared(key.settled())?;
        let (loader, began) = (&self.loader, Instant::now());
        let bytes = Arc::new(bytes);
        if is_artifact {
            let (with, engine, wanted) = (loader.key.clone(), prepared.engine.clone(), prepared.code);
            let opened = move || authenticated(&bytes, with.as_ref(), &engine, key, wanted);
            let mut code = loader.blocking(opened).await??;
            code.took.load = began.elapsed();
            return self.link(code, prepared, key, key.code.tier).await;
        }
        let hashed = Arc::clone(&bytes);
        let source = loader.blocking(move || SourceId::of(&hashed)).await?;
        let wanted = Wanted { bytes, source, key: key.settled(), limits, later: false };
        let kept = match (key.quick(), &loader.cache) {
            (Some(_), Some(cache)) => {
                loader.cached(cache, Name { source, code: prepared.code }, &prepared.engine).await?
            }
            _ => None,
        };
        let mut code = match (kept, key.quick()) {
            (Some(best), _) => {
                within(&limits, best.bytes)?;
                best
            }
            (None, Some(quick)) => return self.load_quick(wanted, quick, key, prepared).await,
            (None, None) => loader.code(&wanted, &prepared.engine, prepared.code).await?,
        };
        if code.took.compile.is_zero() {
            code.took.load = began.elapsed();
        }
        self.link(code, prepared, key, key.code.tier).await
    }

    /// Links code that is there.
    async fn link(&self, code: Code, prepared: Prepared<E>, key: EngineKey, tier: Tier) -> Result<Component<E>, Stop> {
        let offers = self.loader.offers;
        let link = move || {
            let began = Instant::now();
            let pre = link_code(&code, &prepared, offers)?;
            let timings = LoadTimings { load: code.took.load, compile: code.took.compile, link: began.elapsed() };
            Ok(Component {
                inner: Arc::new(Inner { facts: code.facts, pre, tier, better: OnceLock::new(), key, timings }),
            })
        };
        self.loader.blocking(link).await?
    }

    /// Loads what is there first, and sees to it that the best code takes over.
    async fn load_quick(
        &self,
        wanted: Wanted,
        quick: EngineKey,
        key: EngineKey,
        best: Prepared<E>,
    ) -> Result<Component<E>, Stop> {
        let first = self.prepared(quick)?;
        let code = self.loader.code(&Wanted { key: quick, ..wanted.clone() }, &first.engine, first.code).await?;
        let component = self.link(code, first, key, quick.code.tier).await?;
        let (loader, inner) = (Arc::clone(&self.loader), Arc::downgrade(&component.inner));
        loader.later.send_modify(|running| *running += 1);
        let over = Over(Arc::clone(&loader));
        let offers = loader.offers;
        self.guests()?.spawn(async move {
            let _over = over;
            let wanted = Wanted { later: true, ..wanted };
            let made = match loader.code(&wanted, &best.engine, best.code).await {
                Ok(code) => loader.blocking(move || link_code(&code, &best, offers)).await.and_then(|made| made),
                Err(stop) => Err(stop),
            };
            match (made, inner.upgrade()) {
                (Ok(pre), Some(inner)) => drop(inner.better.set(pre)),
                (Ok(_), None) => {}
                (Err(stop), _) => tracing::warn!(target: "host", "optimised code can't be made, what stands in for it stays: {}", stop.message),
            }
        });
        Ok(component)
    }

    /// Waits until all optimised code is there that takes over from other code, or was given up.
    pub async fn settled(&self) {
        // The sender is the loader's, which is ours.
        let _ = self.loader.later.subscribe().wait_for(|running| *running == 0).await;
    }

    /// Compiles a component into an artifact, which [`Host::load`] takes in place of the component: in any process that
    /// has the same key, under policies that agree on fuel, determinism and the compiler, on this kind of processor.
    ///
    /// # Errors
    /// As [`Host::load`], and `refused.unauthenticated` where the host has neither a cache nor a key.
    pub async fn compile(&self, bytes: Vec<u8>, policy: &Policy) -> Result<Vec<u8>, Stop> {
        let (key, limits) = (EngineKey::of(policy), CompileLimits::of(&policy.limits));
        bounded(&bytes, false, policy)?;
        let Some(with) = self.loader.key.clone() else {
            let hint = "give the host a cache, which has one, or a key of your own";
            return Err(Stop::refused(Refusal::Unauthenticated, "there is no key to make an artifact with", hint));
        };
        let (bytes, key) = (Arc::new(bytes), key.settled());
        let hashed = Arc::clone(&bytes);
        let source = self.loader.blocking(move || SourceId::of(&hashed)).await?;
        let code = self.prepared(key)?.code;
        let wanted = Wanted { bytes, source, key, limits, later: false };
        let mut compiled = self.loader.compile(&wanted).await?;
        let tail = artifact::seal(&with, &compiled.about, code, source, &compiled.code);
        compiled.code.extend_from_slice(&tail);
        Ok(compiled.code)
    }
}

/// One compilation that nobody waits for is over, however it ends.
struct Over(Arc<Loader>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.later.send_modify(|running| *running -= 1);
    }
}

/// Ends the child that compiles for somebody who doesn't wait any more.
struct KillOnDrop(Kill);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.now();
    }
}

/// Refuses code that is larger than it may be.
fn within(limits: &CompileLimits, bytes: u64) -> Result<(), Stop> {
    match bytes > limits.artifact {
        true => Err(limits.exceeded(LimitKind::ArtifactSize)),
        false => Ok(()),
    }
}

/// Refuses what is larger than it may be.
fn bounded(bytes: &[u8], is_artifact: bool, policy: &Policy) -> Result<(), Stop> {
    let limits = &policy.limits;
    let (kind, max) = match is_artifact {
        true => (LimitKind::ArtifactSize, limits.artifact_size.0),
        false => (LimitKind::ComponentSize, limits.component_size.0),
    };
    match bytes.len() as u64 {
        size if size <= max => Ok(()),
        _ if is_artifact => Err(CompileLimits::of(limits).exceeded(kind)),
        size => Err(Stop::limit(kind, max, 0, Some(size))),
    }
}

/// An artifact that the caller gave.
fn authenticated(
    bytes: &[u8],
    with: Option<&ArtifactKey>,
    engine: &Engine,
    key: EngineKey,
    wanted: CodeId,
) -> Result<Code, Stop> {
    let refused = |message: String| {
        let hint = "give the component that it was compiled from, or the key that it was made with (`--artifact-key`)";
        Stop::refused(Refusal::Unauthenticated, message, hint)
    };
    let Some(with) = with else {
        return Err(refused("this is a compiled artifact, and this host has no key to check it with".to_owned()));
    };
    let (trailer, about, code) = artifact::open(bytes, with)
        .map_err(|why| refused(format!("this is a compiled artifact that can't be trusted: {why}")))?;
    if trailer.code_id != wanted {
        return Err(about.differs(key.code));
    }
    let component = deserialize(engine, code)?;
    Ok(Code { component, facts: about.facts, took: Took::default(), bytes: code.len() as u64 })
}

fn from_memory(Compiled { about, code, took }: Compiled, engine: &Engine) -> Result<Code, Stop> {
    Ok(Code { component: deserialize(engine, &code)?, facts: about.facts, took, bytes: code.len() as u64 })
}

fn deserialize(engine: &Engine, code: &[u8]) -> Result<wasmtime::component::Component, Stop> {
    #[expect(unsafe_code, reason = "loading native code is what an artifact is for")]
    // SAFETY: the bytes were made by this engine's own compiler: a moment ago, or the keyed hash over them says so.
    let component = unsafe { wasmtime::component::Component::deserialize(engine, code) };
    component.map_err(|error| not_loaded(engine, &error))
}

/// Maps code from the cache.
fn mapped(Found { about, file, code_bytes }: Found, engine: &Engine) -> Result<Code, Stop> {
    // The very file that was checked, whatever is at its path by now.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    #[expect(unsafe_code, reason = "loading native code is what an artifact is for")]
    // SAFETY: the keyed hash over the file says that this engine's own compiler made it, and only this user, who could
    // replace the whole program too, can write to it.
    let component = unsafe { wasmtime::component::Component::deserialize_file(engine, path) };
    Ok(Code {
        component: component.map_err(|error| not_loaded(engine, &error))?,
        facts: about.facts,
        took: Took::default(),
        bytes: code_bytes,
    })
}

/// Every byte was made by this engine's own compiler, so what is left is that a pool has no places of that size.
fn not_loaded(engine: &Engine, error: &wasmtime::Error) -> Stop {
    let why = one_line(error);
    match pool::is_pooled(engine) {
        true => {
            let hint = "raise what `HostBuilder::pool` is given, or go without a pool";
            Stop::refused(Refusal::TooLarge, format!("the host has no place for the component: {why}"), hint)
        }
        false => Stop::host_fault(format!("the engine doesn't load its own code: {why}")),
    }
}
