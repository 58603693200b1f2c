//! `leak-handles [COUNT]`: opens that many pollables, or for ever, and drops none. It prints nothing, since standard
//! output would be one more handle.

use std::mem;

use probes::optional;
use probes::wasi::clocks::monotonic_clock::subscribe_instant;

fn main() {
    let count: Option<u64> = optional(1);
    let mut opened = 0;
    while count != Some(opened) {
        mem::forget(subscribe_instant(u64::MAX));
        opened += 1;
    }
}
