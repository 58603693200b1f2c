//! `wit/deps.toml`: which file in `wit/deps` comes from which crate.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fmt::Write as _;
use std::path::{Component, Path};

/// What stands above the entries. The file is written anew with the digests, so only this comment survives.
const HEADER: &str = "\
# Where each file in wit/deps/ comes from: a folder inside a crate that cargo can fetch.
# `cargo xtask wit` copies them anew and writes this file with their digests; to take another version or file, change
# the entry and run it. `cargo xtask wit --check` reports drift, without any network.
";

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    #[serde(rename = "source")]
    pub(super) sources: Vec<Source>,
}

/// One crate and what is taken from it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// The name of the crate.
    pub(super) name: String,
    /// Its exact version.
    pub(super) version: String,
    /// The folder inside the crate.
    pub(super) path: String,
    /// The files taken.
    pub(super) files: Vec<File>,
}

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Its path below [`Source::path`].
    pub(super) from: String,
    /// Its path below `wit/deps`.
    pub(super) to: String,
    /// The SHA-256 of its bytes in hexadecimal; absent in a new entry, until `cargo xtask wit` has fetched it.
    pub(super) sha256: Option<String>,
}

impl Manifest {
    /// Reads the manifest. No entry can name a file outside the crate or outside `wit/deps`.
    pub(super) fn load(path: &Path) -> Result<Manifest> {
        let text = std::fs::read_to_string(path).with_context(|| format!("failed to read `{}`", path.display()))?;
        Manifest::parse(&text).with_context(|| format!("failed to read `{}`", path.display()))
    }

    fn parse(text: &str) -> Result<Manifest> {
        let manifest: Manifest = toml::from_str(text)?;
        for (source, file) in manifest.files() {
            for path in [&source.path, &file.from, &file.to] {
                if path.is_empty() || !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
                    bail!(
                        "`{path}` is not a plain relative path\nhint: write it without `..` and without a leading `/`"
                    );
                }
            }
        }
        Ok(manifest)
    }

    /// Every file with the crate that it comes from.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Source, &File)> {
        self.sources.iter().flat_map(|source| source.files.iter().map(move |file| (source, file)))
    }

    /// Writes the manifest.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.text()?).with_context(|| format!("failed to write `{}`", path.display()))
    }

    fn text(&self) -> Result<String> {
        let mut text = HEADER.to_owned();
        for Source { name, version, path, files } in &self.sources {
            writeln!(text, "\n[[source]]\nname = {name:?}\nversion = {version:?}\npath = {path:?}\nfiles = [")?;
            for File { from, to, sha256 } in files {
                let digest = sha256.as_ref().map(|digest| format!(", sha256 = {digest:?}")).unwrap_or_default();
                writeln!(text, "    {{ from = {from:?}, to = {to:?}{digest} }},")?;
            }
            writeln!(text, "]")?;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[[source]]\nname = \"a\"\nversion = \"1.0.0\"\npath = \"wit\"\n\
                        files = [{ from = \"a.wit\", to = \"a/a.wit\", sha256 = \"00\" }, { from = \"b\", to = \"b\" }]\n";

    #[test]
    fn what_is_written_reads_the_same() {
        let text = Manifest::parse(TEXT).unwrap().text().unwrap();
        assert_eq!(Manifest::parse(&text).unwrap().text().unwrap(), text);
        assert!(text.contains("{ from = \"a.wit\", to = \"a/a.wit\", sha256 = \"00\" },"), "{text}");
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let error = Manifest::parse(&TEXT.replace("path", "folder")).unwrap_err();
        assert!(error.to_string().contains("unknown field `folder`"), "{error}");
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_an_error() {
        for path in ["../a.wit", "/a.wit", ""] {
            let error = Manifest::parse(&TEXT.replace("a/a.wit", path)).unwrap_err();
            assert!(error.to_string().contains("is not a plain relative path"), "{error}");
        }
    }
}
