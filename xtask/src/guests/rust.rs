//! Guests in Rust: the packages of the workspace `guests/rust` that say for which target and world they are.
//!
//! ```toml
//! [package.metadata.guest]
//! target = "wasm32-unknown-unknown"   # the target's triple
//! world = "sandbox-pure"              # the world, or `command` for a program with a main function
//! ```
//!
//! A library makes a guest with the package's name, in `target/guests/rust`. A binary or an example is a probe, and
//! makes one with its own name in `target/guests/rust/probes`. So does a file `guests/rust/probes/**/NAME.wat`, which
//! is copied as text, so that the host's reading of text is put to use too.
//!
//! All packages share one target folder, and cargo decides what of it is fresh. Where anything below `guests/rust`
//! changed, cargo looks at all of it, and a guest whose bytes came out the same counts as fresh.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

use super::command::{Unavailable, clean, run};
use super::component::{self, Made};
use super::source::{Guest, Inputs, files, locked_version, read};
use super::{Language, Workshop};

/// Part of the digest of the inputs: a change here builds the guests again.
pub(super) const RECIPE: &str = include_str!("rust.rs");

/// What cargo builds for one guest.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// The package's manifest.
    manifest: PathBuf,
    package: String,
    /// The library's, binary's or example's name.
    target: String,
    triple: String,
    library: bool,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    metadata: Option<PackageMetadata>,
}

#[derive(Deserialize)]
struct PackageMetadata {
    guest: Option<GuestMetadata>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuestMetadata {
    target: String,
    world: String,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// A line of cargo's report.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    filenames: Option<Vec<PathBuf>>,
}

/// Takes what was made of a guest, or why nothing was, and when that began.
type Finish<'a> = &'a mut dyn FnMut(&Guest, Result<Made>, Instant) -> Result<()>;

/// The guests of the workspace, and the probes in text form.
pub(super) fn discover(shop: &Workshop) -> Result<Vec<Guest>> {
    let workspace = workspace(shop);
    if !workspace.join("Cargo.toml").is_file() {
        return Ok(Vec::new());
    }
    let mut guests = Vec::new();
    let mut inputs = Inputs::new(shop, Language::Rust)?;
    inputs.folder(&workspace)?;
    inputs.text("rustc", &run(clean(&mut Command::new("rustc")).arg("-vV").current_dir(&workspace), RUSTUP)?);
    let inputs = inputs.digest();
    let text = run(
        cargo(&workspace).args(["metadata", "--no-deps", "--format-version", "1", "--offline"]),
        "install Rust with rustup",
    )?;
    let metadata: Metadata = serde_json::from_str(&text).context("failed to read what `cargo metadata` printed")?;
    for package in metadata.packages {
        let Some(guest) = package.metadata.and_then(|metadata| metadata.guest) else { continue };
        let folder = package.manifest_path.parent().unwrap_or(&workspace);
        for target in package.targets {
            let library = target.kind.iter().any(|kind| kind == "cdylib");
            if !library && !target.kind.iter().any(|kind| matches!(&**kind, "bin" | "example")) {
                continue;
            }
            let (name, output) = if library {
                (package.name.clone(), format!("rust/{}.wasm", package.name))
            } else {
                (target.name.clone(), format!("rust/probes/{}.wasm", target.name))
            };
            guests.push(Guest {
                language: Language::Rust,
                output,
                name,
                folder: folder.to_owned(),
                world: guest.world.clone(),
                inputs: inputs.clone(),
                wit: shop.wit_digest.clone(),
                cargo: Some(Unit {
                    manifest: package.manifest_path.clone(),
                    package: package.name.clone(),
                    target: target.name,
                    triple: guest.target.clone(),
                    library,
                }),
            });
        }
    }
    guests.extend(texts(shop, &workspace)?);
    guests.sort_by(|one, other| one.output.cmp(&other.output));
    for pair in guests.windows(2) {
        if let [one, other] = pair
            && one.output == other.output
        {
            bail!("two guests are called `{}`\nhint: rename the one in `{}`", one.name, other.folder.display());
        }
    }
    Ok(guests)
}

/// Builds the guests with one run of cargo for each target, and hands each to `finish`.
pub(super) fn build(shop: &Workshop, guests: &[&Guest], finish: Finish<'_>) -> Result<()> {
    let mut groups: BTreeMap<&str, Vec<(&Guest, &Unit)>> = BTreeMap::new();
    for guest in guests {
        match &guest.cargo {
            Some(unit) => groups.entry(&unit.triple).or_default().push((guest, unit)),
            None => finish(guest, read(&guest.folder).map(|bytes| Made::new(bytes, &[])), Instant::now())?,
        }
    }
    for (triple, group) in groups {
        let start = Instant::now();
        crate::term::say(format_args!("building {} guests in Rust for {triple}", group.len()));
        let (artifacts, failure) = match artifacts(shop, triple, &group) {
            Ok((artifacts, true)) => (artifacts, anyhow!("cargo made no file for it")),
            // Which error belongs to which package is in cargo's own messages, shown above.
            Ok((artifacts, false)) => (artifacts, anyhow!("see cargo's error above")),
            Err(error) => (BTreeMap::new(), error),
        };
        let failure = std::rc::Rc::new(failure);
        for (guest, unit) in group {
            let made = match artifacts.get(&(unit.manifest.clone(), unit.target.clone())) {
                Some(file) => encode(shop, unit, file),
                None => match failure.downcast_ref::<Unavailable>() {
                    Some(missing) => Err(missing.clone().into()),
                    None => Err(anyhow!("{failure:#}")),
                },
            };
            finish(guest, made, start)?;
        }
    }
    Ok(())
}

const RUSTUP: &str = "install rustup, or the target's standard library from where your Rust comes from";

fn workspace(shop: &Workshop) -> PathBuf {
    shop.root.join("guests/rust")
}

/// The cargo that runs the xtask, free of what that cargo set for the xtask.
fn cargo(workspace: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    clean(&mut command).current_dir(workspace);
    command
}

/// Probes in text form, which are guests as they are.
fn texts(shop: &Workshop, workspace: &Path) -> Result<Vec<Guest>> {
    let probes = workspace.join("probes");
    if !probes.is_dir() {
        return Ok(Vec::new());
    }
    let mut guests = Vec::new();
    for (path, file) in files(&probes)? {
        let Some(stem) = path.strip_suffix(".wat") else { continue };
        let name = stem.rsplit('/').next().unwrap_or(stem).to_owned();
        let mut inputs = Inputs::new(shop, Language::Rust)?;
        inputs.text("text", &String::from_utf8_lossy(&read(&file)?));
        guests.push(Guest {
            language: Language::Rust,
            output: format!("rust/probes/{name}.wat"),
            name,
            folder: file,
            world: String::new(),
            inputs: inputs.digest(),
            wit: shop.wit_digest.clone(),
            cargo: None,
        });
    }
    Ok(guests)
}

/// Runs cargo for one target. Returns the file of each unit that was built, and whether all went well.
#[expect(clippy::type_complexity, reason = "the map's key is named in the text")]
fn artifacts(
    shop: &Workshop,
    triple: &str,
    group: &[(&Guest, &Unit)],
) -> Result<(BTreeMap<(PathBuf, String), PathBuf>, bool)> {
    add_target(shop, triple)?;
    let workspace = workspace(shop);
    let mut command = cargo(&workspace);
    command.args(["build", "--release", "--keep-going", "--message-format=json-render-diagnostics"]);
    command.args(["--target", triple, "--bins", "--examples"]);
    command.arg("--target-dir").arg(shop.root.join("target/guests-build/rust"));
    if group.iter().any(|(_, unit)| unit.library) {
        command.arg("--lib");
    }
    if shop.offline {
        command.arg("--offline");
    }
    for package in group.iter().map(|(_, unit)| &unit.package).collect::<BTreeSet<_>>() {
        command.args(["--package", package]);
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("failed to start `cargo`")?;
    let mut artifacts = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Message>(line) else { continue };
        let Message { manifest_path: Some(manifest), target: Some(target), filenames: Some(files), .. } = message
        else {
            continue;
        };
        let wasm = files.into_iter().find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
        if let (Some(wasm), "compiler-artifact") = (wasm, &*message.reason) {
            artifacts.insert((manifest, target.name), wasm);
        }
    }
    Ok((artifacts, output.status.success()))
}

/// Adds a target's standard library to the toolchain, if it is missing.
fn add_target(shop: &Workshop, triple: &str) -> Result<()> {
    let workspace = workspace(shop);
    let rustc =
        |what: &str| run(clean(&mut Command::new("rustc")).args(["--print", what]).current_dir(&workspace), RUSTUP);
    if Path::new(rustc("sysroot")?.trim()).join("lib/rustlib").join(triple).is_dir() {
        return Ok(());
    }
    let missing = format!("Rust's target `{triple}` is not installed");
    if shop.offline {
        return Err(Unavailable::new(missing, "run once without --offline").into());
    }
    crate::term::say(format_args!("rustup target add {triple}"));
    let mut rustup = Command::new("rustup");
    run(clean(&mut rustup).args(["target", "add", triple]).current_dir(&workspace), RUSTUP)
        .map(drop)
        .map_err(|error| if error.is::<Unavailable>() { Unavailable::new(missing, RUSTUP).into() } else { error })
}

fn encode(shop: &Workshop, unit: &Unit, file: &Path) -> Result<Made> {
    let bytes = component::encode(read(file)?, None)?;
    let workspace = workspace(shop);
    let rustc = run(clean(&mut Command::new("rustc")).arg("-V").current_dir(&workspace), RUSTUP)?;
    let rustc = rustc.split(' ').nth(1).unwrap_or("unknown").to_owned();
    let mut tools = vec![("rustc".to_owned(), rustc)];
    let lock = String::from_utf8_lossy(&read(&workspace.join("Cargo.lock"))?).into_owned();
    if let Ok(version) = locked_version(&lock, &unit.package, "wit-bindgen") {
        tools.push(("wit-bindgen".to_owned(), version));
    }
    tools.extend(shop.encoder("wit-component"));
    Ok(Made { bytes, tools })
}
