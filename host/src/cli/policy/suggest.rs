//! `host policy suggest`: the smallest policy that would have let audited runs pass.

use std::path::{Path, PathBuf};

use clap::Args;
use host::outcome::Refusal;
use host::policy::{Observed, suggest};
use host::{Stop, escape};
use serde::Serialize;

use super::super::flags::PolicyFlags;
use super::super::report;
use super::{FOUND, print_json, say};

/// Make the smallest policy that would have let audited runs pass, from their receipts
///
/// Receipts come from `host run --audit --receipt FILE`. They hold no values, directories of the host, stores or secrets:
/// give the same policy, ceiling and flags that the audits ran with, and these are taken from there. Nothing is suggested
/// that those didn't grant.
///
/// Limits are what the runs used at most, with headroom: twice an amount, rounded up to a power of two; four times a
/// time, in whole seconds, but at least 10 s of `wall` and 2 s of `cpu`; never more than the runs had.
///
/// The exit status is 1 where no policy can be made, such as from an audit that had no room for all uses.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Suggest {
    #[command(flatten)]
    policy: PolicyFlags,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Receipts of audited runs
    #[arg(value_name = "RECEIPT", required = true)]
    receipts: Vec<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  host run --audit --receipt seen.json program.wasm && host policy suggest seen.json > program.toml
  host run --audit --ceiling wide.toml --receipt seen.json redact.wasm < access.log
  host policy suggest --ceiling wide.toml seen.json > redact.toml
  host policy suggest --dir ./data::/data monday.json tuesday.json > program.toml";

/// More than any receipt has: an audit has at most 64 KiB of names.
const MAX: u64 = 4 << 20;

/// What is printed as JSON.
#[derive(Serialize)]
struct Report {
    policy: Option<String>,
    notes: Vec<String>,
    errors: Vec<String>,
}

impl Suggest {
    pub(super) fn run(self) -> Result<u8, Stop> {
        let under = self.policy.policy(true)?;
        let receipts = self.receipts.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
        let (report, status) = match suggest(&receipts, &under) {
            Ok(made) => (Report { policy: Some(made.to_toml()), notes: made.notes, errors: Vec::new() }, 0),
            Err(errors) => (Report { policy: None, notes: Vec::new(), errors }, FOUND),
        };
        if self.json {
            print_json(&report);
            return Ok(status);
        }
        for error in &report.errors {
            report::error(&escape(error));
        }
        if let Some(policy) = &report.policy {
            say!("{}", policy.trim_end());
        }
        Ok(status)
    }
}

fn read(path: &Path) -> Result<Observed, Stop> {
    use std::io::Read as _;
    let shown = escape(&path.display().to_string());
    let refuse = |why: String| {
        let message = format!("failed to read the receipt `{shown}`: {why}");
        Stop::refused(Refusal::Unreadable, message, "receipts are what `host run --receipt FILE` writes")
    };
    let file = std::fs::File::open(path).map_err(|error| refuse(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX + 1).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
    if bytes.len() as u64 > MAX {
        return Err(refuse("it is larger than 4MiB".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))
}
