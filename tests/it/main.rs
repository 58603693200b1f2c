//! Integration tests: the host as its users meet it, the command line and the library, on real guests.
//!
//! The guests come from `cargo xtask build-guests`; `cargo xtask test` does both. Every receipt that a test makes is
//! checked against the published schema.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "all of this is tests, whose helpers the lints don't recognise as such"
)]

mod artifacts;
mod attack;
mod bad_input;
mod cases;
mod check;
mod command;
mod contract;
mod deterministic;
mod endings;
mod full_disk;
mod generated;
mod golden;
mod grants;
mod http;
mod interrupt;
mod invoke;
mod isolation;
mod jobs;
mod keyvalue;
mod library;
mod limits;
mod new;
mod policy;
mod pool;
mod quota;
mod samples;
mod sharing;
mod sockets;
mod suggested;
mod support;
mod tiers;

// The library's own tests start one too.
#[path = "../../host/src/keyvalue/tests/redis_server.rs"]
mod redis_server;
