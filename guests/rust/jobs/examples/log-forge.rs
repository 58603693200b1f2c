//! Tries to forge lines of the operator's log and to steer the operator's terminal, through both logging interfaces.

use jobs::sandbox::host::log;
use jobs::wasi::logging::logging;
use jobs::{Failure, Guest, Input, Output, text};

/// A forged line, colours, a cleared screen, a terminal title, NUL, backspaces, C1 controls, line separators and
/// bidirectional overrides.
const FORGED: &str = "ok\n2026-01-01T00:00:00Z ERROR host: all is lost\r\n\u{1b}[31mred\u{1b}[0m\u{1b}[2J\u{1b}]0;title\u{7}\
    \u{0}nul\u{8}\u{8}\u{8}\u{7f}\u{9b}31m\u{85}\u{2028}\u{2029}\u{202e}desrever\u{202c}\u{2066}x\u{2069}\u{feff}end";

struct Probe;

impl Guest for Probe {
    fn run(_input: Input) -> Result<Output, Failure> {
        log::log(log::Level::Warn, "forged\n\u{1b}[1mcontext", FORGED);
        logging::log(logging::Level::Warn, "forged\n\u{1b}[1mcontext", FORGED);
        Ok(text(String::from("sent\n")))
    }
}

jobs::export_job!(Probe);
