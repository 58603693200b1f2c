//! Before a guest starts: what can be checked without it, a place among the invocations that are under way, and the
//! memory that the host spends on it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::watch::{Cancel, Watch};
use crate::component::Component;
use crate::engine::EngineKey;
use crate::outcome::{Busy, Refusal, Scope, Stop};
use crate::policy::{LimitKind, Limits, Policy};
use crate::quota::Quota;
use crate::shared::{Full, Place, Share};

/// What the host holds for an invocation beside its stack and its handles: the store, its contexts, and the two pipes
/// of its standard streams.
const STORE_BYTES: u64 = 256 * 1024;

/// What a handle takes in the table of resources, with what it stands for.
const HANDLE_BYTES: u64 = 256;

/// Checks, waits for a place and for memory to begin with, and reserves what the host holds for the guest.
pub(super) async fn admit<E>(
    component: &Component<E>,
    policy: &Policy,
    share: &Arc<Share>,
    held: u64,
    quota: &Quota,
    watch: &Watch,
    cancel: &mut Cancel,
) -> Result<Place, Stop> {
    let limits = &policy.limits;
    if component.inner.key != EngineKey::of(policy) {
        let message = "the component was compiled for a policy with another `stack` or `compiler`, or with `fuel` or `deterministic` on or off";
        return Err(Stop::refused(Refusal::Policy, message, "load it again under this policy"));
    }
    quota.input_bytes.store(held, Relaxed);
    // Input is held in the invocation's memory, so the smaller of the two is what it may have.
    let max = limits.input.0.min(limits.memory.0);
    if held > max {
        return Err(Stop::limit(LimitKind::Input, max, 0, Some(held)));
    }
    if let Some(wait) = share.cpu_wait_ns() {
        let message = "the tenant has used up its processor time for now";
        return Err(Stop::busy(Busy::Cpu, message, wait.div_ceil(1_000_000)));
    }
    let mut place = share.shared.places.enter(share.account.key, &share.limits).map_err(busy)?;
    watch.until(&mut place, cancel).await?;
    let base = base_bytes(limits);
    let memory = &share.shared.memory;
    let (key, tenant_max) = (share.account.key, share.limits.memory.0);
    let needed = base.saturating_add(held);
    if memory.try_take(key, tenant_max, needed).is_err() {
        let short = memory.shortage(key, tenant_max, needed);
        let wait = tokio::time::timeout(limits.memory_wait.0, memory.wait(key, tenant_max, needed));
        if short.for_ever || watch.until(wait, cancel).await?.is_err() {
            let whose = if short.scope == Scope::Tenant { "tenant" } else { "host" };
            let row = LimitKind::Memory.row();
            let (needed, max, used) = (row.about(needed), row.show(short.max), row.about(short.used));
            let message = format!(
                "there is no memory to start with: {needed} are needed, and of the {whose}'s {max} {used} are in use"
            );
            let retry = u64::try_from(limits.memory_wait.0.as_millis()).unwrap_or(u64::MAX).max(1);
            return Err(Stop::busy(Busy::Memory, message, retry));
        }
    }
    quota.memory.hold(base);
    quota.memory.take_over(held);
    Ok(place)
}

/// What an invocation costs the host before it has done anything, at most.
fn base_bytes(limits: &Limits) -> u64 {
    let handles = limits.handles.min(1 << 20).saturating_mul(HANDLE_BYTES);
    STORE_BYTES.saturating_add(limits.stack.0).saturating_add(handles)
}

fn busy(full: Full) -> Stop {
    let Full { scope, queued, max, retry_ms } = full;
    let (what, whose, key) = match scope {
        Scope::Tenant => (Busy::Tenant, "the tenant's", "[tenant] queue"),
        _ => (Busy::Host, "the host's", "HostBuilder::queue"),
    };
    let message = format!("{whose} places are taken, and {queued} invocations wait already (`{key}` is {max})");
    Stop::busy(what, message, retry_ms)
}
