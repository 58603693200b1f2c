use std::collections::BTreeSet;

use super::*;
use crate::policy::{
    BucketQuota, DirGrant, Grants, HttpGrant, KeyValueGrant, LookupGrant, NetGrant, Policy, SecretGrant, StdioGrant,
    TENANT_LIMITS,
};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

fn names(table: &str) -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        KEYS.iter().filter(|row| row.table == table).map(|row| row.name.to_owned()).collect();
    match table {
        "limits" => names.extend(LIMITS.iter().map(|row| row.name.to_owned())),
        "tenant" => names.extend(TENANT_LIMITS.iter().map(|row| row.name.to_owned())),
        _ => {}
    }
    names
}

/// The names of a struct's fields, which have to be all of them, as keys.
macro_rules! fields {
    ($value:expr => $name:ident { $($field:ident),* $(,)? }) => {{
        let $name { $($field: _),* } = $value;
        [$(stringify!($field).replace('_', "-")),*].into_iter().collect::<BTreeSet<String>>()
    }};
}

#[test]
fn the_rows_are_the_fields_of_the_policy() {
    let policy = Policy::default();
    let mut top = fields!(policy => Policy { grants, limits, tenant });
    top.remove("grants");
    let mut grants = fields!(Grants::default() => Grants {
        dir, env, args, config, key_value, stdio, on_denied, http, secret, tls_ca, deterministic, net, lookup, compiler
    });
    // It is the one key of its table.
    assert!(grants.remove("tls-ca") && grants.insert("tls".to_owned()));
    top.extend(grants);
    assert_eq!(top, names(""));
    let dir = DirGrant::parse("a").unwrap();
    assert_eq!(fields!(dir => DirGrant { host, guest, access, max_bytes, max_files }), names("dir"));
    let lookup = LookupGrant::parse("a.example").unwrap();
    assert_eq!(fields!(lookup => LookupGrant { name, allow_private }), names("lookup"));
    let net = NetGrant::parse("a.example:1").unwrap();
    let mut expected = fields!(net => NetGrant { protocol, direction, host, port, allow_private });
    // Direction, host and port are one key.
    for field in ["direction", "host", "port"] {
        assert!(expected.remove(field));
    }
    expected.extend(["connect".to_owned(), "listen".to_owned()]);
    assert_eq!(expected, names("net"));
    assert_eq!(fields!(StdioGrant::ALL => StdioGrant { stdin, stdout, stderr }), names("stdio"));
    let bucket = KeyValueGrant::parse("b").unwrap();
    let mut expected = fields!(bucket.quota => BucketQuota { max_keys, max_key, max_value, max_total });
    expected.extend(fields!(bucket => KeyValueGrant { bucket, store, access, quota }));
    expected.remove("quota");
    assert_eq!(expected, names("key-value"));
    assert_eq!(
        fields!(Limits::default() => Limits {
            memory, table, instances, stack, wall, cpu, fuel, output, input, hostcall, handles, files, timers, random,
            component_size, output_rate, memory_wait, http_requests, http_concurrency, http_body, http_headers,
            http_timeout, sockets, net_bytes, lookups, compile_memory, compile_cpu, compile_wall, artifact_size,
        }),
        names("limits")
    );
    assert_eq!(
        fields!(TenantLimits::default() => TenantLimits {
            weight, concurrency, queue, memory, files, timers, window, cpu, output, random
        }),
        names("tenant")
    );
}

#[test]
fn the_rows_are_what_the_reader_knows() {
    for (table, begin) in [
        ("", ""),
        ("dir", "[[dir]]\n"),
        ("http", "[[http]]\n"),
        ("key-value", "[[key-value]]\n"),
        ("limits", "[limits]\n"),
        ("lookup", "[[lookup]]\n"),
        ("net", "[[net]]\n"),
        ("secret", "[[secret]]\n"),
        ("stdio", "[stdio]\n"),
        ("tenant", "[tenant]\n"),
        ("tls", "[tls]\n"),
    ] {
        let errors = Policy::parse(&format!("{begin}no-such-key-at-all = 1")).unwrap_err();
        let message = errors.0.iter().find(|error| error.message.contains("known keys here are")).unwrap();
        let (_, list) = message.message.split_once("known keys here are ").unwrap();
        let known: BTreeSet<String> = list.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
        assert_eq!(known, names(table), "{table}");
    }
    let tables: BTreeSet<&str> = KEYS.iter().map(|row| row.table).collect();
    assert!(tables.iter().all(|table| table.is_empty() || names("").contains(*table)), "{tables:?}");
}

#[test]
fn the_defaults_in_the_rows_are_the_codes() {
    let default = |table: &str, name: &str| {
        KEYS.iter().find(|row| row.table == table && row.name == name).map(|row| row.default).unwrap()
    };
    let quota = BucketQuota::default();
    assert_eq!(default("key-value", "max-keys"), quota.max_keys.to_string());
    assert_eq!(default("key-value", "max-key"), quota.max_key.to_string());
    assert_eq!(default("key-value", "max-value"), quota.max_value.to_string());
    assert_eq!(default("key-value", "max-total"), quota.max_total.to_string());
    let grant = HttpGrant::parse("https://a.example").unwrap();
    assert_eq!(default("http", "allow-private"), grant.allow_private.to_string());
    assert!(grant.ca.is_none() && Policy::default().grants == Grants::default());
    let secret = Policy::parse("[[secret]]\nname='s'\nenv='S'\nheader='x'\nfor=['https://a.example']").unwrap();
    let SecretGrant { format, allow_plaintext, .. } = &secret.grants.secret[0];
    assert_eq!((default("secret", "format"), default("secret", "allow-plaintext")), (&**format, "false"));
    assert!(!allow_plaintext);
    for (n, row) in KEYS.iter().enumerate().filter(|(_, row)| row.default == REQUIRED) {
        let text = format!("[[{}]]\n", row.table);
        let errors = Policy::parse(&text).unwrap_err().to_string();
        assert!(errors.contains(&format!("`{}`", row.name)) || row.table == "secret", "{n} {}: {errors}", row.name);
    }
}

#[test]
fn the_published_schema_and_the_table_in_the_documentation_are_those_of_the_rows() {
    let schema = serde_json::to_string_pretty(&policy_schema()).unwrap() + "\n";
    let schema_path = format!("{DOCS}/policy.schema.json");
    let page_path = format!("{DOCS}/policy.md");
    let page = std::fs::read_to_string(&page_path).unwrap();
    let (begin, end) = ("<!-- every key: begin -->\n", "<!-- every key: end -->");
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let expected = format!("{before}{begin}{}{end}{after}", policy_table());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&schema_path, &schema).unwrap();
        std::fs::write(&page_path, &expected).unwrap();
    }
    let mend = "is stale; mend it with `BLESS=1 cargo test -p host --lib`";
    assert!(std::fs::read_to_string(&schema_path).unwrap_or_default() == schema, "docs/policy.schema.json {mend}");
    assert!(std::fs::read_to_string(&page_path).unwrap() == expected, "docs/policy.md {mend}");
}

fn valid(text: &str) -> Result<(), String> {
    let value: Value = toml::from_str(text).map_err(|error| error.to_string())?;
    let validator = jsonschema::validator_for(&policy_schema()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

#[test]
fn every_example_in_the_documentation_that_is_a_policy_fits_the_schema() {
    let mut policies = 0;
    let pages = std::fs::read_dir(DOCS).unwrap().map(|entry| entry.unwrap().path());
    for page in pages.chain([format!("{DOCS}/../README.md").into()]) {
        if page.extension().is_none_or(|ending| ending != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&page).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            match Policy::parse(block) {
                Ok(_) => {
                    valid(block).unwrap_or_else(|errors| panic!("{}: {errors}\n{block}", page.display()));
                    policies += 1;
                }
                Err(_) => {
                    assert!(valid(block).is_err(), "{}: the schema lets a wrong one pass:\n{block}", page.display());
                }
            }
        }
    }
    assert!(policies >= 4, "{policies}");
}

#[test]
fn the_schema_tells_right_from_wrong_where_the_reader_does() {
    let dir = |rest: &str| format!("[[dir]]\nhost = 'a'\n{rest}");
    for (text, right) in [
        (String::new(), true),
        (dir("access = 'read-only'"), true),
        (dir("access = 'rw'"), false),
        (dir(""), false),
        ("limits.memory = '64MiB'".into(), true),
        ("limits.memory = 'unlimited'".into(), true),
        ("limits.stack = 'unlimited'".into(), false),
        ("limits.memory = 64".into(), false),
        ("limits.memory = '64 parsecs'".into(), false),
        ("limits.wall = '5'".into(), false),
        ("limits.fuel = 5".into(), true),
        ("limits.fuel = -5".into(), false),
        ("limits.memroy = '1MiB'".into(), false),
        ("tenant.weight = 'unlimited'".into(), false),
        ("tenant.cpu = 'unlimited'".into(), true),
        ("compiler = 'tiered'".into(), true),
        ("compiler = 'gcc'".into(), false),
        ("on-denied = 'stop'".into(), true),
        ("on-denied = 'maybe'".into(), false),
        ("stdio.stdin = 'yes'".into(), false),
        ("[[http]]\nallow = 'GET,HEAD https://a.example'".into(), true),
        ("[[http]]\nallow = 'ftp://a.example'".into(), false),
        ("[[http]]\nallow-private = true".into(), false),
        ("env.A = 1".into(), false),
        ("args = ['a']".into(), true),
    ] {
        assert_eq!(Policy::parse(&text).is_ok(), right, "{text}");
        assert_eq!(valid(&text).is_ok(), right, "{text}: {:?}", valid(&text));
    }
}
