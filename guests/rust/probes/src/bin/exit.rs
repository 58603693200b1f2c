//! `exit STATUS`: ends with that status.

use probes::{exit, required};

fn main() {
    exit(required(1))
}
