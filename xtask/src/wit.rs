//! The WIT packages of others in `wit/deps/`: brought in from published crates, and checked for drift.
//!
//! They are copies, so that a build needs no network and a reader sees the whole contract; and they are copies from
//! exactly the crates whose host side the engine links. `wit/deps.toml` says which file comes from where and has its
//! digest. Deliberately absent: following a package registry for WIT, and any change to a file on the way.

pub(crate) mod docs;
mod manifest;

use crate::repo::{self, Tree};
use crate::tidy::{Finding, report};
use crate::{cargo, term};
use anyhow::{Context, Result, bail};
use manifest::{Manifest, Source};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The folder that this command owns.
const DEPS: &str = "wit/deps";
/// What says where its files come from.
const MANIFEST: &str = "wit/deps.toml";

/// Bring in the WIT packages in wit/deps, as wit/deps.toml says
///
/// Fetches the crates that wit/deps.toml names, copies the files from them and writes their digests. With --check,
/// uses no network and changes nothing: it compares the files with the digests, looks for files that nothing named,
/// parses all of wit/ and checks that every item of our own is documented.
///
/// Example: cargo xtask wit --check
#[derive(clap::Args)]
pub(crate) struct Wit {
    /// Only check, and fail where something is not as it should be
    #[arg(long)]
    check: bool,
}

impl Wit {
    pub(crate) fn run(self) -> Result<()> {
        let root = repo::root()?;
        if self.check { check(&root) } else { update(&root) }
    }
}

/// Checks `wit/` and reports everything found.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut findings = drift(root)?;
    findings.extend(docs::check(&Tree::of(root, [])));
    report("wit --check", &findings)
}

/// Every difference between `wit/deps.toml` and the files in `wit/deps`.
fn drift(root: &Path) -> Result<Vec<Finding>> {
    let manifest = Manifest::load(&root.join(MANIFEST))?;
    let mut findings = Vec::new();
    let mut find = |path: String, message: String| {
        let hint = "run `cargo xtask wit`, which copies every file anew".to_owned();
        findings.push(Finding { path, line: 1, rule: "wit-deps", message, hint });
    };
    let mut named = BTreeSet::new();
    for (source, file) in manifest.files() {
        let path = format!("{DEPS}/{}", file.to);
        match (std::fs::read(root.join(&path)), &file.sha256) {
            (Err(error), _) => find(path.clone(), format!("is not readable: {error}")),
            (Ok(_), None) => find(MANIFEST.to_owned(), format!("has no digest for `{}`", file.to)),
            (Ok(bytes), Some(expected)) if digest(&bytes) != *expected => {
                find(path.clone(), format!("is not what {} {} has", source.name, source.version));
            }
            (Ok(_), Some(_)) => {}
        }
        named.insert(path);
    }
    for path in present(root)? {
        if !named.contains(&path) {
            find(path, format!("is in no entry of `{MANIFEST}`"));
        }
    }
    Ok(findings)
}

/// Copies every file from its crate, removes what is not named and writes the manifest with fresh digests.
fn update(root: &Path) -> Result<()> {
    let mut manifest = Manifest::load(&root.join(MANIFEST))?;
    let crates = fetch(root, &manifest.sources)?;
    // Everything is read before anything is written: a wrong path in the manifest leaves the folder as it was.
    let mut texts = BTreeMap::new();
    for source in &mut manifest.sources {
        let folder = crates.get(&source.name).with_context(|| format!("cargo did not fetch `{}`", source.name))?;
        for file in &mut source.files {
            let from = folder.join(&source.path).join(&file.from);
            let bytes = std::fs::read(&from)
                .with_context(|| format!("failed to read `{}` of {} {}", file.from, source.name, source.version))?;
            file.sha256 = Some(digest(&bytes));
            texts.insert(format!("{DEPS}/{}", file.to), bytes);
        }
    }
    for path in present(root)? {
        if !texts.contains_key(&path) {
            std::fs::remove_file(root.join(&path)).with_context(|| format!("failed to remove `{path}`"))?;
            term::say(format_args!("wit: removed {path}, which `{MANIFEST}` does not name"));
        }
    }
    for (path, bytes) in &texts {
        let place = root.join(path);
        if std::fs::read(&place).is_ok_and(|old| old == *bytes) {
            continue;
        }
        let folder = place.parent().context("a file in wit/deps has no folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
        std::fs::write(&place, bytes).with_context(|| format!("failed to write `{path}`"))?;
        term::say(format_args!("wit: wrote {path}"));
    }
    manifest.save(&root.join(MANIFEST))?;
    term::say(format_args!("wit: {} files from {} crates", texts.len(), manifest.sources.len()));
    check(root)
}

/// Lets cargo fetch the crates for a project that uses nothing else, and says where each was unpacked.
///
/// A project of its own, since the versions that the WIT comes from must not depend on what the host links, nor the
/// other way round; and below `target/`, so that `cargo clean` removes it.
fn fetch(root: &Path, sources: &[Source]) -> Result<BTreeMap<String, PathBuf>> {
    let project = root.join("target/wit-deps");
    let mut text =
        "[package]\nname = \"wit-deps\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n\
                    [workspace]\n\n[dependencies]\n"
            .to_owned();
    for source in sources {
        writeln!(text, "{} = {{ version = \"={}\", default-features = false }}", source.name, source.version)?;
    }
    std::fs::create_dir_all(&project).with_context(|| format!("failed to make `{}`", project.display()))?;
    std::fs::write(project.join("Cargo.toml"), text).context("failed to write the project that fetches")?;
    std::fs::write(project.join("lib.rs"), "").context("failed to write the project that fetches")?;
    term::say(format_args!("wit: fetching {} crates", sources.len()));
    let metadata = cargo::metadata(&project, &[]).context("failed to fetch the crates that `wit/deps.toml` names")?;
    let mut crates = BTreeMap::new();
    for source in sources {
        for package in &metadata.packages {
            if package.name == source.name
                && package.version.split('+').next() == Some(source.version.as_str())
                && let Some(folder) = package.manifest_path.parent()
            {
                crates.insert(source.name.clone(), folder.to_owned());
            }
        }
    }
    Ok(crates)
}

/// All files in `wit/deps` by their path from the root.
fn present(root: &Path) -> Result<Vec<String>> {
    fn walk(root: &Path, folder: &str, found: &mut Vec<String>) -> Result<()> {
        let entries = std::fs::read_dir(root.join(folder)).with_context(|| format!("failed to list `{folder}`"))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("failed to list `{folder}`"))?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                bail!("`{folder}` has a file whose name is not UTF-8");
            };
            let path = format!("{folder}/{name}");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(root, &path, found)?;
            } else {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    if root.join(DEPS).is_dir() {
        walk(root, DEPS, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    const GOOD: &str = "interface a {}\n";

    fn manifest(digest: &str) -> String {
        format!(
            "[[source]]\nname = \"a\"\nversion = \"1.0.0\"\npath = \"wit\"\n\
             files = [{{ from = \"a.wit\", to = \"a/a.wit\", sha256 = \"{digest}\" }}]\n"
        )
    }

    #[test]
    fn files_that_equal_their_digests_are_no_finding() {
        let made = made::tree(&[(MANIFEST, &manifest(&digest(GOOD.as_bytes()))), ("wit/deps/a/a.wit", GOOD)]);
        assert_eq!(drift(made.tree.root()).unwrap(), []);
    }

    #[test]
    fn a_changed_file_and_an_extra_file_are_both_found() {
        let made = made::tree(&[
            (MANIFEST, &manifest(&digest(GOOD.as_bytes()))),
            ("wit/deps/a/a.wit", "interface b {}\n"),
            ("wit/deps/b/b.wit", GOOD),
        ]);
        let findings = drift(made.tree.root()).unwrap();
        let messages: Vec<_> =
            findings.iter().map(|finding| (finding.path.as_str(), finding.message.as_str())).collect();
        assert_eq!(
            messages,
            [
                ("wit/deps/a/a.wit", "is not what a 1.0.0 has"),
                ("wit/deps/b/b.wit", "is in no entry of `wit/deps.toml`"),
            ]
        );
    }

    #[test]
    fn a_missing_file_and_a_missing_digest_are_found() {
        let text = manifest("0").replace(", sha256 = \"0\"", "");
        let made = made::tree(&[(MANIFEST, &text), ("wit/deps/a/a.wit", GOOD)]);
        assert_eq!(drift(made.tree.root()).unwrap()[0].message, "has no digest for `a/a.wit`");
        let made = made::tree(&[(MANIFEST, &manifest(&digest(GOOD.as_bytes())))]);
        assert!(drift(made.tree.root()).unwrap()[0].message.starts_with("is not readable"));
    }
}
