//! What one invocation has used: counters that are shared between its store, its streams and whoever writes its
//! receipt, and that refuse once their limit is reached.
//!
//! Pure: atomics and no clock. A counter never goes past its limit, not even for a moment, since an amount is taken
//! only when all of it fits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::outcome::{Capability, Stop};
use crate::policy::{LimitKind, Limits};
use crate::text::escape;

/// A bounded count.
#[derive(Debug)]
pub struct Counter {
    kind: LimitKind,
    max: u64,
    used: AtomicU64,
}

/// Everything that is counted for one invocation, apart from time.
#[derive(Debug)]
pub struct Quota {
    /// Standard output, standard error, log messages and the job's body.
    pub output: Counter,
    /// Random bytes.
    pub random: Counter,
    /// Bytes of memory, tables and input that are held now.
    pub memory: Gauge,
    /// Elements of all tables now.
    pub table: Gauge,
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
    denials: Mutex<BTreeMap<(Capability, Cow<'static, str>), u64>>,
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
}

/// Different details of denials that are kept when they have the guest's text in them; the rest is counted together.
const MAX_DETAILS: usize = 64;

/// Bytes of such a detail that are kept.
const MAX_DETAIL: usize = 128;

/// A bounded amount that can shrink as well, with the most that there ever was.
#[derive(Debug)]
pub struct Gauge {
    kind: LimitKind,
    max: u64,
    now: AtomicU64,
    peak: AtomicU64,
    refused: Mutex<Option<Stop>>,
}

impl Counter {
    fn new(kind: LimitKind, limits: &Limits) -> Self {
        Self { kind, max: limits.get(kind).unwrap_or(u64::MAX), used: AtomicU64::new(0) }
    }

    /// Takes `amount` if all of it fits.
    ///
    /// # Errors
    /// The stop for this limit; nothing is taken then.
    pub fn try_take(&self, amount: u64) -> Result<(), Stop> {
        let take = |used: u64| used.checked_add(amount).filter(|total| *total <= self.max);
        match self.used.fetch_update(Relaxed, Relaxed, take) {
            Ok(_) => Ok(()),
            Err(used) => Err(Stop::limit(self.kind, self.max, used, Some(amount))),
        }
    }

    /// Takes as much of `amount` as fits and says how much that was.
    pub fn take_up_to(&self, amount: u64) -> u64 {
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

impl Gauge {
    fn new(kind: LimitKind, limits: &Limits) -> Self {
        let max = limits.get(kind).unwrap_or(u64::MAX);
        Self { kind, max, now: AtomicU64::new(0), peak: AtomicU64::new(0), refused: Mutex::new(None) }
    }

    /// Grows by `amount` if that fits; otherwise remembers the refusal, so that a trap which follows can be explained.
    pub fn try_grow(&self, amount: u64) -> bool {
        let grow = |now: u64| now.checked_add(amount).filter(|total| *total <= self.max);
        match self.now.fetch_update(Relaxed, Relaxed, grow) {
            Ok(before) => {
                self.peak.fetch_max(before.saturating_add(amount), Relaxed);
                true
            }
            Err(now) => {
                let stop = Stop::limit(self.kind, self.max, now, Some(amount));
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
                false
            }
        }
    }

    /// Gives back what was reserved.
    pub fn shrink(&self, amount: u64) {
        let _ = self.now.fetch_update(Relaxed, Relaxed, |now| Some(now.saturating_sub(amount)));
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
}

impl Quota {
    /// Counters at zero under these limits.
    pub fn new(limits: &Limits) -> Self {
        Self {
            output: Counter::new(LimitKind::Output, limits),
            random: Counter::new(LimitKind::Random, limits),
            memory: Gauge::new(LimitKind::Memory, limits),
            table: Gauge::new(LimitKind::Table, limits),
            stdout_bytes: AtomicU64::new(0),
            stderr_bytes: AtomicU64::new(0),
            log_bytes: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            input_bytes: AtomicU64::new(0),
            denials: Mutex::new(BTreeMap::new()),
            http_requests: Counter::new(LimitKind::HttpRequests, limits),
            http_concurrency: Gauge::new(LimitKind::HttpConcurrency, limits),
            http_body: Counter::new(LimitKind::HttpBody, limits),
            http_headers: Counter::new(LimitKind::HttpHeaders, limits),
            http_sent_bytes: AtomicU64::new(0),
            http_received_bytes: AtomicU64::new(0),
        }
    }

    /// Counts one denial. `detail` is a fixed word, never the guest's text.
    pub fn denied(&self, capability: Capability, detail: &'static str) {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let count = denials.entry((capability, Cow::Borrowed(detail))).or_default();
        *count = count.saturating_add(1);
    }

    /// Counts one denial whose detail has the guest's text in it: escaped, cut, and only so many different ones, so that
    /// a guest can't fill the receipt.
    pub fn denied_text(&self, capability: Capability, detail: &str) {
        let mut text = escape(detail.get(..detail.floor_char_boundary(MAX_DETAIL)).unwrap_or_default());
        text.truncate(text.floor_char_boundary(MAX_DETAIL));
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (capability, Cow::Owned(text));
        let kept = denials.keys().filter(|(_, detail)| matches!(detail, Cow::Owned(_))).count();
        if kept >= MAX_DETAILS && !denials.contains_key(&key) {
            key.1 = Cow::Borrowed("others");
        }
        let count = denials.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// All denials so far with their counts.
    pub fn denials(&self) -> Vec<(Capability, String, u64)> {
        let denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        denials.iter().map(|((capability, detail), count)| (*capability, detail.to_string(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Bytes;

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
        let expected = [(Capability::Dir, "outside".to_owned(), 1), (Capability::Net, "connect".to_owned(), 2)];
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
        assert!(denials.contains(&(Capability::Http, "others".to_owned(), 1000)));
        assert!(denials.contains(&(Capability::Http, "1".to_owned(), 2)));
    }
}
