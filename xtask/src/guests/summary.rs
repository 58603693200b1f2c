//! The table at the end, and the list that builds nothing.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use super::manifest::Manifest;
use super::source::Guest;

/// How the attempt to build one guest ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Built, and another file than before.
    Built,
    /// Nothing that goes into it has changed, or its tools made the same file again.
    Fresh,
    /// Its tools are not here; the text says what is missing and the remedy.
    Unavailable(String),
    /// It could not be built; the error was shown already.
    Failed,
}

/// One guest's line in the table.
pub(super) struct Row {
    id: String,
    output: String,
    ending: Ending,
    seconds: f64,
}

impl Row {
    pub(super) fn new(guest: &Guest, ending: Ending, seconds: f64) -> Self {
        Self { id: guest.id(), output: guest.output.clone(), ending, seconds }
    }
}

/// Prints the table. Failures are an error, and with `require_all` so are missing tools.
pub(super) fn print(rows: &[Row], manifest: &Manifest, require_all: bool) -> Result<()> {
    let width = rows.iter().map(|row| row.id.len()).max().unwrap_or_default();
    for row in rows {
        let word = match row.ending {
            Ending::Built => "built",
            Ending::Fresh => "fresh",
            Ending::Unavailable(_) => "UNAVAILABLE",
            Ending::Failed => "FAILED",
        };
        let detail = match (&row.ending, manifest.entry(&row.output)) {
            (Ending::Built | Ending::Fresh, Some(entry)) => format!("{:>9}", size(entry.size)),
            (Ending::Unavailable(remedy), _) => remedy.clone(),
            _ => String::new(),
        };
        let seconds = if row.seconds < 0.05 { String::new() } else { format!("{:.1} s", row.seconds) };
        say(&format!("{:width$}  {word:<11} {seconds:>8}  {detail}", row.id));
    }
    let failed = rows.iter().filter(|row| row.ending == Ending::Failed).count();
    let missing = rows.iter().filter(|row| matches!(row.ending, Ending::Unavailable(_))).count();
    if failed > 0 {
        bail!("{failed} of {} guests failed to build", rows.len());
    }
    if require_all && missing > 0 {
        bail!("{missing} of {} guests can't be built here, and --require-all was given", rows.len());
    }
    Ok(())
}

/// Prints what there is to build and whether it is fresh.
pub(super) fn list(guests: &[Guest], manifest: &Manifest, out: &Path) -> Result<()> {
    let width = guests.iter().map(|guest| guest.id().len()).max().unwrap_or_default();
    for guest in guests {
        let state = match (manifest.is_fresh(out, guest), manifest.entry(&guest.output)) {
            (true, _) => "fresh",
            (false, Some(_)) => "stale",
            (false, None) => "not built",
        };
        say(&format!("{:width$}  {state:<9}  {}", guest.id(), guest.world));
    }
    Ok(())
}

/// Prints a line. Where nobody reads it any more, as behind `| head`, that is no error.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", line.trim_end());
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ending: Ending) -> Vec<Row> {
        vec![Row { id: "c/redact".to_owned(), output: "c/redact.wasm".to_owned(), ending, seconds: 1.0 }]
    }

    #[test]
    fn missing_tools_are_an_error_only_where_all_are_required() {
        let manifest = Manifest::load(Path::new("nowhere"));
        let missing = || rows(Ending::Unavailable("no node".to_owned()));
        assert!(print(&missing(), &manifest, false).is_ok());
        assert!(print(&missing(), &manifest, true).is_err());
        assert!(print(&rows(Ending::Failed), &manifest, false).is_err());
        assert!(print(&rows(Ending::Fresh), &manifest, true).is_ok());
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([0, 2_700, 41_000, 18_200_000].map(size), ["0.0 KB", "2.7 KB", "41 KB", "18.2 MB"]);
    }
}
