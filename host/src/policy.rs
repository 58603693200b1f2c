//! What a guest may touch and how much of everything it may use: parsed from TOML once, then typed values.
//!
//! Pure: nothing in here reads a file, knows the engine or asks the clock. What is not granted is denied, and a limit
//! that the file doesn't name has the default of [`LIMITS`].

mod audit;
mod compiler;
mod diff;
mod explain;
mod file;
mod grants;
mod http;
mod keys;
mod keyvalue;
mod limits;
mod meet;
mod needs;
mod net;
mod net_grant;
mod secret;
mod suggest;
mod tenant_limits;
mod units;
mod warnings;
mod write;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

pub use self::audit::{Audit, Use, UseKind};
pub use self::compiler::Compiler;
pub use self::diff::{Change, Direction};
pub use self::explain::Explanation;
pub use self::file::{PolicyError, PolicyErrors};
pub use self::grants::{DirAccess, DirGrant, Grants, OnDenied, StdioGrant};
pub use self::http::{HostName, HttpGrant, HttpIndex, HttpScheme, HttpTarget, InvalidHttp, is_forbidden_header};
pub use self::keys::{KEYS, KeyKind, KeyRow, policy_schema, policy_table};
pub use self::keyvalue::{BucketQuota, KeyValueAccess, KeyValueGrant, KeyValueStore, RedisUrl};
pub use self::limits::{LIMITS, LimitKind, LimitRow, Limits, UNLIMITED, Unit};
pub use self::needs::{Fit, fit};
pub use self::net::AddressClass;
pub use self::net_grant::{
    AddressRange, InvalidNet, LookupGrant, NamePattern, NetAsk, NetDenial, NetDirection, NetGrant, NetHost,
    NetProtocol, Pinned, permits as permits_net, permits_lookup,
};
pub(crate) use self::secret::PLACEHOLDER;
pub use self::secret::{SecretGrant, SecretSource};
pub use self::suggest::{Observed, Suggestion, suggest};
pub use self::tenant_limits::{TENANT_LIMITS, TenantLimitRow, TenantLimits};
pub use self::units::{Bytes, Span, UnitError};
pub use self::warnings::Warning;

/// Grants of one kind that a policy file may have. What two policies have in common is found by comparing each with each, so
/// a caller's policy must not be as long as a file can be.
pub const MAX_GRANTS: usize = 1000;

/// Units of fuel that a deterministic run has where the policy doesn't say: some ten seconds of computing.
const DETERMINISTIC_FUEL: u64 = 10_000_000_000;

/// Grants and limits for an invocation.
///
/// The default grants nothing and has the default limits: no directory, no environment variable, no argument, no
/// configuration, no network, standard input at its end, output counted and dropped.
///
/// ```
/// use host::policy::{Bytes, Policy};
/// let policy = Policy::parse("limits.memory = '64MiB'\nconfig.mask = 'email'").unwrap();
/// assert_eq!(policy.limits.memory, Bytes::from_mib(64));
/// assert_eq!(policy.grants.config["mask"], "email");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What the guest may touch.
    pub grants: Grants,
    /// How much it may use.
    pub limits: Limits,
    /// How much all invocations of the tenant may use together.
    pub tenant: TenantLimits,
}

impl Policy {
    /// Reads a policy file's text.
    ///
    /// # Errors
    /// All that is wrong with it at once, each with line and column: TOML that doesn't parse, unknown keys, values of
    /// the wrong type or unit, contradictions.
    pub fn parse(text: &str) -> Result<Self, PolicyErrors> {
        file::parse(text)
    }

    /// Makes runs under this policy deterministic, and has them metered by fuel unless it is already said how much.
    pub fn make_deterministic(&mut self, seed: u64) {
        self.grants.deterministic = Some(seed);
        self.limits.fuel.get_or_insert(DETERMINISTIC_FUEL);
    }

    /// The digest of what the policy says, `sha256:` and 64 hexadecimal digits: equal for two spellings of the same
    /// policy, different when any value differs. Values of environment and configuration are part of it, secrets are not.
    pub fn digest(&self) -> String {
        let tenant: BTreeMap<_, _> = TENANT_LIMITS.iter().map(|row| (row.name, self.tenant.get(row.name))).collect();
        let canonical = serde_json::json!({ "grants": self.grants, "limits": self.limits_by_name(), "tenant": tenant });
        sha256(canonical.to_string().as_bytes())
    }

    /// Each limit's name with its value in the base unit: bytes, nanoseconds or a count. One that is switched off is
    /// left out, as fuel that is not metered is.
    pub fn limits_by_name(&self) -> BTreeMap<&'static str, u64> {
        let given = |row: &LimitRow| Some((row.name, self.limits.get(row.kind)?));
        LIMITS.iter().filter_map(given).filter(|(_, amount)| *amount != UNLIMITED).collect()
    }
}

impl Policy {
    /// What `host run --audit` allows where the operator gives neither a policy nor a ceiling: reading the folder that the
    /// host was started in, requests over `http` and `https` to every public host on their own ports, and the standard
    /// streams. Nothing else can be granted without saying what it leads to: a variable needs a value, a bucket a store, a
    /// secret its place.
    pub fn audit_default() -> Self {
        let mut policy = Self::default();
        let here = DirGrant::new(".", ".", DirAccess::ReadOnly);
        policy.grants.dir.push(here);
        policy.grants.http = [HttpScheme::Http, HttpScheme::Https].map(HttpGrant::any).to_vec();
        policy.grants.stdio = Some(StdioGrant::ALL);
        policy
    }
}

/// `sha256:` and the digest in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_follows_the_meaning_and_not_the_spelling() {
        let a = Policy::parse("[limits]\nmemory = '1024KiB'\nwall = '1000ms'").unwrap();
        let b = Policy::parse("limits = { wall = '1s', memory = '1MiB' }").unwrap();
        let c = Policy::parse("limits = { wall = '1s', memory = '2MiB' }").unwrap();
        assert_eq!(a.digest(), b.digest());
        assert_ne!(a.digest(), c.digest());
        assert_ne!(Policy::default().digest(), Policy::parse("env.A = 'b'").unwrap().digest());
        assert_ne!(Policy::default().digest(), Policy::parse("limits.wall = 'unlimited'").unwrap().digest());
    }
}
