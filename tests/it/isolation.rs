//! Two tenants at once: what one does is never felt by the other, and both are looked at.

use std::sync::Arc;

use host::policy::{Bytes, Policy, Span};
use host::{Component, Ended, Host, Input, Invocation, Tenant, Value};

use crate::support::{check_schema, probe};

fn policy(edit: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    edit(&mut policy);
    policy
}

async fn load(host: &Host, name: &str, policy: &Policy) -> Component {
    host.load(std::fs::read(probe(name)).unwrap(), policy).await.unwrap()
}

fn reason(ended: &Ended) -> String {
    check_schema(&serde_json::to_value(&ended.receipt).unwrap());
    format!("{} {}", ended.receipt.tenant, ended.receipt.stop.reason)
}

fn body(ended: &Ended) -> Vec<u8> {
    match ended.outcome.value() {
        Some(Value::Job(Ok(output))) => output.body.clone(),
        other => panic!("{other:?}"),
    }
}

fn echo(text: &str) -> Input {
    Input { body: text.as_bytes().to_vec(), content_type: None, attributes: Vec::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_tenant_that_spins_on_every_thread_stops_nobody_else() {
    let host = Arc::new(Host::builder().guest_threads(1).build().unwrap());
    let spinner = Tenant::new("spinner", policy(|p| p.limits.cpu = Span::from_millis(300))).unwrap();
    let worker = Tenant::new("worker", Policy::default()).unwrap();
    let spin = load(&host, "spin", spinner.policy()).await;
    let job = load(&host, "job-echo", worker.policy()).await;
    let spinning: Vec<_> = (0..3)
        .map(|_| {
            let (host, invocation) = (Arc::clone(&host), Invocation::command(&spin, &spinner));
            tokio::spawn(async move { host.invoke(invocation).await })
        })
        .collect();
    for n in 0..5 {
        let text = format!("request {n}");
        let ended = host.invoke(Invocation::job(&job, &worker, echo(&text))).await;
        assert_eq!(reason(&ended), "worker returned");
        assert_eq!(body(&ended), text.as_bytes());
    }
    for task in spinning {
        assert_eq!(reason(&task.await.unwrap()), "spinner limit.cpu");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_tenant_sees_its_own_configuration_and_its_own_limits() {
    let host = Arc::new(Host::new().unwrap());
    let tenant = |name: &str, memory: u64| {
        let policy = policy(|p| {
            p.limits.memory = Bytes::from_mib(memory);
            p.grants.config.insert("secret".into(), format!("of {name}"));
        });
        Tenant::new(name, policy).unwrap()
    };
    let (small, large) = (tenant("small", 2), tenant("large", 64));
    let dump = load(&host, "config-dump", small.policy()).await;
    let budget = load(&host, "budget-report", small.policy()).await;
    // The same compiled component, at the same time, for both.
    let mut calls = Vec::new();
    for _ in 0..4 {
        for tenant in [&small, &large] {
            for component in [&dump, &budget] {
                let (host, invocation) = (Arc::clone(&host), Invocation::job(component, tenant, echo("")));
                calls.push(tokio::spawn(async move { host.invoke(invocation).await }));
            }
        }
    }
    for call in calls {
        let ended = call.await.unwrap();
        let (tenant, text) = (ended.receipt.tenant.clone(), String::from_utf8(body(&ended)).unwrap());
        assert_eq!(reason(&ended), format!("{tenant} returned"));
        let other = if tenant == "small" { "large" } else { "small" };
        assert!(!text.contains(other), "{tenant} sees {text}");
        if let Some(left) = text.lines().find_map(|line| line.strip_prefix("memory-bytes=")) {
            let left: u64 = left.parse().unwrap();
            let max = if tenant == "small" { 2 << 20 } else { 64 << 20 };
            assert!(left < max && left > max - (2 << 20), "{tenant}: {left}");
        } else {
            assert!(text.contains(&format!("secret=of {tenant}")), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_instance_keeps_nothing_for_the_next_call() {
    let host: Host = Host::new().unwrap();
    let tenant = Tenant::new("one", Policy::default()).unwrap();
    let job = load(&host, "budget-report", tenant.policy()).await;
    let mut left = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let ended = host.invoke(Invocation::job(&job, &tenant, echo(""))).await;
        let text = String::from_utf8(body(&ended)).unwrap();
        left.insert(text.lines().next().unwrap().to_owned());
    }
    assert_eq!(left.len(), 1, "each call starts with the same memory: {left:?}");
}
