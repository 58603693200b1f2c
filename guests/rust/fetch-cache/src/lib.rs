//! Fetches a URL once, and answers from a key-value bucket after that.
//!
//! The specification is in `guests/README.md`; the same guest exists in other languages. It uses what `sandbox-pure`
//! lacks: configuration by `wasi:config`, buckets, and requests to the outside. Deliberately absent: redirects, expiry,
//! and request headers.
//!
//! - `url`: from the job's input to the parts of a request.
//! - `guest`: the component's side, only in WebAssembly.

#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "natively, there is nothing to call it"))]

#[cfg(target_arch = "wasm32")]
mod guest;
mod url;
