//! Guests in JavaScript: `guests/js/<guest>/<guest>.js` and what it imports, on two engines.
//!
//! StarlingMonkey (SpiderMonkey made for wasm) has the whole language and the larger component; QuickJS makes small
//! components quickly and has few of the interfaces that browsers have. Both are told to leave WASI out.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::command::{Unavailable, clean, run};
use super::component::Made;
use super::source::{Guest, read};
use super::toolchain::NODE;
use super::{Workshop, manifest};

/// Part of the digest of the inputs: a change here builds the guests again.
pub(super) const RECIPE: &str = include_str!("javascript.rs");

pub(super) fn build_starlingmonkey(shop: &Workshop, guest: &Guest) -> Result<Made> {
    let bytes = componentize(shop, guest, &format!("{}.js", guest.name), &STARLINGMONKEY)?;
    made(shop, bytes, &["@bytecodealliance/componentize-js"])
}

pub(super) fn build_quickjs(shop: &Workshop, guest: &Guest) -> Result<Made> {
    let bytes = componentize(shop, guest, &format!("{}.js", guest.name), &QUICKJS)?;
    made(shop, bytes, &["componentize-qjs"])?.labelled("JavaScript")
}

/// Without the engine's own use of WASI; what the guest itself imports stays.
pub(super) const STARLINGMONKEY: [&str; 4] = ["--backend", "starlingmonkey", "--disable", "all"];

/// Without WASI, and without the asynchronous calling convention, which a host needs a costlier engine for.
pub(super) const QUICKJS: [&str; 4] =
    ["--backend", "quickjs", "--backend-qjs-stub-wasi", "--backend-qjs-disable-async"];

/// Bundles a source with what it imports, and makes a component of it.
pub(super) fn componentize(shop: &Workshop, guest: &Guest, source: &str, options: &[&str]) -> Result<Vec<u8>> {
    let scratch = shop.scratch(guest)?;
    let output = scratch.join("component.wasm");
    // Without this, each import from the world is a warning that the module was not found.
    let bundle = scratch.join("bundle.mjs");
    manifest::write(&bundle, b"export default { external: /^[a-z-]+:/ };\n")?;
    // In the guest's folder, since one of the engines looks for the source there.
    let mut jco = tool(shop, "jco")?;
    jco.current_dir(&guest.folder).arg("componentize").arg(source).arg("--wit").arg(shop.wit());
    jco.args(["--world-name", &guest.world, "--bundle", "--bundle-config"]).arg(&bundle).arg("--out").arg(&output);
    run(jco.args(options), NODE)?;
    read(&output)
}

/// What a run of jco made, with the tools that took part.
pub(super) fn made(shop: &Workshop, bytes: Vec<u8>, packages: &[&str]) -> Result<Made> {
    let mut made = Made::new(bytes, &[]);
    for package in ["@bytecodealliance/jco"].iter().chain(packages) {
        made.tools.push(((*package).to_owned(), shop.tools.pins.npm_version(package)?.to_owned()));
    }
    Ok(made)
}

/// A command of a package from npm.
pub(super) fn tool(shop: &Workshop, name: &str) -> Result<Command> {
    let version = run(clean(&mut Command::new("node")).arg("--version"), NODE)?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.context("failed to understand the output of `node --version`")? < 20 {
        return Err(Unavailable::new(format!("node is too old ({})", version.trim()), NODE).into());
    }
    let mut node = Command::new("node");
    clean(&mut node).current_dir(&shop.root).arg(shop.tools.node_modules()?.join(".bin").join(name));
    Ok(node)
}
