//! What two policies have in common: the meet, by which a policy that somebody hands in can shrink a ceiling and never
//! widen it.
//!
//! Threat model: a tenant, or whoever writes for one, hands in a policy that asks for more than the ceiling, in words
//! that look narrower: a directory below a granted one that is a symbolic link out of it, methods that have nothing in
//! common and so become every method, a longer list that isn't one. So grants are kept where both say the same, and
//! patterns where one is inside the other; directories are never compared by their place, since only the disk knows
//! what is below what.
//!
//! Each struct is written out field by field without `..`: a key that is new doesn't compile until it has its meet here.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::path::PathBuf;

use super::Policy;
use super::grants::{DirAccess, DirGrant, Grants, OnDenied, StdioGrant};
use super::http::HttpGrant;
use super::keyvalue::{BucketQuota, KeyValueAccess, KeyValueGrant};
use super::limits::Limits;
use super::net_grant::{LookupGrant, NetGrant};
use super::secret::SecretGrant;
use super::tenant_limits::TenantLimits;

/// Grants of one kind that two policies have in common; what would be more is left out.
const MOST_COMMON: usize = 10 * super::MAX_GRANTS;

impl Policy {
    /// The policy that permits what both permit: of each limit the smaller, of grants those that are in both. It is never
    /// wider than either, whatever the two say, and it is the same whichever of them is the ceiling, but for the order.
    ///
    /// Variables, configuration and buckets are in both where all that is said about them is equal; arguments as far as
    /// the two lists begin alike; a window of time is the longer one, since the same amount in a longer window is less.
    ///
    /// ```
    /// use host::Policy;
    /// let ceiling = Policy::parse("limits.memory = '64MiB'\n[[http]]\nallow = 'https://*.example.com'").unwrap();
    /// let asked = Policy::parse("limits.memory = '1GiB'\n[[http]]\nallow = 'GET https://api.example.com/v1'").unwrap();
    /// let got = asked.meet(&ceiling);
    /// assert_eq!(got.limits.memory, ceiling.limits.memory);
    /// assert_eq!(got.grants.http[0].to_string(), "GET https://api.example.com/v1");
    /// ```
    #[must_use]
    pub fn meet(&self, ceiling: &Self) -> Self {
        Self {
            grants: grants(&self.grants, &ceiling.grants),
            limits: limits(&self.limits, &ceiling.limits),
            tenant: tenant(&self.tenant, &ceiling.tenant),
        }
    }
}

fn grants(a: &Grants, b: &Grants) -> Grants {
    Grants {
        dir: pairs(&a.dir, &b.dir, dir),
        env: equal(&a.env, &b.env),
        args: a.args.iter().zip(&b.args).take_while(|(a, b)| a == b).map(|(arg, _)| arg.clone()).collect(),
        config: equal(&a.config, &b.config),
        key_value: pairs(&a.key_value, &b.key_value, bucket),
        stdio: match (a.stdio, b.stdio) {
            // Nothing said is read as no stream at all wherever nobody fills it in before.
            (None, None) => None,
            (a, b) => Some(stdio(a.unwrap_or_default(), b.unwrap_or_default())),
        },
        compiler: a.compiler.min(b.compiler),
        on_denied: if a.on_denied == OnDenied::Stop { a.on_denied } else { b.on_denied },
        http: HttpGrant::prune(pairs(&a.http, &b.http, HttpGrant::meet)),
        secret: pairs(&a.secret, &b.secret, secret),
        net: pairs(&a.net, &b.net, NetGrant::meet),
        lookup: pairs(&a.lookup, &b.lookup, LookupGrant::meet),
        tls_ca: authority(a.tls_ca.as_ref(), b.tls_ca.as_ref()),
        // Without the real clocks is less than with them; of two seeds either would do.
        deterministic: match (a.deterministic, b.deterministic) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (seed, None) | (None, seed) => seed,
        },
    }
}

fn limits(a: &Limits, b: &Limits) -> Limits {
    Limits {
        memory: a.memory.min(b.memory),
        table: a.table.min(b.table),
        instances: a.instances.min(b.instances),
        stack: a.stack.min(b.stack),
        wall: a.wall.min(b.wall),
        cpu: a.cpu.min(b.cpu),
        fuel: match (a.fuel, b.fuel) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (fuel, None) | (None, fuel) => fuel,
        },
        output: a.output.min(b.output),
        input: a.input.min(b.input),
        hostcall: a.hostcall.min(b.hostcall),
        handles: a.handles.min(b.handles),
        files: a.files.min(b.files),
        timers: a.timers.min(b.timers),
        random: a.random.min(b.random),
        component_size: a.component_size.min(b.component_size),
        output_rate: a.output_rate.min(b.output_rate),
        memory_wait: a.memory_wait.min(b.memory_wait),
        http_requests: a.http_requests.min(b.http_requests),
        http_concurrency: a.http_concurrency.min(b.http_concurrency),
        http_body: a.http_body.min(b.http_body),
        http_headers: a.http_headers.min(b.http_headers),
        http_timeout: a.http_timeout.min(b.http_timeout),
        sockets: a.sockets.min(b.sockets),
        net_bytes: a.net_bytes.min(b.net_bytes),
        lookups: a.lookups.min(b.lookups),
        compile_memory: a.compile_memory.min(b.compile_memory),
        compile_cpu: a.compile_cpu.min(b.compile_cpu),
        compile_wall: a.compile_wall.min(b.compile_wall),
        artifact_size: a.artifact_size.min(b.artifact_size),
    }
}

fn tenant(a: &TenantLimits, b: &TenantLimits) -> TenantLimits {
    TenantLimits {
        weight: a.weight.min(b.weight),
        concurrency: a.concurrency.min(b.concurrency),
        queue: a.queue.min(b.queue),
        memory: a.memory.min(b.memory),
        files: a.files.min(b.files),
        timers: a.timers.min(b.timers),
        // With the longer window and the smaller amount, neither policy's own window ever sees more than its amount.
        window: a.window.max(b.window),
        cpu: a.cpu.min(b.cpu),
        output: a.output.min(b.output),
        random: a.random.min(b.random),
    }
}

fn dir(a: &DirGrant, b: &DirGrant) -> Option<DirGrant> {
    let DirGrant { host, guest, access, max_bytes, max_files } = a;
    if *host != b.host || *guest != b.guest {
        return None;
    }
    let access = if access.permits_writing() { b.access } else { DirAccess::ReadOnly };
    let met = DirGrant::new(host.clone(), guest.clone(), access);
    if !access.permits_writing() {
        // Nothing to count.
        return Some(met);
    }
    Some(DirGrant { max_bytes: least(*max_bytes, b.max_bytes), max_files: least(*max_files, b.max_files), ..met })
}

/// The smaller of two bounds, of which none is no bound.
fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn bucket(a: &KeyValueGrant, b: &KeyValueGrant) -> Option<KeyValueGrant> {
    let KeyValueGrant { bucket, store, access, quota } = a;
    if *bucket != b.bucket || *store != b.store {
        return None;
    }
    let access = if access.permits_writing() { b.access } else { KeyValueAccess::ReadOnly };
    let quota = BucketQuota {
        max_keys: quota.max_keys.min(b.quota.max_keys),
        max_key: quota.max_key.min(b.quota.max_key),
        max_value: quota.max_value.min(b.quota.max_value),
        max_total: quota.max_total.min(b.quota.max_total),
    };
    Some(KeyValueGrant { bucket: bucket.clone(), store: store.clone(), access, quota })
}

fn secret(a: &SecretGrant, b: &SecretGrant) -> Option<SecretGrant> {
    let SecretGrant { name, source, header, format, to, allow_plaintext } = a;
    if *name != b.name || *source != b.source || *header != b.header || *format != b.format {
        return None;
    }
    let allow_plaintext = *allow_plaintext && b.allow_plaintext;
    let mut to = HttpGrant::prune(pairs(to, &b.to, HttpGrant::meet));
    to.retain(|to| to.is_https() || allow_plaintext);
    if to.is_empty() {
        return None;
    }
    let (name, source, header, format) = (name.clone(), source.clone(), header.clone(), format.clone());
    Some(SecretGrant { name, source, header, format, to, allow_plaintext })
}

fn stdio(a: StdioGrant, b: StdioGrant) -> StdioGrant {
    StdioGrant { stdin: a.stdin && b.stdin, stdout: a.stdout && b.stdout, stderr: a.stderr && b.stderr }
}

/// Authorities that both trust; trusting one more is wider.
fn authority(a: Option<&PathBuf>, b: Option<&PathBuf>) -> Option<PathBuf> {
    a.filter(|_| a == b).cloned()
}

fn equal(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    a.iter().filter(|(name, value)| b.get(*name) == Some(value)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// What each pair has in common, once. A list of a policy has no more than [`MAX_GRANTS`](super::MAX_GRANTS), so each can be
/// compared with each. What they have in common could be a million grants; there is an end to that too, since leaving
/// something out is never wider.
fn pairs<T: Clone + Eq + Hash>(a: &[T], b: &[T], meet: impl Fn(&T, &T) -> Option<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    let common = a.iter().flat_map(|a| b.iter().filter_map(|b| meet(a, b)));
    common.filter(|met| seen.insert(met.clone())).take(MOST_COMMON).collect()
}

#[cfg(test)]
mod tests;
