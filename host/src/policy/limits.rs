//! The limits of an invocation: one table with name, unit, default, reason and what happens when one is reached.
//!
//! The table is the only place where a limit is described. The policy file's keys, `host run`'s flags and help, the
//! messages, the receipt and the documentation are made from it, so they can't drift apart. Enforcement is elsewhere:
//! memory in [`crate::limiter`], time in [`crate::invoke`], amounts in [`crate::quota`].

use serde::Serialize;

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
    /// Random bytes handed out.
    pub random: Bytes,
    /// Bytes of the component file.
    pub component_size: Bytes,
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
    HttpRequests,
    HttpConcurrency,
    HttpBody,
    HttpHeaders,
    HttpTimeout,
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
}

/// The least stack that host calls made from the guest can start from.
const MIN_STACK: Bytes = Bytes::from_kib(16);

/// Stacks are reserved for each invocation; a larger one has no use but to exhaust the host's address space.
const MAX_STACK: Bytes = Bytes::from_mib(64);

/// The table of limits.
pub const LIMITS: &[LimitRow] = &[
    LimitRow {
        kind: LimitKind::Memory,
        name: "memory",
        unit: Unit::Size,
        bounds: "linear memories, tables and input held for the guest, summed",
        at_limit: "the growth is refused; a trap that follows stops the guest",
        reason: "holds a CPython or JavaScript guest with room to work",
    },
    LimitRow {
        kind: LimitKind::Table,
        name: "table",
        unit: Unit::Count,
        bounds: "elements of all tables together",
        at_limit: "the growth is refused; a trap that follows stops the guest",
        reason: "ten times what the largest language runtimes declare",
    },
    LimitRow {
        kind: LimitKind::Instances,
        name: "instances",
        unit: Unit::Count,
        bounds: "core instances that the component is made of",
        at_limit: "instantiation stops",
        reason: "a CPython guest has about 40, a Rust guest 3 to 5",
    },
    LimitRow {
        kind: LimitKind::Stack,
        name: "stack",
        unit: Unit::Size,
        bounds: "native stack of guest code",
        at_limit: "the guest is stopped",
        reason: "the engine's own default; deep recursion in parsers fits",
    },
    LimitRow {
        kind: LimitKind::Wall,
        name: "wall",
        unit: Unit::Duration,
        bounds: "instantiating, computing and waiting in host calls together",
        at_limit: "the guest is stopped, parked or not",
        reason: "long for a filter, short for a person who waits",
    },
    LimitRow {
        kind: LimitKind::Cpu,
        name: "cpu",
        unit: Unit::Duration,
        bounds: "processor time spent on the guest, looked at every 10 ms",
        at_limit: "the guest is stopped",
        reason: "a third of the wall time, so that a busy loop ends first",
    },
    LimitRow {
        kind: LimitKind::Fuel,
        name: "fuel",
        unit: Unit::Count,
        bounds: "units of fuel, about one for each instruction",
        at_limit: "the guest is stopped",
        reason: "metering costs two to three times as much as the cpu limit",
    },
    LimitRow {
        kind: LimitKind::Output,
        name: "output",
        unit: Unit::Size,
        bounds: "standard output, standard error, log messages and the job's body together",
        at_limit: "what fits is written, then the guest is stopped",
        reason: "more than a person reads, less than fills a disk unseen",
    },
    LimitRow {
        kind: LimitKind::Input,
        name: "input",
        unit: Unit::Size,
        bounds: "the input body of a job, which is handed over whole",
        at_limit: "the guest is not started",
        reason: "the same as for output; a command streams its input and has no such limit",
    },
    LimitRow {
        kind: LimitKind::Hostcall,
        name: "hostcall",
        unit: Unit::Size,
        bounds: "bytes copied from the guest by one host call, or by one result",
        at_limit: "the guest is stopped",
        reason: "one mebibyte above output, so that a job's body meets the output limit first",
    },
    LimitRow {
        kind: LimitKind::Handles,
        name: "handles",
        unit: Unit::Count,
        bounds: "files, streams, sockets, pollables and other handles open at once",
        at_limit: "the guest is stopped",
        reason: "the usual limit of open files for a process",
    },
    LimitRow {
        kind: LimitKind::Random,
        name: "random",
        unit: Unit::Size,
        bounds: "random bytes handed out",
        at_limit: "the guest is stopped",
        reason: "seeds and identifiers need little; bulk random is an attack on the host's processor",
    },
    LimitRow {
        kind: LimitKind::ComponentSize,
        name: "component-size",
        unit: Unit::Size,
        bounds: "size of the component file",
        at_limit: "it is refused before it is parsed",
        reason: "three times the largest interpreter guest",
    },
    LimitRow {
        kind: LimitKind::HttpRequests,
        name: "http-requests",
        unit: Unit::Count,
        bounds: "HTTP requests made, denied ones included",
        at_limit: "the guest is stopped",
        reason: "a page of results from a handful of services; a guest that needs more is a crawler",
    },
    LimitRow {
        kind: LimitKind::HttpConcurrency,
        name: "http-concurrency",
        unit: Unit::Count,
        bounds: "HTTP requests in flight at once, until their response is read",
        at_limit: "the guest is stopped",
        reason: "what a browser has open to a few hosts; each holds 256KiB of memory",
    },
    LimitRow {
        kind: LimitKind::HttpBody,
        name: "http-body",
        unit: Unit::Size,
        bounds: "bodies of HTTP requests and responses together",
        at_limit: "the guest is stopped",
        reason: "twice the limits of input and output",
    },
    LimitRow {
        kind: LimitKind::HttpHeaders,
        name: "http-headers",
        unit: Unit::Size,
        bounds: "request lines and headers of HTTP requests and responses together",
        at_limit: "the guest is stopped",
        reason: "10KiB for each of 100 requests",
    },
    LimitRow {
        kind: LimitKind::HttpTimeout,
        name: "http-timeout",
        unit: Unit::Duration,
        bounds: "time for one HTTP request, to the last byte of its response",
        at_limit: "the request fails with an error that the guest sees",
        reason: "a third of the wall time, so that a guest can still do something about it",
    },
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
            http_requests: 100,
            http_concurrency: 16,
            http_body: Bytes::from_mib(32),
            http_headers: Bytes::from_mib(1),
            http_timeout: Span::from_millis(10_000),
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
            Self::HttpRequests => "limit.http-requests",
            Self::HttpConcurrency => "limit.http-concurrency",
            Self::HttpBody => "limit.http-body",
            Self::HttpHeaders => "limit.http-headers",
            Self::HttpTimeout => "limit.http-timeout",
        }
    }
}

impl LimitRow {
    /// An amount of this limit's unit, as a person writes it.
    pub fn show(&self, amount: u64) -> String {
        match self.unit {
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

    /// Reads a value of this limit's unit into its base: bytes, nanoseconds or a count.
    ///
    /// # Errors
    /// The text is not a value of this unit, or is zero: a limit of nothing can't run anything.
    pub fn read(&self, text: &str) -> Result<u64, String> {
        let amount = match self.unit {
            Unit::Size => text.parse::<Bytes>().map(|bytes| bytes.0),
            Unit::Duration => text.parse::<Span>().map(Span::nanos),
            Unit::Count => text.replace('_', "").parse().map_err(|_| UnitError::NoNumber(text.to_owned())),
        }
        .map_err(|error| error.to_string())?;
        if self.kind == LimitKind::Stack && !(MIN_STACK..=MAX_STACK).contains(&Bytes(amount)) {
            return Err(format!("`{}` must be from {MIN_STACK} to {MAX_STACK}", self.name));
        }
        let nothing =
            [LimitKind::Random, LimitKind::Input, LimitKind::Output, LimitKind::HttpRequests, LimitKind::HttpBody];
        if amount == 0 && !nothing.contains(&self.kind) {
            return Err(format!("`{}` can't be zero", self.name));
        }
        Ok(amount)
    }
}

impl Limits {
    /// The value of one limit in its base unit; `None` for fuel that is not metered.
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
            LimitKind::HttpRequests => self.http_requests,
            LimitKind::HttpConcurrency => self.http_concurrency,
            LimitKind::HttpBody => self.http_body.0,
            LimitKind::HttpHeaders => self.http_headers.0,
            LimitKind::HttpTimeout => self.http_timeout.nanos(),
        })
    }

    /// Sets one limit from an amount in its base unit.
    pub fn set(&mut self, kind: LimitKind, amount: u64) {
        let span = Span(std::time::Duration::from_nanos(amount));
        match kind {
            LimitKind::Memory => self.memory = Bytes(amount),
            LimitKind::Table => self.table = amount,
            LimitKind::Instances => self.instances = amount,
            LimitKind::Stack => self.stack = Bytes(amount),
            LimitKind::Wall => self.wall = span,
            LimitKind::Cpu => self.cpu = span,
            LimitKind::Fuel => self.fuel = Some(amount),
            LimitKind::Output => self.output = Bytes(amount),
            LimitKind::Input => self.input = Bytes(amount),
            LimitKind::Hostcall => self.hostcall = Bytes(amount),
            LimitKind::Handles => self.handles = amount,
            LimitKind::Random => self.random = Bytes(amount),
            LimitKind::ComponentSize => self.component_size = Bytes(amount),
            LimitKind::HttpRequests => self.http_requests = amount,
            LimitKind::HttpConcurrency => self.http_concurrency = amount,
            LimitKind::HttpBody => self.http_body = Bytes(amount),
            LimitKind::HttpHeaders => self.http_headers = Bytes(amount),
            LimitKind::HttpTimeout => self.http_timeout = span,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_limit_of_zero_is_refused_where_nothing_could_run() {
        assert!(LimitKind::Memory.row().read("0").is_err());
        assert!(LimitKind::Wall.row().read("0s").is_err());
        assert_eq!(LimitKind::Output.row().read("0"), Ok(0));
        assert_eq!(LimitKind::Fuel.row().read("1_000"), Ok(1000));
    }
}
