//! `spin`: computes for ever, without a single call of the host.

use std::hint::black_box;

fn main() {
    let mut round = 0_u64;
    loop {
        round = black_box(round).wrapping_add(1);
    }
}
