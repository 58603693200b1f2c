//! `cargo xtask bench`: the benchmarks in a row, and whole processes against another program that runs components.

use crate::{cargo, repo, term};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Run the benchmarks of starts, and with --peer compare whole processes
///
/// Takes minutes, and the figures mean something only on a machine that does nothing else. What each row is, and how
/// it is measured, is in docs/benchmarks.md; the figures there are copied from this output.
///
/// Example: cargo xtask bench --peer ~/.cargo/bin/wasmtime
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// The `wasmtime` command of the engine's version, for row 4
    #[arg(long, value_name = "PATH")]
    peer: Option<PathBuf>,

    /// Only this part: `start`, `process` or `guest`
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

/// Runs of each side, in pairs.
const PAIRS: usize = 15;

/// A program that says hello and ends.
const HELLO: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\06\00\00\00")
  (data (i32.const 16) "hello\n")
  (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// What one process took.
#[derive(Clone, Copy, Default)]
struct Cost {
    millis: f64,
    peak_kib: u64,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        let root = repo::root()?;
        let wanted = |part: &str| self.only.as_deref().is_none_or(|only| only == part);
        ensure!(
            self.only.is_none() || ["start", "process", "guest"].iter().any(|part| wanted(part)),
            "there is no such part\nhint: say `start`, `process` or `guest`"
        );
        let example = |args: &[&str]| {
            cargo::run(&root, &[&["run", "--quiet", "-p", "host", "--example", "bench_start", "--"], args].concat())
        };
        if wanted("start") {
            for part in ["instance", "calls", "threads", "parked"] {
                example(&[part])?;
            }
        }
        if wanted("guest") {
            example(&["tiers"])?;
            example(&["guest", "target/guests/python/redact.wasm"])?;
            example(&["guest", "target/guests/js/redact.wasm"])?;
        }
        if wanted("process") {
            match &self.peer {
                Some(peer) => processes(&root, peer)?,
                None => term::warn("row 4 is left out: give the `wasmtime` command with --peer"),
            }
        }
        Ok(())
    }
}

/// Row 4: a small program from start to end, both with their caches warm.
fn processes(root: &Path, peer: &Path) -> Result<()> {
    cargo::run(root, &["build", "--quiet", "-p", "host", "--bin", "host"])?;
    let folder = root.join("target/bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    let hello = folder.join("hello.wasm");
    std::fs::write(&hello, wat::parse_str(HELLO)?)?;
    let config = folder.join("cache.toml");
    std::fs::write(&config, format!("[cache]\ndirectory = {:?}\n", folder.join("peer-cache")))?;
    let mut ours = Command::new(root.join("target/debug/host"));
    ours.args(["run", "--cache"]).arg(folder.join("cache")).arg(&hello);
    let mut theirs = Command::new(peer);
    theirs.arg("run").arg("-C").arg(format!("cache=y,cache-config={}", config.display())).arg(&hello);
    // Once each, which fills both caches and shows that both work.
    for command in [&mut ours, &mut theirs] {
        let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
        ensure!(output.stdout == b"hello\n", "{command:?} said:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let (mut times, mut peaks, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let mut took = [Cost::default(); 2];
        for side in [0, 1, 1, 0] {
            let cost = cost(if side == 0 { &mut ours } else { &mut theirs })?;
            if let Some(took) = took.get_mut(side) {
                took.millis += cost.millis / 2.0;
                took.peak_kib = took.peak_kib.max(cost.peak_kib);
            }
        }
        let [ours, theirs] = took;
        times.push(ours.millis / theirs.millis);
        peaks.push(ours.peak_kib as f64 / theirs.peak_kib as f64);
        pairs.push((ours, theirs));
    }
    let (time, peak) = (spread(&mut times), spread(&mut peaks));
    let median = |of: fn(&(Cost, Cost)) -> f64| spread(&mut pairs.iter().map(of).collect::<Vec<_>>()).0;
    term::say(format_args!(
        "process: wall time {:.3} ({:.3} to {:.3}), memory {:.3} ({:.3} to {:.3}) of `{}`; {:.2} and {:.2} ms, {:.1} and {:.1} MiB",
        time.0,
        time.1,
        time.2,
        peak.0,
        peak.1,
        peak.2,
        peer.display(),
        median(|pair| pair.0.millis),
        median(|pair| pair.1.millis),
        median(|pair| pair.0.peak_kib as f64 / 1024.0),
        median(|pair| pair.1.peak_kib as f64 / 1024.0),
    ));
    Ok(())
}

/// Runs a command to its end. The most memory that it held is read while it runs, so the last moment may be missing.
fn cost(command: &mut Command) -> Result<Cost> {
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kib =
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak_kib).max(peak_kib);
    };
    let millis = began.elapsed().as_secs_f64() * 1e3;
    if !ended.success() {
        bail!("{command:?} ended with {ended}");
    }
    Ok(Cost { millis, peak_kib })
}

/// The median, the least and the most.
fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
    (at(values.len() / 2), at(0), at(values.len().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_has_its_spread_beside_it() {
        assert_eq!(spread(&mut [3.0, 1.0, 2.0]), (2.0, 1.0, 3.0));
        assert!(spread(&mut []).0.is_nan());
    }

    #[test]
    fn a_process_has_a_cost_and_one_that_fails_is_an_error() {
        let cost = cost(Command::new("sh").args(["-c", "head -c 100000 /dev/zero > /dev/null"])).unwrap();
        assert!(cost.millis > 0.0);
        assert!(super::cost(Command::new("sh").args(["-c", "exit 3"])).is_err());
    }

    #[test]
    fn what_says_hello_is_a_module() {
        assert!(wat::parse_str(HELLO).unwrap().starts_with(b"\0asm"));
    }
}
