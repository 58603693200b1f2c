//! `cargo xtask bugs`: a guest with one fault, in each language, fails its cases with a message that says what is wrong.
//!
//! `tests/contract/bugs.toml` has the faults. Each is put into a copy of the guest's source in `target`, which is built by
//! the same steps as the guest itself.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::contract::{Host, say, table};
use crate::guests::experiment::{Experiment, Unavailable};
use crate::{mutate, repo, term};

const BUGS: &str = "tests/contract/bugs.toml";

/// Put one fault into the guest `redact` in each language, and see whether its cases name it
///
/// tests/contract/bugs.toml has the fault, the case that must fail, and what the message must show.
///
/// Example: cargo xtask bugs --lang c
#[derive(clap::Args)]
pub(crate) struct Bugs {
    /// Only this language; may be given several times
    #[arg(long, value_name = "LANG")]
    lang: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bug: Vec<Bug>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bug {
    language: String,
    what: String,
    file: String,
    from: String,
    to: String,
    case: String,
    shows: String,
}

impl Bugs {
    pub(crate) fn run(self) -> Result<()> {
        let root = repo::root()?;
        let text = std::fs::read_to_string(root.join(BUGS)).with_context(|| format!("failed to read `{BUGS}`"))?;
        let File { bug: mut bugs } = toml::from_str(&text).with_context(|| format!("failed to understand `{BUGS}`"))?;
        bugs.retain(|bug| self.lang.is_empty() || self.lang.contains(&bug.language));
        if bugs.is_empty() {
            bail!("no fault is for that language");
        }
        let (experiment, host) = (Experiment::new(None)?, Host::built(&root)?);
        let mut rows = vec![["language", "fault", "case that names it", "seconds"].map(str::to_owned)];
        let mut shown = Vec::new();
        let mut wrong = 0;
        for bug in &bugs {
            let start = Instant::now();
            let cell = match bug.tried(&root, &experiment, &host) {
                Ok(message) => {
                    shown.push(format!("{}: {}: {message}", bug.language, bug.case));
                    bug.case.clone()
                }
                Err(error) if error.is::<Unavailable>() => format!("UNAVAILABLE: {error}"),
                Err(error) => {
                    wrong += 1;
                    format!("FAILED: {error:#}")
                }
            };
            let seconds = format!("{:.1}", start.elapsed().as_secs_f64());
            term::say(format_args!("bugs: {} in {seconds} s", bug.language));
            rows.push([bug.language.clone(), bug.what.clone(), cell, seconds]);
        }
        table(&rows);
        shown.iter().for_each(|line| say(line));
        if wrong > 0 {
            bail!("bugs: {wrong} of {} faults are not told as they should be", bugs.len());
        }
        Ok(())
    }
}

impl Bug {
    /// Builds the faulty guest and runs its cases. Returns what is said about the case that has to name the fault.
    fn tried(&self, root: &Path, experiment: &Experiment, host: &Host) -> Result<String> {
        let mut texts = Experiment::texts(&experiment.sources(&self.language, "redact"))?;
        let Some((_, text)) = texts.iter_mut().find(|(path, _)| *path == self.file) else {
            bail!("the guest has no file `{}`", self.file)
        };
        if text.matches(&self.from).count() != 1 {
            bail!("`{}` is not there exactly once in `{}`", self.from, self.file);
        }
        *text = text.replace(&self.from, &self.to);
        let name = format!("redact-bug-{}", self.language);
        if self.language == "rust" {
            mutate::stand_alone(experiment, &name, &mut texts)?;
        }
        let folder = experiment.folder(&name, &texts)?;
        let component = experiment.build(&self.language, "redact", "sandbox-pure", &folder)?;
        let [quick, _] = mutate::cases(root, &folder, [None; 2])?;
        let verdicts = host.test(&component, &[quick])?;
        let failed = verdicts.iter().filter(|verdict| !verdict.passed()).count();
        let Some(verdict) = verdicts.iter().find(|verdict| verdict.name == self.case) else {
            bail!("there is no case `{}`", self.case)
        };
        let message = verdict.text();
        if verdict.passed() || !message.contains(&self.shows) {
            bail!("`{}` doesn't show `{}` but `{message}`; {failed} cases failed", self.case, self.shows);
        }
        Ok(format!("{message} ({failed} of {} cases)", verdicts.len()))
    }
}
