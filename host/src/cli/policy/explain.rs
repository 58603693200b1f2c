//! `host policy explain`: which rule decides about one thing, and why.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use host::{Stop, escape};

use super::super::{USAGE, files, report};
use super::{FOUND, print_json, say};

/// Say which rule of a policy decides about one thing that a guest might ask for, and why
///
/// A question is a request (`GET https://api.example.com/v1`; without a method it is GET), a request with a secret
/// (`secret:api GET https://…`), or one of `dir:PATH`, `env:NAME`, `config:KEY`, `kv:BUCKET`, `stdio:stdin`,
/// `limit:NAME`, `tcp:HOST:PORT`, `udp:HOST:PORT` and `dns:NAME`. A directory or a bucket is asked about for reading, and
/// with `::rw` at the end for writing.
///
/// The exit status is 0 where it is allowed and 1 where it is denied.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Explain {
    /// The policy file; without one, the default policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// For a request: the address that its host resolves to
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// What a guest might ask for
    #[arg(value_name = "QUESTION")]
    question: String,
}

const EXAMPLES: &str = "Examples:
  host policy explain --policy tenant.toml 'GET https://api.example.com/v1/users'
  host policy explain --policy tenant.toml --address 10.0.0.7 https://api.example.com
  host policy explain --policy tenant.toml dir:/data/in::rw
  host policy explain --policy tenant.toml 'secret:api POST https://api.example.com/v1'
  host policy explain limit:memory";

impl Explain {
    pub(super) fn run(self) -> Result<u8, Stop> {
        let policy = self.policy.as_deref().map(files::policy).transpose()?.unwrap_or_default();
        let answer = match self.address {
            Some(address) => policy.explain_address(&self.question, address),
            None => policy.explain(&self.question),
        };
        let answer = match answer {
            Ok(answer) => answer.as_run(),
            Err(message) => {
                report::error(&escape(&message));
                report::hint("see `host policy explain --help`");
                return Ok(USAGE);
            }
        };
        if self.json {
            print_json(&answer);
        } else {
            say!("{}: {}", if answer.allowed { "allowed" } else { "denied" }, escape(&answer.asked));
            let none = if answer.allowed { "none is needed" } else { "none grants it" };
            say!("rule: {}", escape(answer.rule.as_deref().unwrap_or(none)));
            answer.why.iter().for_each(|line| say!("  - {}", escape(line)));
        }
        Ok(if answer.allowed { 0 } else { FOUND })
    }
}
