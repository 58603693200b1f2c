//! What a guest sees of the system, made from its policy.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wasmtime_wasi::p2::pipe::{ClosedInputStream, MemoryInputPipe};
use wasmtime_wasi::{FsPerms, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use super::Stdin;
use crate::component::Component;
use crate::deterministic::Deterministic;
use crate::outcome::{Refusal, Stop};
use crate::policy::Policy;
use crate::stdio::Output;

/// What the guest sees of the system: what the policy grants and nothing else. No address, no name look-up; the real
/// clocks, unless the run is deterministic.
pub(super) fn wasi<E>(
    policy: &Policy,
    stdin: Stdin,
    (stdout, stderr): (Output, Output),
    component: &Component<E>,
    deterministic: Option<&Arc<Deterministic>>,
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
    if let Some(run) = deterministic {
        builder.wall_clock(Simulated(Arc::clone(run))).monotonic_clock(Simulated(Arc::clone(run)));
    }
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

/// The clocks of a deterministic run.
struct Simulated(Arc<Deterministic>);

impl HostWallClock for Simulated {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.read_wall()
    }
}

impl HostMonotonicClock for Simulated {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.read_ns()
    }
}
