//! `cargo xtask contract` and `cargo xtask release-contract`: what became of the contract since each release.
//!
//! A release of the contract is a folder `tests/contract/released/VERSION` with the WIT as it was and a few guests that were
//! built against it, with their cases. It stands there and not below `wit/`, because that folder is read whole: by the
//! bindings of the host and of every guest, by the digests that decide which guests are built anew, and by the test that
//! the binary has every file of it.
//!
//! Two questions are asked. Does what is written fit, by the rules in `rule`? And do the guests of the release still do
//! on today's host what their cases say, and would today's guests fit the release's contract?

mod compare;
mod host;
mod matrix;
mod rule;
mod snapshot;
mod types;

#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::{Result, bail};

use self::compare::{Contract as Side, compare};
pub(crate) use self::host::{Host, Verdict};
pub(crate) use self::matrix::{say, table};
use self::rule::{Change, Effect};
use self::snapshot::Release;
use crate::{repo, term, test};

/// Compare the contract with its releases, and run their guests on today's host
///
/// Everything that changed in wit/ since each release in tests/contract/released is named, with the rule, whom it breaks
/// and what to do, and the version that is due. Then the guests of each release run their cases on today's host, and
/// today's guests are checked against the release's contract. Needs the guests that `cargo xtask build-guests` builds.
///
/// Example: cargo xtask contract --no-run
#[derive(clap::Args)]
pub(crate) struct Contract {
    /// Only compare the WIT, and run nothing
    #[arg(long)]
    no_run: bool,
}

/// Keep today's contract as a release: the WIT, and a few guests with their cases
///
/// They go to tests/contract/released/VERSION, with the version of the package in wit/. What is there already is never
/// written over. tests/contract/release.toml says which guests are kept.
///
/// Example: cargo xtask release-contract
#[derive(clap::Args)]
pub(crate) struct ReleaseContract {}

impl Contract {
    pub(crate) fn run(self) -> Result<()> {
        check(&repo::root()?, !self.no_run)
    }
}

impl ReleaseContract {
    pub(crate) fn run(self) -> Result<()> {
        let root = repo::root()?;
        test::build_guests(&[])?;
        let release = snapshot::take(&root)?;
        term::say(format_args!("contract: kept {} in {}", release.version, release.shown()));
        check(&root, true)
    }
}

/// Compares `wit/` with every release, and with `run` runs the guests.
pub(crate) fn check(root: &Path, run: bool) -> Result<()> {
    let mut failed = Vec::new();
    let today = Side::read(&root.join("wit"))?;
    let releases = Release::all(root)?;
    if releases.is_empty() {
        term::warn("contract: there is no release to compare with");
    }
    for release in &releases {
        let old = Side::read(&release.wit())?;
        let (text, good) = judge(&old, &today);
        eprint!("{text}");
        if !good {
            failed.push(format!("changes since {}", release.version));
        }
    }
    if run {
        let host = Host::built(root)?;
        if !matrix::print(root, &host, &releases)? {
            failed.push("guests".to_owned());
        }
    }
    match failed.as_slice() {
        [] => {
            term::say("contract: nothing is broken");
            Ok(())
        }
        failed => bail!("contract: {}", failed.join(", ")),
    }
}

/// What changed since a release, and whether that may be.
fn judge(old: &Side, today: &Side) -> (String, bool) {
    use std::fmt::Write as _;
    let changes = compare(old, today);
    let mut text = String::new();
    // What breaks somebody may be done in a version that doesn't promise to be compatible.
    let promised = today.version.compatible(&old.version);
    let fails = |change: &Change| match change.rule.effect() {
        Effect::Breaking => promised,
        Effect::Mistake => true,
        Effect::Additive => false,
    };
    let count = |effect| changes.iter().filter(|change| change.rule.effect() == effect).count();
    let (breaking, additive) = (count(Effect::Breaking), count(Effect::Additive));
    // Writing to a string can't fail.
    let _ = writeln!(
        text,
        "since {}: {breaking} breaking, {additive} additive, {} mistakes; today's version is {}",
        old.version,
        count(Effect::Mistake),
        today.version
    );
    for change in &changes {
        let word = match change.rule.effect() {
            _ if fails(change) => "error",
            Effect::Breaking => "breaking, as the version says",
            _ => "additive",
        };
        let _ = writeln!(text, "{word}: {}: {}: {}", change.rule.name(), change.place, change.message);
        if !change.breaks.is_empty() {
            let readers: Vec<_> = change.breaks.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "  breaks  {}", readers.join("; "));
        }
        if fails(change) {
            let _ = writeln!(text, "  fix     {}", change.rule.fix());
        }
    }
    if promised && breaking > 0 {
        let due = old.version.next(true);
        let _ = writeln!(text, "  or      make it version {due}, and keep serving guests of {}", old.version);
    }
    (text, !changes.iter().any(fails))
}
