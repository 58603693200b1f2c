//! The direction of dependencies in the host, as data: which module may use which, and what belongs to one module.
//!
//! Whoever adds a module adds a row; whoever needs a new direction changes a row, says why in the commit, and keeps
//! `docs/architecture.md` true. Rows go from the outside in, and a test checks that they form no circle.

/// A module at the top of the crate and what it may use.
pub(super) struct Layer {
    /// Its name; the rule holds for everything below it too.
    pub(super) module: &'static str,
    /// The other modules that it may name, with blanks between them.
    uses: &'static str,
    /// Whether it is values and decisions alone, without any means to do something.
    pub(super) pure: bool,
}

impl Layer {
    /// The other modules that it may name.
    pub(super) fn uses(&self) -> impl Iterator<Item = &'static str> {
        self.uses.split_whitespace()
    }
}

const fn layer(module: &'static str, uses: &'static str) -> Layer {
    Layer { module, uses, pure: false }
}

const fn pure(module: &'static str, uses: &'static str) -> Layer {
    Layer { module, uses, pure: true }
}

/// `main` and `lib` are the roots: one starts the command line, the other says what is public.
pub(super) const LAYERS: &[Layer] = &[
    layer("main", "cli"),
    layer(
        "lib",
        "artifact attack bindings cache call compile component conduct contract egress engine host invoke metrics outcome policy quota receipt serve \
         shared state stdio tenant text",
    ),
    layer(
        "cli",
        "attack cache call component conduct contract engine host invoke metrics outcome policy receipt serve tenant text",
    ),
    layer(
        "conduct",
        "bindings cache call compile component contract engine host invoke outcome policy state stdio tenant text",
    ),
    layer("serve", "cache call component engine host invoke metrics outcome policy quota receipt tenant text"),
    layer("metrics", "outcome policy quota receipt tenant"),
    layer(
        "invoke",
        "bindings cache call component deterministic ending engine host keyvalue limiter linker outcome policy quota receipt \
         scheduler shared state stdio tenant text",
    ),
    layer(
        "host",
        "artifact bindings cache compile component egress engine keyvalue linker outcome policy scheduler shared state text",
    ),
    layer("cache", "artifact component engine"),
    layer("compile", "artifact component engine linker outcome policy text"),
    layer("artifact", "component engine outcome"),
    layer("component", "bindings call ending engine linker outcome policy state text"),
    layer("call", "ending outcome text"),
    layer("linker", "bindings capability ending outcome policy quota state"),
    layer("state", "capability deterministic keyvalue limiter outcome policy quota receipt scheduler tenant"),
    layer("capability", "bindings deterministic egress keyvalue outcome policy quota scheduler text"),
    layer("keyvalue", "outcome policy quota"),
    layer("stdio", "outcome policy quota"),
    layer("bindings", ""),
    layer("egress", "outcome policy quota scheduler text"),
    layer("ending", "outcome policy quota text"),
    layer("limiter", "outcome policy quota scheduler"),
    layer("engine", "outcome policy scheduler"),
    layer("scheduler", "outcome policy quota shared"),
    pure("attack", "outcome policy"),
    pure("deterministic", ""),
    pure("contract", "outcome policy text"),
    pure("receipt", "outcome policy quota tenant"),
    pure("quota", "outcome policy shared tenant text"),
    pure("shared", "outcome policy tenant"),
    pure("tenant", "policy"),
    pure("outcome", "policy text"),
    pure("policy", ""),
    pure("text", ""),
];

/// The module whose parts never name each other.
pub(super) const CAPABILITY: &str = "capability";

/// What no pure module names, as the beginning of a path; `*` at the end of a part stands for any rest of its name.
pub(super) const IMPURE: &[(&[&str], &str)] = &[
    (&["tokio*"], "a decision has nothing to wait for"),
    (&["wasmtime*"], "keep the engine's types out, so that the rules are tested without it"),
    (&["std", "fs"], "let the caller read, and pass in what it read"),
    (&["std", "net"], "let the caller connect; the types of addresses are in `core::net` too"),
    (&["std", "process"], "let the caller do it"),
    (&["std", "thread"], "let the caller do it"),
];

/// What is named in few modules only.
pub(super) struct Owned {
    pub(super) what: What,
    /// The modules that may, with everything below them.
    pub(super) by: &'static [&'static str],
    pub(super) hint: &'static str,
}

/// How to recognise something that is owned.
pub(super) enum What {
    /// A path that begins so.
    Path(&'static [&'static str]),
    /// Exactly this path, taken whole by `*`.
    Glob(&'static [&'static str]),
    /// A macro of this name, wherever it comes from.
    Macro(&'static str),
    /// A function or method whose name begins so, wherever it comes from.
    Call(&'static str),
}

const PRINTING: &str = "return it; only the command line decides what is printed and where";

pub(super) const OWNED: &[Owned] = &[
    Owned { what: What::Path(&["clap"]), by: &["cli", "main"], hint: "keep the command line in `cli`" },
    Owned { what: What::Macro("print"), by: &["cli", "main"], hint: PRINTING },
    Owned { what: What::Macro("println"), by: &["cli", "main"], hint: PRINTING },
    Owned { what: What::Macro("eprint"), by: &["cli", "main"], hint: PRINTING },
    Owned { what: What::Macro("eprintln"), by: &["cli", "main"], hint: PRINTING },
    Owned {
        what: What::Path(&["std", "process", "exit"]),
        by: &["cli", "main"],
        hint: "return an outcome; only the command line ends the program",
    },
    Owned {
        what: What::Path(&["wasmtime", "Config"]),
        by: &["engine"],
        hint: "the engine's settings are safe only if they stand in one place: `engine`",
    },
    Owned {
        what: What::Glob(&["wasmtime"]),
        by: &["engine"],
        hint: "name what is used: `*` would bring in `Config`, which belongs to `engine`",
    },
    Owned { what: What::Macro("bindgen"), by: &["bindings"], hint: "there is one `bindgen!`, in `bindings`" },
    Owned {
        what: What::Call("add_to_linker"),
        by: &["linker"],
        hint: "what a guest can reach is one list, in `linker`",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layers_form_no_circle() {
        // Each row may use later rows alone, which no circle can.
        for (at, layer) in LAYERS.iter().enumerate() {
            for used in layer.uses() {
                let place = LAYERS.iter().position(|other| other.module == used);
                assert!(place.is_some_and(|place| place > at), "`{}` uses `{used}`", layer.module);
            }
        }
    }

    #[test]
    fn a_pure_module_uses_pure_modules_only() {
        for layer in LAYERS.iter().filter(|layer| layer.pure) {
            for used in layer.uses() {
                assert!(LAYERS.iter().any(|other| other.module == used && other.pure), "{}", layer.module);
            }
        }
    }

    #[test]
    fn only_state_and_linker_name_the_capabilities() {
        let named = LAYERS.iter().filter(|layer| layer.uses().any(|used| used == CAPABILITY)).map(|layer| layer.module);
        assert_eq!(named.collect::<Vec<_>>(), ["linker", "state"]);
    }
}
