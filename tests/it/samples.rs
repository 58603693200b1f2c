//! The sample `fetch-cache` of the whole world `sandbox`, in each language that can: configuration, a bucket that stays,
//! and requests to the outside.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use host::policy::{Bytes, Span};
use host::{Component, Failure, Host, Input, Invocation, Output, Policy, Tenant, Value};
use serde::Deserialize;

use crate::support::{check_schema, guest, root};

/// Languages whose library adds no WASI to what the sample imports: in most of them, the stub adapter sees to that.
/// A component with an interpreter imports whatever the world has.
const COMPILED: [&str; 5] = ["rust", "c", "cpp", "zig", "go"];

/// What the sample uses.
const IMPORTS: [&str; 8] = [
    "sandbox:host/log@0.1.0",
    "wasi:config/store@0.2.0-rc.1",
    "wasi:http/outgoing-handler@0.2.12",
    "wasi:http/types@0.2.12",
    "wasi:io/error@0.2.12",
    "wasi:io/poll@0.2.12",
    "wasi:io/streams@0.2.12",
    "wasi:keyvalue/store@0.2.0-draft",
];

#[derive(Deserialize)]
struct Languages {
    language: Vec<Language>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Language {
    folder: String,
    /// Why the language has no guest of the whole world.
    no_sandbox: Option<String>,
}

/// A page that takes many reads.
fn large() -> String {
    (0..50_000).map(|line| format!("{line}\n")).collect()
}

/// A server that knows a few pages, and which paths it was asked for.
fn serve() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&seen);
    // It ends with the process: a thread that waits for connections costs nothing.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let lines: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let line = lines.first().cloned().unwrap_or_default();
            // The page `cut` ends before it should.
            let (status, body, missing) = match line.split(' ').nth(1) {
                Some("/page?q=1") => ("200 OK", "the page \u{e9}".to_owned(), 0),
                Some("/large") => ("200 OK", large(), 0),
                Some("/cut") => ("200 OK", "half a p".to_owned(), 7),
                Some("/") => ("200 OK", String::new(), 0),
                _ => ("404 Not Found", "nothing".to_owned(), 0),
            };
            log.lock().unwrap().push(line);
            let length = body.len() + missing;
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    (origin, seen)
}

/// An interpreter is compiled for longer and starts with more than the default.
fn roomy(mut policy: Policy) -> Policy {
    policy.limits.memory = Bytes::from_mib(512);
    policy.limits.cpu = Span::from_millis(60_000);
    policy.limits.wall = Span::from_millis(300_000);
    policy
}

async fn job(host: &Host, component: &Component, policy: &str, url: &str) -> Result<Output, Failure> {
    let tenant = Tenant::new("samples", roomy(Policy::parse(policy).unwrap())).unwrap();
    let input = Input { body: url.as_bytes().to_vec(), content_type: None, attributes: Vec::new() };
    let ended = host.invoke(Invocation::job(component, &tenant, input)).await;
    check_schema(&serde_json::to_value(&ended.receipt).unwrap());
    match ended.outcome.value() {
        Some(Value::Job(result)) => result.clone(),
        _ => panic!("{:?}\n{}", ended.receipt.stop, serde_json::to_string_pretty(&ended.receipt).unwrap()),
    }
}

fn grants(bucket: &str, store: &Path, origin: &str) -> String {
    format!(
        "config.bucket = 'pages'\n[[key-value]]\nbucket = '{bucket}'\nstore = 'file:{}'\naccess = 'read-write'\n\
         [[http]]\nallow = 'GET {origin}'\nallow-private = true\n",
        store.display()
    )
}

fn failed(result: Result<Output, Failure>) -> (&'static str, String) {
    match result {
        Err(Failure::InvalidInput(text)) => ("invalid-input", text),
        Err(Failure::InvalidConfig(text)) => ("invalid-config", text),
        Err(Failure::Other(text)) => ("other", text),
        Ok(output) => ("output", String::from_utf8_lossy(&output.body).into_owned()),
    }
}

/// All that the sample is to do, on one component.
async fn check(language: &str, host: &Host, component: &Component) {
    let (origin, seen) = serve();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("pages.redb");
    let policy = grants("pages", &store, &origin);
    let url = format!("{origin}/page?q=1");

    let other = |text: &str| ("other", text.to_owned());
    let without_http = policy.split("[[http]]").next().unwrap();
    let denied = job(host, component, without_http, &url).await;
    assert_eq!(failed(denied), other("http-request-denied"), "{language}");
    let denied = job(host, component, &grants("other", &folder.path().join("other.redb"), &origin), &url).await;
    assert_eq!(failed(denied), other("key-value: access-denied"), "{language}");
    let missing = job(host, component, &policy, &format!("{origin}/missing")).await;
    assert_eq!(failed(missing), other("status 404"), "{language}");
    let invalid = ("invalid-input", "the input is not an http or https URL".to_owned());
    for text in ["", "no URL", "ftp://a.test/", "http://", "http:///page", "http://a b/"] {
        assert_eq!(failed(job(host, component, &policy, text).await), invalid, "{language}: {text}");
    }
    assert_eq!(*seen.lock().unwrap(), ["GET /missing HTTP/1.1"], "{language}");

    // The second run has nothing in common with the first one but the store.
    for how in ["miss", "hit"] {
        let output = job(host, component, &policy, &format!(" {url}\n")).await;
        let output = output.unwrap_or_else(|failure| panic!("{language}: {how}: {failure:?}"));
        assert_eq!(String::from_utf8_lossy(&output.body), "the page \u{e9}", "{language}");
        assert_eq!(output.attributes, [("cache".to_owned(), how.to_owned())], "{language}");
    }
    assert_eq!(seen.lock().unwrap()[1..], ["GET /page?q=1 HTTP/1.1"], "{language}");
    let cut = job(host, component, &policy, &format!("{origin}/cut")).await;
    assert_eq!(failed(cut), other("http-protocol-error"), "{language}");
    // What was cut is not kept, and what is empty is. A fragment is not sent, and an empty path is `/`.
    for (path, body) in
        [("/large", large()), ("/large", large()), ("#fragment", String::new()), ("#fragment", String::new())]
    {
        let output = job(host, component, &policy, &format!("{origin}{path}")).await.unwrap();
        assert!(output.body == body.as_bytes(), "{language}: {path}: {} bytes", output.body.len());
    }
    let asked = ["GET /cut HTTP/1.1", "GET /large HTTP/1.1", "GET / HTTP/1.1"];
    assert_eq!(seen.lock().unwrap()[2..], asked, "{language}");
    // Without the key `bucket`, the bucket is called `cache`.
    let policy = policy.replace("config.bucket = 'pages'\n", "").replace("bucket = 'pages'", "bucket = 'cache'");
    assert!(job(host, component, &policy, &url).await.is_ok(), "{language}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn fetch_cache_behaves_the_same_in_every_language() {
    let text = std::fs::read_to_string(root().join("guests/languages.toml")).unwrap();
    let languages: Languages = toml::from_str(&text).unwrap();
    let host: Host = Host::new().unwrap();
    for language in languages.language {
        let file = format!("{}/fetch-cache.wasm", language.folder);
        if let Some(why) = language.no_sandbox {
            assert!(!why.is_empty() && !root().join("target/guests").join(&file).exists(), "{file} is there after all");
            continue;
        }
        let bytes = std::fs::read(guest(&file)).unwrap();
        let component =
            host.load(bytes, &roomy(Policy::default())).await.unwrap_or_else(|error| panic!("{file}: {error}"));
        let imports = &component.facts().imports;
        if COMPILED.contains(&&*language.folder) {
            assert_eq!(*imports, IMPORTS, "{file}");
        } else {
            assert!(IMPORTS.iter().all(|name| imports.iter().any(|import| import == name)), "{file}: {imports:?}");
        }
        check(&language.folder, &host, &component).await;
    }
}
