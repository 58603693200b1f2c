//! The rule that every probe is run by an integration test.
//!
//! A probe is a small hostile program: a program or an example of a package `guests/rust/probes…`, or a text module
//! there; and the same of `guests/rust/jobs`. Its name must stand as a whole word in a file of `tests/it`; in Rust, as a string or a name, with `-` and
//! `_` taken for the same, and never in a comment.

use super::Finding;
use crate::repo::Tree;
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};

/// How the folders of the probes begin.
const PROBES: &[&str] = &["guests/rust/probes", "guests/rust/jobs", "guests/probes"];
/// The folder of the tests that must name them.
const TESTS: &str = "tests/it/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut named = BTreeSet::new();
    for (path, text) in tree.below(TESTS) {
        if path.ends_with(".rs") {
            // What does not even lex is reported by the rule on syntax.
            if let Ok(tokens) = text.parse() {
                rust_words(tokens, &mut named);
            }
        } else {
            named.extend(words(text));
        }
    }
    let mut findings = Vec::new();
    for (probe, (path, line)) in probes(tree) {
        if !named.contains(&same(&probe)) {
            let message = format!("no test names the probe `{probe}`");
            let hint = "write a test in tests/it that runs it, or delete the probe".to_owned();
            findings.push(Finding { path, line, rule: "probes", message, hint });
        }
    }
    findings
}

/// The probes by name, each with its place.
fn probes(tree: &Tree) -> BTreeMap<String, (String, usize)> {
    let mut found = BTreeMap::new();
    for (path, text) in tree.files() {
        let Some((package, rest)) = package(path) else { continue };
        if rest == "Cargo.toml" {
            for (name, line) in declared(text) {
                found.insert(name, (path.to_owned(), line));
            }
        } else if let Some(name) = rest.strip_suffix(".wat").and_then(|stem| stem.rsplit('/').next()) {
            found.insert(name.to_owned(), (path.to_owned(), 1));
        } else if rest == "src/main.rs" {
            // A package of one program is a probe by its own name.
            found.insert(package.to_owned(), (path.to_owned(), 1));
        } else if let Some(inner) = rest.strip_prefix("src/bin/").or_else(|| rest.strip_prefix("examples/")) {
            let name = inner.strip_suffix("/main.rs").or_else(|| inner.strip_suffix(".rs"));
            if let Some(name) = name.filter(|name| !name.contains('/')) {
                found.insert(name.to_owned(), (path.to_owned(), 1));
            }
        }
    }
    // A program that a manifest declares with a name of its own has a file with another one.
    for (path, text) in tree.files() {
        if package(path).is_some_and(|(_, rest)| rest == "Cargo.toml") {
            for stem in renamed(text) {
                found.remove(&stem);
            }
        }
    }
    found
}

/// Splits a path into the probes' package and the rest, if it is in such a package.
fn package(path: &str) -> Option<(&str, &str)> {
    let prefix = PROBES.iter().find(|prefix| path.starts_with(**prefix))?;
    let start = prefix.rfind('/')? + 1;
    path.get(start..)?.split_once('/')
}

/// The names of the programs and examples that a manifest declares, with their lines.
fn declared(manifest: &str) -> Vec<(String, usize)> {
    let line_of = |name: &str| {
        let quoted = format!("\"{name}\"");
        manifest.lines().position(|line| line.contains(&quoted)).map_or(1, |index| index + 1)
    };
    targets(manifest).into_iter().map(|(name, _)| (name.clone(), line_of(&name))).collect()
}

/// The names that the files of declared programs would have had, where that is another name.
fn renamed(manifest: &str) -> Vec<String> {
    let targets = targets(manifest).into_iter().filter_map(|(name, path)| {
        let path = path?;
        let stem = path.strip_suffix("/main.rs").or_else(|| path.strip_suffix(".rs"))?.rsplit('/').next()?.to_owned();
        (stem != name).then_some(stem)
    });
    targets.collect()
}

/// The name and the path of every `[[bin]]` and `[[example]]`.
fn targets(manifest: &str) -> Vec<(String, Option<String>)> {
    let Ok(table) = manifest.parse::<toml::Table>() else {
        return Vec::new();
    };
    let tables = ["bin", "example"].into_iter().filter_map(|key| table.get(key)?.as_array()).flatten();
    let text = |target: &toml::Value, key| target.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    tables.filter_map(|target| Some((text(target, "name")?, text(target, "path")))).collect()
}

/// The words in names and strings of Rust code.
fn rust_words(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let mut attribute = false;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                attribute = true;
                continue;
            }
            TokenTree::Punct(punct) if attribute && punct.as_char() == '!' => continue,
            // A comment that documents something comes as `#[doc = "…"]`.
            TokenTree::Group(group) if attribute && is_doc(&group) => {}
            TokenTree::Group(group) => rust_words(group.stream(), found),
            TokenTree::Ident(name) => drop(found.insert(same(&name.to_string()))),
            TokenTree::Literal(literal) => {
                if let Ok(syn::Lit::Str(text)) = syn::parse_str(&literal.to_string()) {
                    found.extend(words(&text.value()));
                }
            }
            TokenTree::Punct(_) => {}
        }
        attribute = false;
    }
}

fn is_doc(group: &proc_macro2::Group) -> bool {
    matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(name)) if name == "doc")
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '-').map(same)
}

/// One spelling for names that differ in `-` and `_` alone.
fn same(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    fn missing(files: &[(&str, &str)], test: &str) -> Vec<String> {
        let made = made::tree(&[files, &[("tests/it/probes.rs", test)]].concat());
        check(&made.tree).into_iter().map(|one| format!("{} {}", one.place(), one.message)).collect()
    }

    #[test]
    fn every_kind_of_probe_must_be_named() {
        for (path, text) in [
            ("guests/rust/probes/src/bin/spin.rs", ""),
            ("guests/rust/probes/src/bin/spin/main.rs", ""),
            ("guests/rust/probes-p1/examples/spin.rs", ""),
            ("guests/rust/probes/wat/spin.wat", ""),
            ("guests/rust/probes/Cargo.toml", "[[bin]]\nname = \"spin\"\n"),
            ("guests/rust/probes/Cargo.toml", "[[example]]\npath = \"x.rs\"\nname = \"spin\"\n"),
        ] {
            let found = missing(&[(path, text)], "");
            assert_eq!(found.len(), 1, "{path}");
            assert!(found[0].ends_with("no test names the probe `spin`"), "{found:?}");
            assert!(missing(&[(path, text)], "fn f() { run(\"spin\") }").is_empty(), "{path}");
        }
    }

    #[test]
    fn a_comment_or_part_of_a_word_does_not_name_a_probe() {
        let probe = [("guests/rust/probes/src/bin/spin.rs", "")];
        for test in ["// spin", "/// spin\nfn f() {}", "fn f() { run(\"spin-forever\", \"respin\") }", "//! spin"] {
            assert_eq!(missing(&probe, test).len(), 1, "{test}");
        }
        for test in ["fn f() { run(\"spin.wasm\") }", "probes! { spin, sleep }", "#[case(\"spin\")] fn f() {}"] {
            assert!(missing(&probe, test).is_empty(), "{test}");
        }
    }

    #[test]
    fn a_probe_goes_by_the_name_that_its_manifest_gives() {
        let files = [
            ("guests/rust/probes/Cargo.toml", "[[bin]]\nname = \"deep-recursion\"\npath = \"src/bin/recursion.rs\"\n"),
            ("guests/rust/probes/src/bin/recursion.rs", ""),
        ];
        assert_eq!(
            missing(&files, "fn recursion() {}"),
            ["guests/rust/probes/Cargo.toml:2 no test names the probe `deep-recursion`"]
        );
        assert!(missing(&files, "fn deep_recursion() {}").is_empty());
    }
}
