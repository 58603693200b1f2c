//! `random BYTES`: asks for that many random bytes in one call, and prints how many came.

use probes::required;
use probes::wasi::random::random::get_random_bytes;

fn main() {
    println!("{}", get_random_bytes(required(1)).len());
}
