//! `clock`: prints the wall clock and the monotonic clock in nanoseconds.

use probes::wasi::clocks::{monotonic_clock, wall_clock};

fn main() {
    let wall = wall_clock::now();
    println!("wall={}{:09}", wall.seconds, wall.nanoseconds);
    println!("monotonic={}", monotonic_clock::now());
}
