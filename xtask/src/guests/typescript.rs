//! Guests in TypeScript: `guests/ts/<guest>/<guest>.ts` and what it imports, on QuickJS; on StarlingMonkey for the
//! world `sandbox`.
//!
//! The types of the world are generated, the compiler checks the guest against them, and then the types are left out:
//! what runs is JavaScript.

use anyhow::Result;
use serde_json::json;

use super::command::run;
use super::component::Made;
use super::javascript::{QUICKJS, STARLINGMONKEY, componentize, made, tool};
use super::source::Guest;
use super::toolchain::NODE;
use super::{Workshop, manifest};

/// Part of the digest of the inputs: a change here builds the guests again.
pub(super) const RECIPE: &str = concat!(include_str!("typescript.rs"), include_str!("javascript.rs"));

pub(super) fn build(shop: &Workshop, guest: &Guest) -> Result<Made> {
    let scratch = shop.scratch(guest)?;
    let types = scratch.join("types");
    let mut jco = tool(shop, "jco")?;
    jco.arg("guest-types").arg(shop.relative(&shop.wit())).args(["--quiet", "--world-name", &guest.world]);
    run(jco.arg("--out-dir").arg(&types), NODE)?;

    // The guest's own settings, over its own files and the generated ones.
    let config = json!({
        "extends": guest.folder.join("tsconfig.json"),
        "include": [guest.folder.join("**/*.ts"), types.join("**/*.d.ts")],
    });
    let file = scratch.join("tsconfig.json");
    manifest::write(&file, config.to_string().as_bytes())?;
    run(tool(shop, "tsc")?.arg("--project").arg(&file), NODE)?;

    let source = format!("{}.ts", guest.name);
    if guest.world != "sandbox-pure" {
        // QuickJS can't: see guests/languages.toml.
        let bytes = componentize(shop, guest, &source, &STARLINGMONKEY)?;
        return made(shop, bytes, &["@bytecodealliance/componentize-js", "typescript"])?.labelled("TypeScript");
    }
    let bytes = componentize(shop, guest, &source, &QUICKJS)?;
    made(shop, bytes, &["componentize-qjs", "typescript"])?.labelled("TypeScript")
}
