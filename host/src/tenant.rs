//! On whose behalf a component is called.
//!
//! A tenant is fixed when the store of an invocation is made and can't be changed while it lives: a "current tenant"
//! that is swapped is a bug that waits for concurrency.

use std::fmt;
use std::sync::Arc;

use crate::policy::{HttpIndex, Policy};

/// A tenant: its name and the policy that all its invocations run under.
///
/// ```
/// use host::{Policy, Tenant};
/// let tenant = Tenant::new("acme", Policy::default()).unwrap();
/// assert_eq!(tenant.id().as_str(), "acme");
/// assert!(Tenant::new("no spaces", Policy::default()).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Tenant {
    id: TenantId,
    policy: Arc<Policy>,
    /// Of the policy. Every receipt says it, and it takes longer to work out than a small guest to run.
    digest: Arc<str>,
    /// Of its HTTP grants.
    http: Arc<HttpIndex>,
}

/// A tenant's name: 1 to 64 of `a-z`, `A-Z`, `0-9`, `-`, `_` and `.`, so that it is safe in a log line, a metric
/// label, a path and a header.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// A name that can't be a tenant's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no tenant name: use 1 to 64 letters, digits, `-`, `_` and `.`")]
pub struct InvalidTenantId(String);

impl Tenant {
    /// A tenant under a policy.
    ///
    /// # Errors
    /// The name is empty, longer than 64 bytes, or has a character that isn't allowed.
    pub fn new(id: &str, policy: Policy) -> Result<Self, InvalidTenantId> {
        let (id, digest) = (TenantId::new(id)?, Arc::from(policy.digest()));
        let http = Arc::new(HttpIndex::new(&policy.grants.http));
        Ok(Self { id, policy: Arc::new(policy), digest, http })
    }

    /// The same tenant under what both its policy and this one permit: a policy that somebody hands in for a tenant can
    /// shrink what it may do and never widen it, see [`Policy::meet`].
    ///
    /// ```
    /// use host::{Policy, Tenant};
    /// let tenant = Tenant::new("acme", Policy::parse("limits.memory = '16MiB'").unwrap()).unwrap();
    /// let narrowed = tenant.narrowed(&Policy::parse("limits = { memory = '1GiB', wall = '1s' }").unwrap());
    /// assert_eq!(narrowed.policy().limits.memory, tenant.policy().limits.memory);
    /// assert_eq!(narrowed.policy().limits.wall.to_string(), "1s");
    /// ```
    #[must_use]
    pub fn narrowed(&self, policy: &Policy) -> Self {
        let policy = policy.meet(&self.policy);
        let (digest, http) = (Arc::from(policy.digest()), Arc::new(HttpIndex::new(&policy.grants.http)));
        Self { id: self.id.clone(), policy: Arc::new(policy), digest, http }
    }

    /// Its name.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// The policy that its invocations run under.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// That policy, to be kept.
    pub(crate) fn policy_shared(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Where its HTTP grants are in their list.
    pub(crate) fn http_index(&self) -> &Arc<HttpIndex> {
        &self.http
    }

    /// The digest of that policy.
    pub(crate) fn policy_digest(&self) -> &str {
        &self.digest
    }
}

impl TenantId {
    /// Checks a name.
    ///
    /// # Errors
    /// The name is empty, longer than 64 bytes, or has a character that isn't allowed.
    pub fn new(id: &str) -> Result<Self, InvalidTenantId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if id.is_empty() || id.len() > 64 || !id.bytes().all(allowed) {
            return Err(InvalidTenantId(id.escape_debug().to_string()));
        }
        Ok(Self(Arc::from(id)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_that_receipts_say_is_that_of_the_policy() {
        let policy = Policy::parse("limits.memory = '1MiB'").unwrap();
        let tenant = Tenant::new("t", policy.clone()).unwrap();
        assert_eq!(tenant.policy_digest(), policy.digest());
        assert_ne!(tenant.policy_digest(), Policy::default().digest());
    }

    #[test]
    fn a_name_that_could_break_a_log_line_or_a_path_is_refused() {
        assert!(TenantId::new(&"a".repeat(64)).is_ok());
        assert!(TenantId::new(&"a".repeat(65)).is_err());
        for wrong in ["", "a b", "a/b", "a\nb", "ä", "a\"b"] {
            assert!(TenantId::new(wrong).is_err(), "{wrong:?}");
        }
    }
}
