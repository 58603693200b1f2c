//! The report: a line for people as each attack ends, or JSON with all of them.

use std::io::Write as _;

use host::attack::{Attack, Cost, Target};
use host::policy::{LimitKind, Policy};
use serde::Serialize;

use super::{Ended, NOT_CONTAINED};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[1;31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// The version of the report's shape; it grows when a field is taken away or changes its meaning.
const VERSION: u32 = 1;

/// Writes a line to standard output. If that is closed, the exit status still says how it went.
macro_rules! say {
    ($($arg:tt)*) => {
        let _ = writeln!(anstream::stdout(), $($arg)*);
    };
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report<'a> {
    attack_report_version: u32,
    host_version: &'static str,
    policy_digest: String,
    contained: bool,
    exit_status: u8,
    attacks: Vec<Line<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Line<'a> {
    name: &'a str,
    tries: &'a str,
    target: Target,
    /// `contained`, `not-contained` or `not-applied`.
    verdict: &'static str,
    by: Option<&'a str>,
    why: Option<&'a str>,
    goal: u64,
    #[serde(flatten)]
    cost: Option<&'a Cost>,
}

/// Writes the list of attacks.
pub(super) fn list(rows: &[&Attack]) -> u8 {
    for row in rows {
        say!("{:<24} {:<23} {}", row.name, row.target.code(), row.tries);
    }
    0
}

/// Writes the table's head.
pub(super) fn head() {
    say!("{DIM}{:<14} {:<24} {:<23} {:>8} {:>8} {:>8}{PLAIN}", "verdict", "attack", "by", "wall", "cpu", "memory");
}

/// Writes what came of one attack.
pub(super) fn line(result: &Ended) {
    let name = result.attack.name;
    let (verdict, evidence) = match &result.judged {
        Ok(ended) => ended,
        Err(why) => {
            say!("{DIM}{:<14} {name:<24} {why}{PLAIN}", "not applied");
            return;
        }
    };
    let (colour, word) = if verdict.contained { (GREEN, "contained") } else { (RED, "NOT CONTAINED") };
    let cost = &evidence.cost;
    let show = |kind: LimitKind, amount: Option<u64>| amount.map_or_else(|| "?".to_owned(), |n| kind.row().about(n));
    let by = verdict.by.as_deref().unwrap_or("-");
    let wall = show(LimitKind::Wall, Some(cost.wall_ns));
    let (cpu, memory) = (show(LimitKind::Cpu, cost.cpu_ns), show(LimitKind::Memory, cost.memory_peak_bytes));
    say!("{colour}{word:<14}{PLAIN} {name:<24} {by:<23} {wall:>8} {cpu:>8} {memory:>8}");
    if let Some(why) = &verdict.why {
        say!("{:<14} {}: {why}", "", result.attack.tries);
    }
}

/// Writes the last line.
pub(super) fn summary(results: &[Ended]) {
    let ended: Vec<_> = results.iter().filter_map(|result| result.judged.as_ref().ok()).collect();
    let held = ended.iter().filter(|(verdict, _)| verdict.contained).count();
    let skipped = match results.len() - ended.len() {
        0 => String::new(),
        n => format!(", {n} not applied"),
    };
    if held == ended.len() {
        say!("{GREEN}all {held} contained{PLAIN}{skipped}");
    } else {
        say!("{RED}{} of {} NOT CONTAINED{PLAIN}{skipped}", ended.len() - held, ended.len());
    }
}

/// Writes the whole report as JSON.
pub(super) fn json(results: &[Ended], policy: &Policy, contained: bool) {
    let report = Report {
        attack_report_version: VERSION,
        host_version: env!("CARGO_PKG_VERSION"),
        policy_digest: policy.digest(),
        contained,
        exit_status: if contained { 0 } else { NOT_CONTAINED },
        attacks: results.iter().map(Line::of).collect(),
    };
    say!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
}

impl<'a> Line<'a> {
    fn of(result: &'a Ended) -> Self {
        let Attack { name, tries, target, .. } = result.attack;
        let line = Self {
            name,
            tries,
            target: *target,
            verdict: "not-applied",
            by: None,
            why: None,
            goal: result.goal,
            cost: None,
        };
        match &result.judged {
            Err(why) => Self { why: Some(why), ..line },
            Ok((verdict, evidence)) => Self {
                verdict: if verdict.contained { "contained" } else { "not-contained" },
                by: verdict.by.as_deref(),
                why: verdict.why.as_deref(),
                cost: Some(&evidence.cost),
                ..line
            },
        }
    }
}
