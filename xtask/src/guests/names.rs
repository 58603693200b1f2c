//! The names of a module's functions, which a trap's stack is shown with.
//!
//! The name of a function from a template of C++ says what it was made with: the move of one variant with many cases is
//! a name of a hundred thousand bytes, and a small guest has two megabytes of such names.

use anyhow::{Context as _, Result};
use wasm_encoder::{NameMap, NameSection};
use wasmparser::{KnownCustom, Name, Payload};

/// How many bytes of a name are kept: the host shows no more of a frame.
const LONGEST: usize = 300;

/// Shortens the names of a module's functions. All else in it stays as it is.
pub(super) fn shorten(module: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = wasm_encoder::Module::HEADER.to_vec();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        let payload = payload.context("failed to read the module")?;
        let Some((id, range)) = payload.as_section() else { continue };
        let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
        let data = module.get(range).context("a section is longer than the module")?;
        if let Payload::CustomSection(section) = &payload
            && let KnownCustom::Name(names) = section.as_known()
        {
            wasm_encoder::Section::append_to(&rewrite(names)?, &mut bytes);
        } else {
            wasm_encoder::Section::append_to(&wasm_encoder::RawSection { id, data }, &mut bytes);
        }
    }
    Ok(bytes)
}

fn rewrite(names: wasmparser::NameSectionReader<'_>) -> Result<NameSection> {
    let mut section = NameSection::new();
    for name in names {
        let Name::Function(functions) = name.context("failed to read the module's names")? else {
            // No stack shows what else has a name: segments of data, globals.
            continue;
        };
        let mut map = NameMap::new();
        for naming in functions {
            let naming = naming.context("failed to read the names of the module's functions")?;
            map.append(naming.index, naming.name.get(..naming.name.floor_char_boundary(LONGEST)).unwrap_or_default());
        }
        section.functions(&map);
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(module: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(module) {
            let Payload::CustomSection(section) = payload.unwrap() else { continue };
            let KnownCustom::Name(names) = section.as_known() else { continue };
            for name in names {
                let Name::Function(functions) = name.unwrap() else { continue };
                found.extend(functions.into_iter().map(|naming| naming.unwrap().name.to_owned()));
            }
        }
        found
    }

    #[test]
    fn a_name_is_cut_where_it_is_too_long_and_nothing_else_changes() {
        let longest = "n".repeat(LONGEST);
        let text = format!(
            r#"(module (@custom ".other" "x") (func $short (export "e")) (func ${longest}) (func $a{longest})
               (memory 1) (data (i32.const 0) "kept"))"#
        );
        let module = wat::parse_str(text).unwrap();
        let short = shorten(&module).unwrap();
        wasmparser::Validator::new().validate_all(&short).unwrap();
        let cut = format!("a{}", "n".repeat(LONGEST - 1));
        assert_eq!(names(&short), ["short".to_owned(), longest, cut]);
        assert_eq!(short.len(), module.len() - 1);
        assert_eq!(shorten(&short).unwrap(), short);
    }
}
