//! One process at a time compiles a component: a lock on a file, which the system lets go of when its holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a lock is tried: waiting for it in the system couldn't be given up.
const RETRY: Duration = Duration::from_millis(15);

/// A lock that is held. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: File,
}

enum Tried {
    Taken(Lock),
    Held,
    /// The holder removed the file while it was being opened.
    Gone,
    Impossible,
}

impl Lock {
    /// Waits for the lock; `None` where there can be none.
    pub(super) async fn take(path: PathBuf) -> Option<Self> {
        loop {
            match attempt(&path) {
                Tried::Taken(lock) => return Some(lock),
                Tried::Held => tokio::time::sleep(RETRY).await,
                Tried::Gone => {}
                Tried::Impossible => return None,
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // In this order: whoever opened the file before it was removed sees that it is no longer the one at this path.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

fn attempt(path: &Path) -> Tried {
    let Ok(file) = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path) else {
        return Tried::Impossible;
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Tried::Held,
        Err(TryLockError::Error(_)) => return Tried::Impossible,
    }
    let same = |there: std::fs::Metadata| {
        file.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
    };
    match std::fs::symlink_metadata(path).is_ok_and(same) {
        true => Tried::Taken(Lock { path: path.to_owned(), file }),
        false => Tried::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first_and_no_file_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let first = Lock::take(path.clone()).await.unwrap();
        assert!(matches!(attempt(&path), Tried::Held));
        let waiting = tokio::spawn(Lock::take(path.clone()));
        drop(first);
        drop(waiting.await.unwrap().unwrap());
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_has_no_locks() {
        assert!(Lock::take("/nowhere/at/all.lock".into()).await.is_none());
    }
}
