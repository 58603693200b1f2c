//! Where key-value buckets are kept: in memory, in a file, or in Redis.
//!
//! [`Stores`] belongs to the host and lives as long as it does; an invocation gets the [`Bucket`]s that its policy
//! grants. Threat model: tenants share a store, so a bucket's place is made of the tenant's name and the bucket's in an
//! encoding that no two pairs share ([`place`]), and a guest's key only ever follows it. Quotas are looked at where the
//! change is made (under the lock, in the transaction, in the server's script), so two invocations that write at the
//! same moment can't both take the last key. A call that is dropped in the middle is done as a whole or not at all.
//!
//! Absent: time to live, since the interface has none; a bound on how long one tenant's writes to a file keep another's
//! waiting, beyond that they take turns.

mod file;
mod memory;
mod place;
mod redis;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::outcome::{Refusal, Stop};
use crate::policy::{BucketQuota, KeyValueGrant, KeyValueStore, RedisUrl};
use crate::quota::Quota;

/// Keys in one page of a listing.
pub(crate) const PAGE: usize = 1_000;

/// Entries in one batch.
pub(crate) const MAX_BATCH: usize = 1_000;

/// Every store that is open, for all tenants.
#[derive(Default)]
pub(crate) struct Stores {
    memory: Mutex<HashMap<[String; 2], Arc<Mutex<memory::Space>>>>,
    files: Cells<PathBuf, file::Store>,
    /// Files by their real path, since two paths can lead to one.
    opened: Arc<Mutex<HashMap<PathBuf, Arc<file::Store>>>>,
    redis: Cells<String, redis::Store>,
}

type Cells<K, V> = Mutex<HashMap<K, Arc<OnceCell<Arc<V>>>>>;

/// The buckets of one invocation by the names that its guest opens.
pub(crate) type Buckets = BTreeMap<String, Arc<Bucket>>;

/// One bucket of one tenant, under one policy.
pub(crate) struct Bucket {
    space: Space,
    quota: BucketQuota,
    writable: bool,
}

enum Space {
    Memory(Arc<Mutex<memory::Space>>),
    File(file::Space),
    Redis(redis::Space),
}

/// Keys of a bucket, and where the next page begins.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) keys: Vec<String>,
    pub(crate) next: Option<u64>,
}

/// A key and its new value, or none where it is to be deleted.
pub(crate) type Change = (String, Option<Vec<u8>>);

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// The policy lets this guest read only.
    #[error("the bucket is read-only")]
    ReadOnly,
    /// A bound of the bucket.
    #[error("the bucket's quota `{0}` is {1}, and this would be more")]
    Quota(&'static str, String),
    /// More in one call than the host takes.
    #[error("a batch has at most {MAX_BATCH} entries, and this one has {0}")]
    Batch(usize),
    /// What was asked for doesn't fit into what is left of the invocation's memory.
    #[error("the answer is larger than what is left of the limit `memory`")]
    Memory,
    /// The value to increment is something else.
    #[error("the value is not a whole number from 0 to 18446744073709551615 in decimal digits")]
    NotANumber,
    /// The sum doesn't fit 64 bits.
    #[error("the sum is larger than 18446744073709551615")]
    Overflow,
    /// The store didn't do it, and why is the operator's business alone.
    #[error("the store is not available")]
    Unavailable,
}

/// What a bucket holds: what its quota is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    keys: u64,
    bytes: u64,
}

/// Host memory that is held for an invocation while an answer is put together.
struct Held<'a> {
    quota: &'a Quota,
    bytes: u64,
}

impl Stores {
    /// Opens what these grants name, unless it is open already.
    ///
    /// # Errors
    /// `refused.grant`, with what the operator can do about it.
    pub(crate) async fn buckets(&self, tenant: &str, grants: &[KeyValueGrant]) -> Result<Buckets, Stop> {
        let mut buckets = Buckets::new();
        for KeyValueGrant { bucket, store, access, quota } in grants {
            let space = match store {
                KeyValueStore::Memory => Space::Memory(self.memory(tenant, bucket)),
                KeyValueStore::File(path) => Space::File(self.file(path).await?.space(tenant, bucket)),
                KeyValueStore::Redis(url) => Space::Redis(self.redis(url).await?.space(tenant, bucket)),
            };
            let opened = Bucket { space, quota: *quota, writable: access.permits_writing() };
            buckets.insert(bucket.clone(), Arc::new(opened));
        }
        Ok(buckets)
    }

    fn memory(&self, tenant: &str, bucket: &str) -> Arc<Mutex<memory::Space>> {
        let mut spaces = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(spaces.entry([tenant, bucket].map(str::to_owned)).or_default())
    }

    async fn file(&self, path: &Path) -> Result<Arc<file::Store>, Stop> {
        let cell = cell(&self.files, path.to_owned());
        let open = async || {
            let (opened, given) = (Arc::clone(&self.opened), path.to_owned());
            let work = tokio::task::spawn_blocking(move || file::Store::shared(&opened, &given));
            work.await.unwrap_or_else(|_| Err(file::refused(path, "its contents are damaged")))
        };
        cell.get_or_try_init(open).await.cloned()
    }

    async fn redis(&self, url: &RedisUrl) -> Result<Arc<redis::Store>, Stop> {
        let cell = cell(&self.redis, url.secret().to_owned());
        cell.get_or_try_init(|| redis::Store::connect(url)).await.cloned()
    }
}

/// The place for one store, made on first use. Whoever comes while it is being opened waits for that; where opening
/// fails, the next one tries again.
fn cell<K: Hash + Eq, V>(cells: &Cells<K, V>, key: K) -> Arc<OnceCell<Arc<V>>> {
    Arc::clone(cells.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
}

/// A grant of a store that can't be carried out.
fn refused(message: String, hint: &str) -> Stop {
    Stop::refused(Refusal::Grant, message, hint)
}

impl Bucket {
    /// The value of a key.
    pub(crate) async fn get(&self, key: String, quota: &Arc<Quota>) -> Result<Option<Vec<u8>>, Error> {
        self.check_key(&key)?;
        match &self.space {
            Space::Memory(space) => memory::lock(space).get(&key, quota),
            Space::File(space) => space.get(&key, quota, &self.quota).await,
            Space::Redis(space) => space.get(&key, quota).await,
        }
    }

    /// The values of several keys, in their order.
    pub(crate) async fn get_many(&self, keys: &[String], quota: &Arc<Quota>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        check_batch(keys.len())?;
        keys.iter().try_for_each(|key| self.check_key(key))?;
        match &self.space {
            Space::Memory(space) => memory::lock(space).get_many(keys, quota),
            Space::File(space) => space.get_many(keys, Arc::clone(quota)).await,
            Space::Redis(space) => space.get_many(keys, quota).await,
        }
    }

    /// Whether there is such a key.
    pub(crate) async fn exists(&self, key: String) -> Result<bool, Error> {
        self.check_key(&key)?;
        match &self.space {
            Space::Memory(space) => Ok(memory::lock(space).exists(&key)),
            Space::File(space) => space.exists(&key, &self.quota).await,
            Space::Redis(space) => space.exists(&key).await,
        }
    }

    /// Up to [`PAGE`] keys from this place on. A key that is there from the first page to the last is in one of them,
    /// whatever else is written or deleted meanwhile; the order is that of [`place::position`].
    pub(crate) async fn keys(&self, from: u64, quota: &Arc<Quota>) -> Result<Page, Error> {
        match &self.space {
            Space::Memory(space) => memory::lock(space).keys(from, quota),
            Space::File(space) => space.keys(from, Arc::clone(quota)).await,
            Space::Redis(space) => space.keys(from, quota).await,
        }
    }

    /// Makes these changes, all or none. Where a key comes twice, the last one counts.
    pub(crate) async fn write(&self, changes: Vec<Change>) -> Result<(), Error> {
        self.check_writable()?;
        check_batch(changes.len())?;
        for (key, value) in &changes {
            self.check_key(key)?;
            let bytes = value.as_ref().map_or(0, |value| value.len() as u64);
            if bytes > self.quota.max_value.0 {
                return Err(too_large_a_value(&self.quota));
            }
        }
        let changes = if changes.len() > 1 { last_of_each(changes) } else { changes };
        match &self.space {
            Space::Memory(space) => memory::lock(space).write(changes, &self.quota),
            Space::File(space) => space.write(changes, self.quota).await,
            Space::Redis(space) => space.write(&changes, &self.quota).await,
        }
    }

    /// Adds to a number in decimal digits, in one step; a key that isn't there counts as zero.
    pub(crate) async fn increment(&self, key: String, delta: u64) -> Result<u64, Error> {
        self.check_writable()?;
        self.check_key(&key)?;
        match &self.space {
            Space::Memory(space) => memory::lock(space).increment(&key, delta, &self.quota),
            Space::File(space) => space.increment(&key, delta, self.quota).await,
            Space::Redis(space) => space.increment(&key, delta, &self.quota).await,
        }
    }

    fn check_writable(&self) -> Result<(), Error> {
        if self.writable { Ok(()) } else { Err(Error::ReadOnly) }
    }

    /// A key that is too long for the bucket isn't in it, so the store is never asked.
    fn check_key(&self, key: &str) -> Result<(), Error> {
        if key.len() as u64 > self.quota.max_key.0 {
            return Err(Error::Quota("max-key", self.quota.max_key.to_string()));
        }
        Ok(())
    }
}

fn check_batch(entries: usize) -> Result<(), Error> {
    if entries > MAX_BATCH { Err(Error::Batch(entries)) } else { Ok(()) }
}

fn last_of_each(changes: Vec<Change>) -> Vec<Change> {
    changes.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
}

/// The sum of a stored number and a delta.
fn add(value: &[u8], delta: u64) -> Result<u64, Error> {
    // What the standard library would read beyond digits, a sign, is no number here: the script has the same rule.
    let digits = (1..=20).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits).ok_or(Error::NotANumber)?;
    let number: u64 = text.parse().map_err(|_| Error::NotANumber)?;
    number.checked_add(delta).ok_or(Error::Overflow)
}

impl Tally {
    /// This, after the value of a key of so many bytes changed its size.
    fn after(self, key: usize, old: Option<u64>, new: Option<u64>) -> Self {
        let entry = |value: Option<u64>| value.map_or((0, 0), |bytes| (1, bytes.saturating_add(key as u64)));
        let ((old_keys, old_bytes), (new_keys, new_bytes)) = (entry(old), entry(new));
        Self {
            keys: self.keys.saturating_sub(old_keys).saturating_add(new_keys),
            bytes: self.bytes.saturating_sub(old_bytes).saturating_add(new_bytes),
        }
    }

    /// This, after a number was written; the number is a value like any other to the quota.
    fn after_sum(self, key: &str, old: Option<u64>, text: &[u8], quota: &BucketQuota) -> Result<Self, Error> {
        if text.len() as u64 > quota.max_value.0 {
            return Err(too_large_a_value(quota));
        }
        let after = self.after(key.len(), old, Some(text.len() as u64));
        self.permits(after, quota)?;
        Ok(after)
    }

    /// Whether a bucket may go from `self` to `after`. What doesn't grow may stay above a quota that was lowered.
    fn permits(self, after: Self, quota: &BucketQuota) -> Result<(), Error> {
        if after.keys > quota.max_keys && after.keys > self.keys {
            return Err(too_many_keys(quota));
        }
        if after.bytes > quota.max_total.0 && after.bytes > self.bytes {
            return Err(too_many_bytes(quota));
        }
        Ok(())
    }
}

fn too_large_a_value(quota: &BucketQuota) -> Error {
    Error::Quota("max-value", quota.max_value.to_string())
}

fn too_many_keys(quota: &BucketQuota) -> Error {
    Error::Quota("max-keys", quota.max_keys.to_string())
}

fn too_many_bytes(quota: &BucketQuota) -> Error {
    Error::Quota("max-total", quota.max_total.to_string())
}

impl<'a> Held<'a> {
    fn nothing(quota: &'a Quota) -> Self {
        Self { quota, bytes: 0 }
    }

    /// Holds so much more, if the invocation's memory has room for it.
    fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes as u64;
        if !self.quota.memory.try_grow(bytes) {
            return Err(Error::Memory);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Held<'_> {
    /// By now the answer is on its way into the guest's own memory, which is counted as it grows.
    fn drop(&mut self) {
        self.quota.memory.shrink(self.bytes);
    }
}
