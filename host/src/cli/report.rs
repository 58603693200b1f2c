//! What a person reads on standard error: errors, hints, a guest's stack. In colour only on a terminal.

use std::io::Write as _;

use host::receipt::Receipt;
use host::{Stop, escape};

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[1;36m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Writes a line to standard error. If that is closed or its disk is full there is nobody to tell, and the exit status
/// and the receipt still say what happened.
macro_rules! say {
    ($($arg:tt)*) => {
        let _ = writeln!(anstream::stderr(), $($arg)*);
    };
}

/// An error of the command itself.
pub(super) fn error(message: &str) {
    say!("{RED}error{PLAIN}: {message}");
}

/// What to do about it.
pub(super) fn hint(message: &str) {
    say!("{CYAN}hint{PLAIN}: {message}");
}

/// Something that can be meant and often isn't.
pub(super) fn warning(message: &str) {
    say!("{YELLOW}warning{PLAIN}: {message}");
}

/// Something worth knowing that is no error.
pub(super) fn note(message: &str) {
    say!("{DIM}note{PLAIN}: {message}");
}

/// A further line of what was said before.
pub(super) fn more(line: &str) {
    say!("{line}");
}

/// What the guest was denied, which may be why it failed.
pub(super) fn denials(receipt: &Receipt) {
    for denial in &receipt.denials {
        let capability = serde_json::to_value(denial.capability).unwrap_or_default();
        let capability = capability.as_str().unwrap_or("?").to_owned();
        let times = if denial.count == 1 { "once".to_owned() } else { format!("{} times", denial.count) };
        note(&format!("denied: {capability}: {}, {times}: {}", escape(&denial.detail), escape(&denial.rule)));
    }
}

/// What ended it. Several lines are several findings, each already with its place.
fn findings(stop: &Stop) {
    let mut lines = stop.message.lines();
    say!("{RED}error{PLAIN}: {}: {}", stop.reason, lines.next().unwrap_or_default());
    for line in lines {
        say!("       {line}");
    }
}

/// Why a component or a policy was refused, where there is no receipt.
pub(super) fn refusal(stop: &Stop) {
    findings(stop);
    if let Some(text) = &stop.hint {
        hint(text);
    }
}

/// Why something was refused, where the message has several findings in lines of their own.
pub(super) fn lines(stop: &Stop) {
    let mut lines = stop.message.lines();
    error(&format!("{}: {}", stop.reason, lines.next().unwrap_or_default()));
    for line in lines {
        say!("       {line}");
    }
    if let Some(text) = &stop.hint {
        hint(text);
    }
}

/// Why a run ended, with all that helps to mend it.
pub(super) fn stop(stop: &Stop, receipt: &Receipt) {
    findings(stop);
    if !stop.trace.is_empty() {
        say!("{DIM}the guest's stack, innermost first:{PLAIN}");
        for (n, frame) in stop.trace.iter().enumerate() {
            say!("  {n:>2}: {frame}");
        }
    }
    denials(receipt);
    if let Some(text) = &stop.hint {
        hint(text);
    }
}
