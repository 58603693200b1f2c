//! The one function: call a component under a policy on behalf of a tenant, and return outcome and receipt.
//!
//! An invocation has a store of its own, made here and dropped here. The guest runs on the guests' runtime; the
//! caller's side holds the deadline, waits, and sees to it that what the guest wrote is written out. Whatever happens,
//! there is an outcome and a receipt.

mod calls;
mod context;
mod guest;
mod record;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use wasmtime::Store;
use wasmtime::component::{Instance, Val};

use self::guest::{Guest, Report, Verdict};
use self::record::Record;
use crate::bindings::{Failure, Input, Output};
use crate::call::FunctionCall;
use crate::component::{Component, World};
use crate::engine::EngineKey;
use crate::host::Host;
use crate::outcome::{Outcome, Refusal, Stop, StopReason};
use crate::policy::{LimitKind, Policy};
use crate::quota::Quota;
use crate::receipt::Receipt;
use crate::scheduler::{Clock, GRACE};
use crate::state::State;
use crate::stdio::{self, Channel, Pipe, Sink};
use crate::tenant::Tenant;

/// One call that is to be made.
///
/// By default standard input is at its end, output is dropped, and nothing but the tenant's policy can end it early.
pub struct Invocation<E: Send + 'static = ()> {
    component: Component<E>,
    tenant: Tenant,
    call: Call,
    stdin: Stdin,
    stdout: Sink,
    stderr: Sink,
    extension: E,
    cancel: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Where a guest's standard input comes from, if the policy grants it.
#[derive(Clone, Debug, Default)]
pub enum Stdin {
    /// At its end from the start.
    #[default]
    Empty,
    /// The host's own.
    Inherit,
    /// These bytes.
    Bytes(Bytes),
}

/// What a guest returned.
#[derive(Clone, Debug)]
pub enum Value {
    /// A job's output or failure.
    Job(Result<Output, Failure>),
    /// A program ended; its status is in the outcome.
    Exited,
    /// The results of a function that was called by name.
    Function(Vec<Val>),
}

/// An invocation that is over.
#[derive(Debug)]
pub struct Ended<R = Value> {
    /// How it ended.
    pub outcome: Outcome<R>,
    /// The record of it.
    pub receipt: Receipt,
}

enum Call {
    Job(Input),
    Command,
    Function(FunctionCall),
    Custom,
}

impl<E: Send + 'static> Invocation<E> {
    fn new(component: &Component<E>, tenant: &Tenant, call: Call, extension: E) -> Self {
        Self {
            component: component.clone(),
            tenant: tenant.clone(),
            call,
            stdin: Stdin::Empty,
            stdout: Sink::Discard,
            stderr: Sink::Discard,
            extension,
            cancel: Box::pin(std::future::pending()),
        }
    }

    /// A call through bindings of your own; see [`Host::invoke_with`]. `extension` is what [`State::extension`] gives
    /// to your host functions.
    pub fn custom(component: &Component<E>, tenant: &Tenant, extension: E) -> Self {
        Self::new(component, tenant, Call::Custom, extension)
    }

    /// Connects standard input, if the policy grants it.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Where standard output goes, if the policy grants it.
    #[must_use]
    pub fn stdout(mut self, sink: Sink) -> Self {
        self.stdout = sink;
        self
    }

    /// Where standard error goes, if the policy grants it.
    #[must_use]
    pub fn stderr(mut self, sink: Sink) -> Self {
        self.stderr = sink;
        self
    }

    /// Stops the invocation with `cancelled` when this future ends.
    #[must_use]
    pub fn cancel_when(mut self, cancel: impl Future<Output = ()> + Send + 'static) -> Self {
        self.cancel = Box::pin(cancel);
        self
    }
}

impl<E: Send + Default + 'static> Invocation<E> {
    /// Calls `sandbox:host/job.run`.
    pub fn job(component: &Component<E>, tenant: &Tenant, input: Input) -> Self {
        Self::new(component, tenant, Call::Job(input), E::default())
    }

    /// Runs a program: `wasi:cli/run`.
    pub fn command(component: &Component<E>, tenant: &Tenant) -> Self {
        Self::new(component, tenant, Call::Command, E::default())
    }

    /// Calls an exported function by name: `[ns:pkg/]iface#func(args)`, or `func(args)` where that means one function
    /// only. Arguments are in WAVE and checked against the component's types here, before anything runs.
    ///
    /// # Errors
    /// `refused.call`, with the signature that was expected or the functions that there are.
    pub fn function(component: &Component<E>, tenant: &Tenant, call: &str) -> Result<Self, Stop> {
        let call = FunctionCall::read(call, component.inner.pre.component(), component.engine())?;
        Ok(Self::new(component, tenant, Call::Function(call), E::default()))
    }
}

impl Value {
    /// The results of a function in WAVE, one to a line; none for anything else.
    pub fn to_wave(&self) -> Option<String> {
        let Self::Function(values) = self else { return None };
        let lines: Vec<String> = values
            .iter()
            .map(|value| wasm_wave::to_string(value).unwrap_or_else(|_| "<no text form>".into()))
            .collect();
        Some(lines.join("\n"))
    }
}

impl<R> Ended<R> {
    /// The record of something that never came to run: a file that couldn't be read, a component that was refused, a
    /// policy that grants what isn't there.
    pub fn refused(tenant: &str, policy: &Policy, stop: Stop) -> Self {
        let record = Record::new(tenant, policy);
        let receipt = record.receipt(Some(&stop), &Report::default(), &Quota::new(&policy.limits));
        Self { outcome: Outcome::Stopped(stop), receipt }
    }
}

impl<E: Send + 'static> Host<E> {
    /// Makes the call and says how it ended. Must be awaited inside a tokio runtime with time enabled, which is where
    /// the deadline is held.
    ///
    /// An [`Invocation::custom`] has no call of its own: it ends as `refused.call` here.
    pub async fn invoke(&self, mut invocation: Invocation<E>) -> Ended {
        let call = std::mem::replace(&mut invocation.call, Call::Custom);
        let world = invocation.component.facts().world;
        let refuse = |why, message: String, hint: &str| Err(Stop::refused(why, message, hint));
        match call {
            Call::Job(input) if world == World::Sandbox => {
                let held = input.body.len() as u64;
                let name = "sandbox:host/job#run".to_owned();
                self.run(invocation, name, held, move |store, instance| Box::pin(calls::job(store, instance, input)))
                    .await
            }
            Call::Command if world == World::Command => {
                let name = "wasi:cli/run#run".to_owned();
                self.run(invocation, name, 0, |store, instance| Box::pin(calls::command(store, instance))).await
            }
            Call::Function(call) => {
                let name = call.path();
                self.run(invocation, name, 0, move |store, instance| Box::pin(calls::function(store, instance, call)))
                    .await
            }
            call => {
                let (message, hint) = match call {
                    Call::Job(_) => ("the component exports no `sandbox:host/job`", "call it as what it is"),
                    Call::Command => ("the component exports no `wasi:cli/run`", "call it as what it is"),
                    _ => ("this invocation has no call of its own", "give `Host::invoke_with` a function to call"),
                };
                let refusal = refuse(Refusal::World, message.to_owned(), hint);
                self.run(invocation, String::new(), 0, move |_, _| {
                    Box::pin(async move { refusal.map_err(wasmtime::Error::from) })
                })
                .await
            }
        }
    }

    /// Makes a call through bindings of your own: `call` gets the fresh store and the instance, under the same policy,
    /// limits and receipt as any other. What it returns is the outcome's value; an error is told apart like any other.
    pub async fn invoke_with<R, F>(&self, invocation: Invocation<E>, name: &str, call: F) -> Ended<R>
    where
        R: Send + 'static,
        F: for<'a> FnOnce(
                &'a mut Store<State<E>>,
                Instance,
            ) -> Pin<Box<dyn Future<Output = wasmtime::Result<R>> + Send + 'a>>
            + Send
            + 'static,
    {
        let returned = guest::call(move |store, instance| {
            let future = call(store, instance);
            Box::pin(async move { Ok(Verdict::Returned(future.await?)) })
        });
        self.run(invocation, name.to_owned(), 0, returned).await
    }

    async fn run<R, F>(&self, invocation: Invocation<E>, name: String, held: u64, call: F) -> Ended<R>
    where
        R: Send + 'static,
        F: for<'a> FnOnce(&'a mut Store<State<E>>, Instance) -> guest::CallFuture<'a, R> + Send + 'static,
    {
        let Invocation { component, tenant, stdin, stdout, stderr, extension, mut cancel, .. } = invocation;
        let policy = tenant.policy();
        let record = Record::new(tenant.id().as_str(), policy).of(&component).calling(name);
        let quota = Arc::new(Quota::new(&policy.limits));
        let never = |stop: Stop| {
            let receipt = record.receipt(Some(&stop), &Report::default(), &quota);
            Ended { outcome: Outcome::Stopped(stop), receipt }
        };
        if let Err(stop) = admit(&component, policy, held, &quota) {
            return never(stop);
        }
        let grants = &policy.grants;
        let stdio = grants.stdio.unwrap_or_default();
        let connect = |granted: bool, sink: Sink| if granted { sink } else { Sink::Discard };
        let stdout = connect(stdio.stdout, stdout);
        let stderr = connect(stdio.stderr, stderr);
        let (out, out_pipe) = stdio::Output::new(&stdout, Channel::Stdout, Arc::clone(&quota));
        let (err, err_pipe) = stdio::Output::new(&stderr, Channel::Stderr, Arc::clone(&quota));
        let stdin = if stdio.stdin { stdin } else { Stdin::Empty };
        let clock = Arc::new(Clock::start(&policy.limits));
        let wasi = match context::wasi(policy, stdin, out, err, &component) {
            Ok(wasi) => wasi,
            Err(stop) => return never(stop),
        };

        let mut pumps = JoinSet::new();
        let pipes = [out_pipe, err_pipe];
        for (pipe, sink) in pipes.iter().zip([stdout, stderr]) {
            pump(&mut pumps, pipe.as_ref(), &sink);
        }
        let guest = Guest::new(&component, &tenant, Arc::clone(&quota), Arc::clone(&clock), wasi, extension);
        let mut task = match self.guests() {
            Ok(guests) => guests.spawn(guest.run(call)),
            Err(stop) => return never(stop),
        };

        // A deadline that no clock can say never comes; any other is reached in this runtime, whatever the guest does.
        let deadline = clock.deadline().map(Instant::from_std);
        let far = Instant::now() + Duration::from_secs(86_400 * 365);
        let mut give_up = far;
        let mut asked = false;
        let (ending, mut report) = loop {
            tokio::select! {
                joined = &mut task => break match joined {
                    Ok((ending, report)) => (ending, report),
                    Err(error) => {
                        let message = format!("the guest's task ended: {}", describe(error));
                        (Err(Stop::host_fault(message)), Report::default())
                    }
                },
                () = sleep_until(deadline.unwrap_or(far)), if !asked => {
                    clock.stop(clock.wall_stop());
                    (asked, give_up) = (true, Instant::now() + GRACE);
                }
                () = &mut cancel, if !asked => {
                    clock.stop(cancelled());
                    (asked, give_up) = (true, Instant::now() + GRACE);
                }
                () = sleep_until(give_up), if asked => {
                    // The host call that it is in doesn't come back; what it holds is freed when it does.
                    task.abort();
                    let report = Report { cpu_ns: clock.cpu_ns(), ..Report::default() };
                    break (Err(clock.check().err().unwrap_or_else(|| clock.wall_stop())), report);
                }
            }
        };
        report.wall_ns = clock.wall_ns();

        // What the guest wrote is written out, for as long as the deadline lets it wait for a slow reader.
        for pipe in pipes.iter().flatten() {
            pipe.close();
        }
        let patience = deadline.unwrap_or(far).max(Instant::now() + GRACE);
        let drained = tokio::select! {
            () = async { while pumps.join_next().await.is_some() {} } => Ok(()),
            () = sleep_until(patience) => Err(clock.wall_stop()),
            () = &mut cancel, if !asked => Err(cancelled()),
        };
        let outcome = match (ending, drained) {
            (Ok(Verdict::Returned(_)), Err(stop)) | (Err(stop), _) => stopped(stop),
            (Ok(Verdict::Returned(value)), Ok(())) => Outcome::Returned(value),
            (Ok(Verdict::Failed { value, stop }), _) => Outcome::Failed { value: Some(value), stop },
        };
        let receipt = record.receipt(outcome.stop(), &report, &quota);
        Ended { outcome, receipt }
    }
}

/// A program's own exit status is a failure that it reported; any other stop was done to it.
fn stopped<R>(stop: Stop) -> Outcome<R> {
    match stop.reason {
        StopReason::Failed(_) => Outcome::Failed { value: None, stop },
        _ => Outcome::Stopped(stop),
    }
}

fn cancelled() -> Stop {
    Stop::new(StopReason::Cancelled, "the caller cancelled the run")
}

fn describe(error: tokio::task::JoinError) -> String {
    if !error.is_panic() {
        return "it was aborted".to_owned();
    }
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("without a message"))
}

/// Checks what can be checked before anything is made, and reserves what the host holds for the guest.
fn admit<E>(component: &Component<E>, policy: &Policy, held: u64, quota: &Quota) -> Result<(), Stop> {
    if component.inner.key != EngineKey::of(&policy.limits) {
        let message = "the component was compiled for a policy with another `stack`, or with `fuel` on or off";
        return Err(Stop::refused(Refusal::Policy, message, "load it again under this policy"));
    }
    quota.input_bytes.store(held, Relaxed);
    let max = policy.limits.input.0;
    if held > max {
        return Err(Stop::limit(LimitKind::Input, max, 0, Some(held)));
    }
    if !quota.memory.try_grow(held) {
        return Err(Stop::limit(LimitKind::Memory, policy.limits.memory.0, 0, Some(held)));
    }
    Ok(())
}

fn pump(pumps: &mut JoinSet<()>, pipe: Option<&Arc<Pipe>>, sink: &Sink) {
    let Some(pipe) = pipe.map(Arc::clone) else { return };
    let to_stderr = matches!(sink, Sink::Stderr);
    pumps.spawn(async move {
        // A writer that fails is the guest's to notice, as the end of its stream.
        let _ = if to_stderr { pipe.pump(tokio::io::stderr()).await } else { pipe.pump(tokio::io::stdout()).await };
    });
}
