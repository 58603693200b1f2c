//! Guests in Zig: `guests/zig/<guest>/main.zig`, which imports the bindings as the module `bindings`.
//!
//! There is no generator for Zig: the bindings are the ones for C, of which zig itself translates the header.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::c::Compiler;
use super::command::{clean, run};
use super::component::{self, Made};
use super::source::{Guest, read};
use super::{Workshop, bindings, manifest, names};

/// Part of the digest of the inputs: a change here builds the guests again.
pub(super) const RECIPE: &str = concat!(include_str!("zig.rs"), include_str!("c.rs"), include_str!("names.rs"));

/// WASI preview 1, for which zig has a C library. What of it is left in a guest, the stub adapter answers.
pub(super) const TARGET: [&str; 2] = ["-target", "wasm32-wasi"];

/// The stack in bytes, in the place of zig's 16 MiB, which every instance would start with. It lies below everything else
/// in memory, so that running out of it is a trap.
pub(super) const STACK: &str = "262144";

/// zig is fetched, so this is for a folder that somebody took files out of.
pub(super) const REMEDY: &str = "remove the folder target/toolchains and run again";

pub(super) fn build(shop: &Workshop, guest: &Guest) -> Result<Made> {
    let bindings = bindings::generate(shop, guest, wit_bindgen_c::Opts::default().build())?;
    let compiler = Compiler { shop, guest, bindings, subcommand: "cc", ending: ".c" };
    let objects = compiler.compile(&compiler.bindings, &["-w"])?;
    let header = compiler.bindings.join(format!("{}.h", guest.world.replace('-', "_")));
    let mut zig = command(shop, "translate-c")?;
    // zig builds its translator when it is first needed: with this in 7 seconds instead of 50, for the same translation.
    zig.env("ZIG_DEBUG_CMD", "1");
    let translated = run(zig.args(TARGET).arg("-lc").arg(shop.relative(&header)), REMEDY)?;
    let module = compiler.bindings.join("bindings.zig");
    manifest::write(&module, translated.as_bytes())?;

    let output = shop.scratch(guest)?.join("core.wasm");
    let mut zig = command(shop, "build-exe")?;
    // A module without a main function. With `-fno-strip` the functions keep their names; what else it keeps goes later.
    zig.args(TARGET).args(["-mexec-model=reactor", "-fno-entry", "-fno-strip", "-O", "ReleaseSmall", "-lc"]);
    zig.args(["--stack", STACK]);
    zig.args(objects).arg(compiler.component_type()?).args(["--dep", "bindings"]);
    zig.arg(format!("-Mroot={}", shop.relative(&guest.folder.join("main.zig")).display()));
    zig.arg(format!("-Mbindings={}", shop.relative(&module).display()));
    run(zig.arg(format!("-femit-bin={}", output.display())), REMEDY)?;
    encode(shop, &output, "wit-bindgen-c")?.labelled("Zig")
}

/// zig with its caches inside `target`. It runs in the root of the repository, so that the errors that it shows have
/// short paths, and no path of this machine gets into a guest.
pub(super) fn command(shop: &Workshop, subcommand: &str) -> Result<Command> {
    let mut zig = Command::new(shop.tools.wheel("ziglang")?.join("ziglang/zig"));
    let cache = shop.tools.cache("zig");
    clean(&mut zig).env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache).current_dir(&shop.root);
    zig.arg(subcommand);
    Ok(zig)
}

/// Makes a component of a module that zig linked.
pub(super) fn encode(shop: &Workshop, module: &Path, generator: &str) -> Result<Made> {
    let module = names::shorten(&component::without_debug_information(&read(module)?)?)?;
    let bytes = component::encode(module, Some(&component::stub_adapter(shop)?))?;
    let mut made = Made::new(bytes, &[("zig", &shop.tools.pins.wheel("ziglang")?.version)]);
    made.tools.extend(shop.encoder(generator));
    made.tools.extend(shop.encoder("wit-component"));
    Ok(made)
}
