//! Runs WebAssembly components that you did not write.
//!
//! A [`Component`] is called under a [`Policy`] on behalf of a [`Tenant`], and the [`Host`] returns an [`Outcome`] and
//! a [`Receipt`]. Everything that is not granted is denied, and everything that can be used up has a limit.
//!
//! ```
//! # let runtime = tokio::runtime::Runtime::new().unwrap();
//! # runtime.block_on(async {
//! use host::{Host, Invocation, Policy, Tenant};
//!
//! let host: Host = Host::new()?;
//! let tenant = Tenant::new("acme", Policy::parse("limits.memory = '16MiB'")?)?;
//! // A program that does nothing, in text form to keep the example short.
//! let bytes = br#"(module (memory (export "memory") 1) (func (export "_start")))"#;
//! let component = host.load(bytes.to_vec(), tenant.policy()).await?;
//! let ended = host.invoke(Invocation::command(&component, &tenant)).await;
//! assert_eq!(ended.receipt.stop.reason, "returned");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod artifact;
pub mod attack;
mod bindings;
mod cache;
mod call;
mod capability;
mod compile;
mod component;
mod conduct;
pub mod contract;
mod deterministic;
mod egress;
mod ending;
mod engine;
mod host;
mod invoke;
mod keyvalue;
mod limiter;
mod linker;
pub mod outcome;
pub mod policy;
mod quota;
pub mod receipt;
mod scheduler;
mod shared;
mod state;
mod stdio;
mod tenant;
mod text;

pub use artifact::ArtifactKey;
pub use bindings::{Failure, Input, Output};
pub use cache::{CACHE_BYTES, Cache, CacheError};
pub use call::FunctionCall;
pub use compile::child::{COMPILE_WORKER, ChildCompiler};
pub use compile::worker::compile_worker;
pub use component::{Component, Facts, Form, Inspection, PREFIX, Sizes, World, read_component, refuse_by_prefix};
pub use conduct::{Conductor, Found, Fuzz, Fuzzed, Replayed};
pub use egress::{Resolve, SystemResolver};
pub use engine::pool::Pool;
pub use host::{Host, HostBuilder, HostError};
pub use invoke::{Ended, Invocation, Stdin, Value};
pub use outcome::{Outcome, Stop, StopReason};
pub use policy::Policy;
pub use receipt::Receipt;
pub use shared::InUse;
pub use state::State;
pub use stdio::{Buffer, Sink};
pub use tenant::{InvalidTenantId, Tenant, TenantId};
pub use text::escape;
