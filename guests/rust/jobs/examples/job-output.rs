//! Gives an output whose body has exactly as many bytes as the attribute `bytes` says (none: 0).

use jobs::{Failure, Guest, Input, Output, number};

struct Probe;

impl Guest for Probe {
    fn run(input: Input) -> Result<Output, Failure> {
        let bytes = number(&input, "bytes")?.unwrap_or(0);
        let bytes =
            usize::try_from(bytes).map_err(|_| Failure::InvalidInput(String::from("more than can be addressed")))?;
        Ok(Output { body: vec![b'x'; bytes], content_type: None, attributes: Vec::new() })
    }
}

jobs::export_job!(Probe);
