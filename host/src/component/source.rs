//! From bytes of unknown origin to the bytes of a component: what they are is found by looking, never by a name.
//!
//! Text is converted and core modules that use preview 1 are adapted. Native code and ahead-of-time artifacts are
//! refused: loading one is running it. Nothing in here compiles or runs anything.

use std::fmt;

use serde::{Deserialize, Serialize};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Encoding, Parser, Payload};
use wit_component::ComponentEncoder;

use crate::outcome::{Refusal, Stop};
use crate::text::escape;

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A component in binary form.
    Component,
    /// A component in text form.
    ComponentText,
    /// A core module in binary form, adapted.
    Module,
    /// A core module in text form, adapted.
    ModuleText,
}

/// The bytes of a component, and what they were made from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) form: Form,
    /// The component, where it differs from what was given.
    pub(crate) converted: Option<Vec<u8>>,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Component => "component",
            Self::ComponentText => "component-text",
            Self::Module => "module",
            Self::ModuleText => "module-text",
        })
    }
}

/// How many of a file's first bytes [`refuse_by_prefix`] wants to see.
pub const PREFIX: usize = 4096;

/// Refuses from the first bytes alone what can't be WebAssembly, so that a huge file of something else is never read.
///
/// # Errors
/// The refusal, with what the bytes look like.
pub fn refuse_by_prefix(prefix: &[u8]) -> Result<(), Stop> {
    let not_wasm = |what: &str| Err(Stop::refused(Refusal::NotWasm, format!("this is {what}"), WANTED));
    match prefix {
        [] => not_wasm("empty"),
        [0, b'a', b's', b'm', ..] => Ok(()),
        [0x7f, b'E', b'L', b'F', ..] => Err(Stop::refused(
            Refusal::Unauthenticated,
            "this is native code or a precompiled artifact, and its origin can't be checked",
            "give the component that it was compiled from",
        )),
        [b'P', b'K', ..] => not_wasm("a zip archive"),
        [0x1f, 0x8b, ..] => not_wasm("compressed with gzip"),
        [b'#', b'!', ..] => not_wasm("a script"),
        text if looks_like_text_format(text) => Ok(()),
        text if text.iter().all(|byte| *byte == 0) => not_wasm("nothing but zero bytes"),
        text if std::str::from_utf8(text).is_ok() => not_wasm("text, but not the WebAssembly text format"),
        _ => not_wasm("not WebAssembly"),
    }
}

const WANTED: &str = "give a component (`.wasm`), a core module that uses WASI preview 1, or either of them as text";

impl Source {
    /// Finds out what the bytes are and converts them.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Stop> {
        refuse_by_prefix(bytes.get(..PREFIX).unwrap_or(bytes))?;
        if bytes.starts_with(b"\0asm") {
            return if is_component(bytes)? {
                Ok(Self { form: Form::Component, converted: None })
            } else {
                Ok(Self { form: Form::Module, converted: Some(adapt(bytes)?) })
            };
        }
        let binary = wat::parse_bytes(bytes).map_err(|error| {
            let error = error.to_string();
            let first = escape(error.lines().next().unwrap_or_default());
            let place = error.lines().find_map(|line| line.trim().strip_prefix("--> <anon>:")).unwrap_or_default();
            let place = if place.is_empty() { String::new() } else { format!(" at line and column {place}") };
            invalid(format!("the text format doesn't parse{place}: {first}"))
        })?;
        if is_component(&binary)? {
            Ok(Self { form: Form::ComponentText, converted: Some(binary.into_owned()) })
        } else {
            Ok(Self { form: Form::ModuleText, converted: Some(adapt(&binary)?) })
        }
    }
}

/// A refusal of bytes that are WebAssembly, but broken or beyond what the host takes.
pub(crate) fn invalid(message: impl Into<String>) -> Stop {
    Stop::refused(Refusal::Invalid, message, "check that the file is complete, and what its toolchain targets")
}

/// Whether text begins as the text format does, after blanks and comments.
fn looks_like_text_format(mut text: &[u8]) -> bool {
    loop {
        text = text.trim_ascii_start();
        if let Some(rest) = text.strip_prefix(b";;") {
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return false };
            text = rest.get(end..).unwrap_or_default();
        } else if text.starts_with(b"(;") {
            // A block comment can't be followed through a prefix; the parser will say if it isn't one.
            return true;
        } else {
            let word = text.strip_prefix(b"(").map(<[u8]>::trim_ascii_start).unwrap_or_default();
            return word.starts_with(b"component") || word.starts_with(b"module");
        }
    }
}

fn is_component(bytes: &[u8]) -> Result<bool, Stop> {
    match Parser::new(0).parse_all(bytes).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => Ok(true),
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => Ok(false),
        Some(Err(error)) => Err(invalid(format!("the header is broken: {}", error.message()))),
        _ => Err(invalid("the header is missing")),
    }
}

/// Wraps a core module into a component: with the world that its toolchain wrote into it, or as a program.
fn adapt(module: &[u8]) -> Result<Vec<u8>, Stop> {
    let facts = Facts::read(module)?;
    if facts.imports > MAX_IMPORTS {
        return Err(invalid(format!(
            "the core module has {} imports, and at most {MAX_IMPORTS} are adapted",
            facts.imports
        )));
    }
    if !facts.foreign.is_empty() {
        let list = facts.foreign.join("`, `");
        return Err(Stop::refused(
            Refusal::Import,
            format!("the core module imports `{list}`, which no component can be given"),
            "a core module may import from `wasi_snapshot_preview1` only; build it for WASI, or make a component of it",
        ));
    }
    if !facts.has_world && !facts.has_start {
        return Err(Stop::refused(
            Refusal::World,
            "the core module has neither a `_start` function nor a component world",
            "build it as a program, or make a component of it with its toolchain or `wasm-tools component new`",
        ));
    }
    let adapter =
        if facts.has_start { WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER } else { WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER };
    let encode = || {
        ComponentEncoder::default()
            .validate(true)
            .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)?
            .module(module)?
            .encode()
    };
    encode().map_err(|error: anyhow::Error| {
        invalid(format!("the core module can't become a component: {}", one_line(&error)))
    })
}

/// The causes of an error in one line.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| escape(&cause.to_string().replace('\n', " "))).collect();
    causes.join(": ")
}

/// Imports of a core module that are adapted: WASI preview 1 has fewer than fifty, and adapting takes time that grows
/// faster than their number.
const MAX_IMPORTS: usize = 1000;

/// What of a core module decides how it is adapted.
#[derive(Default)]
struct Facts {
    foreign: Vec<String>,
    has_world: bool,
    has_start: bool,
    imports: usize,
}

impl Facts {
    fn read(module: &[u8]) -> Result<Self, Stop> {
        let broken = |error: wasmparser::BinaryReaderError| {
            invalid(format!("the core module is broken at byte {}: {}", error.offset(), error.message()))
        };
        wasmparser::Validator::new().validate_all(module).map_err(broken)?;
        let mut facts = Self::default();
        let mut imports = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload.map_err(broken)? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(broken)?;
                        facts.imports += 1;
                        if import.module != WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME {
                            imports.push(escape(&format!("{}.{}", import.module, import.name)));
                        }
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        facts.has_start |= export.map_err(broken)?.name == "_start";
                    }
                }
                Payload::CustomSection(section) => facts.has_world |= section.name().starts_with("component-type"),
                _ => {}
            }
        }
        // A module that carries its world may import what the world does; the encoder checks that.
        if !facts.has_world {
            facts.foreign = imports;
        }
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        let stop = Source::read(bytes).unwrap_err();
        format!("{} {}", stop.reason, stop.message)
    }

    #[test]
    fn what_is_no_webassembly_is_refused_for_what_it_is() {
        assert_eq!(refusal(b""), "refused.not-wasm this is empty");
        assert!(refusal(b"hello\n").contains("text, but not"));
        assert!(refusal(b"#!/bin/sh\n").contains("a script"));
        assert!(refusal(&[0; 5000]).contains("zero bytes"));
        assert!(refusal(b"\xff\xfe\xfd").contains("not WebAssembly"));
        assert!(refusal(b"\x7fELF\x02").starts_with("refused.unauthenticated"));
        assert!(refusal(b"\0asm").starts_with("refused.invalid"));
        assert!(refusal(b"\0asm\x09\0\0\0").starts_with("refused.invalid"));
    }

    #[test]
    fn text_is_converted_and_its_errors_have_a_place() {
        assert_eq!(Source::read(b"(component)").unwrap().form, Form::ComponentText);
        assert_eq!(Source::read(b" ;; c\n(; d ;)( component )").unwrap().form, Form::ComponentText);
        assert!(
            refusal(b"(component\n  (oops))").contains("line and column 2:"),
            "{}",
            refusal(b"(component\n  (oops))")
        );
        let nested = format!("(module (func {}", "(block ".repeat(200_000));
        assert!(refusal(nested.as_bytes()).starts_with("refused.invalid"));
    }

    #[test]
    fn a_core_module_is_a_program_or_it_is_refused_by_name() {
        let program = "(module (func (export \"_start\")) (memory (export \"memory\") 1))";
        let source = Source::read(program.as_bytes()).unwrap();
        assert_eq!(source.form, Form::ModuleText);
        assert!(is_component(&source.converted.unwrap()).unwrap());
        let foreign = refusal(b"(module (import \"env\" \"abort\" (func)) (import \"a\" \"b\" (func)))");
        assert!(foreign.contains("`env.abort`, `a.b`"), "{foreign}");
        assert!(refusal(b"(module)").starts_with("refused.world"));
        let unknown = "(module (import \"wasi_snapshot_preview1\" \"nope\" (func)) (func (export \"_start\")))";
        assert!(refusal(unknown.as_bytes()).contains("nope"));
    }
}
