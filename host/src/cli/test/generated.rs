//! `host test --fuzz`: calls with generated values.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use host::contract::{Verdict, junit};
use host::outcome::StopReason;
use host::{Conductor, Found, Fuzz, Fuzzed};
use serde::Serialize;

use super::{FAILED, Interrupt, Test, USAGE, interrupted, report, side_by_side, written};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Results<'a> {
    seed: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    interrupted: bool,
    functions: &'a [&'a Fuzzed],
}

impl Test {
    /// Calls every function, and returns the exit status.
    pub(super) async fn generated(&self, conductor: &Arc<Conductor>, calls: u64, interrupt: &Interrupt) -> u8 {
        let known: Vec<String> = StopReason::ALL.iter().map(ToString::to_string).collect();
        if let Some(unknown) = self.allow.iter().find(|reason| !known.contains(reason)) {
            report::error(&format!("there is no stop reason `{}`", host::escape(unknown)));
            report::hint("docs/stop-reasons.md has the list");
            return USAGE;
        }
        let functions = match conductor.functions().await {
            Ok(functions) => functions,
            Err(stop) => {
                report::refusal(&stop);
                return stop.reason.exit_status();
            }
        };
        let functions: Vec<String> = functions.into_iter().filter(|name| self.wanted(name)).collect();
        if functions.is_empty() {
            report::error("no exported function has that in its name");
            return USAGE;
        }
        let fuzz = Arc::new(Fuzz { calls, seed: self.seed, allow: self.allow.clone() });
        let work = functions.iter().cloned().map(|function| {
            let (conductor, fuzz) = (Arc::clone(conductor), Arc::clone(&fuzz));
            async move { conductor.fuzz(&function, &fuzz).await }
        });
        let results = side_by_side(self.places(), work, interrupt).await;
        let unrun = functions.iter().enumerate().filter(|(at, _)| !results.iter().any(|(other, _)| other == at));
        let unrun: Vec<String> = unrun.map(|(_, name)| name.clone()).collect();
        let results: Vec<&Fuzzed> = results.iter().map(|(_, fuzzed)| fuzzed).collect();
        let cases: Vec<&str> = results
            .iter()
            .filter_map(|fuzzed| match &fuzzed.found {
                Found::Failed { case, .. } => Some(case.as_str()),
                _ => None,
            })
            .collect();
        let text = if self.json {
            self.fuzz_json(&results, !unrun.is_empty())
        } else {
            self.fuzz_text(&results, &unrun, &cases)
        };
        // A reader that has gone away had what it wanted.
        let _ = std::io::stdout().write_all(text.as_bytes());
        let mut status = if cases.is_empty() { 0 } else { FAILED };
        if let Some(path) = self.save.as_ref().filter(|_| !cases.is_empty()) {
            status = written(path, &cases.join("\n")).unwrap_or(status);
        }
        if let Some(path) = &self.junit {
            let verdicts: Vec<Verdict> = results.iter().filter_map(|fuzzed| fuzzed.verdict()).collect();
            status = written(path, &junit(&[("generated".to_owned(), verdicts, unrun)])).unwrap_or(status);
        }
        if interrupt.is_wished() {
            report::error("cancelled: the results are those of the functions that were over");
            return interrupted();
        }
        status
    }

    fn fuzz_text(&self, results: &[&Fuzzed], unrun: &[String], cases: &[&str]) -> String {
        let mut text = String::new();
        let of = |wanted: fn(&Found) -> bool| results.iter().filter(|fuzzed| wanted(&fuzzed.found)).count();
        for fuzzed in results.iter().filter(|fuzzed| self.verbose || !matches!(fuzzed.found, Found::Held)) {
            text += &fuzzed.text();
        }
        if self.save.is_none() {
            for case in cases {
                // What the component chose in it is escaped, as TOML and WAVE have it.
                let _ = write!(text, "\n{case}");
            }
            text += if cases.is_empty() { "" } else { "\n" };
        }
        let held = of(|found| matches!(found, Found::Held));
        // Writing to a string can't fail.
        let _ = write!(text, "seed {}: {held} held", self.seed);
        let others = [
            (of(|found| matches!(found, Found::Failed { .. })), "failed"),
            (of(|found| matches!(found, Found::Skipped { .. })), "skipped"),
            (unrun.len(), "not run"),
        ];
        for (count, word) in others.iter().filter(|(count, _)| *count > 0) {
            let _ = write!(text, ", {count} {word}");
        }
        text.push('\n');
        text
    }

    fn fuzz_json(&self, functions: &[&Fuzzed], interrupted: bool) -> String {
        let results = Results { seed: self.seed, interrupted, functions };
        serde_json::to_string_pretty(&results).map_or_else(|_| String::new(), |json| json + "\n")
    }
}
