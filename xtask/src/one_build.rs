//! The check that the engine is compiled once, not once for `cargo build` and again for `cargo test`.
//!
//! Cargo gives a crate all features that anything in the same build asks for. If a crate that only tests use asks for
//! a feature more, that crate is built twice, and so is everything that stands on it: ten minutes, when it is the
//! engine. The remedy is to ask for the same feature everywhere.

use crate::cargo;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

/// Which features a package is built with; more than one set where it is built for build scripts too.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Compares the packages of the host with and without what the tests bring.
pub(crate) fn check(root: &Path) -> Result<()> {
    let alone = features(root, &["--package", "host", "--edges", "normal,build"])?;
    let tested = features(root, &["--workspace", "--edges", "normal,build,dev"])?;
    let differences = compare(&alone, &tested);
    if differences.is_empty() {
        return Ok(());
    }
    for difference in &differences {
        eprintln!("{difference}");
    }
    bail!(
        "{} packages of the host are built anew for tests, with all that stands on them\nhint: drop the test's \
         dependency that asks for more, or ask for the same features under `[workspace.dependencies]`",
        differences.len()
    )
}

fn features(root: &Path, args: &[&str]) -> Result<Features> {
    let output = cargo::command(root)
        .args(["tree", "--prefix", "none", "--format", "{p}\t{f}"])
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .context("failed to start `cargo tree`")?;
    if !output.status.success() {
        bail!("`cargo tree` ended with {}", output.status);
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

fn parse(text: &str) -> Features {
    let mut found = Features::new();
    for line in text.lines() {
        let Some((package, features)) = line.trim_end_matches(" (*)").split_once('\t') else {
            continue;
        };
        found.entry(package.to_owned()).or_default().insert(features.to_owned());
    }
    found
}

/// A line for each package that is built with other features alone than with the tests.
fn compare(alone: &Features, tested: &Features) -> Vec<String> {
    let nothing = BTreeSet::new();
    let mut differences = Vec::new();
    for (package, sets) in alone {
        let others = tested.get(package).unwrap_or(&nothing);
        for set in sets.difference(others) {
            let with_tests = others.difference(sets).map(|other| format!("`{other}`")).collect::<Vec<_>>();
            differences.push(format!("{package} has `{set}`, and {} with the tests", with_tests.join(" or ")));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_only_tests_bring_is_found() {
        let alone = parse("host v0.1.0 (x)\tdefault\na v1.0.0\tstd\na v1.0.0\tstd (*)\nb v1.0.0\t\n");
        assert_eq!(compare(&alone, &alone), Vec::<String>::new());
        let tested = parse("host v0.1.0 (x)\tdefault\na v1.0.0\talloc,std\nb v1.0.0\t\nc v1.0.0\t\n");
        assert_eq!(compare(&alone, &tested), ["a v1.0.0 has `std`, and `alloc,std` with the tests"]);
    }
}
