//! `cargo xtask mirror`: do values come through every language's toolchain as they were?
//!
//! A world is generated with functions that give back what they get (`echo`) or what the outside gives for it (`bounce`), for
//! every kind of type and every type that the contract's functions reach (`world`). Its guest is trivial and is generated
//! and built in each language (`languages`). Then values from the edges of every type go through (`values`). So whatever
//! differs is the toolchain's doing. `tests/contract/mirror.toml` has what is known to differ, with the reason; where that
//! passes, it has to go.

mod languages;
mod values;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use self::world::Mirror;
use crate::contract::{Host, Verdict, say, table};
use crate::guests::experiment::{Experiment, Unavailable};
use crate::{repo, term};

const KNOWN: &str = "tests/contract/mirror.toml";

/// The languages that have a template, the quick ones first.
const LANGUAGES: [&str; 8] = ["rust", "c", "zig", "go", "js-quickjs", "js", "ts", "python"];

/// Build a guest that gives back what it gets, in every language, and compare what comes back
///
/// Prints a matrix of functions and languages, and for each difference the smallest value that shows it. Fails where a
/// difference isn't listed in tests/contract/mirror.toml, and where one that is listed is gone.
///
/// Example: cargo xtask mirror --lang rust --lang js
#[derive(clap::Args)]
pub(crate) struct MirrorWorld {
    /// Only this language; may be given several times
    #[arg(long, value_name = "LANG")]
    lang: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    known: Vec<Known>,
}

/// A difference that is known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    languages: Vec<String>,
    /// What a value has in it that doesn't come through.
    values: Vec<String>,
    /// Only in these functions, without `echo-` and `bounce-`; in all of them where there are none.
    #[serde(default)]
    functions: Vec<String>,
    reason: String,
}

impl Known {
    /// Whether a case is about it, of which `value` is passed.
    fn is(&self, language: &str, function: &str, value: &str) -> bool {
        let name = function.split_once('-').map_or(function, |(_, name)| name);
        self.languages.iter().any(|known| known == language)
            && (self.functions.is_empty() || self.functions.iter().any(|known| known == name))
            && self.values.iter().any(|part| has(value, part))
    }
}

/// Whether a value in WAVE has another one in it, and not only some digits of a longer number.
fn has(value: &str, part: &str) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    value.match_indices(part).any(|(at, _)| {
        let before = value.get(..at).and_then(|text| text.chars().next_back());
        let after = value.get(at + part.len()..).and_then(|text| text.chars().next());
        let goes_on =
            (digit(part.chars().next()) && digit(before)) || (digit(part.chars().next_back()) && digit(after));
        !goes_on
    })
}

impl MirrorWorld {
    pub(crate) fn run(self) -> Result<()> {
        let root = repo::root()?;
        if let Some(unknown) = self.lang.iter().find(|lang| !LANGUAGES.contains(&lang.as_str())) {
            bail!("there is no template for `{unknown}`\nhint: there are {}", LANGUAGES.join(", "));
        }
        check(&root, &self.lang)
    }
}

fn check(root: &Path, only: &[String]) -> Result<()> {
    let text = std::fs::read_to_string(root.join(KNOWN)).with_context(|| format!("failed to read `{KNOWN}`"))?;
    let File { known } = toml::from_str(&text).with_context(|| format!("failed to understand `{KNOWN}`"))?;
    let mirror = Mirror::read(&root.join("wit"))?;
    let ours = Experiment::new(None)?;
    let folder = ours.folder("mirror-wit", &[("mirror.wit".to_owned(), mirror.wit())])?;
    let cases = folder.with_extension("cases.toml");
    let (text, values) = values::cases(&mirror);
    std::fs::write(&cases, text).context("failed to write the cases")?;
    let experiment = Experiment::new(Some(folder))?;
    let host = Host::built(root)?;
    let mut columns: Vec<(&str, Result<Vec<Verdict>>)> = Vec::new();
    for language in LANGUAGES.into_iter().filter(|lang| only.is_empty() || only.iter().any(|wanted| wanted == lang)) {
        let start = Instant::now();
        let tried = languages::sources(&experiment, &mirror, language).and_then(|texts| {
            let folder = experiment.folder(&format!("mirror-{language}"), &texts)?;
            let component = experiment.build(language, "mirror", "sandbox-pure", &folder)?;
            host.test(&component, std::slice::from_ref(&cases))
        });
        term::say(format_args!("mirror: {language} in {:.0} s", start.elapsed().as_secs_f64()));
        columns.push((language, tried));
    }
    report(&columns, &known, &values)
}

/// Prints the matrix and what differs. An error where that isn't what is known.
fn report(columns: &[(&str, Result<Vec<Verdict>>)], known: &[Known], values: &BTreeMap<String, String>) -> Result<()> {
    let mut functions: BTreeMap<String, BTreeMap<&str, [usize; 3]>> = BTreeMap::new();
    let (mut findings, mut faults) = (Vec::new(), Vec::new());
    for (language, tried) in columns {
        let verdicts = match tried {
            Ok(verdicts) => verdicts,
            Err(error) if error.is::<Unavailable>() => {
                findings.push(format!("{language}: UNAVAILABLE: {error}"));
                continue;
            }
            Err(error) => {
                faults.push(format!("{language}: {error:#}"));
                continue;
            }
        };
        // The first of a function's values that fails is the smallest: they come in that order.
        let mut told: BTreeMap<(&str, bool), (&Verdict, usize)> = BTreeMap::new();
        for verdict in verdicts {
            let function = verdict.name.split('(').next().unwrap_or_default();
            let value = values.get(&verdict.name).map_or("", String::as_str);
            let is_known = known.iter().any(|known| known.is(language, function, value));
            let cell = functions.entry(function.to_owned()).or_default().entry(language).or_default();
            let [passed, expected, failed] = cell;
            match (verdict.passed(), is_known) {
                (true, _) => *passed += 1,
                (false, true) => *expected += 1,
                (false, false) => *failed += 1,
            }
            if !verdict.passed() {
                told.entry((function, is_known)).or_insert((verdict, 0)).1 += 1;
            }
        }
        for ((_, is_known), (verdict, count)) in told {
            let line = format!("{language}: {}: {} ({count} values)", verdict.name, verdict.text());
            if is_known { findings.push(line) } else { faults.push(line) }
        }
        for known in known.iter().filter(|known| known.languages.iter().any(|known| known == language)) {
            for part in &known.values {
                let fails = |verdict: &Verdict| {
                    let value = values.get(&verdict.name).map_or("", String::as_str);
                    !verdict.passed() && has(value, part)
                };
                if !verdicts.iter().any(fails) {
                    faults.push(format!("{language}: `{part}` passes, but is known to fail: {}", known.reason));
                }
            }
        }
    }
    let mut rows = vec![vec!["function".to_owned()]];
    rows.iter_mut().for_each(|row| row.extend(columns.iter().map(|(language, _)| (*language).to_owned())));
    for (function, cells) in &functions {
        let mut row = vec![function.clone()];
        row.extend(columns.iter().map(|(language, _)| match cells.get(language) {
            None => "-".to_owned(),
            Some([passed, 0, 0]) => passed.to_string(),
            Some([passed, expected, 0]) => format!("{passed}, {expected} known"),
            Some([passed, expected, failed]) => format!("{passed}, {expected} known, {failed} FAILED"),
        }));
        rows.push(row);
    }
    table(&rows);
    say("known differences, each with the smallest value that shows it:");
    findings.iter().for_each(|line| say(line));
    for known in known {
        say(&format!("because ({}): {}", known.languages.join(", "), known.reason));
    }
    faults.iter().for_each(|line| say(&format!("NOT AS KNOWN: {line}")));
    match faults.len() {
        0 => Ok(()),
        count => bail!("mirror: {count} differences are not as {KNOWN} has them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(name: &str, status: &str) -> Verdict {
        Verdict { name: name.to_owned(), status: status.to_owned(), problems: Vec::new() }
    }

    #[test]
    fn what_is_known_must_fail_and_nothing_else_may() {
        let known = |value: &str| {
            let (languages, values, reason) = (vec!["js".into()], vec![value.into()], "r".into());
            vec![Known { languages, values, functions: Vec::new(), reason }]
        };
        let ends = |status: [&str; 2], known: &[Known]| {
            let verdicts = vec![verdict("echo-u64(1)", status[0]), verdict("echo-pair((12, 2))", status[1])];
            let values = [("echo-u64(1)", "1"), ("echo-pair((12, 2))", "(12, 2)")];
            let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            report(&[("js", Ok(verdicts))], known, &values).is_ok()
        };
        assert!(ends(["passed", "passed"], &[]));
        assert!(!ends(["passed", "failed"], &[]));
        assert!(ends(["passed", "failed"], &known("2")));
        assert!(!ends(["passed", "passed"], &known("2")));
        assert!(!ends(["failed", "failed"], &known("2")));
        assert!(!ends(["passed", "failed"], &known("1")));
        assert!(!ends(["passed", "broken"], &[]));
    }

    #[test]
    fn a_language_that_cannot_be_built_is_a_failure() {
        assert!(report(&[("js", Err(anyhow::anyhow!("broken")))], &[], &BTreeMap::new()).is_err());
    }
}
