//! `cargo xtask demo`: from a clean clone to a redacted log and its receipt, with nothing else to type.
//!
//! Every step is what a user would do by hand; each command is shown before it is run.

mod receipt;

use crate::{cargo, repo, term, test};
use anyhow::{Context, Result, bail};
use receipt::Receipt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Build the host and the redact guest, and run one in the other on real logs
///
/// Redacts a log of this machine if one is readable, then the sample in docs/samples, and prints the first lines of
/// the result and a summary of the receipt. Results go to standard output, progress to standard error.
///
/// Example: cargo xtask demo
#[derive(clap::Args)]
pub(crate) struct Demo {}

/// The log that every demo ends with.
const SAMPLE: &str = "docs/samples/access.log";
/// The guest that redacts, below the root.
const GUEST: &str = "target/guests/rust/redact.wasm";
/// Logs of a machine that tend to be readable, the most telling first.
const MACHINE_LOGS: &[&str] =
    &["/var/log/nginx/access.log", "/var/log/auth.log", "/var/log/syslog", "/var/log/dpkg.log", "/var/log/messages"];
/// Where to look no further: a bigger log would only make people wait, or be refused by the limit on input.
const BIGGEST: u64 = 8 << 20;
/// How many lines of a result are shown.
const LINES: usize = 12;

impl Demo {
    pub(crate) fn run(self) -> Result<()> {
        let start = Instant::now();
        let root = repo::root()?;
        term::say("demo 1/3: the redact guest");
        test::build_guests(&["--lang", "rust", "--guest", "redact"])?;
        term::say("demo 2/3: the host; the engine takes minutes the first time");
        cargo::run(&root, &["build", "--package", "host", "--bin", "host"])?;
        let host = cargo::target_directory(&root)?.join("debug").join(format!("host{}", std::env::consts::EXE_SUFFIX));
        let job = Job { root: &root, host };
        term::say(format_args!("demo 3/3: redact, built and ready after {:.0} s", start.elapsed().as_secs_f64()));
        let mut out = std::io::stdout().lock();
        match machine_log() {
            Some(log) => job.redact(&log, "machine", &mut out)?,
            None => term::say("no log of this machine is readable and of a fair size; the sample will do"),
        }
        job.redact(Path::new(SAMPLE), "sample", &mut out)
    }
}

struct Job<'a> {
    root: &'a Path,
    host: PathBuf,
}

impl Job<'_> {
    /// Runs the guest on `log` and prints the first lines of its output, then what the receipt says.
    fn redact(&self, log: &Path, name: &str, out: &mut impl Write) -> Result<()> {
        let folder = self.root.join("target/demo");
        std::fs::create_dir_all(&folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
        let (output, receipt) = (folder.join(format!("{name}.log")), folder.join(format!("{name}.receipt.json")));
        // A receipt of an earlier run must not pass for one of this run.
        let _ = std::fs::remove_file(&receipt);
        let input = File::open(self.root.join(log)).with_context(|| format!("failed to open `{}`", log.display()))?;
        let stdout = File::create(&output).with_context(|| format!("failed to create `{}`", output.display()))?;
        term::say(format_args!(
            "{} run --receipt {} {GUEST} < {}",
            self.shown(&self.host),
            self.shown(&receipt),
            log.display()
        ));
        let status = Command::new(&self.host)
            .current_dir(self.root)
            .args(["run", "--receipt"])
            .args([receipt.as_path(), Path::new(GUEST)])
            .stdin(input)
            .stdout(stdout)
            .stderr(Stdio::inherit())
            .status()
            .with_context(|| format!("failed to start `{}`", self.host.display()))?;
        let text = std::fs::read(&output).with_context(|| format!("failed to read `{}`", output.display()))?;
        let receipt = Receipt::load(&receipt)?;
        show(&text, &receipt, out).context("failed to print the result")?;
        let stop = receipt.stop_reason()?;
        if stop != "returned" || !status.success() {
            bail!("the job ended as `{stop}` with {status}, and not as `returned`");
        }
        Ok(())
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.root).unwrap_or(path).display().to_string()
    }
}

fn show(text: &[u8], receipt: &Receipt, out: &mut impl Write) -> std::io::Result<()> {
    let text = String::from_utf8_lossy(text);
    for line in text.lines().take(LINES) {
        writeln!(out, "{line}")?;
    }
    let more = text.lines().count().saturating_sub(LINES);
    if more > 0 {
        writeln!(out, "… and {more} more lines")?;
    }
    writeln!(out)?;
    for line in receipt.summary() {
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    out.flush()
}

/// A log of this machine that can be read and is neither empty nor huge.
fn machine_log() -> Option<PathBuf> {
    let fits = |path: &&Path| {
        let size = File::open(path).ok().and_then(|file| file.metadata().ok()).filter(|data| data.is_file());
        size.is_some_and(|data| data.len() > 0 && data.len() <= BIGGEST)
    };
    MACHINE_LOGS.iter().map(Path::new).find(fits).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a job whose host is the shell, which finds a script `run` in the root.
    fn redact(script: &str) -> (Result<()>, String) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("run"), script).unwrap();
        let lines: String = (1..=14).map(|line| format!("line {line}\n")).collect();
        std::fs::write(folder.path().join("log"), lines).unwrap();
        let job = Job { root: folder.path(), host: PathBuf::from("/bin/sh") };
        let mut out = Vec::new();
        let result = job.redact(Path::new("log"), "test", &mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_first_lines_come_first_and_the_receipt_last() {
        let (result, out) = redact("echo '{\"stop\":{\"reason\":\"returned\"}}' > $2; sed s/line/LINE/");
        result.unwrap();
        assert!(out.starts_with("LINE 1\nLINE 2\n"), "{out}");
        assert!(out.ends_with("LINE 12\n… and 2 more lines\n\nreceipt\n  stop reason  returned\n\n"), "{out}");
    }

    #[test]
    fn a_job_that_was_stopped_is_an_error_and_its_receipt_is_shown() {
        let (result, out) = redact("echo '{\"stop\":{\"reason\":\"limit.wall\"}}' > $2; exit 124");
        assert!(result.unwrap_err().to_string().contains("the job ended as `limit.wall`"));
        assert!(out.contains("stop reason  limit.wall"), "{out}");
    }

    #[test]
    fn a_host_that_writes_no_receipt_is_an_error() {
        let (result, _) = redact("cat");
        assert!(format!("{:#}", result.unwrap_err()).contains("wrote no receipt"));
    }
}
