//! The guest's side of an invocation: the store, its limits, and the future that runs on the guests' runtime.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use wasmtime::component::{Instance, InstancePre, ResourceTable};
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::WasiCtx;

use crate::component::Component;
use crate::deterministic::Deterministic;
use crate::ending::stop_of;
use crate::engine::Tier;
use crate::keyvalue::Buckets;
use crate::limiter::Limiter;
use crate::linker::{Interface, fuel_given, fuel_left};
use crate::outcome::Stop;
use crate::policy::Limits;
use crate::quota::Quota;
use crate::scheduler::{Clock, Metered, Waits};
use crate::shared::Place;
use crate::state::{Directories, HttpContext, SocketsContext, State};
use crate::tenant::Tenant;

/// How a call that reached its own end did so.
pub(super) enum Verdict<R> {
    Returned(R),
    Failed { value: R, stop: Stop },
}

/// The future of one call into an instance.
pub(super) type CallFuture<'a, R> = Pin<Box<dyn Future<Output = wasmtime::Result<Verdict<R>>> + Send + 'a>>;

/// Tells the compiler that a closure is good for a store of any lifetime.
pub(super) fn call<E, R, F>(call: F) -> F
where
    F: for<'a> FnOnce(&'a mut Store<State<E>>, Instance) -> CallFuture<'a, R>,
{
    call
}

/// What is known of an invocation once it is over, beyond its counters.
#[derive(Default)]
pub(super) struct Report {
    /// What made the code that ran.
    pub(super) compiler: Option<&'static str>,
    pub(super) wall_ns: u64,
    pub(super) cpu_ns: u64,
    /// In a deterministic run: nanoseconds by the guest's own clock.
    pub(super) simulated_ns: Option<u64>,
    pub(super) fuel: Option<u64>,
    pub(super) queue: Duration,
    pub(super) instantiate: Duration,
    pub(super) run: Duration,
    pub(super) drain: Duration,
    pub(super) waits: Waits,
    pub(super) calls: Vec<(&'static str, u64)>,
}

/// Units of fuel after which a metered guest gives its thread back, so that fuel alone can't hold one.
const FUEL_SLICE: u64 = 10_000_000;

/// A guest that is ready to run.
pub(super) struct Guest<E: Send + 'static> {
    pre: InstancePre<State<E>>,
    tier: Tier,
    state: State<E>,
    limits: Limits,
    quota: Arc<Quota>,
    clock: Arc<Clock>,
    /// Held until the store is gone, wherever the task ends.
    place: Place,
}

/// What an invocation was given to run with.
pub(super) struct Given<E> {
    pub(super) wasi: WasiCtx,
    pub(super) place: Place,
    pub(super) buckets: Buckets,
    pub(super) http: HttpContext,
    pub(super) sockets: SocketsContext,
    pub(super) dirs: Directories,
    pub(super) extension: E,
    pub(super) deterministic: Option<Arc<Deterministic>>,
}

impl<E: Send + 'static> Guest<E> {
    pub(super) fn new(
        component: &Component<E>,
        tenant: &Tenant,
        quota: Arc<Quota>,
        clock: Arc<Clock>,
        given: Given<E>,
    ) -> Self {
        let Given { wasi, place, buckets, http, sockets, dirs, extension, deterministic } = given;
        let policy = tenant.policy();
        let limits = policy.limits.clone();
        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(limits.handles).unwrap_or(usize::MAX));
        let state = State {
            table,
            wasi,
            quota: Arc::clone(&quota),
            clock: Arc::clone(&clock),
            limiter: Limiter::new(Arc::clone(&quota), Arc::clone(&clock), limits.instances, limits.memory_wait.0),
            config: Arc::new(policy.grants.config.clone()),
            buckets,
            on_denied: policy.grants.on_denied,
            tenant: tenant.id().as_str().to_owned(),
            listings: HashMap::new(),
            calls: vec![0; Interface::COUNT].into_boxed_slice(),
            extension,
            http,
            deterministic,
            sockets,
            dirs,
        };
        let (pre, tier) = component.inner.chosen();
        Self { pre: pre.clone(), tier, state, limits, quota, clock, place }
    }

    /// Instantiates and calls, under every limit, until the end or until the clock says stop.
    pub(super) async fn run<R, F>(self, call: F) -> (Result<Verdict<R>, Stop>, Report)
    where
        F: for<'a> FnOnce(&'a mut Store<State<E>>, Instance) -> CallFuture<'a, R> + Send + 'static,
    {
        let Self { pre, tier, state, limits, quota, clock, place } = self;
        let _place = place;
        let began = Instant::now();
        let mut store = Store::new(pre.engine(), state);
        let instantiated = AtomicU64::new(0);
        let result = match arm(&mut store, &limits) {
            Ok(()) => {
                let work = Metered::new(Arc::clone(&clock), async {
                    let instance = pre.instantiate_async(&mut store).await?;
                    instantiated.store(nanos(began.elapsed()), Relaxed);
                    call(&mut store, instance).await
                });
                tokio::select! {
                    biased;
                    stop = clock.stopped() => Err(stop.into()),
                    result = work => result,
                }
            }
            Err(error) => Err(Stop::host_fault(format!("failed to set up the store: {error:#}")).into()),
        };
        let total = began.elapsed();
        let fuel = limits.fuel.map(|fuel| fuel.saturating_sub(fuel_left(store.get_fuel().unwrap_or(0))));
        // The engine looks at fuel when a function or a loop begins, so what comes after the last look is found here.
        let overspent = limits.fuel.is_some() && store.get_fuel().is_ok_and(|left| left == 0);
        let result = if overspent { result.and(Err(Trap::OutOfFuel.into())) } else { result };
        let ending = result.map_err(|error| stop_of(&error, &limits, &quota, fuel.unwrap_or(0)));
        let instantiate = match instantiated.load(Relaxed) {
            0 => total,
            nanos => Duration::from_nanos(nanos),
        };
        let calls = std::mem::take(&mut store.data_mut().calls);
        let report = Report {
            compiler: Some(tier.word()),
            cpu_ns: clock.cpu_ns(),
            fuel,
            instantiate,
            run: total.saturating_sub(instantiate),
            waits: clock.waits(),
            calls: Interface::NAMES.iter().copied().zip(calls).filter(|(_, count)| *count > 0).collect(),
            ..Report::default()
        };
        (ending, report)
    }
}

/// Puts every limit that the engine enforces onto the store.
fn arm<E: Send + 'static>(store: &mut Store<State<E>>, limits: &Limits) -> wasmtime::Result<()> {
    store.limiter_async(|state| &mut state.limiter);
    store.set_hostcall_fuel(usize::try_from(limits.hostcall.0).unwrap_or(usize::MAX));
    store.set_max_component_handles(usize::try_from(limits.handles).unwrap_or(usize::MAX));
    // A first deadline of at least one tick: at zero every call would take the slow path.
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| match store.data().clock.tick() {
        Ok(true) => Ok(UpdateDeadline::Continue(1)),
        Ok(false) => Ok(UpdateDeadline::Yield(1)),
        Err(stop) => Err(stop.into()),
    });
    if let Some(fuel) = limits.fuel {
        store.set_fuel(fuel_given(fuel))?;
        store.fuel_async_yield_interval(Some(FUEL_SLICE))?;
    }
    Ok(())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
