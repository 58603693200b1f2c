//! Places for invocations: how many are under way and how many wait, for each tenant and for the host.
//!
//! A place that becomes free goes to the tenant that has the fewest under way for its weight, and within a tenant to
//! whoever came first. So a tenant with a thousand waiting invocations doesn't stand before one that has none under way.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::lock;
use crate::outcome::Scope;
use crate::policy::TenantLimits;

/// The places of one host.
#[derive(Debug)]
pub(crate) struct Places {
    concurrency: u64,
    queue: u64,
    state: Mutex<State>,
}

/// There is neither a place nor room in the queue: whose queue is full, and how many wait in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) scope: Scope,
    pub(crate) queued: u64,
    pub(crate) max: u64,
    /// When there may be room, in milliseconds: how long the queue takes at the pace of late.
    pub(crate) retry_ms: u64,
}

/// The longest time after which somebody is told to try again.
const MAX_RETRY_MS: u64 = 60_000;

/// A place, or one's turn in the queue for it. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    tenant: u64,
    id: u64,
    taken: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    /// How long a place was held of late, in microseconds.
    held_us: u64,
    in_flight: u64,
    queued: u64,
    next: u64,
    tenants: HashMap<u64, Tenant>,
    emptied: Vec<Waker>,
}

#[derive(Debug, Default)]
struct Tenant {
    in_flight: u64,
    max: u64,
    weight: u64,
    queue: VecDeque<(u64, Option<Waker>)>,
}

impl Places {
    pub(crate) fn new(concurrency: u64, queue: u64) -> Self {
        Self { concurrency, queue, state: Mutex::default() }
    }

    /// Takes a place, or a turn in the queue: await the result to have the place.
    ///
    /// # Errors
    /// Both are full.
    pub(crate) fn enter(self: &Arc<Self>, tenant: u64, limits: &TenantLimits) -> Result<Place, Full> {
        let mut state = lock(&self.state);
        state.next = state.next.saturating_add(1);
        let id = state.next;
        let (host_queued, in_flight) = (state.queued, state.in_flight);
        let mine = state.tenants.entry(tenant).or_default();
        mine.max = limits.concurrency;
        mine.weight = limits.weight.max(1);
        let taken = in_flight < self.concurrency && mine.in_flight < mine.max && mine.queue.is_empty();
        let queued = mine.queue.len() as u64;
        if !taken {
            let (scope, queued, max, places) = if queued >= limits.queue {
                (Scope::Tenant, queued, limits.queue, limits.concurrency)
            } else {
                (Scope::Host, host_queued, self.queue, self.concurrency)
            };
            if queued >= max {
                state.forget(tenant);
                let retry_us = state.held_us.saturating_mul(queued.saturating_add(1)) / places.max(1);
                return Err(Full { scope, queued, max, retry_ms: (retry_us / 1000).clamp(1, MAX_RETRY_MS) });
            }
            if let Some(mine) = state.tenants.get_mut(&tenant) {
                mine.queue.push_back((id, None));
            }
            state.queued = state.queued.saturating_add(1);
        } else {
            mine.in_flight = mine.in_flight.saturating_add(1);
            state.in_flight = state.in_flight.saturating_add(1);
        }
        Ok(Place { places: Arc::clone(self), tenant, id, taken: taken.then(Instant::now) })
    }

    /// Invocations under way, and those that wait.
    pub(crate) fn in_use(&self) -> (u64, u64) {
        let state = lock(&self.state);
        (state.in_flight, state.queued)
    }

    /// Waits until nothing is under way and nothing waits.
    pub(crate) async fn empty(&self) {
        std::future::poll_fn(|cx| {
            let mut state = lock(&self.state);
            if state.in_flight == 0 && state.queued == 0 {
                return Poll::Ready(());
            }
            state.emptied.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl State {
    fn forget(&mut self, tenant: u64) {
        if self.tenants.get(&tenant).is_some_and(|tenant| tenant.in_flight == 0 && tenant.queue.is_empty()) {
            self.tenants.remove(&tenant);
        }
    }

    /// Hands out free places.
    fn serve(&mut self, concurrency: u64) {
        while self.in_flight < concurrency {
            let waiting = self.tenants.values_mut().filter(|tenant| tenant.in_flight < tenant.max);
            let waiting = waiting.filter_map(|tenant| {
                let id = tenant.queue.front()?.0;
                let share = u128::from(tenant.in_flight) * 1_000_000 / u128::from(tenant.weight.max(1));
                Some((share, id, tenant))
            });
            let Some((_, _, tenant)) = waiting.min_by_key(|(share, id, _)| (*share, *id)) else { break };
            let Some((_, waker)) = tenant.queue.pop_front() else { break };
            tenant.in_flight = tenant.in_flight.saturating_add(1);
            self.in_flight = self.in_flight.saturating_add(1);
            self.queued = self.queued.saturating_sub(1);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        if self.in_flight == 0 && self.queued == 0 {
            self.emptied.drain(..).for_each(Waker::wake);
        }
    }
}

impl Future for Place {
    type Output = ();

    /// Ready once the place is taken.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.taken.is_some() {
            return Poll::Ready(());
        }
        let places = Arc::clone(&self.places);
        let mut state = lock(&places.state);
        let queue = state.tenants.get_mut(&self.tenant).map(|tenant| &mut tenant.queue);
        // Whoever isn't in the queue any more was given its place.
        let turn = queue.and_then(|queue| queue.iter_mut().find(|(id, _)| *id == self.id));
        match turn {
            Some((_, waker)) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => {
                self.taken = Some(Instant::now());
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.places.state);
        let Some(tenant) = state.tenants.get_mut(&self.tenant) else { return };
        let before = tenant.queue.len();
        if self.taken.is_none() {
            tenant.queue.retain(|(id, _)| *id != self.id);
        }
        if tenant.queue.len() < before {
            state.queued = state.queued.saturating_sub(1);
        } else {
            tenant.in_flight = tenant.in_flight.saturating_sub(1);
            state.in_flight = state.in_flight.saturating_sub(1);
            if let Some(taken) = self.taken {
                let held = u64::try_from(taken.elapsed().as_micros()).unwrap_or(u64::MAX);
                state.held_us = state.held_us / 8 * 7 + held / 8;
            }
        }
        state.serve(self.places.concurrency);
        state.forget(self.tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(concurrency: u64, queue: u64) -> TenantLimits {
        TenantLimits { concurrency, queue, ..TenantLimits::default() }
    }

    fn ready(place: &mut Place) -> bool {
        Pin::new(place).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn places_and_queue_are_full_at_their_limits_and_not_before() {
        let places = Arc::new(Places::new(10, 10));
        let mut first = places.enter(1, &limits(1, 1)).unwrap();
        let mut second = places.enter(1, &limits(1, 1)).unwrap();
        assert!(ready(&mut first) && !ready(&mut second));
        let full = places.enter(1, &limits(1, 1)).unwrap_err();
        assert_eq!((full.scope, full.queued, full.max), (Scope::Tenant, 1, 1));
        assert!(full.retry_ms >= 1);
        assert!(ready(&mut places.enter(2, &limits(1, 1)).unwrap()), "another tenant isn't held up");
        drop(first);
        assert!(ready(&mut second));
        drop(second);
        assert_eq!(places.in_use(), (0, 0));
    }

    #[test]
    fn the_hosts_own_bounds_hold_over_all_tenants() {
        let places = Arc::new(Places::new(1, 1));
        let first = places.enter(1, &limits(9, 9)).unwrap();
        let mut second = places.enter(2, &limits(9, 9)).unwrap();
        assert!(!ready(&mut second));
        assert_eq!(places.enter(3, &limits(9, 9)).unwrap_err().scope, Scope::Host);
        drop(first);
        assert!(ready(&mut second));
    }

    #[test]
    fn a_free_place_goes_to_the_tenant_that_has_the_fewest() {
        let places = Arc::new(Places::new(2, 100));
        let mut running: Vec<Place> = (0..2).map(|_| places.enter(1, &limits(9, 99)).unwrap()).collect();
        let mut greedy: Vec<Place> = (0..5).map(|_| places.enter(1, &limits(9, 99)).unwrap()).collect();
        let mut modest = places.enter(2, &limits(9, 99)).unwrap();
        drop(running.pop());
        assert!(ready(&mut modest));
        assert!(!greedy.iter_mut().any(ready));
        drop(running.pop());
        assert!(ready(&mut greedy[0]) && !ready(&mut greedy[1]));
    }

    #[test]
    fn who_leaves_the_queue_takes_nothing_and_who_was_served_unseen_gives_its_place_back() {
        let places = Arc::new(Places::new(1, 9));
        let first = places.enter(1, &limits(9, 9)).unwrap();
        let left = places.enter(1, &limits(9, 9)).unwrap();
        let unseen = places.enter(1, &limits(9, 9)).unwrap();
        drop(left);
        assert_eq!(places.in_use(), (1, 1));
        drop(first);
        assert_eq!(places.in_use(), (1, 0));
        drop(unseen);
        assert_eq!(places.in_use(), (0, 0));
        assert!(lock(&places.state).tenants.is_empty());
    }
}
