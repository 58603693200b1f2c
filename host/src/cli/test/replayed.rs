//! `host test --replay`: what cases answer for the host, asked of the host.

use std::fmt::Write as _;
use std::io::Write as _;

use host::contract::{Case, Status, Verdict, junit};
use host::{Conductor, escape};
use serde::Serialize;

use super::{FAILED, File, Interrupt, Test, USAGE, interrupted, not_passed, report, written};

#[derive(Serialize)]
struct FileResult<'a> {
    file: &'a str,
    answers: &'a [Verdict],
    skipped: &'a [(String, String)],
}

impl Test {
    /// Compares all answers, and returns the exit status.
    pub(super) async fn replayed(&self, conductor: &Conductor, files: &[File], interrupt: &Interrupt) -> u8 {
        let mut results = Vec::new();
        for file in files {
            let cases: Vec<Case> = file.suite.cases.iter().filter(|case| self.wanted(&case.name)).cloned().collect();
            match interrupt.or(conductor.replay(&cases)).await {
                Ok(Ok(replayed)) => results.push((file.shown.as_str(), replayed)),
                Ok(Err(stop)) => {
                    report::refusal(&stop);
                    return stop.reason.exit_status();
                }
                Err(_) => {
                    report::error("cancelled: the results are those of the files that were over");
                    break;
                }
            }
        }
        let mut text = String::new();
        for (file, replayed) in &results {
            for verdict in replayed.verdicts.iter().filter(|verdict| self.verbose || not_passed(verdict)) {
                text += &verdict.text();
            }
            for (name, why) in replayed.skipped.iter().filter(|_| self.verbose) {
                // Writing to a string can't fail.
                let _ = writeln!(text, "skipped {}: {why}", escape(name));
            }
            let of = |status| replayed.verdicts.iter().filter(|verdict| verdict.status == status).count();
            let _ = write!(text, "{file}: the host answers {} as the case does", of(Status::Passed));
            let others = [
                (of(Status::Failed), "otherwise"),
                (of(Status::Broken), "broken"),
                (replayed.skipped.len(), "skipped"),
            ];
            for (count, word) in others.iter().filter(|(count, _)| *count > 0) {
                let _ = write!(text, ", {count} {word}");
            }
            text.push('\n');
        }
        if self.json {
            let results: Vec<FileResult<'_>> = results
                .iter()
                .map(|(file, replayed)| FileResult { file, answers: &replayed.verdicts, skipped: &replayed.skipped })
                .collect();
            text = serde_json::to_string_pretty(&results).map_or_else(|_| String::new(), |json| json + "\n");
        }
        // A reader that has gone away had what it wanted.
        let _ = std::io::stdout().write_all(text.as_bytes());
        let failed = results.iter().any(|(_, replayed)| replayed.verdicts.iter().any(not_passed));
        let mut status = if failed { FAILED } else { 0 };
        if let Some(path) = &self.junit {
            let results: Vec<_> =
                results.iter().map(|(file, all)| ((*file).to_owned(), all.verdicts.clone(), Vec::new())).collect();
            status = written(path, &junit(&results)).unwrap_or(status);
        }
        if interrupt.is_wished() {
            return interrupted();
        }
        if results.iter().all(|(_, replayed)| replayed.verdicts.is_empty()) {
            report::error("no case answers a call in the host's stead that could be made");
            return USAGE;
        }
        status
    }
}
