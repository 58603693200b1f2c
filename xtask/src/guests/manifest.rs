//! `target/guests/manifest.json`: what was built, of what, with what. It decides what is fresh, and tells tests and
//! reports about the guests without opening them.
//!
//! Files appear whole or not at all: each is written beside its place and renamed into it, and the manifest names a
//! guest only after the guest's file is in place. One build at a time works on the folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};

use super::component::{Facts, Made};
use super::source::{Guest, sha256};

/// Raised when an entry's fields change their meaning, so that an old file counts as none.
const FORMAT: u32 = 1;

/// The whole file. Guests are keyed by their path relative to `target/guests`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    guests: BTreeMap<String, Entry>,
}

/// What is known about one guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The language as on the command line.
    pub(super) language: String,
    pub(super) guest: String,
    /// `component`, `module` (a core module, for the host to adapt) or `text` (text form, for the host to parse).
    pub(super) kind: String,
    /// The world that the guest was made for.
    pub(super) world: String,
    /// The tools that made it, with their versions.
    pub(super) tools: BTreeMap<String, String>,
    /// The digest of the folder `wit/` at the time.
    pub(super) wit: String,
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    /// In bytes.
    pub(super) size: u64,
    /// The digest of the file.
    pub(super) sha256: String,
    /// The digest of everything that went into it.
    pub(super) inputs: String,
    /// How long the tools took.
    pub(super) seconds: f64,
}

impl Manifest {
    /// Reads the manifest. One that is missing or that makes no sense counts as empty: everything is then built anew.
    pub(super) fn load(out: &Path) -> Self {
        std::fs::read(out.join("manifest.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .filter(|manifest| manifest.format == FORMAT)
            .unwrap_or(Self { format: FORMAT, guests: BTreeMap::new() })
    }

    pub(super) fn entry(&self, output: &str) -> Option<&Entry> {
        self.guests.get(output)
    }

    /// Whether the guest was built of the same inputs, and its file is still what was built.
    pub(super) fn is_fresh(&self, out: &Path, guest: &Guest) -> bool {
        self.guests.get(&guest.output).is_some_and(|entry| {
            entry.inputs == guest.inputs
                && std::fs::read(out.join(&guest.output)).is_ok_and(|bytes| sha256(&bytes) == entry.sha256)
        })
    }

    /// Puts a guest's file in place and writes the manifest. Says whether the file is another one than before.
    pub(super) fn store(&mut self, out: &Path, guest: &Guest, facts: Facts, made: &Made, seconds: f64) -> Result<bool> {
        let entry = Entry {
            language: guest.language.name().to_owned(),
            guest: guest.name.clone(),
            kind: facts.kind.to_owned(),
            world: guest.world.clone(),
            tools: made.tools.iter().cloned().collect(),
            wit: guest.wit.clone(),
            imports: facts.imports,
            exports: facts.exports,
            size: made.bytes.len() as u64,
            sha256: sha256(&made.bytes),
            inputs: guest.inputs.clone(),
            seconds: (seconds * 10.0).round() / 10.0,
        };
        let file = out.join(&guest.output);
        let changed = !std::fs::read(&file).is_ok_and(|bytes| sha256(&bytes) == entry.sha256);
        if changed {
            write(&file, &made.bytes)?;
        }
        self.guests.insert(guest.output.clone(), entry);
        self.save(out)?;
        Ok(changed)
    }

    /// Removes what no guest makes any more, so that no test finds yesterday's guest.
    pub(super) fn forget_all_but(&mut self, out: &Path, guests: &[Guest]) -> Result<()> {
        let gone: Vec<String> =
            self.guests.keys().filter(|output| !guests.iter().any(|guest| guest.output == **output)).cloned().collect();
        for output in gone {
            self.guests.remove(&output);
            self.save(out)?;
            match std::fs::remove_file(out.join(&output)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("failed to remove `{output}`, which no guest makes"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn save(&self, out: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        write(&out.join("manifest.json"), text.as_bytes())
    }
}

/// Takes the folder for this build; a second build waits. The lock ends with the process, however it ends.
pub(super) fn lock(out: &Path) -> Result<File> {
    std::fs::create_dir_all(out).map_err(|error| not_writable(out, &error))?;
    let path = out.join(".lock");
    let file = File::create(&path).map_err(|error| not_writable(&path, &error))?;
    if file.try_lock().is_err() {
        crate::term::say("waiting for another build of the guests");
        file.lock().with_context(|| format!("failed to lock `{}`", path.display()))?;
    }
    Ok(file)
}

/// Writes a file so that nobody ever sees half of it.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let work = || -> std::io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut beside = file.as_os_str().to_owned();
        beside.push(".new");
        std::fs::write(&beside, bytes)?;
        std::fs::rename(&beside, file)
    };
    work().map_err(|error| not_writable(file, &error))
}

fn not_writable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow!(
        "failed to write `{}`: {error}\nhint: guests are built into the folder `target` of the repository, which must \
         be writable and have room",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::Language;

    fn guest(inputs: &str) -> Guest {
        Guest {
            language: Language::C,
            name: "redact".to_owned(),
            folder: "guests/c/redact".into(),
            output: "c/redact.wasm".to_owned(),
            world: "sandbox-pure".to_owned(),
            inputs: inputs.to_owned(),
            wit: "wit".to_owned(),
            cargo: None,
        }
    }

    fn stored(out: &Path) -> Manifest {
        let mut manifest = Manifest::load(out);
        let facts = Facts { kind: "component", imports: Vec::new(), exports: Vec::new() };
        let made = Made::new(b"\0asm".to_vec(), &[("zig", "1.0.0")]);
        assert!(manifest.store(out, &guest("one"), facts, &made, 1.0).unwrap());
        manifest
    }

    #[test]
    fn a_guest_is_fresh_until_its_inputs_or_its_file_change() {
        let out = tempfile::tempdir().unwrap();
        stored(out.path());
        let manifest = Manifest::load(out.path());
        assert!(manifest.is_fresh(out.path(), &guest("one")));
        assert!(!manifest.is_fresh(out.path(), &guest("two")));
        std::fs::write(out.path().join("c/redact.wasm"), b"\0as").unwrap();
        assert!(!manifest.is_fresh(out.path(), &guest("one")));
        std::fs::remove_file(out.path().join("c/redact.wasm")).unwrap();
        assert!(!manifest.is_fresh(out.path(), &guest("one")));
    }

    #[test]
    fn a_broken_or_older_manifest_counts_as_none() {
        let out = tempfile::tempdir().unwrap();
        for text in ["", "{", r#"{"format": 0, "guests": {}}"#] {
            std::fs::remove_dir_all(out.path()).unwrap();
            stored(out.path());
            std::fs::write(out.path().join("manifest.json"), text).unwrap();
            assert!(!Manifest::load(out.path()).is_fresh(out.path(), &guest("one")), "{text}");
        }
    }

    #[test]
    fn the_same_bytes_are_not_written_again() {
        let out = tempfile::tempdir().unwrap();
        let mut manifest = stored(out.path());
        let facts = Facts { kind: "component", imports: Vec::new(), exports: Vec::new() };
        let made = Made::new(b"\0asm".to_vec(), &[]);
        assert!(!manifest.store(out.path(), &guest("two"), facts, &made, 1.0).unwrap());
        assert!(Manifest::load(out.path()).is_fresh(out.path(), &guest("two")));
    }

    #[test]
    fn what_no_guest_makes_any_more_is_removed() {
        let out = tempfile::tempdir().unwrap();
        let mut manifest = stored(out.path());
        manifest.forget_all_but(out.path(), &[]).unwrap();
        assert!(!out.path().join("c/redact.wasm").exists());
        assert!(Manifest::load(out.path()).entry("c/redact.wasm").is_none());
    }
}
