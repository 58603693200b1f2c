//! Grant and limit flags: each is a key of the policy file too, and adds to or overrides it.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, FromArgMatches};
use host::policy::{
    Compiler, DirGrant, HttpGrant, KeyValueGrant, LIMITS, LimitKind, LimitRow, Limits, NetGrant, Policy, StdioGrant,
    Unit,
};

use super::{files, report};

/// Grants, and the file that they add to.
#[derive(Debug, Args)]
pub(super) struct PolicyFlags {
    /// Read grants and limits from this TOML file; flags add to it or override it
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    policy: Option<PathBuf>,

    /// Shrink grants and limits to what this TOML file permits too, whatever the policy and the flags say
    #[arg(long, value_name = "FILE", help_heading = "Policy")]
    ceiling: Option<PathBuf>,

    /// Grant a directory: its path, the path that the guest sees (the same if left out), and `ro` for read-only
    #[arg(long, value_name = "HOST[::GUEST][::ro|::rw]", value_parser = DirGrant::parse, help_heading = "Policy")]
    dir: Vec<DirGrant>,

    /// Set an environment variable; without a value, pass on the one that the host has
    #[arg(long, value_name = "NAME[=VALUE]", help_heading = "Policy")]
    env: Vec<String>,

    /// Set a configuration value that the guest can read by its key
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Policy")]
    config: Vec<String>,

    /// Grant a key-value bucket for reading and writing: the name that the guest opens, and where it is kept (`memory` if
    /// left out, `file:PATH`, or `redis://HOST`)
    #[arg(long, value_name = "BUCKET[=STORE]", value_parser = KeyValueGrant::parse, help_heading = "Policy")]
    key_value: Vec<KeyValueGrant>,
    /// Grant HTTP requests: methods (all if left out), scheme, host (`*.` stands for names below), port and path
    #[arg(long, value_name = "[METHODS ]URL", value_parser = HttpGrant::parse, help_heading = "Policy")]
    allow_http: Vec<HttpGrant>,

    /// Run with a clock that moves by a rule, random bytes that follow from this seed, and metering by fuel, so that two
    /// runs are the same
    #[arg(long, value_name = "SEED", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "Policy")]
    deterministic: Option<u64>,

    /// Make the component's code with this: `cranelift` optimises, `winch` is there sooner and for code that you trust,
    /// `tiered` begins with Winch's code and goes on with Cranelift's, `pulley` interprets [default: cranelift]
    #[arg(long, value_name = "NAME", value_parser = Compiler::parse, help_heading = "Compiling")]
    compiler: Option<Compiler>,

    /// Grant connections over TCP, or over UDP where it says so: a name, an address or a range, and a port; `*` stands for
    /// every one
    #[arg(long, value_name = "[udp://]HOST:PORT", value_parser = NetGrant::parse, help_heading = "Policy")]
    allow_net: Vec<NetGrant>,

    #[command(flatten)]
    limits: LimitFlags,
}

/// One flag for each row of the table of limits.
#[derive(Debug)]
struct LimitFlags(Vec<(LimitKind, u64)>);

impl PolicyFlags {
    /// The policy that file and flags make together. The standard streams are connected unless the file says
    /// otherwise, as a command line expects.
    ///
    /// Where there is a ceiling, the result is no wider than that. An audit without a policy of its own begins with the
    /// ceiling, or else with [`Policy::audit_default`].
    pub(super) fn policy(&self, audit: bool) -> Result<Policy, host::Stop> {
        let mut ceiling = self.ceiling.as_deref().map(files::policy).transpose()?;
        if let Some(ceiling) = &mut ceiling {
            ceiling.grants.stdio.get_or_insert(StdioGrant::ALL);
        }
        let mut policy = match (&self.policy, &ceiling) {
            (Some(path), _) => files::policy(path)?,
            (None, Some(ceiling)) if audit => ceiling.clone(),
            (None, None) if audit => Policy::audit_default(),
            (None, _) => Policy::default(),
        };
        let usage = |message: String| {
            let hint = "see `host run --help`";
            host::Stop::refused(host::outcome::Refusal::Policy, message, hint)
        };
        policy.grants.stdio.get_or_insert(StdioGrant::ALL);
        for dir in &self.dir {
            policy.grants.dir.retain(|other| other.guest != dir.guest);
            policy.grants.dir.push(dir.clone());
        }
        for text in &self.env {
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => match std::env::var(text) {
                    Ok(value) => (text.as_str(), value),
                    Err(error) => return Err(usage(format!("`--env {text}`: {error}"))),
                },
            };
            if name.is_empty() {
                return Err(usage(format!("`--env {text}` has no name")));
            }
            policy.grants.env.insert(name.to_owned(), value);
        }
        for text in &self.config {
            match text.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    policy.grants.config.insert(key.to_owned(), value.to_owned());
                }
                _ => return Err(usage(format!("`--config {text}` is not `KEY=VALUE`"))),
            }
        }
        for grant in &self.key_value {
            policy.grants.key_value.retain(|other| other.bucket != grant.bucket);
            policy.grants.key_value.push(grant.clone());
        }
        policy.grants.http.extend(self.allow_http.iter().cloned());
        if let Some(seed) = self.deterministic {
            policy.make_deterministic(seed);
        }
        policy.grants.compiler = self.compiler.unwrap_or(policy.grants.compiler);
        policy.grants.net.extend(self.allow_net.iter().cloned());
        for (kind, amount) in &self.limits.0 {
            policy.limits.set(*kind, *amount);
        }
        if let Some(ceiling) = ceiling {
            let asked = std::mem::replace(&mut policy, ceiling);
            policy = asked.meet(&policy);
            tell_what_is_gone(&asked, &policy);
            if let (Some(wanted), Some(seed)) = (asked.grants.deterministic, policy.grants.deterministic)
                && wanted != seed
            {
                report::note(&format!(
                    "the seed is the ceiling's, {seed}, and not {wanted}: of two the smaller one holds"
                ));
            }
        }
        Ok(policy)
    }
}

/// Says which grants a ceiling took away: without that a person would look for them in the guest.
fn tell_what_is_gone(asked: &Policy, got: &Policy) {
    for change in asked.diff(got) {
        if !change.key.starts_with("limits.") && !change.key.starts_with("tenant.") {
            report::note(&format!("the ceiling doesn't grant {}: {}", change.key, host::escape(&change.what)));
        }
    }
}

impl Args for LimitFlags {
    fn augment_args(mut command: clap::Command) -> clap::Command {
        for row in LIMITS {
            command = command.arg(flag(row));
        }
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LimitFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |row: &LimitRow| Some((row.kind, *matches.get_one::<u64>(row.name)?));
        Ok(Self(LIMITS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flag(row: &'static LimitRow) -> Arg {
    let value = match row.unit {
        Unit::Size => "SIZE",
        Unit::Duration => "DURATION",
        Unit::Count => "N",
    };
    let default = Limits::default().get(row.kind).map_or_else(|| "off".to_owned(), |amount| row.show(amount));
    let mut bounds = row.bounds.to_owned();
    if let Some(first) = bounds.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Arg::new(row.name)
        .long(row.name)
        .value_name(value)
        .help(format!("{bounds} [default: {default}]"))
        .long_help(format!("{bounds}. At the limit {}.\n[default: {default}: {}]", row.at_limit, row.reason))
        .help_heading("Limits (sizes like 64MiB, durations like 500ms; `unlimited` switches one off)")
        .value_parser(move |text: &str| row.read(text))
}
