//! A case brought together with a component, before anything runs: which functions are meant, and whether the texts are
//! values and patterns of their types.

use std::collections::BTreeSet;
use std::ops::Range;

use wasmtime::Store;
use wasmtime::component::{Instance, Type, Val};

use super::script::{self, Part, Script};
use crate::call::{self, Function};
use crate::component::{Component, World};
use crate::contract::{Call, Case, Expectation, Expected, Fault, Problem, Step, Text, Work, Wrong};
use crate::outcome::Stop;
use crate::state::State;
use crate::text::escape;

/// What a case needs to run.
pub(super) struct Plan {
    pub(super) calls: Vec<PlannedCall>,
    pub(super) script: Script,
}

/// One call with its arguments as values.
pub(super) struct PlannedCall {
    interface: Option<String>,
    name: String,
    args: Vec<Val>,
    results: usize,
}

impl Plan {
    /// Everything that is wrong with the case for this component, or what to do.
    pub(super) fn of(
        case: &Case,
        component: &Component<Script>,
        real: &BTreeSet<String>,
    ) -> Result<Self, Vec<Problem>> {
        let inner = component.inner.pre().component();
        let engine = inner.engine();
        let mut problems = Vec::new();
        let mut calls = Vec::new();
        match &case.work {
            Work::Calls(steps) => {
                for step in steps {
                    match planned(step, call::functions(inner, engine)) {
                        Ok(call) => calls.push(call),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            Work::Job(_) if component.facts().world == World::Sandbox => {}
            Work::Job(_) => {
                problems.push(Problem::new("the case is a job, and the component exports no `sandbox:host/job@0.1`"));
            }
        }
        let mut parts = Vec::new();
        for expectation in &case.imports {
            match part(expectation, call::imported(inner, engine), real) {
                Ok(part) => parts.push(part),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(Self { calls, script: Script::new(parts, case.ordered, case.log.clone()) })
        } else {
            Err(problems)
        }
    }
}

impl PlannedCall {
    pub(super) fn path(&self) -> String {
        self.interface.as_ref().map_or_else(|| self.name.clone(), |interface| format!("{interface}#{}", self.name))
    }

    /// Makes the call and keeps what it returned.
    pub(super) async fn make(self, store: &mut Store<State<Script>>, instance: Instance) -> wasmtime::Result<()> {
        let gone = || Stop::host_fault("an export that was there before instantiation is gone after it");
        let outer = match &self.interface {
            Some(interface) => Some(instance.get_export_index(&mut *store, None, interface).ok_or_else(gone)?),
            None => None,
        };
        let index = instance.get_export_index(&mut *store, outer.as_ref(), &self.name).ok_or_else(gone)?;
        let func = instance.get_func(&mut *store, index).ok_or_else(gone)?;
        let mut results = vec![Val::Bool(false); self.results];
        func.call_async(&mut *store, &self.args, &mut results).await?;
        store.data_mut().extension().keep(results);
        Ok(())
    }
}

fn planned(step: &Step, functions: Vec<Function>) -> Result<PlannedCall, Problem> {
    let function = find(&step.call, functions, "exports")?;
    if !function.has_text_form() {
        let message = format!("`{}` has a type without a text form", escape(&function.path()));
        return Err(Problem::new(message).with([format!("the signature is `{}`", function.signature())]));
    }
    let types = params(&step.call, &function)?;
    let values = step.call.value.args.iter().zip(&types).map(|(node, ty)| node.value::<Val>(ty));
    let args = values.collect::<Result<Vec<_>, _>>().map_err(|wrong| unfit("call", &step.call, &wrong, &function))?;
    match (&step.expected, function.ty.results().next()) {
        (Expected::Value(pattern), Some(ty)) => {
            pattern.value.of_type(&ty).map_err(|wrong| unfit("returns", pattern, &wrong, &function))?;
        }
        (Expected::Value(pattern), None) => {
            let wrong = Wrong { span: 0..pattern.text.len(), message: "the function has no result".to_owned() };
            return Err(unfit("returns", pattern, &wrong, &function));
        }
        (Expected::Nothing, _) => {}
    }
    Ok(PlannedCall { results: function.ty.results().len(), interface: function.interface, name: function.name, args })
}

fn part(expectation: &Expectation, functions: Vec<Function>, real: &BTreeSet<String>) -> Result<Part, Problem> {
    let call = &expectation.call;
    let function = find(call, functions, "imports")?;
    if function.interface.as_ref().is_some_and(|interface| real.contains(interface)) {
        let message = format!("`{}` is answered by the case and is real too", escape(&function.path()));
        return Err(Problem::new(message));
    }
    let types = params(call, &function)?;
    for (node, ty) in call.value.args.iter().zip(&types) {
        node.of_type(ty).map_err(|wrong| unfit("call", call, &wrong, &function))?;
    }
    let result = function.ty.results().next();
    let answer = match (&expectation.answer, expectation.fault, &result) {
        (Some(text), _, Some(ty)) => {
            Some(text.value.value::<Val>(ty).map_err(|wrong| unfit("answer", text, &wrong, &function))?)
        }
        (Some(text), _, None) => {
            let wrong = Wrong { span: 0..text.text.len(), message: "the function has no result".to_owned() };
            return Err(unfit("answer", text, &wrong, &function));
        }
        (None, Some(Fault::Huge(size)), Some(ty)) => match script::huge(ty, size) {
            Some(value) => Some(value),
            None => {
                let message = format!("`huge`: `{}` returns no string and no list of bytes", escape(&function.path()));
                return Err(Problem::new(message));
            }
        },
        (None, Some(Fault::Trap), _) | (None, None, None) => None,
        (None, _, _) => {
            let message = format!("`{}` has a result: say its `answer`", escape(&function.path()));
            return Err(Problem::new(message).with([format!("the signature is `{}`", function.signature())]));
        }
    };
    Ok(Part {
        path: function.path(),
        args: call.value.args.clone(),
        text: call.text.clone(),
        answer,
        traps: expectation.fault == Some(Fault::Trap),
        delay: expectation.delay,
        times: expectation.times,
        count: 0,
    })
}

fn find(call: &Text<Call>, functions: Vec<Function>, verb: &str) -> Result<Function, Problem> {
    let path = &call.value.path;
    let bare = path.rsplit_once('#').map_or(path.as_str(), |(_, name)| name);
    let near = crate::contract::nearest(bare, functions.iter().map(|function| function.name.as_str()));
    let near = near.and_then(|near| functions.iter().find(|function| function.name == near)).map(Function::path);
    let names: Vec<String> = functions.iter().take(20).map(|function| escape(&function.path())).collect();
    let mut meant: Vec<Function> = functions.into_iter().filter(|function| function.is_meant(path)).collect();
    match (meant.pop(), meant.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Problem::new(format!(
            "`{}` is the name of {} functions: write the interface before it, as in `iface#name`",
            escape(path),
            meant.len() + 1
        ))),
        (None, _) => {
            let meant = near.map_or(String::new(), |near| format!("; did you mean `{}`?", escape(&near)));
            let message = format!("the component {verb} no function `{}`{meant}", escape(path));
            Err(Problem::new(message).with([format!("it {verb} {}", names.join(", "))]))
        }
    }
}

fn params(call: &Text<Call>, function: &Function) -> Result<Vec<Type>, Problem> {
    let types: Vec<Type> = function.ty.params().map(|(_, ty)| ty).collect();
    let given = call.value.args.len();
    if types.len() == given {
        return Ok(types);
    }
    let span = call.text.find('(').unwrap_or(0)..call.text.len();
    let message = format!("the function has {} parameters, and here are {given}", types.len());
    Err(unfit("call", call, &Wrong { span, message }, function))
}

/// A text that doesn't fit the function's type, with a mark under the place.
fn unfit<T>(key: &str, text: &Text<T>, wrong: &Wrong, function: &Function) -> Problem {
    let span: &Range<usize> = &wrong.span;
    let message = format!("line {}: `{key}`: {}", text.line, wrong.message);
    Problem::new(message).with(text.marked(span)).with([format!("the signature is `{}`", function.signature())])
}
