//! Fails in the way that the attribute `kind` names, with the text in the attribute `text`.

use jobs::{Failure, Guest, Input, Output, attribute};

struct Probe;

impl Guest for Probe {
    fn run(input: Input) -> Result<Output, Failure> {
        let text = String::from(attribute(&input, "text").unwrap_or("as asked for"));
        Err(match attribute(&input, "kind") {
            Some("invalid-input") => Failure::InvalidInput(text),
            Some("invalid-config") => Failure::InvalidConfig(text),
            Some("other") | None => Failure::Other(text),
            Some(kind) => Failure::InvalidInput(format!("attribute `kind`: there is no failure `{kind}`")),
        })
    }
}

jobs::export_job!(Probe);
