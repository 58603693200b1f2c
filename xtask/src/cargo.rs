//! Starting cargo from within a program that cargo itself started.

use crate::term;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A cargo command that runs in `root`, with the same toolchain that runs the xtask.
///
/// `cargo run` describes the package xtask in the environment of its child. Handed on, those variables reach the
/// build scripts of other packages, some of which are built anew when such a variable changes.
pub(crate) fn command(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs cargo with `args` in `root`, its output going where the xtask's own goes.
pub(crate) fn run<S: AsRef<str>>(root: &Path, args: &[S]) -> Result<()> {
    let shown = args.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
    term::say(format_args!("cargo {shown}"));
    let status = command(root)
        .args(args.iter().map(AsRef::as_ref))
        .status()
        .with_context(|| format!("failed to start `cargo {shown}`"))?;
    if !status.success() {
        bail!("`cargo {shown}` ended with {status}");
    }
    Ok(())
}

/// What the xtask reads from `cargo metadata`.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    /// Every package, or those of the workspace alone where dependencies were not asked for.
    pub(crate) packages: Vec<Package>,
    /// The folder that cargo builds into.
    pub(crate) target_directory: PathBuf,
}

/// One package of [`Metadata`].
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest_path: PathBuf,
}

/// Runs `cargo metadata` in `root` with further `args`.
pub(crate) fn metadata(root: &Path, args: &[&str]) -> Result<Metadata> {
    let output = command(root)
        .args(["metadata", "--format-version", "1"])
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .context("failed to start `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata` in `{}` ended with {}", root.display(), output.status);
    }
    serde_json::from_slice(&output.stdout).context("failed to read what `cargo metadata` printed")
}

/// The folder that cargo builds into, wherever a person's own configuration has put it.
pub(crate) fn target_directory(root: &Path) -> Result<PathBuf> {
    Ok(metadata(root, &["--no-deps"])?.target_directory)
}
