//! The steps of a session, made one after another in one instance: calls, and the resources that they pass on.
//!
//! What a step returns is compared where it arrives and dropped, so that a long session holds one value at a time.

use std::collections::HashMap;

use wasmtime::Store;
use wasmtime::component::{Instance, ResourceAny, Val};

use super::plan::{Arg, Planned, PlannedCall};
use super::script::{Answer, Script};
use crate::contract::{Problem, shown, wave};
use crate::outcome::Stop;
use crate::state::State;

/// Makes all steps, and keeps what each returned.
pub(super) async fn run(
    steps: Vec<Planned>,
    store: &mut Store<State<Script>>,
    instance: Instance,
) -> wasmtime::Result<()> {
    let mut handles: HashMap<String, ResourceAny> = HashMap::new();
    for (n, step) in steps.into_iter().enumerate() {
        match step {
            Planned::Call(call) => make(n, call, &mut handles, store, instance).await?,
            Planned::Drop(name) => {
                if let Some(handle) = handles.remove(&name) {
                    handle.resource_drop_async(&mut *store).await?;
                }
                store.data_mut().extension().keep(Answer::default());
            }
        }
    }
    Ok(())
}

async fn make(
    n: usize,
    call: PlannedCall,
    handles: &mut HashMap<String, ResourceAny>,
    store: &mut Store<State<Script>>,
    instance: Instance,
) -> wasmtime::Result<()> {
    let gone = || Stop::host_fault("an export that was there before instantiation is gone after it");
    let outer = match &call.interface {
        Some(interface) => Some(instance.get_export_index(&mut *store, None, interface).ok_or_else(gone)?),
        None => None,
    };
    let index = instance.get_export_index(&mut *store, outer.as_ref(), &call.name).ok_or_else(gone)?;
    let func = instance.get_func(&mut *store, index).ok_or_else(gone)?;
    let mut args = Vec::with_capacity(call.args.len());
    for arg in call.args {
        args.push(match arg {
            Arg::Value(value) => value,
            // The plan says that it is there.
            Arg::Handle(name) => Val::Resource(handles.get(&name).copied().ok_or_else(gone)?),
        });
    }
    let mut results = vec![Val::Bool(false); call.results];
    func.call_async(&mut *store, &args, &mut results).await?;
    drop(args);
    let script = store.data_mut().extension();
    let Some(value) = results.first() else {
        script.keep(Answer::default());
        return Ok(());
    };
    if let Some(name) = call.binds {
        match value {
            Val::Resource(handle) => drop(handles.insert(name, *handle)),
            Val::Result(Ok(Some(inner))) if matches!(**inner, Val::Resource(_)) => {
                let Val::Resource(handle) = **inner else { return Err(gone().into()) };
                handles.insert(name, handle);
            }
            other => {
                let message = format!("step {}: `${name}` is no resource: the call returned an error", n + 1);
                script.refuse(Problem::new(message).with([format!("found  {}", shown(other))]));
                return Err(wasmtime::format_err!("a step returned no resource"));
            }
        }
        script.keep(Answer::default());
        return Ok(());
    }
    let differences = call.expected.map(|expected| expected.differences(value)).unwrap_or_default();
    let told = call.render || !differences.is_empty();
    script.keep(Answer {
        differences,
        has_value: true,
        shown: if told { shown(value) } else { String::new() },
        text: if told { wave::whole(value) } else { None },
        values: if call.keep { results } else { Vec::new() },
    });
    Ok(())
}
