//! The record of an invocation: what ran under which policy, what it used, what it called, what it was denied, and
//! how it ended.
//!
//! A receipt holds no input, no output and no value of the environment or the configuration, so it can be kept. Its
//! shape is published as `docs/receipt.schema.json`, which is made from the types here.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::outcome::{Blame, Capability, LimitHit, Stop, StopReason};
use crate::policy::{Audit, sha256};
use crate::quota::Quota;

/// The record of one invocation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct Receipt {
    /// The version of this shape; it grows when a field is taken away or changes its meaning.
    pub receipt_version: u32,
    /// A name for this invocation: 32 hexadecimal digits, drawn at random. For a deterministic run they are the beginning
    /// of the digest of all the rest but the timings, so that equal runs have equal receipts.
    pub id: String,
    /// On whose behalf.
    pub tenant: String,
    /// What ran it.
    pub host: HostRecord,
    /// What ran, unless nothing could be read.
    pub component: Option<ComponentRecord>,
    /// What was called, such as `wasi:cli/run#run`, unless it never came to a call.
    pub call: Option<String>,
    /// The digest of grants and limits, `sha256:` and 64 hexadecimal digits.
    pub policy_digest: String,
    /// Each limit in bytes, nanoseconds or as a count; one that is unlimited is absent, as is `fuel` when it is not metered.
    pub limits: BTreeMap<String, u64>,
    /// What was used.
    pub usage: Usage,
    /// How often the guest called each interface of the host.
    pub calls: BTreeMap<String, u64>,
    /// What was denied, and how often.
    pub denials: Vec<Denial>,
    /// What was used of what is granted, where the caller asked for an audit.
    pub audit: Option<Audit>,
    /// How it ended.
    pub stop: StopRecord,
    /// Where the time went.
    pub timings: Timings,
}

/// What ran the component.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct HostRecord {
    /// This program's version.
    pub version: String,
    /// The engine and its version.
    pub engine: String,
    /// What made the code that ran: `cranelift`, `winch` or `pulley`; null where none ran to an end of its own.
    pub compiler: Option<String>,
}

/// What ran.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct ComponentRecord {
    /// The digest of the bytes as given, `sha256:` and 64 hexadecimal digits, as `sha256sum` prints it.
    pub digest: String,
    /// How many bytes.
    pub size_bytes: u64,
    /// What the bytes are: `component`, `component-text`, `module`, `module-text`.
    pub form: String,
    /// The world that it is run as: `sandbox`, `command`, `http` or `custom`.
    pub world: String,
}

/// What an invocation used.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct Usage {
    /// Nanoseconds to the end from when the deadline began to count: from the call on, or from before loading where the
    /// caller says so, as `host run` does. In a deterministic run by the guest's own clock.
    pub wall_ns: u64,
    /// Nanoseconds that the processor spent on the guest's thread: on the guest and on the host calls that it made, but not
    /// on what those handed to other threads. Absent in a deterministic run, which is metered by fuel.
    pub cpu_ns: Option<u64>,
    /// Units of fuel, when metered.
    pub fuel: Option<u64>,
    /// The most bytes of memory, tables and input that were held at once.
    pub memory_peak_bytes: u64,
    /// The most table elements at once.
    pub table_peak_elements: u64,
    /// Bytes of the job's input.
    pub input_bytes: u64,
    /// Bytes that count against the limit `output`: the four below together.
    pub output_bytes: u64,
    /// Bytes of standard output.
    pub stdout_bytes: u64,
    /// Bytes of standard error.
    pub stderr_bytes: u64,
    /// Bytes of log messages.
    pub log_bytes: u64,
    /// Bytes of the job's output body.
    pub body_bytes: u64,
    /// Random bytes.
    pub random_bytes: u64,
    /// Calls of host functions, all interfaces together.
    pub host_calls: u64,
    /// HTTP requests, denied ones included.
    pub http_requests: u64,
    /// Bytes of HTTP request bodies that were sent.
    pub http_sent_bytes: u64,
    /// Bytes of HTTP response bodies that were received.
    pub http_received_bytes: u64,
    /// Bytes of request lines and headers of HTTP requests and responses.
    pub http_header_bytes: u64,
    /// The most sockets that were open at once.
    pub sockets_peak: u64,
    /// Bytes that sockets sent.
    pub net_sent_bytes: u64,
    /// Bytes that sockets received.
    pub net_received_bytes: u64,
    /// Names that were looked up, denied ones included.
    pub lookups: u64,
}

/// One thing that was denied.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct Denial {
    /// Which capability.
    pub capability: Capability,
    /// What was asked for.
    pub detail: String,
    /// The rule of the policy that decided, or that no rule grants it.
    pub rule: String,
    /// How often.
    pub count: u64,
}

/// How it ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct StopRecord {
    /// The code from the closed list in `docs/stop-reasons.md`.
    pub reason: String,
    /// Whose fault it is.
    pub blame: Blame,
    /// The exit status of `host run`.
    pub exit_status: u8,
    /// What happened, for people.
    pub message: Option<String>,
    /// The limit that was reached.
    pub limit: Option<LimitHit>,
    /// When to try again, in milliseconds, where there was no room.
    pub retry_after_ms: Option<u64>,
    /// The guest's stack when it trapped, innermost frame first.
    pub trace: Vec<String>,
}

/// Where the time went, in nanoseconds. What didn't happen took none.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct Timings {
    /// When it began, in milliseconds since 1970-01-01 UTC.
    pub started_unix_ms: u64,
    /// All of it, from when the deadline began to count.
    pub total_ns: u64,
    /// Reading the file, telling what it is, converting text and core modules.
    pub load_ns: u64,
    /// Compiling to native code.
    pub compile_ns: u64,
    /// Matching imports with what the host offers.
    pub link_ns: u64,
    /// Waiting for a place among the invocations that are under way, and for memory to begin with.
    pub queue_ns: u64,
    /// Making the store and the instance, with the guest's own start functions.
    pub instantiate_ns: u64,
    /// The call itself.
    pub run_ns: u64,
    /// Writing out what the guest wrote, after its end.
    pub drain_ns: u64,
    /// Of `instantiate-ns` and `run-ns` together: time that the processor spent on the guest.
    pub computing_ns: u64,
    /// Of the same: waiting for a turn on the processor while other guests computed, or while the tenant's own budget
    /// was used up.
    pub turn_wait_ns: u64,
    /// Of the same: waiting for memory that others held.
    pub memory_wait_ns: u64,
    /// Of the same, what is left: waiting in host calls.
    pub parked_ns: u64,
}

impl Receipt {
    /// The version of the shape that this host writes.
    pub const VERSION: u32 = 1;

    /// An id that follows from what happened, and not from when.
    pub(crate) fn content_id(&self) -> String {
        let same = Self { id: String::new(), timings: Timings::default(), ..self.clone() };
        // A receipt is text, numbers and lists of them, which can always be written.
        let text = serde_json::to_string(&same).unwrap_or_default();
        sha256(text.as_bytes()).trim_start_matches("sha256:").chars().take(32).collect()
    }
}

impl StopRecord {
    /// The record of a stop, or of a return where there is none.
    pub fn new(stop: Option<&Stop>) -> Self {
        let reason = stop.map_or(StopReason::Returned, |stop| stop.reason);
        Self {
            reason: reason.code().to_owned(),
            blame: stop.map_or(reason.blame(), Stop::blame),
            exit_status: reason.exit_status(),
            message: stop.map(|stop| stop.message.clone()),
            limit: stop.and_then(|stop| stop.limit.as_deref().cloned()),
            retry_after_ms: stop.and_then(|stop| stop.retry_after_ms),
            trace: stop.map(|stop| stop.trace.clone()).unwrap_or_default(),
        }
    }
}

impl Usage {
    /// What the counters say; times, fuel and calls are the invocation's to add.
    pub fn from_quota(quota: &Quota) -> Self {
        use std::sync::atomic::Ordering::Relaxed;
        Self {
            memory_peak_bytes: quota.memory.peak(),
            table_peak_elements: quota.table.peak(),
            input_bytes: quota.input_bytes.load(Relaxed),
            output_bytes: quota.output.used(),
            stdout_bytes: quota.stdout_bytes.load(Relaxed),
            stderr_bytes: quota.stderr_bytes.load(Relaxed),
            log_bytes: quota.log_bytes.load(Relaxed),
            body_bytes: quota.body_bytes.load(Relaxed),
            random_bytes: quota.random.used(),
            http_requests: quota.http_requests.used(),
            http_sent_bytes: quota.http_sent_bytes.load(Relaxed),
            http_received_bytes: quota.http_received_bytes.load(Relaxed),
            http_header_bytes: quota.http_headers.used(),
            sockets_peak: quota.sockets.peak(),
            net_sent_bytes: quota.net_sent_bytes.load(Relaxed),
            net_received_bytes: quota.net_received_bytes.load(Relaxed),
            lookups: quota.lookups.used(),
            ..Self::default()
        }
    }
}

/// The denials that were counted.
pub(crate) fn denials(quota: &Quota) -> Vec<Denial> {
    let denial = |(capability, detail, rule, count)| Denial { capability, detail, rule, count };
    quota.denials().into_iter().map(denial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_is_the_one_of_these_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/receipt.schema.json");
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Receipt)).unwrap() + "\n";
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            published == schema,
            "docs/receipt.schema.json is stale; mend it with `BLESS=1 cargo test -p host --lib`"
        );
    }
}
