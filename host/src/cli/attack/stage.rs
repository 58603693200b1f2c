//! What the self-test prepares: a folder of its own, gone at the end, with a directory to grant and a secret beside it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

/// The contents of the one file in the directory that is granted.
const INSIDE: &str = "inside\n";

/// The folder of one self-test.
pub(super) struct Stage {
    folder: PathBuf,
    /// A word that no guest may learn: it is in the file beside the directory, in the folder's name, which is among the
    /// arguments of each process, and in its environment.
    pub(super) canary: String,
}

impl Stage {
    /// Makes the folder, readable for nobody else, with a copy of the policy, so that each attack runs under the same.
    pub(super) fn build(policy: &str) -> io::Result<Self> {
        let canary = format!("{:032x}", rand::random::<u128>());
        let folder = std::env::temp_dir().join(format!("host-attack-{canary}"));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let stage = Self { folder, canary };
        fs::write(stage.policy(), policy)?;
        fs::write(stage.folder.join("outside.txt"), &stage.canary)?;
        Ok(stage)
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The copy of the policy.
    pub(super) fn policy(&self) -> PathBuf {
        self.folder.join("policy.toml")
    }

    /// A directory to grant to one attack.
    pub(super) fn directory(&self, name: &str) -> io::Result<Directory> {
        let path = self.folder.join(format!("{name}.directory"));
        fs::create_dir(&path)?;
        fs::write(path.join("inside.txt"), INSIDE)?;
        symlink("../outside.txt", path.join("link"))?;
        Ok(Directory(path))
    }
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
