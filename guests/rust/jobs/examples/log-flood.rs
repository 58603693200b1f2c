//! Logs messages without context whose texts have exactly as many bytes together as the attribute `bytes` says, or
//! for ever where it is absent. The attribute `message` is the size of one message (1024 where absent).
//!
//! With both at the same value, it is one call with one huge string.

use jobs::sandbox::host::log::{Level, log};
use jobs::{Failure, Guest, Input, Output, number, text};

struct Probe;

impl Guest for Probe {
    fn run(input: Input) -> Result<Output, Failure> {
        let size = number(&input, "message")?.unwrap_or(1024).max(1);
        let size =
            usize::try_from(size).map_err(|_| Failure::InvalidInput(String::from("more than can be addressed")))?;
        let message = "x".repeat(size);
        let Some(bytes) = number(&input, "bytes")? else {
            loop {
                log(Level::Info, "", &message);
            }
        };
        let mut left = bytes;
        while left > 0 {
            let part = usize::try_from(left).map_or(size, |left| left.min(size));
            log(Level::Info, "", message.get(..part).unwrap_or_default());
            left -= part as u64;
        }
        Ok(text(String::new()))
    }
}

jobs::export_job!(Probe);
