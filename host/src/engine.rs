//! The only place where the engine is configured.
//!
//! Concurrency support is off: Preview 2 and typed worlds don't use it, it costs three times as much per call, and
//! most of this year's advisories on components are in it. Proposals that no supported toolchain emits are off, since
//! each is more code that hostile bytes can reach: 64-bit memories, shared memory, relaxed SIMD and garbage collection.
//! Multiple memories stay on: the engine's own adapters between components within a component need them, and it panics
//! where they are off. Guard pages and signals stand at the engine's defaults. The pooling allocator and the cache are
//! deliberately absent here.

use wasmtime::{Config, Engine, OptLevel};

use crate::policy::Policy;
use crate::scheduler;

/// What of a policy is compiled into the code and therefore needs an engine of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EngineKey {
    fuel: bool,
    deterministic: bool,
    stack: u64,
}

/// The engine's name and version, as receipts say it.
pub(crate) const ENGINE: &str = concat!("wasmtime ", "48.0.8");

/// What the host itself needs of an asynchronous stack, beyond the guest's part.
const HOST_STACK: u64 = 1536 * 1024;

impl EngineKey {
    pub(crate) fn of(policy: &Policy) -> Self {
        let Policy { grants, limits, .. } = policy;
        Self { fuel: limits.fuel.is_some(), deterministic: grants.deterministic.is_some(), stack: limits.stack.0 }
    }

    /// A new engine whose epoch already ticks.
    pub(crate) fn build(self) -> wasmtime::Result<Engine> {
        let stack = usize::try_from(self.stack)?;
        let async_stack = usize::try_from(self.stack.saturating_add(HOST_STACK))?;
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .concurrency_support(false)
            .cranelift_opt_level(OptLevel::Speed)
            .epoch_interruption(true)
            .consume_fuel(self.fuel)
            // Otherwise a guest sees in the bits of a NaN which processor it runs on.
            .cranelift_nan_canonicalization(self.deterministic)
            .max_wasm_stack(stack)
            .async_stack_size(async_stack)
            .async_stack_zeroing(true)
            .gc_support(false)
            .wasm_memory64(false)
            .wasm_threads(false)
            .wasm_relaxed_simd(false);
        let engine = Engine::new(&config)?;
        scheduler::tick(&engine)?;
        Ok(engine)
    }
}
