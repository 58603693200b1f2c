//! Compiled code: kept on disk, made ahead of time, never loaded unless it is the host's own; and compiling as the work
//! of somebody who isn't trusted.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value as Json;

use crate::support::{guest, host, root};

/// Bytes at the end of an artifact that say where its parts are.
const TRAILER: usize = 136;

const LINE: &str = "write to a@b.example\n";

/// `host run` of a filter with a cache in this folder.
fn run(cache: &Path, component: &Path, flags: &[&str]) -> (Output, Json) {
    let folder = tempfile::tempdir().unwrap();
    let receipt = folder.path().join("receipt.json");
    let mut child = start(cache, component, &receipt, flags);
    child.stdin.take().unwrap().write_all(LINE.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    let json = fs::read_to_string(&receipt).unwrap();
    (output, serde_json::from_str(&json).unwrap())
}

fn start(cache: &Path, component: &Path, receipt: &Path, flags: &[&str]) -> Child {
    host()
        .env("HOST_CACHE", cache)
        .arg("run")
        .arg("--receipt")
        .arg(receipt)
        .args(flags)
        .arg(component)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[track_caller]
fn redacts(ran: &(Output, Json)) {
    assert_eq!(String::from_utf8_lossy(&ran.0.stdout), "write to [email]\n", "{}", stderr(ran));
    assert_eq!(ran.1["stop"]["reason"], "returned");
}

fn stderr(ran: &(Output, Json)) -> String {
    String::from_utf8_lossy(&ran.0.stderr).into_owned()
}

fn compiled(ran: &(Output, Json)) -> bool {
    ran.1["timings"]["compile-ns"].as_u64().unwrap() > 0
}

#[track_caller]
fn refused(ran: &(Output, Json), reason: &str, said: &str) {
    assert_eq!(ran.1["stop"]["reason"], reason, "{}", stderr(ran));
    assert_eq!(ran.0.status.code(), Some(126));
    assert!(stderr(ran).contains(said), "no `{said}` in {}", stderr(ran));
    assert!(ran.0.stdout.is_empty());
}

/// The artifacts in a cache.
fn kept(cache: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "aot")).collect()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_component_is_compiled_once_for_each_setting_that_is_compiled_in() {
    let (cache, redact) = (folder(), guest("rust/redact.wasm"));
    let go = |flags: &[&str]| {
        let ran = run(cache.path(), &redact, flags);
        redacts(&ran);
        compiled(&ran)
    };
    assert!(go(&[]) && !go(&[]));
    // The stack isn't compiled in, fuel is, and so is what makes runs deterministic.
    assert!(!go(&["--stack", "1MiB"]));
    assert!(go(&["--fuel", "1000000000"]) && !go(&["--fuel", "2000000000"]));
    assert!(go(&["--deterministic", "7"]) && !go(&["--deterministic", "8"]));
    assert!(!go(&[]));
    assert_eq!(kept(cache.path()).len(), 3);
    // And never without a cache.
    assert!(go(&["--cache", "off"]) && go(&["--cache", "off"]));
}

#[test]
fn code_that_was_changed_in_the_cache_is_compiled_again() {
    let (cache, redact) = (folder(), guest("rust/redact.wasm"));
    redacts(&run(cache.path(), &redact, &[]));
    let path = kept(cache.path()).remove(0);
    let good = fs::read(&path).unwrap();
    let middle = good.len() / 2;
    let mut flipped = good.clone();
    flipped[middle] ^= 1;
    let other = [&good[..middle], &good[middle + 1..]].concat();
    for bad in [&flipped[..], &good[..middle], b"", b"\x7fELF", &other] {
        fs::write(&path, bad).unwrap();
        let ran = run(cache.path(), &redact, &[]);
        redacts(&ran);
        assert!(compiled(&ran));
        assert!(stderr(&ran).matches("compiled again").count() == 1, "{}", stderr(&ran));
        assert_eq!(fs::read(&path).unwrap().len(), good.len());
        assert!(!compiled(&run(cache.path(), &redact, &[])));
    }
    // Another key in the folder makes all of it worthless.
    fs::write(cache.path().join("key"), "11".repeat(32)).unwrap();
    assert!(compiled(&run(cache.path(), &redact, &[])));
}

#[test]
fn twenty_processes_that_start_one_component_at_once_compile_it_once() {
    let (cache, scratch, redact) = (folder(), folder(), guest("rust/redact.wasm"));
    let receipt = |n: usize| scratch.path().join(format!("{n}.json"));
    let children: Vec<Child> = (0..20)
        .map(|n| {
            let mut child = start(cache.path(), &redact, &receipt(n), &[]);
            child.stdin.take().unwrap().write_all(LINE.as_bytes()).unwrap();
            child
        })
        .collect();
    let mut times = 0;
    for (n, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let json = serde_json::from_str(&fs::read_to_string(receipt(n)).unwrap()).unwrap();
        let ran = (output, json);
        redacts(&ran);
        times += usize::from(compiled(&ran));
    }
    assert_eq!(times, 1);
    let mut left: Vec<String> =
        fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert!(left.len() == 2 && left[1] == "key", "{left:?}");
}

#[test]
fn a_host_that_is_killed_while_it_compiles_or_writes_leaves_nothing_broken() {
    let (scratch, markdown) = (folder(), guest("rust/markdown.wasm"));
    let receipt = scratch.path().join("receipt.json");
    let whole = {
        let cache = folder();
        run(cache.path(), &markdown, &[]);
        fs::metadata(kept(cache.path()).remove(0)).unwrap().len()
    };
    let (mut early, mut late) = (0, 0);
    for round in 0..12 {
        let cache = folder();
        let mut child = start(cache.path(), &markdown, &receipt, &[]);
        let seen = |ending: &str| {
            let mut files = fs::read_dir(cache.path()).into_iter().flatten().flatten();
            files.any(|entry| entry.file_name().to_string_lossy().ends_with(ending))
        };
        // Half of them while the compiler works, half while its code is written or just was.
        let ending = if round % 2 == 0 { ".lock" } else { ".aot" };
        while !seen(ending) && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for path in kept(cache.path()) {
            assert_eq!(fs::metadata(path).unwrap().len(), whole);
            late += 1;
        }
        early += usize::from(kept(cache.path()).is_empty());
        // Whatever is left, the next one finds its way.
        let ran = run(cache.path(), &markdown, &[]);
        assert_eq!(ran.1["stop"]["reason"], "returned", "{}", stderr(&ran));
        assert_eq!(kept(cache.path()).len(), 1);
    }
    assert!(early > 0, "none was killed before its code was written: {early} and {late}");
}

#[test]
fn a_cache_that_cant_be_used_is_said_once_and_done_without() {
    let (redact, scratch) = (guest("rust/redact.wasm"), folder());
    let file = scratch.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let open = scratch.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    for cache in [file.as_path(), &open, Path::new("/proc/self")] {
        let ran = run(cache, &redact, &[]);
        redacts(&ran);
        assert_eq!(stderr(&ran).matches("going on without it").count(), 1, "{}", stderr(&ran));
    }
    // A disk that takes the key and not the code: files may have 60 or 120 KiB here, as the shell counts.
    let cache = folder();
    let limited = |cache: &Path| {
        let shell = format!("trap '' XFSZ; ulimit -f 120; exec \"$0\" run '{}'", redact.display());
        let mut child = Command::new("sh");
        child.arg("-c").arg(shell).arg(env!("CARGO_BIN_EXE_host")).env("HOST_CACHE", cache);
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(LINE.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = limited(cache.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "write to [email]\n", "{said}");
    assert_eq!(said.matches("going on without the cache").count(), 1, "{said}");
    assert_eq!(kept(cache.path()).len(), 0);
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1, "the key alone");
}

/// `host compile`, which must succeed.
fn compile(cache: &Path, component: &Path, output: &Path, flags: &[&str]) -> String {
    let ran = host().env("HOST_CACHE", cache).arg("compile").arg("-o").arg(output).args(flags).arg(component).output();
    let ran = ran.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}");
    said
}

#[test]
fn an_artifact_runs_where_its_key_is_known_and_nowhere_else() {
    let (cache, elsewhere, scratch) = (folder(), folder(), folder());
    let artifact = scratch.path().join("redact.aot");
    let said = compile(cache.path(), &guest("rust/redact.wasm"), &artifact, &[]);
    let ran = run(cache.path(), &artifact, &[]);
    redacts(&ran);
    assert!(!compiled(&ran));
    // The receipt says which component it was, not which artifact.
    let from_source = run(cache.path(), &guest("rust/redact.wasm"), &[]);
    assert_eq!(ran.1["component"], from_source.1["component"]);

    let other = run(elsewhere.path(), &artifact, &[]);
    refused(&other, "refused.unauthenticated", "it was made with the key");
    let id = said.rsplit('`').nth(1).unwrap();
    assert!(stderr(&other).contains(id), "{said}{}", stderr(&other));
    refused(&run(cache.path(), &artifact, &["--cache", "off"]), "refused.unauthenticated", "no key");

    // A key of the operator's own works without a cache.
    let key = scratch.path().join("fleet.key");
    fs::write(&key, "ab".repeat(32)).unwrap();
    let key = key.to_str().unwrap();
    compile(cache.path(), &guest("rust/redact.wasm"), &artifact, &["--artifact-key", key]);
    redacts(&run(elsewhere.path(), &artifact, &["--artifact-key", key]));
    redacts(&run(elsewhere.path(), &artifact, &["--artifact-key", key, "--cache", "off"]));
    refused(&run(cache.path(), &artifact, &[]), "refused.unauthenticated", "it was made with the key");
}

#[test]
fn an_artifact_that_was_changed_or_doesnt_fit_is_refused_with_the_reason() {
    let (cache, scratch) = (folder(), folder());
    let artifact = scratch.path().join("redact.aot");
    compile(cache.path(), &guest("rust/redact.wasm"), &artifact, &[]);
    refused(&run(cache.path(), &artifact, &["--fuel", "1000"]), "refused.artifact", "made with `fuel` off");
    refused(
        &run(cache.path(), &artifact, &["--deterministic", "1"]),
        "refused.artifact",
        "made with `deterministic` off",
    );
    refused(&run(cache.path(), &artifact, &["--artifact-size", "1KiB"]), "refused.compile-size", "1KiB");
    let good = fs::read(&artifact).unwrap();
    let bad = scratch.path().join("bad.aot");
    for at in [0, 1, 100, good.len() / 2, good.len() - TRAILER - 1, good.len() - 100, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        fs::write(&bad, bytes).unwrap();
        let ran = run(cache.path(), &bad, &[]);
        // What doesn't begin as native code any more is no artifact to begin with.
        let reason = if at < 4 { "refused.not-wasm" } else { "refused.unauthenticated" };
        refused(&ran, reason, "");
    }
    for end in [4, 64, good.len() / 2, good.len() - 1] {
        fs::write(&bad, &good[..end]).unwrap();
        refused(&run(cache.path(), &bad, &[]), "refused.unauthenticated", "");
    }
}

#[test]
fn compiling_is_refused_at_each_of_its_limits_and_not_before() {
    let (cache, scratch) = (folder(), folder());
    let markdown = guest("rust/markdown.wasm");
    let go = |flags: &[&str]| run(cache.path(), &markdown, &[&["--cache", "off"], flags].concat());
    let artifact = scratch.path().join("markdown.aot");
    compile(cache.path(), &markdown, &artifact, &[]);
    let bytes = fs::read(&artifact).unwrap();
    let at = bytes.len() - TRAILER + 16;
    let size = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(go(&["--artifact-size", &size.to_string()]).1["stop"]["reason"], "returned");
    let refusal = go(&["--artifact-size", &(size - 1).to_string()]);
    refused(&refusal, "refused.compile-size", "`artifact-size`");
    assert_eq!(refusal.1["stop"]["limit"]["max"], size - 1);
    // Code that is there already is no smaller for that.
    assert!(compiled(&run(cache.path(), &markdown, &[])) && !compiled(&run(cache.path(), &markdown, &[])));
    assert_eq!(run(cache.path(), &markdown, &["--artifact-size", &size.to_string()]).1["stop"]["reason"], "returned");
    let kept = run(cache.path(), &markdown, &["--artifact-size", &(size - 1).to_string()]);
    refused(&kept, "refused.compile-size", "`artifact-size`");
    refused(&go(&["--compile-memory", "1B"]), "refused.compile-memory", "`compile-memory`");
    refused(&go(&["--compile-memory", "24MiB"]), "refused.compile-memory", "`compile-memory`");
    refused(&go(&["--compile-wall", "1ms"]), "refused.compile-wall", "`compile-wall`");
    // It has none of the invocation's own time.
    let quick = go(&["--wall", "20ms", "--cpu", "20ms"]);
    assert!(quick.1["stop"]["reason"] != "refused.compile-wall" && compiled(&quick));
}

/// What the process that compiles can still do, by what the system says of it while it waits for its input.
#[test]
#[cfg(target_os = "linux")]
fn the_process_that_compiles_has_given_up_files_network_and_new_rights() {
    let mut child = host().arg("compile-worker").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let job = serde_json::json!({
        "code": { "fuel": false, "deterministic": false, "tier": "cranelift" },
        "offers": { "extended": false, "open": false },
        "limits": { "memory": 1 << 28, "cpu-ns": 3_000_000_000_u64, "wall-ns": 0, "artifact": 0 },
        "later": false,
    });
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{job}").unwrap();
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let status = || fs::read_to_string(proc.join("status")).unwrap();
    while !status().contains("Seccomp:\t2") {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was locked in");
        std::thread::yield_now();
    }
    assert!(status().contains("NoNewPrivs:\t1"));
    let limits = BufReader::new(fs::File::open(proc.join("limits")).unwrap()).lines();
    let limits: Vec<String> =
        limits.map(|line| line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in ["Max data size 268435456 268435456 bytes", "Max cpu time 3 4 seconds", "Max file size 0 0 bytes"] {
        assert!(limits.iter().any(|line| line == expected), "no `{expected}` in {limits:#?}");
    }
    // Nothing but its three pipes.
    assert_eq!(fs::read_dir(proc.join("fd")).unwrap().count(), 3);
    drop(stdin);
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn the_readme_and_the_help_name_no_way_past_the_key() {
    let help = host().arg("run").arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("--artifact-key"));
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for text in [help, readme] {
        assert!(!text.contains("unauthenticated-artifact") || text.contains("--dangerously-"));
    }
}
