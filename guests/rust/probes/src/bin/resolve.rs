//! `resolve NAME`: looks up a name, and prints its addresses or the error.

use std::net::ToSocketAddrs;

use probes::{exit, required};

fn main() {
    let name: String = required(1);
    match (name.as_str(), 0).to_socket_addrs() {
        Ok(addresses) => addresses.for_each(|address| println!("{}", address.ip())),
        Err(error) => {
            println!("error: {error}");
            exit(1)
        }
    }
}
