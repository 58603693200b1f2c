//! Fetching the pinned tools, once, into `target/toolchains`.
//!
//! They come through the registries' ordinary clients, so that a person's mirrors and proxies count, and what arrives
//! is held against the pin here, whatever the client checked. A tool is unpacked beside its place and renamed into it
//! as the last step: a folder that is there is whole, and after that neither the client nor the network is needed.
//!
//! Deliberately absent: running anything that a package brings for its own set-up. Wheels are unpacked, and npm is told
//! to ignore scripts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

use super::command::{ToolFailed, Unavailable, clean, run};
use super::pins::{Pins, Wheel};
use super::source::{read, sha256};

pub(super) const PYTHON: &str = "install Python 3.9 or newer with pip (Debian: python3-pip)";
pub(super) const NODE: &str = "install Node.js 20 or newer with npm (Debian: nodejs and npm)";

/// The pinned tools. What could not be had is remembered, so that each guest of a language doesn't try again.
pub(super) struct Tools {
    pub(super) pins: Pins,
    guests: PathBuf,
    folder: PathBuf,
    offline: bool,
    missing: RefCell<BTreeMap<String, Missing>>,
}

/// Why a tool could not be had.
#[derive(Clone)]
enum Missing {
    Unavailable(Unavailable),
    Broken(String),
}

impl Tools {
    pub(super) fn new(root: &Path, offline: bool) -> Result<Self> {
        let guests = root.join("guests");
        let pins = Pins::parse(&String::from_utf8_lossy(&read(&guests.join("toolchains.toml"))?))?;
        Ok(Self { pins, guests, folder: root.join("target/toolchains"), offline, missing: RefCell::default() })
    }

    /// Where tools may keep what is worth keeping between builds, such as a compiled C library.
    pub(super) fn cache(&self, name: &str) -> PathBuf {
        self.folder.join("cache").join(name)
    }

    /// The folder with an unpacked wheel.
    pub(super) fn wheel(&self, name: &str) -> Result<PathBuf> {
        let pin = self.pins.wheel(name)?;
        let hashes: Vec<_> = pin.sha256.values().map(String::as_str).collect();
        let folder = self.place(name, &pin.version, &hashes.concat());
        self.once(name, folder, |folder| {
            crate::term::say(format_args!("fetching {name} {} (once, into target/toolchains)", pin.version));
            self.fetch(folder, |work| fetch_wheel(name, pin, work))
        })
    }

    /// The folder `node_modules` with the tools from npm.
    pub(super) fn node_modules(&self) -> Result<PathBuf> {
        self.check_lock()?;
        let folder = self.place("npm", "tools", &self.pins.npm().lock_sha256);
        let folder = self.once("npm", folder, |folder| {
            crate::term::say("fetching the JavaScript tools from npm (once, into target/toolchains)");
            self.fetch(folder, |work| {
                let tree = work.join("tree");
                std::fs::create_dir_all(&tree)?;
                for name in ["package.json", "package-lock.json"] {
                    std::fs::copy(self.guests.join("js").join(name), tree.join(name))?;
                }
                // Not `npm ci`: it refuses a lock file without the binaries of every platform, which can't be made where a
                // registry doesn't have all of them. So what was installed is checked here.
                let mut npm = Command::new("npm");
                let arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
                run(clean(&mut npm).args(arguments).current_dir(&tree), NODE)
                    .map_err(|error| fetch_failed("npm", error))?;
                let installed = Lock::read(&tree.join("node_modules/.package-lock.json"))?;
                installed.check_against(&Lock::read(&self.guests.join("js/package-lock.json"))?)?;
                Ok(tree)
            })
        })?;
        Ok(folder.join("node_modules"))
    }

    /// The place of a tool: another version or another hash is another place.
    fn place(&self, name: &str, version: &str, hashes: &str) -> PathBuf {
        let digest: String = sha256(hashes.as_bytes()).chars().take(12).collect();
        self.folder.join(format!("{name}-{version}-{digest}"))
    }

    /// The tool's folder, fetched if it is not there; at most one attempt in a run.
    fn once(&self, name: &str, folder: PathBuf, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        if folder.is_dir() {
            return Ok(folder);
        }
        let known = self.missing.borrow().get(name).cloned();
        let missing = match known {
            Some(missing) => missing,
            None if self.offline => Missing::Unavailable(Unavailable::new(
                format!("{name} was not fetched yet"),
                "run once without --offline",
            )),
            None => match fetch(&folder) {
                Ok(()) => return Ok(folder),
                Err(error) => match error.downcast_ref::<Unavailable>() {
                    Some(missing) => Missing::Unavailable(missing.clone()),
                    None => Missing::Broken(format!("{error:#}")),
                },
            },
        };
        self.missing.borrow_mut().insert(name.to_owned(), missing.clone());
        match missing {
            Missing::Unavailable(missing) => Err(missing.into()),
            Missing::Broken(error) => Err(anyhow!("{error}")),
        }
    }

    /// Runs `work` in a folder of its own and renames what it returns into place. Whatever else is left goes away, also
    /// what an earlier run left when it was killed.
    fn fetch(&self, folder: &Path, work: impl FnOnce(&Path) -> Result<PathBuf>) -> Result<()> {
        let place = self.folder.join("unfinished");
        remove(&place)?;
        std::fs::create_dir_all(&place).with_context(|| format!("failed to create `{}`", place.display()))?;
        let result = work(&place).and_then(|tree| {
            std::fs::rename(&tree, folder).with_context(|| format!("failed to rename `{}`", tree.display()))
        });
        remove(&place)?;
        result
    }

    /// Checks that npm's own files pin what `toolchains.toml` says.
    fn check_lock(&self) -> Result<()> {
        let pin = self.pins.npm();
        let file = self.guests.join("js/package-lock.json");
        let found = sha256(&read(&file)?);
        if found != pin.lock_sha256 {
            bail!(
                "`guests/js/package-lock.json` has the SHA-256 `{found}` and `guests/toolchains.toml` pins `{}`\nhint: \
                 after a deliberate update, put the new one there",
                pin.lock_sha256
            );
        }
        let lock = Lock::read(&file)?;
        for (name, version) in &pin.packages {
            let found = lock.packages.get(&format!("node_modules/{name}")).and_then(|package| package.version.clone());
            if found.as_ref() != Some(version) {
                let found = found.as_deref().unwrap_or("nothing");
                bail!("`guests/js/package-lock.json` has `{found}` for `{name}`, and the pin is `{version}`");
            }
        }
        Ok(())
    }
}

/// What we read of npm's lock file, and of its list of what it installed, which is alike.
#[derive(Deserialize)]
struct Lock {
    packages: BTreeMap<String, LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    version: Option<String>,
    /// The digest of the package's file, which npm checks when it fetches the file.
    integrity: Option<String>,
}

impl Lock {
    fn read(file: &Path) -> Result<Self> {
        serde_json::from_slice(&read(file)?).with_context(|| format!("failed to understand `{}`", file.display()))
    }

    /// Checks that nothing was installed but what is pinned, with its hash.
    fn check_against(&self, pinned: &Self) -> Result<()> {
        let wrong: Vec<_> = self
            .packages
            .iter()
            .filter(|(name, package)| {
                let pin = pinned.packages.get(*name);
                package.integrity.is_none() || pin.is_none_or(|pin| pin.integrity != package.integrity)
            })
            .map(|(name, package)| {
                let name = name.trim_start_matches("node_modules/");
                format!("`{name}` {}", package.version.as_deref().unwrap_or("without a version"))
            })
            .collect();
        if !wrong.is_empty() {
            bail!(
                "npm installed what `guests/js/package-lock.json` doesn't pin: {}\nhint: on a platform that the file \
                 doesn't cover yet, run `npm install` in guests/js and pin the new file in guests/toolchains.toml",
                wrong.join(", ")
            );
        }
        Ok(())
    }
}

/// A command that runs a module of Python, without what a person's shell or site adds.
pub(super) fn python() -> Command {
    let mut python = Command::new("python3");
    clean(&mut python).env("PYTHONDONTWRITEBYTECODE", "1").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    python
}

/// Downloads a wheel for this machine, checks it, and unpacks it.
fn fetch_wheel(name: &str, pin: &Wheel, work: &Path) -> Result<PathBuf> {
    if let Err(error) = run(python().args(["-m", "pip", "--version"]), PYTHON) {
        return Err(if error.is::<Unavailable>() {
            error
        } else {
            Unavailable::new("python3 has no pip", PYTHON).into()
        });
    }
    let download = work.join("download");
    let mut pip = python();
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest"]);
    pip.arg(&download).arg(format!("{name}=={}", pin.version));
    run(&mut pip, PYTHON).map_err(|error| fetch_failed("pip", error))?;
    let wheel = std::fs::read_dir(&download)
        .with_context(|| format!("failed to read `{}`", download.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|file| file.extension().is_some_and(|extension| extension == "whl"))
        .context("pip downloaded no wheel")?;
    check_wheel(name, pin, &wheel)?;
    let tree = work.join("tree");
    let mut pip = python();
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target"]);
    run(pip.arg(&tree).arg(&wheel), PYTHON).with_context(|| format!("failed to unpack `{}`", wheel.display()))?;
    Ok(tree)
}

/// Holds a downloaded wheel against its pin. A wrong one is removed.
fn check_wheel(name: &str, pin: &Wheel, wheel: &Path) -> Result<()> {
    let file = wheel.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(expected) = pin.sha256.get(&file) else {
        return Err(Unavailable::new(
            format!("{name} {} is not pinned for this platform (`{file}`)", pin.version),
            "add the file and its SHA-256 to guests/toolchains.toml",
        )
        .into());
    };
    let found = sha256(&read(wheel)?);
    if found != *expected {
        std::fs::remove_file(wheel).with_context(|| format!("failed to remove `{}`", wheel.display()))?;
        bail!(
            "the download of `{file}` has the SHA-256 `{found}` and `{expected}` is pinned; it was removed\nhint: run \
             again; if it happens twice, the registry or a mirror serves another file than the one that was pinned"
        );
    }
    Ok(())
}

/// A client that ran and could not fetch: most often there is no network, so the tool is missing. But a file with
/// another hash than the pinned one, which npm sees before we do, is never a tool that is merely missing.
fn fetch_failed(client: &str, error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<ToolFailed>() {
        Some(failed) if failed.output.contains("EINTEGRITY") => {
            error.context("a download has another hash than the one that is pinned in `guests/js/package-lock.json`")
        }
        Some(_) => {
            Unavailable::new(format!("{client} could not fetch it (see its error above)"), "mend that and run again")
                .into()
        }
        None => error,
    }
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINS: &str = "[wheel.tool]\nversion = '1.0'\nsha256.'tool-1.0-py3-none-any.whl' = \
                        'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'\n[npm]\nlock_sha256 = \
                        'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'\npackages = {}\n";

    fn tools(root: &Path, offline: bool) -> Tools {
        std::fs::create_dir_all(root.join("guests")).unwrap();
        std::fs::write(root.join("guests/toolchains.toml"), PINS).unwrap();
        Tools::new(root, offline).unwrap()
    }

    #[test]
    fn a_wrong_hash_is_an_error_and_the_file_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let tools = tools(root.path(), false);
        let wheel = root.path().join("tool-1.0-py3-none-any.whl");
        let pin = tools.pins.wheel("tool").unwrap();
        std::fs::write(&wheel, "abc").unwrap();
        check_wheel("tool", pin, &wheel).unwrap();
        std::fs::write(&wheel, "abd").unwrap();
        let error = check_wheel("tool", pin, &wheel).unwrap_err().to_string();
        assert!(error.contains("it was removed"), "{error}");
        assert!(!wheel.exists());
    }

    #[test]
    fn a_file_for_a_platform_without_a_pin_is_unavailable() {
        let root = tempfile::tempdir().unwrap();
        let tools = tools(root.path(), false);
        let wheel = root.path().join("tool-1.0-py3-none-other.whl");
        std::fs::write(&wheel, "abc").unwrap();
        let error = check_wheel("tool", tools.pins.wheel("tool").unwrap(), &wheel).unwrap_err();
        assert!(error.is::<Unavailable>(), "{error}");
    }

    #[test]
    fn an_interrupted_fetch_is_never_taken_for_a_finished_one() {
        let root = tempfile::tempdir().unwrap();
        let tools = tools(root.path(), false);
        let place = root.path().join("target/toolchains/tool");
        // What a killed run leaves behind.
        std::fs::create_dir_all(root.path().join("target/toolchains/unfinished/tree/half")).unwrap();
        let error = tools.fetch(&place, |work| {
            std::fs::create_dir_all(work.join("tree"))?;
            bail!("interrupted")
        });
        assert!(error.is_err() && !place.exists());
        let fetched = tools.fetch(&place, |work| {
            assert!(!work.join("tree").exists());
            std::fs::create_dir_all(work.join("tree"))?;
            Ok(work.join("tree"))
        });
        assert!(fetched.is_ok() && place.is_dir());
        assert!(!root.path().join("target/toolchains/unfinished").exists());
    }

    #[test]
    fn npm_may_install_only_what_is_pinned_with_its_hash() {
        let lock = |text: &str| serde_json::from_str::<Lock>(text).unwrap();
        let pinned = lock(r#"{"packages": {"node_modules/a": {"version": "1.0.0", "integrity": "x"}}}"#);
        assert!(pinned.check_against(&pinned).is_ok());
        for installed in [
            r#"{"packages": {"node_modules/a": {"version": "1.0.0", "integrity": "y"}}}"#,
            r#"{"packages": {"node_modules/a": {"version": "1.0.0"}}}"#,
            r#"{"packages": {"node_modules/b": {"version": "1.0.0", "integrity": "x"}}}"#,
        ] {
            assert!(lock(installed).check_against(&pinned).is_err(), "{installed}");
        }
    }

    #[test]
    fn offline_nothing_is_fetched() {
        let root = tempfile::tempdir().unwrap();
        let error = tools(root.path(), true).wheel("tool").unwrap_err();
        assert!(error.is::<Unavailable>(), "{error}");
        assert!(error.to_string().contains("without --offline"));
    }

    #[test]
    fn a_tool_that_can_not_be_had_is_tried_once() {
        let root = tempfile::tempdir().unwrap();
        let tools = tools(root.path(), false);
        let tries = std::cell::Cell::new(0);
        for _ in 0..3 {
            let place = root.path().join("tool");
            assert!(
                tools
                    .once("tool", place, |_| {
                        tries.set(tries.get() + 1);
                        bail!("broken")
                    })
                    .is_err()
            );
        }
        assert_eq!(tries.get(), 1);
    }
}
