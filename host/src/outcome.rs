//! How an invocation ended: one closed list of stop reasons, with exit status, blame and message.
//!
//! Pure. The code of a stop reason is stable: it appears in receipts, logs, metric labels and the `x-sandbox-stop`
//! header. Adding one means adding it here, in `docs/stop-reasons.md` and with a probe that ends that way.

use std::fmt;

use serde::Serialize;

use crate::policy::LimitKind;
use crate::text::escape_lines;

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<R> {
    /// The guest returned a value, or the program ended with status 0.
    Returned(R),
    /// The guest ended by itself and says that it failed: a typed error, or a program's own exit status.
    Failed {
        /// What it returned, where there is a value; a program that exits has none.
        value: Option<R>,
        /// Why, with the exit status.
        stop: Stop,
    },
    /// Anything else: the guest did not reach its own end.
    Stopped(Stop),
}

/// Why an invocation ended, with all that a person or a program needs to act on it. Inside the engine it travels as an
/// error like any other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Stop {
    /// The code.
    pub reason: StopReason,
    /// What happened, in a sentence without a period.
    pub message: String,
    /// What to do about it, where there is something.
    pub hint: Option<String>,
    /// The limit that was reached, where one was.
    pub limit: Option<Box<LimitHit>>,
    /// When to try again, in milliseconds from now: a guess, for what there was no room for.
    pub retry_after_ms: Option<u64>,
    /// The guest's own stack when it trapped, innermost frame first, with demangled names.
    pub trace: Vec<String>,
}

/// The closed list of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// A typed ok, or a program that exited with 0.
    Returned,
    /// A typed error, or a program that exited with this status.
    Failed(u8),
    /// A wasm trap.
    Trapped,
    /// A limit was reached.
    Limit(LimitKind),
    /// A denial, where the policy says that a denial stops the guest.
    Denied(Capability),
    /// It never ran.
    Refused(Refusal),
    /// It never ran, since there was no room; later there may be.
    Busy(Busy),
    /// The caller gave up: ctrl-C, or the other side of a connection went away.
    Cancelled,
    /// A bug of ours.
    HostFault,
}

/// What a guest can be denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Capability {
    /// Files and directories.
    Dir,
    /// Sockets.
    Net,
    /// Looking up host names.
    Dns,
    /// Key-value buckets.
    KeyValue,
    /// HTTP requests and the secrets in them.
    Http,
}

/// Why a component was never run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is no such file.
    NoFile,
    /// There is something, but it can't be read.
    Unreadable,
    /// The bytes are no WebAssembly, in binary or in text.
    NotWasm,
    /// It is WebAssembly, but broken or using what is switched off.
    Invalid,
    /// It is native code or another artifact whose origin can't be checked.
    Unauthenticated,
    /// It imports what the host doesn't offer, or with another type.
    Import,
    /// It has no export that this command can call.
    World,
    /// The call doesn't fit the component: no such function, or arguments of the wrong type.
    Call,
    /// The policy file is wrong.
    Policy,
    /// A grant can't be carried out: a directory that isn't there.
    Grant,
    /// It is an authentic artifact that this host can't run: made by another version, for another processor or with
    /// other settings.
    Artifact,
    /// It begins with more than the host's pool has for one instance.
    TooLarge,
    /// Compiling it takes more memory than it may.
    CompileMemory,
    /// Compiling it takes more processor time than it may.
    CompileCpu,
    /// Compiling it takes longer than it may.
    CompileWall,
    /// Its code is larger than it may be.
    CompileSize,
    /// The compiler died of it.
    CompileCrash,
}

/// Whose fault an ending is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Blame {
    /// Nobody's: it went well.
    None,
    /// The guest's.
    Guest,
    /// The caller's: what was asked for, or the policy it was asked under.
    Caller,
    /// Nobody's: others needed what there was.
    Capacity,
    /// Ours.
    Host,
}

/// Whose bound it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Scope {
    /// The invocation's own.
    #[default]
    Invocation,
    /// That of all invocations of the tenant together.
    Tenant,
    /// That of the host, over all tenants.
    Host,
}

/// What there is no room for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Busy {
    /// The tenant's places and its queue are full.
    Tenant,
    /// The host's places and its queue are full.
    Host,
    /// There is no memory to begin with.
    Memory,
    /// The tenant has used up its processor time for now.
    Cpu,
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LimitHit {
    /// Which limit.
    pub name: LimitKind,
    /// Its value, in bytes, nanoseconds or as a count.
    pub max: u64,
    /// How much was in use or had been used up when it was reached, in the same unit.
    pub used: u64,
    /// How much more was asked for at that moment, where that is known.
    pub requested: Option<u64>,
    /// Whose bound it is.
    pub scope: Scope,
    /// The flag that raises it; the key under `[limits]` is the same without the dashes. For a tenant's bound the key, for
    /// the host's what sets it.
    pub raise_with: String,
}

impl StopReason {
    /// All of them, in the order of the documentation; a program's own status stands for every status.
    pub const ALL: &[Self] = &[
        Self::Returned,
        Self::Failed(1),
        Self::Trapped,
        Self::Limit(LimitKind::Wall),
        Self::Limit(LimitKind::Cpu),
        Self::Limit(LimitKind::Fuel),
        Self::Limit(LimitKind::Memory),
        Self::Limit(LimitKind::Table),
        Self::Limit(LimitKind::Stack),
        Self::Limit(LimitKind::Instances),
        Self::Limit(LimitKind::Output),
        Self::Limit(LimitKind::Input),
        Self::Limit(LimitKind::Hostcall),
        Self::Limit(LimitKind::Handles),
        Self::Limit(LimitKind::Random),
        Self::Limit(LimitKind::ComponentSize),
        Self::Limit(LimitKind::Files),
        Self::Limit(LimitKind::Timers),
        Self::Limit(LimitKind::HttpRequests),
        Self::Limit(LimitKind::HttpConcurrency),
        Self::Limit(LimitKind::HttpBody),
        Self::Limit(LimitKind::HttpHeaders),
        Self::Limit(LimitKind::NetBytes),
        Self::Limit(LimitKind::Lookups),
        Self::Denied(Capability::Dir),
        Self::Denied(Capability::Net),
        Self::Denied(Capability::Dns),
        Self::Denied(Capability::KeyValue),
        Self::Denied(Capability::Http),
        Self::Refused(Refusal::NoFile),
        Self::Refused(Refusal::Unreadable),
        Self::Refused(Refusal::NotWasm),
        Self::Refused(Refusal::Invalid),
        Self::Refused(Refusal::Unauthenticated),
        Self::Refused(Refusal::Import),
        Self::Refused(Refusal::World),
        Self::Refused(Refusal::Call),
        Self::Refused(Refusal::Policy),
        Self::Refused(Refusal::Grant),
        Self::Refused(Refusal::Artifact),
        Self::Refused(Refusal::TooLarge),
        Self::Refused(Refusal::CompileMemory),
        Self::Refused(Refusal::CompileCpu),
        Self::Refused(Refusal::CompileWall),
        Self::Refused(Refusal::CompileSize),
        Self::Refused(Refusal::CompileCrash),
        Self::Busy(Busy::Tenant),
        Self::Busy(Busy::Host),
        Self::Busy(Busy::Memory),
        Self::Busy(Busy::Cpu),
        Self::Cancelled,
        Self::HostFault,
    ];

    /// The stable code, such as `limit.memory`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Failed(_) => "failed",
            Self::Trapped => "trapped",
            Self::Limit(kind) => kind.code(),
            Self::Denied(Capability::Dir) => "denied.dir",
            Self::Denied(Capability::Net) => "denied.net",
            Self::Denied(Capability::Dns) => "denied.dns",
            Self::Denied(Capability::KeyValue) => "denied.key-value",
            Self::Denied(Capability::Http) => "denied.http",
            Self::Refused(Refusal::NoFile) => "refused.no-file",
            Self::Refused(Refusal::Unreadable) => "refused.unreadable",
            Self::Refused(Refusal::NotWasm) => "refused.not-wasm",
            Self::Refused(Refusal::Invalid) => "refused.invalid",
            Self::Refused(Refusal::Unauthenticated) => "refused.unauthenticated",
            Self::Refused(Refusal::Import) => "refused.import",
            Self::Refused(Refusal::World) => "refused.world",
            Self::Refused(Refusal::Call) => "refused.call",
            Self::Refused(Refusal::Policy) => "refused.policy",
            Self::Refused(Refusal::Grant) => "refused.grant",
            Self::Refused(Refusal::Artifact) => "refused.artifact",
            Self::Refused(Refusal::TooLarge) => "refused.too-large",
            Self::Refused(Refusal::CompileMemory) => "refused.compile-memory",
            Self::Refused(Refusal::CompileCpu) => "refused.compile-cpu",
            Self::Refused(Refusal::CompileWall) => "refused.compile-wall",
            Self::Refused(Refusal::CompileSize) => "refused.compile-size",
            Self::Refused(Refusal::CompileCrash) => "refused.compile-crash",
            Self::Busy(Busy::Tenant) => "busy.tenant",
            Self::Busy(Busy::Host) => "busy.host",
            Self::Busy(Busy::Memory) => "busy.memory",
            Self::Busy(Busy::Cpu) => "busy.cpu",
            Self::Cancelled => "cancelled",
            Self::HostFault => "host-fault",
        }
    }

    /// The exit status: the ones that people know from `timeout`, `ulimit`, containers and `sysexits`.
    pub fn exit_status(self) -> u8 {
        use LimitKind as L;
        match self {
            Self::Returned => 0,
            Self::Failed(status) => status,
            Self::Trapped => 134,
            // A growth that waited in vain is refused as memory, and output that is too fast waits.
            Self::Limit(L::MemoryWait) => 137,
            Self::Limit(L::OutputRate) => 153,
            Self::Limit(L::Wall) => 124,
            Self::Limit(L::Cpu | L::Fuel) => 152,
            Self::Limit(L::Memory | L::Table | L::Stack | L::Instances) => 137,
            Self::Limit(L::ComponentSize) => 126,
            // Those of compiling have reasons of their own.
            Self::Limit(L::CompileMemory | L::CompileCpu | L::CompileWall | L::ArtifactSize) => 126,
            Self::Limit(L::Output | L::Input | L::Hostcall | L::Handles | L::Random | L::Files | L::Timers) => 153,
            Self::Limit(L::HttpRequests | L::HttpConcurrency | L::HttpBody | L::HttpHeaders | L::HttpTimeout) => 153,
            Self::Limit(L::Sockets | L::NetBytes | L::Lookups) => 153,
            Self::Denied(_) => 126,
            Self::Refused(Refusal::NoFile) => 127,
            Self::Refused(_) => 126,
            Self::Busy(_) => 75,
            Self::Cancelled => 130,
            Self::HostFault => 125,
        }
    }

    /// Whose fault it is.
    pub fn blame(self) -> Blame {
        match self {
            Self::Returned => Blame::None,
            Self::Failed(_) | Self::Trapped | Self::Denied(_) => Blame::Guest,
            Self::Limit(LimitKind::Input | LimitKind::ComponentSize) => Blame::Caller,
            Self::Limit(_) => Blame::Guest,
            Self::Refused(Refusal::NotWasm | Refusal::Invalid | Refusal::Import | Refusal::World) => Blame::Guest,
            Self::Refused(Refusal::CompileMemory | Refusal::CompileCpu | Refusal::CompileWall) => Blame::Guest,
            Self::Refused(Refusal::CompileSize | Refusal::CompileCrash) => Blame::Guest,
            Self::Refused(_) | Self::Cancelled => Blame::Caller,
            Self::Busy(_) => Blame::Capacity,
            Self::HostFault => Blame::Host,
        }
    }
}

impl Stop {
    /// A stop with a message and nothing else.
    pub fn new(reason: StopReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: cut(escape_lines(&message.into())),
            hint: None,
            limit: None,
            retry_after_ms: None,
            trace: Vec::new(),
        }
    }

    /// A component that can't be run, with what to do about it.
    pub fn refused(why: Refusal, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StopReason::Refused(why), message).with_hint(hint)
    }

    /// A bug of ours.
    pub fn host_fault(message: impl Into<String>) -> Self {
        Self::new(StopReason::HostFault, message)
            .with_hint("this is a bug in the host, not in the guest: please report it with this message")
    }

    /// A limit that was reached: `used` of it was gone when `requested` more was asked for.
    pub fn limit(kind: LimitKind, max: u64, used: u64, requested: Option<u64>) -> Self {
        let row = kind.row();
        let asked = requested.map(|n| format!(", and {} more was asked for", row.about(n))).unwrap_or_default();
        let message = format!("the limit `{}` is {}: {} used{asked}", row.name, row.show(max), row.about(used));
        let hint = format!("raise it with `--{0} VALUE`, or with `{0}` under `[limits]` in the policy", row.name);
        let raise_with = format!("--{}", row.name);
        Self {
            limit: Some(Box::new(LimitHit { name: kind, max, used, requested, scope: Scope::Invocation, raise_with })),
            ..Self::new(StopReason::Limit(kind), message).with_hint(hint)
        }
    }

    /// A component whose compilation took more than it may.
    pub fn compile_limit(kind: LimitKind, max: u64) -> Self {
        let row = kind.row();
        let why = match kind {
            LimitKind::CompileMemory => Refusal::CompileMemory,
            LimitKind::CompileCpu => Refusal::CompileCpu,
            LimitKind::ArtifactSize => Refusal::CompileSize,
            _ => Refusal::CompileWall,
        };
        let message = format!("compiling takes more than {}, which is the limit `{}`", row.show(max), row.name);
        let hint = format!("raise it with `--{0} VALUE`, or with `{0}` under `[limits]` in the policy", row.name);
        let raise_with = format!("--{}", row.name);
        let hit = LimitHit { name: kind, max, used: max, requested: None, scope: Scope::Invocation, raise_with };
        Self { limit: Some(Box::new(hit)), ..Self::refused(why, message, hint) }
    }

    /// A limit that a tenant's invocations or all of a host reached together.
    pub fn shared_limit(kind: LimitKind, scope: Scope, max: u64, used: u64, requested: u64) -> Self {
        let mut stop = Self::limit(kind, max, used, Some(requested));
        let (whose, raise_with) = match scope {
            Scope::Invocation => return stop,
            Scope::Tenant => ("all invocations of the tenant", format!("[tenant] {}", kind.row().name)),
            Scope::Host => ("the whole host", format!("HostBuilder::{}", kind.row().name)),
        };
        stop.message = stop.message.replacen("the limit", &format!("the limit of {whose},"), 1);
        stop.hint =
            Some(format!("raise `{raise_with}`, run fewer at once, or let growth wait longer with `memory-wait`"));
        if kind != LimitKind::Memory {
            stop.hint = Some(format!("raise `{raise_with}`, or run fewer at once"));
        }
        if let Some(hit) = stop.limit.as_deref_mut() {
            (hit.scope, hit.raise_with) = (scope, raise_with);
        }
        stop
    }

    /// Something that there is no room for now.
    pub fn busy(what: Busy, message: impl Into<String>, retry_after_ms: u64) -> Self {
        let stop = Self::new(StopReason::Busy(what), message);
        let hint = format!("try again in {retry_after_ms}ms");
        Self { retry_after_ms: Some(retry_after_ms), ..stop.with_hint(hint) }
    }

    /// Whose fault it is: what others had taken is nobody's.
    pub fn blame(&self) -> Blame {
        match &self.limit {
            Some(hit) if hit.scope != Scope::Invocation => Blame::Capacity,
            _ => self.reason.blame(),
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(cut(escape_lines(&hint.into())));
        self
    }
}

/// Bytes of a message that are kept: a guest or a caller chose part of it.
const MAX_MESSAGE: usize = 8 * 1024;

fn cut(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    message
}

impl<R> Outcome<R> {
    /// Why it ended.
    pub fn reason(&self) -> StopReason {
        match self {
            Self::Returned(_) => StopReason::Returned,
            Self::Failed { stop, .. } | Self::Stopped(stop) => stop.reason,
        }
    }

    /// The stop, unless the guest returned.
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            Self::Returned(_) => None,
            Self::Failed { stop, .. } | Self::Stopped(stop) => Some(stop),
        }
    }

    /// The value, whether the guest calls it success or failure.
    pub fn value(&self) -> Option<&R> {
        match self {
            Self::Returned(value) => Some(value),
            Self::Failed { value, .. } => value.as_ref(),
            Self::Stopped(_) => None,
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_its_value_how_far_it_got_and_what_raises_it() {
        let stop = Stop::limit(LimitKind::Memory, 64 << 20, 60 << 20, Some(8 << 20));
        assert_eq!(stop.message, "the limit `memory` is 64MiB: 60MiB used, and 8MiB more was asked for");
        assert!(stop.hint.unwrap().contains("`--memory VALUE`"));
        assert_eq!(stop.reason.exit_status(), 137);
        assert_eq!(stop.limit.unwrap().raise_with, "--memory");
    }

    #[test]
    fn the_list_is_closed_and_each_code_is_its_own() {
        let codes: std::collections::BTreeSet<_> = StopReason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), StopReason::ALL.len());
        for row in crate::policy::LIMITS {
            assert_eq!(StopReason::ALL.contains(&StopReason::Limit(row.kind)), row.stops, "{}", row.name);
        }
    }

    #[test]
    fn a_program_keeps_its_own_exit_status() {
        assert_eq!(StopReason::Failed(3).exit_status(), 3);
        assert_eq!(StopReason::Failed(3).code(), "failed");
    }
}
