//! `wasi:clocks/monotonic-clock`: the real clock, and timers that are counted.
//!
//! Threat model: a guest sets timers without end, each of which costs the host memory and work; so each counts against
//! the limit `timers` for as long as its pollable lives. A timer that is due at once still gives the thread to others,
//! so that a guest which polls one in a loop can't keep sockets from being looked at. Precision is not reduced: a guest
//! has a clock as good as the host's, and with it what timing tells about the machine; only a deterministic run has
//! none of that.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::deterministic::Deterministic;
use crate::quota::{Quota, Slot};

/// What clocks need: wasmtime-wasi's own view, and where to count timers.
pub(crate) struct ClocksView<'a> {
    pub(crate) inner: WasiClocksCtxView<'a>,
    pub(crate) quota: &'a Arc<Quota>,
    /// The clock of a deterministic run.
    pub(crate) deterministic: Option<&'a Arc<Deterministic>>,
}

/// Marks [`ClocksView`] for the linker.
pub(crate) struct Clocks;

impl HasData for Clocks {
    type Data<'a> = ClocksView<'a>;
}

/// A timer that is set.
struct Timer {
    due: Due,
    _slot: Slot,
}

enum Due {
    Now {
        yielded: bool,
    },
    At(Instant),
    /// At a time of a deterministic run's clock.
    Simulated(Arc<Deterministic>, u64),
    /// Further away than a clock can say.
    Never,
}

impl ClocksView<'_> {
    fn set(&mut self, after: Duration) -> wasmtime::Result<Resource<DynPollable>> {
        let slot = self.quota.slot(|quota| &quota.timers)?;
        let due = match (Instant::now().checked_add(after), self.deterministic) {
            _ if after.is_zero() => Due::Now { yielded: false },
            (Some(_), Some(run)) => {
                let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
                // Half of what the clock can say leaves room for readings.
                let due = run.elapsed_ns().checked_add(after).filter(|due| *due < u64::MAX / 2);
                due.map_or(Due::Never, |due| Due::Simulated(Arc::clone(run), due))
            }
            (Some(at), None) => Due::At(at),
            (None, _) => Due::Never,
        };
        let timer = self.inner.table.push(Timer { due, _slot: slot })?;
        subscribe(self.inner.table, timer)
    }
}

impl monotonic_clock::Host for ClocksView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        monotonic_clock::Host::now(&mut self.inner)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        monotonic_clock::Host::resolution(&mut self.inner)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let now = monotonic_clock::Host::now(&mut self.inner)?;
        self.set(Duration::from_nanos(when.saturating_sub(now)))
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.set(Duration::from_nanos(duration))
    }
}

/// A timer of a deterministic run that is waited for, until this is dropped.
struct Waiting<'a> {
    run: &'a Deterministic,
    due: u64,
}

impl<'a> Waiting<'a> {
    fn begin(run: &'a Deterministic, due: u64) -> Self {
        run.waits_for(due);
        Self { run, due }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.run.waits_no_longer(self.due);
    }
}

#[async_trait::async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        match &mut self.due {
            Due::Now { yielded: true } => {}
            Due::Now { yielded } => {
                *yielded = true;
                tokio::task::yield_now().await;
            }
            Due::At(at) => tokio::time::sleep_until(*at).await,
            Due::Simulated(run, due) => {
                let waiting = Waiting::begin(run, *due);
                // What else the guest waits for is looked at first.
                tokio::task::yield_now().await;
                if !waiting.run.is_due(*due) {
                    // Another timer comes before it, and ends the waiting for both.
                    std::future::pending::<()>().await;
                }
            }
            Due::Never => std::future::pending().await,
        }
    }
}
