//! The receipt's making: what is known before a run, completed with what is known after it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::RngExt as _;

use super::guest::Report;
use crate::component::{Component, LoadTimings};
use crate::engine::ENGINE;
use crate::outcome::Stop;
use crate::policy::Policy;
use crate::quota::Quota;
use crate::receipt::{self, ComponentRecord, HostRecord, Receipt, StopRecord, Timings, Usage};
use crate::tenant::Tenant;

/// What is known of an invocation before it runs.
pub(super) struct Record<'a> {
    id: String,
    started_unix_ms: u64,
    tenant: String,
    component: Option<ComponentRecord>,
    call: Option<String>,
    policy: &'a Policy,
    policy_digest: String,
    loaded: LoadTimings,
}

impl<'a> Record<'a> {
    pub(super) fn new(tenant: &str, policy: &'a Policy, policy_digest: String) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id: format!("{:032x}", rand::rng().random::<u128>()),
            started_unix_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            tenant: tenant.to_owned(),
            component: None,
            call: None,
            policy,
            policy_digest,
            loaded: LoadTimings::default(),
        }
    }

    /// The record of an invocation for a tenant, whose policy's digest is known already.
    pub(super) fn of_tenant(tenant: &'a Tenant) -> Self {
        Self::new(tenant.id().as_str(), tenant.policy(), tenant.policy_digest().to_owned())
    }

    pub(super) fn of<E>(mut self, component: &Component<E>) -> Self {
        self.loaded = component.inner.timings;
        let facts = component.facts();
        self.component = Some(ComponentRecord {
            digest: facts.digest.clone(),
            size_bytes: facts.size_bytes,
            form: facts.form.to_string(),
            world: facts.world.to_string(),
        });
        self
    }

    pub(super) fn calling(mut self, call: String) -> Self {
        self.call = Some(call).filter(|call| !call.is_empty());
        self
    }

    pub(super) fn receipt(&self, stop: Option<&Stop>, report: &Report, quota: &Quota) -> Receipt {
        let loaded = self.loaded;
        let mut receipt = Receipt {
            receipt_version: Receipt::VERSION,
            id: self.id.clone(),
            tenant: self.tenant.clone(),
            host: HostRecord {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                engine: ENGINE.to_owned(),
                compiler: report.compiler.map(str::to_owned),
            },
            component: self.component.clone(),
            call: self.call.clone(),
            policy_digest: self.policy_digest.clone(),
            limits: self.policy.limits_by_name().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            usage: Usage {
                wall_ns: report.simulated_ns.unwrap_or(report.wall_ns),
                cpu_ns: report.simulated_ns.is_none().then_some(report.cpu_ns),
                fuel: report.fuel,
                host_calls: report.calls.iter().map(|(_, count)| count).sum(),
                ..Usage::from_quota(quota)
            },
            calls: report.calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            denials: receipt::denials(quota),
            audit: quota.audit.report(),
            stop: StopRecord::new(stop),
            timings: Timings {
                started_unix_ms: self.started_unix_ms,
                total_ns: report.wall_ns,
                load_ns: nanos(loaded.load),
                compile_ns: nanos(loaded.compile),
                link_ns: nanos(loaded.link),
                queue_ns: nanos(report.queue),
                instantiate_ns: nanos(report.instantiate),
                run_ns: nanos(report.run),
                drain_ns: nanos(report.drain),
                computing_ns: report.cpu_ns,
                turn_wait_ns: report.waits.turn_ns,
                memory_wait_ns: report.waits.memory_ns,
                parked_ns: parked(report),
            },
        };
        if self.policy.grants.deterministic.is_some() {
            receipt.id = receipt.content_id();
        }
        receipt
    }
}

/// What is left of instantiating and running when computing and waiting for others are taken off: waiting in host
/// calls, and whatever else the machine did with that time.
fn parked(report: &Report) -> u64 {
    let known = report.cpu_ns.saturating_add(report.waits.turn_ns).saturating_add(report.waits.memory_ns);
    nanos(report.instantiate.saturating_add(report.run)).saturating_sub(known)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
