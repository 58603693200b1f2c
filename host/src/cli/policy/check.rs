//! `host policy check`: everything that is wrong with a policy, what is broader than it looks, and what a component could
//! use of it.

use std::path::PathBuf;

use clap::Args;
use host::policy::{Fit, Limits, Policy, Warning, fit};
use host::{Inspection, Stop, escape};
use serde::Serialize;

use super::super::{files, report};
use super::{FOUND, print_json, say};

/// Find mistakes in a policy, grants that are broader than they look, and what a component can't use of it
///
/// Every mistake is reported at once, with line and column. The exit status is 0 where there are no mistakes, 126 where
/// there are, and 1 with `--strict` where there is a warning.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// Compare with what this component imports: what it could use and isn't granted, and what it is granted and can't use
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,

    /// Let warnings, and grants that the component can't use, be failures
    #[arg(long)]
    strict: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The policy file
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
}

const EXAMPLES: &str = "Examples:
  host policy check tenant.toml
  host policy check --strict --component redact.wasm tenant.toml
  host policy check --json tenant.toml | jq '.warnings[].message'";

/// What is printed as JSON.
#[derive(Default, Serialize)]
struct Report {
    errors: Vec<Mistake>,
    warnings: Vec<Warning>,
    component: Option<Fit>,
}

#[derive(Serialize)]
struct Mistake {
    line: usize,
    column: usize,
    message: String,
}

impl Check {
    pub(super) fn run(self) -> Result<u8, Stop> {
        let text = files::policy_text(&self.policy)?;
        let policy = match Policy::parse(&text) {
            Ok(policy) => policy,
            Err(errors) if self.json => {
                let mistake =
                    |e: host::policy::PolicyError| Mistake { line: e.line, column: e.column, message: e.message };
                print_json(&Report { errors: errors.0.into_iter().map(mistake).collect(), ..Report::default() });
                return Ok(host::outcome::StopReason::Refused(host::outcome::Refusal::Policy).exit_status());
            }
            // The same message as anywhere else.
            Err(_) => return files::policy(&self.policy).map(|_| 0),
        };
        let component = match &self.component {
            Some(path) => {
                let bytes = files::component(path, Limits::default().component_size.0)?;
                Some(fit(&policy, &Inspection::of(bytes)?.facts.imports))
            }
            None => None,
        };
        let report = Report { errors: Vec::new(), warnings: policy.warnings(), component };
        let unused = report.component.as_ref().is_some_and(|fit| !fit.no_use_for.is_empty());
        let status = if self.strict && (unused || !report.warnings.is_empty()) { FOUND } else { 0 };
        if self.json {
            print_json(&report);
            return Ok(status);
        }
        for warning in &report.warnings {
            report::warning(&format!("{}: {}", escape(&warning.key), escape(&warning.message)));
        }
        if let Some(fit) = &report.component {
            fit.no_use_for
                .iter()
                .for_each(|line| report::warning(&format!("the component can't use {}", escape(line))));
            fit.not_granted.iter().for_each(|line| report::note(&format!("not granted: {}", escape(line))));
        }
        let count = report.warnings.len() + report.component.map_or(0, |fit| fit.no_use_for.len());
        let count = if count == 1 { "1 warning".to_owned() } else { format!("{count} warnings") };
        say!("`{}` has no mistakes and {count}", escape(&self.policy.display().to_string()));
        Ok(status)
    }
}
