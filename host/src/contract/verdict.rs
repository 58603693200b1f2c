//! What became of a case, as text for people and for other tools, and written back into the file.

use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;

use super::cases::{Case, Work};
use crate::text::escape;

/// What became of one case.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// The case's name.
    pub name: String,
    /// The line of its file.
    pub line: usize,
    /// How it went.
    pub status: Status,
    /// What is wrong, in the order in which it was found.
    pub problems: Vec<Problem>,
    /// The imported calls that the guest made, as far as they are answered by the case.
    pub trace: Vec<String>,
    /// What was seen where something was expected, for an update.
    #[serde(skip)]
    pub seen: Vec<Seen>,
    /// Nanoseconds from the call to its end.
    pub wall_ns: u64,
}

/// How a case went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As expected.
    Passed,
    /// Otherwise.
    Failed,
    /// It doesn't fit the component, so nothing was run.
    Broken,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// In a sentence.
    pub message: String,
    /// Lines that show it: a place in a text, two values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What a step returned, in WAVE.
    Returned(usize, String),
    /// A job's output.
    Output(Vec<u8>),
    /// A job's failure: its name and text.
    Failed(String, String),
    /// The reason of a stop.
    Stopped(String),
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), lines: Vec::new() }
    }

    pub(crate) fn with(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }
}

impl Verdict {
    /// The verdict as a person reads it; nothing but its name where it passed.
    pub fn text(&self) -> String {
        let word = match self.status {
            Status::Passed => "passed",
            Status::Failed => "FAILED",
            Status::Broken => "BROKEN",
        };
        let mut text = format!("{word}  {}\n", escape(&self.name));
        if self.status == Status::Passed {
            return text;
        }
        // Writing to a string can't fail.
        for problem in &self.problems {
            let _ = writeln!(text, "        {}", problem.message);
            for line in &problem.lines {
                let _ = writeln!(text, "          {line}");
            }
        }
        if !self.trace.is_empty() {
            let _ = writeln!(text, "        imported calls:");
            for call in &self.trace {
                let _ = writeln!(text, "          {call}");
            }
        }
        text
    }
}

/// The verdicts of several files in the form that build servers read.
pub fn junit(files: &[(String, Vec<Verdict>)]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (file, verdicts) in files {
        let of = |status| verdicts.iter().filter(|verdict| verdict.status == status).count();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">",
            quoted(file),
            verdicts.len(),
            of(Status::Failed),
            of(Status::Broken)
        );
        for verdict in verdicts {
            let seconds = verdict.wall_ns as f64 / 1e9;
            let _ = write!(
                xml,
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.6}\"",
                quoted(file),
                quoted(&verdict.name)
            );
            let element = match verdict.status {
                Status::Passed => {
                    xml.push_str("/>\n");
                    continue;
                }
                Status::Failed => "failure",
                Status::Broken => "error",
            };
            let message = verdict.problems.first().map_or("", |problem| problem.message.as_str());
            let _ = writeln!(
                xml,
                ">\n      <{element} message=\"{}\">{}</{element}>\n    </testcase>",
                quoted(message),
                quoted(&verdict.text())
            );
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Text for XML. What it can't hold at all is left out.
fn quoted(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// The file's text with what was seen in place of what was expected, and how many cases that changed. What passed stays
/// as it is, patterns included; what could not be run too.
pub fn update(text: &str, cases: &[Case], verdicts: &[Verdict]) -> (String, usize) {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut changed = 0;
    for (case, verdict) in cases.iter().zip(verdicts) {
        if verdict.status != Status::Failed || verdict.seen.is_empty() {
            continue;
        }
        let before = edits.len();
        let steps = matches!(&case.work, Work::Calls(steps) if steps.len() > 1);
        if steps {
            for seen in &verdict.seen {
                if let (Seen::Returned(n, value), Some(Some(place))) = (seen, seen_place(case, seen)) {
                    let _ = n;
                    edits.push((place, toml(value)));
                }
            }
        } else if let Some(lines) = verdict.seen.last().and_then(lines) {
            // The first of what was expected makes room, the others go with their lines.
            match case.places.expected.split_first() {
                Some((first, others)) => {
                    edits.push((first.clone(), lines));
                    edits.extend(others.iter().map(|place| (whole_line(text, place), String::new())));
                }
                None => edits.push((case.places.insert..case.places.insert, lines + "\n")),
            }
        }
        changed += usize::from(edits.len() > before);
    }
    edits.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
    let mut updated = text.to_owned();
    for (place, new) in edits {
        updated.replace_range(place, &new);
    }
    (updated, changed)
}

fn seen_place(case: &Case, seen: &Seen) -> Option<Option<Range<usize>>> {
    match seen {
        Seen::Returned(n, _) => case.places.steps.get(*n).cloned(),
        _ => None,
    }
}

/// The keys that say what was seen.
fn lines(seen: &Seen) -> Option<String> {
    Some(match seen {
        Seen::Returned(_, value) => format!("returns = {}", toml(value)),
        Seen::Stopped(reason) => format!("stops = {}", toml(reason)),
        Seen::Failed(name, text) => format!("failure = {}\nfailure-text = {}", toml(name), toml(text)),
        Seen::Output(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => format!("output = {}", toml(text)),
            Err(_) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("output-hex = \"{hex}\"")
            }
        },
    })
}

/// A place with the rest of its line, where nothing else is on it.
fn whole_line(text: &str, place: &Range<usize>) -> Range<usize> {
    let rest = text.get(place.end..).unwrap_or_default();
    let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
    let alone = rest.get(..end).is_some_and(|rest| rest.trim().is_empty());
    place.start..if alone { place.end + end } else { place.end }
}

/// A string in TOML: literal where it can be, since WAVE is full of quotation marks.
fn toml(text: &str) -> String {
    if !text.chars().any(|c| c == '\'' || c.is_control()) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => drop(write!(quoted, "\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Suite;

    fn verdict(case: &Case, status: Status, seen: Vec<Seen>) -> Verdict {
        let problems = vec![Problem::new("a < b & \"c\"\u{1b}")];
        Verdict {
            name: case.name.clone(),
            line: case.line,
            status,
            problems,
            trace: Vec::new(),
            seen,
            wall_ns: 1_500_000,
        }
    }

    #[test]
    fn an_update_replaces_what_failed_and_nothing_else() {
        let text = "# a comment\n[[case]]\nname = \"a\"\ncall = 'f(1)' # why\nreturns = '_'\n\n[[case]]\nname = \"b\"\n\
                    call = 'f(2)'\n\n[[case]]\nname = \"c\"\ninput = \"x\"\nfailure = \"other\"\nfailure-text = \"y\"\n\
                    config = { a = \"b\" }\n";
        let suite = Suite::parse(text).unwrap();
        let cases = &suite.cases;
        let verdicts = [
            verdict(&cases[0], Status::Passed, vec![Seen::Returned(0, "7".into())]),
            verdict(&cases[1], Status::Failed, vec![Seen::Returned(0, "\"it's\"".into())]),
            verdict(&cases[2], Status::Failed, vec![Seen::Output(b"z\n".to_vec())]),
        ];
        let (updated, changed) = update(text, cases, &verdicts);
        assert_eq!(changed, 2);
        let expected = text.replace("call = 'f(2)'\n", "call = 'f(2)'\nreturns = \"\\\"it's\\\"\"\n");
        let expected = expected.replace("failure = \"other\"\nfailure-text = \"y\"\n", "output = \"z\\n\"\n");
        assert_eq!(updated, expected);
        assert_eq!(update(text, cases, &verdicts[..1]), (text.to_owned(), 0));
        assert!(Suite::parse(&updated).is_ok());
    }

    #[test]
    fn what_build_servers_read_is_well_formed_whatever_was_said() {
        let suite = Suite::parse("[[case]]\nname = \"a<b\"\ncall = 'f()'\n").unwrap();
        let case = &suite.cases[0];
        let all = [Status::Passed, Status::Failed, Status::Broken].map(|status| verdict(case, status, Vec::new()));
        let xml = junit(&[("x.toml".to_owned(), all.to_vec())]);
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"1\""), "{xml}");
        assert!(xml.contains("name=\"a&lt;b\" time=\"0.001500\"/>"), "{xml}");
        assert!(xml.contains("message=\"a &lt; b &amp; &quot;c&quot;\u{fffd}\""), "{xml}");
        assert!(!xml.contains('\u{1b}'));
    }
}
