//! `keyvalue BUCKET COMMAND...`: opens a bucket, does one thing after the other, and prints a line for each.
//!
//! A text that begins with `@` stands for that many bytes of `x`; a count stands for that many entries, named from 0.

#![allow(
    missing_docs,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "the generated bindings are in this module"
)]

use probes::{fail, required};

use self::wasi::keyvalue::store::{Bucket, Error, open};
use self::wasi::keyvalue::{atomics, batch};

wit_bindgen::generate!({ path: "../../../wit", world: "wasi:keyvalue/imports@0.2.0-draft", generate_all });

fn main() {
    let identifier: String = required(1);
    let bucket = match open(&identifier) {
        Ok(bucket) => bucket,
        Err(error) => return println!("open: {}", name(&error)),
    };
    let mut words = std::env::args().skip(2);
    while let Some(command) = words.next() {
        let mut word = || words.next().unwrap_or_else(|| fail(2, format_args!("`{command}` needs another argument")));
        let line = match command.as_str() {
            "get" => bucket.get(&text(&word())).map(|value| value.map_or("none".to_owned(), |value| show(&value))),
            "set" => bucket.set(&text(&word()), text(&word()).as_bytes()).map(|()| "ok".to_owned()),
            "delete" => bucket.delete(&text(&word())).map(|()| "ok".to_owned()),
            "exists" => bucket.exists(&text(&word())).map(|there| there.to_string()),
            "increment" => atomics::increment(&bucket, &text(&word()), number(&word())).map(|sum| sum.to_string()),
            "increment-often" => often(&bucket, &text(&word()), number(&word())),
            "get-often" => timed(number(&word()), &text(&word()), |key| bucket.get(key).map(drop)),
            "set-often" => {
                let value = text(&word()).into_bytes();
                timed(number(&word()), &text(&word()), |key| bucket.set(key, &value))
            }
            "list" => list(&bucket),
            "pages" => pages(&bucket),
            "list-from" => bucket.list_keys(Some(number(&word()))).map(|page| page.keys.len().to_string()),
            "get-many" => get_many(&bucket, &names(&word())),
            "set-many" => set_many(&bucket, &names(&word()), &text(&word())),
            "delete-many" => batch::delete_many(&bucket, &names(&word())).map(|()| "ok".to_owned()),
            "leak" => leak(&identifier, number(&word())),
            "fill" => fill(&bucket, &text(&word())),
            other => fail(2, format_args!("unknown command `{other}`")),
        };
        match line {
            Ok(line) => println!("{line}"),
            Err(error) => println!("error: {}", name(&error)),
        }
    }
}

fn name(error: &Error) -> String {
    match error {
        Error::NoSuchStore => "no-such-store".to_owned(),
        Error::AccessDenied => "access-denied".to_owned(),
        Error::Other(why) => format!("other: {why}"),
    }
}

fn text(word: &str) -> String {
    match word.strip_prefix('@') {
        Some(count) => "x".repeat(usize::try_from(number(count)).unwrap_or(usize::MAX)),
        None => word.to_owned(),
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| fail(2, format_args!("`{word}` is no number")))
}

/// `a,b,c`, or so many names where it is a number.
fn names(word: &str) -> Vec<String> {
    match word.parse::<u64>() {
        Ok(count) => (0..count).map(|n| n.to_string()).collect(),
        Err(_) => word.split(',').map(str::to_owned).collect(),
    }
}

/// A long value as its length.
fn show(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if text.len() <= 64 => text.to_owned(),
        _ => format!("{} bytes", value.len()),
    }
}

fn often(bucket: &Bucket, key: &str, times: u64) -> Result<String, Error> {
    for _ in 0..times {
        atomics::increment(bucket, key, 1)?;
    }
    Ok("ok".to_owned())
}

/// Does the same so many times, and says how many nanoseconds each took.
fn timed(times: u64, key: &str, mut call: impl FnMut(&str) -> Result<(), Error>) -> Result<String, Error> {
    let began = std::time::Instant::now();
    for _ in 0..times {
        call(key)?;
    }
    Ok((began.elapsed().as_nanos() / u128::from(times.max(1))).to_string())
}

fn walk(bucket: &Bucket) -> Result<Vec<Vec<String>>, Error> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let page = bucket.list_keys(cursor)?;
        pages.push(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(pages);
        }
    }
}

fn list(bucket: &Bucket) -> Result<String, Error> {
    let mut keys = walk(bucket)?.concat();
    keys.sort();
    Ok(keys.join(" "))
}

/// How many keys are on each page, and how many different ones there are.
fn pages(bucket: &Bucket) -> Result<String, Error> {
    let pages = walk(bucket)?;
    let sizes: Vec<_> = pages.iter().map(|page| page.len().to_string()).collect();
    let keys: std::collections::BTreeSet<_> = pages.concat().into_iter().collect();
    Ok(format!("{} in {}", keys.len(), sizes.join("+")))
}

fn get_many(bucket: &Bucket, keys: &[String]) -> Result<String, Error> {
    let found = batch::get_many(bucket, keys)?;
    let pairs = found.iter().map(|pair| match pair {
        Some((key, value)) => format!("{key}={}", show(value)),
        None => "none".to_owned(),
    });
    Ok(pairs.collect::<Vec<_>>().join(" "))
}

fn set_many(bucket: &Bucket, keys: &[String], value: &str) -> Result<String, Error> {
    let pairs: Vec<_> = keys.iter().map(|key| (key.clone(), value.as_bytes().to_vec())).collect();
    batch::set_many(bucket, &pairs).map(|()| "ok".to_owned())
}

/// Opens the bucket so many times, and closes it never.
fn leak(identifier: &str, times: u64) -> Result<String, Error> {
    for _ in 0..times {
        std::mem::forget(open(identifier)?);
    }
    Ok("ok".to_owned())
}

/// Sets new keys until that fails, and says how many there are room for.
fn fill(bucket: &Bucket, value: &str) -> Result<String, Error> {
    let mut count = 0_u64;
    while bucket.set(&format!("fill-{count}"), value.as_bytes()).is_ok() {
        count += 1;
    }
    Ok(format!("{count} fit"))
}
