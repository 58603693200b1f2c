//! `host compile`: ahead of time, into an artifact that `host run` takes in place of the component.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use host::policy::Bytes;
use host::{Stop, escape};

use super::code::CodeFlags;
use super::flags::PolicyFlags;
use super::interrupt::Interrupt;
use super::{USAGE, files, report};

/// Compile a component ahead of time, into an authenticated artifact
///
/// The artifact runs without a compiler: `host run FILE`. It is made for this kind of processor and this version of the
/// host, and for policies that agree with this one on `fuel`, `deterministic` and `compiler`; anything else is refused with the
/// reason. It is authenticated with the key of the cache, or with the one that `--artifact-key` names, so that a machine
/// that builds can compile for others that have the same key.
///
/// `host run` keeps compiled code by itself, so a component that always runs on one machine needs none of this.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Compile {
    /// Write the artifact to this file
    #[arg(long = "out", short = 'o', value_name = "FILE")]
    artifact: PathBuf,

    #[command(flatten)]
    code: CodeFlags,

    #[command(flatten)]
    policy: PolicyFlags,

    /// A component, a core module for WASI preview 1, or either as text (`-` reads standard input)
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
}

const EXAMPLES: &str = "Examples:
  host compile redact.wasm -o redact.aot && host run redact.aot < access.log
  host compile --artifact-key fleet.key --fuel 1 redact.wasm -o redact.aot
  host compile --compile-memory 512MiB --compile-wall 10s plugin.wasm -o plugin.aot";

impl Compile {
    /// Compiles and returns the exit status.
    pub(super) async fn run(self) -> u8 {
        let (interrupt, made) = (Interrupt::listen(), self.made());
        match interrupt.or(made).await.and_then(|made| made) {
            Ok((artifact, key)) => self.write(&artifact, &key),
            Err(stop) => {
                report::refusal(&stop);
                stop.reason.exit_status()
            }
        }
    }

    async fn made(&self) -> Result<(Vec<u8>, String), Stop> {
        let policy = self.policy.policy(false)?;
        let bytes = files::component(&self.component, policy.limits.component_size.0)?;
        let host = self.code.host()?.build().map_err(|error| Stop::host_fault(error.to_string()))?;
        let artifact = host.compile(bytes, &policy).await?;
        Ok((artifact, host.artifact_key_id().unwrap_or_default()))
    }

    fn write(&self, artifact: &[u8], key: &str) -> u8 {
        let shown = escape(&self.artifact.display().to_string());
        match write_whole(&self.artifact, artifact) {
            Ok(()) => {
                let size = Bytes(artifact.len() as u64);
                report::note(&format!("wrote `{shown}`, {size}, made with the key `{key}`"));
                0
            }
            Err(error) => {
                report::error(&format!("failed to write `{shown}`: {error}"));
                report::hint("its folder must exist and be writable, and its disk have room");
                USAGE
            }
        }
    }
}

/// Writes a file that is there as a whole or, when something goes wrong, as it was before.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(std::io::Error::other("what is there is no plain file, and stays"));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let unfinished = path.with_file_name(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&unfinished)?;
    let written = file.write_all(bytes).and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        // What was written is of no use, and may be what filled the disk.
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}
