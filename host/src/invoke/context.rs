//! What a guest sees of the system, made from its policy.

use std::path::Path;

use wasmtime_wasi::p2::pipe::{ClosedInputStream, MemoryInputPipe};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use super::Stdin;
use crate::component::Component;
use crate::outcome::{Refusal, Stop};
use crate::policy::Policy;
use crate::stdio::Output;

/// What the guest sees of the system: what the policy grants and nothing else. No address, no name look-up; the real
/// clocks.
pub(super) fn wasi<E>(
    policy: &Policy,
    stdin: Stdin,
    stdout: Output,
    stderr: Output,
    component: &Component<E>,
) -> Result<WasiCtx, Stop> {
    let grants = &policy.grants;
    let mut builder = WasiCtx::builder();
    // The first argument is the program's name: the digest, since a path of the host is none of the guest's business.
    let digest = component.facts().digest.trim_start_matches("sha256:");
    builder.arg(digest.get(..12).unwrap_or(digest)).args(&grants.args);
    for (name, value) in &grants.env {
        builder.env(name, value);
    }
    match stdin {
        Stdin::Empty => builder.stdin(ClosedInputStream),
        Stdin::Inherit => builder.stdin(tokio::io::stdin()),
        Stdin::Bytes(bytes) => builder.stdin(MemoryInputPipe::new(bytes)),
    };
    builder.stdout(stdout).stderr(stderr);
    for dir in &grants.dir {
        let access = if dir.access.permits_writing() { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        open_dir(&mut builder, &dir.host, &dir.guest, access)?;
    }
    Ok(builder.build())
}

fn open_dir(builder: &mut WasiCtxBuilder, host: &Path, guest: &str, access: FsPerms) -> Result<(), Stop> {
    match builder.preopened_dir(host, guest, access) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!("failed to open the directory `{}`: {}", host.display(), error.root_cause());
            Err(Stop::refused(Refusal::Grant, message, "a directory that is granted must exist and be readable"))
        }
    }
}
