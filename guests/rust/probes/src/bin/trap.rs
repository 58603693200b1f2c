//! `trap`: traps in a function that other functions called, so that there is a stack to show.

use core::arch::wasm32::unreachable;
use std::hint::black_box;

fn main() {
    println!("{}", outer(black_box(1)));
}

#[inline(never)]
fn outer(value: u32) -> u32 {
    middle(black_box(value + 1)) + 1
}

#[inline(never)]
fn middle(value: u32) -> u32 {
    inner(black_box(value + 1)) + 1
}

#[inline(never)]
fn inner(value: u32) -> u32 {
    if value > 0 { unreachable() } else { value }
}
