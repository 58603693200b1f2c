//! The attack self-test: all is contained by default, and without a limit exactly its own attacks are not.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::support::{host, root};

/// Figures so small that all attacks together take a second or two.
const SMALL: &[(&str, &str)] = &[
    ("memory", "32MiB"),
    ("table", "1000"),
    ("instances", "20"),
    ("stack", "256KiB"),
    ("wall", "1s"),
    ("cpu", "150ms"),
    ("fuel", "100_000_000_000"),
    ("output", "256KiB"),
    ("input", "256KiB"),
    ("hostcall", "512KiB"),
    ("handles", "200"),
    ("files", "20"),
    ("timers", "20"),
    ("random", "64KiB"),
    ("component-size", "1MiB"),
    ("http-requests", "30"),
    ("http-concurrency", "4"),
    ("http-body", "256KiB"),
    ("http-headers", "64KiB"),
    ("http-timeout", "400ms"),
    ("net-bytes", "256KiB"),
    ("lookups", "10"),
];

/// A policy with small limits, of which one is switched off.
fn small(without: Option<&str>) -> String {
    let value = |(name, value): &(&str, &str)| {
        let value = if without == Some(name) { "unlimited" } else { value };
        if value.parse::<u64>().is_ok() { format!("{name} = {value}\n") } else { format!("{name} = \"{value}\"\n") }
    };
    SMALL.iter().map(value).fold("[limits]\n".to_owned(), |text, line| text + &line)
}

fn attack(policy: Option<&str>, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = host();
    command.arg("attack").args(args).env("TMPDIR", folder.path());
    if let Some(text) = policy {
        let path = folder.path().join("policy.toml");
        std::fs::write(&path, text).unwrap();
        command.arg("--policy").arg(path);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "policy.toml"), "left behind: {left:?}");
    output
}

/// A self-test's report, and its exit status.
fn report(policy: Option<&str>, args: &[&str]) -> (Json, i32) {
    let output = attack(policy, &[&["--json", "--jobs", "2"], args].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}:\n{text}\n{stderr}"));
    (json, output.status.code().unwrap())
}

/// The names of the attacks with this verdict.
fn with(report: &Json, verdict: &str) -> BTreeSet<String> {
    let attacks = report["attacks"].as_array().unwrap().iter();
    attacks
        .filter(|attack| attack["verdict"] == verdict)
        .map(|attack| attack["name"].as_str().unwrap().into())
        .collect()
}

/// The names of the attacks that go after this.
fn after(report: &Json, target: &str) -> BTreeSet<String> {
    let attacks = report["attacks"].as_array().unwrap().iter();
    attacks.filter(|attack| attack["target"] == target).map(|attack| attack["name"].as_str().unwrap().into()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_default_policy_contains_all_attacks() {
    let (report, status) = report(None, &[]);
    assert_eq!(with(&report, "not-contained"), set(&[]), "{report:#}");
    // Fuel is not metered by default.
    assert_eq!(with(&report, "not-applied"), set(&["fuel"]));
    assert!(with(&report, "contained").len() >= 65, "{report:#}");
    assert_eq!((status, &report["contained"]), (0, &Json::Bool(true)));
}

#[test]
fn without_a_limit_exactly_its_attacks_are_not_contained() {
    let (whole, status) = report(Some(&small(None)), &[]);
    assert_eq!(with(&whole, "not-contained"), set(&[]), "{whole:#}");
    assert_eq!((with(&whole, "not-applied"), status), (set(&[]), 0));
    for (name, _) in SMALL {
        let attacks = after(&whole, &format!("limit.{name}"));
        assert!(!attacks.is_empty(), "nothing goes after `{name}`");
        let (report, status) = match *name {
            "stack" => continue,
            // Switching fuel off is not metering it, which is the default; `cpu` does its work then.
            "fuel" => {
                let (report, status) = report(Some(&small(Some("fuel"))), &["--only", "fuel", "--only", "spin"]);
                assert_eq!((with(&report, "not-applied"), status), (set(&["fuel"]), 0));
                continue;
            }
            _ => report(Some(&small(Some(name))), &[]),
        };
        assert_eq!(with(&report, "not-contained"), attacks, "without `{name}`: {report:#}");
        assert_eq!((status, &report["contained"]), (1, &Json::Bool(false)));
    }
}

#[test]
fn the_fuel_is_attacked_where_it_is_metered() {
    let (report, status) = report(Some("limits.fuel = 1_000_000"), &["--only", "fuel"]);
    assert_eq!((report["attacks"][0]["by"].as_str(), status), (Some("limit.fuel"), 0));
}

#[test]
fn a_denial_that_stops_contains_too() {
    let args = ["--only", "net-tcp", "--only", "net-names", "--only", "escape-by-link", "--only", "write-to-read-only"];
    let (report, status) = report(Some("on-denied = 'stop'"), &args);
    let by =
        |name: &str| report["attacks"].as_array().unwrap().iter().find(|a| a["name"] == name).unwrap()["by"].clone();
    assert_eq!(status, 0, "{report:#}");
    assert_eq!((by("net-tcp"), by("net-names")), ("denied.net".into(), "denied.dns".into()));
    assert_eq!((by("escape-by-link"), by("write-to-read-only")), ("denied.dir".into(), "denied.dir".into()));
}

#[test]
fn the_report_says_what_was_run_what_ended_it_and_what_it_cost() {
    let policy = "limits = { memory = '16MiB', cpu = '100ms' }";
    let (report, _) = report(Some(policy), &["--only", "spin", "--only", "memory-growth", "--only", "input"]);
    assert_eq!(report["attack-report-version"], 1);
    assert_eq!(report["exit-status"], 0);
    assert!(report["policy-digest"].as_str().unwrap().starts_with("sha256:"));
    // In the order of the catalogue, whatever the order of the flags and of the endings.
    let names: Vec<_> = report["attacks"].as_array().unwrap().iter().map(|attack| attack["name"].clone()).collect();
    assert_eq!(names, ["memory-growth", "spin", "input"]);
    let spin = &report["attacks"][1];
    assert_eq!((&spin["target"], &spin["by"]), (&"limit.cpu".into(), &"limit.cpu".into()));
    assert!(spin["cpu-ns"].as_u64().unwrap() >= 90_000_000, "{spin}");
    assert!(spin["wall-ns"].as_u64().unwrap() >= 100_000_000, "{spin}");
    let growth = &report["attacks"][0];
    assert!(growth["memory-peak-bytes"].as_u64().unwrap() > 4 << 20, "{growth}");
    assert_eq!(growth["goal"], (16 << 20) / 65536 + 256);
}

#[test]
fn the_table_says_the_verdict_and_why() {
    let output = attack(Some("limits.random = 'unlimited'"), &["--only", "random-flood", "--only", "stack"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap();
    assert!(line("random-flood").starts_with("NOT CONTAINED "), "{text}");
    assert!(text.contains("`random` is unlimited: it took all that it wanted"), "{text}");
    assert!(line("stack").starts_with("contained ") && line("stack").contains("limit.stack"), "{text}");
    assert!(text.ends_with("1 of 2 NOT CONTAINED\n"), "{text}");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn a_policy_that_is_wrong_attacks_nothing() {
    let output = attack(Some("limits.memory = 5"), &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(126), 0), "{stderr}");
    assert!(stderr.contains("error: refused.policy: ") && stderr.contains("`memory` needs a unit"), "{stderr}");
    let output = attack(Some("limits.stack = 'unlimited'"), &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(126));
    assert!(stderr.contains("`stack` can't be unlimited"), "{stderr}");
    // What can't be run can't be attacked, and is not reported as attacks that got through.
    let output = attack(Some("[[dir]]\nhost = '/no/such/folder'\naccess = 'read-only'"), &[]);
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(126), "{stdout}\n{stderr}");
    assert!(stderr.contains("error: refused.grant: ") && !stdout.contains("CONTAINED"), "{stdout}\n{stderr}");
}

#[test]
fn every_attack_is_documented() {
    let list = String::from_utf8(attack(None, &["--list"]).stdout).unwrap();
    let doc = std::fs::read_to_string(root().join("docs/attack.md")).unwrap();
    for line in list.lines() {
        let mut words = line.split_whitespace();
        let (name, target) = (words.next().unwrap(), words.next().unwrap());
        let row = doc.lines().find(|row| row.starts_with(&format!("| `{name}` |")));
        assert!(row.is_some_and(|row| row.contains(&format!("| `{target}` |"))), "docs/attack.md lacks `{name}`");
    }
    let documented = doc.lines().filter(|row| row.starts_with("| `") && !row.starts_with("| `--")).count();
    assert_eq!(list.lines().count(), documented);
}

/// The process that runs an attack of a self-test whose files are below `folder`.
#[cfg(target_os = "linux")]
fn child_below(folder: &str) -> Option<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().into_string().ok());
    let command = |pid: &String| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    pids.filter(|pid| pid.parse::<u32>().is_ok())
        .find(|pid| String::from_utf8_lossy(&command(pid)).contains(&format!("{folder}/host-attack-")))
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_ends_the_attacks_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "limits = { wall = '1h', cpu = '1h' }").unwrap();
    let path = folder.path().display().to_string();
    let mut attack = host();
    attack.args(["attack", "--only", "sleep", "--only", "spin", "--policy"]).arg(&policy).env("TMPDIR", &path);
    let mut attack = attack.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while child_below(&path).is_none() {
        assert!(Instant::now() < deadline, "no attack was started");
        std::thread::yield_now();
    }
    let pid = attack.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut stderr = String::new();
    attack.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(attack.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(stderr.contains("error: cancelled: "), "{stderr}");
    assert_eq!(child_below(&path), None, "an attack goes on");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["policy.toml"]);
}

#[test]
fn a_compiler_without_limits_is_not_contained() {
    let unlimited = "limits.compile-cpu = 'unlimited'\nlimits.compile-wall = 'unlimited'\n\
                     limits.compile-memory = 'unlimited'\nlimits.artifact-size = 'unlimited'";
    let only = ["--only", "compile-joins"];
    let (report, status) = report(Some(unlimited), &only);
    assert_eq!(status, 1, "{report:#}");
    // And with any of them it is.
    for limit in ["compile-cpu = '1s'", "compile-wall = '2s'"] {
        let (report, status) = self::report(Some(&format!("limits.{limit}")), &only);
        assert_eq!(status, 0, "{report:#}");
    }
}
