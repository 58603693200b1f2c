//! What the xtask says while it works: plain lines on standard error that begin with `xtask:`.
//!
//! Standard output is left to results, such as the redacted log of `demo`. Colour is used on a terminal only, and
//! never where `NO_COLOR` is set.

use std::fmt::Display;
use std::io::IsTerminal;

/// Says one line of progress.
pub(crate) fn say(message: impl Display) {
    eprintln!("{} {message}", paint("36", "xtask:"));
}

/// Says one line that something went wrong, without ending anything.
pub(crate) fn warn(message: impl Display) {
    eprintln!("{} {message}", paint("33", "xtask:"));
}

/// Says an error with everything that led to it, on one line unless it carries a hint.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("{} {error:#}", paint("31", "xtask: error:"));
}

/// Wraps `text` in a colour, if standard error shows colours.
pub(crate) fn paint(code: &str, text: &str) -> String {
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
