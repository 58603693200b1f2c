//! The tools for policies on real guests: what an audit sees, what is made of it, and that nothing gets wider on the way.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use host::{Host, Invocation, Policy, Tenant};
use serde_json::Value as Json;

use crate::sockets::peer::Echo;
use crate::support::{Ran, Run, guest, host, probe, run_probe};

/// A guest with what it is to be run under and given.
struct Sample {
    component: std::path::PathBuf,
    ceiling: String,
    args: Vec<String>,
    stdin: &'static str,
}

/// `host policy` with these arguments.
fn tool(args: &[&str]) -> Output {
    host().arg("policy").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A run under a policy, and its receipt in a file.
fn run(sample: &Sample, folder: &Path, how: &str, policy: &Path) -> (Ran, std::path::PathBuf) {
    let run = Run::new(&sample.component).stdin(sample.stdin).flag(how, policy);
    let run = if how == "--ceiling" { run.flag("--audit", "--quiet") } else { run };
    let ran = run.variable("API_KEY", "hush").args(&sample.args);
    let path = folder.join("receipt.json");
    fs::write(&path, ran.receipt.to_string()).unwrap();
    (ran, path)
}

/// Audits a sample under its ceiling, makes a policy from that, checks that it is no wider, and runs under it.
fn audited(sample: &Sample) -> (tempfile::TempDir, Ran, Policy) {
    let folder = tempfile::tempdir().unwrap();
    let (ceiling, suggested) = (folder.path().join("ceiling.toml"), folder.path().join("suggested.toml"));
    fs::write(&ceiling, &sample.ceiling).unwrap();
    let (audit, receipt) = run(sample, folder.path(), "--ceiling", &ceiling);
    audit.ended("returned", 0);
    assert_eq!(audit.at("/audit/dropped"), 0);
    let (ceiling, receipt) = (ceiling.to_str().unwrap(), receipt.to_str().unwrap());
    let made = tool(&["suggest", "--ceiling", ceiling, receipt]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    fs::write(&suggested, &made.stdout).unwrap();
    let policy = Policy::parse(&text(&made.stdout)).unwrap();
    let diff = tool(&["diff", ceiling, suggested.to_str().unwrap()]);
    assert_eq!(diff.status.code(), Some(0), "{}", text(&diff.stdout));
    let (under, _) = run(sample, folder.path(), "--policy", &suggested);
    let context = text(&made.stdout);
    assert_eq!(under.ended("returned", 0).stdout, audit.stdout, "{context}");
    assert_eq!(under.at("/denials"), audit.at("/denials"), "{context}");
    assert!(under.at("/audit").is_null());
    (folder, audit, policy)
}

/// Everything that is asked about here, more than any sample needs.
fn wide(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "on-denied = 'stop'\nenv = {{ LANG = 'C' }}\nconfig = {{ mask = 'email,card', replacement = '<{{kind}}>' }}\n\
         [stdio]\nstdin = true\nstdout = true\nstderr = true\n\
         [[dir]]\nhost = '{folder}'\nguest = '/d'\naccess = 'read-write'\n\
         [[key-value]]\nbucket = 'b'\nstore = 'memory'\naccess = 'read-write'\n\
         [[key-value]]\nbucket = 'c'\nstore = 'memory'\naccess = 'read-write'\n\
         [[http]]\nallow = 'http://127.0.0.1:{port}'\n\
         [[secret]]\nname = 'api'\nenv = 'API_KEY'\nheader = 'x-key'\nfor = ['http://127.0.0.1:{port}']\n\
         allow-plaintext = true\n"
    )
}

fn uses(audit: &Ran, kind: &str) -> Vec<(String, Option<String>, bool)> {
    let all = audit.at("/audit/uses").as_array().unwrap();
    let one = |one: &Json| {
        (one["name"].as_str().unwrap().to_owned(), one["detail"].as_str().map(str::to_owned), one["write"] == true)
    };
    all.iter().filter(|used| used["kind"] == kind).map(one).collect()
}

/// Answers each request with its own head, until the test ends.
pub(crate) fn peer() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut seen = Vec::new();
            let mut byte = [0];
            while !seen.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                seen.push(byte[0]);
            }
            let keyed = text(&seen).contains("x-key: hush");
            let body = if keyed { "keyed" } else { "plain" };
            drop(write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n{body}"));
        }
    });
    port
}

fn sample(component: std::path::PathBuf, ceiling: &str, args: &[&str]) -> Sample {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Sample { component, ceiling: ceiling.to_owned(), args, stdin: "ann@example.com 192.0.2.7\n" }
}

#[test]
fn the_samples_pass_under_what_is_suggested_from_their_audits() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["rust/redact.wasm", "rust/markdown.wasm", "c/redact.wasm", "cpp/redact.wasm", "zig/redact.wasm"] {
        let (_kept, audit, policy) = audited(&sample(guest(name), &wide(folder.path(), 1), &[]));
        let grants = &policy.grants;
        let none = grants.dir.is_empty() && grants.http.is_empty() && grants.key_value.is_empty();
        assert!(none && grants.secret.is_empty() && grants.env.is_empty(), "{name}: {grants:?}");
        assert_eq!(grants.config.len(), uses(&audit, "config").iter().filter(|one| one.1.is_none()).count(), "{name}");
        assert!(policy.limits.memory.0 < Policy::default().limits.memory.0, "{name}: {}", policy.limits.memory);
    }
}

#[test]
fn a_file_that_is_read_is_suggested_for_reading_and_one_more_write_is_denied_by_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::write(folder.path().join("in/a.txt"), "inside\n").unwrap();
    let mut reading = sample(probe("cat-file"), &wide(folder.path(), 1), &["/d/in/a.txt"]);
    let (kept, audit, policy) = audited(&reading);
    assert_eq!(uses(&audit, "dir"), [("/d".to_owned(), Some("in/a.txt".to_owned()), false)]);
    assert_eq!(policy.grants.dir.len(), 1);
    assert!(!policy.grants.dir[0].access.permits_writing());
    (reading.component, reading.args) = (probe("write-file"), vec!["/d/in/b.txt".into(), "3".into()]);
    let (denied, _) = run(&reading, kept.path(), "--policy", &kept.path().join("suggested.toml"));
    denied.ended("denied.dir", 126);
    let rule = denied.at("/denials/0/rule").as_str().unwrap();
    assert!(rule.contains("`access` of the `[[dir]]`"), "{:#}", denied.receipt);
    assert!(!folder.path().join("in/b.txt").exists());
    let (_kept, audit, policy) = audited(&reading);
    assert!(uses(&audit, "dir").iter().any(|used| used.2) && policy.grants.dir[0].access.permits_writing());
}

#[test]
fn a_bucket_is_suggested_as_it_was_used_and_another_one_is_denied_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let ceiling = wide(folder.path(), 1);
    let reading = sample(probe("keyvalue"), &ceiling, &["b", "exists", "k"]);
    let (kept, audit, policy) = audited(&reading);
    assert_eq!(uses(&audit, "key-value"), [("b".to_owned(), None, false)]);
    assert!(policy.grants.key_value.len() == 1 && !policy.grants.key_value[0].access.permits_writing());
    let suggested = kept.path().join("suggested.toml");
    for (args, detail, rule) in [
        (["c", "exists", "k"].as_slice(), "bucket `c`", "no `[[key-value]]` grants it"),
        (&["b", "set", "k", "v"], "write to read-only", "`access` of the `[[key-value]]`"),
    ] {
        let (denied, _) = run(&sample(probe("keyvalue"), "", args), kept.path(), "--policy", &suggested);
        denied.ended("denied.key-value", 126);
        assert_eq!(denied.at("/denials/0/detail"), detail);
        assert_eq!(denied.at("/denials/0/rule"), rule);
        assert!(denied.stderr.contains(detail) && denied.stderr.contains(rule), "{}", denied.stderr);
    }
    let (_kept, audit, policy) = audited(&sample(probe("keyvalue"), &ceiling, &["b", "set", "k", "v"]));
    assert_eq!(uses(&audit, "key-value").last(), Some(&("b".to_owned(), None, true)));
    assert!(policy.grants.key_value[0].access.permits_writing());
}

#[test]
fn requests_and_their_secrets_are_suggested_and_one_request_more_is_denied_by_name() {
    let (folder, port) = (tempfile::tempdir().unwrap(), peer());
    let url = format!("http://127.0.0.1:{port}/v1/users/4711?q=1");
    let asking = sample(probe("http"), &wide(folder.path(), port), &["GET", &url, "header=x-key: {{secret:api}}"]);
    let (kept, audit, policy) = audited(&asking);
    assert!(text(&audit.stdout).contains("keyed"), "{}", text(&audit.stdout));
    let pattern = format!("GET http://127.0.0.1:{port}/v1/users");
    assert_eq!(uses(&audit, "http"), [(pattern.clone(), None, false)]);
    assert_eq!(uses(&audit, "secret"), [("api".to_owned(), Some(pattern.clone()), false)]);
    assert!(!audit.receipt.to_string().contains("4711") && !audit.receipt.to_string().contains("hush"));
    assert_eq!(policy.grants.http.iter().map(ToString::to_string).collect::<Vec<_>>(), [pattern.as_str()]);
    assert_eq!(policy.grants.secret[0].to[0].to_string(), pattern);
    let post = sample(probe("http"), "", &["POST", &url]);
    let (denied, _) = run(&post, kept.path(), "--policy", &kept.path().join("suggested.toml"));
    denied.ended("denied.http", 126);
    assert_eq!(denied.at("/denials/0/detail"), &format!("POST http://127.0.0.1:{port}"));
    assert_eq!(denied.at("/denials/0/rule"), "no `[[http]]` grants it");
}

#[test]
fn sockets_are_suggested_as_they_were_used_and_another_port_is_denied_by_name() {
    let (folder, echo, other) = (tempfile::tempdir().unwrap(), Echo::new("127.0.0.1"), Echo::new("127.0.0.1"));
    let port = echo.address.port();
    for (grant, host) in
        [("connect = '127.0.0.0/8:*'", "127.0.0.1"), ("connect = '*:*'\nallow-private = true", "localhost")]
    {
        let ceiling = format!("{}[[net]]\n{grant}\n[[net]]\nlisten = '127.0.0.1:*'\n", wide(folder.path(), 1));
        let (kept, _, policy) = audited(&sample(probe("net"), &ceiling, &[&format!("tcp={host}:{port}")]));
        let patterns: Vec<_> = policy.grants.net.iter().map(host::policy::NetGrant::pattern).collect();
        assert_eq!(patterns, [format!("{host}:{port}")]);
        let more = sample(probe("net"), "", &[&format!("tcp={}", other.address)]);
        let (denied, _) = run(&more, kept.path(), "--policy", &kept.path().join("suggested.toml"));
        denied.ended("denied.net", 126);
        assert_eq!(denied.at("/denials/0/detail"), &format!("tcp connect {}", other.address));
        assert_eq!(denied.at("/denials/0/rule"), "no `[[net]]` grants it");
    }
    assert_eq!((echo.accepted(), other.accepted()), (4, 0));
}

#[test]
fn variables_and_configuration_are_seen_and_an_audit_of_nothing_suggests_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ceiling = wide(folder.path(), 1);
    let (_kept, audit, policy) = audited(&sample(probe("read-env"), &ceiling, &["LANG"]));
    assert_eq!((audit.text(), uses(&audit, "env").len()), ("C\n", 1));
    assert_eq!(policy.grants.env.len(), 1);
    let (_kept, audit, policy) = audited(&sample(probe("config-dump"), &ceiling, &[]));
    assert_eq!((uses(&audit, "config").len(), policy.grants.config.len()), (2, 2));
    let (_kept, audit, policy) = audited(&sample(probe("exit"), &ceiling, &["0"]));
    assert_eq!(audit.at("/audit/uses"), &Json::Array(Vec::new()));
    assert!(policy.grants.env.is_empty() && policy.grants.config.is_empty() && policy.grants.dir.is_empty());
}

#[test]
fn an_audit_without_a_policy_reads_this_folder_and_denies_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let receipt = folder.path().join("receipt.json");
    fs::write(folder.path().join("a.txt"), "inside\n").unwrap();
    let go = |probe_name: &str, args: &[&str]| {
        let mut command = host();
        command.current_dir(folder.path()).args(["run", "--audit", "--receipt"]).arg(&receipt).arg(probe(probe_name));
        command.args(args).output().unwrap()
    };
    assert_eq!(text(&go("cat-file", &["a.txt"]).stdout), "inside\n");
    let mut suggest = host();
    let made = suggest.current_dir(folder.path()).args(["policy", "suggest"]).arg(&receipt).output().unwrap();
    let policy = Policy::parse(&text(&made.stdout)).unwrap();
    assert_eq!((policy.grants.dir[0].guest.as_str(), policy.grants.http.len()), (".", 0));
    assert_ne!(go("write-file", &["b.txt", "1"]).status.code(), Some(0));
    assert!(!folder.path().join("b.txt").exists());
    // The wide default is for public hosts.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    go("http", &["GET", &format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port())]);
    let json: Json = serde_json::from_str(&fs::read_to_string(&receipt).unwrap()).unwrap();
    assert_eq!(json["denials"][0]["capability"], "http", "{json:#}");
    assert_eq!(text(&go("args-env-stdin", &[]).stdout).matches("env ").count(), 0);
}

#[test]
fn nothing_is_suggested_from_an_audit_that_is_cut_off_or_was_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    let suggest = |receipt: &Json| {
        fs::write(&path, receipt.to_string()).unwrap();
        let made = tool(&["suggest", path.to_str().unwrap()]);
        assert!(made.stdout.is_empty(), "{}", text(&made.stdout));
        (made.status.code(), text(&made.stderr))
    };
    let mut receipt = run_probe("exit").flag("--audit", "--quiet").args(&["0"]).receipt;
    receipt["audit"]["dropped"] = 1.into();
    let (status, said) = suggest(&receipt);
    assert!(status == Some(1) && said.contains("no room for 1 more"), "{said}");
    receipt["audit"] = Json::Null;
    let (status, said) = suggest(&receipt);
    assert!(status == Some(1) && said.contains("`host run --audit`"), "{said}");
    let (status, said) = suggest(&Json::Null);
    assert!(status == Some(126) && said.contains("failed to read the receipt"), "{said}");
}

#[test]
fn a_ceiling_takes_away_and_never_adds() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, ceiling) = (folder.path().join("d"), folder.path().join("ceiling.toml"));
    fs::create_dir(&inside).unwrap();
    let grant = |access| format!("[[dir]]\nhost = '{}'\nguest = '/d'\naccess = '{access}'\n", inside.display());
    let write = |text: String| {
        fs::write(&ceiling, text).unwrap();
        let run =
            run_probe("write-file").flag("--ceiling", &ceiling).flag("--dir", format!("{}::/d", inside.display()));
        run.flag("--memory", "1GiB").args(&["/d/a", "1"])
    };
    let allowed = write(grant("read-write") + "[limits]\nmemory = '32MiB'\n");
    allowed.ended("returned", 0);
    assert_eq!(allowed.number("/limits/memory"), 32 << 20);
    fs::remove_file(inside.join("a")).unwrap();
    for narrower in [grant("read-only"), String::new()] {
        let denied = write(narrower);
        assert_ne!(denied.status, 0);
        assert!(denied.stderr.contains("the ceiling doesn't grant dir"), "{}", denied.stderr);
        assert!(!inside.join("a").exists());
    }
    // What is only in the ceiling is not granted.
    fs::write(&ceiling, "env.A = 'b'\n").unwrap();
    let ran = run_probe("read-env").flag("--ceiling", &ceiling).args(&["A"]);
    assert_eq!(ran.ended("returned", 0).text(), "unset\n");
}

#[tokio::test]
async fn a_policy_that_a_caller_hands_over_can_only_shrink_a_tenants() {
    let host: Host = Host::new().unwrap();
    let own = "args = ['A']\nenv = { A = 'a', B = 'b' }\nlimits.output = '1KiB'\nstdio.stdout = true\n";
    let tenant = Tenant::new("t", Policy::parse(own).unwrap()).unwrap();
    let bytes = fs::read(probe("read-env")).unwrap();
    let component = host.load(bytes, tenant.policy()).await.unwrap();
    let asked = "args = ['A']\nenv = { A = 'a', B = 'other', C = 'c' }\nlimits.output = '1MiB'\nstdio.stdout = true\n";
    let seen = host::Buffer::default();
    let invocation = Invocation::command(&component, &tenant).narrowed(&Policy::parse(asked).unwrap());
    let ended = host.invoke(invocation.stdout(host::Sink::Buffer(seen.clone())).audited()).await;
    assert_eq!(ended.receipt.limits["output"], 1024);
    let names: Vec<String> = ended.receipt.audit.unwrap().uses.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["A"]);
    assert_eq!(tenant.policy().grants.env.len(), 2, "the tenant's own is as it was");
    let same = Invocation::command(&component, &tenant).narrowed(tenant.policy());
    let ended = host.invoke(same).await;
    assert_eq!(ended.receipt.policy_digest, tenant.policy().digest());
}

#[test]
fn a_denial_says_which_rule_decided_whatever_the_capability() {
    let rule = |ran: Ran| ran.at("/denials/0/rule").as_str().unwrap().to_owned();
    assert_eq!(rule(run_probe("connect").args(&["192.0.2.1:80"])), "no `[[net]]` grants it");
    assert_eq!(rule(run_probe("resolve").args(&["localhost"])), "no `[[lookup]]` and no `[[net]]` grants it");
    let wide = |to: &str| run_probe("connect").flag("--allow-net", "*:*").args(&[to]);
    assert_eq!(rule(wide("127.0.0.1:9")), "`allow-private` of `tcp connect *:*`");
    assert_eq!(rule(run_probe("keyvalue").args(&["b", "get", "k"])), "no `[[key-value]]` grants it");
    let http = |url: &str| run_probe("http").flag("--allow-http", "http://localhost").args(&["GET", url]);
    assert_eq!(rule(http("http://192.0.2.1/")), "no `[[http]]` grants it");
    assert_eq!(rule(http("http://user@localhost/")), "what can be read in two ways is never granted");
    let folder = tempfile::tempdir().unwrap();
    let dir = format!("{}::/d::ro", folder.path().display());
    assert_eq!(
        rule(run_probe("write-file").flag("--dir", dir).args(&["/d/x", "1"])),
        "`access` of the `[[dir]]`, or that none is left"
    );
}
