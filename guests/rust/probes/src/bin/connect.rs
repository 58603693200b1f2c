//! `connect ADDRESS:PORT`: opens a TCP connection, and prints `ok` or the error.

use std::net::TcpStream;

use probes::{exit, required};

fn main() {
    let address: String = required(1);
    match TcpStream::connect(&address) {
        Ok(_) => println!("ok"),
        Err(error) => {
            println!("error: {error}");
            exit(1)
        }
    }
}
