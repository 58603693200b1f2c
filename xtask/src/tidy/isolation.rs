//! The rules that guests share nothing with the host but `wit/`, and that the xtask never links the host.

use super::Finding;
use crate::repo::Tree;
use std::path::{Component, Path};
use toml::{Table, Value};

/// The folder of the guests.
const GUESTS: &str = "guests/";
/// What begins every WIT file of our own package.
const PACKAGE: &str = "package sandbox:host";
/// The xtask's manifest, and the crate that must not stand in it.
const XTASK: &str = "xtask/Cargo.toml";
const HOST: &str = "host";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.below(GUESTS) {
        if path.ends_with(".wit") {
            copies(path, text, &mut findings);
        }
        if path.ends_with("/Cargo.toml") {
            for dependency in dependencies(path, text, &mut findings) {
                leaves(path, text, &dependency, &mut findings);
            }
        }
    }
    if let Some(text) = tree.text(XTASK) {
        for Dependency { name, value } in dependencies(XTASK, text, &mut findings) {
            let renamed = value.get("package").and_then(Value::as_str);
            if renamed.unwrap_or(&name) == HOST {
                let message = format!("the xtask depends on `{HOST}`");
                let hint = "start the program instead: the xtask must build before the engine does";
                findings.push(finding(XTASK, line_of(text, &name), message, hint));
            }
        }
    }
    findings
}

/// A guest that carries a copy of our WIT would go on building against an old contract.
fn copies(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with(PACKAGE) {
            let message = "is a copy of our own WIT package".to_owned();
            findings.push(finding(path, number + 1, message, "delete it, and refer to `wit/` at the root"));
        }
    }
}

fn leaves(path: &str, text: &str, dependency: &Dependency, findings: &mut Vec<Finding>) {
    let Some(target) = dependency.value.get("path").and_then(Value::as_str) else {
        return;
    };
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    if !normal(&folder.join(target)).is_some_and(|full| full.starts_with(GUESTS)) {
        let message = format!("`{}` is at `{target}`, outside `{GUESTS}`", dependency.name);
        let hint = "a guest stands on published crates and on `wit/` alone";
        findings.push(finding(path, line_of(text, &dependency.name), message, hint));
    }
}

/// A relative path without `..`, ending with `/`, or nothing if it leads out of the repository.
fn normal(path: &Path) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/") + "/")
}

/// An entry of any table of dependencies.
struct Dependency {
    name: String,
    value: Value,
}

/// All dependencies in a manifest: of every kind, of every target, of the workspace and those replaced by `patch`.
fn dependencies(path: &str, text: &str, findings: &mut Vec<Finding>) -> Vec<Dependency> {
    fn walk(table: Table, found: &mut Vec<Dependency>) {
        for (key, value) in table {
            let Value::Table(inner) = value else { continue };
            if key.ends_with("dependencies") {
                found.extend(inner.into_iter().map(|(name, value)| Dependency { name, value }));
            } else if key == "patch" {
                for (_, registry) in inner {
                    let Value::Table(entries) = registry else { continue };
                    found.extend(entries.into_iter().map(|(name, value)| Dependency { name, value }));
                }
            } else {
                walk(inner, found);
            }
        }
    }
    let mut found = Vec::new();
    match text.parse::<Table>() {
        Ok(table) => walk(table, &mut found),
        Err(error) => {
            let message = format!("is no TOML: {}", error.message());
            findings.push(finding(path, 1, message, "mend it; its dependencies can't be checked"));
        }
    }
    found
}

/// The line on which the entry `name` begins.
fn line_of(text: &str, name: &str) -> usize {
    let begins = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '=', '.']))
            || (line.starts_with('[') && line.trim_end().ends_with(&format!(".{name}]")))
    };
    text.lines().position(begins).map_or(1, |index| index + 1)
}

fn finding(path: &str, line: usize, message: String, hint: &str) -> Finding {
    Finding { path: path.to_owned(), line, rule: "isolation", message, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    fn found(path: &str, text: &str) -> Vec<String> {
        let findings = check(&made::tree(&[(path, text)]).tree);
        findings.iter().map(|finding| format!("{} {}", finding.place(), finding.message)).collect()
    }

    #[test]
    fn a_guest_with_a_copy_of_our_wit_is_found() {
        let text = "/// Ours.\npackage sandbox:host@0.1.0;\n";
        assert_eq!(
            found("guests/c/redact/wit/world.wit", text),
            ["guests/c/redact/wit/world.wit:2 is a copy of our own WIT package"]
        );
        assert!(found("guests/c/redact/wit/world.wit", "package example:own;\n").is_empty());
        assert!(found("wit/world.wit", text).is_empty());
    }

    #[test]
    fn a_guest_that_depends_on_something_outside_is_found() {
        for text in [
            "[dependencies]\na = { path = \"../../../host\" }\n",
            "[target.x.dev-dependencies]\na.path = \"../../../../elsewhere\"\n",
            "[workspace.dependencies.a]\npath = \"../../../guests2\"\n",
            "[patch.crates-io]\na = { path = \"/a\" }\n",
        ] {
            let found = found("guests/rust/redact/Cargo.toml", text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains("outside `guests/`"), "{found:?}");
        }
        let inside = "[dependencies]\na = { path = \"../shared\" }\nb = \"1\"\n";
        assert!(found("guests/rust/redact/Cargo.toml", inside).is_empty());
    }

    #[test]
    fn the_xtask_must_not_depend_on_the_host() {
        for text in ["[dependencies]\nhost = { path = \"../host\" }", "[dev-dependencies]\na = { package = \"host\" }"]
        {
            assert_eq!(found("xtask/Cargo.toml", text), ["xtask/Cargo.toml:2 the xtask depends on `host`"], "{text}");
        }
        assert!(found("xtask/Cargo.toml", "[dependencies]\nhostname = \"1\"").is_empty());
    }
}
