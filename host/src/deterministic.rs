//! What makes a run repeatable: a clock that moves by a rule, and random bytes that follow from a seed.
//!
//! Threat model: none of its own. The bytes are as good as the seed is secret, and a seed in a policy is not; so a
//! deterministic run is for tests, replays and comparing, and its guest must not make keys. The limits hold as ever,
//! and the real clocks still end a guest that computes or waits too long.
//!
//! The rule of the clock: an invocation begins at 2000-01-01T00:00:00Z; each reading moves the time on by a
//! microsecond; and when the guest waits for timers and nothing else is ready, the time jumps to the first of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// When every deterministic run begins, since 1970-01-01 UTC.
const BEGINNING: Duration = Duration::from_secs(946_684_800);

/// By how much each reading moves the time on.
const READING_NS: u64 = 1_000;

/// The clock and the random bytes of one deterministic run.
#[derive(Debug)]
pub(crate) struct Deterministic {
    now_ns: AtomicU64,
    /// When the timers are due that the guest is waiting for at this moment.
    waiting: Mutex<Vec<u64>>,
    random: Mutex<Stream>,
}

/// Random bytes: the SHA-256 digests of the seed and a counter, one after the other.
#[derive(Debug)]
struct Stream {
    seed: u64,
    block: u64,
    rest: Vec<u8>,
}

impl Deterministic {
    pub(crate) fn new(seed: u64) -> Self {
        let random = Mutex::new(Stream { seed, block: 0, rest: Vec::new() });
        Self { now_ns: AtomicU64::new(0), waiting: Mutex::new(Vec::new()), random }
    }

    /// Nanoseconds since the beginning, which don't move on by this.
    pub(crate) fn elapsed_ns(&self) -> u64 {
        self.now_ns.load(Relaxed)
    }

    /// A reading of the clock, in nanoseconds since the beginning.
    pub(crate) fn read_ns(&self) -> u64 {
        // A sum past the end of time starts over, after 584 years.
        self.now_ns.fetch_add(READING_NS, Relaxed).wrapping_add(READING_NS)
    }

    /// A reading of the wall clock, since 1970-01-01 UTC.
    pub(crate) fn read_wall(&self) -> Duration {
        BEGINNING.saturating_add(Duration::from_nanos(self.read_ns()))
    }

    /// The guest begins to wait for a timer.
    pub(crate) fn waits_for(&self, due_ns: u64) {
        self.waiting().push(due_ns);
    }

    /// The guest no longer waits for a timer.
    pub(crate) fn waits_no_longer(&self, due_ns: u64) {
        let mut waiting = self.waiting();
        if let Some(at) = waiting.iter().position(|other| *other == due_ns) {
            waiting.swap_remove(at);
        }
    }

    /// Whether a timer is due, now that nothing else is ready: the first of those that the guest waits for always is.
    pub(crate) fn is_due(&self, due_ns: u64) -> bool {
        let first = self.waiting().iter().copied().min();
        if first.is_none_or(|first| due_ns <= first) {
            self.now_ns.fetch_max(due_ns, Relaxed);
        }
        due_ns <= self.elapsed_ns()
    }

    /// The next random bytes.
    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.rest.is_empty() {
                let mut digest = Sha256::new();
                digest.update(self.seed.to_le_bytes());
                digest.update(self.block.to_le_bytes());
                self.block = self.block.wrapping_add(1);
                self.rest = digest.finalize().iter().rev().copied().collect();
            }
            *byte = self.rest.pop().unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reading_moves_the_time_on_and_so_does_waiting() {
        let run = Deterministic::new(7);
        assert_eq!((run.read_ns(), run.read_ns()), (1_000, 2_000));
        assert_eq!(run.read_wall(), BEGINNING + Duration::from_micros(3));
        run.waits_for(50_000);
        run.waits_for(40_000);
        assert!(!run.is_due(50_000));
        assert!(run.is_due(40_000));
        assert_eq!(run.elapsed_ns(), 40_000);
        run.waits_no_longer(40_000);
        assert!(run.is_due(50_000));
        // Time never goes back.
        assert!(run.is_due(10));
        assert_eq!(run.elapsed_ns(), 50_000);
    }

    #[test]
    fn random_bytes_follow_from_the_seed_however_they_are_asked_for() {
        let bytes = |seed: u64, pieces: &[usize]| {
            let run = Deterministic::new(seed);
            let mut all = Vec::new();
            for length in pieces {
                let mut piece = vec![0; *length];
                run.fill(&mut piece);
                all.extend(piece);
            }
            all
        };
        assert_eq!(bytes(7, &[100]), bytes(7, &[1, 32, 0, 67]));
        assert_ne!(bytes(7, &[100]), bytes(8, &[100]));
        let all = bytes(7, &[1 << 16]);
        let ones: u32 = all.iter().map(|byte| byte.count_ones()).sum();
        assert!((260_000..264_300).contains(&ones), "{ones} of 524288 bits");
    }
}
