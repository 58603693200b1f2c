//! What is thrown away when a cache is full: what was used longest ago.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ARTIFACT;

/// Removes files until the folder holds no more than `max` bytes, `keep` excepted. Files that are being written by
/// processes which died count like any other; so does one that is being written now, whose writer then does without.
///
/// Code that is in use elsewhere stays mapped there. What can't be listed or removed stays, and the next time it is
/// tried again.
pub(super) fn evict(dir: &Path, max: u64, keep: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let ours = path.extension().is_some_and(|extension| extension == ARTIFACT || extension == "tmp");
        if let (true, Ok(metadata)) = (ours, entry.metadata()) {
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            files.push((used, metadata.len(), path));
        }
    }
    let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    files.sort();
    for (_, bytes, path) in files {
        if total <= max {
            return;
        }
        if path != keep && std::fs::remove_file(&path).is_ok() {
            total -= bytes;
        }
    }
}
