//! What imports answer in a case, and what was called: shared between the store, where the calls arrive, and the one who
//! judges afterwards.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType, Type, Val};
use wasmtime::{StoreContextMut, Trap};

use crate::contract::{Difference, Node, Problem, Times, Verdict, shown, version};
use crate::state::State;
use crate::text::escape;

/// The script of one case; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Play>>);

/// How often and how a call is answered.
pub(super) struct Part {
    pub(super) path: String,
    pub(super) args: Vec<Node>,
    pub(super) text: String,
    pub(super) answer: Option<Val>,
    pub(super) traps: bool,
    pub(super) delay: Duration,
    pub(super) times: Times,
    pub(super) count: u64,
}

#[derive(Default)]
struct Play {
    parts: Vec<Part>,
    ordered: bool,
    /// In order: the first part that may still be called.
    next: usize,
    trace: Vec<String>,
    problem: Option<Problem>,
    expected_log: Option<Vec<String>>,
    log: Vec<(String, String)>,
    returned: Vec<Answer>,
}

/// What a step returned, as far as somebody looks at it.
#[derive(Default)]
pub(super) struct Answer {
    /// Where it isn't what was expected.
    pub(super) differences: Vec<Difference>,
    pub(super) has_value: bool,
    /// The value's text, cut and whole, where it isn't what was expected or nothing was.
    pub(super) shown: String,
    pub(super) text: Option<String>,
    /// The value itself, where several instances are compared.
    pub(super) values: Vec<Val>,
}

/// What a call is answered with.
struct Reply {
    answer: Option<Val>,
    traps: bool,
    delay: Duration,
}

/// Calls that are kept for the report, and messages of the log: a guest may make any number.
const MAX_KEPT: usize = 200;

/// Stands in for every resource of an interface that the host doesn't offer.
struct Unknown;

/// Whether an interface is one for messages to the operator.
pub(super) fn is_log(interface: &str) -> bool {
    matches!(version::split(interface).0, "sandbox:host/log" | "wasi:logging/logging")
}

/// A value of a type whose first string or list of bytes has so many bytes.
pub(super) fn huge(ty: &Type, size: u64) -> Option<Val> {
    let size = usize::try_from(size).ok()?;
    Some(match ty {
        Type::String => Val::String("x".repeat(size)),
        Type::List(list) if matches!(list.ty(), Type::U8) => Val::List(vec![Val::U8(b'x'); size]),
        Type::Option(option) => Val::Option(Some(Box::new(huge(&option.ty(), size as u64)?))),
        Type::Result(result) => Val::Result(Ok(Some(Box::new(huge(&result.ok()?, size as u64)?)))),
        _ => return None,
    })
}

/// Lays the answers over what a linker has: every function that the component imports, but for the interfaces that are
/// the host's own.
pub(super) fn lay(
    linker: &mut Linker<State<Script>>,
    component: &Component,
    real: &BTreeSet<String>,
    offered: &[String],
) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (name, item) in component.component_type().imports(&engine) {
        match item.ty {
            _ if real.contains(name) => {}
            ComponentItem::ComponentFunc(_) => answer(&mut linker.root(), name, name.to_owned())?,
            ComponentItem::ComponentInstance(instance) => {
                // Resources stay the host's where it has them; so the functions go where it has the interface.
                let place = version::find(name, offered.iter().map(String::as_str));
                let mut linker = linker.instance(place.unwrap_or(name))?;
                for (function, item) in instance.exports(&engine) {
                    match item.ty {
                        ComponentItem::ComponentFunc(_) => {
                            answer(&mut linker, function, format!("{name}#{function}"))?;
                        }
                        ComponentItem::Resource(_) if place.is_none() => {
                            linker.resource(function, ResourceType::host::<Unknown>(), |_, _| Ok(()))?;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn answer(linker: &mut LinkerInstance<'_, State<Script>>, name: &str, path: String) -> wasmtime::Result<()> {
    let path: Arc<str> = path.into();
    linker.func_new_async(name, move |mut store: StoreContextMut<'_, State<Script>>, _, args, results| {
        let path = Arc::clone(&path);
        Box::new(async move {
            let reply = store.data_mut().extension().called(&path, args)?;
            if !reply.delay.is_zero() {
                tokio::time::sleep(reply.delay).await;
            }
            if reply.traps {
                return Err(Trap::UnreachableCodeReached.into());
            }
            if let (Some(result), Some(answer)) = (results.first_mut(), reply.answer) {
                *result = answer;
            }
            Ok(())
        })
    })
}

impl Script {
    pub(super) fn new(parts: Vec<Part>, ordered: bool, log: Option<Vec<String>>) -> Self {
        let play = Play { parts, ordered, expected_log: log, ..Play::default() };
        Self(Arc::new(Mutex::new(play)))
    }

    fn play(&self) -> MutexGuard<'_, Play> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a step returned.
    pub(super) fn keep(&self, answer: Answer) {
        self.play().returned.push(answer);
    }

    /// What the steps returned that came to their end.
    pub(super) fn returned(&self) -> Vec<Answer> {
        std::mem::take(&mut self.play().returned)
    }

    /// Ends the case with a problem.
    pub(super) fn refuse(&self, problem: Problem) {
        self.play().problem.get_or_insert(problem);
    }

    /// Whether the guest was stopped for a call that the case doesn't have.
    pub(super) fn has_problem(&self) -> bool {
        self.play().problem.is_some()
    }

    /// Puts what is wrong with the calls into the verdict, and the calls.
    pub(super) fn finish(&self, verdict: &mut Verdict) {
        let mut play = self.play();
        verdict.trace = std::mem::take(&mut play.trace);
        match &play.problem {
            Some(problem) => verdict.problems.push(problem.clone()),
            None => {
                for part in play.parts.iter().filter(|part| part.count < part.times.least) {
                    let times = match part.times.least {
                        1 => "the guest didn't call it".to_owned(),
                        least => format!("the guest called it {} times, and not {least}", part.count),
                    };
                    verdict.problems.push(Problem::new(format!("`{}`: {times}", escape(&part.text))));
                }
            }
        }
        if let Some(expected) = &play.expected_log {
            let same = expected.len() == play.log.len()
                && expected.iter().zip(&play.log).all(|(wanted, (whole, text))| wanted == whole || wanted == text);
            if !same {
                let lines = |word: &'static str, texts: Vec<&String>| {
                    let none = texts.is_empty().then(|| format!("{word}  nothing"));
                    none.into_iter()
                        .chain(texts.into_iter().map(move |text| format!("{word}  {}", escape(text))))
                        .collect()
                };
                let expected: Vec<String> = lines("expected", expected.iter().collect());
                let found: Vec<String> = lines("found   ", play.log.iter().map(|(whole, _)| whole).collect());
                verdict.problems.push(Problem::new("the log differs").with(expected).with(found));
            }
        }
    }

    /// Finds the answer to a call.
    fn called(&self, path: &str, args: &[Val]) -> wasmtime::Result<Reply> {
        let mut play = self.play();
        let shown_args: Vec<String> = args.iter().map(shown).collect();
        let call = format!("{}({})", escape(path), shown_args.join(", "));
        let Some(at) = play.part(path, args) else {
            if play.expected_log.is_some() && path.split_once('#').is_some_and(|(interface, _)| is_log(interface)) {
                play.record(args);
                return Ok(Reply { answer: None, traps: false, delay: Duration::ZERO });
            }
            play.keep_trace(format!("{call}   <- not answered"));
            let problem = play.unexpected(path, &call, args);
            play.problem.get_or_insert(problem);
            return Err(wasmtime::format_err!("the case has no answer to `{call}`"));
        };
        let Some(part) = play.parts.get_mut(at) else { return Err(Trap::UnreachableCodeReached.into()) };
        part.count = part.count.saturating_add(1);
        let reply = Reply { answer: part.answer.clone(), traps: part.traps, delay: part.delay };
        let answered = match (&reply.answer, reply.traps) {
            (_, true) => " -> trap".to_owned(),
            (Some(value), _) => format!(" -> {}", shown(value)),
            (None, _) => String::new(),
        };
        play.keep_trace(format!("{call}{answered}"));
        Ok(reply)
    }
}

impl Play {
    /// The part that answers a call, by its place.
    fn part(&mut self, path: &str, args: &[Val]) -> Option<usize> {
        let from = if self.ordered { self.next } else { 0 };
        for (at, part) in self.parts.iter().enumerate().skip(from) {
            let room = part.count < part.times.most;
            if room && part.fits(path, args) {
                self.next = at;
                return Some(at);
            }
            // In order, a part is passed over only when it has been called as often as it must.
            if self.ordered && part.count < part.times.least {
                return None;
            }
        }
        None
    }

    /// Why nothing answers a call: not mentioned at all, or mentioned with other arguments or at another place.
    fn unexpected(&self, path: &str, call: &str, args: &[Val]) -> Problem {
        let mentioned: Vec<&Part> = self.parts.iter().filter(|part| part.path == path).collect();
        let Some(part) = mentioned.iter().find(|part| part.count < part.times.most).or(mentioned.first()) else {
            let interface = path.split_once('#').map_or(path, |(interface, _)| interface);
            let hint = format!(
                "answer it with an `import`, or let the host answer with `real = [\"{}\"]`",
                version::split(interface).0
            );
            return Problem::new(format!("the guest called `{call}`, which the case doesn't mention")).with([hint]);
        };
        // Another one of the same function may be what was called, before its turn.
        if let Some(other) = mentioned.iter().find(|part| part.count < part.times.most && part.fits(path, args)) {
            let due = self.parts.iter().skip(self.next).find(|part| part.count < part.times.least);
            let due = due.map(|due| format!("the case has `{}` before `{}`", escape(&due.text), escape(&other.text)));
            return Problem::new(format!("the guest called `{call}` out of order"))
                .with(due)
                .with(["`order = \"any\"` allows every order".to_owned()]);
        }
        if part.fits(path, args) {
            let why = if part.count >= part.times.most { "once more than the case says" } else { "out of order" };
            return Problem::new(format!("the guest called `{call}` {why}"))
                .with([format!("the case has `{}`", escape(&part.text))]);
        }
        let lines = part.differences(args).into_iter().flat_map(|(n, difference)| {
            let at = format!("argument {}{}", n + 1, difference.path);
            [format!("{at}: expected  {}", difference.expected), format!("{at}: found     {}", difference.found)]
        });
        Problem::new(format!("the guest called `{}` with other arguments", escape(path)))
            .with(lines.collect::<Vec<_>>())
    }

    fn record(&mut self, args: &[Val]) {
        if self.log.len() > MAX_KEPT {
            return;
        }
        let text = |at: usize| match args.get(at) {
            Some(Val::String(text)) | Some(Val::Enum(text)) => text.clone(),
            _ => String::new(),
        };
        self.log.push((format!("{} {}: {}", text(0), text(1), text(2)), text(2)));
    }

    fn keep_trace(&mut self, line: String) {
        if self.trace.len() < MAX_KEPT {
            self.trace.push(line);
        }
    }
}

impl Part {
    fn fits(&self, path: &str, args: &[Val]) -> bool {
        self.path == path && self.differences(args).is_empty()
    }

    fn differences(&self, args: &[Val]) -> Vec<(usize, Difference)> {
        let pairs = self.args.iter().zip(args).enumerate();
        pairs.flat_map(|(n, (node, value))| node.differences(value).into_iter().map(move |found| (n, found))).collect()
    }
}
