//! What the probes that are commands have in common: the bindings of WASI, for what the standard library would hide,
//! and how they read their arguments.
//!
//! Each probe is a binary of this crate: one behaviour, nothing else. The table of them is in `guests/README.md`.
//! An argument that makes no sense ends a probe with status 2, so that it never looks like a finding.

#![cfg(target_arch = "wasm32")]
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "the generated bindings are in this module"
)]

use std::fmt::Display;
use std::io::{self, Write};
use std::process;
use std::str::FromStr;

wit_bindgen::generate!({ path: "../../../wit", world: "wasi:cli/imports@0.2.12", generate_all });

/// The argument at `index`, counted from 1, or none where there are fewer.
pub fn optional<T: FromStr<Err: Display>>(index: usize) -> Option<T> {
    let text = std::env::args().nth(index)?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => fail(2, format_args!("argument {index}: `{text}`: {error}")),
    }
}

/// The argument at `index`, counted from 1.
pub fn required<T: FromStr<Err: Display>>(index: usize) -> T {
    optional(index).unwrap_or_else(|| fail(2, format_args!("argument {index} is missing")))
}

/// Says what is wrong and ends the program.
pub fn fail(status: u8, message: impl Display) -> ! {
    // There is nowhere left to report that standard error is closed.
    let _ = writeln!(io::stderr(), "{message}");
    exit(status)
}

/// Ends the program with a status. The standard library only knows success and failure here.
pub fn exit(status: u8) -> ! {
    // The program ends without its destructors, so what is still buffered has to go out first.
    let _ = io::stdout().flush();
    wasi::cli::exit::exit_with_code(status);
    // The host does not come back from there.
    process::abort()
}

/// Writes exactly `total` bytes in lines of 64, or lines for ever where it is none. The error comes with how far it
/// got.
pub fn flood(target: &mut impl Write, total: Option<u64>) -> Result<(), (u64, io::Error)> {
    let line = [b"x".repeat(63), b"\n".to_vec()].concat();
    let block = line.repeat(64);
    let mut written = 0;
    while total != Some(written) {
        let left = total.map_or(u64::MAX, |total| total - written);
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        let result = target.write_all(block.get(..part).unwrap_or_default()).and_then(|()| target.flush());
        result.map_err(|error| (written, error))?;
        written = written.wrapping_add(part as u64);
    }
    Ok(())
}
