//! Buckets in a file: an embedded database (`redb`), which one process at a time has open.
//!
//! Each change is one transaction, which is on the disk when the guest hears of it. The database waits for the disk, so
//! what opens the file, writes, or reads much runs on blocking threads, and no more of them than [`READERS`] and one writer
//! for each file; who comes later waits without a thread. A look at one key is done on the spot: it reads a few pages, most
//! of them kept in memory, and waits for nobody who writes, while the way to another thread and back takes longer than all
//! of that. After an error of the disk the file is closed and opened again at the next use, which brings it back to its last
//! whole transaction.
//!
//! Threat model: a guest chooses keys and values and how often it writes, never where. A file that somebody damaged may
//! make the database panic; that ends in an error for whoever asked, and the file is opened anew.

use std::collections::HashMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable, StorageError, TableDefinition};
use tokio::sync::Semaphore;

use super::{Change, Error, Held, PAGE, Page, Tally, add, place};
use crate::outcome::Stop;
use crate::policy::BucketQuota;
use crate::quota::Quota;

/// Values by place.
const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries-1");
/// How many keys and bytes there are, by prefix.
const TALLIES: TableDefinition<'_, &[u8], (u64, u64)> = TableDefinition::new("tallies-1");

/// Threads that read one file at the same time.
const READERS: usize = 4;

/// Bytes of one file that the database keeps in memory.
const CACHE: usize = 32 << 20;

/// The largest value that is read on the spot, where the bucket takes no larger one.
const AT_ONCE: u64 = 1 << 20;

/// A file up to this size is checked as a whole when it is opened. A larger one would keep its first guest waiting.
const CHECKED: u64 = 64 << 20;

/// One file.
pub(super) struct Store {
    path: PathBuf,
    database: Mutex<Option<Arc<Database>>>,
    readers: Arc<Semaphore>,
    writer: Arc<Semaphore>,
    /// Whether the last use failed: an outage is worth one message.
    failing: AtomicBool,
}

/// One bucket of one tenant.
pub(super) struct Space {
    store: Arc<Store>,
    prefix: Arc<[u8]>,
}

/// Why a piece of work was not done: an answer for the guest, or an error of the file.
enum Failure {
    Answer(Error),
    File(redb::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

macro_rules! file_errors {
    ($($error:ident)*) => {
        $(impl From<redb::$error> for Failure {
            fn from(error: redb::$error) -> Self {
                Self::File(error.into())
            }
        })*
    };
}

file_errors! { TransactionError TableError StorageError CommitError }

/// A file that can't be a store.
pub(super) fn refused(path: &Path, why: &str) -> Stop {
    let message = format!("failed to open the key-value store `{}`: {why}", path.display());
    let hint = "a store is a file that this host made and may write to, in a folder that exists, and that no other process has open";
    super::refused(message, hint)
}

impl Store {
    /// The store at a path, opened unless it is open already. Blocks.
    pub(super) fn shared(opened: &Mutex<HashMap<PathBuf, Arc<Self>>>, path: &Path) -> Result<Arc<Self>, Stop> {
        let real = real(path).map_err(|error| refused(path, &error.to_string()))?;
        let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(&real) {
            return Ok(Arc::clone(store));
        }
        let database = open(&real).map_err(|error| refused(path, &describe(error)))?;
        let store = Arc::new(Self {
            path: real.clone(),
            database: Mutex::new(Some(Arc::new(database))),
            readers: Arc::new(Semaphore::new(READERS)),
            writer: Arc::new(Semaphore::new(1)),
            failing: AtomicBool::new(false),
        });
        opened.insert(real, Arc::clone(&store));
        Ok(store)
    }

    /// A tenant's bucket in this store.
    pub(super) fn space(self: &Arc<Self>, tenant: &str, bucket: &str) -> Space {
        Space { store: Arc::clone(self), prefix: place::prefix(tenant, bucket).into() }
    }

    /// Does a piece of work on a blocking thread, once there is room. It goes on to its end if the caller goes away.
    async fn work<T, F>(self: &Arc<Self>, room: &Arc<Semaphore>, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Database) -> Result<T, Failure> + Send + 'static,
    {
        // Nobody closes the semaphore.
        let room = Arc::clone(room).acquire_owned().await.map_err(|_| Error::Unavailable)?;
        let store = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let _room = room;
            store.attempt(work)
        });
        done.await.unwrap_or(Err(Error::Unavailable))
    }

    /// Does a short piece of work on the spot; none where the file has to be opened for it, or somebody is doing that.
    fn at_once<T>(&self, work: impl FnOnce(&Database) -> Result<T, Failure>) -> Option<Result<T, Error>> {
        let database = self.database.try_lock().ok()?.clone()?;
        let result = self.with(&database, work);
        // Whoever has the last of them closes the file, which writes to it.
        if Arc::strong_count(&database) == 1 {
            drop(tokio::task::spawn_blocking(move || drop(database)));
        }
        Some(result)
    }

    fn attempt<T>(&self, work: impl FnOnce(&Database) -> Result<T, Failure>) -> Result<T, Error> {
        match self.database() {
            Ok(database) => self.with(&database, work),
            Err(error) => Err(self.failed(&describe(error))),
        }
    }

    /// Does a piece of work; after an error of the file nobody uses this opening of it again.
    fn with<T>(
        &self,
        database: &Arc<Database>,
        work: impl FnOnce(&Database) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        // What is left after a panic is closed and never looked at again.
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| work(database)));
        let failure = match result {
            Ok(Ok(value)) => {
                self.failing.store(false, Relaxed);
                return Ok(value);
            }
            Ok(Err(Failure::Answer(error))) => return Err(error),
            Ok(Err(Failure::File(error))) => error.to_string(),
            Err(_) => "the database panicked".to_owned(),
        };
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, database)) {
            *slot = None;
        }
        drop(slot);
        Err(self.failed(&failure))
    }

    fn database(&self) -> Result<Arc<Database>, DatabaseError> {
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = slot.as_ref() {
            return Ok(Arc::clone(database));
        }
        let database = Arc::new(open(&self.path)?);
        *slot = Some(Arc::clone(&database));
        Ok(database)
    }

    fn failed(&self, why: &str) -> Error {
        if !self.failing.swap(true, Relaxed) {
            tracing::warn!("the key-value store `{}` failed: {why}", self.path.display());
        }
        Error::Unavailable
    }
}

impl Space {
    pub(super) async fn get(
        &self,
        key: &str,
        quota: &Arc<Quota>,
        most: &BucketQuota,
    ) -> Result<Option<Vec<u8>>, Error> {
        let entry = place::entry(&self.prefix, key);
        let work = move |database: &Database, entry: &[u8], quota: &Quota| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            copy(&table, entry, &mut Held::nothing(quota))
        };
        if most.max_value.0 <= AT_ONCE
            && let Some(done) = self.store.at_once(|database| work(database, &entry, quota))
        {
            return done;
        }
        let quota = Arc::clone(quota);
        self.store.work(&self.store.readers, move |database| work(database, &entry, &quota)).await
    }

    pub(super) async fn get_many(&self, keys: &[String], quota: Arc<Quota>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let entries: Vec<_> = keys.iter().map(|key| place::entry(&self.prefix, key)).collect();
        let work = move |database: &Database| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let mut held = Held::nothing(&quota);
            entries.iter().map(|entry| copy(&table, entry, &mut held)).collect()
        };
        self.store.work(&self.store.readers, work).await
    }

    pub(super) async fn exists(&self, key: &str, most: &BucketQuota) -> Result<bool, Error> {
        let entry = place::entry(&self.prefix, key);
        let work =
            |database: &Database, entry: &[u8]| Ok(database.begin_read()?.open_table(ENTRIES)?.get(entry)?.is_some());
        // The database reads a value with its key, whatever its size.
        if most.max_value.0 <= AT_ONCE
            && let Some(done) = self.store.at_once(|database| work(database, &entry))
        {
            return done;
        }
        self.store.work(&self.store.readers, move |database| work(database, &entry)).await
    }

    pub(super) async fn keys(&self, from: u64, quota: Arc<Quota>) -> Result<Page, Error> {
        let (prefix, from) = (Arc::clone(&self.prefix), place::from(&self.prefix, from));
        let work = move |database: &Database| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let mut held = Held::nothing(&quota);
            let mut page = Page::default();
            for item in table.range(from.as_slice()..)? {
                let (entry, _) = item?;
                let Some(rest) = entry.value().strip_prefix(prefix.as_ref()) else { break };
                let key = rest.get(place::POSITION..).and_then(|key| std::str::from_utf8(key).ok());
                let Some(key) = key else { return Err(StorageError::Corrupted("a key".into()).into()) };
                if page.keys.len() == PAGE {
                    page.next = Some(place::position(key));
                    break;
                }
                held.grow(key.len())?;
                page.keys.push(key.to_owned());
            }
            Ok(page)
        };
        self.store.work(&self.store.readers, work).await
    }

    pub(super) async fn write(&self, changes: Vec<Change>, quota: BucketQuota) -> Result<(), Error> {
        let prefix = Arc::clone(&self.prefix);
        let work = move |database: &Database| {
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(ENTRIES)?;
                let mut tallies = transaction.open_table(TALLIES)?;
                let before = tally(&tallies, &prefix)?;
                let mut after = before;
                // What is refused at the end is never committed.
                for (key, value) in &changes {
                    let entry = place::entry(&prefix, key);
                    let old = match value {
                        Some(value) => table.insert(entry.as_slice(), value.as_slice())?,
                        None => table.remove(entry.as_slice())?,
                    };
                    let old = old.map(|old| old.value().len() as u64);
                    after = after.after(key.len(), old, value.as_ref().map(|value| value.len() as u64));
                }
                before.permits(after, &quota)?;
                tallies.insert(prefix.as_ref(), (after.keys, after.bytes))?;
            }
            transaction.commit()?;
            Ok(())
        };
        self.store.work(&self.store.writer, work).await
    }

    pub(super) async fn increment(&self, key: &str, delta: u64, quota: BucketQuota) -> Result<u64, Error> {
        let (prefix, key) = (Arc::clone(&self.prefix), key.to_owned());
        let work = move |database: &Database| {
            let transaction = database.begin_write()?;
            let sum = {
                let mut table = transaction.open_table(ENTRIES)?;
                let mut tallies = transaction.open_table(TALLIES)?;
                let entry = place::entry(&prefix, &key);
                let (sum, old) = match table.get(entry.as_slice())? {
                    Some(value) => (add(value.value(), delta)?, Some(value.value().len() as u64)),
                    None => (delta, None),
                };
                let text = sum.to_string();
                let after = tally(&tallies, &prefix)?.after_sum(&key, old, text.as_bytes(), &quota)?;
                table.insert(entry.as_slice(), text.as_bytes())?;
                tallies.insert(prefix.as_ref(), (after.keys, after.bytes))?;
                sum
            };
            transaction.commit()?;
            Ok(sum)
        };
        self.store.work(&self.store.writer, work).await
    }
}

fn copy(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    entry: &[u8],
    held: &mut Held<'_>,
) -> Result<Option<Vec<u8>>, Failure> {
    let Some(value) = table.get(entry)? else { return Ok(None) };
    held.grow(value.value().len())?;
    Ok(Some(value.value().to_vec()))
}

fn tally(tallies: &impl ReadableTable<&'static [u8], (u64, u64)>, prefix: &[u8]) -> Result<Tally, Failure> {
    let (keys, bytes) = tallies.get(prefix)?.map_or((0, 0), |tally| tally.value());
    Ok(Tally { keys, bytes })
}

/// The path without links and detours. The file itself need not be there yet.
fn real(path: &Path) -> io::Result<PathBuf> {
    match std::fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name = path.file_name().ok_or(error)?;
            Ok(std::fs::canonicalize(folder)?.join(name))
        }
        other => other,
    }
}

/// Opens the database, and makes file and tables where there are none.
fn open(path: &Path) -> Result<Database, DatabaseError> {
    let size = match std::fs::metadata(path) {
        Ok(file) if !file.is_file() => return Err(StorageError::Io(io::Error::other("it is no file")).into()),
        Ok(file) => file.len(),
        Err(_) => 0,
    };
    let open = || -> Result<Database, DatabaseError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE).set_check_integrity_on_open((1..=CHECKED).contains(&size));
        let database = builder.create(path)?;
        make_tables(&database).map_err(|failure| match failure {
            Failure::File(redb::Error::Io(error)) => StorageError::Io(error),
            Failure::File(error) => StorageError::Corrupted(error.to_string()),
            Failure::Answer(error) => StorageError::Corrupted(error.to_string()),
        })?;
        Ok(database)
    };
    let damaged = |_| Err(StorageError::Corrupted("its contents are damaged".into()).into());
    std::panic::catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(damaged)
}

fn make_tables(database: &Database) -> Result<(), Failure> {
    let reading = database.begin_read()?;
    if reading.open_table(ENTRIES).is_ok() && reading.open_table(TALLIES).is_ok() {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(TALLIES)?;
    transaction.commit()?;
    Ok(())
}

fn describe(error: DatabaseError) -> String {
    match error {
        DatabaseError::DatabaseAlreadyOpen => "another process has it open".to_owned(),
        DatabaseError::Storage(StorageError::Io(error)) => error.to_string(),
        DatabaseError::Storage(StorageError::Corrupted(why)) => format!("its contents are damaged ({why})"),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::policy::{Bytes, Limits};

    #[test]
    fn a_look_at_one_key_takes_no_thread_and_waits_for_nobody_who_writes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::shared(&Mutex::default(), &folder.path().join("kv.redb")).unwrap();
        let space = store.space("tenant", "bucket");
        let quota = Arc::new(Quota::new(&Limits::default()));
        let most = BucketQuota::default();
        let more = BucketQuota { max_value: Bytes(AT_ONCE + 1), ..most };
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(space.write(vec![("k".into(), Some(b"v".to_vec()))], most)).unwrap();
        let database = store.database().unwrap();
        let writing = database.begin_write().unwrap();
        // The only thread for what blocks is taken until this ends.
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let taken = runtime.spawn_blocking(move || ended.recv());
        let _inside = runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(pin!(space.get("k", &quota, &most)).poll(&mut context), Poll::Ready(Ok(Some(b"v".to_vec()))));
        assert_eq!(pin!(space.exists("k", &most)).poll(&mut context), Poll::Ready(Ok(true)));
        assert_eq!(pin!(space.exists("l", &most)).poll(&mut context), Poll::Ready(Ok(false)));
        let mut large = pin!(space.get("k", &quota, &more));
        assert_eq!(large.as_mut().poll(&mut context), Poll::Pending);
        // Opening takes long, and so it is nothing to be done on the spot.
        *store.database.lock().unwrap() = None;
        let mut closed = pin!(space.get("k", &quota, &most));
        assert_eq!(closed.as_mut().poll(&mut context), Poll::Pending);
        writing.abort().unwrap();
        drop((database, end));
        assert_eq!(runtime.block_on(large), Ok(Some(b"v".to_vec())));
        assert_eq!(runtime.block_on(closed), Ok(Some(b"v".to_vec())));
        assert!(runtime.block_on(taken).unwrap().is_err());
    }
}
