//! Writing what was seen into a file of cases, where a case failed. Nothing else changes, comments included; what can't
//! be written is said by name.

use std::fmt::Write as _;
use std::ops::Range;

use super::cases::{Case, StepPlace, Suite, Work};
use super::verdict::{Problem, Seen, Status, Verdict};

/// A file of cases with what was seen in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updated {
    /// The whole file.
    pub text: String,
    /// How many cases changed.
    pub changed: usize,
    /// Cases that are as wrong as before, or still wrong in something: the name of each and why.
    pub left: Vec<(String, String)>,
}

/// What to put in place of what.
type Edit = (Range<usize>, String);

/// The file's text with what was seen in place of what was expected. What passed stays as it is, patterns included.
pub fn update(text: &str, cases: &[Case], verdicts: &[Verdict]) -> Updated {
    let mut updated = Updated { text: text.to_owned(), changed: 0, left: Vec::new() };
    let mut edits: Vec<Edit> = Vec::new();
    for (case, verdict) in cases.iter().zip(verdicts).filter(|(_, verdict)| verdict.status != Status::Passed) {
        let own = if verdict.status == Status::Failed { edits_of(text, case, verdict) } else { Some(Vec::new()) };
        let remains = |problem: &&Problem| !problem.updatable || own.as_ref().is_none_or(Vec::is_empty);
        if let Some(problem) = verdict.problems.iter().find(remains) {
            updated.left.push((case.name.clone(), problem.message.clone()));
        }
        let own = own.unwrap_or_default();
        updated.changed += usize::from(!own.is_empty());
        edits.extend(own);
    }
    edits.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
    for (place, new) in edits {
        updated.text.replace_range(place, &new);
    }
    // A case that is written in braces, say, takes no line more.
    if updated.changed > 0 && Suite::parse(&updated.text).is_err() {
        let failed = verdicts.iter().filter(|verdict| verdict.status != Status::Passed);
        let why = "the file is written in a way that an update would break: change it by hand";
        let left = failed.map(|verdict| (verdict.name.clone(), why.to_owned())).collect();
        return Updated { text: text.to_owned(), changed: 0, left };
    }
    updated
}

/// The edits for one case; none where what was seen has no place in it.
fn edits_of(text: &str, case: &Case, verdict: &Verdict) -> Option<Vec<Edit>> {
    let several = matches!(&case.work, Work::Calls(_)) && case.places.stepwise;
    let mut edits = Vec::new();
    for seen in &verdict.seen {
        match seen {
            Seen::Returned(n, value) if several => {
                let Some(value) = value else { continue };
                match case.places.steps.get(*n)? {
                    StepPlace::Value(place) => edits.push((place.clone(), toml(value))),
                    StepPlace::Inline(at) => edits.push((*at..*at, format!(", returns = {}", toml(value)))),
                    StepPlace::Line(at) => edits.push((*at..*at, format!("returns = {}\n", toml(value)))),
                    StepPlace::None => return None,
                }
            }
            Seen::Stopped(reason) if several => {
                edits.extend(replaced(text, case, &["message", "stops"], &format!("stops = {}", toml(reason)))?);
            }
            _ => edits.extend(replaced(text, case, keys(seen), &lines(seen))?),
        }
    }
    Some(edits)
}

/// Lines in place of keys: the first of them makes room, the others go with their lines. Without any of them the lines
/// are added.
fn replaced(text: &str, case: &Case, keys: &[&str], lines: &str) -> Option<Vec<Edit>> {
    let mut found = case.places.expected.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    let mut edits = Vec::new();
    if lines.is_empty() {
        edits.extend(found.map(|(_, place)| (whole_line(text, place), String::new())));
        return Some(edits);
    }
    match found.next() {
        Some((_, first)) => edits.push((first.clone(), lines.to_owned())),
        None => {
            let at = case.places.insert;
            text.get(at..)?;
            // The last line of a file may have no end.
            let before = if at > 0 && !text.get(..at)?.ends_with('\n') { "\n" } else { "" };
            edits.push((at..at, format!("{before}{lines}\n")));
        }
    }
    edits.extend(found.map(|(_, place)| (whole_line(text, place), String::new())));
    Some(edits)
}

/// The keys whose place is taken by what was seen. No two that are seen together take the same one.
fn keys(seen: &Seen) -> &'static [&'static str] {
    match seen {
        Seen::Returned(..) => &["returns"],
        Seen::Output(_) | Seen::Failed(..) => &["failure", "failure-text", "output", "output-hex", "output-repeat"],
        Seen::Stopped(_) => {
            &["exit", "failure", "failure-text", "message", "output", "output-hex", "output-repeat", "returns", "stops"]
        }
        Seen::Exited(_) => &["exit"],
        Seen::NotStopped => &["message", "stops"],
        Seen::Varied => &[],
        Seen::Wrote("stderr", _) => &["stderr", "stderr-hex", "stderr-repeat"],
        Seen::Wrote(..) => &["stdout", "stdout-hex", "stdout-repeat"],
    }
}

/// The keys that say what was seen.
fn lines(seen: &Seen) -> String {
    match seen {
        Seen::Returned(_, value) => value.as_ref().map_or(String::new(), |value| format!("returns = {}", toml(value))),
        Seen::Stopped(reason) => format!("stops = {}", toml(reason)),
        Seen::Failed(name, text) => format!("failure = {}\nfailure-text = {}", toml(name), toml(text)),
        Seen::Output(bytes) => written("output", bytes),
        Seen::Exited(status) => format!("exit = {status}"),
        Seen::Wrote(stream, bytes) => written(stream, bytes),
        Seen::NotStopped | Seen::Varied => String::new(),
    }
}

fn written(key: &str, bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{key} = {}", toml(text)),
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{key}-hex = \"{hex}\"")
        }
    }
}

/// A place with the rest of its line, where nothing else is on it.
fn whole_line(text: &str, place: &Range<usize>) -> Range<usize> {
    let rest = text.get(place.end..).unwrap_or_default();
    let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
    let alone = rest.get(..end).is_some_and(|rest| rest.trim().is_empty());
    place.start..if alone { place.end + end } else { place.end }
}

/// A string in TOML: literal where it can be, since WAVE is full of quotation marks.
pub(crate) fn toml(text: &str) -> String {
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

    fn verdict(case: &Case, seen: Vec<Seen>) -> Verdict {
        let problems = vec![Problem::new("it differs").seen()];
        let (name, line) = (case.name.clone(), case.line);
        let status = if seen.is_empty() { Status::Passed } else { Status::Failed };
        Verdict { name, line, status, problems, trace: Vec::new(), seen, wall_ns: 1 }
    }

    fn updated(text: &str, seen: Vec<Vec<Seen>>) -> Updated {
        let suite = Suite::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
        let verdicts: Vec<Verdict> = suite.cases.iter().zip(seen).map(|(case, seen)| verdict(case, seen)).collect();
        update(text, &suite.cases, &verdicts)
    }

    fn returned(n: usize, value: &str) -> Seen {
        Seen::Returned(n, Some(value.to_owned()))
    }

    #[test]
    fn an_update_replaces_what_failed_and_nothing_else() {
        let text = "# a comment\n[[case]]\nname = \"a\"\ncall = 'f(1)' # why\nreturns = '_'\n\n[[case]]\nname = \"b\"\n\
                    call = 'f(2)'\n\n[[case]]\nname = \"c\"\ninput = \"x\"\nfailure = \"other\"\nfailure-text = \"y\"\n\
                    config = { a = \"b\" }\n";
        let seen = vec![vec![], vec![returned(0, "\"it's\"")], vec![Seen::Output(b"z\n".to_vec())]];
        let found = updated(text, seen);
        let expected = text.replace("call = 'f(2)'\n", "call = 'f(2)'\nreturns = \"\\\"it's\\\"\"\n");
        let expected = expected.replace("failure = \"other\"\nfailure-text = \"y\"\n", "output = \"z\\n\"\n");
        assert_eq!(found, Updated { text: expected, changed: 2, left: Vec::new() });
        let nothing = updated(text, vec![vec![], vec![], vec![]]);
        assert_eq!(nothing, Updated { text: text.to_owned(), changed: 0, left: Vec::new() });
    }

    #[test]
    fn stops_and_steps_are_updated_too() {
        let text = "[[case]]\nname = 'a'\ncall = 'f()'\nstops = 'trapped'\nmessage = 'x'\n\n[[case]]\nname = 'b'\n\
                    step = [{ call = 'f()', returns = '1' }, { call = 'g()' }, { drop = 'r' }]\nstops = 'trapped'\n\n\
                    [[case]]\nname = 'c'\n[[case.step]]\ncall = 'f()'\n[[case.step]]\ncall = 'g()'\n";
        let seen = vec![
            vec![Seen::Stopped("limit.wall".into())],
            vec![returned(0, "2"), Seen::NotStopped, returned(1, "3")],
            vec![Seen::Stopped("limit.cpu".into())],
        ];
        let found = updated(text, seen);
        let expected = "[[case]]\nname = 'a'\ncall = 'f()'\nstops = 'limit.wall'\n\n[[case]]\nname = 'b'\n\
                    step = [{ call = 'f()', returns = '2' }, { call = 'g()', returns = '3' }, { drop = 'r' }]\n\n\
                    [[case]]\nname = 'c'\nstops = 'limit.cpu'\n[[case.step]]\ncall = 'f()'\n[[case.step]]\ncall = 'g()'\n";
        assert_eq!(found, Updated { text: expected.to_owned(), changed: 3, left: Vec::new() });
        let line = updated(text, vec![vec![], vec![], vec![returned(0, "7")]]);
        assert!(
            line.text.ends_with("[[case.step]]\ncall = 'f()'\nreturns = '7'\n[[case.step]]\ncall = 'g()'\n"),
            "{line:?}"
        );
        let stays = updated(text, vec![vec![], vec![returned(0, "2")], vec![]]);
        assert!(
            stays.text.contains("returns = '2' }, { call = 'g()' }")
                && stays.text.contains("stops = 'trapped'\n\n[[case]]\nname = 'c'")
        );
        let program = "[[case]]\nname = 'a'\nargs = []\nstdout = 'x'\nexit = 3\n";
        let found = updated(program, vec![vec![Seen::Exited(4), Seen::Wrote("stdout", b"y".to_vec())]]);
        assert_eq!(found.text, "[[case]]\nname = 'a'\nargs = []\nstdout = 'y'\nexit = 4\n");
    }

    #[test]
    fn what_is_not_updated_is_said_by_name() {
        let text = "[[case]]\nname = 'a'\ncall = 'f()'\nreturns = '1'\n\n[[case]]\nname = 'b'\ncall = 'f()'\n";
        let suite = Suite::parse(text).unwrap();
        let mut verdicts: Vec<Verdict> = suite.cases.iter().map(|case| verdict(case, vec![returned(0, "2")])).collect();
        verdicts[0].problems.push(Problem::new("the log differs"));
        verdicts[1].status = Status::Broken;
        verdicts[1].problems = vec![Problem::new("no such function")];
        let found = update(text, &suite.cases, &verdicts);
        let left = [("a".to_owned(), "the log differs".to_owned()), ("b".to_owned(), "no such function".to_owned())];
        assert_eq!((found.changed, found.left.as_slice()), (1, left.as_slice()));
        let braces = "case = [{ name = 'a', call = 'f()' }]\n";
        let found = updated(braces, vec![vec![returned(0, "2")]]);
        assert_eq!((found.text.as_str(), found.changed), (braces, 0));
        assert!(found.left[0].1.contains("by hand"), "{found:?}");
    }
}
