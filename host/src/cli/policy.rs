//! `host policy`: the tools with which a least-privilege policy is written and kept.

mod check;
mod diff;
mod explain;
mod suggest;

use clap::{Args, Subcommand};

/// Check a policy, ask it questions, make one from audits, and compare two
#[derive(Debug, Args)]
pub(crate) struct PolicyTools {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    Check(check::Check),
    Explain(explain::Explain),
    Suggest(Box<suggest::Suggest>),
    Diff(diff::Diff),
    /// Print the JSON Schema of the policy file, from which editors complete and check it
    Schema,
}

/// Exit status where a tool found what it looks for: a warning, a denial, something wider.
const FOUND: u8 = 1;

/// Writes a line to standard output. A reader that has gone away had what it wanted.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}
use say;

impl PolicyTools {
    /// Runs the tool and returns the exit status.
    pub(super) fn run(self) -> u8 {
        let status = match self.tool {
            Tool::Check(check) => check.run(),
            Tool::Explain(explain) => explain.run(),
            Tool::Suggest(suggest) => suggest.run(),
            Tool::Diff(diff) => diff.run(),
            Tool::Schema => {
                print_json(&host::policy::policy_schema());
                Ok(0)
            }
        };
        status.unwrap_or_else(|stop| {
            super::report::refusal(&stop);
            stop.reason.exit_status()
        })
    }
}

/// Prints a value as JSON.
fn print_json(value: &impl serde::Serialize) {
    say!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
}
