//! What can be said of a component without compiling or running it: who made it, what it is made of, what it would
//! need.
//!
//! Everything in here is the component's own word: a producers section is as easy to forge as any other, so nothing
//! that is found here may decide what a guest is allowed to do.

use std::collections::BTreeMap;

use serde::Serialize;
use wasm_metadata::Producers;
use wasmparser::{Encoding, KnownCustom, Parser, Payload};
use wit_component::{DecodedWasm, WitPrinter};

use super::source::invalid;
use super::{Facts, Parsed};
use crate::outcome::Stop;

/// What was found in a component.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspection {
    /// Its digest, world, imports and exports.
    #[serde(flatten)]
    pub facts: Facts,
    /// What it says about who made it: `language`, `processed-by` and `sdk`, each with names and versions.
    pub producers: BTreeMap<String, BTreeMap<String, String>>,
    /// Core modules in it, however deep.
    pub core_modules: u64,
    /// Bytes of memory that its modules declare to start with.
    pub minimum_memory_bytes: u64,
    /// Bytes by part, after conversion from text or from a core module.
    pub sizes: Sizes,
    /// Grants that its imports could use.
    pub grants: Vec<String>,
    /// Its world in WIT, where it has a WIT form.
    pub wit: Option<String>,
}

/// Bytes of a component by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sizes {
    /// All of it.
    pub total_bytes: u64,
    /// Function bodies.
    pub code_bytes: u64,
    /// Initial contents of memories.
    pub data_bytes: u64,
    /// Names of functions and locals, as a trap's stack shows them.
    pub name_bytes: u64,
    /// Debug information.
    pub debug_bytes: u64,
    /// Types, imports, exports, tables and everything else.
    pub other_bytes: u64,
}

/// Bytes of one page of memory.
const PAGE: u64 = 65_536;

impl Inspection {
    /// Looks at bytes of unknown origin: a component or a core module, in binary or in text.
    ///
    /// # Errors
    /// A stop whose reason is `refused.…`.
    pub fn of(bytes: Vec<u8>) -> Result<Self, Stop> {
        let Parsed { facts, binary, .. } = Parsed::read(bytes)?;
        let mut producers = Producers::empty();
        let mut sizes = Sizes { total_bytes: binary.len() as u64, ..Sizes::default() };
        let (mut core_modules, mut minimum_pages) = (0, 0_u64);
        let broken = |error: wasmparser::BinaryReaderError| {
            invalid(format!("the component is broken at byte {}: {}", error.offset(), error.message()))
        };
        for payload in Parser::new(0).parse_all(&binary) {
            match payload.map_err(broken)? {
                Payload::Version { encoding: Encoding::Module, .. } => core_modules += 1,
                Payload::MemorySection(section) => {
                    for memory in section {
                        let memory = memory.map_err(broken)?;
                        minimum_pages = minimum_pages.saturating_add(memory.initial);
                    }
                }
                Payload::CodeSectionStart { size, .. } => sizes.code_bytes += u64::from(size),
                Payload::DataSection(section) => sizes.data_bytes += length(&section.range()),
                Payload::CustomSection(section) => {
                    let bytes = length(&section.range());
                    match section.as_known() {
                        KnownCustom::Name(_) | KnownCustom::ComponentName(_) => sizes.name_bytes += bytes,
                        KnownCustom::Producers(_) => {
                            if let Ok(found) = Producers::from_bytes(section.data(), section.data_offset()) {
                                producers.merge(&found);
                            }
                        }
                        _ if section.name().starts_with(".debug") => sizes.debug_bytes += bytes,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        let known = sizes.code_bytes + sizes.data_bytes + sizes.name_bytes + sizes.debug_bytes;
        sizes.other_bytes = sizes.total_bytes.saturating_sub(known);
        Ok(Self {
            grants: grants(&facts.imports),
            producers: by_field(&producers),
            core_modules,
            minimum_memory_bytes: minimum_pages.saturating_mul(PAGE),
            sizes,
            wit: wit(&binary),
            facts,
        })
    }
}

fn length(range: &std::ops::Range<usize>) -> u64 {
    range.end.saturating_sub(range.start) as u64
}

fn by_field(producers: &Producers) -> BTreeMap<String, BTreeMap<String, String>> {
    let names = |field: wasm_metadata::ProducersField<'_>| {
        field.iter().map(|(name, version)| (name.clone(), version.clone())).collect()
    };
    producers.iter().map(|(field, values)| (field.clone(), names(values))).collect()
}

/// What a policy could grant that these imports would use.
fn grants(imports: &[String]) -> Vec<String> {
    let table = [
        ("wasi:filesystem/", "dir: files and directories"),
        ("wasi:cli/environment", "env, args: environment variables and arguments"),
        ("wasi:cli/stdin", "stdio.stdin: standard input"),
        ("wasi:cli/stdout", "stdio.stdout: standard output"),
        ("wasi:cli/stderr", "stdio.stderr: standard error"),
        ("wasi:config/", "config: configuration values"),
        ("wasi:keyvalue/", "key-value: key-value buckets"),
        ("sandbox:host/config", "config: configuration values"),
        ("wasi:sockets/tcp", "net: sockets"),
        ("wasi:sockets/udp", "net: sockets"),
        ("wasi:sockets/ip-name-lookup", "lookup: host names"),
    ];
    let mut grants = Vec::new();
    for (prefix, grant) in table {
        if imports.iter().any(|import| import.starts_with(prefix)) && !grants.iter().any(|known| known == grant) {
            grants.push(grant.to_owned());
        }
    }
    grants
}

/// The world in WIT; a component of raw functions may have none.
fn wit(binary: &[u8]) -> Option<String> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(binary).ok()? else { return None };
    let package = resolve.worlds.get(world)?.package?;
    let mut printer = WitPrinter::default();
    let others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != package).collect();
    printer.print(&resolve, package, &others).ok()?;
    Some(printer.output.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_add_up_and_modules_are_counted_at_any_depth() {
        let text = "(component
            (core module (memory 2) (func (nop)) (data (i32.const 0) \"abc\"))
            (component (core module (memory 3))))";
        let found = Inspection::of(text.as_bytes().to_vec()).unwrap();
        assert_eq!((found.core_modules, found.minimum_memory_bytes), (2, 5 * PAGE));
        let s = found.sizes;
        let sum = s.code_bytes + s.data_bytes + s.name_bytes + s.debug_bytes + s.other_bytes;
        assert_eq!(sum, s.total_bytes);
        assert!(s.code_bytes > 0 && s.data_bytes > 0);
    }

    #[test]
    fn grants_follow_from_imports_and_come_once() {
        let imports = ["sandbox:host/config@0.1.0", "wasi:config/store@0.2.0-rc.1", "wasi:filesystem/types@0.2.0"];
        let imports: Vec<String> = imports.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(grants(&imports), ["dir: files and directories", "config: configuration values"]);
        assert!(grants(&[]).is_empty());
    }
}
