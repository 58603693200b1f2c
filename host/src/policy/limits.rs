//! The limits of an invocation: one table with name, unit, default, reason and what happens when one is reached.
//!
//! The table is the only place where a limit is described. The policy file's keys, `host run`'s flags and help, the
//! messages, the receipt and the documentation are made from it, so they can't drift apart. Enforcement is elsewhere:
//! memory in [`crate::limiter`], time in [`crate::invoke`], amounts in [`crate::quota`].

mod table;

use serde::Serialize;

pub use self::table::LIMITS;
use super::units::{Bytes, Span, UnitError};

/// Every bound on one invocation. The defaults are safe for code of unknown origin; each has its reason in [`LIMITS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, tables and input held for the guest, summed over the whole store.
    pub memory: Bytes,
    /// Elements of all tables together.
    pub table: u64,
    /// Core instances in the store; a component is made of several.
    pub instances: u64,
    /// Bytes of native stack that guest code may use.
    pub stack: Bytes,
    /// Time from the start of instantiation to the end, computing or parked.
    pub wall: Span,
    /// Time that the processor really spent on the guest.
    pub cpu: Span,
    /// Units of fuel; `None` leaves metering off.
    pub fuel: Option<u64>,
    /// Bytes of standard output, standard error, log messages and the job's body together.
    pub output: Bytes,
    /// Bytes of a job's input body.
    pub input: Bytes,
    /// Bytes copied out of the guest by one host call.
    pub hostcall: Bytes,
    /// Handles to host resources that are open at once.
    pub handles: u64,
    /// Files and directories that are open at once, with the streams from and to them.
    pub files: u64,
    /// Timers that are set at once.
    pub timers: u64,
    /// Random bytes handed out.
    pub random: Bytes,
    /// Bytes of the component file.
    pub component_size: Bytes,
    /// Bytes of output in a second; more of it waits.
    pub output_rate: Bytes,
    /// How long a growth of memory waits for what is shared with others.
    pub memory_wait: Span,
    /// HTTP requests made.
    pub http_requests: u64,
    /// HTTP requests in flight at once.
    pub http_concurrency: u64,
    /// Bytes of bodies of HTTP requests and responses together.
    pub http_body: Bytes,
    /// Bytes of request lines and headers of HTTP requests and responses together.
    pub http_headers: Bytes,
    /// Time for one HTTP request, from looking up the name to the last byte of the response.
    pub http_timeout: Span,
    /// Sockets that are open at once.
    pub sockets: u64,
    /// Bytes that sockets send and receive together.
    pub net_bytes: Bytes,
    /// Look-ups of names.
    pub lookups: u64,
    /// Bytes of memory that compiling a component takes.
    pub compile_memory: Bytes,
    /// Time of all processors together that compiling takes.
    pub compile_cpu: Span,
    /// Time that compiling takes.
    pub compile_wall: Span,
    /// Bytes of compiled code.
    pub artifact_size: Bytes,
}

/// Which limit, as part of a stop reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "each is described in `LIMITS`")]
pub enum LimitKind {
    Memory,
    Table,
    Instances,
    Stack,
    Wall,
    Cpu,
    Fuel,
    Output,
    Input,
    Hostcall,
    Handles,
    Random,
    ComponentSize,
    Files,
    Timers,
    OutputRate,
    MemoryWait,
    HttpRequests,
    HttpConcurrency,
    HttpBody,
    HttpHeaders,
    HttpTimeout,
    Sockets,
    NetBytes,
    Lookups,
    CompileMemory,
    CompileCpu,
    CompileWall,
    ArtifactSize,
}

/// How a limit's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A size such as `64MiB`.
    Size,
    /// A duration such as `500ms`.
    Duration,
    /// A plain count.
    Count,
}

/// One row of the table of limits.
#[derive(Debug)]
pub struct LimitRow {
    /// Which limit.
    pub kind: LimitKind,
    /// Its name: the key under `[limits]`, the flag without the dashes, and the stop reason after `limit.`.
    pub name: &'static str,
    /// How its value is written.
    pub unit: Unit,
    /// What it bounds, in half a sentence.
    pub bounds: &'static str,
    /// What happens at the limit.
    pub at_limit: &'static str,
    /// Why the default is what it is.
    pub reason: &'static str,
    /// Whether it can end an invocation; the others make the guest wait.
    pub stops: bool,
}

/// What a limit that is switched off holds: more than there ever is of anything. `fuel` is `None` then, since metering
/// itself is what costs.
pub const UNLIMITED: u64 = u64::MAX;

/// How [`UNLIMITED`] is written, in the file, as a flag and in messages.
pub(super) const UNLIMITED_WORD: &str = "unlimited";

/// The least stack that host calls made from the guest can start from.
const MIN_STACK: Bytes = Bytes::from_kib(16);

/// Stacks are reserved for each invocation; a larger one has no use but to exhaust the host's address space.
const MAX_STACK: Bytes = Bytes::from_mib(64);

/// Limits of which a guest may have nothing at all and still run.
const MAY_BE_ZERO: &[LimitKind] = &[
    LimitKind::Random,
    LimitKind::Input,
    LimitKind::Output,
    LimitKind::Files,
    LimitKind::Timers,
    LimitKind::MemoryWait,
    LimitKind::HttpRequests,
    LimitKind::HttpBody,
    LimitKind::Sockets,
    LimitKind::NetBytes,
    LimitKind::Lookups,
];

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Bytes::from_mib(128),
            table: 100_000,
            instances: 256,
            stack: Bytes::from_kib(512),
            wall: Span::from_millis(30_000),
            cpu: Span::from_millis(10_000),
            fuel: None,
            output: Bytes::from_mib(16),
            input: Bytes::from_mib(16),
            hostcall: Bytes::from_mib(17),
            handles: 1024,
            random: Bytes::from_mib(1),
            component_size: Bytes::from_mib(64),
            files: 256,
            timers: 256,
            output_rate: Bytes::from_mib(64),
            memory_wait: Span::from_millis(1_000),
            http_requests: 100,
            http_concurrency: 16,
            http_body: Bytes::from_mib(32),
            http_headers: Bytes::from_mib(1),
            http_timeout: Span::from_millis(10_000),
            sockets: 64,
            net_bytes: Bytes::from_mib(32),
            lookups: 64,
            compile_memory: Bytes::from_mib(2048),
            compile_cpu: Span::from_millis(120_000),
            compile_wall: Span::from_millis(120_000),
            artifact_size: Bytes::from_mib(512),
        }
    }
}

impl LimitKind {
    /// The row that describes this limit.
    #[expect(clippy::indexing_slicing, reason = "the table is a constant that is not empty")]
    pub fn row(self) -> &'static LimitRow {
        // `every_limit_has_exactly_one_row` keeps the fall-back from being reached.
        LIMITS.iter().find(|row| row.kind == self).unwrap_or(&LIMITS[0])
    }

    /// The stop reason's code, such as `limit.memory`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Memory => "limit.memory",
            Self::Table => "limit.table",
            Self::Instances => "limit.instances",
            Self::Stack => "limit.stack",
            Self::Wall => "limit.wall",
            Self::Cpu => "limit.cpu",
            Self::Fuel => "limit.fuel",
            Self::Output => "limit.output",
            Self::Input => "limit.input",
            Self::Hostcall => "limit.hostcall",
            Self::Handles => "limit.handles",
            Self::Random => "limit.random",
            Self::ComponentSize => "limit.component-size",
            Self::Files => "limit.files",
            Self::Timers => "limit.timers",
            Self::OutputRate => "limit.output-rate",
            Self::MemoryWait => "limit.memory-wait",
            Self::HttpRequests => "limit.http-requests",
            Self::HttpConcurrency => "limit.http-concurrency",
            Self::HttpBody => "limit.http-body",
            Self::HttpHeaders => "limit.http-headers",
            Self::HttpTimeout => "limit.http-timeout",
            Self::Sockets => "limit.sockets",
            Self::NetBytes => "limit.net-bytes",
            Self::Lookups => "limit.lookups",
            Self::CompileMemory => "limit.compile-memory",
            Self::CompileCpu => "limit.compile-cpu",
            Self::CompileWall => "limit.compile-wall",
            Self::ArtifactSize => "limit.artifact-size",
        }
    }
}

impl Unit {
    /// Reads a value into the base: bytes, nanoseconds or a count.
    ///
    /// # Errors
    /// The text is not a value of this unit.
    pub fn read(self, text: &str) -> Result<u64, UnitError> {
        match self {
            Self::Size => text.parse::<Bytes>().map(|bytes| bytes.0),
            Self::Duration => text.parse::<Span>().map(Span::nanos),
            Self::Count => text.replace('_', "").parse().map_err(|_| UnitError::NoNumber(text.to_owned())),
        }
    }
}

impl LimitRow {
    /// An amount of this limit's unit, as a person writes it.
    pub fn show(&self, amount: u64) -> String {
        match self.unit {
            _ if amount == UNLIMITED => UNLIMITED_WORD.to_owned(),
            Unit::Size => Bytes(amount).to_string(),
            Unit::Duration => Span(std::time::Duration::from_nanos(amount)).to_string(),
            Unit::Count => amount.to_string(),
        }
    }

    /// An amount of this limit's unit, rounded for reading: `1.5MiB`, `301ms`.
    pub fn about(&self, amount: u64) -> String {
        let scale = |units: &[(u64, &str)]| {
            let (scale, unit) =
                units.iter().find(|(scale, _)| amount >= *scale).copied().or(units.last().copied()).unwrap_or((1, ""));
            let tenths = amount.saturating_mul(10) / scale;
            match tenths % 10 {
                0 => format!("{}{unit}", tenths / 10),
                tenth => format!("{}.{tenth}{unit}", tenths / 10),
            }
        };
        match self.unit {
            Unit::Size => scale(&[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")]),
            Unit::Duration => scale(&[(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")]),
            Unit::Count => amount.to_string(),
        }
    }

    /// Reads a value of this limit's unit into its base: bytes, nanoseconds or a count; or [`UNLIMITED`].
    ///
    /// # Errors
    /// The text is not a value of this unit, or is zero: a limit of nothing can't run anything. The stack can't be
    /// unlimited, since it is reserved for each invocation.
    pub fn read(&self, text: &str) -> Result<u64, String> {
        if text == UNLIMITED_WORD && self.kind == LimitKind::Stack {
            let why = "it is reserved whole for each invocation";
            return Err(format!("`{}` can't be unlimited, since {why}: the most is {MAX_STACK}", self.name));
        }
        if text == UNLIMITED_WORD {
            return Ok(UNLIMITED);
        }
        let amount = self.unit.read(text).map_err(|error| error.to_string())?;
        if self.kind == LimitKind::Stack && !(MIN_STACK..=MAX_STACK).contains(&Bytes(amount)) {
            return Err(format!("`{}` must be from {MIN_STACK} to {MAX_STACK}", self.name));
        }
        if amount == 0 && !MAY_BE_ZERO.contains(&self.kind) {
            return Err(format!("`{}` can't be zero", self.name));
        }
        Ok(amount)
    }
}

impl Limits {
    /// The value of one limit in its base unit, [`UNLIMITED`] where it is switched off; `None` for fuel that is not
    /// metered.
    pub fn get(&self, kind: LimitKind) -> Option<u64> {
        Some(match kind {
            LimitKind::Memory => self.memory.0,
            LimitKind::Table => self.table,
            LimitKind::Instances => self.instances,
            LimitKind::Stack => self.stack.0,
            LimitKind::Wall => self.wall.nanos(),
            LimitKind::Cpu => self.cpu.nanos(),
            LimitKind::Fuel => return self.fuel,
            LimitKind::Output => self.output.0,
            LimitKind::Input => self.input.0,
            LimitKind::Hostcall => self.hostcall.0,
            LimitKind::Handles => self.handles,
            LimitKind::Random => self.random.0,
            LimitKind::ComponentSize => self.component_size.0,
            LimitKind::Files => self.files,
            LimitKind::Timers => self.timers,
            LimitKind::OutputRate => self.output_rate.0,
            LimitKind::MemoryWait => self.memory_wait.nanos(),
            LimitKind::HttpRequests => self.http_requests,
            LimitKind::HttpConcurrency => self.http_concurrency,
            LimitKind::HttpBody => self.http_body.0,
            LimitKind::HttpHeaders => self.http_headers.0,
            LimitKind::HttpTimeout => self.http_timeout.nanos(),
            LimitKind::Sockets => self.sockets,
            LimitKind::NetBytes => self.net_bytes.0,
            LimitKind::Lookups => self.lookups,
            LimitKind::CompileMemory => self.compile_memory.0,
            LimitKind::CompileCpu => self.compile_cpu.nanos(),
            LimitKind::CompileWall => self.compile_wall.nanos(),
            LimitKind::ArtifactSize => self.artifact_size.0,
        })
    }

    /// Whether a limit is switched off.
    pub fn is_unlimited(&self, kind: LimitKind) -> bool {
        self.get(kind).is_none_or(|amount| amount == UNLIMITED)
    }

    /// Sets one limit from an amount in its base unit; [`UNLIMITED`] switches it off.
    pub fn set(&mut self, kind: LimitKind, amount: u64) {
        let span = Span(std::time::Duration::from_nanos(amount));
        match kind {
            LimitKind::Memory => self.memory = Bytes(amount),
            LimitKind::Table => self.table = amount,
            LimitKind::Instances => self.instances = amount,
            LimitKind::Stack => self.stack = Bytes(amount),
            LimitKind::Wall => self.wall = span,
            LimitKind::Cpu => self.cpu = span,
            LimitKind::Fuel => self.fuel = (amount != UNLIMITED).then_some(amount),
            LimitKind::Output => self.output = Bytes(amount),
            LimitKind::Input => self.input = Bytes(amount),
            LimitKind::Hostcall => self.hostcall = Bytes(amount),
            LimitKind::Handles => self.handles = amount,
            LimitKind::Random => self.random = Bytes(amount),
            LimitKind::ComponentSize => self.component_size = Bytes(amount),
            LimitKind::Files => self.files = amount,
            LimitKind::Timers => self.timers = amount,
            LimitKind::OutputRate => self.output_rate = Bytes(amount),
            LimitKind::MemoryWait => self.memory_wait = span,
            LimitKind::HttpRequests => self.http_requests = amount,
            LimitKind::HttpConcurrency => self.http_concurrency = amount,
            LimitKind::HttpBody => self.http_body = Bytes(amount),
            LimitKind::HttpHeaders => self.http_headers = Bytes(amount),
            LimitKind::HttpTimeout => self.http_timeout = span,
            LimitKind::Sockets => self.sockets = amount,
            LimitKind::NetBytes => self.net_bytes = Bytes(amount),
            LimitKind::Lookups => self.lookups = amount,
            LimitKind::CompileMemory => self.compile_memory = Bytes(amount),
            LimitKind::CompileCpu => self.compile_cpu = span,
            LimitKind::CompileWall => self.compile_wall = span,
            LimitKind::ArtifactSize => self.artifact_size = Bytes(amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn every_limit_has_exactly_one_row() {
        for row in LIMITS {
            assert_eq!(LIMITS.iter().filter(|other| other.kind == row.kind).count(), 1, "{}", row.name);
            assert_eq!(row.kind.row().name, row.name);
            assert_eq!(row.kind.code(), format!("limit.{}", row.name));
        }
    }

    #[test]
    fn what_is_set_is_what_is_got() {
        let mut limits = Limits::default();
        for (n, row) in LIMITS.iter().enumerate() {
            limits.set(row.kind, 1_000_000 + n as u64);
        }
        for (n, row) in LIMITS.iter().enumerate() {
            assert_eq!(limits.get(row.kind), Some(1_000_000 + n as u64), "{}", row.name);
        }
    }

    #[test]
    fn amounts_are_rounded_for_reading() {
        let (memory, wall) = (LimitKind::Memory.row(), LimitKind::Wall.row());
        assert_eq!(memory.about(0), "0B");
        assert_eq!(memory.about(1 << 20), "1MiB");
        assert_eq!(memory.about((3 << 20) / 2), "1.5MiB");
        assert_eq!(wall.about(301_282_137), "301.2ms");
        assert_eq!(LimitKind::Table.row().about(12_345), "12345");
    }

    #[test]
    fn every_limit_but_the_stack_can_be_switched_off() {
        for row in LIMITS {
            let mut limits = Limits::default();
            match row.read("unlimited") {
                Ok(amount) => {
                    limits.set(row.kind, amount);
                    assert!(limits.is_unlimited(row.kind), "{}", row.name);
                    assert_eq!(row.show(amount), "unlimited");
                }
                Err(message) => {
                    assert_eq!(row.kind, LimitKind::Stack);
                    assert!(message.contains("64MiB"), "{message}");
                }
            }
            assert!(row.read("Unlimited").is_err());
        }
        assert_eq!(Policy::parse("limits.fuel = 'unlimited'").unwrap().limits.fuel, None);
        assert!(Limits::default().is_unlimited(LimitKind::Fuel));
        assert!(!Limits::default().is_unlimited(LimitKind::Memory));
    }

    #[test]
    fn a_limit_of_zero_is_refused_where_nothing_could_run() {
        assert!(LimitKind::Memory.row().read("0").is_err());
        assert!(LimitKind::Wall.row().read("0s").is_err());
        assert_eq!(LimitKind::Output.row().read("0"), Ok(0));
        assert_eq!(LimitKind::Fuel.row().read("1_000"), Ok(1000));
    }
}
