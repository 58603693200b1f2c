//! The tree of memory budgets: the host's at the root, below it one for each tenant, below those the invocations.
//!
//! An invocation's own limit is looked at before anything comes here. What is short here waits: in the order of
//! arrival, so that a large request isn't starved by small ones that come later. A request that its tenant's own budget
//! has no room for waits without holding up other tenants; one that only the host is too small for holds up all that came
//! after it. A request that could never fit is refused at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::lock;
use crate::outcome::Scope;

/// The budgets of one host.
#[derive(Debug)]
pub(crate) struct Memory {
    max: u64,
    state: Mutex<State>,
}

/// There is no room: whose budget is short, its size, and what is taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) scope: Scope,
    pub(crate) max: u64,
    pub(crate) used: u64,
    /// Whether it would not even fit if nothing else were held.
    pub(crate) for_ever: bool,
}

/// A request that waits. Dropped, it takes nothing.
#[derive(Debug)]
pub(crate) struct Waiting {
    memory: Arc<Memory>,
    id: u64,
    tenant: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    tenants: HashMap<u64, u64>,
    /// In the order of arrival.
    queue: BTreeMap<u64, Request>,
    granted: BTreeSet<u64>,
    next: u64,
}

#[derive(Debug)]
struct Request {
    tenant: u64,
    tenant_max: u64,
    bytes: u64,
    waker: Option<Waker>,
}

impl Memory {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, state: Mutex::default() }
    }

    /// Takes memory for a tenant if there is room and nobody waits for it.
    ///
    /// # Errors
    /// Which budget is short; nothing is taken then.
    pub(crate) fn try_take(&self, tenant: u64, tenant_max: u64, bytes: u64) -> Result<(), Short> {
        let mut state = lock(&self.state);
        if bytes == 0 {
            return Ok(());
        }
        match state.room(self.max, tenant, tenant_max, bytes) {
            Some(short) => Err(short),
            None if state.is_held_up(self.max, tenant) => Err(state.short(Scope::Host, self.max, bytes, tenant)),
            None => {
                state.take(tenant, bytes);
                Ok(())
            }
        }
    }

    /// Puts a request at the end of the queue.
    pub(crate) fn wait(self: &Arc<Self>, tenant: u64, tenant_max: u64, bytes: u64) -> Waiting {
        let mut state = lock(&self.state);
        state.next = state.next.saturating_add(1);
        let id = state.next;
        state.queue.insert(id, Request { tenant, tenant_max, bytes, waker: None });
        // Between the look at the room and now somebody may have given some back.
        state.serve(self.max);
        Waiting { memory: Arc::clone(self), id, tenant, bytes }
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, tenant: u64, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut state = lock(&self.state);
        state.give_back(tenant, bytes);
        state.serve(self.max);
    }

    /// Which budget a request that can't be met now is short of.
    pub(crate) fn shortage(&self, tenant: u64, tenant_max: u64, bytes: u64) -> Short {
        let state = lock(&self.state);
        let short = state.room(self.max, tenant, tenant_max, bytes);
        short.unwrap_or_else(|| state.short(Scope::Host, self.max, bytes, tenant))
    }

    /// Bytes that are taken, and requests that wait.
    pub(crate) fn in_use(&self) -> (u64, u64) {
        let state = lock(&self.state);
        (state.used, state.queue.len() as u64)
    }
}

impl State {
    fn tenant_used(&self, tenant: u64) -> u64 {
        self.tenants.get(&tenant).copied().unwrap_or(0)
    }

    fn short(&self, scope: Scope, max: u64, bytes: u64, tenant: u64) -> Short {
        let used = if scope == Scope::Tenant { self.tenant_used(tenant) } else { self.used };
        Short { scope, max, used, for_ever: bytes > max }
    }

    /// Which budget has no room, the tenant's before the host's.
    fn room(&self, max: u64, tenant: u64, tenant_max: u64, bytes: u64) -> Option<Short> {
        if self.tenant_used(tenant).saturating_add(bytes) > tenant_max {
            return Some(self.short(Scope::Tenant, tenant_max, bytes, tenant));
        }
        (self.used.saturating_add(bytes) > max).then(|| self.short(Scope::Host, max, bytes, tenant))
    }

    /// Whether somebody came before who must be served before this tenant.
    fn is_held_up(&self, max: u64, tenant: u64) -> bool {
        self.queue.values().any(|request| {
            let by_tenant = self.tenant_used(request.tenant).saturating_add(request.bytes) > request.tenant_max;
            request.tenant == tenant || (!by_tenant && self.used.saturating_add(request.bytes) > max)
        })
    }

    fn take(&mut self, tenant: u64, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.used = self.used.saturating_add(bytes);
        let used = self.tenants.entry(tenant).or_default();
        *used = used.saturating_add(bytes);
    }

    fn give_back(&mut self, tenant: u64, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
        if let Some(used) = self.tenants.get_mut(&tenant) {
            *used = used.saturating_sub(bytes);
            if *used == 0 {
                self.tenants.remove(&tenant);
            }
        }
    }

    /// Grants what there is room for, in the order of arrival.
    fn serve(&mut self, max: u64) {
        let mut held_up = BTreeSet::new();
        let mut met = Vec::new();
        let ids: Vec<u64> = self.queue.keys().copied().collect();
        for id in ids {
            let Some(request) = self.queue.get(&id) else { continue };
            let (tenant, bytes) = (request.tenant, request.bytes);
            if held_up.contains(&tenant) {
                continue;
            }
            match self.room(max, tenant, request.tenant_max, bytes) {
                None => {
                    self.take(tenant, bytes);
                    met.push(id);
                }
                Some(short) if short.scope == Scope::Tenant => {
                    held_up.insert(tenant);
                }
                Some(_) => break,
            }
        }
        for id in met {
            if let Some(request) = self.queue.remove(&id) {
                self.granted.insert(id);
                if let Some(waker) = request.waker {
                    waker.wake();
                }
            }
        }
    }
}

impl Future for Waiting {
    type Output = ();

    /// Ready once the memory is taken; whoever gets that owns it and must give it back.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.memory.state);
        if state.granted.remove(&self.id) {
            return Poll::Ready(());
        }
        if let Some(request) = state.queue.get_mut(&self.id) {
            request.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = lock(&self.memory.state);
        let waited = state.queue.remove(&self.id).is_some();
        let granted = state.granted.remove(&self.id);
        if granted {
            state.give_back(self.tenant, self.bytes);
        }
        if waited || granted {
            state.serve(self.memory.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_MAX: u64 = u64::MAX;

    fn ready(waiting: &mut Waiting) -> bool {
        Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn memory(max: u64) -> Arc<Memory> {
        Arc::new(Memory::new(max))
    }

    #[test]
    fn each_budget_gives_up_to_its_limit_and_not_a_byte_more() {
        let memory = memory(100);
        assert_eq!(memory.try_take(1, 60, 60), Ok(()));
        let short = Short { scope: Scope::Tenant, max: 60, used: 60, for_ever: false };
        assert_eq!(memory.try_take(1, 60, 1), Err(short));
        assert_eq!(memory.try_take(2, 60, 40), Ok(()));
        let short = Short { scope: Scope::Host, max: 100, used: 100, for_ever: false };
        assert_eq!(memory.try_take(2, 60, 1), Err(short));
        assert!(memory.try_take(2, NO_MAX, 101).unwrap_err().for_ever);
        memory.give_back(1, 60);
        memory.give_back(2, 40);
        assert_eq!(memory.in_use(), (0, 0));
    }

    #[test]
    fn who_comes_first_is_served_first_and_the_small_do_not_overtake_the_large() {
        let memory = memory(100);
        assert_eq!(memory.try_take(1, NO_MAX, 90), Ok(()));
        let mut large = memory.wait(2, NO_MAX, 50);
        let mut small = memory.wait(3, NO_MAX, 10);
        assert!(memory.try_take(4, NO_MAX, 10).is_err(), "nobody overtakes");
        assert!(!ready(&mut large) && !ready(&mut small));
        memory.give_back(1, 30);
        assert!(!ready(&mut small));
        memory.give_back(1, 10);
        assert!(ready(&mut large));
        assert!(!ready(&mut small));
        memory.give_back(1, 50);
        assert!(ready(&mut small));
        memory.give_back(2, 50);
        memory.give_back(3, 10);
        assert_eq!(memory.in_use(), (0, 0));
    }

    #[test]
    fn a_tenant_that_is_short_of_its_own_budget_holds_up_nobody_else() {
        let memory = memory(100);
        assert_eq!(memory.try_take(1, 50, 50), Ok(()));
        let mut own = memory.wait(1, 50, 40);
        assert_eq!(memory.try_take(2, NO_MAX, 50), Ok(()));
        memory.give_back(2, 10);
        assert!(memory.try_take(1, 50, 0).is_ok());
        assert!(!ready(&mut own));
        memory.give_back(1, 40);
        assert!(ready(&mut own));
    }

    #[test]
    fn a_request_that_is_dropped_takes_nothing_and_lets_the_next_in() {
        let memory = memory(100);
        assert_eq!(memory.try_take(1, NO_MAX, 90), Ok(()));
        let large = memory.wait(2, NO_MAX, 50);
        let mut small = memory.wait(3, NO_MAX, 10);
        drop(large);
        assert!(ready(&mut small));
        let granted = memory.wait(4, NO_MAX, 5);
        memory.give_back(1, 90);
        drop(granted);
        drop(small);
        assert_eq!(memory.in_use(), (10, 0));
    }

    /// What a schedule does next; numbers are taken modulo what there is.
    #[derive(Clone, Debug)]
    enum Step {
        Take { tenant: u64, bytes: u64 },
        Wait { tenant: u64, bytes: u64 },
        Poll(usize),
        GiveBack(usize),
        GoAway(usize),
    }

    fn step() -> impl proptest::strategy::Strategy<Value = Step> {
        use proptest::prelude::*;
        prop_oneof![
            (0..4_u64, 0..120_u64).prop_map(|(tenant, bytes)| Step::Take { tenant, bytes }),
            (0..4_u64, 0..120_u64).prop_map(|(tenant, bytes)| Step::Wait { tenant, bytes }),
            any::<usize>().prop_map(Step::Poll),
            any::<usize>().prop_map(Step::GiveBack),
            any::<usize>().prop_map(Step::GoAway),
        ]
    }

    proptest::proptest! {
        /// Random trees and schedules: no budget is ever exceeded, what is counted is what is held, nobody who could
        /// be served is left waiting, and in the end nothing is left.
        #[test]
        fn budgets_hold_at_every_step_and_return_to_zero(
            max in 1..300_u64,
            tenant_max in proptest::collection::vec(1..200_u64, 4),
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let memory = memory(max);
            let of = |tenant: u64| tenant_max[tenant as usize];
            let mut held: Vec<(u64, u64)> = Vec::new();
            let mut waiting: Vec<Waiting> = Vec::new();
            for step in steps {
                match step {
                    Step::Take { tenant, bytes } if memory.try_take(tenant, of(tenant), bytes).is_ok() => {
                        held.push((tenant, bytes));
                    }
                    Step::Wait { tenant, bytes } => waiting.push(memory.wait(tenant, of(tenant), bytes)),
                    Step::Poll(n) if !waiting.is_empty() => {
                        let n = n % waiting.len();
                        if ready(&mut waiting[n]) {
                            let one = waiting.remove(n);
                            held.push((one.tenant, one.bytes));
                        }
                    }
                    Step::GiveBack(n) if !held.is_empty() => {
                        let (tenant, bytes) = held.remove(n % held.len());
                        memory.give_back(tenant, bytes);
                    }
                    Step::GoAway(n) if !waiting.is_empty() => drop(waiting.remove(n % waiting.len())),
                    _ => {}
                }
                let state = lock(&memory.state);
                let granted = waiting.iter().filter(|one| state.granted.contains(&one.id)).map(|one| (one.tenant, one.bytes));
                let counted: Vec<(u64, u64)> = held.iter().copied().chain(granted).collect();
                proptest::prop_assert_eq!(state.used, counted.iter().map(|(_, bytes)| bytes).sum::<u64>());
                proptest::prop_assert!(state.used <= max);
                for tenant in 0..4 {
                    let used: u64 = counted.iter().filter(|(of, _)| *of == tenant).map(|(_, bytes)| bytes).sum();
                    proptest::prop_assert_eq!(state.tenant_used(tenant), used);
                    proptest::prop_assert!(used <= of(tenant));
                }
                // Who came first and has room isn't waiting.
                if let Some(first) = state.queue.values().next() {
                    proptest::prop_assert!(state.room(max, first.tenant, first.tenant_max, first.bytes).is_some());
                }
            }
            drop(waiting);
            for (tenant, bytes) in held {
                memory.give_back(tenant, bytes);
            }
            proptest::prop_assert_eq!(memory.in_use(), (0, 0));
            proptest::prop_assert!(lock(&memory.state).tenants.is_empty());
        }
    }
}
