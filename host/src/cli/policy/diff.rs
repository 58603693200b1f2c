//! `host policy diff`: what became wider, and what narrower.

use std::path::PathBuf;

use clap::Args;
use host::policy::{Change, Direction, StdioGrant};
use host::{Stop, escape};
use serde::Serialize;

use super::super::files;
use super::{FOUND, print_json, say};

/// Compare two policies: what became wider, and what narrower
///
/// The exit status is 1 where anything became wider, and 0 where nothing did, so that it can stand before a change that
/// nobody has looked at. A value that changed is wider and narrower; values are not shown.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Diff {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The policy as it was
    #[arg(value_name = "OLD")]
    old: PathBuf,

    /// The policy as it is to be
    #[arg(value_name = "NEW")]
    new: PathBuf,
}

const EXAMPLES: &str = "Examples:
  host policy diff before.toml after.toml
  git show main:tenant.toml > before.toml && host policy diff before.toml tenant.toml
  host policy diff --json before.toml after.toml | jq '.changes[] | select(.direction == \"wider\")'";

/// What is printed as JSON.
#[derive(Serialize)]
struct Report {
    wider: bool,
    changes: Vec<Change>,
}

impl Diff {
    pub(super) fn run(self) -> Result<u8, Stop> {
        let (mut old, mut new) = (files::policy(&self.old)?, files::policy(&self.new)?);
        // As `host run` reads them.
        for policy in [&mut old, &mut new] {
            policy.grants.stdio.get_or_insert(StdioGrant::ALL);
        }
        let changes = old.diff(&new);
        let wider = changes.iter().any(|change| change.direction == Direction::Wider);
        if self.json {
            print_json(&Report { wider, changes });
        } else if changes.is_empty() {
            say!("both permit the same");
        } else {
            changes.iter().for_each(|change| say!("{}", escape(&change.to_string())));
        }
        Ok(if wider { FOUND } else { 0 })
    }
}
