//! `read-env NAME`: prints the value of an environment variable, or `unset`.

use std::env;

use probes::required;

fn main() {
    let name: String = required(1);
    println!("{}", env::var(name).unwrap_or_else(|_| String::from("unset")));
}
