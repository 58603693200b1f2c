use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::component::{Facts, Form, World};
use crate::engine::{CodeKey, Tier};

fn about() -> About {
    let facts = Facts {
        digest: "sha256:00".to_owned(),
        size_bytes: 8,
        form: Form::Component,
        world: World::Custom,
        imports: Vec::new(),
        exports: Vec::new(),
    };
    About::new(facts, CodeKey { fuel: false, deterministic: false, tier: Tier::Cranelift })
}

fn name(n: u8) -> Name {
    Name { source: SourceId([n; 32]), code: CodeId([9; 32]) }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn open(dir: &Path) -> Cache {
    Cache::open(dir, 1 << 20, None).unwrap()
}

#[test]
fn what_is_stored_is_found_by_the_same_name_and_by_no_other() {
    let dir = folder();
    let cache = open(dir.path());
    assert!(cache.find(name(1)).is_none());
    cache.store(name(1), &about(), b"code");
    assert_eq!(cache.find(name(1)).unwrap().about.facts, about().facts);
    assert!(cache.find(name(2)).is_none());
    assert!(cache.find(Name { code: CodeId([8; 32]), ..name(1) }).is_none());
    // Another process with the same folder.
    assert!(open(dir.path()).find(name(1)).is_some());
    // The same bytes under another name: made from something else.
    std::fs::copy(cache.path(name(1)), cache.path(name(2))).unwrap();
    assert!(cache.find(name(2)).is_none());
}

#[test]
fn what_was_changed_cut_off_or_made_with_another_key_is_not_found() {
    let dir = folder();
    let cache = open(dir.path());
    cache.store(name(1), &about(), &[0x5a; 5000]);
    let path = cache.path(name(1));
    let good = std::fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, bad).unwrap();
        assert!(cache.find(name(1)).is_none(), "byte {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(cache.find(name(1)).is_none(), "{at} bytes");
    }
    std::fs::write(&path, &good).unwrap();
    assert!(cache.find(name(1)).is_some());
    assert!(Cache::open(dir.path(), 1 << 20, Some(ArtifactKey::generate())).unwrap().find(name(1)).is_none());
}

#[test]
fn a_link_a_folder_and_a_file_that_others_write_to_are_not_found() {
    let dir = folder();
    let cache = open(dir.path());
    cache.store(name(1), &about(), b"code");
    let path = cache.path(name(1));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    assert!(cache.find(name(1)).is_none());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    assert!(cache.find(name(1)).is_some());
    let elsewhere = dir.path().join("elsewhere");
    std::fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(cache.find(name(1)).is_none());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(cache.find(name(1)).is_none());
    // And a name that can't be written does no harm.
    cache.store(name(1), &about(), b"code");
    assert!(
        std::fs::read_dir(dir.path()).unwrap().all(|entry| !entry.unwrap().path().to_string_lossy().ends_with(".tmp"))
    );
}

#[test]
fn the_key_is_made_once_and_for_its_owner_alone() {
    let dir = folder();
    let keys: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| open(dir.path()).key().to_secret_text())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
    let path = dir.path().join(KEY);
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let error = Cache::open(dir.path(), 0, None).unwrap_err().to_string();
        assert!(error.contains("others can get at it"), "{error}");
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&path, "no key").unwrap();
    assert!(Cache::open(dir.path(), 0, None).unwrap_err().to_string().contains("64 hexadecimal digits"));
}

#[test]
fn a_folder_that_others_own_or_write_to_is_no_cache() {
    let dir = folder();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o770)).unwrap();
    assert!(Cache::open(dir.path(), 0, None).is_err());
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(Cache::open(dir.path(), 0, None).is_ok());
    // Of two users one can give a folder away, and the other has no business in `/`.
    let other = match rustix::process::geteuid().is_root() {
        true => {
            std::os::unix::fs::chown(dir.path(), Some(12_345), None).unwrap();
            dir.path()
        }
        false => Path::new("/"),
    };
    assert!(Cache::open(other, 0, None).unwrap_err().to_string().contains("belongs to"));
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(Cache::open(file.path().join("below"), 0, None).is_err());
}

#[test]
fn a_full_cache_lets_go_of_what_was_used_longest_ago() {
    let dir = folder();
    let size = {
        let cache = open(dir.path());
        cache.store(name(0), &about(), &[0; 1000]);
        std::fs::metadata(cache.path(name(0))).unwrap().len()
    };
    // Exactly three fit.
    let cache = Cache::open(dir.path(), 3 * size, None).unwrap();
    let aged = |n: u8, seconds: u64| {
        let file = File::open(cache.path(name(n))).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    };
    (1..3).for_each(|n| cache.store(name(n), &about(), &[0; 1000]));
    assert!((0..3).all(|n| cache.find(name(n)).is_some()));
    (0..3).for_each(|n| aged(n, 1000 - u64::from(n)));
    // Using the oldest one keeps it.
    assert!(cache.find(name(0)).is_some());
    cache.store(name(3), &about(), &[0; 1000]);
    assert_eq!((0..4).map(|n| cache.find(name(n)).is_some()).collect::<Vec<_>>(), [true, false, true, true]);
    // One more byte than fits is not kept, and nothing goes for its sake.
    let one_more = vec![0; 1000 + 2 * usize::try_from(size).unwrap() + 1];
    cache.store(name(4), &about(), &one_more);
    assert!(cache.find(name(4)).is_none() && cache.find(name(3)).is_some());
    cache.store(name(4), &about(), &one_more[1..]);
    assert_eq!((0..5).map(|n| cache.find(name(n)).is_some()).collect::<Vec<_>>(), [false, false, false, false, true]);
}

#[test]
fn a_clock_that_was_set_back_loses_nothing_and_heals() {
    let dir = folder();
    let cache = open(dir.path());
    cache.store(name(1), &about(), b"code");
    let file = File::open(cache.path(name(1))).unwrap();
    for time in [SystemTime::now() + Duration::from_secs(1_000_000), SystemTime::UNIX_EPOCH] {
        file.set_modified(time).unwrap();
        assert!(cache.find(name(1)).is_some());
        let noted = file.metadata().unwrap().modified().unwrap();
        let off = noted.duration_since(SystemTime::now()).unwrap_or_else(|error| error.duration());
        assert!(off < Duration::from_secs(600), "{off:?}");
    }
}
