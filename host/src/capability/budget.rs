//! `sandbox:host/budget`: what is left of the invocation's limits.
//!
//! Threat model: the figures are the guest's own and say nothing about other tenants: a limit that is shared would
//! leak how busy the host is. Time is given to the nanosecond, which a guest has from its clock anyway.

use crate::bindings::sandbox::host::budget::Allowance;
use crate::deterministic::Deterministic;
use crate::quota::Quota;
use crate::scheduler::Clock;

/// What the budget needs: the counters and the clock of this invocation.
pub(crate) struct BudgetView<'a> {
    pub(crate) quota: &'a Quota,
    pub(crate) clock: &'a Clock,
    /// The clock of a deterministic run.
    pub(crate) deterministic: Option<&'a Deterministic>,
}

impl BudgetView<'_> {
    /// What is left now; fuel is the store's to say.
    pub(crate) fn remaining(&self, fuel: Option<u64>) -> Allowance {
        let (wall_nanoseconds, cpu_nanoseconds) = match self.deterministic {
            // By the guest's own clock; computing is metered by fuel alone.
            Some(run) => (self.clock.wall_max_ns().saturating_sub(run.elapsed_ns()), self.clock.cpu_max_ns()),
            None => (self.clock.wall_left_ns(), self.clock.cpu_left_ns()),
        };
        Allowance {
            memory_bytes: self.quota.memory.left(),
            wall_nanoseconds,
            cpu_nanoseconds,
            fuel,
            output_bytes: self.quota.output.left(),
        }
    }
}
