//! What was used up in the last while: a rolling sum.

/// Parts that a window is divided into. What was used leaves the window a part at a time, so a tenth of the window's
/// length is how early it may come back.
const PARTS: usize = 10;

/// A rolling sum over a window of time. The length may change from call to call; what was counted under another length
/// is then kept in its parts as they are.
#[derive(Debug, Default)]
pub(crate) struct Window {
    parts: [u64; PARTS],
    /// The number of the newest part, counted from time zero.
    newest: u64,
}

impl Window {
    /// Counts `amount` at this moment.
    pub(crate) fn add(&mut self, amount: u64, length_ns: u64, now_ns: u64) {
        self.forget(length_ns, now_ns);
        if let Some(part) = self.parts.first_mut() {
            *part = part.saturating_add(amount);
        }
    }

    /// Counts `amount` if the sum stays within `max`.
    ///
    /// # Errors
    /// What is used, and the nanoseconds until there is room again; nothing is counted then.
    pub(crate) fn try_add(&mut self, amount: u64, max: u64, length_ns: u64, now_ns: u64) -> Result<(), (u64, u64)> {
        self.forget(length_ns, now_ns);
        let used = self.sum();
        if used.checked_add(amount).is_some_and(|total| total <= max) {
            self.add(amount, length_ns, now_ns);
            return Ok(());
        }
        Err((used, self.until_room(amount, max, length_ns, now_ns)))
    }

    /// Counts as much of `amount` as fits and says how much that was.
    pub(crate) fn add_up_to(&mut self, amount: u64, max: u64, length_ns: u64, now_ns: u64) -> u64 {
        self.forget(length_ns, now_ns);
        let fits = amount.min(max.saturating_sub(self.sum()));
        self.add(fits, length_ns, now_ns);
        fits
    }

    /// Nanoseconds until less than `max` is used; none when that is so now.
    pub(crate) fn wait_below(&mut self, max: u64, length_ns: u64, now_ns: u64) -> Option<u64> {
        self.forget(length_ns, now_ns);
        (self.sum() >= max).then(|| self.until_room(1, max, length_ns, now_ns))
    }

    /// What was counted when it was last looked at.
    pub(crate) fn used(&self) -> u64 {
        self.sum()
    }

    fn sum(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
    }

    fn part_ns(length_ns: u64) -> u64 {
        (length_ns / PARTS as u64).max(1)
    }

    fn forget(&mut self, length_ns: u64, now_ns: u64) {
        let newest = now_ns / Self::part_ns(length_ns);
        let moved = usize::try_from(newest.saturating_sub(self.newest)).unwrap_or(PARTS).min(PARTS);
        // A shorter part makes the number jump and a longer one makes it fall; a fall is no move.
        self.newest = newest;
        self.parts.rotate_right(moved);
        for part in self.parts.iter_mut().take(moved) {
            *part = 0;
        }
    }

    fn until_room(&self, amount: u64, max: u64, length_ns: u64, now_ns: u64) -> u64 {
        let part_ns = Self::part_ns(length_ns);
        let to_next = part_ns - now_ns % part_ns;
        let mut sum = self.sum();
        for (steps, part) in (0_u64..).zip(self.parts.iter().rev()) {
            sum = sum.saturating_sub(*part);
            if sum.saturating_add(amount) <= max {
                return to_next.saturating_add(part_ns.saturating_mul(steps));
            }
        }
        length_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_counts_for_the_length_of_the_window_and_no_longer() {
        let mut window = Window::default();
        assert_eq!(window.try_add(10, 10, 1000, 5), Ok(()));
        assert_eq!(window.try_add(1, 10, 1000, 5), Err((10, 995)));
        assert_eq!(window.try_add(1, 10, 1000, 999), Err((10, 1)));
        assert_eq!(window.try_add(10, 10, 1000, 1000), Ok(()));
    }

    #[test]
    fn room_comes_back_a_part_at_a_time() {
        let mut window = Window::default();
        window.add(6, 1000, 0);
        window.add(4, 1000, 500);
        assert_eq!(window.wait_below(10, 1000, 600), Some(400));
        assert_eq!(window.wait_below(11, 1000, 600), None);
        assert_eq!(window.try_add(7, 10, 1000, 1000), Err((4, 500)));
        assert_eq!(window.try_add(6, 10, 1000, 1000), Ok(()));
    }

    #[test]
    fn what_never_fits_says_so_and_nothing_overflows() {
        let mut window = Window::default();
        assert_eq!(window.try_add(11, 10, 1000, 0), Err((0, 1000)));
        window.add(u64::MAX, 1000, 0);
        window.add(u64::MAX, 1000, 0);
        assert!(window.try_add(1, u64::MAX, 1000, 0).is_err());
        assert_eq!(window.try_add(1, 10, 1000, u64::MAX), Ok(()));
        assert_eq!(Window::default().try_add(1, 1, 0, u64::MAX), Ok(()));
    }
}
