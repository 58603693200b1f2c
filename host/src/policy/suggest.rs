//! The smallest policy that would have let audited runs pass, from their receipts.
//!
//! Threat model: a receipt has the guest's own words in it, and a guest may have used more than it should. So nothing is
//! suggested that the policy of the audit didn't grant, and each suggested grant is made from one of that policy's
//! (values, directories, stores and secrets are never in a receipt); an audit that had no room for everything is refused
//! whole, since what it left out would be denied later. What the audit denied is told and not granted.
//!
//! Limits are what the runs used at most, with headroom: twice an amount, rounded up to a power of two; four times a
//! time, in whole seconds, but at least 10 s for `wall` and 2 s for `cpu`; and never more than the runs had. Limits whose
//! use isn't counted are those of the runs.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Policy;
use super::audit::{Audit, Use, UseKind};
use super::grants::{DirAccess, DirGrant, Grants, StdioGrant};
use super::http::HttpGrant;
use super::keyvalue::KeyValueAccess;
use super::limits::{LIMITS, LimitKind, Limits, UNLIMITED};
use super::net_grant::{LookupGrant, NetGrant, permits_lookup};
use super::secret::SecretGrant;

/// Different uses of one grant for sockets that are suggested one by one.
const MANY_ADDRESSES: usize = 8;

/// What a suggestion is made from: the parts of a receipt that say what was used.
#[derive(Clone, Debug, Deserialize)]
pub struct Observed {
    limits: BTreeMap<String, u64>,
    usage: ObservedUsage,
    calls: BTreeMap<String, u64>,
    denials: Vec<ObservedDenial>,
    stop: ObservedStop,
    audit: Option<Audit>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ObservedUsage {
    wall_ns: u64,
    /// Absent in a deterministic run.
    cpu_ns: Option<u64>,
    fuel: Option<u64>,
    memory_peak_bytes: u64,
    table_peak_elements: u64,
    input_bytes: u64,
    output_bytes: u64,
    stdout_bytes: u64,
    stderr_bytes: u64,
    random_bytes: u64,
    http_requests: u64,
    http_sent_bytes: u64,
    http_received_bytes: u64,
    http_header_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct ObservedDenial {
    capability: String,
    detail: String,
}

#[derive(Clone, Debug, Deserialize)]
struct ObservedStop {
    reason: String,
}

/// A policy that was made from audits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The policy.
    pub policy: Policy,
    /// What to know before it is used, a line each.
    pub notes: Vec<String>,
}

/// Makes the smallest policy that would have let these runs pass. `under` is the policy that they were audited under.
///
/// # Errors
/// Everything that stands in the way: a receipt without an audit or with one that is cut off, and uses that `under` has
/// no grant for.
pub fn suggest(receipts: &[Observed], under: &Policy) -> Result<Suggestion, Vec<String>> {
    let mut wrong = Vec::new();
    let mut uses: Vec<&Use> = Vec::new();
    for (n, receipt) in (1..).zip(receipts) {
        match &receipt.audit {
            None => wrong.push(format!("receipt {n} has no audit: make it with `host run --audit`")),
            Some(Audit { dropped, .. }) if *dropped > 0 => wrong.push(format!(
                "the audit of receipt {n} is cut off: there was no room for {dropped} more, and what is made from the rest would \
                 deny them"
            )),
            Some(audit) => uses.extend(&audit.uses),
        }
    }
    if receipts.is_empty() {
        wrong.push("there is no receipt to make a policy from".to_owned());
    }
    let mut missing = Missing(Vec::new());
    let grants = grants(receipts, &uses, &under.grants, &mut missing);
    wrong.extend(missing.0);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let made = Policy { grants, limits: limits(receipts), tenant: under.tenant.clone() };
    // A path in an audit is cut short and many are taken together, so this is where it gets no wider than the audit was.
    let mut under = under.clone();
    under.grants.stdio.get_or_insert(StdioGrant::ALL);
    let policy = made.meet(&under);
    Ok(Suggestion { policy, notes: notes(receipts, &uses) })
}

impl Suggestion {
    /// The policy file, with the notes as comments before it.
    pub fn to_toml(&self) -> String {
        let line = |note: &String| format!("# {}\n", note.escape_debug());
        self.notes.iter().map(line).collect::<String>() + &self.policy.to_toml()
    }
}

struct Missing(Vec<String>);

impl Missing {
    fn add(&mut self, what: &str, name: &str) {
        let (name, hint) = (name.escape_debug(), "give the policy and the flags that the audit ran with");
        let message = format!("an audit used {what} `{name}`, which this policy doesn't grant: {hint}");
        if !self.0.contains(&message) {
            self.0.push(message);
        }
    }
}

fn grants(receipts: &[Observed], uses: &[&Use], under: &Grants, missing: &mut Missing) -> Grants {
    // Written out without `..`: a key that is new doesn't compile until it is suggested here.
    let Grants {
        dir,
        env,
        args,
        config,
        key_value,
        stdio,
        on_denied,
        http,
        secret,
        tls_ca,
        deterministic,
        net,
        lookup,
        compiler,
    } = under;
    let of = |kind: UseKind| uses.iter().copied().filter(move |one| one.kind == kind);
    let http = requests(of(UseKind::Http), http, missing);
    Grants {
        dir: {
            check(of(UseKind::Dir), missing, "the directory", |name| dir.iter().any(|dir| dir.guest == name));
            let mut dirs = dir.clone();
            dirs.retain(|dir| of(UseKind::Dir).any(|one| one.name == dir.guest));
            for dir in &mut dirs {
                if !of(UseKind::Dir).any(|one| one.name == dir.guest && one.write) {
                    *dir = DirGrant::new(dir.host.clone(), dir.guest.clone(), DirAccess::ReadOnly);
                }
            }
            dirs
        },
        env: values(of(UseKind::Env), env, "the variable", missing),
        args: args.clone(),
        config: values(of(UseKind::Config), config, "the configuration value", missing),
        key_value: {
            check(of(UseKind::KeyValue), missing, "the bucket", |name| key_value.iter().any(|one| one.bucket == name));
            let mut buckets = key_value.clone();
            buckets.retain(|bucket| of(UseKind::KeyValue).any(|one| one.name == bucket.bucket));
            for bucket in &mut buckets {
                if !of(UseKind::KeyValue).any(|one| one.name == bucket.bucket && one.write) {
                    bucket.access = KeyValueAccess::ReadOnly;
                }
            }
            buckets
        },
        stdio: {
            let given = stdio.unwrap_or(StdioGrant::ALL);
            let any = |used: fn(&Observed) -> bool| receipts.iter().any(used);
            Some(StdioGrant {
                stdin: given.stdin && any(|one| one.usage.input_bytes > 0 || one.calls.contains_key("wasi:cli/stdin")),
                stdout: given.stdout && any(|one| one.usage.stdout_bytes > 0),
                stderr: given.stderr && any(|one| one.usage.stderr_bytes > 0),
            })
        },
        net: {
            let known = |name: &str| net.iter().any(|grant| grant.to_string() == name);
            check(of(UseKind::Net), missing, "the address", known);
            sockets(&of(UseKind::Net).collect::<Vec<_>>(), of(UseKind::Lookup), net, lookup)
        },
        lookup: names(of(UseKind::Lookup), net, lookup, missing),
        on_denied: *on_denied,
        compiler: *compiler,
        deterministic: *deterministic,
        secret: secrets(of(UseKind::Secret), secret, missing),
        tls_ca: tls_ca.clone().filter(|_| !http.is_empty()),
        http,
    }
}

/// Each name that was looked up, under the first grant that let it through.
fn names<'a>(
    uses: impl Iterator<Item = &'a Use>,
    net: &[NetGrant],
    lookup: &[LookupGrant],
    missing: &mut Missing,
) -> Vec<LookupGrant> {
    let mut found: Vec<LookupGrant> = Vec::new();
    for one in uses {
        let Some(grant) = lookup.iter().find(|grant| grant.name.covers(&one.name)) else {
            // What is suggested for sockets includes it.
            if permits_lookup(net, &[], &one.name, &[]).is_err() {
                missing.add("the name", &one.name);
            }
            continue;
        };
        if let Ok(exact) = LookupGrant::parse(&one.name) {
            found.push(LookupGrant { allow_private: grant.allow_private, ..exact });
        }
    }
    found
}

/// What was used of each grant for sockets. A name that was looked up under a grant to connect to it, and that nobody
/// connected to, can only be said as such a grant again.
fn sockets<'a>(
    uses: &[&Use],
    names: impl Iterator<Item = &'a Use>,
    net: &[NetGrant],
    lookup: &[LookupGrant],
) -> Vec<NetGrant> {
    let mut found: Vec<NetGrant> = Vec::new();
    let mut add = |grant: NetGrant| {
        if !found.iter().any(|other| other.covers(&grant)) {
            found.retain(|other| !grant.covers(other));
            found.push(grant);
        }
    };
    for grant in net {
        let name = grant.to_string();
        let used: Vec<&&Use> = uses.iter().filter(|one| one.name == name).collect();
        if used.len() > MANY_ADDRESSES {
            add(grant.clone());
            continue;
        }
        used.iter().for_each(|one| add(one.detail.as_ref().map_or_else(|| grant.clone(), |used| grant.narrowed(used))));
    }
    for one in names.filter(|one| !lookup.iter().any(|grant| grant.name.covers(&one.name))) {
        if permits_lookup(&found, &[], &one.name, &[]).is_err() {
            found.extend(net.iter().find_map(|grant| grant.to_name(&one.name)));
        }
    }
    found
}

fn check<'a>(uses: impl Iterator<Item = &'a Use>, missing: &mut Missing, what: &str, known: impl Fn(&str) -> bool) {
    for one in uses.filter(|one| !known(&one.name)) {
        missing.add(what, &one.name);
    }
}

fn values<'a>(
    uses: impl Iterator<Item = &'a Use>,
    given: &BTreeMap<String, String>,
    what: &str,
    missing: &mut Missing,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    // What was asked for and not there is nothing to grant.
    for one in uses.filter(|one| one.detail.is_none()) {
        match given.get(&one.name) {
            Some(value) => drop(values.insert(one.name.clone(), value.clone())),
            None => missing.add(what, &one.name),
        }
    }
    values
}

/// Patterns for the requests that were made, each under the first grant that let it through.
fn requests<'a>(uses: impl Iterator<Item = &'a Use>, granted: &[HttpGrant], missing: &mut Missing) -> Vec<HttpGrant> {
    let mut patterns: Vec<HttpGrant> = Vec::new();
    for one in uses {
        let private = one.detail.as_deref() == Some("private");
        let made = HttpGrant::parse(&one.name).ok().and_then(|pattern| {
            let fits = |grant: &&HttpGrant| grant.meet(&pattern).is_some() && (!private || grant.allow_private);
            let grant = granted.iter().find(fits)?;
            let mut made = pattern;
            (made.allow_private, made.ca) = (private && grant.allow_private, grant.ca.clone());
            Some(made)
        });
        match made {
            Some(pattern) => patterns.push(pattern),
            None => missing.add("the request", &one.name),
        }
    }
    HttpGrant::gather(&HttpGrant::prune(patterns))
}

fn secrets<'a>(uses: impl Iterator<Item = &'a Use>, given: &[SecretGrant], missing: &mut Missing) -> Vec<SecretGrant> {
    let mut found: BTreeMap<&str, SecretGrant> = BTreeMap::new();
    for one in uses {
        let pattern = one.detail.as_deref().and_then(|detail| HttpGrant::parse(detail).ok());
        let grant = given.iter().find(|secret| secret.name == one.name);
        let (Some(pattern), Some(grant)) = (pattern, grant) else {
            missing.add("the secret", &one.name);
            continue;
        };
        let met = grant.to.iter().filter_map(|to| to.meet(&pattern));
        let none = || SecretGrant { to: Vec::new(), ..grant.clone() };
        found.entry(grant.name.as_str()).or_insert_with(none).to.extend(met);
    }
    let gathered = |secret: SecretGrant| SecretGrant { to: HttpGrant::gather(&secret.to), ..secret };
    found.into_values().map(gathered).filter(|secret| !secret.to.is_empty()).collect()
}

fn limits(receipts: &[Observed]) -> Limits {
    let mut limits = Limits::default();
    for row in LIMITS {
        // One that is left out of a receipt was switched off.
        let had = receipts.iter().map(|one| one.limits.get(row.name).copied().unwrap_or(UNLIMITED)).max();
        let had = had.unwrap_or(UNLIMITED);
        let used = receipts.iter().map(|one| used(row.kind, &one.usage)).max().flatten();
        let needed = used.map_or(had, |used| headroom(row.kind, used).min(had));
        // Metering fuel changes how the guest is compiled, so it stays as it was.
        let metered = row.kind != LimitKind::Fuel || had != UNLIMITED;
        if metered {
            limits.set(row.kind, needed);
        }
    }
    // A file can't say that a part is larger than the whole.
    limits.cpu = limits.cpu.min(limits.wall);
    limits.input = limits.input.min(limits.memory);
    limits
}

/// What was used of a limit, where that is counted.
fn used(kind: LimitKind, usage: &ObservedUsage) -> Option<u64> {
    match kind {
        LimitKind::Memory => Some(usage.memory_peak_bytes),
        LimitKind::Table => Some(usage.table_peak_elements),
        LimitKind::Wall => Some(usage.wall_ns),
        LimitKind::Cpu => usage.cpu_ns,
        LimitKind::Fuel => usage.fuel,
        LimitKind::Output => Some(usage.output_bytes),
        LimitKind::Input => Some(usage.input_bytes),
        LimitKind::Random => Some(usage.random_bytes),
        LimitKind::HttpRequests => Some(usage.http_requests),
        LimitKind::HttpBody => Some(usage.http_sent_bytes.saturating_add(usage.http_received_bytes)),
        LimitKind::HttpHeaders => Some(usage.http_header_bytes),
        LimitKind::Instances
        | LimitKind::Stack
        | LimitKind::Hostcall
        | LimitKind::Handles
        | LimitKind::ComponentSize
        | LimitKind::Files
        | LimitKind::Timers
        | LimitKind::OutputRate
        | LimitKind::MemoryWait
        | LimitKind::HttpConcurrency
        | LimitKind::HttpTimeout
        | LimitKind::Sockets
        | LimitKind::NetBytes
        | LimitKind::Lookups
        | LimitKind::CompileMemory
        | LimitKind::CompileCpu
        | LimitKind::CompileWall
        | LimitKind::ArtifactSize => None,
    }
}

fn headroom(kind: LimitKind, used: u64) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    let seconds = || used.saturating_mul(4).div_ceil(SECOND).saturating_mul(SECOND);
    let doubled = || match used {
        0 => 0,
        used => used.saturating_mul(2).checked_next_power_of_two().unwrap_or(UNLIMITED),
    };
    match kind {
        LimitKind::Wall => seconds().max(10 * SECOND),
        LimitKind::Cpu => seconds().max(2 * SECOND),
        // Some runs need a little more than others, and nothing at all is no limit.
        LimitKind::Memory => doubled().max(4 << 20),
        LimitKind::Table | LimitKind::Fuel => doubled().max(1024),
        LimitKind::HttpHeaders => doubled().max(4096),
        _ => doubled(),
    }
}

fn notes(receipts: &[Observed], uses: &[&Use]) -> Vec<String> {
    let runs =
        if receipts.len() == 1 { "1 audited run".to_owned() } else { format!("{} audited runs", receipts.len()) };
    let mut notes = vec![format!("the smallest policy for {runs}; limits have headroom")];
    for (n, receipt) in (1..).zip(receipts) {
        if receipt.stop.reason != "returned" {
            let reason = &receipt.stop.reason;
            notes.push(format!("run {n} ended with {reason}: what it would have used later isn't known"));
        }
        for ObservedDenial { capability, detail } in &receipt.denials {
            notes.push(format!("denied in run {n}, so not granted here: {capability}: {detail}"));
        }
    }
    for one in uses.iter().filter(|one| one.kind == UseKind::Config && one.detail.is_some()) {
        notes.push(format!("asked for and not there: config.{}", one.name));
    }
    for one in uses.iter().filter(|one| one.kind == UseKind::Dir) {
        if let Some(below) = &one.detail {
            let how = if one.write { "changed" } else { "read" };
            notes.push(format!("{how} in `{}`: {below}", one.name));
        }
    }
    let mut unique: Vec<String> = Vec::new();
    for note in notes {
        if !unique.contains(&note) {
            unique.push(note);
        }
    }
    unique
}

#[cfg(test)]
mod tests;
