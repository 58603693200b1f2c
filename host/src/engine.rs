//! The only place where the engine is configured.
//!
//! Concurrency support is off: Preview 2 and typed worlds don't use it, it costs three times as much per call, and
//! most of this year's advisories on components are in it. Proposals that no supported toolchain emits are off, since
//! each is more code that hostile bytes can reach: 64-bit memories, shared memory, relaxed SIMD and garbage collection.
//! Multiple memories stay on: the engine's own adapters between components within a component need them, and it panics
//! where they are off. Guard pages and signals stand at the engine's defaults. The engine's own cache is deliberately
//! absent: it loads whatever lies in its folder; ours is in [`crate::cache`].

pub(crate) mod pool;

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, Strategy};

use self::pool::Pool;

use crate::policy::{Compiler, Policy};
use crate::scheduler;

/// What of a policy needs an engine of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EngineKey {
    pub(crate) code: CodeKey,
    stack: u64,
    /// Whether code of another compiler may stand in until this one's is there.
    pub(crate) tiered: bool,
}

/// What of a policy is compiled into the code. The stack isn't: code reads its bound when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct CodeKey {
    pub(crate) fuel: bool,
    pub(crate) deterministic: bool,
    pub(crate) tier: Tier,
}

/// What makes the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tier {
    Pulley,
    Cranelift,
    Winch,
}

/// What code can be loaded by: the engine's version, the processor's features and every setting that is compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CodeId(pub(crate) [u8; 32]);

/// The engine's name and version, as receipts say it.
pub(crate) const ENGINE: &str = concat!("wasmtime ", "48.0.8");

/// What the host itself needs of an asynchronous stack, beyond the guest's part.
const HOST_STACK: u64 = 1536 * 1024;

impl EngineKey {
    pub(crate) fn of(policy: &Policy) -> Self {
        let Policy { grants, limits, .. } = policy;
        let deterministic = grants.deterministic.is_some();
        let tier = match grants.compiler {
            Compiler::Pulley => Tier::Pulley,
            // Winch leaves the bits of a NaN to the processor.
            Compiler::Winch if !deterministic => Tier::Winch,
            Compiler::Cranelift | Compiler::Tiered | Compiler::Winch => Tier::Cranelift,
        };
        let tiered = grants.compiler == Compiler::Tiered && !deterministic;
        let code = CodeKey { fuel: limits.fuel.is_some(), deterministic, tier };
        Self { code, stack: limits.stack.0, tiered }
    }

    /// What stands in until the code of this one is there.
    pub(crate) fn quick(self) -> Option<Self> {
        let code = CodeKey { tier: Tier::Winch, ..self.code };
        self.tiered.then_some(Self { code, tiered: false, ..self })
    }

    /// The engine alone.
    pub(crate) fn settled(self) -> Self {
        Self { tiered: false, ..self }
    }

    /// A new engine whose epoch already ticks. Where a pool finds no room in the address space, places are made as they are
    /// needed, and the log says so.
    pub(crate) fn build(self, pool: Option<Pool>) -> wasmtime::Result<Engine> {
        let stack = usize::try_from(self.stack)?;
        let async_stack = usize::try_from(self.stack.saturating_add(HOST_STACK))?;
        let mut config = self.code.config()?;
        config.max_wasm_stack(stack).async_stack_size(async_stack);
        let pooled = pool.map(|pool| {
            let mut config = config.clone();
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool.config()));
            (pool, Engine::new(&config))
        });
        let engine = match pooled {
            Some((pool, Ok(engine))) => {
                tracing::info!(target: "host", "{}", pool.describe());
                engine
            }
            Some((_, Err(error))) => {
                tracing::warn!(target: "host", "going on without a pool: {error:#}");
                Engine::new(&config)?
            }
            None => Engine::new(&config)?,
        };
        scheduler::tick(&engine)?;
        Ok(engine)
    }
}

impl CodeKey {
    /// An engine that compiles and runs nothing.
    pub(crate) fn compiler(self) -> wasmtime::Result<Engine> {
        Engine::new(&self.config()?)
    }

    fn config(self) -> wasmtime::Result<Config> {
        let mut config = Config::new();
        match self.tier {
            Tier::Pulley => config.target("pulley64")?,
            Tier::Cranelift => config.strategy(Strategy::Cranelift),
            Tier::Winch => config.strategy(Strategy::Winch),
        };
        if self.deterministic {
            // Otherwise a guest sees in the bits of a NaN which processor it runs on.
            config.cranelift_nan_canonicalization(true);
        }
        config
            .wasm_component_model(true)
            .concurrency_support(false)
            .cranelift_opt_level(OptLevel::Speed)
            .epoch_interruption(true)
            .consume_fuel(self.fuel)
            .async_stack_zeroing(true)
            .gc_support(false)
            .wasm_memory64(false)
            .wasm_threads(false)
            .wasm_relaxed_simd(false);
        Ok(config)
    }
}

impl Tier {
    /// The word in a policy.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pulley => Compiler::Pulley.word(),
            Self::Cranelift => Compiler::Cranelift.word(),
            Self::Winch => Compiler::Winch.word(),
        }
    }
}

impl CodeId {
    /// Of the code that this engine makes and loads.
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut hasher = Collect(blake3::Hasher::new());
        // What is kept with the code is this version's to read.
        (ENGINE, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self(*hasher.0.finalize().as_bytes())
    }
}

/// The standard way of hashing, into a hash that nobody can find a second text for.
struct Collect(blake3::Hasher);

impl Hasher for Collect {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not asked for: the whole hash is taken.
    fn finish(&self) -> u64 {
        0
    }
}
