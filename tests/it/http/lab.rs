//! One host with one probe, run under one policy after another.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use host::{Buffer, Component, Host, Invocation, Policy, Resolve, Sink, Tenant};
use serde_json::Value as Json;
use tokio::runtime::Runtime;

use crate::support::{check_schema, probe};

/// A host, and the probe that makes requests.
pub(crate) struct Lab {
    runtime: Runtime,
    host: Host,
    component: Component,
}

/// What came out of a run.
pub(crate) struct Got {
    pub(crate) output: Vec<u8>,
    pub(crate) receipt: Json,
}

/// Answers names as it is told to: the same every time, or one answer after the other and the last for ever.
#[derive(Clone)]
pub(crate) struct Names {
    answers: Arc<Mutex<Vec<Vec<IpAddr>>>>,
    pub(crate) asked: Arc<AtomicUsize>,
}

impl Names {
    pub(crate) fn new(answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        Self { answers: Arc::new(Mutex::new(answers.iter().map(parse).collect())), asked: Arc::default() }
    }

    pub(crate) fn set(&self, addresses: &[&str]) {
        let parsed = addresses.iter().map(|address| address.parse().unwrap()).collect();
        *self.answers.lock().unwrap() = vec![parsed];
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

#[async_trait::async_trait]
impl Resolve for Names {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, SeqCst);
        let mut answers = self.answers.lock().unwrap();
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

/// A policy with one grant, which may lead to loopback.
pub(crate) fn granting(pattern: &str) -> String {
    format!("[[http]]\nallow = '{pattern}'\nallow-private = true\n")
}

impl Lab {
    /// A host for which every name is 127.0.0.1.
    pub(crate) fn new() -> Self {
        Self::with(Names::new(&[&["127.0.0.1"]]))
    }

    pub(crate) fn with(names: Names) -> Self {
        Self::of("http", names)
    }

    /// A host for another probe.
    pub(crate) fn of(name: &str, names: Names) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let host: Host = Host::builder().resolver(names).build().unwrap();
        let bytes = std::fs::read(probe(name)).unwrap();
        let mut policy = Policy::default();
        // Compiling takes long on a machine that does much else.
        policy.limits.set(host::policy::LimitKind::Wall, host::policy::UNLIMITED);
        let component = runtime.block_on(host.load(bytes, &policy)).unwrap();
        Self { runtime, host, component }
    }

    /// Runs the probe with these arguments under this policy.
    pub(crate) fn go(&self, policy: &str, args: &[&str]) -> Got {
        self.go_as("local", policy, args)
    }

    pub(crate) fn go_as(&self, tenant: &str, policy: &str, args: &[&str]) -> Got {
        let mut policy = Policy::parse(policy).unwrap();
        policy.grants.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        policy.grants.stdio = Some(host::policy::StdioGrant::ALL);
        let tenant = Tenant::new(tenant, policy).unwrap();
        let output = Buffer::default();
        let sink = || Sink::Buffer(output.clone());
        let invocation = Invocation::command(&self.component, &tenant).stdout(sink()).stderr(sink());
        let ended = self.runtime.block_on(self.host.invoke(invocation));
        let receipt = serde_json::to_value(&ended.receipt).unwrap();
        check_schema(&receipt);
        Got { output: output.take(), receipt }
    }
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    pub(crate) fn reason(&self) -> &str {
        self.receipt["stop"]["reason"].as_str().unwrap()
    }

    pub(crate) fn number(&self, pointer: &str) -> u64 {
        self.receipt.pointer(pointer).and_then(Json::as_u64).unwrap_or_else(|| panic!("{pointer}: {:#}", self.receipt))
    }

    /// What was denied of HTTP.
    pub(crate) fn denials(&self) -> Vec<String> {
        self.denied("http")
    }

    /// What was denied; all of it is of this capability.
    pub(crate) fn denied(&self, capability: &str) -> Vec<String> {
        let denials = self.receipt["denials"].as_array().unwrap();
        assert!(denials.iter().all(|denial| denial["capability"] == capability), "{denials:#?}");
        denials.iter().map(|denial| denial["detail"].as_str().unwrap().to_owned()).collect()
    }

    /// Checks that it went well and printed this.
    #[track_caller]
    pub(crate) fn said(&self, part: &str) -> &Self {
        assert_eq!(self.reason(), "returned", "{}\n{:#}", self.text(), self.receipt["stop"]);
        assert!(self.text().contains(part), "no `{part}` in {}", self.text());
        self
    }

    /// Checks that the guest saw this error and went on to its end.
    #[track_caller]
    pub(crate) fn saw(&self, error: &str) -> &Self {
        assert_eq!(self.reason(), "failed", "{}\n{:#}", self.text(), self.receipt["stop"]);
        assert!(self.text().contains(&format!("error: {error}")), "no `{error}` in {}", self.text());
        self
    }

    /// Checks that something of this capability was denied, that the guest saw an error and went on to its end.
    #[track_caller]
    pub(crate) fn saw_denied(&self, capability: &str) -> &Self {
        assert_eq!(self.reason(), "failed", "{}\n{:#}", self.text(), self.receipt["stop"]);
        assert!(!self.denied(capability).is_empty(), "nothing was denied: {}", self.text());
        self
    }

    /// Checks that a limit stopped it, at this value.
    #[track_caller]
    pub(crate) fn hit(&self, limit: &str, max: u64) -> &Self {
        assert_eq!(self.reason(), format!("limit.{limit}"), "{}\n{:#}", self.text(), self.receipt["stop"]);
        assert_eq!(self.number("/stop/exit-status"), 153);
        assert_eq!(
            (self.receipt["stop"]["limit"]["name"].as_str(), self.number("/stop/limit/max")),
            (Some(limit), max)
        );
        self
    }
}
