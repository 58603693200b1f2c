//! Building guests that are no part of the repository: copies with a fault in them, and guests that were generated. They
//! are built by the same steps as the sample guests, and stay in `target/guests-build`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

pub(crate) use super::command::Unavailable;
use super::command::clean;
use super::component;
use super::source::{Guest, files, read};
use super::{Language, Workshop, bindings, c, cpp, go, javascript, manifest, python, typescript, zig};

/// A guest in a folder of its own.
pub(crate) struct Experiment {
    shop: Workshop,
}

impl Experiment {
    /// Makes ready to build guests against the WIT in `wit`, or against ours.
    pub(crate) fn new(wit: Option<PathBuf>) -> Result<Self> {
        let mut shop = Workshop::new(true)?;
        if let Some(wit) = wit {
            shop.wit_folder = wit;
        }
        Ok(Self { shop })
    }

    /// The folder with the sources of a sample guest.
    pub(crate) fn sources(&self, language: &str, guest: &str) -> PathBuf {
        let folder = find(language).map_or_else(|| language.to_owned(), |found| found.folder().to_owned());
        self.shop.root.join("guests").join(folder).join(guest)
    }

    /// Makes a folder below `target/guests-build` anew with the given files.
    pub(crate) fn folder(&self, name: &str, texts: &[(String, String)]) -> Result<PathBuf> {
        let folder = self.shop.root.join("target/guests-build/experiments").join(name);
        for (path, text) in texts {
            let place = folder.join(path);
            // What reads the same is left as it is, for tools that go by the time of a file.
            if std::fs::read_to_string(&place).is_ok_and(|old| old == *text) {
                continue;
            }
            manifest::write(&place, text.as_bytes())?;
        }
        for (path, file) in files(&folder)? {
            if path != "Cargo.lock" && !texts.iter().any(|(name, _)| *name == path) {
                std::fs::remove_file(&file).with_context(|| format!("failed to remove `{}`", file.display()))?;
            }
        }
        Ok(folder)
    }

    /// All files of a folder as texts.
    pub(crate) fn texts(folder: &Path) -> Result<Vec<(String, String)>> {
        let text = |(path, file): (String, PathBuf)| {
            let text = String::from_utf8(read(&file)?).with_context(|| format!("`{path}` is not text"))?;
            Ok((path, text))
        };
        files(folder)?.into_iter().map(text).collect()
    }

    /// Builds the guest in a folder, and writes the component beside the folder. The name is that of the main source.
    pub(crate) fn build(&self, language: &str, name: &str, world: &str, folder: &Path) -> Result<PathBuf> {
        let Some(of) = find(language) else { bail!("there is no language `{language}`") };
        let _lock = manifest::lock(&self.shop.out())?;
        let guest = Guest {
            language: of,
            name: name.to_owned(),
            folder: folder.to_owned(),
            output: String::new(),
            world: world.to_owned(),
            inputs: String::new(),
            wit: String::new(),
            cargo: None,
        };
        let bytes = match of {
            Language::Rust => component::encode(self.cargo(folder)?, None)?,
            Language::C => c::build(&self.shop, &guest)?.bytes,
            Language::Cpp => cpp::build(&self.shop, &guest)?.bytes,
            Language::Zig => zig::build(&self.shop, &guest)?.bytes,
            Language::Go => go::build(&self.shop, &guest)?.bytes,
            Language::Js => javascript::build_starlingmonkey(&self.shop, &guest)?.bytes,
            Language::JsQuickjs => javascript::build_quickjs(&self.shop, &guest)?.bytes,
            Language::Ts => typescript::build(&self.shop, &guest)?.bytes,
            Language::Python => python::build(&self.shop, &guest)?.bytes,
        };
        let output = folder.with_extension("wasm");
        manifest::write(&output, &bytes)?;
        Ok(output)
    }

    /// The manifest of a package of its own that stands in for a sample guest in Rust.
    pub(crate) fn cargo_manifest(&self, package: &str) -> Result<String> {
        let workspace: toml::Table = toml::from_str(&String::from_utf8_lossy(&read(&self.rust().join("Cargo.toml"))?))
            .context("failed to understand `guests/rust/Cargo.toml`")?;
        let part = |path: [&str; 2]| workspace.get(path[0]).and_then(|table| table.get(path[1])).cloned();
        let generator = part(["workspace", "dependencies"]).and_then(|table| table.get("wit-bindgen").cloned());
        let profile = part(["profile", "release"]);
        let (Some(generator), Some(profile)) = (generator, profile) else {
            bail!("`guests/rust/Cargo.toml` names no wit-bindgen or no release profile")
        };
        let mut manifest = toml::Table::new();
        let table = |entries: Vec<(&str, toml::Value)>| -> toml::Value {
            toml::Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        };
        let package = vec![("name", package.into()), ("version", "0.0.0".into()), ("edition", "2024".into())];
        manifest.insert("package".to_owned(), table(package));
        manifest.insert("lib".to_owned(), table(vec![("crate-type", vec!["cdylib".to_owned()].into())]));
        // A workspace of its own, so that cargo looks for none above.
        manifest.insert("workspace".to_owned(), table(Vec::new()));
        manifest.insert("dependencies".to_owned(), table(vec![("wit-bindgen", generator)]));
        manifest.insert("profile".to_owned(), table(vec![("release", profile)]));
        toml::to_string(&manifest).context("failed to write a manifest")
    }

    /// Builds a package of its own for plain WebAssembly. What it depends on is shared with the sample guests.
    fn cargo(&self, folder: &Path) -> Result<Vec<u8>> {
        manifest::write(&folder.join("Cargo.lock"), &read(&self.rust().join("Cargo.lock"))?)?;
        let target = self.shop.root.join("target/guests-build/rust");
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        clean(&mut command).current_dir(folder);
        command.args(["build", "--release", "--offline", "--quiet", "--target", "wasm32-unknown-unknown"]);
        let status = command.arg("--target-dir").arg(&target).stdin(Stdio::null()).status();
        if !status.context("failed to start `cargo`")?.success() {
            bail!("`{}` can't be built: see cargo's error above", folder.display());
        }
        let name = folder.file_name().context("a package has no folder")?.to_string_lossy().replace('-', "_");
        read(&target.join("wasm32-unknown-unknown/release").join(format!("{name}.wasm")))
    }

    /// The header that the generator for C makes of a world.
    pub(crate) fn c_header(&self, world: &str) -> Result<String> {
        let folder = bindings::generate(&self.shop, &self.nobody(world), wit_bindgen_c::Opts::default().build())?;
        let header = folder.join(format!("{}.h", world.replace('-', "_")));
        String::from_utf8(read(&header)?).context("the header isn't text")
    }

    /// The stubs that the generator for Go makes of what a world exports.
    pub(crate) fn go_stubs(&self, world: &str) -> Result<Vec<(String, String)>> {
        let options = wit_bindgen_go::Opts { quiet: true, generate_stubs: true, ..Default::default() };
        let folder = bindings::generate(&self.shop, &self.nobody(world), options.build())?;
        let mut texts = Self::texts(&folder)?;
        texts.retain(|(_, text)| text.contains("panic(\"not implemented\")"));
        Ok(texts)
    }

    /// A guest that only stands for its world, for a generator.
    fn nobody(&self, world: &str) -> Guest {
        Guest {
            language: Language::C,
            name: "experiment".to_owned(),
            folder: self.shop.out(),
            output: String::new(),
            world: world.to_owned(),
            inputs: String::new(),
            wit: String::new(),
            cargo: None,
        }
    }

    fn rust(&self) -> PathBuf {
        self.shop.root.join("guests/rust")
    }

    /// The folder with the WIT.
    pub(crate) fn wit(&self) -> PathBuf {
        self.shop.wit()
    }
}

fn find(name: &str) -> Option<Language> {
    Language::ALL.iter().copied().find(|language| language.name() == name)
}
