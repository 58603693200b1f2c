//! Counts the lines and words of its input, and greets whom the configuration names.

wit_bindgen::generate!({ path: "wit", world: "sandbox-pure" });

use exports::sandbox::host::job::{Failure, Guest, Input, Output};
use sandbox::host::config;
use sandbox::host::log::{Level, log};

struct Job;

export!(Job);

impl Guest for Job {
    fn run(input: Input) -> Result<Output, Failure> {
        let name = config::get("name").unwrap_or_else(|| "world".to_owned());
        if name.is_empty() {
            return Err(Failure::InvalidConfig("`name` is empty".to_owned()));
        }
        let (lines, words) = count(&input.body);
        log(Level::Info, "my-job", &format!("bytes={}", input.body.len()));
        Ok(Output {
            body: format!("Hello, {name}! lines: {lines}, words: {words}\n").into_bytes(),
            content_type: Some("text/plain; charset=utf-8".to_owned()),
            attributes: Vec::new(),
        })
    }
}

/// The lines, of which the last one need not end with a line feed, and the words, which have blanks between them.
fn count(text: &[u8]) -> (usize, usize) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let lines = text.split_inclusive(|byte| *byte == b'\n').count();
    let words = text.split(is_blank).filter(|word| !word.is_empty()).count();
    (lines, words)
}
