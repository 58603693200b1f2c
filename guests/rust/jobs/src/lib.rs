//! What the probes that are jobs have in common: the bindings of world `sandbox`, and how they read their input.
//!
//! Each probe is an example of this crate and becomes one component. The table of them is in `guests/README.md`.

#![cfg(target_arch = "wasm32")]
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "the generated bindings are in this module"
)]

wit_bindgen::generate!({
    path: "../../../wit",
    world: "sandbox",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_job",
    default_bindings_module: "jobs",
});

pub use exports::sandbox::host::job::{Failure, Guest, Input, Output};

/// The first value of an attribute.
pub fn attribute<'a>(input: &'a Input, name: &str) -> Option<&'a str> {
    input.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The value of an attribute that is a whole number, or none where there is no such attribute.
pub fn number(input: &Input, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = attribute(input, name) else { return Ok(None) };
    let number = text.parse();
    number.map(Some).map_err(|_| Failure::InvalidInput(format!("attribute `{name}`: `{text}` is not a whole number")))
}

/// An output that is text.
pub fn text(body: String) -> Output {
    Output { body: body.into_bytes(), content_type: Some(String::from("text/plain")), attributes: Vec::new() }
}
