//! What became of a case, as text for people and for other tools.

use std::fmt::Write as _;

use serde::Serialize;

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
    /// Whether what was seen instead can be written into the file.
    #[serde(skip)]
    pub updatable: bool,
}

/// What was seen where something else was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What a step returned, in WAVE; none for a function without a result.
    Returned(usize, Option<String>),
    /// A job's output.
    Output(Vec<u8>),
    /// A job's failure: its name and text.
    Failed(String, String),
    /// The reason of a stop.
    Stopped(String),
    /// A program's exit status.
    Exited(u8),
    /// What a program wrote to `stdout` or `stderr`.
    Wrote(&'static str, Vec<u8>),
    /// It returned, where a stop was expected; what it returned stands beside this.
    NotStopped,
    /// Two instances answered differently, which no value says.
    Varied,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), lines: Vec::new(), updatable: false }
    }

    /// What was seen is kept beside it, for an update.
    pub(crate) fn seen(mut self) -> Self {
        self.updatable = true;
        self
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

/// The verdicts of several files in the form that build servers read. What was interrupted says so, with the names of
/// the cases of each file that were not run.
pub fn junit(files: &[(String, Vec<Verdict>, Vec<String>)]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (file, verdicts, unrun) in files {
        let of = |status| verdicts.iter().filter(|verdict| verdict.status == status).count();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\"{}>",
            quoted(file),
            verdicts.len() + unrun.len(),
            of(Status::Failed),
            of(Status::Broken),
            if unrun.is_empty() { String::new() } else { format!(" skipped=\"{}\"", unrun.len()) }
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
        for name in unrun {
            let _ = writeln!(
                xml,
                "    <testcase classname=\"{}\" name=\"{}\"><skipped message=\"interrupted\"/></testcase>",
                quoted(file),
                quoted(name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Case, Suite};

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
    fn what_build_servers_read_is_well_formed_whatever_was_said() {
        let suite = Suite::parse("[[case]]\nname = \"a<b\"\ncall = 'f()'\n").unwrap();
        let case = &suite.cases[0];
        let all = [Status::Passed, Status::Failed, Status::Broken].map(|status| verdict(case, status, Vec::new()));
        let xml = junit(&[("x.toml".to_owned(), all.to_vec(), Vec::new())]);
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"1\">"), "{xml}");
        let interrupted = junit(&[("x.toml".to_owned(), all.to_vec(), vec!["b".to_owned()])]);
        assert!(interrupted.contains("tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\">"), "{interrupted}");
        assert!(interrupted.contains("name=\"b\"><skipped message=\"interrupted\"/>"), "{interrupted}");
        assert!(xml.contains("name=\"a&lt;b\" time=\"0.001500\"/>"), "{xml}");
        assert!(xml.contains("message=\"a &lt; b &amp; &quot;c&quot;\u{fffd}\""), "{xml}");
        assert!(!xml.contains('\u{1b}'));
    }
}
