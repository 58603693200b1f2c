//! `panic`: panics with a message.

#![expect(clippy::panic, reason = "this is what it is for")]

fn main() {
    panic!("the probe panics as asked");
}
