//! What invocations share: memory, turns on the processor, places, and the budgets of a tenant.
//!
//! Pure: locks and wakers, and no threads. A tenant's account is found by
//! its name and lives in the host, so two invocations of one tenant meet here however they came. The limits of the
//! account are those of the tenant that asks, since a policy may change while others of it are under way.
//!
//! Threat model: a tenant floods the host with invocations, memory or computing so that others starve. So whatever is
//! short is handed out by tenant first and by arrival second, everything that waits has a bound, and all that is held is
//! given back by dropping it, however an invocation ended.

mod memory;
mod places;
mod turns;
mod window;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(crate) use self::memory::{Memory, Waiting};
pub(crate) use self::places::{Full, Place, Places};
pub(crate) use self::turns::{Ticket, Turn, Turns};
pub(crate) use self::window::Window;
use crate::policy::{Span, TenantLimits};
use crate::tenant::TenantId;

/// What a host shares out, and the accounts of its tenants.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) memory: Arc<Memory>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) places: Arc<Places>,
    accounts: Mutex<Accounts>,
    began: Instant,
}

/// A tenant's part in a host: its account, and what it may have of it.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) shared: Arc<Shared>,
    pub(crate) account: Arc<Account>,
    pub(crate) limits: TenantLimits,
}

/// What one tenant holds and has used up, all its invocations together.
#[derive(Debug)]
pub(crate) struct Account {
    /// Its number within the host; never given out twice.
    pub(crate) key: u64,
    /// Open files and directories.
    pub(crate) files: Level,
    /// Timers that are set.
    pub(crate) timers: Level,
    /// Bytes written in the rolling window.
    pub(crate) output: Mutex<Window>,
    /// Random bytes in the rolling window.
    pub(crate) random: Mutex<Window>,
    /// Nanoseconds of processor time in the rolling window.
    pub(crate) cpu: Mutex<Window>,
}

/// An amount that all invocations of a tenant hold together.
#[derive(Debug, Default)]
pub(crate) struct Level(AtomicU64);

/// Which of a tenant's windows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WindowKind {
    Output,
    Random,
}

/// A host's own bounds, over all tenants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostLimits {
    pub(crate) memory: u64,
    pub(crate) concurrency: u64,
    pub(crate) queue: u64,
    pub(crate) slots: usize,
}

/// What is in use in a host at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Invocations under way.
    pub in_flight: u64,
    /// Invocations that wait for a place.
    pub queued: u64,
    /// Bytes of memory that are held for guests.
    pub memory_bytes: u64,
    /// Growths of memory that wait for others to give some back.
    pub memory_waiting: u64,
    /// Guests that are computing.
    pub computing: u64,
    /// Guests that wait for a turn.
    pub turn_waiting: u64,
    /// Open files and directories.
    pub files: u64,
    /// Timers that are set.
    pub timers: u64,
}

#[derive(Debug, Default)]
struct Accounts {
    by_name: HashMap<TenantId, Arc<Account>>,
    next: u64,
    /// Number of accounts at which those that hold nothing are forgotten.
    sweep_at: usize,
}

/// Accounts below which none is forgotten.
const MIN_SWEEP: usize = 1024;

impl Shared {
    pub(crate) fn new(limits: HostLimits) -> Self {
        Self {
            memory: Arc::new(Memory::new(limits.memory)),
            turns: Arc::new(Turns::new(limits.slots)),
            places: Arc::new(Places::new(limits.concurrency, limits.queue)),
            accounts: Mutex::default(),
            began: Instant::now(),
        }
    }

    /// A tenant's part under these limits.
    pub(crate) fn share(self: &Arc<Self>, tenant: &TenantId, limits: &TenantLimits) -> Arc<Share> {
        let account = self.account(tenant);
        Arc::new(Share { shared: Arc::clone(self), account, limits: limits.clone() })
    }

    /// Nanoseconds since this host began.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The account of a tenant, made when it is first asked for.
    pub(crate) fn account(&self, tenant: &TenantId) -> Arc<Account> {
        let mut accounts = lock(&self.accounts);
        if let Some(account) = accounts.by_name.get(tenant) {
            return Arc::clone(account);
        }
        if accounts.by_name.len() >= accounts.sweep_at.max(MIN_SWEEP) {
            accounts.by_name.retain(|_, account| Arc::strong_count(account) > 1 || account.remembers());
            accounts.sweep_at = accounts.by_name.len().saturating_mul(2);
        }
        accounts.next = accounts.next.saturating_add(1);
        let account = Arc::new(Account::new(accounts.next));
        accounts.by_name.insert(tenant.clone(), Arc::clone(&account));
        account
    }

    /// What is in use now.
    pub(crate) fn in_use(&self) -> InUse {
        let (memory_bytes, memory_waiting) = self.memory.in_use();
        let (computing, turn_waiting) = self.turns.in_use();
        let (in_flight, queued) = self.places.in_use();
        let accounts = lock(&self.accounts);
        let sum = |level: fn(&Account) -> &Level| accounts.by_name.values().map(|account| level(account).now()).sum();
        InUse {
            in_flight,
            queued,
            memory_bytes,
            memory_waiting,
            computing,
            turn_waiting,
            files: sum(|account| &account.files),
            timers: sum(|account| &account.timers),
        }
    }
}

impl Account {
    fn new(key: u64) -> Self {
        Self {
            key,
            files: Level::default(),
            timers: Level::default(),
            output: Mutex::default(),
            random: Mutex::default(),
            cpu: Mutex::default(),
        }
    }

    /// Whether something that was used up still counts.
    fn remembers(&self) -> bool {
        [&self.output, &self.random, &self.cpu].iter().any(|window| lock(window).used() > 0)
    }
}

impl Share {
    /// Counts processor time of the tenant.
    pub(crate) fn computed(&self, ns: u64) {
        if self.limits.cpu != Span::UNLIMITED {
            lock(&self.account.cpu).add(ns, self.limits.window.nanos(), self.shared.now_ns());
        }
    }

    /// Nanoseconds until the tenant may compute again; none when it may now.
    pub(crate) fn cpu_wait_ns(&self) -> Option<u64> {
        if self.limits.cpu == Span::UNLIMITED {
            return None;
        }
        let (max, length) = (self.limits.cpu.nanos(), self.limits.window.nanos());
        lock(&self.account.cpu).wait_below(max, length, self.shared.now_ns())
    }

    /// Counts as much of `amount` as one of the tenant's windows has room for and says how much that was.
    pub(crate) fn take_up_to(&self, of: WindowKind, amount: u64) -> u64 {
        let (window, max) = self.window(of);
        if max == u64::MAX {
            return amount;
        }
        lock(window).add_up_to(amount, max, self.limits.window.nanos(), self.shared.now_ns())
    }

    /// Counts `amount` in one of the tenant's windows.
    ///
    /// # Errors
    /// The window's bound and what is used; nothing is counted then.
    pub(crate) fn try_take(&self, of: WindowKind, amount: u64) -> Result<(), (u64, u64)> {
        let (window, max) = self.window(of);
        if max == u64::MAX {
            return Ok(());
        }
        let length = self.limits.window.nanos();
        lock(window).try_add(amount, max, length, self.shared.now_ns()).map_err(|(used, _)| (max, used))
    }

    fn window(&self, of: WindowKind) -> (&Mutex<Window>, u64) {
        match of {
            WindowKind::Output => (&self.account.output, self.limits.output.0),
            WindowKind::Random => (&self.account.random, self.limits.random.0),
        }
    }
}

impl Level {
    /// Takes `amount` if all of it fits below `max`.
    ///
    /// # Errors
    /// What is held; nothing is taken then.
    pub(crate) fn try_take(&self, amount: u64, max: u64) -> Result<(), u64> {
        let take = |now: u64| now.checked_add(amount).filter(|total| *total <= max);
        self.0.fetch_update(Relaxed, Relaxed, take).map(|_| ())
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, amount: u64) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_sub(amount)));
    }

    fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A lock whose holder can't have left it in a half-way state.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> Shared {
        Shared::new(HostLimits { memory: 100, concurrency: 1, queue: 1, slots: 1 })
    }

    #[test]
    fn a_tenant_has_one_account_and_no_other_has_it() {
        let shared = shared();
        let (a, b) = (TenantId::new("a").unwrap(), TenantId::new("b").unwrap());
        assert_eq!(shared.account(&a).key, shared.account(&a).key);
        assert_ne!(shared.account(&a).key, shared.account(&b).key);
    }

    #[test]
    fn accounts_that_hold_nothing_and_remember_nothing_are_forgotten() {
        let shared = shared();
        let kept = shared.account(&TenantId::new("kept").unwrap());
        lock(&shared.account(&TenantId::new("spent").unwrap()).cpu).add(1, 1000, 0);
        for n in 0..10_000 {
            shared.account(&TenantId::new(&format!("t{n}")).unwrap());
        }
        let accounts = lock(&shared.accounts);
        assert!(accounts.by_name.len() <= 2 * MIN_SWEEP, "{}", accounts.by_name.len());
        assert!(accounts.by_name.contains_key(&TenantId::new("spent").unwrap()));
        assert_eq!(accounts.by_name[&TenantId::new("kept").unwrap()].key, kept.key);
    }

    #[test]
    fn a_level_takes_up_to_its_limit_and_not_one_more() {
        let level = Level::default();
        assert_eq!(level.try_take(3, 3), Ok(()));
        assert_eq!(level.try_take(1, 3), Err(3));
        level.give_back(1);
        assert_eq!(level.try_take(1, 3), Ok(()));
        assert!(level.try_take(u64::MAX, u64::MAX).is_err());
    }
}
