//! A policy as the text of a policy file, which reads back to the same policy.
//!
//! Limits that have their default are left out. Where a key-value store is a server with a password, the text has the
//! password: it is a policy file like the one that it came from.
//!
//! Each struct is taken apart without `..`: a key that is new doesn't compile until it is written here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::Policy;
use super::compiler::Compiler;
use super::diff::show_amount;
use super::grants::{DirGrant, Grants, OnDenied, StdioGrant};
use super::http::HttpGrant;
use super::keyvalue::{BucketQuota, KeyValueGrant, KeyValueStore};
use super::limits::{LIMITS, Limits, UNLIMITED, UNLIMITED_WORD, Unit};
use super::net_grant::{LookupGrant, NetGrant};
use super::secret::{SecretGrant, SecretSource};
use super::tenant_limits::{TENANT_LIMITS, TenantLimits};

impl Policy {
    /// The text of a policy file that says this.
    ///
    /// ```
    /// use host::Policy;
    /// let policy = Policy::parse("limits = { wall = '1000ms' }").unwrap();
    /// assert_eq!(policy.to_toml(), "[limits]\nwall = \"1s\"\n");
    /// ```
    pub fn to_toml(&self) -> String {
        let Self { grants, limits, tenant } = self;
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
        } = grants;
        let mut text = Text::default();
        if !args.is_empty() {
            text.line("args", &array(args.iter().map(String::as_str)));
        }
        if *on_denied == OnDenied::Stop {
            text.line("on-denied", "\"stop\"");
        }
        if *compiler != Compiler::default() {
            text.line("compiler", &quote(compiler.word()));
        }
        let mut lines = limit_lines(limits);
        if let Some(seed) = deterministic {
            text.line("deterministic", &count(*seed));
            if limits.fuel.is_none() {
                // What nothing is said about would be metered.
                lines.push(("fuel".to_owned(), quote(UNLIMITED_WORD)));
            }
        }
        text.table("limits", lines);
        text.table("tenant", tenant_lines(tenant));
        text.table("env", strings(env));
        text.table("config", strings(config));
        if let Some(StdioGrant { stdin, stdout, stderr }) = stdio {
            let given = [("stdin", stdin), ("stdout", stdout), ("stderr", stderr)];
            text.header("[stdio]");
            for (name, _) in given.iter().filter(|(_, given)| **given) {
                text.line(name, "true");
            }
        }
        text.table("tls", tls_ca.iter().map(|ca| ("ca".to_owned(), path(ca))).collect());
        for DirGrant { host, guest, access, max_bytes, max_files } in dir {
            text.header("[[dir]]");
            text.line("host", &path(host));
            text.line("guest", &quote(guest));
            text.line("access", access_word(access.permits_writing()));
            if let Some(bytes) = max_bytes {
                text.line("max-bytes", &quote(&bytes.to_string()));
            }
            if let Some(files) = max_files {
                text.line("max-files", &count(*files));
            }
        }
        for grant in net {
            let NetGrant { protocol, direction, host: _, port: _, allow_private } = grant;
            text.header("[[net]]");
            text.line("protocol", &quote(protocol.name()));
            text.line(direction.name(), &quote(&grant.pattern()));
            if *allow_private {
                text.line("allow-private", "true");
            }
        }
        for LookupGrant { name, allow_private } in lookup {
            text.header("[[lookup]]");
            text.line("name", &quote(&name.to_string()));
            if *allow_private {
                text.line("allow-private", "true");
            }
        }
        for KeyValueGrant { bucket, store, access, quota } in key_value {
            text.header("[[key-value]]");
            text.line("bucket", &quote(bucket));
            text.line("store", &store_text(store));
            text.line("access", access_word(access.permits_writing()));
            let BucketQuota { max_keys, max_key, max_value, max_total } = quota;
            text.line("max-keys", &count(*max_keys));
            for (name, bytes) in [("max-key", max_key), ("max-value", max_value), ("max-total", max_total)] {
                text.line(name, &quote(&bytes.to_string()));
            }
        }
        for grant in http {
            text.header("[[http]]");
            text.line("allow", &quote(&grant.to_string()));
            if grant.allow_private {
                text.line("allow-private", "true");
            }
            if let Some(ca) = &grant.ca {
                text.line("ca", &path(ca));
            }
        }
        for SecretGrant { name, source, header, format, to, allow_plaintext } in secret {
            text.header("[[secret]]");
            text.line("name", &quote(name));
            match source {
                SecretSource::Env(variable) => text.line("env", &quote(variable)),
                SecretSource::File(file) => text.line("file", &path(file)),
            }
            text.line("header", &quote(header));
            text.line("format", &quote(format));
            let patterns: Vec<String> = to.iter().map(HttpGrant::to_string).collect();
            text.line("for", &array(patterns.iter().map(String::as_str)));
            if *allow_plaintext {
                text.line("allow-plaintext", "true");
            }
        }
        text.0
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn line(&mut self, key: &str, value: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "{} = {value}", bare(key));
    }

    fn header(&mut self, header: &str) {
        let between = if self.0.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.0, "{between}{header}");
    }

    fn table(&mut self, name: &str, lines: Vec<(String, String)>) {
        if !lines.is_empty() {
            self.header(&format!("[{name}]"));
        }
        for (key, value) in lines {
            self.line(&key, &value);
        }
    }
}

fn limit_lines(limits: &Limits) -> Vec<(String, String)> {
    let defaults = Limits::default();
    let changed = LIMITS.iter().filter(|row| limits.get(row.kind) != defaults.get(row.kind));
    changed.map(|row| (row.name.to_owned(), amount(row.unit, limits.get(row.kind).unwrap_or(UNLIMITED)))).collect()
}

fn tenant_lines(tenant: &TenantLimits) -> Vec<(String, String)> {
    let defaults = TenantLimits::default();
    let changed = TENANT_LIMITS.iter().filter(|row| tenant.get(row.name) != defaults.get(row.name));
    changed.map(|row| (row.name.to_owned(), amount(row.unit, tenant.get(row.name).unwrap_or(UNLIMITED)))).collect()
}

/// An amount of a unit as the file has it.
pub(super) fn amount(unit: Unit, amount: u64) -> String {
    match unit {
        _ if amount == UNLIMITED => quote(UNLIMITED_WORD),
        Unit::Count => count(amount),
        unit => quote(&show_amount(unit, amount)),
    }
}

/// A count; one that is larger than what all readers of TOML take is written as text.
fn count(amount: u64) -> String {
    if i64::try_from(amount).is_ok() { amount.to_string() } else { quote(&amount.to_string()) }
}

fn strings(values: &BTreeMap<String, String>) -> Vec<(String, String)> {
    values.iter().map(|(key, value)| (key.clone(), quote(value))).collect()
}

fn store_text(store: &KeyValueStore) -> String {
    match store {
        KeyValueStore::Redis(url) => quote(url.secret()),
        other => quote(&other.to_string()),
    }
}

fn access_word(write: bool) -> &'static str {
    if write { "\"read-write\"" } else { "\"read-only\"" }
}

fn path(path: &Path) -> String {
    quote(&path.display().to_string())
}

fn array<'a>(items: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", items.map(quote).collect::<Vec<_>>().join(", "))
}

fn bare(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_bare { key.to_owned() } else { quote(key) }
}

/// A basic string of TOML.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
