//! Says what is left of its budget when it starts: one `key=value` line for each field.

use jobs::sandbox::host::budget::remaining;
use jobs::{Failure, Guest, Input, Output, text};

struct Probe;

impl Guest for Probe {
    fn run(_input: Input) -> Result<Output, Failure> {
        let left = remaining();
        let fuel = left.fuel.map_or_else(|| String::from("none"), |fuel| fuel.to_string());
        Ok(text(format!(
            "memory-bytes={}\nwall-nanoseconds={}\ncpu-nanoseconds={}\nfuel={fuel}\noutput-bytes={}\n",
            left.memory_bytes, left.wall_nanoseconds, left.cpu_nanoseconds, left.output_bytes,
        )))
    }
}

jobs::export_job!(Probe);
