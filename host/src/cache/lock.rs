//! One process at a time compiles a component: a lock on a file, which the system lets go of when its holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

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
                // However often that happens, the caller can give up.
                Tried::Gone => tokio::task::yield_now().await,
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
    // No link is followed, and nothing is waited for: whoever owns the folder can have put anything there.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let Some(file) = open.open(path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))
    else {
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
    async fn a_link_a_fifo_and_a_folder_are_no_locks_and_hold_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let (link, target) = (dir.path().join("link.lock"), dir.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(Lock::take(link).await.is_none());
        assert!(!target.exists());
        let fifo = dir.path().join("fifo.lock");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(Lock::take(fifo).await.is_none());
        assert!(Lock::take(dir.path().to_owned()).await.is_none());
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_has_no_locks() {
        assert!(Lock::take("/nowhere/at/all.lock".into()).await.is_none());
    }
}
