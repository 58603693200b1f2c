//! `wasi:keyvalue` (`store`, `atomics`, `batch`): the buckets that the policy grants, each with its quota.
//!
//! Threat model: a guest opens buckets that it was not granted, writes where it may read only, fills the store, hands
//! over keys, values or lists that are far too large, or reads more than it has memory for. So the identifier is
//! compared with the names that are granted, sizes are compared before anything is allocated or sent, quotas are looked
//! at where the change is made, and what is read counts against the limit `memory` while the host holds it. A bucket
//! that isn't granted is `access-denied` and never `no-such-store`: the guest can't tell what other tenants have. What
//! went wrong with a store is the operator's business: the guest hears that it isn't available.
//!
//! `atomics` has `increment` and no compare-and-swap in this version of the interface. `watcher`, which a guest would
//! export, is absent. A batch is done as a whole or not at all, which is more than the interface promises.

use std::sync::Arc;

use wasmtime::component::{HasData, Resource, ResourceTable};

use crate::bindings::wasi::keyvalue::store::{self, Bucket as Handle, KeyResponse};
use crate::bindings::wasi::keyvalue::{atomics, batch};
use crate::keyvalue::{Bucket, Buckets, Error};
use crate::outcome::{Capability, Stop, StopReason};
use crate::policy::{OnDenied, UseKind};
use crate::quota::Quota;

/// What key-value needs: the buckets that this invocation was granted, and where to count.
pub(crate) struct KeyValueView<'a> {
    pub(crate) buckets: &'a Buckets,
    pub(crate) table: &'a mut ResourceTable,
    pub(crate) quota: &'a Arc<Quota>,
    pub(crate) on_denied: OnDenied,
}

/// Marks [`KeyValueView`] for the linker.
pub(crate) struct KeyValue;

impl HasData for KeyValue {
    type Data<'a> = KeyValueView<'a>;
}

/// What the guest is told, inside what would stop it.
type Answer<T> = wasmtime::Result<Result<T, store::Error>>;

impl KeyValueView<'_> {
    /// The bucket behind a handle. The generated type can't be made and only marks handles.
    fn bucket(&self, handle: &Resource<Handle>) -> wasmtime::Result<Arc<Bucket>> {
        Ok(Arc::clone(self.table.get(&Resource::<Arc<Bucket>>::new_borrow(handle.rep()))?))
    }

    /// The bucket behind a handle, of which something is to be changed.
    fn changed(&self, handle: &Resource<Handle>) -> wasmtime::Result<Arc<Bucket>> {
        let bucket = self.bucket(handle)?;
        if self.quota.audit.is_on() {
            // The names are the policy's and few; a handle doesn't say which one it was opened by.
            for (name, _) in self.buckets.iter().filter(|(_, other)| Arc::ptr_eq(other, &bucket)) {
                self.quota.audit.used(UseKind::KeyValue, name, || None, true);
            }
        }
        Ok(bucket)
    }

    /// Counts a denial, and stops the guest where the policy says so.
    fn denied(&self, tried: &str, rule: &'static str) -> wasmtime::Result<()> {
        self.quota.denied_text_by(Capability::KeyValue, tried, rule);
        match self.on_denied {
            OnDenied::Error => Ok(()),
            OnDenied::Stop => {
                let tried = crate::text::escape(tried);
                let message = format!("the guest used a key-value bucket beyond what the policy grants ({tried})");
                let hint = "grant it under `[[key-value]]`, or let the guest go on with `on-denied = \"error\"`";
                Err(Stop::new(StopReason::Denied(Capability::KeyValue), message).with_hint(hint).into())
            }
        }
    }

    fn answer<T>(&self, result: Result<T, Error>) -> Answer<T> {
        let error = match result {
            Ok(value) => return Ok(Ok(value)),
            Err(error) => error,
        };
        match &error {
            Error::ReadOnly => {
                self.denied("write to read-only", "`access` of the `[[key-value]]`")?;
                return Ok(Err(store::Error::AccessDenied));
            }
            Error::Quota("max-keys", _) => self.denied("over max-keys", "`max-keys` of the `[[key-value]]`")?,
            Error::Quota("max-key", _) => self.denied("over max-key", "`max-key` of the `[[key-value]]`")?,
            Error::Quota("max-value", _) => self.denied("over max-value", "`max-value` of the `[[key-value]]`")?,
            Error::Quota(..) => self.denied("over max-total", "`max-total` of the `[[key-value]]`")?,
            _ => {}
        }
        Ok(Err(store::Error::Other(error.to_string())))
    }
}

impl store::Host for KeyValueView<'_> {
    async fn open(&mut self, identifier: String) -> Answer<Resource<Handle>> {
        let Some(bucket) = self.buckets.get(&identifier) else {
            // Cut here, since a guest may hand over megabytes, and it is in a message too.
            let shown: String = identifier.chars().take(64).collect();
            self.denied(&format!("bucket `{shown}`"), "no `[[key-value]]` grants it")?;
            return Ok(Err(store::Error::AccessDenied));
        };
        self.quota.audit.used(UseKind::KeyValue, &identifier, || None, false);
        let handle = self.table.push(Arc::clone(bucket))?;
        Ok(Ok(Resource::new_own(handle.rep())))
    }
}

impl store::HostBucket for KeyValueView<'_> {
    async fn get(&mut self, bucket: Resource<Handle>, key: String) -> Answer<Option<Vec<u8>>> {
        let result = self.bucket(&bucket)?.get(key, self.quota).await;
        self.answer(result)
    }

    async fn set(&mut self, bucket: Resource<Handle>, key: String, value: Vec<u8>) -> Answer<()> {
        let result = self.changed(&bucket)?.write(vec![(key, Some(value))]).await;
        self.answer(result)
    }

    async fn delete(&mut self, bucket: Resource<Handle>, key: String) -> Answer<()> {
        let result = self.changed(&bucket)?.write(vec![(key, None)]).await;
        self.answer(result)
    }

    async fn exists(&mut self, bucket: Resource<Handle>, key: String) -> Answer<bool> {
        let result = self.bucket(&bucket)?.exists(key).await;
        self.answer(result)
    }

    async fn list_keys(&mut self, bucket: Resource<Handle>, cursor: Option<u64>) -> Answer<KeyResponse> {
        let page = self.bucket(&bucket)?.keys(cursor.unwrap_or(0), self.quota).await;
        self.answer(page.map(|page| KeyResponse { keys: page.keys, cursor: page.next }))
    }

    async fn drop(&mut self, bucket: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Arc<Bucket>>::new_own(bucket.rep()))?;
        Ok(())
    }
}

impl atomics::Host for KeyValueView<'_> {
    async fn increment(&mut self, bucket: Resource<Handle>, key: String, delta: u64) -> Answer<u64> {
        let result = self.changed(&bucket)?.increment(key, delta).await;
        self.answer(result)
    }
}

impl batch::Host for KeyValueView<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Handle>,
        keys: Vec<String>,
    ) -> Answer<Vec<Option<(String, Vec<u8>)>>> {
        let values = self.bucket(&bucket)?.get_many(&keys, self.quota).await;
        let pair = |(key, value): (String, Option<Vec<u8>>)| value.map(|value| (key, value));
        self.answer(values.map(|values| keys.into_iter().zip(values).map(pair).collect()))
    }

    async fn set_many(&mut self, bucket: Resource<Handle>, key_values: Vec<(String, Vec<u8>)>) -> Answer<()> {
        let changes = key_values.into_iter().map(|(key, value)| (key, Some(value))).collect();
        let result = self.changed(&bucket)?.write(changes).await;
        self.answer(result)
    }

    async fn delete_many(&mut self, bucket: Resource<Handle>, keys: Vec<String>) -> Answer<()> {
        let changes = keys.into_iter().map(|key| (key, None)).collect();
        let result = self.changed(&bucket)?.write(changes).await;
        self.answer(result)
    }
}
