//! The parts of a case that have a form of their own: calls that the guest makes, and bytes.

use std::time::Duration;

use super::{Reader, Table, Value};
use crate::contract::cases::{Expectation, Fault, Times};
use crate::contract::pattern::{Call, Node};
use crate::policy::{Bytes, Span};

const IMPORT: &[&str] = &["answer", "call", "delay", "fault", "huge", "replay", "times"];

/// Bytes that an injected answer may have: each takes a multiple of that in the host.
const MAX_HUGE: u64 = 16 << 20;

/// Bytes that a repeated text may have.
const MAX_REPEATED: usize = 64 << 20;

impl Reader<'_> {
    /// A call that the guest makes, and its answer.
    pub(super) fn expectation(&mut self, value: &Value<'_>) -> Option<Expectation> {
        // The shortest form: a call that has no answer.
        if value.get_ref().as_str().is_some() {
            let call = self.text("import", value, Call::parse)?;
            let times = Times { least: 1, most: 1 };
            return Some(Expectation { call, answer: None, fault: None, delay: Duration::ZERO, times, replay: None });
        }
        let table = self.table("import", value, IMPORT)?;
        let Some(call) = table.get("call") else {
            self.error(table.span.clone(), "the import has no `call`".to_owned());
            return None;
        };
        let call = self.text("call", call, Call::parse)?;
        let answer = match table.get("answer") {
            Some(value) => Some(self.text("answer", value, Node::parse)?),
            None => None,
        };
        let replay = match table.get("replay") {
            Some(value) => Some(self.text("replay", value, Node::parse)?),
            None => None,
        };
        let delay = match table.get("delay") {
            Some(value) => match self.string("delay", value)?.parse::<Span>() {
                Ok(delay) => delay.0,
                Err(error) => {
                    self.error(value.span(), format!("`delay`: {error}"));
                    return None;
                }
            },
            None => Duration::ZERO,
        };
        let fault = match (table.get("fault"), table.get("huge")) {
            (Some(value), None) if value.get_ref().as_str() == Some("trap") => Some(Fault::Trap),
            (Some(value), None) => {
                let message = "`fault` is `\"trap\"`; an error is an `answer`, others are `huge` and `delay`";
                self.error(value.span(), message.to_owned());
                None
            }
            (None, Some(value)) => match self.string("huge", value)?.parse::<Bytes>() {
                Ok(size) if size.0 <= MAX_HUGE => Some(Fault::Huge(size.0)),
                Ok(_) => {
                    self.error(value.span(), format!("`huge` is at most {}", Bytes(MAX_HUGE)));
                    None
                }
                Err(error) => {
                    self.error(value.span(), format!("`huge`: {error}"));
                    None
                }
            },
            (Some(value), Some(_)) => {
                self.error(value.span(), "an import has one of `fault` and `huge`".to_owned());
                None
            }
            (None, None) => None,
        };
        if let (Some(value), Some(_)) = (table.get("answer"), fault) {
            self.error(value.span(), "an import with a fault has no `answer`".to_owned());
        }
        let times = self.times(table.get("times"));
        Some(Expectation { call, answer, fault, delay, times, replay })
    }

    fn times(&mut self, value: Option<&Value<'_>>) -> Times {
        let Some(value) = value else { return Times { least: 1, most: 1 } };
        let number = value.get_ref().as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        match (number, value.get_ref().as_str()) {
            (Some(n), _) => Times { least: n, most: n },
            (None, Some("any")) => Times { least: 0, most: u64::MAX },
            (None, Some("some")) => Times { least: 1, most: u64::MAX },
            _ => {
                self.error(value.span(), "`times` is a number, `\"any\"` or `\"some\"`".to_owned());
                Times { least: 1, most: 1 }
            }
        }
    }

    /// Bytes in one of three forms: a string, hexadecimal digits, or a text that is repeated.
    pub(super) fn bytes(&mut self, table: &Table<'_, '_>, key: &str) -> Option<Vec<u8>> {
        let (hex_key, repeat_key) = (format!("{key}-hex"), format!("{key}-repeat"));
        let (plain, hex, repeat) = (table.get(key), table.get(&hex_key), table.get(&repeat_key));
        if [plain, hex, repeat].iter().flatten().count() > 1 {
            self.error(table.span.clone(), format!("a case has one of `{key}`, `{hex_key}` and `{repeat_key}`"));
        }
        if let Some(value) = plain {
            return self.string(key, value).map(String::into_bytes);
        }
        if let Some(value) = hex {
            let text = self.string(&hex_key, value)?;
            let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
            let bytes = digits.filter(|digits| digits.len().is_multiple_of(2)).map(|digits| {
                digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | *digit as u8)).collect()
            });
            if bytes.is_none() {
                self.error(value.span(), format!("`{hex_key}` is pairs of hexadecimal digits with nothing in between"));
            }
            return bytes;
        }
        let value = repeat?;
        let table = self.table(&repeat_key, value, &["text", "times"])?;
        let text = table.get("text").and_then(|value| self.string("text", value));
        let times = table.get("times").and_then(|value| value.get_ref().as_integer());
        let times = times.and_then(|n| usize::from_str_radix(n.as_str(), n.radix()).ok());
        match (text, times) {
            (Some(text), Some(times)) if text.len().checked_mul(times).is_some_and(|n| n <= MAX_REPEATED) => {
                Some(text.repeat(times).into_bytes())
            }
            _ => {
                let message =
                    format!("`{repeat_key}` is `{{ text = \"…\", times = N }}`, up to {}", Bytes(MAX_REPEATED as u64));
                self.error(value.span(), message);
                None
            }
        }
    }
}
