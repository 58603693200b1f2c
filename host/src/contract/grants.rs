//! Imports that a policy wouldn't grant. Every interface is linked whatever the policy says, so such a component starts,
//! and is told no when it tries: hence warnings.

use super::finding::{Code, Finding, Severity};
use super::version::split;
use crate::policy::{OnDenied, Policy};

/// What is found for one import that is offered, under a policy.
pub(super) fn finding(import: &str, policy: &Policy) -> Option<Finding> {
    let grants = &policy.grants;
    let stdio = grants.stdio.unwrap_or_default();
    let (granted, what, fix) = match split(import).0 {
        "wasi:filesystem/types" => {
            (!grants.dir.is_empty(), "no directory", "add a `[[dir]]` with `host`, `guest` and `access` to the policy")
        }
        "wasi:cli/environment" => {
            let any = !grants.env.is_empty() || !grants.args.is_empty();
            (any, "no variable and no argument", "add what the guest needs under `[env]`, or `args`, to the policy")
        }
        "wasi:cli/stdin" => (stdio.stdin, "no standard input", "set `stdin = true` under `[stdio]` in the policy"),
        "wasi:cli/stdout" => (stdio.stdout, "no standard output", "set `stdout = true` under `[stdio]` in the policy"),
        "wasi:cli/stderr" => (stdio.stderr, "no standard error", "set `stderr = true` under `[stdio]` in the policy"),
        "wasi:config/store" | "sandbox:host/config" => {
            (!grants.config.is_empty(), "no configuration", "add what the guest reads under `[config]` to the policy")
        }
        "wasi:keyvalue/store" | "wasi:keyvalue/atomics" | "wasi:keyvalue/batch" => {
            (!grants.key_value.is_empty(), "no bucket", "add a `[[key-value]]` with `bucket` and `store` to the policy")
        }
        "wasi:http/outgoing-handler" => {
            (!grants.http.is_empty(), "no HTTP request", "add an `[[http]]` with the URLs to the policy")
        }
        "wasi:sockets/tcp-create-socket" | "wasi:sockets/udp-create-socket" => {
            (!grants.net.is_empty(), "no address", "add a `[[net]]` with `connect` or `listen` to the policy")
        }
        // A grant to connect to a name includes looking it up.
        "wasi:sockets/ip-name-lookup" => (
            !grants.lookup.is_empty() || !grants.net.is_empty(),
            "no host name",
            "add a `[[lookup]]` with `name`, or a `[[net]]`, to the policy",
        ),
        _ => return None,
    };
    let then = match grants.on_denied {
        OnDenied::Error => "the guest gets an error or nothing when it tries",
        OnDenied::Stop => "the guest may be stopped when it tries",
    };
    (!granted).then(|| Finding {
        severity: Severity::Warning,
        code: Code::NotGranted,
        place: format!("import {import}"),
        at: None,
        message: format!("the policy grants {what}; {then}"),
        expected: None,
        found: None,
        fix: fix.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_not_found_and_what_is_not_granted_is() {
        let table = [
            ("wasi:filesystem/types@0.2.3", "[[dir]]\nhost = '/'\nguest = '/d'\naccess = 'read-only'"),
            ("wasi:cli/environment@0.2.0", "args = ['x']"),
            ("wasi:cli/environment@0.2.0", "env.X = 'x'"),
            ("wasi:cli/stdin@0.2.0", "stdio.stdin = true"),
            ("wasi:cli/stdout@0.2.0", "stdio.stdout = true"),
            ("wasi:cli/stderr@0.2.0", "stdio.stderr = true"),
            ("sandbox:host/config@0.1.0", "config.x = 'y'"),
            ("wasi:config/store@0.2.0-rc.1", "config.x = 'y'"),
            ("wasi:sockets/udp-create-socket@0.2.0", "[[net]]\nconnect = '8.8.8.8:53'"),
            ("wasi:sockets/ip-name-lookup@0.2.0", "[[lookup]]\nname = 'a.example'"),
            ("wasi:keyvalue/batch@0.2.0-draft", "[[key-value]]\nbucket = 'b'\nstore = 'memory'\naccess = 'read-only'"),
        ];
        for (import, text) in table {
            assert!(finding(import, &Policy::parse(text).unwrap()).is_none(), "{import}");
            let found = finding(import, &Policy::default()).unwrap();
            assert_eq!((found.code, found.severity), (Code::NotGranted, Severity::Warning), "{import}");
        }
        assert!(finding("sandbox:host/log@0.1.0", &Policy::default()).is_none());
        assert!(finding("wasi:sockets/tcp-create-socket@0.2.0", &Policy::default()).is_some());
    }

    #[test]
    fn a_policy_that_stops_on_a_denial_is_told_about_it() {
        let stop = Policy::parse("on-denied = 'stop'").unwrap();
        assert!(finding("wasi:keyvalue/store", &stop).unwrap().message.contains("may be stopped"));
    }
}
