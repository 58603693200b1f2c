//! Gives back its input: body, content type and attributes.

use jobs::{Failure, Guest, Input, Output};

struct Probe;

impl Guest for Probe {
    fn run(input: Input) -> Result<Output, Failure> {
        Ok(Output { body: input.body, content_type: input.content_type, attributes: input.attributes })
    }
}

jobs::export_job!(Probe);
