//! The policy file: TOML to a typed policy, with everything that is wrong reported at once, each at its place.
//!
//! The reader walks the spanned document itself instead of deserialising it, since a deserialiser stops at the first
//! error. A key that nothing reads is an error: a misspelt limit must not become no limit.

mod dir;
mod http;
mod keyvalue;
mod net;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::compiler::Compiler;
use super::grants::{OnDenied, StdioGrant};
use super::limits::{LIMITS, LimitKind, Limits, Unit};
use super::tenant_limits::{TENANT_LIMITS, TenantLimits};
use super::{Grants, MAX_GRANTS, Policy};

/// One thing that is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// All that is wrong with a policy file, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyErrors(pub Vec<PolicyError>);

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{}: {}", error.line, error.column, error.message)?;
        }
        Ok(())
    }
}

/// Errors that are reported; a file with more than that is no policy.
const MAX_ERRORS: usize = 100;

const TOP_KEYS: &[&str] = &[
    "args",
    "config",
    "compiler",
    "deterministic",
    "dir",
    "env",
    "http",
    "key-value",
    "limits",
    "lookup",
    "net",
    "on-denied",
    "secret",
    "stdio",
    "tenant",
    "tls",
];

pub(super) fn parse(text: &str) -> Result<Policy, PolicyErrors> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut reader = Reader { text, errors: Vec::new() };
    for error in syntax {
        reader.error(error.span().unwrap_or(0..0), error.message().to_owned());
    }
    let policy = reader.policy(document.get_ref());
    if reader.errors.is_empty() {
        return Ok(policy);
    }
    reader.errors.sort_by_key(|(at, _)| *at);
    reader.errors.truncate(MAX_ERRORS);
    let errors = reader.errors.iter().map(|(at, message)| place(text, *at, message)).collect();
    Err(PolicyErrors(errors))
}

type Key<'a, 'i> = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>);

struct Reader<'t> {
    text: &'t str,
    errors: Vec<(usize, String)>,
}

impl Reader<'_> {
    fn error(&mut self, span: Range<usize>, message: String) {
        self.errors.push((span.start.min(self.text.len()), message));
    }

    fn policy(&mut self, table: &DeTable<'_>) -> Policy {
        let mut policy = Policy::default();
        let mut explicit = BTreeMap::new();
        for (key, value) in table.iter() {
            // What is given to the guest as it is may be long; what is compared may not.
            if key.get_ref() != "args" && self.too_many(key.get_ref(), value) {
                continue;
            }
            match key.get_ref().as_ref() {
                "limits" => self.limits(value, &mut policy.limits, &mut explicit),
                "dir" => policy.grants.dir = self.dirs(value),
                "env" => policy.grants.env = self.strings("env", value),
                "config" => policy.grants.config = self.strings("config", value),
                "args" => policy.grants.args = self.args(value),
                "key-value" => policy.grants.key_value = self.key_values(value),
                "stdio" => policy.grants.stdio = Some(self.stdio(value)),
                "tenant" => self.tenant(value, &mut policy.tenant),
                "on-denied" => policy.grants.on_denied = self.on_denied(value),
                "http" => policy.grants.http = self.http(value),
                "net" => policy.grants.net = self.net(value),
                "lookup" => policy.grants.lookup = self.lookups(value),
                "secret" => policy.grants.secret = self.secrets(value),
                "tls" => policy.grants.tls_ca = self.tls(value),
                "compiler" => policy.grants.compiler = self.compiler(value),
                "deterministic" => policy.grants.deterministic = self.seed(value),
                other => self.unknown((key, value), other, TOP_KEYS),
            }
        }
        if let Some(seed) = policy.grants.deterministic
            && !explicit.contains_key(&LimitKind::Fuel)
        {
            policy.make_deterministic(seed);
        }
        self.contradictions(&policy.limits, &explicit);
        self.environment(&policy.grants, table);
        policy
    }

    fn unknown(&mut self, (key, _): Key<'_, '_>, name: &str, known: &[&str]) {
        let near = known.iter().find(|k| distance(k, name) <= 2);
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys here are {}", list(known)),
        };
        self.error(key.span(), format!("unknown key `{name}`: {hint}"));
    }

    fn expect_table<'a, 'i>(&mut self, name: &str, value: &'a Spanned<DeValue<'i>>) -> Option<&'a DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(name, "a table", value);
        }
        table
    }

    /// Whether a list has more grants than a policy may have of one kind, which is an error.
    fn too_many(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> bool {
        let count = value.get_ref().as_array().map_or(0, |array| array.len());
        if count > MAX_GRANTS {
            self.error(
                value.span(),
                format!("`{name}` has {count} entries, and {MAX_GRANTS} are the most of one kind"),
            );
        }
        count > MAX_GRANTS
    }

    fn wrong_type(&mut self, name: &str, expected: &str, value: &Spanned<DeValue<'_>>) {
        let found = value.get_ref().type_str();
        self.error(value.span(), format!("`{name}` must be {expected}, not {found}"));
    }

    fn string(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(name, "a string", value);
        }
        text.map(str::to_owned)
    }

    fn limits(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        limits: &mut Limits,
        explicit: &mut BTreeMap<LimitKind, Range<usize>>,
    ) {
        let Some(table) = self.expect_table("limits", value) else { return };
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let Some(row) = LIMITS.iter().find(|row| row.name == name) else {
                let known: Vec<&str> = LIMITS.iter().map(|row| row.name).collect();
                self.unknown((key, value), name, &known);
                continue;
            };
            let Some(text) = self.amount(name, row.unit, value) else { continue };
            match row.read(&text) {
                Ok(amount) => {
                    limits.set(row.kind, amount);
                    explicit.insert(row.kind, value.span());
                }
                Err(message) => self.error(value.span(), format!("`{name}`: {message}")),
            }
        }
    }

    fn tenant(&mut self, value: &Spanned<DeValue<'_>>, limits: &mut TenantLimits) {
        let Some(table) = self.expect_table("tenant", value) else { return };
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let Some(row) = TENANT_LIMITS.iter().find(|row| row.name == name) else {
                let known: Vec<&str> = TENANT_LIMITS.iter().map(|row| row.name).collect();
                self.unknown((key, value), name, &known);
                continue;
            };
            let Some(text) = self.amount(name, row.unit, value) else { continue };
            match row.read(&text) {
                Ok(amount) => limits.set(name, amount),
                Err(message) => self.error(value.span(), format!("`{name}`: {message}")),
            }
        }
    }

    /// The text of an amount with a unit, or of a plain count.
    fn amount(&mut self, name: &str, unit: Unit, value: &Spanned<DeValue<'_>>) -> Option<String> {
        match (value.get_ref(), unit) {
            (DeValue::String(text), _) => return Some(text.to_string()),
            (DeValue::Integer(number), Unit::Count) => {
                return Some(match u64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(count) => count.to_string(),
                    Err(_) => number.to_string(),
                });
            }
            (DeValue::Integer(number), unit) => {
                let unit = if unit == Unit::Size { "64MiB" } else { "500ms" };
                let message = format!("`{name}` needs a unit, as in `\"{unit}\"`, not the bare number {number}");
                self.error(value.span(), message);
            }
            (_, Unit::Size) => self.wrong_type(name, "a string such as \"64MiB\"", value),
            (_, Unit::Duration) => self.wrong_type(name, "a string such as \"500ms\"", value),
            (_, Unit::Count) => self.wrong_type(name, "a whole number or \"unlimited\"", value),
        }
        None
    }

    /// Pairs of limits of which one could never be reached because of the other. Only what the file itself says
    /// counts: a default that is shadowed is no mistake of the author's.
    fn contradictions(&mut self, limits: &Limits, explicit: &BTreeMap<LimitKind, Range<usize>>) {
        let pairs = [
            (LimitKind::Cpu, LimitKind::Wall, "a guest can't compute for longer than it may run"),
            (LimitKind::Input, LimitKind::Memory, "the input is held in the invocation's memory"),
        ];
        for (smaller, larger, why) in pairs {
            let (Some(span), true) = (explicit.get(&smaller), explicit.contains_key(&larger)) else { continue };
            // Without a limit there is nothing to be in the shadow of the other.
            if !limits.is_unlimited(smaller) && limits.get(smaller) > limits.get(larger) {
                let (smaller, larger) = (smaller.row().name, larger.row().name);
                self.error(span.clone(), format!("`{smaller}` is above `{larger}`: {why}"));
            }
        }
    }

    fn strings(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> BTreeMap<String, String> {
        let mut strings = BTreeMap::new();
        let Some(table) = self.expect_table(name, value) else { return strings };
        for (key, value) in table.iter() {
            let key = key.get_ref().to_string();
            if let Some(text) = self.string(&format!("{name}.{key}"), value) {
                strings.insert(key, text);
            }
        }
        strings
    }

    fn environment(&mut self, grants: &Grants, table: &DeTable<'_>) {
        let env =
            table.iter().find(|(key, _)| key.get_ref() == "env").and_then(|(_, value)| value.get_ref().as_table());
        for (key, value) in env.into_iter().flat_map(|table| table.iter()) {
            let name = key.get_ref().as_ref();
            let text = grants.env.get(name).map_or("", String::as_str);
            if name.is_empty() || name.contains(['=', '\0']) {
                self.error(key.span(), format!("`{name}` is no name for an environment variable"));
            } else if text.contains('\0') {
                self.error(value.span(), format!("the value of `{name}` contains a zero byte"));
            }
        }
    }

    fn args(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<String> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type("args", "an array of strings", value);
            return Vec::new();
        };
        array.iter().filter_map(|value| self.string("args", value)).collect()
    }

    fn stdio(&mut self, value: &Spanned<DeValue<'_>>) -> StdioGrant {
        let mut stdio = StdioGrant::default();
        let Some(table) = self.expect_table("stdio", value) else { return stdio };
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let slot = match name {
                "stdin" => &mut stdio.stdin,
                "stdout" => &mut stdio.stdout,
                "stderr" => &mut stdio.stderr,
                other => {
                    self.unknown((key, value), other, &["stdin", "stdout", "stderr"]);
                    continue;
                }
            };
            match value.get_ref().as_bool() {
                Some(granted) => *slot = granted,
                None => self.wrong_type(name, "true or false", value),
            }
        }
        stdio
    }

    fn on_denied(&mut self, value: &Spanned<DeValue<'_>>) -> OnDenied {
        match self.string("on-denied", value).as_deref() {
            Some("stop") => OnDenied::Stop,
            Some("error") | None => OnDenied::Error,
            Some(other) => {
                self.error(value.span(), format!("`{other}` is neither `error` nor `stop`"));
                OnDenied::Error
            }
        }
    }

    fn compiler(&mut self, value: &Spanned<DeValue<'_>>) -> Compiler {
        let Some(word) = self.string("compiler", value) else { return Compiler::default() };
        Compiler::parse(&word).unwrap_or_else(|error| {
            self.error(value.span(), error);
            Compiler::default()
        })
    }

    fn seed(&mut self, value: &Spanned<DeValue<'_>>) -> Option<u64> {
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type("deterministic", "a whole number, the seed", value);
            return None;
        };
        // As large as every reader of TOML takes it.
        let seed = i64::from_str_radix(number.as_str(), number.radix()).ok().and_then(|seed| u64::try_from(seed).ok());
        if seed.is_none() {
            self.error(value.span(), format!("`deterministic` must be a seed from 0 to {}, not {number}", i64::MAX));
        }
        seed
    }

    /// An amount with a unit, or a count, in its base.
    fn read(&mut self, name: &str, unit: Unit, value: &Spanned<DeValue<'_>>) -> Option<u64> {
        let text = self.amount(name, unit, value)?;
        unit.read(&text).map_err(|error| self.error(value.span(), format!("`{name}`: {error}"))).ok()
    }
}

fn place(text: &str, at: usize, message: &str) -> PolicyError {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..).map_or(0, |rest| rest.chars().count()) + 1;
    PolicyError { line, column, message: message.to_owned() }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Edits between two short words: insertions, deletions and replacements.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (y, cell) in b.chars().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            *cell = (corner + usize::from(x != y)).min(above + 1).min(left + 1);
            (corner, left) = (above, *cell);
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Span;
    use crate::policy::{Bytes, DirAccess};

    fn errors(text: &str) -> Vec<String> {
        parse(text).unwrap_err().0.iter().map(|e| format!("{}:{} {}", e.line, e.column, e.message)).collect()
    }

    #[test]
    fn a_full_policy_reads_into_its_values() {
        let policy = parse(
            "args = ['-v']\non-denied = 'stop'\n[limits]\nmemory = '64MiB'\nwall = '2s'\nfuel = 1_000\n\
             [env]\nA = 'b'\n[config]\nk = 'v'\n[stdio]\nstdin = true\n\
             [[dir]]\nhost = './d'\nguest = '/d'\naccess = 'read-write'\n",
        )
        .unwrap();
        assert_eq!(policy.limits.memory, Bytes::from_mib(64));
        assert_eq!(policy.limits.wall, Span::from_millis(2000));
        assert_eq!(policy.limits.fuel, Some(1000));
        assert_eq!(policy.limits.table, Limits::default().table);
        assert_eq!(policy.grants.args, ["-v"]);
        assert_eq!(policy.grants.env["A"], "b");
        assert_eq!(policy.grants.config["k"], "v");
        assert_eq!(policy.grants.on_denied, OnDenied::Stop);
        assert_eq!(policy.grants.stdio, Some(StdioGrant { stdin: true, stdout: false, stderr: false }));
        let dir = &policy.grants.dir[0];
        assert_eq!((dir.guest.as_str(), dir.access), ("/d", DirAccess::ReadWrite));
    }

    #[test]
    fn everything_that_is_wrong_is_reported_at_once_with_its_place() {
        let found = errors("limit = 1\n[limits]\nmemory = 64\nwall = '5'\nmemroy = '1MiB'\n[stdio]\nstdin = 'yes'\n");
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found[0].starts_with("1:1 unknown key `limit`: did you mean `limits`?"), "{}", found[0]);
        assert!(found[1].starts_with("3:10 `memory` needs a unit"), "{}", found[1]);
        assert!(found[2].starts_with("4:8 `wall`: `5` needs a unit"), "{}", found[2]);
        assert!(found[3].starts_with("5:1 unknown key `memroy`: did you mean `memory`?"), "{}", found[3]);
        assert!(found[4].starts_with("7:9 `stdin` must be true or false"), "{}", found[4]);
    }

    #[test]
    fn contradictions_are_errors_only_when_the_file_says_both() {
        assert!(errors("limits = { wall = '1s', cpu = '2s' }")[0].contains("`cpu` is above `wall`"));
        assert!(parse("limits = { wall = '1s' }").is_ok());
        assert!(parse("limits = { wall = '1s', cpu = '1s' }").is_ok());
        assert!(errors("limits = { memory = '1MiB', input = '2MiB' }")[0].contains("`input` is above `memory`"));
        let twice =
            "[[dir]]\nhost='a'\nguest='/x'\naccess='read-only'\n[[dir]]\nhost='b'\nguest='/x'\naccess='read-only'";
        assert!(errors(twice)[0].contains("two directories have the guest path `/x`"));
    }

    #[test]
    fn a_directory_says_how_it_may_be_used() {
        assert!(errors("[[dir]]\nhost = 'a'")[0].contains("needs `access`"));
        assert!(errors("[[dir]]\naccess = 'read-only'")[0].contains("needs `host`"));
        assert!(errors("[[dir]]\nhost='a'\naccess='rw'")[0].contains("`rw` is neither"));
        assert!(errors("dir = 'a'")[0].contains("write `[[dir]]`"));
        let quota = |rest: &str| parse(&format!("[[dir]]\nhost='a'\naccess='read-write'\n{rest}"));
        let read =
            |rest: &str| quota(rest).map(|policy| (policy.grants.dir[0].max_bytes, policy.grants.dir[0].max_files));
        assert_eq!(read("").unwrap(), (None, None));
        assert_eq!(read("max-bytes='1MiB'").unwrap(), (Some(Bytes::from_mib(1)), Some(10_000)));
        assert_eq!(read("max-files=3").unwrap(), (None, Some(3)));
        assert!(read("max-bytes=5").is_err() && read("max-files='x'").is_err());
        assert!(errors("[[dir]]\nhost='a'\naccess='read-only'\nmax-files=3")[0].contains("can't have a quota"));
    }

    #[test]
    fn what_a_tenant_shares_has_a_table_of_its_own() {
        let policy = parse("[tenant]\nweight = 3\nmemory = '1GiB'\ncpu = '30s'\nqueue = 0").unwrap();
        assert_eq!((policy.tenant.weight, policy.tenant.queue), (3, 0));
        assert_eq!(policy.tenant.memory, Bytes::from_mib(1024));
        assert_eq!(policy.tenant.cpu, Span::from_millis(30_000));
        let found = errors("[tenant]\nweight = 0\ncpu = 30\nmemroy = '1GiB'\nconcurrency = 'x'");
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(found[0].starts_with("2:10 `weight`"), "{}", found[0]);
        assert!(found[2].contains("did you mean `memory`?"), "{}", found[2]);
    }

    #[test]
    fn broken_toml_and_odd_names_are_reported_and_never_panic() {
        assert!(!errors("[limits\nmemory = '1MiB'").is_empty());
        assert!(!errors("a = \u{0}").is_empty());
        assert!(errors("[env]\n'A=B' = 'c'")[0].contains("no name for an environment variable"));
        assert!(errors("[limits]\nwall = '0s'")[0].contains("can't be zero"));
        assert_eq!(parse("[limits]\ninstances = 0x1_0").unwrap().limits.instances, 16);
        assert!(errors("[limits]\ninstances = -1")[0].contains("instances"));
        assert!(!errors(&format!("a = {}", "[".repeat(100_000))).is_empty());
    }
}
