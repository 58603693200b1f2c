//! Recording what an invocation uses, where its caller asked for that.
//!
//! Threat model: the guest chooses most of what is recorded. So equal uses are one entry with a count, an entry is never
//! cut (half a name would be suggested as a grant), and there is a bound on entries and on bytes; what doesn't fit is
//! counted. Nothing is recorded, and nothing allocated, where nobody asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::policy::{Audit, Use, UseKind};

/// Different uses that are kept.
const MAX_USES: usize = 1024;

/// Bytes of one use, and of all of them together.
const MAX_USE: usize = 512;
const MAX_BYTES: usize = 64 * 1024;

/// Bytes of a path that is looked at.
const MAX_PATH: usize = 4096;

/// Levels below a granted directory that are told apart.
const LEVELS: usize = 2;

/// The record of one invocation's uses.
#[derive(Debug, Default)]
pub(crate) struct Auditor {
    on: AtomicBool,
    kept: Mutex<Kept>,
}

type Key = (UseKind, String, Option<String>, bool);

#[derive(Debug, Default)]
struct Kept {
    uses: BTreeMap<Key, u64>,
    bytes: usize,
    dropped: u64,
    /// Open descriptors: the granted directory that each is in, and its path below that.
    open: HashMap<u32, (String, String)>,
}

impl Auditor {
    /// Records from now on.
    pub(crate) fn start(&self) {
        self.on.store(true, Relaxed);
    }

    /// Whether uses are recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// Records one use.
    pub(crate) fn used(&self, kind: UseKind, name: &str, detail: impl FnOnce() -> Option<String>, write: bool) {
        if !self.is_on() {
            return;
        }
        // Looked at before it is copied: a guest may hand over megabytes.
        if name.len() > MAX_USE {
            let mut kept = self.kept();
            kept.dropped = kept.dropped.saturating_add(1);
        } else {
            self.kept().add((kind, name.to_owned(), detail(), write));
        }
    }

    /// Remembers a directory that is granted, under the descriptor that the guest was handed.
    pub(crate) fn granted_dir(&self, descriptor: u32, guest: &str) {
        if self.is_on() {
            self.kept().open.insert(descriptor, (guest.to_owned(), String::new()));
        }
    }

    /// Remembers what was opened below a descriptor.
    pub(crate) fn opened(&self, parent: u32, path: &str, descriptor: u32) {
        if !self.is_on() {
            return;
        }
        let mut kept = self.kept();
        if let Some((guest, below)) = kept.open.get(&parent).cloned() {
            kept.open.insert(descriptor, (guest, top(&below, path)));
        }
    }

    /// Forgets a descriptor.
    pub(crate) fn closed(&self, descriptor: u32) {
        if self.is_on() {
            self.kept().open.remove(&descriptor);
        }
    }

    /// Records that something at or below a descriptor was read or changed.
    pub(crate) fn touched(&self, descriptor: u32, path: &str, write: bool) {
        if !self.is_on() {
            return;
        }
        let mut kept = self.kept();
        if let Some((guest, below)) = kept.open.get(&descriptor).cloned() {
            let detail = Some(top(&below, path)).filter(|detail| !detail.is_empty());
            kept.add((UseKind::Dir, guest, detail, write));
        }
    }

    /// What was recorded; nothing where nobody asked.
    pub(crate) fn report(&self) -> Option<Audit> {
        if !self.is_on() {
            return None;
        }
        let kept = self.kept();
        let one = |((kind, name, detail, write), count): (&Key, &u64)| Use {
            kind: *kind,
            name: name.clone(),
            detail: detail.clone(),
            write: *write,
            count: *count,
        };
        Some(Audit { uses: kept.uses.iter().map(one).collect(), dropped: kept.dropped })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn add(&mut self, key: Key) {
        if let Some(count) = self.uses.get_mut(&key) {
            *count = count.saturating_add(1);
            return;
        }
        let bytes = key.1.len().saturating_add(key.2.as_ref().map_or(0, String::len));
        let total = self.bytes.saturating_add(bytes);
        if self.uses.len() >= MAX_USES || bytes > MAX_USE || total > MAX_BYTES {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.bytes = total;
        self.uses.insert(key, 1);
    }
}

/// The first levels of a path below another, as text: what the guest wrote, with `.` and `..` carried out.
fn top(below: &str, path: &str) -> String {
    // No system opens a longer one, and a guest may hand over megabytes.
    let path = if path.len() > MAX_PATH { "" } else { path };
    let mut parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.truncate(LEVELS);
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_recorded_unless_somebody_asked() {
        let audit = Auditor::default();
        audit.used(UseKind::Env, "A", || None, false);
        audit.granted_dir(1, "/d");
        audit.touched(1, "x", true);
        assert_eq!(audit.report(), None);
        audit.start();
        assert_eq!(audit.report(), Some(Audit::default()));
    }

    #[test]
    fn equal_uses_are_one_entry_and_a_hostile_guest_cant_make_it_grow() {
        let audit = Auditor::default();
        audit.start();
        for n in 0..MAX_USES + 10 {
            audit.used(UseKind::Config, &n.to_string(), || None, false);
        }
        audit.used(UseKind::Config, "7", || None, false);
        let report = audit.report().unwrap();
        assert_eq!((report.uses.len(), report.dropped), (MAX_USES, 10));
        assert_eq!(report.uses.iter().find(|one| one.name == "7").unwrap().count, 2);

        let long = Auditor::default();
        long.start();
        long.used(UseKind::Config, &"k".repeat(MAX_USE), || None, false);
        long.used(UseKind::Config, &"k".repeat(MAX_USE + 1), || None, false);
        let report = long.report().unwrap();
        assert_eq!((report.uses.len(), report.dropped), (1, 1));
        for n in 0..1000 {
            long.used(UseKind::Config, &format!("{n:0500}"), || None, false);
        }
        let report = long.report().unwrap();
        assert!(report.uses.iter().map(|one| one.name.len()).sum::<usize>() <= MAX_BYTES);
        assert!(report.dropped > 800, "{}", report.dropped);
    }

    #[test]
    fn paths_are_told_by_their_granted_directory_and_two_levels() {
        let audit = Auditor::default();
        audit.start();
        audit.granted_dir(3, "/d");
        audit.opened(3, "./a/b/c", 4);
        audit.touched(4, "x", false);
        audit.touched(3, "a/../e", true);
        audit.closed(4);
        audit.touched(4, "gone", true);
        let report = audit.report().unwrap();
        let seen: Vec<_> =
            report.uses.iter().map(|one| (one.name.as_str(), one.detail.as_deref(), one.write)).collect();
        assert_eq!(seen, [("/d", Some("a/b"), false), ("/d", Some("e"), true)]);
    }
}
