//! The one function: call a component under a policy on behalf of a tenant, and return outcome and receipt.
//!
//! An invocation has a place among those that are under way and a store of its own, made here and dropped here. The guest runs on the guests' runtime; the
//! caller's side holds the deadline, waits, and sees to it that what the guest wrote is written out. Whatever happens,
//! there is an outcome and a receipt.

mod admission;
mod calls;
mod context;
mod guest;
mod record;
mod watch;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use bytes::Bytes;
use wasmtime::Store;
use wasmtime::component::{Instance, Val};

use self::guest::{Given, Guest, Report, Verdict};
use self::record::Record;
use self::watch::{Pumps, Watch};
use crate::bindings::{Failure, Input, Output};
use crate::call::FunctionCall;
use crate::component::{Component, World};
use crate::deterministic::Deterministic;
use crate::host::Host;
use crate::outcome::{Outcome, Refusal, Stop, StopReason};
use crate::policy::{LimitKind, Policy};
use crate::quota::Quota;
use crate::receipt::Receipt;
use crate::scheduler::Clock;
use crate::state::{Directories, HttpContext, SocketsContext, State};
use crate::stdio::{self, Channel, Sink};
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
    since: Option<Instant>,
    latest: Option<Instant>,
    audit: bool,
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
    /// Why some of what the guest wrote could not be written to the host's own streams. A reader that went away is no
    /// error.
    pub lost_output: Option<std::io::Error>,
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
            since: None,
            latest: None,
            audit: false,
        }
    }

    /// Lets the deadline count from a moment before the call: from when the caller began to load the component, or from
    /// when a request came in.
    #[must_use]
    pub fn counting_from(mut self, began: Instant) -> Self {
        self.since = Some(began);
        self
    }

    /// Records each distinct thing that the guest uses of what it is granted, in the receipt's `audit`. Nothing is allowed
    /// that wasn't; what is recorded has the guest's own words in it.
    #[must_use]
    pub fn audited(mut self) -> Self {
        self.audit = true;
        self
    }

    /// Runs under what both the tenant's policy and this one permit: a policy that the caller hands over can only take
    /// away. The component has to be loaded under a policy with the same `stack`, and with `fuel` on or off as here.
    #[must_use]
    pub fn narrowed(mut self, policy: &Policy) -> Self {
        self.tenant = self.tenant.narrowed(policy);
        self
    }

    /// Moves the deadline to an earlier moment; it is never later than the policy says. An invocation that another one
    /// causes is given that one's [`State::deadline`].
    #[must_use]
    pub fn no_later_than(mut self, deadline: Option<Instant>) -> Self {
        self.latest = match (self.latest, deadline) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self
    }

    /// A call through bindings of your own; see [`Host::invoke_with`]. `extension` is what [`State::extension`] gives
    /// to your host functions.
    pub fn custom(component: &Component<E>, tenant: &Tenant, extension: E) -> Self {
        Self::new(component, tenant, Call::Custom, extension)
    }

    /// Gives host functions a value of yours, as [`Invocation::custom`] does.
    #[must_use]
    pub fn extension(mut self, extension: E) -> Self {
        self.extension = extension;
        self
    }

    /// Connects standard input, if the policy grants it.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// The record of an invocation that never came to run.
    fn refused<R>(&self, stop: Stop) -> Ended<R> {
        let policy = self.tenant.policy();
        let quota = Quota::new(&policy.limits);
        if let Call::Job(input) = &self.call {
            quota.input_bytes.store(input.body.len() as u64, Relaxed);
        }
        let record = Record::of_tenant(&self.tenant).of(&self.component);
        let receipt = record.receipt(Some(&stop), &Report::default(), &quota);
        Ended { outcome: Outcome::Stopped(stop), receipt, lost_output: None }
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
        let code = component.inner.pre().component();
        let call = FunctionCall::read(call, code, code.engine())?;
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
    /// policy that grants what isn't there. The component is part of it where it was loaded.
    pub fn refused<E>(tenant: &str, policy: &Policy, component: Option<&Component<E>>, stop: Stop) -> Self {
        let record = Record::new(tenant, policy, policy.digest());
        let record = match component {
            Some(component) => record.of(component),
            None => record,
        };
        // A deadline that passes before there is anything to invoke has passed all the same.
        let deadline = stop.limit.as_deref().filter(|hit| hit.name == LimitKind::Wall);
        let report = Report { wall_ns: deadline.map_or(0, |hit| hit.used), ..Report::default() };
        let receipt = record.receipt(Some(&stop), &report, &Quota::new(&policy.limits));
        Self { outcome: Outcome::Stopped(stop), receipt, lost_output: None }
    }
}

impl<E: Send + 'static> Host<E> {
    /// Makes the call and says how it ended. Must be awaited inside a tokio runtime with time enabled, which is where
    /// the deadline is held. Dropping the future stops the guest.
    ///
    /// A call that doesn't fit the component's world, and an [`Invocation::custom`], which has no call of its own, end as
    /// `refused.world` before anything of the guest runs.
    pub async fn invoke(&self, mut invocation: Invocation<E>) -> Ended {
        let call = std::mem::replace(&mut invocation.call, Call::Custom);
        match (call, invocation.component.facts().world) {
            (Call::Job(input), World::Sandbox) => {
                let held = input.body.len() as u64;
                let call = guest::call(move |store, instance| Box::pin(calls::job(store, instance, input)));
                self.run(invocation, "sandbox:host/job#run".to_owned(), held, call).await
            }
            (Call::Command, World::Command) => {
                let call = guest::call(|store, instance| Box::pin(calls::command(store, instance)));
                self.run(invocation, "wasi:cli/run#run".to_owned(), 0, call).await
            }
            (Call::Function(function), _) => {
                let name = function.path();
                let call = guest::call(move |store, instance| Box::pin(calls::function(store, instance, function)));
                self.run(invocation, name, 0, call).await
            }
            (call, _) => {
                let message = match call {
                    Call::Job(_) => "the component exports no `sandbox:host/job@0.1`",
                    Call::Command => "the component exports no `wasi:cli/run@0.2`",
                    _ => "this invocation has no call of its own",
                };
                let hint = "call it as the world that it has, or give `Host::invoke_with` a function to call";
                invocation.refused(Stop::refused(Refusal::World, message, hint))
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
        let share = self.shared.share(invocation.tenant.id(), &invocation.tenant.policy().tenant);
        let quota = Arc::new(Quota::shared(&invocation.tenant.policy().limits, &share));
        let Invocation { since, latest, audit, .. } = invocation;
        if audit {
            quota.audit.start();
        }
        let since = since.unwrap_or_else(Instant::now);
        let clock = Arc::new(Clock::since(since, latest, &invocation.tenant.policy().limits, Some(&share)));
        let Invocation { component, tenant, stdin, stdout, stderr, extension, mut cancel, .. } = invocation;
        let policy = tenant.policy();
        let record = Record::of_tenant(&tenant).of(&component);
        let watch = Watch { clock: Arc::clone(&clock) };
        let began = Instant::now();
        let never = |stop: Stop| {
            let report = Report { wall_ns: clock.wall_ns(), queue: began.elapsed(), ..Report::default() };
            let receipt = record.receipt(Some(&stop), &report, &quota);
            Ended { outcome: Outcome::Stopped(stop), receipt, lost_output: None }
        };
        let place = match admission::admit(&component, policy, &share, held, &quota, &watch, &mut cancel).await {
            Ok(place) => place,
            Err(stop) => return never(stop),
        };
        let queue = began.elapsed();
        let granted = policy.grants.stdio.unwrap_or_default();
        let connect = |granted: bool, sink: Sink| if granted { sink } else { Sink::Discard };
        let (stdout, stderr) = (connect(granted.stdout, stdout), connect(granted.stderr, stderr));
        let (out, out_pipe) = stdio::Output::new(&stdout, Channel::Stdout, Arc::clone(&quota));
        let (err, err_pipe) = stdio::Output::new(&stderr, Channel::Stderr, Arc::clone(&quota));
        let stdin = if granted.stdin { stdin } else { Stdin::Empty };
        let deterministic = policy.grants.deterministic.map(|seed| Arc::new(Deterministic::new(seed)));
        let wasi = match context::wasi(policy, stdin, (out, err), &component, deterministic.as_ref()) {
            Ok(wasi) => wasi,
            Err(stop) => return never(stop),
        };
        let dirs = match self.dirs().open(&policy.grants.dir) {
            Ok(budgets) => Directories::new(budgets),
            Err(stop) => return never(stop),
        };
        let opened = self.buckets(tenant.id().as_str(), &policy.grants.key_value);
        let buckets = match watch.until(opened, &mut cancel).await.and_then(|opened| opened) {
            Ok(buckets) => buckets,
            Err(stop) => return never(stop),
        };
        let (shared, index) = (tenant.policy_shared(), tenant.http_index());
        let http = match HttpContext::open(shared, index, tenant.id().as_str(), self.egress(), &quota, &clock) {
            Ok(http) => http,
            Err(stop) => return never(stop),
        };
        let sockets = SocketsContext::new(policy, self.egress(), &quota);
        let deterministic_run = deterministic.clone();
        let given = Given { wasi, place, buckets, http, sockets, dirs, extension, deterministic: deterministic_run };
        let guest = Guest::new(&component, &tenant, Arc::clone(&quota), Arc::clone(&clock), given);
        let task = match self.guests() {
            Ok(guests) => guests.spawn(guest.run(call)),
            Err(stop) => return never(stop),
        };
        let pumps = Pumps::start([(out_pipe, stdout), (err_pipe, stderr)]);
        let (ending, report) = watch.until_it_ends(task, &mut cancel).await;
        let ended = Instant::now();
        let drained = watch.until_written(pumps, &mut cancel).await;
        let simulated_ns = deterministic.map(|run| run.elapsed_ns());
        let report = Report { wall_ns: clock.wall_ns(), simulated_ns, queue, drain: ended.elapsed(), ..report };
        let (drained, lost_output) = match drained {
            Ok(lost) => (Ok(()), lost),
            Err(stop) => (Err(stop), None),
        };
        let outcome = match (ending, drained) {
            (Ok(Verdict::Returned(_)), Err(stop)) | (Err(stop), _) => stopped(stop),
            (Ok(Verdict::Returned(value)), Ok(())) => Outcome::Returned(value),
            (Ok(Verdict::Failed { value, stop }), _) => Outcome::Failed { value: Some(value), stop },
        };
        let receipt = record.calling(name).receipt(outcome.stop(), &report, &quota);
        Ended { outcome, receipt, lost_output }
    }
}

/// A program's own exit status is a failure that it reported; any other stop was done to it.
fn stopped<R>(stop: Stop) -> Outcome<R> {
    match stop.reason {
        StopReason::Failed(_) => Outcome::Failed { value: None, stop },
        _ => Outcome::Stopped(stop),
    }
}
