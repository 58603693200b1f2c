//! `cargo xtask mutate`: do the shipped cases notice when a good guest is made wrong?
//!
//! The sample guest `redact` in Rust is built once with every small mistake in it that somebody's hand could make, each
//! behind a question (`sites`). One mistake after the other is chosen in the component's bytes, and the cases of
//! `tests/contract/redact.toml` run on it. A mistake that no case notices survives; `tests/contract/survivors.toml` has the
//! reason for each that may.
//!
//! Deliberately absent: mistakes in constants and in generated code.

mod sites;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use self::sites::Site;
use crate::contract::{Host, say, table};
use crate::guests::experiment::Experiment;
use crate::{repo, term};

/// The cases that are put to the test.
const CASES: &str = "tests/contract/redact.toml";
/// Reasons for those that survive.
const SURVIVORS: &str = "tests/contract/survivors.toml";
/// What stands before the number of the chosen mistake in the component.
const MARK: &[u8] = b"\x01chosen-mutant\x02";
/// The share of mistakes that the cases must notice, in hundredths.
const DUE: usize = 90;
/// A mistake may make a guest run for ever; this is how long a case over a few bytes has, and one over a megabyte.
const CPU: [&str; 2] = ["500ms", "10s"];

/// Make the guest `redact` wrong in hundreds of small ways, and see whether its cases notice
///
/// Prints the score by function, and the mistakes that no case noticed. Fails where the score is below 90 %, where a
/// survivor has no reason in tests/contract/survivors.toml, and where one that has a reason is noticed.
///
/// Example: cargo xtask mutate --every 10
#[derive(clap::Args)]
pub(crate) struct Mutate {
    /// Try only every Nth mistake, which takes as much less time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,

    /// Show each mistake and the case that notices it
    #[arg(long, short)]
    verbose: bool,
}

/// Sources by their path.
type Texts = Vec<(String, String)>;

/// A mistake with its file.
struct Mistake {
    file: String,
    site: Site,
    /// What is right.
    right: String,
    /// The whole line of the source.
    line: String,
}

/// The file with the reasons.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivors {
    #[serde(default)]
    survivor: Vec<Survivor>,
}

/// Why a mistake needs not be noticed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivor {
    function: String,
    /// The line of the source that it is in. Where a function has it twice, the reason is for one of them.
    line: String,
    right: String,
    instead: String,
    reason: String,
}

impl Mutate {
    pub(crate) fn run(self) -> Result<()> {
        check(&repo::root()?, usize::from(self.every), self.verbose)
    }
}

/// Tries every Nth mistake.
pub(crate) fn check(root: &Path, every: usize, verbose: bool) -> Result<()> {
    let start = Instant::now();
    let experiment = Experiment::new(None)?;
    let (texts, mistakes) = woven(&experiment)?;
    let folder = experiment.folder("redact-mutants", &texts)?;
    let component = experiment.build("rust", "redact", "sandbox-pure", &folder)?;
    let bytes = std::fs::read(&component).with_context(|| format!("failed to read `{}`", component.display()))?;
    let trial = Trial {
        host: Host::built(root)?,
        bytes,
        chosen: component.with_extension("chosen.wasm"),
        cases: cases(root, &folder, CPU.map(Some))?,
    };
    if let Some(case) = trial.noticed(0)? {
        bail!("the guest fails without any mistake: {case}");
    }
    term::say(format_args!("mutate: {} mistakes, built in {:.0} s", mistakes.len(), start.elapsed().as_secs_f64()));
    let text =
        std::fs::read_to_string(root.join(SURVIVORS)).with_context(|| format!("failed to read `{SURVIVORS}`"))?;
    let reasons: Survivors = toml::from_str(&text).with_context(|| format!("failed to understand `{SURVIVORS}`"))?;
    let (mut functions, mut faults): (BTreeMap<String, [usize; 3]>, Vec<String>) = (BTreeMap::new(), Vec::new());
    let mut used = Vec::new();
    for (n, mistake) in mistakes.iter().enumerate().step_by(every) {
        let noticed = trial.noticed(n + 1)?;
        let reason = reasons.survivor.iter().find(|survivor| survivor.is(mistake));
        let row = functions.entry(format!("{} {}", mistake.file, mistake.site.function)).or_default();
        match (&noticed, reason) {
            (Some(_), _) => row[0] += 1,
            (None, Some(reason)) => {
                row[1] += 1;
                used.push(std::ptr::from_ref(reason));
                say(&format!("survives: {}\n    because {}", mistake.text(), reason.reason));
            }
            (None, None) => {
                row[2] += 1;
                faults.push(format!("survives without a reason: {}", mistake.text()));
            }
        }
        if verbose {
            say(&format!("{}: {}", mistake.text(), noticed.as_deref().unwrap_or("nothing notices it")));
        }
    }
    // Those that weren't tried this time may still survive.
    for survivor in
        reasons.survivor.iter().filter(|survivor| every == 1 && !used.contains(&std::ptr::from_ref(survivor)))
    {
        let Survivor { function, right, instead, .. } = survivor;
        faults.push(format!("has a reason and doesn't survive: `{right}` -> `{instead}` in `{function}`"));
    }
    let (caught, all) = print(&functions);
    for fault in &faults {
        say(fault);
    }
    term::say(format_args!("mutate: {caught} of {all} noticed, in {:.0} s", start.elapsed().as_secs_f64()));
    // A share of a few says little; of those that weren't noticed each has its reason all the same.
    if every == 1 && caught * 100 < all * DUE {
        bail!("mutate: the cases notice fewer than {DUE} % of the mistakes");
    }
    if !faults.is_empty() {
        bail!("mutate: {} mistakes to look at\nhint: add a case to {CASES}, or a reason to {SURVIVORS}", faults.len());
    }
    Ok(())
}

/// Prints the score by function. Returns how many were noticed, of how many.
#[expect(clippy::indexing_slicing, reason = "the arrays have three elements")]
fn print(functions: &BTreeMap<String, [usize; 3]>) -> (usize, usize) {
    let row = |name: &str, [caught, explained, left]: [usize; 3]| {
        let all = caught + explained + left;
        let score = format!("{:.1} %", caught as f64 * 100.0 / all.max(1) as f64);
        [name.to_owned(), format!("{caught}/{all}"), score, explained.to_string(), left.to_string()]
    };
    let mut rows = vec![["function", "noticed", "score", "explained", "not explained"].map(str::to_owned)];
    let mut sum = [0; 3];
    for (name, counts) in functions {
        for k in 0..3 {
            sum[k] += counts[k];
        }
        rows.push(row(name, *counts));
    }
    rows.push(row("all", sum));
    table(&rows);
    (sum[0], sum.iter().sum())
}

impl Mistake {
    fn text(&self) -> String {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let instead = if self.site.instead.is_empty() { "nothing".to_owned() } else { flat(&self.site.instead) };
        format!("{}:{} {}: `{}` -> `{instead}`", self.file, self.site.line, self.site.function, flat(&self.right))
    }
}

impl Survivor {
    fn is(&self, mistake: &Mistake) -> bool {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.function == mistake.site.function
            && self.line == mistake.line.trim()
            && flat(&self.right) == flat(&mistake.right)
            && flat(&self.instead) == flat(&mistake.site.instead)
    }
}

/// The sources of the guest with all mistakes in them.
fn woven(experiment: &Experiment) -> Result<(Texts, Vec<Mistake>)> {
    let (mut texts, mut mistakes) = (Vec::new(), Vec::new());
    for (path, text) in Experiment::texts(&experiment.sources("rust", "redact"))? {
        let Some(name) = path.strip_prefix("src/") else { continue };
        if name == "contract_tests.rs" {
            continue;
        }
        let sites = sites::find(&text).with_context(|| format!("failed to understand `{path}`"))?;
        // Number 0 is the guest as it is.
        let mut new = sites::weave(&text, &sites, mistakes.len() + 1);
        mistakes.extend(sites.into_iter().map(|site| {
            let right = text.get(site.place.clone()).unwrap_or_default().to_owned();
            let line = text.lines().nth(site.line.saturating_sub(1)).unwrap_or_default().to_owned();
            Mistake { file: name.to_owned(), site, right, line }
        }));
        if name == "lib.rs" {
            // A mistake is often something that a compiler warns of.
            new = format!("#![allow(warnings)]\n{new}").replace("mod bytes;", "mod bytes;\nmod mutant;");
        }
        texts.push((path, new));
    }
    let mark: String = MARK.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let module = format!(
        "//! Which mistake is made.\n\nstatic CHOSEN: [u8; {}] = *b\"{mark}\\0\\0\";\n\n\
         /// Whether it is this one.\n#[inline]\npub(crate) fn on(number: u16) -> bool {{\n    \
         let [.., low, high] = *core::hint::black_box(&CHOSEN);\n    u16::from_le_bytes([low, high]) == number\n}}\n",
        MARK.len() + 2
    );
    texts.push(("src/mutant.rs".to_owned(), module));
    stand_alone(experiment, "redact-mutants", &mut texts)?;
    Ok((texts, mistakes))
}

/// Makes the sources of the sample guest in Rust a package of its own, away from its workspace and without its tests.
pub(crate) fn stand_alone(experiment: &Experiment, name: &str, texts: &mut Vec<(String, String)>) -> Result<()> {
    texts.retain(|(path, _)| path.starts_with("src/") && path != "src/contract_tests.rs");
    for (_, text) in texts.iter_mut() {
        *text = text
            .replace("\"../../../wit\"", &format!("{:?}", experiment.wit()))
            .replace("#[cfg(test)]\nmod contract_tests;\n", "");
    }
    texts.push(("Cargo.toml".to_owned(), experiment.cargo_manifest(name)?));
    Ok(())
}

/// The cases in two files, the quick ones first, each with a limit for a guest that hangs.
pub(crate) fn cases(root: &Path, folder: &Path, cpu: [Option<&str>; 2]) -> Result<[PathBuf; 2]> {
    let text = std::fs::read_to_string(root.join(CASES)).with_context(|| format!("failed to read `{CASES}`"))?;
    let mut parts = text.split("[[case]]");
    let head = parts.next().unwrap_or_default();
    let (slow, quick): (Vec<&str>, Vec<&str>) = parts.partition(|case| case.contains("input-repeat"));
    let write = |name: &str, cases: &[&str], cpu: Option<&str>| -> Result<PathBuf> {
        let limits = cpu.map(|cpu| format!("limits = {{ memory = \"512MiB\", cpu = \"{cpu}\", wall = \"60s\" }}"));
        let mut text = String::new();
        for line in head.lines() {
            text += limits.as_deref().filter(|_| line.starts_with("limits =")).unwrap_or(line);
            text.push('\n');
        }
        let place = folder.with_extension(name);
        let text = cases.iter().fold(text, |text, case| text + "[[case]]" + case);
        std::fs::write(&place, text).with_context(|| format!("failed to write `{}`", place.display()))?;
        Ok(place)
    };
    let [quickly, slowly] = cpu;
    Ok([write("quick.toml", &quick, quickly)?, write("slow.toml", &slow, slowly)?])
}

/// The guest with all mistakes, and what is tried on it.
struct Trial {
    host: Host,
    bytes: Vec<u8>,
    chosen: PathBuf,
    cases: [PathBuf; 2],
}

impl Trial {
    /// The first case that notices the mistake with this number.
    fn noticed(&self, number: usize) -> Result<Option<String>> {
        let at = self.bytes.windows(MARK.len()).position(|window| window == MARK);
        let at = at.context("the component has no mark of the chosen mistake")? + MARK.len();
        let mut bytes = self.bytes.clone();
        let number = u16::try_from(number).context("there are too many mistakes")?;
        if let Some(place) = bytes.get_mut(at..at + 2) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        std::fs::write(&self.chosen, bytes).with_context(|| format!("failed to write `{}`", self.chosen.display()))?;
        for cases in &self.cases {
            let verdicts = self.host.test(&self.chosen, std::slice::from_ref(cases))?;
            if let Some(verdict) = verdicts.iter().find(|verdict| !verdict.passed()) {
                return Ok(Some(verdict.name.clone()));
            }
        }
        Ok(None)
    }
}
