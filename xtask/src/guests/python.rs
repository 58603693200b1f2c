//! Guests in Python: `guests/python/<guest>/app.py` and what it imports, in a component with CPython inside.
//!
//! componentize-py runs the guest's imports while it builds and keeps the result, so that they cost nothing at run time.
//! In a guest of `sandbox-pure`, all of WASI is replaced by traps: what needs it (the clock, `print`, files)
//! can't be used there, and Python's random numbers are the same in every run.

use anyhow::Result;

use super::Workshop;
use super::command::run;
use super::component::Made;
use super::source::{Guest, read};
use super::toolchain::{PYTHON, python};

/// Part of the digest of the inputs: a change here builds the guests again.
pub(super) const RECIPE: &str = include_str!("python.rs");

/// What the script `componentize-py` does that pip makes, which names the Python that made it.
const SCRIPT: &str =
    "import sys; from componentize_py import script; sys.argv[0] = 'componentize-py'; sys.exit(script())";

pub(super) fn build(shop: &Workshop, guest: &Guest) -> Result<Made> {
    let output = shop.scratch(guest)?.join("component.wasm");
    let mut command = python();
    command.env("PYTHONPATH", shop.tools.wheel("componentize-py")?).current_dir(&shop.root);
    command.args(["-c", SCRIPT, "--quiet", "--wit-path"]).arg(shop.relative(&shop.wit()));
    command.args(["--world", &guest.world, "componentize", "app"]);
    if guest.world == "sandbox-pure" {
        command.arg("--stub-wasi");
    }
    command.arg("--python-path");
    run(command.arg(shop.relative(&guest.folder)).arg("--output").arg(&output), PYTHON)?;
    let version = &shop.tools.pins.wheel("componentize-py")?.version;
    Made::new(read(&output)?, &[("componentize-py", version)]).labelled("Python")
}
