//! What a tenant's invocations may use together: one table with name, unit, default and reason, like that of the limits.

use super::limits::{UNLIMITED, UNLIMITED_WORD, Unit};
use super::units::{Bytes, Span};

/// Every bound on all invocations of one tenant together, and its share of what is short. Only the memory and the
/// places of a host are bounded for all tenants together; see `HostBuilder`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantLimits {
    /// The tenant's share of the processor, beside the shares of the others.
    pub weight: u64,
    /// Invocations under way at once.
    pub concurrency: u64,
    /// Invocations that wait for a place.
    pub queue: u64,
    /// Bytes of memory that all invocations hold together.
    pub memory: Bytes,
    /// Open files and directories, all invocations together.
    pub files: u64,
    /// Timers that are set, all invocations together.
    pub timers: u64,
    /// The length of the rolling window in which the three below are counted.
    pub window: Span,
    /// Processor time in the window.
    pub cpu: Span,
    /// Bytes of output in the window.
    pub output: Bytes,
    /// Random bytes in the window.
    pub random: Bytes,
}

/// One row of the table.
#[derive(Debug)]
pub struct TenantLimitRow {
    /// The key under `[tenant]`.
    pub name: &'static str,
    /// How its value is written.
    pub unit: Unit,
    /// What it bounds.
    pub bounds: &'static str,
    /// What happens at the bound.
    pub at_limit: &'static str,
    /// Why the default is what it is.
    pub reason: &'static str,
}

/// The table of a tenant's limits.
pub const TENANT_LIMITS: &[TenantLimitRow] = &[
    TenantLimitRow {
        name: "weight",
        unit: Unit::Count,
        bounds: "share of the processor beside other tenants that compute",
        at_limit: "guests wait for their tenant's next turn",
        reason: "equal shares; up to 1000",
    },
    TenantLimitRow {
        name: "concurrency",
        unit: Unit::Count,
        bounds: "invocations under way at once",
        at_limit: "the next one waits in the queue",
        reason: "far more than the processors of a machine, far less than what exhausts its address space",
    },
    TenantLimitRow {
        name: "queue",
        unit: Unit::Count,
        bounds: "invocations that wait for a place",
        at_limit: "the next one is turned away with `busy.tenant`",
        reason: "a burst of a few times the concurrency; a longer queue is a longer wait for everybody in it",
    },
    TenantLimitRow {
        name: "memory",
        unit: Unit::Size,
        bounds: "memory held for all its invocations together",
        at_limit: "a growth waits for `memory-wait`, then it is refused",
        reason: "the host's own bound holds in any case",
    },
    TenantLimitRow {
        name: "files",
        unit: Unit::Count,
        bounds: "open files and directories of all its invocations",
        at_limit: "the guest that opens one more is stopped",
        reason: "four invocations at their limit; a process may usually have some thousands",
    },
    TenantLimitRow {
        name: "timers",
        unit: Unit::Count,
        bounds: "timers set by all its invocations",
        at_limit: "the guest that sets one more is stopped",
        reason: "sixteen invocations at their limit",
    },
    TenantLimitRow {
        name: "window",
        unit: Unit::Duration,
        bounds: "length of the rolling window in which `cpu`, `output` and `random` are counted",
        at_limit: "what was used leaves the window a tenth of its length at a time",
        reason: "what operators plan in",
    },
    TenantLimitRow {
        name: "cpu",
        unit: Unit::Duration,
        bounds: "processor time in the window",
        at_limit: "its guests wait until the window has room again; their deadlines go on",
        reason: "the shares of the processor hold in any case",
    },
    TenantLimitRow {
        name: "output",
        unit: Unit::Size,
        bounds: "bytes of output in the window",
        at_limit: "the guest that writes more is stopped",
        reason: "each invocation is bounded in any case",
    },
    TenantLimitRow {
        name: "random",
        unit: Unit::Size,
        bounds: "random bytes in the window",
        at_limit: "the guest that asks for more is stopped",
        reason: "each invocation is bounded in any case",
    },
];

/// The largest weight, so that the smallest share is not nothing.
const MAX_WEIGHT: u64 = 1000;

impl Default for TenantLimits {
    fn default() -> Self {
        Self {
            weight: 1,
            concurrency: 64,
            queue: 256,
            memory: Bytes(UNLIMITED),
            files: 1024,
            timers: 4096,
            window: Span::from_millis(60_000),
            cpu: Span::UNLIMITED,
            output: Bytes(UNLIMITED),
            random: Bytes(UNLIMITED),
        }
    }
}

impl TenantLimitRow {
    /// Reads a value into the unit's base: bytes, nanoseconds or a count; or [`UNLIMITED`].
    ///
    /// # Errors
    /// The text is no value of this unit, zero where nothing could run, or a weight that is too large.
    pub fn read(&self, text: &str) -> Result<u64, String> {
        if text == UNLIMITED_WORD && !matches!(self.name, "weight" | "window") {
            return Ok(UNLIMITED);
        }
        if text == UNLIMITED_WORD {
            return Err(format!("`{}` can't be unlimited", self.name));
        }
        let amount = self.unit.read(text).map_err(|error| error.to_string())?;
        let may_be_zero = matches!(self.name, "queue" | "files" | "timers" | "output" | "random");
        if amount == 0 && !may_be_zero {
            return Err(format!("`{}` can't be zero", self.name));
        }
        if self.name == "weight" && amount > MAX_WEIGHT {
            return Err(format!("`weight` must be from 1 to {MAX_WEIGHT}"));
        }
        Ok(amount)
    }
}

impl TenantLimits {
    /// One limit in its base unit, by its name.
    pub fn get(&self, name: &str) -> Option<u64> {
        Some(match name {
            "weight" => self.weight,
            "concurrency" => self.concurrency,
            "queue" => self.queue,
            "memory" => self.memory.0,
            "files" => self.files,
            "timers" => self.timers,
            "window" => self.window.nanos(),
            "cpu" => self.cpu.nanos(),
            "output" => self.output.0,
            "random" => self.random.0,
            _ => return None,
        })
    }

    /// Sets one limit from an amount in its base unit; a name that isn't in the table sets nothing.
    pub fn set(&mut self, name: &str, amount: u64) {
        let span = Span(std::time::Duration::from_nanos(amount));
        match name {
            "weight" => self.weight = amount,
            "concurrency" => self.concurrency = amount,
            "queue" => self.queue = amount,
            "memory" => self.memory = Bytes(amount),
            "files" => self.files = amount,
            "timers" => self.timers = amount,
            "window" => self.window = span,
            "cpu" => self.cpu = span,
            "output" => self.output = Bytes(amount),
            "random" => self.random = Bytes(amount),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_every_limit_once() {
        let mut limits = TenantLimits::default();
        for (n, row) in (1_000..).zip(TENANT_LIMITS) {
            assert_eq!(TENANT_LIMITS.iter().filter(|other| other.name == row.name).count(), 1);
            limits.set(row.name, n);
        }
        for (n, row) in (1_000..).zip(TENANT_LIMITS) {
            assert_eq!(limits.get(row.name), Some(n), "{}", row.name);
        }
    }

    #[test]
    fn a_weight_has_bounds_and_a_queue_may_be_none() {
        let row = |name| TENANT_LIMITS.iter().find(|row| row.name == name).unwrap();
        assert!(row("weight").read("0").is_err() && row("weight").read("1001").is_err());
        assert_eq!(row("weight").read("1000"), Ok(1000));
        assert_eq!(row("queue").read("0"), Ok(0));
        assert_eq!(row("memory").read("unlimited"), Ok(UNLIMITED));
        assert!(row("weight").read("unlimited").is_err());
        assert!(row("concurrency").read("0").is_err());
    }
}
