//! From a component's bytes to native code.
//!
//! A compiler is a large program that reads what an attacker wrote, so reading and compiling are done as if they were
//! the guest's own work: in a child process that has nothing but its pipes, under limits on memory, processor time,
//! time and size ([`child`], [`worker`]). An embedder whose program can't be started a second time compiles in its own
//! process, where only time and size are bounded.

pub(crate) mod child;
mod sandbox;
pub(crate) mod worker;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::artifact::About;
use crate::component::{self, Facts, Parsed, source};
use crate::engine::CodeKey;
use crate::linker;
use crate::outcome::{Refusal, Stop};
use crate::policy::{LimitKind, Limits};
use crate::text::escape;

/// What a compilation may use up. Every one is a key of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct CompileLimits {
    pub(crate) memory: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) wall_ns: u64,
    pub(crate) artifact: u64,
}

/// What the host that the code is for offers beyond what we know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Offers {
    /// Functions of an embedder's own.
    pub(crate) extended: bool,
    /// Any import, since it is answered in another way.
    pub(crate) open: bool,
}

/// Code that was just made.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) about: About,
    pub(crate) code: Vec<u8>,
    pub(crate) took: Took,
}

/// How long its parts took.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Took {
    pub(crate) load: Duration,
    pub(crate) compile: Duration,
}

impl CompileLimits {
    pub(crate) fn of(limits: &Limits) -> Self {
        Self {
            memory: limits.compile_memory.0,
            cpu_ns: limits.compile_cpu.nanos(),
            wall_ns: limits.compile_wall.nanos(),
            artifact: limits.artifact_size.0,
        }
    }

    /// The component is refused: compiling it took more than this.
    pub(crate) fn exceeded(&self, kind: LimitKind) -> Stop {
        let max = match kind {
            LimitKind::CompileMemory => self.memory,
            LimitKind::CompileCpu => self.cpu_ns,
            LimitKind::ArtifactSize => self.artifact,
            _ => self.wall_ns,
        };
        Stop::compile_limit(kind, max)
    }
}

/// Reads a component and compiles it, here and now.
pub(crate) fn compile(bytes: Vec<u8>, key: CodeKey, offers: Offers) -> Result<Compiled, Stop> {
    let Parsed { facts, binary, took } = Parsed::read(bytes)?;
    // What nobody offers is said before a long compilation, unless the embedder offers more than we know of.
    if !offers.extended && !offers.open {
        missing(&facts)?;
    }
    let began = Instant::now();
    let engine =
        key.compiler().map_err(|error| Stop::host_fault(format!("failed to set up the compiler: {error:#}")))?;
    let code = engine
        .precompile_component(&binary)
        .map_err(|error| source::invalid(format!("the component is not valid: {}", component::one_line(&error))))?;
    let took = Took { load: took, compile: began.elapsed() };
    Ok(Compiled { about: About::new(facts, key), code, took })
}

/// What the host offers, for those who want something else.
pub(crate) const OFFERED: &str = "the host offers `sandbox:host@0.1.0`, `wasi:cli`, `wasi:clocks`, `wasi:filesystem`, `wasi:io`, \
                       `wasi:random` and `wasi:sockets` at 0.2, `wasi:http/outgoing-handler` at 0.2, \
                       `wasi:config/store@0.2.0-rc.1`, `wasi:keyvalue@0.2.0-draft` and `wasi:logging/logging`";

/// Refuses imports that the host doesn't offer, all of them at once.
pub(crate) fn missing(facts: &Facts) -> Result<(), Stop> {
    let missing = facts.imports.iter().filter(|name| !linker::offers(name)).map(|name| escape(name));
    let missing: Vec<String> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("the component imports `{}`, which the host doesn't offer", missing.join("`, `"));
    Err(Stop::refused(Refusal::Import, message, OFFERED))
}
