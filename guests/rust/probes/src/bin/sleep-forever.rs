//! `sleep-forever`: waits in a call of the host for longer than anybody lives, using no computing time.

use probes::wasi::clocks::monotonic_clock::subscribe_duration;
use probes::wasi::io::poll::poll;

fn main() {
    let centuries = subscribe_duration(u64::MAX / 2);
    loop {
        poll(&[&centuries]);
    }
}
