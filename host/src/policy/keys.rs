//! Every key of the policy file as data: its type, its unit, its default and the reason for that.
//!
//! The table in `docs/policy.md` and the JSON Schema are made from these rows; limits have tables of their own, which are
//! read here too. Tests compare the rows with what the reader knows and with the fields of the policy, so a key that is
//! new fails the build or a test until it is here.

use serde_json::{Value, json};

use super::MAX_GRANTS;
use super::compiler::Compiler;
use super::diff::show_amount;
use super::limits::{LIMITS, LimitKind, Limits, UNLIMITED_WORD, Unit};
use super::tenant_limits::{TENANT_LIMITS, TenantLimits};

/// One key that is no limit.
#[derive(Debug)]
pub struct KeyRow {
    /// The table that it is in, empty for the top of the file.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: KeyKind,
    /// What holds where it is absent.
    pub default: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Any text.
    Text,
    /// A path of the host.
    Path,
    /// A pattern of requests.
    Pattern,
    /// An array of texts.
    Texts,
    /// An array of patterns.
    Patterns,
    /// A table of texts.
    Values,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An amount that can't be switched off.
    Amount(Unit),
    /// A table with the keys of that name.
    Table,
    /// An array of such tables.
    Tables,
}

const fn key(
    table: &'static str,
    name: &'static str,
    kind: KeyKind,
    default: &'static str,
    reason: &'static str,
) -> KeyRow {
    KeyRow { table, name, kind, default, reason }
}

const REQUIRED: &str = "required";
const ACCESS: KeyKind = KeyKind::Word(&["read-only", "read-write"]);
const NOT_GRANTED: &str = "what is not granted is denied";

/// Every key that is no limit.
pub const KEYS: &[KeyRow] = &[
    key("", "args", KeyKind::Texts, "none", "arguments are the caller's to give"),
    key(
        "",
        "compiler",
        KeyKind::Word(Compiler::WORDS),
        "cranelift",
        "the best code, from the compiler that was looked at most",
    ),
    key("", "config", KeyKind::Values, "none", NOT_GRANTED),
    key("", "deterministic", KeyKind::Amount(Unit::Count), "none", "programs expect the real clocks and random bytes"),
    key("", "dir", KeyKind::Tables, "none", NOT_GRANTED),
    key("", "env", KeyKind::Values, "none", "the host's own environment has secrets in it"),
    key("", "http", KeyKind::Tables, "none", NOT_GRANTED),
    key("", "key-value", KeyKind::Tables, "none", NOT_GRANTED),
    key("", "limits", KeyKind::Table, "the defaults", "everything that can be used up has a limit"),
    key("", "lookup", KeyKind::Tables, "none", NOT_GRANTED),
    key("", "net", KeyKind::Tables, "none", NOT_GRANTED),
    key("", "on-denied", KeyKind::Word(&["error", "stop"]), "error", "programs try what they may not and go on"),
    key("", "secret", KeyKind::Tables, "none", NOT_GRANTED),
    key("", "stdio", KeyKind::Table, "all with `host run`, none in the library", "what each of the two is used for"),
    key("", "tenant", KeyKind::Table, "the defaults", "what invocations of a tenant share has limits too"),
    key("", "tls", KeyKind::Table, "none", "the system's authorities are trusted"),
    key("dir", "host", KeyKind::Path, REQUIRED, "a grant says what it leads to"),
    key("dir", "guest", KeyKind::Text, "the same as `host`", "programs are given the paths that people know"),
    key("dir", "access", ACCESS, REQUIRED, "a file that is read later should say what it allows"),
    key("dir", "max-bytes", KeyKind::Amount(Unit::Size), "no quota", "what may be kept is the operator's to say"),
    key(
        "dir",
        "max-files",
        KeyKind::Amount(Unit::Count),
        "10000 with `max-bytes`, or else no quota",
        "files that are empty take room too",
    ),
    key("http", "allow", KeyKind::Pattern, REQUIRED, "a grant says what it leads to"),
    key(
        "http",
        "allow-private",
        KeyKind::Boolean,
        "false",
        "a name can be made to resolve to the operator's own network",
    ),
    key("http", "ca", KeyKind::Path, "none", "the system's authorities are trusted"),
    key("key-value", "bucket", KeyKind::Text, REQUIRED, "names are compared and never searched for"),
    key("key-value", "store", KeyKind::Text, REQUIRED, "a grant says what it leads to"),
    key("key-value", "access", ACCESS, REQUIRED, "a file that is read later should say what it allows"),
    key("key-value", "max-keys", KeyKind::Amount(Unit::Count), "10000", "a cache, or the sessions of a service"),
    key("key-value", "max-key", KeyKind::Amount(Unit::Size), "1KiB", "a path or a digest with room"),
    key("key-value", "max-value", KeyKind::Amount(Unit::Size), "1MiB", "fits the other limits of a call"),
    key("key-value", "max-total", KeyKind::Amount(Unit::Size), "64MiB", "a small part of a disk"),
    key("lookup", "name", KeyKind::Text, REQUIRED, "a name can carry what a guest wants to tell somebody"),
    key(
        "lookup",
        "allow-private",
        KeyKind::Boolean,
        "false",
        "a name can be made to resolve to the operator's own network",
    ),
    key("net", "protocol", KeyKind::Word(&["tcp", "udp"]), "tcp", "what most programs speak"),
    key("net", "connect", KeyKind::Text, "this or `listen`", "a grant says what it leads to"),
    key("net", "listen", KeyKind::Text, "this or `connect`", "a grant says where others can come in"),
    key(
        "net",
        "allow-private",
        KeyKind::Boolean,
        "false",
        "a name can be made to resolve to the operator's own network",
    ),
    key("secret", "name", KeyKind::Text, REQUIRED, "it stands in the placeholder"),
    key("secret", "env", KeyKind::Text, "this or `file`", "the value is never in the policy"),
    key("secret", "file", KeyKind::Path, "this or `env`", "the value is never in the policy"),
    key("secret", "header", KeyKind::Text, REQUIRED, "a secret stands in one place only"),
    key("secret", "format", KeyKind::Text, "{}", "the value and nothing else"),
    key("secret", "for", KeyKind::Patterns, REQUIRED, "whoever receives it has it"),
    key("secret", "allow-plaintext", KeyKind::Boolean, "false", "in the clear everybody on the way has it"),
    key("stdio", "stdin", KeyKind::Boolean, "false", "a table names all that is connected"),
    key("stdio", "stdout", KeyKind::Boolean, "false", "a table names all that is connected"),
    key("stdio", "stderr", KeyKind::Boolean, "false", "a table names all that is connected"),
    key("tls", "ca", KeyKind::Path, "none", "the system's authorities are trusted"),
];

impl KeyKind {
    /// Type and unit in words.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("string", ""),
            Self::Path => ("string", "path"),
            Self::Pattern => ("string", "pattern"),
            Self::Texts => ("array of strings", ""),
            Self::Patterns => ("array of strings", "patterns"),
            Self::Values => ("table of strings", ""),
            Self::Boolean => ("boolean", ""),
            Self::Word(_) => ("string", "one word of two"),
            Self::Amount(unit) => amount_words(unit),
            Self::Table => ("table", ""),
            Self::Tables => ("array of tables", ""),
        }
    }

    fn schema(self, name: &str) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Path => json!({ "type": "string", "minLength": 1 }),
            Self::Pattern => pattern_schema(),
            Self::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Patterns => json!({ "type": "array", "minItems": 1, "items": pattern_schema() }),
            Self::Values => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Word(words) => json!({ "enum": words }),
            Self::Amount(unit) => amount_schema(unit, false),
            Self::Table => table_schema(name),
            Self::Tables => json!({ "type": "array", "items": table_schema(name), "maxItems": MAX_GRANTS }),
        }
    }
}

/// The JSON Schema of the policy file, from which editors complete and check it. What only the host can tell, such as two
/// keys that contradict each other, is left to `host policy check`.
pub fn policy_schema() -> Value {
    let mut schema = table_schema("");
    if let Some(top) = schema.as_object_mut() {
        top.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        top.insert("title".into(), json!("A policy of host: what a guest may touch, and how much of everything"));
    }
    schema
}

/// The table of every key in Markdown.
pub fn policy_table() -> String {
    let mut text = "| key | type | unit | default | reason |\n|---|---|---|---|---|\n".to_owned();
    let mut row = |key: String, (kind, unit): (&str, &str), default: &str, reason: &str| {
        let default = match default {
            REQUIRED => "required".to_owned(),
            default if default.contains(' ') || matches!(default, "none" | "off") => default.to_owned(),
            default => format!("`{default}`"),
        };
        text.push_str(&format!("| `{key}` | {kind} | {unit} | {default} | {reason} |\n"));
    };
    for key in KEYS {
        let name = if key.table.is_empty() { key.name.to_owned() } else { format!("{}.{}", key.table, key.name) };
        row(name, key.kind.words(), key.default, key.reason);
    }
    for limit in LIMITS {
        let default = Limits::default().get(limit.kind).map_or_else(|| "off".to_owned(), |amount| limit.show(amount));
        row(format!("limits.{}", limit.name), amount_words(limit.unit), &default, limit.reason);
    }
    for limit in TENANT_LIMITS {
        let default = TenantLimits::default().get(limit.name).map_or_else(String::new, |n| show_amount(limit.unit, n));
        row(format!("tenant.{}", limit.name), amount_words(limit.unit), &default, limit.reason);
    }
    text
}

fn amount_words(unit: Unit) -> (&'static str, &'static str) {
    match unit {
        Unit::Size => ("string", "size"),
        Unit::Duration => ("string", "duration"),
        Unit::Count => ("integer", "count"),
    }
}

fn table_schema(table: &str) -> Value {
    let mut properties = serde_json::Map::new();
    let mut describe = |name: &str, mut schema: Value, about: String| {
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("description".into(), json!(about));
        }
        properties.insert(name.to_owned(), schema);
    };
    for row in KEYS.iter().filter(|row| row.table == table) {
        describe(row.name, row.kind.schema(row.name), format!("When absent: {}. {}", row.default, row.reason));
    }
    let about = |bounds: &str, at_limit: &str, default: String| {
        format!("{bounds}; at the limit {at_limit}. Default: {default}")
    };
    match table {
        "limits" => {
            for row in LIMITS {
                let default = Limits::default().get(row.kind).map_or_else(|| "off".to_owned(), |n| row.show(n));
                let schema = amount_schema(row.unit, row.kind != LimitKind::Stack);
                describe(row.name, schema, about(row.bounds, row.at_limit, default));
            }
        }
        "tenant" => {
            for row in TENANT_LIMITS {
                let default = TenantLimits::default().get(row.name).unwrap_or_default();
                let schema = amount_schema(row.unit, !matches!(row.name, "weight" | "window"));
                describe(row.name, schema, about(row.bounds, row.at_limit, show_amount(row.unit, default)));
            }
        }
        _ => {}
    }
    let required: Vec<&str> =
        KEYS.iter().filter(|row| row.table == table && row.default == REQUIRED).map(|row| row.name).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn pattern_schema() -> Value {
    json!({ "type": "string", "pattern": "^\\s*([^ ]+ +)*[Hh][Tt][Tt][Pp][Ss]?://[^ ]+\\s*$" })
}

fn amount_schema(unit: Unit, unlimited: bool) -> Value {
    let text = match unit {
        Unit::Size => "^[0-9]+ *(B|KiB|MiB|GiB|kB|MB|GB)?$",
        Unit::Duration => "^[0-9]+ *(ns|us|ms|s|m|h)$",
        Unit::Count => "^[0-9_]+$",
    };
    let text = json!({ "type": "string", "pattern": text });
    let mut forms = match unit {
        Unit::Count => vec![json!({ "type": "integer", "minimum": 0 })],
        Unit::Size | Unit::Duration => vec![text.clone()],
    };
    if unlimited {
        forms.push(json!({ "const": UNLIMITED_WORD }));
        // The reader takes a count as text too.
        if unit == Unit::Count {
            forms.push(text);
        }
    }
    json!({ "anyOf": forms })
}

#[cfg(test)]
mod tests;
