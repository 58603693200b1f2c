//! Components as bytes: making one of a core module, and reading what one imports and exports.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldKey};

use super::Workshop;
use super::source::Guest;

/// What a language's tools made for one guest.
pub(super) struct Made {
    /// The file's contents: a component, a core module for the host to adapt, or text.
    pub(super) bytes: Vec<u8>,
    /// The tools that made it, with their versions.
    pub(super) tools: Vec<(String, String)>,
}

/// What a guest's file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// `component`, `module` or `text`.
    pub(super) kind: &'static str,
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
}

impl Made {
    pub(super) fn new(bytes: Vec<u8>, tools: &[(&str, &str)]) -> Self {
        let tools = tools.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect();
        Self { bytes, tools }
    }

    /// Adds the language and the tools to the component itself.
    pub(super) fn labelled(mut self, language: &str) -> Result<Self> {
        self.bytes = label(&self.bytes, language, &self.tools)?;
        Ok(self)
    }

    /// Reads what was made, and refuses what breaks its world's promise: a guest of `sandbox-pure` has no WASI.
    pub(super) fn inspect(&self, guest: &Guest) -> Result<Facts> {
        let facts = facts(&self.bytes)?;
        let wasi: Vec<_> = facts.imports.iter().filter(|import| import.starts_with("wasi:")).cloned().collect();
        if guest.world == "sandbox-pure" && !wasi.is_empty() {
            bail!(
                "the component imports `{}`, and the world `sandbox-pure` has no WASI\nhint: the language's runtime \
                 needs it; give it the adapter in guests/adapter, or its toolchain's switch that stubs WASI out",
                wasi.join("`, `")
            );
        }
        Ok(facts)
    }
}

/// Whether the bytes are a component; core modules have another layer number in the same header.
pub(super) fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0")
}

/// Whether the bytes are a core module.
pub(super) fn is_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}

/// Makes a component of a core module that says in its own custom sections which world it is for. A module that says
/// nothing is returned as it is, for the host to adapt. The adapter, if any, stands in for WASI preview 1.
pub(super) fn encode(module: Vec<u8>, adapter: Option<&[u8]>) -> Result<Vec<u8>> {
    if is_component(&module) {
        return Ok(module);
    }
    if !is_module(&module) {
        bail!("the compiler's output is not a wasm module");
    }
    let (rest, _) = wit_component::metadata::decode(&module).context("failed to read the module's component type")?;
    if rest.is_none() {
        return Ok(module);
    }
    let mut encoder = ComponentEncoder::default();
    if let Some(adapter) = adapter {
        // Before the module, which is checked against the adapters that are known by then.
        encoder.adapter("wasi_snapshot_preview1", adapter).context("failed to read the stub adapter")?;
    }
    encoder.module(&module).context("failed to read the module")?;
    encoder.encode().context("failed to encode the module as a component")
}

/// Our stand-in for WASI preview 1, for guests that use no WASI in languages whose library expects it.
pub(super) fn stub_adapter(shop: &Workshop) -> Result<Vec<u8>> {
    let file = shop.root.join("guests/adapter/stub.wat");
    wat::parse_file(&file).with_context(|| format!("failed to understand `{}`", file.display()))
}

/// Takes the debug information out of a module, and leaves the names of its functions in, which a trap is shown with.
pub(super) fn without_debug_information(module: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = wasm_encoder::Module::HEADER.to_vec();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        let payload = payload.context("failed to read the module")?;
        if matches!(&payload, wasmparser::Payload::CustomSection(section) if section.name().starts_with(".debug_")) {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
            let data = module.get(range).context("a section is longer than the module")?;
            wasm_encoder::Section::append_to(&wasm_encoder::RawSection { id, data }, &mut bytes);
        }
    }
    Ok(bytes)
}

/// Writes into a component which language it was written in and which tools made it, where these don't do so themselves.
pub(super) fn label(bytes: &[u8], language: &str, tools: &[(String, String)]) -> Result<Vec<u8>> {
    let mut producers = wasm_metadata::Producers::empty();
    producers.add("language", language, "");
    for (name, version) in tools {
        producers.add("processed-by", name, version);
    }
    producers.add_to_wasm(bytes).context("failed to write the producers of the component")
}

/// Our WIT, and the id of one of its worlds.
pub(super) fn world(wit: &Path, name: &str) -> Result<(Resolve, wit_parser::WorldId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit).with_context(|| format!("failed to read `{}`", wit.display()))?;
    let world = resolve.select_world(&[package], Some(name))?;
    Ok((resolve, world))
}

/// Looks at the bytes of a finished guest.
pub(super) fn facts(bytes: &[u8]) -> Result<Facts> {
    if !is_component(bytes) {
        let kind = if is_module(bytes) { "module" } else { "text" };
        return Ok(Facts { kind, imports: Vec::new(), exports: Vec::new() });
    }
    let DecodedWasm::Component(resolve, world) =
        wit_component::decode(bytes).context("failed to read the component")?
    else {
        bail!("the file is a WIT package, not a program");
    };
    let world = resolve.worlds.get(world).context("the component has no world")?;
    let names = |keys: Vec<&WorldKey>| keys.into_iter().map(|key| resolve.name_world_key(key)).collect();
    Ok(Facts {
        kind: "component",
        imports: names(world.imports.keys().collect()),
        exports: names(world.exports.keys().collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUB: &str = include_str!("../../../guests/adapter/stub.wat");

    /// A job that calls functions of preview 1, as a module for `sandbox-pure`.
    fn module(preview1: &str, start: &str) -> Vec<u8> {
        let text = format!(
            r#"(module
                {preview1}
                (memory (export "memory") 1)
                (func (export "_initialize") {start})
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export "sandbox:host/job@0.1.0#run")
                    (param i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable))"#
        );
        let mut module = wat::parse_str(text).unwrap();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let (resolve, world) = world(&wit, "sandbox-pure").unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, Default::default(), false).unwrap();
        module
    }

    #[test]
    fn the_stub_adapter_answers_all_of_preview_1_and_needs_nothing_but_memory() {
        let bytes = wat::parse_str(STUB).unwrap();
        let mut exports = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
            match payload.unwrap() {
                wasmparser::Payload::ImportSection(section) => {
                    let imports: Vec<_> =
                        section.into_imports().map(|import| import.unwrap().name.to_owned()).collect();
                    assert_eq!(imports, ["memory"]);
                }
                wasmparser::Payload::ExportSection(section) => {
                    exports.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
                }
                _ => {}
            }
        }
        // 46 functions of preview 1, and the one that Go's bindings add.
        assert_eq!(exports.len(), 47);
        for (prefix, count) in
            [("args_", 2), ("environ_", 2), ("clock_", 2), ("fd_", 21), ("path_", 10), ("proc_", 2), ("sock_", 4)]
        {
            assert_eq!(exports.iter().filter(|name| name.starts_with(prefix)).count(), count, "{prefix}");
        }
    }

    #[test]
    fn with_the_stub_adapter_a_component_has_no_wasi() {
        let imports = r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
                         (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
        let module = module(imports, "(drop (call $random (i32.const 0) (i32.const 8)))");
        assert!(encode(module.clone(), None).is_err());
        let component = encode(module, Some(&wat::parse_str(STUB).unwrap())).unwrap();
        let facts = facts(&component).unwrap();
        assert_eq!((facts.kind, facts.imports), ("component", Vec::new()));
        assert_eq!(facts.exports, ["sandbox:host/job@0.1.0"]);
    }

    #[test]
    fn what_is_no_module_is_refused_and_a_module_without_a_world_is_left_alone() {
        assert!(encode(b"ELF".to_vec(), None).is_err());
        let module = wat::parse_str("(module)").unwrap();
        assert_eq!(encode(module.clone(), None).unwrap(), module);
        assert_eq!(facts(&module).unwrap().kind, "module");
        assert_eq!(facts(b"(module)").unwrap().kind, "text");
    }

    #[test]
    fn debug_information_goes_and_names_stay() {
        let text = r#"(module $m (func $named) (@custom ".debug_info" "x") (@custom "other" "y"))"#;
        let kept = without_debug_information(&wat::parse_str(text).unwrap()).unwrap();
        let names: Vec<_> = wasmparser::Parser::new(0)
            .parse_all(&kept)
            .filter_map(|payload| match payload.unwrap() {
                wasmparser::Payload::CustomSection(section) => Some(section.name().to_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(names, ["other", "name"]);
    }

    #[test]
    fn the_label_is_added_to_what_the_component_says_already() {
        let component = encode(module("", ""), None).unwrap();
        let labelled = label(&component, "Zig", &[("zig".to_owned(), "0.1.0".to_owned())]).unwrap();
        let producers = wasm_metadata::Producers::from_wasm(&labelled).unwrap().unwrap();
        assert!(producers.get("language").unwrap().get("Zig").is_some());
        let processed_by = producers.get("processed-by").unwrap();
        assert!(processed_by.get("zig").is_some() && processed_by.get("wit-component").is_some());
        assert_eq!(facts(&labelled).unwrap(), facts(&component).unwrap());
    }
}
