//! Which key-value buckets a guest can open, where they are kept, and how much fits into each.
//!
//! Threat model: the guest chooses the identifier that it opens, so it is compared with the names that are granted and
//! never interpreted; where a bucket is kept is the operator's word alone. Patterns over names are deliberately absent,
//! as is `rediss://`: this build has no TLS towards stores.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::units::Bytes;

/// One bucket: the identifier that the guest opens, where its keys are kept, and its bounds. Two tenants with a bucket
/// of the same name in the same store have two buckets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeyValueGrant {
    /// The identifier, compared as it is.
    pub bucket: String,
    /// Where it is kept.
    pub store: KeyValueStore,
    /// Whether the guest may change anything in it.
    pub access: KeyValueAccess,
    /// How much fits.
    pub quota: BucketQuota,
}

/// Where a bucket is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyValueStore {
    /// In the host's memory, for as long as the host lives.
    Memory,
    /// In this file, which one process at a time can have open. It is made where there is none.
    File(PathBuf),
    /// In a Redis server, which any number of hosts can share.
    Redis(RedisUrl),
}

/// Where a Redis server is. Its text form leaves out everything that can hold a password.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RedisUrl(String);

/// How a bucket may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyValueAccess {
    /// Reading and listing.
    #[default]
    ReadOnly,
    /// Writing, deleting and incrementing too.
    ReadWrite,
}

/// How much fits into one bucket of one tenant. What would go past a bound is refused, and nothing is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BucketQuota {
    /// Keys in it.
    pub max_keys: u64,
    /// Bytes of one key.
    pub max_key: Bytes,
    /// Bytes of one value.
    pub max_value: Bytes,
    /// Bytes of all keys and values together.
    pub max_total: Bytes,
}

/// Bytes of an identifier, at most.
const MAX_NAME: usize = 256;

impl Default for BucketQuota {
    /// Ten thousand keys of up to 1 KiB, values of up to 1 MiB, 64 MiB in all: a cache or the sessions of a service, and
    /// a small part of a disk.
    fn default() -> Self {
        Self {
            max_keys: 10_000,
            max_key: Bytes::from_kib(1),
            max_value: Bytes::from_mib(1),
            max_total: Bytes::from_mib(64),
        }
    }
}

impl KeyValueAccess {
    /// Whether something may be changed.
    pub fn permits_writing(self) -> bool {
        self == Self::ReadWrite
    }
}

impl KeyValueGrant {
    /// Reads `BUCKET[=STORE]`, as `--key-value` takes it: for reading and writing, with the usual quota, in memory where
    /// no store is named.
    ///
    /// # Errors
    /// A name that is too long, or a store that isn't one.
    ///
    /// ```
    /// use host::policy::{KeyValueGrant, KeyValueStore};
    /// assert_eq!(KeyValueGrant::parse("cache").unwrap().store, KeyValueStore::Memory);
    /// assert_eq!(KeyValueGrant::parse("a=file:kv.redb").unwrap().store, KeyValueStore::File("kv.redb".into()));
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        let (bucket, store) = text.split_once('=').unwrap_or((text, "memory"));
        let bucket = Self::name(bucket)?;
        let store = KeyValueStore::parse(store)?;
        Ok(Self { bucket, store, access: KeyValueAccess::ReadWrite, quota: BucketQuota::default() })
    }

    /// Checks an identifier. The empty one is allowed: some guests open it.
    pub(super) fn name(bucket: &str) -> Result<String, String> {
        if bucket.len() > MAX_NAME {
            return Err(format!("the name of a bucket has at most {MAX_NAME} bytes, not {}", bucket.len()));
        }
        Ok(bucket.to_owned())
    }
}

impl KeyValueStore {
    /// Reads `memory`, `file:PATH`, `redis://…` or `redis+unix://…`.
    ///
    /// # Errors
    /// Anything else. The message doesn't repeat the text, which may have a password in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return match path.is_empty() || path.contains('\0') {
                true => Err("a store `file:PATH` needs a path".to_owned()),
                false => Ok(Self::File(path.into())),
            };
        }
        if text.starts_with("rediss:") {
            return Err("`rediss://` is not supported: use `redis://` to a tunnel, or a Unix socket".to_owned());
        }
        let place = text.strip_prefix("redis://").or_else(|| text.strip_prefix("redis+unix:///"));
        match place {
            Some(place) if !place.is_empty() => Ok(Self::Redis(RedisUrl(text.to_owned()))),
            _ => {
                Err("a store is `memory`, `file:PATH`, `redis://HOST[:PORT][/NUMBER]` or `redis+unix:///SOCKET`".into())
            }
        }
    }
}

impl RedisUrl {
    /// The whole of it, with its password.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.split(['?', '#']).next().unwrap_or_default();
        match text.rsplit_once('@') {
            Some((_, place)) => write!(f, "redis://{place}"),
            None => f.write_str(text),
        }
    }
}

/// As the policy file has it, without what can hold a password.
impl fmt::Display for KeyValueStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Redis(url) => fmt::Display::fmt(url, f),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_read_in_all_its_forms() {
        assert_eq!(KeyValueStore::parse("memory"), Ok(KeyValueStore::Memory));
        assert_eq!(KeyValueStore::parse("file:a/b.redb"), Ok(KeyValueStore::File("a/b.redb".into())));
        for good in ["redis://localhost", "redis://u:p@h:1/2", "redis+unix:///run/redis.sock"] {
            assert!(matches!(KeyValueStore::parse(good), Ok(KeyValueStore::Redis(url)) if url.secret() == good));
        }
        for wrong in ["", "Memory", "file:", "file:a\0b", "redis://", "rediss://h", "redis:h", "http://h", "kv.redb"] {
            assert!(KeyValueStore::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in ["redis://ann:hush@h:1/0", "redis://:hush@h", "redis+unix:///s?pass=hush", "redis://a:hu@sh@h"] {
            let store = KeyValueStore::parse(url).unwrap();
            let KeyValueStore::Redis(url) = &store else { panic!("{store:?}") };
            for shown in [url.to_string(), format!("{url:?}"), format!("{store:?}")] {
                assert!(!shown.contains("hush") && !shown.contains("sh@") && shown.contains("redis"), "{shown}");
            }
        }
        assert!(!KeyValueStore::parse("rediss://:hush@h").unwrap_err().contains("hush"));
    }

    #[test]
    fn a_flag_grants_reading_and_writing_in_memory_unless_it_says_otherwise() {
        let grant = KeyValueGrant::parse("").unwrap();
        assert_eq!((grant.bucket.as_str(), grant.access), ("", KeyValueAccess::ReadWrite));
        assert!(KeyValueGrant::parse(&"b".repeat(256)).is_ok());
        assert!(KeyValueGrant::parse(&"b".repeat(257)).is_err());
        assert!(KeyValueGrant::parse("a=b").is_err());
    }
}
