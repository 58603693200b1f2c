//! The samples in each language that is built: what an audit of a run saw is enough for another run, and not for more.

use host::policy::{Bytes, Observed, UNLIMITED, suggest};
use host::{Component, Ended, Host, Input, Invocation, Policy, Tenant, Value};
use serde_json::Value as Json;

use crate::contract::guests;
use crate::policy::peer;
use crate::support::check_schema;

/// More than either sample needs, with room for an interpreter.
fn ceiling(port: u16) -> Policy {
    let text = format!(
        "on-denied = 'stop'\nenv = {{ LANG = 'C' }}\n\
         config = {{ mask = 'email,card', replacement = '<{{kind}}>', bucket = 'pages', more = 'unread' }}\n\
         [stdio]\nstdin = true\nstdout = true\nstderr = true\n\
         [[key-value]]\nbucket = 'pages'\nstore = 'memory'\naccess = 'read-write'\n\
         [[key-value]]\nbucket = 'other'\nstore = 'memory'\naccess = 'read-write'\n\
         [[net]]\nconnect = '*:*'\n[[lookup]]\nname = '*'\n\
         [[http]]\nallow = 'http://127.0.0.1:{port}'\n[[http]]\nallow = 'https://*.example.com'\n"
    );
    let mut policy = Policy::parse(&text).unwrap();
    policy.limits.memory = Bytes::from_mib(512);
    for kind in [host::policy::LimitKind::Wall, host::policy::LimitKind::Cpu] {
        policy.limits.set(kind, UNLIMITED);
    }
    policy
}

struct Bench {
    host: Host,
    ceiling: Policy,
}

/// How a run ended: its output, and its receipt.
struct Got {
    body: Option<Vec<u8>>,
    receipt: Json,
}

impl Bench {
    async fn load(&self, path: &std::path::Path) -> Component {
        let loaded = self.host.load(std::fs::read(path).unwrap(), &self.ceiling).await;
        loaded.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    async fn run(&self, component: &Component, policy: &Policy, audit: bool, body: &[u8]) -> Got {
        let tenant = Tenant::new("samples", policy.clone()).unwrap();
        let input = Input { body: body.to_vec(), content_type: None, attributes: Vec::new() };
        let invocation = Invocation::job(component, &tenant, input);
        let invocation = if audit { invocation.audited() } else { invocation };
        let ended: Ended = self.host.invoke(invocation).await;
        let receipt = serde_json::to_value(&ended.receipt).unwrap();
        check_schema(&receipt);
        let body = match ended.outcome.value() {
            Some(Value::Job(Ok(output))) => Some(output.body.clone()),
            _ => None,
        };
        Got { body, receipt }
    }

    /// Audits a run, makes a policy from it, and does another run under that.
    async fn suggested(&self, component: &Component, audited: &[u8], again: &[u8], expected: &[u8]) -> Policy {
        let audit = self.run(component, &self.ceiling, true, audited).await;
        assert_eq!(audit.body.as_deref(), Some(expected), "{:#}", audit.receipt);
        let observed: Observed = serde_json::from_value(audit.receipt).unwrap();
        let made = suggest(&[observed], &self.ceiling).unwrap();
        // As it is read from the file that it is written to.
        let policy = Policy::parse(&made.to_toml()).unwrap();
        let under = self.run(component, &policy, false, again).await;
        assert_eq!(under.body.as_deref(), Some(expected), "{}\n{:#}", made.to_toml(), under.receipt);
        assert_eq!(under.receipt["denials"], Json::Array(Vec::new()));
        let grants = &policy.grants;
        assert!(grants.net.is_empty() && grants.lookup.is_empty(), "{}", made.to_toml());
        assert!(!grants.config.contains_key("more") && !grants.key_value.iter().any(|grant| grant.bucket == "other"));
        policy
    }
}

impl Got {
    fn stopped(&self, reason: &str) -> &Json {
        assert_eq!(self.receipt["stop"]["reason"], reason, "{:#}", self.receipt);
        assert!(self.body.is_none());
        &self.receipt
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_audit_of_each_language_is_enough_for_the_same_again_and_denies_one_thing_more_by_name() {
    let port = peer();
    let bench = Bench { host: Host::new().unwrap(), ceiling: ceiling(port) };
    let (redact, fetch) = (guests("redact"), guests("fetch-cache"));
    assert!(redact.len() >= 2 && fetch.len() >= 2, "build them with `cargo xtask build-guests`");
    for (language, path) in &redact {
        let component = bench.load(path).await;
        let (one, two) = (b"ann@example.com\n".as_slice(), b"bob@example.com\n".as_slice());
        let policy = bench.suggested(&component, one, two, b"<email>\n").await;
        assert!(policy.grants.http.is_empty() && policy.grants.key_value.is_empty(), "{language}");
        assert!(policy.grants.config.contains_key("mask") && policy.grants.env.is_empty(), "{language}");
        // It asks for nothing that could be denied, so one thing more is input.
        let most = usize::try_from(policy.limits.input.0).unwrap();
        assert!(bench.run(&component, &policy, false, &vec![b'a'; most]).await.body.is_some(), "{language}");
        let more = bench.run(&component, &policy, false, &vec![b'a'; most + 1]).await;
        assert_eq!(more.stopped("limit.input")["stop"]["limit"]["name"], "input", "{language}: {:#}", more.receipt);
    }
    for (language, path) in &fetch {
        let component = bench.load(path).await;
        let url = |path: &str| format!("http://127.0.0.1:{port}/{language}/{path}").into_bytes();
        let policy = bench.suggested(&component, &url("a?q=1"), &url("a?q=2"), b"plain").await;
        let http: Vec<_> = policy.grants.http.iter().map(ToString::to_string).collect();
        assert_eq!(http, [format!("GET http://127.0.0.1:{port}/{language}/a")]);
        assert_eq!(policy.grants.key_value.len(), 1, "{language}");
        // An interpreter reads all of its environment when it starts.
        assert!(policy.grants.env.is_empty() || language == "python", "{language}");
        let more = bench.run(&component, &policy, false, &url("b")).await;
        let receipt = more.stopped("denied.http");
        assert_eq!(receipt["denials"][0]["detail"], format!("GET http://127.0.0.1:{port}"), "{language}");
        assert_eq!(receipt["denials"][0]["rule"], "no `[[http]]` grants it", "{language}");
        // Without its bucket it is denied that, by name.
        let mut less = policy.clone();
        less.grants.key_value.clear();
        let more = bench.run(&component, &less, false, &url("a?q=3")).await;
        let receipt = more.stopped("denied.key-value");
        assert_eq!(receipt["denials"][0]["detail"], "bucket `pages`", "{language}");
    }
}
