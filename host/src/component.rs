//! What a component is: its bytes' digest, the world that it is run as, what it imports and exports, and its code.

mod inspect;
pub(crate) mod source;
mod world;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wasmtime::component::InstancePre;

pub use self::inspect::{Inspection, Sizes};
pub use self::source::{Form, PREFIX, refuse_by_prefix};
pub use self::world::World;
use crate::engine::{EngineKey, Tier};
use crate::outcome::Stop;
use crate::policy::sha256;
use crate::state::State;
use crate::text::escape;

/// A component that is compiled and linked, ready for any number of invocations. Clones share everything.
pub struct Component<E: 'static = ()> {
    pub(crate) inner: Arc<Inner<E>>,
}

pub(crate) struct Inner<E: 'static> {
    pub(crate) facts: Facts,
    pub(crate) pre: InstancePre<State<E>>,
    /// What made its code.
    pub(crate) tier: Tier,
    /// The same with better code, once that is there.
    pub(crate) better: OnceLock<InstancePre<State<E>>>,
    pub(crate) key: EngineKey,
    pub(crate) timings: LoadTimings,
}

/// What was learned from a component's bytes, without compiling them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Facts {
    /// The digest of the bytes as given, `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// How many bytes were given.
    pub size_bytes: u64,
    /// What they were.
    pub form: Form,
    /// The world that it is run as.
    pub world: World,
    /// Names of the interfaces and functions that it imports, sorted.
    pub imports: Vec<String>,
    /// Names of the interfaces and functions that it exports, sorted.
    pub exports: Vec<String>,
}

/// How long each part of loading took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LoadTimings {
    pub(crate) load: Duration,
    pub(crate) compile: Duration,
    pub(crate) link: Duration,
}

impl<E> Inner<E> {
    /// What the next invocation runs. An invocation asks once and stays with the answer.
    pub(crate) fn pre(&self) -> &InstancePre<State<E>> {
        self.chosen().0
    }

    /// The same with what made its code.
    pub(crate) fn chosen(&self) -> (&InstancePre<State<E>>, Tier) {
        self.better.get().map_or((&self.pre, self.tier), |better| (better, self.key.code.tier))
    }
}

impl<E> Clone for Component<E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<E> Component<E> {
    /// What was learned from its bytes.
    pub fn facts(&self) -> &Facts {
        &self.inner.facts
    }

    /// How long compiling it took; nothing where its code came from a cache or an artifact.
    pub fn compile_time(&self) -> Duration {
        self.inner.timings.compile
    }
}

/// Reads bytes of unknown origin: what they are, and the component in binary form that they are or become.
///
/// # Errors
/// A stop whose reason is `refused.…`.
pub fn read_component(bytes: Vec<u8>) -> Result<(Facts, Vec<u8>), Stop> {
    Parsed::read(bytes).map(|parsed| (parsed.facts, parsed.binary))
}

/// A component before it is compiled.
pub(crate) struct Parsed {
    pub(crate) facts: Facts,
    pub(crate) binary: Vec<u8>,
    pub(crate) took: Duration,
}

impl Parsed {
    /// Reads bytes of unknown origin: what they are, and what they import and export.
    pub(crate) fn read(bytes: Vec<u8>) -> Result<Self, Stop> {
        let began = Instant::now();
        let source = source::Source::read(&bytes)?;
        let (digest, size) = (sha256(&bytes), bytes.len() as u64);
        let binary = source.converted.unwrap_or(bytes);
        let (imports, exports) = world::names(&binary)?;
        let world = World::of(&exports);
        let facts = Facts { digest, size_bytes: size, form: source.form, world, imports, exports };
        Ok(Self { facts, binary, took: began.elapsed() })
    }
}

/// An error of the engine's with all its causes, on one line: it has names in it that the component chose.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| escape(&cause.to_string().replace('\n', " "))).collect();
    causes.join(": ")
}
