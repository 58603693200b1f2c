//! Amounts that grow and shrink, and that are held of the tenant's and the host's budgets too.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::outcome::{Scope, Stop};
use crate::policy::{LimitKind, Limits};
use crate::shared::{Level, Share, Waiting};

/// A bounded amount that can shrink as well, with the most that there ever was.
#[derive(Debug)]
pub struct Gauge {
    kind: LimitKind,
    max: u64,
    now: AtomicU64,
    peak: AtomicU64,
    refused: Mutex<Option<Stop>>,
    shared: Option<Arc<Share>>,
    /// What is taken from the tenant and the host, which is given back when this is dropped.
    held: AtomicU64,
}

/// The answer to a growth that may wait.
#[derive(Debug)]
pub(crate) enum Asked {
    /// There was room.
    Granted,
    /// There never will be, or the invocation's own limit is reached.
    Refused,
    /// Others have to give some back first. Once that is over, [`Gauge::granted`] or [`Gauge::given_up`] must be called.
    Wait(Waiting),
}

impl Gauge {
    pub(super) fn new(kind: LimitKind, limits: &Limits, shared: Option<Arc<Share>>) -> Self {
        Self {
            kind,
            max: limits.get(kind).unwrap_or(u64::MAX),
            now: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            refused: Mutex::new(None),
            shared,
            held: AtomicU64::new(0),
        }
    }

    /// Grows by `amount` if there is room for it everywhere; otherwise remembers the refusal, so that a trap which
    /// follows can be explained.
    pub fn try_grow(&self, amount: u64) -> bool {
        if !self.grow_own(amount) {
            return false;
        }
        match self.take_shared(amount) {
            Ok(()) => {
                self.granted(amount);
                true
            }
            Err(stop) => {
                self.take_back(amount, stop);
                false
            }
        }
    }

    /// Grows by `amount` if there is room for it everywhere.
    ///
    /// # Errors
    /// The stop for the limit that has no room.
    pub(crate) fn grow_or_stop(&self, amount: u64) -> Result<(), Stop> {
        if self.try_grow(amount) {
            return Ok(());
        }
        Err(self.refused().unwrap_or_else(|| Stop::limit(self.kind, self.max, self.now(), Some(amount))))
    }

    /// Asks to grow by `amount` of memory, which may take a while.
    pub(crate) fn ask(&self, amount: u64) -> Asked {
        if !self.grow_own(amount) {
            return Asked::Refused;
        }
        let Some(share) = &self.shared else {
            self.granted(amount);
            return Asked::Granted;
        };
        let (key, max) = (share.account.key, share.limits.memory.0);
        match share.shared.memory.try_take(key, max, amount) {
            Ok(()) => {
                self.granted(amount);
                Asked::Granted
            }
            Err(short) if short.for_ever => {
                let stop = Stop::shared_limit(self.kind, short.scope, short.max, short.used, amount);
                self.take_back(amount, stop);
                Asked::Refused
            }
            Err(_) => Asked::Wait(share.shared.memory.wait(key, max, amount)),
        }
    }

    /// What was asked for is here.
    pub(crate) fn granted(&self, amount: u64) {
        if self.shared.is_some() {
            self.held.fetch_add(amount, Relaxed);
        }
        self.peak.fetch_max(self.now(), Relaxed);
    }

    /// What was asked for didn't come in time.
    pub(crate) fn given_up(&self, amount: u64) {
        let Some(share) = &self.shared else { return };
        let short = share.shared.memory.shortage(share.account.key, share.limits.memory.0, amount);
        self.take_back(amount, Stop::shared_limit(self.kind, short.scope, short.max, short.used, amount));
    }

    /// Counts what the host spends on the invocation itself as held, without counting it against the guest's limit.
    pub(crate) fn hold(&self, amount: u64) {
        self.held.fetch_add(amount, Relaxed);
    }

    /// Counts an amount for which room was made before; it is within the limit, as the caller has checked.
    pub(crate) fn take_over(&self, amount: u64) {
        self.now.fetch_add(amount, Relaxed);
        self.granted(amount);
    }

    /// Gives back what was reserved.
    pub fn shrink(&self, amount: u64) {
        let before = self.now.fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_sub(amount)));
        let given = before.map_or(0, |now| now.min(amount));
        if self.shared.is_some() {
            self.held.fetch_sub(given, Relaxed);
            self.give_back_shared(given);
        }
    }

    /// What is held now.
    pub fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    /// The most that was held at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    /// What is left.
    pub fn left(&self) -> u64 {
        self.max.saturating_sub(self.now())
    }

    /// The last growth that was refused, if one was.
    pub fn refused(&self) -> Option<Stop> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn grow_own(&self, amount: u64) -> bool {
        let grow = |now: u64| now.checked_add(amount).filter(|total| *total <= self.max);
        match self.now.fetch_update(Relaxed, Relaxed, grow) {
            Ok(_) => true,
            Err(now) => {
                self.refuse(Stop::limit(self.kind, self.max, now, Some(amount)));
                false
            }
        }
    }

    fn take_back(&self, amount: u64, stop: Stop) {
        self.now.fetch_sub(amount, Relaxed);
        self.refuse(stop);
    }

    fn refuse(&self, stop: Stop) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
    }

    fn take_shared(&self, amount: u64) -> Result<(), Stop> {
        let Some(share) = &self.shared else { return Ok(()) };
        let stop = |scope, max, used| Stop::shared_limit(self.kind, scope, max, used, amount);
        match self.level(share) {
            Some((level, max)) => level.try_take(amount, max).map_err(|used| stop(Scope::Tenant, max, used)),
            None => {
                let taken = share.shared.memory.try_take(share.account.key, share.limits.memory.0, amount);
                taken.map_err(|short| stop(short.scope, short.max, short.used))
            }
        }
    }

    fn give_back_shared(&self, amount: u64) {
        let Some(share) = &self.shared else { return };
        match self.level(share) {
            Some((level, _)) => level.give_back(amount),
            None => share.shared.memory.give_back(share.account.key, amount),
        }
    }

    /// The tenant's level for what is not memory, with its bound.
    fn level<'a>(&self, share: &'a Share) -> Option<(&'a Level, u64)> {
        match self.kind {
            LimitKind::Files => Some((&share.account.files, share.limits.files)),
            LimitKind::Timers => Some((&share.account.timers, share.limits.timers)),
            _ => None,
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.give_back_shared(self.held.load(Relaxed));
    }
}
