//! `docs/guests.md`: one page about the guest `redact` in every language, with figures measured on this machine.
//!
//! The words about each language stand in `guests/languages.toml`; the figures come from the manifest of the guests and
//! from receipts of real runs. Nothing in the page is written by hand.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::{cargo, repo, term};

/// Measure the guest `redact` in every language and write docs/guests.md
///
/// Every guest that is built is run on docs/samples/access.log. Build them first; a language that is not built is listed
/// as unavailable.
///
/// Example: cargo xtask build-guests && cargo xtask guests-report
#[derive(Debug, clap::Args)]
pub(crate) struct GuestsReport {
    /// How many runs the median is taken of
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
}

/// `guests/languages.toml`: what can't be measured.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Languages {
    language: Vec<Language>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Language {
    /// The folder below `target/guests`.
    folder: String,
    name: String,
    toolchain: String,
    caveats: String,
    /// Why it has no guest of the whole world `sandbox`, if it has none.
    no_sandbox: Option<String>,
}

/// About the sample of the whole world.
const SANDBOX: &str = "\n## The whole world\n\n\
    The guest `fetch-cache` is of the world `sandbox`: it takes a URL, and answers from a key-value bucket, or by a \
    request\nwhose answer it keeps there ([specification](../guests/README.md)). The interfaces of WASI are imported \
    under the\nnames that they have in WIT. Rust needs nothing more for it than for `redact`. C, C++, Zig and Go use the \
    stub adapter\nfor it too, so what they import is what the sample calls; the language's own library has no files, \
    clock and sockets.\nJavaScript and TypeScript (both on StarlingMonkey) and Python import all of the world.\n\n";

/// What the page says of one language.
struct Row<'a> {
    language: &'a Language,
    /// None where `redact` is not built.
    figures: Option<Figures>,
    /// The size of `fetch-cache`, where it is built.
    sandbox: Option<u64>,
}

/// What was measured of one guest.
struct Figures {
    size: u64,
    /// From bytes to the answer: load, compile, link, instantiate, run. In nanoseconds, like the next.
    cold: u64,
    /// From a compiled component to the answer: instantiate and run.
    warm: u64,
    fuel: u64,
    memory: u64,
}

impl GuestsReport {
    pub(crate) fn run(self) -> Result<()> {
        let root = repo::root()?;
        cargo::run(&root, &["build", "--package", "host"])?;
        let text = std::fs::read_to_string(root.join("guests/languages.toml"))?;
        let languages: Languages = toml::from_str(&text).context("failed to understand `guests/languages.toml`")?;
        let mut rows = Vec::new();
        for language in &languages.language {
            let folder = root.join("target/guests").join(&language.folder);
            let sandbox = std::fs::metadata(folder.join("fetch-cache.wasm")).ok().map(|file| file.len());
            let guest = folder.join("redact.wasm");
            if !guest.exists() {
                term::say(format_args!("{}: UNAVAILABLE, build it with `cargo xtask build-guests`", language.name));
                rows.push(Row { language, figures: None, sandbox });
                continue;
            }
            term::say(format_args!("measuring {}", language.name));
            rows.push(Row { language, figures: Some(self.measure(&root, &guest)?), sandbox });
        }
        let page = root.join("docs/guests.md");
        std::fs::write(&page, render(&rows)).with_context(|| format!("failed to write `{}`", page.display()))?;
        term::say(format_args!("wrote docs/guests.md"));
        Ok(())
    }

    fn measure(&self, root: &Path, guest: &Path) -> Result<Figures> {
        let (mut cold, mut warm, mut memory) = (Vec::new(), Vec::new(), 0);
        for _ in 0..self.runs {
            let receipt = receipt(root, guest, &[])?;
            let time = |names: &[&str]| -> Result<u64> {
                names.iter().map(|name| number(&receipt, &["timings", &format!("{name}-ns")])).sum()
            };
            cold.push(time(&["load", "compile", "link", "instantiate", "run"])?);
            warm.push(time(&["instantiate", "run"])?);
            memory = number(&receipt, &["usage", "memory-peak-bytes"])?;
        }
        let metered = receipt(root, guest, &["--fuel", "1000000000000"])?;
        Ok(Figures {
            size: guest.metadata()?.len(),
            cold: median(cold),
            warm: median(warm),
            fuel: number(&metered, &["usage", "fuel"])?,
            memory,
        })
    }
}

/// Runs a guest on the sample log and returns its receipt.
fn receipt(root: &Path, guest: &Path, flags: &[&str]) -> Result<Json> {
    let file = root.join("target/guests-report.json");
    let log = std::fs::File::open(root.join("docs/samples/access.log"))?;
    let status = Command::new(root.join("target/debug/host"))
        .args(["run", "--quiet", "--wall", "5m", "--cpu", "5m", "--receipt"])
        .arg(&file)
        .args(flags)
        .arg(guest)
        .stdin(log)
        .stdout(Stdio::null())
        .status()
        .context("failed to start the host")?;
    if !status.success() {
        bail!("`{}` ended with {status} on the sample log", guest.display());
    }
    Ok(serde_json::from_slice(&std::fs::read(&file)?)?)
}

fn number(receipt: &Json, path: &[&str]) -> Result<u64> {
    let value = path.iter().try_fold(receipt, |value, name| value.get(name));
    value.and_then(Json::as_u64).with_context(|| format!("the receipt has no number `{}`", path.join(".")))
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

fn render(rows: &[Row<'_>]) -> String {
    let mut page = String::from(
        "# Guests in every language\n\n\
         <!-- Made by `cargo xtask guests-report`; the words come from guests/languages.toml. Don't edit by hand. -->\n\n\
         The guest `redact` is written in every language below, each in the way of that language, and behaves the same in\n\
         all of them ([specification](../guests/README.md), [cases](../tests/contract/redact.toml)). All are of the world\n\
         `sandbox-pure` and import nothing of WASI.\n\n\
         `cargo xtask build-guests` builds all of them, `cargo xtask build-guests --lang LANG` one. Toolchains are fetched\n\
         once into `target/toolchains`, pinned by version and hash in `guests/toolchains.toml`; nothing is installed\n\
         system-wide.\n\n\
         The job is the redaction of `docs/samples/access.log` (34 KiB). *Cold* is from the component's bytes to the answer,\n\
         with compilation; *warm* is from the compiled component to the answer in a fresh instance. Both are medians on one\n\
         machine with two noisy cores: compare the rows, not the figures with those of other machines. *Fuel* is what the\n\
         job takes when it is metered, and *memory* the most that the guest held.\n\n\
         | language | `--lang` | toolchain | size | cold | warm | fuel | memory |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for Row { language, figures, .. } in rows {
        let figures = match figures {
            Some(f) => format!(
                "{} | {} | {} | {} | {}",
                bytes(f.size),
                millis(f.cold),
                millis(f.warm),
                thousands(f.fuel),
                bytes(f.memory)
            ),
            None => "unavailable | | | |".to_owned(),
        };
        // Writing to a string can't fail.
        let _ = writeln!(page, "| {} | `{}` | {} | {figures} |", language.name, language.folder, language.toolchain);
    }
    page += "\n## Caveats\n\n";
    for Row { language, .. } in rows {
        let _ = writeln!(page, "- **{}**: {}", language.name, language.caveats);
    }
    page += SANDBOX;
    for Row { language, sandbox, .. } in rows {
        let has = match (&language.no_sandbox, sandbox) {
            (Some(why), _) => why.clone(),
            (None, Some(size)) => format!("`fetch-cache` is there, {}.", bytes(*size)),
            (None, None) => "`fetch-cache` was not built here.".to_owned(),
        };
        let _ = writeln!(page, "- **{}**: {has}", language.name);
    }
    page
}

fn bytes(n: u64) -> String {
    if n >= 1 << 20 {
        format!("{}.{} MiB", n >> 20, ((n * 10) >> 20) % 10)
    } else {
        format!("{} KiB", n.div_ceil(1 << 10))
    }
}

fn millis(nanos: u64) -> String {
    let tenths = nanos / 100_000;
    format!("{}.{} ms", tenths / 10, tenths % 10)
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_reading() {
        assert_eq!(thousands(1_234_567), "1 234 567");
        assert_eq!(thousands(12), "12");
        assert_eq!(bytes(1 << 20), "1.0 MiB");
        assert_eq!(bytes(1025), "2 KiB");
        assert_eq!(millis(1_250_000), "1.2 ms");
        assert_eq!(median(vec![3, 1, 2]), 2);
    }
}
