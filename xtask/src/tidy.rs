//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Each rule is a pure function from the files of the repository to findings, stands in a file of its own, and has
//! tests on a small made tree that show it failing and passing. All findings are reported at once. Rust is read as
//! syntax (`syn`), never by regular expressions; nothing is type-checked, so a rule can be evaded by somebody who
//! wants to. They are reminders for people, not a defence.

mod dependencies;
mod file_size;
mod isolation;
mod layers;
mod modules;
mod policy_keys;
mod probes;
mod scan;
mod text;
mod tokens;
mod unfinished;

use crate::repo::{self, Tree};
use crate::{term, wit};
use anyhow::{Result, bail};
use scan::Sources;
use std::path::Path;

/// Check the rules of the house, and report everything that breaks one
///
/// The rules: which module may use which, how long a file may be, documentation in WIT, that every policy key has a
/// reader, that every probe has a test, that guests are on their own, that no test is ignored or sleeps, and words and
/// paths that stand in no file.
///
/// Example: cargo xtask tidy
#[derive(clap::Args)]
pub(crate) struct Tidy {}

impl Tidy {
    pub(crate) fn run(self) -> Result<()> {
        check(&repo::root()?)
    }
}

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, relative to the root.
    pub(crate) path: String,
    /// The line, counted from 1; 1 where it is about the file as a whole.
    pub(crate) line: usize,
    /// The rule's name.
    pub(crate) rule: &'static str,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl Finding {
    /// File and line, as compilers write them.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.path, self.line)
    }
}

/// Checks all rules below `root` and reports.
pub(crate) fn check(root: &Path) -> Result<()> {
    let tree = Tree::tracked(root)?;
    report("tidy", &findings(&tree))
}

/// All findings of all rules, by file and line.
fn findings(tree: &Tree) -> Vec<Finding> {
    let sources = Sources::read(tree);
    let mut findings = sources.unreadable();
    findings.extend(dependencies::check(&sources));
    findings.extend(file_size::check(tree));
    findings.extend(isolation::check(tree));
    findings.extend(policy_keys::check(tree, &sources));
    findings.extend(probes::check(tree));
    findings.extend(text::check(tree));
    findings.extend(unfinished::check(&sources));
    findings.extend(wit::docs::check(tree));
    findings.sort();
    findings.dedup();
    findings
}

/// Prints findings; an error if there are any.
pub(crate) fn report(name: &str, findings: &[Finding]) -> Result<()> {
    for finding in findings {
        let Finding { rule, message, hint, .. } = finding;
        eprintln!("{}: {}: {message}", finding.place(), term::paint("31", rule));
        eprintln!("    hint: {hint}");
    }
    match findings.len() {
        0 => {
            term::say(format_args!("{name}: nothing found"));
            Ok(())
        }
        1 => bail!("{name}: 1 finding"),
        count => bail!("{name}: {count} findings"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    #[test]
    fn findings_of_several_rules_come_at_once_in_the_order_of_files() {
        let made = made::tree(&[
            ("wit/a.wit", "package a:b@0.1.0;\ninterface i {}\n"),
            ("host/src/lib.rs", "mod outcome;\nfn f() { todo!() }\n"),
            ("host/src/outcome.rs", "use tokio::net;\n"),
            ("host/src/policy/limits.rs", "struct Limits {}"),
            ("host/src/policy/grants.rs", "struct Grants {}"),
            ("host/src/policy/tenant_limits.rs", "struct TenantLimits {}"),
        ]);
        let found: Vec<_> = findings(&made.tree).iter().map(|one| format!("{} {}", one.place(), one.rule)).collect();
        assert_eq!(
            found,
            [
                "host/src/lib.rs:2 unfinished",
                "host/src/outcome.rs:1 dependencies",
                "host/src/policy/grants.rs:1 dependencies",
                "host/src/policy/limits.rs:1 dependencies",
                "host/src/policy/tenant_limits.rs:1 dependencies",
                "wit/a.wit:2 wit-docs",
                "wit/a.wit:2 wit-docs",
            ]
        );
    }

    #[test]
    fn a_rust_file_that_does_not_parse_is_a_finding() {
        let made = made::tree(&[("guests/rust/a/src/lib.rs", "fn {")]);
        let found = Sources::read(&made.tree).unreadable();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place(), "guests/rust/a/src/lib.rs:1");
    }
}
