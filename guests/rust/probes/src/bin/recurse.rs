//! `recurse [DEPTH]`: calls itself that deep and prints how deep it got, or calls itself for ever.

use std::hint::black_box;

use probes::optional;

fn main() {
    let depth: Option<u64> = optional(1);
    println!("{}", descend(depth.unwrap_or(u64::MAX)));
}

/// Nothing is in memory here, so that the engine's stack ends before the one that the compiler keeps in memory.
#[inline(never)]
fn descend(left: u64) -> u64 {
    if left == 0 { 0 } else { descend(black_box(left) - 1) + 1 }
}
