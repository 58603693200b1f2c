//! What one invocation has used: counters that are shared between its store, its streams and whoever writes its
//! receipt, and that refuse once their limit is reached.
//!
//! Pure. A counter never goes past its limit, not even for a moment, since an amount is taken only when all of it fits.
//! An invocation of a host takes from its tenant's and the host's budgets as well, and gives back what it holds of them
//! when it is dropped, however it ended.

mod audit;
mod gauge;
mod rate;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use self::audit::Auditor;
pub(crate) use self::gauge::Asked;
pub(crate) use self::gauge::Gauge;
pub(crate) use self::rate::Rate;
use crate::outcome::{Capability, Scope, Stop};
use crate::policy::{LimitKind, Limits};
use crate::shared::{Share, WindowKind};
use crate::text::escape;

/// A bounded count.
#[derive(Debug)]
pub struct Counter {
    kind: LimitKind,
    max: u64,
    used: AtomicU64,
    shared: Option<(WindowKind, Arc<Share>)>,
}

/// Everything that is counted for one invocation, apart from time.
#[derive(Debug)]
pub struct Quota {
    /// Standard output, standard error, log messages and the job's body.
    pub output: Counter,
    /// Random bytes.
    pub random: Counter,
    /// Bytes of memory, tables, input and whatever else the host holds for the guest now.
    pub memory: Gauge,
    /// Elements of all tables now.
    pub table: Gauge,
    /// Open files, directories and streams on them now.
    pub files: Gauge,
    /// Timers that are set now.
    pub timers: Gauge,
    /// Output of the second that is passing.
    pub rate: Rate,
    /// Bytes by stream, for the receipt.
    pub stdout_bytes: AtomicU64,
    /// Bytes by stream, for the receipt.
    pub stderr_bytes: AtomicU64,
    /// Bytes of log messages, for the receipt.
    pub log_bytes: AtomicU64,
    /// Bytes of the job's output body, for the receipt.
    pub body_bytes: AtomicU64,
    /// Bytes of the job's input.
    pub input_bytes: AtomicU64,
    denials: Mutex<BTreeMap<DenialKey, u64>>,
    /// What is used of what is granted, where the caller asked for that.
    pub(crate) audit: Auditor,
    /// HTTP requests.
    pub http_requests: Counter,
    /// HTTP requests that are in flight now.
    pub http_concurrency: Gauge,
    /// Bytes of bodies of HTTP requests and responses.
    pub http_body: Counter,
    /// Bytes of request lines and headers of HTTP requests and responses.
    pub http_headers: Counter,
    /// Bytes of request bodies, for the receipt.
    pub http_sent_bytes: AtomicU64,
    /// Bytes of response bodies, for the receipt.
    pub http_received_bytes: AtomicU64,
    /// Sockets that are open now.
    pub sockets: Gauge,
    /// Bytes that sockets sent and received.
    pub net_bytes: Counter,
    /// Names that were looked up.
    pub lookups: Counter,
    /// Bytes that sockets sent, for the receipt.
    pub net_sent_bytes: AtomicU64,
    /// Bytes that sockets received, for the receipt.
    pub net_received_bytes: AtomicU64,
}

/// What was denied, by capability, what was asked for, and the rule that decided.
type DenialKey = (Capability, Cow<'static, str>, Cow<'static, str>);

/// The rule of a denial that no rule of the policy is about.
const NO_RULE: &str = "no rule grants it";

/// Different details of denials that are kept when they have the guest's text in them; the rest is counted together.
const MAX_DETAILS: usize = 64;

/// Bytes of such a detail that are kept.
const MAX_DETAIL: usize = 128;

/// One of a bounded number of things; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    quota: Arc<Quota>,
    of: fn(&Quota) -> &Gauge,
    count: u64,
}

impl Counter {
    fn new(kind: LimitKind, limits: &Limits, shared: Option<(WindowKind, Arc<Share>)>) -> Self {
        Self { kind, max: limits.get(kind).unwrap_or(u64::MAX), used: AtomicU64::new(0), shared }
    }

    /// Takes `amount` if all of it fits.
    ///
    /// # Errors
    /// The stop for this limit; nothing is taken then.
    pub fn try_take(&self, amount: u64) -> Result<(), Stop> {
        let take = |used: u64| used.checked_add(amount).filter(|total| *total <= self.max);
        if let Err(used) = self.used.fetch_update(Relaxed, Relaxed, take) {
            return Err(Stop::limit(self.kind, self.max, used, Some(amount)));
        }
        let Some((window, share)) = &self.shared else { return Ok(()) };
        share.try_take(*window, amount).map_err(|(max, used)| {
            self.used.fetch_sub(amount, Relaxed);
            Stop::shared_limit(self.kind, Scope::Tenant, max, used, amount)
        })
    }

    /// Takes as much of `amount` as fits and says how much that was.
    pub fn take_up_to(&self, amount: u64) -> u64 {
        let amount = match &self.shared {
            Some((window, share)) => share.take_up_to(*window, amount.min(self.left())),
            None => amount,
        };
        let mut taken = 0;
        // The closure always gives a value, so there is no error to handle.
        let _ = self.used.fetch_update(Relaxed, Relaxed, |used| {
            taken = amount.min(self.max.saturating_sub(used));
            Some(used.saturating_add(taken))
        });
        taken
    }

    /// What has been taken.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// What is left.
    pub fn left(&self) -> u64 {
        self.max.saturating_sub(self.used())
    }
}

impl Slot {
    /// Keeps it taken; whoever does that gives it back by hand.
    pub(crate) fn keep(mut self) {
        self.count = 0;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        (self.of)(&self.quota).shrink(self.count);
    }
}

impl Quota {
    /// Counters at zero under these limits, of an invocation that shares nothing.
    pub fn new(limits: &Limits) -> Self {
        Self::of(limits, None)
    }

    /// Counters at zero under these limits and those of the tenant.
    pub(crate) fn shared(limits: &Limits, share: &Arc<Share>) -> Self {
        Self::of(limits, Some(share))
    }

    fn of(limits: &Limits, share: Option<&Arc<Share>>) -> Self {
        let window = |kind| share.map(|share| (kind, Arc::clone(share)));
        Self {
            output: Counter::new(LimitKind::Output, limits, window(WindowKind::Output)),
            random: Counter::new(LimitKind::Random, limits, window(WindowKind::Random)),
            memory: Gauge::new(LimitKind::Memory, limits, share.cloned()),
            table: Gauge::new(LimitKind::Table, limits, None),
            files: Gauge::new(LimitKind::Files, limits, share.cloned()),
            timers: Gauge::new(LimitKind::Timers, limits, share.cloned()),
            rate: Rate::new(limits.output_rate.0),
            stdout_bytes: AtomicU64::new(0),
            stderr_bytes: AtomicU64::new(0),
            log_bytes: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            input_bytes: AtomicU64::new(0),
            denials: Mutex::new(BTreeMap::new()),
            audit: Auditor::default(),
            http_requests: Counter::new(LimitKind::HttpRequests, limits, None),
            http_concurrency: Gauge::new(LimitKind::HttpConcurrency, limits, None),
            http_body: Counter::new(LimitKind::HttpBody, limits, None),
            http_headers: Counter::new(LimitKind::HttpHeaders, limits, None),
            http_sent_bytes: AtomicU64::new(0),
            http_received_bytes: AtomicU64::new(0),
            sockets: Gauge::new(LimitKind::Sockets, limits, None),
            net_bytes: Counter::new(LimitKind::NetBytes, limits, None),
            lookups: Counter::new(LimitKind::Lookups, limits, None),
            net_sent_bytes: AtomicU64::new(0),
            net_received_bytes: AtomicU64::new(0),
        }
    }

    /// Takes one of what a gauge bounds.
    ///
    /// # Errors
    /// The stop for its limit.
    pub(crate) fn slot(self: &Arc<Self>, of: fn(&Self) -> &Gauge) -> Result<Slot, Stop> {
        let gauge = of(self);
        gauge.grow_or_stop(1)?;
        Ok(Slot { quota: Arc::clone(self), of, count: 1 })
    }

    /// Counts one denial that no rule of the policy is about. `detail` is a fixed word, never the guest's text.
    pub fn denied(&self, capability: Capability, detail: &'static str) {
        self.denied_by(capability, detail, NO_RULE);
    }

    /// Counts one denial with the rule that decided. Both texts are fixed, never the guest's.
    pub fn denied_by(&self, capability: Capability, detail: &'static str, rule: &'static str) {
        self.count_denial((capability, Cow::Borrowed(detail), Cow::Borrowed(rule)));
    }

    /// Counts one denial whose detail has the guest's text in it, where no rule of the policy grants it.
    pub fn denied_text(&self, capability: Capability, detail: &str) {
        self.denied_text_by(capability, detail, Cow::Borrowed(NO_RULE));
    }

    /// Counts one denial whose detail has the guest's text in it: escaped, cut, and only so many different ones, so that
    /// a guest can't fill the receipt.
    pub fn denied_text_by(&self, capability: Capability, detail: &str, rule: impl Into<Cow<'static, str>>) {
        self.count_denial((capability, Cow::Owned(bounded(detail)), bounded_rule(rule.into())));
    }

    fn count_denial(&self, mut key: DenialKey) {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = denials.keys().filter(|(_, detail, _)| matches!(detail, Cow::Owned(_))).count();
        if matches!(key.1, Cow::Owned(_)) && kept >= MAX_DETAILS && !denials.contains_key(&key) {
            (key.1, key.2) = (Cow::Borrowed("others"), Cow::Borrowed("there is no room for what decided"));
        }
        let count = denials.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// All denials so far: capability, what was asked for, the rule that decided, and how often.
    pub fn denials(&self) -> Vec<(Capability, String, String, u64)> {
        let denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let denial = |((capability, detail, rule), count): (&DenialKey, &u64)| {
            (*capability, detail.to_string(), rule.to_string(), *count)
        };
        denials.iter().map(denial).collect()
    }
}

/// A guest's text, escaped and short enough for a receipt.
fn bounded(text: &str) -> String {
    let mut text = escape(text.get(..text.floor_char_boundary(MAX_DETAIL)).unwrap_or_default());
    text.truncate(text.floor_char_boundary(MAX_DETAIL));
    text
}

/// A rule with the policy's own words in it.
fn bounded_rule(rule: Cow<'static, str>) -> Cow<'static, str> {
    match rule {
        Cow::Owned(text) => Cow::Owned(bounded(&text)),
        fixed => fixed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Blame;
    use crate::policy::{Bytes, TenantLimits};
    use crate::shared::{HostLimits, Shared};
    use crate::tenant::TenantId;

    fn quota() -> Quota {
        Quota::new(&Limits { output: Bytes(10), memory: Bytes(100), ..Limits::default() })
    }

    #[test]
    fn a_counter_gives_all_or_nothing_up_to_its_limit() {
        let quota = quota();
        assert!(quota.output.try_take(10).is_ok());
        assert!(quota.output.try_take(0).is_ok());
        let stop = quota.output.try_take(1).unwrap_err().limit.unwrap();
        assert_eq!((stop.max, stop.used, stop.requested), (10, 10, Some(1)));
        assert_eq!((quota.output.used(), quota.output.left()), (10, 0));
        assert!(quota.output.try_take(u64::MAX).is_err());
    }

    #[test]
    fn taking_what_fits_stops_at_the_limit() {
        let quota = quota();
        assert_eq!(quota.output.take_up_to(7), 7);
        assert_eq!(quota.output.take_up_to(7), 3);
        assert_eq!(quota.output.take_up_to(7), 0);
    }

    #[test]
    fn a_gauge_gives_back_and_remembers_its_peak_and_its_refusal() {
        let quota = quota();
        assert!(quota.memory.try_grow(100));
        assert!(!quota.memory.try_grow(1));
        quota.memory.shrink(60);
        assert!(quota.memory.try_grow(60));
        assert_eq!((quota.memory.now(), quota.memory.peak()), (100, 100));
        assert_eq!(quota.memory.refused().unwrap().limit.unwrap().used, 100);
        assert!(!quota.memory.try_grow(u64::MAX));
    }

    #[test]
    fn denials_are_counted_by_what_was_denied() {
        let quota = quota();
        quota.denied(Capability::Net, "connect");
        quota.denied(Capability::Dir, "outside");
        quota.denied(Capability::Net, "connect");
        let rule = || NO_RULE.to_owned();
        let expected =
            [(Capability::Dir, "outside".to_owned(), rule(), 1), (Capability::Net, "connect".to_owned(), rule(), 2)];
        assert_eq!(quota.denials(), expected);
    }

    #[test]
    fn a_guests_text_in_denials_is_escaped_cut_and_of_so_many_kinds_only() {
        let quota = quota();
        quota.denied_text(Capability::Http, &format!("a\n{}", "é".repeat(200)));
        let detail = quota.denials().remove(0).1;
        assert!(detail.starts_with("a\\n") && detail.len() <= MAX_DETAIL, "{detail}");
        for n in 1..MAX_DETAILS {
            quota.denied_text(Capability::Http, &n.to_string());
        }
        assert_eq!(quota.denials().len(), MAX_DETAILS);
        for n in 0..1000 {
            quota.denied_text(Capability::Http, &format!("more {n}"));
        }
        quota.denied_text(Capability::Http, "1");
        let denials = quota.denials();
        assert_eq!(denials.len(), MAX_DETAILS + 1);
        let count = |detail: &str| denials.iter().find(|denial| denial.1 == detail).unwrap().3;
        assert_eq!((count("others"), count("1")), (1000, 2));
    }

    fn shares(limits: &TenantLimits) -> (Arc<Shared>, Arc<Share>) {
        let shared = Arc::new(Shared::new(HostLimits { memory: 150, concurrency: 9, queue: 9, slots: 1 }));
        let share = shared.share(&TenantId::new("t").unwrap(), limits);
        (shared, share)
    }

    #[test]
    fn what_an_invocation_holds_of_the_tenants_and_the_hosts_is_given_back_when_it_is_dropped() {
        let (shared, share) = shares(&TenantLimits { memory: Bytes(120), files: 3, ..TenantLimits::default() });
        let limits = Limits { memory: Bytes(100), ..Limits::default() };
        let (one, two) = (Quota::shared(&limits, &share), Quota::shared(&limits, &share));
        one.memory.hold(0);
        assert!(one.memory.try_grow(100) && !one.memory.try_grow(1));
        assert_eq!(one.memory.refused().unwrap().limit.unwrap().scope, Scope::Invocation);
        assert!(two.memory.try_grow(20) && !two.memory.try_grow(1));
        let hit = two.memory.refused().unwrap();
        assert_eq!((hit.limit.clone().unwrap().scope, hit.blame()), (Scope::Tenant, Blame::Capacity));
        assert!(one.files.try_grow(2) && two.files.try_grow(1) && !two.files.try_grow(1));
        assert_eq!((shared.in_use().memory_bytes, shared.in_use().files), (120, 3));
        one.memory.shrink(30);
        assert!(two.memory.try_grow(30));
        drop((one, two));
        assert_eq!(shared.in_use(), crate::shared::InUse::default());
    }

    #[test]
    fn a_growth_that_waits_holds_nothing_until_it_is_granted() {
        let (shared, share) = shares(&TenantLimits { memory: Bytes(120), ..TenantLimits::default() });
        let limits = Limits { memory: Bytes(1000), ..Limits::default() };
        let (one, two) = (Quota::shared(&limits, &share), Quota::shared(&limits, &share));
        assert!(one.memory.try_grow(100));
        let Asked::Wait(waiting) = two.memory.ask(50) else { panic!("it doesn't wait") };
        assert!(matches!(two.memory.ask(121), Asked::Refused));
        drop(waiting);
        two.memory.given_up(50);
        assert_eq!((two.memory.now(), shared.in_use().memory_bytes), (0, 100));
        assert_eq!(two.memory.refused().unwrap().limit.unwrap().scope, Scope::Tenant);
        drop(one);
        assert!(matches!(two.memory.ask(50), Asked::Granted));
        assert_eq!(two.memory.peak(), 50);
        drop(two);
        assert_eq!(shared.in_use().memory_bytes, 0);
    }

    #[test]
    fn a_tenants_windows_bound_all_its_invocations_together() {
        let (_shared, share) = shares(&TenantLimits { output: Bytes(10), random: Bytes(4), ..TenantLimits::default() });
        let (one, two) = (Quota::shared(&Limits::default(), &share), Quota::shared(&Limits::default(), &share));
        assert!(one.output.try_take(7).is_ok());
        assert_eq!(two.output.take_up_to(7), 3);
        let stop = two.output.try_take(1).unwrap_err();
        assert_eq!((stop.limit.clone().unwrap().scope, two.output.used()), (Scope::Tenant, 3));
        assert!(one.random.try_take(4).is_ok() && two.random.try_take(1).is_err());
    }
}
