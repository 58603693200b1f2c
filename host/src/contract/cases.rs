//! Behavioural cases as values: what is called, with what, and what is expected of it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use regex_automata::meta::Regex;

use super::pattern::{Call, Node};
use super::reader;
use crate::policy::LimitKind;

/// The cases of one file.
#[derive(Clone, Debug)]
pub struct Suite {
    /// In the order of the file. Never empty.
    pub cases: Vec<Case>,
}

/// One case: a fresh instance, one call or several, and what is expected.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it shows; unique in its file.
    pub name: String,
    /// The line of the file where it begins, from 1.
    pub line: usize,
    /// What is called.
    pub work: Work,
    /// The reason that it is expected to stop with, where it isn't expected to return.
    pub stops: Option<String>,
    /// What the message of the stop must match.
    pub message: Option<Regex>,
    /// What the host's configuration answers.
    pub config: Config,
    /// The messages that the guest must send to the log, each with what it says; none where it isn't looked at.
    pub log: Option<Vec<String>>,
    /// Interfaces that the host answers as it always does.
    pub real: Vec<String>,
    /// Limits that differ from the default.
    pub limits: Vec<(LimitKind, u64)>,
    /// Whether imports are called in the order of their expectations.
    pub ordered: bool,
    /// Calls that the guest makes, and their answers.
    pub imports: Vec<Expectation>,
    /// In how many fresh instances it runs, each with other random bytes, all of which must answer the same.
    pub instances: u64,
    /// What the host's configuration is when it is asked what the case answers for it.
    pub replay: Config,
    pub(super) places: Places,
}

/// Configuration by key.
pub type Config = BTreeMap<String, String>;

/// What a case calls.
#[derive(Clone, Debug)]
pub enum Work {
    /// `sandbox:host/job.run`, in the short form for bytes.
    Job(Job),
    /// Functions by name, one after another in the same instance.
    Calls(Vec<Step>),
    /// `wasi:cli/run.run`, with what a program sees and what it writes.
    Program(Program),
}

/// A run of a program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Config,
    /// Standard input.
    pub stdin: Vec<u8>,
    /// What it writes to standard output, where that is looked at.
    pub stdout: Option<Written>,
    /// What it writes to standard error, where that is looked at.
    pub stderr: Option<Written>,
    /// Its exit status; none where a stop is expected.
    pub exit: Option<u8>,
}

/// What a program is expected to write.
#[derive(Clone, Debug)]
pub enum Written {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Something that the regular expression matches.
    Match(Regex),
}

/// A job in the short form.
#[derive(Clone, Debug)]
pub struct Job {
    /// The input's body.
    pub body: Vec<u8>,
    /// The input's content type, and the output's.
    pub content_type: Option<String>,
    /// What comes out.
    pub expected: JobExpected,
}

/// What is expected of a job.
#[derive(Clone, Debug)]
pub enum JobExpected {
    /// An output with this body, the input's content type and no attributes.
    Output(Vec<u8>),
    /// A failure of this name, with this text where it is said.
    Failure(String, Option<String>),
    /// The case's stop.
    Stop,
}

/// One step of a session.
#[derive(Clone, Debug)]
pub enum Step {
    /// A function is called.
    Call(StepCall),
    /// The resource of this name is dropped.
    Drop(Text<String>),
}

/// One call of a function.
#[derive(Clone, Debug)]
pub struct StepCall {
    /// The function and its arguments.
    pub call: Text<Call>,
    /// What it returns.
    pub expected: Expected,
    /// The name that the resource gets which it returns.
    pub binds: Option<Text<String>>,
}

/// What is expected of a call.
#[derive(Clone, Debug)]
pub enum Expected {
    /// A value that fits the pattern.
    Value(Text<Node>),
    /// That it returns; a function with a result needs more than that.
    Nothing,
    /// That it returns, whatever it is.
    Any,
}

/// Something that was read from a text in the file, for messages with a place.
#[derive(Clone, Debug)]
pub struct Text<T> {
    /// What was read.
    pub value: T,
    /// What it was read from.
    pub text: String,
    /// The line of the file, from 1.
    pub line: usize,
}

/// A call that the guest is expected to make.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The function and patterns of its arguments.
    pub call: Text<Call>,
    /// How it is answered.
    pub answer: Option<Text<Node>>,
    /// What goes wrong.
    pub fault: Option<Fault>,
    /// How long the answer takes.
    pub delay: Duration,
    /// How often.
    pub times: Times,
    /// What the host itself answers, where that isn't what the case does.
    pub replay: Option<Text<Node>>,
}

/// What goes wrong in an imported call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call traps.
    Trap,
    /// The answer is as large as this, in its first string or list of bytes.
    Huge(u64),
}

/// How often a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// At least.
    pub least: u64,
    /// At most.
    pub most: u64,
}

/// Where in the file things are that an update replaces.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// Each key that says what is expected, with the place of it and its value.
    pub(super) expected: Vec<(String, Range<usize>)>,
    /// Where each step says what it returns, or could.
    pub(super) steps: Vec<StepPlace>,
    /// Whether calls are written as steps, even if it is one.
    pub(super) stepwise: bool,
    /// Where a line can be added.
    pub(super) insert: usize,
}

/// Where a step says what it returns.
#[derive(Clone, Debug)]
pub(super) enum StepPlace {
    /// The value, to be replaced.
    Value(Range<usize>),
    /// Behind the call, in braces.
    Inline(usize),
    /// Behind the call, in a table of its own.
    Line(usize),
    /// A step that returns nothing that has a text.
    None,
}

/// One thing that is wrong with a file of cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong; further lines show the place.
    pub message: String,
}

/// All that is wrong with a file of cases, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SuiteErrors(pub Vec<SuiteError>);

impl Case {
    /// One call, with imports answered, that expects nothing but that it returns.
    pub(crate) fn of_call(
        text: String,
        call: Call,
        imports: Vec<Expectation>,
        real: Vec<String>,
        instances: u64,
    ) -> Self {
        let call = Text { value: call, text, line: 1 };
        let expected = Expected::Any;
        Self {
            name: String::new(),
            line: 1,
            work: Work::Calls(vec![Step::Call(StepCall { call, expected, binds: None })]),
            stops: None,
            message: None,
            config: Config::new(),
            log: None,
            real,
            limits: Vec::new(),
            ordered: false,
            imports,
            instances,
            replay: Config::new(),
            places: Places::default(),
        }
    }
}

impl Suite {
    /// Reads a file of cases.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn parse(text: &str) -> Result<Self, SuiteErrors> {
        reader::read(text)
    }
}

impl fmt::Display for SuiteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{}: {}", error.line, error.column, error.message)?;
        }
        Ok(())
    }
}

impl<T> Text<T> {
    /// The text with a mark under a place in it, in two lines.
    pub fn marked(&self, span: &Range<usize>) -> [String; 2] {
        marked(&self.text, span)
    }
}

/// The line of a text that a place is in, and under it a line that marks the place.
pub(super) fn marked(text: &str, span: &Range<usize>) -> [String; 2] {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.floor_char_boundary(span.end.min(text.len())).max(start);
    let line_start = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let rest = text.get(line_start..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let column = text.get(line_start..start).map_or(0, |before| before.chars().count());
    let width = text.get(start..end).map_or(1, |inside| inside.lines().next().unwrap_or_default().chars().count());
    // A long line is shown from a little before the place.
    let from = column.saturating_sub(60);
    let shown: String = line.chars().skip(from).take(100).map(|c| if c.is_control() { ' ' } else { c }).collect();
    [crate::text::escape_lines(&shown), format!("{}{}", " ".repeat(column - from), "^".repeat(width.clamp(1, 40)))]
}
