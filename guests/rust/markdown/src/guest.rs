//! The component's side: takes the configuration from the host, and says what kind of text the output is.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "the generated bindings are in this module"
)]

use crate::render::{RawHtml, render};

wit_bindgen::generate!({ path: "../../../wit", world: "sandbox-pure" });

use exports::sandbox::host::job::{Failure, Guest, Input, Output};
use sandbox::host::config::get;

struct Markdown;

impl Guest for Markdown {
    fn run(input: Input) -> Result<Output, Failure> {
        let raw_html = RawHtml::parse(get("raw-html").as_deref()).map_err(Failure::InvalidConfig)?;
        let html = render(&input.body, raw_html).map_err(Failure::InvalidInput)?;
        Ok(Output {
            body: html.into_bytes(),
            content_type: Some(String::from("text/html; charset=utf-8")),
            attributes: Vec::new(),
        })
    }
}

export!(Markdown);
