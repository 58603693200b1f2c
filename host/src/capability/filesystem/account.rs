//! What there is in a directory with a quota: counted once by walking through it, then kept up to date with every change.
//!
//! Two invocations on the same directory share one account, in the same host, whatever their policies and tenants. An
//! account is forgotten with the last invocation that has it, so the next one counts anew. What is about to change is
//! taken before the change and what wasn't needed given back after it, so that a call that is broken off in its middle
//! leaves too much counted and never too little.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::outcome::{Refusal, Stop};
use crate::policy::DirGrant;

/// Entries that a directory may have in it for its contents to be counted.
const MAX_ENTRIES: u64 = 1_000_000;

/// The accounts of a host that are in use.
#[derive(Default)]
pub(crate) struct DirAccounts(Mutex<HashMap<PathBuf, Weak<Account>>>);

/// A directory's account, and how much of it this grant lets one have.
#[derive(Clone)]
pub(crate) struct Budget {
    account: Arc<Account>,
    max_bytes: u64,
    max_files: u64,
}

/// What is in one directory now.
#[derive(Default)]
struct Account {
    root: PathBuf,
    used: Mutex<Used>,
    /// Held through every change. Says whether what was there before has been counted.
    turn: tokio::sync::Mutex<bool>,
}

#[derive(Default)]
struct Used {
    bytes: u64,
    files: u64,
    open: HashMap<Id, Opened>,
}

/// What the operating system knows a file by: device and number.
type Id = (u64, u64);

#[derive(Default)]
struct Opened {
    handles: u64,
    /// It has no name any more, and takes room until the last handle is gone.
    nameless: bool,
}

/// An open file of a directory with a quota, for as long as this lives.
pub(super) struct Handle {
    account: Arc<Account>,
    file: Arc<File>,
    id: Id,
}

/// One's turn to change something.
pub(super) struct Turn<'a> {
    budget: &'a Budget,
    _held: tokio::sync::MutexGuard<'a, bool>,
}

/// What was taken for a change of one file.
pub(super) struct Growth<'a> {
    budget: &'a Budget,
    file: Arc<File>,
    before: u64,
    taken: u64,
}

/// A name that may be about to go away.
pub(super) struct Seen {
    /// What it is known by, where that matters: a file with this name alone.
    pub(super) only: Option<(Option<Id>, u64)>,
    /// Bytes that go away with it whatever it is known by: those of a link.
    pub(super) link: u64,
}

/// Which quota has no room, as the receipt says it.
#[derive(Debug)]
pub(super) struct Over(pub(super) &'static str);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DirAccounts {
    /// The budget of each grant, in their order; none for those without a quota.
    ///
    /// # Errors
    /// `refused.grant` for a directory with a quota in which another grant leads, by which the quota could be gone round.
    pub(crate) fn open(&self, grants: &[DirGrant]) -> Result<Vec<Option<Budget>>, Stop> {
        if !grants.iter().any(DirGrant::has_quota) {
            return Ok(vec![None; grants.len()]);
        }
        // A directory that isn't there was refused when it was opened.
        let path = |grant: &DirGrant| grant.host.canonicalize().unwrap_or_else(|_| grant.host.clone());
        let paths: Vec<PathBuf> = grants.iter().map(path).collect();
        let mut accounts = lock(&self.0);
        accounts.retain(|_, account| account.strong_count() > 0);
        let mut budgets = Vec::new();
        for (grant, root) in grants.iter().zip(&paths) {
            if !grant.has_quota() {
                budgets.push(None);
                continue;
            }
            for (other, there) in grants.iter().zip(&paths) {
                let shared = there == root && other.has_quota();
                if !shared && (there.starts_with(root) || root.starts_with(there)) {
                    return Err(overlap(grant, other));
                }
            }
            let known = accounts.get(root).and_then(Weak::upgrade);
            let account = known.unwrap_or_else(|| Arc::new(Account { root: root.clone(), ..Account::default() }));
            accounts.insert(root.clone(), Arc::downgrade(&account));
            let max_bytes = grant.max_bytes.map_or(u64::MAX, |bytes| bytes.0);
            budgets.push(Some(Budget { account, max_bytes, max_files: grant.max_files.unwrap_or(u64::MAX) }));
        }
        Ok(budgets)
    }
}

fn overlap(grant: &DirGrant, other: &DirGrant) -> Stop {
    let (grant, other) = (grant.host.display(), other.host.display());
    let message =
        format!("the directory `{grant}` has a quota, and `{other}` is granted beside it and overlaps with it");
    Stop::refused(Refusal::Grant, message, "grant directories that are apart, or the same one with a quota each")
}

impl Budget {
    /// Whether two grants count in the same account.
    pub(super) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.account, &other.account)
    }

    /// Waits for one's turn with names and handles.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn { budget: self, _held: self.account.turn.lock().await }
    }

    /// Waits for one's turn to change something, and counts what is there if nobody has.
    ///
    /// # Errors
    /// It can't be counted.
    pub(super) async fn begin(&self) -> Result<Turn<'_>, Over> {
        let mut held = self.account.turn.lock().await;
        if !*held {
            let root = self.account.root.clone();
            let counted = wasmtime_wasi::runtime::spawn_blocking(move || count(&root)).await;
            let (bytes, files) = counted.map_err(|_| Over("a directory that can't be counted"))?;
            let mut used = lock(&self.account.used);
            used.bytes = used.bytes.saturating_add(bytes);
            used.files = used.files.saturating_add(files);
            drop(used);
            *held = true;
        }
        Ok(Turn { budget: self, _held: held })
    }

    /// Notes that a file is open.
    pub(super) fn opened(&self, file: &Arc<File>) -> io::Result<Handle> {
        let id = id(file)?;
        let mut used = lock(&self.account.used);
        let opened = used.open.entry(id).or_default();
        opened.handles = opened.handles.saturating_add(1);
        Ok(Handle { account: Arc::clone(&self.account), file: Arc::clone(file), id })
    }
}

impl<'a> Turn<'a> {
    /// Takes what a file may grow by until it ends at `end`.
    pub(super) fn grow(&self, file: &Arc<File>, end: u64) -> Result<Growth<'a>, Over> {
        let before = length(file);
        let taken = end.saturating_sub(before);
        let mut used = lock(&self.budget.account.used);
        let total = used.bytes.saturating_add(taken);
        if taken > 0 && total > self.budget.max_bytes {
            return Err(Over("over max-bytes"));
        }
        used.bytes = total;
        Ok(Growth { budget: self.budget, file: Arc::clone(file), before, taken })
    }

    /// Takes one more name.
    pub(super) fn add_name(&self) -> Result<(), Over> {
        let mut used = lock(&self.budget.account.used);
        if used.files >= self.budget.max_files {
            return Err(Over("over max-files"));
        }
        used.files = used.files.saturating_add(1);
        Ok(())
    }

    /// Takes the bytes of a link, which are those of its target's name.
    pub(super) fn add_link(&self, bytes: u64) -> Result<(), Over> {
        let mut used = lock(&self.budget.account.used);
        let total = used.bytes.saturating_add(bytes);
        if total > self.budget.max_bytes {
            return Err(Over("over max-bytes"));
        }
        used.bytes = total;
        Ok(())
    }

    /// A name that was taken isn't there, or one is gone that led to nothing that counts.
    pub(super) fn give_name(&self) {
        let mut used = lock(&self.budget.account.used);
        used.files = used.files.saturating_sub(1);
    }

    /// A name is gone.
    pub(super) fn gone(&self, seen: &Seen) {
        let mut used = lock(&self.budget.account.used);
        used.files = used.files.saturating_sub(1);
        used.bytes = used.bytes.saturating_sub(seen.link);
        // What can't be told to be gone is counted until the next walk.
        let Some((Some(id), bytes)) = seen.only else { return };
        match used.open.get_mut(&id) {
            Some(opened) => opened.nameless = true,
            None => used.bytes = used.bytes.saturating_sub(bytes),
        }
    }

    /// A file has become shorter without a [`Growth`], or a link wasn't made.
    pub(super) fn shrunk(&self, bytes: u64) {
        let mut used = lock(&self.budget.account.used);
        used.bytes = used.bytes.saturating_sub(bytes);
    }
}

impl Growth<'_> {
    /// Puts what really happened in the place of what was taken.
    pub(super) fn settle(self) {
        let after = length(&self.file);
        let mut used = lock(&self.budget.account.used);
        used.bytes = used.bytes.saturating_add(after).saturating_sub(self.before.saturating_add(self.taken));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut used = lock(&self.account.used);
        let Some(opened) = used.open.get_mut(&self.id) else { return };
        opened.handles = opened.handles.saturating_sub(1);
        if opened.handles > 0 {
            return;
        }
        let nameless = opened.nameless;
        used.open.remove(&self.id);
        if nameless {
            used.bytes = used.bytes.saturating_sub(length(&self.file));
        }
    }
}

/// Bytes of an open file; only regular files have any that count.
pub(super) fn length(file: &File) -> u64 {
    file.metadata().ok().filter(std::fs::Metadata::is_file).map_or(0, |metadata| metadata.len())
}

pub(super) fn id(file: &File) -> io::Result<Id> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// What a walk has found so far.
#[derive(Default)]
struct Walk {
    bytes: u64,
    files: u64,
    linked: HashSet<Id>,
}

/// A directory on the way down: what it is known by, and those below it that are still to be walked.
struct Level {
    id: Id,
    below: Vec<CString>,
}

/// Bytes and names below a directory. A file with several names counts its bytes once, a link those of its target's name.
/// However deep it goes, one directory is open at a time: a guest can make more levels than a process has open files.
fn count(root: &Path) -> io::Result<(u64, u64)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut walk = Walk::default();
    let mut here = rustix::fs::open(root, flags, Mode::empty())?;
    let mut levels = vec![walk.level(&here)?];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.below.pop() {
            here = rustix::fs::openat(&here, name, flags, Mode::empty())?;
            levels.push(walk.level(&here)?);
            continue;
        }
        levels.pop();
        if let Some(above) = levels.last() {
            here = rustix::fs::openat(&here, c"..", flags, Mode::empty())?;
            let stat = rustix::fs::fstat(&here)?;
            // Somebody has moved what is walked through.
            if (stat.st_dev, stat.st_ino) != above.id {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
        }
    }
    Ok((walk.bytes, walk.files))
}

impl Walk {
    /// Counts what is in one directory.
    fn level(&mut self, dir: &OwnedFd) -> io::Result<Level> {
        let stat = rustix::fs::fstat(dir)?;
        let mut level = Level { id: (stat.st_dev, stat.st_ino), below: Vec::new() };
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_bytes() == b"." || name.to_bytes() == b".." {
                continue;
            }
            self.files = self.files.saturating_add(1);
            if self.files > MAX_ENTRIES {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => level.below.push(name.to_owned()),
                FileType::RegularFile | FileType::Symlink
                    if stat.st_nlink < 2 || self.linked.insert((stat.st_dev, stat.st_ino)) =>
                {
                    self.bytes = self.bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
                }
                _ => {}
            }
        }
        Ok(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Bytes, DirAccess};

    fn grant(path: &Path, max_bytes: u64) -> DirGrant {
        let grant = DirGrant::new(path, "/d", DirAccess::ReadWrite);
        DirGrant { max_bytes: Some(Bytes(max_bytes)), max_files: Some(10), ..grant }
    }

    #[test]
    fn a_walk_counts_names_and_each_files_bytes_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/b/file"), [0; 100]).unwrap();
        std::fs::hard_link(at("a/b/file"), at("a/link")).unwrap();
        std::os::unix::fs::symlink("/", at("out")).unwrap();
        File::create(at("sparse")).unwrap().set_len(5000).unwrap();
        // The link's own byte is its target's name.
        assert_eq!(count(folder.path()).unwrap(), (5101, 6));
        let deep = (0..1500).fold(folder.path().to_owned(), |path, _| path.join("d"));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("e"), [0; 7]).unwrap();
        assert_eq!(count(folder.path()).unwrap(), (5108, 1507));
    }

    #[test]
    fn one_directory_has_one_account_whatever_it_is_called_and_none_once_nobody_has_it() {
        let (folder, accounts) = (tempfile::tempdir().unwrap(), DirAccounts::default());
        let one = accounts.open(&[grant(folder.path(), 5)]).unwrap().remove(0).unwrap();
        let two = accounts.open(&[grant(&folder.path().join("."), 9)]).unwrap().remove(0).unwrap();
        assert!(one.same(&two));
        assert_eq!((one.max_bytes, two.max_bytes), (5, 9));
        drop((one, two));
        drop(accounts.open(&[grant(Path::new("/nowhere"), 5)]));
        assert_eq!(lock(&accounts.0).len(), 1);
    }

    #[test]
    fn a_grant_by_which_a_quota_could_be_gone_round_is_refused() {
        let (folder, accounts) = (tempfile::tempdir().unwrap(), DirAccounts::default());
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let plain = |path: &Path| DirGrant::new(path, "/p", DirAccess::ReadOnly);
        let quota = |path: &Path| grant(path, 5);
        for wrong in [
            [quota(folder.path()), plain(folder.path())],
            [quota(folder.path()), plain(&inner)],
            [plain(folder.path()), quota(&inner)],
            [quota(folder.path()), quota(&inner)],
        ] {
            assert!(accounts.open(&wrong).is_err(), "{wrong:?}");
        }
        assert!(accounts.open(&[quota(folder.path()), quota(folder.path())]).is_ok());
        assert!(accounts.open(&[plain(folder.path()), plain(&inner)]).is_ok());
    }

    #[tokio::test]
    async fn bytes_and_names_are_taken_up_to_the_last_and_given_back() {
        let (folder, accounts) = (tempfile::tempdir().unwrap(), DirAccounts::default());
        std::fs::write(folder.path().join("old"), [0; 40]).unwrap();
        let budget = accounts.open(&[grant(folder.path(), 100)]).unwrap().remove(0).unwrap();
        let file = Arc::new(File::create(folder.path().join("new")).unwrap());
        let turn = budget.begin().await.unwrap();
        assert!(turn.grow(&file, 61).is_err());
        let growth = turn.grow(&file, 60).unwrap();
        file.set_len(50).unwrap();
        growth.settle();
        assert!(turn.grow(&file, 61).is_err());
        let growth = turn.grow(&file, 60).unwrap();
        assert!(turn.grow(&file, 61).is_err());
        growth.settle();
        for _ in 0..8 {
            turn.add_name().unwrap();
        }
        assert!(turn.add_name().is_err());
        turn.give_name();
        turn.add_name().unwrap();
    }
}
