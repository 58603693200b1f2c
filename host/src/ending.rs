//! From whatever came out of the engine to a stop: the one place where an error is told apart and blame assigned.
//!
//! The engine reports some limits with private error types, so those are known by their text; the probes of those
//! limits fail when a new version of the engine changes it.

use std::fmt::Write as _;

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::FieldMapError;

use crate::outcome::{Busy, Stop, StopReason};
use crate::policy::{LimitKind, Limits};
use crate::quota::Quota;
use crate::text::{Bounded, escape};

/// Bytes of one frame's text that are kept.
const MAX_FRAME: usize = 300;

/// When to try again where a pool is full, in milliseconds: about how long a short invocation takes.
const RETRY_MS: u64 = 10;

/// The stop that an error means.
pub(crate) fn stop_of(error: &wasmtime::Error, limits: &Limits, quota: &Quota, fuel_used: u64) -> Stop {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.clone();
    }
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return exited(*status);
    }
    let trap = error.downcast_ref::<Trap>().copied();
    let trace = trace(error);
    if let Some(stop) = limit_of(error, trap, limits, quota, fuel_used) {
        return Stop { trace, ..stop };
    }
    let cause = match trap {
        Some(trap) => trap.to_string().replacen("wasm trap: ", "", 1),
        None => escape(&error.root_cause().to_string()),
    };
    Stop { trace, ..Stop::new(StopReason::Trapped, format!("the guest trapped: {cause}")) }
}

/// The stop of a program that ended itself.
fn exited(status: i32) -> Stop {
    match u8::try_from(status) {
        Ok(0) => Stop::new(StopReason::Trapped, "the guest exited with status 0 in place of returning a value"),
        Ok(status) => Stop::new(StopReason::Failed(status), format!("the program exited with status {status}")),
        Err(_) => Stop::new(StopReason::Failed(1), format!("the program exited with status {status}")),
    }
}

fn limit_of(error: &wasmtime::Error, trap: Option<Trap>, limits: &Limits, quota: &Quota, fuel: u64) -> Option<Stop> {
    match trap {
        Some(Trap::OutOfFuel) => {
            return Some(Stop::limit(LimitKind::Fuel, limits.fuel.unwrap_or(fuel), fuel, None));
        }
        Some(Trap::StackOverflow) => {
            return Some(Stop::limit(LimitKind::Stack, limits.stack.0, limits.stack.0, None));
        }
        _ => {}
    }
    if error.is::<PoolConcurrencyLimitError>() {
        // What a component is made of can be more than what a place has on average.
        return Some(Stop::busy(Busy::Host, "the host's pool has no free place of that size now", RETRY_MS));
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return Some(Stop::limit(LimitKind::Handles, limits.handles, limits.handles, Some(1)));
    }
    if matches!(error.downcast_ref(), Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields)) {
        let stop = Stop::limit(LimitKind::HttpHeaders, limits.http_headers.0, quota.http_headers.used(), None);
        let message = format!("{}, and one set of header fields takes more than the host keeps of one", stop.message);
        return Some(Stop { message, ..stop });
    }
    // Only the cause: the text of the whole error has the guest's stack in it, which the engine demangles without bound.
    let text = error.root_cause().to_string();
    if text.contains("store handle limit exceeded") {
        return Some(Stop::limit(LimitKind::Handles, limits.handles, limits.handles, Some(1)));
    }
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return Some(Stop::limit(LimitKind::Hostcall, limits.hostcall.0, limits.hostcall.0, None));
    }
    if text.contains("instance count too high") {
        return Some(Stop::limit(LimitKind::Instances, limits.instances, limits.instances, Some(1)));
    }
    // A guest that was refused memory and then fails has failed for that, whatever its own words are.
    quota.memory.refused().or_else(|| quota.table.refused())
}

/// The guest's stack in the names of its own source, innermost frame first.
fn trace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let frame = |frame: &wasmtime::FrameInfo| {
        let mut text = match frame.func_name() {
            Some(name) => demangle(name),
            None => format!("<function {}>", frame.func_index()),
        };
        if let Some(module) = frame.module().name() {
            // Writing to a string can't fail.
            let _ = write!(text, " in {module}");
        }
        if let Some((file, line)) = frame.symbols().first().and_then(|symbol| Some((symbol.file()?, symbol.line()?))) {
            let _ = write!(text, " at {file}:{line}");
        }
        let mut text = escape(&text);
        if text.len() > MAX_FRAME {
            let end = text.floor_char_boundary(MAX_FRAME);
            text.truncate(end);
            text.push('…');
        }
        text
    };
    backtrace.frames().iter().map(frame).collect()
}

/// A name as its source has it. A few bytes can stand for gigabytes of a demangled name, so what is written is bounded
/// while it is written.
fn demangle(name: &str) -> String {
    let mut text = Bounded::new(MAX_FRAME);
    // An error of writing is the bound, and what came before it is what is wanted.
    if let Ok(name) = rustc_demangle::try_demangle(name) {
        let _ = write!(text, "{name:#}");
    } else if let Ok(symbol) = cpp_demangle::Symbol::new(name) {
        let _ = symbol.structured_demangle(&mut text, &cpp_demangle::DemangleOptions::default());
    } else {
        let _ = text.write_str(name);
    }
    text.text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(error: impl Into<wasmtime::Error>) -> &'static str {
        let limits = Limits::default();
        stop_of(&error.into(), &limits, &Quota::new(&limits), 0).reason.code()
    }

    #[test]
    fn errors_are_told_apart() {
        assert_eq!(reason(Trap::OutOfFuel), "limit.fuel");
        assert_eq!(reason(Trap::StackOverflow), "limit.stack");
        assert_eq!(reason(Trap::UnreachableCodeReached), "trapped");
        assert_eq!(reason(I32Exit(3)), "failed");
        assert_eq!(reason(I32Exit(0)), "trapped");
        assert_eq!(reason(ResourceTableError::Full), "limit.handles");
        assert_eq!(reason(ResourceTableError::HasChildren), "trapped");
        assert_eq!(reason(Stop::host_fault("x")), "host-fault");
    }

    #[test]
    fn a_trap_after_a_refused_growth_is_the_memory_limit() {
        let limits = Limits::default();
        let quota = Quota::new(&limits);
        assert!(!quota.memory.try_grow(u64::MAX));
        let stop = stop_of(&Trap::UnreachableCodeReached.into(), &limits, &quota, 0);
        assert_eq!(stop.reason.code(), "limit.memory");
    }

    #[test]
    fn names_are_demangled() {
        assert_eq!(demangle("_ZN4core9panicking5panic17h0123456789abcdefE"), "core::panicking::panic");
        assert_eq!(demangle("_Z3fooi"), "foo(int)");
        assert_eq!(demangle("main.main"), "main.main");
    }
}
