//! Guests in Zig: `guests/zig/<guest>/main.zig`, which imports the bindings as the module `bindings`.
//!
//! There is no generator for Zig: the bindings are the ones for C, of which zig itself translates the header.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::command::clean;
use super::component::{self, Made};
use super::source::{Guest, read};
use super::Workshop;

/// Part of the digest of the inputs: a change here builds the guests again.
pub(super) const RECIPE: &str = concat!(include_str!("zig.rs"), include_str!("c.rs"));

/// WASI preview 1, for which zig has a C library. What of it is left in a guest, the stub adapter answers.
pub(super) const TARGET: [&str; 2] = ["-target", "wasm32-wasi"];

/// zig is fetched, so this is for a folder that somebody took files out of.
pub(super) const REMEDY: &str = "remove the folder target/toolchains and run again";

/// zig with its caches inside `target`.
pub(super) fn command(shop: &Workshop, subcommand: &str) -> Result<Command> {
    let mut zig = Command::new(shop.tools.wheel("ziglang")?.join("ziglang/zig"));
    let cache = shop.tools.cache("zig");
    clean(&mut zig).env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache).arg(subcommand);
    Ok(zig)
}

/// Makes a component of a module that zig linked.
pub(super) fn encode(shop: &Workshop, module: &Path, generator: &str) -> Result<Made> {
    let module = component::without_debug_information(&read(module)?)?;
    let bytes = component::encode(module, Some(&component::stub_adapter(shop)?))?;
    let mut made = Made::new(bytes, &[("zig", &shop.tools.pins.wheel("ziglang")?.version)]);
    made.tools.extend(shop.encoder(generator));
    made.tools.extend(shop.encoder("wit-component"));
    Ok(made)
}

pub(super) fn build(_: &Workshop, _: &Guest) -> Result<Made> { Err(super::Unavailable::new("being written","wait").into()) }
