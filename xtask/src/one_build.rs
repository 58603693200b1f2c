//! The check that the engine is compiled once, not once for `cargo build` and again for `cargo test`.
//!
//! Cargo gives a crate all features that anything in the same build asks for. If a crate that only tests use asks for
//! a feature more, that crate is built twice, and so is everything that stands on it: ten minutes, when it is the
//! engine. The remedy is to ask for the same feature everywhere. What runs at build time is built with features of its
//! own either way and is not looked at.

use crate::cargo;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

/// Which features a package is built with.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Compares the packages of the host with and without what the tests bring.
pub(crate) fn check(root: &Path) -> Result<()> {
    let alone = features(root, &["--package", "host", "--edges", "normal,no-proc-macro"])?;
    let tested = features(root, &["--workspace", "--edges", "normal,dev,no-proc-macro"])?;
    let differences = compare(&alone, &tested);
    if differences.is_empty() {
        return Ok(());
    }
    for difference in &differences {
        eprintln!("{difference}");
    }
    bail!(
        "{} packages of the host are built anew for tests, with all that stands on them\nhint: drop what asks for \
         more (`cargo tree --workspace --edges features --invert PACKAGE` shows it), or let the host ask for the same",
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
            let has: BTreeSet<&str> = set.split(',').collect();
            let added = others.iter().flat_map(|other| other.split(',')).filter(|feature| !has.contains(feature));
            let added: BTreeSet<&str> = added.collect();
            differences.push(format!("{package}: tests add {}", added.into_iter().collect::<Vec<_>>().join(", ")));
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
        assert_eq!(compare(&alone, &tested), ["a v1.0.0: tests add alloc"]);
    }
}
