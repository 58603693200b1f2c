//! What came of a case beside what was expected of it. Each function gives what an update would write if the case should
//! have stopped and didn't.

use std::fmt::Display;

use wasmtime::component::Val;

use super::script::{Answer, Script};
use crate::bindings::Failure;
use crate::contract::{Case, Expected, Job, JobExpected, Problem, Program, Seen, Step, Verdict, Written, shown};
use crate::invoke::{Ended, Value};
use crate::outcome::{Outcome, Stop, StopReason};
use crate::text::escape;

/// What is wrong with how it ended and with what it called. `instead` is what to write for a stop that didn't come.
pub(super) fn stopped(case: &Case, stop: Option<&Stop>, instead: Option<Seen>, script: &Script, verdict: &mut Verdict) {
    script.finish(verdict);
    let failed_by_itself = matches!(stop, Some(stop) if matches!(stop.reason, StopReason::Failed(_)));
    match (&case.stops, stop) {
        // What stopped it was the case's own no to a call, which is told already.
        (_, Some(_)) if script.has_problem() => {}
        (Some(expected), Some(stop)) if *expected == stop.reason.to_string() => {
            let message = escape(&stop.message);
            if case.message.as_ref().is_some_and(|regex| !regex.is_match(stop.message.as_bytes())) {
                verdict.problems.push(Problem::new(format!("the message doesn't match: {message}")));
            }
        }
        (Some(expected), Some(stop)) => {
            verdict.seen.extend(match instead {
                Some(instead) => vec![Seen::NotStopped, instead],
                None => vec![Seen::Stopped(stop.reason.to_string())],
            });
            let message = format!("expected it to stop with `{expected}`, and it stopped with `{}`", stop.reason);
            verdict.problems.push(Problem::new(message).with([escape(&stop.message)]).seen());
        }
        (Some(expected), None) => {
            verdict.seen.push(Seen::NotStopped);
            verdict.seen.extend(instead);
            let message = format!("expected it to stop with `{expected}`, and it returned");
            verdict.problems.push(Problem::new(message).seen());
        }
        // A job's failure and a program's status are judged with their output.
        (None, Some(_)) if failed_by_itself => {}
        (None, Some(stop)) => {
            verdict.seen.push(Seen::Stopped(stop.reason.to_string()));
            let trace = stop.trace.iter().take(8).cloned();
            let message = format!("it stopped with `{}`: {}", stop.reason, escape(&stop.message));
            verdict.problems.push(Problem::new(message).with(trace).seen());
        }
        (None, None) => {}
    }
}

/// A job's output or failure.
pub(super) fn job(case: &Case, job: &Job, ended: &Ended, verdict: &mut Verdict) -> Option<Seen> {
    let Some(Value::Job(result)) = ended.outcome.value() else { return None };
    let instead = match result {
        Ok(output) => Seen::Output(output.body.clone()),
        Err(failure) => {
            let (name, text) = named(failure);
            Seen::Failed(name.to_owned(), text.to_owned())
        }
    };
    let mut differs = |problem: Problem| {
        verdict.problems.push(problem.seen());
        verdict.seen = vec![instead.clone()];
    };
    match (result, &job.expected) {
        (Ok(output), JobExpected::Output(body)) => {
            if output.body != *body {
                differs(Problem::new("the output differs").with(bytes_differ(body, &output.body)));
            }
            if output.content_type != job.content_type {
                let said =
                    output.content_type.as_deref().map_or("none".to_owned(), |text| format!("`{}`", escape(text)));
                let message = format!("the output's content type is {said}, and not the input's");
                verdict.problems.push(Problem::new(message));
            }
            if !output.attributes.is_empty() {
                verdict.problems.push(Problem::new("the output has attributes"));
            }
        }
        (Err(failure), expected) if case.stops.is_none() => {
            let (name, text) = named(failure);
            let fits = matches!(expected, JobExpected::Failure(wanted, wanted_text)
                if wanted == name && wanted_text.as_ref().is_none_or(|wanted| wanted == text));
            if !fits {
                let seen = format!("found     {name}: {}", bounded(text));
                let wanted = match expected {
                    JobExpected::Failure(name, Some(text)) => vec![format!("expected  {name}: {}", bounded(text))],
                    JobExpected::Failure(name, None) => vec![format!("expected  {name}")],
                    _ => Vec::new(),
                };
                let lines = wanted.into_iter().chain([seen]);
                differs(Problem::new("the job failed in another way than it should").with(lines));
            }
        }
        (Ok(_), JobExpected::Failure(name, _)) => {
            differs(Problem::new(format!("the job should fail with `{name}`, and it has an output")));
        }
        _ => {}
    }
    Some(instead)
}

fn named(failure: &Failure) -> (&'static str, &str) {
    match failure {
        Failure::InvalidInput(text) => ("invalid-input", text),
        Failure::InvalidConfig(text) => ("invalid-config", text),
        Failure::Other(text) => ("other", text),
    }
}

/// A program's exit status and what it wrote.
pub(super) fn program<R>(
    case: &Case,
    program: &Program,
    outcome: &Outcome<R>,
    (stdout, stderr): (Vec<u8>, Vec<u8>),
    verdict: &mut Verdict,
) -> Option<Seen> {
    let exit = match outcome.stop().map(|stop| stop.reason) {
        None => Some(0),
        Some(StopReason::Failed(status)) => Some(status),
        Some(_) => None,
    };
    if let (Some(expected), Some(found), None) = (program.exit, exit, &case.stops)
        && expected != found
    {
        verdict.problems.push(Problem::new("the exit status differs").with(two(expected, found)).seen());
        verdict.seen.push(Seen::Exited(found));
    }
    let streams = [("stdout", &program.stdout, stdout), ("stderr", &program.stderr, stderr)];
    for (name, expected, found) in streams {
        match expected {
            Some(Written::Bytes(bytes)) if *bytes != found => {
                let problem = Problem::new(format!("`{name}` differs")).with(bytes_differ(bytes, &found));
                verdict.problems.push(problem.seen());
                verdict.seen.push(Seen::Wrote(name, found));
            }
            Some(Written::Match(regex)) if !regex.is_match(&found) => {
                let end = found.len().min(200);
                let more = if end < found.len() { "…" } else { "" };
                let line = format!("found  {}{more}", found.get(..end).unwrap_or_default().escape_ascii());
                verdict.problems.push(Problem::new(format!("`{name}` doesn't match")).with([line]));
            }
            _ => {}
        }
    }
    exit.map(Seen::Exited)
}

/// What the steps returned.
pub(super) fn calls<R>(
    case: &Case,
    steps: &[Step],
    answers: &[Answer],
    outcome: &Outcome<R>,
    verdict: &mut Verdict,
) -> Option<Seen> {
    let several = steps.len() > 1;
    let which = |n: usize, step: &Step| format!("step {}, `{}`", n + 1, bounded(&text(step)));
    for (n, (step, answer)) in steps.iter().zip(answers).enumerate() {
        let Step::Call(call) = step else { continue };
        let at = if several { format!("{}: ", which(n, step)) } else { String::new() };
        let problem = match &call.expected {
            Expected::Value(_) if !answer.differences.is_empty() => {
                let lines = answer.differences.iter().flat_map(|difference| {
                    let at = if difference.path.is_empty() { "the value" } else { difference.path.as_str() };
                    two(&difference.expected, &difference.found).map(|line| format!("{at}: {line}"))
                });
                Problem::new(format!("{at}the value differs")).with(lines)
            }
            Expected::Nothing if answer.has_value && case.stops.is_none() && n + 1 == steps.len() => {
                let message = format!("{at}nothing says what it returns: `returns = '…'` is missing");
                Problem::new(message).with([format!("found  {}", answer.shown)])
            }
            _ => continue,
        };
        verdict.problems.push(problem.seen());
        if let Some(text) = &answer.text {
            verdict.seen.push(Seen::Returned(n, Some(text.clone())));
        }
    }
    let stuck = if several && outcome.stop().is_some() { steps.get(answers.len()) } else { None };
    if let (Some(step), None) = (stuck, &case.stops) {
        let step = which(answers.len(), step);
        verdict.problems.push(Problem::new(format!("it got as far as {step}")).seen());
    }
    let last = answers.iter().rposition(|answer| answer.has_value).unwrap_or(answers.len().saturating_sub(1));
    let answer = answers.get(last).filter(|_| outcome.stop().is_none())?;
    // What is too long to be kept can't be written.
    (!answer.has_value || answer.text.is_some()).then(|| Seen::Returned(last, answer.text.clone()))
}

/// Two instances that answered differently.
pub(super) fn varied(one: &[Vec<Val>], other: &[Vec<Val>]) -> Problem {
    let pair = one.iter().flatten().zip(other.iter().flatten()).find(|(one, other)| one != other);
    let lines = pair.map(|(one, other)| [format!("one      {}", shown(one)), format!("another  {}", shown(other))]);
    let message = "it answers differently in two fresh instances, where clocks and random bytes differ";
    Problem::new(message).with(lines.into_iter().flatten())
}

fn text(step: &Step) -> String {
    match step {
        Step::Call(call) => call.call.text.clone(),
        Step::Drop(name) => format!("drop {}", name.value),
    }
}

fn two(expected: impl Display, found: impl Display) -> [String; 2] {
    [format!("expected  {expected}"), format!("found     {found}")]
}

/// Two texts or lumps of bytes around the first place where they differ.
fn bytes_differ(expected: &[u8], found: &[u8]) -> Vec<String> {
    /// Bytes that are shown before and after the place.
    const AROUND: usize = 60;
    let at = expected.iter().zip(found).position(|(a, b)| a != b).unwrap_or(expected.len().min(found.len()));
    let part = |bytes: &[u8]| {
        let start = at.saturating_sub(AROUND);
        let part = bytes.get(start..bytes.len().min(at + AROUND)).unwrap_or_default();
        let (before, after) = (if start > 0 { "…" } else { "" }, if at + AROUND < bytes.len() { "…" } else { "" });
        format!("{before}{}{after}", part.escape_ascii())
    };
    vec![
        format!("expected  {}", part(expected)),
        format!("found     {}", part(found)),
        format!("from byte {at}, of {} that were expected and {} that were found", expected.len(), found.len()),
    ]
}

/// A text that somebody chose, in one line that isn't too long.
fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(200);
    let more = if end < text.len() { "…" } else { "" };
    format!("{}{more}", escape(text.get(..end).unwrap_or_default()))
}
