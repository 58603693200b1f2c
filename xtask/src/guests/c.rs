//! Guests in C: `guests/c/<guest>/*.c`, against the header that wit-bindgen generates from the world.
//!
//! zig brings clang, its linker and a C library for wasm in one download. The C library expects WASI preview 1; what a
//! guest happens to pull in of it is answered by the stub adapter, so that the component imports no WASI.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::command::run;
use super::component::Made;
use super::source::{Guest, files};
use super::{Workshop, bindings, zig};

/// Part of the digest of the inputs: a change here builds the guests again.
pub(super) const RECIPE: &str = concat!(include_str!("c.rs"), include_str!("zig.rs"), include_str!("names.rs"));

/// What people wrote is held to all warnings; what was generated isn't.
const FLAGS: [&str; 5] = ["-std=c23", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];

pub(super) fn build(shop: &Workshop, guest: &Guest) -> Result<Made> {
    let bindings = bindings::generate(shop, guest, wit_bindgen_c::Opts::default().build())?;
    let compiler = Compiler { shop, guest, bindings, subcommand: "cc", ending: ".c" };
    let mut objects = compiler.compile(&guest.folder, &FLAGS)?;
    objects.extend(compiler.compile(&compiler.bindings, &["-w"])?);
    compiler.link(objects, "wit-bindgen-c")
}

/// zig in the part of clang, for C and C++.
pub(super) struct Compiler<'a> {
    pub(super) shop: &'a Workshop,
    pub(super) guest: &'a Guest,
    pub(super) bindings: PathBuf,
    /// zig's name for the compiler of the language.
    pub(super) subcommand: &'a str,
    /// How the names of source files end.
    pub(super) ending: &'a str,
}

impl Compiler<'_> {
    /// Compiles the sources in a folder into objects.
    pub(super) fn compile(&self, folder: &Path, flags: &[&str]) -> Result<Vec<PathBuf>> {
        let scratch = self.shop.scratch(self.guest)?;
        let mut objects = Vec::new();
        for (path, file) in files(folder)?.into_iter().filter(|(path, _)| path.ends_with(self.ending)) {
            let object = scratch.join(format!("{}.o", path.replace('/', "_")));
            let mut zig = zig::command(self.shop, self.subcommand)?;
            zig.args(zig::TARGET).arg("-Os").args(flags).arg("-isystem").arg(self.shop.relative(&self.bindings));
            zig.arg("-c").arg(self.shop.relative(&file)).arg("-o").arg(&object);
            run(&mut zig, zig::REMEDY)?;
            objects.push(object);
        }
        if objects.is_empty() {
            bail!("`{}` has no file that ends with `{}`", folder.display(), self.ending);
        }
        Ok(objects)
    }

    /// The object in which the generator says what the world is.
    pub(super) fn component_type(&self) -> Result<PathBuf> {
        let object = files(&self.bindings)?.into_iter().find(|(path, _)| path.ends_with("_component_type.o"));
        object.map(|(_, file)| file).context("the bindings have no object with the component type")
    }

    /// Links the objects, and makes a component of the result.
    pub(super) fn link(&self, mut objects: Vec<PathBuf>, generator: &str) -> Result<Made> {
        objects.push(self.component_type()?);
        let module = self.shop.scratch(self.guest)?.join("core.wasm");
        let mut zig = zig::command(self.shop, self.subcommand)?;
        // A module without a main function. Without `-g1`, zig drops the functions' names with the debug information.
        zig.args(zig::TARGET)
            .args(["-mexec-model=reactor", "-Os", "-g1"])
            .arg(format!("-Wl,-z,stack-size={}", zig::STACK));
        zig.args(objects).arg("-o").arg(&module);
        run(&mut zig, zig::REMEDY)?;
        zig::encode(self.shop, &module, generator)
    }
}
