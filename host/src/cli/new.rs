//! `host new`: a project for a guest, which builds and runs with the commands that it prints.
//!
//! A project is put together from files that are in this binary: the language's own from `host/templates`, and the
//! contract from `wit/`. It needs nothing else of this repository, and nothing that isn't in the language's package
//! registry. `languages` says what a project consists of, `project` writes it: all of it or nothing.
//!
//! Deliberately absent: fetching or building anything, and changing what is already there.

mod languages;
mod project;

use std::io::Write as _;
use std::path::Path;

use clap::Args;

use self::languages::Language;
use self::project::{Name, Project};
use super::report;

/// Exit status when the project can't be created, as `sysexits` has it.
const CANNOT_CREATE: u8 = 73;

/// Exit status when it can't be said what was created, as `sysexits` has it.
const IO_ERROR: u8 = 74;

/// Create a project for a job in one of the languages, and show how to build and run it
///
/// The project is a folder of its own in the current folder: a small job that works, its build file, the contract as
/// WIT, first cases of what the job must do, and a page that explains it. The job is for the world `sandbox-pure`,
/// which every language can be built for.
///
/// A folder that is there must be empty: nothing is overwritten.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct New {
    /// The language to write it in
    #[arg(long, value_name = "LANG")]
    lang: Language,

    /// The name of the project and of its folder
    #[arg(value_name = "NAME", value_parser = Name::parse)]
    name: Name,
}

const EXAMPLES: &str = "Examples:
  host new --lang rust word-count
  host new --lang python word-count";

impl New {
    /// Writes the project, prints what to do with it, and returns the exit status.
    pub(super) fn run(self) -> u8 {
        let project = Project::new(&self.name, self.lang.template());
        if let Err(error) = project.write(Path::new(".")) {
            report::error(&error.message);
            report::hint(error.hint);
            return CANNOT_CREATE;
        }
        match std::io::stdout().lock().write_all(project.summary().as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                report::error(&format!("failed to write the output: {error}"));
                report::hint("the project was created; its README.md says how to build and run it");
                IO_ERROR
            }
            _ => 0,
        }
    }
}
