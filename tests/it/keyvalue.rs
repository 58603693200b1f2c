//! Key-value buckets as a guest meets them: grants both ways, quotas, tenants, and stores that fail.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use host::{Buffer, Component, Host, Invocation, Policy, Sink, Tenant};

use crate::redis_server::RedisServer;
use crate::support::{Ran, Run, check_schema, host, probe, run_probe};

/// A policy with a bucket `b`.
fn policy(store: &str, access: &str, more: &str) -> String {
    format!("[[key-value]]\nbucket = 'b'\nstore = '{store}'\naccess = '{access}'\n{more}\n[stdio]\nstdout = true\n")
}

fn run(policy: &str) -> (tempfile::NamedTempFile, Run) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), policy).unwrap();
    let run = run_probe("keyvalue").flag("--policy", file.path());
    (file, run)
}

fn denials(ran: &Ran) -> Vec<(String, u64)> {
    let denials = ran.at("/denials").as_array().unwrap();
    let denial = |denial: &serde_json::Value| {
        assert_eq!(denial["capability"], "key-value");
        (denial["detail"].as_str().unwrap().to_owned(), denial["count"].as_u64().unwrap())
    };
    denials.iter().map(denial).collect()
}

#[test]
fn a_bucket_is_opened_only_when_granted() {
    let granted = run_probe("keyvalue").flag("--key-value", "b").args(&["b", "set", "k", "v", "get", "k"]);
    assert_eq!(granted.ended("returned", 0).text(), "ok\nv\n");
    assert_eq!(denials(&granted), []);
    assert_eq!(granted.number("/calls/wasi:keyvalue~1store"), 4, "{:#}", granted.receipt);
    let empty = run_probe("keyvalue").flag("--key-value", "").args(&["", "exists", "k"]);
    assert_eq!(empty.ended("returned", 0).text(), "false\n");
    for other in ["", "B", "b ", "b/", "*", "bb", "../b"] {
        let denied = run_probe("keyvalue").flag("--key-value", "b").args(&[other, "get", "k"]);
        assert_eq!(denied.ended("returned", 0).text(), "open: access-denied\n", "{other:?}");
        assert_eq!(denials(&denied), [(format!("bucket `{other}`"), 1)]);
    }
    assert_eq!(run_probe("keyvalue").args(&["b"]).ended("returned", 0).text(), "open: access-denied\n");
}

#[test]
fn a_read_only_bucket_can_be_read_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}", folder.path().join("kv.redb").display());
    let (_file, write) = run(&policy(&store, "read-write", ""));
    assert_eq!(write.args(&["b", "set", "k", "v"]).ended("returned", 0).text(), "ok\n");
    let (_file, read) = run(&policy(&store, "read-only", ""));
    let commands = "b set k w delete k increment n 1 set-many 2 x delete-many 2 get k list exists k get-many k";
    let read = read.args(&commands.split(' ').collect::<Vec<_>>());
    let refused = "error: access-denied\n".repeat(5);
    assert_eq!(read.ended("returned", 0).text(), format!("{refused}v\nk\ntrue\nk=v\n"));
    assert_eq!(denials(&read), [("write to read-only".to_owned(), 5)]);
}

#[test]
fn a_denial_stops_the_guest_only_where_the_policy_says_so() {
    let stop = |access| format!("on-denied = 'stop'\n{}", policy("memory", access, "max-keys = 1"));
    let cases = [("read-write", "other exists k"), ("read-only", "b set k v"), ("read-write", "b set-many 2 x")];
    for (access, commands) in cases {
        let (_file, run) = run(&stop(access));
        let ran = run.args(&commands.split(' ').collect::<Vec<_>>());
        ran.ended("denied.key-value", 126);
        assert_eq!(denials(&ran).len(), 1, "{:#}", ran.receipt);
        assert!(ran.stderr.contains("`[[key-value]]`"), "{}", ran.stderr);
    }
    let (_file, run) = run(&stop("read-write"));
    assert_eq!(run.args(&["b", "set", "k", "v"]).ended("returned", 0).text(), "ok\n");
}

#[test]
fn what_is_over_a_quota_is_an_error_that_the_receipt_counts() {
    let quota = "max-keys = 3\nmax-key = '8B'\nmax-value = '10B'\nmax-total = '40B'";
    let (_file, run) = run(&policy("memory", "read-write", quota));
    let commands = "b set @8 1 set @9 1 get @9 set k @10 set k @11 set a @13 set a 1 set b 1 delete a set b @10 set k @10 \
                    set b @11 list";
    let ran = run.args(&commands.split(' ').collect::<Vec<_>>());
    let quota = |name, max| format!("error: other: the bucket's quota `{name}` is {max}, and this would be more\n");
    let (key, value) = (quota("max-key", "8B"), quota("max-value", "10B"));
    let expected = ["ok\n", &key, &key, "ok\n", &value, &value, "ok\n", &quota("max-keys", "3")];
    let expected = expected.concat() + &["ok\n", "ok\n", "ok\n", &value, "b k xxxxxxxx\n"].concat();
    assert_eq!(ran.ended("returned", 0).text(), expected);
    let counted = [("over max-key", 2), ("over max-keys", 1), ("over max-value", 3)];
    assert_eq!(denials(&ran), counted.map(|(detail, count)| (detail.to_owned(), count)));
    let (_file, run) = self::run(&policy("memory", "read-write", "max-total = '40B'"));
    let ran = run.args(&["b", "set", "k", "@39", "set", "k", "@40", "get", "k"]);
    let line = "error: other: the bucket's quota `max-total` is 40B, and this would be more";
    assert_eq!(ran.ended("returned", 0).text(), format!("ok\n{line}\n{}\n", "x".repeat(39)));
    assert_eq!(denials(&ran), [("over max-total".to_owned(), 1)]);
}

#[test]
fn listings_come_in_pages_and_batches_are_bounded() {
    let commands = "b set-many 1000 v set-many 1001 v set one-more v pages get-many 1001 list-from 18446744073709551615 \
                    delete-many 1001 delete-many 1000 list";
    let ran = run_probe("keyvalue").flag("--key-value", "b").args(&commands.split(' ').collect::<Vec<_>>());
    let many = "error: other: a batch has at most 1000 entries, and this one has 1001\n";
    let expected = format!("ok\n{many}ok\n1001 in 1000+1\n{many}0\n{many}ok\none-more\n");
    assert_eq!(ran.ended("returned", 0).text(), expected);
}

#[test]
fn an_increment_of_what_is_no_number_is_an_error_and_no_trap() {
    let commands = "b set k seven increment k 1 get k increment n 18446744073709551615 increment n 1 get n";
    let ran = run_probe("keyvalue").flag("--key-value", "b").args(&commands.split(' ').collect::<Vec<_>>());
    let lines: Vec<_> = ran.ended("returned", 0).text().lines().collect();
    assert!(lines[1].starts_with("error: other: the value is not a whole number"), "{lines:?}");
    assert!(lines[4].starts_with("error: other: the sum is larger"), "{lines:?}");
    assert_eq!((lines[2], lines[3], lines[5]), ("seven", "18446744073709551615", "18446744073709551615"));
}

#[test]
fn what_a_guest_hands_over_or_asks_for_is_bounded() {
    let run = || run_probe("keyvalue").flag("--key-value", "b");
    run().flag("--hostcall", "1MiB").args(&["b", "set", "k", "@1100000"]).hit("hostcall", 153, 1 << 20);
    let leak = |times| run().flag("--handles", "50").args(&["b", "leak", times]);
    leak("40").ended("returned", 0);
    leak("50").hit("handles", 153, 50);
    // A hundred values of 100 kB fit the bucket and not the guest's memory. That is an error, and not yet an ending.
    let (_file, run) = self::run(&policy("memory", "read-write", ""));
    let ran =
        run.flag("--memory", "8MiB").args(&["b", "set-many", "10", "@100000", "set-many", "100", "v", "get", "0"]);
    assert_eq!(ran.ended("returned", 0).text(), "ok\nok\nv\n");
    let folder = tempfile::tempdir().unwrap();
    let store = format!("b=file:{}", folder.path().join("kv").display());
    let fill = ["b", "set", "0", "@1000000", "set", "1", "@1000000", "set", "2", "@1000000", "set", "3", "@1000000"];
    run_probe("keyvalue").flag("--key-value", &store).args(&fill).ended("returned", 0);
    let read = run_probe("keyvalue").flag("--key-value", &store).flag("--memory", "4MiB").args(&["b", "get-many", "4"]);
    let expected = "error: other: the answer is larger than what is left of the limit `memory`\n";
    assert_eq!(read.ended("returned", 0).text(), expected);
}

#[test]
fn a_file_keeps_what_was_written_from_one_run_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("b=file:{}", folder.path().join("kv.redb").display());
    for sum in ["5\n", "10\n"] {
        let ran = run_probe("keyvalue").flag("--key-value", &store).args(&["b", "increment", "n", "5"]);
        assert_eq!(ran.ended("returned", 0).text(), sum);
    }
}

fn refused(store: &str, message: &str) {
    let ran = run_probe("keyvalue").flag("--key-value", format!("b={store}")).args(&["b", "exists", "k"]);
    ran.ended("refused.grant", 126);
    assert!(ran.stderr.contains(message), "no `{message}` in {}", ran.stderr);
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn a_file_that_is_no_store_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let file = |name: &str| format!("file:{}", path(name));
    refused(&format!("file:{}", folder.path().display()), "it is no file");
    refused(&file("missing/kv"), "No such file or directory");
    refused("file:/dev/null", "it is no file");
    fs::write(path("text"), "not a database at all, and longer than a header would be".repeat(100)).unwrap();
    refused(&file("text"), "failed to open the key-value store");
    assert!(fs::read_to_string(path("text")).unwrap().starts_with("not a database"), "it is left as it was");

    let good = path("good");
    let fill = ["b", "set-many", "100", "@1000"];
    run_probe("keyvalue").flag("--key-value", format!("b=file:{good}")).args(&fill).ended("returned", 0);
    let bytes = fs::read(&good).unwrap();
    let value = bytes.windows(100).position(|window| window == [b'x'; 100]).unwrap();
    for (name, from) in [("start", 9), ("value", value)] {
        let mut damaged = bytes.clone();
        damaged[from..from + 100].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(path(name), damaged).unwrap();
        refused(&file(name), "failed to open the key-value store");
    }
    fs::write(path("short"), &bytes[..bytes.len() / 3]).unwrap();
    refused(&file("short"), "failed to open the key-value store");
}

#[tokio::test]
async fn a_file_belongs_to_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("file:{}", folder.path().join("kv.redb").display());
    let here = Prepared::new().await;
    let tenant = tenant("one", &store, "");
    assert_eq!(here.call(&tenant, "b set k v").await, "ok\n");
    let other = store.clone();
    tokio::task::spawn_blocking(move || refused(&other, "another process has it open")).await.unwrap();
    assert_eq!(here.call(&tenant, "b get k").await, "v\n");
    drop(here);
}

/// A limit on the size of files is a disk that is full, as far as the store can tell.
#[test]
fn a_disk_that_is_full_is_an_error_and_costs_nothing_that_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.redb");
    let store = format!("b=file:{}", path.display());
    let before = ["b", "set", "kept", "v", "set", "large", "@500000"];
    run_probe("keyvalue").flag("--key-value", &store).args(&before).ended("returned", 0);
    let blocks = fs::metadata(&path).unwrap().len().div_ceil(512) + 3000;
    let mut script = format!("trap '' XFSZ; ulimit -f {blocks}; exec ");
    for word in [host().get_program().to_str().unwrap(), "run", "--key-value", &store] {
        write!(script, "'{word}' ").unwrap();
    }
    write!(script, "'{}' b fill @300000 get kept set small 1 exists large", probe("keyvalue").display()).unwrap();
    let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{text}\n{errors}");
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].ends_with(" fit") && lines[0] != "10000 fit", "{text}");
    assert!(lines[1..].iter().all(|line| !line.contains("none") && !line.contains("false")), "{text}");
    assert!(errors.contains("failed: ") && !errors.contains("panicked"), "{errors}");
    let after = run_probe("keyvalue").flag("--key-value", &store).args(&["b", "get", "kept", "get", "large", "pages"]);
    let count = lines[0].strip_suffix(" fit").unwrap().parse::<usize>().unwrap();
    let text = after.ended("returned", 0).text().to_owned();
    assert!(text.starts_with("v\n500000 bytes\n"), "{text}");
    let keys: usize = text.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((count + 2..=count + 3).contains(&keys), "{text} after {count}");
}

#[test]
fn a_server_that_is_not_there_is_refused_and_its_password_is_not_told() {
    refused("redis+unix:///no/such/socket", "failed to reach the key-value store `redis+unix:///no/such/socket`");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ran = run_probe("keyvalue").flag("--key-value", format!("b=redis://ann:hush@{address}")).args(&["b"]);
    ran.ended("refused.grant", 126);
    assert!(ran.stderr.contains(&format!("`redis://{address}`")), "{}", ran.stderr);
    assert!(!ran.stderr.contains("hush") && !ran.receipt.to_string().contains("hush"), "{}", ran.stderr);
}

#[test]
fn a_server_that_accepts_and_says_nothing_does_not_outlast_the_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("b=redis://{}", listener.local_addr().unwrap());
    let ran = run_probe("keyvalue").flag("--key-value", store).flag("--wall", "300ms").args(&["b"]);
    ran.hit("wall", 124, 300_000_000);
}

fn tenant(name: &str, store: &str, more: &str) -> Tenant {
    Tenant::new(name, Policy::parse(&policy(store, "read-write", more)).unwrap()).unwrap()
}

/// A host with the probe.
struct Prepared {
    host: Host,
    component: Component,
}

impl Prepared {
    async fn new() -> Self {
        let host: Host = Host::new().unwrap();
        let component = host.load(fs::read(probe("keyvalue")).unwrap(), &Policy::default()).await.unwrap();
        Self { host, component }
    }

    async fn ended(&self, tenant: &Tenant, commands: &str) -> (host::Ended, String) {
        let mut policy = tenant.policy().clone();
        policy.grants.args = commands.split(' ').map(str::to_owned).collect();
        let tenant = Tenant::new(tenant.id().as_str(), policy).unwrap();
        let output = Buffer::default();
        let invocation = Invocation::command(&self.component, &tenant).stdout(Sink::Buffer(output.clone()));
        let ended = self.host.invoke(invocation).await;
        check_schema(&serde_json::to_value(&ended.receipt).unwrap());
        (ended, String::from_utf8(output.take()).unwrap())
    }

    async fn call(&self, tenant: &Tenant, commands: &str) -> String {
        let (ended, text) = self.ended(tenant, commands).await;
        assert_eq!(ended.receipt.stop.reason, "returned", "{:?}", ended.receipt.stop);
        text
    }
}

/// A store of each kind, with what keeps it alive.
fn stores(folder: &Path, redis: &RedisServer) -> [String; 3] {
    ["memory".to_owned(), format!("file:{}", folder.join("kv.redb").display()), redis.url()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tenants_never_see_each_others_keys() {
    let (folder, redis) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let host = Prepared::new().await;
    for store in stores(folder.path(), &redis) {
        let (one, other) = (tenant("one", &store, ""), tenant("other", &store, ""));
        assert_eq!(host.call(&one, "b set k one set own-1 v").await, "ok\nok\n");
        assert_eq!(host.call(&other, "b get k exists own-1 list").await, "none\nfalse\n\n", "{store}");
        assert_eq!(host.call(&other, "b set k other increment n 1").await, "ok\n1\n");
        assert_eq!(host.call(&one, "b get k list get-many n,k").await, "one\nk own-1\nnone k=one\n", "{store}");
        assert_eq!(host.call(&one, "b delete k delete own-1 delete n list").await, "ok\nok\nok\n\n");
        assert_eq!(host.call(&other, "b get k get n list").await, "other\n1\nk n\n", "{store}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_invocations_at_once_sum_exactly_and_share_a_quota_exactly() {
    let (folder, redis) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let host = Arc::new(Prepared::new().await);
    for store in stores(folder.path(), &redis) {
        let tenant = tenant("one", &store, "max-keys = 11");
        let calls: Vec<_> = (0..20)
            .map(|n| {
                let (host, tenant) = (Arc::clone(&host), tenant.clone());
                let commands = format!("b increment-often sum 25 set own-{n} 1");
                tokio::spawn(async move { host.call(&tenant, &commands).await })
            })
            .collect();
        let mut stored = 0;
        for call in calls {
            let text = call.await.unwrap();
            assert!(text.starts_with("ok\n"), "{store}: {text}");
            stored += usize::from(text == "ok\nok\n");
        }
        assert_eq!(stored, 10, "{store}: eleven keys, one of which is the sum");
        assert_eq!(host.call(&tenant, "b get sum pages").await, "500\n11 in 11\n", "{store}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_is_an_error_for_the_guest_and_no_end() {
    let mut redis = RedisServer::start();
    let host = Prepared::new().await;
    let tenant = tenant("one", &redis.url(), "");
    assert_eq!(host.call(&tenant, "b set k v").await, "ok\n");
    redis.stop();
    let line = "error: other: the store is not available\n";
    assert_eq!(host.call(&tenant, "b get k set k w list increment n 1").await, line.repeat(4));
    redis.start_again();
    while host.call(&tenant, "b set k again").await != "ok\n" {}
    assert_eq!(host.call(&tenant, "b get k increment n 1").await, "again\n1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_ends_with_the_deadline_and_the_next_call_works() {
    let redis = RedisServer::start();
    let host = Prepared::new().await;
    let one = tenant("one", &redis.url(), "");
    assert_eq!(host.call(&one, "b set k v").await, "ok\n");
    redis.signal("STOP");
    let mut hurried = one.policy().clone();
    hurried.limits.wall = host::policy::Span::from_millis(200);
    let hurried = Tenant::new("one", hurried).unwrap();
    let (ended, text) = host.ended(&hurried, "b increment n 1 get k").await;
    assert_eq!((ended.receipt.stop.reason.as_str(), text.as_str()), ("limit.wall", ""));
    redis.signal("CONT");
    assert_eq!(host.call(&one, "b get k").await, "v\n");
}
