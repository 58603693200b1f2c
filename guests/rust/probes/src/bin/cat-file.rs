//! `cat-file PATH`: prints a file.

use std::fs::File;
use std::io;

use probes::{fail, required};

fn main() {
    let path: String = required(1);
    let result = File::open(&path).and_then(|mut file| io::copy(&mut file, &mut io::stdout()));
    if let Err(error) = result {
        fail(1, format_args!("`{path}`: {error}"));
    }
}
