//! What an audited invocation used of what it was granted: the section of its receipt that `host policy suggest` reads.
//!
//! Names in here are the guest's own words or the policy's: paths, keys, targets of requests. A receipt without an audit
//! has none of them.

use serde::{Deserialize, Serialize};

/// What an audited invocation used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct Audit {
    /// Each distinct use.
    pub uses: Vec<Use>,
    /// Uses that there was no room for. Where it is not zero, the list says less than what was used.
    pub dropped: u64,
}

/// One distinct use of a grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
pub struct Use {
    /// Which key of the policy grants it.
    pub kind: UseKind,
    /// The variable, the key, the bucket, the guest's path of the directory that is granted, the secret, the request
    /// as a pattern, the name that was looked up, or the grant for sockets.
    pub name: String,
    /// For a directory, what was touched below it, at most two levels deep. For a request, `private` where it went to
    /// an address that isn't public. For a grant for sockets, the
    /// pattern that would have been enough, with `private` before a name that led to such an address. For a secret, the request that it went into. For a key that isn't there, `absent`.
    pub detail: Option<String>,
    /// Whether something was to be changed.
    pub write: bool,
    /// How often.
    pub count: u64,
}

/// The key of the policy that a use falls under.
// A new grant gets its kind here; the compiler then asks for it in `suggest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum UseKind {
    /// A value of `config`.
    Config,
    /// A directory of `dir`.
    Dir,
    /// A variable of `env`. The guest gets all of them at once.
    Env,
    /// A request under `http`.
    Http,
    /// A bucket of `key-value`.
    KeyValue,
    /// A name that was looked up, under `lookup` or `net`.
    Lookup,
    /// A grant of `net`.
    Net,
    /// A `secret` that went into a request.
    Secret,
}
