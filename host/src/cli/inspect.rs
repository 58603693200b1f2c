//! `host inspect`: what a component is and what it would need, without running it.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use host::policy::{Bytes, LimitKind, Limits};
use host::{Inspection, escape};

use super::{files, report};

/// Show what a component is: its world, imports and exports, who made it, its size by part, and what it would need
///
/// Nothing is compiled or run. What the component says about itself, such as its language, is its own word.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Print the component's world in WIT, and nothing else
    #[arg(long, conflicts_with = "json")]
    wit: bool,

    /// A component, a core module for WASI preview 1, or either as text; `-` reads standard input
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
}

/// Writes a line to standard output. A reader that has gone away had what it wanted.
macro_rules! say {
    ($($arg:tt)*) => {
        let _ = writeln!(std::io::stdout(), $($arg)*);
    };
}

const EXAMPLES: &str = "Examples:
  host inspect redact.wasm
  host inspect --wit redact.wasm
  host inspect --json redact.wasm | jq .imports";

impl Inspect {
    /// Prints what was found and returns the exit status.
    pub(super) fn run(self) -> u8 {
        let bytes = files::component(&self.component, Limits::default().component_size.0);
        let found = match bytes.and_then(Inspection::of) {
            Ok(found) => found,
            Err(stop) => {
                report::refusal(&stop);
                return stop.reason.exit_status();
            }
        };
        if self.json {
            say!("{}", serde_json::to_string_pretty(&found).unwrap_or_default());
        } else if self.wit {
            let Some(wit) = &found.wit else {
                report::error("the component's world has no WIT form");
                return 1;
            };
            // The names in it are the component's own.
            wit.lines().for_each(|line| {
                say!("{}", escape(line));
            });
        } else {
            print(&found);
        }
        0
    }
}

fn print(found: &Inspection) {
    let size = |bytes: u64| LimitKind::Memory.row().about(bytes);
    let facts = &found.facts;
    say!("digest          {}", facts.digest);
    say!("form            {} ({} core modules)", facts.form, found.core_modules);
    say!("world           {}", facts.world);
    for (field, names) in &found.producers {
        let names: Vec<String> =
            names.iter().map(|(name, version)| escape(format!("{name} {version}").trim())).collect();
        say!("{:<15} {}", escape(field), names.join(", "));
    }
    let sizes = &found.sizes;
    let parts = [
        ("code", sizes.code_bytes),
        ("data", sizes.data_bytes),
        ("names", sizes.name_bytes),
        ("debug", sizes.debug_bytes),
        ("other", sizes.other_bytes),
    ];
    let parts: Vec<String> = parts.iter().map(|(name, bytes)| format!("{name} {}", size(*bytes))).collect();
    say!("size            {}: {}", size(sizes.total_bytes), parts.join(", "));
    say!("memory at start {}", Bytes(found.minimum_memory_bytes));
    list("imports", &facts.imports);
    list("exports", &facts.exports);
    list("could use", &found.grants);
}

fn list(title: &str, lines: &[String]) {
    let mut title = title;
    if lines.is_empty() {
        say!("{title:<15} none");
    }
    for line in lines {
        say!("{title:<15} {}", escape(line));
        title = "";
    }
}
