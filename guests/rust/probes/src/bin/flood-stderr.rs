//! `flood-stderr [BYTES]`: writes that many bytes to standard error, or for ever.

use std::io;

use probes::{exit, flood, optional};

fn main() {
    if flood(&mut io::stderr().lock(), optional(1)).is_err() {
        // What it would say would go to the stream that has just failed.
        exit(1)
    }
}
