//! The repository as a list of text files.
//!
//! Checks work on this list and not on the disk, so that a file that git ignores is never judged, and so that a test
//! can hand them a small tree of its own.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository, absolute.
pub(crate) fn root() -> Result<PathBuf> {
    // Set by `cargo run`; the folder in which xtask was built is only for somebody who starts the program directly.
    let xtask = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let root = Path::new(&xtask).parent().context("the xtask package has no parent folder")?;
    Ok(root.to_owned())
}

/// Text files by their path relative to the root, with `/` between the parts.
pub(crate) struct Tree {
    root: PathBuf,
    files: BTreeMap<String, String>,
}

impl Tree {
    /// All files that git tracks or would track, without those that are not text.
    pub(crate) fn tracked(root: &Path) -> Result<Tree> {
        let output = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(root)
            .output()
            .context("failed to start `git`\nhint: install git, which lists the files to check")?;
        if !output.status.success() {
            bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let names = String::from_utf8(output.stdout).context("git named a file whose name is not UTF-8")?;
        Ok(Tree::of(root, names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned)))
    }

    /// The files `names` below `root`. One that is gone, is no regular file or is not text is left out.
    pub(crate) fn of(root: &Path, names: impl IntoIterator<Item = String>) -> Tree {
        let mut files = BTreeMap::new();
        for name in names {
            let path = root.join(&name);
            let regular = path.symlink_metadata().is_ok_and(|data| data.is_file());
            if regular
                && let Ok(bytes) = std::fs::read(&path)
                && !bytes.contains(&0)
                && let Ok(text) = String::from_utf8(bytes)
            {
                files.insert(name, text);
            }
        }
        Tree { root: root.to_owned(), files }
    }

    /// The root of the repository.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// All files in the order of their paths.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files below the folder `folder`, which ends with `/`.
    pub(crate) fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.starts_with(folder))
    }
}

/// A small tree in a temporary folder for the tests of the rules.
#[cfg(test)]
pub(crate) mod made {
    use super::Tree;

    /// A [`Tree`] whose folder lives as long as this value.
    pub(crate) struct Made {
        pub(crate) tree: Tree,
        _folder: tempfile::TempDir,
    }

    /// Writes `files` as path and text into a fresh folder.
    pub(crate) fn tree(files: &[(&str, &str)]) -> Made {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tree = Tree::of(folder.path(), files.iter().map(|(path, _)| (*path).to_owned()));
        Made { tree, _folder: folder }
    }
}
