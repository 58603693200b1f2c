//! `host test`: behavioural cases against a component.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use host::contract::{Case, Status, Suite, Verdict, junit, update};
use host::policy::Limits;
use host::{Conductor, escape};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::interrupt::Interrupt;
use super::{USAGE, files, report};

/// Exit status when a case failed.
const FAILED: u8 = 1;

/// Run behavioural cases against a component, each in a fresh instance
///
/// A file of cases says what is called, what it returns or how it stops, and what the component's imports answer. Only
/// the component and the file are needed. docs/contract.md has the format.
///
/// The exit status is 0 when all cases passed, 1 when one didn't, 2 when a file of cases is wrong, 126 for what is no
/// component, and 127 when there is no such file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Test {
    /// Run the cases with this in their name only; may come several times
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,

    /// Run so many cases at once [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,

    /// Name the cases that passed, too
    #[arg(long, short)]
    verbose: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Write the results to this file too, in the form of JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Write what was seen into the files, where a case failed: look at what changed before you keep it
    #[arg(long)]
    update: bool,

    /// A component, a core module for WASI preview 1, or either as text; `-` reads standard input
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,

    /// Files of cases
    #[arg(value_name = "CASES", required = true)]
    cases: Vec<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  host test redact.wasm redact.toml
  host test --only mask --verbose redact.wasm redact.toml
  host test --junit results.xml redact.wasm cases/*.toml
  host test --update redact.wasm redact.toml && git diff redact.toml";

/// A file of cases that was read.
struct File {
    path: PathBuf,
    shown: String,
    text: String,
    suite: Suite,
}

#[derive(Serialize)]
struct FileResult<'a> {
    file: &'a str,
    cases: &'a [Verdict],
}

impl Test {
    /// Runs the cases and returns the exit status.
    pub(super) async fn run(self) -> u8 {
        let Some(files) = self.files() else { return USAGE };
        let bytes = files::component(&self.component, Limits::default().component_size.0);
        let interrupt = Interrupt::listen();
        let conductor = async { Conductor::new(bytes?).await };
        let conductor = match interrupt.or(conductor).await.and_then(|made| made) {
            Ok(conductor) => Arc::new(conductor),
            Err(stop) => {
                report::refusal(&stop);
                return stop.reason.exit_status();
            }
        };
        let mut results = Vec::new();
        for file in &files {
            let cases: Vec<Case> = file.suite.cases.iter().filter(|case| self.wanted(case)).cloned().collect();
            match interrupt.or(self.verdicts(&conductor, &cases)).await {
                Ok(verdicts) => results.push((file.shown.clone(), cases, verdicts)),
                Err(stop) => {
                    report::refusal(&stop);
                    return stop.reason.exit_status();
                }
            }
        }
        if results.iter().all(|(_, cases, _)| cases.is_empty()) {
            report::error("no case has that in its name");
            return USAGE;
        }
        let mut status = u8::from(results.iter().any(|(_, _, verdicts)| verdicts.iter().any(not_passed))) * FAILED;
        let text = if self.json { json(&results) } else { self.text(&results) };
        // A reader that has gone away had what it wanted.
        let _ = std::io::stdout().write_all(text.as_bytes());
        if let Some(path) = &self.junit {
            let results: Vec<(String, Vec<Verdict>)> =
                results.iter().map(|(file, _, verdicts)| (file.clone(), verdicts.clone())).collect();
            status = written(path, &junit(&results)).unwrap_or(status);
        }
        if self.update {
            for (file, (_, cases, verdicts)) in files.iter().zip(&results) {
                let (updated, changed) = update(&file.text, cases, verdicts);
                if changed > 0 {
                    status = written(&file.path, &updated).unwrap_or(status);
                    let cases = if changed == 1 { "1 case".to_owned() } else { format!("{changed} cases") };
                    report::note(&format!("updated {cases} in `{}`: look at the difference", file.shown));
                }
            }
        }
        status
    }

    /// Reads all files, and says everything that is wrong with any of them.
    fn files(&self) -> Option<Vec<File>> {
        let mut files = Vec::new();
        for path in &self.cases {
            let shown = escape(&path.display().to_string());
            let read = std::fs::read_to_string(path);
            match read.map(|text| (Suite::parse(&text), text)) {
                Ok((Ok(suite), text)) => files.push(File { path: path.clone(), shown, text, suite }),
                Ok((Err(errors), _)) => {
                    for error in &errors.0 {
                        let mut lines = error.message.lines();
                        let first = lines.next().unwrap_or_default();
                        report::error(&format!("{shown}:{}:{}: {}", error.line, error.column, escape(first)));
                        lines.for_each(report::more);
                    }
                }
                Err(error) => report::error(&format!("failed to read the cases in `{shown}`: {error}")),
            }
        }
        if files.len() == self.cases.len() {
            return Some(files);
        }
        report::hint("docs/contract.md has the format of cases");
        None
    }

    fn wanted(&self, case: &Case) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| case.name.contains(text))
    }

    /// Runs cases side by side. Results are in the order of the file, whichever was ready first.
    async fn verdicts(&self, conductor: &Arc<Conductor>, cases: &[Case]) -> Vec<Verdict> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let places = Arc::new(Semaphore::new(self.jobs.map_or(processors, usize::from)));
        let mut tasks = JoinSet::new();
        for (at, case) in cases.iter().enumerate() {
            let (conductor, case) = (Arc::clone(conductor), case.clone());
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            tasks.spawn(async move {
                let verdict = conductor.run(&case).await;
                drop(place);
                (at, verdict)
            });
        }
        let mut verdicts = Vec::new();
        while let Some(done) = tasks.join_next().await {
            verdicts.extend(done.ok());
        }
        verdicts.sort_by_key(|(at, _)| *at);
        verdicts.into_iter().map(|(_, verdict)| verdict).collect()
    }

    fn text(&self, results: &[(String, Vec<Case>, Vec<Verdict>)]) -> String {
        let mut text = String::new();
        for (file, cases, verdicts) in results {
            for verdict in verdicts.iter().filter(|verdict| self.verbose || not_passed(verdict)) {
                text += &verdict.text();
            }
            let of = |status| verdicts.iter().filter(|verdict| verdict.status == status).count();
            let (passed, failed, broken) = (of(Status::Passed), of(Status::Failed), of(Status::Broken));
            let lost = cases.len() - verdicts.len();
            // Writing to a string can't fail.
            let _ = write!(text, "{file}: {passed} passed");
            for (count, word) in [(failed, "failed"), (broken, "broken"), (lost, "lost")] {
                if count > 0 {
                    let _ = write!(text, ", {count} {word}");
                }
            }
            text.push('\n');
        }
        text
    }
}

fn not_passed(verdict: &Verdict) -> bool {
    verdict.status != Status::Passed
}

fn json(results: &[(String, Vec<Case>, Vec<Verdict>)]) -> String {
    let results: Vec<FileResult<'_>> = results.iter().map(|(file, _, cases)| FileResult { file, cases }).collect();
    serde_json::to_string_pretty(&results).map_or_else(|_| String::new(), |json| json + "\n")
}

/// Writes a file; an exit status where that failed.
fn written(path: &Path, text: &str) -> Option<u8> {
    /// As `sysexits` has it.
    const IO_ERROR: u8 = 74;
    let error = std::fs::write(path, text).err()?;
    report::error(&format!("failed to write `{}`: {error}", escape(&path.display().to_string())));
    Some(IO_ERROR)
}
