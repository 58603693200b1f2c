//! `cargo xtask ci`: the whole of continuous integration, which runs at home just the same.

use crate::steps::{Done, Steps};
use crate::{cargo, contract, mutate, one_build, repo, test, tidy, wit};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// Run everything that continuous integration runs
///
/// Formatting, lints, the rules of the house, the WIT packages of others, licences and advisories, and all tests.
/// It goes on after a failure and names everything that failed at the end. Lints come with the same profile as the
/// tests, so that dependencies which run at build time are compiled once.
///
/// Example: cargo xtask ci --only fmt --only tidy
#[derive(clap::Args)]
pub(crate) struct Ci {
    /// Run this step alone, as the summary names it; may be given several times
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
}

/// What is to be told when `cargo deny` is not there.
const INSTALL_DENY: &str = "`cargo install --locked cargo-deny` installs what checks licences and advisories";

impl Ci {
    pub(crate) fn run(self) -> Result<()> {
        let root = repo::root()?;
        let mut steps = Steps::only(self.only);
        steps.run("fmt", || {
            cargo::run(&root, &["fmt", "--all", "--check"]).context("`cargo fmt --all` mends it")?;
            Ok(Done::Passed)
        });
        steps.run("fmt-guests", || {
            cargo::run(&root, &["fmt", "--manifest-path", "guests/rust/Cargo.toml", "--all", "--check"])
                .context("`cargo fmt --manifest-path guests/rust/Cargo.toml --all` mends it")?;
            Ok(Done::Passed)
        });
        steps.run("tidy", || tidy::check(&root).map(|()| Done::Passed));
        steps.run("wit", || wit::check(&root).map(|()| Done::Passed));
        steps.run("one-build", || one_build::check(&root).map(|()| Done::Passed));
        steps.run("clippy", || {
            cargo::run(&root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
            Ok(Done::Passed)
        });
        steps.run("deny", || deny(&root, &["bans", "licenses", "sources"]));
        steps.run("advisories", || deny(&root, &["advisories"]));
        test::all(&mut steps, &root, &[]);
        // After the guests are built and the host is compiled, which it runs.
        steps.run("contract", || contract::check(&root, true).map(|()| Done::Passed));
        // A tenth of them; all take some minutes.
        steps.run("mutate", || mutate::check(&root, 10, false).map(|()| Done::Passed));
        steps.finish()
    }
}

/// Runs some checks of cargo-deny, if it is installed.
fn deny(root: &Path, checks: &[&str]) -> Result<Done> {
    let found = cargo::command(root).args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.context("failed to start cargo")?.success() {
        return Ok(Done::Unavailable(INSTALL_DENY.to_owned()));
    }
    let mut command: Command = cargo::command(root);
    command.args(["deny", "check"]).args(checks);
    let output = command.stdout(Stdio::inherit()).output().context("failed to start `cargo deny`")?;
    let text = String::from_utf8_lossy(&output.stderr);
    eprint!("{text}");
    if output.status.success() {
        Ok(Done::Passed)
    } else if text.contains("failed to fetch advisory database") {
        Ok(Done::Unavailable("there is no network to fetch the advisories".to_owned()))
    } else {
        bail!("`cargo deny check {}` ended with {}", checks.join(" "), output.status)
    }
}
