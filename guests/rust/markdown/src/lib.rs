//! Markdown to HTML: CommonMark with tables, strikethrough and task lists.
//!
//! The input is taken to be hostile, and the output to be shown to somebody else's browser. So raw HTML in the input
//! is shown as text, and a link or image whose destination has a scheme that can run code goes nowhere. The operator
//! turns both off with `raw-html` = `pass`. Deliberately absent: a whole page around the result, syntax highlighting,
//! and a sanitiser that would let some of the HTML through.
//!
//! - `render`: the pure part.
//! - `guest`: the component's side, only in WebAssembly.

#![cfg_attr(not(any(test, target_arch = "wasm32")), allow(dead_code, reason = "natively, only the tests use it"))]

mod render;

#[cfg(target_arch = "wasm32")]
mod guest;
