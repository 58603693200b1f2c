//! `write-file PATH BYTES`: writes a file of that many bytes, and prints how many were written.

use std::fs::File;

use probes::{fail, flood, required};

fn main() {
    let path: String = required(1);
    let bytes: u64 = required(2);
    let mut file = File::create(&path).unwrap_or_else(|error| fail(1, format_args!("`{path}`: {error}")));
    match flood(&mut file, Some(bytes)) {
        Ok(()) => println!("{bytes}"),
        Err((written, error)) => fail(1, format_args!("`{path}` after {written} bytes: {error}")),
    }
}
