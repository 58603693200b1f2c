//! `host check`: does a component fit a contract, and would a policy let it do what it wants. Nothing is run.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use host::contract::{self, BUILT_IN, Report, Severity, Target};
use host::policy::Limits;
use host::{Facts, World, escape, read_component};
use wit_parser::Resolve;

use super::{USAGE, files, report};

/// Compare a component with a world: everything that doesn't fit, at once
///
/// Exports that are missing, imports that the world doesn't offer, types that differ with the path to each difference,
/// versions that aren't compatible, and with a policy the imports that it wouldn't grant. Nothing is compiled or run.
///
/// The exit status is 0 when the component fits, 1 when it doesn't, 2 for arguments that make no sense, 126 for what is
/// no component, and 127 when there is no such file. Warnings alone are 0, or 1 with `--deny-warnings`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Check {
    /// The world: `sandbox`, `sandbox-pure`, `command`, `http`, `imports`, or `PATH:NAME` with a WIT file or folder and
    /// the name of a world in it [default: what the component's exports say, and `imports` where they say nothing]
    #[arg(long, value_name = "WORLD")]
    world: Option<String>,

    /// Say too which imports this policy doesn't grant
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Let warnings fail the check
    #[arg(long)]
    deny_warnings: bool,

    /// A component, a core module for WASI preview 1, or either as text; `-` reads standard input
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
}

const EXAMPLES: &str = "Examples:
  host check redact.wasm
  host check --world sandbox-pure redact.wasm
  host check --world ./wit:shop --policy tenant.toml shop.wasm
  host check --json redact.wasm | jq '.findings[].code'";

impl Check {
    /// Prints what was found and returns the exit status.
    pub(super) fn run(self) -> u8 {
        let policy = match self.policy.as_deref().map(files::policy).transpose() {
            Ok(policy) => policy,
            Err(stop) => {
                report::lines(&stop);
                return stop.reason.exit_status();
            }
        };
        let max = policy.as_ref().map_or(Limits::default().component_size.0, |policy| policy.limits.component_size.0);
        let (facts, binary) = match files::component(&self.component, max).and_then(read_component) {
            Ok(read) => read,
            Err(stop) => {
                report::refusal(&stop);
                return stop.reason.exit_status();
            }
        };
        let target = match self.world.as_deref().map_or_else(|| by_exports(&facts), named) {
            Ok(target) => target,
            Err(NoWorld { message, hint }) => {
                report::error(&message);
                report::hint(&hint);
                return USAGE;
            }
        };
        let found = contract::check(&binary, &target, policy.as_ref());
        let text = if self.json { json(&found) } else { text(&found, &self.component) };
        // A reader that has gone away had what it wanted.
        let _ = std::io::stdout().write_all(text.as_bytes());
        let fails = !found.fits || (self.deny_warnings && !found.findings.is_empty());
        u8::from(fails)
    }
}

/// Why there is nothing to compare with, and what to do.
struct NoWorld {
    message: String,
    hint: String,
}

fn worlds() -> String {
    BUILT_IN.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The world that a component is run as.
fn by_exports(facts: &Facts) -> Result<Target, NoWorld> {
    named(match facts.world {
        World::Sandbox => "sandbox",
        World::Command => "command",
        World::Http => "http",
        World::Custom => "imports",
    })
}

fn named(world: &str) -> Result<Target, NoWorld> {
    if let Some(target) = Target::built_in(world) {
        return Ok(target);
    }
    let syntax = || format!("name one of {}, or a WIT file or folder and a world as `PATH:NAME`", worlds());
    let no_world = |message: String| NoWorld { message, hint: syntax() };
    let Some((path, name)) = world.rsplit_once(':') else {
        return Err(no_world(format!("there is no world `{}`", escape(world))));
    };
    if !Path::new(path).exists() {
        let message = format!("failed to read the world `{}`: there is no `{}`", escape(name), escape(path));
        let hint = format!("the path `{}` is missing: look at its spelling and at where you are", escape(path));
        return Err(NoWorld { message, hint });
    }
    let mut resolve = Resolve::default();
    let read = match Path::new(path) {
        folder if folder.is_dir() => resolve.push_dir(folder).map(|(package, _)| package),
        file => resolve.push_file(file),
    };
    let package = read.map_err(|error| {
        let why = resolve.render_error(&error);
        no_world(format!("failed to read the WIT in `{}`: {}", escape(path), why.trim_end()))
    })?;
    let id = resolve.select_world(&[package], Some(name)).map_err(|error| {
        let worlds = resolve.packages.get(package).map(|package| package.worlds.keys()).into_iter().flatten();
        let worlds: Vec<String> = worlds.map(|name| format!("`{name}`")).collect();
        no_world(format!("{error:#}; the worlds in `{}` are {}", escape(path), worlds.join(", ")))
    })?;
    Ok(Target::new(name, resolve, id))
}

fn json(found: &Report) -> String {
    serde_json::to_string_pretty(found).map_or_else(|_| String::new(), |json| json + "\n")
}

fn text(found: &Report, component: &Path) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    for finding in &found.findings {
        let word = if finding.severity == Severity::Error { "error" } else { "warning" };
        let _ = writeln!(text, "{word}: {}: {}: {}", finding.code, finding.place, finding.message);
        let sides = [("world", &finding.expected), ("component", &finding.found)];
        for (side, wit) in sides {
            if let Some(wit) = wit {
                let _ = writeln!(text, "  {side:<9}  {wit}");
            }
        }
        if let Some(at) = &finding.at {
            let _ = writeln!(text, "  {:<9}  {at}", "at");
        }
        let _ = writeln!(text, "  {:<9}  {}", "fix", finding.fix);
    }
    if found.truncated {
        let _ = writeln!(text, "there is more: these are the first {} findings", found.findings.len());
    }
    let errors = found.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = found.findings.len() - errors;
    let count = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    let shown = escape(&component.display().to_string());
    let verdict = if found.fits { "fits" } else { "doesn't fit" };
    let counts = match (errors, warnings) {
        (0, 0) => String::new(),
        (0, _) => format!(": {}", count(warnings, "warning")),
        (_, 0) => format!(": {}", count(errors, "error")),
        _ => format!(": {}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    let _ = writeln!(text, "`{shown}` {verdict} the world `{}`{counts}", escape(&found.world));
    text
}
