//! Running behavioural cases: each in a fresh instance, under its own limits, with imports answered as the case says.
//!
//! A case is an invocation like any other: it goes through [`Host::invoke`] or [`Host::invoke_with`], with the same
//! limits and the same ending. What differs is the linker. An import that the case answers, and one that it doesn't
//! mention, are laid over the host's own functions; what the case calls real is the host's own.
//!
//! Threat model: the case file is its author's, the component may be anybody's. It runs without a grant beyond the
//! configuration that the case gives it, and a wrong value of it is text that is escaped and bounded.

mod fuzz;
mod judge;
mod plan;
mod replay;
mod script;
mod session;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;
use wasmtime::component::Val;

pub use self::fuzz::{Found, Fuzz, Fuzzed};
use self::plan::{Plan, Planned};
pub use self::replay::Replayed;
use self::script::Script;
use crate::bindings::Input;
use crate::cache::Cache;
use crate::call::{self, Function};
use crate::compile::child::ChildCompiler;
use crate::component::Component;
use crate::contract::{Case, Problem, Seen, Status, Target, Verdict, Work, version};
use crate::engine::EngineKey;
use crate::host::Host;
use crate::invoke::{Invocation, Stdin};
use crate::outcome::Stop;
use crate::policy::{Policy, Span, StdioGrant};
use crate::stdio::{Buffer, Sink};
use crate::tenant::Tenant;
use crate::text::escape;

/// Runs the cases of one component.
pub struct Conductor {
    host: Host<Script>,
    bytes: Vec<u8>,
    /// The component by what is compiled into it.
    loaded: Mutex<HashMap<EngineKey, Arc<OnceCell<Arc<Loaded>>>>>,
    /// The component by what is compiled into it and which of its imports are the host's own.
    linked: Mutex<HashMap<Linkage, Component<Script>>>,
    /// The interfaces that the host offers.
    offered: Vec<String>,
    /// For each policy that cases have had, up to some.
    tenants: Mutex<Vec<Tenant>>,
}

/// A component with its functions, which are looked at in every case.
struct Loaded {
    component: Component<Script>,
    exports: Vec<Function>,
    imports: Vec<Function>,
}

/// What a component was compiled for, and which of its imports are the host's own.
type Linkage = (EngineKey, BTreeSet<String>);

/// The tenant of a case.
const TENANT: &str = "case";

/// Policies that are kept: comparing with each is quick, and a file has few.
const MAX_TENANTS: usize = 8;

/// How long compiling may take, which for an interpreter on a busy machine is longer than any case.
const COMPILING: Span = Span::from_millis(600_000);

impl Conductor {
    /// Takes a component of unknown origin, and loads it under the default policy.
    ///
    /// # Errors
    /// A stop whose reason is `refused.…` or `limit.component-size`.
    pub async fn new(bytes: Vec<u8>) -> Result<Self, Stop> {
        Self::with(bytes, None, None).await
    }

    /// The same with compiled code that is kept, and compiled in a process of its own: see [`HostBuilder::cache`] and
    /// [`HostBuilder::compile_in`].
    ///
    /// # Errors
    /// The same, and `refused.compile-…`.
    pub async fn with(bytes: Vec<u8>, cache: Option<Cache>, child: Option<ChildCompiler>) -> Result<Self, Stop> {
        let mut builder = Host::builder().any_import();
        if let Some(cache) = cache {
            builder = builder.cache(cache);
        }
        if let Some(child) = child {
            builder = builder.compile_in(child);
        }
        let host = builder.build().map_err(|error| Stop::host_fault(error.to_string()))?;
        let offered = Target::built_in("imports").map(|target| target.imports()).unwrap_or_default();
        let (loaded, linked, tenants) = (Mutex::default(), Mutex::default(), Mutex::default());
        let conductor = Self { host, bytes, loaded, linked, offered, tenants };
        conductor.load(&default_policy()).await?;
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
        let mut policy = policy(case);
        let refused = |stop: Stop| vec![Problem::new(format!("{}: {}", stop.reason, stop.message))];
        let loaded = self.load(&policy).await.map_err(refused)?;
        let real = self.real(case, &loaded)?;
        let mut plan = Plan::of(case, &loaded, &real)?;
        let component = self.link(&loaded.component, EngineKey::of(&policy), &real).map_err(refused)?;
        let mut first: Option<Vec<Vec<Val>>> = None;
        for instance in 0..case.instances {
            if instance > 0 {
                plan = Plan::of(case, &loaded, &real)?;
                policy.grants.deterministic = Some(instance);
            }
            let tenant = self.tenant(&policy)?;
            let values = self.once(case, &component, &tenant, plan.script.clone(), plan.steps, verdict).await;
            plan.steps = Vec::new();
            if !verdict.problems.is_empty() {
                break;
            }
            match &first {
                Some(first) if *first != values => {
                    verdict.problems.push(judge::varied(first, &values));
                    verdict.seen.push(Seen::Varied);
                    break;
                }
                Some(_) => {}
                None => first = Some(values),
            }
        }
        Ok(())
    }

    /// Runs it in one fresh instance, and gives the values of the calls where several instances are compared.
    async fn once(
        &self,
        case: &Case,
        component: &Component<Script>,
        tenant: &Tenant,
        script: Script,
        steps: Vec<Planned>,
        verdict: &mut Verdict,
    ) -> Vec<Vec<Val>> {
        match &case.work {
            Work::Job(job) => {
                let input =
                    Input { body: job.body.clone(), content_type: job.content_type.clone(), attributes: Vec::new() };
                let invocation = Invocation::job(component, tenant, input).extension(script.clone());
                let ended = self.host.invoke(invocation).await;
                verdict.wall_ns = ended.receipt.timings.total_ns;
                let instead = judge::job(case, job, &ended, verdict);
                judge::stopped(case, ended.outcome.stop(), instead, &script, verdict);
                Vec::new()
            }
            Work::Program(program) => {
                let (stdout, stderr) = (Buffer::default(), Buffer::default());
                let invocation = Invocation::command(component, tenant)
                    .extension(script.clone())
                    .stdin(Stdin::Bytes(Bytes::from(program.stdin.clone())))
                    .stdout(Sink::Buffer(stdout.clone()))
                    .stderr(Sink::Buffer(stderr.clone()));
                let ended = self.host.invoke(invocation).await;
                verdict.wall_ns = ended.receipt.timings.total_ns;
                let written = (stdout.take(), stderr.take());
                let instead = judge::program(case, program, &ended.outcome, written, verdict);
                judge::stopped(case, ended.outcome.stop(), instead, &script, verdict);
                Vec::new()
            }
            Work::Calls(asked) => {
                let name = steps.first().map(Planned::path).unwrap_or_default();
                let invocation = Invocation::custom(component, tenant, script.clone());
                let ended = self
                    .host
                    .invoke_with(invocation, &name, move |store, instance| {
                        Box::pin(session::run(steps, store, instance))
                    })
                    .await;
                verdict.wall_ns = ended.receipt.timings.total_ns;
                let mut answers = script.returned();
                let instead = judge::calls(case, asked, &answers, &ended.outcome, verdict);
                judge::stopped(case, ended.outcome.stop(), instead, &script, verdict);
                answers.iter_mut().map(|answer| std::mem::take(&mut answer.values)).collect()
            }
        }
    }

    async fn load(&self, policy: &Policy) -> Result<Arc<Loaded>, Stop> {
        let key = EngineKey::of(policy);
        let cell = Arc::clone(self.loaded.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        // Compiling belongs to no case, so a case's deadline doesn't count for it.
        let load = || async {
            let mut loading = default_policy();
            loading.limits.fuel = policy.limits.fuel;
            loading.limits.stack = policy.limits.stack;
            loading.limits.compile_wall = COMPILING;
            let component = self.host.load(self.bytes.clone(), &loading).await?;
            let inner = component.inner.pre().component();
            let engine = inner.engine();
            let (exports, imports) = (call::functions(inner, engine), call::imported(inner, engine));
            Ok(Arc::new(Loaded { component, exports, imports }))
        };
        cell.get_or_try_init(load).await.cloned()
    }

    /// The imports that the host answers itself in this case.
    fn real(&self, case: &Case, loaded: &Loaded) -> Result<BTreeSet<String>, Vec<Problem>> {
        let mut names: Vec<&str> = case.real.iter().map(String::as_str).collect();
        if !case.config.is_empty() {
            names.extend(["sandbox:host/config", "wasi:config/store"]);
        }
        let means = |name: &str, import: &str| match name.strip_suffix('*') {
            Some(prefix) => import.starts_with(prefix),
            None => name == import || name == version::split(import).0,
        };
        let mut real = BTreeSet::new();
        for import in &loaded.component.facts().imports {
            let named = names.iter().find(|name| means(name, import));
            let offered = self.offers(import);
            // A program stands on more interfaces than anybody would name.
            let implied = matches!(case.work, Work::Program(_)) && offered && !loaded.is_answered(case, import);
            if named.is_none() && !implied {
                continue;
            }
            // A recorder stands in for the log where the case looks at what was sent.
            if case.log.is_some() && script::is_log(import) {
                continue;
            }
            if let (Some(name), false) = (named, offered) {
                let message = format!("`{name}` is to be real, and the host doesn't offer `{}`", escape(import));
                return Err(vec![Problem::new(message)]);
            }
            real.insert(import.clone());
        }
        Ok(real)
    }

    /// The tenant with a policy. Most cases have the same one, and a policy's digest takes longer than a small guest.
    fn tenant(&self, policy: &Policy) -> Result<Tenant, Vec<Problem>> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = tenants.iter().find(|tenant| tenant.policy() == policy) {
            return Ok(tenant.clone());
        }
        let tenant = Tenant::new(TENANT, policy.clone()).map_err(|error| vec![Problem::new(error.to_string())])?;
        if tenants.len() >= MAX_TENANTS {
            tenants.clear();
        }
        tenants.push(tenant.clone());
        Ok(tenant)
    }

    /// Whether the host offers an interface, at whatever version.
    fn offers(&self, import: &str) -> bool {
        let unversioned = version::split(import).0;
        self.offered.iter().any(|offer| version::split(offer).0 == unversioned)
    }

    fn link(
        &self,
        component: &Component<Script>,
        key: EngineKey,
        real: &BTreeSet<String>,
    ) -> Result<Component<Script>, Stop> {
        let place = (key, real.clone());
        if let Some(linked) = self.linked.lock().unwrap_or_else(PoisonError::into_inner).get(&place) {
            return Ok(linked.clone());
        }
        let linked =
            self.host.relink(component, |linker, component| script::lay(linker, component, real, &self.offered))?;
        self.linked.lock().unwrap_or_else(PoisonError::into_inner).insert(place, linked.clone());
        Ok(linked)
    }
}

impl Loaded {
    /// Whether the case answers a function of an imported interface.
    fn is_answered(&self, case: &Case, import: &str) -> bool {
        let functions = self.imports.iter().filter(|function| function.interface.as_deref() == Some(import));
        let paths = || case.imports.iter().map(|expectation| expectation.call.value.path.as_str());
        functions.into_iter().any(|function| paths().any(|path| function.is_meant(path)))
    }
}

/// The policy that cases begin with: nothing is granted, and clocks and random bytes are the same in every run.
fn default_policy() -> Policy {
    let mut policy = Policy::default();
    policy.grants.deterministic = Some(0);
    policy
}

fn policy(case: &Case) -> Policy {
    let mut policy = default_policy();
    for (kind, amount) in &case.limits {
        policy.limits.set(*kind, *amount);
    }
    policy.grants.config = case.config.clone();
    if let Work::Program(program) = &case.work {
        policy.grants.args = program.args.clone();
        policy.grants.env = program.env.clone();
        policy.grants.stdio = Some(StdioGrant { stdin: true, stdout: true, stderr: true });
    }
    policy
}
