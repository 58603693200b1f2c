//! A few lines about a receipt, for people.
//!
//! The receipt's shape belongs to the host. It is read here as plain JSON and only by the fields that it is sure to
//! have, so that a field more in the host needs no change here.

use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;

/// A receipt, as the host wrote it.
pub(super) struct Receipt(Value);

/// What is shown: a label, the path of the field, and how to write its value.
const LINES: &[(&str, &[&str], Form)] = &[
    ("stop reason", &["stop", "reason"], Form::Plain),
    ("component", &["component", "digest"], Form::Plain),
    ("wall time", &["usage", "wall_ns"], Form::Nanoseconds),
    ("cpu time", &["usage", "cpu_ns"], Form::Nanoseconds),
    ("memory peak", &["usage", "memory_peak_bytes"], Form::Bytes),
    ("input", &["usage", "input_bytes"], Form::Bytes),
    ("output", &["usage", "output_bytes"], Form::Bytes),
    ("host calls", &["usage", "host_calls"], Form::Plain),
];

/// The parts of an invocation that are timed, in the order in which they happen.
const TIMINGS: &[&str] = &["load", "compile", "link", "instantiate", "run"];

#[derive(Clone, Copy)]
enum Form {
    Plain,
    Bytes,
    Nanoseconds,
}

impl Receipt {
    /// Reads a receipt from a file.
    pub(super) fn load(path: &Path) -> Result<Receipt> {
        let text = std::fs::read(path).with_context(|| format!("the host wrote no receipt `{}`", path.display()))?;
        let value = serde_json::from_slice(&text).with_context(|| format!("`{}` is no JSON", path.display()))?;
        Ok(Receipt(value))
    }

    /// How the invocation ended.
    pub(super) fn stop_reason(&self) -> Result<&str> {
        self.field(&["stop", "reason"]).and_then(Value::as_str).context("the receipt has no `stop.reason`")
    }

    /// The lines to print.
    pub(super) fn summary(&self) -> Vec<String> {
        let mut lines = vec!["receipt".to_owned()];
        for (label, path, form) in LINES {
            if let Some(value) = self.field(path).filter(|value| !value.is_null()) {
                lines.push(format!("  {label:12} {}", form.show(value)));
            }
        }
        let timings = TIMINGS.iter().filter_map(|name| {
            let value = self.field(&["timings", &format!("{name}_ns")])?;
            Some(format!("{name} {}", Form::Nanoseconds.show(value)))
        });
        let timings = timings.collect::<Vec<_>>().join(", ");
        if !timings.is_empty() {
            lines.push(format!("  {:12} {timings}", "timings"));
        }
        lines
    }

    /// A field by its path, whether its name is written with `_` or with `-`.
    fn field(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.0, |value, wanted| {
            value.as_object()?.iter().find(|(name, _)| normal(name) == *wanted).map(|(_, value)| value)
        })
    }
}

impl Form {
    fn show(self, value: &Value) -> String {
        match (self, value.as_u64(), value.as_str()) {
            (Form::Nanoseconds, Some(ns), _) if ns < 1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
            (Form::Nanoseconds, Some(ns), _) if ns < 1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
            (Form::Nanoseconds, Some(ns), _) => format!("{:.2} s", ns as f64 / 1e9),
            (Form::Bytes, Some(bytes), _) if bytes < 10_240 => format!("{bytes} bytes"),
            (Form::Bytes, Some(bytes), _) if bytes < 1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
            (Form::Bytes, Some(bytes), _) => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
            (_, _, Some(text)) => text.to_owned(),
            _ => value.to_string(),
        }
    }
}

fn normal(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_what_there_is_and_nothing_else() {
        let receipt = Receipt(serde_json::json!({
            "stop": { "reason": "returned" },
            "usage": { "wall-ns": 1_500_000u64, "cpu_ns": 2_000_000_000u64, "memory-peak-bytes": 1_572_864u64, "fuel": null },
            "timings": { "run-ns": 1_000_000, "load-ns": 900, "note": "x" },
        }));
        assert_eq!(receipt.stop_reason().unwrap(), "returned");
        assert_eq!(
            receipt.summary(),
            [
                "receipt",
                "  stop reason  returned",
                "  wall time    1.5 ms",
                "  cpu time     2.00 s",
                "  memory peak  1.5 MiB",
                "  timings      load 0.9 µs, run 1.0 ms",
            ]
        );
    }

    #[test]
    fn a_receipt_without_a_stop_reason_is_an_error() {
        assert!(Receipt(serde_json::json!({ "stop": {} })).stop_reason().is_err());
    }
}
