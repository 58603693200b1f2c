//! `http METHOD URL [OPTION]...`: makes HTTP requests, and prints status, headers and body of each answer, or the error.
//!
//! The URL is taken apart without being tidied up. Options: `header=NAME: VALUE`, `body=BYTES` (a body of that size),
//! `text=TEXT` (that body), `repeat=N` (one after another), `parallel=N` (all at once, then all answers),
//! `connect-ms=`, `first-byte-ms=` and `between-ms=`, `unread` (leave the body where it is until the end), `quiet` (print the
//! body's size and not the body), `follow` (make the request that a redirect asks for), `trailer=NAME: VALUE`, and `dump`
//! (at the end, write all of its memory to standard output). Status 1 after an error.

#![cfg(target_arch = "wasm32")]
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "the generated bindings are in this file"
)]

use std::io::{self, Write};

use probes::{exit, fail, required};
use wasi::http::outgoing_handler;
use wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions,
    Scheme,
};
use wasi::io::streams::StreamError;

wit_bindgen::generate!({
    inline: "
        package probe:http;
        world http {
            import wasi:http/types@0.2.12;
            import wasi:http/outgoing-handler@0.2.12;
        }
    ",
    path: "../../../wit",
    world: "probe:http/http",
    generate_all,
});

#[derive(Default)]
struct Options {
    headers: Vec<(String, String)>,
    trailers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    repeat: usize,
    parallel: usize,
    connect: Option<u64>,
    first_byte: Option<u64>,
    between: Option<u64>,
    unread: bool,
    quiet: bool,
    follow: bool,
    dump: bool,
}

fn main() {
    let (method, url): (String, String) = (required(1), required(2));
    let options = options();
    let mut failed = false;
    let mut waiting = Vec::new();
    let mut kept = Vec::new();
    for _ in 0..options.repeat {
        for _ in 0..options.parallel {
            waiting.push(start(&method, &url, &options));
        }
        for started in waiting.drain(..) {
            match started.and_then(|started| answer(started, &options, &mut kept)) {
                Ok(Some(location)) if options.follow => {
                    let followed = start("GET", &location, &options);
                    failed |= report(followed.and_then(|started| answer(started, &options, &mut kept)));
                }
                result => failed |= report(result),
            }
        }
    }
    if options.dump {
        dump();
    }
    if failed {
        exit(1);
    }
}

fn options() -> Options {
    let mut options = Options { repeat: 1, parallel: 1, ..Options::default() };
    for text in std::env::args().skip(3) {
        let (name, value) = text.split_once('=').unwrap_or((&text, ""));
        let number = || value.parse().unwrap_or_else(|error| fail(2, format_args!("`{text}`: {error}")));
        let field = || match value.split_once(": ") {
            Some((name, value)) => (unescape(name), unescape(value)),
            None => fail(2, format_args!("`{text}` is not `NAME: VALUE`")),
        };
        match name {
            "header" => options.headers.push(field()),
            "trailer" => options.trailers.push(field()),
            "body" => options.body = Some(vec![b'x'; number() as usize]),
            "text" => options.body = Some(value.as_bytes().to_vec()),
            "repeat" => options.repeat = number() as usize,
            "parallel" => options.parallel = number() as usize,
            "connect-ms" => options.connect = Some(number()),
            "first-byte-ms" => options.first_byte = Some(number()),
            "between-ms" => options.between = Some(number()),
            "unread" => options.unread = true,
            "quiet" => options.quiet = true,
            "follow" => options.follow = true,
            "dump" => options.dump = true,
            _ => fail(2, format_args!("unknown option `{text}`")),
        }
    }
    options
}

/// `\r`, `\n` and `\0` as two characters, since an argument of a command line can't have the last one.
fn unescape(text: &str) -> String {
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0")
}

fn report(result: Result<Option<String>, String>) -> bool {
    match result {
        Ok(_) => false,
        Err(error) => {
            println!("error: {error}");
            true
        }
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn start(name: &str, url: &str, options: &Options) -> Result<FutureIncomingResponse, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let fields = Fields::new();
    for (name, value) in &options.headers {
        fields.append(name, value.as_bytes()).map_err(|error| format!("header {error:?}"))?;
    }
    if let Some(body) = &options.body {
        // A body whose size is known, unless it has something after it.
        if options.trailers.is_empty() && !fields.has("content-length") {
            let size = body.len().to_string().into_bytes();
            fields.append("content-length", &size).map_err(|error| format!("header {error:?}"))?;
        }
    }
    let request = OutgoingRequest::new(fields);
    request.set_method(&method(name)).map_err(|()| "method".to_owned())?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme".to_owned())?;
    request.set_authority(Some(authority)).map_err(|()| "authority".to_owned())?;
    request.set_path_with_query(Some(path)).map_err(|()| "path".to_owned())?;
    let body = options.body.as_ref().map(|bytes| (request.body().expect("the first body"), bytes));
    let limits = RequestOptions::new();
    let nanos = |ms: Option<u64>| ms.map(|ms| ms * 1_000_000);
    limits.set_connect_timeout(nanos(options.connect)).expect("it is supported");
    limits.set_first_byte_timeout(nanos(options.first_byte)).expect("it is supported");
    limits.set_between_bytes_timeout(nanos(options.between)).expect("it is supported");
    let started = outgoing_handler::handle(request, Some(limits)).map_err(code)?;
    if let Some((body, bytes)) = body {
        write(body, bytes, &options.trailers)?;
    }
    Ok(started)
}

fn write(body: OutgoingBody, bytes: &[u8], trailers: &[(String, String)]) -> Result<(), String> {
    let stream = body.write().expect("the first stream");
    for chunk in bytes.chunks(4096) {
        match stream.blocking_write_and_flush(chunk) {
            Ok(()) => {}
            // The other side may answer without having read it.
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    drop(stream);
    let fields = (!trailers.is_empty()).then(Fields::new);
    for (name, value) in trailers {
        if let Some(fields) = &fields {
            fields.append(name, value.as_bytes()).map_err(|error| format!("trailer {error:?}"))?;
        }
    }
    OutgoingBody::finish(body, fields).map_err(code)
}

/// Prints an answer, and gives the place that it redirects to.
fn answer(
    started: FutureIncomingResponse,
    options: &Options,
    kept: &mut Vec<IncomingBody>,
) -> Result<Option<String>, String> {
    started.subscribe().block();
    let response = started.get().expect("it is ready").expect("it is taken once").map_err(code)?;
    println!("status {}", response.status());
    let mut location = None;
    for (name, value) in response.headers().entries() {
        let value = String::from_utf8_lossy(&value).into_owned();
        println!("header {name}: {value}");
        if name == "location" {
            location = Some(value);
        }
    }
    let body = response.consume().expect("the first consumer");
    if options.unread {
        kept.push(body);
        return Ok(location);
    }
    let stream = body.stream().expect("the first stream");
    let mut bytes = Vec::new();
    let mut size = 0;
    loop {
        match stream.blocking_read(16 * 1024) {
            Ok(chunk) => {
                size += chunk.len();
                if !options.quiet {
                    bytes.extend_from_slice(&chunk);
                }
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasi::http::types::http_error_code(&error);
                return Err(code.map_or_else(|| error.to_debug_string(), |code| format!("body {code:?}")));
            }
        }
    }
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    if let Some(Ok(Ok(Some(trailers)))) = trailers.get() {
        for (name, value) in trailers.entries() {
            println!("trailer {name}: {}", String::from_utf8_lossy(&value));
        }
    }
    if options.quiet {
        println!("body {size}");
    } else {
        println!("body {}", String::from_utf8_lossy(&bytes));
    }
    Ok(location)
}

fn code(code: ErrorCode) -> String {
    format!("{code:?}")
}

/// All that there is in this program's memory.
fn dump() {
    let size = core::arch::wasm32::memory_size(0) * 65_536;
    let mut out = io::stdout().lock();
    for at in (1024..size).step_by(4096) {
        // Every address below the memory's size can be read.
        let chunk: Vec<u8> =
            (at..(at + 4096).min(size)).map(|at| unsafe { (at as *const u8).read_volatile() }).collect();
        if out.write_all(&chunk).is_err() {
            fail(1, "the dump could not be written");
        }
    }
}
