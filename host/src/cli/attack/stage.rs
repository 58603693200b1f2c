//! What the self-test prepares: a folder of its own, gone at the end, with a directory to grant and a secret beside it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use host::attack::{QUOTA_BYTES, QUOTA_FILES};
use host::policy::Policy;

/// The contents of the one file in the directory that is granted.
const INSIDE: &str = "inside\n";

/// The folder of one self-test.
pub(super) struct Stage {
    folder: PathBuf,
    /// A word that no guest may learn: it is in the file beside the directory, in the folder's name, which is among the
    /// arguments of each process, and in its environment.
    pub(super) canary: String,
    policy: String,
}

impl Stage {
    /// Makes the folder, readable for nobody else, and keeps the policy, so that each attack runs under the same.
    pub(super) fn build(policy: &str) -> io::Result<Self> {
        let canary = format!("{:032x}", rand::random::<u128>());
        let folder = std::env::temp_dir().join(format!("host-attack-{canary}"));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let stage = Self { folder, canary, policy: policy.to_owned() };
        fs::write(stage.folder.join("outside.txt"), &stage.canary)?;
        Ok(stage)
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a copy of the policy, with what is granted to one attack alone.
    pub(super) fn policy(&self, name: &str, granted: &str) -> Result<PathBuf, String> {
        let text = with(&self.policy, granted).map_err(|error| error.to_string())?;
        let path = self.folder.join(format!("{name}.policy.toml"));
        fs::write(&path, text).map_err(|error| error.to_string())?;
        Ok(path)
    }

    /// A directory to grant to one attack.
    pub(super) fn directory(&self, name: &str) -> io::Result<Directory> {
        let path = self.folder.join(format!("{name}.directory"));
        fs::create_dir(&path)?;
        fs::write(path.join("inside.txt"), INSIDE)?;
        symlink("../outside.txt", path.join("link"))?;
        Ok(Directory(path))
    }

    /// An empty directory for one attack to write to.
    pub(super) fn writable(&self, name: &str) -> io::Result<Writable> {
        let path = self.folder.join(format!("{name}.writable"));
        fs::create_dir(&path)?;
        Ok(Writable(path))
    }

    /// Whether a directory of the policy has this folder in it, so that nothing in it can have a quota of its own.
    pub(super) fn lies_in(&self, policy: &Policy) -> bool {
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        let mut granted = policy.grants.dir.iter().filter_map(|grant| grant.host.canonicalize().ok());
        granted.any(|host| folder.starts_with(host))
    }
}

/// A policy's text, with more of its lists.
fn with(policy: &str, granted: &str) -> Result<String, toml::de::Error> {
    if granted.is_empty() {
        return Ok(policy.to_owned());
    }
    let (mut policy, granted): (toml::Table, toml::Table) = (policy.parse()?, granted.parse()?);
    for (key, more) in granted {
        match (policy.get_mut(&key), more) {
            (Some(toml::Value::Array(list)), toml::Value::Array(more)) => list.extend(more),
            (_, more) => drop(policy.insert(key, more)),
        }
    }
    Ok(policy.to_string())
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What can't be removed is in the folder for temporary files, and there is nobody to tell.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A directory that is granted to one attack, read-only.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    /// Whether it is no longer what it was.
    pub(super) fn changed(&self) -> bool {
        let inside = fs::read_to_string(self.0.join("inside.txt"));
        let entries = fs::read_dir(&self.0).map(Iterator::count);
        !(inside.is_ok_and(|text| text == INSIDE) && entries.is_ok_and(|count| count == 2))
    }
}

/// A directory that is granted to one attack, with a quota.
pub(super) struct Writable(PathBuf);

impl Writable {
    /// Whether there is more in it than the quota allows, as the operating system says.
    pub(super) fn overfull(&self) -> bool {
        let (mut bytes, mut files) = (0_u64, 0_u64);
        let mut seen = HashSet::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                files = files.saturating_add(1);
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else if seen.insert(metadata.ino()) {
                    bytes = bytes.saturating_add(metadata.len());
                }
            }
        }
        bytes > QUOTA_BYTES || files > QUOTA_FILES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_overfull_at_one_byte_and_at_one_name_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Writable(folder.path().to_owned());
        let file = |n: u64| folder.path().join(n.to_string());
        fs::File::create(file(0)).unwrap().set_len(QUOTA_BYTES).unwrap();
        fs::hard_link(file(0), file(1)).unwrap();
        fs::create_dir(file(2)).unwrap();
        (3..QUOTA_FILES).for_each(|n| fs::write(file(2).join(n.to_string()), "").unwrap());
        assert!(!directory.overfull());
        fs::write(file(QUOTA_FILES), "").unwrap();
        assert!(directory.overfull());
        fs::remove_file(file(QUOTA_FILES)).unwrap();
        fs::write(file(2).join("3"), "x").unwrap();
        assert!(directory.overfull());
    }

    #[test]
    fn a_grant_is_added_however_the_policy_writes_its_list() {
        let granted = "http = [{ allow = 'http://127.0.0.1:1' }]";
        for policy in [
            "",
            "http = [{ allow = 'http://a.example' }]",
            "[limits]\ncpu = '1s'\n[[http]]\nallow = 'http://b.example'",
        ] {
            let (before, after) =
                (Policy::parse(policy).unwrap(), Policy::parse(&with(policy, granted).unwrap()).unwrap());
            assert_eq!(after.grants.http.len(), before.grants.http.len() + 1, "{policy}");
            assert_eq!(after.limits, before.limits);
        }
    }
}
