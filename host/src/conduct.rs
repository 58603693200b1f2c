//! Running behavioural cases: each in a fresh instance, under its own limits, with imports answered as the case says.
//!
//! A case is an invocation like any other: it goes through [`Host::invoke`] or [`Host::invoke_with`], with the same
//! limits and the same ending. What differs is the linker. An import that the case answers, and one that it doesn't
//! mention, are laid over the host's own functions; what the case calls real is the host's own.
//!
//! Threat model: the case file is its author's, the component may be anybody's. It runs without a grant beyond the
//! configuration that the case gives it, and a wrong value of it is text that is escaped and bounded.

mod plan;
mod script;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use self::plan::{Plan, PlannedCall};
use self::script::Script;
use crate::bindings::{Failure, Input};
use crate::component::Component;
use crate::contract::{
    Case, Expected, JobExpected, Problem, Seen, Status, Step, Target, Verdict, Work, shown, version,
};
use crate::engine::EngineKey;
use crate::host::Host;
use crate::invoke::{Ended, Invocation, Value};
use crate::outcome::{Outcome, Stop};
use crate::policy::{Policy, Span};
use crate::tenant::Tenant;
use crate::text::escape;

/// Runs the cases of one component.
pub struct Conductor {
    host: Host<Script>,
    bytes: Vec<u8>,
    /// The component by what is compiled into it.
    loaded: Mutex<HashMap<EngineKey, Arc<OnceCell<Component<Script>>>>>,
    /// The component by what is compiled into it and which of its imports are the host's own.
    linked: Mutex<HashMap<Linkage, Component<Script>>>,
    /// The interfaces that the host offers.
    offered: Vec<String>,
}

/// What a component was compiled for, and which of its imports are the host's own.
type Linkage = (EngineKey, BTreeSet<String>);

/// The tenant of a case.
const TENANT: &str = "case";

/// How long compiling may take, which for an interpreter on a busy machine is longer than any case.
const COMPILING: Span = Span::from_millis(600_000);

impl Conductor {
    /// Takes a component of unknown origin, and loads it under the default policy.
    ///
    /// # Errors
    /// A stop whose reason is `refused.…` or `limit.component-size`.
    pub async fn new(bytes: Vec<u8>) -> Result<Self, Stop> {
        let host = Host::builder().any_import().build().map_err(|error| Stop::host_fault(error.to_string()))?;
        let offered = Target::built_in("imports").map(|target| target.imports()).unwrap_or_default();
        let conductor = Self { host, bytes, loaded: Mutex::default(), linked: Mutex::default(), offered };
        conductor.load(&Policy::default()).await?;
        Ok(conductor)
    }

    /// Runs one case, and says how it went. Cases don't know of each other, so any number may run at once.
    pub async fn run(&self, case: &Case) -> Verdict {
        let mut verdict = Verdict {
            name: case.name.clone(),
            line: case.line,
            status: Status::Passed,
            problems: Vec::new(),
            trace: Vec::new(),
            seen: Vec::new(),
            wall_ns: 0,
        };
        if let Err(problems) = self.attempt(case, &mut verdict).await {
            verdict.status = Status::Broken;
            verdict.problems = problems;
        } else if !verdict.problems.is_empty() {
            verdict.status = Status::Failed;
        }
        verdict
    }

    async fn attempt(&self, case: &Case, verdict: &mut Verdict) -> Result<(), Vec<Problem>> {
        let mut policy = Policy::default();
        for (kind, amount) in &case.limits {
            policy.limits.set(*kind, *amount);
        }
        policy.grants.config = case.config.clone();
        let refused = |stop: Stop| vec![Problem::new(format!("{}: {}", stop.reason, stop.message))];
        let component = self.load(&policy).await.map_err(refused)?;
        let real = self.real(case, &component)?;
        let plan = Plan::of(case, &component, &real)?;
        let component = self.link(&component, EngineKey::of(&policy), real).map_err(refused)?;
        let tenant = Tenant::new(TENANT, policy).map_err(|error| vec![Problem::new(error.to_string())])?;
        let script = plan.script;
        match &case.work {
            Work::Job(job) => {
                let input =
                    Input { body: job.body.clone(), content_type: job.content_type.clone(), attributes: Vec::new() };
                let invocation = Invocation::job(&component, &tenant, input).extension(script.clone());
                let ended = self.host.invoke(invocation).await;
                verdict.wall_ns = ended.receipt.usage.wall_ns;
                judge_job(case, &job.expected, job.content_type.as_deref(), &ended, verdict);
                self.stopped(case, ended.outcome.stop(), &script, verdict);
            }
            Work::Calls(steps) => {
                let name = plan.calls.first().map(PlannedCall::path).unwrap_or_default();
                let calls = plan.calls;
                let invocation = Invocation::custom(&component, &tenant, script.clone());
                let ended = self
                    .host
                    .invoke_with(invocation, &name, move |store, instance| {
                        Box::pin(async move {
                            for call in calls {
                                call.make(store, instance).await?;
                            }
                            Ok(())
                        })
                    })
                    .await;
                verdict.wall_ns = ended.receipt.usage.wall_ns;
                judge_calls(case, steps, &script, &ended.outcome, verdict);
                self.stopped(case, ended.outcome.stop(), &script, verdict);
            }
        }
        Ok(())
    }

    /// What is wrong with how it ended and with what it called.
    fn stopped(&self, case: &Case, stop: Option<&Stop>, script: &Script, verdict: &mut Verdict) {
        script.finish(verdict);
        let failed_by_itself = matches!(stop, Some(stop) if stop.reason == crate::outcome::StopReason::Failed(1));
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
                verdict.seen.push(Seen::Stopped(stop.reason.to_string()));
                let message = format!("expected it to stop with `{expected}`, and it stopped with `{}`", stop.reason);
                verdict.problems.push(Problem::new(message).with([escape(&stop.message)]));
            }
            (Some(expected), None) => {
                verdict.problems.push(Problem::new(format!("expected it to stop with `{expected}`, and it returned")));
            }
            // A job's failure is judged with its output.
            (None, Some(_)) if failed_by_itself => {}
            (None, Some(stop)) => {
                verdict.seen.push(Seen::Stopped(stop.reason.to_string()));
                let trace = stop.trace.iter().take(8).cloned();
                let message = format!("it stopped with `{}`: {}", stop.reason, escape(&stop.message));
                verdict.problems.push(Problem::new(message).with(trace));
            }
            (None, None) => {}
        }
    }

    async fn load(&self, policy: &Policy) -> Result<Component<Script>, Stop> {
        let key = EngineKey::of(policy);
        let cell = Arc::clone(self.loaded.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        // Compiling belongs to no case, so a case's deadline doesn't count for it.
        let load = || async {
            let mut loading = Policy::default();
            loading.limits.fuel = policy.limits.fuel;
            loading.limits.stack = policy.limits.stack;
            loading.limits.wall = COMPILING;
            self.host.load(self.bytes.clone(), &loading).await
        };
        cell.get_or_try_init(load).await.cloned()
    }

    /// The imports that the host answers itself in this case.
    fn real(&self, case: &Case, component: &Component<Script>) -> Result<BTreeSet<String>, Vec<Problem>> {
        let mut names: Vec<&str> = case.real.iter().map(String::as_str).collect();
        if !case.config.is_empty() {
            names.extend(["sandbox:host/config", "wasi:config/store"]);
        }
        let means = |name: &str, import: &str| match name.strip_suffix('*') {
            Some(prefix) => import.starts_with(prefix),
            None => name == import || name == version::split(import).0,
        };
        let mut real = BTreeSet::new();
        for import in &component.facts().imports {
            let Some(name) = names.iter().find(|name| means(name, import)) else { continue };
            // A recorder stands in for the log where the case looks at what was sent.
            if case.log.is_some() && script::is_log(import) {
                continue;
            }
            let unversioned = version::split(import).0;
            if !self.offered.iter().any(|offer| version::split(offer).0 == unversioned) {
                let message = format!("`{name}` is to be real, and the host doesn't offer `{}`", escape(import));
                return Err(vec![Problem::new(message)]);
            }
            real.insert(import.clone());
        }
        Ok(real)
    }

    fn link(
        &self,
        component: &Component<Script>,
        key: EngineKey,
        real: BTreeSet<String>,
    ) -> Result<Component<Script>, Stop> {
        let place = (key, real);
        if let Some(linked) = self.linked.lock().unwrap_or_else(PoisonError::into_inner).get(&place) {
            return Ok(linked.clone());
        }
        let linked =
            self.host.relink(component, |linker, component| script::lay(linker, component, &place.1, &self.offered))?;
        self.linked.lock().unwrap_or_else(PoisonError::into_inner).insert(place, linked.clone());
        Ok(linked)
    }
}

fn judge_job(case: &Case, expected: &JobExpected, content_type: Option<&str>, ended: &Ended, verdict: &mut Verdict) {
    let Some(Value::Job(result)) = ended.outcome.value() else { return };
    let mut problem = |problem: Problem| verdict.problems.push(problem);
    match (result, expected) {
        (Ok(output), JobExpected::Output(body)) => {
            if output.body != *body {
                problem(Problem::new("the output differs").with(bytes_differ(body, &output.body)));
            }
            if output.content_type.as_deref() != content_type {
                let said =
                    output.content_type.as_deref().map_or("none".to_owned(), |text| format!("`{}`", escape(text)));
                problem(Problem::new(format!("the output's content type is {said}, and not the input's")));
            }
            if !output.attributes.is_empty() {
                problem(Problem::new("the output has attributes"));
            }
            verdict.seen.push(Seen::Output(output.body.clone()));
        }
        (Err(failure), expected) => {
            let (name, text) = match failure {
                Failure::InvalidInput(text) => ("invalid-input", text),
                Failure::InvalidConfig(text) => ("invalid-config", text),
                Failure::Other(text) => ("other", text),
            };
            let fits = matches!(expected, JobExpected::Failure(wanted, wanted_text)
                if wanted == name && wanted_text.as_ref().is_none_or(|wanted| wanted == text));
            if !fits && case.stops.is_none() {
                let seen = format!("found     {name}: {}", bounded(text));
                let wanted = match expected {
                    JobExpected::Failure(name, Some(text)) => vec![format!("expected  {name}: {}", bounded(text))],
                    JobExpected::Failure(name, None) => vec![format!("expected  {name}")],
                    _ => Vec::new(),
                };
                let lines = wanted.into_iter().chain([seen]);
                problem(Problem::new("the job failed in another way than it should").with(lines));
            }
            verdict.seen.push(Seen::Failed(name.to_owned(), text.clone()));
        }
        (Ok(output), JobExpected::Failure(name, _)) => {
            problem(Problem::new(format!("the job should fail with `{name}`, and it has an output")));
            verdict.seen.push(Seen::Output(output.body.clone()));
        }
        (Ok(output), JobExpected::Stop) => verdict.seen.push(Seen::Output(output.body.clone())),
    }
}

fn judge_calls<R>(case: &Case, steps: &[Step], script: &Script, outcome: &Outcome<R>, verdict: &mut Verdict) {
    let returned = script.returned();
    let several = steps.len() > 1;
    for (n, (step, values)) in steps.iter().zip(&returned).enumerate() {
        let which = if several { format!("step {}, `{}`: ", n + 1, bounded(&step.call.text)) } else { String::new() };
        match (&step.expected, values.first()) {
            (Expected::Value(pattern), Some(value)) => {
                let differences = pattern.value.differences(value);
                if !differences.is_empty() {
                    let lines = differences.iter().flat_map(|difference| {
                        let at = if difference.path.is_empty() { "the value" } else { difference.path.as_str() };
                        [
                            format!("{at}: expected  {}", difference.expected),
                            format!("{at}: found     {}", difference.found),
                        ]
                    });
                    verdict.problems.push(Problem::new(format!("{which}the value differs")).with(lines));
                }
                verdict.seen.push(Seen::Returned(n, script::wave(value)));
            }
            (Expected::Nothing, Some(value)) if case.stops.is_none() && n + 1 == steps.len() => {
                let message = format!("{which}nothing says what it returns: `returns = '…'` is missing");
                verdict.problems.push(Problem::new(message).with([format!("found  {}", shown(value))]));
                verdict.seen.push(Seen::Returned(n, script::wave(value)));
            }
            _ => {}
        }
    }
    let stuck = if several && outcome.stop().is_some() { steps.get(returned.len()) } else { None };
    if let (Some(step), None) = (stuck, &case.stops) {
        let which = format!("step {}, `{}`", returned.len() + 1, bounded(&step.call.text));
        verdict.problems.push(Problem::new(format!("it got as far as {which}")));
    }
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
