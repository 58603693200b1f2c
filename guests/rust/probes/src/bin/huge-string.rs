//! `huge-string BYTES`: passes a string of that many bytes to one call of the host, and prints what came of it.
//!
//! The call is `resolve-addresses`, since it needs no grant to be there: the string arrives before anybody can say no.

use probes::required;
use probes::wasi::sockets::instance_network::instance_network;
use probes::wasi::sockets::ip_name_lookup::resolve_addresses;

fn main() {
    let bytes: usize = required(1);
    let name = "x".repeat(bytes);
    match resolve_addresses(&instance_network(), &name) {
        Ok(_) => println!("ok"),
        Err(code) => println!("error: {}", code.name()),
    }
}
