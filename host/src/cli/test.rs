//! `host test`: behavioural cases against a component, and generated ones.

mod generated;
mod replayed;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use host::contract::{Case, Status, Suite, Verdict, junit, update};
use host::outcome::StopReason;
use host::policy::Limits;
use host::{ChildCompiler, Conductor, escape};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::code::CodeFlags;
use super::interrupt::Interrupt;
use super::{USAGE, files, report};

/// Exit status when a case failed.
const FAILED: u8 = 1;

/// Run behavioural cases against a component, each in a fresh instance
///
/// A file of cases says what is called, what it returns or how it stops, and what the component's imports answer. Only
/// the component and the file are needed. docs/contract.md has the format.
///
/// With `--fuzz` there are no files: each exported function is called with values that are made from its own types, the
/// same ones for the same seed. A trap, a stop by a limit, a fault of the host and two answers to one call are failures.
/// The values are made as small as they get, and what fails is printed as a case.
///
/// With `--replay` the imported calls that cases answer in the host's stead are made on the host, with the configuration
/// that a case has under `replay`, and the answers are compared.
///
/// The exit status is 0 when all cases passed, 1 when one didn't, 2 when a file of cases is wrong, 126 for what is no
/// component, 127 when there is no such file, and 130 after ctrl-C, with the results so far.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Test {
    #[command(flatten)]
    code: CodeFlags,

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

    /// Call each exported function so many times with values made from its types, instead of running cases
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000),
          conflicts_with_all = ["cases", "update"])]
    fuzz: Option<u64>,

    /// Ask the host itself what the cases answer for it, instead of running them: a case that answers otherwise fails
    #[arg(long, conflicts_with_all = ["fuzz", "update"])]
    replay: bool,

    /// What all generated values follow from
    #[arg(long, value_name = "S", default_value_t = 0, requires = "fuzz")]
    seed: u64,

    /// A stop that is no failure of a generated call, such as `limit.memory`; may come several times
    #[arg(long, value_name = "STOP", requires = "fuzz")]
    allow: Vec<String>,

    /// Write the calls that failed to this file, as cases, instead of printing them
    #[arg(long, value_name = "FILE", requires = "fuzz")]
    save: Option<PathBuf>,

    /// A component, a core module for WASI preview 1, or either as text; `-` reads standard input
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,

    /// Files of cases
    #[arg(value_name = "CASES", required_unless_present = "fuzz")]
    cases: Vec<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  host test redact.wasm redact.toml
  host test --only mask --verbose redact.wasm redact.toml
  host test --junit results.xml redact.wasm cases/*.toml
  host test --update redact.wasm redact.toml && git diff redact.toml
  host test --replay redact.wasm redact-mocked.toml
  host test --fuzz 1000 --seed 7 --save found.toml redact.wasm && host test redact.wasm found.toml";

/// Exit status after ctrl-C.
fn interrupted() -> u8 {
    StopReason::Cancelled.exit_status()
}

/// A file of cases that was read.
struct File {
    path: PathBuf,
    shown: String,
    text: String,
    suite: Suite,
}

/// What became of a file's cases.
struct Ran {
    shown: String,
    cases: Vec<Case>,
    /// In the order of the cases; after ctrl-C some are missing.
    verdicts: Vec<(usize, Verdict)>,
}

#[derive(Serialize)]
struct FileResult<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    interrupted: bool,
    cases: Vec<&'a Verdict>,
}

impl Test {
    /// Runs the cases and returns the exit status.
    pub(super) async fn run(self) -> u8 {
        let Some(files) = self.files() else { return USAGE };
        let bytes = files::component(&self.component, Limits::default().component_size.0);
        let interrupt = Interrupt::listen();
        let key = match self.code.key() {
            Ok(key) => key,
            Err(stop) => {
                report::refusal(&stop);
                return stop.reason.exit_status();
            }
        };
        let cache = self.code.cache(key);
        let conductor = async { Conductor::with(bytes?, cache, Some(ChildCompiler::this_program())).await };
        let conductor = match interrupt.or(conductor).await.and_then(|made| made) {
            Ok(conductor) => Arc::new(conductor),
            Err(stop) => {
                report::refusal(&stop);
                return stop.reason.exit_status();
            }
        };
        if let Some(calls) = self.fuzz {
            return self.generated(&conductor, calls, &interrupt).await;
        }
        if self.replay {
            return self.replayed(&conductor, &files, &interrupt).await;
        }
        let mut results = Vec::new();
        for file in &files {
            let cases: Vec<Case> = file.suite.cases.iter().filter(|case| self.wanted(&case.name)).cloned().collect();
            let verdicts = self.verdicts(&conductor, &cases, &interrupt).await;
            let ran = Ran { shown: file.shown.clone(), cases, verdicts };
            if !self.json && !ran.cases.is_empty() {
                // A reader that has gone away had what it wanted.
                let _ = std::io::stdout().write_all(self.text(&ran).as_bytes());
            }
            results.push(ran);
        }
        if results.iter().all(|ran| ran.cases.is_empty()) {
            report::error("no case has that in its name");
            return USAGE;
        }
        let mut status = u8::from(results.iter().any(Ran::has_failed)) * FAILED;
        if self.json {
            let _ = std::io::stdout().write_all(json(&results).as_bytes());
        }
        if let Some(path) = &self.junit {
            let results: Vec<_> =
                results.iter().map(|ran| (ran.shown.clone(), ran.verdicts().cloned().collect(), ran.unrun())).collect();
            status = written(path, &junit(&results)).unwrap_or(status);
        }
        if interrupt.is_wished() {
            report::error("cancelled: the results are those of the cases that were over");
            return interrupted();
        }
        if self.update {
            for (file, ran) in files.iter().zip(&results) {
                let verdicts: Vec<Verdict> = ran.verdicts().cloned().collect();
                let updated = update(&file.text, &ran.cases, &verdicts);
                if updated.changed > 0 {
                    status = written(&file.path, &updated.text).unwrap_or(status);
                    let cases =
                        if updated.changed == 1 { "1 case".to_owned() } else { format!("{} cases", updated.changed) };
                    report::note(&format!("updated {cases} in `{}`: look at the difference", file.shown));
                }
                for (name, why) in &updated.left {
                    report::note(&format!("not updated in `{}`: {}: {why}", file.shown, escape(name)));
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

    fn wanted(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| name.contains(text))
    }

    /// How many run at once.
    fn places(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.jobs.map_or(processors, usize::from)
    }

    /// Runs cases side by side, until all are over or ctrl-C. Results are in the order of the file, whichever was ready
    /// first.
    async fn verdicts(
        &self,
        conductor: &Arc<Conductor>,
        cases: &[Case],
        interrupt: &Interrupt,
    ) -> Vec<(usize, Verdict)> {
        let work = cases.iter().cloned().map(|case| {
            let conductor = Arc::clone(conductor);
            async move { conductor.run(&case).await }
        });
        side_by_side(self.places(), work, interrupt).await
    }

    fn text(&self, ran: &Ran) -> String {
        let mut text = String::new();
        for verdict in ran.verdicts().filter(|verdict| self.verbose || not_passed(verdict)) {
            text += &verdict.text();
        }
        let of = |status| ran.verdicts().filter(|verdict| verdict.status == status).count();
        let (passed, failed, broken) = (of(Status::Passed), of(Status::Failed), of(Status::Broken));
        let not_run = ran.cases.len() - ran.verdicts.len();
        // Writing to a string can't fail.
        let _ = write!(text, "{}: {passed} passed", ran.shown);
        for (count, word) in [(failed, "failed"), (broken, "broken"), (not_run, "not run")] {
            if count > 0 {
                let _ = write!(text, ", {count} {word}");
            }
        }
        text.push('\n');
        text
    }
}

impl Ran {
    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().map(|(_, verdict)| verdict)
    }

    fn has_failed(&self) -> bool {
        self.verdicts().any(not_passed)
    }

    /// The names of the cases that were not over when ctrl-C came.
    fn unrun(&self) -> Vec<String> {
        let ran: Vec<usize> = self.verdicts.iter().map(|(at, _)| *at).collect();
        let unrun = self.cases.iter().enumerate().filter(|(at, _)| ran.binary_search(at).is_err());
        unrun.map(|(_, case)| case.name.clone()).collect()
    }
}

/// Does several things at once, at most so many, until all are done or the user wants to stop. What is under way then is
/// dropped, and with it its guests.
async fn side_by_side<T: Send + 'static>(
    places: usize,
    work: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
    interrupt: &Interrupt,
) -> Vec<(usize, T)> {
    let places = Arc::new(Semaphore::new(places));
    let mut tasks = JoinSet::new();
    let mut results = Vec::new();
    let mut wished = std::pin::pin!(interrupt.clone().wished());
    let mut stopped = false;
    let mut work = work.enumerate();
    while !stopped {
        // The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned();
        tokio::select! {
            biased;
            () = &mut wished => stopped = true,
            place = place => {
                let Some((at, work)) = work.next() else { break };
                tasks.spawn(async move {
                    let result = work.await;
                    drop(place);
                    (at, result)
                });
            }
        }
    }
    if stopped {
        tasks.abort_all();
    }
    loop {
        tokio::select! {
            done = tasks.join_next() => match done {
                Some(done) => results.extend(done.ok()),
                None => break,
            },
            () = &mut wished, if !stopped => {
                stopped = true;
                tasks.abort_all();
            }
        }
    }
    results.sort_by_key(|(at, _)| *at);
    results
}

fn not_passed(verdict: &Verdict) -> bool {
    verdict.status != Status::Passed
}

fn json(results: &[Ran]) -> String {
    let results: Vec<FileResult<'_>> = results
        .iter()
        .map(|ran| FileResult {
            file: &ran.shown,
            interrupted: ran.verdicts.len() < ran.cases.len(),
            cases: ran.verdicts().collect(),
        })
        .collect();
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
