//! Masks e-mail addresses, payment card numbers, IP addresses and bearer tokens in text.
//!
//! The specification, which this code follows step by step, is in `guests/README.md`; the same guest exists in other
//! languages. It works on bytes, so that a log in a broken or unknown encoding comes out as it went in, but for the
//! matches. Deliberately absent: regular expressions (hostile input must cost linear time), letters outside ASCII, and
//! anything from WASI.
//!
//! - `config`: from the operator's texts to a checked value.
//! - `scan`: the pass over the bytes.
//! - `bearer`, `email`, `address`, `card`: what matches at one position, one kind each (both kinds of IP
//!   address in one).
//! - `guest`: the component's side, only in WebAssembly.

#![cfg_attr(not(any(test, target_arch = "wasm32")), allow(dead_code, reason = "natively, only the tests use it"))]

mod address;
mod bearer;
mod bytes;
mod card;
mod config;
mod email;
mod scan;

#[cfg(test)]
mod contract_tests;
#[cfg(target_arch = "wasm32")]
mod guest;
