//! A case brought together with a component, before anything runs: which functions are meant, and whether the texts are
//! values and patterns of their types.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use wasmtime::component::{ResourceType, Type, Val};

use super::Loaded;
use super::script::{self, Part, Script};
use crate::call::Function;
use crate::component::World;
use crate::contract::{Call, Case, Expectation, Expected, Fault, Node, Problem, Step, StepCall, Text, Work, Wrong};
use crate::text::escape;

/// What a case needs to run.
pub(super) struct Plan {
    pub(super) steps: Vec<Planned>,
    pub(super) script: Script,
}

/// One step that fits the component.
pub(super) enum Planned {
    Call(PlannedCall),
    Drop(String),
}

/// One call with its arguments as values.
pub(super) struct PlannedCall {
    pub(super) interface: Option<String>,
    pub(super) name: String,
    pub(super) args: Vec<Arg>,
    pub(super) results: usize,
    pub(super) expected: Option<Node>,
    /// The name of the resource that it returns.
    pub(super) binds: Option<String>,
    /// Whether what it returns is written down even if it is as expected.
    pub(super) render: bool,
    /// Whether what it returns is kept, to be compared with what another instance returns.
    pub(super) keep: bool,
}

/// An argument of a call.
pub(super) enum Arg {
    Value(Val),
    Handle(String),
}

/// A resource that has a name at some step.
struct Handle {
    ty: ResourceType,
    /// What became of it.
    gone: Option<String>,
}

impl Plan {
    /// Everything that is wrong with the case for this component, or what to do.
    pub(super) fn of(case: &Case, loaded: &Loaded, real: &BTreeSet<String>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut planned = Vec::new();
        let world = loaded.component.facts().world;
        match &case.work {
            Work::Calls(steps) => {
                let mut handles = BTreeMap::new();
                for (n, step) in steps.iter().enumerate() {
                    let result = match step {
                        Step::Call(step) => call(n, step, case, &loaded.exports, &mut handles).map(Planned::Call),
                        Step::Drop(name) => dropped(n, name, &mut handles),
                    };
                    match result {
                        Ok(step) => planned.push(step),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            Work::Job(_) if world == World::Sandbox => {}
            Work::Job(_) => {
                problems.push(Problem::new("the case is a job, and the component exports no `sandbox:host/job@0.1`"));
            }
            Work::Program(_) if world == World::Command => {}
            Work::Program(_) => {
                problems.push(Problem::new("the case is a program, and the component exports no `wasi:cli/run@0.2`"));
            }
        }
        let mut parts = Vec::new();
        for expectation in &case.imports {
            match part(expectation, &loaded.imports, real) {
                Ok(part) => parts.push(part),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(Self { steps: planned, script: Script::new(parts, case.ordered, case.log.clone()) })
        } else {
            Err(problems)
        }
    }
}

impl Planned {
    pub(super) fn path(&self) -> String {
        match self {
            Self::Call(PlannedCall { interface: Some(interface), name, .. }) => format!("{interface}#{name}"),
            Self::Call(PlannedCall { name, .. }) => name.clone(),
            Self::Drop(name) => format!("drop {name}"),
        }
    }
}

fn call(
    n: usize,
    step: &StepCall,
    case: &Case,
    functions: &[Function],
    handles: &mut BTreeMap<String, Handle>,
) -> Result<PlannedCall, Problem> {
    let function = find(&step.call, functions, "exports")?;
    let unwritable = |what: String| {
        let message = format!("`{}` {what}", escape(&function.path()));
        Problem::new(message).with([format!("the signature is `{}`", function.signature())])
    };
    let types = params(&step.call, function)?;
    let mut args = Vec::new();
    for (node, ty) in step.call.value.args.iter().zip(&types) {
        let unfit = |wrong: Wrong| unfit("call", &step.call, &wrong, function);
        args.push(match ty {
            Type::Own(resource) => Arg::Handle(passed(n, node, *resource, true, handles).map_err(unfit)?),
            Type::Borrow(resource) => Arg::Handle(passed(n, node, *resource, false, handles).map_err(unfit)?),
            ty if !crate::call::has_text_form(ty) => {
                return Err(unwritable("takes a value without a text form".to_owned()));
            }
            ty => Arg::Value(node.value::<Val>(ty).map_err(unfit)?),
        });
    }
    let result = function.ty.results().next();
    match (&step.binds, result.as_ref().and_then(owned)) {
        (Some(name), Some(ty)) => {
            let fresh = Handle { ty, gone: None };
            if handles.insert(name.value.clone(), fresh).is_some_and(|before| before.gone.is_none()) {
                let message = format!("line {}: `let`: there is a `${}` already: drop it first", name.line, name.value);
                return Err(Problem::new(message));
            }
        }
        (Some(_), None) => return Err(unwritable("returns no resource that `let` could name".to_owned())),
        (None, Some(_)) => return Err(unwritable("returns a resource: give it a name with `let`".to_owned())),
        (None, None) => {}
    }
    let expected = match (&step.expected, &result) {
        (Expected::Value(pattern), Some(ty)) => {
            pattern.value.of_type(ty).map_err(|wrong| unfit("returns", pattern, &wrong, function))?;
            Some(pattern.value.clone())
        }
        (Expected::Value(pattern), None) => {
            let wrong = Wrong { span: 0..pattern.text.len(), message: "the function has no result".to_owned() };
            return Err(unfit("returns", pattern, &wrong, function));
        }
        (Expected::Nothing | Expected::Any, _) => None,
    };
    if step.binds.is_none() && result.is_some_and(|ty| !crate::call::has_text_form(&ty)) {
        return Err(unwritable("returns a value without a text form".to_owned()));
    }
    Ok(PlannedCall {
        interface: function.interface.clone(),
        name: function.name.clone(),
        args,
        results: function.ty.results().len(),
        expected,
        binds: step.binds.as_ref().map(|name| name.value.clone()),
        render: case.stops.is_some() || matches!(step.expected, Expected::Nothing),
        keep: case.instances > 1 && step.binds.is_none(),
    })
}

/// The resource that a result is, or holds when it is `ok`.
fn owned(ty: &Type) -> Option<ResourceType> {
    match ty {
        Type::Own(resource) => Some(*resource),
        Type::Result(result) => match result.ok() {
            Some(Type::Own(resource)) => Some(resource),
            _ => None,
        },
        _ => None,
    }
}

/// The resource that is passed as an argument: one that has a name, is there, and is of the type.
fn passed(
    n: usize,
    node: &Node,
    ty: ResourceType,
    given_away: bool,
    handles: &mut BTreeMap<String, Handle>,
) -> Result<String, Wrong> {
    let wrong = |message: String| Wrong { span: node.span(), message };
    let Some(name) = node.handle() else {
        return Err(wrong("a resource is needed here: write `$` and the name that a step before gave it".to_owned()));
    };
    let handle = there(name, handles).map_err(wrong)?;
    if handle.ty != ty {
        return Err(wrong(format!("`${name}` is a resource of another type")));
    }
    if given_away {
        handle.gone = Some(format!("given away in step {}", n + 1));
    }
    Ok(name.to_owned())
}

fn dropped(n: usize, name: &Text<String>, handles: &mut BTreeMap<String, Handle>) -> Result<Planned, Problem> {
    let handle = there(&name.value, handles);
    let handle = handle.map_err(|message| Problem::new(format!("line {}: `drop`: {message}", name.line)))?;
    handle.gone = Some(format!("dropped in step {}", n + 1));
    Ok(Planned::Drop(name.value.clone()))
}

fn there<'h>(name: &str, handles: &'h mut BTreeMap<String, Handle>) -> Result<&'h mut Handle, String> {
    let near = crate::contract::nearest(name, handles.keys().map(String::as_str));
    let near = near.filter(|near| *near != name).map_or(String::new(), |near| format!("; did you mean `${near}`?"));
    match handles.get_mut(name) {
        Some(Handle { gone: Some(why), .. }) => Err(format!("`${name}` was {why}")),
        Some(handle) => Ok(handle),
        None => Err(format!("no step before this one has `let = \"{name}\"`{near}")),
    }
}

fn part(expectation: &Expectation, functions: &[Function], real: &BTreeSet<String>) -> Result<Part, Problem> {
    let call = &expectation.call;
    let function = find(call, functions, "imports")?;
    if function.interface.as_ref().is_some_and(|interface| real.contains(interface)) {
        let message = format!("`{}` is answered by the case and is real too", escape(&function.path()));
        return Err(Problem::new(message));
    }
    let types = params(call, function)?;
    for (node, ty) in call.value.args.iter().zip(&types) {
        node.of_type(ty).map_err(|wrong| unfit("call", call, &wrong, function))?;
    }
    let result = function.ty.results().next();
    let answer = match (&expectation.answer, expectation.fault, &result) {
        (Some(text), _, Some(ty)) => {
            Some(text.value.value::<Val>(ty).map_err(|wrong| unfit("answer", text, &wrong, function))?)
        }
        (Some(text), _, None) => {
            let wrong = Wrong { span: 0..text.text.len(), message: "the function has no result".to_owned() };
            return Err(unfit("answer", text, &wrong, function));
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

fn find<'f>(call: &Text<Call>, functions: &'f [Function], verb: &str) -> Result<&'f Function, Problem> {
    let path = &call.value.path;
    let mut meant = functions.iter().filter(|function| function.is_meant(path));
    match (meant.next(), meant.count()) {
        (Some(one), 0) => Ok(one),
        (Some(_), more) => Err(Problem::new(format!(
            "`{}` is the name of {} functions: write the interface before it, as in `iface#name`",
            escape(path),
            more + 1
        ))),
        (None, _) => {
            let bare = path.rsplit_once('#').map_or(path.as_str(), |(_, name)| name);
            let near = crate::contract::nearest(bare, functions.iter().map(|function| function.name.as_str()));
            let near = near.and_then(|near| functions.iter().find(|function| function.name == near));
            let near = near.map_or(String::new(), |near| format!("; did you mean `{}`?", escape(&near.path())));
            let message = format!("the component {verb} no function `{}`{near}", escape(path));
            let names: Vec<String> = functions.iter().take(20).map(|function| escape(&function.path())).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Err(Problem::new(message).with([format!("it {verb} {names}")]))
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
