//! `host inspect`: what a component is and what it needs, without running it.

use std::path::PathBuf;

use clap::Args;
use host::Host;
use host::policy::Limits;

use super::{files, report};

/// Show what a component is: its world, imports and exports
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  host inspect redact.wasm")]
pub(crate) struct Inspect {
    /// A component, a core module for WASI preview 1, or either as text; `-` reads standard input
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
}

impl Inspect {
    /// Prints what was found and returns the exit status.
    pub(super) async fn run(self) -> u8 {
        let facts = files::component(&self.component, Limits::default().component_size.0).and_then(Host::<()>::facts);
        match facts {
            Ok(facts) => {
                anstream::println!("{facts:#?}");
                0
            }
            Err(stop) => {
                report::error(&format!("{}: {}", stop.reason, stop.message));
                stop.reason.exit_status()
            }
        }
    }
}
