//! Buckets in the host's memory: for tests, single runs and caches. They end with the host.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Change, Error, Held, PAGE, Page, Tally, add, place};
use crate::policy::BucketQuota;
use crate::quota::Quota;

/// One bucket of one tenant.
#[derive(Default)]
pub(super) struct Space {
    /// By position and key, as in a file.
    entries: BTreeMap<Box<[u8]>, Vec<u8>>,
    bytes: u64,
}

/// Nobody waits for anything while holding a bucket's lock, and each change is whole before the next can fail.
pub(super) fn lock(space: &Mutex<Space>) -> MutexGuard<'_, Space> {
    space.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Space {
    pub(super) fn get(&self, key: &str, quota: &Quota) -> Result<Option<Vec<u8>>, Error> {
        self.copy(key, &mut Held::nothing(quota))
    }

    pub(super) fn get_many(&self, keys: &[String], quota: &Quota) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let mut held = Held::nothing(quota);
        keys.iter().map(|key| self.copy(key, &mut held)).collect()
    }

    pub(super) fn exists(&self, key: &str) -> bool {
        self.entries.contains_key(place::entry(&[], key).as_slice())
    }

    pub(super) fn keys(&self, from: u64, quota: &Quota) -> Result<Page, Error> {
        let mut held = Held::nothing(quota);
        let mut page = Page::default();
        for entry in self.entries.range(place::from(&[], from).into_boxed_slice()..).map(|(entry, _)| entry) {
            let Some(key) = entry.get(place::POSITION..).and_then(|key| std::str::from_utf8(key).ok()) else {
                continue;
            };
            if page.keys.len() == PAGE {
                page.next = Some(place::position(key));
                break;
            }
            held.grow(key.len())?;
            page.keys.push(key.to_owned());
        }
        Ok(page)
    }

    pub(super) fn write(&mut self, changes: Vec<Change>, quota: &BucketQuota) -> Result<(), Error> {
        let entries: Vec<_> =
            changes.into_iter().map(|(key, value)| (place::entry(&[], &key), key.len(), value)).collect();
        let before = self.tally();
        let after = entries.iter().fold(before, |tally, (entry, key, value)| {
            tally.after(*key, self.size(entry), value.as_ref().map(|value| value.len() as u64))
        });
        before.permits(after, quota)?;
        self.bytes = after.bytes;
        for (entry, _, value) in entries {
            match value {
                Some(value) => drop(self.entries.insert(entry.into_boxed_slice(), value)),
                None => drop(self.entries.remove(entry.as_slice())),
            }
        }
        Ok(())
    }

    pub(super) fn increment(&mut self, key: &str, delta: u64, quota: &BucketQuota) -> Result<u64, Error> {
        let entry = place::entry(&[], key);
        let sum = self.entries.get(entry.as_slice()).map_or(Ok(delta), |value| add(value, delta))?;
        let text = sum.to_string().into_bytes();
        let before = self.tally();
        let after = before.after_sum(key, self.size(&entry), &text, quota)?;
        self.bytes = after.bytes;
        self.entries.insert(entry.into_boxed_slice(), text);
        Ok(sum)
    }

    fn copy(&self, key: &str, held: &mut Held<'_>) -> Result<Option<Vec<u8>>, Error> {
        let Some(value) = self.entries.get(place::entry(&[], key).as_slice()) else { return Ok(None) };
        held.grow(value.len())?;
        Ok(Some(value.clone()))
    }

    fn size(&self, entry: &[u8]) -> Option<u64> {
        self.entries.get(entry).map(|value| value.len() as u64)
    }

    fn tally(&self) -> Tally {
        Tally { keys: self.entries.len() as u64, bytes: self.bytes }
    }
}
