//! Quotas of directories: what fits is written, what doesn't is refused as on a full disk, and no way round adds to it.

use std::path::{Path, PathBuf};

use crate::http::lab::{Got, Lab, Names};

struct Folder {
    lab: Lab,
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { lab: Lab::of("fill", Names::new(&[&["127.0.0.1"]])), folder: tempfile::tempdir().unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn go(&self, quota: &str, steps: &[&str]) -> Got {
        self.lab.go(&grant(self.folder.path(), "/d", quota), steps)
    }

    /// All steps are done.
    #[track_caller]
    fn fits(&self, quota: &str, steps: &[&str]) -> &Self {
        let got = self.go(quota, steps);
        assert_eq!(got.reason(), "returned", "{}", got.text());
        assert!(got.denied("dir").is_empty());
        self
    }

    /// All steps but the last are done; that one meets a quota.
    #[track_caller]
    fn over(&self, word: &str, quota: &str, steps: &[&str]) -> &Self {
        let got = self.go(quota, steps);
        assert_eq!((got.reason(), got.text().matches(": done").count()), ("failed", steps.len() - 1), "{}", got.text());
        assert_eq!(got.denied("dir"), [word], "{}", got.text());
        let last = got.text().lines().last().unwrap_or_default().to_owned();
        // The C library of guests has one error for whatever goes wrong with a stream.
        let known = ["No space left", "insufficient-space", "I/O error"];
        assert!(known.iter().any(|error| last.contains(error)), "{last}");
        self
    }

    fn empty(&self) -> &Self {
        for entry in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => std::fs::remove_dir_all(entry.path()).unwrap(),
                false => std::fs::remove_file(entry.path()).unwrap(),
            }
        }
        self
    }

    /// Bytes of all files, each name counted.
    fn bytes(&self) -> u64 {
        let entries = std::fs::read_dir(self.folder.path()).unwrap().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).filter(|meta| meta.is_file()).map(|meta| meta.len()).sum()
    }
}

fn grant(host: &Path, guest: &str, quota: &str) -> String {
    format!("[[dir]]\nhost = '{}'\nguest = '{guest}'\naccess = 'read-write'\n{quota}\n", host.display())
}

const BYTES: &str = "max-bytes = '1000'";
const OVER: &str = "over max-bytes";

#[test]
fn bytes_are_counted_to_the_last_however_they_are_written() {
    let folder = Folder::new();
    for (fits, over) in [
        (&["write=/d/a,1000"][..], &["write=/d/a,1001"][..]),
        (&["at=/d/a,999,1"], &["at=/d/a,1000,1"]),
        (&["append=/d/a,400", "append=/d/a,600"], &["append=/d/a,400", "append=/d/a,601"]),
        (&["size=/d/a,1000"], &["size=/d/a,1001"]),
        (&["direct=a,999,1"], &["direct=a,1000,1"]),
        (&["direct=a,0,1000"], &["direct=a,18446744073709551615,1"]),
        (&["stream=a,0,1000"], &["stream=a,0,1001"]),
        (&["stream=a,1,999"], &["stream=a,1000,1"]),
        (&["write=/d/a,500", "write=/d/b,500"], &["write=/d/a,500", "write=/d/b,501"]),
        (
            &["mkdir=/d/x", "mkdir=/d/x/y", "write=/d/x/y/a,1000"],
            &["mkdir=/d/x", "mkdir=/d/x/y", "write=/d/x/y/a,1001"],
        ),
        (&["write=/d/a,1000", "write=/d/a,1000", "at=/d/a,10,990"], &["write=/d/a,1000", "at=/d/a,10,991"]),
        (&["hold=/d/a", "more=500", "hold=/d/a", "more=500"], &["hold=/d/a", "more=500", "hold=/d/a", "more=501"]),
        (&["size=/d/a,1000", "at=/d/a,500,500"], &["size=/d/a,600", "size=/d/b,401"]),
        // A link counts the bytes of the path in it.
        (&["create=/d/a", "symlink=a,l", "write=/d/l,999"], &["create=/d/a", "symlink=a,l", "write=/d/l,1000"]),
        (&["write=/d/a,990", "symlink=0123456789,l"], &["write=/d/a,991", "symlink=0123456789,l"]),
    ] {
        folder.empty().fits(BYTES, fits);
        folder.empty().over(OVER, BYTES, over);
        assert!(folder.bytes() <= 1000, "{over:?} left {}", folder.bytes());
    }
}

#[test]
fn what_is_there_at_the_start_counts_and_a_folder_above_its_quota_can_only_shrink() {
    let folder = Folder::new();
    std::fs::write(folder.at("old"), [0; 600]).unwrap();
    folder.fits(BYTES, &["write=/d/a,400"]).over(OVER, BYTES, &["append=/d/a,1"]);
    let less = "max-bytes = '100'";
    folder.over(OVER, less, &["write=/d/old,600", "write=/d/b,1"]);
    folder.fits(less, &["size=/d/old,10", "remove=/d/a", "write=/d/b,90"]);
    folder.over(OVER, less, &["append=/d/b,1"]);
}

#[test]
fn what_is_given_up_can_be_used_again() {
    let folder = Folder::new();
    let full = "write=/d/a,1000";
    for free in [
        &["remove=/d/a"][..],
        &["create=/d/a"],
        &["size=/d/a,0"],
        &["create=/d/b", "rename=/d/b,/d/a"],
        &["rename=/d/a,/d/c", "remove=/d/c"],
        &["link=/d/a,/d/c", "remove=/d/a", "remove=/d/c"],
        &["remove=/d/a", "symlink=0123456789,l", "remove=/d/l"],
        &["remove=/d/a", "symlink=0123456789,l", "create=/d/b", "rename=/d/b,/d/l"],
    ] {
        let again = [&[full][..], free, &["write=/d/z,1000"]].concat();
        folder.empty().fits(BYTES, &again);
        let more = [&again[..], &["append=/d/z,1"]].concat();
        folder.empty().over(OVER, BYTES, &more);
    }
}

#[test]
fn nothing_is_given_back_that_is_still_there() {
    let folder = Folder::new();
    let full = "write=/d/a,1000";
    for trick in [
        // Another name of the same bytes.
        &["link=/d/a,/d/b", "remove=/d/a"][..],
        &["link=/d/a,/d/b", "rename=/d/a,/d/b"],
        &["link=/d/a,/d/b", "create=/d/c", "rename=/d/c,/d/b"],
        &["rename=/d/a,/d/a"],
        &["rename=/d/a,/d/b"],
        &["mkdir=/d/x", "rename=/d/a,/d/x/a", "rename=/d/x,/d/y"],
        // Files that are open without a name, by a handle for writing and one for reading.
        &["hold=/d/a", "remove=/d/a"],
        &["peek=/d/a", "remove=/d/a"],
        &["peek=/d/a", "create=/d/b", "rename=/d/b,/d/a"],
    ] {
        let steps = [&[full][..], trick, &["write=/d/z,1"]].concat();
        folder.empty().over(OVER, BYTES, &steps);
    }
    // It is given back with the last handle; and such a file grows like any other.
    folder.empty().fits(BYTES, &[full, "hold=/d/a", "peek=/d/a", "remove=/d/a", "close", "write=/d/z,1000"]);
    folder.empty().over(OVER, BYTES, &["hold=/d/a", "remove=/d/a", "more=1000", "more=1"]);
    folder.empty().over(OVER, BYTES, &["hold=/d/a", "remove=/d/a", "more=600", "write=/d/b,401"]);
    folder.empty().fits(BYTES, &["hold=/d/a", "remove=/d/a", "more=600", "close", "write=/d/b,1000"]);
}

#[test]
fn names_are_counted_to_the_last_whatever_they_stand_for() {
    let (folder, three, over) = (Folder::new(), "max-files = 3", "over max-files");
    for last in
        ["create=/d/4", "new=/d/4", "mkdir=/d/4", "link=/d/1,/d/4", "symlink=1,4", "write=/d/2/4,1", "direct=4,0,1"]
    {
        let steps = ["create=/d/1", "mkdir=/d/2", "symlink=1,3"];
        folder.empty().fits(three, &steps);
        folder.empty().over(over, three, &[&steps[..], &[last]].concat());
        assert!(!folder.at("4").exists() && !folder.at("2/4").exists());
    }
    for free in [
        &["remove=/d/1"][..],
        &["rmdir=/d/2"],
        &["remove=/d/3"],
        &["rename=/d/1,/d/3"],
        &["create=/d/1", "new=/d/2/x", "remove=/d/1"][..1],
    ] {
        let steps = [&["create=/d/1", "mkdir=/d/2", "symlink=1,3"][..], free].concat();
        folder.empty().fits(three, &steps);
        let more = [&steps[..], &["create=/d/5"]].concat();
        // What was there already is no new name.
        if free == ["create=/d/1"] {
            folder.empty().over(over, three, &more);
        } else {
            folder.empty().fits(three, &more);
            folder.empty().over(over, three, &[&more[..], &["create=/d/6"]].concat());
        }
    }
    // A rename that does nothing gives nothing back.
    let links = ["create=/d/1", "link=/d/1,/d/2", "create=/d/3", "rename=/d/1,/d/2", "rename=/d/2,/d/1", "new=/d/4"];
    folder.empty().over(over, three, &links);
    // Nor does what fails take anything.
    let failed = folder
        .empty()
        .go(three, &["mkdir=/d/1", "mkdir=/d/1", "new=/d/1", "mkdir=/d/n/o", "create=/d/2", "create=/d/3"]);
    assert_eq!((failed.text().matches(": done").count(), failed.denied("dir").len()), (3, 0), "{}", failed.text());
    folder.fits("max-files = 3\nmax-bytes = '10'", &["write=/d/2,5", "write=/d/3,5"]);
}

#[test]
fn between_two_directories_nothing_is_moved_past_a_quota() {
    let (folder, other) = (Folder::new(), tempfile::tempdir().unwrap());
    std::fs::write(other.path().join("big"), [0; 5000]).unwrap();
    std::fs::write(folder.at("mine"), [0; 10]).unwrap();
    for quota in ["", "max-bytes = '9000'"] {
        let policy = grant(folder.folder.path(), "/d", BYTES) + &grant(other.path(), "/o", quota);
        for step in ["rename=/o/big,/d/big", "link=/o/big,/d/big", "rename=/d/mine,/o/mine", "link=/d/mine,/o/mine"] {
            let got = folder.lab.go(&policy, &[step]);
            assert!(got.reason() == "failed" && got.text().contains("link"), "{}", got.text());
        }
        folder.lab.go(&policy, &["write=/o/more,5000"]).said("done");
        assert_eq!(folder.lab.go(&policy, &["write=/d/more,5000"]).denied("dir"), [OVER]);
    }
    assert!(folder.bytes() <= 1000 && other.path().join("big").exists());
    // The same directory under two names is one.
    let policy = grant(folder.folder.path(), "/d", BYTES) + &grant(folder.folder.path(), "/e", "max-bytes = '2000'");
    folder.empty();
    let got = folder.lab.go(&policy, &["write=/e/a,600", "write=/d/b,401", "rename=/e/a,/d/c"]);
    assert_eq!((got.denied("dir"), got.text().matches(": done").count()), (vec![OVER.to_owned()], 2), "{}", got.text());
    // One inside the other could be used to go round it.
    std::fs::create_dir(folder.at("inner")).unwrap();
    let policy = grant(folder.folder.path(), "/d", BYTES) + &grant(&folder.at("inner"), "/e", "");
    assert_eq!(folder.lab.go(&policy, &["write=/e/a,1"]).reason(), "refused.grant");
}

#[test]
fn there_is_no_way_out_of_a_directory_with_a_quota() {
    let folder = Folder::new();
    let inside = folder.at("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.at("outside.txt"), "out").unwrap();
    std::os::unix::fs::symlink(folder.at("outside.txt"), inside.join("absolute")).unwrap();
    std::os::unix::fs::symlink("../outside.txt", inside.join("relative")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", inside.join("device")).unwrap();
    let policy = grant(&inside, "/d", "max-bytes = '1000'\nmax-files = 100");
    for step in [
        "write=/d/../outside.txt,5",
        "write=/d/absolute,5",
        "write=/d/relative,5",
        "write=/d/device,5",
        "create=/d/relative",
        "append=/d/absolute,5",
        "size=/d/relative,0",
        "peek=/d/absolute",
        "peek=/d/device",
        "remove=/d/../outside.txt",
        "rename=/d/../outside.txt,/d/x",
        "rename=/d/relative,/d/../y",
        "link=/d/../outside.txt,/d/x",
        "mkdir=/d/../y",
        "link=/d/relative,/d/../y",
        "symlink=/etc,../y",
        "direct=../y,0,5",
        "direct=/tmp/y,0,5",
        "rmdir=/d/..",
    ] {
        let got = folder.lab.go(&policy, &[step]);
        assert_eq!(got.reason(), "failed", "{step}: {}", got.text());
    }
    assert_eq!(std::fs::read(folder.at("outside.txt")).unwrap(), b"out");
    assert!(!folder.at("y").exists());
    let ran = crate::support::run_probe("read-outside");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &policy).unwrap();
    let ran = ran.flag("--policy", file.path()).args(&["relative"]);
    let allowed: Vec<&str> = ran.text().lines().filter(|line| line.contains("ALLOWED")).collect();
    assert_eq!(allowed, ["file-inside: ALLOWED"], "{}", ran.text());
}

#[test]
fn two_guests_on_one_directory_have_one_quota() {
    let folder = Folder::new();
    let policy = grant(folder.folder.path(), "/d", "max-bytes = '1500'");
    let steps = |name: &str| vec![format!("append=/d/{name},10"); 100];
    std::thread::scope(|scope| {
        for name in ["a", "b"] {
            let (folder, policy) = (&folder, &policy);
            scope.spawn(move || {
                let steps = steps(name);
                let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
                folder.lab.go_as(name, policy, &steps)
            });
        }
    });
    assert_eq!(folder.bytes(), 1500);
}

#[test]
fn a_full_quota_stops_the_guest_where_the_policy_says_so() {
    let folder = Folder::new();
    let policy =
        format!("on-denied = 'stop'\n{}", grant(folder.folder.path(), "/d", "max-bytes = '10'\nmax-files = 2"));
    for step in ["write=/d/a,11", "direct=a,0,11", "size=/d/a,11"] {
        assert_eq!(folder.empty().lab.go(&policy, &[step]).reason(), "denied.dir", "{step}");
    }
    let got = folder.empty().lab.go(&policy, &["create=/d/a", "create=/d/b", "create=/d/c"]);
    assert_eq!(got.reason(), "denied.dir");
    assert!(got.receipt["stop"]["message"].as_str().unwrap().contains("over max-files"));
    folder.empty().lab.go(&policy, &["write=/d/a,10"]).said("done");
}

#[test]
fn a_stream_that_meets_a_quota_says_so_as_on_a_full_disk() {
    let folder = Folder::new();
    for step in ["stream=a,0,1001", "direct=a,0,1001"] {
        let got = folder.go(BYTES, &[step]);
        assert_eq!(got.text(), format!("{step}: insufficient-space\n"));
    }
    assert!(folder.go(BYTES, &["size=/d/a,1001"]).text().contains("No space left"));
    assert_eq!(folder.bytes(), 0);
}
