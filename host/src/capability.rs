//! What a guest can call: one file for each interface that the host implements or narrows, each with its context, its
//! view, the generated trait and its threat model.
//!
//! The interfaces of WASI that need no narrowing (clocks, streams, arguments, environment) come from wasmtime-wasi
//! and stand only in the linker's list.

pub(crate) mod budget;
pub(crate) mod clocks;
pub(crate) mod config;
pub(crate) mod environment;
pub(crate) mod errors;
pub(crate) mod filesystem;
pub(crate) mod http;
pub(crate) mod keyvalue;
pub(crate) mod logging;
pub(crate) mod random;
pub(crate) mod sockets;
