//! `open-files PATH COUNT`: opens a file that many times, drops none, and says how often it could.
//! `open-files PATH list`: lists a directory and says how many entries it has.

use std::fs::{self, File};
use std::mem;

use probes::{fail, required};

fn main() {
    let path: String = required(1);
    let what: String = required(2);
    if what == "list" {
        match fs::read_dir(&path) {
            Ok(entries) => println!("{}", entries.count()),
            Err(error) => fail(1, format_args!("`{path}`: {error}")),
        }
        return;
    }
    let count: u64 = required(2);
    for _ in 0..count {
        match File::open(&path) {
            Ok(file) => mem::forget(file),
            Err(error) => fail(1, format_args!("`{path}`: {error}")),
        }
    }
    println!("{count}");
}
