//! Bindings for languages whose generator is a library of ours: C, C++ and Go. They are made anew for each build, in
//! `target/guests-build`, and never committed.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use wit_bindgen_core::{Files, WorldGenerator};

use super::source::Guest;
use super::{Workshop, component, manifest};

/// Generates the bindings of a guest's world. Returns the folder that they are in.
pub(super) fn generate(shop: &Workshop, guest: &Guest, mut generator: Box<dyn WorldGenerator>) -> Result<PathBuf> {
    let (mut resolve, world) = component::world(&shop.wit(), &guest.world)?;
    let mut files = Files::default();
    generator
        .generate(&mut resolve, world, &mut files)
        .with_context(|| format!("failed to generate bindings for the world `{}`", guest.world))?;
    let folder = shop.scratch(guest)?.join("bindings");
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("failed to remove `{}`", folder.display()));
        }
        _ => {}
    }
    for (name, contents) in files.iter() {
        manifest::write(&folder.join(name), contents)?;
    }
    Ok(folder)
}
