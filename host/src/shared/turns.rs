//! Turns on the processor: weighted fair queueing over tenants.
//!
//! A host computes on a fixed number of slots. Each poll of a guest is a turn on one of them, and at every epoch tick a
//! guest that isn't the next in order gives its slot back. The order is by what each tenant has used for its weight,
//! so a tenant with a thousand guests gets one tenant's share; within a tenant guests take turns in the order in which
//! they asked. Time that a tenant didn't use is saved up for [`MAX_BEHIND`] and no longer. A slot is never left free while
//! somebody waits, so one tenant alone has the whole machine.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use super::lock;

/// The slots of one host and who waits for them.
#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<State>,
}

/// One guest's place in the order.
#[derive(Debug)]
pub(crate) struct Ticket {
    turns: Arc<Turns>,
    tenant: u64,
    weight: u64,
    id: u64,
}

/// What a guest may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Go on.
    Mine,
    /// Others come first.
    Theirs,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// The furthest that anybody had used when it was given a turn.
    now: u128,
    next: u64,
    tenants: HashMap<u64, Tenant>,
    /// Tenants with somebody who waits, the next one first.
    order: BTreeSet<(u128, u64)>,
    /// Guests that hold a slot, with their tenants.
    holding: BTreeMap<u64, u64>,
}

#[derive(Debug, Default)]
struct Tenant {
    /// What it has used for its weight, in nanoseconds times [`SCALE`].
    used: u128,
    guests: usize,
    waiting: VecDeque<(u64, Waker)>,
}

/// Keeps fractions of a nanosecond for large weights.
const SCALE: u128 = 1000;

/// How far behind the others a tenant can be, in scaled nanoseconds: enough for a short job to come first, and little
/// enough that nobody is kept waiting by what was saved up.
const MAX_BEHIND: u128 = 50_000_000 * SCALE;

/// Tenants above which those without guests are forgotten.
const MAX_REMEMBERED: usize = 1024;

impl Turns {
    pub(crate) fn new(slots: usize) -> Self {
        let state = State {
            free: slots.max(1),
            now: 0,
            next: 0,
            tenants: HashMap::new(),
            order: BTreeSet::new(),
            holding: BTreeMap::new(),
        };
        Self { state: Mutex::new(state) }
    }

    /// A ticket for a guest of a tenant.
    pub(crate) fn ticket(self: &Arc<Self>, tenant: u64, weight: u64) -> Ticket {
        let mut state = lock(&self.state);
        state.next = state.next.saturating_add(1);
        let (id, now) = (state.next, state.now);
        if state.tenants.len() > MAX_REMEMBERED {
            state.tenants.retain(|_, tenant| tenant.guests > 0 || tenant.counts(now));
        }
        let used = now.saturating_sub(MAX_BEHIND);
        let mine = state.tenants.entry(tenant).or_insert_with(|| Tenant { used, ..Tenant::default() });
        mine.guests = mine.guests.saturating_add(1);
        Ticket { turns: Arc::clone(self), tenant, weight: weight.max(1), id }
    }

    /// Guests that hold a slot, and guests that wait for one.
    pub(crate) fn in_use(&self) -> (u64, u64) {
        let state = lock(&self.state);
        let waiting = state.tenants.values().map(|tenant| tenant.waiting.len() as u64).sum();
        (state.holding.len() as u64, waiting)
    }
}

impl Ticket {
    /// Takes a slot, or asks to be woken when there is one.
    pub(crate) fn begin(&self, waker: &Waker) -> Poll<()> {
        let mut state = lock(&self.turns.state);
        if state.holding.contains_key(&self.id) {
            return Poll::Ready(());
        }
        if state.free > 0 && state.order.is_empty() {
            state.start(self.tenant);
            state.free -= 1;
            state.holding.insert(self.id, self.tenant);
            return Poll::Ready(());
        }
        state.enqueue(self.tenant, self.id, waker);
        // A slot can be free here when the one that it was given to has gone away.
        state.serve();
        if state.holding.contains_key(&self.id) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether a guest that waits comes before one that holds a slot, so that it is worth a tick of its own.
    pub(crate) fn comes_before_a_holder(&self) -> bool {
        let state = lock(&self.turns.state);
        let used = |tenant: &u64| state.tenants.get(tenant).map(|tenant| tenant.used);
        let mine = used(&self.tenant);
        state.holding.values().any(|holder| used(holder) > mine)
    }

    /// Counts what was used since the last time, and says whether the guest may go on. Called while it holds a slot.
    pub(crate) fn tick(&self, used_ns: u64) -> Turn {
        let mut state = lock(&self.turns.state);
        state.charge(self.tenant, used_ns, self.weight);
        let Some(mine) = state.tenants.get(&self.tenant) else { return Turn::Mine };
        let first = state.order.first();
        let theirs = !mine.waiting.is_empty() || first.is_some_and(|(used, _)| *used < mine.used);
        if theirs { Turn::Theirs } else { Turn::Mine }
    }

    /// Counts what was used since the last time, and gives the slot back.
    pub(crate) fn end(&self, used_ns: u64) {
        let mut state = lock(&self.turns.state);
        state.charge(self.tenant, used_ns, self.weight);
        state.release(self.id);
    }

    /// Gives the slot back without a word from the guest, which doesn't come back from where it is.
    pub(crate) fn give_up(&self) {
        lock(&self.turns.state).release(self.id);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = lock(&self.turns.state);
        state.leave(self.tenant, self.id);
        state.release(self.id);
    }
}

impl Tenant {
    /// Whether what it used makes a difference to where it would start.
    fn counts(&self, now: u128) -> bool {
        self.used > now.saturating_sub(MAX_BEHIND)
    }
}

impl State {
    /// Brings a tenant up to where its saved time begins, and the others' start up to it.
    fn start(&mut self, tenant: u64) {
        if let Some(mine) = self.tenants.get_mut(&tenant) {
            mine.used = mine.used.max(self.now.saturating_sub(MAX_BEHIND));
            self.now = self.now.max(mine.used);
        }
    }

    fn enqueue(&mut self, tenant: u64, id: u64, waker: &Waker) {
        let floor = self.now.saturating_sub(MAX_BEHIND);
        let Some(mine) = self.tenants.get_mut(&tenant) else { return };
        if let Some((_, known)) = mine.waiting.iter_mut().find(|(other, _)| *other == id) {
            known.clone_from(waker);
            return;
        }
        if mine.waiting.is_empty() {
            mine.used = mine.used.max(floor);
            self.order.insert((mine.used, tenant));
        }
        mine.waiting.push_back((id, waker.clone()));
    }

    fn charge(&mut self, tenant: u64, used_ns: u64, weight: u64) {
        let Some(mine) = self.tenants.get_mut(&tenant) else { return };
        let listed = self.order.remove(&(mine.used, tenant));
        self.now = self.now.max(mine.used);
        let from = mine.used.max(self.now.saturating_sub(MAX_BEHIND));
        mine.used = from.saturating_add(u128::from(used_ns) * SCALE / u128::from(weight));
        if listed {
            self.order.insert((mine.used, tenant));
        }
    }

    fn release(&mut self, id: u64) {
        if self.holding.remove(&id).is_some() {
            self.free = self.free.saturating_add(1);
            self.serve();
        }
    }

    fn leave(&mut self, tenant: u64, id: u64) {
        let Some(mine) = self.tenants.get_mut(&tenant) else { return };
        mine.guests = mine.guests.saturating_sub(1);
        mine.waiting.retain(|(other, _)| *other != id);
        if mine.waiting.is_empty() {
            self.order.remove(&(mine.used, tenant));
        }
        // Somebody who comes back soon doesn't start anew, or leaving and coming would be a way to the front.
        if mine.guests == 0 && !mine.counts(self.now) {
            self.tenants.remove(&tenant);
        }
    }

    /// Gives free slots to who is next.
    fn serve(&mut self) {
        while self.free > 0 {
            let Some((used, tenant)) = self.order.pop_first() else { break };
            let Some(mine) = self.tenants.get_mut(&tenant) else { continue };
            let Some((id, waker)) = mine.waiting.pop_front() else { continue };
            if !mine.waiting.is_empty() {
                self.order.insert((used, tenant));
            }
            self.now = self.now.max(used);
            self.free -= 1;
            self.holding.insert(id, tenant);
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A machine of some slots on which guests spin: each tick every holder uses 10 ms and is asked to go on or not.
    fn spin(slots: usize, guests: &[(u64, u64, usize)], ticks: usize) -> BTreeMap<u64, u64> {
        const TICK: u64 = 10_000_000;
        let turns = Arc::new(Turns::new(slots));
        let tickets: Vec<Ticket> = guests
            .iter()
            .flat_map(|(tenant, weight, count)| (0..*count).map(|_| turns.ticket(*tenant, *weight)))
            .collect();
        let mut used = BTreeMap::new();
        for _ in 0..ticks {
            let holding: Vec<&Ticket> =
                tickets.iter().filter(|ticket| ticket.begin(Waker::noop()).is_ready()).collect();
            assert_eq!(holding.len(), slots.min(tickets.len()), "no slot is left free");
            for ticket in holding {
                *used.entry(ticket.tenant).or_default() += TICK;
                if ticket.tick(TICK) == Turn::Theirs {
                    ticket.end(0);
                }
            }
        }
        drop(tickets);
        assert_eq!(turns.in_use(), (0, 0));
        assert_eq!(lock(&turns.state).free, slots);
        used
    }

    fn ratio(used: &BTreeMap<u64, u64>) -> f64 {
        used[&1] as f64 / used[&2] as f64
    }

    #[test]
    fn a_tenant_with_many_guests_gets_one_share_and_not_many() {
        for slots in [1_usize, 2, 4] {
            let few = slots.div_ceil(2);
            let ratio = ratio(&spin(slots, &[(1, 1, 64), (2, 1, few)], 1000));
            assert!((0.95..1.05).contains(&ratio), "{slots} slots: {ratio}");
        }
    }

    #[test]
    fn weights_are_shares() {
        let ratio = ratio(&spin(2, &[(1, 3, 8), (2, 1, 8)], 2000));
        assert!((2.9..3.1).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_tenant_alone_has_every_slot() {
        assert_eq!(spin(2, &[(1, 1, 3)], 100)[&1], 2 * 100 * 10_000_000);
    }

    #[test]
    fn who_comes_late_waits_for_one_tick_and_owes_nothing_to_the_past() {
        let turns = Arc::new(Turns::new(1));
        let (old, new) = (turns.ticket(1, 1), turns.ticket(2, 1));
        assert!(old.begin(Waker::noop()).is_ready());
        for _ in 0..1000 {
            assert_eq!(old.tick(10_000_000), Turn::Mine);
        }
        assert!(new.begin(Waker::noop()).is_pending());
        assert!(new.comes_before_a_holder() && !old.comes_before_a_holder());
        assert_eq!(old.tick(10_000_000), Turn::Theirs);
        old.end(0);
        assert!(new.begin(Waker::noop()).is_ready());
        assert!(old.begin(Waker::noop()).is_pending());
        let mut before_old = 0;
        while new.tick(10_000_000) == Turn::Mine {
            before_old += 1;
        }
        assert!(before_old <= 10, "it was idle for ten seconds and gets {before_old} ticks for that");
    }

    /// Each job of the second tenant is a guest of its own, which comes when the one before has gone.
    #[test]
    fn short_jobs_come_first_and_coming_anew_is_no_way_to_more_than_a_share() {
        let turns = Arc::new(Turns::new(1));
        let spinner = turns.ticket(1, 1);
        assert!(spinner.begin(Waker::noop()).is_ready());
        spinner.tick(100_000_000);
        let (mut spun, mut worked) = (0_u64, 0_u64);
        let mut work = |turns: &Arc<Turns>, ms: u64, pause: u64| {
            let job = turns.ticket(2, 1);
            assert!(job.begin(Waker::noop()).is_pending());
            let first = job.comes_before_a_holder();
            let each = u64::from(!first);
            let mut ticks = each;
            while spinner.tick(each * 1_000_000) == Turn::Mine {
                ticks += each;
            }
            spinner.end(0);
            assert!(job.begin(Waker::noop()).is_ready() && spinner.begin(Waker::noop()).is_pending());
            job.end(ms * 1_000_000);
            drop(job);
            assert!(spinner.begin(Waker::noop()).is_ready());
            spinner.tick(pause * 1_000_000);
            (spun, worked) = (spun + ticks + pause, worked + ms);
            (first, spun as f64 / worked as f64)
        };
        for _ in 0..100 {
            assert!(work(&turns, 1, 5).0, "a tenant that wants less than its share waits for a tick");
        }
        let mut ratio = 0.0;
        for _ in 0..20_000 {
            ratio = work(&turns, 1, 0).1;
        }
        assert!(ratio > 0.9, "the spinner had {ratio} of what the jobs had");
    }

    #[test]
    fn who_goes_away_leaves_its_slot_to_the_next() {
        let turns = Arc::new(Turns::new(1));
        let (a, b, c) = (turns.ticket(1, 1), turns.ticket(2, 1), turns.ticket(3, 1));
        assert!(a.begin(Waker::noop()).is_ready());
        assert!(b.begin(Waker::noop()).is_pending());
        assert!(c.begin(Waker::noop()).is_pending());
        drop(b);
        a.give_up();
        assert!(c.begin(Waker::noop()).is_ready());
        a.end(5);
        assert!(a.begin(Waker::noop()).is_pending(), "what was given up is not given back twice");
        drop((a, c));
        assert_eq!((turns.in_use(), lock(&turns.state).free), ((0, 0), 1));
    }
}
