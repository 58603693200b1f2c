//! `fuel ROUNDS`: computes for a fixed number of rounds, the same work each time, and prints the result.

use std::hint::black_box;

use probes::required;

fn main() {
    let rounds: u64 = required(1);
    let sum = (0..rounds).fold(0_u64, |sum, round| black_box(sum.wrapping_mul(31).wrapping_add(round)));
    println!("{sum}");
}
