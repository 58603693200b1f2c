//! The component's side: takes the configuration from the host, and sends the counts to its log.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "the generated bindings are in this module"
)]

use crate::config::Config;
use crate::scan::redact;

wit_bindgen::generate!({ path: "../../../wit", world: "sandbox-pure" });

use exports::sandbox::host::job::{Failure, Guest, Input, Output};
use sandbox::host::config::get;
use sandbox::host::log::{Level, log};

struct Redact;

impl Guest for Redact {
    fn run(input: Input) -> Result<Output, Failure> {
        let (mask, replacement) = (get("mask"), get("replacement"));
        let config = Config::parse(mask.as_deref(), replacement.as_deref()).map_err(Failure::InvalidConfig)?;
        let (body, counts) = redact(&config, &input.body);
        log(Level::Info, "redact", &counts.to_string());
        Ok(Output { body, content_type: input.content_type, attributes: Vec::new() })
    }
}

export!(Redact);
