//! The rule on the direction of dependencies in the host; the directions themselves stand in `layers`.
//!
//! Test code is left out: it may read files and bring its own tools.

use super::Finding;
use super::layers::{CAPABILITY, IMPURE, LAYERS, Layer, OWNED, What};
use super::modules::{Modules, Named};
use super::scan::{Kind, Sources};
use std::collections::BTreeSet;

/// Where the table of directions stands.
const TABLE: &str = "xtask/src/tidy/layers.rs";

pub(super) fn check(sources: &Sources) -> Vec<Finding> {
    let modules = Modules::of(sources);
    let mut findings = modules.problems();
    for (module, file) in modules.top_level() {
        if layer(module).is_none() {
            let message = format!("module `{module}` is in no layer");
            findings.push(finding(file, 1, message, format!("add a row that says what it may use to {TABLE}")));
        }
    }
    let tops: BTreeSet<String> = modules.top_level().into_keys().map(str::to_owned).collect();
    for named in modules.named() {
        direction(&named, &tops, &mut findings);
        siblings(&named, &modules, &mut findings);
        purity(&named, &mut findings);
        ownership(&named, &mut findings);
    }
    findings.sort();
    findings.dedup();
    findings
}

fn layer(module: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.module == module)
}

/// A module names only those that its row allows.
fn direction(named: &Named<'_>, tops: &BTreeSet<String>, findings: &mut Vec<Finding>) {
    let [krate, used, ..] = named.path.as_slice() else {
        return;
    };
    let Some(own) = named.module.first().and_then(|module| layer(module)) else {
        return;
    };
    // What is not a module is an item that the root declares or passes on.
    if krate == "crate"
        && !named.again
        && tops.contains(used)
        && used != own.module
        && !own.uses().any(|module| module == used)
    {
        let message = format!("`{}` uses `{}`, which it must not know", own.module, named.path.join("::"));
        let allowed = own.uses().collect::<Vec<_>>().join(", ");
        let allowed = if allowed.is_empty() { "no other module" } else { &allowed };
        let hint = format!("it may use {allowed}; turn the dependency round, or change the table in {TABLE}");
        findings.push(finding(named.file, named.line, message, hint));
    }
}

/// One capability never names another.
fn siblings(named: &Named<'_>, modules: &Modules<'_>, findings: &mut Vec<Finding>) {
    let [module, own, ..] = named.module.as_slice() else {
        return;
    };
    if module != CAPABILITY {
        return;
    }
    let other = match named.path.as_slice() {
        [krate, top, other, ..] if krate == "crate" && top == CAPABILITY => Some(other),
        [krate, top] if krate == "crate" && top == CAPABILITY && named.kind == Kind::Glob => None,
        _ => return,
    };
    let is_sibling = other.is_none_or(|other| other != own && modules.is_module(&[CAPABILITY.into(), other.clone()]));
    if is_sibling {
        let message = format!("capability `{own}` uses `{}`", named.path.join("::"));
        let hint = "what two capabilities share belongs below both: in `quota`, `policy` or `bindings`".to_owned();
        findings.push(finding(named.file, named.line, message, hint));
    }
}

/// A pure module has no means to do anything.
fn purity(named: &Named<'_>, findings: &mut Vec<Finding>) {
    let Some(own) = named.module.first().and_then(|module| layer(module)).filter(|own| own.pure) else {
        return;
    };
    if named.kind == Kind::Method {
        return;
    }
    for (start, hint) in IMPURE {
        if begins(&named.path, start) {
            let message = format!("`{}` is pure and uses `{}`", own.module, named.path.join("::"));
            findings.push(finding(named.file, named.line, message, (*hint).to_owned()));
        }
    }
}

/// Some things are named in one place alone.
fn ownership(named: &Named<'_>, findings: &mut Vec<Finding>) {
    let Some(module) = named.module.first() else { return };
    let last = named.path.last().map_or("", String::as_str);
    for owned in OWNED.iter().filter(|owned| !owned.by.contains(&module.as_str())) {
        let found = match owned.what {
            What::Path(start) => named.kind != Kind::Method && begins(&named.path, start),
            What::Glob(whole) => named.kind == Kind::Glob && named.path == whole,
            What::Macro(name) => named.kind == Kind::Macro && last == name,
            What::Call(start) => matches!(named.kind, Kind::Path | Kind::Method | Kind::Use) && last.starts_with(start),
        };
        if found {
            let bang = if named.kind == Kind::Macro { "!" } else { "" };
            let owners = owned.by.iter().map(|owner| format!("`{owner}`")).collect::<Vec<_>>().join(" and ");
            let message = format!("`{}{bang}` belongs to {owners} alone", named.path.join("::"));
            findings.push(finding(named.file, named.line, message, owned.hint.to_owned()));
        }
    }
}

/// Whether `path` begins with `start`.
fn begins(path: &[String], start: &[&str]) -> bool {
    path.len() >= start.len()
        && path.iter().zip(start).all(|(part, wanted)| match wanted.strip_suffix('*') {
            Some(beginning) => part.starts_with(beginning),
            None => part == wanted,
        })
}

fn finding(path: &str, line: usize, message: String, hint: String) -> Finding {
    Finding { path: path.to_owned(), line, rule: "dependencies", message, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::made;

    /// A crate in which `text` stands in `file` and every other module is empty.
    fn messages(file: &str, text: &str) -> Vec<String> {
        let lib = "mod cli; mod invoke; mod linker; mod state; mod capability; mod bindings; mod engine; mod policy; \
                   mod quota; mod contract;";
        let mut files = vec![
            ("host/src/lib.rs", lib),
            ("host/src/main.rs", ""),
            ("host/src/cli.rs", ""),
            ("host/src/invoke.rs", ""),
            ("host/src/linker.rs", ""),
            ("host/src/state.rs", ""),
            ("host/src/capability.rs", "mod log; mod config; struct Shared;"),
            ("host/src/capability/log.rs", ""),
            ("host/src/capability/config.rs", ""),
            ("host/src/bindings.rs", ""),
            ("host/src/engine.rs", ""),
            ("host/src/policy.rs", "mod net;"),
            ("host/src/policy/net.rs", ""),
            ("host/src/quota.rs", ""),
            ("host/src/contract.rs", ""),
        ];
        files.retain(|(path, _)| *path != file);
        files.push((file, text));
        let made = made::tree(&files);
        check(&Sources::read(&made.tree)).into_iter().map(|finding| finding.message).collect()
    }

    fn passes(file: &str, text: &str) {
        assert_eq!(messages(file, text), Vec::<String>::new(), "{file}: {text}");
    }

    fn fails(file: &str, text: &str, message: &str) {
        assert_eq!(messages(file, text), [message], "{file}: {text}");
    }

    #[test]
    fn a_module_uses_only_what_its_row_allows() {
        passes("host/src/linker.rs", "use crate::state::State; use super::capability::log;");
        fails(
            "host/src/state.rs",
            "use crate::linker::Linker;",
            "`state` uses `crate::linker::Linker`, which it must not know",
        );
        fails(
            "host/src/policy/net.rs",
            "fn f() { crate::quota::x() }",
            "`policy` uses `crate::quota::x`, which it must not know",
        );
        fails(
            "host/src/policy/net.rs",
            "use super::super::quota;",
            "`policy` uses `crate::quota`, which it must not know",
        );
        fails("host/src/main.rs", "use host::invoke;", "`main` uses `crate::invoke`, which it must not know");
        fails(
            "host/src/engine.rs",
            "fn f() { log!(crate::state::x()) }",
            "`engine` uses `crate::state::x`, which it must not know",
        );
        passes("host/src/policy.rs", "mod net; #[cfg(test)] mod tests { use crate::quota::Quota; }");
    }

    #[test]
    fn one_use_is_one_finding() {
        let text = "use crate::state::State; fn f() { State::new() } fn g() { State::new() }";
        fails("host/src/engine.rs", text, "`engine` uses `crate::state::State`, which it must not know");
    }

    #[test]
    fn only_state_and_linker_name_capabilities() {
        passes("host/src/state.rs", "use crate::capability::{config, log};");
        fails(
            "host/src/invoke.rs",
            "use crate::capability::log;",
            "`invoke` uses `crate::capability::log`, which it must not know",
        );
    }

    #[test]
    fn one_capability_never_uses_another() {
        let file = "host/src/capability/log.rs";
        passes(file, "use super::Shared; use crate::capability::log::own; use crate::quota::Quota;");
        fails(file, "use super::config::View;", "capability `log` uses `crate::capability::config::View`");
        fails(file, "use crate::capability::*;", "capability `log` uses `crate::capability`");
        fails(
            file,
            "use crate::capability; fn f() { capability::config::f() }",
            "capability `log` uses `crate::capability::config::f`",
        );
    }

    #[test]
    fn a_pure_module_can_do_nothing() {
        let file = "host/src/policy/net.rs";
        passes(file, "use core::net::IpAddr; use std::collections::BTreeMap; use std::path::Path;");
        passes(file, "#[test] fn f() { std::fs::read(\"a\") }");
        for path in
            ["tokio::time", "tokio_util::a", "wasmtime::Store", "wasmtime_wasi::a", "std::fs", "std::net::IpAddr"]
        {
            fails(file, &format!("use {path};"), &format!("`policy` is pure and uses `{path}`"));
        }
        fails(file, "fn f() { std::process::id() }", "`policy` is pure and uses `std::process::id`");
        fails(file, "use std::{fmt, thread::{self}};", "`policy` is pure and uses `std::thread`");
        fails("host/src/contract.rs", "fn f(s: wasmtime::Engine) {}", "`contract` is pure and uses `wasmtime::Engine`");
        passes("host/src/engine.rs", "use std::fs; use wasmtime::Engine; use tokio::time;");
    }

    #[test]
    fn only_the_command_line_prints_exits_and_knows_clap() {
        for (text, what) in [
            ("fn f() { println!() }", "println!"),
            ("fn f() { a!(eprintln!(\"x\")) }", "eprintln!"),
            ("fn f() { std::print!() }", "std::print!"),
            ("fn f() { eprint!() }", "eprint!"),
            ("fn f() { std::process::exit(1) }", "std::process::exit"),
            ("use clap::Parser;", "clap::Parser"),
            ("#[derive(clap::Args)] struct A;", "clap::Args"),
        ] {
            fails("host/src/invoke.rs", text, &format!("`{what}` belongs to `cli` and `main` alone"));
            passes("host/src/cli.rs", text);
            passes("host/src/main.rs", text);
        }
        passes("host/src/invoke.rs", "use std::process::Command; fn f() { exit(1) } // println!");
    }

    #[test]
    fn only_the_engine_has_the_configuration() {
        for text in ["use wasmtime::{Config, Engine};", "fn f() { wasmtime::Config::new() }"] {
            assert_eq!(messages("host/src/invoke.rs", text).len(), 1, "{text}");
            passes("host/src/engine.rs", text);
        }
        fails("host/src/invoke.rs", "use wasmtime::*;", "`wasmtime` belongs to `engine` alone");
        passes("host/src/invoke.rs", "use wasmtime::component::*;");
    }

    #[test]
    fn there_is_one_bindgen_and_one_list_for_the_linker() {
        fails(
            "host/src/invoke.rs",
            "wasmtime::component::bindgen!({});",
            "`wasmtime::component::bindgen!` belongs to `bindings` alone",
        );
        passes("host/src/bindings.rs", "wasmtime::component::bindgen!({});");
        let call = "fn f() { a::add_to_linker::<T>(l) }";
        fails("host/src/capability/log.rs", call, "`a::add_to_linker` belongs to `linker` alone");
        fails(
            "host/src/invoke.rs",
            "fn f() { a.add_to_linker_async(l) }",
            "`add_to_linker_async` belongs to `linker` alone",
        );
        passes("host/src/linker.rs", call);
        passes("host/src/capability/log.rs", "fn add_to_linker() {}");
    }

    #[test]
    fn a_new_module_needs_a_row() {
        let made = made::tree(&[("host/src/lib.rs", "mod brand_new;"), ("host/src/brand_new.rs", "")]);
        let found = check(&Sources::read(&made.tree));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].message, "module `brand_new` is in no layer");
    }
}
