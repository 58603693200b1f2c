//! Guests in C++: `guests/cpp/<guest>/*.cpp`, against the header that wit-bindgen generates from the world.
//!
//! The same compiler and the same adapter as for C. Without exceptions and run-time type information, which the C++
//! library for wasm does not have.

use anyhow::Result;

use super::c::Compiler;
use super::component::Made;
use super::source::Guest;
use super::{Workshop, bindings};

/// Part of the digest of the inputs: a change here builds the guests again.
pub(super) const RECIPE: &str =
    concat!(include_str!("cpp.rs"), include_str!("c.rs"), include_str!("zig.rs"), include_str!("names.rs"));

const LANGUAGE: [&str; 3] = ["-std=c++23", "-fno-exceptions", "-fno-rtti"];

/// What people wrote is held to all warnings; what was generated isn't.
const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

pub(super) fn build(shop: &Workshop, guest: &Guest) -> Result<Made> {
    // The folder is for formatting in place, which is off.
    let bindings = bindings::generate(shop, guest, wit_bindgen_cpp::Opts::default().build(None))?;
    let compiler = Compiler { shop, guest, bindings, subcommand: "c++", ending: ".cpp" };
    let mut objects = compiler.compile(&guest.folder, &[&LANGUAGE[..], &WARNINGS].concat())?;
    objects.extend(compiler.compile(&compiler.bindings, &[&LANGUAGE[..], &["-w"]].concat())?);
    compiler.link(objects, "wit-bindgen-cpp")
}
