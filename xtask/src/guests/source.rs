//! Which guests there are, and the digest of everything that goes into one.
//!
//! The digest covers the guest's own files, our WIT, what its language adds (pins, the stub adapter), the crates that
//! encode components, and the code here that calls the tools. So a changed flag in the xtask builds the guest again,
//! and a touched file that reads the same does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Language, Workshop, c, cpp, go, javascript, python, rust, typescript, zig};

/// One guest in one language.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) language: Language,
    pub(super) name: String,
    /// The folder with its sources.
    pub(super) folder: PathBuf,
    /// Where it goes, relative to `target/guests`.
    pub(super) output: String,
    /// The world that it is made for; empty where the file says it itself, such as a probe in text form.
    pub(super) world: String,
    /// The digest of everything that goes into it.
    pub(super) inputs: String,
    /// The digest of our WIT.
    pub(super) wit: String,
    /// What cargo needs to know; none in other languages.
    pub(super) cargo: Option<rust::Unit>,
}

/// The file `guest.toml` beside a guest's sources.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuestFile {
    /// The world that the guest is made for.
    world: String,
    /// The ways to build guests from this folder that can't build this one; `guests/languages.toml` says why.
    #[serde(default)]
    not: Vec<String>,
}

impl Guest {
    /// How the guest is called in messages.
    pub(super) fn id(&self) -> String {
        self.output.rsplit_once('.').map_or(&*self.output, |(stem, _)| stem).to_owned()
    }
}

/// The guests of one language, sorted by name.
pub(super) fn discover(shop: &Workshop, language: Language) -> Result<Vec<Guest>> {
    if language == Language::Rust {
        return rust::discover(shop);
    }
    let folder = shop.root.join("guests").join(language.folder());
    let mut guests = Vec::new();
    for folder in folders(&folder)? {
        let file = folder.join("guest.toml");
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("failed to read `{}`", file.display())),
        };
        let GuestFile { world, not } =
            toml::from_str(&text).with_context(|| format!("failed to understand `{}`", file.display()))?;
        if not.iter().any(|name| name == language.name()) {
            continue;
        }
        let name = folder.file_name().context("a guest's folder has no name")?.to_string_lossy().into_owned();
        let mut inputs = Inputs::new(shop, language)?;
        inputs.text("world", &world);
        inputs.folder(&folder)?;
        guests.push(Guest {
            language,
            output: format!("{}/{name}.wasm", language.name()),
            name,
            folder,
            world,
            inputs: inputs.digest(),
            wit: shop.wit_digest.clone(),
            cargo: None,
        });
    }
    Ok(guests)
}

/// The digest of what goes into a guest, while it is gathered.
pub(super) struct Inputs(Sha256);

impl Inputs {
    /// Starts with nothing.
    pub(super) fn empty() -> Self {
        Self(Sha256::new())
    }

    /// Starts with what is common to all guests of a language.
    pub(super) fn new(shop: &Workshop, language: Language) -> Result<Self> {
        let mut inputs = Self::empty();
        inputs.text("language", language.name());
        inputs.text("shared recipe", concat!(include_str!("component.rs"), include_str!("bindings.rs")));
        let recipe = match language {
            Language::Rust => rust::RECIPE,
            Language::C => c::RECIPE,
            Language::Cpp => cpp::RECIPE,
            Language::Zig => zig::RECIPE,
            Language::Go => go::RECIPE,
            Language::Js | Language::JsQuickjs => javascript::RECIPE,
            Language::Ts => typescript::RECIPE,
            Language::Python => python::RECIPE,
        };
        inputs.text("recipe", recipe);
        for (name, version) in &shop.encoders {
            inputs.text(name, version);
        }
        inputs.text("tools", &shop.tools.pins.of(language));
        inputs.text("wit", &shop.wit_digest);
        match language {
            Language::C | Language::Cpp | Language::Zig | Language::Go => {
                inputs.folder(&shop.root.join("guests/adapter"))?;
            }
            Language::Js | Language::JsQuickjs | Language::Ts => {
                for name in ["package.json", "package-lock.json"] {
                    let file = shop.root.join("guests/js").join(name);
                    inputs.bytes(name, &read(&file)?);
                }
            }
            Language::Rust | Language::Python => {}
        }
        Ok(inputs)
    }

    /// Adds a text under a label.
    pub(super) fn text(&mut self, label: &str, text: &str) {
        self.bytes(label, text.as_bytes());
    }

    /// Adds every file below a folder, by its path and its contents.
    pub(super) fn folder(&mut self, folder: &Path) -> Result<()> {
        for (path, file) in files(folder)? {
            self.bytes(&path, &read(&file)?);
        }
        Ok(())
    }

    pub(super) fn digest(self) -> String {
        hex(&self.0.finalize())
    }

    /// Lengths go in too, so that no two different sets of inputs run together into the same bytes.
    fn bytes(&mut self, label: &str, bytes: &[u8]) {
        self.0.update((label.len() as u64).to_le_bytes());
        self.0.update(label);
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// The files below a folder by their relative path. What builds and editors leave behind is left out.
pub(super) fn files(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), folder.to_owned())];
    while let Some((prefix, folder)) = open.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("failed to read `{}`", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("failed to read `{}`", folder.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name.ends_with('~') || LEFT_BEHIND.contains(&&*name) {
                continue;
            }
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if entry.path().is_dir() {
                open.push((path, entry.path()));
            } else {
                found.insert(path, entry.path());
            }
        }
    }
    Ok(found)
}

/// Folders that tools make beside sources.
const LEFT_BEHIND: [&str; 4] = ["target", "node_modules", "__pycache__", "zig-out"];

/// The digest of some bytes as lower-case hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Reads a file, and says which one if it can't.
pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("failed to read `{}`", file.display()))
}

/// The version of a package in a `Cargo.lock`, as another package depends on it: there may be several versions.
pub(super) fn locked_version(lock: &str, dependent: &str, package: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
        #[serde(default)]
        dependencies: Vec<String>,
    }
    let lock: Lock = toml::from_str(lock).context("failed to understand `Cargo.lock`")?;
    let dependencies =
        lock.package.iter().filter(|found| found.name == dependent).flat_map(|found| &found.dependencies);
    // A dependency is a name, and where that is not enough to tell, a version after it.
    let mut words = dependencies
        .map(|dependency| dependency.split(' '))
        .filter_map(|mut words| (words.next() == Some(package)).then_some(words.next()));
    let version = words.next().with_context(|| format!("`{dependent}` doesn't depend on `{package}`"))?;
    let mut found = lock.package.iter().filter(|found| found.name == package).map(|found| &*found.version);
    version
        .or_else(|| found.next())
        .map(str::to_owned)
        .with_context(|| format!("`Cargo.lock` has no package `{package}`"))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The folders in a folder, sorted; none if there is no such folder.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("failed to read `{}`", folder.display())),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("failed to read `{}`", folder.display()))?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(entries: &[(&str, &str)]) -> String {
        let mut inputs = Inputs::empty();
        for (label, text) in entries {
            inputs.text(label, text);
        }
        inputs.digest()
    }

    #[test]
    fn different_inputs_have_different_digests() {
        assert_eq!(digest(&[("a", "b")]), digest(&[("a", "b")]));
        assert_ne!(digest(&[("a", "b")]), digest(&[("a", "c")]));
        assert_ne!(digest(&[("a", "bc")]), digest(&[("ab", "c")]));
        assert_ne!(digest(&[("a", "b"), ("c", "")]), digest(&[("a", "b")]));
    }

    #[test]
    fn a_folder_is_its_files_and_not_what_tools_leave_behind() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let digest = || {
            let mut inputs = Inputs::empty();
            inputs.folder(folder.path()).unwrap();
            inputs.digest()
        };
        write("sub/a.c", "int a;");
        let before = digest();
        write("sub/a.c", "int a;");
        write("target/a.o", "");
        write("sub/__pycache__/a.pyc", "");
        write(".hidden", "");
        write("sub/a.c~", "");
        assert_eq!(digest(), before);
        write("sub/a.c", "int b;");
        assert_ne!(digest(), before);
        write("sub/a.c", "int a;");
        write("sub/b.c", "");
        assert_ne!(digest(), before);
    }

    #[test]
    fn a_version_is_the_one_that_the_dependent_has() {
        let lock = "[[package]]\nname = 'a'\nversion = '1.0.0'\n[[package]]\nname = 'b'\nversion = '1.0.0'\n\
                    [[package]]\nname = 'b'\nversion = '2.0.0'\n\
                    [[package]]\nname = 'xtask'\nversion = '0.1.0'\ndependencies = ['a', 'b 2.0.0']\n";
        assert_eq!(locked_version(lock, "xtask", "a").unwrap(), "1.0.0");
        assert_eq!(locked_version(lock, "xtask", "b").unwrap(), "2.0.0");
        assert!(locked_version(lock, "xtask", "c").is_err());
        assert!(locked_version(lock, "a", "b").is_err());
    }
}
