//! `cargo xtask test`: everything that a test needs, then all tests.

use crate::guests::BuildGuests;
use crate::steps::{Done, Steps};
use crate::{cargo, repo};
use anyhow::Result;
use clap::{Args as _, FromArgMatches as _};
use std::path::Path;

/// Build the sample guests and run all tests
///
/// Arguments are passed on to `cargo test` for the workspace; the guests are built and the guests' own tests run
/// either way. With CI=true in the environment, a guest whose tools are missing is an error.
///
/// Example: cargo xtask test policy:: -- --nocapture
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Arguments for `cargo test`, such as a filter
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

impl Test {
    pub(crate) fn run(self) -> Result<()> {
        let root = repo::root()?;
        let mut steps = Steps::default();
        all(&mut steps, &root, &self.args);
        steps.finish()
    }
}

/// Adds the steps of a full test run.
pub(crate) fn all(steps: &mut Steps, root: &Path, args: &[String]) {
    steps.run("targets", add_targets);
    let require_all: &[&str] = if in_ci() { &["--require-all"] } else { &[] };
    if !steps.run("build-guests", || build_guests(require_all)) {
        // Old guests, or none, would make the tests say things that are not so.
        return;
    }
    steps.run("test", || {
        let mut command = vec!["test", "--workspace"];
        command.extend(args.iter().map(String::as_str));
        cargo::run(root, &command)?;
        Ok(Done::Passed)
    });
    steps.run("test-guests", || {
        // The workspace's default members are those that also build natively.
        cargo::run(root, &["test", "--manifest-path", "guests/rust/Cargo.toml"])?;
        Ok(Done::Passed)
    });
}

/// Adds the WebAssembly targets that the tests build plain programs for, besides those of the sample guests.
fn add_targets() -> Result<Done> {
    let targets = ["wasm32-wasip1", "wasm32-wasip2", "wasm32-unknown-unknown"];
    let status = std::process::Command::new("rustup").args(["--quiet", "target", "add"]).args(targets).status();
    match status {
        Ok(status) if status.success() => Ok(Done::Passed),
        Ok(status) => anyhow::bail!("`rustup target add {}` ended with {status}", targets.join(" ")),
        Err(_) => Ok(Done::Unavailable(format!("install rustup, or the targets {} by hand", targets.join(", ")))),
    }
}

/// Whether this is a run of continuous integration, where nothing may be left out.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Does what `cargo xtask build-guests` does with `args`.
pub(crate) fn build_guests(args: &[&str]) -> Result<Done> {
    let command = clap::Command::new("build-guests").no_binary_name(true);
    let matches = BuildGuests::augment_args(command).try_get_matches_from(args)?;
    BuildGuests::from_arg_matches(&matches)?.run()?;
    Ok(Done::Passed)
}
