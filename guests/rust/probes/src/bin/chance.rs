//! Prints all that differs between two runs unless the host sees to it: clocks, sleeping, random seeds, the order of a
//! hash map, the bits of a NaN, and what is left of its limits.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::Read as _;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).expect("the input is text");
    println!("input: {} bytes", input.len());
    let began = Instant::now();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    println!("wall: {} s", wall.as_secs());
    sleep(Duration::from_secs(3600));
    println!("slept: {:?}", began.elapsed());
    let map: HashMap<u32, u32> = (0..50).map(|n| (n, n * n)).collect();
    println!("order: {:?}", map.keys().collect::<Vec<_>>());
    let zero: f64 = black_box(0.0);
    let nan = -(zero / zero) + black_box(f64::from_bits(0x7ff8_dead_beef_0001));
    println!("nan: {:016x}", nan.to_bits());
    println!("sum: {:?}", (1..1000).map(|n| f64::from(n).sqrt().sin()).sum::<f64>());
    println!("end: {:?}", began.elapsed());
}
