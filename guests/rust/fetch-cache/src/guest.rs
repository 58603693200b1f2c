//! The component's side: the bucket, the request, and the job that puts them together.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "the generated bindings are in this module"
)]

use crate::url::Url;

wit_bindgen::generate!({ path: "../../../wit", world: "sandbox", generate_all });

use exports::sandbox::host::job::{Failure, Guest, Input, Output};
use sandbox::host::log::{Level, log};
use wasi::config::store as config;
use wasi::http::outgoing_handler::handle;
use wasi::http::types::{ErrorCode, Fields, IncomingBody, OutgoingRequest, Scheme, http_error_code};
use wasi::io::streams::StreamError;
use wasi::keyvalue::store as keyvalue;

/// How many bytes of an answer are read at once.
const CHUNK: u64 = 64 * 1024;

struct FetchCache;

impl Guest for FetchCache {
    fn run(input: Input) -> Result<Output, Failure> {
        let invalid = || Failure::InvalidInput("the input is not an http or https URL".to_owned());
        let text = str::from_utf8(&input.body).map_err(|_| invalid())?.trim_ascii();
        let url = Url::parse(text).ok_or_else(invalid)?;

        let name = config::get("bucket").map_err(|error| Failure::Other(format!("config: {error:?}")))?;
        let bucket = keyvalue::open(name.as_deref().unwrap_or("cache")).map_err(key_value)?;
        let (body, how) = match bucket.get(text).map_err(key_value)? {
            Some(body) => (body, "hit"),
            None => {
                let body = fetch(&url)?;
                bucket.set(text, &body).map_err(key_value)?;
                (body, "miss")
            }
        };
        log(Level::Info, "fetch-cache", &format!("{how} {text}"));
        Ok(Output { body, content_type: None, attributes: vec![("cache".to_owned(), how.to_owned())] })
    }
}

/// Makes the request and reads the whole answer. How large it may be is for the policy to say.
fn fetch(url: &Url<'_>) -> Result<Vec<u8>, Failure> {
    let invalid = |()| Failure::InvalidInput("the input is not an http or https URL".to_owned());
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(if url.is_tls { &Scheme::Https } else { &Scheme::Http })).map_err(invalid)?;
    request.set_authority(Some(url.authority)).map_err(invalid)?;
    request.set_path_with_query(Some(url.path)).map_err(invalid)?;
    let future = handle(request, None).map_err(|code| http(&code))?;
    future.subscribe().block();
    let Some(Ok(response)) = future.get() else { return Err(Failure::Other("internal-error".to_owned())) };
    let response = response.map_err(|code| http(&code))?;
    if response.status() != 200 {
        return Err(Failure::Other(format!("status {}", response.status())));
    }
    let taken = |()| Failure::Other("internal-error".to_owned());
    let body = response.consume().map_err(taken)?;
    let stream = body.stream().map_err(taken)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                let code = http_error_code(&error);
                return Err(code.map_or_else(|| Failure::Other(error.to_debug_string()), |code| http(&code)));
            }
        }
    }
    // A stream is a part of its body, and goes first.
    drop(stream);
    drop(IncomingBody::finish(body));
    Ok(bytes)
}

fn key_value(error: keyvalue::Error) -> Failure {
    Failure::Other(match error {
        keyvalue::Error::NoSuchStore => "key-value: no-such-store".to_owned(),
        keyvalue::Error::AccessDenied => "key-value: access-denied".to_owned(),
        keyvalue::Error::Other(text) => format!("key-value: {text}"),
    })
}

/// The name of the error as in WIT, in lower case and without its payload: what the bindings call
/// `ErrorCode::HttpRequestDenied` is `http-request-denied`.
fn http(code: &ErrorCode) -> Failure {
    let text = format!("{code:?}");
    let name = text.strip_prefix("ErrorCode::").unwrap_or(&text);
    let mut kebab = String::new();
    for letter in name.chars().take_while(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    Failure::Other(kebab)
}

export!(FetchCache);
