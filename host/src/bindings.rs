//! The only `bindgen!`: Rust types and traits for everything in `wit/`.
//!
//! WASI 0.2 itself is bound by wasmtime-wasi and reused from there, so that one resource type has one Rust type.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "sandbox:host/sandbox",
    imports: {
        "sandbox:host/log.log": async | trappable,
        "wasi:logging/logging.log": async | trappable,
        "wasi:keyvalue": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "wasi:cli": wasmtime_wasi::p2::bindings::cli,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:filesystem": wasmtime_wasi::p2::bindings::filesystem,
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:random": wasmtime_wasi::p2::bindings::random,
        "wasi:sockets": wasmtime_wasi::p2::bindings::sockets,
        "wasi:http": wasmtime_wasi_http::p2::bindings::http,
    },
    require_store_data_send: true,
});

pub use exports::sandbox::host::job::{Failure, Input, Output};
