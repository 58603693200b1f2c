//! The rule that every key of a policy is read by what enforces it.
//!
//! A limit that is declared, parsed, printed and never read is worse than none. Every field of the structs below must
//! be read, as `.field` or by a pattern, in code of the host that is neither the policy's own nor the command line's.
//! Fields are matched by name alone, so a key should not share its name with an unrelated field.

use super::Finding;
use super::modules::Modules;
use super::scan::Sources;
use crate::repo::Tree;
use std::collections::BTreeSet;

/// Where the keys of a policy are defined: file and struct.
const KEYS: &[(&str, &str)] = &[
    ("host/src/policy/limits.rs", "Limits"),
    ("host/src/policy/grants.rs", "Grants"),
    ("host/src/policy/tenant_limits.rs", "TenantLimits"),
];
/// Modules in which a read enforces nothing.
const NO_READERS: &[&str] = &["policy", "cli"];

pub(super) fn check(tree: &Tree, sources: &Sources) -> Vec<Finding> {
    let modules = Modules::of(sources);
    let mut read = BTreeSet::new();
    for (module, field) in modules.reads() {
        if !module.first().is_some_and(|top| NO_READERS.contains(&top.as_str())) {
            read.insert(field);
        }
    }
    let mut findings = Vec::new();
    let mut find = |path: &str, line, message, hint: &str| {
        findings.push(Finding { path: path.to_owned(), line, rule: "policy-keys", message, hint: hint.to_owned() });
    };
    for (path, name) in KEYS {
        let Some(fields) = tree.text(path).and_then(|text| fields(text, name)) else {
            let hint =
                "tidy looks there for the keys of a policy; if they moved, say so in xtask/src/tidy/policy_keys.rs";
            find(path, 1, format!("has no struct `{name}`"), hint);
            continue;
        };
        for (field, line) in fields {
            if !read.contains(field.as_str()) {
                let hint = "enforce it where its resource is used, or remove the key";
                find(path, line, format!("nothing outside the policy and the command line reads `{field}`"), hint);
            }
        }
    }
    findings
}

/// The fields of the struct `name` with their lines.
fn fields(text: &str, name: &str) -> Option<Vec<(String, usize)>> {
    let file = syn::parse_file(text).ok()?;
    let found = file.items.iter().find_map(|item| match item {
        syn::Item::Struct(item) if item.ident == name => Some(item),
        _ => None,
    })?;
    let named = found.fields.iter().filter_map(|field| field.ident.as_ref());
    Some(named.map(|ident| (ident.to_string(), ident.span().start().line)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    fn messages(reader: &str, place: &str) -> Vec<String> {
        let made = made::tree(&[
            ("host/src/lib.rs", "mod policy; mod limiter; mod cli;"),
            ("host/src/policy.rs", "mod limits; mod grants; mod tenant_limits;"),
            ("host/src/policy/limits.rs", "pub struct Limits { pub wall: u64 }\nfn f(l: Limits) { l.wall }"),
            ("host/src/policy/grants.rs", "pub struct Grants {}"),
            ("host/src/policy/tenant_limits.rs", "pub struct TenantLimits {}"),
            (place, reader),
        ]);
        let findings = check(&made.tree, &Sources::read(&made.tree));
        findings.iter().map(|finding| format!("{}: {}", finding.place(), finding.message)).collect()
    }

    const UNREAD: &str = "host/src/policy/limits.rs:1: nothing outside the policy and the command line reads `wall`";

    #[test]
    fn a_key_that_is_read_passes() {
        for reader in ["fn f(l: L) { sleep(l.limits.wall) }", "fn f(L { wall, .. }: L) {}", "fn f(l: L) { g!(l.wall) }"]
        {
            assert_eq!(messages(reader, "host/src/limiter.rs"), Vec::<String>::new(), "{reader}");
        }
    }

    #[test]
    fn a_key_that_is_only_written_named_or_read_by_a_test_is_found() {
        for reader in [
            "",
            "fn f(l: L) { l.wall = 1 }",
            "fn f(l: L) { l.wall() }",
            "// l.wall",
            "#[cfg(test)] mod tests { fn f(l: L) { l.wall; } }",
        ] {
            assert_eq!(messages(reader, "host/src/limiter.rs"), [UNREAD], "{reader}");
        }
    }

    #[test]
    fn a_read_in_the_command_line_enforces_nothing() {
        assert_eq!(messages("fn f(l: L) { print(l.wall) }", "host/src/cli.rs"), [UNREAD]);
    }

    #[test]
    fn a_struct_that_is_gone_is_found() {
        let made = made::tree(&[("host/src/lib.rs", "")]);
        assert_eq!(check(&made.tree, &Sources::read(&made.tree)).len(), KEYS.len());
    }
}
