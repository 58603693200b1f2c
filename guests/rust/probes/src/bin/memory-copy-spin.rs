//! `memory-copy-spin [MEBIBYTES]`: fills and copies that much memory (64 where absent) for ever, each time in one
//! instruction. The host gets a chance to interrupt only between them.

use std::hint::black_box;

use probes::optional;

fn main() {
    let mebibytes: usize = optional(1).unwrap_or(64);
    let mut buffer = vec![0_u8; mebibytes << 20];
    let half = buffer.len() / 2;
    loop {
        let value = black_box(1);
        black_box(&mut buffer).fill(value);
        black_box(&mut buffer).copy_within(..half, half);
    }
}
