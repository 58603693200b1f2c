//! `sandbox:host/budget`: what is left of the invocation's limits.
//!
//! Threat model: the figures are the guest's own and say nothing about other tenants: a limit that is shared would
//! leak how busy the host is. Time is given to the nanosecond, which a guest has from its clock anyway.

use crate::bindings::sandbox::host::budget::Allowance;
use crate::quota::Quota;
use crate::scheduler::Clock;

/// What the budget needs: the counters and the clock of this invocation.
pub(crate) struct BudgetView<'a> {
    pub(crate) quota: &'a Quota,
    pub(crate) clock: &'a Clock,
}

impl BudgetView<'_> {
    /// What is left now; fuel is the store's to say.
    pub(crate) fn remaining(&self, fuel: Option<u64>) -> Allowance {
        Allowance {
            memory_bytes: self.quota.memory.left(),
            wall_nanoseconds: self.clock.wall_left_ns(),
            cpu_nanoseconds: self.clock.cpu_left_ns(),
            fuel,
            output_bytes: self.quota.output.left(),
        }
    }
}
