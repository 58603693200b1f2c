//! Releases of the contract: folders that are written once and only read afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::compare::Contract;
use super::rule::Version;

/// Where releases are kept.
const RELEASED: &str = "tests/contract/released";
/// What says which guests a release keeps.
const GUESTS: &str = "tests/contract/release.toml";
/// The most that the guests of one release may have in bytes: they stay in the repository for ever.
const MAX_BYTES: usize = 1 << 20;

/// A release that was kept.
pub(super) struct Release {
    pub(super) version: String,
    folder: PathBuf,
    pub(super) file: File,
}

/// The file `release.toml`, in the folder of a release and beside it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Whether today's host still has to run its guests.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub(super) supported: bool,
    #[serde(default, rename = "guest")]
    pub(super) guests: Vec<Guest>,
    /// The digest of each file, so that nobody changes the past.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sha256: BTreeMap<String, String>,
}

/// One guest of a release.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Guest {
    /// Its path below `target/guests`, and below `guests` of the release.
    pub(super) file: String,
    pub(super) world: String,
    /// Files of cases: below `tests/contract`, and below `cases` of the release.
    #[serde(default)]
    pub(super) cases: Vec<String>,
    /// Runs of it, for what cases can't say: they give no real interface to a guest whose imports have resources.
    #[serde(default, rename = "run", skip_serializing_if = "Vec::is_empty")]
    pub(super) runs: Vec<Run>,
}

/// One run with `host run`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    /// Flags of `host run`.
    #[serde(default)]
    pub(super) flags: Vec<String>,
    /// Standard input.
    #[serde(default)]
    pub(super) input: String,
    /// What standard output and standard error have in them, one after the other.
    pub(super) prints: Vec<String>,
    /// The exit status.
    #[serde(default)]
    pub(super) status: i32,
}

fn yes() -> bool {
    true
}

impl Release {
    /// All releases, the oldest first. One that was changed since it was kept is an error.
    pub(super) fn all(root: &Path) -> Result<Vec<Self>> {
        let folder = root.join(RELEASED);
        let mut releases = Vec::new();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(releases),
            Err(error) => return Err(error).with_context(|| format!("failed to list `{RELEASED}`")),
        };
        for entry in entries {
            let folder = entry.with_context(|| format!("failed to list `{RELEASED}`"))?.path();
            let version = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let place = folder.join("release.toml");
            let text =
                std::fs::read_to_string(&place).with_context(|| format!("failed to read `{}`", place.display()))?;
            let file: File =
                toml::from_str(&text).with_context(|| format!("failed to understand `{}`", place.display()))?;
            let release = Self { version, folder, file };
            release.unchanged()?;
            releases.push(release);
        }
        releases.sort_by_key(|release| Version::parse(&release.version).map(|version| version.key()));
        Ok(releases)
    }

    pub(super) fn wit(&self) -> PathBuf {
        self.folder.join("wit")
    }

    pub(super) fn guest(&self, guest: &Guest) -> PathBuf {
        self.folder.join("guests").join(&guest.file)
    }

    pub(super) fn cases(&self, guest: &Guest) -> Vec<PathBuf> {
        guest.cases.iter().map(|file| self.folder.join("cases").join(file)).collect()
    }

    pub(super) fn shown(&self) -> String {
        format!("{RELEASED}/{}", self.version)
    }

    fn unchanged(&self) -> Result<()> {
        let now = digests(&self.folder)?;
        let changed: Vec<&str> = now
            .iter()
            .filter(|(path, digest)| self.file.sha256.get(*path) != Some(digest))
            .map(|(path, _)| path.as_str())
            .chain(self.file.sha256.keys().filter(|path| !now.contains_key(*path)).map(String::as_str))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        bail!(
            "`{}` is not what was released: {}\nhint: a release is never changed; `git checkout {}` puts it back",
            self.shown(),
            changed.join(", "),
            self.shown()
        )
    }
}

/// Keeps today's contract as a release.
pub(super) fn take(root: &Path) -> Result<Release> {
    let version = Contract::read(&root.join("wit"))?.version.to_string();
    let folder = root.join(RELEASED).join(&version);
    if folder.exists() {
        bail!("{version} is released already\nhint: raise the version of the package in wit/world.wit");
    }
    let text = std::fs::read_to_string(root.join(GUESTS)).with_context(|| format!("failed to read `{GUESTS}`"))?;
    let mut file: File = toml::from_str(&text).with_context(|| format!("failed to understand `{GUESTS}`"))?;
    let mut files = BTreeMap::new();
    for (path, place) in below(&root.join("wit"))? {
        if path.ends_with(".wit") {
            files.insert(format!("wit/{path}"), place);
        }
    }
    let mut bytes = 0;
    for guest in &file.guests {
        let place = root.join("target/guests").join(&guest.file);
        bytes += std::fs::metadata(&place).with_context(|| format!("failed to read `{}`", place.display()))?.len();
        files.insert(format!("guests/{}", guest.file), place);
        for cases in &guest.cases {
            files.insert(format!("cases/{cases}"), root.join("tests/contract").join(cases));
        }
    }
    if bytes > MAX_BYTES as u64 {
        bail!("the guests have {bytes} bytes together, and {MAX_BYTES} is the most that is kept for ever");
    }
    // Everything is read before anything is written, and the folder appears whole.
    let beside = root.join(RELEASED).join(format!(".{version}.new"));
    for (path, place) in files {
        let contents = std::fs::read(&place).with_context(|| format!("failed to read `{}`", place.display()))?;
        let to = beside.join(&path);
        let parent = to.parent().context("a file of a release has no folder")?;
        std::fs::create_dir_all(parent).with_context(|| format!("failed to make `{}`", parent.display()))?;
        std::fs::write(&to, contents).with_context(|| format!("failed to write `{}`", to.display()))?;
    }
    file.sha256 = digests(&beside)?;
    let text = toml::to_string(&file).context("failed to write what is in the release")?;
    std::fs::write(beside.join("release.toml"), text).context("failed to write `release.toml`")?;
    std::fs::rename(&beside, &folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    Ok(Release { version, folder, file })
}

/// The digests of all files of a release but the one that has them.
fn digests(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for (path, place) in below(folder)? {
        if path != "release.toml" {
            let bytes = std::fs::read(&place).with_context(|| format!("failed to read `{}`", place.display()))?;
            let digest = Sha256::digest(&bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            digests.insert(path, digest);
        }
    }
    Ok(digests)
}

/// All files below a folder by their path from there.
fn below(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).with_context(|| format!("failed to list `{}`", next.display()))? {
            let path = entry.with_context(|| format!("failed to list `{}`", next.display()))?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                found.insert(name, path);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    const RELEASE: &str = "[[guest]]\nfile = \"rust/a.wasm\"\nworld = \"w\"\ncases = [\"a.toml\"]\n";

    #[test]
    fn a_release_is_kept_once_and_never_changed() {
        let made = made::tree(&[
            ("wit/a.wit", "package a:b@0.1.0;\nworld w {}\n"),
            ("wit/deps.toml", ""),
            ("tests/contract/a.toml", "cases"),
            (GUESTS, RELEASE),
            ("target/guests/rust/a.wasm", "wasm"),
        ]);
        let root = made.tree.root();
        assert_eq!(Release::all(root).unwrap().len(), 0);
        let release = take(root).unwrap();
        assert_eq!((&*release.version, release.file.sha256.len()), ("0.1.0", 3));
        assert!(take(root).err().unwrap().to_string().contains("0.1.0 is released already"));
        let all = Release::all(root).unwrap();
        assert!(all[0].file.supported && all[0].guest(&all[0].file.guests[0]).is_file());
        for (path, text) in
            [("wit/a.wit", Some("package a:b@0.1.0;\n")), ("wit/b.wit", Some("")), ("cases/a.toml", None)]
        {
            let place = root.join(RELEASED).join("0.1.0").join(path);
            let before = std::fs::read(&place).ok();
            match text {
                Some(text) => std::fs::write(&place, text).unwrap(),
                None => std::fs::remove_file(&place).unwrap(),
            }
            let error = Release::all(root).err().unwrap().to_string();
            assert!(error.contains(&format!("is not what was released: {path}")), "{error}");
            match before {
                Some(bytes) => std::fs::write(&place, bytes).unwrap(),
                None => std::fs::remove_file(&place).unwrap(),
            }
        }
        assert_eq!(Release::all(root).unwrap().len(), 1);
    }

    #[test]
    fn guests_that_are_too_big_to_keep_are_refused() {
        for (bytes, fits) in [(MAX_BYTES, true), (MAX_BYTES + 1, false)] {
            let made = made::tree(&[
                ("wit/a.wit", "package a:b@0.1.0;\nworld w {}\n"),
                ("tests/contract/a.toml", "cases"),
                (GUESTS, RELEASE),
                ("target/guests/rust/a.wasm", &"x".repeat(bytes)),
            ]);
            assert_eq!(take(made.tree.root()).is_ok(), fits, "{bytes}");
        }
    }
}
