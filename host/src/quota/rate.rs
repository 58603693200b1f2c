//! A bound on an amount in each second. What is too much waits.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A bound on an amount in each second.
#[derive(Debug)]
pub struct Rate {
    max: u64,
    began: Instant,
    /// The second that is passing and what was used in it.
    state: Mutex<(u64, u64)>,
}

/// Nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

impl Rate {
    pub(super) fn new(max: u64) -> Self {
        Self { max, began: Instant::now(), state: Mutex::default() }
    }

    /// What this second has room for, or the nanoseconds until the next one.
    pub fn room(&self) -> Result<u64, u64> {
        if self.max == u64::MAX {
            return Ok(u64::MAX);
        }
        self.room_at(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Counts what was written.
    pub fn took(&self, amount: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = state.1.saturating_add(amount);
    }

    fn room_at(&self, now_ns: u64) -> Result<u64, u64> {
        let second = now_ns / NANOS;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 != second {
            // What went past a second's bound, in one message, is paid for in the next.
            let owed = state.1.saturating_sub(self.max.saturating_mul(second.saturating_sub(state.0)));
            *state = (second, owed);
        }
        match self.max.saturating_sub(state.1) {
            0 => Err(NANOS - now_ns % NANOS),
            room => Ok(room),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_up_to_its_rate_and_what_was_too_much_is_paid_for_in_the_next() {
        let rate = Rate::new(10);
        assert_eq!(rate.room_at(0), Ok(10));
        rate.took(9);
        assert_eq!(rate.room_at(5), Ok(1));
        rate.took(1);
        assert_eq!(rate.room_at(400_000_000), Err(600_000_000));
        assert_eq!(rate.room_at(NANOS), Ok(10));
        rate.took(25);
        assert_eq!(rate.room_at(2 * NANOS), Err(NANOS));
        assert_eq!(rate.room_at(3 * NANOS), Ok(5));
    }
}
