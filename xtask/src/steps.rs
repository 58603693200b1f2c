//! Several steps in a row, each named and timed, with a summary at the end.

use crate::term;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How a step went that did not fail.
pub(crate) enum Done {
    /// It did its work.
    Passed,
    /// It could not do its work on this machine; the text says what to do about it. Not a failure.
    Unavailable(String),
}

/// The steps done so far.
#[derive(Default)]
pub(crate) struct Steps {
    reports: Vec<Report>,
    /// The only steps to run; all of them if this is empty.
    only: Vec<String>,
    /// The steps that were left out.
    left_out: Vec<&'static str>,
}

struct Report {
    name: &'static str,
    took: Duration,
    ended: Ended,
}

enum Ended {
    Passed,
    Unavailable(String),
    Failed,
}

impl Steps {
    /// Steps of which only those named in `only` are run, or all if there are none.
    pub(crate) fn only(only: Vec<String>) -> Self {
        Self { only, ..Self::default() }
    }

    /// Runs one step and says whether it was free of failures. A failure is shown at once and kept for the summary.
    pub(crate) fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<Done>) -> bool {
        if !self.only.is_empty() && !self.only.iter().any(|wanted| wanted == name) {
            self.left_out.push(name);
            return true;
        }
        term::say(term::paint("1", &format!("== {name}")));
        let start = Instant::now();
        let ended = match work() {
            Ok(Done::Passed) => Ended::Passed,
            Ok(Done::Unavailable(remedy)) => {
                term::warn(format_args!("{name}: UNAVAILABLE: {remedy}"));
                Ended::Unavailable(remedy)
            }
            Err(error) => {
                term::error(&error);
                Ended::Failed
            }
        };
        let good = !matches!(ended, Ended::Failed);
        self.reports.push(Report { name, took: start.elapsed(), ended });
        good
    }

    /// Says all steps with the seconds that each took; an error names those that failed.
    pub(crate) fn finish(self) -> Result<()> {
        let ran = |name: &String| self.reports.iter().any(|report| report.name == name);
        if let Some(unknown) = self.only.iter().find(|name| !ran(name)) {
            bail!("there is no step `{unknown}`\nhint: there are also `{}`", self.left_out.join("`, `"));
        }
        term::say(self.summary());
        for report in &self.reports {
            if let Ended::Unavailable(remedy) = &report.ended {
                term::warn(format_args!("{}: UNAVAILABLE: {remedy}", report.name));
            }
        }
        let failed = self.failed();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }

    fn failed(&self) -> Vec<&'static str> {
        self.reports.iter().filter(|report| matches!(report.ended, Ended::Failed)).map(|report| report.name).collect()
    }

    fn summary(&self) -> String {
        let steps = self.reports.iter().map(|report| {
            let mark = match report.ended {
                Ended::Passed => "",
                Ended::Unavailable(_) => " UNAVAILABLE",
                Ended::Failed => " FAILED",
            };
            format!("{} {:.1} s{mark}", report.name, report.took.as_secs_f64())
        });
        let total: Duration = self.reports.iter().map(|report| report.took).sum();
        format!("summary: {}; total {:.1} s", steps.collect::<Vec<_>>().join(", "), total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_named_at_the_end_and_later_steps_still_run() {
        let mut steps = Steps::default();
        assert!(!steps.run("first", || bail!("broken")));
        assert!(steps.run("second", || Ok(Done::Passed)));
        assert!(steps.summary().starts_with("summary: first 0.0 s FAILED, second 0.0 s; total"));
        assert_eq!(steps.finish().unwrap_err().to_string(), "failed: first");
    }

    #[test]
    fn only_the_steps_asked_for_are_run_and_a_slip_of_the_pen_is_an_error() {
        let mut steps = Steps::only(vec!["second".to_owned()]);
        assert!(steps.run("first", || bail!("broken")));
        assert!(steps.run("second", || Ok(Done::Passed)));
        assert!(steps.finish().is_ok());
        let mut steps = Steps::only(vec!["secnd".to_owned()]);
        assert!(steps.run("second", || bail!("broken")));
        assert!(steps.finish().unwrap_err().to_string().contains("hint: there are also `second`"));
    }

    #[test]
    fn what_is_unavailable_is_shown_and_is_no_failure() {
        let mut steps = Steps::default();
        assert!(steps.run("deny", || Ok(Done::Unavailable("install it".to_owned()))));
        assert!(steps.summary().contains("deny 0.0 s UNAVAILABLE"));
        assert!(steps.finish().is_ok());
    }
}
