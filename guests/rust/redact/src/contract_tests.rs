//! Runs the cases of `tests/contract/redact.toml`, which all languages share, against the algorithm natively.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use crate::config::Config;
use crate::scan::redact;

const CASES: &str = include_str!("../../../../tests/contract/redact.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// How the host runs them.
    #[expect(dead_code, reason = "listed so that the format stays strict")]
    defaults: toml::Table,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    name: String,
    #[serde(default)]
    config: BTreeMap<String, String>,
    /// The algorithm knows nothing of it; the integration tests check that the component echoes it.
    #[expect(dead_code, reason = "listed so that the format stays strict")]
    content_type: Option<String>,
    input: Option<String>,
    input_hex: Option<String>,
    input_repeat: Option<Repeat>,
    output: Option<String>,
    output_hex: Option<String>,
    output_repeat: Option<Repeat>,
    failure: Option<String>,
    failure_text: Option<String>,
    log: Option<Log>,
}

/// The one message, with its level and context before it; or none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Log {
    One(String),
    Each(Vec<String>),
}

impl Log {
    fn text(&self) -> Option<&str> {
        match self {
            Self::One(message) => Some(message.strip_prefix("info redact: ").expect("a level and a context")),
            Self::Each(messages) => {
                assert!(messages.is_empty(), "more than one message");
                None
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    text: String,
    times: usize,
}

/// The one of the three ways to write bytes that is used, or none.
fn bytes(plain: Option<&String>, hex: Option<&String>, repeat: Option<&Repeat>) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    all.extend(plain.map(|text| text.clone().into_bytes()));
    all.extend(hex.map(|hex| {
        assert!(hex.len().is_multiple_of(2), "`{hex}` is not a whole number of bytes");
        (0..hex.len()).step_by(2).map(|k| u8::from_str_radix(&hex[k..k + 2], 16).unwrap()).collect()
    }));
    all.extend(repeat.map(|repeat| repeat.text.repeat(repeat.times).into_bytes()));
    assert!(all.len() <= 1, "more than one way to write the same bytes");
    all.pop()
}

/// What is wrong with the case, if anything is.
fn problem(case: &Case) -> Option<String> {
    let input = bytes(case.input.as_ref(), case.input_hex.as_ref(), case.input_repeat.as_ref()).expect("no input");
    let expected = bytes(case.output.as_ref(), case.output_hex.as_ref(), case.output_repeat.as_ref());
    assert!(expected.is_some() != case.failure.is_some(), "`{}`: one of output and failure is needed", case.name);
    let get = |key: &str| case.config.get(key).map(String::as_str);
    match (Config::parse(get("mask"), get("replacement")), expected) {
        (Err(text), None) => {
            assert!(
                case.log.as_ref().is_none_or(|log| log.text().is_none()),
                "`{}`: a failure logs nothing",
                case.name
            );
            let same = case.failure.as_deref() == Some("invalid-config")
                && case.failure_text.as_ref().is_none_or(|expected| *expected == text);
            (!same).then(|| format!("fails with `{text}`"))
        }
        (Err(text), Some(_)) => Some(format!("fails with `{text}` instead of giving output")),
        (Ok(_), None) => Some(String::from("gives output instead of failing")),
        (Ok(config), Some(expected)) => {
            assert!(case.failure_text.is_none(), "`{}`: failure-text without failure", case.name);
            let (output, counts) = redact(&config, &input);
            let log = counts.to_string();
            if output != expected {
                let shown = output.len().min(400);
                return Some(format!("gives `{}`", String::from_utf8_lossy(&output[..shown])));
            }
            case.log.as_ref().is_some_and(|expected| expected.text() != Some(&log)).then(|| format!("logs `{log}`"))
        }
    }
}

#[test]
fn the_algorithm_does_what_the_contract_cases_say() {
    let file: File = toml::from_str(CASES).unwrap();
    let names: HashSet<&str> = file.case.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), file.case.len(), "two cases have the same name");
    assert!(file.case.len() >= 45, "only {} cases", file.case.len());
    let problems: Vec<String> =
        file.case.iter().filter_map(|case| problem(case).map(|problem| format!("`{}` {problem}", case.name))).collect();
    assert!(problems.is_empty(), "{} of {} cases:\n{}", problems.len(), file.case.len(), problems.join("\n"));
}
