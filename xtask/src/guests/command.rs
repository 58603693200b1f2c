//! Running the tools of other languages: what is missing is told apart from what fails, and a compiler's own error is
//! shown as the compiler wrote it.
//!
//! Deliberately absent: a shell. Arguments go to the tool as they are.

use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result};

/// A tool that is not here and that we don't install. It is an ending of its own, since it says nothing about the
/// guest.
#[derive(Clone, Debug)]
pub(crate) struct Unavailable {
    what: String,
    remedy: String,
}

impl Unavailable {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for Unavailable {}

/// A tool that ran and did not succeed. What it printed was shown already.
#[derive(Debug)]
pub(super) struct ToolFailed {
    name: String,
    status: ExitStatus,
    /// What it printed, on both streams.
    pub(super) output: String,
}

impl std::fmt::Display for ToolFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ended with {}", self.name, self.status)
    }
}

impl std::error::Error for ToolFailed {}

/// Runs a tool to its end. Its output is shown only if it fails, and then all of it. `remedy` is what to do if there is
/// no such tool.
pub(super) fn run(command: &mut Command, remedy: &str) -> Result<String> {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Unavailable::new(format!("`{name}` was not found"), remedy).into());
        }
        Err(error) => return Err(error).with_context(|| format!("failed to start `{name}`")),
    };
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        eprint!("{text}");
        return Err(ToolFailed { name, status: output.status, output: text }.into());
    }
    Ok(text)
}

/// Takes away what an outer `cargo run` and a developer's shell set for building native programs, so that a guest is
/// the same whoever builds it.
pub(super) fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let cargo =
            ["CARGO_BUILD_", "CARGO_ENCODED_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PROFILE_", "CARGO_TARGET_"]
                .iter()
                .any(|prefix| text.starts_with(prefix));
        let flags = matches!(text, "RUSTFLAGS" | "RUSTC_WRAPPER" | "CFLAGS" | "CXXFLAGS" | "CPPFLAGS" | "LDFLAGS");
        let go = text.starts_with("GO") || text.starts_with("CGO_");
        let scripts = matches!(text, "NODE_OPTIONS" | "PYTHONPATH" | "PYTHONHOME" | "PYTHONSTARTUP");
        if cargo || flags || go || scripts {
            command.env_remove(name);
        }
    }
    command
}
