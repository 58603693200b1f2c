//! The guests of each release on today's host, and today's guests against each release's contract.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::host::Host;
use super::snapshot::Release;

/// What `host check` says about a guest that uses what a release doesn't have yet. That is no fault of the guest.
const NEWER: [&str; 3] = ["extra-import", "extra-function", "missing-resource"];

/// A guest of today.
#[derive(Debug)]
struct Guest {
    file: String,
    world: String,
}

/// Prints both matrices. Says whether all is well.
pub(super) fn print(root: &Path, host: &Host, releases: &[Release]) -> Result<bool> {
    let mut good = true;
    let mut rows = vec![["guest of the release".to_owned(), "release".to_owned(), "on today's host".to_owned()]];
    let mut details = Vec::new();
    for release in releases {
        for guest in &release.file.guests {
            let component = release.guest(guest);
            let (cell, fine) = match old_guest(host, release, guest, &component, &mut details) {
                Ok(passed) => passed,
                Err(error) => (format!("FAILED: {error:#}"), false),
            };
            let cell =
                if fine || release.file.supported { cell } else { format!("{cell}, and is not supported any more") };
            good &= fine || !release.file.supported;
            rows.push([guest.file.clone(), release.version.clone(), cell]);
        }
    }
    table(&rows);
    for line in details {
        say(&line);
    }
    let guests = today(root)?;
    let mut rows = vec![vec!["guest of today".to_owned()]];
    rows.iter_mut().for_each(|row| row.extend(releases.iter().map(|release| format!("contract {}", release.version))));
    for guest in &guests {
        let mut row = vec![guest.file.clone()];
        for release in releases {
            let (cell, fine) = new_guest(root, host, release, guest);
            good &= fine || !release.file.supported;
            row.push(cell);
        }
        rows.push(row);
    }
    table(&rows);
    Ok(good)
}

/// Checks and runs a guest of a release on today's host.
fn old_guest(
    host: &Host,
    release: &Release,
    guest: &super::snapshot::Guest,
    component: &Path,
    details: &mut Vec<String>,
) -> Result<(String, bool)> {
    let codes = host.check(component, &guest.world)?;
    if !codes.is_empty() {
        return Ok((format!("FAILED: doesn't fit `{}`: {}", guest.world, codes.join(", ")), false));
    }
    let cases = release.cases(guest);
    let verdicts = if cases.is_empty() { Vec::new() } else { host.test(component, &cases)? };
    let mut failures: Vec<String> = verdicts
        .iter()
        .filter(|verdict| !verdict.passed())
        .map(|verdict| format!("{}: {}", verdict.name, verdict.text()))
        .collect();
    for run in &guest.runs {
        let (status, text) = host.invoke(component, &run.flags, &run.input)?;
        if let Some(wanted) = run.prints.iter().find(|wanted| !text.contains(*wanted)) {
            failures.push(format!("it doesn't print `{wanted}`, but: {}", text.trim()));
        } else if status != Some(run.status) {
            failures.push(format!("the exit status is {status:?} and not {}", run.status));
        }
    }
    details.extend(failures.iter().map(|failure| format!("{} of {}: {failure}", guest.file, release.version)));
    let all = verdicts.len() + guest.runs.len();
    Ok(match failures.len() {
        0 => (format!("fits, {all} of {all} cases passed"), true),
        failed => (format!("FAILED: {failed} of {all} cases"), false),
    })
}

/// Checks a guest of today against the contract of a release.
fn new_guest(root: &Path, host: &Host, release: &Release, guest: &Guest) -> (String, bool) {
    let world = format!("{}:{}", release.wit().display(), guest.world);
    match host.check(&root.join("target/guests").join(&guest.file), &world) {
        Err(error) => (format!("FAILED: {error:#}"), false),
        Ok(codes) if codes.is_empty() => ("fits".to_owned(), true),
        Ok(codes) if codes.iter().all(|code| NEWER.contains(&code.as_str())) => ("needs a newer host".to_owned(), true),
        Ok(codes) => (format!("FAILED: {}", codes.join(", ")), false),
    }
}

/// All components of our worlds that are built.
fn today(root: &Path) -> Result<Vec<Guest>> {
    #[derive(Deserialize)]
    struct Manifest {
        guests: std::collections::BTreeMap<String, Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        kind: String,
        world: String,
    }
    let text = std::fs::read_to_string(root.join("target/guests/manifest.json"))
        .context("failed to read `target/guests/manifest.json`\nhint: `cargo xtask build-guests` builds the guests")?;
    let manifest: Manifest =
        serde_json::from_str(&text).context("failed to understand `target/guests/manifest.json`")?;
    let ours = |entry: &Entry| entry.kind == "component" && matches!(&*entry.world, "sandbox" | "sandbox-pure");
    Ok(manifest
        .guests
        .into_iter()
        .filter(|(_, entry)| ours(entry))
        .map(|(file, entry)| Guest { file, world: entry.world })
        .collect())
}

/// Prints rows with columns that stand below each other.
pub(crate) fn table<R: AsRef<[String]>>(rows: &[R]) {
    let columns = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.as_ref().get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.as_ref().iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        say(&cells.collect::<Vec<_>>().join("  "));
    }
    say("");
}

/// Prints a line. Where nobody reads it any more, as behind `| head`, that is no error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", line.trim_end());
}
