//! The reader of case files: TOML to typed cases, with everything that is wrong reported at once, each at its place.
//!
//! A key that nothing reads is an error: a misspelt expectation must not become none.

mod parts;
mod program;
mod steps;

use std::collections::BTreeSet;
use std::ops::Range;

use regex_automata::meta::Regex;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::cases::{Case, Config, Job, JobExpected, Places, Suite, SuiteError, SuiteErrors, Text, Work, marked};
use super::nearest;
use super::pattern::Wrong;
use crate::outcome::StopReason;
use crate::policy::{LIMITS, LimitKind};

type Value<'i> = Spanned<DeValue<'i>>;

/// Errors that are reported.
const MAX_ERRORS: usize = 100;

const TOP: &[&str] = &["case", "defaults"];
const DEFAULTS: &[&str] = &["config", "content-type", "limits", "order", "real"];
const CASE: &[&str] = &[
    "args",
    "call",
    "config",
    "content-type",
    "env",
    "exit",
    "failure",
    "failure-text",
    "import",
    "input",
    "input-hex",
    "input-repeat",
    "instances",
    "limits",
    "log",
    "message",
    "name",
    "order",
    "output",
    "output-hex",
    "output-repeat",
    "real",
    "replay",
    "returns",
    "stderr",
    "stderr-hex",
    "stderr-matches",
    "stderr-repeat",
    "stdin",
    "stdin-hex",
    "stdin-repeat",
    "stdout",
    "stdout-hex",
    "stdout-matches",
    "stdout-repeat",
    "step",
    "stops",
];

/// Keys of a case that say what is expected of it.
const EXPECTING: &[&str] = &[
    "exit",
    "failure",
    "failure-text",
    "message",
    "output",
    "output-hex",
    "output-repeat",
    "returns",
    "stderr",
    "stderr-hex",
    "stderr-repeat",
    "stdout",
    "stdout-hex",
    "stdout-repeat",
    "stops",
];

/// Instances that a case may ask for.
const MAX_INSTANCES: u64 = 16;

/// Bytes that a case lets a call return: what is returned is held whole, in parts that take a multiple of it.
const MAX_HOSTCALL: u64 = 256 << 20;

pub(super) fn read(text: &str) -> Result<Suite, SuiteErrors> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let lines = text.match_indices('\n').map(|(at, _)| at).collect();
    let mut reader = Reader { text, lines, errors: Vec::new() };
    for error in syntax {
        reader.error(error.span().unwrap_or(0..0), error.message().to_owned());
    }
    let suite = reader.suite(document.get_ref());
    if reader.errors.is_empty() && !suite.cases.is_empty() {
        return Ok(suite);
    }
    if reader.errors.is_empty() {
        reader.error(0..0, "there is no `[[case]]` in it".to_owned());
    }
    reader.errors.sort_by_key(|(at, _)| *at);
    reader.errors.truncate(MAX_ERRORS);
    let reader = &reader;
    let errors = reader.errors.iter().map(|(at, message)| {
        let before = text.get(..*at).unwrap_or(text);
        let column = before.rfind('\n').and_then(|at| before.get(at + 1..)).unwrap_or(before).chars().count() + 1;
        SuiteError { line: reader.line(*at), column, message: message.clone() }
    });
    Err(SuiteErrors(errors.collect()))
}

struct Reader<'t> {
    text: &'t str,
    /// Where lines end.
    lines: Vec<usize>,
    errors: Vec<(usize, String)>,
}

/// A table that knows its keys.
struct Table<'a, 'i> {
    table: &'a DeTable<'i>,
    span: Range<usize>,
}

impl<'a, 'i> Table<'a, 'i> {
    fn get(&self, key: &str) -> Option<&'a Value<'i>> {
        self.table.get(key)
    }
}

impl Reader<'_> {
    /// The line of a place, from 1.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|end| *end < at) + 1
    }

    fn error(&mut self, span: Range<usize>, message: String) {
        self.errors.push((span.start.min(self.text.len()), message));
    }

    fn suite(&mut self, top: &DeTable<'_>) -> Suite {
        self.known(top, TOP);
        let empty = DeTable::new();
        let defaults = top.get("defaults").and_then(|value| self.table("defaults", value, DEFAULTS));
        let defaults = defaults.unwrap_or(Table { table: &empty, span: 0..0 });
        let mut cases = Vec::new();
        let mut names = BTreeSet::new();
        for value in top.get("case").map(|value| self.tables("case", value)).unwrap_or_default() {
            let Some(table) = self.table("case", value, CASE) else { continue };
            if let Some(case) = self.case(&table, &defaults) {
                if !names.insert(case.name.clone()) {
                    self.error(table.span.clone(), format!("a second case has the name `{}`", case.name));
                }
                cases.push(case);
            }
        }
        Suite { cases }
    }

    fn case(&mut self, table: &Table<'_, '_>, defaults: &Table<'_, '_>) -> Option<Case> {
        let Some(name) = table.get("name") else {
            self.error(table.span.clone(), "the case has no `name`".to_owned());
            return None;
        };
        let name = self.string("name", name)?;
        let either = |key: &str| table.get(key).or_else(|| defaults.get(key));
        let stops = table.get("stops").and_then(|value| self.stop(value));
        let message = table.get("message").and_then(|value| {
            let text = self.string("message", value)?;
            Regex::new(&text).map_err(|error| self.error(value.span(), format!("`message`: {error}"))).ok()
        });
        let mut config = defaults.get("config").map(|value| self.strings("config", value)).unwrap_or_default();
        config.extend(table.get("config").map(|value| self.strings("config", value)).unwrap_or_default());
        let ordered = match either("order").map(|value| (value, self.string("order", value))) {
            Some((value, Some(order))) if order != "strict" && order != "any" => {
                self.error(value.span(), "`order` is `\"strict\"` or `\"any\"`".to_owned());
                true
            }
            Some((_, Some(order))) => order == "strict",
            _ => true,
        };
        let mut limits = defaults.get("limits").map(|value| self.limits(value)).unwrap_or_default();
        limits.extend(table.get("limits").map(|value| self.limits(value)).unwrap_or_default());
        let imports = table.get("import").map(|value| self.tables("import", value)).unwrap_or_default();
        let imports = imports.into_iter().filter_map(|value| self.expectation(value)).collect();
        let instances = table.get("instances").map_or(1, |value| self.instances(value));
        let replay = table.get("replay").map(|value| self.strings("replay", value)).unwrap_or_default();
        let mut places = self.places(table);
        let work = self.work(table, defaults, stops.is_some(), &mut places)?;
        Some(Case {
            line: self.line(table.span.start),
            name,
            work,
            stops,
            message,
            config,
            log: table.get("log").map(|value| self.one_or_more("log", value)),
            real: either("real").map(|value| self.one_or_more("real", value)).unwrap_or_default(),
            limits,
            ordered,
            imports,
            instances,
            replay,
            places,
        })
    }

    fn work(
        &mut self,
        table: &Table<'_, '_>,
        defaults: &Table<'_, '_>,
        stops: bool,
        places: &mut Places,
    ) -> Option<Work> {
        let input = self.bytes(table, "input");
        self.only_programs(table);
        match (table.get("call"), table.get("step"), input, table.get("args")) {
            (Some(_), None, None, None) => {
                let step = self.step(table, places)?;
                Some(Work::Calls(vec![step]))
            }
            (None, Some(steps), None, None) => {
                if let Some(value) = table.get("returns") {
                    self.error(value.span(), "what a step returns is said in the step".to_owned());
                }
                Some(Work::Calls(self.steps(steps, places)?))
            }
            (None, None, None, Some(args)) => Some(Work::Program(self.program(table, args, stops)?)),
            (None, None, Some(body), None) => {
                let content_type = table.get("content-type").or_else(|| defaults.get("content-type"));
                let content_type = content_type.and_then(|value| self.string("content-type", value));
                let output = self.bytes(table, "output");
                let failure = table.get("failure").and_then(|value| self.string("failure", value));
                let text = table.get("failure-text").and_then(|value| self.string("failure-text", value));
                let expected = match (output, failure, stops) {
                    (Some(output), None, false) if text.is_none() => JobExpected::Output(output),
                    (None, Some(failure), false) => JobExpected::Failure(failure, text),
                    (None, None, true) if text.is_none() => JobExpected::Stop,
                    (None, None, false) if text.is_none() => {
                        let message = "the case expects nothing: say `output`, `failure` or `stops`";
                        self.error(table.span.clone(), message.to_owned());
                        return None;
                    }
                    _ => {
                        let message = "a job has one of `output`, `failure` (with `failure-text`) and `stops`";
                        self.error(table.span.clone(), message.to_owned());
                        return None;
                    }
                };
                Some(Work::Job(Job { body, content_type, expected }))
            }
            _ => {
                let message = "a case has one of `call`, `[[case.step]]`, a job's `input` and a program's `args`";
                self.error(table.span.clone(), message.to_owned());
                None
            }
        }
    }

    fn stop(&mut self, value: &Value<'_>) -> Option<String> {
        let text = self.string("stops", value)?;
        let codes: Vec<String> = StopReason::ALL.iter().map(ToString::to_string).collect();
        if codes.contains(&text) {
            return Some(text);
        }
        let meant = nearest(&text, codes.iter().map(String::as_str));
        let meant =
            meant.map_or("docs/stop-reasons.md has the list".to_owned(), |near| format!("did you mean `{near}`?"));
        self.error(value.span(), format!("there is no stop reason `{text}`: {meant}"));
        None
    }

    fn limits(&mut self, value: &Value<'_>) -> Vec<(LimitKind, u64)> {
        let names: Vec<&str> = LIMITS.iter().map(|row| row.name).collect();
        let Some(table) = self.table("limits", value, &names) else { return Vec::new() };
        let mut limits = Vec::new();
        for row in LIMITS {
            let Some(value) = table.get(row.name) else { continue };
            let text = match value.get_ref().as_integer() {
                Some(number) => number.as_str().to_owned(),
                None => match self.string(row.name, value) {
                    Some(text) => text,
                    None => continue,
                },
            };
            match row.read(&text) {
                Ok(amount) if row.kind == LimitKind::Hostcall && amount > MAX_HOSTCALL => {
                    let message = format!(
                        "`hostcall` is at most {} in a case, which keeps what is returned",
                        row.show(MAX_HOSTCALL)
                    );
                    self.error(value.span(), message);
                }
                Ok(amount) => limits.push((row.kind, amount)),
                Err(why) => self.error(value.span(), format!("`{}`: {why}", row.name)),
            }
        }
        limits
    }

    fn instances(&mut self, value: &Value<'_>) -> u64 {
        let number = value.get_ref().as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        match number {
            Some(number @ 1..=MAX_INSTANCES) => number,
            _ => {
                self.error(value.span(), format!("`instances` is a number from 1 to {MAX_INSTANCES}"));
                1
            }
        }
    }

    fn places(&self, table: &Table<'_, '_>) -> Places {
        let expected = table.table.iter().filter(|(key, _)| EXPECTING.contains(&key.get_ref().as_ref()));
        let expected =
            expected.map(|(key, value)| (key.get_ref().clone().into_owned(), key.span().start..value.span().end));
        let expected = expected.collect();
        let last = ["args", "call", "input", "input-hex", "input-repeat", "name"];
        let end = last.iter().filter_map(|key| table.get(key)).map(|value| value.span().end).max();
        let end = end.unwrap_or(table.span.end);
        let rest = self.text.get(end..).unwrap_or_default();
        Places {
            expected,
            steps: Vec::new(),
            stepwise: false,
            insert: end + rest.find('\n').map_or(rest.len(), |at| at + 1),
        }
    }

    fn text<T>(
        &mut self,
        key: &str,
        value: &Value<'_>,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<Text<T>> {
        let text = self.string(key, value)?;
        match parse(&text) {
            Ok(read) => Some(Text { value: read, line: self.line(value.span().start), text }),
            Err(wrong) => {
                let [shown, mark] = marked(&text, &wrong.span);
                self.error(value.span(), format!("`{key}`: {}\n  {shown}\n  {mark}", wrong.message));
                None
            }
        }
    }

    fn table<'a, 'i>(&mut self, name: &str, value: &'a Value<'i>, keys: &[&str]) -> Option<Table<'a, 'i>> {
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(name, "a table", value);
            return None;
        };
        self.known(table, keys);
        Some(Table { table, span: value.span() })
    }

    fn tables<'a, 'i>(&mut self, name: &str, value: &'a Value<'i>) -> Vec<&'a Value<'i>> {
        match value.get_ref().as_array() {
            Some(array) => array.iter().collect(),
            None => {
                self.wrong_type(name, "an array of tables", value);
                Vec::new()
            }
        }
    }

    fn known(&mut self, table: &DeTable<'_>, keys: &[&str]) {
        for (key, _) in table.iter() {
            let name = key.get_ref().as_ref();
            if keys.contains(&name) {
                continue;
            }
            let hint = match nearest(name, keys.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let known: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                    format!("known keys here are {}", known.join(", "))
                }
            };
            self.error(key.span(), format!("unknown key `{name}`: {hint}"));
        }
    }

    fn string(&mut self, name: &str, value: &Value<'_>) -> Option<String> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(name, "a string", value);
        }
        text.map(str::to_owned)
    }

    fn strings(&mut self, name: &str, value: &Value<'_>) -> Config {
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(name, "a table of strings", value);
            return Config::new();
        };
        let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Value<'_>)| {
            Some((key.get_ref().clone().into_owned(), self.string(key.get_ref(), value)?))
        };
        table.iter().filter_map(entry).collect()
    }

    /// A string, or an array of them.
    fn one_or_more(&mut self, name: &str, value: &Value<'_>) -> Vec<String> {
        match value.get_ref().as_array() {
            Some(array) => array.iter().filter_map(|value| self.string(name, value)).collect(),
            None => self.string(name, value).into_iter().collect(),
        }
    }

    fn wrong_type(&mut self, name: &str, expected: &str, value: &Value<'_>) {
        let found = value.get_ref().type_str();
        self.error(value.span(), format!("`{name}` must be {expected}, not {found}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Times;

    fn errors(text: &str) -> Vec<String> {
        let error = |e: &SuiteError| format!("{}:{} {}", e.line, e.column, e.message);
        read(text).unwrap_err().0.iter().map(error).collect()
    }

    #[test]
    fn a_file_reads_into_its_cases() {
        let text = r#"
            [defaults]
            real = "sandbox:host/log"
            limits = { memory = "16MiB" }
            [[case]]
            name = "a job"
            input-hex = "00ff"
            output-repeat = { text = "ab", times = 2 }
            log = "said"
            [[case]]
            name = "calls"
            order = "any"
            limits = { wall = "1s" }
            import = ["log#log(_, _, _)", { call = "a:b/c#f()", answer = "1", times = "any", delay = "5ms" }]
            step = [{ call = "set(1)" }, { call = "get()", returns = "1" }]
            [[case]]
            name = "stops"
            call = "spin()"
            stops = "limit.cpu"
        "#;
        let suite = Suite::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
        let [job, calls, stops] = suite.cases.as_slice() else { panic!("{:?}", suite.cases) };
        let Work::Job(Job { body, expected: JobExpected::Output(output), .. }) = &job.work else { panic!("{job:?}") };
        assert_eq!((body.as_slice(), output.as_slice()), ([0, 255].as_slice(), b"abab".as_slice()));
        assert_eq!((job.log.as_deref(), job.real.len()), (Some(["said".to_owned()].as_slice()), 1));
        assert_eq!((calls.ordered, calls.imports.len(), calls.limits.len()), (false, 2, 2));
        assert_eq!(calls.imports[1].times, Times { least: 0, most: u64::MAX });
        assert_eq!(stops.stops.as_deref(), Some("limit.cpu"));
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_with_its_place() {
        let found = errors(
            "[[case]]\nname = \"a\"\ncall = 'f({x: 1 y: 2})'\nretruns = \"1\"\n[[case]]\nname = \"b\"\ninput = 5\n[[case]]\n\
             name = \"c\"\ncall = \"f()\"\nstops = \"limit.memroy\"\n[[case]]\ninput = \"\"\n[[case]]\nname = \"d\"\n\
             input = \"\"\n[[case]]\nname = \"e\"\ncall = \"f()\"\nimport = [{ call = \"g()\", fault = \"oops\" }]",
        );
        assert_eq!(found[0], "3:8 `call`: expected `,` or `}`, found `y`\n  f({x: 1 y: 2})\n          ^");
        assert!(found[1].starts_with("4:1 unknown key `retruns`: did you mean `returns`?"), "{}", found[1]);
        assert!(found.iter().any(|e| e == "7:9 `input` must be a string, not integer"), "{found:#?}");
        assert!(found.iter().any(|e| e.contains("did you mean `limit.memory`?")), "{found:#?}");
        assert!(found.iter().any(|e| e.contains("has no `name`")), "{found:#?}");
        assert!(found.iter().any(|e| e.contains("expects nothing")), "{found:#?}");
        assert!(found.iter().any(|e| e.contains("`fault` is `\"trap\"`")), "{found:#?}");
    }

    /// What a call returns is held whole, so its size is bounded whatever the file says.
    #[test]
    fn what_a_call_may_return_has_a_bound() {
        let limit = |text: &str| {
            let file = format!("[[case]]\nname = \"a\"\ncall = 'f()'\nlimits = {{ hostcall = \"{text}\" }}\n");
            Suite::parse(&file).map(|_| ()).map_err(|errors| errors.to_string())
        };
        assert_eq!(limit("256MiB"), Ok(()));
        for over in ["257MiB", "unlimited"] {
            assert!(limit(over).unwrap_err().contains("`hostcall` is at most 256MiB"), "{:?}", limit(over));
        }
    }

    #[test]
    fn two_cases_of_one_name_and_no_case_at_all_are_errors() {
        let twice = "[[case]]\nname = \"a\"\ncall = \"f()\"\n[[case]]\nname = \"a\"\ncall = \"f()\"\n";
        assert!(errors(twice)[0].contains("second case"));
        assert_eq!(errors(""), ["1:1 there is no `[[case]]` in it"]);
    }
}
