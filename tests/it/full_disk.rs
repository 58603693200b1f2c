//! A disk that is really full: a small file system in memory, mounted where nobody else sees it. A guest that fills it gets
//! an error, and what the host keeps there stays.

#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use crate::support::{host, probe};

/// Ways to a place of one's own to mount something: as any user, as the administrator, and as somebody who may become
/// that without being asked.
const WAYS: [&[&str]; 3] = [
    &["unshare", "--user", "--map-root-user", "--mount"],
    &["unshare", "--mount"],
    &["sudo", "-n", "unshare", "--mount"],
];

/// What a script printed.
struct Printed {
    text: String,
    folder: tempfile::TempDir,
}

/// Runs a script of the shell beside a disk of so many KiB at `$D`. `host` and `guest` are commands in it; `$F` is a folder
/// on another disk.
fn on_a_disk(kib: u32, guest: &str, script: &str) -> Printed {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    std::fs::create_dir(folder.path().join("disk")).unwrap();
    let mut text = String::from("set -eu\n");
    writeln!(text, "F='{at}'; D=\"$F/disk\"; cd /").unwrap();
    writeln!(text, "mount -t tmpfs -o size={kib}k,mode=0777 tmpfs \"$D\"").unwrap();
    writeln!(text, "G='{}'", probe(guest).display()).unwrap();
    // What a command ends with is a part of what is printed.
    let program = host().get_program().to_str().unwrap().to_owned();
    writeln!(text, "host() {{ if '{program}' run \"$@\" 2>&1; then echo status 0; else echo status $?; fi; }}")
        .unwrap();
    writeln!(text, "fill() {{ cat /dev/zero > \"$D/filler\" 2> /dev/null || true; }}\n{script}").unwrap();
    let way = WAYS.iter().find(|way| can_mount(way, folder.path()));
    let Some((first, rest)) = way.and_then(|way| way.split_first()) else {
        panic!("no way to mount a small disk: neither a user namespace, nor as root, nor by `sudo -n`");
    };
    let mut command = Command::new(first);
    command.args(rest).args(["sh", "-c", &text]).env_remove("HOST_LOG").env("NO_COLOR", "1");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(!text.contains("panicked"), "{text}");
    Printed { text: text.into_owned(), folder }
}

fn can_mount(way: &[&str], folder: &Path) -> bool {
    let Some((first, rest)) = way.split_first() else { return false };
    let mut command = Command::new(first);
    command.args(rest).args(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs"]).arg(folder.join("disk"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Printed {
    #[track_caller]
    fn has(&self, part: &str) -> &Self {
        assert!(self.text.contains(part), "no `{part}` in\n{}", self.text);
        self
    }

    fn receipt(&self, name: &str) -> Json {
        serde_json::from_str(&std::fs::read_to_string(self.folder.path().join(name)).unwrap()).unwrap()
    }
}

#[test]
fn a_guest_that_fills_the_disk_gets_an_error_and_no_file_of_another_is_touched() {
    let got = on_a_disk(
        512,
        "fill",
        "echo mine > $D/mine; mkdir $D/d\n\
         host --receipt $F/plain --dir $D/d::/d $G write=/d/a,2000000\n\
         rm $D/d/*\n\
         host --receipt $F/again --dir $D/d::/d $G write=/d/a,100000 direct=a,100000,1000\n\
         rm $D/d/*\n\
         printf '[[dir]]\\nhost = \"%s\"\\nguest = \"/d\"\\naccess = \"read-write\"\\nmax-bytes = \"2MiB\"\\n' $D/d > $F/p.toml\n\
         host --receipt $F/quota --policy $F/p.toml $G write=/d/a,2000000\n\
         cat $D/mine; rm $D/d/*\n\
         host --receipt $F/after --policy $F/p.toml $G write=/d/a,100000\n",
    );
    got.has("mine\n").has("write=/d/a,100000: done\ndirect=a,100000,1000: done\n");
    assert_eq!(got.text.matches("status 0").count(), 2, "{}", got.text);
    for name in ["plain", "quota"] {
        let receipt = got.receipt(name);
        // The disk's own refusal, which is no denial of the policy's.
        assert_eq!((&receipt["stop"]["reason"], &receipt["denials"]), (&"failed".into(), &Json::Array(Vec::new())));
    }
    let errors = ["No space left", "insufficient-space", "I/O error"];
    assert_eq!(
        got.text.lines().filter(|line| errors.iter().any(|error| line.contains(error))).count(),
        2,
        "{}",
        got.text
    );
    assert_eq!(got.receipt("after")["stop"]["reason"], "returned");
}

#[test]
fn a_receipt_that_has_no_room_is_an_error_and_the_one_before_stays() {
    let got = on_a_disk(
        256,
        "exit",
        "host --receipt $D/receipt.json $G 0; cp $D/receipt.json $F/before\n\
         fill; host --receipt $D/receipt.json $G 0\n\
         cp $D/receipt.json $F/kept; ls -A $D\n\
         echo empty > $D/direct || true; ln -s direct $D/link; host --receipt $D/link $G 0\n\
         rm $D/filler; host --receipt $D/receipt.json $G 0; cp $D/receipt.json $F/after\n",
    );
    got.has("failed to write the receipt `").has("No space left on device").has("filler\nreceipt.json\n");
    assert_eq!(got.text.matches("status 74").count(), 2, "{}", got.text);
    assert_eq!(got.text.matches("status 0").count(), 2, "{}", got.text);
    assert_eq!(got.receipt("before"), got.receipt("kept"));
    assert_ne!(got.receipt("before")["id"], got.receipt("after")["id"]);
}

#[test]
fn a_key_value_file_on_a_full_disk_is_an_error_and_keeps_what_was_stored() {
    let got = on_a_disk(
        16 * 1024,
        "keyvalue",
        "K=b=file:$D/kv.redb\n\
         host --key-value $K $G b set kept v set large @500000 > $F/first\n\
         fill\n\
         host --key-value $K $G b fill @300000 get kept set small 1 exists large\n\
         host --key-value $K $G b get kept get large\n\
         rm $D/filler\n\
         host --key-value $K $G b get kept get large set more @400000 get more\n\
         host --key-value $K $G b get kept get more\n",
    );
    got.has("failed: ");
    let fit = got.text.lines().find(|line| line.ends_with(" fit")).unwrap();
    // The file has some room of its own.
    assert!(fit.trim_end_matches(" fit").parse::<u32>().unwrap() < 50, "{}", got.text);
    assert_eq!(got.text.matches("v\n").count(), 4, "{}", got.text);
    assert_eq!(got.text.matches("500000 bytes\n").count(), 2, "{}", got.text);
    assert_eq!(got.text.matches("400000 bytes\n").count(), 2, "{}", got.text);
    assert_eq!(got.text.matches("status 0").count(), 4, "{}", got.text);
}
