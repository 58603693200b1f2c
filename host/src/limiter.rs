//! Memory and tables of a store, summed over all of them and asked for before they grow.
//!
//! A growth that the invocation's own limit has no room for is refused. One that only the tenant or the host is short of
//! waits for others to give some back, as long as the limit `memory-wait` lets it, with the processor free for others.
//!
//! The engine asks for initial sizes too, so a component that declares more than it may have never gets it. What is
//! refused here is seen by the guest as a failed growth, which most languages turn into a trap; the refusal is
//! remembered, so that the trap is reported as what it is.
//!
//! What was granted is never given back before the store ends, not even when the engine then reports a failed growth:
//! it reports growths that it never asked about in the same way, and a guest could use those to count down what it
//! really holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::quota::{Asked, Quota};
use crate::scheduler::Clock;

/// Bytes that one table element takes on the host: a pointer.
const TABLE_ELEMENT_BYTES: u64 = 8;

/// The limiter of one store.
pub(crate) struct Limiter {
    quota: Arc<Quota>,
    clock: Arc<Clock>,
    instances: u64,
    wait: Duration,
}

impl Limiter {
    pub(crate) fn new(quota: Arc<Quota>, clock: Arc<Clock>, instances: u64, wait: Duration) -> Self {
        Self { quota, clock, instances, wait }
    }

    async fn grow(&self, bytes: u64) -> bool {
        match self.quota.memory.ask(bytes) {
            Asked::Granted => true,
            Asked::Refused => false,
            Asked::Wait(waiting) => {
                let began = Instant::now();
                let granted = tokio::time::timeout(self.wait, waiting).await.is_ok();
                self.clock.waited_for_memory(began.elapsed());
                if granted {
                    self.quota.memory.granted(bytes);
                } else {
                    self.quota.memory.given_up(bytes);
                }
                granted
            }
        }
    }
}

#[async_trait::async_trait]
impl wasmtime::ResourceLimiterAsync for Limiter {
    async fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Past the memory's own maximum the growth fails whatever we say; it must not count.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let bytes = desired.saturating_sub(current) as u64;
        Ok(self.grow(bytes).await)
    }

    async fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let elements = desired.saturating_sub(current) as u64;
        let bytes = elements.saturating_mul(TABLE_ELEMENT_BYTES);
        if !self.quota.table.try_grow(elements) {
            return Ok(false);
        }
        if !self.grow(bytes).await {
            self.quota.table.shrink(elements);
            return Ok(false);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        usize::try_from(self.instances).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::ResourceLimiterAsync as _;

    use super::*;
    use crate::policy::{Bytes, Limits};

    fn limiter(quota: &Arc<Quota>) -> Limiter {
        let clock = Arc::new(Clock::start(&Limits::default()));
        Limiter::new(Arc::clone(quota), clock, 3, Duration::ZERO)
    }

    fn ask<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn all_memories_and_tables_of_a_store_are_summed() {
        let limits = Limits { memory: Bytes(1000), table: 50, ..Limits::default() };
        let quota = Arc::new(Quota::new(&limits));
        let mut limiter = limiter(&quota);
        assert!(ask(limiter.memory_growing(0, 400, None)).unwrap());
        assert!(ask(limiter.memory_growing(0, 400, None)).unwrap());
        assert!(!ask(limiter.memory_growing(400, 601, None)).unwrap());
        assert!(ask(limiter.table_growing(0, 25, None)).unwrap());
        assert!(!ask(limiter.memory_growing(0, 1, None)).unwrap());
        assert_eq!((quota.memory.now(), quota.table.now()), (1000, 25));
    }

    #[test]
    fn a_table_that_is_refused_takes_nothing() {
        let limits = Limits { memory: Bytes(80), table: 50, ..Limits::default() };
        let quota = Arc::new(Quota::new(&limits));
        let mut limiter = limiter(&quota);
        assert!(!ask(limiter.table_growing(0, 11, None)).unwrap());
        assert!(!ask(limiter.table_growing(0, 51, None)).unwrap());
        assert_eq!((quota.memory.now(), quota.table.now()), (0, 0));
        assert!(ask(limiter.table_growing(0, 10, None)).unwrap());
    }

    #[test]
    fn a_failed_growth_that_was_never_asked_for_gives_nothing_back() {
        let quota = Arc::new(Quota::new(&Limits { memory: Bytes(1000), ..Limits::default() }));
        let mut limiter = limiter(&quota);
        assert!(ask(limiter.memory_growing(0, 1000, None)).unwrap());
        limiter.memory_grow_failed(wasmtime::format_err!("impossible")).unwrap();
        assert!(!ask(limiter.memory_growing(1000, 1001, None)).unwrap());
    }
}
