//! The calls that the host knows how to make: a job, a program, and a function by name.

use std::sync::atomic::Ordering::Relaxed;

use wasmtime::Store;
use wasmtime::component::{Instance, Val};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::Command;

use super::Value;
use super::guest::Verdict;
use crate::bindings::{Failure, Input, Sandbox};
use crate::call::FunctionCall;
use crate::outcome::{Stop, StopReason};
use crate::state::State;
use crate::text::escape;

pub(super) async fn job<E: Send>(
    store: &mut Store<State<E>>,
    instance: Instance,
    input: Input,
) -> wasmtime::Result<Verdict<Value>> {
    let sandbox = Sandbox::new(&mut *store, &instance)?;
    let result = sandbox.sandbox_host_job().call_run(&mut *store, &input).await?;
    match result {
        Ok(output) => {
            let quota = &store.data().quota;
            let words = output.attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
            let words = words + output.content_type.as_ref().map_or(0, String::len);
            let bytes = (output.body.len() + words) as u64;
            quota.output.try_take(bytes)?;
            quota.memory.grow_or_stop(bytes)?;
            quota.body_bytes.store(bytes, Relaxed);
            Ok(Verdict::Returned(Value::Job(Ok(output))))
        }
        Err(failure) => {
            let (kind, text) = match &failure {
                Failure::InvalidInput(text) => ("invalid-input", text),
                Failure::InvalidConfig(text) => ("invalid-config", text),
                Failure::Other(text) => ("other", text),
            };
            store.data().quota.output.try_take(text.len() as u64)?;
            // Cut before it is escaped, which makes it longer.
            let end = text.floor_char_boundary(MAX_FAILURE);
            let text = format!("{kind}: {}", escape(text.get(..end).unwrap_or_default()));
            let stop = Stop::new(StopReason::Failed(1), text);
            Ok(Verdict::Failed { value: Value::Job(Err(failure)), stop })
        }
    }
}

/// Bytes of a failure's text that are shown.
const MAX_FAILURE: usize = 4096;

pub(super) async fn command<E: Send>(
    store: &mut Store<State<E>>,
    instance: Instance,
) -> wasmtime::Result<Verdict<Value>> {
    let command = Command::new(&mut *store, &instance)?;
    match command.wasi_cli_run().call_run(&mut *store).await {
        Ok(Ok(())) => Ok(Verdict::Returned(Value::Exited)),
        Ok(Err(())) => {
            let stop = Stop::new(StopReason::Failed(1), "the program exited with status 1");
            Ok(Verdict::Failed { value: Value::Exited, stop })
        }
        Err(error) => match error.downcast_ref() {
            Some(I32Exit(0)) => Ok(Verdict::Returned(Value::Exited)),
            _ => Err(error),
        },
    }
}

pub(super) async fn function<E: Send>(
    store: &mut Store<State<E>>,
    instance: Instance,
    call: FunctionCall,
) -> wasmtime::Result<Verdict<Value>> {
    let outer = match &call.interface {
        Some(interface) => Some(instance.get_export_index(&mut *store, None, interface).ok_or_else(gone)?),
        None => None,
    };
    let index = instance.get_export_index(&mut *store, outer.as_ref(), &call.name).ok_or_else(gone)?;
    let func = instance.get_func(&mut *store, index).ok_or_else(gone)?;
    let mut results = vec![Val::Bool(false); call.results];
    func.call_async(&mut *store, &call.args, &mut results).await?;
    let failed = matches!(results.as_slice(), [Val::Result(Err(_))]);
    let value = Value::Function(results);
    if failed {
        let stop = Stop::new(StopReason::Failed(1), "the function returned an error");
        return Ok(Verdict::Failed { value, stop });
    }
    Ok(Verdict::Returned(value))
}

fn gone() -> wasmtime::Error {
    Stop::host_fault("an export that was there before instantiation is gone after it").into()
}
